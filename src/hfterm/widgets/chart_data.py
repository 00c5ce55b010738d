"""What a chart shows, in plain data: its lines, which part of them, ticks, and how numbers read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from hfterm.training.curves import Columns

Axis = Literal["step", "epoch", "time", "tokens"]
"""What x is: optimizer steps, epochs, seconds, tokens seen."""

Extent = tuple[float, float]
"""The first and the last x that there are data for."""

MOST_ZOOM = 1e-6
"""Share of the whole that the narrowest window shows."""

HEADROOM = 0.05
"""Share of the window that is left empty when it moves along with new data.

A picture that moved with every point would be written to the terminal anew with every point."""

NEAR, FAR = 1e-300, 1e300
"""Sizes beyond which differences and logarithms of numbers are not to be trusted."""

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_CLOCK_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 10800, 21600, 43200, 86400,
)  # fmt: skip


@dataclass(frozen=True)
class ChartLine:
    """A line, by what can be asked about it.

    Attributes:
        name: safe to show.
        columns: what is between two x, in so many columns: column `i` is for the points from
            ``first + i * (last - first) / count`` to where the next begins.
        nearest: the point nearest to an x: its x, value and step; None when there is none.
        marks: its points are few and each is drawn as a mark, as those of evaluations.
    """

    name: str
    columns: Callable[[float, float, int], Columns]
    nearest: Callable[[float], tuple[float, float, float] | None]
    marks: bool = False


@dataclass(frozen=True)
class ChartView:
    """What is looked at, and how. Charts that show the same x may share one.

    Attributes:
        first, last: x at the edges of the window; None for all there is.
        cursor: x of the cursor; None when there is none.
        log_y: y is logarithmic.
        smooth: smoothed lines are drawn where there are any, and the points dimly behind them.
    """

    first: float | None = None
    last: float | None = None
    cursor: float | None = None
    log_y: bool = False
    smooth: bool = True

    @property
    def whole(self) -> bool:
        """All there is is in sight."""
        return self.first is None or self.last is None

    def window(self, extent: Extent) -> Extent:
        """Where it begins and ends; never the same x."""
        first, last = extent
        if self.first is not None and self.last is not None:
            first, last = self.first, self.last
        if last - first > max(4 * math.ulp(max(abs(first), abs(last))), NEAR):
            return first, last
        half = max(0.5, abs(first) * 1e-3)
        return first - half, last + half

    def zoomed(self, extent: Extent, factor: float, least: float = 0.0) -> ChartView:
        """The window this many times as wide, around the cursor if it is in sight.

        Args:
            extent: x of all there is.
            factor: below 1 to see less.
            least: width that it does not go below.
        """
        first, last = self.window(extent)
        whole = extent[1] - extent[0]
        span = max((last - first) * factor, whole * MOST_ZOOM, least)
        if span >= whole * (1 - 1e-9):
            return self.zoomed_out()
        middle = (first + last) / 2
        if self.cursor is not None and first <= self.cursor <= last:
            middle = self.cursor
        return self._at(extent, middle - (middle - first) / (last - first) * span, span)

    def zoomed_out(self) -> ChartView:
        """All there is."""
        return replace(self, first=None, last=None)

    def panned(self, extent: Extent, share: float) -> ChartView:
        """The window moved by a share of its width, as far as there are data."""
        if self.whole:
            return self
        first, last = self.window(extent)
        return self._at(extent, first + share * (last - first), last - first)

    def followed(self, old: Extent, new: Extent) -> ChartView:
        """The window after data were added: at their end it stays there, elsewhere it rests."""
        if self.first is None or self.last is None or not old[1] <= self.last < new[1]:
            return self
        span = self.last - self.first
        last = new[1] + span * HEADROOM
        return replace(self, first=last - span, last=last)

    def _at(self, extent: Extent, first: float, span: float) -> ChartView:
        if first + span >= extent[1]:
            return replace(self, first=max(extent[0], extent[1] - span), last=extent[1])
        first = max(first, extent[0])
        return replace(self, first=first, last=first + span)


def roomy(extent: Extent) -> float:
    """An end somewhat after the last x, so that the next points do not move all others."""
    first, last = extent
    step = nice_step(max(last - first, NEAR) * HEADROOM / 2)
    return first + step * math.ceil((last - first) / step + 1)


# -- ticks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticks:
    """Where an axis is labelled, with what, and what the axis is called."""

    values: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    name: str = ""

    @classmethod
    def of(cls, values: Sequence[float], name: str = "") -> Ticks:
        """Numbers with as many digits as the finest of them needs."""
        return cls(tuple(values), same_digits(values), name)


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, … and 0.5, 0.2, 0.1, … that is not below this."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9) or m == 10)


def _multiples(first: float, last: float, step: float) -> list[float]:
    slack = 1e-9 + 4 * math.ulp(max(abs(first / step), abs(last / step)))
    numbers = range(math.ceil(first / step - slack), math.floor(last / step + slack) + 1)
    if step < 1:  # 3 × 0.1 is not 0.3, but 3 / 10 is
        return [number / round(1 / step) if step > 1e-12 else number * step for number in numbers]
    return [number * step for number in numbers]


def x_ticks(first: float, last: float, most: int, axis: Axis) -> Ticks:
    """Ticks of a window, about so many at most."""
    rough = (last - first) / max(1, most)
    if axis == "time":
        step = next((s for s in _CLOCK_STEPS if s >= rough), 86400 * nice_step(rough / 86400))
        values = _multiples(first, last, step)
        form = clock_form(max(abs(first), abs(last)), step)
        return Ticks(tuple(values), tuple(clock(value, form) for value in values), form)
    step = nice_step(rough)
    if axis != "epoch":
        step = max(1.0, step)
    return Ticks.of(_multiples(first, last, step), axis)


def y_ticks(low: float, high: float, most: int) -> Ticks:
    """Ticks of a linear axis, about so many at most."""
    return Ticks.of(_multiples(low, high, nice_step((high - low) / max(1, most))))


def log_ticks(low: float, high: float, most: int) -> Ticks:
    """Ticks of a logarithmic axis: decades, or 1, 2 and 5 when these are few.

    Args:
        low: decimal logarithm of the lower edge.
        high: of the upper one.
        most: about so many at most.
    """
    decades = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(decades) >= 3 or (len(decades) == 2 and most < 4):
        rough = len(decades) / max(1, most)
        stride = next((s for s in (1, 2, 3, 5) if s >= rough), int(nice_step(rough)))
        found = [power for power in decades if power % stride == 0]
        if len(found) < 2:
            found = [decades[0], decades[-1]]
        return Ticks.of([10.0**power for power in found])
    below = range(math.floor(low), math.ceil(high) + 1)
    finer = [m * 10.0**power for power in below for m in (1, 2, 5)]
    finer = [value for value in finer if low - 1e-9 <= math.log10(value) <= high + 1e-9]
    if len(finer) >= 2:
        return Ticks.of(finer)
    return y_ticks(10.0**low, 10.0**high, most)


# -- the y axis ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """How a value becomes a line of dots: 0 is the upper edge.

    Attributes:
        low, high: at the edges; decimal logarithms if `log`.
        log: the axis is logarithmic.
        rows: lines of dots.
    """

    low: float
    high: float
    log: bool
    rows: int

    @classmethod
    def around(cls, low: float, high: float, log: bool, rows: int) -> Scale:
        """Edges a little outside of all values, rounded so that they seldom change."""
        if log:
            low, high = math.log10(low), math.log10(high)
        if high - low <= max(1e-9 * max(abs(low), abs(high)), NEAR):
            half = 0.5 if log else abs(low) * 0.1 if abs(low) > NEAR else 1.0
            low, high = low - half, high + half
        step = nice_step((high - low) / 20)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step, log, rows)

    def place(self, values: np.ndarray) -> np.ndarray:
        """Lines of dots, float64; NaN where there is no value, or none of a logarithm."""
        import numpy as np

        if self.log:
            values = np.log10(np.where(values > NEAR, values, np.nan))
        with np.errstate(over="ignore"):  # what is far outside of a narrow scale
            return (self.high - values) / (self.high - self.low) * (self.rows - 1)

    def band(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last line of dots from low to high; a little outside for what is far out."""
        import numpy as np

        if self.log:
            low = np.where(low > NEAR, low, high)
        first, last = (np.clip(self.place(part), -9, self.rows + 9) for part in (high, low))
        return first, last

    def tick(self, value: float) -> int:
        """The line of cells of a label."""
        place = (self.high - (math.log10(value) if self.log else value)) / (self.high - self.low)
        return max(0, min(round(place * (self.rows - 1)), self.rows - 1)) // 4

    def ticks(self) -> Ticks:
        """As many as are told apart at a glance, but not one alone."""
        lines = self.rows // 4
        found = Ticks()
        for most in range(max(2, min((lines + 1) // 3, 8)), lines + 1 if lines >= 4 else 0):
            found = (log_ticks if self.log else y_ticks)(self.low, self.high, most)
            if len(found.values) > 1:
                return found
        edges = [self.low, self.high]
        if self.log:
            edges = [float(f"{10.0**edge:.0e}") for edge in edges]
        return Ticks.of(edges)


# -- numbers -----------------------------------------------------------------------------------


def _signed(text: str) -> str:
    return "−" + text[1:] if text.startswith("-") else text


def _exact(values: Sequence[float], form: Callable[[float, int], str], most: int) -> int:
    """The fewest digits that tell all values as they are."""
    gaps = [abs(b - a) for a, b in pairwise(values) if a != b]
    slack = 1e-4 * min(gaps, default=abs(values[0]) if values else 0)
    for digits in range(most):
        if all(abs(float(form(value, digits)) - value) <= slack for value in values):
            return digits
    return most


def same_digits(values: Sequence[float]) -> tuple[str, ...]:
    """Numbers for an axis: one way of writing; one unit and number of digits but for decades."""
    largest = max((abs(value) for value in values), default=0.0)
    smallest = min((abs(value) for value in values if value), default=0.0)
    decades = smallest > 0 and largest / smallest >= 99
    if largest and (largest < 1e-3 or largest >= 1e15 or (decades and smallest < 1e-3)):
        digits = _exact(values, lambda value, d: f"{value:.{d}e}", 6)
        return tuple(_signed(f"{value:.{digits}e}") if value else "0" for value in values)
    if decades:
        return tuple(short(value, digits=1) for value in values)
    unit, suffix = 1.0, ""
    if largest >= 10_000:
        unit, suffix = next((u, s) for u, s in _UNITS if largest >= u)
    parts = [value / unit for value in values]
    digits = _exact(parts, lambda value, d: f"{value:.{d}f}", 9)
    if digits > 3 and unit > 1:  # too fine for a unit
        parts, suffix = list(values), ""
        digits = _exact(parts, lambda value, d: f"{value:.{d}f}", 9)
    texts = [f"{value:,.{digits}f}" for value in parts]
    if suffix:
        return tuple(
            _signed(t) + suffix if value else "0" for t, value in zip(texts, values, strict=True)
        )
    return tuple(map(_signed, texts))


def short(value: float, digits: int = 4) -> str:
    """A number by itself: four digits that matter, ``12.34k``, ``1.2e-05``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    value = float(f"{value:.{digits - 1}e}")
    size = abs(value)
    if not value:
        return "0"
    if size < 1e-3 or size >= 1e15:
        mantissa, _, power = f"{value:.{min(2, digits - 1)}e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return _signed(f"{mantissa}e{power}")
    unit, suffix = 1.0, ""
    if size >= 10_000 or (size >= 1_000 and digits < 4):
        unit, suffix = next((u, s) for u, s in _UNITS if size >= u)
    decimals = max(0, digits - 1 - math.floor(math.log10(size / unit)))
    return _signed(f"{value / unit:,.{decimals}f}{suffix}")


Clock = Literal["m:ss", "h:mm", "h:mm:ss"]


def clock_form(largest: float, step: float) -> Clock:
    """How times up to this many seconds are written, when they are so many seconds apart."""
    if largest < 3600:
        return "m:ss"
    return "h:mm" if step >= 60 else "h:mm:ss"


def clock(seconds: float, form: Clock) -> str:
    """Seconds as minutes and seconds, or with hours."""
    whole = round(abs(seconds))
    sign = "−" if seconds < 0 and whole else ""
    if form == "m:ss":
        return f"{sign}{whole // 60}:{whole % 60:02}"
    hours = f"{sign}{whole // 3600}:{whole // 60 % 60:02}"
    return hours if form == "h:mm" else f"{hours}:{whole % 60:02}"


def x_label(x: float, span: float, axis: Axis) -> str:
    """The x of the cursor, as finely as a window of this width tells it."""
    if axis == "time":
        return clock(x, clock_form(abs(x), 1))
    if axis == "step":
        return _signed(f"{round(x):,}")
    if axis == "tokens":
        return short(round(x))
    decimals = max(2, min(9, 3 - math.floor(math.log10(span)))) if span > 0 else 2
    return _signed(f"{x:.{decimals}f}")


# -- as a table --------------------------------------------------------------------------------


def table(lines: Sequence[ChartLine], window: Extent, count: int, axis: Axis) -> str:
    """Columns that have points, tab-separated: x, and each line's least, largest and mean value."""
    first, last = window
    head, columns = [str(axis)], list[list[float]]()
    for line in lines:
        found = line.columns(first, last, count)
        for name, part in (("min", found.low), ("max", found.high), ("mean", found.smooth)):
            values = part.tolist()
            if any(map(math.isfinite, values)):
                head.append(f"{line.name} {name}")
                columns.append(values)
    rows = ["\t".join(head)]
    for index, values in enumerate(zip(*columns, strict=True)):
        if any(map(math.isfinite, values)):
            x = first + (index + 0.5) * (last - first) / count
            x = round(x) if axis in ("step", "tokens") else x
            texts = (f"{value:.6g}" if math.isfinite(value) else "" for value in values)
            rows.append("\t".join([f"{x:.10g}", *texts]))
    return "\n".join(rows)
