"""Start-up: a bare Textual app's first frame against hfterm's, and hfterm's first full table.

Both in the same pseudo-terminal and the same run, taking turns, median of nine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness import HFTERM, isolate, median, table

ROUNDS = 9

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


def main() -> None:
    isolate()
    script = Path(sys.argv[0]).with_name("_bare.py")
    script.write_text(BARE)
    try:
        bare: list[float] = []
        ours: list[float] = []
        full: list[float] = []
        for number in range(ROUNDS + 1):
            measured = first_frame([sys.executable, str(script)], b"the text of the bare")
            frame, rows = hfterm()
            if number:  # the first round warms the disk
                bare.append(measured)
                ours.append(frame)
                full.append(rows)
    finally:
        script.unlink()
    base = median(bare)
    table(
        f"From exec, in seconds; {ROUNDS} rounds, 120×40",
        ("", "median", "fastest", "slowest", "× bare"),
        [
            ("bare Textual: first frame", base, min(bare), max(bare), 1.0),
            ("hfterm: first frame", median(ours), min(ours), max(ours), median(ours) / base),
            ("hfterm: first full table", median(full), min(full), max(full), median(full) / base),
        ],
    )


if __name__ == "__main__":
    main()
