"""The pictures of attention, each in an application of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from hfterm.attention.types import Array
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.head_layout import short_amount
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.map_layout import Extent, fitting, lay_out, stages
from hfterm.widgets.ramps import Depth
from hfterm.widgets.scatter import Scatter

DEPTHS: dict[Depth, ColorSystem | None] = {
    "truecolor": ColorSystem.TRUECOLOR,
    "256": ColorSystem.EIGHT_BIT,
    "16": ColorSystem.STANDARD,
    "none": None,
}

BRAILLE = range(0x2801, 0x2900)

WORDS = ["[CLS]", "the", "cat", "sat", "on", "##ed", "漢字", "e\u0301", "a·very·long·token·indeed"]


class Bench(App[None]):
    """One widget, and what it said."""

    CSS = "Screen { overflow: hidden; }"

    def __init__(self, widget: Widget, depth: Depth = "truecolor") -> None:
        super().__init__()
        self.widget = widget
        self.console._color_system = DEPTHS[depth]  # pyright: ignore[reportPrivateUsage]
        self.no_color = depth == "none"
        self.said: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget


@asynccontextmanager
async def bench(
    widget: Widget, size: tuple[int, int], depth: Depth = "truecolor"
) -> AsyncGenerator[Pilot[None]]:
    """The widget, as large as that; the messages it sends are in the application's `said`."""
    app = Bench(widget, depth)

    def hook(message: Message) -> None:
        # a click passes by as well
        if getattr(message, "control", None) is widget and type(message).__module__.startswith(
            "hfterm"
        ):
            app.said.append(message)

    async with app.run_test(size=(max(1, size[0]), max(1, size[1])), message_hook=hook) as pilot:
        widget.styles.width, widget.styles.height = size
        widget.focus()
        await pilot.pause()
        yield pilot


def said(pilot: Pilot[None]) -> list[tuple[str, dict[str, Any]]]:
    """Each message once, in order, with what it carries."""
    app = pilot.app
    assert isinstance(app, Bench)
    found: list[tuple[str, dict[str, Any]]] = []
    seen: set[int] = set()
    for message in app.said:
        if id(message) not in seen:
            seen.add(id(message))
            fields = {
                name: value
                for name, value in vars(message).items()
                if not name.startswith("_") and not isinstance(value, Widget)
                and name not in ("time",)
            }  # fmt: skip
            found.append((type(message).__name__, fields))
    return found


def lines(widget: Widget) -> list[str]:
    """What the widget draws; each line is exactly as wide as it."""
    width, height = widget.size
    strips = [widget.render_line(y) for y in range(height)]
    texts = ["".join(segment.text for segment in strip) for strip in strips]
    for strip, text in zip(strips, texts, strict=True):
        assert cell_len(text) == width
        assert strip.cell_length == width
    return texts


async def act(widget: Widget, key: str) -> None:
    """What the key does, if it does anything; a hundred times faster than to press it."""
    for binding in type(widget).BINDINGS:
        assert isinstance(binding, Binding)
        if key in binding.key.split(","):
            await widget.run_action(binding.action)


def drawn(widget: Widget) -> list[list[tuple[str, str]]]:
    """What the widget draws, with its styles."""
    return [
        [(segment.text, str(segment.style)) for segment in widget.render_line(y)]
        for y in range(widget.size.height)
    ]


def labels(count: int) -> list[str]:
    return [WORDS[index % len(WORDS)] for index in range(count)]


def causal(count: int, seed: int = 0) -> np.ndarray:
    """Weights of a causal head."""
    weights = np.tril(np.random.default_rng(seed).random((count, count)) ** 4 + 1e-3)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def coded(weights: np.ndarray) -> np.ndarray:
    return np.rint(np.sqrt(weights) * 255).astype(np.uint8)


