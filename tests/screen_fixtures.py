"""Apps for the pilot: `make_app` with the shared engine, or with a process of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

# Textual reads these when it is imported.
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ.pop("NO_COLOR", None)

import hfterm.app
from hfterm.app import HftermApp
from hfterm.engine.client import EngineStatus
from hfterm.screens.session_keeper import SessionKeeper
from hfterm.screens.start import StartOptions
from hfterm.settings import Settings
from pilot_app import BackgroundEngine, BorrowedEngine


class MakeApp(Protocol):
    """Makes an app that is not running yet."""

    def __call__(
        self,
        model: str | Path = "",
        text: str | None = None,
        *,
        own_engine: bool = False,
        settings: Settings | None = None,
        problems: Sequence[str] = (),
        most: int = 200_000,
        mode: str = "",
        session: Path | None = None,
    ) -> HftermApp: ...


@pytest.fixture
def make_app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """Make the workbench.

    With `own_engine` it starts a process that the test may kill; with the file of a `session` it
    goes on from there, and keeps it.
    """

    def make(
        model: str | Path = "",
        text: str | None = None,
        *,
        own_engine: bool = False,
        settings: Settings | None = None,
        problems: Sequence[str] = (),
        most: int = 200_000,
        mode: str = "",
        session: Path | None = None,
    ) -> HftermApp:
        start = StartOptions(str(model), text, live_delay=0.01, max_editor_chars=most)
        keeper = SessionKeeper(session)
        if own_engine:
            return HftermApp(
                settings, start, problems=problems, mode=mode or keeper.mode, session=keeper
            )
        background: BackgroundEngine = request.getfixturevalue("background_engine")

        def borrow(
            _: str = "", on_status: Callable[[EngineStatus], None] | None = None, **__: bool
        ) -> BorrowedEngine:
            assert on_status is not None
            return BorrowedEngine(background, on_status)

        with monkeypatch.context() as patch:
            patch.setattr(hfterm.app, "EngineClient", borrow)
            return HftermApp(
                settings, start, problems=problems, mode=mode or keeper.mode, session=keeper
            )

    return make
