"""Widgets hear of their size also where Textual sends no `Resize`, and after being hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import load_quick
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, Rows
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.token_source import TokenSource
from hfterm.widgets.token_strip import TokenStrip


class Bare(App[None]):
    def compose(self) -> ComposeResult:
        yield VerticalScroll()


@pytest.mark.parametrize("lost", [False, True])
async def test_mounted_between_a_scroll_and_the_layout(lost: bool) -> None:
    app = Bare()
    async with app.run_test(size=(40, 20)) as pilot:
        editor = TextEditor("word " * 30)
        grid = DataGrid()
        grid.set_source(Rows((GridColumn("name", stretch=True),), [(Cell("x" * 60),)]))
        await app.screen.query_one(VerticalScroll).mount(editor, grid)
        if lost:
            # what a scroll does, and then any look at a widget's region
            app.screen._compositor._full_map_invalidated = True
            assert editor in app.screen._compositor.full_map
        await pilot.pause()
        assert editor.wrap_width > 30
        assert editor.wrapped_document.height > 3
        assert grid._widths[0] > 30


async def test_filled_while_it_was_hidden(starter_kit: Path) -> None:
    app = Bare()
    async with app.run_test(size=(40, 20)) as pilot:
        editor = TextEditor("")
        grid = DataGrid()
        column = app.screen.query_one(VerticalScroll)
        strip = TokenStrip()
        await column.mount(strip, editor, grid)
        await pilot.pause()
        column.display = False
        await pilot.pause()
        editor.text = "word " * 30
        grid.set_source(Rows((GridColumn("name", stretch=True),), [(Cell("x" * 60),)]))
        loaded = load_quick(str(starter_kit / "minilm"))
        assert loaded is not None
        strip.set_source(TokenSource(encode(loaded, "one two"), ("one two", "")))
        column.display = True
        await pilot.pause()
        assert editor.wrapped_document.height > 3
        assert grid._widths[0] > 30
        assert "one" in strip.render_line(0).text
