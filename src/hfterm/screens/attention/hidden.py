"""Hidden: the states between the layers: their norms, how alike they are, where they lie."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import HiddenViews, Side
from hfterm.engine.attention_requests import ViewHidden
from hfterm.screens.attention.sight import AttentionPage, PlacePicked, Sight
from hfterm.text import foreign
from hfterm.widgets.attention_tables import labels_of, norm_rows
from hfterm.widgets.data_grid import NO_ROWS, DataGrid, GridSource
from hfterm.widgets.fields import Choice
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.scatter import Scatter

VIEWS = ("norms", "positions", "layers", "plane")

EMPTY = "F5 runs the model; the length of each hidden state stands here."

_MEANING = {
    "norms": "the length of each token's state after each layer",
    "positions": "cosines between the states of this layer, token by token",
    "layers": "mean cosine between a token's states in two layers",
    "plane": "the states of this layer on their first two principal components",
}


class HiddenPage(AttentionPage):
    """Hidden states."""

    HELP = """\
## Hidden
The states between the layers; 0 is the embeddings. `view`: their `norms` by token and layer, the
cosines between `positions` of one layer or between `layers`, and the `plane` of the first two
principal components. Blue is opposite, orange is alike.
"""

    _views: HiddenViews | None = None

    def body(self) -> ComposeResult:
        """What is shown, and one of four pictures."""
        with Horizontal(classes="options"):
            yield Choice("view", VIEWS, id="hidden-view")
            yield Choice("layer", ("0",), id="hidden-layer")
        yield Static("", id="hidden-said", markup=False)
        yield DataGrid(id="hidden-norms", empty=EMPTY)
        yield Heatmap(id="hidden-map")
        yield Scatter(id="hidden-plane")

    def on_mount(self) -> None:
        """The norms come first."""
        self._turn()

    @property
    def _view(self) -> str:
        return self.query_one("#hidden-view", Choice).value

    def _stack(self, sight: Sight) -> Side:
        """Cross-attention's queries are the decoder's states."""
        return "decoder" if sight.side == "cross" else sight.side

    def _turn(self) -> None:
        view = self._view
        self.query_one("#hidden-norms").display = view == "norms"
        self.query_one("#hidden-map").display = view in ("positions", "layers")
        self.query_one("#hidden-plane").display = view == "plane"
        self.query_one("#hidden-layer").display = view in ("positions", "plane")

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """The norms are there; the rest is asked for when it is looked at."""
        stack = self._stack(sight)
        if before is None or before.summary is not sight.summary or self._stack(before) != stack:
            norms = sight.summary.norms[stack]
            layers = self.query_one("#hidden-layer", Choice)
            layers.values = tuple(map(str, range(norms.shape[0])))
            if layers.value not in layers.values:
                layers.value = "0"
            self.query_one("#hidden-norms", DataGrid).set_source(
                norm_rows(norms, sight.rows), cursor=sight.query
            )
        asked = (sight.looked, stack, int(self.query_one("#hidden-layer", Choice).value))
        if self._view != "norms" and asked != self.asked:
            self.asked, self._views = asked, None  # those before are of other tokens
            self.start(self._load(*asked))
        else:
            self._draw()

    async def _load(self, looked: object, stack: Side, layer: int) -> None:
        sight = self.sight
        if sight is None:
            return
        request = ViewHidden(looked=sight.looked, side=stack, layer=layer)
        self._views = await self.answer_to(request)
        if self._views is None:
            self.query_one("#hidden-map", Heatmap).set_map(None)
            self.query_one("#hidden-plane", Scatter).set_points(None, (), (0, 0))
        self._draw()

    def _draw(self) -> None:
        if self.sight is not None:
            self._draw_view(self.sight, self._views)
            self._say(self.sight)

    def _draw_view(self, sight: Sight, found: HiddenViews | None) -> None:
        if self._view == "norms":
            grid = self.query_one("#hidden-norms", DataGrid)
            if not grid.has_focus:
                grid.move_to(sight.query)
            return
        if found is None:
            return
        names = labels_of(sight.rows)
        heat = self.query_one("#hidden-map", Heatmap)
        if self._view == "positions":
            some = names[:: found.every]
            heat.set_map(found.similarity, some, some, signed=True)
            heat.go_to(sight.query // found.every, heat.position[1])
        elif self._view == "layers":
            layers = ["embed", *(f"L{n}" for n in range(1, found.layers.shape[0]))]
            heat.set_map(found.layers, layers, layers, signed=True)
        else:
            plane = self.query_one("#hidden-plane", Scatter)
            plane.set_points(found.plane.numpy(), names, found.explained)
            plane.go_to(sight.query)

    def _say(self, sight: Sight) -> None:
        stack = self._stack(sight)
        shape = list(sight.summary.hidden[stack])
        count = sight.summary.norms[stack].shape[0]
        parts = [f"{count} × {shape}", _MEANING[self._view]]
        heat = self.query_one("#hidden-map", Heatmap)
        if self._view == "positions" and self._views is not None:
            if self._views.every > 1:
                parts.append(f"every {self._views.every}th token")
            query, key = heat.position
            if heat.weight == heat.weight:
                parts.append(f"{query} ~ {key}: {heat.weight:+.3f}")
        self.query_one("#hidden-said", Static).update(
            Content.assemble(foreign(" · ".join(parts), "$text-muted"))
        )

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._turn()
        if self.sight is not None:
            self.refresh_page(self.sight, self.sight)

    @on(Heatmap.Moved)
    def _moved(self, event: Heatmap.Moved) -> None:
        event.stop()
        if self.sight is not None:
            self._say(self.sight)

    @on(DataGrid.RowHighlighted)
    def _row(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        if event.grid.has_focus:
            self.post_message(PlacePicked(event.row))

    @on(Scatter.PointHighlighted)
    def _point(self, event: Scatter.PointHighlighted) -> None:
        event.stop()
        self.post_message(PlacePicked(event.index))

    def clear_page(self, why: str) -> None:
        """No states."""
        super().clear_page(why)
        self._views = None
        grid = self.query_one("#hidden-norms", DataGrid)
        grid.empty = why or EMPTY
        grid.set_source(NO_ROWS)
        heat = self.query_one("#hidden-map", Heatmap)
        heat.set_map(None)
        heat.set_empty(why or EMPTY)
        self.query_one("#hidden-plane", Scatter).set_points(None, (), (0, 0))
        self.query_one("#hidden-said", Static).update("")

    def exported(self) -> tuple[str, GridSource] | None:
        """The norms."""
        grid = self.query_one("#hidden-norms", DataGrid)
        return ("hidden", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The norms, and the states they are of."""
        if self.sight is None:
            return ""
        sight = self.sight
        return attention_code(sight.info, sight.looked, "hidden", sight.which, sight.side)
