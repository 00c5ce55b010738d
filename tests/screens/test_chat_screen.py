"""The Chat screen, by keyboard, with real models in processes of their own."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

import chat_models
from chat_server import ChatServer, Reply, chunk
from hfterm import paths
from hfterm.app import HftermApp
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import LlmSpec, Message, Sampling
from hfterm.screens.chat.history import HistoryPage
from hfterm.screens.chat.lab import LabPage
from hfterm.screens.chat.load_modal import ChatLoadModal
from hfterm.screens.chat.page import ConversationWanted
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.chat.side import SidePage
from hfterm.screens.chat.talk import TalkPage
from hfterm.screens.chat.tokens import TokensPage
from hfterm.screens.engines import CHAT
from hfterm.widgets.answer_column import AnswerColumn
from hfterm.widgets.chat_tables import TokenRows
from hfterm.widgets.composer import Composer
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.lab_chart import LabChart
from hfterm.widgets.lab_table import LabRows
from hfterm.widgets.modals import Prompt
from hfterm.widgets.turn_view import TurnView
from pilot_app import settled, shown
from screen_fixtures import MakeApp

SIZE = (120, 40)
FRANCE = "What is the capital of France?"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return chat_models.llama3(tmp_path / "tiny-llama3")


def screen(app: HftermApp) -> ChatScreen:
    bench = app.workbench
    assert isinstance(bench, ChatScreen)
    return bench


def talk(app: HftermApp) -> TalkPage:
    page = screen(app).talk
    assert page is not None
    return page


async def ready(pilot: Pilot[None], **sampling: object) -> None:
    """The tab is there; answers are greedy unless said otherwise."""
    app = pilot.app
    await settled(pilot, lambda: screen(app).talk is not None and talk(app).composer.has_focus)
    session = screen(app).session
    assert session is not None
    told = {"temperature": 0, "max_new_tokens": 24, **sampling}
    session.sampling = Sampling(**told)  # pyright: ignore[reportArgumentType]
    await talk(app).show()


async def side(pilot: Pilot[None]) -> SidePage:
    """The Side tab, with the model of the conversation in it."""
    await pilot.press("f4", "f4")
    await settled(pilot, lambda: len(pilot.app.screen.query(AnswerColumn)) == 1)
    page = screen(pilot.app).page
    assert isinstance(page, SidePage)
    return page


async def say(pilot: Pilot[None], text: str) -> None:
    talk(pilot.app).composer.put(text)
    await pilot.press("enter")


def turns(app: HftermApp) -> list[TurnView]:
    return talk(app).transcript.views


async def answered(pilot: Pilot[None], count: int) -> str:
    """The text of the answer that makes so many turns, once it is whole."""

    def whole() -> bool:
        views = turns(pilot.app)
        return len(views) == count and not talk(pilot.app).busy and "first" in views[-1].turn.facts

    await settled(pilot, whole, f"{count} turns")
    return turns(pilot.app)[-1].turn.content


async def test_a_conversation_by_keyboard(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await say(pilot, FRANCE)
        assert await answered(pilot, 2) == "The capital of France is Paris."
        assert "The capital of France is Paris." in shown(app)
        assert "tokens/s" in shown(app)
        assert "/8,192 tokens" in shown(app)
        # inside the answer
        await pilot.press("alt+t")
        grid = app.screen.query_one("#tokens-grid", DataGrid)
        await settled(pilot, lambda: grid.has_focus and len(grid.source) == 8)
        assert isinstance(grid.source, TokenRows)
        assert "perplexity" in shown(app)
        await pilot.press("down", "tab", "down", "enter")
        other = await answered(pilot, 2)
        assert other == "The Capital of France is Paris, France."
        assert turns(app)[-1].turn.branch == (2, 2)
        # from one way to the other, and a third
        await pilot.press("up", "left")
        await settled(
            pilot, lambda: turns(app)[-1].turn.content == "The capital of France is Paris."
        )
        await settled(pilot, lambda: isinstance(app.focused, TurnView))
        await pilot.press("g")
        assert await answered(pilot, 2) == "The capital of France is Paris."
        assert turns(app)[-1].turn.branch == (3, 3)
        # another question in the place of the first
        await settled(pilot, lambda: talk(app).composer.has_focus)
        await pilot.press("up", "up", "e")
        await settled(pilot, lambda: talk(app).composer.has_focus)
        assert talk(app).composer.text == FRANCE
        await say(pilot, "What is the capital of Spain?")
        assert "El Salvador" in await answered(pilot, 2)  # it knows no better
        assert turns(app)[0].turn.branch == (2, 2)
        # the script gives the same answer's call
        assert "What is the capital of Spain?" in screen(app).code()
        await pilot.press("alt+p")
        await settled(pilot, lambda: "<|im_start|>assistant" in shown(app))
        await pilot.press("escape", "f4", "alt+p")  # on its tokens too
        await settled(pilot, lambda: "<|im_start|>assistant" in shown(app))
        await pilot.press("escape", "f3")
        # a new one, and back through the history
        await pilot.press("alt+n")
        await settled(pilot, lambda: not turns(app))
        await pilot.press("f4", "f4", "f4", "f4")
        page = app.screen.query_one(HistoryPage)
        found = page.query_one("#history-grid", DataGrid)
        await settled(pilot, lambda: len(found.source) == 1)
        page.query_one("#history-search").focus()
        await pilot.press(*"salv")
        await settled(pilot, lambda: len(found.source) == 1 and "Salvador" in shown(app))
        await pilot.press("enter", "enter")
        await settled(pilot, lambda: len(turns(app)) == 2 and talk(app).composer.has_focus)
        # and the model goes with its process
        pid = screen(app).chat_engine.status.pid
        assert pid is not None
        await pilot.press("alt+u")
        await settled(pilot, lambda: screen(app).chat_engine.status.phase == "off")
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_part_stays_whatever_ends_it(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=400)
        await say(pilot, "Tell me a long story about a fox.")
        page = talk(app)
        await settled(pilot, lambda: page.live.count > 12)
        assert "loaded" in shown(app).splitlines()[0]  # while the first answer comes
        await pilot.press("escape")
        part = await answered(pilot, 2)
        assert turns(app)[-1].turn.facts.endswith("stopped")
        assert part
        await pilot.press("f5")
        await settled(pilot, lambda: page.live.count > 12 and page.busy)
        pid = screen(app).chat_engine.status.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: not page.busy)
        assert "SIGKILL" in shown(app)
        assert "F5 loads the model again and goes on" in shown(app)
        more = turns(app)[-1].turn.content
        assert more.startswith(part)
        assert len(more) > len(part)
        await pilot.press("f5")
        await settled(pilot, lambda: page.busy and page.live.count > 3)
        await pilot.press("escape")
        whole = await answered(pilot, 2)
        assert whole.startswith(more)
        assert len(whole) > len(more)
        # nor is it lost when the model is let go in the middle of it
        await pilot.press("f5")
        await settled(pilot, lambda: page.busy and page.live.count > 3)
        await pilot.press("alt+u")
        await settled(pilot, lambda: not page.busy)
        await settled(pilot, lambda: "What came is kept. F5 loads" in shown(app))
        assert "The model was let go." in shown(app)
        assert "out of memory" not in shown(app)
        assert turns(app)[-1].turn.content.startswith(whole)


async def test_a_full_context_asks_and_drops_only_what_it_is_told_to(
    make_app: MakeApp, tiny: Path
) -> None:
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=4)
        for number in range(2):
            await say(pilot, "word " * 30)
            await answered(pilot, 2 * number + 2)
        await say(pilot, "more " * 30)
        await settled(pilot, lambda: "takes 512" in shown(app))
        assert "alt+d leaves the oldest turns out" in shown(app)
        assert len(turns(app)) == 5
        await pilot.press("alt+d")
        await answered(pilot, 6)
        assert turns(app)[0].turn.facts == "left out of the prompt"


async def test_a_model_without_a_template_goes_on_with_the_text(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(mode="chat", model=str(chat_models.llama3(tmp_path / "plain", None)))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=4)
        assert "no chat template" not in shown(app)
        await say(pilot, "Once upon")  # which also loads it
        await answered(pilot, 2)
        assert "your text is continued, not answered" in shown(app)
        await say(pilot, "and then")
        await answered(pilot, 4)
        assert "Text to go on with (no chat template)" in shown(app)


async def test_what_models_say_harms_nothing(make_app: MakeApp, tiny: Path) -> None:
    store = ConversationStore.open(paths.data_dir() / "conversations.sqlite")
    evil = (
        "\x1b]52;c;ZXZpbA==\x07 \x1b[2J \u202eabc [@click=app.quit]x[/] [/nope] "
        "[link](javascript:alert(1)) https://example.com `code` " + "w" * 10_000
    )
    number = store.create("evil \x1b[31m [b]", LlmSpec(ref=str(tiny)), Sampling(), "")
    parent: int | None = None
    for message in (Message("user", evil), Message("assistant", evil)):
        parent = store.add(number, parent, message.role, message.content)
    store.close()
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4", "f4", "f4", "f4")
        await settled(pilot, lambda: "evil" in shown(app))
        await pilot.press("enter")
        await settled(pilot, lambda: len(turns(app)) == 2)
        await pilot.press("up", "home")
        await settled(pilot, lambda: "␛" in shown(app))
        assert not set(shown(app)) & {"\x1b", "\x07", "\u202e"}
        opened: list[str] = []
        app.open_url = opened.append  # type: ignore[method-assign,assignment]
        for y in range(5, 38, 3):
            await pilot.click(offset=(20, y))
        assert opened == []
        assert app.is_running


async def test_what_is_wrong_is_said_where_it_happened(make_app: MakeApp, tiny: Path) -> None:
    app = make_app(mode="chat", model="nobody/knows-this")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await say(pilot, "Hello")
        await settled(pilot, lambda: bool(talk(app).notice.message) and not talk(app).busy)
        assert "nobody/knows-this" in talk(app).notice.message
        assert len(turns(app)) == 1  # what was written is kept
        session = screen(app).session
        assert session is not None
        session.spec = LlmSpec(ref=str(tiny))
        await pilot.press("f5")
        await answered(pilot, 2)
        form = app.screen.query_one("#sampling-top_p")
        form.focus()
        await pilot.press("home", "2")
        await settled(pilot, lambda: "“top_p”" in shown(app))


async def test_a_paste_of_a_megabyte_is_kept_whole(make_app: MakeApp, tiny: Path) -> None:
    from textual import events

    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        text = "pasted words\n" * 80_000
        app.post_message(events.Paste(text))
        await settled(pilot, lambda: "1,040,000 pasted characters" in shown(app))
        await pilot.press(*"Sum up:", "enter")
        await settled(pilot, lambda: "context takes 512" in shown(app))
        assert turns(app)[0].turn.content == f"Sum up:\n\n{text}"


async def test_two_ways_side_by_side(make_app: MakeApp, tiny: Path, tmp_path: Path) -> None:
    other = chat_models.dbrx(tmp_path / "tiny-dbrx")
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=6)
        await pilot.press("f4", "f4")
        await settled(pilot, lambda: isinstance(screen(app).page, SidePage))
        await settled(pilot, lambda: len(app.screen.query(AnswerColumn)) == 1)
        await pilot.press("alt+a")
        await settled(pilot, lambda: isinstance(app.screen, ChatLoadModal))
        app.screen.query_one("#chat-ref", Input).value = str(other)
        await pilot.press("alt+l")
        await settled(pilot, lambda: len(app.screen.query(AnswerColumn)) == 2)
        await settled(pilot, lambda: app.screen.query_one("#side-composer").has_focus)
        await pilot.press(*"Hello", "enter")
        grid = app.screen.query_one("#side-grid", DataGrid)
        await settled(pilot, lambda: len(grid.source) == 2)
        page = screen(app).page
        assert isinstance(page, SidePage)
        await settled(pilot, lambda: not page.busy)
        rows = [grid.source.values(at) for at in range(2)]
        assert [row[0] for row in rows] == ["tiny-llama3", "tiny-dbrx"]
        assert rows[0][4] == rows[1][4] == 6
        assert rows[0][7] is None
        assert 0 <= rows[1][7] <= 100  # pyright: ignore[reportOperatorIssue]
        # a set of prompts, and what came of it in files
        (tmp_path / "prompts.txt").write_text("One\n\nTwo\n")
        await pilot.press("ctrl+o")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press(*str(tmp_path / "prompts.txt"), "enter")
        await settled(pilot, lambda: not page.busy and len(page._replies) == 4)
        await pilot.press("alt+w")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        target = tmp_path / "answers.md"
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, target.exists)
        written = target.read_text()
        assert [f"## {name}" in written for name in ("One", "Two")] == [True, True]
        exported = page.exported()
        assert exported is not None
        assert len(exported[1]) == 4
        # one alone, all again, one away
        app.screen.query(AnswerColumn).first().focus()
        await pilot.press("z")
        assert [column.display for column in app.screen.query(AnswerColumn)] == [True, False]
        await pilot.press("z")
        assert [column.display for column in app.screen.query(AnswerColumn)] == [True, True]
        await pilot.press("alt+d")
        await settled(pilot, lambda: len(app.screen.query(AnswerColumn)) == 1)
        assert len(grid.source) == 1


async def test_an_answer_on_other_screens(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await say(pilot, FRANCE)
        await answered(pilot, 2)
        for key, mode in (("alt+k", "tokenize"), ("alt+a", "attention")):
            await pilot.press("alt+t")
            await settled(pilot, lambda: isinstance(screen(app).page, TokensPage))
            grid = app.screen.query_one("#tokens-grid", DataGrid)
            await settled(pilot, lambda: grid.has_focus and len(grid.source) == 8)  # noqa: B023
            await pilot.press(key)
            await settled(pilot, lambda: app.current_mode == mode)  # noqa: B023
            # the prompt as the template made it, and the answer
            await settled(pilot, lambda: "209 chars" in shown(app))
            assert "<|im_start|>system" in shown(app)
            await settled(pilot, lambda: "● chat float32 538 MB cpu" in shown(app))
            await pilot.press("alt+6")
            await settled(pilot, lambda: app.current_mode == "chat")
        await pilot.press("alt+1")
        await settled(pilot, lambda: app.current_mode == "tokenize")
        pid = app.chat_engines.get(CHAT).status.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: "● chat" not in shown(app))
        await pilot.press("alt+6")
        await settled(pilot, lambda: "a message loads it" in shown(app).splitlines()[0])


async def test_two_samplings_of_one_model_side_by_side(make_app: MakeApp, tiny: Path) -> None:
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=5)
        page = await side(pilot)

        async def add() -> None:
            await pilot.press("alt+a")
            await settled(pilot, lambda: isinstance(app.screen, ChatLoadModal))
            await pilot.press("alt+l")
            await settled(pilot, lambda: not isinstance(app.screen, ChatLoadModal))

        await add()
        await settled(pilot, lambda: "This one is there already" in shown(app))
        page.session.sampling = Sampling(temperature=0, max_new_tokens=9)
        await add()
        await settled(pilot, lambda: len(app.screen.query(AnswerColumn)) == 2)
        app.screen.query_one("#side-composer").focus()
        await pilot.press(*"Hello", "enter")
        grid = app.screen.query_one("#side-grid", DataGrid)
        await settled(pilot, lambda: len(grid.source) == 2 and not page.busy)
        rows = [grid.source.values(at) for at in range(2)]
        assert [(row[0], row[4]) for row in rows] == [
            ("tiny-llama3", 5), ("tiny-llama3 · max new tokens 9", 9),
        ]  # fmt: skip
        first, second = page._contestants
        assert first.engine is second.engine  # one model in memory, whatever is asked of it
        # the first takes the other's, and is told apart no more
        first.column.focus()
        await pilot.press("alt+r", "f5")
        await settled(
            pilot, lambda: len(grid.source) == 2 and not page.busy and grid.source.values(0)[4] == 9
        )


async def test_a_stopped_answer_side_by_side_keeps_its_part(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, max_new_tokens=400)
        page = await side(pilot)
        page.query_one(Composer).put("Tell me a long story.")
        await pilot.press("enter")
        column = app.screen.query_one(AnswerColumn)
        await settled(pilot, lambda: len(column.said) > 20)
        await pilot.press("escape")
        await settled(pilot, lambda: not page.busy)
        (reply,) = page._replies
        assert reply.answer is not None
        assert reply.answer.stop_reason == "stopped"
        assert column.said == reply.answer.text
        assert "What came is kept" in shown(app)


async def test_the_load_window_measures_and_recommends(make_app: MakeApp, tiny: Path) -> None:
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: isinstance(app.screen, ChatLoadModal))
        window = app.screen
        grid = window.query_one("#chat-ways", DataGrid)
        await settled(pilot, lambda: "fits" in shown(app))
        assert "F5 measures" in shown(app)
        await pilot.press("f5")
        assert isinstance(window, ChatLoadModal)
        await settled(pilot, lambda: window._busy)
        await settled(pilot, lambda: not window._busy, processes=4)
        rates = [grid.source.values(at)[2] for at in range(3)]
        assert all(str(rate).lstrip("★ ") not in ("", "–") for rate in rates)
        assert "was the fastest here" in shown(app)
        best = next(at for at, rate in enumerate(rates) if "★" in str(rate))
        # on some processors layers of this model are too narrow for nf4: said, the others stand
        assert ("nf4 could not be measured" in shown(app)) == (grid.source.values(3)[2] == "–")
        grid.focus()
        await pilot.press("home", *["down"] * best, "enter", "alt+l")
        await settled(pilot, lambda: not isinstance(app.screen, ChatLoadModal))
        spec = screen(app).session
        assert spec is not None
        way = ("float32", "bfloat16", "int8")[best]
        assert (spec.spec.dtype, spec.spec.quantization) in ((way, "none"), ("auto", way))


async def test_the_lab_measures_every_way(make_app: MakeApp, tiny: Path, tmp_path: Path) -> None:
    app = make_app(mode="chat", model=str(tiny))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f4", "f4", "f4")
        await settled(pilot, lambda: isinstance(screen(app).page, LabPage))
        page = screen(app).page
        assert page is not None
        page.query_one("#lab-ways", Input).value = "float32 bfloat16 int8 gguf"
        page.query_one("#lab-tokens", Input).value = "4"
        page.query_one("#lab-tokens", Input).focus()
        await pilot.press("enter")
        grid = page.query_one("#lab-grid", DataGrid)
        await settled(pilot, lambda: len(grid.source) == 4 and not page.busy, processes=4)
        source = grid.source
        assert isinstance(source, LabRows)
        full, half, whole8, gguf = source.results
        assert full.kl is None
        assert half.size < 0.6 * full.size
        assert half.kl is not None
        assert 0 <= half.kl < 0.1
        assert half.agreement is not None
        assert half.agreement > 0.5
        assert whole8.perplexity == pytest.approx(full.perplexity, rel=0.2)
        assert gguf.error  # it is no GGUF file: said in its row, the others stand
        # as bars, on screen and in a file
        bars = page.query_one(LabChart)
        assert "tokens a second" in str(bars.render())
        assert "gguf" not in str(bars.render())
        target = tmp_path / "lab.svg"
        await pilot.press("alt+w")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, target.exists)
        drawn = target.read_text()
        assert [word in drawn for word in ("bfloat16", "perplexity", str(tiny))] == [True] * 3
        await settled(pilot, lambda: f"Wrote {target.name}"[:5] in shown(app))
        # and the load window recommends by it
        speeds = screen(app).session
        assert speeds is not None
        assert {"float32", "bfloat16", "int8"} == set(speeds.measured.of(str(tiny), "auto"))


async def test_another_way_of_loading_takes_the_place_of_the_one_under_way(
    make_app: MakeApp,
) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        session = screen(app).session
        assert session is not None
        screen(app).open_model("smollm2")
        await settled(pilot, lambda: talk(app).loads, "the first load")
        await screen(app)._take(LlmSpec(ref="smollm2", dtype="bfloat16"))
        await settled(pilot, lambda: session.ready and not talk(app).busy, "the second")
        assert session.info is not None
        assert session.info.spec.dtype == "bfloat16"


async def test_escape_goes_from_the_sampling_to_the_message(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("alt+s", "ctrl+u", *"0.3", "escape", *"Hello")
        session = screen(app).session
        assert session is not None
        assert talk(app).composer.text == "Hello"
        assert session.sampling.temperature == 0.3


async def test_a_message_sent_while_the_model_loads_is_sent_when_it_is_loaded(
    make_app: MakeApp, tiny: Path
) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        screen(app).open_model("smollm2")
        await settled(pilot, lambda: talk(app).loads, "the load")
        await say(pilot, "Hi")
        await settled(pilot, lambda: "sent when the model is loaded" in shown(app), "the note")
        screen(app).open_model(str(tiny))  # another takes its place, and the message with it
        await settled(pilot, lambda: "You" in shown(app) and not talk(app).busy, "the answer")
        session = screen(app).session
        assert session is not None
        path = session.path()
        assert [said.role for said in path] == ["user", "assistant"]
        assert path[0].content == "Hi"
        assert not talk(app).composer.text

        screen(app).open_model("smollm2")
        await settled(pilot, lambda: talk(app).loads, "the load")
        await say(pilot, "Again")
        await pilot.press("escape")
        await settled(pilot, lambda: not talk(app).busy, "stopped")
        assert talk(app).composer.text == "Again"
        assert len(session.path()) == 2


async def test_who_types_an_address_talks_to_that_server(make_app: MakeApp) -> None:
    with ChatServer() as server:
        app = make_app(mode="chat", model="smollm2")
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot)
            await pilot.press("f7")
            await settled(pilot, lambda: isinstance(app.screen, ChatLoadModal), "the window")
            engine = app.screen.query_one("#chat-engine", Choice)
            address = app.screen.query_one("#chat-url", Input)
            address.focus()
            await pilot.press(*"x")
            assert engine.value == "server"
            await pilot.press("backspace")
            assert engine.value == "transformers"
            app.screen.query_one("#chat-ref", Input).value = "tiny"
            await pilot.press(*server.url, "alt+l")
            await settled(pilot, lambda: not isinstance(app.screen, ChatLoadModal), "closed")
            await say(pilot, "Hi")
            await settled(pilot, lambda: "Hello there" in shown(app), "the answer")


async def test_a_long_answer_says_how_far_it_is_when_its_head_is_out_of_sight(
    make_app: MakeApp,
) -> None:
    more, end = threading.Event(), threading.Event()
    lines = [chunk(f"- line {number}\n") for number in range(80)]
    reply = Reply(
        [*lines, lambda: more.wait(30), chunk("- last\n"), lambda: end.wait(30)], cut=True
    )
    with ChatServer(script=[reply]) as server:
        app = make_app(mode="chat", model="tiny")
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot)
            session = screen(app).session
            assert session is not None
            session.spec = LlmSpec(ref="tiny", engine="server", url=server.url)
            await say(pilot, "Count")
            await settled(pilot, lambda: "line 79" in shown(app), "the lines")
            more.set()
            await settled(pilot, lambda: "Message · 81 tokens" in shown(app), "how far")
            view = app.screen.query(TurnView).last()
            assert not view.head_in_sight
            free = view.size.height - view._body.size.height - 1
            assert free > 0  # room for what comes next, so that not every line scrolls
            end.set()
            await settled(pilot, lambda: "The answer was cut" in shown(app), "the end")
            assert "F5 goes on with it, alt+g asks anew" in shown(app)
            assert "· Enter sends" in shown(app)
            await settled(pilot, lambda: view.size.height == view._body.size.height + 1, "no room")


async def test_an_edit_that_was_begun_is_left_with_its_conversation(make_app: MakeApp) -> None:
    file = paths.data_dir() / "conversations.sqlite"
    file.parent.mkdir(parents=True)
    with closing(ConversationStore.open(file)) as kept:
        spec = LlmSpec(ref="smollm2")
        first, second = (kept.create(name, spec, Sampling(), "") for name in ("one", "two"))
        kept.add(first, None, "user", "about cats")
        kept.add(second, None, "user", "about dogs")
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        screen(app).post_message(ConversationWanted(first))
        await settled(pilot, lambda: "about cats" in shown(app))
        await pilot.press("alt+m")
        await settled(pilot, lambda: "Another message instead" in shown(app))
        assert talk(app).composer.message == "about cats"
        await pilot.press("escape")  # given up
        await settled(pilot, lambda: "Another message instead" not in shown(app))
        assert not talk(app).composer.message
        await pilot.press("alt+m")
        await settled(pilot, lambda: "Another message instead" in shown(app))
        screen(app).post_message(ConversationWanted(second))
        await settled(pilot, lambda: "about dogs" in shown(app))
        assert "Another message instead" not in shown(app)
        assert talk(app)._editing is None


async def test_a_store_that_is_damaged_is_said_and_outlived(make_app: MakeApp) -> None:
    app = make_app(mode="chat", model="smollm2")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        session = screen(app).session
        assert session is not None
        session.conversation = session.store.create("x", session.spec, Sampling(), "")
        session.store.add(session.conversation, None, "user", "hello")
        file = paths.data_dir() / "conversations.sqlite"
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("UPDATE message SET note = X'FF'")
        screen(app).post_message(ConversationWanted(session.conversation))
        await settled(pilot, lambda: "conversations.sqlite is damaged" in shown(app))
        assert screen(app).place().ref == "smollm2"  # which is asked each second
        await pilot.press("f4")
        await settled(pilot, lambda: isinstance(screen(app).page, TokensPage))
        await settled(pilot, lambda: "conversations.sqlite is damaged" in shown(app))
