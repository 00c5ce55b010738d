"""Tokenize's tabs without a tokenizer, with what they refuse, and with what is emptied again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Static

from hfterm.engine.protocol import Request
from hfterm.engine.requests import OpenTokenizer, ShowSteps
from hfterm.screens.tokenize.page import Subject, TokenSelected
from hfterm.screens.tokenize.pages import PAGES
from hfterm.screens.tokenize.steps import SHOWN
from hfterm.screens.tokenize.words import counts
from hfterm.session.types import Place
from hfterm.tokenization.types import Encoding
from hfterm.widgets.fields import Choice
from hfterm.widgets.text_editor import TextEditor
from pilot_app import (
    go_to,
    grid,
    notice,
    page,
    ready,
    rows,
    settled,
    shown,
    toasts,
    tokenize_screen,
    tokens,
)
from screen_fixtures import MakeApp

SIZE = (120, 40)


def said(app: object, name: str) -> str:
    return str(page(app).query_one(f"#{name}", Static).content)  # pyright: ignore


async def test_without_a_tokenizer_no_tab_does_or_exports_anything(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_app(text="a text")  # the engine starts with the kit
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    app = make_app(text="a text")
    asked: list[Request[object]] = []
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: tokenize_screen(app).page is not None, "the tabs")
        monkeypatch.setattr(app.engine, "call", asked.append)
        for entry in PAGES:
            await go_to(pilot, entry.title)
            assert page(app).exported() is None
            assert tokenize_screen(app).code() == ""
            if entry.title != "Train":  # its form is a script without a tokenizer too
                assert page(app).code() == ""
            for choice in page(app).query(Choice):
                choice.focus()
                await pilot.press("right")
            for field in (*page(app).query(Input), *page(app).query(TextEditor)):
                field.focus()
                await pilot.press("1", "enter")
            await pilot.pause()
            assert not page(app).busy
        await pilot.press("escape")
        assert asked == []
        assert notice(app) == ""
        assert "F6 opens one" in shown(app)


async def test_a_row_of_the_encoding_before_selects_nothing(make_app: MakeApp) -> None:
    app = make_app(text="one two three")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        editor = tokenize_screen(app).query_one("#text", TextEditor)
        page(app).post_message(TokenSelected(2))
        await settled(pilot, lambda: editor.selected_text == "two")
        page(app).post_message(TokenSelected(999))
        page(app).post_message(TokenSelected(3))
        await settled(pilot, lambda: editor.selected_text == "three")
        assert grid(app).cursor_row == 3


async def test_a_text_too_long_for_each_key_is_tokenized_once_it_rests(make_app: MakeApp) -> None:
    app = make_app(text="\n".join(["word " * 50] * 100))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        tokenize_screen(app).query_one("#text").focus()
        await pilot.press("ctrl+end", *"zebra")
        await settled(pilot, lambda: tokens(app)[-2:] == ["zebra", "[SEP]"])
        assert len(tokens(app)) == 5003


async def test_a_file_has_no_pair_and_its_name_is_offered_for_statistics(
    make_app: MakeApp, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("one two")
    app = make_app(text="typed")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+o")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await settled(pilot, lambda: len(app.screen_stack) == 1)
        assert tokenize_screen(app).subject.path is None
        await tokenize_screen(app).restore(Place(file=str(file)))
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "one", "two", "[SEP]"])
        tokenize_screen(app).action_toggle_pair()
        await settled(pilot, lambda: any("A file has no pair" in toast for toast in toasts(app)))
        assert tokenize_screen(app).subject.pair is None
        await go_to(pilot, "Audit")
        source = page(app).query_one("#audit-source", Input)
        await settled(pilot, lambda: source.value == str(file))
        source.value = "other.txt"
        file.unlink()
        await pilot.press("f5")
        await settled(pilot, lambda: str(file) in notice(app), "that the file is gone")
        assert tokenize_screen(app).subject.path == str(file)
        assert source.value == "other.txt"


async def test_a_pair_comes_back_and_tabs_without_it_say_so(make_app: MakeApp) -> None:
    app = make_app(text="what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await tokenize_screen(app).restore(Place(pair="this"))
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "what", "[SEP]", "this", "[SEP]"])
        assert tokenize_screen(app).query_one("#pair", Input).value == "this"
        for title in ("Compare", "Audit"):
            await go_to(pilot, title)
            await settled(pilot, lambda: notice(app) == "Here: the text without its pair.")
        await go_to(pilot, "Steps")
        await settled(pilot, lambda: "this" in page(app).copy_text())
        assert notice(app) == ""


async def test_what_fails_leaves_what_a_tab_showed(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(text="what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for title, request in (("Steps", ShowSteps), ("Config", OpenTokenizer)):
            await go_to(pilot, title)
            await settled(pilot, lambda: page(app).exported() is not None)
            before = page(app).exported()
            subject = Subject(ref=str(tmp_path / "gone"), text="what")
            page(app).show(subject)
            await settled(pilot, lambda: "gone" in notice(app), request.__name__)
            after = page(app).exported()
            assert before is not None
            assert after is not None
            assert len(before[1]) == len(after[1])
            assert str(tmp_path / "gone") in page(app).code()


async def test_a_batch_that_is_emptied_refused_or_ragged(
    make_app: MakeApp, zoo: dict[str, Path]
) -> None:
    app = make_app(zoo["no-pad"], "what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Batch")
        await settled(pilot, lambda: "no padding token" in notice(app))
        assert page(app).exported() is None
        padding = page(app).query_one("#padding", Choice)
        padding.focus()
        await pilot.press("left")
        assert padding.value == "none"
        await settled(pilot, lambda: "no tensor: The rows have" in said(app, "batch-shape"))
        assert notice(app) == ""
        assert len(rows(app, "batch-grid")) == 2
        length = page(app).query_one("#max-length", Input)
        length.value = "many"
        await settled(pilot, lambda: "max length is 'many'" in notice(app))
        assert page(app).code() == ""
        texts = page(app).query_one("#batch-texts", TextEditor)
        texts.text = ""
        await settled(pilot, lambda: page(app).exported() is None)
        assert (said(app, "batch-shape"), said(app, "batch-row")) == ("", "")
        await settled(pilot, lambda: notice(app) == "")
        length.value = "16"
        texts.text = "one"
        await settled(pilot, lambda: "int64[1, " in said(app, "batch-shape"))
        assert "decode" in said(app, "batch-row")


async def test_ids_that_are_taken_back_and_ids_that_are_none(make_app: MakeApp) -> None:
    app = make_app(text="what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Vocabulary")
        await settled(pilot, lambda: len(grid(app, "vocabulary-grid").source) == 5000)
        assert "the first 5,000 are shown" in notice(app)
        ids = page(app).query_one("#vocabulary-ids", Input)
        ids.focus()
        ids.value = "101 7592"
        await settled(pilot, lambda: "hello" in said(app, "vocabulary-decoded"))
        code = page(app).code()
        assert "[101, 7592]" in code
        ids.value = "101 99999999"
        await settled(pilot, lambda: "has no token 99999999" in notice(app))
        ids.value = "101 hello"
        await settled(pilot, lambda: "'hello' is not an id" in notice(app))
        assert page(app).code() == ""
        ids.value = ""
        await settled(pilot, lambda: said(app, "vocabulary-decoded") == "" and not notice(app))
        assert page(app).code() not in ("", code)
        query = page(app).query_one("#vocabulary-query", Input)
        mode = page(app).query_one("#vocabulary-mode", Choice)
        query.value = "(hello"
        await settled(pilot, lambda: grid(app, "vocabulary-grid").empty == "No token matches.")
        mode.focus()
        await pilot.press("right")
        assert mode.value == "regex"
        await settled(pilot, lambda: "pattern '(hello' is wrong at character" in notice(app))
        query.value = "^hello$"
        await settled(pilot, lambda: [r["id"] for r in rows(app, "vocabulary-grid")] == [7592])
        assert notice(app) == ""
        query.value, ids.value = "^world$", "101 2088"  # neither stops the other
        await settled(pilot, lambda: [r["id"] for r in rows(app, "vocabulary-grid")] == [2088])
        await settled(pilot, lambda: "world" in said(app, "vocabulary-decoded"))
        tokenize_screen(app).open_model("smollm2")
        await settled(pilot, lambda: "world" not in said(app, "vocabulary-decoded"))


async def test_the_template_that_is_chosen_is_rendered_and_is_in_the_script(
    make_app: MakeApp, zoo: dict[str, Path], tmp_path: Path
) -> None:
    two = tmp_path / "two"
    shutil.copytree(zoo["wordpiece-uncased"], two)
    config = two / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": [
        {"name": "default", "template": "D{{ messages | length }}"},
        {"name": "tools", "template": "T{{ messages | length }}"},
    ]}))  # fmt: skip
    app = make_app(two, "what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Template")
        name = page(app).query_one("#template-name", Choice)
        await settled(pilot, lambda: page(app).copy_text().startswith("D"))
        assert name.display
        assert "chat_template=" not in page(app).code()
        name.focus()
        await pilot.press("right")
        await settled(pilot, lambda: page(app).copy_text().startswith("T"))
        assert "chat_template='tools'" in page(app).code()
        table = page(app).exported()
        assert table is not None
        assert len(table[1]) > 0
        tokenize_screen(app).open_model("minilm")
        await settled(pilot, lambda: "has no chat template" in notice(app))
        assert (name.value, name.display) == ("default", False)
        assert (page(app).copy_text(), page(app).exported()) == ("", None)
        assert (said(app, "template-facts"), said(app, "template-text")) == ("", "")


async def test_nothing_to_compare_with_and_no_slow_twin(make_app: MakeApp) -> None:
    app = make_app("smollm2", "what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Compare")
        await settled(pilot, lambda: len(rows(app, "compare-grid")) == 2)
        slow = page(app).query_one("#compare-slow", Choice)
        slow.focus()
        await pilot.press("right")
        await settled(pilot, lambda: "has no slow twin" in notice(app))
        assert "Python" not in said(app, "compare-slow-result")
        table = page(app).exported()
        assert table is not None
        assert len(table[1]) == 2
        compile(page(app).code(), "compare", "exec")


async def test_a_finding_without_a_token_leads_nowhere(
    make_app: MakeApp, zoo: dict[str, Path]
) -> None:
    app = make_app(zoo["word-level"], "the fox")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Audit")
        await settled(pilot, lambda: page(app).exported() is not None)
        findings = grid(app, "audit-grid")
        fine = next(
            number for number, row in enumerate(rows(app, "audit-grid")) if row["count"] == 0
        )
        findings.focus()
        await pilot.press("home", *["down"] * fine, "enter")
        await settled(pilot, lambda: findings.cursor_row == fine)
        detail = said(app, "audit-detail")
        assert detail == rows(app, "audit-grid")[fine]["detail"]
        assert page(app).id == "page-Audit"
        source = page(app).query_one("#audit-source", Input)
        source.focus()
        await pilot.press("enter", *"sms-spam", "enter")
        figures = grid(app, "audit-statistics")
        await settled(pilot, lambda: figures.display and len(figures.source) > 5)
        names = [str(row["figure"]) for row in rows(app, "audit-statistics")]
        assert not any(name.startswith("longer than") for name in names)  # it has no limit
        figures.focus()
        await pilot.press("down", "down")
        await settled(pilot, lambda: figures.cursor_row == 2)
        assert said(app, "audit-detail") == detail
        table = page(app).exported()
        assert table is not None
        assert table[0] == "audit-statistics"


async def test_a_folder_that_was_named_keeps_its_name(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(text="what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        out = page(app).query_one("#train-out", Input)
        algorithm = page(app).query_one("#train-algorithm", Choice)
        start = page(app).query_one("#train-start", Button)
        assert Path(out.value).name.startswith("bpe-")
        algorithm.focus()
        await pilot.press("right")
        await settled(pilot, lambda: Path(out.value).name.startswith("wordpiece-"))
        out.value = str(tmp_path)
        await pilot.press("right")
        await pilot.pause()
        assert (algorithm.value, out.value) == ("Unigram", str(tmp_path))
        start.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: f"already something at {tmp_path}" in notice(app))
        assert page(app).query_one("#train-open", Button).disabled
        out.value = " "
        await settled(pilot, lambda: not start.has_class("-active"))  # until then it is one press
        await pilot.press("enter")
        await settled(pilot, lambda: "No folder is named" in notice(app))
        page(app).query_one("#train-frequency", Input).value = "often"
        assert page(app).code() == ""
        assert "is not a number" in notice(app)


async def test_a_second_start_is_refused_while_a_training_runs(
    make_app: MakeApp, tmp_path: Path
) -> None:
    source = tmp_path / "long.txt"
    source.write_text("".join(f"word{i} and another{i * 7}\n" for i in range(400_000)))
    app = make_app(text="what")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        page(app).query_one("#train-source", Input).value = str(source)
        page(app).query_one("#train-out", Input).value = str(tmp_path / "made")
        start = page(app).query_one("#train-start", Button).focus()
        await pilot.press("enter")
        await settled(pilot, lambda: page(app).busy and not start.has_class("-active"))
        await pilot.press("enter")
        await settled(pilot, lambda: "A training is under way." in notice(app))
        assert page(app).busy
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped." in notice(app) and not page(app).busy)
        assert not (tmp_path / "made").exists()


async def test_the_steps_of_a_long_text_say_how_much_of_it_they_are_of(make_app: MakeApp) -> None:
    app = make_app(text="\n".join(["one two three"] * 200))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await go_to(pilot, "Steps")
        await settled(
            pilot, lambda: f"The first {SHOWN:,} characters of a longer text" in shown(app)
        )
        table = page(app).exported()
        assert table is not None
        assert max(int(str(table[1].values(row)[4] or 0)) for row in range(len(table[1]))) <= SHOWN


def test_no_tokens_have_no_characters_each() -> None:
    empty = Encoding(
        ref="", backend="", verified=True, ids=b"", starts=b"", ends=b"", words=b"", sequences=b"",
        type_ids=b"", mask=b"", special=b"", pieces={},
    )  # fmt: skip
    assert counts(Subject(ref="minilm")) == ""
    assert counts(Subject(ref="minilm", encoding=empty)) == "0 tokens"
    bare = Subject(ref="minilm", encoding=empty, add_special_tokens=False)
    assert counts(bare) == "0 tokens · no specials added"
    assert bare.source == "minilm"
