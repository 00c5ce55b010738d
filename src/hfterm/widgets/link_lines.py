"""What a token looks at: the queries, the keys, and a line between for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from hfterm.attention.types import Array
from hfterm.attention.views import EXCLUDED as EXCLUDED_LEVEL
from hfterm.attention.views import Masked, TokenMap, levels, row_of, weights_of
from hfterm.widgets.drawn import Drawn
from hfterm.widgets.link_picture import HEAVY, Lines, LinkLayout, LinkPicture, lay_out
from hfterm.widgets.ramps import Depth, depth_of, ramp_of

if TYPE_CHECKING:
    import numpy as np


def _key(keys: str, action: str, label: str, name: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"links.{name}", tooltip=label)


class LinkLines(Drawn):
    """Tokens that look on the left, tokens looked at on the right, one a line."""

    HELP = """\
## Links
On the left the tokens that look, on the right the tokens looked at, with the weight that the
chosen one gives them; the brighter a line, the larger its weight (√ scale). `↑` `↓` or `k` `j`
choose a token, `PgUp` `PgDn` by a screen, `Home` `End` the first and the last. `a` changes between
the chosen token's links and all links from 0.1 on between the tokens in sight. `▲` and `▼` say how
many links lead to tokens out of sight. `·` is what a mask excludes, `×` what is not a number.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("up,k", "move(-1)", "Query up", "up"),
        _key("down,j", "move(1)", "Query down", "down"),
        _key("pageup", "page(-1)", "A screen of queries up", "page-up"),
        _key("pagedown", "page(1)", "A screen of queries down", "page-down"),
        _key("home", "edge(0)", "First query", "first"),
        _key("end", "edge(1)", "Last query", "last"),
        _key("a,alt+a", "all", "The query's links or all", "all"),
    ]

    class QueryHighlighted(Message):
        """Another token was chosen by a key or the mouse; its position in the whole."""

        def __init__(self, links: LinkLines, query: int) -> None:
            super().__init__()
            self.links = links
            self.query = query

        @property
        def control(self) -> LinkLines:
            """The links it happened in."""
            return self.links

    def __init__(
        self,
        *,
        threshold: float = 0.1,
        least: float = 0.01,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Of no links yet.

        Args:
            threshold: weight from which a link is drawn when all are, and when there are no
                colours to draw it faintly.
            least: weight from which one of the chosen query is drawn.
            empty: what stands here while there is no map.
            id: of the widget.
            classes: of the widget.
        """
        super().__init__(empty=empty, id=id, classes=classes)
        self._map: TokenMap | None = None
        self._labels: tuple[list[str], list[str]] = ([], [])
        self._rules: tuple[Masked | None, bool, int] = (None, False, 0)
        self._threshold, self._least = threshold, least
        self._all = False
        self._row = 0
        self._top = 0
        self._layout: LinkLayout | None = None
        self._picture: LinkPicture | None = None
        self._depth: Depth = "truecolor"

    # -- what is shown -------------------------------------------------------------------------

    def set_links(
        self,
        array: Array | np.ndarray | None,
        rows: Sequence[str] = (),
        columns: Sequence[str] = (),
        *,
        masked: Masked | None = None,
        causal: bool = False,
        window: int = 0,
        keep_rows: np.ndarray | None = None,
        keep_columns: np.ndarray | None = None,
    ) -> None:
        """Show another map. The query stays when there is one at its place.

        Args:
            array: float32, or uint8 of √weight × 255, [query, key]; None for none.
            rows: labels of the queries, safe to show.
            columns: labels of the keys, safe to show.
            masked: positions of queries and keys to bool[query, key], which pairs are excluded.
            causal: later keys are excluded.
            window: keys this many tokens back or further are excluded; 0 for none.
            keep_rows: which queries are shown, bool[query].
            keep_columns: which keys are shown, bool[key]; weights are shares of what they get.
        """
        query = self.selected
        self._map = None
        if array is not None and 0 not in array.shape:
            made = TokenMap(array, keep_rows=keep_rows, keep_columns=keep_columns)
            if made.weights.size:
                self._map = made
                self._labels = (
                    [rows[index] for index in made.queries.tolist()],
                    [columns[index] for index in made.keys.tolist()],
                )
        self._rules = (masked, causal, window)
        self._row = self._nearest(query)
        self._arrange()

    @property
    def selected(self) -> int:
        """The chosen query, as a position in the whole."""
        return int(self._map.queries[self._row]) if self._map is not None else 0

    @property
    def all_links(self) -> bool:
        """Whether the links of all queries in sight are drawn, and not the chosen one's."""
        return self._all

    def go_to(self, query: int) -> None:
        """Choose a query, by its position in the whole, without telling anybody."""
        self._place(self._nearest(query))

    def copy_text(self) -> str:
        """What the chosen query looks at, tab-separated: a key and its weight a line."""
        if self._map is None:
            return ""
        weights = row_of(self._map.weights, self._row).tolist()
        pairs = zip(self._labels[1], weights, strict=True)
        lines = [f"{self._labels[0][self._row]}\tweight"]
        return "\n".join([*lines, *(f"{label}\t{weight:.6g}" for label, weight in pairs)])

    # -- geometry ------------------------------------------------------------------------------

    def resized(self) -> None:
        """The columns are laid out anew."""
        self._arrange()

    def _arrange(self) -> None:
        self._layout = self._picture = None
        if self._map is not None and self.is_attached:
            width, height = self.room()
            if width > 0 and height > 0:
                longest = [max(map(cell_len, labels), default=0) for labels in self._labels]
                self._depth = depth_of(self.app)
                self._layout = lay_out(width, height, longest[0], longest[1])
                self._follow()
        self.refresh()

    def _nearest(self, query: int) -> int:
        if self._map is None:
            return 0
        return max(0, min(int(self._map.queries.searchsorted(query)), len(self._map.queries) - 1))

    def _follow(self) -> None:
        """Scroll so that the chosen query is in sight."""
        if self._layout is not None:
            top = max(self._row - self._layout.lines + 1, min(self._top, self._row))
            self._scroll(top)

    def _scroll(self, top: int) -> None:
        """Have a query on the first line, and the keys where the heaviest link leads."""
        import numpy as np

        layout, of = self._layout, self._map
        if layout is None or of is None:
            return
        self._top = max(0, min(top, len(of.queries) - layout.lines))
        weights = row_of(of.weights, self._row)
        # beside the queries, as far as the heaviest is in sight then, and not under a ▲ or ▼
        heaviest, edge = int(np.nan_to_num(weights).argmax()), int(layout.lines > 2)
        beside = int(of.keys.searchsorted(of.queries[self._top]))
        keys_top = max(heaviest - layout.lines + 1 + edge, min(beside, heaviest - edge))
        keys_top = max(0, min(keys_top, len(of.keys) - layout.lines))
        ramp = ramp_of(self.app)
        lines, more = self._connected(of, layout, keys_top, colored=bool(ramp.colors))
        which = f"all from {self._threshold:g} on" if self._all else "the chosen query's"
        self._picture = LinkPicture(
            layout, self._labels, self._top, keys_top, self._row, weights,
            self._levels_of(weights), more, lines, which, ramp, self.style_of,
        )  # fmt: skip
        self.refresh()

    def _levels_of(self, weights: np.ndarray) -> np.ndarray:
        """Levels of what the chosen query looks at, also of what a mask keeps from it."""
        import numpy as np

        assert self._map is not None
        masked, causal, window = self._rules
        query, keys = self.selected, self._map.keys
        hidden = np.zeros(len(keys), bool)
        if causal:
            hidden |= keys > query
        if window:
            hidden |= query - keys >= window
        if masked is not None:
            hidden |= masked(np.array([query]), keys)[0]
        found = levels(weights, "sqrt")
        # what a query sees although it should not is shown, not hidden
        found[hidden & (weights == 0)] = EXCLUDED_LEVEL
        return found

    def _connected(
        self, of: TokenMap, layout: LinkLayout, keys_top: int, *, colored: bool
    ) -> tuple[Lines, tuple[int, int]]:
        """The lines of what is in sight, and how many lead above and below it."""
        import numpy as np

        first, last = self._row, self._row + 1
        if self._all:
            first, last = self._top, self._top + layout.lines
        block = weights_of(of.weights[first:last])
        threshold = self._threshold if self._all or not colored else self._least
        rows, keys = np.nonzero(np.nan_to_num(block) >= max(threshold, 1e-9))
        weights = block[rows, keys]
        above, below = keys < keys_top, keys >= keys_top + layout.lines
        # where a line is needed to say so, the key under it is hidden as well
        if above.any() and layout.lines > 2:
            above = keys <= keys_top
        if below.any() and layout.lines > 2:
            below = keys >= keys_top + layout.lines - 1
        starts, ends = rows + first - self._top, np.clip(keys - keys_top, 0, layout.lines - 1)
        seen = (starts >= 0) & (starts < layout.lines)
        if self._all:  # those that lead out of sight are only counted
            seen &= ~(above | below)
        starts, ends, weights = starts[seen], ends[seen], weights[seen]
        lines = Lines.of(
            starts, ends, levels(weights[None, :], "sqrt")[0], layout.canvas, layout.lines,
            None if colored else weights >= HEAVY,
        )  # fmt: skip
        return lines, (int(above.sum()), int(below.sum()))

    # -- drawing -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """A query, lines, and a key; or of what stands in an empty one."""
        width = self.size.width
        if self._layout is not None and depth_of(self.app) != self._depth:
            self._styles.clear()  # a style keeps the colours it was first drawn with
            self._arrange()
        if self._layout is not None and self._picture is not None:
            strip = Strip(self._picture.line(y, width))
            return strip.adjust_cell_length(width, self.style_of(""))
        return self.empty_line(y)

    # -- moving --------------------------------------------------------------------------------

    def _place(self, row: int) -> bool:
        if self._map is None:
            return False
        row = max(0, min(row, len(self._map.queries) - 1))
        if row == self._row:
            return False
        self._row = row
        self._follow()
        return True

    def _go(self, row: int) -> None:
        if self._place(row):
            self.post_message(self.QueryHighlighted(self, self.selected))

    def action_move(self, rows: int) -> None:
        """Choose a query further up or down."""
        self._go(self._row + rows)

    def action_page(self, pages: int) -> None:
        """Move by screens."""
        if self._layout is not None:
            self._go(self._row + pages * self._layout.lines)

    def action_edge(self, last: int) -> None:
        """Choose the first or the last query."""
        if self._map is not None:
            self._go(len(self._map.queries) - 1 if last else 0)

    def action_all(self) -> None:
        """All links instead of the chosen query's, or the other way round."""
        self._all = not self._all
        if self._layout is not None:
            self._scroll(self._top)

    def on_click(self, event: events.Click) -> None:
        """A click chooses the query of its line."""
        layout = self._layout
        if layout is not None and 0 <= event.y < layout.lines and event.x <= layout.queries:
            index = self._top + event.y
            if index < len(self._labels[0]):
                self._go(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls."""
        event.stop()
        self._scroll(self._top + 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls."""
        event.stop()
        self._scroll(self._top - 1)
