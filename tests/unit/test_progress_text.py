"""A progress in words."""

from __future__ import annotations

import pytest

from hfterm.job import Progress
from hfterm.progress_text import describe


@pytest.mark.parametrize(
    ("done", "total", "unit", "elapsed", "said"),
    [
        (6, 30, "layers", 10.0, "0.6 layers/s · 0:40 left"),
        (20, 40, "layers", 10.0, "2 layers/s · 0:10 left"),
        (3_000, 9_000, "rows", 10.0, "300 rows/s · 0:20 left"),
        (5_000_000, 10_000_000, "bytes", 10.0, "500 kB/s · 0:10 left"),
    ],
)
def test_rates(done: int, total: int, unit: str, elapsed: float, said: str) -> None:
    assert said in describe(Progress("work", done, total, unit), elapsed)


def test_without_a_total() -> None:
    assert describe(Progress("work", 3, None, "files"), 61.0) == "work · 3 files · 1:01"
    assert describe(Progress("work"), 0.5) == "work"
