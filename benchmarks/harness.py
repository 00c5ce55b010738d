"""What the benchmarks share: the pseudo-terminal of the tests, the starter kit, tables, rows.

A script prints its tables, and with `--json FILE` also writes the rows that RESULTS.md is made of.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from results import Row, Target, make_row

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

HFTERM = str(Path(sys.executable).with_name("hfterm"))


class Options(argparse.Namespace):
    """What every script takes."""

    json: Path | None
    quick: bool
    parts: list[str]

    def rounds(self, count: int, quick: int = 2) -> int:
        """How often, and how often when it is to be quick."""
        return quick if self.quick else count


def options(about: str | None, parts: Sequence[str] = ()) -> Options:
    """Read the command line; `parts` are what may be named to measure only that."""
    parser = parser_of(about)
    if parts:
        parser.add_argument(
            "parts", nargs="*", metavar="PART", help=f"only this: {', '.join(parts)}"
        )
    chosen = parser.parse_args(namespace=Options(parts=[]))
    if wrong := [part for part in chosen.parts if part not in parts]:
        parser.error(f"no part is called {wrong[0]!r}; there are {', '.join(parts)}")
    chosen.parts = chosen.parts or list(parts)
    return chosen


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """A command line with what every script takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, to try the script")
    return parser


class Report:
    """The rows of a script; written after each, so that a script that fails leaves what it had."""

    def __init__(self, chosen: Options) -> None:
        self._file = chosen.json.absolute() if chosen.json else None
        self._rows: list[Row] = []

    def add(
        self,
        topic: str,
        name: str,
        unit: str,
        ours: float | Sequence[float],
        *,
        against: str = "",
        other: float | Sequence[float] = (),
        target: Target | None = None,
        peer: bool = False,
        more: bool = False,
        note: str = "",
    ) -> None:
        """A figure; the arguments are those of a `Row`, the rounds in the order they were run."""
        row = make_row(
            topic, name, unit, ours,
            against=against, other=other, target=target, peer=peer, more=more, note=note,
        )  # fmt: skip
        self.extend([row])

    def not_run(self, topic: str, against: str, reason: object) -> None:
        """Something that could not be measured here."""
        note = " ".join(str(reason).split()) or "no reason was given"
        self.extend([Row(topic, against, against=against, peer=True, note=f"not run: {note}")])
        print(f"\n{against}: not run: {note}")

    def extend(self, rows: Sequence[Row]) -> None:
        """Rows that another process made."""
        self._rows += rows
        if self._file is not None:
            self._file.write_bytes(msgspec.json.encode(self._rows))


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
    settings = Path(home) / "config" / "hfterm" / "settings.toml"
    settings.parent.mkdir(parents=True)
    # each start is a first one: what was left is not found again, and the tour is not shown
    settings.write_text("restore_session = false\n", "utf-8")


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
