"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Event

import psutil

LONGEST = 90.0
"""Seconds until a condition counts as never coming; a machine under load is slow."""

STALL = 0.5
"""Seconds that one look counts at most: a machine that stood still for a minute did no work."""

_never = Event()


class Patience:
    """Runs out after some seconds of looking; a standstill of the machine counts little."""

    def __init__(self, seconds: float = LONGEST) -> None:
        self._left = seconds
        self._before = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether it has run out; to be asked at each look."""
        now = time.monotonic()
        self._left -= min(now - self._before, STALL)
        self._before = now
        return self._left < 0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Block until `condition` is true."""
    patience = Patience()
    while not condition():
        if patience.over:
            raise AssertionError(f"never: {what}")
        _never.wait(0.01)


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the event loop run until `condition` is true."""
    patience = Patience()
    while not condition():
        if patience.over:
            raise AssertionError(f"never: {what}")
        await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that init has yet to collect has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
