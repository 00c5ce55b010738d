"""Rows of data sets, page by page, and what their columns hold."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.library.data_preview import DISTINCT, column_facts, page_of


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "rows.parquet"
    rows = {"text": [f"row {at}" for at in range(1200)], "n": [*range(1199), None]}
    parquet.write_table(pa.table(rows), file)
    return file


def test_pages_follow_each_other(table: Path) -> None:
    first = page_of(str(table), 0, 500, Job())
    assert (first.columns, len(first.rows), first.more) == (["text", "n"], 500, True)
    last = page_of(str(table), 1000, 500, Job())
    assert (last.rows[0], len(last.rows), last.more) == (["row 1000", "1000"], 200, False)
    assert page_of(str(table), 5000, 500, Job()).rows == []


def test_columns_are_described_over_all_rows(table: Path) -> None:
    text, number = column_facts(str(table), Job())
    assert (text.kind, text.present, text.missing, text.distinct) == ("text", 1200, 0, 1200)
    assert (text.least, text.most) == (5, 8)
    assert (number.kind, number.present, number.missing) == ("numbers", 1199, 1)
    assert (number.least, number.mean, number.most) == (0, 599, 1198)


def test_a_folder_shows_the_first_of_its_files(table: Path) -> None:
    (table.parent / "more.csv").write_text("a,b\n1,2\n")
    page = page_of(str(table.parent), 0, 10, Job())
    assert page.file == str(table)
    assert page.files == [str(table), str(table.parent / "more.csv")]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("x.csv", b"\xff\xfe\x00", "not UTF-8"), ("x.jsonl", b"{\n", "no jsonl"),
     ("x.parquet", b"PAR1", "no parquet"), ("x.json", b"3", "not rows")],
)  # fmt: skip
def test_bad_files_say_what_is_wrong(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    for ask in (lambda s: page_of(s, 0, 9, Job()), lambda s: column_facts(s, Job())):
        with pytest.raises(HftermError, match=words):
            ask(str(tmp_path / name))


def test_a_folder_without_rows(tmp_path: Path) -> None:
    with pytest.raises(HftermError, match="holds no rows"):
        page_of(str(tmp_path), 0, 9, Job())


def test_very_many_values_are_not_counted_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "many.txt"
    file.write_text("".join(f"line {at}\n" for at in range(DISTINCT + 50)))
    (column,) = column_facts(str(file), Job())
    assert column.distinct == DISTINCT + 1
    assert column.present == DISTINCT + 50


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))


@given(rows=st.lists(st.dictionaries(st.text(min_size=1, max_size=5), CELLS), min_size=1))
def test_figures_hold_for_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = page_of(str(file), 0, 1000, Job())
    assert len(page.rows) == len(rows)
    facts = column_facts(str(file), Job())
    assert {each.name for each in facts} == {name for row in rows for name in row}
    for each in facts:
        assert each.present + each.missing == len(rows)
        assert each.distinct <= each.present
        if each.present:
            assert each.least is not None
            assert each.most is not None
            assert each.least <= each.most
