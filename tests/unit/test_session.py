"""The session: what is kept, how it is written, and that nothing in its file can stop a start."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfterm.session.file import read_session, storable, without_what_is_gone, write_session
from hfterm.session.types import MOST_RECENT, Place, Recent, Session

TEXT = "a \u202e text\nwith \x1b[31m \ud7ff 👩🏽‍💻"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    session = Session().at("tokenize", Place(ref="minilm", tab="Steps", text=TEXT, cursor=3))
    session = session.at("attention", Place(ref="smollm2", layer=4, head=2, query=7, key=1))
    file = tmp_path / "state" / "session.json"
    write_session(file, session)
    assert read_session(file) == session
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["session.json"]


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"[]", b'{"mode": 3}', b'{"places": {"chat": 1}}', b"\xff\xfe", b"null"]
)
def test_a_damaged_file_is_a_session_that_begins_anew(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "session.json"
    file.write_bytes(damaged)
    assert read_session(file) == Session()


def test_no_file_and_a_folder_in_its_place(tmp_path: Path) -> None:
    assert read_session(tmp_path / "none.json") == Session()
    assert read_session(tmp_path) == Session()


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    file.mkdir()
    (file / "inside").touch()
    with pytest.raises(OSError):
        write_session(file, Session())
    assert [path.name for path in tmp_path.iterdir()] == ["session.json"]


def test_fields_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    file.write_bytes(b'{"mode": "chat", "later": 1, "places": {"chat": {"tab": "Lab", "new": 2}}}')
    assert read_session(file) == Session(mode="chat", places={"chat": Place(tab="Lab")})


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijklmnopq"), st.sampled_from(("chat", "models"))))
)
def test_recent_things_are_the_last_ones_once_each(opened: list[tuple[str, str]]) -> None:
    session = Session()
    for ref, mode in opened:
        session = session.at(mode, Place(ref=ref))
    wanted: list[Recent] = []
    for ref, mode in reversed(opened):
        if ref not in [each.ref for each in wanted]:
            wanted.append(Recent(ref, mode))
    assert list(session.recent) == wanted[:MOST_RECENT]


@given(st.text(), st.text() | st.none(), st.integers(0, 10**9))
def test_any_text_survives(ref: str, text: str | None, cursor: int) -> None:
    place = Place(ref=ref, text=text, cursor=cursor)
    assert msgspec.json.decode(msgspec.json.encode(place), type=Place) == place


@given(st.text(st.characters(categories=["L", "Cs", "Cc"])), st.text(st.characters()))
def test_bytes_of_no_encoding_are_kept_as_such(text: str, ref: str) -> None:
    place = storable(Place(ref=ref, text=text))
    assert msgspec.json.decode(msgspec.json.encode(place), type=Place) == place
    assert place.text is not None
    assert len(place.text) == len(text)


def test_a_name_of_no_encoding_is_left_out() -> None:
    assert storable(Place(ref="/tmp/caf\udce9", text="caf\udce9")) == Place(text="caf\ufffd")


def test_what_is_gone_is_told_and_left_out(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    gone = str(tmp_path / "gone")
    kept = Place(ref=str(there), tab="Steps")
    assert without_what_is_gone(kept) == (kept, [])
    hub = Place(ref="owner/name")
    assert without_what_is_gone(hub) == (hub, [])
    place, names = without_what_is_gone(Place(ref=gone, file=f"{gone}.txt", tab="Steps"))
    assert place == Place(tab="Steps")
    assert names == [gone, f"{gone}.txt"]
    assert without_what_is_gone(Place(ref="~no-such-user/x"))[1]
    assert without_what_is_gone(Place(file="a" * 5000))[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError):
        write_session(tmp_path / "session.json", Session())
