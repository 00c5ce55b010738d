"""Lines from queries to keys in dots of braille, and where the columns beside them lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from hfterm.attention.views import EXCLUDED as EXCLUDED_LEVEL
from hfterm.attention.views import STEPS, UNKNOWN
from hfterm.text import fit
from hfterm.widgets.map_picture import LEAST_NUMBER, short_number
from hfterm.widgets.ramps import EXCLUDED, NAN, Ramp

if TYPE_CHECKING:
    import numpy as np

LONGEST_LABEL = 20
WIDEST_CANVAS = 60

MOST_LINES = 1000
"""Lines drawn at most, the heaviest: more are a grey area."""

HEAVY = 0.3
"""Weight from which a line is double where there are no colours."""

HEAVY_LEVEL = int(HEAVY**0.5 * STEPS)

# The dots of a braille character: four lines of two.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True)
class LinkLayout:
    """Where everything lies, in cells and lines.

    Attributes:
        queries: of the queries' labels.
        canvas: of the lines between.
        keys: of the keys' labels.
        number: of the keys' weights; 0 when there is no room.
        lines: for tokens.
        foot: below them.
    """

    queries: int
    canvas: int
    keys: int
    number: int
    lines: int
    foot: int


def lay_out(width: int, height: int, query_label: int, key_label: int) -> LinkLayout:
    """The columns, of labels as long as these."""
    foot = int(height >= 6)
    number = 5 if width >= 24 else 0
    most = max(1, min(LONGEST_LABEL, (width - number) // 3))
    queries, keys = max(1, min(query_label, most)), max(1, min(key_label, most))
    canvas = max(0, min(WIDEST_CANVAS, width - queries - keys - number - 2))
    return LinkLayout(queries, canvas, keys, number, max(1, height - foot), foot)


@dataclass(frozen=True)
class Lines:
    """What connects the columns: a character and a level for each cell.

    Attributes:
        dots: bits of a braille character, uint8[line, cell].
        levels: of the heaviest line in a cell, uint8[line, cell].
    """

    dots: np.ndarray
    levels: np.ndarray

    @classmethod
    def of(
        cls,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        wide: int,
        tall: int,
        heavy: np.ndarray | None = None,
    ) -> Lines:
        """Draw lines across a canvas, the heavier over the lighter.

        Args:
            starts: line of each on the left.
            ends: line of each on the right.
            levels: of each, from 0.
            wide: cells of the canvas.
            tall: lines of the canvas.
            heavy: which are double; none by default.
        """
        import numpy as np

        order = np.argsort(levels, kind="stable")[-MOST_LINES:]
        columns, rows = 2 * wide, 4 * tall
        canvas = np.zeros((rows, columns), np.uint8)
        if wide and len(order):
            along = np.linspace(0, 1, max(columns, rows) + 1, dtype=np.float32)
            left, right = (4 * ends_of[order, None] + 1.5 for ends_of in (starts, ends))
            x = np.broadcast_to(
                np.rint(along * (columns - 1)).astype(int), (len(order), len(along))
            )
            y = np.floor(left + (right - left) * along + 0.5).astype(int)
            y = np.clip(y, 0, rows - 1)
            # of equal places the last, which is the heaviest, stays
            depth = np.broadcast_to(levels[order, None].astype(np.uint8) + 1, x.shape)
            canvas[y, x] = depth
            if heavy is not None and heavy.any():
                twice = heavy[order]
                canvas[np.minimum(y[twice] + 1, rows - 1), x[twice]] = depth[twice]
        cells = canvas.reshape(tall, 4, wide, 2).transpose(0, 2, 1, 3)
        bits = np.array(_DOTS, np.uint8)
        dots = ((cells > 0) * bits).sum(axis=(2, 3), dtype=np.uint8)
        strongest = cells.max(axis=(2, 3), initial=0)
        return cls(dots, np.maximum(strongest, 1) - 1)

    def line(self, y: int, ramp: Ramp, base: Style) -> list[Segment]:
        """Segments of a line of the canvas."""
        import numpy as np

        dots, levels = self.dots[y], np.where(self.dots[y] > 0, self.levels[y], 0)
        starts = [0, *(np.flatnonzero(levels[1:] != levels[:-1]) + 1).tolist()]
        segments: list[Segment] = []
        for start, end in zip(starts, [*starts[1:], len(dots)], strict=True):
            if start == end:
                continue
            text = "".join(chr(0x2800 + dot) if dot else " " for dot in dots[start:end].tolist())
            level = int(levels[start])
            if ramp.colors:
                style = Style(color=ramp.colors[level], bgcolor=ramp.colors[0])
            else:
                style = Style(bold=level >= HEAVY_LEVEL or None)
            segments.append(Segment(text, base + style))
        return segments


@dataclass(frozen=True)
class LinkPicture:
    """A frame.

    Attributes:
        layout: where everything lies.
        labels: of queries and keys.
        top, keys_top: the first query and the first key in sight.
        row: the chosen query.
        weights: what it looks at, float32[key].
        levels: of these.
        more: links to keys above and below what is in sight.
        lines: between the columns.
        which: which links are drawn, in words.
        ramp: the colours or shades.
        style: by name.
    """

    layout: LinkLayout
    labels: tuple[list[str], list[str]]
    top: int
    keys_top: int
    row: int
    weights: np.ndarray
    levels: np.ndarray
    more: tuple[int, int]
    lines: Lines
    which: str
    ramp: Ramp
    style: Callable[[str], Style]

    def line(self, y: int, width: int) -> list[Segment]:
        """Segments of a line of the widget; they may end before `width` or after it."""
        if y >= self.layout.lines:
            return self._legend(width) if self.layout.foot else []
        queries, keys = self.labels
        if y >= max(len(queries) - self.top, len(keys) - self.keys_top):
            return []
        base = self.style("")
        between = [*self.lines.line(y, self.ramp, base), Segment(" ", base)]
        return [*self._query(y), *between, *self._key(y)]

    def _query(self, y: int) -> list[Segment]:
        """A token that looks."""
        index, wide = self.top + y, self.layout.queries
        if index >= len(self.labels[0]):
            return [Segment(" " * (wide + 1), self.style(""))]
        on = index == self.row
        label = fit(self.labels[0][index], wide, right=True)
        return [
            Segment(label, self.style("cursor" if on else "label")),
            Segment("▸" if on else " ", self.style("")),
        ]

    def _key(self, y: int) -> list[Segment]:
        """A token looked at, on its weight; or how many links lead further."""
        layout, ramp, base = self.layout, self.ramp, self.style("")
        index, wide = self.keys_top + y, layout.keys + layout.number
        above, below = self.more
        if layout.lines > 2:
            if above and y == 0:
                return [Segment(fit(f"▲ {above:,} more", max(wide, 8)), self.style("mark"))]
            if below and y == layout.lines - 1:
                return [Segment(fit(f"▼ {below:,} more", max(wide, 8)), self.style("mark"))]
        if index >= len(self.labels[1]):
            return []
        level, label = int(self.levels[index]), fit(self.labels[1][index], layout.keys)
        if level in (UNKNOWN, EXCLUDED_LEVEL):
            name, glyph = ("wrong", NAN) if level == UNKNOWN else ("excluded", EXCLUDED)
            return [Segment(label + fit(f" {glyph}", layout.number), self.style(name))]
        weight = float(self.weights[index])
        number = fit(f" {short_number(weight)}" if weight >= LEAST_NUMBER else "", layout.number)
        if ramp.colors:
            return [Segment(label + number, base + ramp.ink(level))]
        if not number:
            return [Segment(label, base)]
        fill, style = ramp.fill(level)  # the shade stands before the number
        return [Segment(label, base), Segment(fill, base + style), Segment(number[1:], base)]

    def _legend(self, width: int) -> list[Segment]:
        """The ramp, and which links are drawn."""
        label, base = self.style("label"), self.style("")
        bar = [self.ramp.fill(level) for level in range(0, STEPS, 4)]
        segments = [Segment("0 ", label), *(Segment(text, base + style) for text, style in bar)]
        text = " 1"
        for word in ("√ scale", self.which):
            if 2 + len(bar) + cell_len(f"{text}  {word}") <= width:
                text += f"  {word}"
        return [*segments, Segment(fit(text, max(0, width - 2 - len(bar))), label)]
