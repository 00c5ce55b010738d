"""Chat's History, its Lab and its load window: questions answered with no, second presses."""

from __future__ import annotations

import json
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

import chat_models
from hfterm.app import HftermApp
from hfterm.chat.measured import Speed
from hfterm.chat.types import LlmSpec, Sampling
from hfterm.screens.chat.history import HistoryPage
from hfterm.screens.chat.lab import LabPage
from hfterm.screens.chat.load_modal import ChatLoadModal
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.chat.session import Session
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.modals import Prompt
from hfterm.widgets.notice import Notice
from pilot_app import settled, shown
from screen_fixtures import MakeApp

SIZE = (120, 40)


def screen(app: HftermApp) -> ChatScreen:
    bench = app.workbench
    assert isinstance(bench, ChatScreen)
    return bench


def session(app: HftermApp) -> Session:
    found = screen(app).session
    assert found is not None
    return found


async def ready(pilot: Pilot[None]) -> None:
    app = pilot.app
    await settled(
        pilot, lambda: screen(app).talk is not None and screen(app).talk.composer.has_focus
    )


async def answer(pilot: Pilot[None], key: str, text: str | None) -> None:
    """A key that asks for a line: type it, or close the question."""
    app = pilot.app
    await pilot.press(key)
    await settled(pilot, lambda: isinstance(app.screen, Prompt), f"the question of {key}")
    if text is None:
        await pilot.press("escape")
    else:
        app.screen.query_one(Input).value = text
        await pilot.press("enter")
    await settled(pilot, lambda: app.screen is screen(app))


