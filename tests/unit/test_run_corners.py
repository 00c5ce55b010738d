"""What rarely becomes of a run: files that lack, locks that are held, signals, full disks."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest

from hfterm.errors import Cancelled, HftermError
from hfterm.training import launching, run_control, stopping, store, supervisor
from hfterm.training import run_files as files
from hfterm.training.model_card import model_card
from hfterm.training.run_types import ProcessMark, RunFailure, RunProgress
from hfterm.training.stopping import StopSwitch
from hfterm.widgets.run_head import run_head
from hfterm.widgets.training_words import duration, run_line
from run_fixtures import a_recipe, make_run
from waiting import wait_until

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture
def signals() -> Iterator[None]:
    """Handlers that pytest needs again."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
    ) as process:
        yield process
        process.kill()


def change(folder: Path, **changes: Any) -> store.Run:
    """Another state of a run, and what it is then."""
    state = msgspec.structs.replace(files.state_of(folder), **changes)
    files.write_struct(folder / files.STATE, state)
    return store.read_run(folder)


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4234, "0.42 s"), (44.4, "44 s"), (99.6, "1 min 40 s"), (200, "3 min 20 s"),
     (5999, "99 min 59 s"), (7500, "2 h 05 min")],
)  # fmt: skip
def test_what_a_step_took_is_said_in_words(seconds: float, told: str) -> None:
    assert files.took(seconds) == told


def test_of_several_outcomes_a_torn_one_is_passed_over() -> None:
    folder = make_run("one", "running")
    error = RunFailure("bad-data", "The data is bad.")
    files.write_struct(folder / "outcome-1.json", files.Outcome(status="failed", error=error))
    (folder / files.OUTCOME).write_bytes(b'{"status": "fai')
    os.utime(folder / files.OUTCOME, (1, 1))
    found = files.outcome_of(folder)
    assert found is not None
    assert found.error == error


def test_a_run_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    looks: list[bool] = []

    def refused() -> bool:
        looks.append(True)
        if len(looks) == 2:
            holder.__exit__(None, None, None)
        return False

    holder = files.taken(tmp_path, lambda: False)
    holder.__enter__()
    with files.taken(tmp_path, refused) as lock:
        assert lock >= 0
    assert len(looks) >= 3


def test_a_run_that_is_refused_once_it_is_free_is_not_taken(tmp_path: Path) -> None:
    with (
        pytest.raises(HftermError, match="is running"),
        files.taken(tmp_path, lambda: True),
    ):
        pytest.fail("it was taken")


def test_only_checkpoints_with_a_step_are_gone_on_from() -> None:
    folder = make_run("one", "stopped", steps=40)
    (folder / files.CHECKPOINTS / "checkpoint-last").mkdir()
    there = files.whole_checkpoints(folder / files.CHECKPOINTS)
    assert [path.name for path in there] == [
        "checkpoint-20", "checkpoint-40",
    ]  # fmt: skip


def test_without_proc_the_start_of_a_process_is_asked_of_the_system(
    sleeper: subprocess.Popen[bytes],
) -> None:
    found = files._started_elsewhere(sleeper.pid)
    assert found is not None
    assert found >= psutil.boot_time()
    sleeper.kill()
    wait_until(lambda: files._started_elsewhere(sleeper.pid) is None, "a zombie to be none")
    sleeper.wait()
    assert files._started_elsewhere(sleeper.pid) is None


# -- start, stop, kill -------------------------------------------------------------------------


def test_there_is_an_end_to_runs_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(strftime=lambda _: "20200101-000000", time=time.time)
    monkeypatch.setattr(run_control, "time", clock)
    first = run_control.create(a_recipe("one"))
    for number in range(2, 1000):
        (first.parent / f"{first.name}-{number}").mkdir()
    with pytest.raises(HftermError) as caught:
        run_control.create(a_recipe("one"))
    assert caught.value.kind == "no-space"
    assert first.name in caught.value.message


