"""The text itself with its tokens tinted: where the borders are, without a line drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hfterm.text import displayable, token_label
from hfterm.widgets.sized import Sized
from hfterm.widgets.token_source import TokenSource

TINTS = 4


@dataclass(frozen=True)
class _Part:
    """Some cells of a line: of token `index`, or of text that no token covers."""

    text: str
    index: int | None
    special: bool = False


class TokenStrip(Sized, Widget, can_focus=True):
    """Tokens in their text. Lays out only the lines it shows."""

    HELP = """\
## Token strip
The text with its tokens tinted in turn; special tokens are dim italics, `⋯` is a further piece
of the character before it. `←` `→` choose a token, `↑` `↓` go by 20.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", "Token left", show=False, id="strip.left",
                tooltip="The token before"),
        Binding("right", "choose(1)", "Token right", show=False, id="strip.right",
                tooltip="The next token"),
        Binding("up", "choose(-20)", "Tokens back", show=False, id="strip.up",
                tooltip="20 tokens back"),
        Binding("down", "choose(20)", "Tokens on", show=False, id="strip.down",
                tooltip="20 tokens on"),
        Binding("home", "edge(0)", "First token", show=False, id="strip.first",
                tooltip="The first token"),
        Binding("end", "edge(1)", "Last token", show=False, id="strip.last",
                tooltip="The last token"),
    ]  # fmt: skip

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"strip--{n}" for n in range(TINTS)),
        "strip--special",
        "strip--gap",
        "strip--selected",
    }

    DEFAULT_CSS = """
    TokenStrip { height: 3; }
    TokenStrip > .strip--0 { background: $foreground 8%; }
    TokenStrip > .strip--1 { background: $foreground 22%; }
    TokenStrip > .strip--2 { background: $foreground 13%; }
    TokenStrip > .strip--3 { background: $foreground 29%; }
    TokenStrip > .strip--special { color: $text-muted; text-style: italic; }
    TokenStrip > .strip--gap { color: $text-muted; }
    TokenStrip > .strip--selected {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
    }
    TokenStrip:ansi > .strip--0 { background: ansi_default; text-style: underline; }
    TokenStrip:ansi > .strip--1 { background: ansi_default; color: ansi_cyan; }
    TokenStrip:ansi > .strip--2 { background: ansi_default; text-style: underline; }
    TokenStrip:ansi > .strip--3 { background: ansi_default; color: ansi_cyan; }
    TokenStrip:ansi > .strip--selected {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    """

    class TokenHighlighted(Message):
        """A token was chosen in the strip."""

        def __init__(self, strip: TokenStrip, index: int) -> None:
            super().__init__()
            self.strip = strip
            self.index = index

        @property
        def control(self) -> TokenStrip:
            """The strip it happened in."""
            return self.strip

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source: TokenSource | None = None
        self._selected = 0
        self._top = 0
        self._lines: list[list[_Part]] = []
        self._styles: dict[str, Style] = {}

    def set_source(self, source: TokenSource | None, selected: int = 0) -> None:
        """Show another encoding."""
        self._source = source
        count = len(source) if source else 0
        self._selected = max(0, min(selected, count - 1))
        self._top = min(self._top, self._selected)
        self._layout()

    def select(self, index: int) -> None:
        """Mark a token, and scroll to it; the last where there is none of that number."""
        count = len(self._source) if self._source else 0
        self._selected = max(0, min(index, count - 1))
        self._layout()

    # -- layout --------------------------------------------------------------------

    def resized(self) -> None:
        """Lines are as wide as the widget."""
        self._layout()

    def _layout(self) -> None:
        width, height = self.room()
        self._lines = []
        if self._source is not None and width and height:
            if self._selected < self._top or self._selected > self._top + width * height:
                self._top = max(0, self._selected - 8)
            lines = self._flow(width, height)
            while not _holds(lines[:height], self._selected):
                step = (
                    next((p.index for p in lines[1] if p.index is not None), None)
                    if len(lines) > 1
                    else None
                )
                if step is None or step <= self._top:
                    step = self._top + 1
                self._top = min(step, self._selected)
                lines = self._flow(width, height)
                if self._top == self._selected:
                    break
            self._lines = lines[:height]
        self.refresh()

    def _flow(self, width: int, height: int) -> list[list[_Part]]:
        """Lines from token `_top` on, at least to the foot of the widget."""
        source = self._source
        assert source is not None
        lines: list[list[_Part]] = [[]]
        room = width
        previous: tuple[int, int, int] | None = source.span(self._top - 1) if self._top else None
        for index in range(self._top, len(source)):
            for part in _parts(source, index, previous):
                # more than fits is not measured again for each line
                text = part.text[: 4 * width * (height + 2)]
                while text and len(lines) <= height + 1:
                    size = cell_len(text)
                    if size <= room:
                        lines[-1].append(_Part(text, part.index, part.special))
                        room -= size
                        break
                    head = _head(text, room)
                    if head:
                        lines[-1].append(_Part(head, part.index, part.special))
                    elif not lines[-1]:
                        break  # not even one character fits: nothing can be drawn
                    text = text[len(head) :]
                    lines.append([])
                    room = width
            previous = source.span(index) or previous
            if len(lines) > height + 1:
                break
        return lines

    # -- drawing -------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of tinted tokens."""
        width = self.size.width
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, base)
        marked = (
            self._source.encoding.same_span(self._selected)
            if self._source and len(self._source)
            else range(0)
        )
        segments: list[Segment] = []
        for part in self._lines[y]:
            segments.append(Segment(part.text, self._part_style(part, marked)))
        return Strip(segments).extend_cell_length(width, base)

    def _part_style(self, part: _Part, marked: range) -> Style:
        if part.index is None:
            name = "gap"
        elif part.index in marked:
            name = "selected"
        elif part.special:
            name = "special"
        else:
            name = str(part.index % TINTS)
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self.get_component_rich_style(f"strip--{name}")
        return style

    def notify_style_update(self) -> None:
        """Styles are looked up once per theme, not once per token."""
        self._styles.clear()
        super().notify_style_update()

    # -- moving --------------------------------------------------------------------

    def _go(self, index: int) -> None:
        if self._source is None or not len(self._source):
            return
        index = max(0, min(index, len(self._source) - 1))
        if index != self._selected:
            self.select(index)
            self.post_message(self.TokenHighlighted(self, index))

    def action_choose(self, by: int) -> None:
        """Choose another token."""
        self._go(self._selected + by)

    def action_edge(self, last: int) -> None:
        """Choose the first or the last token."""
        if self._source is not None:
            self._go(len(self._source) - 1 if last else 0)

    def on_click(self, event: events.Click) -> None:
        """A click chooses the token under it."""
        if event.y >= len(self._lines):
            return
        x = 0
        for part in self._lines[event.y]:
            x += cell_len(part.text)
            if event.x < x:
                if part.index is not None:
                    self._go(part.index)
                return

    def copy_text(self) -> str:
        """The tokens, separated by spaces."""
        if self._source is None:
            return ""
        return " ".join(self._source.token(index) for index in range(len(self._source)))


def _holds(lines: Sequence[Sequence[_Part]], index: int) -> bool:
    return any(part.index == index for line in lines for part in line)


def _head(text: str, room: int) -> str:
    """The longest beginning of `text` that fits into `room` cells."""
    used = 0
    for position, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return text[:position]
    return text


def _parts(source: TokenSource, index: int, previous: tuple[int, int, int] | None) -> list[_Part]:
    """What a token puts on the strip: the text before it that no token covers, and itself."""
    span = source.span(index)
    special = bool(source.encoding.special[index])
    if span is None:
        label = token_label(source.token(index))
        return [_Part(label, index, special), _Part(" ", None)]
    sequence, start, end = span
    parts: list[_Part] = []
    same_sequence = previous is not None and previous[0] == sequence
    covered = previous[2] if previous is not None and same_sequence else 0
    if start > covered:
        gap = source.texts[sequence][covered:start][:200]
        parts.append(_Part(displayable(gap), None))
    shown = source.texts[sequence][max(start, covered) : end]
    parts.append(_Part(displayable(shown, space=True) if shown else "⋯", index))
    if index + 1 < len(source) and source.encoding.special[index + 1]:
        parts.append(_Part(" ", None))
    return parts
