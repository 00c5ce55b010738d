"""Tables, editors, forms and tabs that hold nothing yet, or are asked for what is not in them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input, Tabs

from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.widgets.changed_only import ChangedOnly
from hfterm.widgets.chart import Chart
from hfterm.widgets.composer import Composer
from hfterm.widgets.copying import copyable_text
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, Rows
from hfterm.widgets.load_form import LoadForm
from hfterm.widgets.recipe_form import RecipeForm
from hfterm.widgets.tab_page import TabPage
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.text_panel import TextPanel
from run_fixtures import a_recipe
from waiting import until


class Bench(App[None]):
    """One widget, and what it said."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.said: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget


@asynccontextmanager
async def bench(
    widget: Widget, size: tuple[int, int] = (80, 24)
) -> AsyncGenerator[tuple[Pilot[None], list[Message]]]:
    app = Bench(widget)

    def hook(message: Message) -> None:
        if type(message).__module__.startswith("hfterm") and message not in app.said:
            app.said.append(message)

    async with app.run_test(size=size, message_hook=hook) as pilot:
        widget.focus()
        await pilot.pause()
        yield pilot, app.said


def rows(count: int) -> Rows:
    return Rows(
        [GridColumn("a"), GridColumn("b")],
        [[Cell(str(number)), Cell("x")] for number in range(count)],
        [(number, None) for number in range(count)],
    )


# -- tables --------------------------------------------------------------------------------------


async def test_a_table_without_rows_takes_no_enter_and_gives_nothing_to_copy() -> None:
    grid = DataGrid(empty="Nothing here.")
    async with bench(grid) as (pilot, said):
        await pilot.press("enter", "down", "end", "pagedown")
        await pilot.click(grid, offset=(2, 3))
        assert said == []
        assert grid.copy_text() == ""
        assert copyable_text(grid) == ""


async def test_a_click_on_a_row_goes_to_it_and_on_the_head_or_below_to_none() -> None:
    grid = DataGrid()
    async with bench(grid) as (pilot, said):
        grid.set_source(rows(3), cursor=1)
        await pilot.pause()
        said.clear()
        for below in (0, 9):
            await pilot.click(grid, offset=(2, below))
        assert said == []
        assert grid.cursor_row == 1
        await pilot.click(grid, offset=(2, 3))
        assert grid.cursor_row == 2
        assert [type(message) for message in said] == [DataGrid.RowHighlighted]
        assert grid.copy_text() == "a\tb\n2\t"
        await pilot.press("enter")
        assert isinstance(said[-1], DataGrid.RowChosen)


# -- charts --------------------------------------------------------------------------------------


async def test_a_chart_without_lines_takes_no_cursor() -> None:
    chart = Chart(empty="No points yet.")
    async with bench(chart) as (pilot, said):
        chart.update_extent(None)
        await pilot.press("right", "left", "home", "end", "w", "plus", "greater_than_sign")
        await pilot.click(chart, offset=(20, 5))
        assert chart.view.cursor is None
        assert chart.copy_text() == ""
        assert said == []


async def test_a_chart_whose_first_points_come_keeps_its_view() -> None:
    chart = Chart()
    async with bench(chart):
        before = chart.view
        chart.update_extent((0.0, 10.0))
        assert chart.view == before
        chart.update_extent((0.0, 4.0))  # a resumed run goes back
        chart.put_cursor(2.0)
        assert chart.view.cursor == 2.0


# -- editors -------------------------------------------------------------------------------------


async def test_a_place_behind_the_text_is_its_end() -> None:
    editor = TextEditor("one\ntwo")
    async with bench(editor):
        assert editor.location_of(5) == (1, 1)
        assert editor.location_of(7) == (1, 3)
        assert editor.location_of(1_000) == (1, 3)
        editor.select_span(4, 1_000)
        assert editor.selected_text == "two"


async def test_what_can_only_be_read_is_not_emptied() -> None:
    editor = TextEditor("one")
    async with bench(editor) as (pilot, _):
        editor.read_only = True
        await pilot.press("ctrl+u")
        assert editor.text == "one"
        editor.read_only = False
        await pilot.press("ctrl+u")
        assert editor.text == ""


