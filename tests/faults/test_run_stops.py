"""Runs that are asked to stop, at every moment, and what goes on afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import run_kit as kit
from hfterm.hub.model_refs import describe
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.loop import mark_of
from hfterm.training.recipe import Recipe
from hfterm.training.store import Run
from waiting import wait_until


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return kit.build_rows(tmp_path)


def whole(folder: Path) -> list[int]:
    return [kit.step_of(path) for path in files.whole_checkpoints(folder / files.CHECKPOINTS)]


def ask(folder: Path) -> None:
    run_control.stop(store.read_run(folder))


def terminate_worker(folder: Path) -> None:
    worker = files.state_of(folder).worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGTERM)


def terminate_supervisor(folder: Path) -> None:
    supervisor = files.state_of(folder).supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGTERM)


@pytest.fixture
def slow(model: Path, rows: Path) -> Recipe:
    """Steps enough to stop in, an evaluation that takes a while, and no checkpoint on the way."""
    return kit.recipe(
        model, rows, "training.epochs=60", "training.save_every=100000", "training.log_every=5",
        "training.eval_every=100000",
    )  # fmt: skip


def test_a_second_sigterm_ends_it_at_once(slow: Recipe) -> None:
    folder = kit.start(slow)
    kit.training_at(folder, 10)
    worker = files.state_of(folder).worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGSTOP)  # both come before it can stop by itself
    terminate_worker(folder)
    os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: _terminated(folder, worker.pid), "ended by the second one")
    run = kit.wait_over(folder)
    assert run.status in ("died", "stopped")
    if run.status == "died":
        assert run.state.error is not None
        assert "SIGTERM" in run.state.error.message


def _terminated(folder: Path, pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    return store.read_run(folder).status in kit.OVER


@pytest.mark.parametrize(
    ("setting", "way"),
    [
        ("method.name=full", terminate_worker),
        ("method.name=lora", terminate_supervisor),
        ("task=masked-lm", ask),
    ],
)
def test_stopped_and_resumed_is_as_never_stopped(
    setting: str, way: Callable[[Path], None], model: Path, rows: Path
) -> None:
    """A stop is a checkpoint at the next step.

    Between two rows of metrics, whose mean must be the same; masks are drawn alike.
    """
    recipe = kit.recipe(
        model, rows, setting, "training.epochs=2", "training.log_every=8",
        "training.save_every=1000", "training.eval_every=16",
        *(['data.labels=["worse", "better"]'] if "lora" in setting else []),
    )  # fmt: skip
    folder, reference = kit.start(recipe), kit.start(recipe)
    kit.training_at(folder, 1)
    way(folder)
    run = kit.wait_over(folder)
    assert run.status == "stopped", kit.log_of(folder)
    assert run.state.error is None
    assert 1 <= run.progress.step < run.progress.total_steps
    assert whole(folder) == [run.progress.step]
    assert not (folder / files.STOP).exists()
    assert not (folder / files.MODEL).exists()
    event = store.events_of(folder)[-1]
    assert event.kind == "stopped"
    assert event.text.startswith(f"step {run.progress.step:,} of {run.progress.total_steps:,}, ")
    assert kit.wait_over(reference).status == "finished"
    kit.resume(folder)
    run = kit.wait_over(folder)
    assert run.status == "finished", kit.log_of(folder)
    ours, theirs = kit.effective(folder), kit.effective(reference)
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for one, two in zip(ours, theirs, strict=True):
        for name in one.keys() & two.keys() & {"loss", "eval_loss", "learning_rate", "tokens"}:
            assert one[name] == pytest.approx(two[name], abs=1e-4), (one["step"], name)
    assert run.progress.best == pytest.approx(store.read_run(reference).progress.best, abs=1e-4)
    assert run.progress.best_step == store.read_run(reference).progress.best_step
    if setting == "method.name=lora":
        found = describe("adapter", "path", folder / files.MODEL)
        assert found.label_names == ("worse", "better")


def test_a_stop_while_evaluating_is_resumed_with_the_evaluation(
    model: Path, tmp_path: Path
) -> None:
    rows = kit.build_rows(tmp_path, 4000)
    recipe = kit.recipe(
        model, rows, "data.train=train[:96]", "data.eval=train", "training.eval_batch_size=1",
        "training.epochs=2", "training.eval_every=0", "training.save_every=0",
    )  # fmt: skip
    folder = kit.start(recipe)
    kit.wait_for(folder, lambda run: run.progress.phase == "evaluating", "evaluating")
    ask(folder)
    run = kit.wait_over(folder)
    assert run.status == "stopped"
    assert run.progress.step == 24
    assert whole(folder) == [24]
    assert mark_of(folder / files.CHECKPOINTS / "checkpoint-24").evaluate
    assert not [row for row in kit.rows_of(folder) if "eval_loss" in row]
    kit.resume(folder)
    kit.wait_for(folder, lambda run: run.progress.phase == "evaluating", "evaluating again")
    # in the midst of that as well
    ask(folder)
    assert kit.wait_over(folder).status == "stopped"
    assert whole(folder) == [24]
    assert mark_of(folder / files.CHECKPOINTS / "checkpoint-24").evaluate
    (folder / files.RECIPE).write_text(
        (folder / files.RECIPE).read_text().replace("eval_batch_size = 1", "eval_batch_size = 500")
    )
    kit.resume(folder)
    run = kit.wait_over(folder)
    assert run.status == "finished", kit.log_of(folder)
    assert sorted(kit.history(folder).evaluations) == [24, 48]


@pytest.mark.parametrize("way", [ask, terminate_worker, terminate_supervisor])
def test_a_stop_while_loading_loses_nothing(
    way: Callable[[Path], None], model: Path, rows: Path
) -> None:
    recipe = kit.recipe(model, rows)
    folder = kit.start(recipe)
    kit.wait_for(folder, lambda run: "process" in kit.log_of(folder), "its first word")
    assert store.read_run(folder).status == "starting"
    way(folder)
    run = kit.wait_over(folder)
    assert run.status == "stopped", run.state.error
    assert whole(folder) == []
    if way is ask:
        kit.resume(folder)
        assert kit.wait_over(folder).status == "finished"
        assert len(kit.history(folder).losses) == kit.STEPS


def test_a_stop_at_the_last_step_is_finished(model: Path, tmp_path: Path) -> None:
    """All is done but the evaluation and the saving, which are done as well."""
    # one step of many batches, so that the order comes before it is over
    recipe = kit.recipe(
        model, kit.build_rows(tmp_path, 600), "training.max_steps=1", "training.batch_size=1",
        "training.accumulate=450", "training.eval_batch_size=100",
    )  # fmt: skip
    folder = kit.start(recipe)
    kit.wait_for(folder, lambda run: run.progress.phase == "training", "the step begun")
    (folder / files.STOP).touch()
    run = kit.wait_over(folder)
    assert run.status == "finished", kit.log_of(folder)
    assert run.progress.step == 1
    assert (folder / files.MODEL / "model.safetensors").exists()
    assert sorted(kit.history(folder).evaluations) == [1]


# -- what is gone on with --------------------------------------------------------------------


def outcome(run: Run) -> str:
    assert run.status == "finished", f"{run.state.error}\n{kit.log_of(run.path)}"
    return run.status


def test_an_epoch_goes_on_where_no_step_is_left(model: Path, rows: Path) -> None:
    """Killed after its last checkpoint, in the middle of an epoch: no step is taken again."""
    recipe = kit.recipe(model, rows, "training.max_steps=10", "training.save_every=5")
    folder = kit.start(recipe)
    kit.wait_for(folder, lambda run: 10 in whole(folder) or run.status in kit.OVER, "the last one")
    if files.is_alive(files.state_of(folder).worker):
        kit.kill_worker(folder)
    if kit.wait_over(folder).status == "finished":  # it was faster: as if it had been killed
        state = files.state_of(folder)
        files.write_struct(folder / files.STATE, type(state)(status="died", created=state.created))
    kit.resume(folder)
    run = kit.wait_over(folder)
    assert outcome(run) == "finished"
    assert run.progress.step == 10
    assert sorted(kit.history(folder).losses) == list(range(1, 11))
    assert (folder / files.MODEL / "model.safetensors").exists()


def test_the_best_checkpoint_stays_and_is_loaded(model: Path, rows: Path) -> None:
    """With a learning rate that soon spoils what was learnt."""
    recipe = kit.recipe(
        model, rows, "training.epochs=3", "training.save_every=6", "training.eval_every=6",
        "training.keep=1", "training.load_best=true", "training.early_stopping=3",
        "training.learning_rate=0.05", "training.scheduler=constant",
    )  # fmt: skip
    folder = kit.finished(recipe)
    run = store.read_run(folder)
    evaluations = kit.history(folder).evaluations
    best = min(evaluations, key=lambda step: evaluations[step])
    assert run.progress.best_step == best
    assert run.progress.best == pytest.approx(evaluations[best])
    last = max(evaluations)
    assert set(whole(folder)) == {best, last}
    # three without a better one
    assert last == best + 18 or run.progress.step == run.progress.total_steps
    from safetensors.numpy import load_file

    saved = load_file(folder / files.MODEL / "model.safetensors")
    there = load_file(folder / files.CHECKPOINTS / f"checkpoint-{best}" / "model.safetensors")
    assert all((saved[name] == there[name]).all() for name in there)


def test_rows_and_checkpoints_come_as_often_as_asked(model: Path, rows: Path) -> None:
    recipe = kit.recipe(
        model, rows, "training.max_steps=22", "training.eval_every=7", "training.save_every=4",
        "training.log_every=3", "training.keep=2",
    )  # fmt: skip
    folder = kit.finished(recipe)
    kept = [row["step"] for row in kit.rows_of(folder) if "loss" in row]
    assert kept == [1, 3, 6, 9, 12, 15, 18, 21]
    assert [row["step"] for row in kit.rows_of(folder) if "eval_loss" in row] == [7, 14, 21, 22]
    assert whole(folder) == [20, 22]
    events = store.events_of(folder)
    saved = [event.step for event in events if event.kind == "checkpointed"]
    assert saved == [4, 8, 12, 16, 20, 22]
    assert [event.kind for event in events[:2]] == ["queued", "started"]
    assert events[-1].kind == "finished"
    run = store.read_run(folder)
    assert run.progress.global_batch == kit.BATCH
    assert run.state.peak_memory > 100e6
