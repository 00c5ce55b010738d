"""The line of tabs above pages, which arrows leave downwards."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Tabs

FORM = 8
"""Lines of fields above a table that are a form, which is entered at its first field."""


class TabLine(Tabs):
    """Tabs; `↓` goes into the page of the one that is open."""

    HELP = "## Tabs\n`←` and `→` go to the tab beside, `↓` into the page."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "into", "Into the page", show=False, id="tabs.into",
                tooltip="Go to the page's table, or to its first field"),
    ]  # fmt: skip

    def action_into(self) -> None:
        """Give the focus to the page: to its table rather than to a few fields above."""
        chain = self.screen.focus_chain
        after = [
            widget for widget in chain[chain.index(self) + 1 :] if self.parent in widget.ancestors
        ]
        if not after:
            return
        first = after[0]
        near = first.region.y + FORM
        tall = (widget for widget in after if widget.size.height > 1 and widget.region.y < near)
        next(tall, first).focus()
