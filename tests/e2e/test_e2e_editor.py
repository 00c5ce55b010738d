"""A message that is written in $EDITOR, in a real terminal."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pty_terminal import PtyTerminal

Start = Callable[..., PtyTerminal]
ALT_E = "\x1be"


def script(folder: Path, *lines: str) -> str:
    """A command that is an editor."""
    file = folder / "an editor"
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)
    return shlex.quote(str(file))


@pytest.fixture
def written(start: Start, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], PtyTerminal]:
    """A message that is begun, and Alt+E with an editor."""

    def begin(editor: str) -> PtyTerminal:
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", editor)
        terminal = start("--screen", "chat")
        terminal.wait_for("Talk +Tokens +Side")
        terminal.send("which films")
        terminal.wait_for("which films")
        terminal.send(ALT_E)
        return terminal

    return begin


def test_the_message_is_what_the_editor_left(
    written: Callable[[str], PtyTerminal], tmp_path: Path
) -> None:
    terminal = written(script(tmp_path, 'printf " are\\nreally [b]good[/b]?" >> "$1"'))
    terminal.wait_for("which films are")
    terminal.wait_for(r"really \[b\]good\[/b\]\?")
    terminal.send("!")
    terminal.wait_for(r"good\[/b\]\?!")


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("", "Neither .VISUAL nor .EDITOR is set"),
        ("no-such-editor --wait", "no-such-editor --wait can't be started"),
        ("vim 'unclosed", "can't be started: No closing quotation"),
        ("false", "false ended with exit code 1"),
    ],
)
def test_a_message_outlives_its_editor(
    written: Callable[[str], PtyTerminal], editor: str, said: str
) -> None:
    terminal = written(editor)
    terminal.wait_for(said)
    assert "which films" in terminal.text
    terminal.send(" now")
    terminal.wait_for("which films now")
