"""The metrics of a run in memory: columns that are appended to, and what a chart needs of them.

A run that died and was resumed logs some steps twice. What it logged after the checkpoint that it
was resumed from is superseded: kept, but told apart, so that a chart can grey it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hfterm.training.curve_pyramid import Bools, Floats, Growing, Ints, floats
from hfterm.training.curve_track import Axis, Track

AxisName = Literal["step", "epoch", "time", "tokens"]
AXES: tuple[AxisName, ...] = ("step", "time", "epoch", "tokens")
"""What rows can be drawn over, in the order in which `Curves` keeps it."""

_axes_by_name: dict[str, AxisName] = {name: name for name in AXES}


@dataclass(frozen=True)
class Columns:
    """One line of a chart, cut into n columns of x.

    Attributes:
        low: float64[n], least finite value of the live points; NaN where there is none.
        high: float64[n], the greatest.
        smooth: float64[n], the mean of the last `window` live points as they were logged, up to
            the last one in the column; NaN where the column has none.
        stale_low: float64[n], as `low`, of superseded points.
        stale_high: float64[n], as `high`.
        nonfinite: bool[n], a live point was NaN or infinite.
    """

    low: Floats
    high: Floats
    smooth: Floats
    stale_low: Floats
    stale_high: Floats
    nonfinite: Bools


@dataclass(frozen=True)
class Series:
    """Every point of a metric, in the order of logging.

    Attributes:
        rows: int64[n], which row of the file each is of.
        step: float64[n], NaN where it is not known.
        values: float64[n].
        stale: bool[n], superseded.
    """

    rows: Ints
    step: Floats
    values: Floats
    stale: Bools


@dataclass(frozen=True)
class Resume:
    """A place at which the run was resumed.

    Attributes:
        step: of the checkpoint; rows before with a greater one are superseded.
        time: seconds since the epoch, NaN when not told.
        row: how many rows came before.
    """

    step: float
    time: float
    row: int


@dataclass
class Metric:
    """The points of a metric that hold, and those that are superseded."""

    live: Track = field(default_factory=Track)
    stale: Track = field(default_factory=Track)


class CurveSource(Protocol):
    """Something that metrics are read from, of this program or another; it is never written to.

    Attributes:
        curves: what was read; the same object from the first reading on.
        total_steps: that the run is to do, 0 when not known.
        finished: None when the source does not tell.
        status_text: what there is to say about the source, or nothing.
    """

    curves: Curves
    total_steps: int
    finished: bool | None
    status_text: str

    def read(self, limit_bytes: int | None = None) -> bool:
        """Read what is new, or about `limit_bytes` of it; True if something was.

        Raises:
            HftermError: the source cannot be read.
        """
        ...

    @property
    def behind(self) -> int:
        """Bytes that are known to be there and were not yet read."""
        ...

    def places(self) -> dict[str, int]:
        """Each file that was read, and the bytes of it that need not be read again."""
        ...

    def state(self) -> dict[str, object]:
        """What `restore` needs besides the curves, as msgpack can write it."""
        ...

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state; what is in it was written by the same version of the class."""
        ...


