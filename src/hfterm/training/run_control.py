"""What is done with runs: made, queued, started, stopped, killed, resumed, deleted, noted.

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
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from hfterm import paths
from hfterm.errors import CHECK_SPACE, HftermError
from hfterm.hub import starter
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe, expand
from hfterm.training.recipe_text import with_values
from hfterm.training.run_types import ACTIVE, RESUMABLE, RunFailure, RunNotes, RunState, RunStatus
from hfterm.training.store import (
    GO_ON,
    Run,
    list_runs,
    queue_of,
    read_run,
    size_of,
    true_state,
)

IDLE = "The list of runs says which are at work."


def create(recipe: Recipe) -> Path:
    """Make the directory of a run that is not started yet.

    Raises:
        HftermError: the folder can't be written.
    """
    return _create(with_full_paths(recipe), time.time())


def _create(recipe: Recipe, order: float) -> Path:
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
        files.write_struct(
            folder / files.STATE, RunState(created=time.time(), order=order, host=files.this_host())
        )
        files.add_event(folder, "queued", recipe.name)
        # with its recipe it is a run, which another process may start
        files.save_recipe(folder, recipe)
    except OSError as error:
        raise HftermError(
            "no-space" if error.errno == 28 else "unwritable",
            f"A run can't be made in {root}: {error.strerror}.",
            "Free some room, or set XDG_DATA_HOME to another disk.",
        ) from error
    return folder


def with_full_paths(recipe: Recipe) -> Recipe:
    """The recipe with its paths from the root: a run goes on from anywhere."""

    def full(ref: str) -> str:
        if not ref or starter.is_starter(ref):
            return ref
        is_path = ref.startswith((".", "~")) or any(sign in ref for sign in "*?[")
        try:
            is_path = is_path or Path(ref).exists()
            return paths.full_path(ref) if is_path else ref
        except (OSError, ValueError):  # no name that a path can have
            return ref

    replace = msgspec.structs.replace
    return replace(
        recipe,
        model=replace(
            recipe.model, ref=full(recipe.model.ref), tokenizer=full(recipe.model.tokenizer)
        ),
        data=replace(recipe.data, ref=full(recipe.data.ref)),
        training=replace(
            recipe.training, accelerate_config=full(recipe.training.accelerate_config)
        ),
    )


def create_all(recipe: Recipe) -> list[Path]:
    """The directories of all runs of a recipe, one or several."""
    group = f"{time.strftime('%Y%m%d-%H%M%S')}-{files.slug(recipe.name)}"
    now = time.time()
    runs = expand(with_full_paths(recipe), group)
    return [_create(one, now + number * 1e-4) for number, one in enumerate(runs)]


def start(folder: Path) -> None:
    """Start a run, detached: it outlives whoever called this, and its terminal.

    Raises:
        HftermError: it is running already, or the process can't be started.
    """
    try:
        with files.taken(folder, lambda: true_state(folder).status in ACTIVE) as lock:
            _start(folder, true_state(folder), lock)
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HftermError(
            "unstartable", f"{folder.name} can't be started: {reason}.", "Look at its log.txt."
        ) from error


def _start(folder: Path, state: RunState, lock: int) -> None:
    for name in (files.STOP, files.KILLED, *(path.name for path in folder.glob("outcome*.json"))):
        (folder / name).unlink(missing_ok=True)
    started = False
    try:
        files.write_struct(
            folder / files.STATE,
            # until the supervisor says who it is, this process stands for it
            msgspec.structs.replace(
                state, status="starting", error=None, started=time.time(), ended=0.0,
                host=files.this_host(), supervisor=files.mark_of(os.getpid()), worker=None,
            ),
        )  # fmt: skip
        with (folder / files.LOG).open("ab") as log:
            # it forks, and ends when the one that stays has said who it is
            subprocess.run(
                [sys.executable, "-m", "hfterm.training.supervisor", str(folder), str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
                cwd=str(folder),
                # the run's folder is no place to import from
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
                check=True,
                timeout=60,
            )
        started = True
    finally:
        if not started:
            failure = RunFailure("unstartable", "Its process did not start; see its log.", GO_ON)
            with suppress(OSError):
                files.write_struct(
                    folder / files.STATE,
                    msgspec.structs.replace(
                        state, status="failed", error=failure, ended=time.time()
                    ),
                )


def start_all(folders: Sequence[Path], *, queue: bool = False) -> None:
    """Start a run; of several, the first, and the others wait for their turn.

    Args:
        folders: of runs that are not started.
        queue: the first waits as well, if any other run is active.
    """
    if queue or len(folders) > 1:
        next_of_queue()
        return
    try:
        start(folders[0])
    except HftermError as error:
        # another process looks after the queue, and was faster
        if error.kind != "running":
            raise


@contextmanager
def _queue_lock() -> Generator[None]:
    """One process at a time takes a run from the queue."""
    root = paths.runs_dir()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".queue.lock").open("w")
    except OSError as error:
        raise HftermError(
            "not-writable", f"{root} can't be written: {error.strerror}.",
            "Free some room there, or name another place with XDG_DATA_HOME.",
        ) from error  # fmt: skip
    with lock:
        with suppress(OSError):  # a file system may have no locks at all
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def next_of_queue() -> Path | None:
    """Start the first queued run, unless one is active. Gives the one that was started.

    A run that can't be started is failed, and the next one's turn comes.
    """
    with _queue_lock():
        runs = list_runs()
        if any(run.active for run in runs):
            return None
        for run in queue_of(runs):
            with suppress(HftermError):
                start(run.path)
                return run.path
        return None


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
            with suppress(HftermError):  # it was started meanwhile
                _change_idle(run.path, ("queued",), order=order)


def _change_idle(folder: Path, when: Sequence[RunStatus], **changes: object) -> RunState:
    """Change the state of a run that no process is at work on.

    Args:
        folder: of the run.
        when: the statuses in which it may be changed.
        changes: of `RunState`.

    Raises:
        HftermError: it is being started, or its status is another by now; it can't be written.
    """
    try:
        with files.taken(folder, lambda: true_state(folder).status not in when):
            state = true_state(folder)
            changed = msgspec.structs.replace(state, **changes)
            files.write_struct(folder / files.STATE, changed)
            return changed
    except OSError as error:
        raise HftermError(
            "unwritable", f"{folder} can't be written: {error.strerror}.", CHECK_SPACE
        ) from error


def stop(run: Run) -> None:
    """Ask a run to checkpoint and stop; a queued one leaves the queue.

    Raises:
        HftermError: it is over.
    """
    if run.status == "queued":
        with suppress(HftermError):
            _change_idle(run.path, ("queued",), status="stopped", ended=time.time())
            _tell(run, "stopped", "taken from the queue")
            return
        run = read_run(run.path)  # its turn came just now
    if not run.active:
        raise HftermError("over", f"{run.id} is {run.status}: there is nothing to stop.", IDLE)
    try:
        (run.path / files.STOP).touch()
    except OSError as error:
        raise HftermError(
            "unwritable", f"{run.path} can't be written: {error.strerror}.", "Kill the run."
        ) from error
    _tell(run, "stopping", "asked to stop", run.progress.step)


def _tell(run: Run, kind: str, text: str, step: int = -1) -> None:
    with suppress(OSError):  # a full disk
        files.add_event(run.path, kind, text, step)


def kill(run: Run) -> None:
    """End a run's processes at once; it can be resumed from its last checkpoint.

    Raises:
        HftermError: it is not running.
    """
    if not run.active:
        raise HftermError("over", f"{run.id} is {run.status}: there is nothing to kill.", IDLE)
    with suppress(OSError):  # a full disk: then it is only not said who killed it
        (run.path / files.KILLED).touch()
    worker = run.state.worker
    if worker is not None and files.is_alive(worker):
        files.end_group(worker.pid)
        files.end_strays(run.path)
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
        if recipe.training.optimizer != run.recipe.training.optimizer:
            raise HftermError(
                "another-optimizer",
                f"Its checkpoints hold what {run.recipe.training.optimizer} remembers: the "
                "optimizer can't change in a resumed run.",
                "Clone the run, and change the clone.",
            )
        _save_recipe(run, recipe)
    if queue:
        _change_idle(
            run.path, tuple(RESUMABLE), status="queued", order=time.time(), error=None, ended=0.0
        )
        next_of_queue()
    else:
        start(run.path)


def _save_recipe(run: Run, recipe: Recipe) -> None:
    """Save a changed recipe, and say what is another now."""
    before, after = run.recipe, with_full_paths(recipe)
    try:
        files.save_recipe(run.path, after)
    except OSError as error:
        raise HftermError(
            "unwritable", f"{run.path} can't be written: {error.strerror}.", CHECK_SPACE
        ) from error
    if before is not None and before != after:
        _tell(run, "note", f"changed: {'; '.join(_differences(before, after))}")


def _differences(before: Recipe, after: Recipe) -> list[str]:
    found: list[str] = []
    for part in ("data", "training"):
        old, new = getattr(before, part), getattr(after, part)
        found += [
            f"{part}.{name} {getattr(old, name)} → {getattr(new, name)}"
            for name in old.__struct_fields__
            if getattr(old, name) != getattr(new, name)
        ]
    return found or ["the recipe"]


def delete(run: Run) -> int:
    """Delete a run's directory. Gives the bytes that are free again.

    Raises:
        HftermError: it is running, or can't be deleted.
    """
    if run.active:
        raise HftermError("running", f"{run.id} is running.", "Stop it first.")
    size = size_of(run.path)
    try:
        with files.taken(run.path, lambda: true_state(run.path).status in ACTIVE):
            shutil.rmtree(run.path)
    except OSError as error:
        raise HftermError(
            "undeletable", f"{run.path} can't be deleted: {error.strerror}.", "Check its owner."
        ) from error
    return size


def save_notes(run: Run, notes: RunNotes) -> None:
    """Write what the user says about a run."""
    try:
        files.write_struct(run.path / files.NOTES, notes)
    except OSError as error:
        raise HftermError(
            "unwritable", f"The note can't be written: {error.strerror}.", CHECK_SPACE
        ) from error
