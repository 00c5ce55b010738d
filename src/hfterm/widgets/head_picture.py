"""One frame of a grid of heads, drawn line by line: axes, numbers or small maps, legend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from hfterm.attention.views import EXCLUDED, SIGNED_STEPS, STEPS, UNKNOWN, levels
from hfterm.text import fit
from hfterm.widgets.head_layout import MEANINGLESS, Grid, HeadLayout, short_amount
from hfterm.widgets.map_cells import CURSOR, FRAME, MIDDLE, Cells

if TYPE_CHECKING:
    import numpy as np

_FRAMES = ("[]", "┌┐", "││", "└┘")


@dataclass
class HeadPicture:
    """A frame.

    Attributes:
        grid: what is shown.
        layout: where.
        top, left: the first layer and head in sight.
        selected: layer and head.
        cells: of the metric, or of the maps.
        style: by name.
    """

    grid: Grid
    layout: HeadLayout
    top: int
    left: int
    selected: tuple[int, int]
    cells: Cells
    style: Callable[[str], Style]

    def __post_init__(self) -> None:
        layout = self.layout
        self._layers = range(self.top, min(self.top + layout.layers_seen, self.grid.layers))
        self._heads = range(self.left, min(self.left + layout.heads_seen, self.grid.heads))
        self._maps = self._seen_maps() if layout.mode == "maps" else None

    def line(self, y: int, width: int) -> list[Segment]:
        """Segments of a line of the widget; they may end before `width` or after it."""
        layout = self.layout
        if y < layout.top:
            return self._head(width)
        if layout.foot and y == layout.top + layout.lines:
            return self._legend(width)
        index, part = divmod(y - layout.top, layout.tall + layout.gap)
        if index >= len(self._layers) or part >= layout.tall:
            return []
        layer = self._layers[index]
        gutter = self._gutter(layer, part)
        if self._maps is None:
            return [*gutter, *self._number_line(layer, part)]
        heads = self._map_line(self._maps[index], layer, part)
        # what is before the first head is its gap
        return [*gutter, *heads] if layout.gutter else heads[1:]

    # -- axes ----------------------------------------------------------------------------------

    def _head(self, width: int) -> list[Segment]:
        """Indices over the columns, as many as there is room for, the selected one always."""
        layout, style = self.layout, self.style
        pitch, room = layout.wide + layout.gap, width - layout.gutter
        most = len(str(self.grid.heads - 1))
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**6) if s * pitch > most)
        places: dict[int, str] = {}
        for column, head in enumerate(self._heads):
            if head % step == 0 or head == self.selected[1]:
                label = str(head)
                start = column * pitch + max(0, (layout.wide - len(label) + 1) // 2)
                places[head] = " " * start + label
        chosen = places.get(self.selected[1])
        segments, used = [Segment(" " * layout.gutter, style(""))], 0
        for head, text in places.items():
            start = len(text) - len(text.lstrip())
            on = head == self.selected[1]
            touches = chosen is not None and not on and start < len(chosen)
            if touches and chosen is not None and len(text) >= len(chosen) - len(chosen.lstrip()):
                continue  # the selected one has the room
            if start < used or len(text) > room:
                continue
            segments.append(Segment(" " * (start - used), style("label")))
            segments.append(Segment(text.strip(), style("cursor" if on else "label")))
            used = len(text)
        return segments

    def _gutter(self, layer: int, part: int) -> list[Segment]:
        layout, style = self.layout, self.style
        wide = max(0, layout.gutter - layout.gap)
        if part != (layout.tall - 1) // 2 or not wide:
            return [Segment(" " * wide, style(""))]
        label = fit(str(layer), min(len(str(self.grid.layers - 1)), wide), right=True)
        name = "cursor" if layer == self.selected[0] else "label"
        return [Segment(label, style(name)), Segment(" " * (wide - len(label)), style(""))]

    # -- numbers -------------------------------------------------------------------------------

    def _number_line(self, layer: int, part: int) -> list[Segment]:
        import numpy as np

        layout, grid = self.layout, self.grid
        if grid.levels is None:
            return []
        row = grid.levels[layer, self._heads.start : self._heads.stop].tolist()
        middle = part == (layout.tall - 1) // 2
        numbered = middle and layout.wide > grid.longest
        if not numbered and layer != self.selected[0] and UNKNOWN not in row:
            return self.cells.line(np.array(row, np.int32), halves=False)
        segments: list[Segment] = []
        for head, level in zip(self._heads, row, strict=True):
            text = grid.texts[layer][head] if numbered else ""
            on = (layer, head) == self.selected
            segments.append(Segment(*self._number(level, text, on=on, part=part)))
        return segments

    def _number(self, level: int, text: str, *, on: bool, part: int) -> tuple[str, Style]:
        """One line of one head's cell."""
        layout, cells = self.layout, self.cells
        wide, base = layout.wide, self.style("")
        frame = _part(part, layout.tall)
        unknown = level == UNKNOWN
        if unknown:
            text = MEANINGLESS if part == (layout.tall - 1) // 2 else ""
        padded = text.rjust((wide + len(text) + 1) // 2).ljust(wide)
        if not on:
            if unknown:
                return padded, base + self.style("label")
            fill, style = cells.ramp.fill(level)
            if not text:
                return fill * wide, base + style
            if cells.ramp.colors:
                return padded, base + cells.ramp.ink(level)
            spaced = f" {text} " if wide > len(text) + 1 else f" {text}"
            return spaced.center(wide, fill), base + style
        ink = self.style("cursor") if unknown else base + cells.ramp.ink(level, bold=True)
        if wide == self.grid.longest + 1:  # room for a number, and none for a frame around it
            return padded, ink if unknown else ink + Style(reverse=True)
        if unknown or text:
            left, right = _FRAMES[frame]
            return left + text.center(wide - 2) + right, ink
        return cells.one(level | CURSOR | frame << FRAME)

    # -- maps ----------------------------------------------------------------------------------

    def _seen_maps(self) -> np.ndarray:
        """Levels of the maps in sight, uint8[layers, heads, rows, columns] as they are drawn."""
        import numpy as np

        assert self.grid.maps is not None
        layout, colored = self.layout, bool(self.cells.ramp.colors)
        seen = self.grid.maps[
            self._layers.start : self._layers.stop, self._heads.start : self._heads.stop
        ]
        rows, columns = seen.shape[2:]
        tall, wide = layout.tall * (2 if colored else 1), layout.wide
        starts = np.arange(tall) * rows // tall, np.arange(wide) * columns // wide
        small = np.maximum.reduceat(np.maximum.reduceat(seen, starts[0], axis=2), starts[1], axis=3)
        found = levels(small.reshape(-1, wide), "sqrt", STEPS).reshape(small.shape)
        if self.grid.causal:
            last = np.maximum(np.append(starts[0][1:], rows), starts[0] + 1) / rows
            later = starts[1][None, :] / columns >= last[:, None]
            found[(small == 0) & later] = EXCLUDED
        return found

    def _map_line(self, maps: np.ndarray, layer: int, part: int) -> list[Segment]:
        import numpy as np

        layout, cells = self.layout, self.cells
        colored = bool(cells.ramp.colors)
        gap = Segment(" ", self.style(""))
        marks = ("▐", "▌") if colored else _FRAMES[_part(part, layout.tall)]
        segments = [gap]
        for head, levels_of_head in zip(self._heads, maps, strict=True):
            on = (layer, head) == self.selected
            if on:
                segments[-1] = Segment(marks[0], self.style("frame"))
            if colored:
                upper, lower = levels_of_head[2 * part : 2 * part + 2].astype(np.int32)
                segments += cells.line(upper | lower << 8, halves=True)
            else:
                codes = levels_of_head[part].astype(np.int32) | MIDDLE
                segments += cells.line(codes, halves=False)
            segments.append(Segment(marks[1], self.style("frame")) if on else gap)
        return segments

    # -- legend --------------------------------------------------------------------------------

    def _legend(self, width: int) -> list[Segment]:
        """The ramp with its two ends, and the selected head with its number."""
        label, ramp, grid = self.style("label"), self.cells.ramp, self.grid
        layer, head = self.selected
        least, most = "0", "1"
        number = ""
        words: list[str] = []
        if self.layout.mode == "metric":
            least, most = (short_amount(end, signed=grid.signed) for end in (grid.least, grid.most))
            number = f"  {grid.texts[layer][head]}" if grid.texts else ""
            if grid.levels is not None and UNKNOWN in grid.levels:
                words.append(f"{MEANINGLESS} no meaning")
        else:
            words.append("√ scale")
        steps = SIGNED_STEPS if ramp.steps == SIGNED_STEPS else STEPS
        bar = [ramp.fill(level) for level in range(0, steps, 3 if steps == SIGNED_STEPS else 4)]
        base = self.style("")
        start = " " * self.layout.gutter + least + " "
        segments = [Segment(start, label), *(Segment(text, base + style) for text, style in bar)]
        used = cell_len(start) + len(bar)
        text = f" {most}"
        names = f"layer {layer} · head {head}", f"{layer}·{head}"
        for word in (names[used + len(text) + len(names[0] + number) + 2 > width] + number, *words):
            if used + cell_len(f"{text}  {word}") <= width:
                text += f"  {word}"
        return [*segments, Segment(fit(text, max(0, width - used)), label)]


def _part(part: int, tall: int) -> int:
    """Which ends a frame has on a line of what it stands around."""
    if tall == 1:
        return 0
    return 1 if part == 0 else 3 if part == tall - 1 else 2
