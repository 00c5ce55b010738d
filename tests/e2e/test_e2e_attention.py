"""Attention in a real pseudo-terminal, worked by keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pty_terminal import PtyTerminal

Start = Callable[..., PtyTerminal]
CTRL_E, CTRL_Q, ESC, ENTER = "\x05", "\x11", "\x1b", "\r"
F2, F4, F5 = "\x1bOQ", "\x1bOS", "\x1b[15~"
DOWN, RIGHT = "\x1b[B", "\x1b[C"


def test_from_the_text_to_a_head(start: Start) -> None:
    terminal = start("--screen", "attention", "--text", "The cat sat.", columns=80, rows=24)
    terminal.wait_for("F5 runs the model")
    terminal.send(F5)
    terminal.wait_for(r"6 × 12 heads · 6 tokens")
    terminal.wait_for(r"(L0 H0|layer 0 · head 0)  \[CLS\] 0 →")
    terminal.send(ESC)
    terminal.send(DOWN * 2 + RIGHT)
    terminal.wait_for(r"(L2 H1|layer 2 · head 1) .*0\.\d{4}")
    terminal.send(ENTER + DOWN * 2)
    terminal.wait_for(r"cat 2 → \[CLS\] 0")
    for size in ((120, 40), (200, 50), (80, 24)):
        terminal.resize(*size)
        terminal.wait(lambda size=size: terminal.fills(*size), f"a screen of {size}")
        terminal.wait_for(r"cat 2 → \[CLS\] 0")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0


def test_a_figure_is_written_and_the_code_shown(start: Start, tmp_path: Path) -> None:
    terminal = start("--screen", "attention", "--text", "The cat sat.")
    terminal.wait_for("F5 runs the model")
    terminal.send(F5)
    terminal.wait_for(r"6 × 12 heads · 6 tokens")
    terminal.send(CTRL_E)
    terminal.wait_for("write .this map")
    path = tmp_path / "head.png"
    terminal.send("\x15" + str(path) + ENTER)
    terminal.wait(path.exists, "the figure")
    terminal.wait(lambda: "write ‹" not in terminal.text, "the window to close")
    assert path.read_bytes().startswith(b"\x89PNG")
    terminal.send(F2)
    terminal.wait_for("from transformers import")
    terminal.send(ESC)
    terminal.wait(lambda: "Show code" not in terminal.text, "the code to close")
    terminal.send(F4)
    terminal.wait_for("the 200 strongest|looks at")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0


def test_without_colours_the_map_is_glyphs(start: Start) -> None:
    terminal = start("--screen", "attention", "--color", "none", "--text", "The cat sat.")
    terminal.wait_for("F5 runs the model")
    terminal.send(F5)
    terminal.wait_for(r"6 × 12 heads · 6 tokens")
    terminal.wait_for("[░▒▓█]{4}")
    assert b"38;5" not in terminal.raw
    assert b"38;2" not in terminal.raw


@pytest.mark.parametrize(("protocol", "begins"), [("sixel", b"\x1bP"), ("kitty", b"\x1b_G")])
def test_real_pixels_when_asked_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, protocol: str, begins: bytes
) -> None:
    monkeypatch.setenv("HFTERM_PIXELS", protocol)
    terminal = start("--screen", "attention", "--text", "The cat sat.")
    terminal.wait_for("F5 runs the model")
    terminal.send(F5)
    terminal.wait_for(r"6 × 12 heads · 6 tokens")
    before = len(terminal.raw)
    terminal.send(f"{ESC}p")
    terminal.wait(lambda: begins in terminal.raw[before:], "the image")
    terminal.send(ESC)
    terminal.wait(lambda: "Esc closes" not in terminal.text, "the window to close")
    terminal.send(CTRL_Q)
    assert terminal.ended() == 0


def test_pixels_are_off_unless_asked_for(start: Start) -> None:
    terminal = start("--screen", "attention", "--text", "The cat sat.")
    terminal.wait_for("F5 runs the model")
    terminal.send(f"{ESC}p")
    terminal.wait_for('pixels = "auto"')
