"""What the soak found, each by itself."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from weakref import WeakSet

import pytest
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.css.query import NoMatches
from textual.drivers import linux_driver
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Footer, Input, Label, OptionList
from textual.widgets._footer import FooterKey
from textual.worker import WorkerState

from hfterm import paths
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import KnownModel
from hfterm.errors import HftermError
from hfterm.widgets.any_byte import let_any_byte_through
from hfterm.widgets.key_order import KeysInOrder
from hfterm.widgets.modals import Modal, ModelPicker
from hfterm.widgets.own_faults import OFTEN
from hfterm.widgets.palettes import Palettes
from hfterm.widgets.tab_page import TabPage
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from pty_terminal import PtyTerminal
from waiting import until

Start = Callable[..., PtyTerminal]


def test_bytes_that_are_no_utf_8_are_typed_as_such(start: Start) -> None:
    assert hasattr(linux_driver, "getincrementaldecoder"), "Textual moved its decoder"
    let_any_byte_through()
    terminal = start("--text", "")
    terminal.wait_for(r"\[SEP\]")
    terminal.send(b"caf\xe9 \xff\xfe na")
    terminal.send("ïve".encode()[:1])  # a character that comes in two packets
    terminal.send("ïve".encode()[1:])
    terminal.wait_for("caf\ufffd \ufffd\ufffd naïve")


def page_of(id_: str) -> TabPage:
    return TabPage(EngineClient("none"), id=id_)


async def test_a_key_for_the_next_tab_may_come_before_the_tabs() -> None:
    pages = TabbedPages[TabPage]([TabEntry(name, page_of) for name in ("One", "Two", "Three")])
    pages.step(1)
    pages.step(1)
    pages.step(-1)
    app: App[None] = App()
    async with app.run_test():
        await app.mount(pages)
        await until(lambda: pages.page is not None, "a page")
        assert pages.page is not None
        assert pages.page.id == "page-Two"
        pages.step(-1)
        await until(lambda: pages.page is not None and pages.page.id == "page-One", "the other")


# -- windows -----------------------------------------------------------------------------------


class Window(Modal[str]):
    def compose(self) -> ComposeResult:
        yield Label("a window")


class TwoModes(Palettes):
    MODES = {"one": Screen, "two": Screen}  # noqa: RUF012
    DEFAULT_MODE = "one"


async def test_a_window_that_closes_twice_closes_once() -> None:
    app = TwoModes()
    async with app.run_test() as pilot:
        lower, upper = Window(), Window()
        await app.push_screen(lower)
        await app.push_screen(upper)
        upper.dismiss("x")
        upper.dismiss("y")
        await pilot.pause()
        assert app.screen is lower
        lower.dismiss("x")
        lower.dismiss("y")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_a_window_of_another_screen_closes_itself() -> None:
    app = TwoModes()
    heard: list[str | None] = []
    async with app.run_test() as pilot:
        here = Window()
        await app.push_screen(here, heard.append)
        await app.switch_mode("two")
        there = Window()
        await app.push_screen(there)
        here.dismiss("done")
        await until(lambda: heard and not here.is_attached, "the window to be gone")
        assert app.screen is there
        assert heard == ["done"]
        await app.switch_mode("one")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_a_window_under_another_closes_itself() -> None:
    app = TwoModes()
    heard: list[str | None] = []
    async with app.run_test():
        lower, upper = Window(), Window()
        await app.push_screen(lower, heard.append)
        await app.push_screen(upper, heard.append)
        lower.dismiss("lower")
        await until(lambda: heard == ["lower"] and not lower.is_attached, "the window to be gone")
        assert app.screen is upper
        upper.dismiss("upper")
        await until(lambda: heard == ["lower", "upper"], "the other's answer")
        assert len(app.screen_stack) == 1


class Restless(Label):
    """Looks for what is not there: when it is told to, and when its work is cancelled."""

    at_work = False

    def look(self) -> None:
        self.query_one(Modal)

    async def work(self) -> None:
        self.at_work = True
        try:
            await asyncio.Event().wait()
        finally:
            self.look()


async def test_a_fault_of_what_is_removed_ends_nothing() -> None:
    app = TwoModes()
    async with app.run_test() as pilot:
        worked, told = Restless(), Restless()
        await app.mount(worked, told)
        work = worked.run_worker(worked.work())
        await until(lambda: worked.at_work, "the work to begin")
        told.call_later(told.look)
        told.remove()
        worked.remove()
        await until(lambda: work.is_finished, "the work to fail")
        assert work.state is WorkerState.ERROR
        await pilot.pause()
        assert app.return_code is None


async def test_a_click_on_what_was_removed_is_none() -> None:
    app = TwoModes()
    async with app.run_test() as pilot:
        gone = Restless("x" * 20)
        await app.mount(gone)
        await pilot.pause()
        assert app.get_widget_at(1, 0)[0] is gone
        with app.batch_update():  # it is drawn for a moment longer
            await gone.remove()
            assert app.get_widget_at(1, 0)[0] is gone
            down = events.MouseDown(None, 1, 0, 0, 0, 1, False, False, False, 1, 0)
            await app.on_event(down)
        await pilot.click()
        assert app.return_code is None


async def test_keys_of_the_footer_are_let_go() -> None:
    class WithFooter(KeysInOrder):
        BINDINGS = [("f12", "none", "None")]  # noqa: RUF012

        def compose(self) -> ComposeResult:
            yield Footer(compact=True, show_command_palette=False)

    app = WithFooter()
    kept: WeakSet[FooterKey] = WeakSet()
    async with app.run_test() as pilot:
        for _ in range(10):
            app.query_one(Footer).refresh(recompose=True)
            await pilot.pause()
            kept.update(app.query(FooterKey))
            never_mounted = FooterKey("x", "x", "x", "x")
            kept.add(never_mounted)
            never_mounted.watch(app.query_one(Footer), "compact", never_mounted.refresh, init=False)
            del never_mounted
        app.query_one(Footer).refresh(recompose=True)
        await pilot.pause()
        shown = len(app.query(FooterKey))
        assert shown
        kept.update(app.query(FooterKey))
        gc.collect()
        assert shown <= len(kept) <= 2 * shown
        app.query_one(Footer).compact = False  # and those that are shown still watch
        assert not any(key.compact for key in app.query(FooterKey))


async def test_what_an_action_says_in_words_is_shown() -> None:
    class Full(KeysInOrder):
        BINDINGS = [("f12", "fill", "Fill")]  # noqa: RUF012

        def action_fill(self) -> None:
            raise HftermError("no-space", "The [disk] is full.", "Free some room.")

    app = Full()
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("f12")
        await until(lambda: app._notifications, "a notice")
        assert [one.message for one in app._notifications] == [
            "The [disk] is full. Free some room."
        ]
        assert app.return_code is None


async def test_sizes_that_follow_each_other_are_not_taken_in_turns_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lay_out, sizes = Screen._refresh_layout, list[Size | None]()

    def counted(self: Screen[object], size: Size | None = None, scroll: bool = False) -> None:
        sizes.append(size)
        assert len(sizes) < 50, f"still laid out anew: {sizes}"
        lay_out(self, size, scroll)

    app = TwoModes()
    async with app.run_test() as pilot:
        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        with app.batch_update():  # as while another screen comes in sight
            for size in (Size(100, 30), Size(120, 40)):
                app._size = size
                app.screen.post_message(events.Resize(size, size))
                app.screen.call_later(lambda: None)
            heard: list[bool] = []
            app.screen.call_later(heard.append, True)
            await until(lambda: heard, "the screen to hear what comes after")
        await pilot.pause()
        assert app.screen.size == Size(120, 40)


async def test_a_palette_may_be_open_on_each_screen() -> None:
    app = TwoModes()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p", "ctrl+p")
        assert [isinstance(screen, CommandPalette) for screen in app.screen_stack] == [False, True]
        await app.switch_mode("two")
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, CommandPalette), "another")
        await pilot.press("escape")
        await until(lambda: len(app.screen_stack) == 1, "it closes")
        await app.switch_mode("one")
        assert isinstance(app.screen, CommandPalette)


async def test_enter_in_the_palette_runs_nothing_that_was_not_asked_for() -> None:
    class Slow(Provider):
        """Finds a thing for each letter that is typed, but nothing for all of them."""

        async def search(self, query: str) -> Hits:
            await asyncio.sleep(0.05)
            if query in ("n", "no"):
                yield Hit(1, query, partial(ran.append, query))
            if query == "yes":
                yield Hit(1, query, partial(ran.append, query))

        async def discover(self) -> Hits:
            yield DiscoveryHit("first", partial(ran.append, "first"))

    class Searched(TwoModes):
        COMMANDS = {Slow}  # noqa: RUF012

    ran: list[str] = []
    app = Searched()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p")
        await until(lambda: app.screen.query_one(CommandList).option_count, "the list")
        for key in (*"none", "enter"):  # in one packet
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: app.screen.query_one(Input).value == "none", "what is typed")
        await until(lambda: not app._held and not app._climbing, "Enter to act")
        await pilot.pause()
        assert ran == []
        assert isinstance(app.screen, CommandPalette), "and it waits for another word"
        app.screen.query_one(Input).value = ""
        for key in (*"yes", "enter"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: ran, "what was asked for")
        assert ran == ["yes"]


async def test_a_key_waits_for_the_window_it_is_for() -> None:
    app = TwoModes()
    async with app.run_test():
        picker = ModelPicker([KnownModel("minilm", "here", ""), KnownModel("bert", "here", "")], "")
        app.push_screen(picker)
        assert not picker.is_mounted
        app.post_message(events.Key("down", None))
        await until(lambda: picker.is_mounted, "the window")
        await until(lambda: picker.query_one(OptionList).highlighted == 1, "the second")


# -- faults --------------------------------------------------------------------------------------


class Faulty(KeysInOrder):
    BINDINGS = [("f12", "fail", "Fail")]  # noqa: RUF012

    def action_fail(self) -> None:
        raise KeyError("[b]0[/b]")


def faults_written() -> str:
    """What was written down of them; it is no news to the test any more."""
    file = paths.logs_dir() / "faults.log"
    written = file.read_text("utf-8")
    file.unlink()
    return written


async def test_a_fault_of_a_key_is_said_written_down_and_outlived() -> None:
    app = Faulty()
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("f12")
        await until(lambda: app._notifications, "a notice")
        (said,) = app._notifications
        assert (said.title, said.message) == ("A fault in hfterm", "KeyError: '[b]0[/b]'")
        assert app.return_code is None
    assert "in action_fail" in faults_written()


@pytest.mark.parametrize("how", ["message", "after a refresh"])
async def test_what_waits_for_something_that_is_cancelled_goes_on(how: str) -> None:
    async def waits() -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    app = TwoModes()
    async with app.run_test(notifications=True):
        here = Restless()
        await app.mount(here)
        (here.call_later if how == "message" else here.call_after_refresh)(waits)
        await until(lambda: app._notifications, "a notice")
        heard: list[str] = []
        here.call_later(heard.append, "the widget")
        app.call_after_refresh(heard.append, "the screen")
        app.call_later(heard.append, "the application")
        await until(lambda: len(heard) == 3, "everybody to hear")
        assert app.return_code is None
    assert "in waits" in faults_written()


@pytest.mark.parametrize("how", ["message", "callback", "timer"])
async def test_a_fault_in_what_a_widget_does_is_said_and_outlived(how: str) -> None:
    app = TwoModes()
    async with app.run_test(notifications=True) as pilot:
        here = Restless()
        await app.mount(here)
        ways: dict[str, Callable[[Callable[[], None]], object]] = {
            "message": here.call_later,
            "callback": here.call_next,
            "timer": lambda look: here.set_timer(0.01, look),
        }
        ways[how](here.look)
        await until(lambda: app._notifications, "a notice")
        assert app.return_code is None
        heard: list[str] = []
        here.call_later(heard.append, "it still hears")
        await until(lambda: heard, "the next message")
        await pilot.pause()
    assert "NoMatches" in faults_written()


async def test_a_fault_after_a_refresh_keeps_nobody_else_from_it() -> None:
    app = TwoModes()
    async with app.run_test():
        here, other = Restless(), Restless()
        await app.mount(here, other)
        heard: list[str] = []
        here.call_after_refresh(here.look)
        other.call_after_refresh(heard.append, "the other")
        await until(lambda: heard, "the other's turn")
        assert app.return_code is None
    assert "NoMatches" in faults_written()


class Unsure(Faulty):
    """Asks whether a key may act, and fails."""

    BINDINGS = [  # noqa: RUF012
        Binding("f11", "unsure", priority=True),
        ("f10", "note", "x"),
    ]
    noted = 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "unsure":
            self.query_one(Modal)
        return super().check_action(action, parameters)

    def action_note(self) -> None:
        self.noted += 1


async def test_a_fault_of_one_key_holds_up_no_other() -> None:
    app = Unsure()
    async with app.run_test():
        for key in ("f10", "f11", "f12", "f10", "f11", "f10"):  # in one packet
            app.post_message(events.Key(key, None))
        await until(lambda: app.noted == 3, "every key to act")
        await until(lambda: not app._held and not app._climbing, "no key to be waited for")
        app.post_message(events.Key("f10", None))
        await until(lambda: app.noted == 4, "and the next")
    assert faults_written()


async def test_a_fault_that_comes_again_and_again_ends_it() -> None:
    app = TwoModes()
    with pytest.raises(NoMatches):
        async with app.run_test() as pilot:
            here = Restless()
            await app.mount(here)
            for _ in range(OFTEN):
                here.call_later(here.look)
            await pilot.pause()
    assert faults_written().count("Traceback") == OFTEN


class Halfway(Label):
    """Can't be made."""

    def on_mount(self) -> None:
        self.query_one(Modal)


