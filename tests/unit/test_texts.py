"""Reading files: whole documents, and the texts of a data set one by one."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from hfterm.errors import HftermError
from hfterm.hub import documents, starter
from hfterm.hub.texts import TextSource, iter_texts, open_document
from hfterm.job import Cancelled, Job, Progress


def refusal(path: Path) -> HftermError:
    with pytest.raises(HftermError) as caught:
        open_document(path, Job())
    return caught.value


def read(path: Path, column: str | None = None) -> list[str]:
    return list(iter_texts(str(path), Job(), column))


# Documents


def test_a_document_is_kept_verbatim(tmp_path: Path) -> None:
    text = "añ\r\nb\rc\n\u2028d\x0b👩‍👩‍👧\t\x1b[2J"
    file = tmp_path / "t.txt"
    file.write_bytes(text.encode())
    document = open_document(file, Job())
    assert document.text == text
    assert (document.encoding, document.replaced) == ("utf-8", 0)
    assert document.size == len(text.encode())


def test_an_empty_document(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.touch()
    assert open_document(file, Job()).text == ""


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks(tmp_path: Path, mark: bytes, encoding: str) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(mark + "ñ👍 one\r\ntwo\n".encode(encoding))
    document = open_document(file, Job())
    assert (document.text, document.encoding) == ("ñ👍 one\r\ntwo\n", encoding)
    assert read(file) == ["ñ👍 one", "two"]


def test_invalid_bytes_are_replaced_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(b"plain text \xff and \xc3( and \xef\xbf\xbd, a real one" + b" more" * 9)
    document = open_document(file, Job())
    assert document.replaced == 2
    assert document.text.count("\ufffd") == 3
    assert document.encoding.startswith("utf-8, invalid bytes replaced")
    assert "byte 11" in document.encoding


def test_missing_folder_and_device(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.txt").kind == "not-found"
    assert refusal(tmp_path).kind == "is-folder"
    assert refusal(Path(os.devnull)).kind == "not-a-file"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").kind == "not-a-file"
    assert refusal(Path("a\x00b")).kind == "not-found"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.txt"
    file.write_text("a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read anything, so chmod proves nothing
    error = refusal(file)
    assert error.kind == "unreadable"
    assert "t.txt" in error.message
    assert "Permission denied" in error.message


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\x00\x00",
        b"text with a NUL\x00 in it",
        "no mark".encode("utf-16-le"),
        b"\x1f\x8b\x08\x08gzip",
        b"PK\x03\x04zip",
        b"%PDF-1.7 text",
        "Привет, мир, как дела".encode("koi8-r"),
        bytes(range(128, 256)) * 4,
    ],
)
def test_binary_files_are_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes(data)
    error = refusal(file)
    assert error.kind == "binary"
    assert str(file) in error.message
    assert error.remedy


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_DOCUMENT", 10)
    file = tmp_path / "t.txt"
    file.write_text("a" * 11)
    assert refusal(file).kind == "too-large"


def test_reading_reports_and_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "BLOCK", 4)
    file = tmp_path / "t.txt"
    file.write_text("abcdefghij")
    seen: list[Progress] = []
    open_document(file, Job(seen.append))
    assert [progress.done for progress in seen] == [4, 8, 10]
    assert seen[-1].total == 10
    with pytest.raises(Cancelled):
        open_document(file, Job(cancelled=lambda: True))


# Texts


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_bytes("one\r\n\n  \ntwo \rstill two\nthree\u2028still three".encode())
    assert read(file) == ["one", "two \rstill two", "three\u2028still three"]


def test_invalid_bytes_in_lines_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "t.log"
    file.write_bytes(b"a\xffb\nc")
    assert read(file) == ["a\ufffdb", "c"]


def test_a_giant_line_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfterm.hub.texts.MAX_LINE", 4)
    file = tmp_path / "t.txt"
    file.write_text("ñññññññññ\nb\n")
    assert read(file) == ["ññññ", "ññññ", "ñ", "b"]


def test_csv_column_text(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('label,Text,other\n1,"a, ""b""\nc",x\n0,d,y\n2\n', newline="")
    assert read(file) == ['a, "b"\nc', "d"]
    assert read(file, "other") == ["x", "y"]


def test_the_only_column_of_words(tmp_path: Path) -> None:
    file = tmp_path / "t.tsv"
    file.write_text("id\tsentence\tscore\n1\tone\t0.5\n2\ttwo\t1e3\n")
    assert read(file) == ["one", "two"]


def test_rows_beyond_those_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text\n" + "".join(f"line {i}\n" for i in range(500)))
    assert read(file) == [f"line {i}" for i in range(500)]


@pytest.mark.parametrize("column", [None, "nope"])
def test_an_unclear_column_lists_what_there_is(tmp_path: Path, column: str | None) -> None:
    file = tmp_path / "t.csv"
    file.write_text("question,answer,score\nwhat,this,1\n")
    with pytest.raises(HftermError) as caught:
        read(file, column)
    assert caught.value.kind == "no-column"
    assert "question, answer, score" in caught.value.message


def test_jsonl(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "one", "n": 1}\n\n{"n": 2, "text": "t\\u00f1"}\n')
    assert read(file) == ["one", "tñ"]


def test_jsonl_of_strings(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('"one"\n"two"\n')
    assert read(file) == ["one", "two"]


@pytest.mark.parametrize("wrapper", ["%s", '{"version": 1, "data": %s}'])
def test_json(tmp_path: Path, wrapper: str) -> None:
    file = tmp_path / "t.json"
    file.write_text(wrapper % '[{"text": "one"}, {"text": "two"}]')
    assert read(file) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("t.jsonl", '{"text": "a"}\n{"text": \n', "line 2"),
        ("t.jsonl", '{"text": "a"}\n{"text": 5}\n', "row 2"),
        ("t.json", '[{"text": "a"}', "not JSON"),
        ("t.json", "[1, 2]", "row 1"),
        ("t.json", "[" * 100_000, "not JSON"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, name: str, data: str, says: str) -> None:
    file = tmp_path / name
    file.write_text(data)
    with pytest.raises(HftermError, match=says) as caught:
        read(file)
    assert caught.value.kind == "bad-row"


def test_texts_of_binary_missing_and_folder(tmp_path: Path) -> None:
    binary = tmp_path / "b.txt"
    binary.write_bytes(b"\x00\x01")
    for path, kind in ((binary, "binary"), (tmp_path / "no", "not-found"), (tmp_path, "is-folder")):
        with pytest.raises(HftermError) as caught:
            read(path)
        assert caught.value.kind == kind


def test_starter_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\ngood,1\nbad,0\n")
    monkeypatch.setattr(starter, "starter_path", {"reviews": file, "minilm": tmp_path}.get)
    assert list(iter_texts("reviews", Job())) == ["good", "bad"]
    for ref, kind in (("sms-spam", "not-installed"), ("minilm", "not-a-data-set"), (" ", "empty")):
        with pytest.raises(HftermError) as caught:
            list(iter_texts(ref, Job()))
        assert caught.value.kind == kind


def test_texts_stream(tmp_path: Path) -> None:
    """The first text comes before the file is read; the source knows how far it is."""
    file = tmp_path / "t.txt"
    file.write_text("a line of text\n" * 200_000)
    source = TextSource(str(file))
    texts = iter(source)
    assert next(texts) == "a line of text"
    assert 0 < source.done < source.size / 10
    assert sum(1 for _ in texts) == 199_999
    assert source.done == source.size


def test_texts_report_and_can_be_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("a line of text\n" * 100_000)
    seen: list[Progress] = []
    assert sum(1 for _ in iter_texts(str(file), Job(seen.append))) == 100_000
    assert 3 < len(seen) < 20
    taken: list[str] = []
    texts = iter_texts(str(file), Job(cancelled=lambda: len(taken) >= 3))
    with pytest.raises(Cancelled):
        for text in texts:  # not extend(): it would not show how far it came
            taken.append(text)
    assert len(taken) == 3
