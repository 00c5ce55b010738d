"""One line for long work: what it does, how far it is, how fast, how long still."""

from __future__ import annotations

import time

from msgspec.structs import replace
from rich.cells import cell_len
from textual.widgets import Static

from hfterm.job import Progress
from hfterm.progress_text import BAR, describe
from hfterm.text import elide_middle, foreign

STOPS = " · Esc stops"


class JobLine(Static):
    """Shows the progress of one piece of work; takes no room when there is none."""

    DEFAULT_CSS = """
    JobLine { height: 1; padding: 0 1; display: none; color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._stage = ""
        self._began = 0.0
        self._first = 0
        self.shown = ""

    def show(self, progress: Progress) -> None:
        """Draw how far the work is."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._began = now
            self._first = progress.done
        self.display = True
        room = (self.size.width or 80) - len(STOPS)
        for bar in (BAR, BAR // 2, 0):
            self.shown = describe(progress, now - self._began, bar, self._first)
            if (over := cell_len(self.shown) - room) <= 0:
                break
        else:
            stage = elide_middle(progress.stage, max(8, cell_len(progress.stage) - over))
            shorter = replace(progress, stage=stage)
            self.shown = describe(shorter, now - self._began, 0, self._first)
        self.update(foreign(self.shown + STOPS), layout=False)

    def clear(self) -> None:
        """The work is over."""
        if self.display:
            self._stage = ""
            self.shown = ""
            self.display = False
