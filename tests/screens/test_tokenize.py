"""The Tokenize screen: text, strip and table, and how they follow each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from hfterm.screens.tokenize.words import SAMPLE
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.token_strip import TokenStrip
from pilot_app import grid, ready, rows, settled, shown, tokenize_screen, tokens
from screen_fixtures import MakeApp

FAMILY = "a👩‍👩‍👧‍👦b 世界 c"


def editor(app: object) -> TextEditor:
    return tokenize_screen(app).query_one("#text", TextEditor)


async def test_sample_text_is_tokenized_by_minilm(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        found = rows(app)
        assert tokenize_screen(app).subject.text == SAMPLE
        assert [row["token"] for row in found][:8] == [
            "[CLS]", "¡", "los", "transform", "##ador", "##es", "de", "hugging",
        ]  # fmt: skip
        assert found[-1]["token"] == "[SEP]"
        assert found[3] | {"word": 2} == found[3]
        assert (found[3]["id"], found[3]["text"], found[3]["span"]) == (10938, "Transform", "5:14")
        assert (found[0]["special"], found[3]["special"]) == (1, 0)
        assert grid(app).scroll_offset.y == 0
        screen = shown(app)
        assert "10938" in screen
        assert f"{len(SAMPLE)} chars" in screen
        assert f"{len(found)} tokens" in screen
        assert "BertTokenizer" in screen


async def test_typing_changes_the_table(make_app: MakeApp) -> None:
    app = make_app(text="")
    async with app.run_test() as pilot:
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "[SEP]"])
        await pilot.press(*"unbelievable")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "unbelievable", "[SEP]"])
        await pilot.press("s")
        await settled(pilot, lambda: len(tokens(app)) == 4)
        assert rows(app)[-2]["span"] == "12:13"
        for _ in "unbelievables":
            await pilot.press("backspace")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "[SEP]"])


async def test_a_text_is_emptied_from_anywhere_and_comes_back(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        editor(app).focus()
        await pilot.press("ctrl+home", "ctrl+u", *"the fox")
        assert editor(app).text == "the fox"
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "the", "fox", "[SEP]"])
        editor(app).text = "two\nlines"
        await pilot.press("down", "ctrl+u")
        assert editor(app).text == ""
        await pilot.press("ctrl+z")
        assert editor(app).text == "two\nlines"


async def test_letters_that_are_keys_elsewhere_are_typed(make_app: MakeApp) -> None:
    app = make_app(text="")
    async with app.run_test() as pilot:
        await ready(pilot)
        typed = "y?rlmopsn[]1t"
        await pilot.press(*typed)
        await settled(pilot, lambda: tokenize_screen(app).subject.text == typed)
        assert len(app.screen_stack) == 1


async def test_text_cursor_selects_the_row(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+home")
        await settled(pilot, lambda: grid(app).cursor_row == 1)
        for _ in range(15):
            await pilot.press("right")
        # character 15 is in "ador": Transform|ador|es
        await settled(pilot, lambda: rows(app)[grid(app).cursor_row]["token"] == "##ador")


async def test_row_selects_its_span(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        grid(app).focus()
        await pilot.press("home", "down", "down", "down")
        await settled(pilot, lambda: editor(app).selected_text == "Transform")
        await pilot.press("down")
        await settled(pilot, lambda: editor(app).selected_text == "ador")


async def test_strip_selects_row_and_span(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        tokenize_screen(app).query_one(TokenStrip).focus()
        await pilot.press("home", "right", "right", "right")
        await settled(pilot, lambda: editor(app).selected_text == "Transform")
        assert grid(app).cursor_row == 3


async def test_pieces_of_one_emoji_share_its_span(make_app: MakeApp, zoo: dict[str, Path]) -> None:
    """Byte-level pieces: the cursor in the emoji selects its first piece, each piece the emoji."""
    app = make_app(zoo["gpt2"], FAMILY)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        first = [row["#"] for row in rows(app) if row["text"] == "👩"]
        assert len(first) >= 2, rows(app)
        await pilot.press("ctrl+home", "right")
        await settled(pilot, lambda: grid(app).cursor_row == first[0])
        grid(app).focus()
        await pilot.press("down")
        await settled(pilot, lambda: grid(app).cursor_row == first[1])
        await settled(pilot, lambda: editor(app).selected_text == "👩")


async def test_wide_characters(make_app: MakeApp) -> None:
    app = make_app(text=FAMILY)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        world = next(row for row in rows(app) if row["text"] == "世")
        start = FAMILY.index("世")
        assert world["span"] == f"{start}:{start + 1}"
        assert (world["chars"], world["bytes"]) == (1, 3)
        await pilot.press("ctrl+home", *["right"] * start)
        await settled(pilot, lambda: editor(app).cursor_offset() == start)
        await settled(pilot, lambda: grid(app).cursor_row == world["#"])
        lines = shown(app).split("\n")
        assert "世界" in lines[2]


async def test_every_line_is_exactly_as_wide_as_the_screen(
    make_app: MakeApp, zoo: dict[str, Path]
) -> None:
    """A line of another width than counted tears the frame on a real terminal."""
    app = make_app(zoo["gpt2"], "👍🏽 🏳️‍🌈 e\u0301 世界 \u200d \t न\u0940 ﷺ")
    async with app.run_test(size=(90, 30)) as pilot:
        await ready(pilot)
        strips = app.screen._compositor.render_strips()
        assert {strip.cell_length for strip in strips} == {90}


@pytest.mark.parametrize("key", ["alt+p", "p"])
async def test_pair(make_app: MakeApp, key: str) -> None:
    app = make_app(text="what")
    async with app.run_test() as pilot:
        await ready(pilot)
        if key == "p":
            grid(app).focus()
        await pilot.press(key)
        pair = tokenize_screen(app).query_one("#pair", Input)
        await settled(pilot, lambda: pair.has_focus and pair.display)
        await pilot.press(*"this")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "what", "[SEP]", "this", "[SEP]"])
        assert [row["seq"] for row in rows(app)] == [None, 0, None, 1, None]
        assert [row["type"] for row in rows(app)] == [0, 0, 0, 1, 1]
        assert rows(app)[3]["text"] == "this"
        await pilot.press("alt+p")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "what", "[SEP]"])
        assert not pair.display


async def test_special_tokens_on_and_off(make_app: MakeApp) -> None:
    app = make_app(text="what")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("alt+s")
        await settled(pilot, lambda: tokens(app) == ["what"])
        assert "no specials added" in shown(app)
        await pilot.press("alt+s")
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "what", "[SEP]"])


async def test_stored_truncation_is_not_obeyed(make_app: MakeApp, zoo: dict[str, Path]) -> None:
    app = make_app(zoo["stored"], "the fox " * 60)
    async with app.run_test() as pilot:
        await ready(pilot)
        assert len(tokens(app)) > 100


async def test_table_keys_reach_the_last_row(make_app: MakeApp) -> None:
    app = make_app(text="word " * 300)
    async with app.run_test() as pilot:
        await ready(pilot)
        grid(app).focus()
        await pilot.press("end")
        await settled(pilot, lambda: grid(app).cursor_row == 301)
        assert "301" in shown(app)
        await pilot.press("home")
        await settled(pilot, lambda: grid(app).cursor_row == 0)
