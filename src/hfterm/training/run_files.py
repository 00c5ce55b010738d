"""The files of a run directory: their names, atomic writing, lines that no crash can tear.

Standard library and msgspec only: the interface, the supervisor and the worker all use it.
"""

from __future__ import annotations

import math
import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from hfterm.errors import HftermError
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
STOP = "stop"
KILLED = "killed"
RESERVE = "reserve"
"""Bytes that are given back when the disk is full, so that the state can still be written."""
CHECKPOINTS = "checkpoints"
MODEL = "model"
WHOLE = "hfterm-whole.json"
"""Written into a checkpoint when all of it is on the disk."""

RESERVED = 256 * 1024

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


def slug(name: str) -> str:
    """A name as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "run"


def write_atomic(path: Path, data: bytes) -> None:
    """Put a file in its place in one step; a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


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
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        written = os.write(descriptor, data)
        if written < len(data):  # the disk took a part: a later line must not begin inside it
            os.write(descriptor, b"\n")
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
    """``state.json``; the state of a run that was never started when it is not there."""
    return read_struct(folder / STATE, RunState) or RunState()


def progress_of(folder: Path) -> RunProgress:
    """``progress.json``; no progress when it is not there."""
    return read_struct(folder / PROGRESS, RunProgress) or RunProgress()


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


def boot_id() -> str:
    """What tells this start of the system from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def mark_of(pid: int) -> ProcessMark | None:
    """A process, so that it can be told from a later one; None when it is gone."""
    import psutil

    try:
        return ProcessMark(pid, psutil.Process(pid).create_time(), boot_id())
    except psutil.Error:
        return None


def is_alive(mark: ProcessMark | None) -> bool:
    """Whether the process still is: it, and not another with its number."""
    if mark is None or mark.boot != boot_id():
        return False
    import psutil

    try:
        process = psutil.Process(mark.pid)
        return (
            abs(process.create_time() - mark.started) < 2
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def this_host() -> str:
    """The name of this machine: pids mean nothing on another."""
    return socket.gethostname()
