"""How an hour went for a process: memory, descriptors, threads, and whether they grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

WARM = 1000
"""Actions after which there is little left that was not opened before."""


@dataclass(frozen=True)
class Vitals:
    """A process at one moment.

    Attributes:
        minute: since the wandering began.
        actions: that were done until then.
        memory: unique resident bytes: those that would be free if it ended.
    """

    minute: float
    actions: int
    memory: int
    descriptors: int
    threads: int


def vitals_of(process: psutil.Process, minute: float, actions: int) -> Vitals | None:
    """The process now; None when it is gone."""
    with suppress(psutil.Error):
        memory = process.memory_full_info().uss
        return Vitals(minute, actions, memory, process.num_fds(), process.num_threads())
    return None


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Growth a unit: the median of the slopes between all pairs, which no outlier changes."""
    slopes = [
        (y - before) / (x - earlier)
        for at, (x, y) in enumerate(points) for earlier, before in points[:at] if x != earlier
    ]  # fmt: skip
    return statistics.median(slopes) if slopes else 0.0


@dataclass
class Record:
    """What was seen of one process."""

    seen: list[Vitals] = field(default_factory=list)

    def settled(self) -> list[Vitals]:
        """What was seen after the warm-up: every screen, tab and window is made by then."""
        return [one for one in self.seen[len(self.seen) // 2 :] if one.actions >= WARM]

    def __str__(self) -> str:
        return "\n".join(
            f"  {one.minute:5.1f} min {one.actions:6,} actions {one.memory / 1e6:7.1f} MB"
            f" {one.descriptors:4} fds {one.threads:3} threads" for one in self.seen
        )  # fmt: skip
