"""Typing into a 10 kB text while its table is visible: from the key to the frame that shows it."""

from __future__ import annotations

import string
import time

from harness import HFTERM, Report, isolate, options, percentile, reviews, table
from results import at_most

KEYS = 200
TOPIC = "Typing into 10 kB with its table in sight, 120×40"


def main() -> None:
    from pty_terminal import PtyTerminal

    chosen = options(__doc__)
    keys = chosen.rounds(KEYS, 50)
    isolate()
    text = reviews(0.01)
    echoes: list[float] = []
    tables: list[float] = []
    with PtyTerminal([HFTERM, "--text", text], columns=120, rows=40) as terminal:
        terminal.wait_for(r"[\d,]{4,} tokens")
        terminal.wait(lambda: "checking" not in terminal.text and "loading" not in terminal.text,
                      "transformers loaded")  # fmt: skip
        terminal.settle(1.0)
        for number in range(keys):
            key = string.ascii_lowercase[number % 26]
            before = len(terminal.raw)
            began = time.perf_counter()
            terminal.send(key)
            terminal.wait(lambda before=before: len(terminal.raw) > before, "a frame")
            echoes.append((terminal.last_read - began) * 1000)
            while terminal.read(0.15):  # the table follows; the next key comes when it has
                pass
            tables.append((terminal.last_read - began) * 1000)
    table(
        f"{keys} keys into {len(text):,} characters at 120×40, in milliseconds",
        ("", "p50", "p99", "max"),
        [
            (name, percentile(values, 0.5), percentile(values, 0.99), max(values))
            for name, values in (("key to its frame", echoes), ("key to the new table", tables))
        ],
    )
    report = Report(chosen)
    for name, values in (("key to its frame", echoes), ("key to the new table", tables)):
        report.add(TOPIC, f"{name}, median", "ms", values)
        wanted = at_most(50, "ms") if values is echoes else None
        report.add(TOPIC, f"{name}, p99 of {keys}", "ms", percentile(values, 0.99), target=wanted)


if __name__ == "__main__":
    main()
