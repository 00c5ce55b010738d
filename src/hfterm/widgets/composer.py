"""Where a message is written: Enter sends it, Alt+Enter begins a new line."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message

from hfterm.text import foreign
from hfterm.widgets.text_editor import TextEditor

NEW_LINE = ("alt+enter", "shift+enter", "ctrl+j")
"""Which of them a terminal can tell from Enter differs."""


class Composer(TextEditor):
    """An editor whose Enter sends. A paste that is too long for it is kept beside the text."""

    HELP = """\
## Message
`Enter` sends, `Alt+Enter` (or `Ctrl+J`) begins a new line, `Ctrl+U` empties it. `Alt+E` opens
`$EDITOR`. A long paste is kept whole beside the text and sent with it; `Alt+X` drops it. `↑` in an
empty field goes to the turns.
"""

    DEFAULT_CSS = """
    Composer {
        height: auto; min-height: 2; max-height: 10; padding: 0 1; background: transparent;
        border-top: solid $border; border-title-color: $text-muted;
    }
    Composer:focus { border: none; border-top: solid $accent; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+x", "drop_paste", "Drop the paste", show=False, priority=True,
                id="composer.drop", tooltip="Drop the long text that was pasted"),
    ]  # fmt: skip

    class Sent(Message):
        """A message was written."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class WentUp(Message):
        """The cursor left the empty field upwards."""

    def __init__(self, *, most: int, id: str | None = None) -> None:
        super().__init__(most=most, id=id)
        self._pasted = ""
        self._what = ""
        self._doing = ""

    def on_mount(self) -> None:
        """What the keys do."""
        self.call_it("Message")

    def call_it(self, what: str) -> None:
        """Say what is written here."""
        self._what = what
        self._say()

    def tell(self, doing: str) -> None:
        """Say what goes on instead of what the keys do; nothing when nothing does."""
        if doing != self._doing:
            self._doing = doing
            self._say()

    def _say(self) -> None:
        told = f"{self._what} · {self._doing or 'Enter sends · Alt+Enter new line'}"
        if self._pasted:
            told = f"{self._what} + {len(self._pasted):,} pasted characters · Alt+X drops them"
        self.border_title = foreign(f" {told} ")  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def message(self) -> str:
        """What would be sent."""
        return "\n\n".join(part for part in (self.text, self._pasted) if part.strip())

    def put(self, text: str) -> None:
        """Write something into it, over what is there."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def clear_message(self) -> None:
        """Nothing is left in it."""
        self._pasted = ""
        self.load_text("")
        self._say()

    @on(TextEditor.Unkept)
    def _keep(self, event: TextEditor.Unkept) -> None:
        event.stop()
        self._pasted += event.text
        self._say()

    def action_drop_paste(self) -> None:
        """Let the long paste go."""
        self._pasted = ""
        self._say()

    async def _on_key(self, event: events.Key) -> None:
        """Enter sends; the editor would begin a line."""
        if event.key in NEW_LINE:
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            if self.message:
                self.post_message(self.Sent(self.message))
        elif event.key == "up" and not self.text:
            event.stop()
            event.prevent_default()
            self.post_message(self.WentUp())
