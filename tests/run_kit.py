"""Real runs on a tiny model: made, waited for, killed, and read back."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of, with_values
from hfterm.training.store import Run
from waiting import wait_until

ROWS = 96
BATCH = 4
STEPS = 24
"""Of the recipe: an epoch."""

OVER = ("stopped", "finished", "failed", "died")


def build_model(folder: Path, *, words: int = 1024) -> Path:
    """Write a tiny BERT with random weights. More words make checkpoints take longer."""
    import torch
    import transformers as t

    from model_zoo import config_of
    from zoo import build_zoo

    tokenizer = build_zoo(folder / "tokenizers")["wordpiece-uncased"]
    torch.manual_seed(0)
    config = config_of("bert", vocab_size=words, hidden_size=64, num_hidden_layers=1)
    place = folder / "bert"
    t.BertModel(config).save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / name).write_bytes((tokenizer / name).read_bytes())
    return place


def build_rows(folder: Path, rows: int = ROWS) -> Path:
    """Write reviews that are easily told apart."""
    good, bad = "a wonderful film that everybody loves", "a dull and long film that nobody likes"
    path = folder / "rows.jsonl"
    lines = [
        {"text": f"{(bad, good)[number % 2]} number {number}", "label": number % 2}
        for number in range(rows)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def recipe(model: Path, rows: Path, *settings: str, name: str = "tiny") -> Recipe:
    """A text classification of 24 steps, each logged, with four checkpoints."""
    made = recipe_of(
        {
            "name": name,
            "task": "text-classification",
            "model": {"ref": str(model)},
            "data": {"ref": str(rows), "eval": "train[:25%]", "max_length": 32},
            "method": {"r": 4, "target_modules": ["query", "value"]},
            "training": {
                "batch_size": BATCH, "eval_batch_size": 4, "learning_rate": 1e-3, "log_every": 1,
                "eval_every": 12, "save_every": 6, "metric": "loss",
            },
        }
    )  # fmt: skip
    return with_values(made, settings)


def start(made: Recipe) -> Path:
    """Start a run of a recipe."""
    folder = run_control.create(made)
    run_control.start(folder)
    return folder


def resume(folder: Path, *settings: str) -> None:
    """Resume a run that is over."""
    run_control.resume(store.read_run(folder), settings)


def wait_over(folder: Path) -> Run:
    """Wait until a run is over, and its supervisor gone."""
    wait_for(folder, lambda run: run.status in OVER, "over")
    wait_until(lambda: not files.is_alive(files.state_of(folder).supervisor), "its supervisor gone")
    return store.read_run(folder)


def wait_for(folder: Path, condition: Callable[[Run], object], what: str) -> Run:
    """Wait until a run is as it should be; one that failed is shown at once."""
    last: list[Run] = []

    def look() -> bool:
        run = store.read_run(folder)
        last[:] = [run]
        if condition(run):
            return True
        if run.status in ("failed", "died"):
            raise AssertionError(f"{what}: {run.state.error}\n{log_of(folder)}")
        return False

    wait_until(look, f"{what} of {folder}")
    return last[0]


def training_at(folder: Path, step: int) -> Run:
    """Wait until a run has logged a step."""
    return wait_for(
        folder,
        lambda run: (
            run.status in OVER or any(row.get("step", 0) >= step for row in rows_of(folder))
        ),
        f"step {step}",
    )


def finished(made: Recipe) -> Path:
    """A run that went through undisturbed."""
    folder = start(made)
    run = wait_over(folder)
    assert run.status == "finished", f"{run.state.error}\n{log_of(folder)}"
    return folder


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint is of."""
    return int(checkpoint.name.rpartition("-")[2])


def kill_worker(folder: Path) -> None:
    """``kill -9``."""
    worker = files.state_of(folder).worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)


def log_of(folder: Path) -> str:
    """The end of what was printed."""
    return (folder / files.LOG).read_text()[-3000:]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of the metrics, markers as well."""
    try:
        data = (folder / files.METRICS).read_bytes()
    except FileNotFoundError:
        return []
    found: list[dict[str, Any]] = []
    for line in data.split(b"\n")[:-1]:
        try:
            found.append(msgspec.json.decode(line))
        except msgspec.MsgspecError:  # a line that a kill tore
            continue
    return found


@dataclass
class History:
    """What counts of a run's metrics: step → loss, and step → loss of the evaluation."""

    losses: dict[int, float]
    evaluations: dict[int, float]


def history(folder: Path) -> History:
    """The rows that no resume has taken back; checks that none is missing or there twice."""
    losses: dict[int, float] = {}
    evaluations: dict[int, float] = {}
    for row in rows_of(folder):
        if "resumed_from" in row:
            at = row["resumed_from"]
            losses = {step: loss for step, loss in losses.items() if step <= at}
            evaluations = {step: loss for step, loss in evaluations.items() if step <= at}
            assert list(losses) == list(range(1, at + 1))
        elif "loss" in row:
            assert row["step"] == len(losses) + 1, f"a row is missing or there twice: {row}"
            losses[row["step"]] = row["loss"]
        elif "eval_loss" in row:
            assert row["step"] not in evaluations
            evaluations[row["step"]] = row["eval_loss"]
    return History(losses, evaluations)


def same(one: History, two: History, tolerance: float = 1e-4) -> None:
    """See that two runs learnt the same."""
    for this, that in ((one.losses, two.losses), (one.evaluations, two.evaluations)):
        assert list(this) == list(that)
        for step, loss in this.items():
            assert math.isclose(loss, that[step], abs_tol=tolerance), (step, loss, that[step])


def effective(folder: Path) -> list[dict[str, Any]]:
    """The rows that no resume has taken back."""
    kept: list[dict[str, Any]] = []
    for row in rows_of(folder):
        if "resumed_from" in row:
            kept = [one for one in kept if one["step"] <= row["resumed_from"]]
        else:
            kept.append(row)
    return kept
