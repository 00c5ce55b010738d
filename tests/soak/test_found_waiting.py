"""What the soak found: whoever is cancelled while it waits takes nobody along."""

from __future__ import annotations

import asyncio

import pytest
from textual import events, work
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Vertical
from textual.widgets import Static

from hfterm import paths
from hfterm.widgets.modals import Modal
from hfterm.widgets.palettes import Palettes
from waiting import until


class Boxes(Palettes):
    """A box with boxes in it, three deep."""

    unmounted = False

    def compose(self) -> ComposeResult:
        yield Vertical(id="box")

    def on_unmount(self) -> None:
        self.unmounted = True

    @property
    def box(self) -> Vertical:
        return self.query_one("#box", Vertical)

    async def fill(self) -> None:
        for _ in range(3):
            inner = [Vertical(Vertical(Static("x"), Static("y"))) for _ in range(3)]
            await self.box.mount_all(inner)


@pytest.mark.parametrize("turns", range(1, 9))
async def test_who_waits_for_widgets_to_go_may_be_cancelled(turns: int) -> None:
    app = Boxes()
    async with app.run_test() as pilot:
        await app.fill()

        async def empty() -> None:
            await app.box.remove_children()

        worker = app.run_worker(empty(), exit_on_error=False)
        for _ in range(turns):  # of the loop: as far as the removal has come by then
            await asyncio.sleep(0)
        worker.cancel()
        await until(lambda: worker.is_finished, "its end")
        if worker.is_cancelled and app.box.children and not app.box.children[0]._pruning:
            await empty()  # it had not begun
        await until(lambda: not app.box.children, "the widgets to go all the same")
        await app.fill()
        await empty()
        assert not app.box.children
        await pilot.pause()
        assert app.is_running
    assert app.unmounted


async def test_who_waits_for_what_comes_and_goes_may_be_cancelled() -> None:
    app = Boxes()
    async with app.run_test():
        gate = asyncio.Event()
        coming = AwaitComplete(gate.wait())

        async def waits() -> None:
            await coming

        worker = app.run_worker(waits(), exit_on_error=False)
        await until(lambda: worker.is_running, "it to wait")
        await asyncio.sleep(0)
        worker.cancel()
        await until(lambda: worker.is_finished, "its end")
        gate.set()
        await until(lambda: coming.is_done, "what it waited for to go on")
        assert coming.exception is None


async def test_what_follows_has_its_turn_though_what_was_before_it_was_cancelled() -> None:
    async def waits() -> None:
        gone = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    def fails() -> None:
        raise KeyError("one of two")

    app = Boxes()
    async with app.run_test():
        heard = list[str]()
        for callback in (waits, fails):
            app.box.call_next(callback)
        app.box.call_next(heard.append, "the last")
        await until(lambda: heard, "the last to have its turn")
    file = paths.logs_dir() / "faults.log"
    written = file.read_text("utf-8")
    file.unlink()
    assert "in waits" in written
    assert "in fails" in written


async def test_a_window_that_a_key_asks_for_gets_the_next_key() -> None:
    class Asked(Modal[str]):
        BINDINGS = [("enter", "take", "Take")]  # noqa: RUF012

        def action_take(self) -> None:
            self.dismiss("taken")

    class Asking(Boxes):
        BINDINGS = [("d", "ask", "Ask"), ("enter", "other", "Other")]  # noqa: RUF012

        @work(exit_on_error=False)
        async def action_ask(self) -> None:
            answers.append(await self.push_screen_wait(Asked()) or "")

        def action_other(self) -> None:
            answers.append("what is under it")

    answers: list[str] = []
    app = Asking()
    async with app.run_test():
        for key in ("d", "enter"):  # in one packet
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: answers, "an answer")
        assert answers == ["taken"]


async def test_who_asks_in_a_window_does_nothing_that_is_the_applications() -> None:
    app = Boxes()
    async with app.run_test():
        busy, first, done = asyncio.Event(), asyncio.Event(), list[str]()
        app.call_later(busy.wait)
        await asyncio.sleep(0)
        app.call_next(first.wait)
        app.call_next(done.append, "the rest")
        worker = app.run_worker(app.push_screen_wait(Modal[None]()), exit_on_error=False)
        for _ in range(5):
            await asyncio.sleep(0)
        worker.cancel()
        busy.set()
        first.set()
        await until(lambda: done, "the rest to be done")
        assert len(app.screen_stack) == 1
