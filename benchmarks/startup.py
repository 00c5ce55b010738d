"""Start-up: a bare Textual app's first frame against hfterm's, and hfterm's first full table.

Both in the same pseudo-terminal and the same run, taking turns. Then both at rest: memory, bytes
and processor time while nobody does anything, when hfterm's engine is warm.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from harness import HFTERM, Report, isolate, median, options, table
from results import at_most, ratio_at_most

ROUNDS = 7
RESTING = 10.0
TOPIC = "Start-up, 120×40"

BARE = """
from textual.app import App
from textual.widgets import Footer, Header, Input

class Bare(App):
    TITLE = "a bare application"
    BINDINGS = [("ctrl+q", "quit", "Quit")]

    def compose(self):
        yield Header()
        yield Input("the text of the bare application")
        yield Footer()

Bare().run()
"""


def first_frame(argv: list[str], needle: bytes) -> float:
    """Seconds from exec to the bytes that show `needle`."""
    from pty_terminal import PtyTerminal

    with PtyTerminal(argv, columns=120, rows=40) as terminal:
        return terminal.wait_raw(needle) - terminal.started


def hfterm() -> tuple[float, float]:
    """Seconds from exec to the first frame, and to the last row of the sample's table."""
    from pty_terminal import PtyTerminal

    with PtyTerminal([HFTERM], columns=120, rows=40) as terminal:
        frame = terminal.wait_raw(b"Transformadores") - terminal.started
        terminal.wait_raw(b"##ization")  # the last rows of the table are written with the others
        full = terminal.wait_raw(b"chars/token") - terminal.started
        terminal.wait_for(r"\[SEP\] .*special")
        return frame, full


class Rest(NamedTuple):
    """Megabytes of the interface and of the engines; bytes, and percent of a core, in a while."""

    interface: float
    engines: float
    bytes: float
    share: float


def at_rest(argv: list[str], ready: str) -> Rest:
    """A program that nobody touches."""
    from pty_terminal import PtyTerminal

    with PtyTerminal(argv, columns=120, rows=40) as terminal:
        terminal.wait_for(ready)
        terminal.quiet(5.0)
        interface = psutil.Process(terminal.process.pid)
        before, began = interface.cpu_times(), time.perf_counter()
        written = terminal.quiet(RESTING)
        taken, after = time.perf_counter() - began, interface.cpu_times()
        share = 100 * (after.user + after.system - before.user - before.system) / taken
        engines = sum(engine.memory_info().rss for engine in terminal.engines())
        return Rest(interface.memory_info().rss / 1e6, engines / 1e6, written, share)


def resting(script: Path, report: Report, rounds: int) -> None:
    """Both at rest, in turns."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(at_rest([sys.executable, str(script)], "the text of the bare"))
        ours.append(at_rest([HFTERM], "engine warm"))
    table(
        f"At rest for {RESTING:.0f} s; medians of {rounds}",
        ("", "MB", "MB of engines", "bytes", "% of a core"),
        [(name, *(median(column) for column in zip(*found, strict=True)))
         for name, found in (("bare Textual", bare), ("hfterm", ours))],
    )  # fmt: skip
    for place, (what, unit) in enumerate((
        ("memory of the interface", "MB"), ("memory of the engine, transformers loaded", "MB"),
        (f"bytes in {RESTING:.0f} s", "B"), ("processor", "% of a core"),
    )):  # fmt: skip
        report.add(
            "At rest, 120×40", what, unit, [one[place] for one in ours],
            against="a bare Textual app" if place != 1 else "",
            other=[one[place] for one in bare] if place != 1 else (),
            note="The bare app's text field blinks." if unit == "B" else "",
        )  # fmt: skip


def main() -> None:
    chosen = options(__doc__)
    rounds = chosen.rounds(ROUNDS)
    isolate()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        measure(script, Report(chosen), rounds, chosen.rounds(2, 1))


def measure(script: Path, report: Report, rounds: int, rests: int) -> None:
    """Print the tables."""
    bare: list[float] = []
    ours: list[float] = []
    full: list[float] = []
    for number in range(rounds + 1):
        measured = first_frame([sys.executable, str(script)], b"the text of the bare")
        frame, rows = hfterm()
        if number:  # the first round warms the disk
            bare.append(measured)
            ours.append(frame)
            full.append(rows)
    base = median(bare)
    table(
        f"From exec, in seconds; {rounds} rounds, 120×40",
        ("", "median", "fastest", "slowest", "× bare"),
        [
            ("bare Textual: first frame", base, min(bare), max(bare), 1.0),
            ("hfterm: first frame", median(ours), min(ours), max(ours), median(ours) / base),
            ("hfterm: first full table", median(full), min(full), max(full), median(full) / base),
        ],
    )
    report.add(
        TOPIC, "exec to first frame", "s", ours,
        against="a bare Textual app", other=bare, target=ratio_at_most(1.5),
    )  # fmt: skip
    report.add(TOPIC, "exec to first full token table", "s", full, target=at_most(1.2, "s"))
    resting(script, report, rests)


if __name__ == "__main__":
    main()
