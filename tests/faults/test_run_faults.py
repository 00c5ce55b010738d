"""Runs that are killed, stopped, starved: what was logged stays, and they can be resumed.

``HFTERM_KILLS=20`` kills each of the two methods that often.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from threading import Event

import pytest

import run_kit as kit
from hfterm.training import run_files as files
from hfterm.training import store
from waiting import gone, wait_until

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


@pytest.mark.timeout(60 + 30 * KILLS)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_kills_lose_no_row_and_change_no_result(method: str, large: Path, rows: Path) -> None:
    recipe = kit.recipe(large, rows, f"method.name={method}")
    reference = kit.history(kit.finished(recipe))
    seed = time.time_ns() if KILLS else 7
    chance = random.Random(seed)
    kinds = ["writing", "training", "loading"]
    if KILLS:
        kinds = [chance.choice(["writing", "training", "training", "loading"]) for _ in range(KILLS)]
    folder = kit.start(recipe)
    slowest, torn, killed = 0.0, 0, 0
    for kind in kinds:
        _kill_at(folder, kind, chance)
        struck = time.monotonic()
        lines = (folder / files.METRICS).read_bytes() if (folder / files.METRICS).exists() else b""
        run = kit.wait_for(folder, lambda run: run.status in kit.OVER, "died")
        if run.status == "finished":  # it came to its end before it was killed
            break
        slowest = max(slowest, time.monotonic() - struck)
        killed += 1
        assert run.status == "died"
        assert run.state.error is not None
        assert "SIGKILL" in run.state.error.message
        assert run.state.error.remedy
        torn += _being_written(folder)
        whole = files.whole_checkpoints(folder / files.CHECKPOINTS)
        kit.wait_over(folder)
        kit.resume(folder)
        wait_until(
            lambda: len((folder / files.METRICS).read_bytes()) > len(lines)
            if lines
            else store.read_run(folder).active,
            "it goes on",
        )
        assert (folder / files.METRICS).read_bytes().startswith(lines)
        if lines and len(whole):
            last = int(whole[-1].name.rpartition("-")[2])
            assert {"resumed_from": last}.items() <= {
                key: value
                for row in kit.rows_of(folder)
                for key, value in row.items()
                if key == "resumed_from"
            }.items()
    run = kit.wait_over(folder)
    assert run.status == "finished", kit.log_of(folder)
    assert run.state.attempts == killed + 1
    assert not _being_written(folder)
    kit.same(kit.history(folder), reference)
    print(f"{method}: {killed} kills, {torn} torn checkpoints, died within {slowest:.2f} s, {seed=}")
