"""The text a screen is about: typed here, or too long or too exact to be, then shown read-only."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, TextArea

from hfterm.text import displayable, elide_middle, foreign
from hfterm.widgets.text_editor import TextEditor, can_be_typed_in

WINDOW = 20_000
"""Characters of a read-only text that are laid out at a time; the window follows the selection."""
LINE = 2_000
"""Characters of a line in a window: longer ones are broken, since laying them out takes long."""


class TextPanel(Vertical):
    """An editor and, below it, an optional second sequence.

    A text that an editor would change, or that is too long for it, or that came from a file, is
    kept whole; the editor then shows a window of it, read-only.
    """

    DEFAULT_CSS = """
    TextPanel.-read-only TextEditor { color: $text-muted; }
    TextPanel > #pair { display: none; height: 1; background: $surface; }
    TextPanel.-pair > #pair { display: block; }
    """

    class Edited(Message):
        """The text was changed; `settled` when it came in one piece (a paste kept whole)."""

        def __init__(self, text: str, settled: bool = False) -> None:
            super().__init__()
            self.text = text
            self.settled = settled

    class PairEdited(Message):
        """The second sequence was changed."""

        def __init__(self, pair: str) -> None:
            super().__init__()
            self.pair = pair

    class CursorMoved(Message):
        """The cursor is at a character of the text."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    def __init__(self, *, most: int, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._most = most
        self._text = ""
        self._window_start = 0
        self._breaks: list[int] = []
        self.border_title = "Text"

    def compose(self) -> ComposeResult:
        """The editor and the line for a pair."""
        yield TextEditor(most=self._most, id="text")
        yield Input(placeholder="the second sequence (pair)", id="pair", compact=True)

    @property
    def editor(self) -> TextEditor:
        """The editor."""
        return self.query_one("#text", TextEditor)

    @property
    def read_only(self) -> bool:
        """Whether a window of a kept text is shown."""
        return self.has_class("-read-only")

    # -- showing -----------------------------------------------------------------------

    def show(self, text: str, path: str | None = None) -> None:
        """Show a text; one from a file is read-only."""
        self._text = text
        kept = path is not None or not can_be_typed_in(text, self._most)
        self.set_class(kept, "-read-only")
        self.editor.read_only = kept
        if kept:
            self._show_window(0)
        else:
            with self.prevent(TextArea.Changed):
                self.editor.text = text

    def _show_window(self, start: int) -> None:
        """Lay out the part of the kept text that begins at `start`."""
        self._window_start = start
        part = displayable(self._text[start : start + WINDOW], lines=True)
        pieces: list[str] = []
        self._breaks = []
        at = 0
        for line in part.splitlines(keepends=True):
            for begin in range(0, len(line), LINE):
                if begin:
                    self._breaks.append(at + begin)
                    pieces.append("\n")
                pieces.append(line[begin : begin + LINE])
            at += len(line)
        with self.prevent(TextArea.Changed):
            self.editor.text = "".join(pieces)

    def describe(self, path: str | None) -> None:
        """Say in the border how much text there is, and where it came from."""
        lines = self._text.count("\n") + (not self._text.endswith("\n"))
        parts = ["read-only"] if self.read_only else []
        parts += [count(len(self._text), "char"), count(lines, "line")]
        if path:
            room = (self.size.width or 70) - len(" · ".join(parts)) - 9
            parts.insert(0, elide_middle(path, max(12, room)))
        self.border_subtitle = foreign(" · ".join(parts))  # pyright: ignore[reportAttributeAccessIssue]

    def show_pair(self, pair: str | None) -> None:
        """Show or hide the line for the second sequence."""
        self.set_class(pair is not None, "-pair")

    def fill_pair(self, pair: str) -> None:
        """Put a second sequence into its line, without telling that it was edited."""
        self.show_pair(pair)
        with self.prevent(Input.Changed):
            self.pair_input.value = pair

    @property
    def pair_input(self) -> Input:
        """The line for the second sequence."""
        return self.query_one("#pair", Input)

    # -- offsets -----------------------------------------------------------------------

    @property
    def cursor(self) -> int:
        """The cursor as a character offset into the text."""
        return self._in_text(self.editor.cursor_offset())

    def _in_text(self, offset: int) -> int:
        """An offset into the editor as one into the text."""
        if not self.read_only:
            return offset
        inserted = bisect_left(
            range(len(self._breaks)), offset, key=lambda index: self._breaks[index] + index + 1
        )
        return self._window_start + offset - inserted

    def go_to(self, offset: int) -> None:
        """Put the cursor at a character of the text, or at its end."""
        if offset:
            at = min(offset, len(self._text))
            self.select(at, at)

    def select(self, start: int, end: int) -> None:
        """Select characters [start, end) of the text, bringing them into the window."""
        if not self.read_only:
            self.editor.select_span(start, end)
            return
        inside = self._window_start <= start and end <= self._window_start + WINDOW
        if not inside:
            line = self._text.rfind("\n", max(0, start - LINE), start) + 1
            self._show_window(line or max(0, start - LINE // 2))
        first, last = start - self._window_start, end - self._window_start
        self.editor.select_span(
            first + bisect_right(self._breaks, first), last + bisect_left(self._breaks, last)
        )

    def copy_text(self) -> str:
        """What is selected of the text as it is, not as it is drawn; else all of it."""
        places = [self.editor.offset_of(place) for place in self.editor.selection]
        start, end = sorted(self._in_text(place) for place in places)
        return self._text[start:end] or self._text

    # -- what happens in it --------------------------------------------------------------

    @on(TextArea.Changed, "#text")
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if not self.read_only:
            self._text = self.editor.text
            self.post_message(self.Edited(self._text))

    @on(Input.Changed, "#pair")
    def _pair_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.PairEdited(event.value))

    @on(TextArea.SelectionChanged, "#text")
    def _moved(self, event: TextArea.SelectionChanged) -> None:
        event.stop()
        if self.editor.has_focus and not self.editor.selected_text:
            self.post_message(self.CursorMoved(self.cursor))

    @on(TextEditor.Unkept)
    def _pasted(self, event: TextEditor.Unkept) -> None:
        """A paste that the editor would change, or that is too long for it: keep it whole."""
        event.stop()
        editor = event.editor
        start, end = sorted(editor.offset_of(place) for place in editor.selection)
        text = self._text[:start] + event.text + self._text[end:]
        self.show(text)
        self.post_message(self.Edited(text, settled=True))


def count(number: int, unit: str) -> str:
    """A number and its unit, in the plural where it should be."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
