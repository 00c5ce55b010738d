"""What becomes of the raw files of the starter data sets."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hfterm.errors import HftermError
from hfterm.hub.starter_data import convert
from hfterm.job import Job


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_reviews_get_a_label_from_the_sign_of_their_rating(tmp_path: Path) -> None:
    raw = tmp_path / "raw.txt"
    raw.write_bytes(
        b"id\tsentiment\ttext\r\n"
        b'1\t2.26666666667\tA 9" screen, the clich\xc3\xa9s disappear\r\n'
        b"2\t-0.6\tEffective but too tepid biopic\r\n"
        b"3\t0.0\tLine\xc2\x85end, comma"
    )
    convert("reviews", raw, tmp_path, Job())
    assert rows(tmp_path / "reviews.csv") == [
        {"text": 'A 9" screen, the clichés disappear', "label": "1", "rating": "2.26666666667",
         "id": "1"},
        {"text": "Effective but too tepid biopic", "label": "0", "rating": "-0.6", "id": "2"},
        {"text": "Line\x85end, comma", "label": "0", "rating": "0.0", "id": "3"},
    ]  # fmt: skip
    assert "licence" in (tmp_path / "README.md").read_text().lower()


def test_messages_that_a_quotation_mark_swallowed_are_messages_again(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text(
        ",spam,text\n"
        '0,0,"Go, now\nplease"\n'
        '1,0,"Keep-in-touch"" gdeve..\nham\tOk. How far\nspam\tWIN £200, now"\n'
        "2,1,FREE entry\n",
        encoding="utf-8",
    )
    convert("sms-spam", raw, tmp_path, Job())
    assert rows(tmp_path / "sms-spam.csv") == [
        {"text": "Go, now\nplease", "label": "0", "number": "0"},
        {"text": 'Keep-in-touch" gdeve..', "label": "0", "number": "1"},
        {"text": "Ok. How far", "label": "0", "number": "2"},
        {"text": "WIN £200, now", "label": "1", "number": "3"},
        {"text": "FREE entry", "label": "1", "number": "4"},
    ]


@pytest.mark.parametrize("kind", ["reviews", "sms-spam"])
@pytest.mark.parametrize("raw", ["", "a,b\n1,2\n", "id\tsentiment\ttext\n1\tgood\tx"])
def test_another_file_is_refused(kind: str, raw: str, tmp_path: Path) -> None:
    file = tmp_path / "raw"
    file.write_text(raw)
    with pytest.raises(HftermError) as caught:
        convert("reviews" if kind == "reviews" else "sms-spam", file, tmp_path, Job())
    assert caught.value.kind == "bad-data"
