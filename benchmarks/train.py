"""A run beside the plain script that Show code gives for it: MiniLM on film reviews, taking turns.

The run is what `hfterm train` makes: a directory, a supervisor, a training process of its own.
Both start with an empty cache of datasets. Name a method to measure only that; others at work make
all figures useless, that of CPU time as well: threads that wait for each other spin.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from harness import Report, isolate, median, options, table
from results import at_most, ratio_at_most

ROUNDS = int(os.environ.get("ROUNDS", "2"))
METHODS = ("full", "lora")
RECIPE = """
name = "{method}"
task = "text-classification"
[model]
ref = "minilm"
device = "cpu"
[data]
ref = "reviews"
train = "train[:20%]"
eval = "train[90%:]"
shuffle = true
max_length = 64
[method]
name = "{method}"
[training]
epochs = {epochs}
batch_size = 32
learning_rate = {rate}
"""
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER: who outlives its parent becomes our child, so its time is counted."""


class Took(NamedTuple):
    """Seconds by the clock and of processors, and the rows of the log."""

    wall: float
    cpu: float
    rows: list[dict[str, float]]


def processors() -> float:
    """Seconds of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_run(recipe_text: str) -> Took:
    """From making the run to seeing that it is finished."""
    from hfterm.training import run_control
    from hfterm.training import run_files as files
    from hfterm.training.recipe_text import parse_recipe

    recipe = parse_recipe(recipe_text)
    before, began = processors(), time.monotonic()
    folder = run_control.create(recipe)
    run_control.start(folder)
    while files.state_of(folder).status in ("queued", "starting", "running"):
        time.sleep(0.02)
    wall = time.monotonic() - began
    if files.state_of(folder).status != "finished":
        sys.exit(f"the run: {files.state_of(folder)}\n{(folder / files.LOG).read_text()[-2000:]}")
    while True:  # the supervisor, and with it what it waited for
        try:
            os.wait()
        except ChildProcessError:
            break
    rows = [json.loads(line) for line in (folder / files.METRICS).read_text().splitlines()]
    return Took(wall, processors() - before, rows)


def by_script(recipe_text: str) -> Took:
    """From starting python to its end."""
    from hfterm.training.code import train_code
    from hfterm.training.recipe_text import parse_recipe

    folder = Path(tempfile.mkdtemp())
    (folder / "train.py").write_text(train_code(parse_recipe(recipe_text)))
    before, began = processors(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "train.py"], capture_output=True, text=True, cwd=folder, check=False
    )
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"the script: {done.stderr[-2000:]}")
    rows = [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("{'st")]
    return Took(wall, processors() - before, rows)


def losses(took: Took) -> list[float]:
    return [row[name] for row in took.rows for name in ("loss", "eval_loss") if name in row]


def accuracy(took: Took) -> float:
    return [row["eval_accuracy"] for row in took.rows if "eval_accuracy" in row][-1]


def compare(method: str, report: Report, rounds: int) -> None:
    """Rounds of both, and what they come to."""
    recipe = RECIPE.format(method=method, epochs=1, rate={"full": 5e-5, "lora": 2e-3}[method])
    runs: list[Took] = []
    scripts: list[Took] = []
    for number in range(rounds):
        # who comes first changes, so that a slow minute hits both
        for kind in ("run", "script") if number % 2 else ("script", "run"):
            os.environ["HF_HOME"] = tempfile.mkdtemp()
            took = (by_run if kind == "run" else by_script)(recipe)
            (runs if kind == "run" else scripts).append(took)
    base = median([took.wall for took in scripts])
    work = median([took.cpu for took in scripts])
    rows = [
        (
            name,
            median([took.wall for took in all_]),
            min(took.wall for took in all_),
            max(took.wall for took in all_),
            median([took.wall for took in all_]) / base,
            median([took.cpu for took in all_]),
            median([took.cpu for took in all_]) / work,
            accuracy(all_[-1]),
        )
        for name, all_ in (("plain script", scripts), ("hfterm's run", runs))
    ]
    table(
        f"{method}: MiniLM on 2,121 film reviews, an epoch, batches of 32; {rounds} rounds",
        ("", "s", "fastest", "slowest", "× plain", "CPU s", "× plain", "accuracy"),
        rows,
    )
    pairs = [one.wall / two.wall for one, two in zip(runs, scripts, strict=True)]
    print(f"  ratios of the rounds: {', '.join(f'{ratio:.3f}' for ratio in pairs)}")
    best = [min(took.wall for took in all_) for all_ in (runs, scripts)]
    print(f"  the fastest by the fastest: {best[0] / best[1]:.3f}")
    pairs = [one.cpu / two.cpu for one, two in zip(runs, scripts, strict=True)]
    print(f"  of their CPU time: {', '.join(f'{ratio:.3f}' for ratio in pairs)}")
    difference = max(
        abs(one - two) for one, two in zip(losses(runs[0]), losses(scripts[0]), strict=True)
    )
    print(f"  largest difference of a loss: {difference:.2g}")
    topic = f"Train: {method}, MiniLM on 2,121 film reviews"
    report.add(
        topic, "the run, from asking for it to its end", "s", [took.wall for took in runs],
        against="the plain script", other=[took.wall for took in scripts],
        target=ratio_at_most(1.02),
    )  # fmt: skip
    report.add(
        topic, "processor time", "s", [took.cpu for took in runs],
        against="the plain script", other=[took.cpu for took in scripts],
    )  # fmt: skip
    report.add(topic, "largest difference of a loss", "", difference, target=at_most(1e-5, ""))
    report.add(topic, "accuracy", "", accuracy(runs[-1]), against="the plain script",
               other=accuracy(scripts[-1]), more=True)  # fmt: skip
    apart = 100 * abs(accuracy(runs[-1]) - accuracy(scripts[-1]))
    report.add(topic, "accuracy, away from the script's", "points", apart,
               target=at_most(1, "points"))  # fmt: skip


def main() -> None:
    chosen = options(__doc__, METHODS)
    report = Report(chosen)
    isolate()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    for method in chosen.parts:
        compare(method, report, chosen.rounds(ROUNDS, 1))


if __name__ == "__main__":
    main()
