"""The engine process under the screen: killed, slow, and how the text survives it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

import hfterm.app
from hfterm.engine.protocol import Request
from hfterm.engine.requests import EncodeText
from pilot_app import (
    BackgroundEngine,
    BorrowedEngine,
    notice,
    ready,
    settled,
    shown,
    tokenize_screen,
    tokens,
)
from screen_fixtures import MakeApp


async def test_killed_while_it_encodes(
    make_app: MakeApp, starter_kit: Path, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text("lorem ipsum dolor\n" * 500_000)
    app = make_app(text="the fox", own_engine=True)
    async with app.run_test() as pilot:
        await ready(pilot)
        tokenize_screen(app).open_document(str(file))
        await settled(pilot, lambda: "Esc stops" in shown(app), "progress")
        pid = app.engine.status.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: "engine process ended" in notice(app), "the notice")
        assert "SIGKILL" in notice(app)
        assert "F5" in notice(app)
        assert "engine ended" in shown(app)
        assert tokenize_screen(app).subject.text == "the fox"
        assert not psutil.pid_exists(pid)
        await pilot.press("f5")
        await settled(pilot, lambda: app.engine.status.pid not in (None, pid))
        await ready(pilot)
        await settled(pilot, lambda: not notice(app), "the notice to go")
        assert tokens(app) == ["[CLS]", "the", "fox", "[SEP]"]
        await settled(pilot, lambda: "restarted 1 ×" in shown(app))
        second = app.engine.status.pid
        assert second is not None
        os.kill(second, signal.SIGKILL)
        await settled(pilot, lambda: "engine process ended" in notice(app))
        tokenize_screen(app).query_one("#text").focus()
        await pilot.press("ctrl+end", "x")  # the next request starts it by itself
        await settled(pilot, lambda: tokens(app)[-2] == "##x" or "foxx" in tokens(app))
        last = app.engine.status.pid
        await app.action_quit()
    assert last is not None
    assert not psutil.pid_exists(last)


async def test_no_process_is_left_when_the_app_ends(make_app: MakeApp, starter_kit: Path) -> None:
    app = make_app(own_engine=True)
    async with app.run_test() as pilot:
        await settled(pilot, lambda: tokens(app))
        pid = app.engine.status.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)


class GatedEngine(BorrowedEngine):
    """Holds back the answer about one text until the gate is open."""

    text = "slow"

    def __init__(self, background: BackgroundEngine, on_status: object) -> None:
        super().__init__(background, on_status)
        self.gate = asyncio.Event()
        self.held = 0

    async def call(self, request: Request[object], on_progress: object = None) -> object:
        answer = await super().call(request, on_progress)
        if isinstance(request, EncodeText) and request.text == self.text:
            self.held += 1
            await self.gate.wait()
        return answer


async def test_typing_during_an_answer_loses_nothing(
    make_app: MakeApp, background_engine: BackgroundEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gated(_: str = "", on_status: object = None, **__: bool) -> GatedEngine:
        return GatedEngine(background_engine, on_status)

    monkeypatch.setattr(hfterm.app, "EngineClient", gated)
    app = make_app(text="", own_engine=True)
    engine = app.engine
    assert isinstance(engine, GatedEngine)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press(*"slow")
        await settled(pilot, lambda: engine.held)
        await pilot.press(*"er")
        engine.gate.set()
        await settled(pilot, lambda: tokens(app) == ["[CLS]", "slower", "[SEP]"])
        assert tokenize_screen(app).subject.text == "slower"
        assert tokenize_screen(app).query_one("#text").text == "slower"


async def test_typing_while_a_model_opens_still_opens_it(
    make_app: MakeApp,
    background_engine: BackgroundEngine,
    monkeypatch: pytest.MonkeyPatch,
    zoo: dict[str, Path],
) -> None:
    def gated(_: str = "", on_status: object = None, **__: bool) -> GatedEngine:
        return GatedEngine(background_engine, on_status)

    monkeypatch.setattr(hfterm.app, "EngineClient", gated)
    monkeypatch.setattr(GatedEngine, "text", "fox")
    app = make_app(text="fo", own_engine=True)
    engine = app.engine
    assert isinstance(engine, GatedEngine)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("end", "x")
        await settled(pilot, lambda: engine.held)
        tokenize_screen(app).open_model(str(zoo["characters"]))
        await settled(pilot, lambda: engine.held > 1)
        await pilot.press("y")
        await settled(pilot, lambda: tokens(app) == ["f", "o", "x", "y"])
        engine.gate.set()
        await settled(pilot, lambda: tokenize_screen(app).subject.ref == str(zoo["characters"]))
