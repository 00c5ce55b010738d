"""Looks at the runs of this machine, for whoever shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from hfterm.errors import HftermError

if TYPE_CHECKING:
    from hfterm.training.store import Run

BUSY = 1.0
"""Seconds between two looks while a run is active, or the Train screen is in sight."""

IDLE = 5.0


class RunWatch:
    """Reads the run directories again and again, and says what changed."""

    def __init__(
        self,
        changed: Callable[[list[Run], list[Run]], None],
        in_sight: Callable[[], bool],
    ) -> None:
        """Watch.

        Args:
            changed: told of all runs, and of those among them that ended since the last look.
            in_sight: whether somebody looks at the table of runs.
        """
        self._changed = changed
        self._in_sight = in_sight
        self._now = asyncio.Event()
        self.looked = asyncio.Event()
        """Set once the runs have been looked at."""
        self.runs: list[Run] = []

    def look(self) -> None:
        """Look at once: something was started, stopped or deleted."""
        self._now.set()

    async def watch(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                self._now.clear()
                runs = await asyncio.to_thread(_list)
                if runs != self.runs:
                    active = {run.id for run in self.runs if run.active}
                    ended = [run for run in runs if run.id in active and not run.active]
                    self.runs = runs
                    self._changed(runs, ended)
                self.looked.set()
                busy = self._in_sight() or any(run.active for run in runs)
                try:
                    await asyncio.wait_for(self._now.wait(), BUSY if busy else IDLE)
                except TimeoutError:
                    continue
        finally:
            self.looked.set()  # whoever waits for it is not to wait for ever


def _list() -> list[Run]:
    from hfterm.training import run_control, store

    runs = store.list_runs()
    # a supervisor that was killed could not start the next of the queue
    if any(run.status == "queued" for run in runs) and not any(run.active for run in runs):
        with suppress(HftermError):  # a disk that is full or read-only: they wait on
            run_control.next_of_queue()
        runs = store.list_runs()
    return runs
