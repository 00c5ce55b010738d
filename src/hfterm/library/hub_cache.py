"""The repositories of the hub cache, as huggingface_hub finds them. Imports it inside functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hfterm import paths
from hfterm.hub.repo_download import PART
from hfterm.job import Job
from hfterm.library.facts import Facts, folder_facts
from hfterm.library.types import LibraryItem

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo, CachedRevisionInfo, HFCacheInfo


def scan() -> HFCacheInfo | None:
    """What the cache holds; None when there is none."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return scan_cache_dir(paths.hub_cache_dir())
    except CacheNotFound:
        return None


def cached_items(job: Job, problems: list[str]) -> tuple[list[LibraryItem], int]:
    """(the repositories, bytes of downloads that were broken off).

    Args:
        job: can stop it between two repositories.
        problems: gets a line for each repository that is damaged.
    """
    found = scan()
    if found is None:
        return [], 0
    known = {repo.repo_path for repo in found.repos if repo.revisions}
    parts = sum(file.size_on_disk for file in found.incomplete_files)
    broken = {
        file.file_path.parent.parent
        for file in found.incomplete_files
        if file.file_path.name.endswith(PART)
    }
    items: list[LibraryItem] = []
    for repo in found.repos:
        job.check()
        if repo.repo_type in ("model", "dataset") and repo.revisions:
            items.append(_item(repo, repo.repo_path in broken))
    told = [" ".join(str(warning).split()) for warning in found.warnings]
    for folder in sorted(paths.hub_cache_dir().glob("*s--*")):
        wrong = [words for words in told if str(folder) in words]
        if folder in broken - known:
            items.append(_unusable(folder, "a download was broken off"))
        elif wrong and (folder / "snapshots").exists():
            items.append(_unusable(folder, wrong[0].replace(f"{folder}/", "")))
        told = [words for words in told if words not in wrong]
    problems += told
    return items, parts


def used_revision(repo: CachedRepoInfo) -> CachedRevisionInfo:
    """The revision that a library opens: main's, else the newest."""
    main = [revision for revision in repo.revisions if "main" in revision.refs]
    return main[0] if main else max(repo.revisions, key=lambda each: each.last_modified)


def _item(repo: CachedRepoInfo, broken: bool) -> LibraryItem:
    revision = used_revision(repo)
    facts = Facts("data set", "data set", screens=("library",))
    if repo.repo_type == "model":
        try:
            facts = folder_facts(revision.snapshot_path)
        except OSError as error:
            facts = Facts("unknown", problem=f"it can't be read ({error.strerror})")
    problem = "a download was broken off" if broken else facts.problem
    return LibraryItem(
        ref=repo.repo_id, kind=facts.kind, place="hub cache", path=str(revision.snapshot_path),
        what=facts.what, parameters=facts.parameters, dtype=facts.dtype, licence=facts.licence,
        size=repo.size_on_disk, revision=revision.commit_hash, revisions=len(repo.revisions),
        changed=repo.last_modified, used=repo.last_accessed, pickles=facts.pickles,
        problem=problem, screens=facts.screens, deletable=True,
    )  # fmt: skip


def _unusable(folder: Path, problem: str) -> LibraryItem:
    """A repository that huggingface_hub does not open."""
    kind, _, name = folder.name.partition("--")
    parts = list((folder / "blobs").glob("*"))
    newest = max((part.stat().st_mtime for part in parts), default=0.0)
    return LibraryItem(
        ref=name.replace("--", "/"), kind="data set" if kind == "datasets" else "model",
        place="hub cache", path=str(folder), what="",
        size=sum(part.stat().st_size for part in parts), changed=newest, used=newest,
        problem=problem, deletable=True,
    )  # fmt: skip
