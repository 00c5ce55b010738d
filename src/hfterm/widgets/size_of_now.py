"""A screen takes the size that the terminal has, and none that it had.

Textual's screen tells itself of each size that it takes, and takes that once more. Two sizes with
something between them, as where the window is dragged while another screen comes in sight, are then
taken in turns for ever; as its queue is never empty, nothing else has a turn, and no key is heard
any more.
"""

from __future__ import annotations

from textual import events
from textual.screen import Screen

_on_resize = Screen._on_resize  # pyright: ignore[reportPrivateUsage]


async def _take_the_size_of_now(self: Screen[object], event: events.Resize) -> None:
    now = self.app.size
    if event.size != now:
        event = events.Resize(now, now, now, event.pixel_size)
    await _on_resize(self, event)


def let_only_the_size_of_now_count() -> None:
    """Put it in the place of Textual's. A test fails when what it stands on moves."""
    Screen._on_resize = _take_the_size_of_now  # pyright: ignore[reportPrivateUsage]
