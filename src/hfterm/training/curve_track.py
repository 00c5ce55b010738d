"""The points of one metric as they were logged, and how a chart's columns are cut from them.

A track is appended to for days and drawn every second, so nothing here is made anew when a point
comes: arrays grow by doubling, and a pyramid of minimum, maximum and sum over 16, 256, 4096 …
points grows with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FAN = 16
"""Nodes of one level that make a node of the next."""

MANY_RUNS = 64
"""Runs of ascending x up to which each is searched; above, every point is looked at."""

LOW, HIGH, SUM = 0, 1, 2
_NOTHING = (np.inf, -np.inf, 0.0)
_JOIN = (np.minimum, np.maximum, np.add)


class Growing(Generic[T]):
    """A one-dimensional array that is appended to."""

    def __init__(self, dtype: type[T], data: NDArray[T] | None = None) -> None:
        self._data: NDArray[T] = np.empty(FAN, dtype) if data is None else data
        self._count = 0 if data is None else len(data)

    def __len__(self) -> int:
        return self._count

    @property
    def view(self) -> NDArray[T]:
        """What is there, not copied: it is good until the next change."""
        return self._data[: self._count]

    def extend(self, values: NDArray[T]) -> None:
        """Put values behind the last."""
        count = self._count + len(values)
        if count > len(self._data):
            grown = np.empty(max(count, 2 * len(self._data)), self._data.dtype)
            grown[: self._count] = self.view
            self._data = grown
        self._data[self._count : count] = values
        self._count = count

    def cut(self, count: int) -> None:
        """Keep the first `count` values."""
        self._count = min(count, self._count)


def floats() -> Growing[np.float64]:
    """An empty column of float64."""
    return Growing(np.float64)


def _integers() -> Growing[np.int64]:
    return Growing(np.int64)


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


class Pyramid:
    """Minimum, maximum and sum of the finite values over blocks of 16, 256, 4096 … points."""

    def __init__(self) -> None:
        self._levels: list[tuple[Growing[np.float64], ...]] = []

    def extend(self, values: Floats) -> None:
        """Take in what came; only whole blocks are kept."""
        sources: tuple[Floats, ...] = (values, values, values)
        depth = 0
        with np.errstate(over="ignore", invalid="ignore"):
            while len(sources[0]) >= FAN:
                if depth == len(self._levels):
                    self._levels.append((floats(), floats(), floats()))
                level = self._levels[depth]
                new = slice(len(level[0]) * FAN, len(sources[0]) // FAN * FAN)
                if new.start < new.stop:
                    finite = None if depth else np.isfinite(values[new])
                    for kind, (source, kept) in enumerate(zip(sources, level, strict=True)):
                        part = source[new]
                        if finite is not None and not finite.all():
                            part = np.where(finite, part, _NOTHING[kind])
                        kept.extend(_JOIN[kind].reduce(part.reshape(-1, FAN), axis=1))
                sources = tuple(kept.view for kept in level)
                depth += 1

    def cut(self, count: int) -> None:
        """Forget what was made of points from `count` on."""
        for level in self._levels:
            count //= FAN
            for kept in level:
                kept.cut(count)

    def ranges(self, values: Floats, start: Ints, stop: Ints, kinds: tuple[int, ...]) -> Floats:
        """Minimum, maximum or sum of the finite values in each of n ranges, which may overlap.

        Args:
            values: all of them, as they were given to `extend`.
            start: int64[n], the first position of each range.
            stop: int64[n], the position after the last; never below `start`.
            kinds: which of `LOW`, `HIGH` and `SUM`.

        Returns:
            float64[kinds, n]; ∞, -∞ and 0 for a range without a finite value.
        """
        out = np.repeat(np.array([_NOTHING[kind] for kind in kinds]), len(start))
        out = out.reshape(len(kinds), len(start))
        sources: tuple[Floats, ...] = (values, values, values)
        for depth in range(len(self._levels) + 1):
            last = depth == len(self._levels) or int((stop - start).max(initial=0)) <= 2 * FAN
            pieces = [(start, stop)]
            if not last:
                up, down = -(-start // FAN), stop // FAN
                head = np.minimum(up * FAN, stop)
                pieces = [(start, head), (np.maximum(down * FAN, head), stop)]
                start, stop = up, np.maximum(up, down)
            for first, after in pieces:
                _join(out, sources, first, after, kinds, clean=not depth)
            if last:
                break
            sources = tuple(kept.view for kept in self._levels[depth])
        return out


def _join(
    out: Floats,
    sources: tuple[Floats, ...],
    start: Ints,
    stop: Ints,
    kinds: tuple[int, ...],
    clean: bool,
) -> None:
    """Join what lies in short ranges into `out`."""
    width = int((stop - start).max(initial=0))
    if width <= 0:
        return
    index = start + np.arange(width)[:, None]  # points down: the reduction runs along memory
    inside = index < stop
    np.minimum(index, len(sources[0]) - 1, out=index)
    values = None
    for row, kind in enumerate(kinds):
        if values is None or not clean:
            values = sources[kind][index]
            if clean:
                inside &= np.isfinite(values)
        with np.errstate(over="ignore", invalid="ignore"):
            joined = _JOIN[kind].reduce(np.where(inside, values, _NOTHING[kind]), axis=0)
            _JOIN[kind](out[row], joined, out=out[row])


@dataclass
class _Order:
    """Where the x of a track does not ascend: the starts of its runs, in its first points."""

    starts: Growing[np.int64] = field(default_factory=_integers)
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
        self._odd = _integers()
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
        if not len(starts):
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