def heads(layers: int, count: int, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    values = random.random((layers, count), np.float32) * 4
    maps = (random.random((layers, count, side, side)) * 255).astype(np.uint8)
    return values, np.tril(maps)


# -- every widget, every size ------------------------------------------------------------------


def show_map(count: int) -> Widget:
    widget = Heatmap(empty="No map yet")
    widget.set_map(causal(count) if count else None, labels(count), labels(count), causal=True)
    return widget


def show_heads(count: int) -> Widget:
    widget = HeadGrid(empty="No heads yet")
    values, maps = heads(max(count, 1), max(1, count // 2))
    widget.set_heads(values if count else None, maps if count else None, causal=True)
    return widget


def show_small_maps(count: int) -> Widget:
    widget = show_heads(count)
    assert isinstance(widget, HeadGrid)
    widget.mode = "maps"
    return widget


def show_links(count: int) -> Widget:
    widget = LinkLines(empty="No links yet")
    widget.set_links(causal(count) if count else None, labels(count), labels(count), causal=True)
    return widget


def show_points(count: int) -> Widget:
    widget = Scatter(empty="No points yet")
    points = np.random.default_rng(2).normal(size=(count, 2)).astype(np.float32)
    widget.set_points(points, labels(count), (0.41, 0.18))
    return widget


SHOWS: list[Callable[[int], Widget]] = [
    show_map, show_heads, show_small_maps, show_links, show_points,
]  # fmt: skip


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("size", [(80, 24), (38, 12), (9, 4)])
async def test_every_depth_and_every_line_as_wide_as_the_widget(
    show: Callable[[int], Widget], depth: Depth, size: tuple[int, int]
) -> None:
    widget = show(14)
    async with bench(widget, size, depth):
        lines(widget)
        for key in ("down", "right", "end", "pagedown", "v", "a", "plus", "s", "up"):
            await act(widget, key)
            lines(widget)


@pytest.mark.parametrize("show", SHOWS)
@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0), (1, 1), (1, 20), (60, 1), (2, 2)])
@pytest.mark.parametrize("count", [0, 1, 40])
async def test_hostile_sizes(
    show: Callable[[int], Widget], size: tuple[int, int], count: int
) -> None:
    widget = show(count)
    async with bench(widget, size):
        lines(widget)
        widget.render_line(0)
        for key in ("down", "right", "end", "pagedown", "v", "a", "enter", "plus", "home", "up"):
            await act(widget, key)
            lines(widget)


@given(
    st.sampled_from(SHOWS),
    st.integers(0, 33),
    st.sampled_from([*DEPTHS]),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 40)), min_size=1, max_size=4),
    st.lists(
        st.sampled_from(
            ["down", "up", "left", "right", "home", "end", "pageup", "pagedown", "v", "a", "plus",
             "minus", "0", "s", "shift+right", "shift+down"]
        ),
        max_size=8,
    ),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
async def test_any_size_any_keys(
    show: Callable[[int], Widget],
    count: int,
    depth: Depth,
    sizes: list[tuple[int, int]],
    keys: list[str],
) -> None:
    widget = show(count)
    async with bench(widget, (120, 40), depth) as pilot:
        for size in sizes:
            widget.styles.width, widget.styles.height = size
            await pilot.pause()
            lines(widget)
            for key in keys:
                await act(widget, key)
                lines(widget)


@pytest.mark.parametrize("show", SHOWS)
async def test_what_stands_in_an_empty_one(show: Callable[[int], Widget]) -> None:
    widget = show(0)
    async with bench(widget, (40, 5)):
        assert "yet" in lines(widget)[1]
        assert isinstance(widget, (Heatmap, HeadGrid, LinkLines, Scatter))
        widget.set_empty("Something else")
        assert lines(widget)[1].strip() == "Something else"
        assert widget.copy_text() == ""


# -- heat map ----------------------------------------------------------------------------------


