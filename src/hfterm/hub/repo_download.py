"""Bring a repository of the hub into the cache: with progress, a cancel at any moment, and resume.

huggingface_hub brings a file into one of its own name each time and throws away a part that was
broken off, so large files are brought here, byte after byte, into
``blobs/<etag>.hfterm.incomplete``. One becomes ``blobs/<etag>`` only when its hash is the etag:
what huggingface_hub finds there is whole, and it makes the rest of the cache itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from hfterm import paths
from hfterm.errors import Cancelled, HftermError
from hfterm.hub.checksums import algorithm, hash_of
from hfterm.hub.download import explain
from hfterm.hub.refs import HUB_ID, LONGEST_ID, cache_folder, suggestion
from hfterm.hub.repo_types import RepoFile, RepoKind, RepoPlan
from hfterm.hub.starter_pip import Access
from hfterm.hub.transfer import Download, Remedies, transfer
from hfterm.job import Job, Progress
from hfterm.sizes import size_text
from hfterm.system.disk import free_bytes

LARGE = 1 << 20
"""Bytes from which a file is brought here: what is smaller is there before one could cancel."""

PART = ".hfterm.incomplete"
"""The end of a part's name; cache tools know it for a download that was broken off."""

REMEDIES = Remedies(
    login="For a private or gated repository run: hf auth login",
    missing="The listing may be old: try again.",
    offline="Check the connection, any proxy, and HF_ENDPOINT.",
    tampered="Try again; if it stays so, a proxy or mirror in between changes files.",
)


