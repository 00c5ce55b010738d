"""Ramps: how a number becomes a colour or a shade, as finely as the terminal can show it.

With 256 colours or more a level is a background; with 16 or none it is a glyph, so that it can be
read without colour. Luminance rises with every level, and no ramp needs red told from green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeVar

from rich.color import Color
from rich.style import Style

if TYPE_CHECKING:
    from textual.app import App

T = TypeVar("T")

Depth = Literal["truecolor", "256", "16", "none"]

STEPS = 32
SIGNED_STEPS = 31

EXCLUDED = "·"
"""What a mask keeps a query from seeing; weight 0 is the ramp's first level instead."""

NAN = "×"

# Cividis (Nuñez, Anderton, Renslow 2018): made to look the same with and without red and green.
_CIVIDIS = "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838"
_SEQUENTIAL_256 = (*(17, 18, 24, 59, 60, 66, 101, 102, 137, 143, 144, 179, 185, 186, 221, 227),)

# From the middle outwards. The middle is near the theme's background, so that 0 recedes.
_DIVERGING = {
    True: ("8ecbff 3f97e0 1f5f9f 1f3a57 262624 54391c 98601a df8a25 ffc27a"),
    False: ("0d3b78 2a6fb5 7db0dd c8ddee f3f0ea f3dcc0 e6ab6a c4701c 7d3f04"),
}
_DIVERGING_256 = {
    True: (117, 39, 32, 25, 24, 235, 94, 130, 172, 208, 215),
    False: (18, 25, 32, 75, 153, 255, 223, 215, 208, 166, 130),
}

_SHADES = " ░▒▓█"
# Shades are for more, strokes for less: what is told apart by shape needs no colour.
_SIGNED_SHADES = "≣≡=- ░▒▓█"

_DARK_INK, _LIGHT_INK = Color.parse("#000000"), Color.parse("#ffffff")


def depth_of(app: App[object]) -> Depth:
    """How many colours the application draws with."""
    if app.no_color:
        return "none"
    system = app.console.color_system
    if system in ("truecolor", "256"):
        return system
    return "16" if system else "none"


@dataclass(frozen=True)
class Ramp:
    """Levels and how they are drawn.

    Attributes:
        steps: how many levels there are.
        colors: background of each level; empty where glyphs are drawn instead.
        glyphs: of each level; empty where colours are.
        strokes: colour of each glyph, beside its shape; empty for the terminal's own.
    """

    steps: int
    colors: tuple[Color, ...] = ()
    glyphs: tuple[str, ...] = ()
    strokes: tuple[Color | None, ...] = ()

    def fill(self, level: int) -> tuple[str, Style]:
        """The character that an area of a level is filled with, and its style."""
        if self.colors:
            return " ", Style(bgcolor=self.colors[level])
        return self.glyphs[level], Style(color=self.strokes[level] if self.strokes else None)

    def ink(self, level: int, *, bold: bool = False) -> Style:
        """Text on a level: dark on light and light on dark."""
        if not self.colors:
            return Style(bold=bold or None)
        color = self.colors[level]
        return Style(color=_ink(color), bgcolor=color, bold=bold or None)

    def faint(self, level: int) -> Style:
        """Lines on a level that are seen, but stand back."""
        if not self.colors:
            return Style()
        color = self.colors[level]
        if color.number is not None:
            dark_ink = _ink(color) is _DARK_INK
            return Style(color=Color.from_ansi(238 if dark_ink else 248), bgcolor=color)
        return Style(color=_mixed(color, _ink(color), 0.55), bgcolor=color)

    def halves(self, top: int, bottom: int) -> tuple[str, Style]:
        """Two levels in one cell, one over the other. Only where there are colours."""
        if top == bottom:
            return " ", Style(bgcolor=self.colors[top])
        return "▀", Style(color=self.colors[top], bgcolor=self.colors[bottom])

    def half(self, level: int, *, top: bool) -> tuple[str, Style]:
        """A level in one half of a cell and nothing in the other."""
        return "▀" if top else "▄", Style(color=self.colors[level])


@cache
def ramp(depth: Depth, *, signed: bool = False, dark: bool = True) -> Ramp:
    """The ramp for a colour depth.

    Args:
        depth: see `depth_of`.
        signed: with 0 in the middle: blue is less, orange is more.
        dark: the theme is; only the middle of a signed ramp follows it.
    """
    if signed:
        if depth == "truecolor":
            return Ramp(SIGNED_STEPS, _between(_DIVERGING[dark], SIGNED_STEPS))
        if depth == "256":
            return Ramp(SIGNED_STEPS, _spread(_DIVERGING_256[dark], SIGNED_STEPS))
        glyphs = _stretched(_SIGNED_SHADES, SIGNED_STEPS)
        middle = SIGNED_STEPS // 2
        strokes = [
            Color.parse("bright_blue" if level < middle else "yellow") if level != middle else None
            for level in range(SIGNED_STEPS)
        ]
        return Ramp(SIGNED_STEPS, glyphs=glyphs, strokes=tuple(strokes) if depth == "16" else ())
    if depth == "truecolor":
        return Ramp(STEPS, _between(_CIVIDIS, STEPS))
    if depth == "256":
        return Ramp(STEPS, _spread(_SEQUENTIAL_256, STEPS))
    return Ramp(STEPS, glyphs=_stretched(_SHADES, STEPS))


def ramp_of(app: App[object], *, signed: bool = False) -> Ramp:
    """The ramp that the application draws with now."""
    return ramp(depth_of(app), signed=signed, dark=app.current_theme.dark)


def luminance(color: Color) -> float:
    """Relative luminance of a colour, 0 to 1, as WCAG 2 has it."""
    red, green, blue = (
        c / 12.92 if (c := part / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for part in color.get_truecolor()
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Contrast of two colours, 1 to 21, as WCAG 2 has it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@cache
def _ink(color: Color) -> Color:
    return max((_DARK_INK, _LIGHT_INK), key=lambda ink: contrast(ink, color))


def _mixed(one: Color, other: Color, share: float) -> Color:
    pairs = zip(one.get_truecolor(), other.get_truecolor(), strict=True)
    return Color.from_rgb(*(round(a + (b - a) * share) for a, b in pairs))


def _between(anchors: str, steps: int) -> tuple[Color, ...]:
    """Colours at even distances on the way through the anchors."""
    points = [Color.parse(f"#{anchor}") for anchor in anchors.split()]
    found: list[Color] = []
    for step in range(steps):
        place = step * (len(points) - 1) / (steps - 1)
        index = min(int(place), len(points) - 2)
        found.append(_mixed(points[index], points[index + 1], place - index))
    return tuple(found)


def _spread(numbers: Sequence[int], steps: int) -> tuple[Color, ...]:
    return tuple(Color.from_ansi(number) for number in _stretched(numbers, steps))


def _stretched(few: Sequence[T], steps: int) -> tuple[T, ...]:
    """A few things over more steps, as evenly as they go, and the same from either end."""
    count = len(few)
    if count % 2 and steps % 2:  # the middle is one step alone: 0 is not a small number
        half, side = count // 2, steps // 2
        lower = [few[level * half // side] for level in range(side)]
        upper = [few[count - 1 - level * half // side] for level in range(side)]
        return (*lower, few[half], *reversed(upper))
    return tuple(few[level * count // steps] for level in range(steps))
