"""A text area for any text: what it shows is harmless, what it holds is exact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, cast, overload

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document import DocumentBase
from textual.document._wrapped_document import WrappedDocument
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from hfterm.text import displayable
from hfterm.widgets.sized import Sized

LOSSY = re.compile("[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]|\r(?!\n)")
"""Line separators that a text area turns into line feeds; a model would see others."""


LONGEST_LINE = 20_000
"""Characters: each key in a longer line would take an editor longer than a person accepts."""


def can_be_typed_in(text: str, most: int) -> bool:
    """Whether an editor keeps `text` exactly and stays quick with it; `most` in characters."""
    if len(text) > most or not keeps_exactly(text):
        return False
    return len(text) <= LONGEST_LINE or max(map(len, text.split("\n"))) <= LONGEST_LINE


def keeps_exactly(text: str) -> bool:
    """Whether a text area gives back `text` as it was given."""
    if LOSSY.search(text):
        return False
    return "\r" not in text or text.count("\r\n") == text.count("\n")


class _ShownLines(Sequence[str]):
    """The lines of a document as they are drawn, made when they are asked for."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [displayable(line, lines=True) for line in self._lines[index]]
        return displayable(self._lines[index], lines=True)


class _ShownDocument:
    """What wrapping and the cursor measure: the characters drawn, not the wider or narrower ones
    they stand for. Both have the same number of characters.
    """

    def __init__(self, document: DocumentBase) -> None:
        self._document = document

    @property
    def lines(self) -> _ShownLines:
        return _ShownLines(self._document.lines)

    @property
    def line_count(self) -> int:
        return self._document.line_count

    def get_line(self, index: int) -> str:
        return self.lines[index]

    def __getitem__(self, index: int) -> str:
        return self.lines[index]


class TextEditor(Sized, TextArea):
    """A `TextArea` that never draws control characters and never takes a text it would change."""

    HELP = """\
## Text
Type or paste; tokens follow as you type. `Ctrl+U` empties it, `Ctrl+Z` undoes. `Tab` leaves the
field, `Esc` goes to the tokens. The token under the cursor is selected in the table. A text too
long for typing, or one with line separators that an editor would change, is kept whole and opened
read-only.
"""

    DEFAULT_CSS = """
    TextEditor {
        height: 1fr; border: none; padding: 0; background: transparent;
        scrollbar-size-vertical: 1;
    }
    TextEditor:focus { border: none; }
    TextEditor:ansi > .text-area--selection {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    TextEditor:ansi > .text-area--cursor {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "edge(0)", "Start of the text", show=False, id="text.start",
                tooltip="To the start of the text"),
        Binding("ctrl+end", "edge(1)", "End of the text", show=False, id="text.end",
                tooltip="To the end of the text"),
        Binding("ctrl+u", "empty", "Empty", show=False, id="text.empty",
                tooltip="Delete the whole text; ctrl+z brings it back"),
    ]  # fmt: skip

    class Unkept(Message):
        """A pasted text that this editor would change, or that is too long for it."""

        def __init__(self, editor: TextEditor, text: str) -> None:
            super().__init__()
            self.editor = editor
            self.text = text

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

    @property
    def wrap_width(self) -> int:
        """Cells in a line."""
        self.room()
        return super().wrap_width

    def resized(self) -> None:
        """Lines are as wide as the widget."""
        self._rewrap_and_refresh_virtual_size()
        self.refresh()  # as many lines as before may be others

    def _on_resize(self, event: events.Resize) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Once is enough: `resized` has wrapped the text."""
        event.prevent_default()

    @property
    def wrapped_document(self) -> WrappedDocument:
        """The document in lines as wide as the editor."""
        return self._wrapped

    @wrapped_document.setter
    def wrapped_document(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, wrapped: WrappedDocument
    ) -> None:
        """Wrap what is drawn: an emoji of several code points is shown wider than it is counted."""
        shown = cast("DocumentBase", _ShownDocument(wrapped.document))
        self._wrapped = WrappedDocument(shown, tab_width=self.indent_width)

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

    def action_empty(self) -> None:
        """Delete all of it."""
        if not self.read_only:
            self.clear()

    def select_span(self, start: int, end: int) -> None:
        """Select characters [start, end) and bring them into view."""
        self.selection = Selection(self.location_of(start), self.location_of(end))
        self.scroll_cursor_visible()

    def action_edge(self, end: int) -> None:
        """Go to the start or the end of the text."""
        self.move_cursor(self.document.end if end else (0, 0))

    def on_mouse_release(self) -> None:
        """What took the mouse away ends the selecting, which Textual's goes on with."""
        self._end_mouse_selection()

    async def _on_paste(self, event: events.Paste) -> None:
        """Turn away what cannot be kept; Textual calls `TextArea`'s own handler for the rest."""
        text = event.text
        longest = max(0, self.most - len(self.text))
        if not self.read_only and not can_be_typed_in(text, longest):
            event.stop()
            event.prevent_default()
            self.post_message(self.Unkept(self, text))

    def copy_text(self) -> str:
        """The selection, or the whole text; nothing of a window, whose owner has the text."""
        return "" if self.read_only else self.selected_text or self.text