class Curves:
    """Rows of metrics. Not for several threads at once.

    A row that does not tell its epoch, say, is where the row before it was: so an evaluation has
    a place on every axis.

    Attributes:
        skipped: lines or records of the source that say nothing.
        version: another number after every change.
        resumes: in the order in which they are in the source.
    """

    def __init__(self) -> None:
        self.version = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything: the source was replaced."""
        self.skipped = 0
        self.resumes: list[Resume] = []
        self.axes: dict[AxisName, Growing[np.float64]] = {name: floats() for name in AXES}
        self.stale: Growing[np.bool_] = Growing(np.bool_)
        self.metrics: dict[str, Metric] = {}
        self.carry: dict[AxisName, float] = dict.fromkeys(AXES, np.nan)
        self._origin: float | None = None
        self.version += 1

    def __len__(self) -> int:
        return len(self.stale)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics, in order of their first appearance."""
        return tuple(self.metrics)

    def append(self, keys: Sequence[str], values: Floats) -> None:
        """Add rows that all have the same keys.

        Args:
            keys: names of metrics, and of axes.
            values: float64[rows, keys].
        """
        at = np.arange(len(values))
        axes: dict[AxisName, Floats] = {}
        points: dict[str, tuple[Ints, Floats]] = {}
        for key, column in zip(keys, values.T, strict=True):
            if key in _axes_by_name:
                axes[_axes_by_name[key]] = column
            else:
                points[key] = (at, column)
        self.extend(len(values), axes, points)

    def extend(
        self,
        count: int,
        axes: Mapping[AxisName, Floats],
        points: Mapping[str, tuple[Ints, Floats]],
    ) -> None:
        """Add rows whose metrics differ.

        Args:
            count: of the rows.
            axes: float64[count] each; what is not finite is not known.
            points: of each metric int64[n], never descending, the rows that have it, counted from
                the first new one (-1 is the newest row that is there), and float64[n].
        """
        base = len(self)
        for name, kept in self.axes.items():
            given = axes.get(name)
            if given is None:
                column = np.full(count, self.carry[name])
            else:
                column = _filled(given, self.carry[name])
            kept.extend(column)
            if count:
                self.carry[name] = float(column[-1])
        self.stale.extend(np.zeros(count, np.bool_))
        for name, (rows, values) in points.items():
            metric = self.metrics.setdefault(name, Metric())
            metric.live.extend((rows + base).astype(np.int32), values)
        self.version += 1

    def amend(self, axis: AxisName, value: float) -> None:
        """The newest row's place on an axis was told after the row."""
        row = len(self) - 1
        if row < 0 or not np.isfinite(value):
            return
        self.axes[axis].view[row] = self.carry[axis] = value
        for metric in self.metrics.values():
            rows = metric.live.rows.view
            metric.live.reorder(axis, int(np.searchsorted(rows, np.int32(row))))
        self.version += 1

    def resume(self, step: float, time: float = np.nan) -> None:
        """The run died and went on from the checkpoint at `step`: what is after it is stale."""
        self.resumes.append(Resume(step, time, len(self)))
        self.version += 1
        stale = self.stale.view
        going = np.flatnonzero((self.axes["step"].view > step) & ~stale)
        if not len(going):
            return
        stale[going] = True
        for metric in self.metrics.values():
            live = metric.live
            first = int(np.searchsorted(live.rows.view, going[0].astype(np.int32)))
            rows, values = live.rows.view[first:].copy(), live.values.view[first:].copy()
            gone = stale[rows]
            live.cut(first)
            live.extend(rows[~gone], values[~gone])
            metric.stale.extend(rows[gone], values[gone])
        held = np.flatnonzero(~stale)
        for name, kept in self.axes.items():
            self.carry[name] = float(kept.view[held[-1]]) if len(held) else np.nan

    def last(self, name: str) -> float | None:
        """The newest live value; None when there is none."""
        metric = self.metrics.get(name)
        if metric is None or not len(metric.live):
            return None
        return float(metric.live.values.view[-1])

    def series(self, name: str) -> Series:
        """Every point of a metric; none of one that is not there."""
        metric = self.metrics.get(name) or Metric()
        live, stale = metric.live, metric.stale
        rows = np.concatenate([live.rows.view, stale.rows.view]).astype(np.int64)
        values = np.concatenate([live.values.view, stale.values.view])
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        return Series(rows, self.axes["step"].view[rows], values[order], self.stale.view[rows])

    def column(self, axis: AxisName) -> Floats:
        """float64[rows]: where each row is on an axis, NaN where that is not known."""
        return self.axes[axis].view - self._axis(axis).origin

    def extent(self, names: Iterable[str], axis: AxisName) -> tuple[float, float] | None:
        """Least and greatest x of the points of some metrics, superseded ones too."""
        over = self._axis(axis)
        found = [self.metrics[name] for name in names if name in self.metrics]
        reaches = [track.reach(over) for one in found for track in (one.live, one.stale)]
        known = [reach for reach in reaches if reach is not None]
        if not known:
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def nearest(self, name: str, axis: AxisName, x: float) -> tuple[float, float, float] | None:
        """The live point nearest to x: (x, value, step); None when there is none."""
        metric = self.metrics.get(name)
        over = self._axis(axis)
        at = metric.live.nearest(over, x) if metric is not None else None
        if metric is None or at is None:
            return None
        row = metric.live.rows.view[at]
        value, step = metric.live.values.view[at], self.axes["step"].view[row]
        return float(over.column[row] - over.origin), float(value), float(step)

    def columns(
        self, name: str, axis: AxisName, first: float, last: float, count: int, window: int
    ) -> Columns:
        """Cut the points from x = `first` to `last`, both included, into `count` equal columns.

        A column has its left edge, the last one both; when `last` is not above `first`, all
        points at `first` are in the first column.

        Args:
            name: a metric; one that is not there has no points.
            axis: what x is; ``time`` is in seconds since the first row.
            first: x of the left edge.
            last: x of the right edge.
            count: of the columns, at least 1.
            window: points that are averaged, at least 1.
        """
        metric = self.metrics.get(name) or Metric()
        over, edges = self._axis(axis), _edges(first, last, count)
        live, stale = metric.live.columns(over, edges), metric.stale.columns(over, edges)
        smooth = metric.live.means(live.newest, max(window, 1))
        return Columns(live.low, live.high, smooth, stale.low, stale.high, live.nonfinite)

    def _axis(self, name: AxisName) -> Axis:
        column = self.axes[name].view
        if name != "time":
            return Axis(name, column)
        if self._origin is None:
            known = column[np.isfinite(column)][:1]
            self._origin = float(known[0]) if len(known) else None
        return Axis(name, column, self._origin or 0.0)


def _filled(column: Floats, before: float) -> Floats:
    """A column whose unknown values are those of the row before.

    Args:
        column: float64[n].
        before: what the first takes.
    """
    known = np.isfinite(column)
    if known.all():
        return column
    at: NDArray[np.int64] = np.maximum.accumulate(np.where(known, np.arange(len(column)), -1))
    return np.where(at >= 0, column[at], before)


def _edges(first: float, last: float, count: int) -> Floats:
    """float64[count + 1]: where columns begin, and a number just above `last`."""
    share = np.arange(max(count, 1) + 1) / max(count, 1)
    edges = first * (1 - share) + last * share
    edges[0] = first
    edges = np.minimum(np.maximum.accumulate(edges), max(first, last))
    if last <= first:
        edges[1:] = np.nextafter(first, np.inf)
    edges[-1] = np.nextafter(max(first, last), np.inf)
    return edges
