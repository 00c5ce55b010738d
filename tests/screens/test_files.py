"""Files and long texts: opened whole, refused in two lines, and never a frozen screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from hfterm.widgets.modals import Prompt
from hfterm.widgets.text_editor import TextEditor
from pilot_app import grid, notice, ready, rows, settled, shown, toasts, tokenize_screen, tokens
from screen_fixtures import MakeApp

TEXT = "the text that was there"


def editor(app: object) -> TextEditor:
    return tokenize_screen(app).query_one("#text", TextEditor)


async def open_file(pilot: object, path: Path | str) -> None:
    """F7, the path, Enter."""
    await pilot.press("f7")
    await settled(pilot, lambda: isinstance(pilot.app.screen, Prompt))
    pilot.app.screen.query_one(Input).value = str(path)
    await pilot.press("enter")
    await settled(pilot, lambda: not isinstance(pilot.app.screen, Prompt))


async def test_text_file(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Hugging Face\nis here", encoding="utf-8")
    app = make_app(text=TEXT)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await open_file(pilot, file)
        await settled(
            pilot, lambda: tokens(app) == ["[CLS]", "hugging", "face", "is", "here", "[SEP]"]
        )
        assert editor(app).read_only
        assert "read-only" in shown(app)
        assert rows(app)[3]["span"] == "13:15"
        grid(app).focus()
        await pilot.press("home", "down", "down", "down")
        await settled(pilot, lambda: editor(app).selected_text == "is")
        assert str(file) in tokenize_screen(app).code()
        await pilot.press("n")  # leaves the file
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "[SEP]"])
        assert not editor(app).read_only
        await pilot.press(*"hello")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "hello", "[SEP]"])


async def test_carriage_returns_are_kept(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "crlf.txt"
    file.write_bytes(b"one\r\ntwo\rthree")
    app = make_app(text=TEXT)
    async with app.run_test() as pilot:
        await ready(pilot)
        await open_file(pilot, file)
        await settled(pilot, lambda: tokens(app)[1:-1] == ["one", "two", "three"])
        assert tokenize_screen(app).subject.text == "one\r\ntwo\rthree"
        assert [row["span"] for row in rows(app)][1:-1] == ["0:3", "5:8", "9:14"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nul.bin", b"abc\x00\x01\x02def", "NUL bytes"),
        ("packed.gz", b"\x1f\x8b\x08\x00" + bytes(range(1, 200)), "gzip"),
        ("latin.dat", bytes(range(128, 256)) * 20, "not UTF-8 text"),
        ("missing.txt", None, "There is no file"),
        ("folder", b"", "is a folder"),
    ],
)
async def test_what_is_no_text_is_refused(
    make_app: MakeApp, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    file = tmp_path / name
    if name == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    app = make_app(text=TEXT)
    async with app.run_test() as pilot:
        await ready(pilot)
        before = tokens(app)
        await open_file(pilot, file)
        await settled(pilot, lambda: said in notice(app) and name in notice(app))
        lines = [line for line in shown(app).split("\n") if "✗" in line]
        assert lines, "the notice is not on the screen"
        assert tokenize_screen(app).subject.text == TEXT
        assert editor(app).text == TEXT
        assert tokens(app) == before
        editor(app).focus()
        await pilot.press("ctrl+end", "x")
        await settled(pilot, lambda: tokenize_screen(app).subject.text == f"{TEXT}x")
        await ready(pilot)
        assert not notice(app)


async def test_invalid_utf8_is_counted(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "nearly.txt"
    file.write_bytes(b"good words \xff\xfe and more good words")
    app = make_app(text=TEXT)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await ready(pilot)
        await open_file(pilot, file)
        await settled(pilot, lambda: tokenize_screen(app).subject.path == str(file))
        await ready(pilot)
        assert tokenize_screen(app).subject.text == "good words �� and more good words"
        assert any("2 invalid" in toast for toast in toasts(app)), toasts(app)


async def test_unreadable_file(make_app: MakeApp, tmp_path: Path) -> None:
    loop = tmp_path / "loop.txt"
    loop.symlink_to(loop)
    app = make_app(text=TEXT)
    async with app.run_test() as pilot:
        await ready(pilot)
        await open_file(pilot, loop)
        await settled(pilot, lambda: "can't be read" in notice(app))
        assert tokenize_screen(app).subject.text == TEXT


async def test_five_megabytes_in_one_line(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "line.txt"
    file.write_text("lorem ipsum dolor " * (5_000_000 // 18))
    app = make_app(text=TEXT)
    async with app.run_test() as pilot:
        await ready(pilot)
        await open_file(pilot, file)
        await settled(pilot, lambda: "Esc stops" in shown(app), "progress")
        # The application answers while the engine works.
        await pilot.press("f1")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await settled(pilot, lambda: tokenize_screen(app).subject.path == str(file))
        await ready(pilot)
        size = file.stat().st_size
        assert len(tokenize_screen(app).subject.text) == size
        assert f"read-only · {size:,} chars · 1 line" in shown(app)
        assert editor(app).read_only
        assert len(editor(app).text) < 50_000
        grid(app).focus()
        await pilot.press("end")
        last = len(grid(app).source) - 1
        await settled(pilot, lambda: grid(app).cursor_row == last)
        assert last > 500_000
        await pilot.press("up")
        await settled(pilot, lambda: grid(app).cursor_row == last - 1)


async def test_escape_stops_a_long_file(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("lorem ipsum dolor\n" * 400_000)
    app = make_app(text=TEXT)
    async with app.run_test() as pilot:
        await ready(pilot)
        await open_file(pilot, file)
        await settled(pilot, lambda: "Esc stops" in shown(app), "progress")
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped." in notice(app))
        await pilot.press("f5")  # tokenizes what was stopped, not what is still shown
        await settled(pilot, lambda: "Esc stops" in shown(app), "progress")
        assert not notice(app)
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped." in notice(app))
        editor(app).focus()
        await pilot.press("ctrl+end", "x")
        await settled(pilot, lambda: tokenize_screen(app).subject.text == f"{TEXT}x")
        await ready(pilot)


async def test_paste_of_a_megabyte(make_app: MakeApp) -> None:
    app = make_app(text="start ")
    pasted = "pasted words " * 80_000
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+end")
        app.post_message(events.Paste(pasted))
        await settled(pilot, lambda: len(grid(app).source) > 150_000)
        await ready(pilot)
        assert tokenize_screen(app).subject.text == f"start {pasted}"
        assert editor(app).read_only
        await pilot.press("alt+n")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "[SEP]"])


async def test_paste_keeps_line_separators_exactly(make_app: MakeApp) -> None:
    app = make_app(text="")
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(events.Paste("one\u2028two\rthree"))
        await settled(pilot, lambda: tokenize_screen(app).subject.text == "one\u2028two\rthree")
        await ready(pilot)
        assert editor(app).read_only


async def test_a_small_paste_is_typed(make_app: MakeApp) -> None:
    app = make_app(text="")
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(events.Paste("two\nlines"))
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "two", "lines", "[SEP]"])
        assert not editor(app).read_only
