"""Runs that are killed, stopped, starved: what was logged stays, and they can be resumed.

``HFTERM_KILLS=20`` kills each of the two methods that often.
"""

from __future__ import annotations

import os
import pty
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

import run_kit as kit
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.run_types import ProcessMark
from waiting import wait_until

KILLS = int(os.environ.get("HFTERM_KILLS", "0"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoints take a good part of a second."""
    return kit.build_model(tmp_path_factory.mktemp("large"), words=120_000)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return kit.build_rows(tmp_path)


# -- killed ----------------------------------------------------------------------------------


def _being_written(folder: Path) -> bool:
    return bool(files.torn_checkpoints(folder / files.CHECKPOINTS))


def _kill_at(folder: Path, kind: str, chance: random.Random) -> None:
    """Kill the worker: while it loads, after some rows more, or while it writes a checkpoint."""
    if kind == "loading":
        kit.wait_for(folder, lambda run: run.state.worker, "a worker")
        Event().wait(chance.uniform(0, 4))
    elif kind == "training":
        more = len(kit.rows_of(folder)) + chance.randint(1, 8)
        kit.wait_for(
            folder, lambda run: len(kit.rows_of(folder)) >= more or run.status in kit.OVER, "rows"
        )
    else:
        wait_until(
            lambda: _being_written(folder) or store.read_run(folder).status in kit.OVER, "writing"
        )
        Event().wait(chance.uniform(0, 0.1))
    if files.is_alive(files.state_of(folder).worker):
        kit.kill_worker(folder)


def _killed_once(folder: Path, kind: str, chance: random.Random) -> tuple[float, bool] | None:
    """Kill a run, see what is left, and resume it.

    Gives the seconds until it was said, and whether a checkpoint was torn; None when the run came
    to its end before it was killed.
    """
    _kill_at(folder, kind, chance)
    struck = time.monotonic()
    metrics = folder / files.METRICS
    lines = metrics.read_bytes() if metrics.exists() else b""
    run = kit.wait_over(folder)
    if run.status == "finished":
        return None
    took = time.monotonic() - struck
    assert run.status == "died"
    assert run.state.error is not None
    assert "SIGKILL" in run.state.error.message
    assert run.state.error.remedy
    whole = files.whole_checkpoints(folder / files.CHECKPOINTS)
    torn = _being_written(folder)
    kit.resume(folder)
    assert metrics.read_bytes().startswith(lines) if lines else True
    if lines:
        wait_until(lambda: metrics.stat().st_size > len(lines), "it goes on")
        assert metrics.read_bytes().startswith(lines)
        marker = next(row for row in reversed(kit.rows_of(folder)) if "resumed_from" in row)
        assert marker["resumed_from"] == (kit.step_of(whole[-1]) if whole else 0)
    return took, torn


@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize(
    ("method", "kinds"),
    [("full", ["writing", "loading"]), ("lora", ["writing", "training"])],
    ids=["full", "lora"],
)
def test_kills_lose_no_row_and_change_no_result(
    method: str, kinds: list[str], large: Path, rows: Path
) -> None:
    recipe = kit.recipe(large, rows, f"method.name={method}")
    reference = kit.start(recipe)
    seed = time.time_ns() if KILLS else 7
    chance = random.Random(seed)
    kinds = list(kinds)
    if KILLS:
        kinds = chance.choices(["writing", "training", "training", "loading"], k=KILLS)
    times: list[float] = []
    torn = runs = 0
    while kinds:
        folder = kit.start(recipe)
        runs += 1
        kills = 0
        while kinds and (killed := _killed_once(folder, kinds[0], chance)):
            times.append(killed[0])
            torn += killed[1]
            kills += 1
            kinds.pop(0)
        run = kit.wait_over(folder)
        assert run.status == "finished", kit.log_of(folder)
        assert run.state.attempts == kills + 1
        assert not _being_written(folder)
        assert kit.wait_over(reference).status == "finished"
        kit.same(kit.history(folder), kit.history(reference))
    print(f"{method}: {len(times)} kills in {runs} runs, {torn} torn checkpoints, "
          f"died after {max(times):.2f} s at most, {seed=}")  # fmt: skip


def _long(model: Path, rows: Path, *settings: str) -> Recipe:
    """A run with steps enough to do something to it; a resume has little left to do."""
    return kit.recipe(
        model, rows, "training.epochs=50", "training.save_every=50", "training.eval_every=1200",
        *settings,
    )  # fmt: skip


def _shorter(folder: Path) -> str:
    """The setting that lets a long run end a few steps after its last checkpoint."""
    whole = files.whole_checkpoints(folder / files.CHECKPOINTS)
    return f"training.max_steps={(kit.step_of(whole[-1]) if whole else 0) + 6}"


def _kill(mark: ProcessMark | None) -> None:
    assert mark is not None
    os.kill(mark.pid, signal.SIGKILL)
    wait_until(lambda: not files.is_alive(mark), "killed")


# -- the one that watches --------------------------------------------------------------------


def test_a_run_goes_on_without_its_supervisor(model: Path, rows: Path) -> None:
    folder = kit.start(_long(model, rows))
    state = kit.training_at(folder, 3).state
    _kill(state.supervisor)
    before = len(kit.rows_of(folder))
    assert kit.training_at(folder, before + 10).status == "running"
    with pytest.raises(HftermError, match="is running"):
        run_control.start(folder)
    # both killed
    _kill(state.worker)
    run = store.read_run(folder)
    assert run.status == "died"
    assert run.state.error is not None
    assert "both were killed" in run.state.error.message
    assert not run.active
    kit.resume(folder)
    before = len(kit.rows_of(folder))
    run = kit.wait_for(folder, lambda run: len(kit.rows_of(folder)) > before + 3, "going on")
    _kill(run.state.supervisor)
    # it hears of a stop all the same, and what became of it is read from its own account
    run_control.stop(store.read_run(folder))
    assert store.read_run(folder).status in ("stopping", "stopped")
    run = kit.wait_for(folder, lambda run: run.status in kit.OVER, "over")
    assert run.status == "stopped"
    assert run.state.seconds > 0
    assert len(kit.history(folder).losses) == run.progress.step


# -- the one that started it -----------------------------------------------------------------

STARTER = """
import signal, sys
from pathlib import Path
from hfterm.training import run_control, store
run_control.start(Path(sys.argv[1]))
print("started", flush=True)
signal.pause()
"""


def _in_a_terminal(folder: Path) -> tuple[int, int]:
    """Start a run from a terminal. Gives the starter, which stays, and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", STARTER, str(folder)])
    said = b""
    while b"started" not in said:
        said += os.read(terminal, 1000)
    return pid, terminal


def test_runs_outlive_their_starters_and_terminals(model: Path, rows: Path) -> None:
    """One terminal is closed, which ends its starter by a hang-up; of the other it is killed."""
    folders = [run_control.create(_long(model, rows)) for _ in range(2)]
    (one, first), (two, second) = (_in_a_terminal(folder) for folder in folders)
    for folder in folders:
        kit.training_at(folder, 1)
    os.close(first)
    os.kill(two, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(one, 0)[1]) == signal.SIGHUP
    os.waitpid(two, 0)
    os.close(second)
    for folder in folders:
        before = len(kit.rows_of(folder))
        run = kit.training_at(folder, before + 10)
        assert run.status == "running"
        supervisor, worker = run.state.supervisor, run.state.worker
        assert supervisor is not None
        assert worker is not None
        assert os.getsid(worker.pid) not in (os.getsid(0), one, two)
        for mark in (supervisor, worker):
            os.kill(mark.pid, signal.SIGHUP)
        assert kit.training_at(folder, before + 20).status == "running"
    for folder in folders:
        run_control.stop(store.read_run(folder))
    assert [kit.wait_over(folder).status for folder in folders] == ["stopped", "stopped"]


# -- what runs out, or is gone ---------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 24 MB, on which the runs are."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)])


def _fill(path: Path, leave: int) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"0" * 65536) == 65536:
            pass
    os.truncate(path, max(0, path.stat().st_size - leave))


def test_a_full_disk_is_said_and_mended(model: Path, rows: Path, small_disk: Path) -> None:
    """Either no row can be written, or only a part of a checkpoint."""
    folder = kit.start(_long(model, rows))
    checkpoints = folder / files.CHECKPOINTS
    for leave in (0, 700_000):
        there = len(files.whole_checkpoints(checkpoints))
        kit.wait_for(
            folder, lambda _, n=there: len(files.whole_checkpoints(checkpoints)) > n, "a checkpoint"
        )
        before = (folder / files.METRICS).read_bytes()
        _fill(small_disk / "filler", leave)
        run = kit.wait_over(folder)
        assert run.status == "failed", run.state
        assert run.state.error is not None
        assert run.state.error.kind == "no-space", kit.log_of(folder)
        assert "Free some room" in run.state.error.remedy
        assert (folder / files.METRICS).read_bytes().startswith(before)
        assert not files.torn_checkpoints(checkpoints)
        (small_disk / "filler").unlink()
        kit.resume(folder, *([_shorter(folder)] if leave else []), "training.keep=3")
    run = kit.wait_over(folder)
    assert run.status == "finished", kit.log_of(folder)
    assert len(kit.history(folder).losses) == run.progress.total_steps


def test_data_that_is_gone_is_named(model: Path, rows: Path) -> None:
    """Before the start, and before a resume."""
    away = rows.with_name("away.jsonl")
    folder = run_control.create(_long(model, rows, "training.save_every=5"))

    def fails() -> None:
        rows.rename(away)
        run_control.start(folder)
        run = kit.wait_over(folder)
        away.rename(rows)
        assert run.status == "failed"
        assert run.state.error is not None
        assert run.state.error.kind == "not-found"
        assert str(rows) in run.state.error.message
        assert "put the file back" in run.state.error.remedy

    fails()
    assert kit.rows_of(folder) == []
    kit.resume(folder)
    kit.training_at(folder, 6)
    kit.kill_worker(folder)
    kit.wait_over(folder)
    before = kit.rows_of(folder)
    fails()
    assert kit.rows_of(folder) == before
    kit.history(folder)


SPOILING = (
    "training.optimizer=sgd", "training.learning_rate=1", "training.weight_decay=30",
    "training.max_grad_norm=0", "training.scheduler=constant",
)  # fmt: skip
"""The weights grow 29 times in a step, until they are no numbers."""


def test_a_loss_that_is_no_number_is_mended_by_a_smaller_rate(model: Path, rows: Path) -> None:
    recipe = kit.recipe(
        model, rows, *SPOILING, "training.epochs=4", "training.save_every=2",
        "training.log_every=3", "training.eval_every=1000", "training.keep=3",
    )  # fmt: skip
    folder = kit.start(recipe)
    run = kit.wait_over(folder)
    assert run.status == "failed", kit.rows_of(folder)
    assert run.state.error is not None
    assert run.state.error.kind == "nan-loss"
    assert "training.learning_rate" in run.state.error.remedy
    kept = [row for row in kit.rows_of(folder) if "loss" in row]
    assert kept
    alerts = [event for event in store.events_of(folder) if event.kind == "alert"]
    assert "no number" in alerts[-1].text
    last = files.whole_checkpoints(folder / files.CHECKPOINTS)[-1]
    assert last.name in run.state.error.remedy
    kit.resume(folder, "training.learning_rate=1e-4", f"training.max_steps={kit.step_of(last) + 9}")
    run = kit.wait_over(folder)
    assert run.status == "finished", run.state.error
    rates = [row["learning_rate"] for row in kit.effective(folder) if "learning_rate" in row]
    assert rates[-1] <= 1e-4
    losses = [row["loss"] for row in kit.effective(folder) if "loss" in row]
    assert all(isinstance(loss, float) for loss in losses)


def test_a_loss_that_is_no_number_can_be_gone_on_with(model: Path, rows: Path) -> None:
    recipe = kit.recipe(
        model, rows, *SPOILING, "training.epochs=2", "training.on_nan=continue",
    )  # fmt: skip
    folder = kit.finished(recipe)
    rows_there = [row for row in kit.rows_of(folder) if "loss" in row]
    assert [row["step"] for row in rows_there] == list(range(1, 49))
    assert rows_there[-1]["loss"] == "NaN"
    alerts = [event for event in store.events_of(folder) if event.kind == "alert"]
    assert len([event for event in alerts if "no number" in event.text]) == 1
    # the other alert is of a loss that jumps
    assert len(alerts) < 24


def test_no_memory_is_said_and_mended(model: Path, tmp_path: Path) -> None:
    rows = kit.build_rows(tmp_path, 6000)
    recipe = kit.recipe(
        model, rows, "data.train=train[:96]", "data.eval=train", "training.eval_batch_size=6000",
        "training.eval_every=24", "training.epochs=2",
    )  # fmt: skip
    folder = kit.start(recipe)
    worker = kit.training_at(folder, 1).state.worker
    assert worker is not None
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 20_000_000
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))
    run = kit.wait_over(folder)
    assert run.status == "failed", run.state
    assert run.state.error is not None
    assert run.state.error.kind == "out-of-memory", kit.log_of(folder)
    assert "batch_size" in run.state.error.remedy
    assert len(kit.history(folder).losses) == 24
    kit.resume(folder, "training.eval_batch_size=100", "training.max_steps=30")
    assert kit.wait_over(folder).status == "finished", kit.log_of(folder)
    assert len(kit.history(folder).losses) == 30
