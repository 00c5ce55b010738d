"""How far two answers agree."""

from __future__ import annotations

from difflib import SequenceMatcher

import msgspec

MOST = 4000
"""Words of an answer that are compared: the comparison takes their square."""


class Agreement(msgspec.Struct, frozen=True):
    """Two answers compared, word by word.

    Attributes:
        same_start: words at the beginning that are the same.
        similarity: share of the words that both have in the same order, 0 to 1.
    """

    same_start: int
    similarity: float


def agreement(one: str, two: str) -> Agreement:
    """Compare two answers; two empty ones agree."""
    a, b = one.split()[:MOST], two.split()[:MOST]
    start = next(
        (at for at, (left, right) in enumerate(zip(a, b, strict=False)) if left != right),
        min(len(a), len(b)),
    )
    return Agreement(start, SequenceMatcher(None, a, b, autojunk=False).ratio())
