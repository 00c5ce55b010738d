"""The pictures of attention where there is nothing: no map, no room, no place under the mouse."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from hfterm.attention.strip import as_encoding
from hfterm.attention.types import Token
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.scatter import Scatter
from hfterm.widgets.token_source import TokenSource, describe
from hfterm.widgets.token_strip import TokenStrip

LABELS = ["one", "two", "three", "four"]
EVEN = np.full((4, 4), 0.25, np.float32)
NONE_KEPT = np.zeros(4, bool)


class Bench(App[None]):
    """One widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


@asynccontextmanager
async def bench(
    widget: Widget, size: tuple[int, int] = (60, 12)
) -> AsyncGenerator[tuple[Pilot[None], list[str]]]:
    """The widget in an application, and the names of what it said."""
    said: list[str] = []
    heard: list[Message] = []  # a message passes by more than once

    def hook(message: Message) -> None:
        own = getattr(message, "control", None) is widget
        if own and type(message).__module__.startswith("hfterm") and message not in heard:
            heard.append(message)
            said.append(type(message).__name__)

    app = Bench(widget)
    async with app.run_test(size=(80, 24), message_hook=hook) as pilot:
        widget.styles.width, widget.styles.height = size
        widget.focus()
        await pilot.pause()
        yield pilot, said


def lines(widget: Widget) -> list[str]:
    """What the widget draws, without what ends a line."""
    strips = [widget.render_line(y) for y in range(widget.size.height)]
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def drawn(widget: Widget) -> list[list[tuple[str, str]]]:
    """What the widget draws, with its styles."""
    return [
        [(segment.text, str(segment.style)) for segment in widget.render_line(y)]
        for y in range(widget.size.height)
    ]


def grid_of(layers: int, heads: int) -> HeadGrid:
    widget = HeadGrid(empty="No heads yet")
    widget.set_heads(np.arange(layers * heads, dtype=np.float32).reshape(layers, heads))
    return widget


# -- heads -------------------------------------------------------------------------------------


async def test_a_click_beside_the_heads_selects_none() -> None:
    widget = grid_of(2, 3)
    async with bench(widget) as (pilot, said):
        for place in ((0, 0), (30, 0), (59, 11), (0, 1)):  # the head line, the gutter, the foot
            await pilot.click(widget, offset=place)
        assert widget.selected == (0, 0)
        assert said == []


async def test_an_empty_grid_takes_neither_clicks_nor_keys_nor_the_wheel() -> None:
    widget = HeadGrid(empty="No heads yet")
    async with bench(widget) as (pilot, said):
        await pilot.click(widget, offset=(20, 5))
        await pilot.press("n", "N", "enter", "v", "pagedown", "end")
        await pilot._post_mouse_events([MouseScrollDown], widget, offset=(5, 5))
        assert lines(widget)[1] == " No heads yet"
        assert widget.selected == (0, 0)
        assert said == []


async def test_heads_without_a_number_have_no_order() -> None:
    widget = HeadGrid()
    widget.set_heads(None, np.full((2, 3, 4, 4), 255, np.uint8))
    async with bench(widget) as (pilot, said):
        await pilot.press("right", "n")
        assert widget.selected == (0, 1)
        assert said == ["HeadHighlighted"]
        assert widget.copy_text() == ""


async def test_the_same_mode_again_changes_nothing() -> None:
    widget = grid_of(2, 3)
    async with bench(widget) as (_, said):
        before = lines(widget)
        widget.mode = "metric"
        assert lines(widget) == before
        assert said == []


# -- maps --------------------------------------------------------------------------------------


async def test_a_map_without_a_key_is_empty() -> None:
    widget = Heatmap(empty="No map yet")
    widget.set_map(EVEN, LABELS, LABELS)
    async with bench(widget):
        assert widget.weight == pytest.approx(0.25)
        widget.set_map(EVEN, LABELS, LABELS, keep_columns=NONE_KEPT)
        assert lines(widget)[1] == " No map yet"
        assert np.isnan(widget.weight)
        assert widget.position == (0, 0)
        assert widget.copy_text() == ""


async def test_a_click_outside_of_the_map_moves_nothing() -> None:
    widget = Heatmap()
    widget.set_map(EVEN, LABELS, LABELS)
    async with bench(widget) as (pilot, said):
        widget.go_to(1, 1)
        await pilot.click(widget, offset=(59, 11))
        assert widget.position == (1, 1)
        assert said == []


