"""The rasterizer: lines become dots of braille, and those with axes and labels become cells.

A cell has two dots side by side and four on top of each other; a column of dots is one column of
what a line is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from hfterm.widgets.chart_data import (
    FAR,
    NEAR,
    Axis,
    ChartLine,
    ChartView,
    Extent,
    Scale,
    Ticks,
    x_ticks,
)

if TYPE_CHECKING:
    import numpy as np

BLANK, LABEL, AXIS, CURSOR, WRONG, STALE = range(6)
_FIRST_LINE = 8

Text = list[tuple[str, int]]
"""Parts of a line of text, each in a tone."""

NARROWEST, LOWEST = 24, 4
"""Width and height from which there is a picture."""

ROOM_FOR_RULE = 10
"""Height from which there is a line along the x axis."""

LEAST_GUTTER = 5
"""Cells for the labels of y where there is room, so that charts above each other line up."""

BEYOND = 2
"""Windows on either side in which the next point is sought that a line leads to."""

MARKS = "◆●▲■"
BAD = "×"

_SPACE = ord(" ")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def bright(line: int) -> int:
    """The tone of a line."""
    return _FIRST_LINE + 2 * line


def dim(line: int) -> int:
    """The tone of a line's points behind its smoothed line."""
    return _FIRST_LINE + 2 * line + 1


def line_of(tone: int) -> tuple[int, int] | None:
    """The line that a tone belongs to, and 1 if it is the dim one."""
    return divmod(tone - _FIRST_LINE, 2) if tone >= _FIRST_LINE else None


def letter(line: int) -> str:
    """What a line is called at its end and in the legend."""
    return "abcdefghijklmnopqrstuvwxyz"[line % 26]


def mark(line: int) -> str:
    """The character that a point of a sparse line is drawn as."""
    return MARKS[line % len(MARKS)]


# -- from values to dots -----------------------------------------------------------------------


