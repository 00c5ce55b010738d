"""Columns of metrics: whatever is logged, a chart's columns are those of a plain computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray

from hfterm.training import curve_track
from hfterm.training.curves import AXES, AxisName, Columns, Curves

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHAPES = (
    ("step", "time", "epoch", "tokens", "loss", "grad_norm"),
    ("step", "time", "loss"),
    ("step", "time", "epoch", "eval_loss"),
    ("time", "loss"),
)
Array = NDArray[np.float64]


@dataclass
class Plain:
    """What `Curves` is to do, said without any haste."""

    rows: list[dict[str, float]] = field(default_factory=list)
    stale: list[bool] = field(default_factory=list)

    def add(self, keys: tuple[str, ...], values: Array) -> None:
        for line in values.tolist():
            told = dict(zip(keys, line, strict=True))
            live = [row for row, stale in zip(self.rows, self.stale, strict=True) if not stale]
            for axis in AXES:
                if not math.isfinite(told.get(axis, math.nan)):
                    told[axis] = live[-1][axis] if live else math.nan
            self.rows.append(told)
            self.stale.append(False)

    def resume(self, step: float) -> None:
        self.stale = [
            stale or row["step"] > step for row, stale in zip(self.rows, self.stale, strict=True)
        ]

    def origin(self, axis: AxisName) -> float:
        known = [row["time"] for row in self.rows if math.isfinite(row["time"])]
        return known[0] if axis == "time" and known else 0.0

    def points(self, name: str, axis: AxisName, stale: bool) -> list[tuple[float, float]]:
        return [
            (row[axis] - self.origin(axis), row[name])
            for row, gone in zip(self.rows, self.stale, strict=True)
            if name in row and gone == stale
        ]

    def columns(
        self, name: str, axis: AxisName, edges: list[float], window: int
    ) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {
            key: [] for key in ("low", "high", "smooth", "stale_low", "stale_high", "nonfinite")
        }
        live, stale = self.points(name, axis, False), self.points(name, axis, True)
        for first, after in pairwise(edges):
            inside = [at for at, (x, _) in enumerate(live) if first <= x < after]
            values = [live[at][1] for at in inside]
            finite = [value for value in values if math.isfinite(value)]
            found["low"].append(min(finite, default=math.nan))
            found["high"].append(max(finite, default=math.nan))
            found["nonfinite"].append(len(finite) < len(values))
            gone = [value for x, value in stale if first <= x < after and math.isfinite(value)]
            found["stale_low"].append(min(gone, default=math.nan))
            found["stale_high"].append(max(gone, default=math.nan))
            mean = math.nan
            if inside:
                before = [value for _, value in live[max(inside[-1] + 1 - window, 0) :]]
                before = before[: min(window, inside[-1] + 1)]
                before = [value for value in before if math.isfinite(value)]
                mean = math.fsum(before) / len(before) if before else math.nan
            found["smooth"].append(mean)
        return found


def edges_of(first: float, last: float, count: int) -> list[float]:
    share = [index / count for index in range(count + 1)]
    edges = [min(first * (1 - part) + last * part, last) for part in share]
    edges[0] = first
    return [*edges[:-1], math.nextafter(last, math.inf)]


def batch(keys: tuple[str, ...], count: int, seed: int, begin: int) -> Array:
    """Rows as runs log them, and as none should."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, len(keys)))
    values[random.random(values.shape) < 0.05] = np.nan
    values[random.random(values.shape) < 0.02] = np.inf
    for at, key in enumerate(keys):
        if key in AXES:
            told = np.arange(begin, begin + count) // (1 + seed % 3)
            values[:, at] = random.integers(0, 60, count) if seed % 7 == 0 else told
            values[random.random(count) < 0.02, at] = np.nan
    return values


def some_run(steps: list[tuple[int, int, int]]) -> tuple[Curves, Plain]:
    """A run of batches and resumptions; charts are drawn in between, so that pyramids grow."""
    curves, plain = Curves(), Plain()
    begin = 0
    for kind, count, seed in steps:
        if kind == len(SHAPES):
            begin = max(begin - count, 0)
            curves.resume(float(begin))
            plain.resume(float(begin))
            continue
        values = batch(SHAPES[kind], count, seed, begin)
        begin += count
        curves.append(SHAPES[kind], values)
        plain.add(SHAPES[kind], values)
        for axis in ("step", "epoch"):
            curves.columns("loss", axis, 0, 50, 7, 3)
            curves.extent(curves.names, axis)
    return curves, plain


STEPS = some.lists(
    some.tuples(some.integers(0, len(SHAPES)), some.integers(0, 300), some.integers(0, 10_000)),
    max_size=8,
)


