"""A chart of three lines at 120×30: what a frame takes, and what it writes.

Milliseconds are the processor's, from the change to the frame handed to the driver, and bytes are
what the driver is given to write. ``new points`` come to a run that is watched, ``zoom`` draws
everything anew, ``cursor`` moves by a column. ``drawing`` is the rasterizer and the lines of the
widget alone. plotext draws the same picture, in an environment of its own (`peers.py`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

import peers
from harness import Report, options, percentile, table
from hfterm.training.curves import Curves
from hfterm.widgets.chart import Chart
from hfterm.widgets.chart_data import ChartLine
from results import at_most

FRAMES = 100
SIZE = (120, 30)
MOST_MILLISECONDS = 3.0
TOPIC = f"A chart of three lines, {SIZE[0]}×{SIZE[1]}"
NAMES = ("train", "eval", "test")

PLOTEXT = """
import random, sys, time
import plotext
random.seed(0)
count = int(sys.argv[1])
lines = [[2 / (1 + x / count * 9) + random.gauss(0, 0.05) + k / 9 for x in range(count)]
         for k in range(3)]
times = []
for _ in range(20):
    began = time.process_time()
    plotext.clear_figure()
    plotext.plotsize(120, 30)
    for line in lines:
        plotext.plot(line, marker="braille")
    plotext.build()
    times.append((time.process_time() - began) * 1000)
print(times)
"""


class Counting(HeadlessDriver):
    """Draws nothing, but is told everything that a terminal would be."""

    written = 0
    drawn: asyncio.Event

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        Counting.written += len(data.encode())
        self.drawn.set()


class ChartApp(App[None]):
    """The chart and nothing else."""

    def compose(self) -> ComposeResult:
        yield Chart()


def grow(curves: Curves, count: int) -> None:
    """Log so many steps more of a run of about 20,000."""
    random = np.random.default_rng(len(curves))
    steps = np.arange(len(curves), len(curves) + count, dtype=float)
    values = 2 / (1 + steps / 2000)[:, None] + random.normal(0, 0.05, (count, 3)) + (0, 0.1, 0.2)
    curves.append(["step", *NAMES], np.column_stack([steps, values]))


async def measure(
    points: int, frames: int
) -> tuple[list[tuple[object, ...]], dict[str, tuple[list[float], list[int]]]]:
    """For each kind of frame: milliseconds p50 and p99, bytes p50 and most; and all of them."""
    Counting.drawn = asyncio.Event()
    app = ChartApp(driver_class=Counting)
    app.console._color_system = ColorSystem.TRUECOLOR  # pyright: ignore[reportPrivateUsage]
    curves = Curves()
    grow(curves, points)
    rows: list[tuple[object, ...]] = []
    everything: dict[str, tuple[list[float], list[int]]] = {}

    def columns(name: str, first: float, last: float, count: int) -> object:
        return curves.columns(name, "step", first, last, count, 50)

    lines = [
        ChartLine(name, partial(columns, name), partial(curves.nearest, name, "step"))  # type: ignore[arg-type]
        for name in NAMES
    ]

    async def frame(change: Callable[[], object]) -> tuple[float, int]:
        Counting.drawn.clear()
        before, began = Counting.written, time.process_time()
        change()
        await Counting.drawn.wait()
        return (time.process_time() - began) * 1000, Counting.written - before

    async def drive(pilot: Pilot[object]) -> None:
        chart = app.query_one(Chart)
        await pilot.pause()
        chart.focus()
        chart.set_lines("Loss", lines, curves.extent(NAMES, "step"))
        await pilot.pause()
        gc.collect()
        gc.freeze()  # as the application does when it has started

        def log() -> None:
            grow(curves, max(1, points // 1000))
            chart.update_extent(curves.extent(NAMES, "step"))

        def zoom() -> None:
            chart.action_zoom(0.5 if chart.view.whole else 2)

        changes: dict[str, Callable[[], object]] = {
            "new points": log, "zoom": zoom, "cursor": lambda: chart.action_move(-1)
        }  # fmt: skip
        for name, change in changes.items():
            await frame(change)
            found = [await frame(change) for _ in range(frames)]
            times, sizes = ([pair[place] for pair in found] for place in (0, 1))
            everything[name] = (times, sizes)
            rows.append(
                (f"{points:,} points, {name}", percentile(times, 0.5), percentile(times, 0.99),
                 float(percentile(sizes, 0.5)), float(max(sizes)))
            )  # fmt: skip
        times = []
        for _ in range(frames):
            began = time.process_time()
            chart.resized()
            for y in range(SIZE[1]):
                chart.render_line(y)
            times.append((time.process_time() - began) * 1000)
        everything["drawing"] = (times, [])
        rows.append((f"{points:,} points, drawing", percentile(times, 0.5),
                     percentile(times, 0.99), "–", "–"))  # fmt: skip
        app.exit()

    await app.run_async(size=SIZE, auto_pilot=drive, mouse=False)
    return rows, everything


def plotext(points: int) -> list[float]:
    """Milliseconds of the same picture by plotext."""
    python = str(peers.python("plotext"))
    done = subprocess.run(
        [python, "-c", PLOTEXT, str(points)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> int:
    chosen = options(__doc__)
    frames = chosen.rounds(FRAMES, 10)
    report = Report(chosen)
    rows: list[tuple[object, ...]] = []
    for points in (400, 20_000):
        shown, found = asyncio.run(measure(points, frames))
        rows += shown
        try:
            theirs = plotext(points)
        except peers.Missing as why:
            theirs = []
            report.not_run(TOPIC, "plotext", why)
        for name, (times, sizes) in found.items():
            drawing = name == "drawing"
            report.add(
                TOPIC, f"{points:,} points, {name}: time", "ms", times,
                against="plotext" if drawing else "", other=theirs if drawing else (),
                peer=drawing, target=at_most(MOST_MILLISECONDS, "ms") if drawing else None,
            )  # fmt: skip
            if sizes:
                report.add(TOPIC, f"{points:,} points, {name}: bytes of a frame", "B", sizes)
        if theirs:
            rows.append((f"{points:,} points, plotext", percentile(theirs, 0.5), "–", "–", "–"))
    table(
        f"Three lines at {SIZE[0]}×{SIZE[1]}, {frames} frames",
        ("", "ms p50", "ms p99", "bytes p50", "bytes most"),
        rows,
    )
    over = [
        row[0]
        for row in rows
        if "drawing" in str(row[0]) and float(str(row[1])) > MOST_MILLISECONDS
    ]
    print(f"\nDrawing for more than {MOST_MILLISECONDS:g} ms:", *(over or ["none"]), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
