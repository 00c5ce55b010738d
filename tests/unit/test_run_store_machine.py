"""The store of runs against a model of it: any order of doing things, kills and torn lines.

The processes are real ones, which do nothing but live until they are killed; what a supervisor and
a worker write is written here. A run that nobody starts keeps the queue from starting others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.curve_cache import load_cache, save_cache
from hfterm.training.metrics_file import MetricsTail
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import recipe_of
from hfterm.training.run_types import ACTIVE, RESUMABLE, RunEvent, RunNotes, RunProgress, RunStatus

NAMES = ("film", "film two", "../up", "naïve", "a" * 80, "x", "…")
NUMBERS = st.one_of(st.floats(allow_subnormal=False, width=32), st.integers(-5, 5).map(float))
FEW = 3
"""Runs that are there at once: each is to have a life."""

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def recipe(name: str, method: str = "lora", folds: int = 0) -> Recipe:
    table: dict[str, object] = {
        "name": name, "task": "text-classification", "model": {"ref": "minilm"},
        "data": {"ref": "reviews"}, "method": {"name": method},
    }  # fmt: skip
    return recipe_of(table | ({"folds": folds} if folds else {}))


@dataclass
class Known:
    """A run of the model."""

    name: str
    status: RunStatus = "queued"
    order: int = 0
    process: subprocess.Popen[bytes] | None = None
    attempts: int = 0
    losses: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    resumed: list[tuple[int, int]] = field(default_factory=list)
    """(rows that were there, the step it went on from)"""
    step: int = 0
    lines: int = 0
    """Events."""
    torn: tuple[int, float] | None = None
    """Step and loss of a row that lacks only its line end, which the next one brings."""
    notes: RunNotes = field(default_factory=RunNotes)
    tail: MetricsTail | None = None
    broken: bool = False

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


class Runs(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="hfterm-machine-"))
        self.before = os.environ.get("XDG_DATA_HOME")
        os.environ["XDG_DATA_HOME"] = str(self.home)
        self.model: dict[str, Known] = {}
        self.places = 0
        self.processes: list[subprocess.Popen[bytes]] = []
        anchor = run_control.create(recipe("anchor"))
        self.anchor = anchor.name
        self.begin(anchor)

    def teardown(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        if self.before is None:
            del os.environ["XDG_DATA_HOME"]
        else:
            os.environ["XDG_DATA_HOME"] = self.before
        shutil.rmtree(self.home)

    def begin(self, folder: Path) -> subprocess.Popen[bytes]:
        """As a supervisor does: a process, and the state that names it."""
        process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self.processes.append(process)
        mark = files.mark_of(process.pid)
        with files.taken(folder, lambda: store.true_state(folder).status in ACTIVE):
            state = files.state_of(folder)
            for name in (files.STOP, files.KILLED, files.OUTCOME):
                (folder / name).unlink(missing_ok=True)
            files.write_struct(
                folder / files.STATE,
                msgspec.structs.replace(
                    state, status="running", worker=mark, supervisor=mark, error=None,
                    started=time.time(), attempts=state.attempts + 1, host=files.this_host(),
                ),
            )  # fmt: skip
        return process

    def read(self, run_id: str) -> store.Run:
        return store.read_run(paths.runs_dir() / run_id)

    def place(self) -> int:
        self.places += 1
        return self.places

    # -- made --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model) < FEW)
    @rule(target=runs, name=st.sampled_from(NAMES))
    def create(self, name: str) -> str:
        folder = run_control.create(recipe(name))
        assert folder.name not in self.model
        self.model[folder.name] = Known(name, order=self.place(), lines=1)
        return folder.name

    @precondition(lambda self: not self.model)
    @rule(target=runs, name=st.sampled_from(NAMES), folds=st.integers(2, 3))
    def create_folds(self, name: str, folds: int):
        made = run_control.create_all(recipe(name, folds=folds))
        assert len(made) == folds
        for folder in made:
            found = files.read_recipe_of(folder).name
            self.model[folder.name] = Known(found, order=self.place(), lines=1)
        return multiple(*(folder.name for folder in made))

    @precondition(lambda self: len(self.model) < FEW)
    @rule(target=runs, run_id=runs)
    def clone(self, run_id: str):
        if run_id not in self.model:
            return multiple()
        found = self.read(run_id).recipe
        if self.model[run_id].broken:
            assert found is None
            return multiple()
        assert found is not None
        folder = run_control.create(found)
        self.model[folder.name] = Known(found.name, order=self.place(), lines=1)
        return folder.name

    # -- at work -----------------------------------------------------------------------------

    @rule(run_id=runs)
    def its_turn_comes(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is None or known.active or known.status == "finished":
            return
        again = known.attempts > 0
        known.process = self.begin(paths.runs_dir() / run_id)
        known.status, known.attempts = "running", known.attempts + 1
        if again:
            # the step before, which is as far as a checkpoint may be
            known.step = max(0, known.step - 1)
            known.resumed.append((len(known.losses) + (known.torn is not None), known.step))
            self.append(run_id, {"resumed_from": known.step, "time": time.time()})

    def append(self, run_id: str, row: dict[str, object]) -> None:
        known = self.model[run_id]
        files.append_line(paths.runs_dir() / run_id / files.METRICS, row)
        if known.torn is not None:  # whole now
            step, loss = known.torn
            known.losses.append(loss)
            known.steps.append(step)
            known.torn = None

    @rule(run_id=runs, losses=st.lists(NUMBERS, min_size=1, max_size=5))
    def log(self, run_id: str, losses: list[float]) -> None:
        known = self.model.get(run_id)
        if known is None or not known.active:
            return
        for loss in losses:
            known.step += 1
            self.append(run_id, {"step": known.step, "loss": files.finite(loss)})
            known.losses.append(loss)
            known.steps.append(known.step)
        files.write_struct(
            paths.runs_dir() / run_id / files.PROGRESS,
            RunProgress(step=known.step, total_steps=100, phase="training", time=time.time()),
        )

    @rule(run_id=runs, loss=NUMBERS, cut=st.integers(1, 60))
    def dies_in_a_line(self, run_id: str, loss: float, cut: int) -> None:
        """Killed while it writes; what stood before is whole."""
        known = self.model.get(run_id)
        if known is None or not known.active or known.torn is not None:
            return
        known.step += 1
        line = msgspec.json.encode({"step": known.step, "loss": files.finite(loss)})
        place = paths.runs_dir() / run_id / files.METRICS
        data = place.read_bytes() if place.exists() else b""
        if data and not data.endswith(b"\n"):
            return
        with place.open("ab") as file:
            file.write(line[:cut])
        if cut >= len(line):
            known.torn = (known.step, loss)
        self.die(known)

    def die(self, known: Known) -> None:
        assert known.process is not None
        known.process.kill()
        known.process.wait()
        known.status = "died"

    @rule(run_id=runs)
    def is_killed_from_outside(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is not None and known.active:
            self.die(known)

    @rule(run_id=runs, how=st.sampled_from(["finished", "stopped", "failed"]))
    def ends(self, run_id: str, how: RunStatus) -> None:
        """The worker says how it ended; nobody is left to write it into the state."""
        known = self.model.get(run_id)
        if known is None or not known.active:
            return
        files.write_struct(paths.runs_dir() / run_id / files.OUTCOME, files.Outcome(status=how))
        self.die(known)
        known.status = how

    # -- what the user does ------------------------------------------------------------------

    @rule(run_id=runs)
    def stop(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is None:
            return
        run = self.read(run_id)
        if known.status == "queued":
            run_control.stop(run)
            known.status = "stopped"
        elif known.active:
            run_control.stop(run)
            known.status = "stopping"
        else:
            with pytest.raises(HftermError, match="nothing to stop"):
                run_control.stop(run)
            return
        known.lines += 1

    @rule(run_id=runs)
    def kill(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is None:
            return
        run = self.read(run_id)
        if not known.active:
            with pytest.raises(HftermError, match="nothing to kill"):
                run_control.kill(run)
            return
        run_control.kill(run)
        assert known.process is not None
        known.process.wait()
        known.status = "died"
        error = self.read(run_id).state.error
        assert error is not None
        assert "killed from hfterm" in error.message

    @rule(run_id=runs, note=TEXT, tags=st.lists(TEXT, max_size=3))
    def note(self, run_id: str, note: str, tags: list[str]) -> None:
        known = self.model.get(run_id)
        if known is None:
            return
        known.notes = RunNotes(note=note, tags=tuple(tags))
        run_control.save_notes(self.read(run_id), known.notes)

    @rule(run_id=consumes(runs))
    def delete(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is None:
            return
        if known.active:
            with pytest.raises(HftermError, match="is running"):
                run_control.delete(self.read(run_id))
            return
        assert run_control.delete(self.read(run_id)) > 0
        del self.model[run_id]

    @rule(run_id=runs)
    def resume(self, run_id: str) -> None:
        """It waits: the anchor is at work."""
        known = self.model.get(run_id)
        if known is None:
            return
        run = self.read(run_id)
        if known.status not in RESUMABLE:
            with pytest.raises(HftermError, match=f"is {known.status}"):
                run_control.resume(run, queue=True)
            return
        if known.broken:
            with pytest.raises(HftermError):
                run_control.resume(run, queue=True)
            return
        run_control.resume(run, queue=True)
        known.status, known.order = "queued", self.place()

    @rule(run_id=runs, by=st.sampled_from([-1, 1, 2, -5]))
    def move(self, run_id: str, by: int) -> None:
        queued = self.queued()
        run_control.move_in_queue(run_id, by)
        if run_id in queued and 0 <= (at := queued.index(run_id) + by) < len(queued):
            one, two = self.model[run_id], self.model[queued[at]]
            one.order, two.order = two.order, one.order

    def queued(self) -> list[str]:
        waiting = [key for key, one in self.model.items() if one.status == "queued"]
        return sorted(waiting, key=lambda key: self.model[key].order)

    @rule()
    def the_queue_waits(self) -> None:
        assert run_control.next_of_queue() is None

    @rule(run_id=runs, keep=st.integers(0, 40))
    def its_state_is_torn(self, run_id: str, keep: int) -> None:
        """By a file system that lost it; hfterm itself never writes a part."""
        known = self.model.get(run_id)
        if known is None or known.active:
            return
        place = paths.runs_dir() / run_id / files.STATE
        place.write_bytes(place.read_bytes()[:keep])
        known.status, known.attempts = "died", max(known.attempts, 1)

    @rule(run_id=runs)
    def its_recipe_is_broken(self, run_id: str) -> None:
        known = self.model.get(run_id)
        if known is None or known.active:
            return
        place = paths.runs_dir() / run_id / files.RECIPE
        place.write_text("[[[")
        known.broken = True

    @rule()
    def something_else_is_there(self) -> None:
        (paths.runs_dir() / "no-run").mkdir(exist_ok=True)
        (paths.runs_dir() / "file.txt").touch()

    # -- what holds --------------------------------------------------------------------------

    @invariant()
    def the_list_is_the_model(self) -> None:
        listed = store.list_runs()
        found = {run.id: run for run in listed if run.id != self.anchor}
        assert [run.id for run in listed] == sorted((run.id for run in listed), reverse=True)
        assert {key: run.status for key, run in found.items()} == {
            key: one.status for key, one in self.model.items()
        }
        for key, one in self.model.items():
            assert found[key].notes == one.notes
            assert (found[key].recipe is None) == one.broken
            if not one.broken:
                recipe_read = found[key].recipe
                assert recipe_read is not None
                assert recipe_read.name == one.name
            assert found[key] == store.find_run(key)
        assert [run.id for run in store.queue_of(listed)] == self.queued()

    @invariant()
    def nothing_logged_is_lost(self) -> None:
        for key, one in self.model.items():
            place = paths.runs_dir() / key / files.METRICS
            fresh = MetricsTail(place)
            fresh.read()
            if one.tail is None:
                one.tail = MetricsTail(place)
            one.tail.read()  # which has read on since it was made
            cache, cached = self.home / "cache", MetricsTail(place)
            if place.exists() and place.stat().st_size:
                save_cache(fresh, cache)
                load_cache(cached, cache)
                cached.read()
            for tail in (fresh, one.tail, *([cached] if place.exists() else [])):
                if not one.losses:
                    assert "loss" not in tail.curves.names
                    continue
                series = tail.curves.series("loss")
                np.testing.assert_array_equal(series.values, np.array(one.losses))
                assert series.step.tolist() == one.steps
                stale = [
                    any(at < before and step > origin for before, origin in one.resumed)
                    for at, step in enumerate(one.steps)
                ]
                assert series.stale.tolist() == stale

    @invariant()
    def events_are_whole(self) -> None:
        for key, one in self.model.items():
            events = store.read_lines(paths.runs_dir() / key / files.EVENTS, RunEvent)
            assert len(events) == one.lines

    @rule(run_id=runs, cut=st.integers(1, 20))
    def an_event_is_torn(self, run_id: str, cut: int) -> None:
        if run_id in self.model:
            with (paths.runs_dir() / run_id / files.EVENTS).open("ab") as file:
                file.write(b'{"time":1,"kind":"note","text":"x'[:cut])


# a failure is made small, which takes a while
TestRuns = pytest.mark.timeout(900)(Runs.TestCase)
TestRuns.settings = settings(
    max_examples=int(os.environ.get("HFTERM_MACHINE_EXAMPLES", "20")),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
