"""Where the parts of a heat map lie, and its two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rich.cells import cell_len
from textual.geometry import Region

from hfterm.attention.views import SIZES
from hfterm.text import fit

LONGEST_LABEL = 12
TALLEST_HEAD = 6
TICK_EVERY = 5

Head = Literal["across", "down", "ticks"]


@dataclass(frozen=True)
class Stage:
    """One step of the zoom.

    Attributes:
        size: side of the square of tokens that one cell stands for.
        wide: cells of a column.
        tall: lines of a row.
        per_line: rows in a line: two are drawn with half blocks.
    """

    size: int
    wide: int
    tall: int = 1
    per_line: int = 1


_NEAR = (
    *((12, 5), (12, 4), (10, 4), (10, 3), (8, 3), (8, 2), (7, 2), (6, 2)),
    *((8, 1), (7, 1), (6, 1), (5, 1), (4, 1), (3, 1), (2, 1)),
)
_STAGES: dict[bool, tuple[Stage, ...]] = {
    # with colours two rows fit in a line; shade glyphs need a line for each
    True: (
        *(Stage(1, wide, tall) for wide, tall in _NEAR),
        *(Stage(size, wide, 1, 2) for size in SIZES for wide in (4, 3, 2, 1)),
    ),
    False: (
        *(Stage(1, wide, tall) for wide, tall in _NEAR),
        Stage(1, 1),
        *(Stage(size, wide) for size in SIZES[1:] for wide in (4, 3, 2, 1)),
    ),
}


def stages(colored: bool) -> tuple[Stage, ...]:
    """All steps of the zoom, the nearest first."""
    return _STAGES[colored]


@dataclass(frozen=True)
class Extent:
    """What is to be laid out.

    Attributes:
        width, height: of the widget.
        rows, columns: of the map, in tokens.
        row_label, column_label: cells of the longest label of each axis.
    """

    width: int
    height: int
    rows: int
    columns: int
    row_label: int
    column_label: int


@dataclass(frozen=True)
class Layout:
    """Where everything lies at one step of the zoom.

    Attributes:
        stage: the step.
        gutter: cells left of the map.
        head: how the columns are labelled.
        top: lines above the map.
        foot: lines below it.
        rows, columns: squares of the whole map.
        lines: lines for the map.
        rows_seen, columns_seen: squares in sight, at most.
    """

    stage: Stage
    gutter: int
    head: Head
    top: int
    foot: int
    rows: int
    columns: int
    lines: int
    rows_seen: int
    columns_seen: int

    @property
    def whole(self) -> bool:
        """Whether all of the map is in sight."""
        return self.rows <= self.rows_seen and self.columns <= self.columns_seen

    @property
    def middle(self) -> int:
        """The place within a cell where a glyph stands."""
        return (self.stage.wide - 1) // 2


def lay_out(stage: Stage, extent: Extent) -> Layout:
    """The parts at one step of the zoom."""
    room = extent.height
    foot = 1 if room >= 8 else 0
    head: Head = "ticks"
    top = 1 if room >= 3 else 0
    if stage.size == 1 and room >= 4:
        if extent.column_label < stage.wide:
            head = "across"
        else:
            tallest = min(TALLEST_HEAD, extent.column_label, room // 3)
            spare = room - foot - -(-extent.rows // stage.per_line)
            if stage.per_line > 1 and spare > 0:
                tallest = min(tallest, spare)  # rather shorter names than two tokens in one
            if tallest >= 2:
                head, top = "down", tallest
    if stage.size == 1 and stage.per_line == 1:
        label = min(LONGEST_LABEL, extent.row_label)
    else:  # positions, and the label of one row
        label = max(len(str(extent.rows)), min(8, extent.row_label))
    gutter = max(0, min(label, extent.width // 3)) + 1
    lines = max(1, room - top - foot)
    rows, columns = -(-extent.rows // stage.size), -(-extent.columns // stage.size)
    return Layout(
        stage=stage,
        gutter=gutter,
        head=head,
        top=top,
        foot=foot,
        rows=rows,
        columns=columns,
        lines=lines,
        rows_seen=max(1, lines // stage.tall) * stage.per_line,
        columns_seen=max(1, (extent.width - gutter) // stage.wide),
    )


def fitting(colored: bool, extent: Extent) -> int:
    """The nearest step of the zoom at which all of the map is in sight."""
    choices = stages(colored)
    for index, stage in enumerate(choices):
        if lay_out(stage, extent).whole:
            return index
    return len(choices) - 1


# -- the axis on top ---------------------------------------------------------------------------


@lru_cache(4096)
def letters(label: str, wide: int, tall: int) -> tuple[str, ...]:
    """A label written downwards: `tall` pieces of `wide` cells, standing on the map.

    What joins the character before it stays with it, and one that is too wide for the column is
    a box.
    """
    pieces: list[str] = []
    for character in label:
        size = cell_len(character)
        if size == 0 and pieces:
            pieces[-1] += character
        else:
            pieces.append(character if size <= wide else "□")
    if len(pieces) > tall:
        pieces[tall - 1 :] = ["⋮"]
    pieces = [""] * (tall - len(pieces)) + pieces
    middle = (wide - 1) // 2
    return tuple(fit(" " * min(middle, max(0, wide - cell_len(p))) + p, wide) for p in pieces)


def ticks(positions: Sequence[int], first: int, wide: int, width: int) -> str:
    """Numbers over some of the columns, none cut, in `width` cells.

    Args:
        positions: of the columns in sight.
        first: which column of the map the first of them is; the same columns keep their numbers
            when the map is panned.
        wide: cells of a column.
        width: cells of the line.
    """
    found, used = "", -1
    gap = max(len(str(positions[-1])) + 2, 5) if len(positions) else 0
    step = next((s for s in (1, 2, 5, 10, 20, 50) if s * wide >= gap), 100)
    for column in range(-first % step, len(positions), step):
        start = column * wide
        label = str(positions[column])
        if start > used and start + len(label) <= width:
            found = found.ljust(start) + label
            used = start + len(label)
    return found.ljust(width)


# -- what is in sight --------------------------------------------------------------------------


@dataclass
class Viewport:
    """Which part of the map is in sight, and where the crosshair is.

    Attributes:
        layout: where the parts lie; None while there is no room.
        top, left: the first square in sight.
        row, column: of the crosshair, in tokens.
    """

    layout: Layout | None = None
    top: int = 0
    left: int = 0
    row: int = 0
    column: int = 0

    @property
    def size(self) -> int:
        """Side of the square of tokens that a cell stands for."""
        return self.layout.stage.size if self.layout else 1

    @property
    def square(self) -> tuple[int, int]:
        """The square that the crosshair is in."""
        return self.row // self.size, self.column // self.size

    @property
    def rows(self) -> tuple[int, int]:
        """The first row of squares in sight, and the one after the last."""
        assert self.layout is not None
        return self.top, min(self.top + self.layout.rows_seen, self.layout.rows)

    @property
    def columns(self) -> tuple[int, int]:
        """The first column of squares in sight, and the one after the last."""
        assert self.layout is not None
        return self.left, min(self.left + self.layout.columns_seen, self.layout.columns)

    def follow(self) -> bool:
        """Pan so that the crosshair is in sight; whether anything moved."""
        if self.layout is None:
            return False
        row, column = self.square
        top = max(row - self.layout.rows_seen + 1, min(self.top, row))
        left = max(column - self.layout.columns_seen + 1, min(self.left, column))
        return self._show(top, left)

    def pan(self, rows: int, columns: int) -> bool:
        """Move by eighths of a screen; whether anything moved."""
        if self.layout is None:
            return False
        top = self.top + rows * max(1, self.layout.rows_seen // 8)
        return self._show(top, self.left + columns * max(1, self.layout.columns_seen // 8))

    def center(self) -> None:
        """Have the crosshair in the middle, as far as the edges let it."""
        if self.layout is not None:
            row, column = self.square
            self._show(row - self.layout.rows_seen // 2, column - self.layout.columns_seen // 2)

    def _show(self, top: int, left: int) -> bool:
        layout, before = self.layout, (self.top, self.left)
        assert layout is not None
        self.top = max(0, min(top, layout.rows - layout.rows_seen))
        self.left = max(0, min(left, layout.columns - layout.columns_seen))
        return before != (self.top, self.left)

    def cross(self, width: int) -> list[Region]:
        """What the crosshair covers: all that is painted anew when it moves."""
        layout = self.layout
        if layout is None:
            return []
        stage, (row, column) = layout.stage, self.square
        line = (row - self.top) // stage.per_line * stage.tall
        cell = layout.gutter + (column - self.left) * stage.wide
        regions = [Region(0, layout.top + line, width, stage.tall)]
        if layout.head == "ticks":
            regions.append(Region(0, 0, width, layout.top))
        else:
            regions.append(Region(cell, 0, stage.wide, layout.top))
        if stage.per_line == 1:
            regions.append(Region(cell, layout.top, stage.wide, layout.lines))
        return regions

    def at(self, x: int, y: int) -> tuple[int, int] | None:
        """The square under a place of the widget."""
        layout = self.layout
        if layout is None or x < layout.gutter or not 0 <= y - layout.top < layout.lines:
            return None
        row = self.top + (y - layout.top) // layout.stage.tall * layout.stage.per_line
        column = self.left + (x - layout.gutter) // layout.stage.wide
        return (row, column) if row < self.rows[1] and column < self.columns[1] else None
