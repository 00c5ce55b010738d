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


def test_the_load_does_not_go_to_and_fro() -> None:
    """A finished run on the screen writes nothing, though no machine is ever quite idle."""
    bar = StatusBar()
    line = bar._machine

    def told(cpu: float, used: int) -> str:
        bar.show_machine(SystemSample(cpu, used, 1000 * 10**9, []))
        return str(line.content)

    first = told(3.0, 100 * 10**9)
    assert first == "cpu ▁   0 % · ram ▁  100.0/1000.0 GB"
    assert told(7.0, 105 * 10**9) == first
    assert told(9.0, 105 * 10**9) == "cpu ▁  10 % · ram ▁  100.0/1000.0 GB"
    assert "10 %" in told(4.0, 100)
    assert told(1.0, 300 * 10**9) == "cpu ▁   0 % · ram ▃  300.0/1000.0 GB"
