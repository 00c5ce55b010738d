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
                tooltip="Go to the first thing of the page that takes keys"),
    ]  # fmt: skip

    def action_into(self) -> None:
        """Give the focus to what comes next."""
        self.screen.focus_next()
