"""Delete what hfterm or the hub brought, and say what that frees."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.refs import cache_folder
from hfterm.job import Job
from hfterm.library.hub_cache import scan
from hfterm.library.types import LibraryItem
from hfterm.system.disk import folder_size


def freed_by(item: LibraryItem, job: Job) -> int:
    """Bytes that deleting an item frees.

    Raises:
        HftermError: it is not hfterm's to delete.
    """
    if item.place == "hub cache":
        return sum(folder_size(folder, job, 30).total for folder in _cache_folders(item))
    return sum(folder_size(folder, job, 30).total for folder in _own_folders(item))


def delete(item: LibraryItem, job: Job) -> int:
    """Delete it; the bytes that were freed.

    Raises:
        HftermError: it is not hfterm's to delete, or can't be deleted.
    """
    freed = freed_by(item, job)
    job.progress(f"deleting {item.ref}")
    folders = _cache_folders(item) if item.place == "hub cache" else _own_folders(item)
    if item.place == "hub cache":
        _from_cache(item)
    try:
        for folder in folders:
            if folder.exists():
                shutil.rmtree(folder)
    except OSError as error:
        raise HftermError(
            "unwritable",
            f"{error.filename} can't be deleted: {error.strerror}.",
            "Correct the folder's rights and try again; the rest of it is deleted then.",
        ) from error
    return freed


def _from_cache(item: LibraryItem) -> None:
    """Let huggingface_hub take the revisions away: it knows what repositories share."""
    found = scan()
    kind = "dataset" if item.kind == "data set" else "model"
    for repo in found.repos if found is not None else ():
        if found is not None and repo.repo_id == item.ref and repo.repo_type == kind:
            # of this repository alone: a copy of it on the hub has the same commits
            alone = replace(found, repos=frozenset({repo}))
            alone.delete_revisions(*(each.commit_hash for each in repo.revisions)).execute()


def _cache_folders(item: LibraryItem) -> list[Path]:
    folder = cache_folder(item.ref, "dataset" if item.kind == "data set" else "model")
    return [folder] if folder.is_dir() else []


def _own_folders(item: LibraryItem) -> list[Path]:
    if item.place == "starter kit" and (known := starter.find(item.ref)) is not None:
        return [folder for folder in {known.folder, known.unpacked} if folder.is_dir()]
    path = Path(item.path)
    if item.place == "trained here" and path.parent == paths.tokenizers_dir():
        return [path]
    if item.place == "run":
        raise HftermError(
            "not-ours", f"{item.ref} belongs to a run.", "Delete the run on the Train screen (d)."
        )
    raise HftermError(
        "not-ours",
        f"hfterm did not bring {item.ref}, so it does not delete it.",
        f"Delete it yourself: rm -r {shlex.quote(item.path)}",
    )