def test_a_kill_before_anything_trains_ends_the_watch(sleeper: subprocess.Popen[bytes]) -> None:
    folder = make_run("one", "starting")
    mark = files.mark_of(sleeper.pid)
    run = change(folder, supervisor=mark, worker=None)
    run_control.kill(run)
    assert sleeper.wait(30) == -signal.SIGTERM
    assert (folder / files.KILLED).exists()


def test_a_kill_of_a_run_on_another_machine_ends_nothing_here() -> None:
    folder = make_run("one", "running")
    there = ProcessMark(1, 1e12, "another-start-of-another-machine")
    os.utime(folder / files.METRICS)
    run = change(folder, supervisor=there, worker=there, host="another", beat=time.time())
    assert run.active
    run_control.kill(run)
    assert (folder / files.KILLED).exists()
    assert store.read_run(folder).active


def test_a_run_that_ends_while_it_is_looked_at_is_what_it_became() -> None:
    folder = make_run("one", "died")
    before = files.state_of(folder)
    change(folder, status="finished", supervisor=None, worker=None)
    assert store._true(folder, before).status == "finished"


def test_a_setting_that_changes_nothing_is_not_said() -> None:
    make_run("active", "running")
    folder = make_run("one", "stopped", at=60.0)
    before = len(store.events_of(folder))
    run_control.resume(store.read_run(folder), ["training.batch_size=32"], queue=True)
    assert store.read_run(folder).status == "queued"
    assert len(store.events_of(folder)) == before


