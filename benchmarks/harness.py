"""What the benchmarks share: the pseudo-terminal of the tests, the starter kit, tables."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

HFTERM = str(Path(sys.executable).with_name("hfterm"))


def isolate() -> None:
    """An empty home, the hub switched off, and the starter kit of `make test` or of the user."""
    from hfterm.hub.starter import starter_path

    kit = os.environ.get("HFTERM_STARTER") or str(ROOT / ".starter")
    if not (Path(kit) / "minilm").is_dir():
        found = starter_path("minilm")
        kit = str(found.parent) if found else kit
    if not (Path(kit) / "minilm").is_dir():
        sys.exit("The benchmarks need the starter kit: run `hfterm starter` first.")
    home = tempfile.mkdtemp(prefix="hfterm-benchmark-")
    os.environ.update(
        HFTERM_STARTER=kit,
        HOME=home,
        XDG_CONFIG_HOME=f"{home}/config",
        XDG_DATA_HOME=f"{home}/data",
        XDG_STATE_HOME=f"{home}/state",
        XDG_CACHE_HOME=f"{home}/cache",
        HF_HUB_OFFLINE="1",
    )


def reviews(megabytes: float) -> str:
    """The film reviews of the starter kit, repeated to a length."""
    text = (Path(os.environ["HFTERM_STARTER"]) / "reviews" / "reviews.csv").read_text("utf-8")
    size = int(megabytes * 1_000_000)
    return (text * (size // len(text) + 1))[:size]


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a title, numbers with three digits that matter."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    print(f"\n{title}")
    for row in cells:
        first, *rest = (
            cell.ljust(width) if not index else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(["", first, *rest]))


def _cell(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else (
        f"{value:,.0f}" if isinstance(value, float) else str(value)
    )  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
