"""The Train screen under the pilot."""

from __future__ import annotations

from textual.widgets import Tabs

from hfterm.app import HftermApp
from hfterm.screens.train.page import TrainPage
from hfterm.screens.train.screen import TrainScreen


def screen(app: HftermApp) -> TrainScreen:
    bench = app.workbench
    assert isinstance(bench, TrainScreen)
    return bench


def page(app: HftermApp) -> TrainPage:
    found = screen(app).page
    assert found is not None
    return found


def title(app: HftermApp) -> str:
    """The tab that is open."""
    found = app.screen.query_one("#train-pages Tabs", Tabs).active_tab
    return str(found.label) if found is not None else ""
