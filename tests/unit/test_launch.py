"""What opens where, before anything is drawn."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hfterm import launch, paths
from hfterm.app import HftermApp
from hfterm.cli import app
from hfterm.errors import HftermError
from run_fixtures import make_run

pytestmark = pytest.mark.usefixtures("starter_kit")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What the workbench was asked for; it does not open."""
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def open_workbench(*given: Any, **named: Any) -> int:
        asked.append((given, named))
        return 0

    monkeypatch.setattr(launch, "open_workbench", open_workbench)
    return asked


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[HftermApp, bool]]]:
    """Each application that would have run on a terminal, and whether it took the mouse."""
    apps: list[tuple[HftermApp, bool]] = []

    def run(self: HftermApp, *, mouse: bool = True) -> None:
        apps.append((self, mouse))

    monkeypatch.setattr(HftermApp, "run", run)
    monkeypatch.setenv("TEXTUAL_DRIVER", "hfterm.serving.driver:WorkbenchDriver")
    before, hangup = dict(os.environ), signal.getsignal(signal.SIGHUP)
    yield apps
    signal.signal(signal.SIGHUP, hangup)
    os.environ.clear()
    os.environ.update(before)


Opened = list[tuple[tuple[Any, ...], dict[str, Any]]]


def test_a_thing_opens_on_the_screen_that_fits_it(tmp_path: Path, opened: Opened) -> None:
    run = make_run()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "rows.csv").write_text("a\n1\n")
    for thing in (run, tmp_path / "notes.txt", tmp_path / "rows.csv"):
        assert launch.open_fitting(str(thing), text="hi", mouse=False, color="16") == 0
    assert launch.open_fitting("minilm", text="hi") == 0
    assert launch.open_fitting("reviews") == 0
    wishes = {"mouse": False, "color": "16"}
    none = {"mouse": None, "color": ""}
    assert opened == [
        (("train",), {"watch": str(run), **wishes}),
        (("tokenize",), {"file": str(tmp_path / "notes.txt"), **wishes}),
        (("library",), {"file": str(tmp_path / "rows.csv"), **wishes}),
        (("models", "minilm", "hi"), none),
        (("library",), {"file": "reviews", **none}),
    ]


def test_a_relative_path_is_opened_by_its_full_one(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.md").write_text("hello")
    launch.open_fitting("notes.md")
    assert opened[0][1]["file"] == str(tmp_path / "notes.md")


def test_what_no_screen_opens_is_said(tmp_path: Path, opened: Opened) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG")
    with pytest.raises(HftermError, match="No screen opens"):
        launch.open_fitting(str(file))
    assert opened == []


@pytest.mark.parametrize(
    ("thing", "code", "words"),
    [
        ("tokenise", 2, "Did you mean the command tokenize?"),
        ("./nowhere", 1, "nowhere"),
        ("notathingatall", 1, "notathingatall"),
    ],
)
def test_a_thing_that_is_none_is_said_or_taken_for_a_misspelt_command(
    opened: Opened, thing: str, code: int, words: str
) -> None:
    done = CliRunner().invoke(app, ["open", thing])
    assert done.exit_code == code
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert opened == []


def test_without_a_terminal_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert launch.open_workbench() == 2
    assert "this is none" in capsys.readouterr().err


def test_settings_hold_where_the_command_says_nothing(ran: list[tuple[HftermApp, bool]]) -> None:
    file = paths.settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('model = "minilm"\nmouse = false\npixels = "auto"\ncolor = "256"\n')
    assert launch.open_workbench("models") == 0
    assert launch.open_workbench("chat", "smollm2", mouse=True, color="16") == 0
    (first, mouse), (second, other) = ran
    assert (first._start.model, mouse) == ("minilm", False)
    assert (second._start.model, other) == ("smollm2", True)
    assert {first._start.pixels, second._start.pixels} == {"off"}  # a browser draws none
    assert (first.DEFAULT_MODE, second.DEFAULT_MODE) == ("models", "chat")
    assert second.shallow
    assert first.alone


def test_what_is_wrong_with_the_settings_is_handed_on(ran: list[tuple[HftermApp, bool]]) -> None:
    file = paths.settings_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('theme = "nothing-like-it"\nmouse = 3\n')
    assert launch.open_workbench() == 0
    ((opened, mouse),) = ran
    said = "\n".join(opened._problems)
    assert "mouse" in said
    assert "nothing-like-it" in said
    assert mouse is True
    assert opened.theme == "hfterm-dark" or opened.theme.endswith("dark")


def test_who_ignored_a_hang_up_does_not_hand_that_on(ran: list[tuple[HftermApp, bool]]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    launch.open_workbench()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