async def test_a_fault_that_ends_hfterm_is_said_in_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    app = TwoModes()
    with pytest.raises(NoMatches):
        async with app.run_test():
            await app.mount(Halfway())
    app._print_error_renderables()
    said = capfd.readouterr().err
    assert said.startswith("hfterm ended by a fault of its own: NoMatches: No nodes match")
    assert "Traceback" not in said
    assert "NoMatches" in faults_written()


async def test_a_click_on_a_line_that_is_none_any_more_is_none() -> None:
    class Lists(Palettes):
        def compose(self) -> ComposeResult:
            yield OptionList("one", "two", "three")

    app = Lists()
    async with app.run_test() as pilot:
        options = app.query_one(OptionList)
        click = events.Click(options, 1, 1, 0, 0, 1, False, False, False,
                             style=Style(meta={"option": 2}))  # fmt: skip
        options.clear_options().add_option("other")
        options.post_message(click)
        await pilot.pause()
        assert options.highlighted is None
        await pilot.click(options, offset=(3, 1))
        assert options.highlighted == 0


async def test_a_list_without_lines_has_no_next_page() -> None:
    class Narrow(Palettes):
        CSS = "OptionList { width: 0; height: 5; }"

        def compose(self) -> ComposeResult:
            yield OptionList("one", "two", "three")

    app = Narrow()
    async with app.run_test() as pilot:
        options = app.query_one(OptionList)
        options.highlighted = 0
        await pilot.press("pagedown", "pageup")
        assert options.highlighted == 0
        options.styles.width = 20
        await pilot.pause()
        await pilot.press("pagedown")
        assert options.highlighted == 2
