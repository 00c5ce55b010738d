"""The store of runs: what it says of each, whatever became of the processes; queue and files."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of, with_values
from hfterm.training.run_types import ProcessMark, RunFailure, RunNotes, RunProgress, RunState
from waiting import wait_until

OVER = ("stopped", "finished", "failed", "died")


def recipe(*settings: str, name: str = "try") -> Recipe:
    made = recipe_of(
        {
            "name": name,
            "task": "text-classification",
            "model": {"ref": "minilm"},
            "data": {"ref": "reviews"},
        }
    )
    return with_values(made, settings)


def unstartable(name: str = "try") -> Recipe:
    """A recipe whose supervisor fails at once, without a process that trains."""
    return recipe(
        "training.processes=2", "training.accelerate_config=/no/such/config.yaml", name=name
    )


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until the test's end."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def dead() -> ProcessMark:
    """A process that was."""
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
    ) as process:
        mark = files.mark_of(process.pid)
        process.kill()
    assert mark is not None
    return mark


def put(folder: Path, **state: object) -> None:
    now = time.time()
    told = {"created": now, "started": now, "beat": now, "host": files.this_host()} | state
    files.write_struct(folder / files.STATE, RunState(**told))  # pyright: ignore[reportArgumentType]


def mark_of(process: subprocess.Popen[bytes]) -> ProcessMark:
    mark = files.mark_of(process.pid)
    assert mark is not None
    return mark


# -- made ------------------------------------------------------------------------------------


def test_a_new_run_waits_in_the_queue() -> None:
    folder = run_control.create(recipe())
    run = store.read_run(folder)
    assert run.status == "queued"
    assert run.recipe == recipe()
    assert not run.active
    assert [event.kind for event in store.events_of(folder)] == ["queued"]


def test_runs_of_a_moment_have_folders_of_their_own() -> None:
    names = {run_control.create(recipe()).name for _ in range(3)}
    assert len(names) == 3
    assert len(store.list_runs()) == 3


def test_paths_are_kept_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text,label\na,1\n")
    (tmp_path / "model").mkdir()
    made = recipe("data.ref=rows.csv", "model.ref=./model")
    kept = store.read_run(run_control.create(made)).recipe
    assert kept is not None
    assert kept.data.ref == str(tmp_path / "rows.csv")
    assert kept.model.ref == str(tmp_path / "model")
    for ref in ("data/*.csv", "~/rows.csv"):
        kept = run_control.with_full_paths(recipe(f"data.ref={ref}"))
        assert kept.data.ref.startswith("/")
    for ref in ("reviews", "stanfordnlp/imdb"):
        assert run_control.with_full_paths(recipe(f"data.ref={ref}")).data.ref == ref


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_recipe", full)
    with pytest.raises(HftermError, match="No space") as caught:
        run_control.create(recipe())
    assert caught.value.kind == "no-space"


# -- what is true of it ----------------------------------------------------------------------


def test_a_run_lives_while_one_of_its_two_processes_does(
    dead: ProcessMark, sleeper: subprocess.Popen[bytes]
) -> None:
    folder = run_control.create(recipe())
    alive = mark_of(sleeper)
    for supervisor, worker in ((alive, None), (alive, dead), (dead, alive)):
        put(folder, status="running", supervisor=supervisor, worker=worker)
        assert store.true_state(folder).status == "running"
    (folder / files.STOP).touch()
    assert store.read_run(folder).status == "stopping"


def test_a_run_that_lost_its_supervisor_early_is_seen_to_train(
    dead: ProcessMark, sleeper: subprocess.Popen[bytes]
) -> None:
    folder = run_control.create(recipe())
    put(folder, status="starting", supervisor=dead, worker=mark_of(sleeper))
    assert store.true_state(folder).status == "starting"
    now = time.time()
    files.write_struct(folder / files.PROGRESS, RunProgress(phase="training", time=now))
    assert store.true_state(folder).status == "running"
    # what an attempt before left there says nothing of this one
    files.write_struct(folder / files.PROGRESS, RunProgress(phase="done", time=now - 60))
    assert store.true_state(folder).status == "starting"


@pytest.mark.parametrize("status", ["starting", "running", "stopping"])
def test_both_killed_is_died_with_words(status: str, dead: ProcessMark) -> None:
    folder = run_control.create(recipe())
    put(folder, status=status, supervisor=dead, worker=dead)
    state = store.true_state(folder)
    assert state.status == "died"
    assert state.error is not None
    assert "killed" in state.error.message
    assert "Resume" in state.error.remedy
    assert state.ended > 0


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_an_end_that_nobody_wrote_down_is_read_from_the_outcome(
    status: str, dead: ProcessMark
) -> None:
    folder = run_control.create(recipe())
    put(folder, status="running", supervisor=dead, worker=dead, seconds=5.0)
    error = RunFailure("bad-data", "The data is bad.") if status == "failed" else None
    files.write_struct(folder / files.OUTCOME, files.Outcome(status=status, error=error))
    run = store.read_run(folder)
    assert run.status == status
    assert run.state.error == error
    assert run.state.seconds >= 5.0


def test_of_several_processes_the_first_that_failed_says_why(dead: ProcessMark) -> None:
    folder = run_control.create(recipe())
    put(folder, status="running", supervisor=dead, worker=dead)
    cause, loss = RunFailure("bad-data", "The data is bad."), RunFailure("lost", "Gone.")
    for rank, error, age in ((1, cause, 10), (0, loss, 0)):
        place = folder / files.outcome_file(rank)
        files.write_struct(place, files.Outcome(status="failed", error=error))
        os.utime(place, (time.time() - age, time.time() - age))
    assert store.true_state(folder).error == cause


def test_another_start_of_the_machine_is_died(sleeper: subprocess.Popen[bytes]) -> None:
    alive = mark_of(sleeper)
    before = msgspec.structs.replace(alive, boot="another boot")
    folder = run_control.create(recipe())
    put(folder, status="running", supervisor=before, worker=before)
    state = store.true_state(folder)
    assert state.status == "died"
    assert state.error is not None
    assert "started again" in state.error.message


def test_a_recycled_number_is_not_taken_for_the_run(sleeper: subprocess.Popen[bytes]) -> None:
    alive = mark_of(sleeper)
    other = msgspec.structs.replace(alive, started=alive.started - 60)
    folder = run_control.create(recipe())
    put(folder, status="running", supervisor=other, worker=other)
    assert store.true_state(folder).status == "died"
    # nor is one that has ended and was not yet collected
    sleeper.kill()
    wait_until(lambda: not files.is_alive(alive), "a zombie is not alive")


def test_a_starter_that_died_before_anybody_watched(dead: ProcessMark) -> None:
    folder = run_control.create(recipe())
    put(folder, status="starting", supervisor=dead)
    state = store.true_state(folder)
    assert state.status == "died"
    assert state.error is not None
    assert "before its process began" in state.error.message


def test_a_run_of_another_machine_is_believed_while_it_beats() -> None:
    folder = run_control.create(recipe())
    there = ProcessMark(1, 1.0, "its boot")
    put(folder, status="running", supervisor=there, worker=there, host="another")
    assert store.read_run(folder).status == "running"
    long_ago = time.time() - 2 * store.SILENT
    for path in folder.iterdir():
        os.utime(path, (long_ago, long_ago))
    run = store.read_run(folder)
    assert run.status == "died"
    assert run.state.error is not None
    assert "another" in run.state.error.message


# -- listed ----------------------------------------------------------------------------------


def test_a_broken_file_breaks_only_its_own_run() -> None:
    good = run_control.create(recipe(name="good"))
    broken = {}
    for name, data in (
        (files.RECIPE, b"task = ["), (files.RECIPE, b"\xff\xfe"), (files.STATE, b"{"),
        (files.STATE, b""), (files.PROGRESS, b"[1]"), (files.NOTES, b"\xff"),
    ):  # fmt: skip
        folder = run_control.create(recipe(name=f"broken-{len(broken)}"))
        (folder / name).write_bytes(data)
        broken[folder.name] = name
    gone = run_control.create(recipe(name="gone"))
    (gone / files.STATE).unlink()
    (paths.runs_dir() / "no-run").mkdir()
    (paths.runs_dir() / "a-file").touch()
    runs = {run.id: run for run in store.list_runs()}
    assert set(runs) == {good.name, gone.name, *broken}
    assert runs[good.name].status == "queued"
    for name, what in broken.items():
        assert (runs[name].recipe is None) == (what == files.RECIPE)
        # a run whose state is not known must not be started by the queue
        assert runs[name].status == ("died" if what == files.STATE else "queued")
    assert runs[gone.name].status == "died"
    assert runs[gone.name].state.error is not None


def test_a_broken_recipe_is_said_when_its_turn_comes() -> None:
    folder = run_control.create(recipe())
    (folder / files.RECIPE).write_text("name = [")
    run_control.next_of_queue()
    wait_until(lambda: store.read_run(folder).status in OVER, "over")
    run = store.read_run(folder)
    assert run.status == "failed"
    assert run.state.error is not None
    assert files.RECIPE in run.state.error.message


def test_files_are_read_again_only_when_they_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [run_control.create(recipe(name=f"run-{number}")) for number in range(5)]
    read: list[Path] = []
    real = files.read_recipe_of

    def count(folder: Path) -> Recipe:
        read.append(folder)
        return real(folder)

    monkeypatch.setattr(files, "read_recipe_of", count)
    first = store.list_runs()
    assert len(read) == 5
    assert store.list_runs() == first
    assert len(read) == 5
    files.save_recipe(folders[2], recipe("training.epochs=7", name="changed"))
    names = [run.recipe.name for run in store.list_runs() if run.recipe is not None]
    assert "changed" in names
    assert read[5:] == [folders[2]]
    files.write_struct(folders[0] / files.PROGRESS, RunProgress(step=4, total_steps=9))
    assert next(run for run in store.list_runs() if run.path == folders[0]).progress.step == 4
    run_control.delete(store.read_run(folders[1]))
    assert folders[1].name not in {run.id for run in store.list_runs()}


def test_a_run_is_found_by_a_part_of_its_name() -> None:
    one = run_control.create(recipe(name="alpha"))
    two = run_control.create(recipe(name="alphabet"))
    assert store.find_run(one.name).path == one
    assert store.find_run("alphabet").path == two
    assert store.find_run("last").path == two
    with pytest.raises(HftermError, match="could be"):
        store.find_run("alph")
    with pytest.raises(HftermError, match="no run"):
        store.find_run("beta")


# -- the queue -------------------------------------------------------------------------------


def test_the_queue_goes_on_after_each_that_fails() -> None:
    """Each supervisor starts the next one; nobody else does."""
    folders = run_control.create_all(msgspec.structs.replace(unstartable(), folds=3))
    assert [run.path for run in store.queue_of(store.list_runs())] == folders
    run_control.start_all(folders)
    wait_until(
        lambda: all(store.read_run(folder).status == "failed" for folder in folders), "all failed"
    )
    states = [files.state_of(folder) for folder in folders]
    assert [state.error.kind for state in states if state.error] == ["not-found"] * 3
    assert states == sorted(states, key=lambda state: state.started)
    for before, after in itertools.pairwise(states):
        assert before.ended <= after.started


def test_a_queued_run_changes_its_place_and_leaves() -> None:
    names = [run_control.create(recipe(name=name)).name for name in ("one", "two", "three")]
    run_control.move_in_queue(names[2], -1)
    order = [names[0], names[2], names[1]]
    assert [run.id for run in store.queue_of(store.list_runs())] == order
    run_control.move_in_queue(names[0], -1)
    run_control.move_in_queue(names[1], 1)
    assert [run.id for run in store.queue_of(store.list_runs())] == order
    run_control.move_in_queue(names[0], 1)
    run_control.stop(store.find_run(names[2]))
    assert [run.id for run in store.queue_of(store.list_runs())] == [names[0], names[1]]
    assert store.find_run(names[2]).status == "stopped"


def test_nothing_is_started_while_a_run_is_active(sleeper: subprocess.Popen[bytes]) -> None:
    folder = run_control.create(recipe())
    put(folder, status="running", supervisor=mark_of(sleeper))
    waiting = run_control.create(unstartable())
    run_control.start_all([waiting], queue=True)
    assert store.read_run(waiting).status == "queued"


def test_a_start_that_fails_lets_the_next_one_in(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = run_control.create(recipe()), run_control.create(unstartable())
    real = subprocess.run

    def refuse(command: list[str], **options: object) -> object:
        if str(first) in command:
            raise OSError(11, "Resource temporarily unavailable")
        return real(command, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(subprocess, "run", refuse)
    assert run_control.next_of_queue() == second
    run = store.read_run(first)
    assert run.status == "failed"
    assert run.state.error is not None
    assert run.state.error.kind == "unstartable"
    wait_until(lambda: store.read_run(second).status in OVER, "over")


def test_one_of_many_starts_wins(tmp_path: Path) -> None:
    """The run is slow to load, since its data is a pipe that nobody writes to."""
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    folder = run_control.create(recipe(f"data.ref={pipe}"))
    results: list[str] = []
    gate = threading.Barrier(4)

    def begin() -> None:
        gate.wait()
        try:
            run_control.start(folder)
            results.append("started")
        except HftermError as error:
            results.append(error.kind)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["running", "running", "running", "started"]
    state = files.state_of(folder)
    assert state.attempts == 1
    with pytest.raises(HftermError, match="is running"):
        run_control.start(folder)
    with pytest.raises(HftermError, match="is running"):
        run_control.delete(store.read_run(folder))
    wait_until(lambda: files.state_of(folder).worker, "a worker")
    run_control.kill(store.read_run(folder))
    wait_until(lambda: store.read_run(folder).status in OVER, "over")
    assert store.read_run(folder).status in ("died", "failed")


# -- what a user does ------------------------------------------------------------------------


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(HftermError) as caught:
        action()
    return caught.value.kind


def test_what_makes_no_sense_is_refused() -> None:
    folder = run_control.create(recipe())
    run = store.read_run(folder)
    assert refused(lambda: run_control.kill(run)) == "over"
    assert refused(lambda: run_control.resume(run)) == "not-resumable"
    put(folder, status="finished")
    run = store.read_run(folder)
    assert refused(lambda: run_control.stop(run)) == "over"
    assert refused(lambda: run_control.resume(run)) == "not-resumable"
    put(folder, status="stopped")
    run = store.read_run(folder)
    for setting in ("model.ref=smollm2", "task=causal-lm", "method.name=lora"):
        assert (
            refused(lambda setting=setting: run_control.resume(run, [setting])) == "another-model"
        )
    adafactor = ["training.optimizer=adafactor"]
    assert refused(lambda: run_control.resume(run, adafactor)) == "another-optimizer"


def test_a_resumed_run_can_wait_and_says_what_changed(sleeper: subprocess.Popen[bytes]) -> None:
    active = run_control.create(recipe(name="active"))
    put(active, status="running", supervisor=mark_of(sleeper))
    folder = run_control.create(recipe())
    put(folder, status="failed", error=RunFailure("nan-loss", "No number."))
    run_control.resume(store.read_run(folder), ["training.learning_rate=1e-6"], queue=True)
    run = store.read_run(folder)
    assert run.status == "queued"
    assert run.state.error is None
    assert run.recipe is not None
    assert run.recipe.training.learning_rate == 1e-6
    note = store.events_of(folder)[-1]
    assert note.kind == "note"
    assert note.text == "changed: training.learning_rate 5e-05 → 1e-06"


def test_a_deleted_run_is_gone() -> None:
    folder = run_control.create(recipe())
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"0" * 5000)
    assert run_control.delete(store.read_run(folder)) >= 5000
    assert not folder.exists()
    assert store.list_runs() == []


def test_notes_are_kept() -> None:
    run = store.read_run(run_control.create(recipe()))
    run_control.save_notes(run, RunNotes(note="the good one", tags=("best",)))
    assert store.read_run(run.path).notes == RunNotes(note="the good one", tags=("best",))


# -- lines -----------------------------------------------------------------------------------


def test_a_line_that_a_crash_tore_is_left_out() -> None:
    folder = run_control.create(recipe())
    path = folder / files.EVENTS
    with path.open("ab") as file:
        file.write(b'{"time": 1, "kind": "no')
    assert [event.kind for event in store.events_of(folder)] == ["queued"]
    files.add_event(folder, "note", "after the crash")
    files.add_event(folder, "note", "and another")
    texts = [event.text for event in store.events_of(folder)]
    assert texts == ["try", "after the crash", "and another"]
