"""The files of a run directory: their names, atomic writing, lines that no crash can tear.

Standard library and msgspec only: the interface, the supervisor and the worker all use it.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from hfterm.errors import HftermError
from hfterm.system.whole_file import write_atomic
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import parse_recipe, write_recipe
from hfterm.training.run_types import (
    ProcessMark,
    RunEvent,
    RunFailure,
    RunNotes,
    RunProgress,
    RunState,
)

RECIPE = "recipe.toml"
STATE = "state.json"
PROGRESS = "progress.json"
OUTCOME = "outcome.json"
NOTES = "notes.json"
ABOUT = "about.json"
METRICS = "metrics.jsonl"
SYSTEM = "system.jsonl"
EVENTS = "events.jsonl"
SAMPLES = "samples.jsonl"
LOG = "log.txt"
LOCK = ".lock"
"""Held by whoever starts, changes or watches over the run."""
STOP = "stop"
KILLED = "killed"
RESERVE = "reserve"
"""Bytes that are given back when the disk is full, so that the state can still be written."""
CHECKPOINTS = "checkpoints"
MODEL = "model"
WHOLE = "hfterm-whole.json"
"""Written into a checkpoint when all of it is on the disk."""

RESERVED = 256 * 1024
WORKER = "hfterm.training.worker"
"""The module that trains."""

LOCK_PATIENCE = 5.0
"""Seconds that a run which is over may still be held by its supervisor."""

T = TypeVar("T")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``outcome.json``: how the training process ended by its own account.

    Attributes:
        status: ``finished``, ``stopped`` or ``failed``.
        values: the last metrics.
    """

    status: str
    error: RunFailure | None = None
    values: dict[str, float | str] = {}


def outcome_file(rank: int) -> str:
    """Where a process of a run tells its outcome; only failures of others than the first do."""
    return OUTCOME if rank == 0 else f"outcome-{rank}.json"


def outcome_of(folder: Path) -> Outcome | None:
    """How a run ended by its own account; None when it could not say.

    Where several processes trained, the one that failed first knows why: the others only lost it.
    """
    outcome = read_struct(folder / OUTCOME, Outcome)
    if outcome is not None and outcome.status != "failed":
        return outcome
    told: list[tuple[float, str]] = []
    for path in folder.glob("outcome*.json"):
        with suppress(OSError):
            told.append((path.stat().st_mtime, path.name))
    for _, name in sorted(told):
        found = read_struct(folder / name, Outcome)
        if found is not None:
            return found
    return outcome


def slug(name: str) -> str:
    """A name as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "run"


def write_struct(path: Path, value: msgspec.Struct) -> None:
    """A struct as indented JSON, in one step."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read_struct(path: Path, kind: type[T]) -> T | None:
    """What `write_struct` wrote; None when it is not there, or is no such thing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def append_line(path: Path, value: object) -> None:
    """Add a line of JSON by one write, so that whoever dies leaves whole lines before it."""
    data = msgspec.json.encode(value) + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # whoever died here, or a full disk, may have left a part of a line
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def add_event(
    folder: Path,
    kind: str,
    text: str = "",
    step: int = -1,
    values: Mapping[str, float | str] | None = None,
) -> None:
    """Add a line to ``events.jsonl``."""
    append_line(
        folder / EVENTS,
        RunEvent(time=time.time(), kind=kind, text=text, step=step, values=dict(values or {})),
    )


def finite(value: float) -> float | str:
    """A number as JSON has it: those that are none are words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def read_recipe_of(folder: Path) -> Recipe:
    """The recipe of a run.

    Raises:
        HftermError: the folder is no run, or its recipe is broken.
    """
    try:
        text = (folder / RECIPE).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise HftermError(
            "not-a-run", f"{folder} is no run: it has no {RECIPE}.", "hfterm runs lists them."
        ) from error
    return parse_recipe(text, f"{folder.name}/{RECIPE}")


