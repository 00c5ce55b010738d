"""Heads: all of them in a grid, and the map of one with its crosshair."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import METRICS, AttentionMap, Token
from hfterm.engine.attention_requests import GetAttentionMap
from hfterm.screens.attention.sight import AttentionPage, HeadPicked, PlacePicked, Sight, mask_of
from hfterm.text import foreign
from hfterm.widgets.attention_tables import labels_of, metric_rows
from hfterm.widgets.data_grid import GridSource
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap

GRID_EMPTY = "F5 runs the model on the text: each head's metric stands here."
MAP_EMPTY = "And here who looks at whom in one head: rows are queries, columns are keys."

NUMBERED = 5
"""Cells of a head whose number is written into it."""

ROOMY = 50
"""Cells from which a map is named in words."""

TALL = 20
"""Lines from which there is room to say how the weights were had."""

LAYOUTS = ("both", "map", "grid")
"""What is in sight: `w` goes on."""


class HeadsPage(AttentionPage):
    """The grid of heads and a map."""

    HELP = """\
## Heads
Left a metric of every head (`e` the next metric, `v` small maps instead), right the map of the one
that is selected. `Enter` goes from the grid to the map, `Shift+Tab` back; `w` gives all the room to
the map or the grid. `u` changes what the map is of: the head, the mean of heads, layers or all, or
the rollout. `x` hides special tokens; the rows are then renormalised, and that is said.
"""

    _shown: tuple[Sight, AttentionMap] | None = None
    _layout = 0

    def body(self) -> ComposeResult:
        """Grid, then the map under a line that says what is under the crosshair."""
        with Horizontal(id="heads-row"):
            with Vertical(id="heads-left"):
                yield Static("", id="heads-said", markup=False)
                yield HeadGrid(id="heads-grid", empty=GRID_EMPTY)
            with Vertical(id="heads-right"):
                yield Static("", id="map-said", markup=False)
                yield Heatmap(id="heads-map", empty=MAP_EMPTY)

    @property
    def grid(self) -> HeadGrid:
        """All heads."""
        return self.query_one("#heads-grid", HeadGrid)

    @property
    def map(self) -> Heatmap:
        """One of them."""
        return self.query_one("#heads-map", Heatmap)

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """Bring grid, map and crosshair up to date."""
        summary, side = sight.summary, sight.side
        fresh = before is None or before.summary is not summary or before.side != side
        if before is None or fresh or before.metric != sight.metric:
            self.grid.set_heads(
                summary.metrics[side][sight.metric].numpy(),
                summary.thumbnails[side].numpy(),
                causal=summary.axis(side).causal,
            )
            # no wider than its numbers need: the rest is the map's
            self.query_one("#heads-left").styles.width = 4 + NUMBERED * summary.axis(side).heads
            self.query_one("#heads-said", Static).update(
                foreign(f"{sight.metric}: {METRICS[sight.metric]}", "$text-muted")
            )
        self.grid.go_to(sight.layer, sight.head)
        shown = self._shown
        if fresh or shown is None or (shown[0].looked, shown[0].which) != sight.shown[:2]:
            self.start(self._load(sight))
        elif shown[0].shown != sight.shown:
            self._draw(sight, shown[1])
        else:
            self._shown = (sight, shown[1])
            self.map.go_to(sight.query, sight.key)
            self._say()

    async def _load(self, sight: Sight) -> None:
        found = await self.ask(GetAttentionMap(looked=sight.looked, which=sight.which))
        if found is None:
            self._shown = None
            self.map.set_map(None)
            self.map.set_empty(self.failure.message if self.failure is not None else "")
            self.query_one("#map-said", Static).update(foreign(sight.which.name))
        elif self.sight is not None:
            self._draw(self.sight, found)

    def _draw(self, sight: Sight, found: AttentionMap) -> None:
        self._shown = (sight, found)
        self.map.set_map(
            found.weights, labels_of(sight.rows), labels_of(sight.columns),
            causal=sight.summary.axis(sight.side).causal, window=sight.window,
            keep_rows=mask_of(sight.queries), keep_columns=mask_of(sight.keys),
        )  # fmt: skip
        self.map.go_to(sight.query, sight.key)
        self._say()

    def _say(self) -> None:
        """What is under the crosshair, and what the numbers are of."""
        if self._shown is None:
            return
        sight, found = self._shown
        query, key = self.map.position
        which = sight.which
        lines = [
            Content.assemble(
                (which.name if self.map.size.width >= ROOMY else which.short, "bold"), "  ",
                _pair(sight.rows, query, sight.columns, key),
                (f"  {self.map.weight:.4f}", "bold $accent"),
                ("" if found.exact else "  in 8 bits", "dim"),
            )
        ]  # fmt: skip
        if sight.hidden:
            lines.append(foreign(sight.hidden, "$warning"))
        elif self.size.height >= TALL:
            lines.append(foreign(f"by {sight.summary.implementation}", "$text-muted"))
        self.query_one("#map-said", Static).update(Content("\n").join(lines))

    @on(HeadGrid.HeadHighlighted)
    def _picked(self, event: HeadGrid.HeadHighlighted) -> None:
        event.stop()
        self.post_message(HeadPicked(event.layer, event.head))

    @on(HeadGrid.HeadChosen)
    def _chosen(self, event: HeadGrid.HeadChosen) -> None:
        """On to the map, which may be out of sight."""
        event.stop()
        if LAYOUTS[self._layout] == "grid":
            self.next_layout()
        self.map.focus()

    @on(Heatmap.Moved)
    def _moved(self, event: Heatmap.Moved) -> None:
        event.stop()
        self.post_message(PlacePicked(event.query, event.key))

    def next_layout(self) -> None:
        """Both, only the map, only the grid."""
        self._layout = (self._layout + 1) % len(LAYOUTS)
        layout = LAYOUTS[self._layout]
        grid_had, map_had = self.grid.has_focus, self.map.has_focus
        self.query_one("#heads-left").display = layout != "map"
        self.query_one("#heads-right").display = layout != "grid"
        if layout == "map" and grid_had:
            self.map.focus()
        elif layout == "grid" and map_had:
            self.grid.focus()

    def clear_page(self, why: str) -> None:
        """Nothing to show; `why` stands where the heads were."""
        super().clear_page(why)
        self._shown = None
        self.grid.set_heads(None)
        self.grid.set_empty(why or GRID_EMPTY)
        self.map.set_map(None)
        self.map.set_empty(MAP_EMPTY)
        for name in ("#heads-said", "#map-said"):
            self.query_one(name, Static).update("")

    def exported(self) -> tuple[str, GridSource] | None:
        """All metrics of all heads."""
        if self.sight is None:
            return None
        return "attention", metric_rows(self.sight.summary, self.sight.side)

    def code(self) -> str:
        """The map; with the focus in the grid, the metrics of all heads."""
        if self.sight is None:
            return ""
        sight = self.sight
        page = "heads" if self.grid.has_focus else "head"
        return attention_code(sight.info, sight.looked, page, sight.which, sight.side)


def numbered(heads: int) -> int:
    """Cells that a grid needs for a number in each head."""
    return 4 + NUMBERED * heads


def _pair(rows: Sequence[Token], query: int, columns: Sequence[Token], key: int) -> Content:
    names = labels_of([rows[query], columns[key]])
    return foreign(f"{names[0]} {query} → {names[1]} {key}")
