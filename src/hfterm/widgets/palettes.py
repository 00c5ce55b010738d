"""The command palette where Textual's ends it all: no room, a line that went, another open.

And where it runs what nobody asked for: its list follows what is typed some moments later, and an
`Enter` that comes before that takes the first line of what was there.

In a terminal of some 40 columns the command palette's list gets no width, and so Textual computes
no lines for it. `PageDown` looks for the highlighted one all the same: a `KeyError` that ends the
application. A click may come for a line of the list as it was before the last letter: an
`IndexError`. And every palette has the same id, which no two in one application may have: one that
was left open on another screen is in the way.
"""

from __future__ import annotations

from typing import Literal

from textual import events
from textual.command import CommandPalette
from textual.events import Click
from textual.widgets import OptionList

from hfterm.widgets.key_order import KeysInOrder

LIST_KEYS = {"enter", "up", "down", "pageup", "pagedown"}

_move_page = OptionList._move_page  # pyright: ignore[reportPrivateUsage]
_on_click = OptionList._on_click  # pyright: ignore[reportPrivateUsage]


def _move_where_lines_are(self: OptionList, direction: Literal[-1, 1]) -> None:
    if (self.highlighted or 0) in self._index_to_line:  # pyright: ignore[reportPrivateUsage]
        _move_page(self, direction)


async def _click_what_is_there(self: OptionList, event: Click) -> None:
    if event.style.meta.get("option", 0) < self.option_count:
        await _on_click(self, event)


class Palettes(KeysInOrder):
    """An application whose palette may be open on each of its screens."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        OptionList._move_page = _move_where_lines_are  # pyright: ignore[reportPrivateUsage]
        OptionList._on_click = _click_what_is_there  # pyright: ignore[reportPrivateUsage]
        super().__init__(ansi_color=ansi_color)

    def action_command_palette(self) -> None:
        """The palette, which has no id here."""
        if self.use_command_palette and not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette())

    def takes(self, event: events.Key | events.Paste) -> bool:
        """A key for the palette's list waits until that is the one of what was typed."""
        for_list = isinstance(event, events.Key) and event.key in LIST_KEYS
        return super().takes(event) and not (for_list and self._searches())

    def _searches(self) -> bool:
        return isinstance(self.screen, CommandPalette) and any(
            worker.node is self.screen and not worker.is_finished
            and worker.group == CommandPalette._GATHER_COMMANDS_GROUP  # pyright: ignore[reportPrivateUsage]
            for worker in self.workers
        )  # fmt: skip
