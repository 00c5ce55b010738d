"""Chat's keys when there is nothing for them to act on, or another thing is under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from chat_server import DONE, ChatServer, Reply, chunk, refusal, said, usage
from hfterm.app import HftermApp
from hfterm.chat.types import LlmSpec, Sampling
from hfterm.screens.chat.page import ConversationWanted, GoOnFrom
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.chat.session import Session
from hfterm.screens.chat.side import SidePage
from hfterm.screens.chat.talk import TalkPage
from hfterm.screens.chat.tokens import TokensPage
from hfterm.session.types import Place
from hfterm.widgets.answer_column import AnswerColumn
from hfterm.widgets.composer import Composer
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.modals import ModelPicker, Prompt
from hfterm.widgets.turn_view import TurnView
from pilot_app import settled, shown, toasts
from screen_fixtures import MakeApp

SIZE = (120, 40)
FULL = "context length exceeded"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def screen(app: HftermApp) -> ChatScreen:
    bench = app.workbench
    assert isinstance(bench, ChatScreen)
    return bench


def session(app: HftermApp) -> Session:
    found = screen(app).session
    assert found is not None
    return found


def talk(app: HftermApp) -> TalkPage:
    page = screen(app).talk
    assert page is not None
    return page


async def ready(pilot: Pilot[None], spec: LlmSpec | None = None) -> None:
    """The tab is there, and talks with a model of a server."""
    app = pilot.app
    await settled(pilot, lambda: screen(app).talk is not None and talk(app).composer.has_focus)
    if spec is not None:
        session(app).spec = spec
        await talk(app).show()


def at(server: ChatServer) -> LlmSpec:
    return LlmSpec(ref="tiny", engine="server", url=server.url)


async def say(pilot: Pilot[None], text: str) -> None:
    talk(pilot.app).composer.put(text)
    await pilot.press("enter")


def turns(app: HftermApp) -> list[tuple[str, str]]:
    return [(view.turn.role, view.turn.content) for view in talk(app).transcript.views]


async def test_keys_about_turns_do_nothing_before_the_first(make_app: MakeApp) -> None:
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, LlmSpec(ref=""))
        page = talk(app)
        for key in ("alt+g", "alt+c", "alt+m", "alt+t", "f5", "up", "alt+left"):
            await pilot.press(key)
            await pilot.pause()
            assert not page.busy, key
            assert page.composer.has_focus, key
            assert screen(app).page is page, key
        assert screen(app).code() == ""
        assert screen(app).copy_text() == ""
        assert screen(app).thing() is None
        await page.action_turn_to(1)
        assert turns(app) == []
        await pilot.press("alt+d")
        await settled(pilot, lambda: "There is no older turn" in shown(app))
        await pilot.press("alt+p")
        await settled(pilot, lambda: "No prompt was made yet" in shown(app))
        await say(pilot, "Hello")
        await settled(pilot, lambda: "No model is chosen." in shown(app))
        assert page.composer.text == "Hello"  # what was written is kept
        assert session(app).conversation is None
        # a place without a text and a conversation changes nothing; one that is gone neither
        for place in (Place(), Place(conversation=999)):
            await screen(app).restore(place)
            assert page.composer.text == "Hello"
            assert session(app).conversation is None
        await screen(app).restore(Place(text="instead"))
        assert "instead" in page.composer.message
        # and tokens of nothing lead nowhere
        await pilot.press("f4")
        await settled(pilot, lambda: isinstance(screen(app).page, TokensPage))
        others = app.screen.query_one("#tokens-others", DataGrid)
        others.post_message(DataGrid.RowChosen(others, 0))
        for key in ("alt+k", "alt+a"):
            await pilot.press(key)
            await pilot.pause()
        assert app.current_mode == "chat"
        assert isinstance(screen(app).page, TokensPage)
        await pilot.press("alt+p")
        await settled(pilot, lambda: "No prompt was made yet" in shown(app))
        screen(app).post_message(GoOnFrom(999, 0, 1))
        await settled(pilot, lambda: talk(app).composer.has_focus)
        assert not talk(app).busy


async def test_what_is_asked_while_an_answer_comes_is_refused_and_the_answer_goes_on(
    make_app: MakeApp, server: ChatServer
) -> None:
    go_on = threading.Event()
    server.script = [
        said("First"),
        Reply([chunk("Hel"), lambda: go_on.wait(60), chunk("lo"), chunk(finish="stop"), DONE]),
    ]
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, at(server))
        page = talk(app)
        await say(pilot, "One")
        await settled(pilot, lambda: len(turns(app)) == 2 and not page.busy)
        number = session(app).conversation
        assert number is not None
        assert screen(app).thing() is None  # a server's model is none of this machine's
        await say(pilot, "Two")
        await settled(pilot, lambda: page.live.count > 0, "the first token")
        page.composer.put("Three")
        await pilot.press("enter")
        await settled(pilot, lambda: "An answer is being written. Esc stops it." in toasts(app))
        assert page.composer.text == "Three"
        screen(app).post_message(ConversationWanted(number))
        await settled(pilot, lambda: len(toasts(app)) >= 2)
        screen(app).open_model("smollm2")
        await settled(pilot, lambda: len(toasts(app)) >= 3)
        for key in ("alt+n", "alt+g", "alt+c", "alt+m", "alt+d", "f5"):
            await pilot.press(key)
            await pilot.pause()
        await page.action_turn_to(-1)
        assert session(app).conversation == number
        assert session(app).spec == at(server)
        assert page.busy
        go_on.set()
        await settled(pilot, lambda: not page.busy and len(turns(app)) == 4)
        assert turns(app) == [
            ("user", "One"), ("assistant", "First"), ("user", "Two"), ("assistant", "Hello"),
        ]  # fmt: skip
        assert len(server.bodies) == 2
        assert page.composer.text == "Three"


async def test_answers_are_asked_again_cut_short_and_edited(
    make_app: MakeApp, server: ChatServer
) -> None:
    server.script = [
        Reply([chunk("Par"), chunk(finish="length"), usage(9, 1), DONE]),
        said("Paris"),
        said("Lyon"),
        refusal(400, {"error": FULL}),
    ]
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, at(server))
        page = talk(app)
        session(app).sampling = Sampling(temperature=0, max_new_tokens=50)
        await page.show()
        await say(pilot, "Where?")
        await settled(pilot, lambda: "The context is full." in shown(app))
        assert "alt+n begins a new conversation" in shown(app)
        await settled(pilot, lambda: not page.busy)
        await pilot.press("alt+g")
        await settled(pilot, lambda: ("assistant", "Paris") in turns(app) and not page.busy)
        # F5 on a whole answer asks for another
        await pilot.press("f5")
        await settled(pilot, lambda: ("assistant", "Lyon") in turns(app) and not page.busy)
        views = page.transcript.views
        assert views[-1].turn.branch == (3, 3)
        # there is none after the last, and only the ways there are before it
        views[-1].focus()
        await pilot.pause()
        await pilot.press("right")
        await pilot.pause()
        assert turns(app)[-1] == ("assistant", "Lyon")
        await pilot.press("left")
        await settled(pilot, lambda: turns(app)[-1] == ("assistant", "Paris"))
        # an answer that is written by hand is not answered
        await settled(pilot, lambda: page.transcript.chosen is not None)
        await pilot.press("e")
        await settled(pilot, lambda: "Another answer instead" in shown(app))
        page.composer.clear_message()
        await say(pilot, "Marseille")
        await settled(pilot, lambda: turns(app)[-1] == ("assistant", "Marseille"))
        assert not page.busy
        assert len(server.bodies) == 3
        # a prompt that does not fit however much is left out of it is given up
        await say(pilot, "And then?")
        await settled(pilot, lambda: "too long for the server" in shown(app) and not page.busy)
        await pilot.press("alt+d")
        await settled(pilot, lambda: len(server.bodies) == 5 and not page.busy)
        assert "too long for the server" in shown(app)
        assert len(server.bodies[-1]["messages"]) < len(server.bodies[-2]["messages"])
        await pilot.press("alt+d")
        await settled(pilot, lambda: "There is no older turn" in shown(app))
        assert len(server.bodies) == 5


async def test_an_answer_at_the_beginning_answers_nothing(
    make_app: MakeApp, server: ChatServer
) -> None:
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, at(server))
        page, store = talk(app), session(app).store
        number = store.create("From a file", None, Sampling(), "")
        store.add(number, None, "assistant", "Welcome")
        screen(app).post_message(ConversationWanted(number))
        await settled(pilot, lambda: turns(app) == [("assistant", "Welcome")])
        for key in ("alt+g", "alt+c", "f5"):
            await pilot.press(key)
            await pilot.pause()
            assert not page.busy, key
        page.go_on_with(session(app).path()[0], (), 1)
        assert not page.busy
        assert server.bodies == []
        assert screen(app).code() == ""  # no model is loaded, so there is no script


async def test_a_long_conversation_is_drawn_from_its_end_and_its_beginning_on_demand(
    make_app: MakeApp, server: ChatServer
) -> None:
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, at(server))
        page, store = talk(app), session(app).store
        number, parent = store.create("Long", None, Sampling(), ""), None
        for turn in range(70):
            role = "user" if turn % 2 == 0 else "assistant"
            parent = store.add(number, parent, role, f"turn {turn}")
        screen(app).post_message(ConversationWanted(number))
        await settled(pilot, lambda: len(turns(app)) == 30, "the last turns")
        assert turns(app)[0] == ("user", "turn 40")
        assert "40 earlier turns" in "".join(str(each.render()) for each in page.query(".earlier"))
        for count, first in ((60, "turn 10"), (70, "turn 0")):
            page.transcript.views[0].focus()
            await pilot.pause()
            await pilot.press("up")
            await settled(pilot, lambda: len(turns(app)) == count)  # noqa: B023
            assert turns(app)[0][1] == first
            chosen = page.transcript.chosen
            assert chosen is not None
            assert chosen.turn.content == f"turn {70 - count + (30 if count == 60 else 10) - 1}"
        assert not page.query(".earlier")
        await pilot.press("end")
        await settled(pilot, lambda: page.transcript.chosen is page.transcript.views[-1])
        await pilot.press("down")
        await settled(pilot, lambda: page.composer.has_focus)
        assert isinstance(page.transcript.views[-1], TurnView)


async def test_windows_that_are_closed_change_nothing(
    make_app: MakeApp, server: ChatServer
) -> None:
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, at(server))
        before = session(app).spec
        for key in ("f6", "f7"):
            await pilot.press(key)
            await settled(pilot, lambda: app.screen is not screen(app), key)
            await pilot.press("escape")
            await settled(pilot, lambda: app.screen is screen(app), key)
            assert session(app).spec == before
        # the sampling is hidden and shown again; a key in it goes back to the message
        await pilot.press("alt+s")
        await settled(pilot, lambda: screen(app).has_class("-no-settings"))
        await settled(pilot, lambda: talk(app).composer.has_focus)
        assert not screen(app).leave()
        await pilot.press("alt+s")
        await settled(pilot, lambda: app.screen.query_one("#sampling-temperature").has_focus)
        assert screen(app).leave()
        await settled(pilot, lambda: talk(app).composer.has_focus)
        session(app).spec = LlmSpec(ref="tiny", adapter="/runs/my-lora")
        screen(app).show_subject()
        await settled(pilot, lambda: "+ my-lora" in shown(app))
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one("#picker-name", Input).value = "nobody/knows-this"
        await pilot.press("enter")
        await settled(pilot, lambda: session(app).spec.ref == "nobody/knows-this")
        await settled(pilot, lambda: "nobody/knows-this" in talk(app).notice.message)


async def test_nobody_is_there_to_answer_side_by_side(
    make_app: MakeApp, server: ChatServer
) -> None:
    go_on = threading.Event()
    app = make_app(mode="chat")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, LlmSpec(ref=""))
        await pilot.press("f4", "f4")
        await settled(pilot, lambda: isinstance(screen(app).page, SidePage))
        page = screen(app).page
        assert isinstance(page, SidePage)
        await settled(pilot, lambda: page.query_one(Composer).has_focus)
        page.query_one(Composer).put("Hello")
        await pilot.press("enter")
        await settled(pilot, lambda: "Nobody is there to answer." in shown(app))
        for key in ("f5", "alt+d", "alt+z", "alt+r"):
            await pilot.press(key)
            await pilot.pause()
        assert page._contestants == []
        await pilot.press("alt+w")
        await settled(pilot, lambda: "There are no answers yet." in shown(app))
        for key in ("alt+a", "ctrl+o"):
            await pilot.press(key)
            await settled(pilot, lambda: app.screen is not screen(app), key)
            await pilot.press("escape")
            await settled(pilot, lambda: app.screen is screen(app), key)
        assert page._contestants == []
        # two of one model: a second press while they answer does nothing
        server.script = [
            Reply([chunk("One"), lambda: go_on.wait(60), chunk(finish="stop"), DONE]),
            refusal(404, {"error": "gone away"}),
        ]
        for temperature in (0.0, 1.0):
            await page._join(at(server), Sampling(temperature=temperature))
        page.query_one(Composer).focus()
        page.query_one(Composer).put("Hello")
        await pilot.press("enter")
        column = page.query(AnswerColumn).first()
        await settled(pilot, lambda: column.said == "One")
        page.query_one(Composer).put("Again")
        await pilot.press("enter")
        await settled(pilot, lambda: "Answers are being written. Esc stops them." in toasts(app))
        for key in ("alt+d", "alt+r", "f5"):
            await pilot.press(key)
            await pilot.pause()
        assert len(page._contestants) == 2
        go_on.set()
        await settled(pilot, lambda: not page.busy and len(page._replies) == 2)
        assert [bool(reply.error) for reply in page._replies] == [False, True]
        assert "gone away" in shown(app)  # it is not cleared by what succeeded
        # a name that is not given writes nothing
        await pilot.press("alt+w")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is screen(app))
        # the process stays for the other one of the same model
        engine = page._contestants[0].engine
        await pilot.press("alt+d")
        await settled(pilot, lambda: len(page._contestants) == 1)
        assert engine.status.phase not in ("off", "dead")
        await pilot.press("alt+d")
        await settled(pilot, lambda: page._contestants == [])
        await settled(pilot, lambda: engine.status.phase == "off")
