"""Files of texts and rows that are empty, ragged, growing or no files at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from hfterm.errors import HftermError
from hfterm.hub import documents
from hfterm.hub.documents import open_document
from hfterm.hub.rows import dataset_path, iter_rows
from hfterm.hub.texts import LOOK, iter_texts
from hfterm.job import Job, Progress


def test_a_table_without_a_header_has_no_texts(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("")
    assert list(iter_texts(str(file), Job())) == []


def test_rows_that_are_too_short_for_the_column_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    many = LOOK + 50
    lines = [f"{number},word {number}" for number in range(many)]
    lines[3] = "3"
    lines[LOOK + 20] = str(LOOK + 20)
    file.write_text("id,text\n" + "\n".join(lines) + "\n")
    texts = list(iter_texts(str(file), Job()))
    assert len(texts) == many - 2
    assert "word 3" not in texts
    assert texts[-1] == f"word {many - 1}"


@pytest.mark.parametrize("value", ["", "17", "3.5"])
def test_a_column_of_numbers_or_nothing_is_no_text(tmp_path: Path, value: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n" + f"{value},hello there\n" * 4)
    assert list(iter_texts(str(file), Job())) == ["hello there"] * 4


def test_where_no_column_is_of_words_all_are_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,\n2,\n")
    with pytest.raises(HftermError) as caught:
        list(iter_texts(str(file), Job()))
    assert "a" in f"{caught.value.message} {caught.value.remedy}"
    assert "b" in f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ('{"a": 1}\n[1]\n', "a row is a list, neither an object nor a text"),
        ("3\n", "a row is a int, neither an object nor a text"),
        ("{\n", "is no jsonl"),
    ],
)
def test_a_row_that_is_none_is_said(tmp_path: Path, lines: str, wrong: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(lines)
    with pytest.raises(HftermError) as caught:
        list(iter_rows(str(file), Job()))
    assert caught.value.kind == "bad-row"
    assert wrong in caught.value.message


def test_texts_are_rows_of_one_column(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('"one"\n\n{"line": "two", "more": 2}\n')
    first, second = iter_rows(str(file), Job())
    assert list(first.values()) == ["one"]
    assert second["more"] == 2


@pytest.mark.parametrize(
    ("ref", "kind", "words"),
    [
        ("nowhere.csv", "not-found", "There is no file 'nowhere.csv'."),
        ("  ", "not-found", "No file is named."),
        (".", "not-a-data-set", "is a folder"),
    ],
)
def test_what_is_no_file_of_rows_is_said(ref: str, kind: str, words: str) -> None:
    with pytest.raises(HftermError) as caught:
        dataset_path(ref)
    assert caught.value.kind == kind
    assert words in caught.value.message


def test_a_file_that_grows_while_it_is_read_is_read_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_DOCUMENT", 5_000)
    monkeypatch.setattr(documents, "BLOCK", 1_000)
    file = tmp_path / "log.txt"
    file.write_text("x" * 4_000)

    def write_on(progress: Progress) -> None:
        """Whoever writes the log goes on while it is read."""
        if progress.done:
            with file.open("a") as log:
                log.write("y" * 3_000)

    text = open_document(file, Job(write_on)).text
    assert 5_000 < len(text) <= 6_000
    assert text.startswith("x" * 4_000 + "y")
