"""The Monitor in a pseudo-terminal of 120×40: opening a long run, following a live one, resting.

Two runs are made up: their directories hold what a training process writes. The live one gets a
row of metrics a second; the process that it is said to run in is this one. The run that keys are
pressed beside is a real one.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
from pathlib import Path

import psutil

from harness import HFTERM, Report, isolate, median, options, percentile, table
from results import at_most, below

STEPS = int(os.environ.get("HFTERM_STEPS", "1000000"))
SECONDS = float(os.environ.get("HFTERM_SECONDS", "30"))
KEYS = 240
SWING = 12
"""Keys one way, then as many back."""

RECIPE = """\
name = "{name}"
task = "text-classification"
[model]
ref = "minilm"
[data]
ref = "reviews"
"""
TRAINED = """\
train = "train[:90%]"
eval = "train[90%:]"
[training]
epochs = 3
batch_size = 8
log_every = 1
"""


def make_run(name: str, steps: int, *, live: bool) -> Path:
    """A run directory with so many logged steps."""
    from hfterm import paths
    from hfterm.training import run_files as files
    from hfterm.training.run_types import RunProgress, RunState

    folder = paths.runs_dir() / name
    folder.mkdir(parents=True)
    (folder / files.RECIPE).write_text(RECIPE.format(name=name))
    now = time.time()
    chance = random.Random(0)
    with (folder / files.METRICS).open("w") as file:
        for step in range(1, steps + 1):
            file.write(row(step, steps, now - steps + step, chance))
    mark = files.mark_of(os.getpid()) if live else None
    state = RunState(
        status="running" if live else "finished", created=now - steps, started=now - steps,
        ended=0.0 if live else now, host=files.this_host(), supervisor=mark, worker=mark,
        attempts=1, seconds=float(steps),
    )  # fmt: skip
    files.write_struct(folder / files.STATE, state)
    progress = RunProgress(
        phase="training", step=steps, total_steps=2 * steps if live else steps, rate=1.0,
        metrics={"loss": 0.5}, time=now,
    )  # fmt: skip
    files.write_struct(folder / files.PROGRESS, progress)
    return folder


def row(step: int, steps: int, when: float, chance: random.Random) -> str:
    """A line of metrics."""
    return (
        json.dumps(
            {
                "step": step, "time": when, "epoch": step / steps, "tokens": step * 512,
                "loss": 2 / (1 + 20 * step / steps) + chance.gauss(0, 0.05),
                "grad_norm": abs(chance.gauss(1, 0.2)), "learning_rate": 1e-3 * (1 - step / steps),
            }
        )
        + "\n"
    )  # fmt: skip


class Screen:
    """hfterm in a pseudo-terminal, on the Train screen."""

    def __init__(self) -> None:
        from pty_terminal import PtyTerminal

        self.terminal = PtyTerminal([HFTERM, "--screen", "train"], columns=120, rows=40)
        self.process = psutil.Process(self.terminal.process.pid)

    def until(self, pattern: str, seconds: float = 60) -> float:
        """Wait for a text on the screen. Gives the seconds."""
        began = time.perf_counter()
        found = re.compile(pattern)
        while not found.search(self.terminal.text):
            self.terminal.read(0.01)
            if time.perf_counter() - began > seconds:
                print(self.terminal.text)
                sys.exit(f"The screen never showed {pattern!r}.")
        return time.perf_counter() - began

    def rest(self, seconds: float) -> None:
        """Go on reading for so long."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.terminal.read(0.05)

    @property
    def written(self) -> int:
        """Bytes that it wrote until now."""
        return len(self.terminal.raw)

    def close(self) -> None:
        """End it."""
        self.terminal.kill()


def opened() -> tuple[float, float]:
    """Seconds from Enter on a run to its charts, and megabytes of the interface then."""
    screen = Screen()
    screen.until("1 run")
    screen.rest(3)
    screen.terminal.send("\x1b[17~")  # F6
    screen.until("status +run")
    screen.rest(0.5)
    screen.terminal.send("\r")
    seconds = screen.until(r"learning rate +learning_rate [0-9.e-]+")
    memory = screen.process.memory_info().rss / 1e6
    screen.close()
    return seconds, memory


def followed(folder: Path, steps: int, lasting: float) -> tuple[float, float, float]:
    """Percent of a core, bytes a second, and the longest lag of a live run at a row a second."""
    from hfterm.training import run_files as files
    from hfterm.training.run_types import RunProgress

    screen = Screen()
    screen.until("learning rate +learning_rate")
    screen.rest(6)
    chance = random.Random(1)
    began, before = time.perf_counter(), screen.process.cpu_times()
    written = screen.written
    lags: list[float] = []
    while time.perf_counter() - began < lasting:
        steps += 1
        loss = 3 + (steps % 1000) / 1000  # a figure that no other row has
        line = row(steps, 2 * steps, time.time(), chance)
        data = json.loads(line) | {"loss": loss}
        files.append_line(folder / files.METRICS, data)
        progress = RunProgress(
            phase="training", step=steps, total_steps=10 * steps, rate=1.0,
            metrics={"loss": loss}, time=time.time(),
        )  # fmt: skip
        files.write_struct(folder / files.PROGRESS, progress)
        end = time.perf_counter() + 1
        lags.append(screen.until(re.escape(f"loss   {loss:.3f}"), 20))
        screen.rest(max(0.0, end - time.perf_counter()))
    taken = time.perf_counter() - began
    after = screen.process.cpu_times()
    share = 100 * (after.user - before.user + after.system - before.system) / taken
    rate = (screen.written - written) / taken
    screen.close()
    return share, rate, max(lags)


