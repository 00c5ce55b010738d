"""Write a table to a file: CSV, JSON, JSONL or Parquet by its name."""

from __future__ import annotations

import csv
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Label
from textual.worker import get_current_worker

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.paths import expanded
from hfterm.widgets.data_grid import GridSource
from hfterm.widgets.job_line import JobLine
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice

FORMATS = (".csv", ".json", ".jsonl", ".parquet")


def write_table(source: GridSource, path: Path, job: Job) -> None:
    """Write all rows of `source` to `path`, whole or not at all.

    Raises:
        HftermError: the name's ending is none of `FORMATS`, the file exists, or can't be written.
    """
    check_target(path)
    handle, temporary = -1, ""
    try:
        # not mkstemp: its files are the owner's only, where the user's umask may allow others
        name = str(path.parent / f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        temporary = name
        if path.suffix == ".parquet":
            os.close(handle)
            _write_parquet(source, Path(temporary), job)
            Path(temporary).replace(path)
            return
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            names = [name for _, name in _columns(source)]
            rows = _rows(source, job)
            if path.suffix == ".csv":
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows(rows)
            elif path.suffix == ".jsonl":
                for row in rows:
                    file.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")
            else:
                file.write("[")
                for index, row in enumerate(rows):
                    comma = ",\n " if index else "\n "
                    file.write(comma + json.dumps(dict(zip(names, row, strict=True))))
                file.write("\n]\n")
        Path(temporary).replace(path)
    except OSError as error:
        _discard(temporary)
        full = error.errno == errno.ENOSPC
        raise HftermError(
            "disk-full" if full else "unwritable",
            f"{path} can't be written: {error.strerror}.",
            "Free some space, or choose another folder." if full else "Choose another folder.",
        ) from error
    except Cancelled:
        _discard(temporary)
        raise


def check_target(path: Path) -> None:
    """Refuse a name that nothing could be written to, before the work is done.

    Raises:
        HftermError: the name's ending is none of `FORMATS`, or the file exists.
    """
    if path.suffix not in FORMATS:
        raise HftermError(
            "format", f"{path.name} ends in none of {', '.join(FORMATS)}.", "Choose one of them."
        )
    if path.exists():
        raise HftermError("exists", f"{path} exists already.", "Choose another name.")


def _write_parquet(source: GridSource, path: Path, job: Job) -> None:
    """All rows as one table; a column is text unless its values are all of one other type."""
    import pyarrow as arrow
    from pyarrow import parquet

    rows = list(_rows(source, job))
    columns: dict[str, object] = {}
    for index, (_, name) in enumerate(_columns(source)):
        values = [row[index] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1 and kinds != {int, float}:
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    parquet.write_table(arrow.table(columns), path)


def _columns(source: GridSource) -> list[tuple[int, str]]:
    """(place, name) of the columns that a file gets: a bar has no name, and no values."""
    named = ((place, column.label or column.name) for place, column in enumerate(source.columns))
    return [(place, name) for place, name in named if name]


def _rows(source: GridSource, job: Job) -> Iterator[list[str | int | float | bool | None]]:
    count = len(source)
    wanted = [place for place, _ in _columns(source)]
    for index in range(count):
        if index % 2_000 == 0:
            job.progress("writing", index, count, "rows")
        values = source.values(index)
        yield [values[place] for place in wanted]


def _discard(temporary: str) -> None:
    if temporary:
        Path(temporary).unlink(missing_ok=True)


class ExportModal(Modal[None]):
    """Asks where to, and writes in the background."""

    HELP = "## Export\nThe name's ending is the format: `.csv`, `.json`, `.jsonl`, `.parquet`."

    def __init__(self, name: str, source: GridSource) -> None:
        super().__init__()
        self._name = name
        self._source = source

    def compose(self) -> ComposeResult:
        """A path, progress, and what went wrong."""
        with Vertical() as box:
            box.border_title = "Export"
            box.border_subtitle = f"{len(self._source):,} rows"
            yield Input(f"{self._name}.csv", compact=True)
            yield Label(
                ".csv, .json, .jsonl or .parquet · Enter writes · Esc closes", classes="hint"
            )
            yield JobLine()
            yield Notice()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write."""
        if event.value.strip():
            self._write(expanded(event.value.strip()))

    @work(thread=True, group="export", exclusive=True, exit_on_error=False)
    def _write(self, path: Path) -> None:
        worker = get_current_worker()
        line, notice = self.query_one(JobLine), self.query_one(Notice)
        job = Job(lambda p: self.app.call_from_thread(line.show, p), lambda: worker.is_cancelled)
        try:
            write_table(self._source, path, job)
        except HftermError as error:
            self.app.call_from_thread(notice.show_error, error)
            self.app.call_from_thread(line.clear)
        except Cancelled:
            return
        else:
            self.app.call_from_thread(self._done, path)

    def _done(self, path: Path) -> None:
        self.notify(f"Wrote {len(self._source):,} rows to {path}", markup=False)
        self.dismiss(None)
