"""Run a Rust computation that can't be interrupted so that a cancel need not wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hfterm.job import Job

T = TypeVar("T")

POLL = 0.05
"""Seconds between two looks at the job."""


def run_detached(work: Callable[[], T], job: Job, while_busy: Callable[[], None]) -> T:
    """Do `work` in a thread of its own and wait for it, or for a cancel.

    On a cancel the thread is left to end by itself: its result is dropped, and until then it
    costs processor time, nothing else. `while_busy` is called about once a second.

    Raises:
        Cancelled: at once, whatever the thread is doing.
        Exception: what `work` raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="hfterm-training", daemon=True)
    told = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(POLL)
        job.check()
        if (now := time.monotonic()) - told >= 1:
            told = now
            while_busy()
    if errors:
        raise errors[0]
    return results[0]
