"""Ranking: for one token, its strongest links over all layers and heads."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import RankedKey
from hfterm.engine.attention_requests import RankAttention
from hfterm.screens.attention.sight import AttentionPage, LinkPicked, Sight
from hfterm.text import foreign
from hfterm.widgets.attention_tables import labels_of, ranking_rows
from hfterm.widgets.data_grid import NO_ROWS, DataGrid, GridSource
from hfterm.widgets.fields import Choice

DIRECTIONS = ("looks at", "is looked at by")

EMPTY = "F5 runs the model; the strongest links of the token that is selected stand here."


class RankingPage(AttentionPage):
    """A table of links."""

    HELP = """\
## Ranking
The strongest links of the token that is selected in the strip, over all layers and heads: whom it
`looks at`, or who looks at it (`is looked at by`). `Enter` shows a link in its head's map.
"""

    _links: tuple[RankedKey, ...] = ()

    def body(self) -> ComposeResult:
        """Direction, whose links, the links."""
        with Horizontal(classes="options"):
            yield Choice("the token", DIRECTIONS, id="ranking-direction")
            yield Static("", id="ranking-said", markup=False)
        yield DataGrid(id="ranking-grid", empty=EMPTY)

    @property
    def _incoming(self) -> bool:
        return self.query_one(Choice).value == DIRECTIONS[1]

    def _token(self, sight: Sight) -> int:
        """The token that is selected: of the keys only where these are another text."""
        return sight.key if self._incoming and sight.side == "cross" else sight.query

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """Ask when the token is another."""
        token = self._token(sight)
        asked = (sight.looked, sight.side, token, self._incoming)
        if asked != self.asked:
            self.asked = asked
            self.start(self._load(sight, token, incoming=self._incoming))

    async def _load(self, sight: Sight, token: int, *, incoming: bool) -> None:
        links = await self.answer_to(
            RankAttention(looked=sight.looked, side=sight.side, token=token, incoming=incoming)
        )
        if links is None:
            self._links = ()
            self.query_one(DataGrid).set_source(NO_ROWS)
            return
        self._links = tuple(links)
        of = (sight.columns if incoming else sight.rows)[token]
        said = f"“{labels_of([of])[0]}” {token}: the {len(links):,} strongest"
        self.query_one("#ranking-said", Static).update(foreign(said))
        rows = ranking_rows(links, sight.rows, sight.columns, incoming=incoming)
        self.query_one(DataGrid).set_source(rows, cursor=0)

    @on(Choice.Changed)
    def _turned(self, event: Choice.Changed) -> None:
        event.stop()
        if self.sight is not None:
            self.refresh_page(self.sight, self.sight)

    @on(DataGrid.RowChosen)
    def _chosen(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        if event.row >= len(self._links):
            return
        link = self._links[event.row]
        self.post_message(LinkPicked(link.layer, link.head, link.query, link.key))

    def clear_page(self, why: str) -> None:
        """Nothing to rank."""
        super().clear_page(why)
        grid = self.query_one(DataGrid)
        grid.empty = why or EMPTY
        grid.set_source(NO_ROWS)
        self.query_one("#ranking-said", Static).update("")

    def exported(self) -> tuple[str, GridSource] | None:
        """The links."""
        grid = self.query_one(DataGrid)
        return ("ranking", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same links."""
        if self.sight is None:
            return ""
        sight = self.sight
        return attention_code(
            sight.info, sight.looked, "ranking", sight.which, sight.side,
            token=self._token(sight), incoming=self._incoming,
        )  # fmt: skip