async def test_the_crosshair_moves_and_says_where_it_is() -> None:
    weights = causal(6)
    widget = Heatmap()
    widget.set_map(weights, labels(6), labels(6), causal=True)
    async with bench(widget, (80, 24)) as pilot:
        await pilot.press("down", "down", "right")
        assert widget.position == (2, 1)
        assert widget.weight == pytest.approx(float(weights[2, 1]))
        places = [(fields["query"], fields["key"]) for _, fields in said(pilot)]
        assert places == [(1, 0), (2, 0), (2, 1)]
        assert said(pilot)[-1][1]["weight"] == pytest.approx(float(weights[2, 1]))
        shown = lines(widget)
        marked = [line for line in shown if "▸" in line]
        assert len(marked) == 1
        assert "cat" in marked[0]
        await pilot.press("end", "home", "pagedown")
        widget.go_to(5, 4)
        assert widget.position == (5, 4)
        count = len(said(pilot))
        await pilot.pause()
        assert len(said(pilot)) == count
        header, row = widget.copy_text().split("\n")
        assert header.split("\t")[1:] == labels(6)
        assert float(row.split("\t")[6]) == pytest.approx(float(weights[5, 5]), rel=1e-4)


async def test_a_click_moves_the_crosshair() -> None:
    widget = Heatmap()
    widget.set_map(causal(6), labels(6), labels(6))
    async with bench(widget, (80, 24)) as pilot:
        await pilot.click(offset=(40, 12))
        assert widget.position[0] > 0
        assert [name for name, _ in said(pilot)] == ["Moved"]


@pytest.mark.parametrize("as_codes", [False, True])
async def test_zoom_and_pan(as_codes: bool) -> None:
    weights = causal(600)
    widget = Heatmap()
    given_map = coded(weights) if as_codes else weights
    widget.set_map(Array.of(given_map), labels(600), labels(600), causal=True)
    async with bench(widget, (70, 20)) as pilot:
        whole = widget.tokens_per_cell
        assert whole > 4
        await pilot.press("shift+down")  # all of it is in sight
        fitted = drawn(widget)
        before = widget.position
        for _ in range(80):
            await act(widget, "plus")
        assert widget.tokens_per_cell == 1
        assert drawn(widget) != fitted
        near = drawn(widget)
        await pilot.press("shift+down", "shift+right")
        assert drawn(widget) != near
        assert widget.position == before
        await pilot.press("shift+up", "shift+left")
        assert drawn(widget) == near
        await pilot.press("minus")
        assert drawn(widget) != near
        await pilot.press("0")
        assert widget.tokens_per_cell == whole
        assert drawn(widget) == fitted


async def test_zoomed_out_the_crosshair_comes_to_the_largest_weight() -> None:
    weights = np.full((512, 512), 1e-4, np.float32)
    weights[300, 77] = 0.9
    widget = Heatmap()
    widget.set_map(weights, labels(512), labels(512))
    async with bench(widget, (70, 20)) as pilot:
        widget.go_to(300, 77)
        side = widget.tokens_per_cell
        await pilot.press("left", "right")
        assert side > 1
        assert widget.position == (300, 77)


async def test_the_next_scale() -> None:
    widget = Heatmap()
    widget.set_map(causal(6), labels(6), labels(6))
    async with bench(widget, (80, 24)) as pilot:
        pictures: list[object] = []
        for scale in ("linear", "row max", "sqrt"):
            pictures.append(drawn(widget))
            await pilot.press("s")
            assert widget.scale == scale
        assert pictures[0] != pictures[1] != pictures[2]
        assert [fields["scale"] for _, fields in said(pilot)] == ["linear", "row max", "sqrt"]


@pytest.mark.parametrize("depth", DEPTHS)
async def test_what_a_mask_excludes_is_not_weight_0(depth: Depth) -> None:
    weights = np.zeros((4, 4), np.float32)
    weights[:, 0] = 1
    weights[3, 2] = np.nan
    widget = Heatmap()
    widget.set_map(weights, labels(4), labels(4), causal=True)
    async with bench(widget, (70, 14), depth):
        dots = sum(line.count("·") for line in lines(widget) if "masked" not in line)
        assert dots == 6
        text = "\n".join(lines(widget))
        assert "· masked" in text
        assert "× not a number: 1" in text
        assert sum(line.count("×") for line in lines(widget)[:-1]) == 1
        widget.set_map(weights, labels(4), labels(4))
        assert not any("·" in line for line in lines(widget)[:-1])
        # a weight where the mask should have none is shown
        weights[0, 3] = 0.5
        widget.set_map(weights, labels(4), labels(4), causal=True)
        assert sum(line.count("·") for line in lines(widget)[:-1]) == 5


