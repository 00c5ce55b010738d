"""Run directories made by hand: every state a run can be in, the same bytes at the same times.

`make_run` writes what a supervisor and a worker would have written; nothing runs. `foreign_runs`
does the same for other programs. `end_runs` ends what a test really started.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of
from hfterm.training.run_types import (
    ACTIVE,
    ProcessMark,
    RunEvent,
    RunFailure,
    RunNotes,
    RunProgress,
    RunSample,
    RunState,
    RunStatus,
    SystemRow,
)
from waiting import gone, wait_until

NOON = 1_592_222_400.0
"""2020-06-15 12:00:00 UTC: when the first of the runs began."""

FOREIGN = Path(__file__).parent / "data" / "foreign"
EVENT_FILE = "events.out.tfevents.1764096000.host.1.0"
ADAPTER = 300_000
"""Bytes of a checkpoint."""

Lines = list[dict[str, object]]


def a_recipe(name: str = "reviews-lora", **changes: object) -> Recipe:
    """The starter kit's LoRA; `changes` are tables, or keys above all tables."""
    table: dict[str, object] = {
        "name": name,
        "task": "text-classification",
        "prompts": ["a wonderful film"],
        "model": {"ref": "minilm"},
        "data": {"ref": "reviews", "train": "train[:90%]", "eval": "train[90%:]", "max_length": 64},
        "method": {"name": "lora", "target_modules": ["query", "value"], "dropout": 0.05},
        "training": {"epochs": 2, "batch_size": 32, "learning_rate": 2e-3},
    }
    for key, value in changes.items():
        own = table.get(key)
        table[key] = own | value if isinstance(own, dict) and isinstance(value, dict) else value
    return recipe_of(table)


def tiny_recipe(name: str = "tiny", *, steps: int = 3, **changes: object) -> Recipe:
    """A real run that is over some seconds after it has loaded."""
    tables: dict[str, Mapping[str, object]] = {
        "data": {"train": "train[:16]", "eval": "train[-8:]", "shuffle": True, "max_length": 16},
        "training": {"max_steps": steps, "batch_size": 4, "log_every": 1},
    }
    for key, value in changes.items():
        given = tables.get(key)
        if given is not None and isinstance(value, Mapping):
            tables[key] = {**given, **value}
    others = {key: value for key, value in changes.items() if key not in tables}
    return a_recipe(name, **tables, **others)


def metric_rows(
    steps: int,
    *,
    begin: float = NOON,
    log_every: int = 2,
    eval_every: int = 20,
    resumed: tuple[int, int] | None = None,
    nan_from: int = 0,
    total: int = 0,
    skill: float = 0.9,
) -> Lines:
    """Lines of ``metrics.jsonl``: a second a step.

    Args:
        steps: done so far.
        begin: when the first was done.
        log_every: steps between two rows.
        eval_every: steps between two evaluations; 0 for none.
        resumed: (died at, went on from): the steps between are there twice.
        nan_from: step from which the loss is no number; 0 for never.
        total: steps of the whole run, for the learning rate.
        skill: accuracy at the end; the more, the less loss.
    """
    found: Lines = [{"resumed_from": 0, "time": begin}]

    def one(first: int, last: int, late: float) -> None:
        for step in range(first, last + 1):
            when = begin + step + late
            axes: dict[str, object] = {
                "step": step, "time": when, "epoch": round(step / 60, 4), "tokens": step * 1500.0,
            }  # fmt: skip
            learnt = 1 - math.exp(-step / 45)
            wave = 0.06 * math.sin(step * 1.7) * math.cos(step * 0.31 + late)
            if step % log_every == 0:
                astray = 0.15 if resumed and not late and step > resumed[1] else 0.0
                loss: float | str = round(0.72 - 0.55 * skill * learnt + wave + astray, 6)
                norm: float | str = round(1.4 - learnt + 4 * abs(wave), 6)
                if nan_from and step >= nan_from:
                    loss = norm = "NaN"
                rate = 2e-3 * (1 - step / max(total, steps, 1))
                found.append(
                    axes | {"loss": loss, "grad_norm": norm, "learning_rate": rate,
                            "steps_per_second": round(1 + wave / 4, 6),
                            "tokens_per_second": round(1500 + 300 * wave, 3)}
                )  # fmt: skip
            if eval_every and step % eval_every == 0 and not (nan_from and step >= nan_from):
                found.append(
                    axes | {"eval_loss": round(0.7 - 0.46 * skill * learnt, 6),
                            "eval_accuracy": round(0.5 + (skill - 0.5) * learnt, 6),
                            "eval_f1": round(0.48 + (skill - 0.5) * learnt, 6),
                            "eval_runtime": 0.5, "eval_samples_per_second": 64.0,
                            "eval_steps_per_second": 2.0}
                )  # fmt: skip

    if resumed is None:
        one(1, steps, 0.0)
    else:
        died, origin = resumed
        one(1, died, 0.0)
        found.append({"resumed_from": origin, "time": begin + died + 300})
        one(origin + 1, steps, died - origin + 300.0)
    return found