def runs(top: np.ndarray, bottom: np.ndarray, broken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn in each column so that a line has no holes where it has none.

    Columns between points as far from each other as most of them are, or up to three times as far,
    are filled; longer ones are gaps. Neighbours that do not touch meet half-way.

    Args:
        top: uppermost line of dots in each column, float64[n], NaN for none.
        bottom: lowest one.
        broken: columns that no line leads across, bool[n].

    Returns:
        First and last line of dots in each column, int64[n]; where there is none, last < first.
    """
    import numpy as np

    columns = np.arange(len(top))
    live = np.flatnonzero(np.isfinite(top) & np.isfinite(bottom))
    first, last = np.zeros(len(top), np.int64), np.full(len(top), -1)
    if not len(live):
        return first, last
    distance = np.diff(live)
    breaks = np.cumsum(broken)
    joined = (distance <= 3 * np.median(distance)) if len(distance) else np.zeros(0, bool)
    joined &= breaks[live[1:] - 1] == breaks[live[:-1]]
    middle = np.interp(columns, live, (top[live] + bottom[live]) / 2)
    after = np.searchsorted(live, columns, "right") - 1  # the live column at or before each
    filled = np.append(joined, False)[after] & (after >= 0)
    upper, lower = middle.copy(), middle
    upper[live], lower[live] = top[live], bottom[live]
    first, last = np.rint(upper).astype(np.int64), np.rint(lower).astype(np.int64)
    down = filled[:-1] & (last[:-1] < first[1:])
    up = filled[:-1] & (first[:-1] > last[1:])
    falling, rising = (last[:-1] + first[1:]) // 2, (first[:-1] + last[1:]) // 2
    new_first, new_last = first.copy(), last.copy()
    new_last[:-1][down] = falling[down]
    new_first[1:][down] = falling[down] + 1
    # a peak has neighbours on both sides, and comes as far as the one that is further
    new_first[:-1][up] = np.minimum(new_first[:-1], rising + 1)[up]
    new_last[1:][up] = np.maximum(new_last[1:], rising)[up]
    drawn = filled.copy()
    drawn[live] = True
    new_last[~drawn] = -1
    new_first[~drawn] = 0
    return new_first, new_last


def dots(first: np.ndarray, last: np.ndarray, rows: int) -> np.ndarray:
    """Bits of braille characters, uint8[rows / 4, n / 2], of a run in each column."""
    import numpy as np

    row = np.arange(rows)[:, None]
    canvas = ((row >= first) & (row <= last)).view(np.uint8)
    cells = canvas.reshape(rows // 4, 4, -1, 2)
    found = np.zeros((rows // 4, cells.shape[2]), np.uint8)
    for y, bits in enumerate(_DOTS):
        for x, bit in enumerate(bits):
            found |= cells[:, y, :, x] * np.uint8(bit)
    return found


# -- from dots to cells ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """A line in the window, and `margin` columns on either side of it."""

    low: np.ndarray
    high: np.ndarray
    smooth: np.ndarray | None
    stale_low: np.ndarray
    stale_high: np.ndarray
    bad: np.ndarray
    margin: int
    marks: bool

    @classmethod
    def of(cls, line: ChartLine, window: Extent, count: int, view: ChartView) -> _Seen:
        """Ask a line; what is beyond the window tells how the line leads into it."""
        import numpy as np

        first, last = window
        found, margin = line.columns(first, last, count), 0
        if not view.whole and not np.isfinite(found.low[[0, -1]]).all():
            margin, beyond = BEYOND * count, BEYOND * (last - first)
            found = line.columns(first - beyond, last + beyond, count + 2 * margin)
        parts = (found.low, found.high, found.smooth, found.stale_low, found.stale_high)
        values = np.stack(parts)
        values[~np.isfinite(values)] = np.nan
        np.clip(values, -FAR, FAR, out=values)
        low, high, smooth, stale_low, stale_high = values
        smoothed = view.smooth and not line.marks and bool(np.isfinite(smooth).any())
        return cls(
            low, high, smooth if smoothed else None, stale_low, stale_high,
            found.nonfinite, margin, line.marks,
        )  # fmt: skip

    def inside(self, values: np.ndarray) -> np.ndarray:
        """Without the margins."""
        return values[self.margin : len(values) - self.margin]


@dataclass
class Picture:
    """Everything below the legend, cell by cell.

    Attributes:
        glyphs: code points, uint32[line, cell].
        tones: see `bright` and `dim`, uint16[line, cell].
        left: first cell of the plot.
        wide: cells of the plot.
        tall: its lines.
        window: x at its edges.
    """

    glyphs: np.ndarray
    tones: np.ndarray
    left: int
    wide: int
    tall: int
    window: Extent
    _made: list[Text] = field(default_factory=list[Text])
    _made_for: tuple[int | None, str] | None = None

    def cell(self, x: float) -> int | None:
        """The cell of the plot that an x is in."""
        first, last = self.window
        if not first <= x <= last:
            return None
        return min(self.wide - 1, int((x - first) / (last - first) * self.wide))

    def x(self, cell: int) -> float:
        """The x in the middle of a cell of the plot."""
        first, last = self.window
        return first + (cell + 0.5) / self.wide * (last - first)

    def changed(self, old: Picture) -> list[tuple[int, int, int]]:
        """Where another picture of the same size differs: first cell, line, number of cells."""
        import numpy as np

        differs = (self.glyphs != old.glyphs) | (self.tones != old.tones)
        lines = np.flatnonzero(differs.any(axis=1)).tolist()
        found: list[tuple[int, int, int]] = []
        for y in lines:
            cells = np.flatnonzero(differs[y])
            found.append((int(cells[0]), y, int(cells[-1] - cells[0]) + 1))
        return found

    def lines(self, cursor: int | None = None, label: str = "") -> list[Text]:
        """Texts and tones of each line, with the cursor in them if there is one.

        Args:
            cursor: its cell in the plot.
            label: its x, for the last line.
        """
        if (cursor, label) != self._made_for:
            glyphs, tones = self.glyphs, self.tones
            if cursor is not None:
                glyphs, tones = glyphs.copy(), tones.copy()
                at = self.left + cursor
                free = glyphs[: self.tall, at] == _SPACE
                glyphs[: self.tall, at][free], tones[: self.tall, at][free] = ord("│"), AXIS
                last = glyphs[-1]
                at = _write(last, tones[-1], f" {label} ", at - (len(label) + 1) // 2, CURSOR)
                _clear(last[:at][::-1])
                _clear(last[at + len(label) + 2 :])
            self._made, self._made_for = _texts(glyphs, tones), (cursor, label)
        return self._made


def _texts(glyphs: np.ndarray, tones: np.ndarray) -> list[Text]:
    """Cells of the same tone together; blanks join the text before them, so that less is written.

    Args:
        glyphs: code points, uint32[line, cell].
        tones: uint16[line, cell].
    """
    import numpy as np

    width = glyphs.shape[1]
    shown = (glyphs != _SPACE) | (tones == CURSOR)
    before = np.maximum.accumulate(np.where(shown, np.arange(width), -1), axis=1)
    before = np.where(before < 0, shown.argmax(axis=1)[:, None], before)
    taken = np.take_along_axis(tones, before, axis=1)
    taken[~shown & (taken == CURSOR)] = BLANK
    text = glyphs.tobytes().decode("utf-32-le")
    new = np.ones(glyphs.shape, np.bool_)
    new[:, 1:] = taken[:, 1:] != taken[:, :-1]
    starts = np.flatnonzero(new)
    kinds = taken.ravel()[starts].tolist()
    ends = [*starts.tolist(), len(text)]
    found: list[Text] = [[] for _ in range(len(glyphs))]
    for (start, end), kind in zip(pairwise(ends), kinds, strict=True):
        found[start // width].append((text[start:end], kind))
    return found


def _write(glyphs: np.ndarray, tones: np.ndarray, text: str, at: int, tone: int) -> int:
    """Put a text into a line, inside of it; returns the cell where it begins."""
    at = max(0, min(at, len(glyphs) - len(text)))
    text = text[: len(glyphs)]
    glyphs[at : at + len(text)] = [ord(character) for character in text]
    tones[at : at + len(text)] = tone
    return at


def _clear(glyphs: np.ndarray) -> None:
    """Take away what is left of a text that was cut."""
    for place, glyph in enumerate(glyphs.tolist()):
        if glyph == _SPACE:
            break
        glyphs[place] = _SPACE


def paint(
    lines: Sequence[ChartLine],
    view: ChartView,
    extent: Extent,
    axis: Axis,
    width: int,
    height: int,
    gutter: int = 0,
) -> Picture:
    """Draw lines, their axes and labels.

    Args:
        lines: the later over the earlier.
        view: what is looked at, and how.
        extent: x of all there is.
        axis: what x is.
        width: cells.
        height: lines.
        gutter: cells that the labels of y took the last time; right if they take as many again.
    """
    import numpy as np

    foot = 2 if height >= ROOM_FOR_RULE - 1 else 1
    tall, tail = height - foot, int(len(lines) > 1)
    window = view.window(extent)
    least = LEAST_GUTTER if width >= 60 else 1

    def look(gutter: int) -> tuple[int, list[_Seen]]:
        wide = max(1, width - gutter - 1 - tail)
        return wide, [_Seen.of(line, window, 2 * wide, view) for line in lines]

    gutter = max(least, min(gutter, width // 2))
    wide, seen = look(gutter)
    scale = _scale(seen, view.log_y, 4 * tall)
    ticks = scale.ticks() if scale else Ticks()
    needed = min(max([least, *map(len, ticks.labels)]), width // 2)
    if needed != gutter:  # the scale stays: low and high of all columns do not depend on how many
        gutter = needed
        wide, seen = look(gutter)
    glyphs = np.full((height, width), _SPACE, np.uint32)
    tones = np.zeros((height, width), np.uint16)
    picture = Picture(glyphs, tones, gutter + 1, wide, tall, window)
    _axes(picture, scale, ticks, axis)
    plot, tone = (part[:tall, gutter + 1 : gutter + 1 + wide] for part in (glyphs, tones))
    if scale:
        _lines(seen, scale, plot, tone)
        _marks(seen, scale, plot, tone)
        if tail:
            _letters(seen, scale, glyphs[:tall, gutter + 1 :], tones[:tall, gutter + 1 :])
    else:
        positive = not view.log_y or not any(np.isfinite(line.high).any() for line in seen)
        text = "no points here" if positive else "log y: no positive values"
        if positive and any(line.bad.any() for line in seen):
            text = "no finite values"
        text = text[:wide]
        _write(plot[tall // 2], tone[tall // 2], text, (wide - len(text)) // 2, LABEL)
    for line in seen:
        cells = line.inside(line.bad).reshape(-1, 2).any(axis=1)
        plot[0, cells], tone[0, cells] = ord(BAD), WRONG
    return picture


def _scale(seen: Sequence[_Seen], log: bool, rows: int) -> Scale | None:
    """For what is in sight; for what leads across it when no point is."""
    import numpy as np

    for inside in (True, False):
        parts = [
            line.inside(part) if inside else part
            for line in seen
            # a mean may be of points before the window, and so out of the range of those in it
            for part in (line.low, line.high, line.smooth)
            if part is not None
        ]
        values = np.concatenate(parts)
        values = values[np.isfinite(values) & ((values > NEAR) | (not log))]
        if len(values):
            return Scale.around(float(values.min()), float(values.max()), log, rows)
    return None


def _axes(picture: Picture, scale: Scale | None, ticks: Ticks, axis: Axis) -> None:
    glyphs, tones, tall, left = picture.glyphs, picture.tones, picture.tall, picture.left
    width = glyphs.shape[1]
    glyphs[:tall, left - 1], tones[:tall, left - 1] = ord("│"), AXIS
    if scale:
        for value, label in zip(ticks.values, ticks.labels, strict=True):
            y = scale.tick(value)
            glyphs[y, left - 1] = ord("┤")
            _write(glyphs[y], tones[y], label[: left - 1], left - 1 - len(label), LABEL)
    first, last = picture.window
    below = x_ticks(first, last, max(2, picture.wide // 9), axis)
    name, rule = below.name, len(glyphs) - tall > 1
    if rule:
        glyphs[tall, left - 1 : left + picture.wide] = ord("─")
        tones[tall, left - 1 : left + picture.wide] = AXIS
        glyphs[tall, left - 1] = ord("└")
    end, used = width - (0 if rule else len(name) + 2), 0
    for value, label in zip(below.values, below.labels, strict=True):
        cell = picture.cell(value)
        if cell is None:
            continue
        at = max(0, min(left + cell - (len(label) - 1) // 2, end - len(label)))
        if at >= used:
            _write(glyphs[-1], tones[-1], label, at, LABEL)
            used = at + len(label) + 1
            if rule:
                glyphs[tall, left + cell] = ord("┬")
    at = width - len(name)
    y = tall if rule else len(glyphs) - 1
    if at > left + len(name):
        _write(glyphs[y], tones[y], f" {name}", at - 1, LABEL)


def _lines(seen: Sequence[_Seen], scale: Scale, plot: np.ndarray, tone: np.ndarray) -> None:
    """What was superseded, then points behind smoothed lines, then lines."""
    import numpy as np

    layers: list[tuple[_Seen, np.ndarray, np.ndarray, int, bool]] = []
    for line in seen:
        layers.append((line, line.stale_low, line.stale_high, STALE, False))
    for index, line in enumerate(seen):
        if line.smooth is not None:
            layers.append((line, line.low, line.high, dim(index), False))
    for index, line in enumerate(seen):
        value = line.smooth
        pair = (line.low, line.high) if value is None else (value, value)
        layers.append((line, *pair, bright(index), True))
    back, front = np.zeros(plot.shape, np.uint8), np.zeros(plot.shape, np.uint8)
    for line, low, high, color, before in layers:
        if np.isnan(low).all():
            continue
        first, last = runs(*scale.band(low, high), line.bad)
        bits = dots(line.inside(first), line.inside(last), scale.rows)
        layer = front if before else back
        layer |= bits
        tone[bits > 0] = color
    # behind a smoothed line its points are left out, or it would drown in them
    bits = np.where(front > 0, front, back)
    plot[:] = np.where(bits > 0, bits.astype(np.uint32) + 0x2800, _SPACE)


def _marks(seen: Sequence[_Seen], scale: Scale, plot: np.ndarray, tone: np.ndarray) -> None:
    """Points that are few; and one that is alone, which as a dot would be overlooked."""
    import numpy as np

    for index, line in enumerate(seen):
        top, bottom = (line.inside(part) for part in scale.band(line.low, line.high))
        live = np.flatnonzero(np.isfinite(top + bottom))
        cells = live // 2
        if (line.marks and 3 * len(np.unique(cells)) <= plot.shape[1]) or len(live) == 1:
            lines = np.rint((top[live] + bottom[live]) / 2).astype(int) // 4
            plot[lines, cells], tone[lines, cells] = ord(mark(index)), bright(index)


def _letters(seen: Sequence[_Seen], scale: Scale, plot: np.ndarray, tone: np.ndarray) -> None:
    """Each line's letter at its end, beside another's if they end in one place."""
    import numpy as np

    taken: set[tuple[int, int]] = set()
    tall = len(plot)
    for index, line in enumerate(seen):
        low, high = (line.low, line.high) if line.smooth is None else (line.smooth, line.smooth)
        top, bottom = (line.inside(part) for part in scale.band(low, high))
        live = np.flatnonzero(np.isfinite(top + bottom))
        if not len(live):
            continue
        place = round(float(top[live[-1]] + bottom[live[-1]]) / 2) // 4
        cell = int(live[-1]) // 2 + 1
        near = sorted(range(tall), key=lambda y, place=place: abs(y - place))[: tall // 2]
        y = next((y for y in near if (y, cell) not in taken), place)
        taken.add((y, cell))
        plot[y, cell], tone[y, cell] = ord(letter(index)), bright(index)
