"""The texts of a data reference, one after the other: lines, rows of CSV, objects of JSON.

A reference is a starter data set or a path. Files are streamed; only .json is read whole.
Standard library only.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import cast

from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.documents import file_size, open_document, sniff
from hfterm.hub.refs import installed
from hfterm.job import Job
from hfterm.paths import expanded

__all__ = ["TextSource", "iter_texts", "open_document"]

MAX_LINE = 1 << 24
"""Characters of the longest line; a longer one is given in pieces."""
LOOK = 100
"""Rows looked at to tell which column holds text."""
DEFAULT_COLUMN = "text"
_REPORT = 1 << 18


class TextSource:
    """An open data reference that knows how far it has been read.

    Attributes:
        path: the file.
        size: its bytes.
        done: bytes read so far; the file is read ahead by a buffer.
    """

    def __init__(self, ref: str, column: str | None = None) -> None:
        """Find and look at the file.

        Raises:
            HftermError: not found, not installed, a folder, unreadable or not text.
        """
        self.path = _resolve(ref)
        self.size = file_size(self.path)
        self.done = 0
        self._column = column
        self._encoding, self._mark = sniff(self.path)

    def __iter__(self) -> Iterator[str]:
        """Read from the beginning.

        Raises:
            HftermError: no such column, more than one that could be meant, or a broken row.
        """
        suffix = self.path.suffix.lower()
        try:
            with self.path.open("rb") as raw:
                raw.seek(self._mark)
                newline = "" if suffix in {".csv", ".tsv"} else "\n"
                with io.TextIOWrapper(
                    raw, encoding=self._encoding, errors="replace", newline=newline
                ) as file:
                    for text in self._texts(suffix, file):
                        self.done = raw.tell()
                        yield text
            self.done = self.size
        except OSError as error:
            raise HftermError(
                "unreadable",
                f"{self.path} can't be read: {error.strerror or error}.",
                "Check that it is still there and that you may read it.",
            ) from error

    def _texts(self, suffix: str, file: io.TextIOWrapper) -> Iterator[str]:
        if suffix in {".csv", ".tsv"}:
            return self._rows(file, "\t" if suffix == ".tsv" else ",")
        if suffix in {".jsonl", ".ndjson"}:
            return self._pick(self._json_lines(file))
        if suffix == ".json":
            return self._pick(enumerate(self._json_items(), 1))
        return _lines(file)

    def _rows(self, file: io.TextIOWrapper, delimiter: str) -> Iterator[str]:
        csv.field_size_limit(MAX_LINE)
        reader = csv.reader(file, delimiter=delimiter)
        try:
            header = next(reader, None)
            if header is None:
                return
            ahead = list(islice(reader, LOOK))
            column = header.index(
                self._choose({name: [row[i] for row in ahead if i < len(row)]
                              for i, name in enumerate(header)})
            )  # fmt: skip
            for row in ahead:
                if column < len(row):
                    yield row[column]
            del ahead
            for row in reader:
                if column < len(row):
                    yield row[column]
        except csv.Error as error:
            raise HftermError(
                "bad-row",
                f"{self.path}, line {reader.line_num:,}: {error}.",
                "Check the quotes around there, or save the texts as .txt, one a line.",
            ) from error

    def _json_lines(self, file: io.TextIOWrapper) -> Iterator[tuple[int, object]]:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise HftermError(
                        "bad-row",
                        f"{self.path}, line {number:,} is not JSON: {error}.",
                        "Each line must be one whole JSON value.",
                    ) from error

    def _json_items(self) -> list[object]:
        document = open_document(self.path, Job())
        try:
            value: object = json.loads(document.text)
        except (ValueError, RecursionError) as error:
            raise HftermError(
                "bad-row",
                f"{self.path} is not JSON: {error}.",
                "If it holds one value a line, name it .jsonl.",
            ) from error
        if isinstance(value, dict):
            lists = [v for v in cast("dict[str, object]", value).values() if isinstance(v, list)]
            value = lists[0] if len(lists) == 1 else [value]
        return cast("list[object]", value) if isinstance(value, list) else [value]

    def _pick(self, items: Iterator[tuple[int, object]]) -> Iterator[str]:
        """The text of each object, or the value itself where it is a string."""
        ahead = list(islice(items, LOOK))
        objects = [cast("dict[str, object]", v) for _, v in ahead if isinstance(v, dict)]
        names = dict.fromkeys(name for item in objects for name in item)
        column = (
            self._choose({n: [o[n] for o in objects if n in o] for n in names}) if names else ""
        )
        yield from self._fields(ahead, column)
        yield from self._fields(items, column)

    def _fields(self, items: Iterator[tuple[int, object]] | list[tuple[int, object]],
                column: str) -> Iterator[str]:  # fmt: skip
        for number, item in items:
            value = item
            if isinstance(item, dict):
                value = cast("dict[str, object]", item).get(column, "")
            if not isinstance(value, str):
                raise HftermError(
                    "bad-row",
                    f"{self.path}, row {number:,}: there is no text in it"
                    + (f" under {column!r}." if column else "."),
                    "Each row must be a string, or an object with a text field.",
                )
            yield value

    def _choose(self, columns: Mapping[str, list[str]] | Mapping[str, list[object]]) -> str:
        """The column named, else ``text``, else the only one that holds text."""
        listed = ", ".join(columns)
        if self._column is not None:
            if self._column in columns:
                return self._column
            raise HftermError(
                "no-column",
                f"{self.path} has no column {self._column!r}; it has: {listed}.",
                "Name one of them.",
            )
        for name in columns:
            if name.strip().lower() == DEFAULT_COLUMN:
                return name
        texts = [name for name, values in columns.items() if _is_text(values)]
        if len(texts) == 1:
            return texts[0]
        raise HftermError(
            "no-column",
            f"{self.path}: which column is the text? It has: {listed}.",
            f"Name the one with the texts {DEFAULT_COLUMN!r}.",
        )


def iter_texts(ref: str, job: Job, column: str | None = None) -> Iterator[str]:
    """The texts of a starter data set, .txt (lines), .csv, .tsv, .json or .jsonl file.

    Any other file is read as lines. Blank lines are skipped, blank rows are not. `job` gets
    the bytes read.

    Raises:
        HftermError: as `TextSource`; also between two texts.
    """
    source = TextSource(ref, column)
    reported = -_REPORT
    for text in source:
        if source.done - reported >= _REPORT:
            reported = source.done
            job.progress(f"reading {source.path.name}", source.done, source.size, "bytes")
        else:
            job.check()
        yield text


def _lines(file: io.TextIOWrapper) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        text = line.removesuffix("\n").removesuffix("\r")
        if text and not text.isspace():
            yield text


def _is_text(values: list[str] | list[object]) -> bool:
    """Whether the values of a column are words rather than numbers or labels of one letter."""
    strings = [value for value in values if isinstance(value, str) and value]
    if len(strings) < len(values) / 2 or not strings:
        return False
    return not all(_is_number(value) for value in strings)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _resolve(ref: str) -> Path:
    if starter.is_starter(ref):
        path = installed(ref)
        if path.is_dir():
            raise HftermError(
                "not-a-data-set", f"{ref!r} is a model, not a data set.", "Name a file of texts."
            )
        return path
    if not ref.strip():
        raise HftermError("empty", "No file is named.", "Name a file of texts.")
    return expanded(ref)
