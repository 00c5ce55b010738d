"""The Attention screen under the pilot."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Static

from hfterm.app import HftermApp
from hfterm.screens.attention.desk import AttentionDesk
from hfterm.screens.attention.screen import AttentionScreen
from hfterm.screens.attention.sight import Sight
from pilot_app import settled


def screen(app: HftermApp) -> AttentionScreen:
    bench = app.workbench
    assert isinstance(bench, AttentionScreen)
    return bench


def desk(app: HftermApp) -> AttentionDesk:
    return screen(app).query_one(AttentionDesk)


def sight(app: HftermApp) -> Sight:
    found = screen(app).sight
    assert found is not None
    return found


def said(app: HftermApp, name: str) -> str:
    return str(screen(app).query_one(f"#{name}", Static).content)


async def laid(pilot: Pilot[None]) -> None:
    app = pilot.app
    await settled(pilot, lambda: desk(app).page is not None, "the tabs")


async def idle(pilot: Pilot[None]) -> None:
    """Nothing is under way."""
    app = pilot.app
    await settled(pilot, lambda: not desk(app).working and not _loading(app), "rest")


def _loading(app: HftermApp) -> bool:
    return any(w.group.startswith("page-") and w.is_running for w in app.workers)
