"""How much a folder holds, and how much is free around it."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import NamedTuple

from hfterm.job import Job


class FolderSize(NamedTuple):
    """What a folder holds, in bytes. `complete` is false where counting was given up."""

    total: int
    complete: bool


def folder_size(folder: Path, job: Job, seconds: float = 1.0) -> FolderSize:
    """Add up the files in a folder; links count nothing, as in the hub cache.

    Args:
        folder: the folder; one that does not exist is empty.
        job: can cancel the counting.
        seconds: after this long, what was counted so far must do.

    Raises:
        Cancelled: the job was cancelled.
    """
    total = 0
    deadline = time.monotonic() + seconds
    for parent, _, names in os.walk(folder):
        job.check()
        for name in names:
            try:
                found = (Path(parent) / name).lstat()
            except OSError:  # it went away meanwhile
                continue
            if stat.S_ISREG(found.st_mode):
                total += found.st_size
        if time.monotonic() > deadline:
            return FolderSize(total, complete=False)
    return FolderSize(total, complete=True)


def free_bytes(folder: Path) -> int | None:
    """Bytes that are free where a folder is or would be; None when that can't be told."""
    for place in (folder, *folder.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None
