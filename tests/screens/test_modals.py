"""The windows over the screen: model picker, code, help, palette, export, logs; and copying."""

from __future__ import annotations

import base64
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Input, Markdown, OptionList

from hfterm.widgets.exporting import ExportModal
from hfterm.widgets.modals import CodeModal, HelpModal, LogsModal, ModelPicker, Prompt
from pilot_app import grid, notice, ready, rows, settled, shown, toasts, tokenize_screen, tokens
from screen_fixtures import MakeApp


async def pick(pilot: object, name: str) -> None:
    """F6, a name, Enter."""
    await pilot.press("f6")
    await settled(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
    pilot.app.screen.query_one("#picker-name", Input).value = name
    await pilot.press("enter")
    await settled(pilot, lambda: not isinstance(pilot.app.screen, ModelPicker))


async def test_picker_lists_what_is_here(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        assert "minilm" in shown(app)
        assert "smollm2" in shown(app)
        await pilot.press("escape")
        await settled(pilot, lambda: len(app.screen_stack) == 1)
        assert tokenize_screen(app).subject.ref == "minilm"


async def test_picker_chooses_with_arrows(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        await pilot.press("down")
        assert app.screen.query_one(OptionList).highlighted == 1
        await pilot.press("enter")
        await settled(pilot, lambda: tokenize_screen(app).subject.ref == "smollm2")
        await ready(pilot)
        assert "ĠTransform" in tokens(app)


async def test_picker_takes_a_path(make_app: MakeApp, zoo: dict[str, Path]) -> None:
    app = make_app(text="fox")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pick(pilot, str(zoo["characters"]))
        await settled(pilot, lambda: tokens(app) == ["f", "o", "x"])
        assert "characters" in shown(app).split("\n")[0]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("no-such-model", "no-such-model"),
        ("owner/no-such-model", "owner/no-such-model"),
        ("./no/such/folder", "no/such/folder"),
    ],
)
async def test_unknown_model_is_said_and_the_text_stays(
    make_app: MakeApp, ref: str, said: str
) -> None:
    app = make_app(text="the fox")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pick(pilot, ref)
        await settled(pilot, lambda: said in notice(app), "the notice")
        assert tokenize_screen(app).subject.text == "the fox"
        lines = shown(app).split("\n")
        at = next(i for i, line in enumerate(lines) if "✗" in line)
        assert lines[at + 1].strip(" │"), "the second line says what to do"
        await pick(pilot, "minilm")
        await settled(pilot, lambda: not notice(app))
        await ready(pilot)
        assert tokens(app) == ["[CLS]", "the", "fox", "[SEP]"]


async def test_broken_tokenizers_are_said(make_app: MakeApp, tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    (broken / "tokenizer.json").write_text('{"version": "1.0", "model": {"type"')
    app = make_app(text="the fox")
    async with app.run_test(size=(140, 30)) as pilot:
        await ready(pilot)
        await pick(pilot, str(empty))
        await settled(pilot, lambda: "empty" in notice(app))
        await pick(pilot, str(broken))
        await settled(pilot, lambda: "tokenizer.json" in notice(app))
        assert tokenize_screen(app).subject.text == "the fox"


async def test_code_runs_and_prints_the_rows(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(text="the fox")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("f2")
        await settled(pilot, lambda: isinstance(app.screen, CodeModal))
        assert "AutoTokenizer" in shown(app)
        code = app.screen.code
        ids = [row["id"] for row in rows(app)]
        await pilot.press("f2")
        await settled(pilot, lambda: len(app.screen_stack) == 1)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert [int(line.split()[1]) for line in done.stdout.splitlines()] == ids


async def test_code_is_saved_but_not_over_a_file(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(text="the fox")
    target = tmp_path / "script.py"
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("f2")
        await settled(pilot, lambda: isinstance(app.screen, CodeModal))
        code = app.screen.code
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, target.exists)
        assert target.read_text(encoding="utf-8") == code
        target.write_text("mine")
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, lambda: any("can't be written" in toast for toast in toasts(app)))
        assert target.read_text() == "mine"


@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_lists_the_keys(make_app: MakeApp, key: str) -> None:
    app = make_app()
    async with app.run_test(size=(120, 100)) as pilot:
        await ready(pilot)
        grid(app).focus()
        await pilot.press(key)
        await settled(pilot, lambda: isinstance(app.screen, HelpModal))
        await settled(pilot, lambda: "^p" in shown(app), "the keys")
        text = app.screen.query_one(Markdown).source + shown(app)
        for wanted in ("# Tokenize", "## Table", "F2", "F6", "F7", "^p", "^e"):
            assert wanted.lower() in text.lower(), f"{wanted} in\n{text}"
        await pilot.press("escape")
        await settled(pilot, lambda: len(app.screen_stack) == 1)


async def test_help_begins_with_the_field_that_has_the_focus(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=(120, 50)) as pilot:
        await settled(pilot, lambda: app.screen.query("#recipe-data-eval"), "the form")
        for name, said in (
            ("data-eval", "data.eval: the split or slice"),
            ("also", "as key=value"),
        ):
            app.screen.query_one(f"#recipe-{name}", Input).focus()
            await pilot.press("f1")
            await settled(pilot, lambda said=said: said in shown(app), said)
            await pilot.press("escape")
            await settled(pilot, lambda: len(app.screen_stack) == 1, "the form again")


async def test_every_palette_command_runs(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert len(titles) == len(set(titles))
        for wanted in ("Model", "Open", "Pair", "Tokenize: Audit", "Help", "Copy", "Quit", "Logs"):
            assert wanted in titles
        await pilot.press("ctrl+p")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press(*"Tokenize: Config")
        await settled(pilot, lambda: "The Config tab" in shown(app))
        await pilot.press("enter")
        await settled(pilot, lambda: "model_max_length" in shown(app))


async def test_logs(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        app.engine.log_file.parent.mkdir(parents=True, exist_ok=True)
        app.engine.log_file.write_text("\x1b[31ma warning\x1b[0m of a library\n")
        await pilot.press("f8")
        await settled(pilot, lambda: isinstance(app.screen, LogsModal))
        assert "a warning" in shown(app)
        assert "\x1b" not in shown(app)
        await pilot.press("f8")
        await settled(pilot, lambda: len(app.screen_stack) == 1)


def osc52_payloads(written: list[str]) -> list[str]:
    """What the terminal would put into its clipboard."""
    found = [part.split("\x07")[0] for data in written for part in data.split("\x1b]52;c;")[1:]]
    return [base64.b64decode(payload).decode() for payload in found]


async def test_copy_writes_osc52(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "STY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    app = make_app(text="the fox")
    written: list[str] = []
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        await pilot.press("f9")  # the text field has the focus
        await settled(pilot, lambda: osc52_payloads(written) == ["the fox"])
        grid(app).focus()
        await pilot.press("home", "down", "y")
        await settled(pilot, lambda: len(osc52_payloads(written)) == 2)
        header, row = osc52_payloads(written)[1].split("\n")
        assert header.split("\t")[:3] == ["#", "id", "token"]
        assert row.split("\t")[:4] == ["1", "1996", "the", "the"]
        assert any("Copied" in toast for toast in toasts(app))


async def test_copy_of_too_much_offers_export(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(text="x" * 150_000)
    written: list[str] = []
    async with app.run_test(notifications=True) as pilot:
        await ready(pilot)
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        await pilot.press("f9")
        await settled(pilot, lambda: any("Ctrl+E writes" in toast for toast in toasts(app)))
        assert not osc52_payloads(written)


def read_back(path: Path) -> list[list[str]]:
    """The exported rows as texts, by the ending of the name."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.reader(text.splitlines()))[1:]
    records = json.loads(text) if path.suffix == ".json" else map(json.loads, text.splitlines())
    return [["" if v is None else str(v) for v in record.values()] for record in records]


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl"])
async def test_export(make_app: MakeApp, tmp_path: Path, ending: str) -> None:
    app = make_app(text='the "fox", \x1b[2J 世界')
    target = tmp_path / f"tokens{ending}"
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, lambda: target.exists() and len(app.screen_stack) == 1)
        expected = [["" if v is None else str(v) for v in row.values()] for row in rows(app)]
    assert read_back(target) == expected
    assert list(tmp_path.iterdir()) == [target]


async def test_export_refuses_an_existing_file_and_other_endings(
    make_app: MakeApp, tmp_path: Path
) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("mine")
    app = make_app(text="the fox")
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))
        for path, said in (
            (target, "exists already"),
            (tmp_path / "tokens.xlsx", "ends in none of"),
            (tmp_path / "no" / "folder.csv", "can't be written"),
        ):
            app.screen.query_one(Input).value = str(path)
            await pilot.press("enter")
            await settled(pilot, lambda said=said: said in notice(app))
        await pilot.press("escape")
        await settled(pilot, lambda: len(app.screen_stack) == 1)
    assert target.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [target]
