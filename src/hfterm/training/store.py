"""All runs of this machine, as they are now: read from their directories."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.system.disk import folder_size
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.run_types import (
    ACTIVE,
    RunEvent,
    RunFailure,
    RunNotes,
    RunProgress,
    RunState,
    RunStatus,
)

T = TypeVar("T")

SILENT = 120.0
"""Seconds after which a run of another machine that no longer beats counts as dead."""

GO_ON = "Resume it: it goes on from the last whole checkpoint."


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


def queue_of(runs: Sequence[Run]) -> list[Run]:
    """The queued ones, in their order."""
    return sorted((run for run in runs if run.status == "queued"), key=lambda run: run.state.order)


_read: dict[str, tuple[tuple[int, int, int], object]] = {}
"""What was read of each file, and the file's stamp then: most runs never change any more."""


def _known(path: str, read: Callable[[Path], T]) -> T:
    """What a file says; it is read again only when it is another."""
    try:
        stat = os.stat(path)  # noqa: PTH116  (a Path for each of a thousand files takes longer)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except OSError:
        stamp = (0, 0, 0)
    known = _read.get(path)
    if known is None or known[0] != stamp:
        # stamped before it is read: what is written meanwhile has another stamp
        known = _read[path] = (stamp, read(Path(path).parent))
    return cast("T", known[1])


def list_runs() -> list[Run]:
    """Every run, the newest first. Cheap: it may be called each second."""
    try:
        names = sorted(os.listdir(paths.runs_dir()), reverse=True)  # noqa: PTH208
    except OSError:
        return []
    root = str(paths.runs_dir())
    if len(_read) > 8 * len(names) + 100:  # of runs that are no more
        _read.clear()
    return [
        read_run(Path(root, name))
        for name in names
        if not name.startswith(".") and os.path.isfile(f"{root}/{name}/{files.RECIPE}")  # noqa: PTH113
    ]


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
    place = str(folder)
    return Run(
        id=folder.name,
        path=folder,
        recipe=_known(f"{place}/{files.RECIPE}", _recipe),
        state=_true(folder, _known(f"{place}/{files.STATE}", files.state_of)),
        progress=_known(f"{place}/{files.PROGRESS}", files.progress_of),
        notes=_known(f"{place}/{files.NOTES}", files.notes_of),
    )


def _recipe(folder: Path) -> Recipe | None:
    try:
        return files.read_recipe_of(folder)
    except HftermError:
        return None


def true_state(folder: Path) -> RunState:
    """The state as it is: a supervisor that was killed could not write what became of it."""
    return _true(folder, files.state_of(folder))


def _true(folder: Path, state: RunState) -> RunState:
    if state.status not in ACTIVE:
        return state
    # the supervisor says both a moment later, or never, if it was killed
    if state.status == "starting" and files.has_begun(folder, state.started):
        state = msgspec.structs.replace(state, status="running")
    if state.status == "running" and (folder / files.STOP).exists():
        state = msgspec.structs.replace(state, status="stopping")
    if files.is_alive(state.supervisor) or files.is_alive(state.worker):
        return state
    ended = _newest(folder)
    here = state.supervisor is not None and state.supervisor.boot == files.boot_id()
    elsewhere = not here and state.host not in ("", files.this_host())
    if elsewhere and time.time() - ended < SILENT:
        return state
    again = files.state_of(folder)
    if again.status not in ACTIVE:
        return again  # it came to its end while this looked
    state = msgspec.structs.replace(
        state, seconds=state.seconds + max(0.0, ended - state.beat), ended=ended
    )
    outcome = files.outcome_of(folder)
    if outcome is not None:
        return settled(state, outcome, ended)
    failure = RunFailure("died", _why_dead(folder, state, here, elsewhere), GO_ON)
    return msgspec.structs.replace(state, status="died", error=failure)


def _why_dead(folder: Path, state: RunState, here: bool, elsewhere: bool) -> str:
    if elsewhere:
        return f"Nothing was heard of it for {SILENT:.0f} s; it ran on {state.host}."
    if not here:
        return "The machine was started again while it ran."
    if (folder / files.KILLED).exists():
        return "It was killed from hfterm."
    if state.worker is None:
        return "Whoever started it was ended before its process began."
    return "Its process and the one that watched over it are gone: both were killed."


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


def size_of(folder: Path) -> int:
    """Bytes of the files of a run or a checkpoint."""
    return folder_size(folder, Job(), seconds=30).total
