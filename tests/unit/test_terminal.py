from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hfterm.system.terminal import (
    COLOR_SETTINGS,
    ColorDecision,
    ColorDepth,
    apply,
    decide_color,
    in_screen,
    in_tmux,
    over_ssh,
    textual_color_system,
)

TRUE, C256, C16, NONE = (
    ColorDepth.TRUECOLOR,
    ColorDepth.COLORS_256,
    ColorDepth.COLORS_16,
    ColorDepth.NONE,
)


@pytest.mark.parametrize(
    ("env", "depth"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, TRUE),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, TRUE),
        ({"TERM": "xterm-256color", "COLORTERM": "yes"}, C256),
        ({"TERM": "xterm-direct"}, TRUE),
        ({"TERM": "xterm-kitty"}, TRUE),
        ({"TERM": "alacritty"}, TRUE),
        ({"TERM": "foot"}, TRUE),
        ({"TERM": "foot-extra"}, TRUE),
        ({"TERM": "wezterm"}, TRUE),
        ({"TERM": "xterm-ghostty"}, TRUE),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, TRUE),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2", "SSH_TTY": "/dev/pts/1"}, TRUE),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, C256),
        ({"TERM": "xterm-256color"}, C256),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, C256),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0", "COLORTERM": "truecolor"}, TRUE),
        ({"TERM": "screen", "TMUX": "/tmp/t,1,0"}, C256),
        ({"TERM": "screen-256color"}, C256),
        ({"TERM": "screen.xterm-256color", "STY": "1.x", "COLORTERM": "truecolor"}, C256),
        ({"TERM": "linux"}, C16),
        ({"TERM": "vt100"}, C16),
        ({"TERM": "ansi"}, C16),
        ({"TERM": "xterm"}, C16),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, NONE),
        ({"TERM": ""}, NONE),
        ({}, NONE),
    ],
)
def test_the_environment_decides(env: dict[str, str], depth: ColorDepth) -> None:
    decision = decide_color(env)
    assert decision.depth is depth
    assert decision.terminal is depth
    assert decision.reason.endswith(".")


def test_a_setting_goes_before_no_color_and_no_color_before_the_terminal() -> None:
    env = {"TERM": "xterm-kitty", "NO_COLOR": "1"}
    assert decide_color(env).depth is NONE
    assert decide_color(env).terminal is TRUE
    assert decide_color(env, "256").depth is C256
    assert decide_color(env, "16").terminal is C16
    assert decide_color({"TERM": "xterm-kitty"}, "none").depth is NONE
    assert decide_color({"TERM": "xterm-kitty"}, "purple").depth is TRUE


def test_an_empty_no_color_counts_as_unset() -> None:
    assert decide_color({"TERM": "xterm-256color", "NO_COLOR": ""}).depth is C256


@pytest.mark.parametrize("setting", COLOR_SETTINGS)
def test_rich_knows_every_color_system(setting: str) -> None:
    from rich.console import COLOR_SYSTEMS

    depth = decide_color({"TERM": "xterm-256color"}, setting).depth
    assert textual_color_system(depth) in COLOR_SYSTEMS


def test_apply_tells_textual() -> None:
    environ = {"NO_COLOR": "1", "TERM": "alacritty"}
    apply(decide_color(environ), environ)
    assert environ == {"NO_COLOR": "1", "TERM": "alacritty", "TEXTUAL_COLOR_SYSTEM": "truecolor"}
    apply(ColorDecision(C16, "", C16), environ)
    assert environ == {"TERM": "alacritty", "TEXTUAL_COLOR_SYSTEM": "standard"}


@pytest.mark.parametrize(
    ("setting", "system", "no_color"),
    [("256", "EIGHT_BIT", "False"), ("16", "STANDARD", "False"), ("none", "TRUECOLOR", "True")],
)
def test_textual_obeys(setting: str, system: str, no_color: str) -> None:
    program = (
        "import os; from hfterm.system.terminal import *;"
        f"apply(decide_color(os.environ, {setting!r}), os.environ);"
        "from textual.app import App; a = App(); print(a.console._color_system.name, a.no_color)"
    )
    env = {**os.environ, "TERM": "xterm-kitty", "NO_COLOR": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [system, no_color]


def test_who_is_in_between() -> None:
    assert in_tmux({"TMUX": "x", "TERM": "screen-256color"})
    assert not in_screen({"TMUX": "x", "TERM": "screen-256color"})
    assert in_tmux({"TERM": "tmux-256color"})
    assert in_screen({"STY": "1.pts", "TERM": "xterm"})
    assert in_screen({"TERM": "screen"})
    assert not in_tmux({"TERM": "xterm"})
    assert not in_screen({"TERM": "xterm"})
    assert over_ssh({"SSH_CONNECTION": "1 2 3 4"})
    assert not over_ssh({"SSH_TTY": ""})


def test_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, __future__, enum, typing, collections.abc; before = set(sys.modules);"
        "import hfterm.system.clipboard; print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if not name.startswith("hfterm")} <= {
        "base64",
        "binascii",
        "struct",
        "_struct",
    }
