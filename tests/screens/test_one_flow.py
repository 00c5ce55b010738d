"""From any screen to any other with what is open, and back to where one was at the next start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from hfterm.screens.attention.screen import AttentionScreen
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.library.open_in import OpenItemIn
from hfterm.screens.library.screen import LibraryScreen
from hfterm.screens.models.screen import ModelsScreen
from hfterm.screens.open_in import OpenIn
from hfterm.screens.predict.screen import PredictScreen
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.screens.train.screen import TrainScreen
from hfterm.session.file import read_session, write_session
from hfterm.session.types import Place, Recent, Session
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.heatmap import Heatmap
from pilot_app import ready, settled, shown, toasts, tokenize_screen, tokens
from screen_fixtures import MakeApp

SIZE = (120, 40)


async def window(pilot: Pilot[None], key: str = "alt+o") -> list[str]:
    """The choices of the window that opens things elsewhere."""
    await pilot.press(key)
    await settled(pilot, lambda: isinstance(pilot.app.screen, OpenIn | OpenItemIn), "the window")
    options = pilot.app.screen.query_one(OptionList)
    return [str(options.get_option_at_index(n).prompt) for n in range(options.option_count)]


async def choose(pilot: Pilot[None], number: int) -> None:
    """Choose in that window, and wait until it is gone."""
    options = pilot.app.screen.query_one(OptionList)
    await settled(pilot, lambda: options.has_focus)
    await pilot.press(*["down"] * number, "enter")
    await settled(pilot, lambda: not isinstance(pilot.app.screen, OpenIn | OpenItemIn))


async def test_a_text_goes_from_screen_to_screen(make_app: MakeApp) -> None:
    app = make_app(text="the quick fox")
    app.keeper.session = Session(recent=(Recent("smollm2", "models"),))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert await window(pilot) == [
            "Models", "Predict  with the text", "Attention  with the text", "Train",
            "smollm2  Models · recent",
        ]  # fmt: skip
        await choose(pilot, 2)
        await settled(pilot, lambda: isinstance(app.workbench, AttentionScreen))
        bench = app.workbench
        assert isinstance(bench, AttentionScreen)
        await settled(pilot, lambda: bench.text == "the quick fox")
        await settled(
            pilot, lambda: not np.isnan(bench.query_one("#heads-map", Heatmap).weight), "a map"
        )
        await pilot.press("escape")
        await settled(pilot, lambda: not bench.panel.editor.has_focus)
        choices = await window(pilot, "o")
        assert "Tokenize  with the text" in choices
        assert [choice for choice in choices if "recent" in choice] == ["smollm2  Models · recent"]
        await choose(pilot, choices.index("Predict  with the text"))
        await settled(pilot, lambda: isinstance(app.workbench, PredictScreen))
        predict = app.workbench
        assert isinstance(predict, PredictScreen)
        await settled(pilot, lambda: predict.text == "the quick fox")
        await settled(pilot, lambda: "logit" in shown(app), "a prediction")
        choices = await window(pilot)
        await choose(pilot, choices.index("Models"))
        await settled(pilot, lambda: isinstance(app.workbench, ModelsScreen))
        await settled(pilot, lambda: "BertModel" in shown(app))
        choices = await window(pilot)
        await choose(pilot, choices.index("Train"))
        await settled(pilot, lambda: isinstance(app.workbench, TrainScreen))
        field = app.screen.query_one("#recipe-model-ref", Input)
        await settled(pilot, lambda: field.value == "minilm")


async def test_a_letter_is_typed_and_not_a_window(make_app: MakeApp) -> None:
    app = make_app(text="")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("o")
        await settled(pilot, lambda: "o" in tokens(app))
        assert not isinstance(app.screen, OpenIn)


async def test_what_can_chat_is_opened_in_chat(make_app: MakeApp) -> None:
    app = make_app(model="smollm2", text="What is the capital of France?")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        choices = await window(pilot)
        assert choices[0] == "Chat  with the text"
        await choose(pilot, 0)
        await settled(pilot, lambda: isinstance(app.workbench, ChatScreen))
        chat = app.workbench
        assert isinstance(chat, ChatScreen)
        await settled(
            pilot,
            lambda: chat.talk is not None and chat.talk.composer.text.startswith("What is the"),
        )
        assert chat.session is not None
        assert chat.session.spec.ref == "smollm2"


async def test_a_thing_of_the_library(make_app: MakeApp) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        grid = lambda: app.screen.query_one("#library-grid", DataGrid)  # noqa: E731
        await settled(pilot, lambda: len(grid().source) >= 4)
        await pilot.press(*"/minilm", "enter")
        await settled(pilot, lambda: len(grid().source) == 1 and grid().has_focus)
        choices = await window(pilot, "o")
        await choose(pilot, choices.index("Tokenize"))
        await settled(pilot, lambda: isinstance(app.workbench, TokenizeScreen))


async def test_where_nothing_is_open_that_is_said(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: tokenize_screen(app).settled)
        await pilot.press("alt+o")
        await settled(pilot, lambda: toasts(app))
        assert "Nothing is open here" in toasts(app)[0]


async def test_the_next_start_goes_on_where_one_was(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        tokenize_screen(app).open_text("smollm2", "tokens that stay\nhere", 7)
        await settled(pilot, lambda: len(tokens(app)) == 5)
        await pilot.press("f4")
        await pilot.press("alt+3")
        await settled(pilot, lambda: isinstance(app.workbench, PredictScreen))
        await settled(pilot, lambda: app.workbench is not None and app.workbench.settled)
        await pilot.press("alt+t", "alt+t")
        await pilot.press("alt+5")
        await settled(pilot, lambda: isinstance(app.workbench, TrainScreen))
        await settled(pilot, lambda: app.workbench is not None and app.workbench.settled)
        app.screen.query_one("#recipe-name", Input).value = "my-run"
        await pilot.press("alt+7")
        await settled(pilot, lambda: isinstance(app.workbench, LibraryScreen))
        await settled(pilot, lambda: app.workbench is not None and app.workbench.settled)
        await settled(pilot, lambda: "sms-spam" in shown(app))
        await pilot.press(*"/sms")
        await settled(pilot, lambda: "minilm" not in shown(app))
        # no quitting: what was written by then is there, as after a crash
        kept = lambda: read_session(file).places.get("library", Place())  # noqa: E731
        await settled(pilot, lambda: kept().search == "sms")
    again = make_app(session=file)
    async with again.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: isinstance(again.workbench, LibraryScreen))
        await settled(pilot, lambda: "sms-spam" in shown(again), "the thing")
        assert "minilm" not in shown(again).split("\n", 1)[1]
        await pilot.press("alt+1")
        await settled(pilot, lambda: isinstance(again.workbench, TokenizeScreen))
        bench = tokenize_screen(again)
        await settled(pilot, lambda: bench.subject.encoding is not None)
        assert bench.subject.text == "tokens that stay\nhere"
        assert bench.subject.ref == "smollm2"
        await settled(pilot, lambda: bench.tab_title == "Steps", "the tab")
        assert bench.place().cursor == 7
        await pilot.press("alt+3")
        await settled(pilot, lambda: isinstance(again.workbench, PredictScreen))
        await settled(pilot, lambda: again.workbench is not None and again.workbench.settled)
        assert again.workbench is not None
        assert again.workbench.place().task == "question-answering"
        await pilot.press("alt+5")
        name = lambda: again.screen.query_one("#recipe-name", Input).value  # noqa: E731
        await settled(pilot, lambda: name() == "my-run", "the form")


async def test_the_head_that_was_looked_at(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    place = Place(ref="minilm", text="the quick fox", layer=3, head=5, query=2, key=1)
    write_session(file, Session().at("attention", place))
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        bench = app.workbench
        assert isinstance(bench, AttentionScreen)
        await settled(pilot, lambda: bench.settled)
        assert bench.place() == place, "also before the model has run"
        await pilot.press("f5")
        await settled(pilot, lambda: bench.sight is not None)
        assert bench.sight is not None
        assert (bench.sight.layer, bench.sight.head) == (3, 5)
        assert (bench.sight.query, bench.sight.key) == (2, 1)
        assert bench.place() == place


async def test_a_conversation_and_what_is_being_written(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    app = make_app(mode="chat", model="smollm2", session=file)
    async with app.run_test(size=SIZE) as pilot:
        chat = app.workbench
        assert isinstance(chat, ChatScreen)
        await settled(pilot, lambda: chat.settled and chat.talk is not None)
        assert chat.session is not None
        assert chat.talk is not None
        chat.session.say("What was said before")
        chat.talk.composer.put("half a mess")
        await settled(pilot, lambda: read_session(file).places.get("chat", Place()).text)
    again = make_app(session=file)
    async with again.run_test(size=SIZE) as pilot:
        chat = again.workbench
        assert isinstance(chat, ChatScreen)
        await settled(pilot, lambda: "What was said before" in shown(again))
        assert chat.talk is not None
        assert chat.talk.composer.text == "half a mess"


async def test_what_is_gone_is_said_and_the_rest_restored(
    make_app: MakeApp, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    file = tmp_path / "session.json"
    write_session(file, Session().at("tokenize", Place(ref=str(gone), text="the fox")))
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "the", "fox", "[SEP]"])
        assert tokenize_screen(app).subject.ref == "minilm"
        assert any("is gone" in toast for toast in toasts(app))


async def test_a_tab_and_a_screen_that_are_no_more(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    file.write_text('{"mode": "nowhere", "places": {"tokenize": {"tab": "Nothing", "cursor": 99}}}')
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert not toasts(app)


async def test_a_session_that_cannot_be_kept_is_said_once(
    make_app: MakeApp, tmp_path: Path
) -> None:
    file = tmp_path / "session.json"
    file.mkdir()
    (file / "inside").touch()
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await settled(pilot, lambda: toasts(app))
        assert "can't be kept" in toasts(app)[0]
        await asyncio.gather(app._keep_session().wait(), app._keep_session().wait())
        assert len(toasts(app)) == 1


async def test_the_picker_begins_with_what_was_open(make_app: MakeApp) -> None:
    app = make_app()
    app.keeper.session = Session(recent=(Recent("smollm2", "chat"), Recent("minilm", "models")))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: len(app.screen_stack) == 2)
        options = app.screen.query_one(OptionList)
        first = str(options.get_option_at_index(0).prompt)
        assert first.startswith("smollm2")
        assert "recent" in first


async def test_the_tour_is_offered_once_and_follows(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    app = make_app(session=file, text="")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await settled(pilot, lambda: "^t tour" in shown(app))
        await pilot.press("ctrl+t")
        await settled(pilot, lambda: "1/10" in shown(app) and "^t tour" not in shown(app))
        await pilot.press("x")
        await settled(pilot, lambda: "x" in tokens(app), "it is in nobody's way")
        await pilot.press("ctrl+t")
        await settled(pilot, lambda: "2/10" in shown(app) and "1/10" not in shown(app))
        await pilot.press("alt+3")
        await settled(pilot, lambda: isinstance(app.workbench, PredictScreen))
        await settled(pilot, lambda: "2/10" in shown(app), "on the other screen too")
        await pilot.press("ctrl+g")
        await settled(pilot, lambda: "/10" not in shown(app))
        await settled(pilot, file.exists)
    again = make_app(session=file, mode="tokenize")
    async with again.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "^t tour" not in shown(again)
        await pilot.press("ctrl+t")
        await settled(pilot, lambda: "1/10" in shown(again), "it can be seen again")


@pytest.mark.parametrize("mode", ["predict", "attention"])
async def test_a_run_asked_for_before_the_screen_is_filled(make_app: MakeApp, mode: str) -> None:
    app = make_app(mode=mode, text="the quick fox")
    async with app.run_test(size=SIZE) as pilot:
        bench = app.workbench
        assert isinstance(bench, PredictScreen | AttentionScreen)
        bench.action_run()
        await settled(pilot, lambda: bench.settled)
        done = "logit" if mode == "predict" else "heads"
        await settled(pilot, lambda: done in shown(app), "what F5 gives")


async def test_nothing_is_waited_for_once_the_answer_is_there(make_app: MakeApp) -> None:
    app = make_app(mode="library")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "sms-spam" in shown(app))
        bench = app.workbench
        assert isinstance(bench, LibraryScreen)
        page = bench.page
        assert page is not None
        await settled(pilot, lambda: not page.busy)
        page._say_what_it_waits_for()  # as by a timer that fired just before the answer
        assert not page.job_line.display


async def test_a_screen_that_is_chosen_before_the_first_is_filled(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        app.switch_mode("predict")  # as a key that comes before the first frame is through
        await app._first_frame()
        await app.action_mode("tokenize")
        await ready(pilot)


@pytest.mark.parametrize("searched", ["", "csv"])
async def test_the_thing_of_the_library_that_was_looked_at(
    make_app: MakeApp, tmp_path: Path, searched: str
) -> None:
    file = tmp_path / "session.json"
    place = Place(item="sms-spam", search=searched)
    write_session(file, Session().at("library", place))
    app = make_app(session=file)
    async with app.run_test(size=SIZE) as pilot:
        bench = app.workbench
        assert isinstance(bench, LibraryScreen)
        await settled(pilot, lambda: bench.place() == place, "the thing")
        assert ("minilm" in shown(app)) == (not searched)
