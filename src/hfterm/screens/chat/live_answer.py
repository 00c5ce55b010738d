"""An answer while it is written: its tokens are gathered, and drawn now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from textual.widget import Widget

from hfterm.widgets.turn_view import TurnView

WRITE_EVERY = 0.2
"""Seconds between two times that new text of an answer is drawn: each costs bytes on the line."""

TYPING = 0.25
"""Seconds after a key in which the next one is to be expected."""

LATEST = 0.3
"""Seconds that due text waits for a key at most."""

CALM = 20
"""While somebody types, so many times as long as drawing took passes until the next time."""

SILENT = 4.0
"""Seconds without a token after which a turn says so."""


class LiveAnswer:
    """Draws an answer into its turn.

    No key is heard while text is laid out. Whoever types has it drawn right after a key, when the
    next one is farthest away.

    Args:
        page: whose timers draw.
        tell: shows the figures when those in the turn are scrolled away.

    Attributes:
        view: the turn; None while nothing is written.
        count: tokens that came.
    """

    def __init__(self, page: Widget, tell: Callable[[str], None]) -> None:
        self.view: TurnView | None = None
        self.count = 0
        self._page = page
        self._tell = tell
        self._fresh: list[str] = []
        self._since = self._last = 0.0
        self._typed = self._drawn = 0.0
        self._cost = 0.0  # seconds until what was drawn last was on screen
        self._waits = False  # for a key

    def begin(self) -> None:
        """Count anew."""
        self._fresh, self.count = [], 0

    def take(self, text: str) -> None:
        """A token came."""
        self.count += 1
        self._last = time.monotonic()
        if self.count == 1:
            self._since = self._last
        self._fresh.append(text)

    def end(self) -> TurnView | None:
        """Draw nothing more; the turn."""
        view, self.view, self._fresh = self.view, None, []
        self._tell("")
        return view

    def typed(self) -> None:
        """Somebody types."""
        self._typed = time.monotonic()
        if self._waits:
            self._waits = False
            self._page.call_after_refresh(self._draw)  # the key's own frame is out by then

    async def draw(self) -> None:
        """Draw what came since the last time, unless a key comes first."""
        now = time.monotonic()
        due = self._drawn + max(WRITE_EVERY, CALM * self._cost)
        if now - self._typed < TYPING and now < due + LATEST:
            self._waits = now >= due
        else:
            await self._draw()

    def _on_screen(self) -> None:
        self._cost = time.monotonic() - self._drawn

    async def _draw(self) -> None:
        self._drawn, self._waits = time.monotonic(), False
        view = self.view
        if view is None:
            return
        if not self._fresh:
            silent = int(time.monotonic() - self._last)
            if self.count and silent >= SILENT:
                self._say(view, f"nothing for {silent:,} s · Esc stops")
            return
        text, self._fresh = "".join(self._fresh), []
        await view.add(text)
        self._page.call_after_refresh(self._on_screen)
        spent = time.monotonic() - self._since
        if self.count > 1 and view is self.view:
            rate = (self.count - 1) / spent
            self._say(view, f"{self.count:,} tokens · {rate:,.1f}/s · Esc stops")

    def _say(self, view: TurnView, facts: str) -> None:
        view.say(replace(view.turn, facts=facts))
        self._tell("" if view.head_in_sight else facts)
