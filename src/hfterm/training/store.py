"""All runs of this box: made, listed, started, stopped, resumed, deleted.

The interface and the commands work with these functions; none of them waits for a run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe, expand
from hfterm.training.recipe_text import with_values
from hfterm.training.run_types import (
    ACTIVE,
    RESUMABLE,
    RunEvent,
    RunFailure,
    RunNotes,
    RunProgress,
    RunState,
    RunStatus,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A run as it is now.

    Attributes:
        id: the name of its directory.
        recipe: None when its file is broken.
        status: what is true now, also when nobody was left to write it.
        seconds_left: None when it can't be told.
    """

    id: str
    path: Path
    recipe: Recipe | None
    state: RunState
    progress: RunProgress
    notes: RunNotes

    @property
    def status(self) -> RunStatus:
        """Its status."""
        return self.state.status

    @property
    def active(self) -> bool:
        """Whether a process is at work."""
        return self.status in ACTIVE

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, at the rate of lately."""
        left = self.progress.total_steps - self.progress.step
        if not self.active or self.progress.rate <= 0 or left < 0:
            return None
        return left / self.progress.rate

    def as_json(self) -> dict[str, object]:
        """As the commands print it."""
        return {
            "id": self.id,
            "status": self.status,
            "step": self.progress.step,
            "total_steps": self.progress.total_steps,
            "epoch": self.progress.epoch,
            "metrics": self.progress.metrics,
            "started": self.state.started or None,
            "ended": self.state.ended or None,
            "error": self.state.error,
        }


def create(recipe: Recipe) -> Path:
    """Make the directory of a run that is not started yet.

    Raises:
        HftermError: the folder can't be written.
    """
    root = paths.runs_dir()
    base = f"{time.strftime('%Y%m%d-%H%M%S')}-{files.slug(recipe.name)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = root / (base if number == 1 else f"{base}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                break
        else:
            raise HftermError("no-space", f"There are too many runs {base}.", "Delete some.")
        files.save_recipe(folder, recipe)
        now = time.time()
        files.write_struct(
            folder / files.STATE, RunState(created=now, order=now, host=files.this_host())
        )
        files.add_event(folder, "queued", recipe.name)
    except OSError as error:
        raise HftermError(
            "no-space" if error.errno == 28 else "unwritable",
            f"A run can't be made in {root}: {error.strerror}.",
            "Free some room, or set XDG_DATA_HOME to another disk.",
        ) from error
    return folder


def create_all(recipe: Recipe) -> list[Path]:
    """The directories of all runs of a recipe, one or several."""
    group = f"{time.strftime('%Y%m%d-%H%M%S')}-{files.slug(recipe.name)}"
    made = [create(one) for one in expand(recipe, group)]
    for number, folder in enumerate(made):
        state = files.state_of(folder)
        files.write_struct(
            folder / files.STATE, msgspec.structs.replace(state, order=state.order + number * 1e-4)
        )
    return made


def start(folder: Path) -> None:
    """Start a run, detached: it outlives whoever called this, and its terminal.

    Raises:
        HftermError: it is running already, or the process can't be started.
    """
    run = read_run(folder)
    if run.active:
        raise HftermError("running", f"{run.id} is running.", "Stop it first.")
    for name in (files.STOP, files.KILLED, files.OUTCOME):
        (folder / name).unlink(missing_ok=True)
    state = msgspec.structs.replace(run.state, status="starting", error=None, ended=0.0)
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    try:
        files.write_struct(
            folder / files.STATE,
            # until the supervisor says who it is, this process stands for it
            msgspec.structs.replace(state, supervisor=files.mark_of(os.getpid()), worker=None),
        )
        with (folder / files.LOG).open("ab") as log:
            # it forks and ends at once: nobody has to wait for the one that stays
            subprocess.run(
                [sys.executable, "-m", "hfterm.training.supervisor", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=str(folder),
                env=environ,
                check=True,
                timeout=60,
            )
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HftermError(
            "unstartable", f"{run.id} can't be started: {reason}.", "Look at its log.txt."
        ) from error


def start_all(folders: Sequence[Path], *, queue: bool = False) -> None:
    """Start a run; of several, the first, and the others wait for their turn.

    Args:
        folders: of runs that are not started.
        queue: the first waits as well, if any other run is active.
    """
    if queue or len(folders) > 1:
        next_of_queue()
    else:
        start(folders[0])


@contextmanager
def _queue_lock() -> Iterator[None]:
    """One process at a time takes a run from the queue."""
    root = paths.runs_dir()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".queue.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def next_of_queue() -> Path | None:
    """Start the first queued run, unless one is active. Gives the one that was started."""
    with _queue_lock():
        runs = list_runs()
        queued = queue_of(runs)
        if not queued or any(run.active for run in runs):
            return None
        start(queued[0].path)
        return queued[0].path


def queue_of(runs: Sequence[Run]) -> list[Run]:
    """The queued ones, in their order."""
    return sorted((run for run in runs if run.status == "queued"), key=lambda run: run.state.order)


def move_in_queue(run_id: str, by: int) -> None:
    """Let a queued run change places with the one before (-1) or after it (1)."""
    with _queue_lock():
        queued = queue_of(list_runs())
        place = next((i for i, run in enumerate(queued) if run.id == run_id), -1)
        other = place + by
        if place < 0 or not 0 <= other < len(queued):
            return
        one, two = queued[place], queued[other]
        for run, order in ((one, two.state.order), (two, one.state.order)):
            files.write_struct(
                run.path / files.STATE, msgspec.structs.replace(run.state, order=order)
            )


# -- reading ---------------------------------------------------------------------------------


def list_runs() -> list[Run]:
    """Every run, the newest first."""
    try:
        folders = sorted(paths.runs_dir().iterdir(), reverse=True)
    except OSError:
        return []
    return [read_run(folder) for folder in folders if (folder / files.RECIPE).is_file()]


def find_run(name: str) -> Run:
    """The run of an id, a part of one that no other has, or ``last``.

    Raises:
        HftermError: there is none, or more than one.
    """
    runs = list_runs()
    if name == "last" and runs:
        return max(runs, key=lambda run: run.state.created)
    exact = [run for run in runs if run.id == name]
    near = exact or [run for run in runs if name and name in run.id]
    if len(near) == 1:
        return near[0]
    if near:
        some = ", ".join(run.id for run in near[:5])
        raise HftermError("ambiguous", f"{name!r} could be {some}.", "Give more of the id.")
    raise HftermError("no-run", f"There is no run {name!r}.", "hfterm runs lists them.")


def read_run(folder: Path) -> Run:
    """A run as it is now."""
    try:
        recipe = files.read_recipe_of(folder)
    except HftermError:
        recipe = None
    return Run(
        id=folder.name,
        path=folder,
        recipe=recipe,
        state=true_state(folder),
        progress=files.progress_of(folder),
        notes=files.notes_of(folder),
    )


def true_state(folder: Path) -> RunState:
    """The state as it is: a supervisor that was killed could not write what became of it."""
    state = files.state_of(folder)
    if state.status not in ACTIVE or state.host not in ("", files.this_host()):
        return state
    if (folder / files.STOP).exists() and state.status == "running":
        state = msgspec.structs.replace(state, status="stopping")
    if files.is_alive(state.supervisor) or files.is_alive(state.worker):
        return state
    outcome = files.read_struct(folder / files.OUTCOME, files.Outcome)
    ended = _newest(folder)
    if outcome is not None:
        return settled(state, outcome, ended)
    booted = state.supervisor is not None and state.supervisor.boot != files.boot_id()
    why = (
        "The machine was started again while it ran."
        if booted
        else "Its process and the one that watched over it are gone: both were killed."
    )
    failure = RunFailure("died", why, "Resume it: it goes on from the last whole checkpoint.")
    return msgspec.structs.replace(state, status="died", error=failure, ended=ended)


def settled(state: RunState, outcome: files.Outcome, ended: float) -> RunState:
    """The state of a run that says itself how it ended."""
    statuses: dict[str, RunStatus] = {"finished": "finished", "stopped": "stopped"}
    return msgspec.structs.replace(
        state, status=statuses.get(outcome.status, "failed"), error=outcome.error, ended=ended
    )


def _newest(folder: Path) -> float:
    """When anything was last written there."""
    newest = 0.0
    for name in (files.METRICS, files.PROGRESS, files.STATE, files.LOG):
        with suppress(OSError):
            newest = max(newest, (folder / name).stat().st_mtime)
    return newest


def events_of(folder: Path) -> list[RunEvent]:
    """``events.jsonl``; lines that are none are left out."""
    return read_lines(folder / files.EVENTS, RunEvent)


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """The lines of a file of JSON lines that are of a kind; a part of a last line is not."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found: list[T] = []
    for line in data.split(b"\n")[:-1]:
        with suppress(msgspec.MsgspecError):
            found.append(msgspec.json.decode(line, type=kind))
    return found