def test_a_full_disk_sends_the_order_to_stop_to_the_process_itself(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("one", "starting")
    watch = supervisor.Supervisor(folder)
    monkeypatch.setattr(files, "STOP", "no/such/folder/stop")
    watch._terminated()  # there is no process yet, and nothing to tell
    watch._worker = sleeper
    watch._terminated()
    assert sleeper.wait(30) == -signal.SIGTERM
    watch._terminated()  # nor is there one any more


@pytest.mark.parametrize(
    ("code", "memory", "kind", "said"),
    [
        (-signal.SIGSEGV, 0.0, "died", "ended by SIGSEGV"),
        (-signal.SIGKILL, 0.5, "died", "50 % of the memory"),
        (-signal.SIGKILL, 0.97, "out-of-memory", "97 % of the memory"),
        (3, 0.0, "died", "exit code 3"),
    ],
)
def test_what_ended_a_process_is_said(code: int, memory: float, kind: str, said: str) -> None:
    watch = supervisor.Supervisor(make_run("one", "running"))
    watch._memory_at_end = memory
    found = watch._why(code)
    assert found.kind == kind
    assert said in found.message
    assert ("batch_size" in found.remedy) == (kind == "out-of-memory")


def test_the_peak_of_the_memory_never_sinks() -> None:
    watch = supervisor.Supervisor(make_run("one", "running", memory=500))
    watch._peak(700)
    watch._peak(600)
    assert watch._state.peak_memory == 700


def test_accelerates_own_file_is_handed_on_or_missed(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    recipe = a_recipe(training={"accelerate_config": str(config)})
    with pytest.raises(HftermError, match="There is no file"):
        launching.worker_command(tmp_path, recipe)
    config.write_text("num_processes: 2\n")
    command = launching.worker_command(tmp_path, recipe)
    assert command[command.index("--config_file") + 1] == str(config)
    assert "--num_processes" not in command
    several = a_recipe(training={"accelerate_config": str(config), "processes": 3})
    command = launching.worker_command(tmp_path, several)
    assert command[command.index("--num_processes") + 1] == "3"
    own = launching.worker_command(tmp_path, a_recipe(training={"processes": 2}))
    assert own[own.index("--config_file") + 1] == str(tmp_path / "accelerate.yaml")
    assert "num_processes: 2\n" in (tmp_path / "accelerate.yaml").read_text()


# -- the order to stop -------------------------------------------------------------------------


@pytest.mark.usefixtures("signals")
def test_a_sigterm_asks_for_a_stop_and_of_several_tells_the_others(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path, processes=2)
    switch.listen()
    assert not switch.look()
    signal.raise_signal(signal.SIGTERM)
    assert switch.look()
    assert (tmp_path / files.STOP).exists()
    # a launcher forwards the signal that its processes got as well
    signal.raise_signal(signal.SIGTERM)
    assert switch.look()


@pytest.mark.usefixtures("signals")
def test_a_single_process_writes_no_order(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path)
    switch.listen()
    signal.raise_signal(signal.SIGTERM)
    assert switch.look()
    assert list(tmp_path.iterdir()) == []


def test_a_second_sigterm_ends_the_process(tmp_path: Path) -> None:
    script = """
import signal, sys
from pathlib import Path
from hfterm.training.stopping import StopSwitch
switch = StopSwitch(Path(sys.argv[1]))
switch.listen()
signal.raise_signal(signal.SIGTERM)
print("asked", switch.look(), flush=True)
signal.raise_signal(signal.SIGTERM)
print("still here", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert done.stdout == "asked True\n"


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("stuck", [True, False])
def test_loading_is_broken_off_and_left_where_it_does_not_come_out(
    stuck: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = StopSwitch(tmp_path)
    left, broken = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        if seconds == stopping.PATIENCE:
            broken.wait(60)
            if not stuck:
                switch.loaded()

    # no other clock is touched: only what the watch sleeps by
    monkeypatch.setattr(stopping, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    switch.listen()
    switch.watch_loading(left.set)
    with pytest.raises(Cancelled):
        (tmp_path / files.STOP).touch()
        wait_until(broken.is_set, "it was broken off")
    broken.set()
    wait_until(lambda: left.is_set() or not switch.loading, "the watch to end")
    assert left.is_set() == stuck


@pytest.mark.usefixtures("signals")
def test_what_trains_already_is_not_broken_off(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path)
    switch.listen()
    switch.loading = False
    signal.raise_signal(signal.SIGUSR1)
    (tmp_path / files.STOP).touch()
    switch._watch(lambda: pytest.fail("it was left"))
    assert switch.look()


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [math.inf, math.nan])
def test_no_time_that_ends_is_a_dash(seconds: float) -> None:
    assert duration(seconds) == "–"


def test_a_run_in_one_line_says_what_is_known() -> None:
    going = store.read_run(make_run("one", "running", steps=40, total=120))
    assert run_line(going).split(" · ")[1:4] == ["40/120", "33 %", "1 steps/s"]
    assert " left" in run_line(going)
    late = store.read_run(make_run("late", "queued", at=60.0))
    assert len(run_line(late).split(" · ")) == 1
    folder = make_run("early", "starting", at=120.0)
    files.write_struct(folder / files.PROGRESS, RunProgress(phase="load\x1bing"))
    glyphs = run_line(store.read_run(folder))
    assert glyphs.split(" · ")[1].startswith("load")
    assert "\x1b" not in glyphs


def test_a_run_that_took_no_time_does_not_say_what_it_took() -> None:
    folder = make_run("one", "stopped", steps=40)
    assert "took 0:40" in run_head(store.read_run(folder))[0].plain
    run = change(folder, seconds=0.0)
    assert "took" not in run_head(run)[0].plain


def test_a_model_card_says_what_is_known() -> None:
    folder = make_run("one")
    (folder / files.ABOUT).write_text('{"packages": {"torch": "2.0", "peft": "0.1"}}')
    card = model_card(store.read_run(folder))
    assert "| best accuracy | 0." in card
    assert card.endswith("## Versions\n\ntorch 2.0, peft 0.1\n")
    (folder / files.ABOUT).write_text('{"python": "3.12"}')
    progress = files.progress_of(folder)
    files.write_struct(folder / files.PROGRESS, msgspec.structs.replace(progress, best=None))
    card = model_card(store.read_run(folder))
    assert "| best" not in card
    assert "Versions" not in card
    (folder / files.RECIPE).write_text("name =")
    with pytest.raises(HftermError) as caught:
        model_card(store.read_run(folder))
    assert caught.value.kind == "recipe"
