"""Every tab, reached by F4, shows what it is for; and does its own work."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.widgets import Button, Input, Tabs

from hfterm.screens.tokenize.pages import PAGES
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from pilot_app import (
    go_to,
    grid,
    notice,
    page,
    ready,
    rows,
    settled,
    shown,
    tokenize_screen,
    tokens,
)
from screen_fixtures import MakeApp

TITLES = [entry.title for entry in PAGES]
MINILM = {
    "Table": "10938",
    "Steps": "BertNormalizer",
    "Batch": "int64[2, 28]",
    "Vocabulary": "[PAD]",
    # not the line with the model's path, which is broken where the path is long
    "Template": "chat_template in tokenizer_config.json",
    "Compare": "smollm2",
    "Config": "BertTokenizer",
    "Train": "compared with the one that is open",
    "Audit": "Unknown tokens",
}
SMOLLM2 = MINILM | {
    "Table": "ĠTransform",
    "Steps": "AddedVocabulary",
    "Batch": "<|im_end|>",
    "Vocabulary": "<|endoftext|>",
    "Template": "<|im_start|>assistant",
    "Config": "49,152",
}
BYT5 = MINILM | {
    "Table": "ByT5Tokenizer",
    "Steps": "tokenizer.tokenize(text)",
    "Batch": "int64[2, 109]",
    "Vocabulary": "</s>",
    "Config": "custom (Python)",
    "Audit": "offsets can't be checked",
}


@pytest.mark.parametrize(
    ("model", "expected", "size"),
    [
        ("minilm", MINILM, (80, 24)),
        ("smollm2", SMOLLM2, (200, 50)),
        ("byt5", BYT5, (80, 24)),
        ("byt5", BYT5, (200, 50)),
    ],
    ids=["minilm 80x24", "smollm2 200x50", "python backend 80x24", "python backend 200x50"],
)
async def test_every_tab_shows_content(
    make_app: MakeApp,
    zoo: dict[str, Path],
    model: str,
    expected: dict[str, str],
    size: tuple[int, int],
) -> None:
    app = make_app(zoo.get(model, model))
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        for title in TITLES:
            await go_to(pilot, title)
            await settled(
                pilot,
                lambda title=title: expected[title] in shown(app) and not page(app).busy,
                f"{expected[title]!r} on {title}",
            )
            code = tokenize_screen(app).code()
            assert "AutoTokenizer" in code or "tokenizers" in code, title
            ast.parse(code)


async def test_tabs_wrap_around_and_go_back(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        tabs = tokenize_screen(app).query_one(Tabs)
        await pilot.press("f3")
        await settled(pilot, lambda: tabs.active == "tab-Audit")
        await pilot.press("f4")
        await settled(pilot, lambda: tabs.active == "tab-Table")
        grid(app).focus()
        await pilot.press("right_square_bracket")
        await settled(pilot, lambda: tabs.active == "tab-Steps")


async def test_down_goes_from_the_tabs_into_the_page(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("alt+2")
        await settled(pilot, lambda: "+ new head" in shown(app))
        assert isinstance(app.focused, Tabs)
        await pilot.press("down")  # past the field of the labels
        classes = app.focused
        assert isinstance(classes, DataGrid)
        await pilot.press("down")
        await settled(pilot, lambda: classes.cursor_row == 1, "the next row")
        await pilot.press("alt+1")
        tokenize_screen(app).query_one(Tabs).focus()
        await pilot.press("down")
        assert app.focused is grid(app)


async def test_the_focus_never_goes_out_of_sight(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert app.focused is not None
        for title in TITLES[1:]:
            await go_to(pilot, title)
            await pilot.pause()
            assert app.focused is not None
            assert app.focused.is_on_screen, title


async def test_a_tab_follows_the_text(make_app: MakeApp) -> None:
    app = make_app(text="one")
    async with app.run_test() as pilot:
        await ready(pilot)
        await go_to(pilot, "Steps")
        await settled(pilot, lambda: "one" in shown(app))
        tokenize_screen(app).query_one("#text").focus()
        await pilot.press("end", *" zebra")
        await settled(pilot, lambda: "zebra" in page(app).copy_text())


async def test_batch_options(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Batch")
        await settled(pilot, lambda: "int64[2, 28]" in shown(app))
        assert [row["padding"] for row in rows(app, "batch-grid")] == [20, 0]
        page(app).query_one("#truncation", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: "int64[2, 16]" in shown(app))
        field = page(app).query_one("#max-length", Input)
        field.focus()
        await pilot.press("end", "backspace", "backspace", *"x7")
        await settled(pilot, lambda: "max length is 'x7'" in notice(app))
        await pilot.press("home", "delete")
        await settled(pilot, lambda: "int64[2, 7]" in shown(app) and not notice(app))


async def test_vocabulary_search_and_decode(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Vocabulary")
        await settled(pilot, lambda: len(grid(app, "vocabulary-grid").source) == 5000)
        page(app).query_one("#vocabulary-query").focus()
        await pilot.press(*"hugging")
        await settled(pilot, lambda: [r["id"] for r in rows(app, "vocabulary-grid")] == [17662])
        page(app).query_one("#vocabulary-mode", Choice).value = "regex"
        page(app).query_one("#vocabulary-query", Input).value = "["
        await settled(pilot, lambda: notice(app))
        decode = page(app).query_one("#vocabulary-ids", Input)
        decode.focus()
        await pilot.press(*"101 7592 2088 102")
        await settled(pilot, lambda: "hello world" in shown(app))
        await pilot.press("end", *" x")
        await settled(pilot, lambda: "x" in notice(app))
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("specials", [True, False])
async def test_audit_finding_goes_to_its_token(make_app: MakeApp, specials: bool) -> None:
    app = make_app(text="a 𐍈 b")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        if not specials:
            await pilot.press("alt+s")
            await settled(pilot, lambda: len(tokens(app)) == 3)
        await go_to(pilot, "Audit")
        await settled(pilot, lambda: "Unknown tokens" in shown(app))
        findings = grid(app, "audit-grid")
        findings.focus()
        row = next(
            i
            for i in range(len(findings.source))
            if "Unknown tokens" in str(findings.source.values(i))
        )
        await pilot.press(*["down"] * row, "enter")
        await settled(pilot, lambda: page(app).id == "page-Table")
        await settled(pilot, lambda: grid(app).cursor_row == (2 if specials else 1))


async def test_statistics_of_a_data_set(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Audit")
        source = page(app).query_one("#audit-source", Input)
        source.focus()
        await pilot.press(*"sms-spam", "enter")
        await settled(pilot, lambda: len(grid(app, "audit-statistics").source) > 5)
        assert rows(app, "audit-statistics")[0]["value"] == "5,574"
        source.value = "nothing-here.txt"
        await pilot.press("enter")
        await settled(pilot, lambda: "nothing-here.txt" in notice(app))


async def train(app: object, source: Path | str, out: Path) -> Button:
    """Fill the form and press Start."""
    form = page(app)
    form.query_one("#train-source", Input).value = str(source)
    form.query_one("#train-out", Input).value = str(out)
    form.query_one("#train-vocabulary", Input).value = "400"
    button = form.query_one("#train-start", Button)
    button.focus()
    return button


async def test_train_opens_what_it_made(make_app: MakeApp, tmp_path: Path) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("the quick brown fox jumps over the lazy dog\n" * 200)
    app = make_app(text="the quick fox")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        await train(app, source, tmp_path / "made")
        await pilot.press("enter")
        button = page(app).query_one("#train-open", Button)
        await settled(pilot, lambda: not button.disabled or notice(app))
        assert not notice(app)
        assert (tmp_path / "made" / "tokenizer.json").is_file()
        assert "shared with parent" in shown(app)
        button.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: tokenize_screen(app).subject.ref == str(tmp_path / "made"))
        await ready(pilot)
        assert page(app).id == "page-Table"
        assert "".join(str(row["text"]) for row in rows(app)).replace(" ", "") == "thequickfox"


async def test_train_does_not_overwrite(make_app: MakeApp, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "keep.txt").write_text("mine")
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        await train(app, "sms-spam", made)
        await pilot.press("enter")
        await settled(pilot, lambda: str(made) in notice(app))
        assert [path.name for path in made.iterdir()] == ["keep.txt"]


async def test_train_stops_at_escape(make_app: MakeApp, tmp_path: Path) -> None:
    source = tmp_path / "long.txt"
    source.write_text(
        "".join(f"word{i} and another{i * 7} thing{i * 13}\n" for i in range(400_000))
    )
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        await train(app, source, tmp_path / "made")
        await pilot.press("enter")
        await settled(pilot, lambda: "Esc stops" in shown(app))
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped." in notice(app) and not page(app).busy)
        assert not (tmp_path / "made").exists()
        await go_to(pilot, "Audit")  # the engine answers again
        await settled(pilot, lambda: "Pipeline" in shown(app))


async def test_train_says_what_is_no_number(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await go_to(pilot, "Train")
        await train(app, "sms-spam", tmp_path / "made")
        page(app).query_one("#train-vocabulary", Input).value = "many"
        await pilot.press("enter")
        await settled(pilot, lambda: "'many'" in notice(app))


async def test_compare_names_what_cannot_be_opened(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Compare")
        field = page(app).query_one("#compare-with", Input)
        field.value = "smollm2 ./nowhere"
        field.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: len(grid(app, "compare-grid").source) == 3)
        found = rows(app, "compare-grid")
        assert [row["tokenizer"] for row in found] == ["minilm", "smollm2", "./nowhere"]
        assert "nowhere" in str(found[2]["round trip"])


async def test_slow_twin(make_app: MakeApp) -> None:
    app = make_app(text="Hello world")
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Compare")
        page(app).query_one("#compare-slow", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: "BertTokenizerLegacy (Python)" in shown(app))
        assert "the same ids" in shown(app)
