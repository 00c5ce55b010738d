"""Commands in this process, their work done by the engine that all tests share.

A command starts an engine of its own, which takes seconds to import the libraries; each file of
tests runs some commands as a process too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hfterm.cli import app
from pilot_app import BackgroundEngine, BorrowedEngine


@pytest.fixture
def shared_engine(background_engine: BackgroundEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command's engine is the one of all tests."""

    def borrow(_name: str, *, warm: bool = True) -> BorrowedEngine:
        return BorrowedEngine(background_engine, lambda _: None)

    monkeypatch.setattr("hfterm.engine.client.EngineClient", borrow)


def hfterm_here(*arguments: str | Path, typed: str = "") -> Result:
    """Run a command; what is no error of its own is the test's."""
    told = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, told, input=typed, catch_exceptions=False)
