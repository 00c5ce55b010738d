"""The line of tabs above pages, which arrows leave downwards."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Tabs


class TabLine(Tabs):
    """Tabs; `↓` goes into the page of the one that is open."""

    HELP = "## Tabs\n`←` and `→` go to the tab beside, `↓` into the page."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "into", "Into the page", show=False, id="tabs.into",
                tooltip="Go to the page's table, or to its first field"),
    ]  # fmt: skip

    def action_into(self) -> None:
        """Give the focus to the page: to its table rather than to the fields above."""
        chain = self.screen.focus_chain
        after = [
            widget for widget in chain[chain.index(self) + 1 :] if self.parent in widget.ancestors
        ]
        tall = (widget for widget in after if widget.size.height > 1)
        there = next(tall, after[0] if after else None)
        if there is not None:
            there.focus()