# -- what a user does with a run ---------------------------------------------------------------


def stop(run: Run) -> None:
    """Ask a run to checkpoint and stop; a queued one leaves the queue.

    Raises:
        HftermError: it is over.
    """
    if run.status == "queued":
        files.write_struct(
            run.path / files.STATE,
            msgspec.structs.replace(run.state, status="stopped", ended=time.time()),
        )
        files.add_event(run.path, "stopped", "taken from the queue")
        return
    if not run.active:
        raise HftermError("over", f"{run.id} is {run.status}: there is nothing to stop.", "")
    (run.path / files.STOP).touch()
    files.add_event(run.path, "stopping", "asked to stop", run.progress.step)


def kill(run: Run) -> None:
    """End a run's processes at once; it can be resumed from its last checkpoint.

    Raises:
        HftermError: it is not running.
    """
    if not run.active:
        raise HftermError("over", f"{run.id} is {run.status}: there is nothing to kill.", "")
    (run.path / files.KILLED).touch()
    worker = run.state.worker
    if worker is not None and files.is_alive(worker):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
    elif run.state.supervisor is not None and files.is_alive(run.state.supervisor):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(run.state.supervisor.pid, signal.SIGTERM)


def resume(run: Run, settings: Sequence[str] = (), *, queue: bool = False) -> None:
    """Go on from the last whole checkpoint, or from the start where there is none.

    Args:
        run: that is over, and not finished.
        settings: ``key=value`` that change the recipe.
        queue: wait until no other run is active.

    Raises:
        HftermError: it runs, or is finished; a setting is wrong, or makes another run of it.
    """
    if run.status not in RESUMABLE:
        remedy = "Clone it to train again." if run.status == "finished" else "It goes on by itself."
        raise HftermError("not-resumable", f"{run.id} is {run.status}.", remedy)
    if run.recipe is None:
        raise HftermError("recipe", f"The recipe of {run.id} is broken.", "Mend recipe.toml.")
    if settings:
        recipe = with_values(run.recipe, settings)
        for name in ("task", "model", "method"):
            if getattr(recipe, name) != getattr(run.recipe, name):
                raise HftermError(
                    "another-model",
                    f"Its checkpoints are of another {name}: {name} can't change in a resumed run.",
                    "Clone the run, and change the clone.",
                )
        files.save_recipe(run.path, recipe)
    if queue:
        now = time.time()
        files.write_struct(
            run.path / files.STATE,
            msgspec.structs.replace(run.state, status="queued", order=now, error=None, ended=0.0),
        )
        next_of_queue()
    else:
        start(run.path)


def delete(run: Run) -> int:
    """Delete a run's directory. Gives the bytes that are free again.

    Raises:
        HftermError: it is running, or can't be deleted.
    """
    if run.active:
        raise HftermError("running", f"{run.id} is running.", "Stop it first.")
    size = size_of(run.path)
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise HftermError(
            "undeletable", f"{run.path} can't be deleted: {error.strerror}.", "Check its owner."
        ) from error
    return size


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total


def save_notes(run: Run, notes: RunNotes) -> None:
    """Write what the user says about a run."""
    try:
        files.write_struct(run.path / files.NOTES, notes)
    except OSError as error:
        raise HftermError(
            "unwritable", f"The note can't be written: {error.strerror}.", "Free some room."
        ) from error