@pytest.mark.parametrize("key", ["alt+enter", "shift+enter", "ctrl+j"])
async def test_a_new_line_is_none_of_the_keys_that_send(key: str) -> None:
    composer = Composer(most=100)
    async with bench(composer) as (pilot, said):
        await pilot.press("a", key, "b")
        assert composer.text == "a\nb"
        assert not any(isinstance(message, Composer.Sent) for message in said)
        await pilot.press("up")
        assert not any(isinstance(message, Composer.WentUp) for message in said)
        await pilot.press("enter")
        (sent,) = [message for message in said if isinstance(message, Composer.Sent)]
        assert sent.text == "a\nb"


async def test_an_empty_message_is_not_sent_and_up_leaves_it() -> None:
    composer = Composer(most=100)
    async with bench(composer) as (pilot, said):
        await pilot.press("enter")
        await pilot.press("space", "enter")
        assert not any(isinstance(message, Composer.Sent) for message in said)
        composer.clear_message()
        await pilot.press("up")
        assert any(isinstance(message, Composer.WentUp) for message in said)


async def test_a_text_that_can_only_be_read_is_not_edited_by_what_is_shown_of_it() -> None:
    panel = TextPanel(most=50)
    async with bench(panel) as (pilot, said):
        panel.show("word " * 100)
        await pilot.pause()
        assert panel.read_only
        said.clear()
        panel.editor.load_text("a part of it")
        await pilot.pause()
        assert not any(isinstance(message, TextPanel.Edited) for message in said)


# -- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("labels", "two", "“labels” is 'two'"),
        ("labels", "0", "“labels” is '0'"),
        ("seed", "", "“seed” is ''"),
        ("seed", "-1", "“seed” is '-1'"),
        ("seed", "9" * 40, "which is no number"),
    ],
)
async def test_a_number_that_is_none_is_named_with_its_field(
    field: str, typed: str, words: str
) -> None:
    form = LoadForm()
    async with bench(form):
        assert form.spec("minilm", "").num_labels is None
        form.query_one(f"#load-{field}", Input).value = typed
        with pytest.raises(HftermError) as caught:
            form.spec("minilm", "")
        assert caught.value.kind == "bad-field"
        assert words in caught.value.message


async def test_arrows_leave_a_form_at_its_ends_and_do_nothing_beside_it() -> None:
    class Framed(Widget):
        def compose(self) -> ComposeResult:
            yield Input(id="above")
            yield RecipeForm(id="form")
            yield Input(id="below")

    async with bench(Framed(), (120, 60)) as (pilot, said):
        app = pilot.app
        form = app.query_one(RecipeForm)
        form.query_one("#recipe-name", Input).focus()
        await pilot.press("up")
        assert app.focused is app.query_one("#above")
        form.query_one("#recipe-also", Input).focus()
        await pilot.press("down")
        assert app.focused is app.query_one("#below")
        form.action_line(1)
        assert app.focused is app.query_one("#below")
        said.clear()
        form.show(a_recipe("another"))
        await pilot.pause()
        assert form.value("name") == "another"
        assert said == []  # what is shown is no change


# -- tabs ----------------------------------------------------------------------------------------


class Bare(TabPage):
    """A page with nothing that takes the focus."""


def bare(id_: str) -> TabPage:
    return Bare(EngineClient("none"), id=id_)


async def test_down_stays_on_the_line_of_tabs_where_the_page_takes_no_focus() -> None:
    pages = TabbedPages[TabPage]([TabEntry(name, bare) for name in ("One", "Two")])
    async with bench(pages) as (pilot, _):
        await until(lambda: pages.page is not None, "a page")
        line = pages.query_one(Tabs)
        line.focus()
        await pilot.press("down")
        assert pilot.app.focused is line


async def test_a_tab_that_was_named_before_there_are_any_is_the_first() -> None:
    pages = TabbedPages[TabPage]([TabEntry(name, bare) for name in ("One", "Two", "Three")])
    pages.go_to(2)
    async with bench(pages):
        await until(lambda: pages.page is not None, "a page")
        assert pages.page is not None
        assert pages.page.id == "page-Three"
        pages.go_to(2)
        assert pages.query_one(Tabs).active == "tab-Three"


# -- what stands on the terminal -----------------------------------------------------------------


async def test_a_terminal_that_was_resized_there_and_back_is_drawn_anew() -> None:
    class Small(ChangedOnly):
        def compose(self) -> ComposeResult:
            yield Input("hello")

    app = Small()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert app._written is not None
        app._written._lines[0] = {0: (5, "what stood there")}
        await pilot.resize_terminal(30, 10)
        await pilot.resize_terminal(40, 10)
        assert (5, "what stood there") not in app._written._lines.get(0, {}).values()
