"""A small file that is written whole: whoever reads it sees the old one or the new one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_atomic(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put a file in its place in one step, whatever ends the process meanwhile.

    Args:
        path: its folder has to be there.
        data: all of it.
        mode: who may read and write it, but for what the umask takes away.

    Raises:
        OSError: it can't be written; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode), "wb") as to:
            to.write(data)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
