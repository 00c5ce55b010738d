"""How a training process learns that it is to stop. Standard library only: it listens first."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hfterm.errors import Cancelled
from hfterm.training import run_files as files

LOOK_EVERY = 0.1
"""Seconds between two looks for the stop file while the run loads."""

PATIENCE = 5.0
"""Seconds that loading has to come to an end by itself."""

FORWARDED = 5.0
"""Seconds in which a launcher may forward the SIGTERM that its processes got as well."""


class StopNow(Exception):
    """The run is asked to stop where Trainer can't: in the middle of an evaluation."""


class StopSwitch:
    """Whether the run was asked to stop: by a file in its directory, or by SIGTERM.

    Attributes:
        asked: it was.
        loading: nothing is trained yet, so that there is nothing to save.
    """

    def __init__(self, folder: Path, *, processes: int = 1) -> None:
        self._file = folder / files.STOP
        self._processes = processes
        self._parent = os.getppid()
        self._since = 0.0
        self._lock = threading.Lock()
        self.asked = False
        self.loading = True

    def listen(self) -> None:
        """Take SIGTERM as an order to checkpoint and stop; a second one ends the process."""
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGUSR1, self._interrupted)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _terminated(self, *_: object) -> None:
        now = time.monotonic()
        if self._since and (self._processes == 1 or now - self._since > FORWARDED):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        self._since = self._since or now
        self.asked = True
        if self._processes > 1:
            with suppress(OSError):  # the others are told; a full disk leaves it to this one
                self._file.touch()

    def _interrupted(self, *_: object) -> None:
        if self.loading:
            raise Cancelled

    def look(self) -> bool:
        """Whether to stop now."""
        if not self.asked and (self._file.exists() or self._forsaken()):
            self.asked = True
        return self.asked

    def _forsaken(self) -> bool:
        """Whether the launcher of several processes is gone: nobody would end them together."""
        return self._processes > 1 and os.getppid() != self._parent

    def watch_loading(self, leave: Callable[[], None]) -> None:
        """Interrupt the main thread when a stop is asked for while it loads.

        Args:
            leave: ends the process; called when the main thread does not come to an end.
        """
        threading.Thread(target=self._watch, args=(leave,), daemon=True).start()

    def _watch(self, leave: Callable[[], None]) -> None:
        while self.loading and not self.look():
            # a thread of its own; the order is a file, or a flag that a signal sets
            time.sleep(LOOK_EVERY)
        if not self.loading:
            return
        _thread.interrupt_main(signal.SIGUSR1)
        # the main thread is given time to come out of what it loads
        time.sleep(PATIENCE)
        with self._lock:
            if self.loading:
                leave()

    def loaded(self) -> None:
        """Training begins: from here a stop is a checkpoint."""
        with self._lock:
            self.loading = False
