"""Fields of one line: a label and a value to type, or to choose from a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, Label


class Choice(Widget, can_focus=True):
    """A label and one of a few values, changed with ← → or Space."""

    HELP = """\
## Choice
`←` `→` or `Space` choose among the values.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space,enter", "step(1)", "Next value", show=False, id="choice.next",
                tooltip="The next value"),
        Binding("left", "step(-1)", "Value before", show=False, id="choice.previous",
                tooltip="The value before"),
    ]  # fmt: skip

    DEFAULT_CSS = """
    Choice { height: 1; width: auto; margin-right: 2; }
    Choice:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    Choice:ansi:focus { color: ansi_default; background: ansi_default; text-style: reverse; }
    """

    value = reactive("", layout=True)

    class Changed(Message):
        """Another value was chosen."""

        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> Choice:
            """The field it happened in."""
            return self.choice

    def __init__(
        self, label: str, values: Sequence[str], value: str | None = None, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.label = label
        self.values = tuple(values)
        self.value = value if value is not None else self.values[0]

    def render(self) -> Content:
        """Label and value."""
        return Content.assemble((f"{self.label} ", "dim"), (f"‹{self.value}›", "bold"))

    def action_step(self, by: int) -> None:
        """Choose the value next to this one."""
        index = self.values.index(self.value)
        self.value = self.values[(index + by) % len(self.values)]
        self.post_message(self.Changed(self, self.value))

    def on_click(self, event: events.Click) -> None:
        """A click chooses the next value."""
        event.stop()
        self.action_step(1)


class Field(Horizontal):
    """A label and an input, on one line."""

    DEFAULT_CSS = """
    Field { height: 1; width: 1fr; margin-right: 2; }
    Field > Label { color: $text-muted; width: auto; margin-right: 1; }
    Field > Input { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
    Field > Input:focus { background: $panel; border: none; }
    """

    def __init__(
        self, label: str, value: str = "", *, placeholder: str = "", id: str | None = None
    ) -> None:
        super().__init__()
        self._label = label
        self.input = Input(value, placeholder=placeholder, compact=True, id=id)

    def compose(self) -> ComposeResult:
        """Label and input."""
        yield Label(self._label, markup=False)
        yield self.input

    @property
    def value(self) -> str:
        """What was typed."""
        return self.input.value