async def test_windows_and_masks_exclude() -> None:
    widget = Heatmap()
    widget.set_map(np.eye(4, dtype=np.float32), labels(4), labels(4), causal=True, window=1)
    async with bench(widget, (40, 14)):
        assert sum(line.count("·") for line in lines(widget)[:-1]) == 12
        widget.set_map(
            np.eye(4, dtype=np.float32), labels(4), labels(4),
            masked=lambda queries, keys: (queries[:, None] == 0) & (keys[None, :] > 1),
        )  # fmt: skip
        assert sum(line.count("·") for line in lines(widget)[:-1]) == 2


@pytest.mark.parametrize("as_codes", [False, True])
async def test_without_some_tokens_the_rest_gets_shares(as_codes: bool) -> None:
    weights = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]], np.float32)
    widget = Heatmap()
    widget.set_map(
        coded(weights) if as_codes else weights, ["a", "b", "c"], ["x", "y", "z"],
        keep_rows=np.array([False, True, True]), keep_columns=np.array([False, True, True]),
    )  # fmt: skip
    async with bench(widget, (40, 14)) as pilot:
        assert widget.position == (1, 1)
        assert widget.weight == pytest.approx(0.5, abs=0.01)
        assert widget.copy_text().split("\n")[0].split("\t") == ["", "y", "z"]
        await pilot.press("down", "right")
        assert widget.position == (2, 2)
        assert widget.weight == pytest.approx(1)
        text = "\n".join(lines(widget))
        assert "b" in text
        assert "a" not in text.replace("scale", "")


async def test_a_single_pair() -> None:
    widget = Heatmap()
    widget.set_map(np.ones((1, 1), np.float32), ["only"], ["one"])
    async with bench(widget, (40, 14)) as pilot:
        assert "1.0" in "\n".join(lines(widget))
        await pilot.press("down", "end", "plus", "minus", "0", "shift+left")
        assert widget.position == (0, 0)
        assert widget.weight == 1
        assert said(pilot) == []


async def test_a_difference_has_signs() -> None:
    widget = Heatmap()
    widget.set_map(
        np.array([[0.5, -0.5], [0, 0.25]], np.float32), ["a", "b"], ["c", "d"], signed=True
    )
    async with bench(widget, (40, 14), "none"):
        text = "\n".join(lines(widget))
        assert "+.50" in text
        assert "−.50" in text
        assert "−0.5" in lines(widget)[-1]


# -- heads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.42, ".42"), (0.996, "1.0"), (3.14, "3.1"), (9.96, "10"), (12.4, "12"),
     (999.7, "1k"), (8192, "8k"), (99_500, "1e5"), (2e6, "2e6"), (float("inf"), "∞"),
     (float("nan"), "–"), (-0.5, "−.50")],
)  # fmt: skip
def test_a_number_in_three_cells(value: float, text: str) -> None:
    assert short_amount(value) == text


@given(st.floats(0, allow_nan=False))
def test_no_number_is_longer(value: float) -> None:
    assert 1 <= len(short_amount(value)) <= 3
    assert len(short_amount(-value, signed=True)) <= 4


