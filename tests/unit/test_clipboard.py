from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfterm.system.clipboard import DEFAULT_LIMIT, osc52

TMUX = {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}
SCREEN = {"TERM": "screen.xterm-256color", "STY": "12.pts-0"}


def payload(sequence: str) -> str:
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07", sequence)
    assert found
    return base64.b64decode(found[1], validate=True).decode()


@given(st.text(min_size=1, max_size=2000))
def test_bare(text: str) -> None:
    result = osc52(text, {"TERM": "xterm"})
    assert payload(result.sequence) == text
    assert result.sent_bytes == len(text.encode())
    assert not result.truncated


@given(st.text(min_size=1, max_size=2000))
def test_tmux_gets_it_wrapped_with_doubled_escapes_and_bare(text: str) -> None:
    sequence = osc52(text, TMUX).sequence
    found = re.fullmatch(r"\x1bPtmux;((?:\x1b\x1b|[^\x1b])*)\x1b\\(.*)", sequence, re.DOTALL)
    assert found
    assert payload(found[1].replace("\x1b\x1b", "\x1b")) == text
    assert payload(found[2]) == text


@given(st.text(min_size=1, max_size=2000))
def test_screen_gets_it_in_pieces_it_can_hold(text: str) -> None:
    sequence = osc52(text, SCREEN).sequence
    assert sequence.startswith("\x1bP") and sequence.endswith("\x1b\\")
    pieces = sequence[2:-2].split("\x1b\\\x1bP")
    assert all(len(piece) < 256 for piece in pieces)
    assert payload("".join(pieces)) == text


def test_the_limit_is_exact_and_nothing_is_sent_past_it() -> None:
    fits = DEFAULT_LIMIT // 4 * 3
    assert osc52("x" * fits, {}).sent_bytes == fits
    assert osc52("x" * (fits + 1), {}) == ("", 0, True)
    assert osc52("é" * 3, {}, limit=8) == osc52("é" * 3, {})
    assert osc52("é" * 3, {}, limit=7).truncated


def test_nothing_to_copy_leaves_the_clipboard_alone() -> None:
    assert osc52("", {}) == ("", 0, False)


def test_a_half_surrogate_pair_does_not_stop_a_copy() -> None:
    assert payload(osc52("a\ud83db", {}).sequence) == "a?b"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_real_tmux_that_takes_copies_takes_ours(tmp_path: Path) -> None:
    program = tmp_path / "copy.py"
    program.write_text(
        "import os, sys, tty\n"
        "from hfterm.system.clipboard import osc52\n"
        "tty.setcbreak(0)\n"
        "sys.stdout.write(osc52('héllo ' + 'x' * 60_000, os.environ).sequence)\n"
        "sys.stdout.write('\\x1b[c')\n"  # tmux answers this after what came before it
        "sys.stdout.flush()\n"
        "while os.read(0, 1) != b'c': pass\n"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "STY")}
    env |= {"TMUX_TMPDIR": str(tmp_path), "TERM": "xterm-256color"}

    def tmux(*words: str) -> str:
        command = ["tmux", "-f", "/dev/null", *words]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=30, check=True
        ).stdout

    tmux("new-session", "-d", "-x", "80", "-y", "24", "cat")
    try:
        tmux("set", "-g", "set-clipboard", "on")
        tmux("new-window", f"{sys.executable} {program}; tmux wait-for -S copied; cat")
        tmux("wait-for", "copied")
        assert tmux("show-buffer") == "héllo " + "x" * 60_000
    finally:
        tmux("kill-server")
