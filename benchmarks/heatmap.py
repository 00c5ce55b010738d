"""A heat map of 8192 × 8192 tokens at 200×50: what a panned frame takes, and what it writes.

Milliseconds are the processor's, from the pan to the frame handed to the driver, so that waiting
for Textual's timer does not count. Bytes are what the driver is given to write. The head is made
up: a sink at the first token, the tokens just before, some chance; ``noise`` is the worst that
there can be, a shade for every cell by chance.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from harness import Report, options, percentile, table
from hfterm.attention.views import SCALES, Scale
from hfterm.widgets.heatmap import Heatmap
from results import at_most

if TYPE_CHECKING:
    import numpy as np

TOKENS = 8192
FRAMES = 100
SIZE = (200, 50)
COLORS = {"truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT}
MOST_BYTES = {"truecolor": 110_000, "256": 80_000}
MOST_MILLISECONDS = 30.0
TOPIC = f"A panned map of {TOKENS:,} × {TOKENS:,} at {SIZE[0]}×{SIZE[1]}, {FRAMES} frames"
SQUARES = (1, 16)
"""Sides of the squares of tokens that a cell stands for."""


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


class MapApp(App[None]):
    """The map and nothing else."""

    def compose(self) -> ComposeResult:
        yield Heatmap()


def made_up(tokens: int) -> np.ndarray:
    """A causal head, uint8 of √weight × 255."""
    import numpy as np

    random = np.random.default_rng(0)
    found = np.zeros((tokens, tokens), np.uint8)
    keys = np.arange(tokens, dtype=np.float32)
    for start in range(0, tokens, 256):
        queries = np.arange(start, min(start + 256, tokens), dtype=np.float32)[:, None]
        scores = random.standard_normal((len(queries), tokens), np.float32) * 2
        scores += 6 * np.exp(np.minimum(keys - queries, 0) / 32)
        scores[:, 0] += 8
        weights = np.where(keys <= queries, np.exp(np.minimum(scores, 40)), 0)
        weights /= weights.sum(axis=1, keepdims=True)
        found[start : start + 256] = np.rint(np.sqrt(weights) * 255)
    return found


def noise(tokens: int) -> np.ndarray:
    """Every code by chance; larger ones are rarer, so that the largest of squares differ too."""
    import numpy as np

    random = np.random.default_rng(0)
    found = np.zeros((tokens, tokens), np.uint8)
    for start in range(0, tokens, 256):
        found[start : start + 256] = random.random((256, tokens), np.float32) ** 3 * 255
    return found


async def measure(
    array: np.ndarray, *, causal: bool, colors: str, scale: Scale, square: int, frames: int
) -> tuple[float, float, float, float, float]:
    """Milliseconds p50 and p99 of a panned frame, bytes p50 and most, and ms of the first."""
    Counting.drawn = asyncio.Event()
    app = MapApp(driver_class=Counting)
    app.console._color_system = COLORS[colors]  # pyright: ignore[reportPrivateUsage]
    found: list[tuple[float, int]] = []

    async def frame(widget: Heatmap, change: Callable[[], None]) -> tuple[float, int]:
        Counting.drawn.clear()
        before, began = Counting.written, time.process_time()
        change()
        await Counting.drawn.wait()
        return (time.process_time() - began) * 1000, Counting.written - before

    async def drive(pilot: Pilot[object]) -> None:
        widget = app.query_one(Heatmap)
        await pilot.pause()
        labels = [f"token{index % 97}" for index in range(TOKENS)]
        widget.scale = scale
        found.append(
            await frame(widget, lambda: widget.set_map(array, labels, labels, causal=causal))
        )
        await pilot.pause()
        widget.go_to(TOKENS * 3 // 4, TOKENS // 2)
        while widget.tokens_per_cell > square:
            widget.action_zoom(-1)
        await pilot.pause(0.1)
        gc.collect()
        gc.freeze()  # as the application does when it has started
        for index in range(frames):
            # to and fro, so that it never comes to an edge
            rows, columns = ((1, 0), (0, 1), (-1, 0), (0, -1))[index % 4]
            found.append(await frame(widget, lambda r=rows, c=columns: widget.action_pan(r, c)))
        app.exit()

    await app.run_async(size=SIZE, auto_pilot=drive, mouse=False)
    times, sizes = ([pair[place] for pair in found[1:]] for place in (0, 1))
    return (
        percentile(times, 0.5), percentile(times, 0.99),
        float(percentile(sizes, 0.5)), float(max(sizes)), found[0][0],
    )  # fmt: skip


def main() -> None:
    chosen = options(__doc__)
    frames = chosen.rounds(FRAMES, 10)
    report = Report(chosen)
    rows: list[tuple[object, ...]] = []
    over: list[str] = []
    for name, make in (("head", made_up), ("noise", noise)):
        array = make(TOKENS)
        for colors, most in MOST_BYTES.items():
            for scale in SCALES if name == "head" else SCALES[:1]:
                for square in SQUARES:
                    figures = asyncio.run(
                        measure(
                            array,
                            causal=name == "head",
                            colors=colors,
                            scale=scale,
                            square=square,
                            frames=frames,
                        )
                    )
                    label = f"{name}, {colors}, {scale}, {square} × {square} a cell"
                    rows.append((label, *figures))
                    report.add(TOPIC, f"{label}: time, p99", "ms", figures[1],
                               target=at_most(MOST_MILLISECONDS, "ms"))  # fmt: skip
                    report.add(TOPIC, f"{label}: the largest frame", "kB", figures[3] / 1000,
                               target=at_most(most / 1000, "kB"))  # fmt: skip
                    if figures[1] > MOST_MILLISECONDS or figures[3] > most:
                        over.append(label)
    table(
        f"{TOKENS} × {TOKENS} at {SIZE[0]}×{SIZE[1]}, {frames} panned frames",
        ("", "ms p50", "ms p99", "bytes p50", "bytes most", "first frame ms"),
        rows,
    )
    limits = ", ".join(f"{most:,} bytes in {colors}" for colors, most in MOST_BYTES.items())
    print(f"\nMore than {MOST_MILLISECONDS:g} ms or {limits}:", *(over or ["none"]), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