@pytest.mark.parametrize(
    ("layers", "count", "size", "numbered"),
    [(30, 9, (38, 12), True), (6, 12, (80, 12), True), (80, 64, (90, 30), False)],
)
async def test_a_grid_can_be_read(
    layers: int, count: int, size: tuple[int, int], numbered: bool
) -> None:
    values, _ = heads(layers, count)
    widget = HeadGrid()
    widget.set_heads(values)
    async with bench(widget, size):
        shown = lines(widget)
        assert shown[0].split()[0] == "0"
        assert (short_amount(float(values[0, 5])) in shown[1]) == numbered
        ends = (short_amount(float(end)) for end in (values.min(), values.max()))
        assert all(end in shown[-1] for end in ends)
        for key in ("end", *["pagedown"] * layers):
            await act(widget, key)
        assert widget.selected == (layers - 1, count - 1)
        shown = lines(widget)
        assert shown[-1].count(short_amount(float(values[-1, -1]))) >= 1
        assert any(line.strip().startswith(str(layers - 1)) for line in shown)
        assert str(count - 1) in shown[0]


async def test_heads_are_highlighted_and_chosen() -> None:
    widget = HeadGrid()
    widget.set_heads(heads(4, 5)[0])
    async with bench(widget, (60, 12)) as pilot:
        await pilot.press("down", "l", "left", "left", "enter")
        assert said(pilot) == [
            ("HeadHighlighted", {"layer": 1, "head": 0}),
            ("HeadHighlighted", {"layer": 1, "head": 1}),
            ("HeadHighlighted", {"layer": 1, "head": 0}),
            ("HeadChosen", {"layer": 1, "head": 0}),
        ]
        widget.go_to(99, 99)
        assert widget.selected == (3, 4)
        await pilot.pause()
        assert len(said(pilot)) == 4
        await pilot.click(offset=(5, 2))
        assert said(pilot)[-1][0] == "HeadHighlighted"
        place = widget.selected
        assert place != (3, 4)
        await pilot.click(offset=(5, 2), times=2)
        assert said(pilot)[-1] == ("HeadChosen", {"layer": place[0], "head": place[1]})


@pytest.mark.parametrize("signed", [False, True])
async def test_heads_in_the_order_of_their_values(signed: bool) -> None:
    values = np.array([[0.1, -0.9, np.nan], [0.4, 0.3, -0.2]], np.float32)
    widget = HeadGrid()
    widget.set_heads(values, signed=signed)
    order = [(0, 1), (1, 0), (1, 1), (1, 2), (0, 0)] if signed else None
    order = order or [(1, 0), (1, 1), (0, 0), (1, 2), (0, 1)]
    async with bench(widget, (40, 8)) as pilot:
        for place in [*order, order[-1]]:  # the head without a value is in no order
            await pilot.press("n")
            assert widget.selected == place
        await pilot.press("N")
        assert widget.selected == order[-2]
        await pilot.press("home", "up", "up", "end", "n")
        assert widget.selected == order[0]


async def test_a_metric_without_a_meaning() -> None:
    values, _ = heads(4, 5)
    values[1, 2] = np.nan
    widget = HeadGrid()
    widget.set_heads(values)
    async with bench(widget, (60, 12)) as pilot:
        assert sum(line.count("–") for line in lines(widget)[:-1]) == 1
        assert "– no meaning" in lines(widget)[-1]
        widget.go_to(1, 2)
        assert sum(line.count("–") for line in lines(widget)[:-1]) == 1
        assert widget.copy_text().split("\n")[2].split("\t")[3] == "nan"
        values[:] = np.nan
        widget.set_heads(values)
        await pilot.pause()
        assert sum(line.count("–") for line in lines(widget)[:-1]) == 20
        values[:] = np.inf
        widget.set_heads(values, signed=True)
        lines(widget)


async def test_small_maps() -> None:
    values, maps = heads(3, 4, 16)
    widget = HeadGrid()
    widget.set_heads(values, maps, causal=True)
    async with bench(widget, (80, 30)) as pilot:
        assert "▀" not in "\n".join(lines(widget))
        await pilot.press("v")
        assert widget.mode == "maps"
        assert said(pilot) == [("ModeChanged", {"mode": "maps"})]
        text = "\n".join(lines(widget))
        assert "▀" in text
        assert "·" in text
        assert "▐" in text
        widget.set_heads(values)  # there are no maps now: numbers, until there are again
        assert "▀" not in "\n".join(lines(widget))
        await pilot.press("v")
        assert widget.mode == "maps"
        widget.set_heads(None, maps)
        assert "▀" in "\n".join(lines(widget))


