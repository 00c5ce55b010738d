"""Rows of a data set or file, with their columns: CSV, TSV, JSON, JSONL, Parquet, or lines.

Imports pyarrow inside functions.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.refs import installed
from hfterm.job import Job
from hfterm.paths import expanded

Row = dict[str, object]
TOLD_EVERY = 5000
"""Rows between two reports of progress."""

LINE = "text"
"""The column of a file that has none."""


def read_rows(ref: str, job: Job, most: int | None = None) -> list[Row]:
    """All rows, or the first `most`.

    Args:
        ref: a starter data set, or a file; what its name does not say is read as lines.
        job: can stop it.
        most: rows at most.

    Raises:
        HftermError: there is no such file, or it is not what its name says.
    """
    path = dataset_path(ref)
    job.progress(f"reading {path.name}")
    with _explained(path):
        rows = list(islice(_rows(path), most))
    job.check()
    if not rows:
        raise HftermError("no-rows", f"{path} has no rows.", "Choose another file.")
    return rows


def iter_rows(ref: str, job: Job) -> Iterator[Row]:
    """Row after row, however many there are.

    Args:
        ref: as of `read_rows`.
        job: told how many were read; can stop it.

    Raises:
        HftermError: there is no such file, or it is not what its name says.
    """
    path = dataset_path(ref)
    with _explained(path):
        for number, row in enumerate(_rows(path)):
            if number % TOLD_EVERY == 0:
                job.progress(f"reading {path.name}", number, unit="rows")
            yield row


@contextmanager
def _explained(path: Path) -> Generator[None]:
    """What reading raises, in words."""
    try:
        yield
    except OSError as error:
        raise HftermError(
            "unreadable",
            f"{path} can't be read: {error.strerror}.",
            "Check that it is there and that you may read it.",
        ) from error
    except UnicodeDecodeError as error:
        raise HftermError(
            "not-text", f"{path} is not UTF-8 (byte {error.start:,}).", "Convert it with iconv."
        ) from error
    except (ValueError, csv.Error, RecursionError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HftermError(
            "bad-row", f"{path} is no {path.suffix[1:] or 'text'}: {first}.", "Check the file."
        ) from error


def dataset_path(ref: str) -> Path:
    """The file that `ref` names.

    Raises:
        HftermError: there is none.
    """
    path = installed(ref) if starter.is_starter(ref) else expanded(ref)
    if not ref.strip() or not path.exists():
        raise HftermError(
            "not-found",
            f"There is no file {ref!r}." if ref.strip() else "No file is named.",
            "Name a starter data set (reviews, sms-spam) or a file.",
        )
    if path.is_dir():
        raise HftermError(
            "not-a-data-set", f"{ref!r} is a folder, not a data set.", "Name a file of rows."
        )
    return path


def _rows(path: Path) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(path)
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        if suffix in (".csv", ".tsv"):
            csv.field_size_limit(1 << 30)
            for row in csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ","):
                yield cast("Row", {name: value for name, value in row.items() if name})
        elif suffix in (".jsonl", ".ndjson"):
            yield from (_object(json.loads(line)) for line in file if line.strip())
        elif suffix == ".json":
            value: object = json.load(file)
            if isinstance(value, dict):
                lists = [v for v in cast("Row", value).values() if isinstance(v, list)]
                value = lists[0] if len(lists) == 1 else [value]
            if not isinstance(value, list):
                raise ValueError(f"it holds a {type(value).__name__}, not rows")
            yield from (_object(item) for item in cast("list[object]", value))
        else:
            for line in file:
                if line.strip():
                    yield {LINE: line.rstrip("\r\n")}


def _object(value: object) -> Row:
    if isinstance(value, dict):
        return cast("Row", value)
    if isinstance(value, str):
        return {LINE: value}
    raise ValueError(f"a row is a {type(value).__name__}, neither an object nor a text")


def _parquet(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(path).iter_batches(4096):
        yield from cast("list[Row]", batch.to_pylist())


def pick_column(rows: list[Row], wanted: str, *defaults: str, needed: bool = True) -> str:
    """The column to use: the one named, else the first of `defaults` that there is.

    Raises:
        HftermError: there is none, and one is needed or was named.
    """
    columns = list(dict.fromkeys(name for row in rows[:64] for name in row))
    if wanted:
        if wanted in columns:
            return wanted
        raise HftermError(
            "no-column",
            f"There is no column {wanted!r}; there is: {', '.join(columns)}.",
            "Name one of them.",
        )
    for name in defaults:
        if name in columns:
            return name
    if not needed:
        return ""
    texts = [name for name in columns if _is_text([row.get(name) for row in rows[:64]])]
    if len(texts) == 1:
        return texts[0]
    raise HftermError(
        "no-column",
        f"Which column is the {defaults[0] if defaults else 'text'}? There is: "
        f"{', '.join(columns)}.",
        "Name one of them.",
    )


def _is_text(values: list[object]) -> bool:
    """Whether the values of a column are words, not numbers written as text."""
    words = [value for value in values if isinstance(value, str)]
    numbers = [word for word in words if word.replace(".", "", 1).lstrip("-").isdigit()]
    return len(words) == len(values) and len(numbers) < len(words)


def as_text(value: object) -> str:
    """A value of a row as text; nothing is an empty one."""
    return value if isinstance(value, str) else "" if value is None else str(value)
