"""What a grid of heads shows, and where its parts lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from hfterm.attention.views import STEPS, levels, signed_levels

if TYPE_CHECKING:
    import numpy as np

Mode = Literal["metric", "maps"]
"""A number per head, or a small map of its weights."""

LEAST_WIDE, LEAST_TALL = 4, 2
"""Cells and lines of a map that still says something."""

WIDEST = 8
"""Cells of a column of numbers at most."""

MEANINGLESS = "–"
"""What stands where a metric has no meaning."""


def short_amount(value: float, *, signed: bool = False) -> str:
    """A number in three cells, or with its sign in four: ``.42``, ``3.1``, ``12``, ``8k``."""
    amount = abs(value)
    if math.isnan(amount):
        return MEANINGLESS
    if amount < 0.995:
        text = f"{amount:.2f}"[1:] if amount else "0"
    elif amount < 9.95:
        text = f"{amount:.1f}"
    elif amount < 999.5:
        text = f"{amount:.0f}"
    elif amount < 99_500:
        text = f"{amount / 1000:.0f}k"
    else:
        text = f"{amount:.0e}".replace("e+0", "e") if amount < 9.5e9 else "∞"
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    return sign + text


@dataclass(frozen=True)
class Grid:
    """What is shown.

    Attributes:
        layers, heads: how many there are.
        values: of the metric, float32[layers, heads]; None for none.
        maps: √weight × 255, uint8[layers, heads, rows, columns]; None for none.
        signed: the values are differences: 0 is in the middle of the ramp.
        causal: later keys are excluded.
    """

    layers: int
    heads: int
    values: np.ndarray | None
    maps: np.ndarray | None
    signed: bool
    causal: bool
    least: float = 0.0
    most: float = 0.0
    levels: np.ndarray | None = None
    texts: list[list[str]] = field(default_factory=list[list[str]])

    @classmethod
    def of(
        cls, values: np.ndarray | None, maps: np.ndarray | None, *, signed: bool, causal: bool
    ) -> Grid | None:
        """A grid of what there is; None when there is no head."""
        import numpy as np

        shapes = [array.shape for array in (values, maps) if array is not None]
        if not shapes or any(0 in shape for shape in shapes):
            return None
        layers, heads = shapes[0][:2]
        if values is None:
            return cls(layers, heads, None, maps, signed, causal)
        known = values[np.isfinite(values)]
        least, most = float(known.min(initial=np.inf)), float(known.max(initial=-np.inf))
        if signed or not known.size:
            most = float(np.abs(known).max(initial=0))
            least = -most
        exact = np.asarray(values, np.float64)
        if signed:
            found = signed_levels(np.clip(exact, least, most), peak=most)
        else:
            share = (np.clip(exact, least, most) - least) / max(most - least, 1e-30)
            found = levels(share, "linear", STEPS)
        texts = [[short_amount(value, signed=signed) for value in row] for row in values.tolist()]
        return cls(layers, heads, values, maps, signed, causal, least, most, found, texts)

    @cached_property
    def ranked(self) -> list[tuple[int, int]]:
        """Layer and head by value, the largest first; of differences by their size."""
        import numpy as np

        if self.values is None:
            return []
        flat = np.abs(self.values.ravel()) if self.signed else self.values.ravel()
        order = np.argsort(-flat, kind="stable")  # NaN goes last
        places = [divmod(int(place), self.heads) for place in order]
        return places[: int(np.isfinite(flat).sum())]

    @property
    def longest(self) -> int:
        """Cells of the longest number."""
        return max((len(text) for row in self.texts for text in row), default=1)


@dataclass(frozen=True)
class HeadLayout:
    """Where everything lies.

    Attributes:
        mode: what a head is drawn as.
        gutter: cells left of the heads.
        top: lines above them.
        foot: lines below them.
        lines: lines for them.
        wide, tall: of a head, in cells and lines.
        gap: cells and lines between two.
        layers_seen, heads_seen: how many are in sight, at most.
    """

    mode: Mode
    gutter: int
    top: int
    foot: int
    lines: int
    wide: int
    tall: int
    gap: int
    layers_seen: int
    heads_seen: int


def lay_out(mode: Mode, grid: Grid, width: int, height: int) -> HeadLayout:
    """As large as all heads can be seen at once, if that is large enough."""
    top, foot = int(height >= 3), int(height >= 6)
    lines = max(1, height - top - foot)
    gutter = min(len(str(grid.layers - 1)) + 1, max(0, width // 3))
    if mode == "maps" and grid.maps is not None:
        wide, tall = _size_of_maps(grid.maps.shape, width - gutter, lines)
        gap = 1
    else:
        longest = grid.longest
        wide = (width - gutter) // grid.heads
        if gutter > 1 and wide == longest and (width - gutter + 1) // grid.heads > longest:
            gutter -= 1  # numbers say more than a blank column
            wide += 1
        wide = max(1, min(wide, max(WIDEST, longest + 2)))
        tall = max(1, min(lines // grid.layers, wide // 2))
        gap = 0
    return HeadLayout(
        mode=mode,
        gutter=gutter,
        top=top,
        foot=foot,
        lines=lines,
        wide=wide,
        tall=tall,
        gap=gap,
        layers_seen=max(1, (lines + gap) // (tall + gap)),
        heads_seen=max(1, (width - gutter) // (wide + gap)),
    )


def _size_of_maps(shape: tuple[int, ...], width: int, lines: int) -> tuple[int, int]:
    """Cells and lines of a map; two of its rows are in a line."""
    layers, heads, rows, columns = shape
    wide, tall = width // heads - 1, (lines + 1) // layers - 1
    if wide < LEAST_WIDE or tall < LEAST_TALL:
        return LEAST_WIDE, LEAST_TALL
    # a cell is as wide as half a line is high
    tall = min(tall, -(-rows // 2), -(-wide * rows // (2 * columns)))
    tall = max(LEAST_TALL, tall)
    wide = min(wide, columns, -(-2 * tall * columns // rows))
    return max(LEAST_WIDE, wide), tall
