"""Three terminal programs show the tokens of a text of 1 MB, some 293,000 rows, at 120×40.

hfterm opens the text, tokenizes it and shows the table. The second is an application with nothing
but Textual's own DataTable, which does the same work (`tokenizers`, a row a token). The third is
harlequin, the SQL IDE that is built on Textual too: it is handed the finished rows as a Parquet
file, so it has less to do. All are warm: time runs from the key that starts the work to the frame
that says how many rows there are, then from the key to the frame with the last one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import peers
from harness import HFTERM, Report, isolate, median, options, reviews, table

ROUNDS = 2
TOPIC = "Explorers: the tokens of 1 MB, 120×40"
SLOW_ROUNDS = 1
"""Of the plain table, which takes most of a minute."""
ENTER, CTRL_J, F5, F7 = "\r", "\n", "\x1b[15~", "\x1b[18~"
END, CTRL_END = "\x1b[F", "\x1b[1;5F"

PLAIN = """
import sys
from pathlib import Path
from textual.app import App
from textual.widgets import DataTable, Footer, Header
from tokenizers import Tokenizer

class Plain(App):
    BINDINGS = [("f5", "show", "Show")]

    def compose(self):
        yield Header()
        yield DataTable()
        yield Footer()

    def on_mount(self):
        self.title = "plain and ready"
        self.tokenizer = Tokenizer.from_file(sys.argv[1])
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def action_show(self):
        self.run_worker(self.work, thread=True)

    def work(self):
        text = Path(sys.argv[2]).read_text("utf-8")
        found = self.tokenizer.encode(text)
        rows = [
            (str(place), str(number), token, text[first:last], f"{first}:{last}", str(last - first))
            for place, (number, token, (first, last)) in enumerate(
                zip(found.ids, found.tokens, found.offsets)
            )
        ]
        self.call_from_thread(self.fill, rows)

    def fill(self, rows):
        table = self.query_one(DataTable)
        table.add_columns("#", "id", "token", "text", "span", "chars")
        table.add_rows(rows)
        self.title = f"{len(rows):,} rows"
        table.focus()

