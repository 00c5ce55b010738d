"""A text area for any text: what it shows is harmless, what it holds is exact."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from hfterm.text import displayable

LOSSY = re.compile("[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]|\r(?!\n)")
"""Line separators that a text area turns into line feeds; a model would see others."""


def keeps_exactly(text: str) -> bool:
    """Whether a text area gives back `text` as it was given."""
    if LOSSY.search(text):
        return False
    return "\r" not in text or text.count("\r\n") == text.count("\n")


class TextEditor(TextArea):
    """A `TextArea` that never draws control characters and never takes a text it would change."""

    HELP = """\
## Text
Type or paste; tokens follow as you type. `Tab` leaves the field, `Esc` goes to the tokens.
The token under the cursor is selected in the table. A text too long for typing, or one with
line separators that an editor would change, is kept whole and opened read-only.
"""

    @dataclass
    class Unkept(Message):
        """A pasted text that this editor would change, or that is too long for it."""

        editor: TextEditor
        text: str

        @property
        def control(self) -> TextEditor:
            """The editor it was pasted into."""
            return self.editor

    def __init__(self, text: str = "", *, most: int = 200_000, id: str | None = None) -> None:
        super().__init__(
            text,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            id=id,
        )
        self.most = most
        self.cursor_blink = False
        self.match_cursor_bracket = False

    def get_line(self, line_index: int) -> Text:
        """A line as it may be drawn: the same length, so that cursor and wraps hold."""
        line = self.document.get_line(line_index)
        return Text(displayable(line, lines=True), end="", no_wrap=True)

    def cursor_offset(self) -> int:
        """The cursor as a character offset into the text."""
        return self.offset_of(self.cursor_location)

    def offset_of(self, location: tuple[int, int]) -> int:
        """A location (line, column) as a character offset."""
        row, column = location
        newline = len(self.document.newline)
        lines = self.document.lines
        return sum(len(lines[index]) for index in range(row)) + row * newline + column

    def location_of(self, offset: int) -> tuple[int, int]:
        """A character offset as a location (line, column)."""
        newline = len(self.document.newline)
        for row, line in enumerate(self.document.lines):
            if offset <= len(line):
                return row, offset
            offset -= len(line) + newline
        return self.document.end

    def select_span(self, start: int, end: int) -> None:
        """Select characters [start, end) and bring them into view."""
        self.selection = Selection(self.location_of(start), self.location_of(end))
        self.scroll_cursor_visible()

    async def _on_paste(self, event: events.Paste) -> None:
        text = event.text
        if not self.read_only and (
            len(text) + len(self.text) > self.most or not keeps_exactly(text)
        ):
            event.stop()
            event.prevent_default()
            self.post_message(self.Unkept(self, text))
            return
        await super()._on_paste(event)

    def copy_text(self) -> str:
        """The selection, or the whole text."""
        return self.selected_text or self.text
