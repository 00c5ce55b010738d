"""A table of 300,000 tokens: hfterm's grid, Textual's DataTable, and textual-fastdatatable.

Time from the first row handed over to the frame that shows it, for a jump to the last row, and
for one repaint of what is in sight (the other two answer that from a cache of lines). The fast
table is measured where it is installed (pip install textual-fastdatatable).
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable

from textual.app import App
from textual.widget import Widget

from harness import isolate, median, reviews, table
from hfterm.widgets.token_source import TokenSource

ROWS = 300_000
REPAINTS = 9

Show = Callable[[App[None], TokenSource], Awaitable[Widget]]


def source() -> TokenSource:
    """The token table of a real text."""
    from hfterm.tokenization.encoding import encode
    from hfterm.tokenization.loading import load_quick

    loaded = load_quick("minilm")
    assert loaded is not None
    text = reviews(2.0)
    encoding = encode(loaded, text)
    assert len(encoding) >= ROWS
    return TokenSource(encoding, (text,))


def repaint(widget: Widget) -> float:
    """Milliseconds to draw every line in sight anew."""
    began = time.perf_counter()
    widget.refresh()
    widget.render_lines(widget.size.region)
    return (time.perf_counter() - began) * 1000


async def measure(show: Show, tokens: TokenSource, end: str) -> tuple[float, float, float]:
    """Milliseconds to show the rows, to jump to the last, and to repaint."""
    app: App[None] = App()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        began = time.perf_counter()
        widget = await show(app, tokens)
        await pilot.pause()
        repaint(widget)
        shown = (time.perf_counter() - began) * 1000
        widget.focus()
        await pilot.pause()
        began = time.perf_counter()
        await pilot.press(end)
        repaint(widget)
        jump = (time.perf_counter() - began) * 1000
        return shown, jump, median([repaint(widget) for _ in range(REPAINTS)])


async def show_grid(app: App[None], tokens: TokenSource) -> Widget:
    from hfterm.widgets.data_grid import DataGrid

    grid = DataGrid()
    await app.mount(grid)
    grid.set_source(tokens)
    return grid


async def show_data_table(app: App[None], tokens: TokenSource) -> Widget:
    from textual.widgets import DataTable

    grid: DataTable[str] = DataTable()
    await app.mount(grid)
    grid.add_columns(*(column.label for column in tokens.columns))
    grid.add_rows([cell.text for cell in tokens.row(index)] for index in range(ROWS))
    return grid


async def show_fast(app: App[None], tokens: TokenSource) -> Widget:
    import pyarrow
    from textual_fastdatatable import DataTable
    from textual_fastdatatable.backend import ArrowBackend

    columns = zip(
        *([cell.text for cell in tokens.row(index)] for index in range(ROWS)), strict=True
    )
    names = [column.label for column in tokens.columns]
    grid = DataTable(data=ArrowBackend(pyarrow.table(dict(zip(names, columns, strict=True)))))
    await app.mount(grid)
    return grid


def main() -> None:
    isolate()
    tokens = source()
    contestants: list[tuple[str, Show, str]] = [("hfterm's DataGrid", show_grid, "end")]
    if importlib.util.find_spec("textual_fastdatatable"):
        contestants.append(("textual-fastdatatable", show_fast, "ctrl+end"))
    contestants.append(("Textual's DataTable", show_data_table, "ctrl+end"))
    rows: list[tuple[object, ...]] = []
    base = 0.0
    for name, show, end in contestants:
        shown, jump, repainted = asyncio.run(measure(show, tokens, end))
        base = base or shown
        rows.append((name, shown, jump, repainted, shown / base))
    table(
        f"{ROWS:,} rows × {len(tokens.columns)} columns at 120×40, in milliseconds",
        ("", "show", "jump to the end", "repaint", "× show"),
        rows,
    )


if __name__ == "__main__":
    main()
