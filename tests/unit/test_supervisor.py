"""The process that watches over a run, with small scripts in place of the one that trains."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hfterm.training import launching, run_control, store, supervisor
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of
from hfterm.training.run_types import RunFailure, RunState, SystemRow
from waiting import gone, wait_until

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
KILL_ITSELF = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
WAIT = "import signal; signal.pause()"
OUTCOME = """
import sys
from pathlib import Path
from hfterm.training import run_files as files
from hfterm.training.run_types import RunFailure
folder, status = Path(sys.argv[1]), {status!r}
error = RunFailure("bad-data", "The data is bad.") if status == "failed" else None
files.write_struct(folder / files.OUTCOME, files.Outcome(status=status, error=error))
"""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The supervisor sets handlers, which pytest needs again."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def folder() -> Path:
    recipe = recipe_of(
        {
            "name": "try",
            "task": "text-classification",
            "model": {"ref": "minilm"},
            "data": {"ref": "reviews"},
        }
    )
    return run_control.create(recipe)


Watch = Callable[..., RunState]


@pytest.fixture
def watch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Watch over a script, which gets the run's folder; gives the state at the end."""

    def over(script: str, meanwhile: Callable[[], None] | None = None) -> RunState:
        def command(folder: Path, recipe: Recipe) -> list[str]:
            return [sys.executable, "-c", script, str(folder)]

        monkeypatch.setattr(supervisor, "worker_command", command)
        thread = threading.Thread(target=meanwhile) if meanwhile is not None else None
        if thread is not None:
            thread.start()
        told: list[str] = []
        supervisor.Supervisor(folder).run(lambda: told.append(files.state_of(folder).status))
        if thread is not None:
            thread.join()
        # whoever starts a run hears that it is watched when the state says so
        assert told == ["starting"]
        return files.state_of(folder)

    return over


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_an_outcome_is_the_status(status: str, watch: Watch, folder: Path) -> None:
    state = watch(OUTCOME.format(status=status))
    assert state.status == status
    assert (state.error is not None) == (status == "failed")
    assert state.ended >= state.started > 0
    assert store.events_of(folder)[-1].kind == status
    assert not (folder / files.RESERVE).exists()


def test_a_kill_from_outside_is_said_with_a_remedy(watch: Watch) -> None:
    state = watch(KILL_ITSELF)
    assert state.status == "died"
    assert state.error is not None
    assert "SIGKILL" in state.error.message
    assert "%" in state.error.message
    assert "Resume" in state.error.remedy


def test_a_kill_by_the_system_for_memory_is_told_apart(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(supervisor, "_oom_kills", lambda: next(kills))
    state = watch(KILL_ITSELF)
    assert state.status == "died"
    assert state.error is not None
    assert state.error.kind == "out-of-memory"
    assert "batch_size" in state.error.remedy


def test_a_kill_from_hfterm_is_said(watch: Watch, folder: Path) -> None:
    def kill() -> None:
        wait_until(lambda: files.state_of(folder).worker, "a worker")
        run_control.kill(store.read_run(folder))

    state = watch(WAIT, kill)
    assert state.status == "died"
    assert state.error is not None
    assert "from hfterm" in state.error.message


def test_an_exit_without_a_word(watch: Watch) -> None:
    state = watch("raise SystemExit(7)")
    assert state.status == "died"
    assert state.error is not None
    assert "exit code 7" in state.error.message


def test_of_several_processes_the_log_tells_which_signal(watch: Watch, folder: Path) -> None:
    (folder / files.LOG).write_text(
        "  exitcode  : -15 (pid: 11)\n[0]:\n  rank      : 1\n  exitcode  : -9 (pid: 12)\n"
    )
    state = watch("raise SystemExit(1)")
    assert state.error is not None
    assert "SIGKILL" in state.error.message


def test_sigterm_asks_for_a_stop(watch: Watch, folder: Path) -> None:
    def terminate() -> None:
        wait_until(lambda: files.state_of(folder).worker, "a worker")
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        wait_until(lambda: files.state_of(folder).status == "stopping", "stopping")
        run_control.kill(store.read_run(folder))

    watch(WAIT, terminate)
    # a stop that was not heard must not end the next attempt
    assert not (folder / files.STOP).exists()


def test_one_that_hangs_at_its_end_is_ended(
    watch: Watch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LINGER", 0.3)
    state = watch(OUTCOME.format(status="finished") + WAIT)
    assert state.status == "finished"
    assert state.worker is not None
    assert gone(state.worker.pid)


def test_what_it_started_ends_with_it(watch: Watch, folder: Path) -> None:
    """Also in a session of its own, as a launcher starts each process."""
    stray = (
        "import subprocess, sys, os, signal\n"
        f"code = {WAIT!r}\n"
        f"argv = [sys.executable, '-c', code, {files.WORKER!r}, sys.argv[1]]\n"
        "children = [subprocess.Popen(argv, start_new_session=way) for way in (True, False)]\n"
        "open(sys.argv[1] + '/pids', 'w').write(' '.join(str(c.pid) for c in children))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert watch(stray).status == "died"
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    wait_until(lambda: all(gone(pid) for pid in pids), "no orphans")


def test_the_peak_of_a_short_run_is_known(watch: Watch) -> None:
    state = watch("data = bytearray(b'1') * 200_000_000")
    assert state.peak_memory > 200e6


def test_samples_beats_and_the_time_of_all_attempts(watch: Watch, folder: Path) -> None:
    files.write_struct(
        folder / files.STATE, msgspec.structs.replace(files.state_of(folder), seconds=100.0)
    )

    def look() -> None:
        wait_until((folder / files.SYSTEM).exists, "a sample")
        run_control.kill(store.read_run(folder))

    state = watch(WAIT, look)
    assert state.attempts == 1
    assert 100 < state.seconds < 100 + state.ended - state.started + 1
    assert state.beat >= state.started
    rows = store.read_lines(folder / files.SYSTEM, SystemRow)
    assert rows
    assert rows[0].memory > 1e6
    assert rows[0].machine_total > rows[0].machine_used > 0


def test_a_full_disk_ends_no_watch(
    watch: Watch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the room that was kept is given back."""
    real = files.write_atomic

    def full(path: Path, data: bytes) -> None:
        if path.name == files.STATE and (folder / files.RESERVE).exists():
            raise OSError(28, "No space left on device")
        real(path, data)

    def line(*_: object) -> None:
        if (folder / files.RESERVE).exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_atomic", full)
    monkeypatch.setattr(files, "append_line", line)
    assert watch(OUTCOME.format(status="finished")).status == "finished"


def test_no_process_is_a_failure(
    watch: Watch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refuse)
    state = watch(WAIT)
    assert state.status == "failed"
    assert state.error == RunFailure("unstartable", "No process: Resource temporarily unavailable.")


def test_the_launcher_leaves_hang_ups_alone(tmp_path: Path) -> None:
    assert "SIGHUP" not in launching.worker_environment()["PET_SIGNALS_TO_HANDLE"]
