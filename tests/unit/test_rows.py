"""Rows of files, and foreign text in tables: read as it is, and shown safe."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hfterm.errors import HftermError
from hfterm.hub.rows import pick_column, read_rows
from hfterm.inference.types import Classification, Entity, LabelScore, TaggedToken, Tagging
from hfterm.job import Job
from hfterm.models.types import ConfigEntry, Parameter
from hfterm.text import FORBIDDEN
from hfterm.widgets.model_tables import config_rows, parameter_rows
from hfterm.widgets.prediction_tables import detail, tables

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
RELAXED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@RELAXED
@given(rows=some.lists(some.tuples(TEXTS, some.integers(0, 9)), min_size=1, max_size=6))
@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_rows_come_back_as_they_were_written(
    suffix: str, rows: list[tuple[str, int]], tmp_path: Path
) -> None:
    file = tmp_path / f"rows.{suffix}"
    records = [{"text": text, "label": label} for text, label in rows]
    if suffix in ("csv", "tsv"):
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened, delimiter="," if suffix == "csv" else "\t", quoting=1)
            writer.writerow(["text", "label"])
            writer.writerows(rows)
    elif suffix == "json":
        file.write_text(json.dumps(records), encoding="utf-8")
    elif suffix == "jsonl":
        file.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), file)
    found = read_rows(str(file), Job())
    assert [row["text"] for row in found] == [text for text, _ in rows]
    assert [int(str(row["label"])) for row in found] == [label for _, label in rows]
    assert pick_column(found, "", "text") == "text"


@RELAXED
@given(content=some.binary(max_size=200))
@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet", "txt"])
def test_any_bytes_are_rows_or_an_error_for_people(
    suffix: str, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / f"rows.{suffix}"
    file.write_bytes(content)
    try:
        rows = read_rows(str(file), Job())
    except HftermError as error:
        assert error.message
        assert error.remedy
    else:
        assert rows


@RELAXED
@given(TEXTS, TEXTS)
def test_no_table_shows_what_a_terminal_would_obey(name: str, text: str) -> None:
    scores = (LabelScore(0, name, 1.0, 0.7), LabelScore(1, text, 0.2, 0.3))
    predictions = [
        Classification(1, 1, 0, scores, 0, "softmax"),
        Tagging((TaggedToken(0, text, 0, 1, name, 0.5),), (Entity(name, text, 0, 1, 0.5),), 1, 0),
    ]
    shown = [
        config_rows([ConfigEntry(name, text, name, True)]),
        parameter_rows([Parameter(name, (1,), "float32", 1, True, text)]),
        *(table for prediction in predictions for table in tables(prediction)),
    ]
    cells = [cell.text for table in shown for i in range(len(table)) for cell in table.row(i)]
    lines = [line for prediction in predictions for line in detail(prediction)]
    forbidden = {chr(code) for code in FORBIDDEN}
    assert all(forbidden.isdisjoint(text) for text in [*cells, *lines])
