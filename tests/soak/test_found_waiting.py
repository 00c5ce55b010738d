"""What the soak found: whoever is cancelled while it waits takes nobody along."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

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
