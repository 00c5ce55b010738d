"""Tokens in the plane: each a point, with its label where there is room for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from hfterm.text import fit
from hfterm.widgets.drawn import Drawn
from hfterm.widgets.scatter_places import DOT, Piece, Places

if TYPE_CHECKING:
    import numpy as np


def _key(keys: str, action: str, label: str, name: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"scatter.{name}", tooltip=label)


class Scatter(Drawn):
    """Points in a frame, one of them selected."""

    HELP = """\
## Plane
Each token is where the first two principal components of its state put it: a label where there is
room for it, else `•`. `←` `→` `↑` `↓` or `h` `l` `k` `j` select the nearest token in that
direction, those in the same place one after another; `PgUp` `PgDn` the token before and after in
the text, `Home` `End` the first and the last.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left,h", "move(-1, 0)", "Nearest to the left", "left"),
        _key("right,l", "move(1, 0)", "Nearest to the right", "right"),
        _key("up,k", "move(0, -1)", "Nearest above", "up"),
        _key("down,j", "move(0, 1)", "Nearest below", "down"),
        _key("pageup", "step(-1)", "The token before", "before"),
        _key("pagedown", "step(1)", "The next token", "after"),
        _key("home", "edge(0)", "First token", "first"),
        _key("end", "edge(1)", "Last token", "last"),
    ]

    class PointHighlighted(Message):
        """Another point was selected by a key or the mouse."""

        def __init__(self, scatter: Scatter, index: int) -> None:
            super().__init__()
            self.scatter = scatter
            self.index = index

        @property
        def control(self) -> Scatter:
            """The plane it happened in."""
            return self.scatter

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(empty=empty, id=id, classes=classes)
        self._points: np.ndarray | None = None
        self._labels: list[str] = []
        self._explained = (math.nan, math.nan)
        self._selected = 0
        self._places: Places | None = None
        self._framed = False
        self._lines: list[Strip] | None = None

    # -- what is shown -------------------------------------------------------------------------

    def set_points(
        self,
        points: np.ndarray | None,
        labels: Sequence[str] = (),
        explained: tuple[float, float] = (math.nan, math.nan),
    ) -> None:
        """Show other points. The selected one stays when there is one of its number.

        Args:
            points: float32[points, 2]; those that are no numbers are left out. None for none.
            labels: of each, safe to show.
            explained: share of the variance that each axis carries, for its name.
        """
        self._points = points if points is not None and len(points) else None
        self._labels = list(labels) if self._points is not None else []
        self._explained = explained
        self._selected = max(0, min(self._selected, len(self._labels) - 1))
        self._arrange()

    @property
    def selected(self) -> int:
        """The number of the selected point."""
        return self._selected

    def go_to(self, index: int) -> None:
        """Select a point without telling anybody."""
        self._place(index)

    def copy_text(self) -> str:
        """All points, tab-separated: label and place."""
        if self._points is None:
            return ""
        rows = zip(self._labels, self._points.tolist(), strict=True)
        return "\n".join(
            ["token\tPC 1\tPC 2", *(f"{label}\t{x:.6g}\t{y:.6g}" for label, (x, y) in rows)]
        )

    # -- geometry ------------------------------------------------------------------------------

    def resized(self) -> None:
        """The points are put into the new size."""
        self._arrange()

    def _arrange(self) -> None:
        self._places = self._lines = None
        if self._points is not None and self.is_attached:
            width, height = self.room()
            if width > 0 and height > 0:
                self._framed = width >= 8 and height >= 4
                edges = 2 if self._framed else 0
                self._places = Places.of(self._points, self._labels, width - edges, height - edges)
        self.refresh()

    # -- drawing -------------------------------------------------------------------------------

    def redraw(self) -> None:
        """What was drawn in other styles goes."""
        self._lines = None

    def render_line(self, y: int) -> Strip:
        """A line of the frame or of points; or of what stands in an empty one."""
        width = self.size.width
        places = self._places
        if places is not None:
            strip = self._framed_line(places, y) if self._framed else self._line(places, y)
            return strip.adjust_cell_length(width, self.style_of(""))
        return self.empty_line(y)

    def _framed_line(self, places: Places, y: int) -> Strip:
        frame = self.style_of("excluded")
        if y == 0:
            return self._border("┌", self._axis(1, "↑"), "┐", places.width, at_end=False)
        if y > places.height:
            return self._border("└", self._axis(0, "→"), "┘", places.width, at_end=True)
        edge = Strip([Segment("│", frame)], 1)
        return Strip.join([edge, self._line(places, y - 1), edge])

    def _axis(self, axis: int, arrow: str) -> str:
        share = self._explained[axis]
        percent = f" ({share:.0%})".replace("%", " %") if math.isfinite(share) else ""
        return f" PC {axis + 1}{percent} {arrow} "

    def _border(self, left: str, name: str, right: str, width: int, *, at_end: bool) -> Strip:
        """A side of the frame with the name of an axis in it."""
        if len(name) + 2 > width:
            name = ""
        rest = "─" * (width - len(name) - 1)
        before, after = (left + rest, "─" + right) if at_end else (left + "─", rest + right)
        frame = self.style_of("excluded")
        return Strip(
            [Segment(before, frame), Segment(name, self.style_of("label")), Segment(after, frame)]
        )

    def _line(self, places: Places, y: int) -> Strip:
        """A line of points, and over it the selected one."""
        if not 0 <= y < places.height:
            return Strip.blank(places.width, self.style_of(""))
        if self._lines is None:
            self._lines = [self._drawn(pieces, places.width) for pieces in places.lines]
        line = self._lines[y]
        column, row = places.cell(self._selected)
        if row != y:
            return line
        label = self._labels[self._selected] or DOT
        label = fit(label, min(cell_len(label), places.width))
        start = max(0, min(column, places.width - cell_len(label)))
        end = start + cell_len(label)
        over = Strip([Segment(label, self.style_of("cursor"))], end - start)
        return Strip.join([line.crop(0, start), over, line.crop(end, places.width)])

    def _drawn(self, pieces: Sequence[Piece], width: int) -> Strip:
        base, used = self.style_of(""), 0
        segments: list[Segment] = []
        for piece in pieces:
            if piece.column > used:
                segments.append(Segment(" " * (piece.column - used), base))
            segments.append(Segment(piece.text, self.style_of("" if piece.label else "mark")))
            used = piece.column + cell_len(piece.text)
        segments.append(Segment(" " * max(0, width - used), base))
        return Strip(segments)

    # -- moving --------------------------------------------------------------------------------

    def _place(self, index: int) -> bool:
        index = max(0, min(index, len(self._labels) - 1))
        if index == self._selected:
            return False
        self._selected = index
        self.refresh()
        return True

    def _go(self, index: int | None) -> None:
        if index is not None and self._place(index):
            self.post_message(self.PointHighlighted(self, self._selected))

    def action_move(self, right: int, down: int) -> None:
        """Select the nearest point in a direction."""
        if self._places is not None:
            self._go(self._places.beside(self._selected, right, down))

    def action_step(self, by: int) -> None:
        """Select the point before or after, by number."""
        self._go(self._selected + by)

    def action_edge(self, last: int) -> None:
        """Select the first or the last point."""
        self._go(len(self._labels) - 1 if last else 0)

    def on_click(self, event: events.Click) -> None:
        """A click selects the nearest point."""
        if self._places is not None:
            edge = 1 if self._framed else 0
            self._go(self._places.nearest(event.x - edge, event.y - edge))
