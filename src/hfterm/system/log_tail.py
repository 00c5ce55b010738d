"""The end of a log file."""

from __future__ import annotations

import os
from pathlib import Path

LINE = 200
"""Bytes that a line is taken to have, so that a long log need not be read whole."""


def last_lines(file: Path, lines: int) -> list[str]:
    """At most the last `lines` lines of a file; empty when it can't be read."""
    try:
        with file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - lines * LINE))
            return log.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []
