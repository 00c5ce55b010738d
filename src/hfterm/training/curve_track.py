"""The points of one metric as they were logged, and how a chart's columns are cut from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hfterm.training.curve_pyramid import (
    HIGH,
    LOW,
    SUM,
    Bools,
    Floats,
    Growing,
    Ints,
    Pyramid,
    integers,
)

MANY_RUNS = 64
"""Runs of ascending x up to which each is searched; above, every point is looked at."""


@dataclass(frozen=True)
class Axis:
    """What the points are drawn over.

    Attributes:
        name: ``step``, ``epoch``, ``time`` or ``tokens``.
        column: x of every row, NaN where it is not known.
        origin: what is taken from it.
    """

    name: str
    column: Floats
    origin: float = 0.0

    def at(self, rows: NDArray[np.int32]) -> Floats:
        """The x of some rows."""
        return self.column[rows] - self.origin


@dataclass
class _Order:
    """Where the x of a track does not ascend: the starts of its runs, in its first points."""

    starts: Growing[np.int64] = field(default_factory=integers)
    checked: int = 0

    def cut(self, count: int) -> None:
        self.checked = min(self.checked, count)
        self.starts.cut(int(np.searchsorted(self.starts.view, count)))


@dataclass(frozen=True)
class Cut:
    """A track cut into n columns.

    Attributes:
        low: float64[n], the least finite value, NaN where there is none.
        high: float64[n], the greatest.
        nonfinite: bool[n], a value was none.
        newest: int64[n], the position of the point that was logged last, or -1.
    """

    low: Floats
    high: Floats
    nonfinite: Bools
    newest: Ints


class Track:
    """Points in the order of logging: a row and a value each.

    Attributes:
        rows: int32, never descending.
        values: float64, as logged.
    """

    def __init__(self, rows: NDArray[np.int32] | None = None, values: Floats | None = None) -> None:
        self.rows = Growing(np.int32, rows)
        self.values = Growing(np.float64, values)
        self._odd = integers()
        self._seen = 0
        self._pyramid = Pyramid()
        self._orders: dict[str, _Order] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, rows: NDArray[np.int32], values: Floats) -> None:
        """Put points behind the last."""
        self.rows.extend(rows)
        self.values.extend(values)

    def cut(self, count: int) -> None:
        """Keep the first `count` points."""
        self.rows.cut(count)
        self.values.cut(count)
        self._seen = min(self._seen, count)
        self._odd.cut(int(np.searchsorted(self._odd.view, count)))
        self._pyramid.cut(count)
        for order in self._orders.values():
            order.cut(count)

    def reorder(self, axis: str, count: int) -> None:
        """Points from `count` on have another x than before."""
        if axis in self._orders:
            self._orders[axis].cut(count)

    def runs(self, axis: Axis) -> tuple[Ints, Ints]:
        """Starts and ends of the pieces in which x is known and never descends."""
        order = self._orders.setdefault(axis.name, _Order())
        rows = self.rows.view
        if order.checked < len(rows):
            begin = max(order.checked - 1, 0)
            if not order.checked:
                order.starts.extend(np.zeros(1, np.int64))
            x = axis.column[rows[begin:]]
            unknown = np.isnan(x)
            cuts = (x[1:] < x[:-1]) | (unknown[1:] != unknown[:-1])
            order.starts.extend(np.flatnonzero(cuts) + (begin + 1))
            order.checked = len(rows)
        starts = order.starts.view
        ends = np.append(starts[1:], len(rows))[: len(starts)]
        known = ~np.isnan(axis.column[rows[starts]])
        return starts[known], ends[known]

    def reach(self, axis: Axis) -> tuple[float, float] | None:
        """Least and greatest x; None when there is no point whose x is known."""
        starts, ends = self.runs(axis)
        if not len(starts):
            return None
        rows = self.rows.view
        return float(axis.at(rows[starts]).min()), float(axis.at(rows[ends - 1]).max())

    def columns(self, axis: Axis, edges: Floats) -> Cut:
        """Cut into the columns between n + 1 edges, each with its left edge.

        The last edge itself belongs to nobody; `Curves.columns` puts it just above the last x.
        """
        self._take_in()
        values, rows, odd = self.values.view, self.rows.view, self._odd.view
        bounds = np.empty((2, len(edges) - 1))
        bounds[:] = [[np.inf], [-np.inf]]
        nonfinite = np.zeros(len(edges) - 1, np.bool_)
        newest = np.full(len(edges) - 1, -1, np.int64)
        starts, ends = self.runs(axis)
        seen = (axis.at(rows[starts]) < edges[-1]) & (axis.at(rows[ends - 1]) >= edges[0])
        starts, ends = starts[seen], ends[seen]
        if len(starts) > MANY_RUNS:
            self._scatter(axis, edges, bounds, nonfinite, newest)
        else:
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                at = search(axis, rows, start, end, edges)
                first, after = at[:-1], at[1:]
                found = self._pyramid.ranges(values, first, after, (LOW, HIGH))
                np.minimum(bounds[0], found[0], out=bounds[0])
                np.maximum(bounds[1], found[1], out=bounds[1])
                nonfinite |= np.searchsorted(odd, first) < np.searchsorted(odd, after)
                newest = np.where(after > first, after - 1, newest)
        empty = bounds[0] > bounds[1]
        bounds[:, empty] = np.nan
        return Cut(bounds[0], bounds[1], nonfinite, newest)

    def means(self, last: Ints, window: int) -> Floats:
        """Mean of the finite ones of the `window` values up to each position of `last`.

        Returns:
            float64[n]; NaN where a position is below 0 or no value is finite.
        """
        self._take_in()
        stop = last + 1
        start = np.maximum(stop - window, 0)
        total = self._pyramid.ranges(self.values.view, start, stop, (SUM,))[0]
        odd = self._odd.view
        count = stop - start - (np.searchsorted(odd, stop) - np.searchsorted(odd, start))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def nearest(self, axis: Axis, x: float) -> int | None:
        """Position of the point whose x is nearest; of several the one logged last."""
        starts, ends = self.runs(axis)
        if not len(starts) or np.isnan(x):
            return None
        rows = self.rows.view
        if len(starts) > MANY_RUNS:
            away = np.abs(axis.at(rows) - x)
            return int(np.flatnonzero(away == np.nanmin(away))[-1])
        best, distance = -1, np.inf
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            after = int(search(axis, rows, start, end, np.array([np.nextafter(x, np.inf)]))[0])
            for position in {max(after - 1, start), min(after, end - 1)}:
                away = abs(float(axis.at(rows[position : position + 1])[0]) - x)
                if away < distance or (away == distance and position > best):
                    best, distance = position, away
        after = int(search(axis, rows, best, end_of(ends, best), above(axis, rows, best))[0])
        return after - 1

    def _take_in(self) -> None:
        values = self.values.view
        if self._seen < len(values):
            new = np.flatnonzero(~np.isfinite(values[self._seen :])) + self._seen
            self._odd.extend(new)
            self._pyramid.extend(values)
            self._seen = len(values)

    def _scatter(
        self, axis: Axis, edges: Floats, bounds: Floats, nonfinite: Bools, newest: Ints
    ) -> None:
        """Look at every point: x goes up and down too often to be searched."""
        x, values = axis.at(self.rows.view), self.values.view
        inside = np.flatnonzero((x >= edges[0]) & (x < edges[-1]))
        column = np.searchsorted(edges, x[inside], "right") - 1
        values = values[inside]
        finite = np.isfinite(values)
        np.minimum.at(bounds[0], column[finite], values[finite])
        np.maximum.at(bounds[1], column[finite], values[finite])
        np.maximum.at(newest, column, inside)
        nonfinite[column[~finite]] = True


def end_of(ends: Ints, position: int) -> int:
    """The end of the run that a position lies in."""
    return int(ends[np.searchsorted(ends, position, "right")])


def above(axis: Axis, rows: NDArray[np.int32], position: int) -> Floats:
    """The least number above a point's x, as an edge to search for."""
    return np.nextafter(axis.at(rows[position : position + 1]), np.inf)


def search(axis: Axis, rows: NDArray[np.int32], start: int, end: int, edges: Floats) -> Ints:
    """`np.searchsorted` over the x of points from `start` to `end`, without copying them.

    Returns:
        int64[n]: the first position whose x is not below each edge.
    """
    low = np.full(len(edges), start, np.int64)
    high = np.full(len(edges), end, np.int64)
    for _ in range((end - start).bit_length()):
        middle = (low + high) >> 1
        below = axis.at(rows[np.minimum(middle, end - 1)]) < edges
        low = np.where(below & (middle < high), middle + 1, low)
        high = np.where(below, high, middle)
    return cast(Ints, low)
