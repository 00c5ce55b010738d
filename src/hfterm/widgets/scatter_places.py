"""Which cell a point of the plane is in, and which points have room for their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    import numpy as np

DOT = "•"

LONGEST_LABEL = 16
"""Cells of a label that is written beside others."""

_HIGH = 2.0
"""A line is as high as this many cells are wide."""


@dataclass(frozen=True)
class Piece:
    """A label or a dot on a line."""

    column: int
    text: str
    label: bool


@dataclass(frozen=True)
class Places:
    """Points in the cells of a plane.

    Attributes:
        width, height: of the plane, in cells and lines.
        lines: what is on each line, from the left.
        right, down: place of each point in cells, as exactly as it is known; NaN for none.
    """

    width: int
    height: int
    lines: list[list[Piece]]
    right: np.ndarray
    down: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, labels: Sequence[str], width: int, height: int) -> Places:
        """Put points into a plane that they fill."""
        import numpy as np

        width, height = max(1, width), max(1, height)
        exact = np.asarray(points, np.float64)
        known = np.isfinite(exact[:, 0]) & np.isfinite(exact[:, 1])
        exact = np.where(known[:, None], exact, np.nan)
        right = _spread(exact[:, 0]) * (width - 1)
        down = (1 - _spread(exact[:, 1])) * (height - 1)
        seen = np.flatnonzero(known)
        cells = np.rint(down[seen]).astype(int) * width + np.rint(right[seen]).astype(int)
        # of the points in one cell, the first has its label
        cells, first = np.unique(cells, return_index=True)
        lines: list[list[tuple[int, str]]] = [[] for _ in range(height)]
        for cell, index in zip(cells.tolist(), seen[first].tolist(), strict=True):
            lines[cell // width].append((cell % width, labels[index]))
        return cls(width, height, [_labelled(line, width) for line in lines], right, down)

    def cell(self, index: int) -> tuple[int, int]:
        """Column and line of a point; (-1, -1) when it has no place."""
        right, down = float(self.right[index]), float(self.down[index])
        return (-1, -1) if math.isnan(right) else (round(right), round(down))

    def beside(self, index: int, right: int, down: int) -> int | None:
        """The nearest point in a direction; None when there is none.

        Points in the very same place come in the order of their numbers: on to the right and
        down, back to the left and up.
        """
        import numpy as np

        across, along = self.right - self.right[index], (self.down - self.down[index]) * _HIGH
        if not np.isfinite(across[index]):
            return self.nearest(0, 0)
        ahead = across * right + along * down
        aside = np.abs(across * down + along * right)
        same = np.flatnonzero((across == 0) & (along == 0))
        later = right + down > 0
        same = same[same > index] if later else same[same < index]
        if len(same):
            return int(same[0] if later else same[-1])
        # first those that are more ahead than aside
        cost = np.hypot(ahead, aside) + np.where(aside > ahead, 4 * aside, 0)
        cost = np.where(ahead > 0, cost, np.inf)  # NaN is not greater
        best = float(cost.min(initial=np.inf))
        if not np.isfinite(best):
            return None
        ties = np.flatnonzero(cost == best)
        return int(ties[0] if later else ties[-1])

    def nearest(self, right: int, down: int) -> int | None:
        """The point nearest to a cell; None when there is none."""
        import numpy as np

        far = np.hypot(self.right - right, (self.down - down) * _HIGH)
        return int(np.nanargmin(far)) if np.isfinite(far).any() else None


def _spread(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 for the least to 1 for the greatest; all in the middle when they are equal."""
    import numpy as np

    least, most = np.fmin.reduce(values), np.fmax.reduce(values)
    if not most > least:
        return np.where(np.isnan(values), np.nan, 0.5)
    with np.errstate(over="ignore"):
        return (values - least) / (most - least)


def _labelled(points: Sequence[tuple[int, str]], width: int) -> list[Piece]:
    """A line's points: a label begins or ends at its point, and hides no other."""
    pieces: list[Piece] = []
    used = 0  # the first cell that is free, a blank after a label included
    for place, (column, label) in enumerate(points):
        following = points[place + 1][0] if place + 1 < len(points) else width + 1
        size = cell_len(label)
        if 0 < size <= LONGEST_LABEL:
            if column >= used and column + size < following and column + size <= width:
                pieces.append(Piece(column, label, True))
                used = column + size + 1
                continue
            start = column + 1 - size
            if start >= used and column + 1 < following:
                pieces.append(Piece(start, label, True))
                used = column + 2
                continue
        pieces.append(Piece(column, DOT, False))
        used = column + 2
    return pieces
