"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Event

import psutil

LONGEST = 90.0
"""Seconds until a condition counts as never coming; a machine under load is slow."""

_never = Event()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Block until `condition` is true."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        _never.wait(0.01)


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the event loop run until `condition` is true."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that init has yet to collect has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
