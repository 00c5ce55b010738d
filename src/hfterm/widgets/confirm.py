"""A question that must be answered with yes."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Label, Static

from hfterm.text import foreign
from hfterm.widgets.modals import Modal


class Confirm(Modal[bool]):
    """Says what would happen; nothing does without a yes."""

    HELP = "## Question\n`Tab` to Yes and `Enter`, or `alt+y`. `Esc` is no."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+y", "yes", "Yes", id="confirm.yes", tooltip="Yes, do it"),
    ]

    def __init__(self, title: str, lines: list[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The question, and two buttons; No has the focus."""
        with Vertical() as box:
            box.border_title = foreign(self._title)  # pyright: ignore[reportAttributeAccessIssue]
            box.border_subtitle = "alt+y yes · Esc no"
            yield Static(Content("\n").join([foreign(line) for line in self._lines]))
            with Horizontal(classes="options"):
                yield Button("No", id="confirm-no", compact=True)
                yield Label("  ")
                yield Button("Yes", id="confirm-yes", compact=True, variant="warning")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """An answer."""
        self.dismiss(event.button.id == "confirm-yes")

    def action_yes(self) -> None:
        """Yes."""
        self.dismiss(True)

    def action_close(self) -> None:
        """No."""
        self.dismiss(False)
