"""The words of a picture that Textual exported: what stands on its lines.

Rich writes one `<text>` for each piece of a line that has one style. Its `y` tells the line, its
`x` the column.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict

CELL = 12.2
"""Width of a cell in the pictures' units."""

_PIECE = re.compile(
    r'<text class="terminal-[^"]+-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>'
)
_GLYPHS = re.compile(r"[\u2190-\u21ff\u2500-\u259f\u25b0\u25b1\u2800-\u28ff]+")
_NUMBER = re.compile(r"\d[\d,.]*(?:e[+-]?\d+)?")


def lines_of(svg: str) -> list[str]:
    """The lines of a picture, from the top."""
    lines: dict[float, list[tuple[int, str]]] = defaultdict(list)
    for x, y, text in _PIECE.findall(svg):
        words = html.unescape(text).replace("\xa0", " ")
        lines[float(y)].append((round(float(x) / CELL), words))
    shown: list[str] = []
    for _, pieces in sorted(lines.items()):
        line = ""
        for column, text in sorted(pieces):
            line = line.ljust(column) + text
        shown.append(line.rstrip())
    return shown


def words_of(svg: str) -> list[str]:
    """The lines of a picture without what a processor or a redrawn curve may change.

    Figures become 0, and what draws bars, curves and frames goes.
    """
    plain = (_NUMBER.sub("0", _GLYPHS.sub(" ", line)) for line in lines_of(svg))
    return [" ".join(line.split()) for line in plain]


def difference(old: str, new: str) -> str:
    """The first line whose words are others, as it was and as it is; empty for none."""
    before, now = words_of(old), words_of(new)
    for number, (was, is_) in enumerate(zip(before, now, strict=False), 1):
        if was != is_:
            return f"line {number} was “{was}” and is “{is_}”"
    if len(before) != len(now):
        return f"it had {len(before)} lines and has {len(now)}"
    return ""
