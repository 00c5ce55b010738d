"""What is made while a window is open does not keep it."""

from __future__ import annotations

import gc
from weakref import ref

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.scrollbar import ScrollBar
from textual.widgets import Static

from hfterm.widgets.key_order import KeysInOrder
from waiting import until


class Window(ModalScreen[None]):
    """Lies over the text."""

    def compose(self) -> ComposeResult:
        yield Static("a window")


class Text(KeysInOrder):
    """More lines than there is room for when the terminal is low."""

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static("\n".join(map(str, range(30))))


async def test_a_scroll_bar_does_not_keep_the_window_over_it() -> None:
    app = Text()
    async with app.run_test(size=(80, 40)) as pilot:
        text = app.query_one(VerticalScroll)
        assert text._vertical_scrollbar is None
        window = Window()
        closed = ref(window)
        await app.push_screen(window)
        await pilot.resize_terminal(80, 10)
        await until(lambda: isinstance(text._vertical_scrollbar, ScrollBar), "a scroll bar")
        window.dismiss()
        del window
        await until(lambda: app.screen.query(VerticalScroll), "the text again")
        await pilot.resize_terminal(80, 12)

        def gone() -> bool:
            gc.collect()
            return closed() is None

        await until(gone, "that the window is gone")