def make_run(
    name: str = "reviews-lora",
    status: RunStatus = "finished",
    *,
    recipe: Recipe | None = None,
    at: float = 0.0,
    steps: int = 120,
    total: int = 120,
    seconds: float | None = None,
    memory: int = 640_000_000,
    resumed: tuple[int, int] | None = None,
    nan_from: int = 0,
    skill: float = 0.9,
    log_every: int = 2,
    error: RunFailure | None = None,
    note: str = "",
    tags: Sequence[str] = (),
    log: str = "--- 2020-06-15 12:00:00, process 4242\nloading minilm\n",
    alert: str = "",
    answers: Sequence[str] = ("negative 0.62, positive 0.38", "positive 0.91, negative 0.09"),
    checkpoints: Sequence[int] | None = None,
    model: bool | None = None,
    gpus: Sequence[tuple[int | None, int | None, int | None]] = (),
) -> Path:
    """A run directory.

    Args:
        name: of the recipe, where none is given.
        status: a run that is active has this process for its supervisor, one that died a process
            that is none: nobody was left to write that it died.
        recipe: what it was to do.
        at: seconds after `NOON` at which it was made.
        steps, total: done, and to do.
        seconds: that it took; None for a second a step.
        memory: at its peak.
        resumed, nan_from, skill, log_every: as `metric_rows` has them.
        error: why it failed.
        note, tags: the user's.
        log: what it printed.
        alert: an event of that kind at the end.
        answers: of the model to the prompt, one an evaluation.
        checkpoints: their steps; None for the last two evaluations.
        model: whether the model was saved; None for that of a finished run.
        gpus: of each row of the system.
    """
    recipe = recipe or a_recipe(name)
    created = NOON + at
    # not by strftime, which pictures put a fixed one in the place of
    year, month, day, hour, minute, second = time.gmtime(created)[:6]
    stamp = f"{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}"
    folder = paths.runs_dir() / f"{stamp}-{files.slug(recipe.name)}"
    folder.mkdir(parents=True)
    ran = status != "queued"
    active = status in ACTIVE
    steps = steps if ran else 0
    took = float(steps) if seconds is None else seconds
    began = created + 5 if ran else 0.0
    ended = began + took if ran and not active else 0.0
    failure = error
    if status == "failed" and failure is None:
        failure = RunFailure(
            "nan-loss",
            f"The loss is no number any more, at step {steps}.",
            "Resume it from the last checkpoint with a smaller learning rate.",
        )
    mark = files.mark_of(os.getpid())
    if status == "died":  # as whoever was killed left it
        mark = ProcessMark(1, 1e12, files.boot_id())
    written: RunStatus = "running" if status == "died" else status
    files.write_struct(
        folder / files.STATE,
        RunState(
            status=written, created=created, started=began,
            ended=0.0 if status == "died" else ended,
            beat=began + took if ran else 0.0, host=files.this_host(), order=created,
            supervisor=mark if active or status == "died" else None,
            worker=mark if active or status == "died" else None,
            attempts=(2 if resumed else 1) if ran else 0, error=failure,
            peak_memory=memory if ran else 0, seconds=took if ran else 0.0,
        ),
    )  # fmt: skip
    files.save_recipe(folder, recipe)
    files.write_struct(folder / files.NOTES, RunNotes(note=note, tags=tuple(tags)))
    (folder / files.LOG).write_text(log if ran else "", "utf-8")
    evaluations = [step for step in range(20, steps + 1, 20) if not (nan_from and step >= nan_from)]
    rows = metric_rows(
        steps, begin=began, log_every=log_every, resumed=resumed, nan_from=nan_from, total=total,
        skill=skill,
    ) if ran else []  # fmt: skip
    write_lines(folder / files.METRICS, rows)
    if ran:
        _progress(folder, rows, steps, total, began + took, active=active, recipe=recipe)
        _events(folder, recipe, status, steps, began, evaluations, alert, resumed, failure)
        _system(folder, began, took, memory, gpus)
        if recipe.prompts:
            samples = [
                RunSample(step=step, prompt=prompt, answer=answers[number % len(answers)])
                for number, step in enumerate(evaluations) for prompt in recipe.prompts
            ]  # fmt: skip
            write_lines(folder / files.SAMPLES, samples)
        for step in evaluations[-2:] if checkpoints is None else checkpoints:
            make_checkpoint(folder, step, began + step)
        if status == "finished" if model is None else model:
            final = folder / files.MODEL
            final.mkdir()
            (final / "adapter_config.json").write_text('{"peft_type": "LORA"}')
            (final / "adapter_model.safetensors").write_bytes(b"\0" * ADAPTER)
    _set_times(folder, ended or began + took or created)
    return folder


