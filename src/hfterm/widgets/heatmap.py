"""Who looks at whom: a map of weights, each query a row and each key a column.

Only what is in sight is worked out, from squares that are made once for each zoom: a frame of
8192 tokens costs what one of 512 costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from hfterm.attention.types import Array
from hfterm.attention.views import SCALES, Masked, Scale, TokenMap
from hfterm.widgets.drawn import Drawn
from hfterm.widgets.map_cells import Cells
from hfterm.widgets.map_layout import Extent, Viewport, fitting, lay_out, stages
from hfterm.widgets.map_picture import Picture
from hfterm.widgets.ramps import Depth, depth_of, ramp_of

if TYPE_CHECKING:
    import numpy as np


def _key(keys: str, action: str, label: str, name: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"map.{name}", tooltip=label)


class Heatmap(Drawn):
    """A map [query, key] with a crosshair."""

    HELP = """\
## Heat map
Rows are the tokens that look, columns the tokens looked at; each row sums to 1. `←` `→` `↑` `↓`
or `h` `l` `k` `j` move the crosshair, `Home` `End` along the row, `PgUp` `PgDn` by a screen.
`+` `-` zoom, `0` fits the map; zoomed out, a cell shows the largest weight of its square, and the
crosshair goes to it. `Shift` with an arrow pans. `s` changes the scale: √, linear, or √ of the
share of the row's largest. `·` is what a mask excludes, `×` what is not a number.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left,h", "move(0, -1)", "Key left", "left"),
        _key("right,l", "move(0, 1)", "Key right", "right"),
        _key("up,k", "move(-1, 0)", "Query up", "up"),
        _key("down,j", "move(1, 0)", "Query down", "down"),
        _key("home", "edge(0)", "First key", "first"),
        _key("end", "edge(1)", "Last key", "last"),
        _key("pageup", "page(-1)", "A screen of queries up", "page-up"),
        _key("pagedown", "page(1)", "A screen of queries down", "page-down"),
        _key("shift+left", "pan(0, -1)", "Pan left", "pan-left"),
        _key("shift+right", "pan(0, 1)", "Pan right", "pan-right"),
        _key("shift+up", "pan(-1, 0)", "Pan up", "pan-up"),
        _key("shift+down", "pan(1, 0)", "Pan down", "pan-down"),
        _key("plus,equals_sign", "zoom(-1)", "Zoom in", "zoom-in"),
        _key("minus", "zoom(1)", "Zoom out", "zoom-out"),
        _key("0,alt+0", "fit", "Fit the whole map", "fit"),
        _key("s,alt+s", "rescale", "Next scale: √, linear, row's largest", "scale"),
    ]

    class _Told(Message):
        def __init__(self, heatmap: Heatmap) -> None:
            super().__init__()
            self.heatmap = heatmap

        @property
        def control(self) -> Heatmap:
            """The map it happened in."""
            return self.heatmap

    class Moved(_Told):
        """The crosshair came to another pair by a key or the mouse; positions in the whole."""

        def __init__(self, heatmap: Heatmap, query: int, key: int, weight: float) -> None:
            super().__init__(heatmap)
            self.query, self.key, self.weight = query, key, weight

    class Rescaled(_Told):
        """Another scale was chosen by its key."""

        def __init__(self, heatmap: Heatmap, scale: Scale) -> None:
            super().__init__(heatmap)
            self.scale: Scale = scale

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(empty=empty, id=id, classes=classes)
        self._map: TokenMap | None = None
        self._labels: tuple[list[str], list[str]] = ([], [])
        self._signed = False
        self._scale: Scale = "sqrt"
        self._zoom: int | None = None  # None follows the size, so that all is in sight
        self._fit = 0
        self._view = Viewport()
        self._cells: Cells | None = None
        self._picture: Picture | None = None
        self._merged = 1
        self._depth: Depth = "truecolor"

    # -- what is shown -------------------------------------------------------------------------

    def set_map(
        self,
        array: Array | np.ndarray | None,
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        *,
        signed: bool = False,
        masked: Masked | None = None,
        causal: bool = False,
        window: int = 0,
        keep_rows: np.ndarray | None = None,
        keep_columns: np.ndarray | None = None,
    ) -> None:
        """Show another map. Crosshair and zoom stay when its shape is the same.

        Args:
            array: float32, or uint8 of √weight × 255, [query, key]; None for none.
            rows: labels of the queries, safe to show.
            columns: labels of the keys, safe to show.
            signed: a difference: 0 is in the middle of the ramp.
            masked: positions of queries and keys to bool[query, key], which pairs are excluded.
            causal: later keys are excluded.
            window: keys this many tokens back or further are excluded; 0 for none.
            keep_rows: which queries are shown, bool[query].
            keep_columns: which keys are shown, bool[key]; weights are shares of what they get.
        """
        position, old = self.position, self._map
        self._map = None
        if array is not None and 0 not in array.shape:
            made = TokenMap(
                array, signed=signed, masked=masked, causal=causal, window=window,
                keep_rows=keep_rows, keep_columns=keep_columns,
            )  # fmt: skip
            if made.weights.size:
                self._map = made
                self._labels = (
                    [rows[index] for index in made.queries.tolist()],
                    [columns[index] for index in made.keys.tolist()],
                )
        new = self._map
        if new is not None and (old is None or new.weights.shape != old.weights.shape):
            self._zoom, self._view = None, Viewport()
        if self._signed != signed:
            self._cells = None
        self._signed = signed
        self._view.row, self._view.column = self._nearest(*position)
        self._arrange()

    @property
    def position(self) -> tuple[int, int]:
        """The crosshair's query and key, as positions in the whole."""
        if self._map is None:
            return 0, 0
        return int(self._map.queries[self._view.row]), int(self._map.keys[self._view.column])

    @property
    def weight(self) -> float:
        """What is under the crosshair; NaN without a map."""
        if self._map is None:
            return float("nan")
        return self._map.weight(self._view.row, self._view.column)

    @property
    def scale(self) -> Scale:
        """How a weight becomes a shade."""
        return self._scale

    @scale.setter
    def scale(self, scale: Scale) -> None:
        if scale != self._scale:
            self._scale, self._picture, self._merged = scale, None, 1
            self.refresh()

    @property
    def tokens_per_cell(self) -> int:
        """The side of the square of tokens that a cell stands for."""
        return self._view.size

    def go_to(self, query: int, key: int) -> None:
        """Put the crosshair on a pair, by positions in the whole, without telling anybody."""
        self._place(*self._nearest(query, key))

    def copy_text(self) -> str:
        """The crosshair's row, tab-separated, under the labels of its columns."""
        if self._map is None:
            return ""
        from hfterm.attention.views import row_of

        rows, columns = self._labels
        weights = [f"{weight:.6g}" for weight in row_of(self._map.weights, self._view.row).tolist()]
        return "\t".join(["", *columns]) + "\n" + "\t".join([rows[self._view.row], *weights])

    # -- geometry ------------------------------------------------------------------------------

    def resized(self) -> None:
        """The map is fitted anew, or the crosshair kept in sight."""
        self._arrange()

    def _arrange(self) -> None:
        self._view.layout = None
        self._picture = None
        self._merged = 1
        if self._map is not None and self.is_attached:
            width, height = self.room()
            rows, columns = self._labels
            longest = [max(map(cell_len, labels), default=0) for labels in self._labels]
            extent = Extent(width, height, len(rows), len(columns), longest[0], longest[1])
            if width > 0 and height > 0:
                self._depth = depth_of(self.app)
                self._fit = fitting(self._colored, extent)
                zoom = self._fit if self._zoom is None else self._zoom
                self._view.layout = lay_out(stages(self._colored)[zoom], extent)
                self._view.follow()
        self.refresh()

    @property
    def _colored(self) -> bool:
        return self._depth in ("truecolor", "256")

    def _nearest(self, query: int, key: int) -> tuple[int, int]:
        """The places of positions in the map without hidden tokens."""
        if self._map is None:
            return 0, 0
        row = min(int(self._map.queries.searchsorted(query)), len(self._map.queries) - 1)
        column = min(int(self._map.keys.searchsorted(key)), len(self._map.keys) - 1)
        return max(0, row), max(0, column)

    # -- drawing -------------------------------------------------------------------------------

    def redraw(self) -> None:
        """What was drawn in other styles goes."""
        self._cells = self._picture = None

    def _drawn(self) -> Picture | None:
        """The frame; made anew when anything but the crosshair's place changed."""
        layout = self._view.layout
        if self._map is None or layout is None:
            return None
        if depth_of(self.app) != self._depth:  # a style keeps the colours it was first drawn with
            self._styles.clear()
            self._cells = None
            self._arrange()
            return self._drawn()
        if self._picture is None:
            wide = layout.stage.wide
            if self._cells is None or self._cells.wide != wide:
                ramp = ramp_of(self.app, signed=self._signed)
                base, excluded, nan = (self.style_of(name) for name in ("", "excluded", "wrong"))
                self._cells = Cells(ramp, wide, base, excluded, nan)
            self._picture = Picture(
                self._map, self._view, layout, self._labels, self._cells, self._scale,
                self._signed, self.style_of, self._merged,
            )  # fmt: skip
            # kept while panning: a shade must not change its meaning under the eye
            self._merged = self._picture.merged
        return self._picture

    def render_line(self, y: int) -> Strip:
        """A line of the head, of the map, or of what stands in an empty one."""
        width = self.size.width
        picture = self._drawn()
        if picture is not None:
            return Strip(picture.line(y, width)).adjust_cell_length(width, self.style_of(""))
        return self.empty_line(y)

    # -- moving --------------------------------------------------------------------------------

    def _place(self, row: int, column: int) -> bool:
        view = self._view
        if self._map is None or (row, column) == (view.row, view.column):
            return False
        width = self.size.width
        changed = view.cross(width)
        view.row, view.column = row, column
        if view.follow() or not changed:
            self._picture = None
            self.refresh()
        else:
            self.refresh(*changed, *view.cross(width))
        return True

    def _go(self, row: int, column: int) -> None:
        """Move to a square, and in it to the largest weight."""
        view = self._view
        if self._map is None or view.layout is None:
            return
        row = max(0, min(row, view.layout.rows - 1))
        column = max(0, min(column, view.layout.columns - 1))
        if view.size > 1:
            if (row, column) == view.square:
                return
            row, column = self._map.brightest(view.size, row, column)
        if self._place(row, column):
            self.post_message(self.Moved(self, *self.position, self.weight))

    def action_move(self, rows: int, columns: int) -> None:
        """Move the crosshair by cells."""
        row, column = self._view.square
        self._go(row + rows, column + columns)

    def action_edge(self, last: int) -> None:
        """Move the crosshair along its row to the first or the last key."""
        if self._view.layout is not None:
            self._go(self._view.square[0], self._view.layout.columns - 1 if last else 0)

    def action_page(self, pages: int) -> None:
        """Move the crosshair by screens."""
        if self._view.layout is not None:
            row, column = self._view.square
            self._go(row + pages * self._view.layout.rows_seen, column)

    def action_pan(self, rows: int, columns: int) -> None:
        """Move what is in sight, and leave the crosshair where it is."""
        if self._view.pan(rows, columns):
            self._picture = None
            self.refresh()

    def action_zoom(self, by: int) -> None:
        """Zoom by a step; what is under the crosshair stays in sight."""
        if self._view.layout is None:
            return
        zoom = self._fit if self._zoom is None else self._zoom
        # nothing is further away than all of it
        self._zoom = max(0, min(zoom + by, self._fit))
        if self._zoom == self._fit:
            self._zoom = None
        self._arrange()
        self._view.center()

    def action_fit(self) -> None:
        """Show the whole map."""
        self._zoom = None
        self._arrange()

    def action_rescale(self) -> None:
        """The next scale."""
        self.scale = SCALES[(SCALES.index(self._scale) + 1) % len(SCALES)]
        self.post_message(self.Rescaled(self, self._scale))

    def on_click(self, event: events.Click) -> None:
        """A click puts the crosshair where it is."""
        square = self._view.at(event.x, event.y)
        if square is not None:
            self._go(*square)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel pans."""
        event.stop()
        self.action_pan(1, 0)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel pans."""
        event.stop()
        self.action_pan(-1, 0)
