"""What is huge, damaged or stopped in the middle holds nothing up, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import math

import pytest
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Input, Label, Markdown, Static, TextArea

from hfterm import paths
from hfterm.engine.attention_requests import RankAttention, ReadLens, ViewHidden
from hfterm.screens.attention.sight import AttentionPage
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.text import elide_start
from hfterm.training.store import Run
from hfterm.widgets.changed_only import ChangedOnly, _Written
from hfterm.widgets.fields import Choice
from hfterm.widgets.modals import COLORED, CodeModal
from hfterm.widgets.numbers import typed_whole
from hfterm.widgets.palettes import Palettes
from hfterm.widgets.training_words import duration, moment
from hfterm.widgets.transcript import LAST, Transcript
from hfterm.widgets.turn_view import Turn, TurnView
from pilot_app import at_a_map, ready, settled, shown, tab
from screen_fixtures import MakeApp, make_app
from waiting import until

_ = make_app  # a fixture
SIZE = (120, 40)
DIGITS = "9" * 5000


def test_a_long_name_is_elided_without_measuring_it_again_and_again() -> None:
    assert elide_start("語" * 100_000 + "/end", 11) == "…語語語/end"


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (" 1,000 ", 1000), ("1_000", 1000), ("0", 0), ("", None), ("-1", None),
     ("2,3", None), ("1,,2", None), ("1_0", None), (str(2**63 - 1), 2**63 - 1),
     ("1.5", None), ("²", None), (DIGITS, None)],
)  # fmt: skip
def test_a_whole_number_is_one_of_some_digits(text: str, number: int | None) -> None:
    assert typed_whole(text) == number


@pytest.mark.parametrize("when", [1e20, -1e20, math.inf, math.nan])
def test_a_damaged_time_is_none(when: float) -> None:
    assert moment(when) == "–"


def test_an_endless_time_is_none() -> None:
    assert duration(math.inf) == "–"


async def test_too_many_digits_are_said_to_be_no_number(make_app: MakeApp) -> None:
    app = make_app(mode="models", model="minilm")
    async with app.run_test(size=SIZE) as pilot:
        # an answer that comes later takes the place of what is said
        await settled(pilot, lambda: "AutoModel → BertModel" in shown(app), "the classes")
        field = app.screen.query_one("#classes-labels", Input)
        field.value = DIGITS
        field.focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "which is no number" in shown(app), "the message")
        assert "…" in shown(app)


async def test_a_long_script_is_shown_without_colours() -> None:
    app = Palettes()
    async with app.run_test(size=SIZE) as pilot:
        for code, coloured in (("x = 1\n" * 10, True), ("x = 1\n" * COLORED, False)):
            app.push_screen(CodeModal(code, "script.py"))
            await until(lambda: app.screen.query(Static), "the window")
            content = app.screen.query_one(Static).content
            assert str(content).startswith("x = 1\nx = 1\n")
            assert bool(getattr(content, "spans", ())) == coloured
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, CodeModal), "its end")


class Held(ChangedOnly, Palettes):
    """Two screens; an editor on one of them."""

    MODES = {"one": "first", "two": "second"}  # noqa: RUF012
    DEFAULT_MODE = "one"

    class First(Screen[None]):
        def compose(self) -> ComposeResult:
            yield TextArea("a text")

    class Second(Screen[None]):
        def compose(self) -> ComposeResult:
            yield Input("here")
            yield Label("there")

    SCREENS = {"first": First, "second": Second}  # noqa: RUF012


async def test_what_is_out_of_sight_does_not_hold_the_mouse() -> None:
    app = Held()
    async with app.run_test() as pilot:
        editor = app.screen.query_one(TextArea)
        app.capture_mouse(editor)  # a press whose release came before it
        await app.switch_mode("two")
        field = app.screen.query_one(Input)
        field.focus()
        await pilot.pause()
        there = app.screen.query_one(Label).region
        for kind in (events.MouseDown, events.MouseUp):
            app.post_message(kind(None, there.x, there.y, 0, 0, 1, False, False, False))
        heard: list[bool] = []
        app.call_later(heard.append, True)
        await until(lambda: heard, "the click")
        await pilot.pause()
        assert app.mouse_captured is None
        assert app.focused is field


async def test_a_terminal_that_is_as_large_as_before_again_is_drawn_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Held()
    async with app.run_test() as pilot:
        await pilot.pause()
        app._written = written = _Written()
        written.is_new(0, 0, 4, "what stood there")
        size, drawn = app.screen.size, list[str]()
        monkeypatch.setattr(app.screen, "refresh", lambda **_: drawn.append("anew"))
        app.post_message(events.Resize(Size(size.width - 10, size.height), size))
        app.post_message(events.Resize(size, size))
        await until(lambda: drawn, "all to be drawn")
        assert not written._lines


async def test_a_run_that_cant_be_shown_ends_no_watching(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: WorkbenchScreen, runs: list[Run]) -> None:
        raise OverflowError("a time of the far future")

    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        monkeypatch.setattr(WorkbenchScreen, "runs_changed", fails)
        app._runs_changed([], [])
        await settled(pilot, lambda: "far future" in shown(app), "it to be said")
    file = paths.logs_dir() / "faults.log"
    assert "OverflowError" in file.read_text("utf-8")
    file.unlink()


@pytest.mark.parametrize(
    ("model", "title", "kind", "answer"),
    [("minilm", "Ranking", RankAttention, "the 200 strongest"),
     ("smollm2", "Lens", ReadLens, "layer 30: "),
     ("minilm", "Hidden", ViewHidden, "0 ~ 0: +1.000")],
)  # fmt: skip
async def test_what_was_stopped_is_asked_for_again(
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    title: str,
    kind: type[object],
    answer: str,
) -> None:
    app = make_app(mode="attention", model=model)
    async with app.run_test(size=SIZE) as pilot:
        desk = await at_a_map(pilot)
        asked, ask = list[object](), AttentionPage.ask

        async def stopped_at_first(self: AttentionPage, request: object, **how: bool) -> object:
            if isinstance(request, kind):
                asked.append(request)
            if len(asked) == 1:
                raise asyncio.CancelledError
            return await ask(self, request, **how)  # pyright: ignore[reportArgumentType, reportUnknownVariableType]

        monkeypatch.setattr(AttentionPage, "ask", stopped_at_first)
        await tab(pilot, title)
        if title == "Hidden":  # its first view needs nothing of the engine
            app.screen.query_one("#hidden-view", Choice).focus()
            await pilot.press("right")
        await settled(pilot, lambda: asked, "the first request")
        page = desk.page
        assert page is not None
        await settled(pilot, lambda: not page.busy, "its end")
        sight = desk.sight
        assert sight is not None
        page.refresh_page(sight, sight)
        await settled(pilot, lambda: answer in shown(app), "the answer")
        assert len(asked) == 2


async def test_a_transcript_draws_only_what_is_not_there_yet() -> None:
    def turn(number: int, content: str = "", facts: str = "") -> Turn:
        role = "user" if number % 2 else "assistant"
        return Turn(number, role, content or f"text {number}", facts)

    app = Palettes()
    async with app.run_test(size=SIZE) as pilot:
        transcript = Transcript(Content("nothing yet"))
        await app.mount(transcript)
        await transcript.show([])
        assert "nothing yet" in str(transcript.query_one(Static).content)

        async def drawn(*turns: Turn) -> list[TurnView]:
            await transcript.show(turns)
            assert [view.turn for view in transcript.views] == list(turns[-LAST:])
            await pilot.pause()
            for view in transcript.views:
                body = view._body
                text = body.source if isinstance(body, Markdown) else str(body.content)
                assert text == view.turn.content
                assert view.turn.facts in str(view._head.content)
            told = [child for child in transcript.children if child.has_class("earlier")]
            assert len(told) == (len(turns) > LAST)
            return transcript.views

        two = await drawn(turn(1), turn(2))
        four = await drawn(turn(1), turn(2, facts="3 tokens/s"), turn(3), turn(4))
        assert four[:2] == two
        other_way = await drawn(turn(1), turn(2), turn(5))
        assert other_way[:2] == two
        edited = await drawn(turn(1), turn(2, "another text"), turn(5))
        assert edited[0] is two[0]
        assert edited[1] is not two[1]
        assert (await drawn(turn(7), turn(8)))[0] not in edited
        many = [turn(number) for number in range(1, 36)]
        last = await drawn(*many)
        one_more = await drawn(*many, turn(36))
        assert one_more[:-1] == last[1:]
        one_more[0].focus()
        await pilot.pause()
        await transcript.action_go(-1)
        assert [view.turn.id for view in transcript.views] == list(range(1, 37))
        assert transcript.views[-LAST:] == one_more
        assert not transcript.query(".earlier")
        await pilot.pause()
        assert transcript.chosen is transcript.views[5]


async def test_a_transcript_that_is_drawn_anew_in_the_middle_of_it_is_whole() -> None:
    turns = [Turn(number, "user", f"text {number}") for number in range(1, 5)]
    app = Palettes()
    async with app.run_test(size=SIZE):
        transcript = Transcript(Content("nothing yet"))
        await app.mount(transcript)
        for loop_turns in range(1, 9):
            await transcript.show(turns)
            worker = app.run_worker(transcript.show(turns[:3]), exit_on_error=False)
            for _ in range(loop_turns):
                await asyncio.sleep(0)
            worker.cancel()
            await transcript.show(turns)
            for _ in range(50):  # what is going is gone by then
                await asyncio.sleep(0)
            assert len(transcript.children) == 4
            assert [view.turn.id for view in transcript.views] == [1, 2, 3, 4]


async def test_an_answer_that_is_over_stays_when_earlier_turns_come_in_sight() -> None:
    many = [Turn(number, "user", f"text {number}") for number in range(1, 36)]
    app = Palettes()
    async with app.run_test(size=SIZE) as pilot:
        transcript = Transcript(Content("nothing yet"))
        await app.mount(transcript)
        await transcript.show(many)
        view = await transcript.add(Turn(36, "assistant", "", "is being written"))
        await view.add("An answer.")
        await transcript.settle(view, Turn(36, "assistant", "An answer.", "2 tokens"))
        transcript.views[0].focus()
        await pilot.pause()
        await transcript.action_go(-1)
        assert transcript.views[-1] is view
        assert view.turn.content == "An answer."
