"""Windows over an application of nothing else: empty answers, second presses, long texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList, Static

from hfterm.engine.requests import KnownModel
from hfterm.widgets.data_grid import Cell, GridColumn, Rows
from hfterm.widgets.exporting import ExportModal
from hfterm.widgets.modals import COLORED, CodeModal, LogsModal, Modal, ModelPicker, Prompt
from hfterm.widgets.own_faults import OwnFaults
from hfterm.widgets.palettes import Palettes
from waiting import until


class Bench(Palettes):
    """Opens windows, and keeps what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[object] = []

    def ask(self, window: Modal[object]) -> None:
        self.push_screen(window, self.answers.append)

    def copy_to_clipboard(self, text: str) -> None:
        self.answers.append(f"copied {len(text)}")


KNOWN = [KnownModel("minilm", "starter", ""), KnownModel("lab/one", "hub cache", "")]


def lines(app: App[None], kind: type[Label]) -> str:
    """The texts of a kind on the screen."""
    return "\n".join(str(label.content) for label in app.screen.query(kind))


async def type_and_enter(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")


async def test_a_question_waits_for_words() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(Prompt("Name [it]", "A hint.", "", "here"))
        await pilot.pause()
        for nothing in ("", "   "):
            await type_and_enter(pilot, nothing)
            assert isinstance(app.screen, Prompt)
        await type_and_enter(pilot, "  a name ")
        await until(lambda: app.answers, "an answer")
        app.ask(Prompt("Again", "A hint."))
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: len(app.answers) == 2, "no answer")
        assert app.answers == ["a name", None]


@pytest.mark.parametrize(
    ("keys", "typed", "answer"),
    [
        ([], "", "minilm"),
        ([], "./a folder", "./a folder"),
        (["down"], "", "lab/one"),
        (["up"], "", "lab/one"),
        (["down"], "lab", "lab/one"),
        (["down", "up"], "no such model", "no such model"),
    ],
)
async def test_what_the_picker_opens(keys: list[str], typed: str, answer: str) -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(ModelPicker(KNOWN, "minilm"))
        await pilot.pause()
        app.screen.query_one(Input).value = typed
        await pilot.pause()
        await pilot.press(*keys, "enter")
        await until(lambda: app.answers, "an answer")
        assert app.answers == [answer]


async def test_the_picker_finds_a_path_at_home_as_it_shows_it() -> None:
    path = str(Path.home() / "models/one")
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(ModelPicker([*KNOWN, KnownModel(path, "run", "")], "minilm"))
        await pilot.pause()
        app.screen.query_one(Input).value = "~/mod"
        await pilot.pause()
        await pilot.press("down", "enter")
        await until(lambda: app.answers, "an answer")
        assert app.answers == [path]


async def test_a_name_that_was_typed_and_deleted_opens_the_first_again() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(ModelPicker(KNOWN, "minilm"))
        await pilot.pause()
        await pilot.press("o", "n", "backspace", "backspace")
        options = app.screen.query_one(OptionList)
        await until(lambda: options.option_count == 2, "the whole list again")
        assert options.highlighted is None
        await pilot.press("enter")
        await until(lambda: app.answers, "an answer")
        assert app.answers == ["minilm"]


async def test_a_picker_without_models_says_so_and_opens_nothing() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(ModelPicker([], ""))
        await pilot.pause()
        assert "No model on this machine yet" in lines(app, Label)
        await pilot.press("down", "up", "enter")
        assert isinstance(app.screen, ModelPicker)
        assert app.screen.query_one(OptionList).highlighted is None
        await type_and_enter(pilot, "lab/one")
        await until(lambda: app.answers, "an answer")
        assert app.answers == ["lab/one"]


async def test_a_script_that_is_too_long_is_not_coloured_but_all_there(tmp_path: Path) -> None:
    app = Bench()
    code = "print('[b]')\n" * (COLORED // 12 + 1)
    async with app.run_test(notifications=True) as pilot:
        app.ask(CodeModal(code, str(tmp_path / "script.py")))
        await pilot.pause()
        script = next(iter(app.screen.query(Static)))
        assert str(script.content).count("print('[b]')") == code.count("print")
        assert not getattr(script.content, "spans", [])
        await pilot.press("y")
        assert app.answers == [f"copied {len(code)}"]
        await pilot.press("ctrl+e")
        await until(lambda: isinstance(app.screen, Prompt), "the question where to")
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, CodeModal), "the script again")
        assert list(tmp_path.iterdir()) == []
        await pilot.press("ctrl+e", "enter")
        await until(lambda: app._notifications, "what was saved")
        assert (tmp_path / "script.py").read_text() == code


