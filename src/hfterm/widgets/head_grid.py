"""All heads of a model at once: a number or a small map for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from hfterm.widgets.drawn import Drawn
from hfterm.widgets.head_layout import Grid, HeadLayout, Mode, lay_out
from hfterm.widgets.head_picture import HeadPicture
from hfterm.widgets.map_cells import Cells
from hfterm.widgets.ramps import Depth, depth_of, ramp_of

if TYPE_CHECKING:
    import numpy as np


def _key(keys: str, action: str, label: str, name: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"heads.{name}", tooltip=label)


class HeadGrid(Drawn):
    """A grid [layer, head] in which one head is selected."""

    HELP = """\
## Heads
Rows are layers, columns are heads, both from 0. `←` `→` `↑` `↓` or `h` `l` `k` `j` select a head,
`Home` `End` along the layer, `PgUp` `PgDn` by a screen of layers, `Enter` or a double click takes
it. `n` selects the head with the largest value (of differences: the one that differs most), then
the one after it, and `N` goes back. `v` changes between the metric's numbers and a small map of
each head, in which a cell is the largest weight of its square. `–` is where the metric has no
meaning.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left,h", "move(0, -1)", "Head left", "left"),
        _key("right,l", "move(0, 1)", "Head right", "right"),
        _key("up,k", "move(-1, 0)", "Layer up", "up"),
        _key("down,j", "move(1, 0)", "Layer down", "down"),
        _key("home", "edge(0)", "First head", "first"),
        _key("end", "edge(1)", "Last head", "last"),
        _key("pageup", "page(-1)", "A screen of layers up", "page-up"),
        _key("pagedown", "page(1)", "A screen of layers down", "page-down"),
        _key("n,alt+n", "ranked(1)", "The largest value, then the next", "next-largest"),
        _key("N,alt+shift+n", "ranked(-1)", "The next larger value", "next-larger"),
        _key("enter", "choose", "Take the head", "choose"),
        _key("v,alt+v", "view", "Numbers or small maps", "view"),
    ]

    class _Told(Message):
        def __init__(self, grid: HeadGrid) -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> HeadGrid:
            """The grid it happened in."""
            return self.grid

    class HeadHighlighted(_Told):
        """Another head was selected by a key or the mouse."""

        def __init__(self, grid: HeadGrid, layer: int, head: int) -> None:
            super().__init__(grid)
            self.layer, self.head = layer, head

    class HeadChosen(_Told):
        """A head was taken."""

        def __init__(self, grid: HeadGrid, layer: int, head: int) -> None:
            super().__init__(grid)
            self.layer, self.head = layer, head

    class ModeChanged(_Told):
        """Numbers or small maps were chosen by the key."""

        def __init__(self, grid: HeadGrid, mode: Mode) -> None:
            super().__init__(grid)
            self.mode: Mode = mode

    def __init__(
        self, *, empty: str = "", id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(empty=empty, id=id, classes=classes)
        self._grid: Grid | None = None
        self._mode: Mode = "metric"
        self._selected = (0, 0)
        self._rank = 0
        self._top = self._left = 0
        self._layout: HeadLayout | None = None
        self._picture: HeadPicture | None = None
        self._depth: Depth = "truecolor"

    # -- what is shown -------------------------------------------------------------------------

    def set_heads(
        self,
        values: np.ndarray | None,
        thumbnails: np.ndarray | None = None,
        *,
        signed: bool = False,
        causal: bool = False,
    ) -> None:
        """Show other heads. The selected one stays as far as there is one at its place.

        Args:
            values: of a metric, float32[layers, heads], NaN where it has no meaning; None for none.
            thumbnails: small maps, uint8[layers, heads, rows, columns] of √weight × 255.
            signed: a difference: 0 is in the middle of the ramp.
            causal: later keys are excluded.
        """
        self._grid = Grid.of(values, thumbnails, signed=signed, causal=causal)
        self._selected = self._inside(*self._selected)
        self._rank = 0
        self._arrange()

    @property
    def selected(self) -> tuple[int, int]:
        """Layer and head."""
        return self._selected

    @property
    def mode(self) -> Mode:
        """Numbers or small maps."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode != self._mode:
            self._mode = mode
            self._arrange()

    def go_to(self, layer: int, head: int) -> None:
        """Select a head without telling anybody."""
        self._place(layer, head)

    def copy_text(self) -> str:
        """The values, tab-separated: a line for each layer."""
        if self._grid is None or self._grid.values is None:
            return ""
        lines = ["\t".join(["layer", *(f"head {head}" for head in range(self._grid.heads))])]
        for layer, row in enumerate(self._grid.values.tolist()):
            lines.append("\t".join([str(layer), *(f"{value:.6g}" for value in row)]))
        return "\n".join(lines)

    # -- geometry ------------------------------------------------------------------------------

    def resized(self) -> None:
        """The heads are laid out anew."""
        self._arrange()

    @property
    def _shown(self) -> Mode:
        """What can be shown of what was chosen."""
        if self._grid is None or self._grid.maps is None:
            return "metric"
        return "maps" if self._grid.values is None else self._mode

    def _arrange(self) -> None:
        self._layout = self._picture = None
        if self._grid is not None and self.is_attached:
            width, height = self.room()
            if width > 0 and height > 0:
                self._depth = depth_of(self.app)
                self._layout = lay_out(self._shown, self._grid, width, height)
                self._follow()
        self.refresh()

    def _follow(self) -> None:
        """Scroll so that the selected head is in sight."""
        if self._layout is None:
            return
        layer, head = self._selected
        top = max(layer - self._layout.layers_seen + 1, min(self._top, layer))
        self._left = max(head - self._layout.heads_seen + 1, min(self._left, head))
        self._scroll(top)

    def _scroll(self, top: int) -> None:
        if self._layout is None or self._grid is None:
            return
        layout = self._layout
        self._top = max(0, min(top, self._grid.layers - layout.layers_seen))
        self._left = max(0, min(self._left, self._grid.heads - layout.heads_seen))
        self._picture = None
        self.refresh()

    def _inside(self, layer: int, head: int) -> tuple[int, int]:
        if self._grid is None:
            return 0, 0
        return (
            max(0, min(layer, self._grid.layers - 1)),
            max(0, min(head, self._grid.heads - 1)),
        )

    def _at(self, x: int, y: int) -> tuple[int, int] | None:
        """The head under a place of the widget."""
        layout, grid = self._layout, self._grid
        if grid is None or layout is None:
            return None
        if x < layout.gutter or not 0 <= y - layout.top < layout.lines:
            return None
        layer = self._top + (y - layout.top) // (layout.tall + layout.gap)
        head = self._left + (x - layout.gutter) // (layout.wide + layout.gap)
        return (layer, head) if layer < grid.layers and head < grid.heads else None

    # -- drawing -------------------------------------------------------------------------------

    def redraw(self) -> None:
        """What was drawn in other styles goes."""
        self._picture = None

    def _drawn(self) -> HeadPicture | None:
        """The frame; made anew when anything changed."""
        if self._grid is None or self._layout is None:
            return None
        if depth_of(self.app) != self._depth:  # a style keeps the colours it was first drawn with
            self._styles.clear()
            self._arrange()
            return self._drawn()
        if self._picture is None:
            maps = self._layout.mode == "maps"
            ramp = ramp_of(self.app, signed=self._grid.signed and not maps)
            base, excluded, none = (self.style_of(name) for name in ("", "excluded", "label"))
            cells = Cells(ramp, 1 if maps else self._layout.wide, base, excluded, none)
            self._picture = HeadPicture(
                self._grid,
                self._layout,
                self._top,
                self._left,
                self._selected,
                cells,
                self.style_of,
            )
        return self._picture

    def render_line(self, y: int) -> Strip:
        """A line of the head, of the grid, or of what stands in an empty one."""
        width = self.size.width
        picture = self._drawn()
        if picture is not None:
            return Strip(picture.line(y, width)).adjust_cell_length(width, self.style_of(""))
        return self.empty_line(y)

    # -- moving --------------------------------------------------------------------------------

    def _place(self, layer: int, head: int) -> bool:
        place = self._inside(layer, head)
        if place == self._selected:
            return False
        self._selected = place
        self._follow()
        return True

    def _go(self, layer: int, head: int) -> None:
        if self._grid is not None and self._place(layer, head):
            self.post_message(self.HeadHighlighted(self, *self._selected))

    def action_move(self, layers: int, heads: int) -> None:
        """Select a head beside the selected one."""
        layer, head = self._selected
        self._go(layer + layers, head + heads)

    def action_edge(self, last: int) -> None:
        """Select the first or the last head of the layer."""
        if self._grid is not None:
            self._go(self._selected[0], self._grid.heads - 1 if last else 0)

    def action_page(self, pages: int) -> None:
        """Move by screens of layers."""
        if self._layout is not None:
            layer, head = self._selected
            self._go(layer + pages * self._layout.layers_seen, head)

    def action_ranked(self, by: int) -> None:
        """Select the head with the largest value; from one of that order, its neighbour in it."""
        if self._grid is None or not (order := self._grid.ranked):
            return
        if order[self._rank] == self._selected:
            self._rank = max(0, min(self._rank + by, len(order) - 1))
        else:
            self._rank = 0
        self._go(*order[self._rank])

    def action_choose(self) -> None:
        """Take the selected head."""
        if self._grid is not None:
            self.post_message(self.HeadChosen(self, *self._selected))

    def action_view(self) -> None:
        """Numbers instead of small maps, or the other way round, where there are both."""
        grid = self._grid
        if grid is not None and grid.maps is not None and grid.values is not None:
            self.mode = "maps" if self._mode == "metric" else "metric"
            self.post_message(self.ModeChanged(self, self._mode))

    def on_click(self, event: events.Click) -> None:
        """A click selects a head, two take it."""
        place = self._at(event.x, event.y)
        if place is not None:
            self._go(*place)
            if event.chain == 2:
                self.action_choose()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self._scroll(self._top + 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self._scroll(self._top - 1)