def plan_download(
    ref: str,
    job: Job,
    *,
    kind: RepoKind = "model",
    revision: str = "",
    allow: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> RepoPlan:
    """Ask the hub what there is, and the cache what of it is here.

    Args:
        ref: a hub id (``owner/name``).
        job: can stop it between two requests.
        kind: of the repository.
        revision: a branch, tag or commit; empty for the main branch.
        allow: patterns of the files that are wanted; empty for all.
        ignore: patterns of files that are not.

    Raises:
        HftermError: missing, gated, forbidden, offline, not a hub at all, or no such files.
    """
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub import RepoFile as HubFile

    if not HUB_ID.match(ref) or len(ref) > LONGEST_ID:
        raise HftermError(
            "not-found",
            f"{ref[:LONGEST_ID]!r} is no hub id (owner/name).",
            suggestion(ref) or "Copy it from the model's page on the hub.",
        )
    job.progress(f"asking the hub for {ref}")
    try:
        api = HfApi()
        commit = api.repo_info(ref, repo_type=kind, revision=revision or None).sha or "main"
        job.check()
        listed: list[RepoFile] = []
        for entry in api.list_repo_tree(ref, recursive=True, revision=commit, repo_type=kind):
            if isinstance(entry, HubFile):
                etag = entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
                listed.append(RepoFile(entry.path, entry.size, etag))
        files = [file for file in listed if _wanted(file.name, allow, ignore)]
        job.check()
        if files:
            # the listing of a gated repository is open to everybody, its files are not
            get_hf_file_metadata(hf_hub_url(ref, files[0].name, repo_type=kind, revision=commit))
    except Cancelled:
        raise
    except Exception as error:
        # huggingface_hub and httpx each raise their own families here
        raise explain(ref, error) from error
    if not files:
        raise HftermError(
            "no-files",
            f"{ref} has no file that is wanted ({', '.join(allow) or 'it is empty'}).",
            f"It has: {', '.join(file.name for file in listed[:12]) or 'nothing'}.",
        )
    blobs = blobs_of(ref, kind)
    here = sum(_arrived(blobs, commit, file) for file in files)
    return RepoPlan(ref, kind, revision, commit, files, here, len(listed) - len(files))


def fetch(plan: RepoPlan, job: Job) -> Path:
    """Bring what is missing of a plan; the snapshot's folder.

    What arrived stays when this fails or is cancelled, and the next time goes on from it.

    Raises:
        HftermError: it can't be had, the disk is full, or what came is not what the hub listed.
        Cancelled: the job was cancelled.
    """
    from huggingface_hub import snapshot_download

    stage = f"downloading {plan.ref}"
    _check_room(plan)
    blobs = blobs_of(plan.ref, plan.kind)
    missing = [file for file in plan.files if not _whole(blobs, plan.commit, file)]
    done = plan.size - sum(file.size for file in missing)
    for file in missing:
        if file.size < LARGE or not algorithm(file.etag):
            continue
        base = done

        def told(progress: Progress, base: int = base) -> None:
            if progress.unit == "s":
                job.progress(progress.stage, progress.done, progress.total, "s")
            else:
                job.progress(stage, base + progress.done, plan.size, "bytes")

        try:
            _bring(plan, file, Job(told, job.cancelled))
        except OSError as error:
            raise _disk(plan.ref, error) from error
        done += file.size
    job.progress(stage, done, plan.size, "bytes")
    try:
        folder = snapshot_download(
            plan.ref,
            repo_type=plan.kind,
            revision=plan.revision or None,
            allow_patterns=[_literal(file.name) for file in plan.files],
            max_workers=4,
        )
    except Exception as error:
        # huggingface_hub and httpx each raise their own families here
        raise explain(plan.ref, error) from error
    job.progress(stage, plan.size, plan.size, "bytes")
    return Path(folder)


def blobs_of(ref: str, kind: RepoKind) -> Path:
    """Where the cache keeps the contents of a repository's files."""
    return cache_folder(ref, kind) / "blobs"


def _wanted(name: str, allow: Sequence[str], ignore: Sequence[str]) -> bool:
    if any(fnmatch(name, pattern) for pattern in ignore):
        return False
    return not allow or any(fnmatch(name, pattern) for pattern in allow)


def _literal(name: str) -> str:
    """A name as a pattern that means only it."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _whole(blobs: Path, commit: str, file: RepoFile) -> bool:
    return (blobs.parent / "snapshots" / commit / file.name).exists() or (
        blobs / file.etag
    ).exists()


def _arrived(blobs: Path, commit: str, file: RepoFile) -> int:
    if _whole(blobs, commit, file):
        return file.size
    try:
        return (blobs / f"{file.etag}{PART}").stat().st_size
    except OSError:
        return 0


def _check_room(plan: RepoPlan) -> None:
    folder = blobs_of(plan.ref, plan.kind)
    missing, free = plan.size - plan.here, free_bytes(folder)
    if free is not None and missing > free:
        raise HftermError(
            "disk-full",
            f"{plan.ref} needs {size_text(missing)} more, and {size_text(free)} are free "
            f"where the cache is ({paths.home_relative(paths.hub_cache_dir())}).",
            "Delete something on the Library screen, or set HF_HOME to a folder with more room.",
        )


def _bring(plan: RepoPlan, file: RepoFile, job: Job) -> None:
    """One file, whole and of the right hash, as a blob of the cache."""
    from huggingface_hub import constants, get_token, hf_hub_url

    folder = blobs_of(plan.ref, plan.kind)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{file.etag}{PART}"
    token = get_token()
    host = urlsplit(constants.ENDPOINT).netloc
    transfer(
        Download(
            url=hf_hub_url(plan.ref, file.name, repo_type=plan.kind, revision=plan.commit),
            part=part,
            size=file.size,
            title=file.name,
            access=Access(tokens={host: token} if token else {}),
            remedies=REMEDIES,
        ),
        job,
    )
    if hash_of(part, algorithm(file.etag), job, f"checking {file.name}") != file.etag:
        part.unlink()
        raise HftermError(
            "checksum",
            f"What {host} sent for {file.name} of {plan.ref} is not what it lists: "
            f"its {algorithm(file.etag)} is another.",
            f"Nothing of it is kept. {REMEDIES.tampered}",
        )
    part.rename(folder / file.etag)


def _disk(ref: str, error: OSError) -> HftermError:
    return HftermError(
        "unwritable",
        f"{ref} can't be kept in {paths.home_relative(paths.hub_cache_dir())}: {error.strerror}.",
        "Make room or correct the folder's rights; the next try goes on from what arrived.",
    )