Plain().run()
"""


class Figures(NamedTuple):
    """Seconds from exec to the first frame, to the table, to its last row; megabytes."""

    frame: float
    shown: float
    jump: float
    memory: float


class Program(NamedTuple):
    """How a program is driven.

    Attributes:
        argv: the command.
        first: bytes of its first frame.
        ready: what its screen says when it can be asked.
        keys: what leads to the key that starts the work, each with what is seen then.
        start: the key that starts it.
        to_table: keys that lead into the table.
        end: the key for the last row.
        waits: how long the frame of the rows may take, in seconds.
    """

    argv: list[str]
    first: bytes
    ready: str
    keys: tuple[tuple[str, str], ...]
    start: str
    to_table: str
    end: str
    waits: float = 240


def drive(program: Program, count: str, last: str) -> Figures:
    """Start the work, wait for `count` on the screen, then go to the `last` row."""
    from pty_terminal import PtyTerminal

    environ = {"DO_NOT_TRACK": "1"}
    with PtyTerminal(program.argv, env=environ, columns=120, rows=40) as terminal:
        frame = terminal.wait_raw(program.first) - terminal.started
        terminal.wait_for(program.ready)
        terminal.quiet(1.5)
        for keys, seen in program.keys:
            terminal.send(keys)
            terminal.wait_for(seen)
        began = time.perf_counter()
        terminal.send(program.start)
        terminal.wait_for(count, program.waits)
        shown = terminal.last_read - began
        terminal.quiet(1.5)
        terminal.send(program.to_table)
        terminal.quiet(1.0)
        began = time.perf_counter()
        terminal.send(program.end)
        terminal.wait_for(last)
        jump = terminal.last_read - began
        memory = sum(process.memory_info().rss for process in terminal.family()) / 1e6
        return Figures(frame, shown, jump, memory)


def write_rows(text: str, file: Path) -> int:
    """The tokens of a text as a Parquet file; how many there are."""
    import pyarrow
    import pyarrow.parquet
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(model_file())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = tokenizer.encode(text)
    spans = found.offsets
    columns = {
        "n": list(range(len(found))), "id": found.ids, "token": found.tokens,
        "text": [text[first:last] for first, last in spans],
        "span": [f"{first}:{last}" for first, last in spans],
        "chars": [last - first for first, last in spans],
    }  # fmt: skip
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return len(found)


def model_file() -> str:
    return str(Path(os.environ["HFTERM_STARTER"]) / "minilm" / "tokenizer.json")


def programs(folder: Path, megabytes: float) -> tuple[dict[str, Program | str], int]:
    """The programs, or why one is not there; and how many rows they show."""
    text = reviews(megabytes)
    file, rows, script = folder / "text.txt", folder / "rows.parquet", folder / "plain.py"
    file.write_text(text, "utf-8")
    script.write_text(PLAIN, "utf-8")
    count = write_rows(text, rows)
    query = f"select * from '{rows}'"
    found: dict[str, Program | str] = {
        OURS: Program(
            [HFTERM], b"Transformadores", "engine (ready|warm)",
            ((F7, "Open a file"), (str(file), "text.txt")), ENTER, "\t", END,
        ),
        PLAINLY: Program(
            [sys.executable, str(script), model_file(), str(file)],
            b"plain and ready", "plain and ready", (), F5, "", CTRL_END,
        ),
    }  # fmt: skip
    try:
        harlequin = str(peers.program("harlequin", "harlequin"))
        found[HARLEQUIN] = Program(
            [harlequin, "--no-download-tzdata", "--viewer-max-rows", "-1"],
            b"Query Editor", "memory db", ((query, "rows.parquet"),), CTRL_J, "", CTRL_END,
        )  # fmt: skip
    except peers.Missing as why:
        found[HARLEQUIN] = str(why)
    return found, count


OURS, PLAINLY, HARLEQUIN = "hfterm", "a plain DataTable", "harlequin, of finished rows"


def main() -> None:
    chosen = options(__doc__)
    report = Report(chosen)
    isolate()
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        contestants, count = programs(Path(folder), 0.1 if chosen.quick else 1.0)
        says, last = f"{count:,} (tokens|rows|Records)", f" {count - 1}\\b"
        for number in range(chosen.rounds(ROUNDS, 1)):
            for name, program in contestants.items():
                if isinstance(program, str):
                    if not number:
                        report.not_run(TOPIC, name, program)
                elif name != PLAINLY or number < SLOW_ROUNDS:
                    try:
                        found.setdefault(name, []).append(drive(program, says, last))
                    except AssertionError as never:
                        report.not_run(TOPIC, name, str(never).partition("\n")[0])
    table(
        f"{count:,} tokens at 120×40, medians",
        ("", "first frame s", "rows shown s", "last row s", "MB of all processes"),
        [(name, *(median(column) for column in zip(*figures, strict=True)))
         for name, figures in found.items()],
    )  # fmt: skip
    whats = (
        ("exec to first frame", "s"), ("key to all rows shown", "s"), ("key to the last row", "s"),
        ("memory of all its processes", "MB"),
    )  # fmt: skip
    for place, (what, unit) in enumerate(whats):
        for name in list(found)[1:]:
            report.add(
                TOPIC, what, unit, [one[place] for one in found[OURS]],
                against=name, other=[one[place] for one in found[name]], peer=True,
                note=NOTES.get((what, name), ""),
            )  # fmt: skip


NOTES = {
    ("key to all rows shown", HARLEQUIN): "harlequin is handed the rows as Parquet; hfterm"
    " tokenizes the text, draws it as tokens and describes every one.",
    ("memory of all its processes", PLAINLY): "hfterm's engine has loaded transformers; the"
    " plain table has nothing but the rows.",
}

if __name__ == "__main__":
    main()
