"""Keys wait for the one before them: as long as it goes up, and no longer."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from hfterm.widgets import key_order
from hfterm.widgets.key_order import KeysInOrder
from waiting import until


class Between(Vertical):
    """What a key goes up through. `on_key` is what it does then."""

    def __init__(self) -> None:
        super().__init__(Input("old"))
        self.reached, self.gate = asyncio.Event(), asyncio.Event()
        self.goes = False

    async def on_key(self) -> None:
        self.reached.set()
        if self.goes:
            self.remove()
        await self.gate.wait()


class Asking(KeysInOrder):
    """Counts how often it asks after a key, and notes which come up to it."""

    asked = 0

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def on_key(self, event: events.Key) -> None:
        self.heard.append(event.key)

    def compose(self) -> ComposeResult:
        yield Between()

    async def _ask(self, number: int) -> None:
        await super()._ask(number)
        self.asked += 1


async def field_of(app: KeysInOrder) -> Input:
    """The field, with the focus."""
    field = app.query_one(Input)
    field.focus()
    await until(lambda: field.has_focus, "the field")
    return field


def press(app: KeysInOrder, *keys: str) -> None:
    """All of them in one packet."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


async def test_a_character_waits_for_a_key_that_is_slow_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_order, "PATIENCE", 0.01)
    monkeypatch.setattr(key_order, "SLOWEST", 1000)
    app = Asking()
    async with app.run_test():
        between, field = app.query_one(Between), await field_of(app)
        press(app, "ctrl+u", "n", "e", "w")
        await until(lambda: app.asked > 3, "it to be asked after")
        assert between.reached.is_set()
        assert field.value == "old"
        between.gate.set()
        await until(lambda: field.value == "new", "the rest")


async def test_after_a_while_it_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "PATIENCE", 0.01)
    monkeypatch.setattr(key_order, "SLOWEST", 0.05)
    app = Asking()
    async with app.run_test():
        field = await field_of(app)
        press(app, "end", "e", "r")
        await until(lambda: field.value.endswith("er"), "the characters")
        app.query_one(Between).gate.set()


async def test_nothing_waits_for_a_widget_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "PATIENCE", 0.01)
    monkeypatch.setattr(key_order, "SLOWEST", 1000)
    app = Asking()
    async with app.run_test():
        between = app.query_one(Between)
        between.goes = True
        await field_of(app)
        press(app, "f2", "f3")
        await until(between.reached.is_set, "the first")
        between.gate.set()
        await until(lambda: "f3" in app.heard, "the next key")
