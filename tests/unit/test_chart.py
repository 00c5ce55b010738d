"""The chart: its numbers and ticks, its rasterizer, and the widget in an application of its own."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.pilot import Pilot

from hfterm.training.curves import Columns
from hfterm.widgets.chart import Chart
from hfterm.widgets.chart_data import (
    Axis,
    ChartLine,
    ChartView,
    clock,
    log_ticks,
    nice_step,
    roomy,
    same_digits,
    short,
    x_label,
    x_ticks,
    y_ticks,
)  # fmt: skip
from hfterm.widgets.chart_picture import (
    LABEL,
    STALE,
    WRONG,
    Picture,
    bright,
    dim,
    dots,
    paint,
    runs,
)  # fmt: skip
from hfterm.widgets.ramps import Depth

AXES: tuple[Axis, ...] = ("step", "epoch", "time", "tokens")

BRAILLE = range(0x2801, 0x2900)

DEPTHS: dict[Depth, ColorSystem | None] = {
    "truecolor": ColorSystem.TRUECOLOR,
    "256": ColorSystem.EIGHT_BIT,
    "16": ColorSystem.STANDARD,
    "none": None,
}

Point = tuple[float, float]
Points = list[Point]


class Source:
    """Points that a line is asked for, and that may grow."""

    def __init__(self, points: Points, stale: Sequence[Point] = (), window: int = 0) -> None:
        self.points, self.stale, self.window = list(points), list(stale), window

    def cut(self, points: Points, first: float, last: float, count: int) -> list[list[float]]:
        found: list[list[float]] = [[] for _ in range(count)]
        for x, y in points:
            if first <= x <= last:
                found[min(count - 1, int((x - first) / (last - first) * count))].append(y)
        return found

    def columns(self, first: float, last: float, count: int) -> Columns:
        def each(cut: list[list[float]], pick: Callable[[list[float]], float]) -> np.ndarray:
            kept = [[y for y in ys if math.isfinite(y)] for ys in cut]
            return np.array([pick(ys) if ys else np.nan for ys in kept])

        live, stale = (self.cut(part, first, last, count) for part in (self.points, self.stale))
        smooth = np.full(count, np.nan)
        if self.window:
            ys = [y for _, y in self.points]
            means = [np.mean(ys[max(0, i + 1 - self.window) : i + 1]) for i in range(len(ys))]
            xs = [x for x, _ in self.points]
            smooth = each(
                self.cut(list(zip(xs, means, strict=True)), first, last, count), lambda ys: ys[-1]
            )
        bad = np.array([any(not math.isfinite(y) for y in ys) for ys in live])
        return Columns(
            each(live, min), each(live, max), smooth, each(stale, min), each(stale, max), bad
        )

    def nearest(self, x: float) -> tuple[float, float, float] | None:
        point = min(self.points, key=lambda point: abs(point[0] - x), default=None)
        return None if point is None else (*point, point[0])

    def line(self, name: str = "loss", *, marks: bool = False) -> ChartLine:
        return ChartLine(name, self.columns, self.nearest, marks)


def straight(count: int, slope: float = 1.0) -> Points:
    return [(float(x), slope * x) for x in range(count)]


def picture(
    *lines: ChartLine,
    view: ChartView | None = None,
    extent: tuple[float, float] = (0, 99),
    size: tuple[int, int] = (60, 16),
) -> Picture:
    return paint(lines, view or ChartView(), extent, "step", *size)


def text(found: Picture) -> list[str]:
    return ["".join(map(chr, row)) for row in found.glyphs.tolist()]


def plot(found: Picture) -> list[str]:
    end = found.left + found.wide
    return [line[found.left : end] for line in text(found)[: found.tall]]


def tones(found: Picture) -> set[int]:
    """Of what is drawn in the plot."""
    part = slice(None, found.tall), slice(found.left, found.left + found.wide)
    return set(found.tones[part][found.glyphs[part] != ord(" ")].tolist())


def dotted(found: Picture) -> list[int]:
    """Columns of cells that have dots."""
    columns = zip(*plot(found), strict=True)
    return [index for index, cells in enumerate(columns) if any(ord(c) in BRAILLE for c in cells)]


# -- numbers and ticks -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (0.4021, "0.4021"), (0.402, "0.4020"), (1, "1.000"), (12.3456, "12.35"),
        (123.45, "123.5"), (1234.5, "1,234"), (9999.9, "10.00k"), (12_346, "12.35k"),
        (999_999, "1.000M"), (1.5e6, "1.500M"), (2e9, "2.000G"), (3e12, "3.000T"),
        (1e15, "1e+15"), (0.001, "0.001000"), (0.00099, "9.9e-04"), (1.2e-5, "1.2e-05"),
        (9.6e-5, "9.6e-05"), (2.853e-5, "2.85e-05"), (-0.5, "−0.5000"), (-1e-12, "−1e-12"),
        (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"),
    ],
)  # fmt: skip
def test_a_number_by_itself(value: float, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0, 0.5, 1), "0.0 0.5 1.0"), ((0, 1, 2), "0 1 2"), ((0, 1000, 2000), "0 1,000 2,000"),
        ((0, 5000, 10_000), "0 5k 10k"), ((9500, 10_000, 10_500), "9.5k 10.0k 10.5k"),
        ((0, 5e-5, 1e-4), "0 5e-05 1e-04"), ((5e-5, 1e-4, 1.5e-4), "5.0e-05 1.0e-04 1.5e-04"),
        ((-1, 0, 1), "−1 0 1"), ((1e-12, 1, 1e12), "1e-12 1e+00 1e+12"),
        ((1e-4, 1e-3, 1e-2), "1e-04 1e-03 1e-02"), ((0.01, 1, 100), "0.01 1 100"),
        ((10_000.1, 10_000.2), "10,000.1 10,000.2"),
        ((1, 1e3, 1e6), "1 1k 1M"), ((), ""),
    ],
)  # fmt: skip
def test_numbers_of_an_axis_are_written_in_one_way(values: Sequence[float], shown: str) -> None:
    assert " ".join(same_digits(values)) == shown


def test_steps_are_1_2_and_5() -> None:
    rough = (0.9, 1, 1.1, 2.1, 4.9, 5.1, 0.03, 1234)
    assert [nice_step(value) for value in rough] == [1, 1, 2, 5, 5, 10, 0.05, 2000]


@pytest.mark.parametrize(
    ("window", "axis", "shown"),
    [
        ((0, 188), "step", "0 50 100 150 step"),
        ((1.2, 4.4), "step", "2 3 4 step"),
        ((0, 3), "epoch", "0 1 2 3 epoch"),
        ((0.02, 0.09), "epoch", "0.02 0.04 0.06 0.08 epoch"),
        ((0, 50), "time", "0:00 0:15 0:30 0:45 m:ss"),
        ((0, 3000), "time", "0:00 15:00 30:00 45:00 m:ss"),
        ((0, 9000), "time", "0:00 1:00 2:00 h:mm"),
        ((7200, 7290), "time", "2:00:00 2:00:30 2:01:00 2:01:30 h:mm:ss"),
        ((0, 600_000), "time", "0:00 48:00 96:00 144:00 h:mm"),
        ((0, 2_400_000), "tokens", "0 1M 2M tokens"),
    ],
)
def test_ticks_of_x(window: tuple[float, float], axis: Axis, shown: str) -> None:
    found = x_ticks(*window, 4, axis)
    assert " ".join([*found.labels, found.name]) == shown


def test_ticks_of_y() -> None:
    assert y_ticks(0.2, 2.6, 5).labels == ("0.5", "1.0", "1.5", "2.0", "2.5")
    assert log_ticks(-6, -3, 4).labels == ("1e-06", "1e-05", "1e-04", "1e-03")
    assert log_ticks(-12, 12, 5).labels == ("1e-10", "1e-05", "1e+00", "1e+05", "1e+10")
    assert log_ticks(-12, 14, 4).labels == ("1e-10", "1e+00", "1e+10")
    assert log_ticks(-0.8, 0.4, 4).labels == ("0.2", "0.5", "1.0", "2.0")
    assert log_ticks(0.31, 0.33, 4).labels == ("2.05", "2.10")
    assert len(log_ticks(0.9, 4.2, 2).labels) == 2


def test_times_and_the_x_of_a_cursor() -> None:
    assert clock(3725, "h:mm:ss") == "1:02:05"
    assert clock(-65, "m:ss") == "−1:05"
    assert x_label(3725.4, 100, "time") == "1:02:05"
    assert x_label(12_340.4, 100, "step") == "12,340"
    assert x_label(1.23456, 3, "epoch") == "1.235"
    assert x_label(1.23456, 300, "epoch") == "1.23"
    assert x_label(1_250_000, 1e6, "tokens") == "1.250M"


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.integers(1, 12), st.sampled_from(AXES))
def test_ticks_are_few_and_in_the_window(first: float, span: float, most: int, axis: Axis) -> None:
    last = first + span
    assume(last > first)
    found = x_ticks(first, last, most, axis)
    assert len(found.values) == len(found.labels) <= most + 1
    slack = 1e-6 * max(span, abs(first) * 1e-3)
    assert all(first - slack <= value <= last + slack for value in found.values)
    assert all(a < b for a, b in pairwise(found.values))


@given(numbers)
def test_any_number_is_short(value: float) -> None:
    assert len(short(value)) <= 10


# -- the window --------------------------------------------------------------------------------


def test_zoom_keeps_the_cursor_where_it_is() -> None:
    view = ChartView(cursor=20)
    near = view.zoomed((0, 100), 0.5)
    assert near.window((0, 100)) == (10, 60)
    assert near.zoomed((0, 100), 2) == view
    assert ChartView().zoomed((0, 100), 0.5).window((0, 100)) == (25, 75)
    assert replace(near, cursor=90).zoomed((0, 100), 0.5).window((0, 100)) == (22.5, 47.5)


def test_zoom_has_ends() -> None:
    view = ChartView()
    for _ in range(60):
        view = view.zoomed((0, 100), 0.5, 4)
    assert view.window((0, 100)) == (48, 52)
    for _ in range(60):
        view = view.zoomed((0, 100), 2)
    assert view == ChartView()
    assert ChartView().zoomed((3, 3), 0.5).whole


def test_pan_stays_in_the_data() -> None:
    view = ChartView(first=10, last=30)
    assert view.panned((0, 100), 0.25).window((0, 100)) == (15, 35)
    assert view.panned((0, 100), -5).window((0, 100)) == (0, 20)
    assert view.panned((0, 100), 50).window((0, 100)) == (80, 100)
    assert ChartView().panned((0, 100), 0.25) == ChartView()


def test_a_window_at_the_end_follows_it() -> None:
    view = ChartView(first=80, last=100)
    moved = view.followed((0, 100), (0, 101))
    assert moved.window((0, 101)) == (82, 102)
    assert moved.followed((0, 101), (0, 102)) == moved, "there is room left"
    assert moved.followed((0, 102), (0, 110)).window((0, 110)) == (91, 111)
    resting = ChartView(first=50, last=70)
    assert resting.followed((0, 100), (0, 200)) == resting
    assert ChartView().followed((0, 100), (0, 200)) == ChartView()


def test_a_window_is_never_a_point() -> None:
    assert ChartView().window((5, 5)) == (4.5, 5.5)
    first, last = ChartView().window((1e9, 1e9))
    assert first < 1e9 < last


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_room_is_left_for_the_next_points(first: float, span: float) -> None:
    end = roomy((first, first + span))
    assert end >= first + span
    assert end - first <= span * 1.2 + 1e-9 * (1 + abs(first))


# -- the rasterizer ----------------------------------------------------------------------------


def test_columns_are_joined_half_way() -> None:
    rows = np.array([0.0, 9.0, 2.0])
    first, last = runs(rows, rows, np.zeros(3, bool))
    covered = [set(range(a, b + 1)) for a, b in zip(first, last, strict=True)]
    assert set.union(*covered) == set(range(10))
    for one, other in pairwise(covered):
        assert len(one & other) <= 1
        assert min(abs(a - b) for a in one for b in other) <= 1


def test_even_distances_are_filled_and_gaps_stay() -> None:
    rows = np.full(24, np.nan)
    rows[[0, 2, 4, 6]] = 3
    rows[[18, 20]] = 5
    first, last = runs(rows, rows, np.zeros(24, bool))
    drawn = (last >= first).tolist()
    assert drawn == [True] * 7 + [False] * 11 + [True] * 3 + [False] * 3
    broken = np.zeros(24, bool)
    broken[3] = True
    first, last = runs(rows, rows, broken)
    assert not (last >= first)[3]


def test_dots_of_braille() -> None:
    assert dots(np.array([0, 3]), np.array([0, 3]), 4).tolist() == [[0x01 | 0x80]]
    assert dots(np.array([0, 1]), np.array([3, 0]), 4).tolist() == [[0x47]]


def test_a_line_goes_through_every_column_from_corner_to_corner() -> None:
    found = picture(Source(straight(100)).line())
    assert dotted(found) == list(range(found.wide))
    shown = plot(found)
    assert ord(shown[-1][0]) in BRAILLE
    assert ord(shown[0][-1]) in BRAILLE
    assert tones(found) == {bright(0)}


def test_few_points_are_joined_as_well() -> None:
    found = picture(Source([(0, 1), (50, 3), (99, 2)]).line())
    assert dotted(found) == list(range(found.wide))


def test_a_hole_in_the_data_stays_one() -> None:
    found = picture(Source([p for p in straight(100) if not 40 < p[0] < 60]).line())
    missing = set(range(found.wide)) - set(dotted(found))
    assert len(missing) == pytest.approx(0.19 * found.wide, abs=2)


def test_points_behind_a_smoothed_line_are_dim() -> None:
    noise = [(float(x), float(np.sin(x * 37) * 9)) for x in range(400)]
    source = Source(noise, window=30)
    extent = (0.0, 399.0)
    assert tones(picture(source.line(), extent=extent)) == {bright(0), dim(0)}
    plain = picture(source.line(), extent=extent, view=ChartView(smooth=False))
    assert tones(plain) == {bright(0)}


def test_superseded_points_are_told_apart_and_never_joined() -> None:
    live = [p for p in straight(100) if p[0] < 40 or p[0] >= 80]
    stale = [(float(x), 90.0) for x in range(40, 60)]
    found = picture(Source(live, stale).line())
    assert tones(found) == {bright(0), STALE}
    grey = np.argwhere(found.tones[: found.tall, found.left :] == STALE)
    rows = {y for y, x in grey.tolist() if found.glyphs[y, found.left + x] != ord(" ")}
    assert len(rows) == 1


def test_superseded_points_do_not_stretch_the_axis() -> None:
    found = picture(Source(straight(100), [(50.0, 1e9)]).line())
    assert text(found) == text(picture(Source(straight(100)).line()))


def test_what_is_not_a_number_is_at_the_top() -> None:
    points = straight(100)
    points[50] = (50.0, math.nan)
    points[51] = (51.0, math.inf)
    found = picture(Source(points).line())
    at = [index for index, glyph in enumerate(plot(found)[0]) if glyph == "×"]
    assert at
    assert all(abs(index / found.wide - 0.5) < 0.05 for index in at)
    assert found.tones[0, found.left + at[0]] == WRONG


def test_where_lines_share_a_cell_all_dots_are_there() -> None:
    level = Source([(float(x), 1.0) for x in range(100)]).line()
    wave = Source([(float(x), 1 + math.sin(x / 5)) for x in range(100)]).line()
    both, alone = picture(level, wave), picture(wave, wave)
    assert tones(both) == {bright(0), bright(1)}
    crossing = [
        (a, b)
        for one, other in zip(plot(both), plot(alone), strict=True)
        for a, b in zip(one, other, strict=True)
        if ord(b) in BRAILLE
    ]
    assert all(ord(a) & ord(b) == ord(b) for a, b in crossing)
    assert any(a != b for a, b in crossing)


def test_each_line_has_its_letter_at_its_end() -> None:
    long = Source([(float(x), 1.0) for x in range(100)]).line()
    short_one = Source([(float(x), 1.0) for x in range(50)]).line()
    found = text(picture(long, short_one, long))
    ends = {name: [line.rindex(name) for line in found[:14] if name in line] for name in "abc"}
    assert ends["a"] == ends["c"] == [59]
    assert len(ends["b"]) == 1
    assert 30 < ends["b"][0] < 36
    assert not any(name in line for line in text(picture(long))[:14] for name in "ab")


def test_marks_of_few_points() -> None:
    few = Source([(10.0, 1), (50.0, 2), (90.0, 3)]).line("eval", marks=True)
    assert sum(line.count("◆") for line in plot(picture(few))) == 3
    many = Source(straight(100)).line("eval", marks=True)
    assert not any("◆" in line for line in plot(picture(many)))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-12, 1e12, 5e-324, 1e308])
@pytest.mark.parametrize("log_y", [False, True])
def test_one_point_is_seen(value: float, log_y: bool) -> None:
    source = Source([(7.0, value)])
    found = picture(source.line(), extent=(7, 7), view=ChartView(log_y=log_y))
    if log_y and value < 1e-300:
        assert any("log y: no positive values" in line for line in text(found))
    else:
        assert sum(line.count("◆") for line in plot(found)) == 1
        assert sum("┤" in line for line in text(found)) >= 2


def test_a_constant_is_a_line_in_the_middle() -> None:
    found = picture(Source([(float(x), 0.25) for x in range(100)]).line())
    drawn = [y for y, line in enumerate(plot(found)) if any(ord(c) in BRAILLE for c in line)]
    assert len(drawn) == 1
    assert abs(drawn[0] - found.tall / 2) <= 1


@pytest.mark.parametrize(
    ("points", "log_y", "words"),
    [
        ([(1.0, math.nan), (2.0, math.inf)], False, "no finite values"),
        ([(1.0, -1.0), (2.0, 0.0)], True, "log y: no positive values"),
        ([], False, "no points here"),
    ],
)
def test_what_cannot_be_drawn_is_said(points: Points, log_y: bool, words: str) -> None:
    found = picture(Source(points).line(), view=ChartView(log_y=log_y))
    assert any(words in line for line in plot(found))
    assert LABEL in tones(found)


def test_logarithms_of_what_has_them() -> None:
    points = [(float(x), 10.0 ** (x / 10 - 5)) for x in range(100)]
    view = ChartView(log_y=True)
    found = picture(Source(points).line(), view=view)
    rows = [next(y for y, c in enumerate(col) if ord(c) in BRAILLE)
            for col in zip(*plot(found), strict=True)]  # fmt: skip
    steps = np.diff(rows)
    assert steps.min() >= -1
    assert steps.max() <= 0
    with_none = [*points, (40.5, -1.0), (41.5, 0.0)]
    assert len(dotted(picture(Source(with_none).line(), view=view))) == found.wide


def test_from_1e_12_to_1e12() -> None:
    points = [(float(x), 10.0 ** (x / 4 - 12)) for x in range(97)]
    for log_y in (False, True):
        found = picture(Source(points).line(), view=ChartView(log_y=log_y))
        assert len(dotted(found)) > found.wide * 0.9
    assert any(line.lstrip().startswith("1e+05┤") for line in text(found))


def test_a_line_leads_into_the_window_and_out_of_it() -> None:
    source = Source([(0.0, 0.0), (100.0, 10.0), (200.0, 0.0)])
    found = picture(
        source.line(), extent=(0, 200), view=ChartView(first=50, last=90), size=(60, 16)
    )
    assert dotted(found) == list(range(found.wide))


@given(
    st.lists(
        st.tuples(
            arrays.arrays(np.float64, (5, 40), elements=st.floats(allow_nan=True)),
            arrays.arrays(np.bool_, 40),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(24, 130),
    st.integers(3, 40),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(None, None), (3.0, 5.0), (99.0, 103.0)]),
    st.sampled_from([*AXES]),
)
@settings(max_examples=150, deadline=None)
def test_any_numbers_make_a_picture_of_the_size(
    data: list[tuple[np.ndarray, np.ndarray, bool]],
    width: int,
    height: int,
    log_y: bool,
    smooth: bool,
    window: tuple[float | None, float | None],
    axis: Axis,
) -> None:
    def of(values: np.ndarray, bad: np.ndarray, marks: bool) -> ChartLine:
        def columns(first: float, last: float, count: int) -> Columns:
            one, other, smooth, low, high = (np.resize(part, count) for part in values)
            live = np.fmin(one, other), np.fmax(one, other)
            return Columns(*live, smooth, low, high, np.resize(bad, count))

        return ChartLine("any", columns, lambda x: None, marks)

    lines = [of(*one) for one in data]
    view = ChartView(*window, log_y=log_y, smooth=smooth)
    found = paint(lines, view, (0, 100), axis, width, height)
    assert found.glyphs.shape == found.tones.shape == (height, width)
    for parts in found.lines(found.wide // 2, "1,234"):
        assert cell_len("".join(part for part, _ in parts)) == width


# -- the widget --------------------------------------------------------------------------------


class Watched(Chart):
    """Remembers which lines were drawn."""

    def __init__(self, *, empty: str = "") -> None:
        super().__init__(empty=empty)
        self.drawn: list[int] = []

    def render_line(self, y: int):
        self.drawn.append(y)
        return super().render_line(y)


class Bench(App[None]):
    """One chart; what it said, and whether Escape came by."""

    CSS = "Screen { overflow: hidden; }"
    BINDINGS = [Binding("escape", "leave", "Leave")]  # noqa: RUF012

    def __init__(self, chart: Chart, depth: Depth = "truecolor") -> None:
        super().__init__()
        self.chart = chart
        self.console._color_system = DEPTHS[depth]  # pyright: ignore[reportPrivateUsage]
        self.no_color = depth == "none"
        self.said: list[tuple[str, object]] = []
        self.left = 0

    def compose(self) -> ComposeResult:
        yield self.chart

    def action_leave(self) -> None:
        self.left += 1

    def on_chart_cursor_moved(self, message: Chart.CursorMoved) -> None:
        self.said.append(("cursor", message.x))

    def on_chart_view_changed(self, message: Chart.ViewChanged) -> None:
        self.said.append(("view", message.view))


@asynccontextmanager
async def bench(
    chart: Chart, size: tuple[int, int] = (60, 16), depth: Depth = "truecolor"
) -> AsyncGenerator[tuple[Pilot[None], Bench]]:
    app = Bench(chart, depth)
    async with app.run_test(size=(max(1, size[0]), max(1, size[1]))) as pilot:
        chart.styles.width, chart.styles.height = size
        chart.focus()
        await pilot.pause()
        yield pilot, app


def lines(chart: Chart) -> list[str]:
    """What is drawn; each line exactly as wide as the widget."""
    width, height = chart.size
    texts: list[str] = []
    for y in range(height):
        strip = chart.render_line(y)
        texts.append("".join(segment.text for segment in strip))
        assert strip.cell_length == cell_len(texts[-1]) == width
    return texts


def show(count: int = 100) -> Watched:
    chart = Watched(empty="Nothing yet")
    chart.set_lines(
        "Loss",
        [
            Source([(float(x), 2 / (1 + x / 10)) for x in range(count)], window=5).line("train"),
            Source([(x + 0.0, 2.0) for x in range(0, count, 25)]).line("eval", marks=True),
        ],
        (0, count - 1) if count else None,
    )
    return chart


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("size", [(118, 30), (76, 16), (40, 8), (24, 4), (23, 9), (50, 3)])
async def test_every_depth_and_every_line_as_wide_as_the_widget(
    depth: Depth, size: tuple[int, int]
) -> None:
    chart = show()
    async with bench(chart, size, depth) as (pilot, _):
        shown = lines(chart)
        assert "a " in shown[0]
        assert "b " in shown[0]
        assert any(ord(c) in BRAILLE for line in shown for c in line) == (
            size[0] >= 24 and size[1] >= 4
        )
        for key in ("left", "shift+left", "plus", "greater_than_sign", "g", "w", "escape"):
            await pilot.press(key)
            lines(chart)


@given(
    st.sampled_from([0, 1, 2, 100]),
    st.lists(st.tuples(st.integers(0, 110), st.integers(0, 35)), min_size=1, max_size=3),
    st.lists(
        st.sampled_from(
            ["move(-1)", "move(10)", "edge(0)", "edge(1)", "zoom(0.5)", "zoom(2)", "pan(0.25)",
             "whole", "log"]
        ),
        max_size=8,
    ),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
async def test_any_size_any_keys(
    count: int, sizes: list[tuple[int, int]], actions: list[str]
) -> None:
    chart = show(count)
    async with bench(chart, (120, 40)) as (pilot, _):
        for size in sizes:
            chart.styles.width, chart.styles.height = size
            await pilot.pause()
            lines(chart)
            for action in actions:
                await chart.run_action(action)
                lines(chart)


async def test_what_stands_in_an_empty_one() -> None:
    chart = show(0)
    async with bench(chart, (40, 5)) as (pilot, app):
        assert "Nothing yet" in lines(chart)[1]
        assert chart.copy_text() == ""
        await pilot.press("left", "plus", "w", "end")
        assert app.said == []
        chart.set_lines("Loss", [Source([(3.0, 0.5)]).line("Loss")], (3, 3), unit="nats")
        assert lines(chart)[0].startswith("Loss (nats)   Loss 0.5000")


async def test_too_small_for_a_picture_there_are_values() -> None:
    chart = show()
    async with bench(chart, (40, 2)):
        assert lines(chart)[0].rstrip() == "Loss   a train 0.1835   b ● eval 2.000"
        assert not lines(chart)[1].strip()


async def test_the_cursor_reads_every_line() -> None:
    chart = show()
    async with bench(chart) as (pilot, app):
        last = lines(chart)[0]
        assert "train 0.1835" in last
        await pilot.press("right")
        assert app.said == [("cursor", 99.0)]
        assert " 99 " in lines(chart)[-1]
        await pilot.press("home")
        assert "train 2.000" in lines(chart)[0]
        assert any("│" in line[6:] for line in lines(chart)[1:])
        await pilot.press("right", "shift+right", "shift+left", "left")
        at = [x for name, x in app.said if name == "cursor"]
        assert at[1] == 0
        assert at[-1] in (0, 1), "the first column has two points"
        assert isinstance(at[3], float)
        assert at[3] > 15
        await pilot.press("end", "right")
        assert chart.view.cursor == 99
        count = len(app.said)
        chart.put_cursor(50)
        await pilot.pause()
        assert len(app.said) == count, "nobody is told"
        assert "train 0.3333" in lines(chart)[0]
        await pilot.click(offset=(30, 5))
        assert len(app.said) == count + 1


async def test_escape_is_the_charts_only_while_there_is_a_cursor() -> None:
    chart = show()
    async with bench(chart) as (pilot, app):
        await pilot.press("left", "escape")
        assert chart.view.cursor is None
        assert app.said[-1] == ("cursor", None)
        assert app.left == 0
        await pilot.press("escape")
        assert app.left == 1


async def test_keys_for_zoom_pan_whole_and_log() -> None:
    chart = show(1000)
    async with bench(chart) as (pilot, app):
        whole = lines(chart)
        await pilot.press("plus")
        assert chart.view.window((0, 999)) == (249.75, 749.25)
        assert lines(chart) != whole
        await pilot.press("plus", "equals_sign", "minus", "minus")
        assert chart.view.window((0, 999)) == pytest.approx((249.75, 749.25))
        await pilot.press("less_than_sign")
        first = chart.view.first
        assert first == pytest.approx(249.75 - 499.5 / 4)
        await pilot.press("greater_than_sign", "w")
        assert chart.view.whole
        assert lines(chart) == whole
        await pilot.press("g")
        assert "log y" in lines(chart)[0]
        await pilot.press("alt+g")
        assert lines(chart) == whole
        assert {name for name, _ in app.said} == {"view"}
        count = len(app.said)
        chart.set_view(ChartView(first=0, last=10))
        await pilot.pause()
        assert len(app.said) == count
        assert lines(chart) != whole


async def test_charts_share_a_view() -> None:
    chart = show()
    view = ChartView(first=10, last=40, cursor=20, log_y=True)
    chart.set_view(view)  # before it is mounted as well
    async with bench(chart):
        assert " 20 " in lines(chart)[-1]
        assert chart.view == view
        chart.set_lines("Loss", [Source(straight(9)).line()], (0, 8), axis="epoch")
        assert chart.view == ChartView(log_y=True), "another x"
        chart.set_view(view)
        chart.set_lines("", [], axis="epoch")
        assert chart.view == ChartView(log_y=True), "nothing to look at"


async def test_new_points_draw_only_the_lines_they_are_in() -> None:
    source = Source([(float(x), 2 / (1 + x / 10)) for x in range(100)])
    chart = Watched()
    chart.set_lines("Loss", [source.line("Loss")], (0, 99))
    async with bench(chart, (80, 20)) as (pilot, _):
        source.points.append((100.0, 0.18))
        chart.update_extent((0, 100))  # makes room for the next
        await pilot.pause()
        chart.drawn.clear()
        chart.update_extent((0, 100))
        await pilot.pause()
        assert chart.drawn == []
        source.points += [(101.0, 0.18), (102.0, 0.18)]
        chart.update_extent((0, 102))
        await pilot.pause()
        assert 0 < len(set(chart.drawn)) <= 3
        before = lines(chart)
        chart.refresh()
        await pilot.pause()
        assert lines(chart) == before
        chart.drawn.clear()
        chart.put_cursor(40)
        await pilot.pause()
        assert len(set(chart.drawn)) == 19, "all but the line along x"


async def test_a_window_at_the_end_moves_along() -> None:
    source = Source(straight(100))
    chart = Watched()
    chart.set_lines("Loss", [source.line("Loss")], (0, 99))
    async with bench(chart) as (pilot, _):
        await pilot.press("end", "plus", "plus", "escape")
        assert chart.view.last == 99
        source.points += [(float(x), float(x)) for x in range(100, 120)]
        chart.update_extent((0, 119))
        assert chart.view.last is not None
        assert chart.view.last >= 119
        assert chart.view.first is not None
        assert chart.view.first > 90
        chart.update_extent((0, 10))  # it began anew
        lines(chart)
        chart.update_extent(None)
        lines(chart)


async def test_what_is_copied_is_what_is_in_sight() -> None:
    chart = show(1000)
    async with bench(chart):
        chart.set_view(ChartView(first=0, last=10))
        head, *rows = chart.copy_text().split("\n")
        assert head.split("\t") == [
            "step", "train min", "train max", "train mean", "eval min", "eval max"
        ]  # fmt: skip
        assert [row.split("\t")[0] for row in rows] == [str(x) for x in range(11)]
        assert rows[0].split("\t")[1:] == ["2", "2", "2", "2", "2"]
        assert rows[1].split("\t")[4:] == ["", ""]
