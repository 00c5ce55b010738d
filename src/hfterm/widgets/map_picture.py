"""One frame of a heat map, drawn line by line: head, gutter, cells and the legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from hfterm.attention.views import Scale, TokenMap, weights_of
from hfterm.text import fit
from hfterm.widgets.map_cells import COLUMN, CURSOR, FRAME, MIDDLE, OUTSIDE, ROW, Cells
from hfterm.widgets.map_layout import TICK_EVERY, Layout, Viewport, letters, ticks
from hfterm.widgets.ramps import EXCLUDED, NAN

if TYPE_CHECKING:
    import numpy as np

NUMBERS_FROM = 5
"""Width of a column from which its weights are written into it."""

MOST_RUNS = 2_500
"""Pieces of one style in a frame at most: each is up to 40 bytes on the wire."""

COARSEST = 8
"""Shades that are drawn as one at most."""

LEAST_NUMBER = 0.005
"""Weights that two places show as 0 are left to their shade."""

_WORDS: dict[Scale, tuple[str, str]] = {
    "sqrt": ("1", "√ scale"),
    "linear": ("1", "linear scale"),
    "row max": ("the row's largest", "√ scale"),
}


def short_number(value: float, *, signed: bool = False) -> str:
    """A weight in three cells, or with its sign in four: ``.42``, ``1.0``, ``+.42``."""
    text = f"{abs(value):.2f}"
    text = text[1:] if text.startswith("0") else text[:3]
    return ("−" if value < 0 else "+") + text if signed else text


@dataclass
class Picture:
    """A frame, until anything but the crosshair's place changes."""

    map: TokenMap
    view: Viewport
    layout: Layout
    labels: tuple[list[str], list[str]]
    cells: Cells
    scale: Scale
    signed: bool
    style: Callable[[str], Style]
    merged: int = 1
    """Shades drawn as one; raised until the frame is small enough to send over a slow line."""

    def __post_init__(self) -> None:
        size = self.layout.stage.size
        levels = self.map.block(size, self.view.rows, self.view.columns, self.scale)
        self._block = coarser(levels, self.merged, self.cells.ramp.steps, signed=self.signed)
        while self.cells.ramp.colors and self.merged < COARSEST and self._runs() > MOST_RUNS:
            self.merged *= 2
            self._block = coarser(levels, self.merged, self.cells.ramp.steps, signed=self.signed)
        self._numbered = self.layout.stage.wide >= NUMBERS_FROM + self.signed

    def _runs(self) -> int:
        """Pieces of one style: equal cells side by side are one."""
        block, per_line = self._block, self.layout.stage.per_line
        change = block[:, 1:] != block[:, :-1]
        if per_line == 2:
            whole = len(change) // 2 * 2
            change = change[0:whole:2] | change[1:whole:2]
        return len(change) + int(change.sum()) * (1 if per_line == 2 else self.layout.stage.tall)

    def line(self, y: int, width: int) -> list[Segment]:
        """Segments of a line of the widget; they may end before `width` or after it."""
        layout = self.layout
        if y < layout.top:
            return self._head(y, width)
        if layout.foot and y == layout.top + layout.lines:
            return self._legend(width)
        line = y - layout.top
        first = self.view.top + line // layout.stage.tall * layout.stage.per_line
        if line >= layout.lines or first >= self.view.rows[1]:
            return []
        return [*self._gutter(first, line % layout.stage.tall), *self._row(first, line)]

    # -- axes ----------------------------------------------------------------------------------

    def _head(self, y: int, width: int) -> list[Segment]:
        layout, style = self.layout, self.style
        gutter = Segment(" " * layout.gutter, style(""))
        wide = layout.stage.wide
        first, end = self.view.columns
        at = self.view.square[1]
        if layout.head == "ticks":
            return [gutter, *self._ticks(width - layout.gutter)]
        labels = self.labels[1][first:end]
        if layout.head == "across":
            pieces = [_centered(label, wide) for label in labels]
        else:
            pieces = [letters(label, wide, layout.top)[y] for label in labels]
        cut = at - first
        if not 0 <= cut < len(pieces):
            return [gutter, Segment("".join(pieces), style("label"))]
        return [
            gutter,
            Segment("".join(pieces[:cut]), style("label")),
            # above a label that is written downwards there is nothing to highlight
            Segment(pieces[cut], style("cursor" if pieces[cut].strip() else "label")),
            Segment("".join(pieces[cut + 1 :]), style("label")),
        ]

    def _ticks(self, width: int) -> list[Segment]:
        """Positions over the columns, and over them the label of the crosshair's."""
        layout, (first, end) = self.layout, self.view.columns
        size, wide, style = layout.stage.size, layout.stage.wide, self.style
        positions = self.map.keys[first * size : end * size : size].tolist()
        line = ticks(positions, first, wide, width)
        column = self.view.square[1] - first
        if not 0 <= column < end - first:
            return [Segment(line, style("label"))]
        label = fit(self.labels[1][self.view.column], min(12, width - 1)).rstrip()
        start, mark = column * wide + layout.middle, f"▾{label}"
        if start + cell_len(mark) > width:
            mark = f"{label}▾"
            start = max(0, start + 1 - cell_len(mark))
        rest = line[start + cell_len(mark) :]
        if rest[:1].isdigit() and line[start + cell_len(mark) - 1].isdigit():
            rest = rest.lstrip("0123456789").rjust(len(rest))  # no half of a number
        before = line[:start]
        if before[-1:].isdigit() and line[start : start + 1].isdigit():
            before = before.rstrip("0123456789").ljust(len(before))
        return [
            Segment(before, style("label")),
            Segment(mark, style("cursor")),
            Segment(rest, style("label")),
        ]

    def _gutter(self, first: int, part: int) -> list[Segment]:
        """The label of a row, or its position every few lines."""
        layout, style = self.layout, self.style
        stage, width = layout.stage, layout.gutter - 1
        at = self.view.square[0]
        on = first <= at < first + stage.per_line
        if part != (stage.tall - 1) // 2:
            return [Segment(" " * layout.gutter, style(""))]
        if on:
            label = fit(self.labels[0][self.view.row], width, right=True)
            return [Segment(label, style("cursor")), Segment("▸", style(""))]
        if stage.size == 1 and stage.per_line == 1:
            label = self.labels[0][first]
        elif (first // stage.per_line) % TICK_EVERY == 0:
            label = str(self.map.queries[first * stage.size])
        else:
            label = ""
        return [Segment(fit(label, width, right=True) + " ", style("label"))]

    # -- cells ---------------------------------------------------------------------------------

    def _row(self, first: int, line: int) -> list[Segment]:
        import numpy as np

        stage, (at_row, at_column) = self.layout.stage, self.view.square
        index, column = first - self.view.top, at_column - self.view.left
        seen = 0 <= column < self._block.shape[1]
        codes = self._block[index].astype(np.int32)
        if stage.per_line == 2:
            below = index + 1 < len(self._block)
            codes |= (self._block[index + 1].astype(np.int32) if below else OUTSIDE) << 8
            if seen and at_row in (first, first + 1):
                codes[column] |= CURSOR | (COLUMN if at_row == first + 1 else 0)
            return self.cells.line(codes, halves=True)
        part = line % stage.tall
        middle = part == (stage.tall - 1) // 2
        codes |= MIDDLE if middle else 0
        on = first == at_row
        if on:
            codes |= ROW
        if seen:
            codes[column] |= COLUMN | (CURSOR | _frame(part, stage.tall) << FRAME if on else 0)
        numbers = self._numbers(first) if middle and self._numbered else None
        return self.cells.line(codes, halves=False, numbers=numbers)

    def _numbers(self, row: int) -> Sequence[str]:
        first, end = self.view.columns
        weights: np.ndarray = weights_of(self.map.weights[row, first:end])
        return [
            short_number(value, signed=self.signed) if abs(value) >= LEAST_NUMBER else ""
            for value in weights.tolist()
        ]

    # -- legend --------------------------------------------------------------------------------

    def _legend(self, width: int) -> list[Segment]:
        """The ramp from end to end, and what the glyphs mean, as much as there is room for."""
        label, ramp = self.style("label"), self.cells.ramp
        most, scale = _WORDS[self.scale]
        least = "0"
        if self.signed:
            least, most = (f"{sign}{self.map.peak:.2g}" for sign in "−+")
            scale = "" if self.scale == "linear" else "√ scale"
        words = [word for word in (scale,) if word]
        if self.layout.stage.size > 1:
            words.append(f"{self.layout.stage.size} × {self.layout.stage.size} a cell, its largest")
        if self.merged > 1:
            words.append(f"{-(-ramp.steps // self.merged)} shades")
        if self.map.unknown:
            words.insert(0, f"{NAN} not a number: {self.map.unknown:,}")
        if self.map.masks:
            words.append(f"{EXCLUDED} masked")
        bar = [ramp.fill(level) for level in range(0, ramp.steps, 2 if ramp.steps % 2 == 0 else 3)]
        segments = [Segment(f"{' ' * self.layout.gutter}{least} ", label)]
        base = self.style("")
        segments += [Segment(glyph, base + style) for glyph, style in bar]
        used = self.layout.gutter + cell_len(least) + 1 + len(bar)
        text = f" {most}"
        for word in words:
            if used + cell_len(f"{text}  {word}") <= width:
                text += f"  {word}"
        return [*segments, Segment(fit(text, max(0, width - used)), label)]


def coarser(levels: np.ndarray, merged: int, steps: int, *, signed: bool) -> np.ndarray:
    """Levels of which `merged` are one, the ends and the middle of a signed ramp kept.

    Args:
        levels: uint8[rows, columns]; what is no step of the ramp stays.
        merged: how many become one.
        steps: of the ramp.
        signed: 0 is in the middle.
    """
    import numpy as np

    if merged == 1:
        return levels
    every = np.arange(256)
    inside = every < steps
    if signed:
        middle = steps // 2
        groups = np.rint((every - middle) / merged)
        place = middle + np.rint(groups * (middle / np.rint(middle / merged)))
    else:
        last = (steps - 1) // merged
        place = np.rint(every // merged * ((steps - 1) / last))
    return np.where(inside, place, every).astype(np.uint8)[levels]


def _frame(part: int, tall: int) -> int:
    """Which ends the crosshair's frame has on a line of its cell."""
    if tall == 1:
        return 0
    return 1 if part == 0 else 3 if part == tall - 1 else 2


def _centered(label: str, wide: int) -> str:
    """A label over the middle of its column, where the numbers are."""
    return fit(" " * max(0, (wide - cell_len(label)) // 2) + label, wide)
