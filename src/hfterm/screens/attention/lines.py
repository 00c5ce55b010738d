"""Lines: the map as links between two columns of tokens."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import AttentionMap
from hfterm.engine.attention_requests import GetAttentionMap
from hfterm.screens.attention.sight import AttentionPage, PlacePicked, Sight, mask_of
from hfterm.text import foreign
from hfterm.widgets.attention_tables import labels_of, map_rows
from hfterm.widgets.data_grid import GridSource
from hfterm.widgets.link_lines import LinkLines

EMPTY = "F5 runs the model; lines from each query to the keys it looks at stand here."


class LinesPage(AttentionPage):
    """Two columns and lines."""

    HELP = """\
## Lines
Left the queries, right the keys; a line's colour is its weight. The same map as under Heads: `u`
changes what it is of, `x` hides special tokens.
"""

    _shown: tuple[Sight, AttentionMap] | None = None

    def body(self) -> ComposeResult:
        """What the lines are of, and the lines."""
        yield Static("", id="lines-said", markup=False)
        yield LinkLines(id="lines", empty=EMPTY)

    @property
    def _lines(self) -> LinkLines:
        return self.query_one(LinkLines)

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """The map when it is another, else only the query."""
        shown = self._shown
        if shown is None or shown[0].shown[:2] != sight.shown[:2]:
            self.start(self._load(sight))
        elif shown[0].shown != sight.shown:
            self._draw(sight, shown[1])
        else:
            self._lines.go_to(sight.query)

    async def _load(self, sight: Sight) -> None:
        found = await self.ask(GetAttentionMap(looked=sight.looked, which=sight.which))
        if found is None:
            self._shown = None
            self._lines.set_links(None)
            self._lines.set_empty(self.failure.message if self.failure is not None else "")
        elif self.sight is not None:
            self._draw(self.sight, found)

    def _draw(self, sight: Sight, found: AttentionMap) -> None:
        self._shown = (sight, found)
        self._lines.set_links(
            found.weights, labels_of(sight.rows), labels_of(sight.columns),
            keep_rows=mask_of(sight.queries), keep_columns=mask_of(sight.keys),
        )  # fmt: skip
        self._lines.go_to(sight.query)
        said = " · ".join(part for part in (sight.which.name, sight.hidden) if part)
        self.query_one("#lines-said", Static).update(foreign(said))

    @on(LinkLines.QueryHighlighted)
    def _moved(self, event: LinkLines.QueryHighlighted) -> None:
        event.stop()
        self.post_message(PlacePicked(event.query))

    def clear_page(self, why: str) -> None:
        """No lines."""
        super().clear_page(why)
        self._shown = None
        self._lines.set_links(None)
        self._lines.set_empty(why or EMPTY)
        self.query_one("#lines-said", Static).update("")

    def exported(self) -> tuple[str, GridSource] | None:
        """Each query with the keys that it looks at most."""
        if self._shown is None:
            return None
        sight, found = self._shown
        return "links", map_rows(found, sight.rows, sight.columns)

    def code(self) -> str:
        """The map."""
        if self.sight is None:
            return ""
        sight = self.sight
        return attention_code(sight.info, sight.looked, "head", sight.which, sight.side)