def save_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the recipe of a run."""
    write_atomic(folder / RECIPE, write_recipe(recipe).encode())


def state_of(folder: Path) -> RunState:
    """``state.json``; never that of a run that may be started when it is not there, or broken."""
    return read_struct(folder / STATE, RunState) or lost_state(folder)


def lost_state(folder: Path) -> RunState:
    """The state of a run whose ``state.json`` can't be read."""
    try:
        seen = folder.stat().st_mtime
    except OSError:
        seen = 0.0
    there = (folder / STATE).exists()
    failure = RunFailure(
        "no-state",
        f"Its {STATE} is {'broken' if there else 'not there'}.",
        "Resume it: it goes on from the last whole checkpoint.",
    )
    return RunState(status="died", created=seen, ended=seen, error=failure)


def progress_of(folder: Path) -> RunProgress:
    """``progress.json``; no progress when it is not there."""
    return read_struct(folder / PROGRESS, RunProgress) or RunProgress()


def has_begun(folder: Path, started: float) -> bool:
    """Whether the attempt of that time trains: it has loaded what it needs."""
    progress = progress_of(folder)
    return progress.phase not in ("", "loading") and progress.time >= started


def notes_of(folder: Path) -> RunNotes:
    """``notes.json``; no notes when it is not there."""
    return read_struct(folder / NOTES, RunNotes) or RunNotes()


def reserve(folder: Path) -> None:
    """Take room for the last words of a run."""
    with suppress(OSError):
        (folder / RESERVE).write_bytes(b"\0" * RESERVED)


def release(folder: Path) -> None:
    """Give that room back."""
    with suppress(OSError):
        (folder / RESERVE).unlink()


@contextmanager
def taken(folder: Path, refused: Callable[[], bool]) -> Generator[int]:
    """Have a run for oneself. Gives the descriptor, which a child may hold on to.

    Args:
        folder: of the run.
        refused: whether its state is none for what is meant to be done.

    Raises:
        HftermError: ``running``: it is refused, or another process has the run.
        OSError: the folder can't be written.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + LOCK_PATIENCE
        while not _locked(descriptor):
            if refused() or time.monotonic() > until:
                raise HftermError("running", f"{folder.name} is running.", "Stop it first.")
            # flock can wait only for ever, and the holder may be a run that never lets go
            time.sleep(0.02)
        if refused():
            raise HftermError("running", f"{folder.name} is running.", "Stop it first.")
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # a file system may have no locks at all
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that are complete, the oldest first."""
    return [path for _, path in sorted(_checkpoints(folder)) if (path / WHOLE).is_file()]


def torn_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints whose writing did not come to its end."""
    return [path for _, path in _checkpoints(folder) if not (path / WHOLE).is_file()]


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was written at."""
    return int(checkpoint.name.rpartition("-")[2])


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdecimal():
            found.append((int(step), path))
    return found


# -- processes -------------------------------------------------------------------------------


def boot_id() -> str:
    """What tells this start of the system from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def mark_of(pid: int) -> ProcessMark | None:
    """A process, so that it can be told from a later one; None when it is gone."""
    started = _started(pid)
    return None if started is None else ProcessMark(pid, started, boot_id())


def is_alive(mark: ProcessMark | None) -> bool:
    """Whether the process still is: it, and not another with its number."""
    if mark is None or mark.boot != boot_id():
        return False
    started = _started(mark.pid)
    return started is not None and abs(started - mark.started) < 0.05


def _started(pid: int) -> float | None:
    """When a process began; None when it is gone, or has ended and waits for its parent.

    On Linux in seconds since the system's start: those since the epoch change with the clock.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        return _started_elsewhere(pid)
    # the name before the last parenthesis may hold anything
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _started_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def end_strays(folder: Path) -> int:
    """Kill what still trains a run when nobody watches over it any more. Gives how many."""
    import psutil

    ended = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if WORKER in line and str(folder) in line and process.pid != os.getpid():
                process.send_signal(signal.SIGKILL)
                ended += 1
    return ended


def end_group(pid: int) -> None:
    """Kill a process and what it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def this_host() -> str:
    """The name of this machine: pids mean nothing on another."""
    return socket.gethostname()


def took(seconds: float) -> str:
    """A duration in an event: ``0.42 s``, ``44 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
