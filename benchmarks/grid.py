"""A table of 300,000 tokens: hfterm's grid, Textual's DataTable, and textual-fastdatatable.

Time from handing over the rows to the first frame that shows them, and for a jump to the end.
The fast table is measured where it is installed (pip install textual-fastdatatable).
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable
from typing import Any

from textual.app import App, ComposeResult
from textual.widget import Widget

from harness import isolate, reviews, table

ROWS = 300_000

Fill = Callable[[Any], None]


def source() -> Any:
    """The token table of a real text."""
    from hfterm.tokenization.encoding import encode
    from hfterm.tokenization.loading import load_quick
    from hfterm.widgets.token_source import TokenSource

    loaded = load_quick("minilm")
    assert loaded is not None
    text = reviews(2.0)
    encoding = encode(loaded, text)
    assert len(encoding) >= ROWS
    return TokenSource(encoding, (text,))


class OneTable(App[None]):
    """Nothing but a table."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.table = widget

    def compose(self) -> ComposeResult:
        yield self.table


async def measure(make: Callable[[], Widget], fill: Fill) -> tuple[float, float]:
    """Milliseconds to show the rows, and to jump to the last."""
    app = OneTable(make())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.table.focus()
        await pilot.pause()
        began = time.perf_counter()
        fill(app.table)
        await pilot.pause()
        app.table.render_lines(app.table.size.region)
        shown = time.perf_counter() - began
        began = time.perf_counter()
        await pilot.press("ctrl+end" if make is not hfterm_grid else "end")
        app.table.render_lines(app.table.size.region)
        return shown * 1000, (time.perf_counter() - began) * 1000


def hfterm_grid() -> Widget:
    from hfterm.widgets.data_grid import DataGrid

    return DataGrid()


def data_table() -> Widget:
    from textual.widgets import DataTable

    return DataTable()


def main() -> None:
    isolate()
    tokens = source()
    names = [column.label for column in tokens.columns]

    def fill_grid(grid: Any) -> None:
        grid.set_source(tokens)

    def fill_table(grid: Any) -> None:
        grid.add_columns(*names)
        grid.add_rows([cell.text for cell in tokens.row(index)] for index in range(ROWS))

    rows: list[tuple[object, ...]] = []
    ours = asyncio.run(measure(hfterm_grid, fill_grid))
    rows.append(("hfterm's DataGrid", *ours, 1.0))
    if importlib.util.find_spec("textual_fastdatatable"):
        import pyarrow
        from textual_fastdatatable import DataTable as Fast
        from textual_fastdatatable.backend import ArrowBackend

        def make_fast() -> Widget:
            return Fast(data=ArrowBackend(pyarrow.table({"a": [0]})))

        def fill_fast(grid: Any) -> None:
            columns = list(zip(*(tokens.values(index) for index in range(ROWS)), strict=True))
            strings = {
                name: ["" if value is None else str(value) for value in column]
                for name, column in zip(names, columns, strict=True)
            }
            grid.backend = ArrowBackend(pyarrow.table(strings))
            grid._require_update_dimensions = True
            grid.refresh(layout=True)

        fast = asyncio.run(measure(make_fast, fill_fast))
        rows.append(("textual-fastdatatable", *fast, fast[0] / ours[0]))
    theirs = asyncio.run(measure(data_table, fill_table))
    rows.append(("Textual's DataTable", *theirs, theirs[0] / ours[0]))
    table(
        f"{ROWS:,} rows × {len(names)} columns at 120×40",
        ("", "show, ms", "jump to the end, ms", "× show"),
        rows,
    )


if __name__ == "__main__":
    main()
