"""The hashes that the hub names files by."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from hfterm.job import Job

CHUNK = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


def algorithm(etag: str) -> str:
    """How a file is hashed whose name is `etag`: ``sha256``, ``git-sha1``, or empty: unknown."""
    if _SHA256.fullmatch(etag):
        return "sha256"
    return "git-sha1" if _SHA1.fullmatch(etag) else ""


def hash_of(file: Path, how: str, job: Job, stage: str) -> str:
    """The hash of a file, in hexadecimal.

    Args:
        file: the file.
        how: ``sha256``, or ``git-sha1`` (git's hash of a blob: of its length, then of it).
        job: told of the bytes read; can stop it.
        stage: what it is told.

    Raises:
        OSError: the file can't be read.
        Cancelled: the job was cancelled.
    """
    size = file.stat().st_size
    digest = hashlib.sha256() if how == "sha256" else hashlib.sha1(b"blob %d\0" % size)  # git's
    done = 0
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            job.progress(stage, done, size, "bytes")
    return digest.hexdigest()