async def test_a_small_map_keeps_the_largest_weight() -> None:
    maps = np.zeros((1, 1, 64, 64), np.uint8)
    maps[0, 0, 37, 5] = 255
    widget = HeadGrid()
    widget.set_heads(np.ones((1, 1), np.float32), maps)
    widget.mode = "maps"
    async with bench(widget, (16, 8), "none"):
        assert sum(line.count("█") for line in lines(widget)[:-1]) == 1


# -- links -------------------------------------------------------------------------------------


def dots(widget: LinkLines) -> int:
    return sum(ord(character) in BRAILLE for line in lines(widget) for character in line)


async def test_links_of_the_chosen_query() -> None:
    weights = np.zeros((9, 9), np.float32)
    weights[:, 0] = 1
    weights[4] = [0.5, 0, 0, 0.25, 0.25, 0, 0, 0, 0]
    widget = LinkLines()
    widget.set_links(weights, labels(9), labels(9), causal=True)
    async with bench(widget, (80, 12)) as pilot:
        shown = lines(widget)
        assert shown[0].count("[CLS]") == 2
        assert "1.0" in shown[0]
        assert all("·" in line for line in shown[1:5])
        one = dots(widget)
        await pilot.press("down", "j", "down", "down")
        assert widget.selected == 4
        assert said(pilot) == [("QueryHighlighted", {"query": query}) for query in range(1, 5)]
        shown = lines(widget)
        assert ".50" in shown[0]
        assert ".25" in shown[3]
        assert "▸" in shown[4]
        assert dots(widget) > one > 0
        few = dots(widget)
        await pilot.press("a")
        assert widget.all_links
        assert dots(widget) > few
        widget.go_to(8)
        assert widget.selected == 8
        await pilot.press("home", "end", "pageup", "pagedown")
        assert widget.copy_text().startswith(f"{labels(9)[8]}\tweight\n[CLS]\t1")
        await pilot.click(offset=(2, 3))
        assert widget.selected == 3
        assert said(pilot)[-1] == ("QueryHighlighted", {"query": 3})


@pytest.mark.parametrize("strongest", [0, 1, 60, 98, 99])
async def test_the_heaviest_key_is_in_sight(strongest: int) -> None:
    weights = np.zeros((100, 100), np.float32)
    weights[:, [3, 97]] = 0.1
    weights[:, strongest] = 0.8
    names = [f"k{index}k" for index in range(100)]
    widget = LinkLines()
    widget.set_links(weights, names, names)
    async with bench(widget, (60, 12)) as pilot:
        for query in (0, 50, 99):
            widget.go_to(query)
            await pilot.pause()
            text = "\n".join(lines(widget))
            assert f"k{strongest}k" in "\n".join(line[20:] for line in lines(widget))
            assert ".80" in text
            assert "more" in text


async def test_links_without_hidden_tokens_and_with_numbers_that_are_none() -> None:
    weights = np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4], [0.0, np.nan, 1.0]], np.float32)
    keep = np.array([False, True, True])
    widget = LinkLines()
    widget.set_links(
        coded(np.nan_to_num(weights)), labels(3), labels(3), keep_rows=keep, keep_columns=keep
    )
    async with bench(widget, (60, 12)):
        assert widget.selected == 1
        assert ".50" in lines(widget)[0]
        widget.set_links(weights, labels(3), labels(3))
        widget.go_to(2)
        assert "×" in lines(widget)[1]


async def test_without_colours_only_heavy_links_are_drawn() -> None:
    weights = np.array([[0.05, 0.05, 0.9]], np.float32)
    counts: list[int] = []
    for depth in ("truecolor", "none"):
        widget = LinkLines()
        widget.set_links(weights, ["q"], labels(3))
        async with bench(widget, (60, 12), depth):
            counts.append(sum(ord(c) in BRAILLE for c in lines(widget)[0]))
            assert ".90" in lines(widget)[2]
    assert counts[0] > counts[1]


