"""A table of 300,000 tokens: hfterm's grid, Textual's DataTable, and textual-fastdatatable.

Time from the first row handed over to the frame that shows it, for a jump to the last row, and
for one repaint of what is in sight (the other two answer that from a cache of lines). Each in
a process of its own, taking turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.app import App
from textual.widget import Widget

import peers
from harness import Report, isolate, median, options, reviews, table
from hfterm.widgets.token_source import TokenSource

ROWS = int(os.environ.get("HFTERM_ROWS", "300000"))
REPAINTS = 9
ROUNDS = 3

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


CONTESTANTS: dict[str, tuple[Show, str, str]] = {
    "hfterm's DataGrid": (show_grid, "end", ""),
    "textual-fastdatatable": (show_fast, "ctrl+end", "fastdatatable"),
    "Textual's DataTable": (show_data_table, "ctrl+end", ""),
}
"""How each is shown, its key for the last row, and the peer whose environment has it."""


REPAINTED = "hfterm draws its lines anew; the others take them from a cache."
SLOW = "Textual's DataTable"
"""It takes most of a minute, so once."""


def in_process(name: str, rows: int) -> list[float]:
    """What a contestant takes, in a process of its own."""
    peer = CONTESTANTS[name][2]
    python = str(peers.python(peer)) if peer else sys.executable
    command = [python, str(Path(__file__).absolute()), "--contestant", name]
    environ = os.environ | {"HFTERM_ROWS": str(rows)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environ)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    if sys.argv[1:2] == ["--contestant"]:
        isolate()
        show, end, _ = CONTESTANTS[sys.argv[2]]
        print(json.dumps(asyncio.run(measure(show, source(), end))))
        return
    chosen = options(__doc__)
    report = Report(chosen)
    rows = ROWS // 10 if chosen.quick else ROWS
    topic = f"A table of {rows:,} tokens, 120×40"
    isolate()
    rounds: dict[str, list[list[float]]] = {name: [] for name in CONTESTANTS}
    for number in range(chosen.rounds(ROUNDS, 1)):
        for name in list(rounds):
            if name == SLOW and number:
                continue
            try:
                rounds[name].append(in_process(name, rows))
            except peers.Missing as why:
                del rounds[name]
                report.not_run(topic, name, why)
    found = {name: [median(column) for column in zip(*taken, strict=True)]
             for name, taken in rounds.items()}  # fmt: skip
    base = next(iter(found.values()))[0]
    table(
        f"{rows:,} rows at 120×40, in milliseconds",
        ("", "show", "jump to the end", "repaint", "× show"),
        [(name, *figures, figures[0] / base) for name, figures in found.items()],
    )
    ours, *others = rounds
    for place, what in enumerate(
        ("from the rows to their frame", "jump to the last row", "repaint")
    ):
        for other in others:
            report.add(
                topic, what, "ms", [one[place] for one in rounds[ours]],
                against=other, other=[one[place] for one in rounds[other]], peer=True,
                note=REPAINTED if what == "repaint" else "",
            )  # fmt: skip


if __name__ == "__main__":
    main()