@pytest.mark.parametrize("many_runs", [curve_track.MANY_RUNS, 0])
@RELAXED
@given(
    steps=STEPS,
    axis=some.sampled_from(AXES),
    name=some.sampled_from(["loss", "grad_norm", "eval_loss", "none"]),
    reach=some.tuples(some.floats(-10, 400), some.floats(0, 400)),
    count=some.integers(1, 40),
    window=some.integers(1, 400),
)
def test_columns_are_those_of_a_plain_computation(
    many_runs: int,
    steps: list[tuple[int, int, int]],
    axis: AxisName,
    name: str,
    reach: tuple[float, float],
    count: int,
    window: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(curve_track, "MANY_RUNS", many_runs)
    curves, plain = some_run(steps)
    first, last = reach[0], reach[0] + reach[1]
    found = curves.columns(name, axis, first, last, count, window)
    wanted = plain.columns(name, axis, edges_of(first, last, count), window)
    if last <= first:
        wanted = plain.columns(name, axis, [first, math.nextafter(first, math.inf)], window)
        empty = [math.nan] * (count - 1)
        wanted = {key: value + empty for key, value in wanted.items()}
        wanted["nonfinite"] = [value is True for value in wanted["nonfinite"]]
    for key, values in wanted.items():
        given_values = np.asarray(getattr(found, key))
        assert len(given_values) == count
        np.testing.assert_allclose(given_values, values, rtol=1e-12, atol=1e-12, err_msg=key)


@RELAXED
@given(steps=STEPS, axis=some.sampled_from(AXES), x=some.floats(-10, 400))
def test_what_is_asked_of_points_is_what_was_logged(
    steps: list[tuple[int, int, int]], axis: AxisName, x: float
) -> None:
    curves, plain = some_run(steps)
    assert len(curves) == len(plain.rows)
    reached: list[float] = []
    for name in curves.names:
        live = plain.points(name, axis, False)
        known = [place for place, _ in live if not math.isnan(place)]
        reached += known + [p for p, _ in plain.points(name, axis, True) if not math.isnan(p)]
        found = curves.nearest(name, axis, x)
        if known:
            assert found is not None
            assert abs(found[0] - x) == min(abs(place - x) for place in known)
            values = [value for place, value in live if place == found[0]]
            np.testing.assert_equal(found[1], values[-1])
        else:
            assert found is None
        if live:
            np.testing.assert_equal(curves.last(name), live[-1][1])
        else:
            assert curves.last(name) is None
        series = curves.series(name)
        told = [at for at, row in enumerate(plain.rows) if name in row]
        assert series.rows.tolist() == told
        np.testing.assert_equal(series.values.tolist(), [plain.rows[at][name] for at in told])
        assert series.stale.tolist() == [plain.stale[at] for at in told]
    extent = curves.extent(curves.names, axis)
    assert extent == ((min(reached), max(reached)) if reached else None)


def lines(name: str, *rows: tuple[float, float]) -> tuple[tuple[str, str], Array]:
    return ("step", name), np.array(rows, np.float64)


def cut(curves: Curves, name: str = "loss", window: int = 1) -> Columns:
    return curves.columns(name, "step", 0, 10, 2, window)


def test_a_resumed_run_greys_what_it_does_again() -> None:
    curves = Curves()
    curves.append(*lines("loss", (1, 5), (4, 4), (6, 9), (8, 8)))
    curves.resume(4, 1764096000.0)
    curves.append(*lines("loss", (6, 3), (8, 2)))
    found = cut(curves, window=3)
    assert found.low.tolist() == [4, 2]
    assert found.high.tolist() == [5, 3]
    assert found.smooth.tolist() == [4.5, 3.0]  # 5 and 4; then 4, 3 and 2, not the 9
    assert math.isnan(found.stale_low[0])
    assert (found.stale_low[1], found.stale_high[1]) == (8, 9)
    assert curves.resumes[0].step == 4 and curves.resumes[0].row == 4
    assert curves.last("loss") == 2


def test_an_evaluation_has_a_place_on_every_axis() -> None:
    curves = Curves()
    curves.append(("step", "tokens", "loss"), np.array([[10.0, 500, 1], [20, 900, 0.5]]))
    curves.append(("step", "eval_loss"), np.array([[20.0, 0.7]]))
    assert curves.nearest("eval_loss", "tokens", 0) == (900, 0.7, 20)
    curves.resume(10)
    curves.append(("step", "eval_loss"), np.array([[10.0, 0.8]]))
    assert curves.nearest("eval_loss", "tokens", 0) == (500, 0.8, 10)


def test_a_huge_value_does_not_blur_the_mean_after_it() -> None:
    curves = Curves()
    values = np.ones((1000, 2))
    values[:, 0] = np.arange(1000)
    values[100, 1] = 1e300
    curves.append(("step", "loss"), values)
    found = curves.columns("loss", "step", 0, 999, 100, 50)
    assert found.smooth[-1] == 1.0
    assert found.high.max() == 1e300


def test_time_counts_from_the_first_row() -> None:
    curves = Curves()
    curves.append(("step", "time", "loss"), np.array([[1, 1764096000.0, 1], [2, 1764096060.0, 2]]))
    assert curves.extent(["loss"], "time") == (0, 60)
    assert curves.column("time").tolist() == [0, 60]


def test_a_place_told_after_its_row_counts() -> None:
    curves = Curves()
    curves.append(("step", "epoch", "loss"), np.array([[1.0, 0.5, 3], [2.0, np.nan, 4]]))
    assert curves.extent(["loss"], "epoch") == (0.5, 0.5)
    before = curves.version
    curves.amend("epoch", 0.75)
    assert curves.version != before
    assert curves.extent(["loss"], "epoch") == (0.5, 0.75)


def test_nothing_logged_is_nothing_drawn() -> None:
    curves = Curves()
    assert curves.names == () and len(curves) == 0
    assert curves.last("loss") is None and curves.nearest("loss", "step", 1) is None
    assert curves.extent(["loss"], "step") is None
    assert np.isnan(cut(curves).low).all() and not cut(curves).nonfinite.any()
    curves.append(*lines("loss", (1, 2)))
    assert curves.nearest("loss", "step", math.nan) is None
    curves.clear()
    assert curves.names == () and np.isnan(cut(curves).low).all()