# -- plane -------------------------------------------------------------------------------------

SQUARE = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)


async def test_points_are_where_they_belong() -> None:
    widget = Scatter()
    widget.set_points(SQUARE, ["aa", "bb", "cc", "dd"], (0.413, 0.18))
    async with bench(widget, (40, 12)) as pilot:
        shown = lines(widget)
        assert "PC 2 (18 %)" in shown[0]
        assert "PC 1 (41 %)" in shown[-1]
        assert shown[1].startswith("│cc")
        assert shown[1].endswith("dd│")
        assert shown[-2].startswith("│aa")
        assert shown[-2].endswith("bb│")
        places: list[int] = []
        for key in ("right", "up", "left", "down", "left", "end", "home", "pagedown"):
            await pilot.press(key)
            places.append(widget.selected)
        assert places == [1, 3, 2, 0, 0, 3, 0, 1]
        assert [fields["index"] for _, fields in said(pilot)] == [1, 3, 2, 0, 3, 0, 1]
        widget.go_to(2)
        assert widget.selected == 2
        await pilot.click(offset=(38, 10))
        assert widget.selected == 1
        assert widget.copy_text().split("\n")[1] == "aa\t0\t0"


async def test_points_in_one_place_are_reached_one_after_another() -> None:
    points = np.zeros((3, 2), np.float32)
    widget = Scatter()
    widget.set_points(points, ["one", "two", "three"])
    async with bench(widget, (40, 12)) as pilot:
        assert "one" in "\n".join(lines(widget))
        await pilot.press("right")
        assert "two" in "\n".join(lines(widget))
        await pilot.press("down")
        assert widget.selected == 2
        await pilot.press("left", "up")
        assert widget.selected == 0


async def test_where_there_is_no_room_there_is_a_dot() -> None:
    points = np.stack([np.arange(60), np.zeros(60)], axis=1).astype(np.float32)
    widget = Scatter()
    widget.set_points(points, [f"token{index}" for index in range(60)])
    async with bench(widget, (62, 8)) as pilot:
        text = "\n".join(lines(widget))
        assert text.count("•") > 40
        assert "token0" in text
        await pilot.press("right", "right", "right")
        assert "token3" in "\n".join(lines(widget))


async def test_points_that_are_no_numbers_are_left_out() -> None:
    points = SQUARE.copy()
    points[0] = np.nan
    points[3, 1] = np.inf
    widget = Scatter()
    widget.set_points(points, ["aa", "bb", "cc", "dd"])
    async with bench(widget, (40, 12)) as pilot:
        text = "\n".join(lines(widget))
        assert "bb" in text
        assert "cc" in text
        assert "aa" not in text
        assert "dd" not in text
        await pilot.press("right")
        assert widget.selected in (1, 2)
        widget.set_points(points * np.nan, ["aa", "bb", "cc", "dd"])
        await pilot.press("right", "pagedown")
        lines(widget)


async def test_a_long_text_has_a_point_for_each_token() -> None:
    widget = show_points(8192)
    async with bench(widget, (120, 40)) as pilot:
        lines(widget)
        await pilot.press("right", "down", "left", "up", "end")
        assert isinstance(widget, Scatter)
        assert widget.selected == 8191
        lines(widget)


def test_short_names_rather_than_two_tokens_in_a_cell() -> None:
    """13 tokens take seven lines of half blocks; what is left over is for the names."""
    heads = {}
    for height in (8, 9, 10, 11, 12):
        extent = Extent(38, height, 13, 13, 7, 7)
        layout = lay_out(stages(True)[fitting(True, extent)], extent)
        heads[height] = (layout.stage.size, layout.head, layout.top)
        assert layout.whole
    assert heads == {
        8: (2, "ticks", 1), 9: (1, "ticks", 1), 10: (1, "down", 2), 11: (1, "down", 3),
        12: (1, "down", 4),
    }  # fmt: skip