async def test_an_engine_that_printed_nothing_has_a_log_that_says_so(tmp_path: Path) -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.ask(LogsModal(tmp_path / "engine.log", []))
        await pilot.pause()
        assert "The engine has printed nothing." in lines(app, Label)
        await pilot.press("y")
        assert [note.message for note in app._notifications] == ["There is nothing to copy here."]
        await pilot.press("f8")
        await until(lambda: not isinstance(app.screen, LogsModal), "the log to close")


async def test_an_export_without_a_name_is_not_written(tmp_path: Path) -> None:
    app = Bench()
    rows = Rows([GridColumn("a")], [[Cell("1")]], [(1,)])
    async with app.run_test(notifications=True) as pilot:
        app.ask(ExportModal("table", rows))
        await pilot.pause()
        await type_and_enter(pilot, "  ")
        assert isinstance(app.screen, ExportModal)
        await type_and_enter(pilot, f" {tmp_path / 'out.csv'} ")
        await until(lambda: not isinstance(app.screen, ExportModal), "the window to close")
        assert (tmp_path / "out.csv").read_text().split() == ["a", "1"]


# -- windows over windows ------------------------------------------------------------------------


async def test_a_window_closes_itself_once_wherever_it_is() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        under, over = Prompt("under", ""), Prompt("over", "")
        app.ask(under)
        await pilot.pause()
        app.ask(over)
        await pilot.pause()
        under.dismiss("from below")
        await until(lambda: app.answers == ["from below"], "its answer")
        under.dismiss("again")
        await pilot.pause()
        assert app.screen is over
        assert app.answers == ["from below"]
        over.dismiss("from above")
        over.dismiss("twice")
        await until(lambda: len(app.answers) > 1, "the other's answer")
        await pilot.pause()
        assert app.answers == ["from below", "from above"]
        assert len(app.screen_stack) == 1


async def test_the_palette_is_opened_once() -> None:
    app = Bench()
    async with app.run_test() as pilot:
        app.action_command_palette()
        await until(lambda: isinstance(app.screen, CommandPalette), "the palette")
        app.action_command_palette()
        await pilot.pause()
        assert len(app.screen_stack) == 2


# -- faults --------------------------------------------------------------------------------------


class Held(Static):
    """Holds the mouse."""

    def on_mouse_down(self) -> None:
        self.capture_mouse()


class Mice(OwnFaults):
    """Counts clicks."""

    clicks = 0

    def compose(self):
        yield Held("hold me")

    def on_click(self) -> None:
        self.clicks += 1


async def test_what_is_not_in_sight_holds_no_mouse() -> None:
    app = Mice()
    async with app.run_test() as pilot:
        held = app.query_one(Held)
        await pilot.mouse_down(held)
        assert app.mouse_captured is held
        app.push_screen(Prompt("over", ""))
        await pilot.pause()
        await pilot.hover(None, offset=(1, 1))
        assert app.mouse_captured is None


async def test_a_press_outside_of_the_screen_is_none() -> None:
    app = Mice()
    async with app.run_test() as pilot:
        down = events.MouseDown(None, 500, 500, 0, 0, 1, False, False, False)
        app.post_message(down)
        await pilot.pause()
        assert app.mouse_captured is None
        assert app.return_code is None


async def test_a_fault_of_a_widget_that_is_gone_is_nobodys_concern() -> None:
    app = Mice()
    async with app.run_test(notifications=True) as pilot:
        held = app.query_one(Held)
        await held.remove()
        assert app.is_late(KeyError("x"), held)
        assert app.said(KeyError("x"), held)
        assert not app.is_late(KeyError("x"), app)
        assert not app.is_late(KeyError("x"), None)
        await pilot.pause()
        assert not app._notifications
