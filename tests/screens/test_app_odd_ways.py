"""The application where nothing is open, nothing can be written, or a key comes twice."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm import paths
from hfterm.app import HftermApp
from hfterm.palette import commands
from hfterm.screens import session_keeper
from hfterm.screens.load_modal import LoadModal
from hfterm.screens.messages import ModelToOpen
from hfterm.screens.model_screen import ModelScreen
from hfterm.screens.registry import SCREENS
from hfterm.widgets.modals import ModelPicker, Prompt
from pilot_app import notice, ready, settled, shown, toasts, tokenize_screen
from screen_fixtures import MakeApp

pytestmark = pytest.mark.usefixtures("starter_kit")

SIZE = (120, 40)


@pytest.fixture
def collections() -> Iterator[None]:
    """An application that is alone tells Python when to collect."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # again as for all tests, but without the application


def faults() -> str:
    """What was written down of faults; it is no news to the test any more."""
    file = paths.logs_dir() / "faults.log"
    written = file.read_text("utf-8")
    file.unlink()
    return written


async def test_the_screen_that_is_open_is_not_opened_again(make_app: MakeApp) -> None:
    app = make_app("minilm", "hello")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        bench = app.workbench
        await pilot.press("alt+1")
        await pilot.pause()
        assert app.workbench is bench
        assert len(app.screen_stack) == 1


async def test_a_theme_that_was_chosen_is_kept_or_it_is_said_why_not(make_app: MakeApp) -> None:
    app = make_app("minilm", "hello")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        file = paths.settings_file()
        app.theme = "nord"
        await settled(pilot, file.is_file)
        assert 'theme = "nord"' in file.read_text()
        file.unlink()
        file.mkdir()
        app.theme = "gruvbox"
        await settled(pilot, lambda: any(str(file.name) in toast for toast in toasts(app)))
        assert app.theme == "gruvbox"


async def test_a_session_that_can_not_be_kept_is_said_once(
    make_app: MakeApp, tmp_path: Path
) -> None:
    place = tmp_path / "state"
    place.write_text("no folder")
    app = make_app("minilm", "hello", session=place / "session.json")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await settled(pilot, lambda: any("can't be kept" in toast for toast in toasts(app)))
        app._keep_session()
        await app.workers.wait_for_complete(
            [worker for worker in app.workers if worker.group == "session"]
        )
        assert sum("can't be kept" in toast for toast in toasts(app)) == 1
        assert place.read_text() == "no folder"


async def test_a_text_too_long_to_keep_is_the_sample_again_and_the_rest_is_kept(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app("minilm", "word ", session=tmp_path / "session.json")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        bench = tokenize_screen(app)
        app.keeper.note(bench)
        assert app.keeper.session.places["tokenize"].text == "word "
        monkeypatch.setattr(session_keeper, "LONGEST_TEXT", 4)
        app.keeper.note(bench)
        place = app.keeper.session.places["tokenize"]
        assert (place.text, place.ref) == (None, "minilm")


async def test_a_screen_that_fails_with_the_runs_is_said_once_and_the_rest_hears(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app("minilm", "hello")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.workbench is not None
        told: list[int] = []

        def fails(runs: list[object]) -> None:
            told.append(len(runs))
            raise KeyError(f"run {len(told) > 2}")

        with monkeypatch.context() as patch:
            patch.setattr(app.workbench, "runs_changed", fails)
            app._runs_changed([], [])
            app._runs_changed([], [])
            app._runs_changed([], [])  # another fault
        await settled(pilot, lambda: sum("KeyError" in toast for toast in toasts(app)) == 2)
        assert len(told) == 3
    assert faults().count("Traceback") == 2


async def test_alone_it_watches_itself_and_leaves_nothing_when_nothing_froze(
    make_app: MakeApp, collections: None
) -> None:
    app = make_app("minilm", "hello")
    app.alone = True
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await settled(pilot, lambda: app._freezes is not None)
        watch = app._freezes
        assert watch is not None
        await settled(pilot, watch.file.exists)
        app.app_suspend_signal.publish(app)  # an editor takes the terminal
        assert not watch.file.exists()
        await settled(pilot, watch.file.exists)
    assert not watch.file.exists()


async def test_the_palette_has_screens_and_the_kit_where_nothing_else_is(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app("minilm", "hello")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        whole = [command.title for command in app.get_system_commands(app.screen)]
        assert "Starter kit: download the rest" not in whole
        monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "none"))
        bare = [command.title for command in commands(app, app.screen, None, lambda: None)]
        assert "Starter kit: download the rest" in bare
        assert [f"Go to {entry.title}" for entry in SCREENS] == bare[: len(SCREENS)]
        assert not set(bare) & {command.title for command in tokenize_screen(app).COMMANDS_HERE}


async def test_a_model_is_opened_beside_another_where_a_screen_compares(make_app: MakeApp) -> None:
    app = make_app("minilm", "hello")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.post_message(ModelToOpen("models", "minilm", against="smollm2"))
        await settled(pilot, lambda: app.current_mode == "models")
        await settled(pilot, lambda: app.screen.query_one("#compare-with", Input).value)
        assert app.screen.query_one("#compare-with", Input).value == "smollm2"
        app.post_message(ModelToOpen("tokenize", "smollm2", text="two words", offset=4))
        await settled(pilot, lambda: app.current_mode == "tokenize")
        await settled(pilot, lambda: "two words" in shown(app))
        await settled(pilot, lambda: tokenize_screen(app).subject.ref == "smollm2")


async def closed(pilot: Pilot[None], window: type[object]) -> None:
    """Close a window without an answer."""
    app = pilot.app
    await settled(pilot, lambda: isinstance(app.screen, window))
    await pilot.press("escape")
    await settled(pilot, lambda: not isinstance(app.screen, window))


def model_screen(app: HftermApp) -> ModelScreen:
    bench = app.workbench
    assert isinstance(bench, ModelScreen)
    return bench


async def test_windows_of_a_model_screen_that_are_closed_change_nothing(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app("minilm", "hello", mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: app.workbench is not None and app.workbench.settled)
        bench = model_screen(app)
        before = bench.spec, bench.text
        for action, window in (
            (bench.action_pick_model, ModelPicker),
            (bench.action_load_options, LoadModal),
            (bench.action_open_file, Prompt),
        ):
            action()
            await closed(pilot, window)
            assert (bench.spec, bench.text) == before
        bench.action_load_options()
        await settled(pilot, lambda: isinstance(app.screen, LoadModal))
        await pilot.press("alt+l")  # as it was
        await settled(pilot, lambda: not isinstance(app.screen, LoadModal))
        assert (bench.spec, bench.text) == before

        bench.action_open_file()
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(tmp_path / "nowhere.txt")
        await pilot.press("enter")
        await settled(pilot, lambda: "nowhere.txt" in notice(app))
        assert bench.text == before[1]
        (tmp_path / "here.txt").write_text("a text of a file")
        bench.action_open_file()
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(tmp_path / "here.txt")
        await pilot.press("enter")
        await settled(pilot, lambda: bench.text == "a text of a file")
