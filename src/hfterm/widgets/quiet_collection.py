"""What is in circles and of no use is looked for while nobody types.

Python looks through all objects every now and then, in the middle of whatever is done. With a long
answer on screen that takes some 70 ms, in which no key is heard.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from hfterm.system.own_memory import trim

NEVER = 1_000_000
"""Collections of the middle generation before Python would look through all objects by itself."""

OFTEN = 10
"""As many of them as Python waits for when it is left alone."""

QUIET, LATEST = 1.0, 10.0
"""Seconds without a key after which it is a good moment, and after which it is done anyway."""

MUCH = 50
"""As many, as when windows come and go, of which it is done at once: memory never shrinks back to
where it was before a heap of garbage."""

KEPT = 60.0
"""Seconds after which freed memory is returned even while somebody types: it takes some 20 ms."""


class QuietCollection:
    """Asked now and then, it collects at a moment when nobody types.

    Args:
        last_key: says when the last key came, by `time.monotonic`.
    """

    def __init__(self, last_key: Callable[[], float]) -> None:
        self._last_key = last_key
        self._last = self._returned = time.monotonic()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)

    def look(self) -> bool:
        """Collect if there may be much and the moment is good. Whether it did."""
        now = time.monotonic()
        waiting = gc.get_count()[2]
        quiet = now - self._last_key() >= QUIET
        early = not quiet and now - self._last < LATEST
        if waiting < OFTEN or (early and waiting < MUCH):
            return False
        self._last = now
        gc.collect()
        if quiet or now - self._returned >= KEPT:
            # else the holes between what is kept grow from hour to hour
            self._returned = now
            trim()
        return True