async def test_the_scale_that_is_there_already_keeps_the_picture() -> None:
    widget = Heatmap()
    widget.set_map(EVEN * [[0.1], [0.5], [1], [1]], LABELS, LABELS)
    async with bench(widget):
        before, scale = drawn(widget), widget.scale
        widget.scale = scale
        assert drawn(widget) == before
        widget.scale = "linear" if scale != "linear" else "sqrt"
        assert drawn(widget) != before


# -- links -------------------------------------------------------------------------------------


async def test_links_without_a_key_are_empty_and_do_not_scroll() -> None:
    widget = LinkLines(empty="No links yet")
    widget.set_links(EVEN, LABELS, LABELS, keep_columns=NONE_KEPT)
    async with bench(widget) as (pilot, said):
        await pilot._post_mouse_events([MouseScrollDown], widget, offset=(5, 5))
        await pilot.click(widget, offset=(2, 2))
        assert lines(widget)[1] == " No links yet"
        assert widget.selected == 0
        assert said == []


async def test_keys_outside_of_a_window_are_excluded_and_not_weight_0() -> None:
    weights = np.eye(4, dtype=np.float32)
    widget = LinkLines()
    widget.set_links(weights, LABELS, LABELS, causal=True, window=2)
    async with bench(widget):
        widget.go_to(2)
        assert [line[-1] for line in lines(widget)[:4]] != ["·"] * 4
        assert [line.endswith("·") for line in lines(widget)[:4]] == [True, False, False, True]


