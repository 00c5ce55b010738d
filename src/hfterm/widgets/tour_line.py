"""A line of the tour, and the keys that go on or leave it."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class TourLine(Static):
    """Shows a line; out of sight when there is none."""

    DEFAULT_CSS = """
    TourLine {
        display: none; height: auto; max-height: 3; padding: 0 1;
        color: $foreground; background: $panel;
    }
    TourLine.-shown { display: block; }
    """

    def show(self, line: str) -> None:
        """Show a line; an empty one hides it."""
        self.set_class(bool(line), "-shown")
        if line:
            self.update(Content.assemble((line, "bold"), ("  ^t next · ^g skip", "dim")))
