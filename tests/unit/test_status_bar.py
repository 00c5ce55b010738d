"""The line under every screen, before it is mounted."""

from __future__ import annotations

from hfterm.engine.client import EngineStatus
from hfterm.system.samples import SystemSample
from hfterm.widgets.status_bar import StatusBar


def test_it_takes_states_before_it_is_mounted() -> None:
    """An engine starts beside the interface: its first state may come before the line is there."""
    bar = StatusBar()
    bar.show_engine(EngineStatus("started"))
    bar.show_engine(EngineStatus("dead", None, "SIGKILL"))
    bar.show_loaded(None)
    bar.show_machine(SystemSample(50.0, 1, 2, []))