async def test_keys_that_a_mask_names_are_excluded() -> None:
    def masked(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        return np.abs(queries[:, None] - keys[None, :]) == 3

    widget = LinkLines()
    widget.set_links(np.eye(4, dtype=np.float32), LABELS, LABELS, masked=masked)
    async with bench(widget):
        assert [line.endswith("·") for line in lines(widget)[:4]] == [False, False, False, True]


async def test_a_click_chooses_a_query_and_only_where_there_is_one() -> None:
    widget = LinkLines()
    widget.set_links(np.full((2, 4), 0.25, np.float32), LABELS[:2], LABELS)
    async with bench(widget) as (pilot, said):
        await pilot.click(widget, offset=(1, 3))  # a line that only a key stands on
        await pilot.click(widget, offset=(40, 1))  # beside the queries
        await pilot.click(widget, offset=(1, 11))  # the legend
        assert (widget.selected, said) == (0, [])
        await pilot.click(widget, offset=(1, 1))
        assert (widget.selected, said) == (1, ["QueryHighlighted"])


async def test_more_queries_than_keys_leave_the_lines_of_the_rest_without_a_key() -> None:
    widget = LinkLines()
    widget.set_links(np.full((4, 2), 0.5, np.float32), LABELS, LABELS[:2])
    async with bench(widget):
        third = lines(widget)[2]
        assert third.startswith("three")
        assert not any(label in third for label in LABELS[:2])
        assert ".50" in lines(widget)[1]
        assert ".50" not in third


# -- another terminal --------------------------------------------------------------------------


def show_map() -> Widget:
    widget = Heatmap()
    widget.set_map(EVEN, LABELS, LABELS)
    return widget


def show_links() -> Widget:
    widget = LinkLines()
    widget.set_links(EVEN, LABELS, LABELS)
    return widget


@pytest.mark.parametrize("show", [show_map, show_links, lambda: grid_of(2, 3)])
async def test_fewer_colours_than_before_are_drawn_with_at_once(show: object) -> None:
    assert callable(show)
    widget = show()
    async with bench(widget) as (pilot, _):
        pilot.app.console._color_system = ColorSystem.TRUECOLOR
        before = drawn(widget)
        pilot.app.console._color_system = ColorSystem.EIGHT_BIT
        assert drawn(widget) != before
        pilot.app.console._color_system = ColorSystem.TRUECOLOR
        assert drawn(widget) == before


# -- points ------------------------------------------------------------------------------------


async def test_an_empty_plane_takes_no_click() -> None:
    widget = Scatter(empty="No points yet")
    async with bench(widget) as (pilot, said):
        await pilot.click(widget, offset=(20, 5))
        await pilot.press("end", "down")
        assert lines(widget)[1] == " No points yet"
        assert (widget.selected, said) == (0, [])


async def test_below_the_points_of_a_frameless_plane_is_nothing() -> None:
    widget = Scatter()
    widget.set_points(np.array([[0, 0], [1, 1]], np.float32), ["a", "b"])
    async with bench(widget, (20, 3)):
        assert "".join(lines(widget)).strip()
        assert widget.render_line(3).text.strip() == ""
        assert widget.render_line(-1).text.strip() == ""


# -- the strip ---------------------------------------------------------------------------------


def tokens_of(text: str) -> TokenSource:
    """Words of a text as its tokens, [CLS] before them and [SEP] after them."""
    tokens, at = [Token("[CLS]", "", 0, True, -1, -1)], 0
    for word in text.split():
        at = text.index(word, at)
        tokens.append(Token(word, word, len(tokens), False, at, at + len(word)))
        at += len(word)
    tokens.append(Token("[SEP]", "", len(tokens), True, -1, -1))
    return TokenSource(as_encoding(tokens), (text,))


def chosen(widget: TokenStrip) -> str:
    """As much of the chosen token as is in sight; some of it always is."""
    style = widget.get_component_rich_style("strip--selected")
    strips = [widget.render_line(y) for y in range(widget.size.height)]
    text = "".join(part.text for strip in strips for part in strip if part.style == style)
    assert text
    return text


@pytest.mark.parametrize("source", [None, TokenSource(as_encoding([]), ("",))])
async def test_a_strip_without_tokens_takes_neither_clicks_nor_keys(
    source: TokenSource | None,
) -> None:
    widget = TokenStrip()
    async with bench(widget, (20, 3)) as (pilot, said):
        widget.set_source(source)
        await pilot.press("right", "left", "end", "home")
        await pilot.click(widget, offset=(2, 2))
        widget.select(5)
        assert "".join(lines(widget)).strip() == ""
        assert widget.copy_text() == ""
        assert said == []


async def test_a_click_below_the_last_token_chooses_none() -> None:
    widget = TokenStrip()
    async with bench(widget, (40, 6)) as (pilot, said):
        widget.set_source(tokens_of("one two"), 1)
        await pilot.click(widget, offset=(2, 5))
        assert said == []
        assert widget.copy_text() == "[CLS] one two [SEP]"


async def test_the_chosen_token_comes_into_sight_line_by_line() -> None:
    words = [f"word{number}" for number in range(40)]
    widget = TokenStrip()
    async with bench(widget, (14, 3)) as (_, __):
        widget.set_source(tokens_of(" ".join(words)))
        assert "word0" in lines(widget)[0]
        for index in (9, 17, 40, 12, 1):
            widget.select(index)
            assert words[index - 1].startswith(chosen(widget))
        widget.set_source(tokens_of("x" * 500 + " end"), 2)
        assert chosen(widget) == "end"


async def test_a_strip_too_narrow_for_a_character_draws_nothing() -> None:
    widget = TokenStrip()
    async with bench(widget, (1, 3)) as (_, __):
        widget.set_source(TokenSource(tokens_of("你好").encoding, ("你好",)), 1)
        assert all(len(widget.render_line(y).text) == 1 for y in range(3))
        assert "你" not in "".join(lines(widget))


@pytest.mark.parametrize(
    ("text", "index", "said"),
    [
        ("café one", 0, "[CLS]  id 0"),
        ("café one", 1, "café  U+0063 U+0061 U+0066 U+00E9"),
        ("longer-than-8", 1, "longer-than-8  " + " ".join(f"U+{ord(c):04X}" for c in "longer-t")),
    ],
)
def test_a_token_in_words_has_its_code_points_or_its_id(text: str, index: int, said: str) -> None:
    more = " …" if "longer" in text else ""
    assert describe(tokens_of(text), index) == said + more


def test_what_a_template_adds_belongs_to_no_characters_of_the_text() -> None:
    encoding = tokens_of("one two").encoding
    assert encoding.sequence_range(0) == (1, 3)
    assert encoding.at_character(0) == 1
    assert encoding.at_character(6) == 2
    assert as_encoding([Token("[CLS]", "", 0, True, -1, -1)]).at_character(0) is None
