"""Untrusted text, made safe to show: the one sanitizer, and the backstop under it.

Text that came from a model, a tokenizer, a data set or a file may hold escape sequences
(which a terminal obeys), bidi overrides (which reorder what is read) and markup (which
Textual would parse, actions included). `displayable` turns a text into one that can only be
read. It keeps the number of characters, so offsets into the original hold for what is shown.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.content import Content

C0_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
"""U+2400 block: a picture of each control character (␛ for ESC)."""

FORBIDDEN = (
    *range(9),  # 9 is the tab, 10 the line feed: layout, not commands
    *range(11, 32),
    127,
    *range(0x80, 0xA0),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
"""Code points that no widget may write to the terminal, whatever string it is given."""

_INVISIBLE = {
    0x7F: "␡",
    **{code: "␦" for code in range(0x80, 0xA0)},
    **{
        code: "⇄"
        for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C)
    },
    **dict.fromkeys((0x200B, 0xFEFF), "‸"),  # of no width
    0x2028: "↵",
    0x2029: "¶",
    # Terminals disagree on the width of joined and modified emoji (2, 4 or 6 cells for one), and a
    # line of another width than counted tears the frame. Shown apart, every one counts the same.
    0x200D: "‿",
    **dict.fromkeys(range(0x1F3FB, 0x1F400), "▪"),
    0xFE0F: "\u2060",
    **{code: "�" for code in range(0xD800, 0xE000)},
}
_KEEP_LAYOUT = {
    **C0_PICTURES,
    **_INVISIBLE,
    0x09: "\t",
    0x0A: "\n",
}
_ONE_LINE = {
    **C0_PICTURES,
    **_INVISIBLE,
    0x09: "→",
    0x0A: "⏎",
}
_NO_WIDTH = "\u200b\ufeff"
_VISIBLE_SPACE = {
    **_ONE_LINE,
    0x20: "·",
    0xA0: "⍽",
    0x3000: "▫",
}


def displayable(text: str, *, space: bool = False, lines: bool = False) -> str:
    """`text` as it may be shown: same length, nothing in it acts.

    Args:
        text: anything.
        space: show spaces as well (``·``), as token views do.
        lines: keep tabs and line feeds, for widgets that lay out several lines.
    """
    return text.translate(_VISIBLE_SPACE if space else _KEEP_LAYOUT if lines else _ONE_LINE)


def foreign(text: str, style: str = "", *, space: bool = False, lines: bool = False) -> Content:
    """Untrusted text for a widget: sanitized, and never parsed as markup."""
    return Content.styled(displayable(text, space=space, lines=lines), style)


def foreign_rich(text: str, style: str = "") -> Text:
    """Untrusted text where a Rich renderable is wanted."""
    return Text(displayable(text), style=style)


def label_name(label: str) -> str:
    """A label as a screen shows it: never an empty cell."""
    return displayable(label) if label.strip().strip(_NO_WIDTH) else token_label(label)


def token_label(token: str) -> str:
    """A token as a table shows it: spaces visible, and never an empty cell.

    A token of zero width (a lone space of none, or combining mark) is shown by its code points.
    """
    if not token:
        return "∅"
    shown = displayable(token, space=True)
    if cell_len(shown) == 0 or not token.strip(_NO_WIDTH):
        return " ".join(f"U+{ord(character):04X}" for character in token)
    if unicodedata.combining(shown[0]):
        return f"◌{shown}"
    return shown


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: cut with an ellipsis, or padded."""
    if cell_len(text) > width:
        text = set_cell_size(text, max(0, width - 1)) + ("…" if width > 0 else "")
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def elide_middle(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut in the middle, where paths are least telling."""
    if cell_len(text) <= width or width < 3:
        return text
    head = (width - 1) // 2
    tail = width - 1 - head
    while cell_len(text[len(text) - tail :]) > width - 1 - head:
        tail -= 1
    return set_cell_size(text, head).rstrip() + "…" + text[len(text) - tail :]


def elide_start(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut at its beginning: the end of a path names the thing."""
    if cell_len(text) <= width or width < 2:
        return text
    text = text[-width:]  # measuring all of a long one again and again would take a minute
    while cell_len(text) > width - 1:
        text = text[1:]
    return f"…{text}"


def install_backstop() -> None:
    """Make Rich and Textual drop `FORBIDDEN` from every string they render.

    Both keep a private table of control codes to strip (five of them); this extends it. A
    test fails when the tables move.
    """
    from rich import control
    from textual import content

    dropped = dict.fromkeys(FORBIDDEN)
    control._CONTROL_STRIP_TRANSLATE.update(dropped)  # pyright: ignore[reportPrivateUsage]
    content._CONTROL_STRIP_TRANSLATE.update(dropped)  # pyright: ignore[reportPrivateUsage]
