"""Where every thread is, written down when the interface does nothing for a while.

It must never freeze; if it does, who was waiting for whom is gone with the process. Python's
`faulthandler` keeps the time in a thread of its own that needs no interpreter lock:
https://docs.python.org/3/library/faulthandler.html#dumping-the-tracebacks-after-a-timeout
"""

from __future__ import annotations

import faulthandler
from contextlib import suppress
from pathlib import Path
from typing import TextIO

AFTER = 20.0
"""Seconds without a beat."""


class FreezeWatch:
    """Writes to a file when `beat` is not called for `AFTER` seconds.

    Args:
        file: is appended to, and taken away by `stop` when nothing was written.
    """

    def __init__(self, file: Path, after: float = AFTER) -> None:
        self.file = file
        self._after = after
        self._out: TextIO | None = None

    def beat(self) -> None:
        """The interface lives."""
        if self._out is None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._out = self.file.open("a")
            except OSError:  # a full or read-only disk: it does without
                return
        faulthandler.dump_traceback_later(self._after, file=self._out)

    def stop(self) -> None:
        """It ends, or waits on purpose; the next beat begins again."""
        if self._out is None:
            return
        faulthandler.cancel_dump_traceback_later()
        self._out.close()
        self._out = None
        with suppress(OSError):
            if not self.file.stat().st_size:
                self.file.unlink()
