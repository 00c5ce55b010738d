"""What the terminal can show. Colour depth is decided here, once, before Textual is imported.

Textual leaves the question to Rich, which takes many a truecolor terminal for a
16-colour one as soon as ssh drops COLORTERM.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from enum import IntEnum
from typing import NamedTuple


class ColorDepth(IntEnum):
    """How many colours may be used. Ordered: a greater depth can do all a smaller one can."""

    NONE = 0
    COLORS_16 = 16
    COLORS_256 = 256
    TRUECOLOR = 1 << 24


class ColorDecision(NamedTuple):
    """The colour depth hfterm draws with.

    Attributes:
        depth: what to draw with.
        reason: one sentence for ``hfterm doctor``.
        terminal: what the terminal can carry. Only differs from `depth` where colour is
            unwanted (NO_COLOR): greys are still drawn, as finely as the terminal can.
    """

    depth: ColorDepth
    reason: str
    terminal: ColorDepth


COLOR_SETTINGS: Mapping[str, ColorDepth | None] = {
    "auto": None,
    "truecolor": ColorDepth.TRUECOLOR,
    "256": ColorDepth.COLORS_256,
    "16": ColorDepth.COLORS_16,
    "none": ColorDepth.NONE,
}
"""What ``--color`` and the setting ``color`` may say."""

# Terminals whose every release of the last years does truecolor, by their TERM.
_TRUECOLOR_TERMS = (
    "alacritty",
    "contour",
    "foot",
    "iterm",
    "kitty",
    "mintty",
    "rio",
    "wezterm",
    "xterm-ghostty",
    "xterm-kitty",
)
# The same by TERM_PROGRAM. Apple_Terminal is missing on purpose: 256 until macOS 26.
_TRUECOLOR_PROGRAMS = frozenset(
    {"iterm.app", "wezterm", "ghostty", "vscode", "hyper", "rio", "warpterminal", "mintty"}
)


def in_tmux(env: Mapping[str, str]) -> bool:
    """Whether tmux is between hfterm and the terminal, as far as one can tell (also over ssh)."""
    return bool(env.get("TMUX")) or _term(env).startswith("tmux")


def in_screen(env: Mapping[str, str]) -> bool:
    """Whether GNU screen is between hfterm and the terminal, as far as one can tell."""
    if in_tmux(env):  # tmux names itself screen-256color where tmux-256color is not known
        return False
    return bool(env.get("STY")) or _term(env).startswith("screen")


def over_ssh(env: Mapping[str, str]) -> bool:
    """Whether this session came in through ssh."""
    return any(env.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"))


def decide_color(env: Mapping[str, str], setting: str = "auto") -> ColorDecision:
    """Decide the colour depth.

    Args:
        env: the environment, as it was before `apply`.
        setting: a key of `COLOR_SETTINGS`; anything else counts as ``auto`` (the
            settings file and the command line have already complained about it).
    """
    detected, reason = _detect(env)
    chosen = COLOR_SETTINGS.get(setting)
    if chosen is ColorDepth.NONE:
        return ColorDecision(chosen, "The color setting is none.", detected)
    if chosen is not None:
        return ColorDecision(chosen, f"The color setting is {setting}.", chosen)
    if env.get("NO_COLOR"):  # an empty NO_COLOR counts as unset (no-color.org)
        return ColorDecision(ColorDepth.NONE, "NO_COLOR is set.", detected)
    return ColorDecision(detected, reason, detected)


def textual_color_system(depth: ColorDepth) -> str:
    """The value of TEXTUAL_COLOR_SYSTEM for a depth.

    ``NONE`` gives ``standard``: Textual would take a terminal of unknown depth for a
    truecolor one, and its greys must stay within what any terminal understands.
    """
    match depth:
        case ColorDepth.TRUECOLOR:
            return "truecolor"
        case ColorDepth.COLORS_256:
            return "256"
        case ColorDepth.COLORS_16 | ColorDepth.NONE:
            return "standard"


def apply(decision: ColorDecision, environ: MutableMapping[str, str]) -> None:
    """Tell Textual the decision, through the environment that it reads when imported."""
    environ["TEXTUAL_COLOR_SYSTEM"] = textual_color_system(decision.terminal)
    if decision.depth is ColorDepth.NONE:
        environ["NO_COLOR"] = "1"
    else:
        # Textual obeys an empty NO_COLOR too, and a setting outranks a full one.
        environ.pop("NO_COLOR", None)


def _term(env: Mapping[str, str]) -> str:
    return env.get("TERM", "").strip().lower()


def _detect(env: Mapping[str, str]) -> tuple[ColorDepth, str]:
    """What the terminal can do, and why we think so."""
    term = _term(env)
    if term in ("", "dumb", "unknown"):
        said = f"TERM is {term}" if term else "TERM is not set"
        return ColorDepth.NONE, f"{said}, which promises no colour."
    if in_screen(env):
        # COLORTERM was inherited from the terminal outside; screen 4 garbles truecolor.
        return ColorDepth.COLORS_256, "GNU screen carries 256 colours."
    colorterm = env.get("COLORTERM", "").strip().lower()
    if colorterm in ("truecolor", "24bit"):
        return ColorDepth.TRUECOLOR, f"COLORTERM is {colorterm}."
    if in_tmux(env):
        return ColorDepth.COLORS_256, "tmux carries 256 colours unless COLORTERM says truecolor."
    if term.endswith("-direct"):
        return ColorDepth.TRUECOLOR, f"TERM is {term}, a truecolor entry."
    if term.startswith(_TRUECOLOR_TERMS):
        return ColorDepth.TRUECOLOR, f"TERM is {term}, a terminal known to do truecolor."
    program = env.get("TERM_PROGRAM", "").strip()
    if program.lower() in _TRUECOLOR_PROGRAMS:
        return ColorDepth.TRUECOLOR, f"TERM_PROGRAM is {program}, known to do truecolor."
    if env.get("LC_TERMINAL") == "iTerm2":  # ssh forwards LC_*, not TERM_PROGRAM
        return ColorDepth.TRUECOLOR, "LC_TERMINAL is iTerm2, known to do truecolor."
    if env.get("WT_SESSION"):
        return ColorDepth.TRUECOLOR, "Windows Terminal is known to do truecolor."
    if term.endswith("256color"):
        return ColorDepth.COLORS_256, f"TERM is {term}, which promises 256 colours."
    return ColorDepth.COLORS_16, f"TERM is {term}, which promises no more than 16 colours."
