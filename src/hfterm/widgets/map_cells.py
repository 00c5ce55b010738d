"""What one cell of a heat map is drawn as: a code per cell, and a piece of text per code.

Equal codes side by side become one segment, which is what keeps a frame small on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style

from hfterm.attention.views import EXCLUDED as EXCLUDED_LEVEL
from hfterm.attention.views import UNKNOWN
from hfterm.widgets.ramps import EXCLUDED, NAN, Ramp

if TYPE_CHECKING:
    import numpy as np

OUTSIDE = 253
"""The half of a line that is below the last row."""

ROW, COLUMN, CURSOR, MIDDLE, FRAME = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 20
"""Bits above the levels: on the crosshair, the middle line of a row; two bits of the frame."""

_FRAMES = ("[]", "┌┐", "││", "└┘")


@dataclass
class Cells:
    """Draws cells of one width.

    Attributes:
        ramp: the colours or shades.
        wide: cells of a column.
        base: what is behind the map.
        excluded: how what a mask hides is drawn.
        nan: how what is not a number is drawn.
    """

    ramp: Ramp
    wide: int
    base: Style
    excluded: Style
    nan: Style
    _made: dict[int, tuple[str, Style]] = field(default_factory=dict[int, "tuple[str, Style]"])

    def one(self, code: int) -> tuple[str, Style]:
        """A cell with one level."""
        made = self._made.get(code)
        if made is None:
            made = self._made[code] = self._full(code)
        return made

    def two(self, code: int) -> tuple[str, Style]:
        """A cell with two levels, the upper in the low byte."""
        made = self._made.get(~code)
        if made is None:
            made = self._made[~code] = self._halves(code)
        return made

    def number(self, code: int, text: str) -> tuple[str, Style]:
        """A cell with one level and its number."""
        level = code & 0xFF
        fill, style = self.ramp.fill(level)
        if code & CURSOR:
            left, right = _FRAMES[code >> FRAME & 3]
            return left + text.center(self.wide - 2) + right, self.ramp.ink(level, bold=True)
        if not self.ramp.colors:
            return f" {text} ".center(self.wide, fill), self.base + style
        return text.center(self.wide), self.base + self.ramp.ink(level)

    def _placed(self, glyph: str, fill: str = " ") -> str:
        return glyph.rjust((self.wide - 1) // 2 + 1, fill).ljust(self.wide, fill)

    def _full(self, code: int) -> tuple[str, Style]:
        level = code & 0xFF
        middle = bool(code & MIDDLE)
        if level == UNKNOWN:
            fill, style, ink = " ", self.nan, self.nan
            text = self._placed(NAN) if middle else " " * self.wide
        elif level == EXCLUDED_LEVEL:
            fill, style, ink = " ", self.excluded, self.excluded
            text = self._placed(EXCLUDED) if middle else " " * self.wide
        else:
            fill, style = self.ramp.fill(level)
            ink = self.ramp.ink(level, bold=True)
            text = fill * self.wide
        if code & CURSOR:
            return self._framed(text, code >> FRAME & 3), self.base + ink
        if code & (ROW | COLUMN) and level < OUTSIDE and fill == " ":
            style = self.ramp.faint(level)
            if code & ROW and middle:
                text = "─" * self.wide
            elif code & COLUMN:
                text = self._placed("│")
        return text, self.base + style

    def _framed(self, text: str, frame: int) -> str:
        if self.wide == 1:
            return "┼"
        left, right = _FRAMES[frame]
        return left + text[1 : self.wide - 1] + right

    def _halves(self, code: int) -> tuple[str, Style]:
        top, bottom = code & 0xFF, code >> 8 & 0xFF
        if code & CURSOR:
            level = bottom if code & COLUMN else top
            if level < OUTSIDE:
                return self._framed(" " * self.wide, 0), self.base + self.ramp.ink(level, bold=True)
            return self._framed(" " * self.wide, 0), self.base + self.nan
        if UNKNOWN in (top, bottom):
            return self._placed(NAN), self.base + self.nan
        plain = [level >= OUTSIDE for level in (top, bottom)]
        if all(plain):
            return self._placed(EXCLUDED), self.base + self.excluded
        if any(plain):
            glyph, style = self.ramp.half(bottom if plain[0] else top, top=plain[1])
        else:
            glyph, style = self.ramp.halves(top, bottom)
        return glyph * self.wide, self.base + style

    def line(
        self, codes: np.ndarray, *, halves: bool, numbers: Sequence[str] | None = None
    ) -> list[Segment]:
        """Segments of one line.

        Args:
            codes: of its cells, int32[columns].
            halves: whether a cell has two levels.
            numbers: text of each cell; empty for none.
        """
        import numpy as np

        if numbers is not None:
            pieces = (
                self.number(code, text) if text and code & 0xFF < OUTSIDE else self.one(code)
                for code, text in zip(codes.tolist(), numbers, strict=True)
            )
            return [Segment(text, style) for text, style in pieces]
        starts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()]
        draw = self.two if halves else self.one
        segments: list[Segment] = []
        for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
            text, style = draw(int(codes[start]))
            segments.append(Segment(text * (end - start), style))
        return segments
