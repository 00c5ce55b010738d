"""One model is built at a time in a process.

While it builds or loads a model, transformers puts something else in the place of its own
functions (`PreTrainedModel.tie_weights`) and of torch's default dtype, and puts back what it found.
Two threads that do so at once leave a library that no longer ties weights: every later model with
tied embeddings would have a random head, and say nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from hfterm.job import Job

_lock = threading.RLock()
LOOK_EVERY = 0.1
"""Seconds between two looks whether who waits is still wanted."""


@contextmanager
def building(job: Job | None = None) -> Generator[None]:
    """Held while the library builds or loads a model.

    Args:
        job: whose cancel ends the waiting.

    Raises:
        Cancelled: the caller no longer wants it.
    """
    while not _lock.acquire(timeout=LOOK_EVERY):
        if job is not None:
            job.check()
    try:
        yield
    finally:
        _lock.release()