def make_checkpoint(folder: Path, step: int, when: float, *, whole: bool = True) -> Path:
    """A checkpoint of a run; one that is not whole has no mark."""
    place = folder / files.CHECKPOINTS / f"checkpoint-{step}"
    place.mkdir(parents=True)
    (place / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (place / "adapter_model.safetensors").write_bytes(b"\0" * ADAPTER)
    if whole:
        (place / files.WHOLE).write_text(json.dumps({"step": step, "time": when, "since": step}))
    os.utime(place, (when, when))
    return place


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    """A file of JSON lines."""
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path


def _progress(
    folder: Path, rows: Lines, steps: int, total: int, when: float, *, active: bool, recipe: Recipe
) -> None:
    metrics: dict[str, float | str] = {}
    best, best_step = None, 0
    for row in rows:
        axes = ("step", "time", "epoch", "tokens", "resumed_from")
        metrics |= {k: v for k, v in row.items() if k not in axes and isinstance(v, float | str)}
        value = row.get(f"eval_{recipe.metric}")
        if isinstance(value, float) and (best is None or value > best):
            best, best_step = value, int(str(row["step"]))
    files.write_struct(
        folder / files.PROGRESS,
        RunProgress(
            phase="training" if active else "done", step=steps, total_steps=total,
            epoch=round(steps / 60, 4), rate=1.0, metrics=metrics, best=best, best_step=best_step,
            trainable=75_266 if recipe.method.name != "full" else 22_713_986,
            parameters=22_789_252, global_batch=recipe.training.batch_size, train_rows=1920,
            eval_rows=213, time=when,
        ),
    )  # fmt: skip


def _events(
    folder: Path, recipe: Recipe, status: RunStatus, steps: int, began: float,
    evaluations: Sequence[int], alert: str, resumed: tuple[int, int] | None,
    failure: RunFailure | None,
) -> None:  # fmt: skip
    found = [
        RunEvent(time=began - 5, kind="queued", text=recipe.name),
        RunEvent(time=began, kind="started", text="1,920 rows, 75,266 parameters are trained"),
    ]
    late = resumed[0] - resumed[1] + 300 if resumed else 0

    def when(step: int) -> float:
        return began + step + (late if resumed and step > resumed[0] else 0)

    for step in evaluations:
        found.append(RunEvent(time=when(step), kind="evaluated", step=step, text="accuracy up"))
        found.append(
            RunEvent(time=when(step), kind="checkpointed", step=step,
                     text=f"checkpoint-{step}, 300 kB")
        )  # fmt: skip
    if resumed:
        found.append(
            RunEvent(time=began + resumed[0] + 300, kind="resumed", step=resumed[1],
                     text=f"from checkpoint-{resumed[1]}")
        )  # fmt: skip
    if alert:
        found.append(RunEvent(time=when(steps), kind="alert", step=steps, text=alert))
    if status not in ACTIVE and status != "died":
        text = failure.message if failure is not None else f"step {steps}"
        found.append(RunEvent(time=when(steps), kind=status, step=steps, text=text))
    write_lines(folder / files.EVENTS, sorted(found, key=lambda event: event.time))


def _system(
    folder: Path,
    began: float,
    took: float,
    memory: int,
    gpus: Sequence[tuple[int | None, int | None, int | None]],
) -> None:
    rows = [
        SystemRow(
            time=began + second, memory=round(memory * (1 - 0.6 * math.exp(-second / 9))),
            cpu=round(180 + 12 * math.sin(second / 5), 1), machine_cpu=91.0,
            machine_used=3_100_000_000, machine_total=24_000_000_000, gpus=tuple(gpus),
        )
        for second in range(0, max(2, int(took)), 2)
    ]  # fmt: skip
    write_lines(folder / files.SYSTEM, rows)


def _set_times(folder: Path, when: float) -> None:
    """Everything was written then, but for checkpoints, which have times of their own."""
    for path in folder.iterdir():
        if path.name != files.CHECKPOINTS:
            os.utime(path, (when, when))
    os.utime(folder, (when, when))


def folds(methods: Sequence[str] = ("full", "lora"), count: int = 3) -> list[Path]:
    """The finished runs of one recipe: each method on each fold, with known figures."""
    made: list[Path] = []
    for fold in range(1, count + 1):
        for place, method in enumerate(methods):
            one = a_recipe(
                f"film-{method}-fold{fold}", data={"eval": ""}, folds=count, fold=fold,
                group="20200615-120000-film", method={"name": method},
            )  # fmt: skip
            made.append(
                make_run(
                    recipe=one, at=60.0 * len(made), skill=0.80 + 0.05 * place + 0.01 * fold,
                    seconds=100.0 - 40 * place + fold,
                    memory=(900 - 300 * place + fold) * 1_000_000,
                )
            )  # fmt: skip
    return made


# -- other programs ----------------------------------------------------------------------------


def foreign_runs(root: Path) -> dict[str, Path]:
    """A run of each other program; kind → the folder that a user would name."""
    found = {kind: root / kind for kind in ("trainer", "tensorboard", "wandb", "llama-factory")}
    place = found["trainer"] / "checkpoint-20"
    place.mkdir(parents=True)
    shutil.copy(FOREIGN / "trainer_state.json", place)
    place = found["tensorboard"] / "runs" / "Nov25_12-00-00_host"
    place.mkdir(parents=True)
    shutil.copy(FOREIGN / "torch.tfevents", place / EVENT_FILE)
    place = found["wandb"] / "offline-run-20251125_120000-abc"
    place.mkdir(parents=True)
    shutil.copy(FOREIGN / "run.wandb", place / "run-abc.wandb")
    found["llama-factory"].mkdir(parents=True)
    write_lines(
        found["llama-factory"] / "trainer_log.jsonl",
        [
            {"current_steps": step, "total_steps": 40, "loss": round(2 - step / 30, 4),
             "lr": 1e-4, "epoch": step / 20, "percentage": step * 2.5,
             "elapsed_time": f"0:00:{step:02}", "remaining_time": "0:00:40"}
            for step in range(2, 31, 2)
        ],
    )  # fmt: skip
    for path in [*root.rglob("*")]:
        os.utime(path, (NOON, NOON))
    return found


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything in a folder: size, when it was written, and when it was changed at all."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in [folder, *folder.rglob("*")]:
        stat = path.lstat()
        found[str(path)] = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return found


# -- real ones ---------------------------------------------------------------------------------


def over(run_id: str = "last", patience: str = "the run to end") -> store.Run:
    """Wait until a run is over, and give it."""
    wait_until(lambda: _ended(store.find_run(run_id)), patience)
    return store.find_run(run_id)


def _ended(run: store.Run) -> bool:
    return not run.active and run.status != "queued"


@pytest.fixture
def end_runs(isolated: None) -> Iterator[None]:
    """What a test started is ended with it: nothing of it may load the machine of the next."""
    mine = os.getpid()
    yield
    for run in store.list_runs():
        if run.status == "queued":  # or its turn would come when another is killed
            with suppress(HftermError):
                run_control.stop(run)
    for run in store.list_runs():
        worker, supervisor = run.state.worker, run.state.supervisor
        if not run.active or (supervisor is not None and supervisor.pid == mine):
            continue
        with suppress(HftermError):
            run_control.kill(run)
        for mark in (worker, supervisor):
            if mark is not None:
                wait_until(lambda mark=mark: gone(mark.pid), "a run's process to end")