async def test_conversations_are_renamed_deleted_and_written_only_after_a_yes(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4", "f4", "f4", "f4")
        await settled(pilot, lambda: isinstance(screen(app).page, HistoryPage))
        page = screen(app).page
        assert isinstance(page, HistoryPage)
        grid = page.query_one("#history-grid", DataGrid)
        await settled(pilot, lambda: grid.has_focus)
        for key in ("n", "d", "w", "alt+r", "delete", "alt+w"):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen is screen(app), key  # there is nothing to ask about
        grid.post_message(DataGrid.RowChosen(grid, 3))
        await pilot.pause()
        assert screen(app).page is page
        store = session(app).store
        numbers = [store.create(name, None, Sampling(), "") for name in ("one", "two")]
        for number in numbers:
            store.add(number, None, "user", f"hello from {number}")
        page.look()
        await settled(pilot, lambda: len(grid.source) == 2)
        titles = [row.title for row in page._rows.rows]
        grid.focus()
        await pilot.press("home")
        await answer(pilot, "n", None)
        assert [row.title for row in store.list()] == titles
        await answer(pilot, "n", "three")
        await settled(pilot, lambda: "three" in shown(app))
        assert store.get(page._rows.rows[0].id).title == "three"
        # written: nowhere, to a file, and not over one
        target = tmp_path / "chat.json"
        await answer(pilot, "w", None)
        assert not target.exists()
        await answer(pilot, "w", str(target))
        await settled(pilot, lambda: "Wrote" in page.notice.message)
        assert "hello from" in target.read_text()
        written = target.read_bytes()
        await answer(pilot, "w", str(target))
        await settled(pilot, lambda: page.notice.message and "Wrote" not in page.notice.message)
        assert target.read_bytes() == written
        # read: nothing, a file, and what is none
        await answer(pilot, "ctrl+o", None)
        assert len(store.list()) == 2
        await answer(pilot, "ctrl+o", str(target))
        await settled(pilot, lambda: len(grid.source) == 3)
        broken = tmp_path / "broken.json"
        broken.write_text("{")
        await answer(pilot, "ctrl+o", str(broken))
        await settled(pilot, lambda: "broken.json" in page.notice.message)
        assert len(store.list()) == 3
        # deleted: not without a yes; the one that is open leaves an empty one behind
        for yes, count in ((False, 3), (True, 2), (True, 1)):
            grid.focus()
            await pilot.press("home")
            chosen = page._chosen()
            assert chosen is not None
            if count == 1:
                session(app).open(chosen)
            elif yes:
                session(app).open(page._rows.rows[-1].id)
            await pilot.press("d")
            await settled(pilot, lambda: isinstance(app.screen, Confirm))
            assert "It can't be brought back." in shown(app)
            await pilot.press("alt+y" if yes else "escape")
            await settled(pilot, lambda: app.screen is screen(app))
            await settled(pilot, lambda: len(grid.source) == count)  # noqa: B023
            assert (chosen in {row.id for row in store.list()}) != yes
            assert (session(app).conversation is None) == (count != 2)
        assert json.loads(written)


async def test_the_lab_refuses_what_it_cannot_measure(make_app: MakeApp, tmp_path: Path) -> None:
    tiny = chat_models.llama3(tmp_path / "tiny")
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4", "f4", "f4")
        await settled(pilot, lambda: isinstance(screen(app).page, LabPage))
        page = screen(app).page
        assert isinstance(page, LabPage)
        await pilot.press("alt+w")
        await settled(pilot, lambda: "Nothing was measured yet." in shown(app))
        assert page.exported() is None

        def put(name: str, text: str) -> None:
            page.query_one(f"#lab-{name}", Input).value = text

        put("ways", "float32")
        for name, wrong, said, right in (
            ("tokens", "few", "“tokens” is 'few'", "2"),
            ("ways", "float32 float8", "“float8” is not a way to load a model.", "float32"),
            ("ways", " ", "Nothing is chosen.", "float32"),
            ("text", str(tmp_path / "gone.txt"), "gone.txt", ""),
        ):
            put(name, wrong)
            await pilot.press("f5")
            await settled(pilot, lambda: said in page.notice.message)  # noqa: B023
            await settled(pilot, lambda: not page.busy)
            assert page._results == []
            put(name, right)
        text = tmp_path / "text.txt"
        text.write_text("The harbour was quiet that morning. " * 3)
        put("text", str(text))
        await pilot.press("f5")
        await settled(pilot, lambda: page.busy)
        await pilot.press("f5")  # a second press begins no second measuring
        await settled(
            pilot, lambda: "The ways are being measured." in page.notice.message or not page.busy
        )
        await settled(pilot, lambda: len(page._results) == 1 and not page.busy, processes=2)
        assert page._results[0].error == ""
        assert page._results[0].perplexity > 0
        # no name writes nothing
        await answer(pilot, "alt+w", None)
        await answer(pilot, "alt+w", str(tmp_path / "figure.txt"))
        await settled(pilot, lambda: bool(page.notice.message))
        assert "Wrote" not in page.notice.message
        assert not (tmp_path / "figure.txt").exists()


async def test_the_load_window_says_which_field_is_wrong_and_measures_once(
    make_app: MakeApp, tmp_path: Path
) -> None:
    tiny = chat_models.llama3(tmp_path / "tiny")
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: isinstance(app.screen, ChatLoadModal))
        window = app.screen
        assert isinstance(window, ChatLoadModal)
        await settled(pilot, lambda: "fits" in shown(app))
        said = window.query_one(Notice)
        grid = window.query_one("#chat-ways", DataGrid)

        def put(name: str, text: str) -> None:
            window.query_one(f"#chat-{name}", Input).value = text

        for name, wrong, words, right in (
            ("context", "much", "“context” is 'much', which is no number of tokens.", ""),
            ("ref", "", "“model” is empty.", str(tiny)),
        ):
            put(name, wrong)
            for key in ("alt+l", "f5"):
                said.clear()
                await pilot.press(key)
                await settled(pilot, lambda: words in said.message, key)  # noqa: B023
                assert app.screen is window
            # what it takes cannot be asked either, and the field says so when it is loaded
            window.query_one(f"#chat-{name}", Input).focus()
            await pilot.press("enter")
            await pilot.pause()
            put(name, right)
        # of another model than the table is about there may be fewer ways
        grid.post_message(DataGrid.RowChosen(grid, 99))
        await pilot.pause()
        assert window._now() == LlmSpec(ref=str(tiny))
        # other engines: their own words, and nothing to measure
        engine = window.query_one("#chat-engine", Choice)
        engine.focus()
        await settled(pilot, lambda: engine.has_focus)
        for wanted, words in (
            ("llama.cpp", "A GGUF file is loaded as it was quantized"),
            ("server", "The server has loaded the model its own way"),
        ):
            await pilot.press("right")
            assert engine.value == wanted
            await settled(pilot, lambda: words in shown(app))  # noqa: B023
        await pilot.press("alt+l")
        await settled(pilot, lambda: "The server's address is missing." in said.message)
        put("url", "http://127.0.0.1:9/v1")
        await pilot.press("f5")
        await settled(pilot, lambda: "server loads in one way only." in said.message)
        assert window._measuring is None
        put("url", "")
        while engine.value != "transformers":
            engine.focus()
            await pilot.press("right")
        # while it measures, neither another measuring nor the load begins; Esc stops it
        before = session(app).spec
        await pilot.press("f5")
        await settled(pilot, lambda: window._busy)
        measuring = window._measuring
        await pilot.press("f5")
        assert window._measuring is measuring
        await pilot.press("alt+l")
        await settled(pilot, lambda: "The ways are being measured." in said.message)
        assert app.screen is window
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped." in said.message and not window._busy)
        assert app.screen is window
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is screen(app))
        assert session(app).spec == before
        assert all(
            isinstance(each, Speed) for each in session(app).measured.of("x", "auto").values()
        )