def rested(resting: float) -> int:
    """Bytes that a finished run on the screen writes."""
    screen = Screen()
    screen.until("1 run")
    screen.terminal.send("\x1b[17~")
    screen.until("status +run")
    screen.terminal.send("\r")
    screen.until(r"learning rate +learning_rate")
    screen.rest(12)
    written = screen.written
    screen.rest(resting)
    screen.close()
    return screen.written - written


def pressed(screen: Screen, keys: int) -> list[float]:
    """Milliseconds from a key to the next bytes, for the cursor of a chart."""
    screen.until(r"learning rate +learning_rate")
    screen.rest(3)
    for _ in range(SWING):  # away from the edge, where a key has nothing to draw
        screen.terminal.send("\x1b[D")
        screen.rest(0.05)
    found: list[float] = []
    for number in range(keys):
        key = "\x1b[D" if number // SWING % 2 == 0 else "\x1b[C"
        screen.rest(0.05)
        written, began = screen.written, time.perf_counter()
        screen.terminal.send(key)
        while screen.written == written and time.perf_counter() - began < 2:
            screen.terminal.read(0.002)
        found.append(1e3 * (time.perf_counter() - began))
    screen.close()
    return found


def pressed_at_rest(keys: int) -> list[float]:
    """Keys on a finished run."""
    screen = Screen()
    screen.until("1 run")
    screen.terminal.send("\x1b[17~")
    screen.until("status +run")
    screen.terminal.send("\r")
    return pressed(screen, keys)


def pressed_while_training(keys: int) -> list[float]:
    """Keys on a real run that trains on the same cores."""
    from hfterm.training import run_control, store
    from hfterm.training.recipe_text import parse_recipe

    run = run_control.create(parse_recipe(RECIPE.format(name="keys") + TRAINED))
    run_control.start(run)
    while store.read_run(run).progress.step < 120:
        if store.read_run(run).state.error is not None:
            sys.exit(f"The run ended: {store.read_run(run).state.error}")
        time.sleep(0.2)
    found = pressed(Screen(), keys)
    still = store.read_run(run)
    if not still.active:
        sys.exit("The run ended before the keys did.")
    run_control.kill(still)
    return found


LONG_RUN = f"Monitor: a run of {STEPS:,} steps × 3 metrics, 120×40"
LIVE_RUN = "Monitor: a live run, a row a second"


def main() -> None:
    """Print the tables."""
    chosen = options(__doc__)
    report = Report(chosen)
    presses = chosen.rounds(KEYS, 100)
    lasting = SECONDS / 3 if chosen.quick else SECONDS
    isolate()
    from hfterm.training import run_control, store

    folder = make_run("20260101-000000-long", STEPS, live=False)
    cold = opened()
    warm = [opened() for _ in range(chosen.rounds(3, 1))]
    keys = pressed_at_rest(presses)
    written = rested(lasting)
    table(
        f"A run of {STEPS:,} steps × 3 metrics",
        ("", "found", "asked"),
        [
            ("seconds to its charts, cold", cold[0], "≤ 2.5"),
            ("the second time", median([one[0] for one in warm]), "≤ 0.5"),
            ("megabytes of the interface", max(one[1] for one in [cold, *warm]), "< 300"),
            ("ms from a key to its frame, p99", percentile(keys, 0.99), "≤ 50"),
            (f"bytes in {lasting:.0f} s at rest", written, "0"),
        ],
    )
    report.add(LONG_RUN, "to its charts, the first time", "s", cold[0], target=at_most(2.5, "s"))
    report.add(LONG_RUN, "to its charts, again", "s", [one[0] for one in warm],
               target=at_most(0.5, "s"))  # fmt: skip
    report.add(LONG_RUN, "memory of the interface", "MB", [one[1] for one in [cold, *warm]],
               target=below(300, "MB"))  # fmt: skip
    report.add(LONG_RUN, "key to its frame, median", "ms", keys)
    report.add(LONG_RUN, f"key to its frame, p99 of {presses}", "ms", percentile(keys, 0.99),
               target=at_most(50, "ms"))  # fmt: skip
    report.add(LONG_RUN, f"bytes in {lasting:.0f} s at rest", "B", written,
               target=at_most(0, "B"))  # fmt: skip
    run_control.delete(store.read_run(folder))
    steps = 2000
    live = make_run("20260101-000000-live", steps, live=True)
    share, rate, lag = followed(live, steps, lasting)
    table(
        "A live run, a row a second",
        ("", "found", "asked"),
        [
            ("percent of a core", share, "≤ 2"),
            ("bytes a second", rate, "≤ 2,000"),
            ("seconds until a row is seen, at most", lag, "≤ 1"),
        ],
    )
    report.add(LIVE_RUN, "processor", "% of a core", share, target=at_most(2, "%"))
    report.add(LIVE_RUN, "bytes", "B/s", rate, target=at_most(2000, "B/s"))
    report.add(LIVE_RUN, "until a row is seen, at most", "s", lag, target=at_most(1, "s"))
    keys = pressed_while_training(presses)
    table(
        "A run that trains on the same cores",
        ("", "found", "asked"),
        [
            ("ms from a key to its frame, median", median(keys), ""),
            ("p99", percentile(keys, 0.99), "≤ 50"),
        ],
    )
    report.add(LIVE_RUN, "beside a run that trains: key to its frame, median", "ms", keys)
    report.add(
        LIVE_RUN, f"beside a run that trains: key to its frame, p99 of {presses}", "ms",
        percentile(keys, 0.99), target=at_most(50, "ms"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
