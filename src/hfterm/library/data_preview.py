"""Rows of a data set, page by page, and what each column holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.rows import as_text, iter_rows
from hfterm.job import Job
from hfterm.paths import expanded

DATA = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
"""Ends of the names of files that are shown, those first that say most of their columns."""

LONGEST = 2_000
"""Characters of a value that are sent to the screen."""

DISTINCT = 10_000
"""Different values of a column that are told apart; more are only “more than” it."""

COLUMNS = 200
"""Columns that are shown."""


class DataPage(msgspec.Struct, frozen=True):
    """Some rows.

    Attributes:
        file: the file they are of.
        columns: their names.
        rows: values as text, cut to `LONGEST` characters.
        offset: how many rows stand before them.
        more: whether there are rows after them.
        files: every file of rows, where the source is a folder.
    """

    file: str
    columns: list[str]
    rows: list[list[str]]
    offset: int
    more: bool
    files: list[str]


class ColumnFacts(msgspec.Struct, frozen=True):
    """What a column holds.

    Attributes:
        name: its name.
        kind: ``numbers``, ``text`` or ``mixed``; ``empty`` when there is nothing.
        present: rows with a value.
        missing: rows without.
        distinct: different values; more than `DISTINCT` are not counted.
        least: the smallest number, or the characters of the shortest text.
        mean: of the numbers, or of the lengths; None when there is none.
        most: the largest number, or the characters of the longest text.
        common: the most frequent value, cut to `LONGEST` characters.
        times: how often it stands there.
    """

    name: str
    kind: str
    present: int
    missing: int
    distinct: int
    least: float | None
    mean: float | None
    most: float | None
    common: str
    times: int


def data_files(source: str) -> list[str]:
    """The files of rows that a source means: itself, or those in the folder.

    Raises:
        HftermError: it is a folder without any.
    """
    if starter.is_starter(source):
        return [source]
    place = expanded(source)
    if not place.is_dir():
        return [source]
    found = [file for file in sorted(place.rglob("*")) if file.suffix.lower() in DATA]
    found.sort(key=lambda file: DATA.index(file.suffix.lower()))
    if not found:
        raise HftermError(
            "not-a-data-set",
            f"The folder {source} holds no rows ({', '.join(DATA)}).",
            "Name a file, or another folder.",
        )
    return [str(file) for file in found]


def page_of(source: str, offset: int, limit: int, job: Job) -> DataPage:
    """Rows of a data set.

    Args:
        source: a starter data set, a file, or a folder with files of rows (its first is read).
        offset: rows before the first.
        limit: rows at most.
        job: can stop it.

    Raises:
        HftermError: there is no such file, or it is not what its name says.
    """
    files = data_files(source)
    found = list(islice(iter_rows(files[0], job), offset, offset + limit + 1))
    columns = list(dict.fromkeys(name for row in found for name in row))[:COLUMNS]
    rows = [[as_text(row.get(name))[:LONGEST] for name in columns] for row in found[:limit]]
    return DataPage(files[0], columns, rows, offset, len(found) > limit, files)


def column_facts(source: str, job: Job) -> list[ColumnFacts]:
    """Every column of a data set, over all of its rows.

    Raises:
        HftermError: there is no such file, or it is not what its name says.
    """
    columns: dict[str, _Column] = {}
    rows = 0
    for row in iter_rows(data_files(source)[0], job):
        for name, value in row.items():
            columns.setdefault(name, _Column()).add(value)
        rows += 1
    return [column.facts(name, rows) for name, column in columns.items()]


@dataclass
class _Column:
    present: int = 0
    numbers: int = 0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    lengths: list[float] = field(default_factory=lambda: [math.inf, 0.0, -math.inf])
    values: Counter[str] = field(default_factory=Counter[str])
    crowded: bool = False

    def add(self, value: object) -> None:
        text = as_text(value)
        if not text:
            return
        self.present += 1
        number = _number(value, text)
        if number is not None:
            self.numbers += 1
            self.total += number
            self.least, self.most = min(self.least, number), max(self.most, number)
        size = len(text)
        shortest, total, longest = self.lengths
        self.lengths = [min(shortest, size), total + size, max(longest, size)]
        key = text[:LONGEST]
        if key in self.values or len(self.values) < DISTINCT:
            self.values[key] += 1
        else:
            self.crowded = True

    def facts(self, name: str, rows: int) -> ColumnFacts:
        if not self.present:
            return ColumnFacts(name, "empty", 0, rows, 0, None, None, None, "", 0)
        numeric = self.numbers == self.present
        kind = "numbers" if numeric else "mixed" if self.numbers else "text"
        least, total, most = (
            (self.least, self.total, self.most) if numeric else _three(self.lengths)
        )
        common, times = self.values.most_common(1)[0]
        return ColumnFacts(
            name, kind, self.present, rows - self.present, len(self.values) + self.crowded,
            least, total / self.present, most, common, times,
        )  # fmt: skip


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _number(value: object, text: str) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value) if isinstance(value, int | float) else float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
