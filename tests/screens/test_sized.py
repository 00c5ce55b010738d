"""Widgets hear of their size also where Textual sends them no `Resize`."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, Rows
from hfterm.widgets.text_editor import TextEditor


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
