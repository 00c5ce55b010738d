"""Lens: what the head of a causal model would say after each layer."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import LogitLens
from hfterm.engine.attention_requests import ReadLens
from hfterm.screens.attention.sight import AttentionPage, Sight
from hfterm.text import foreign, token_label
from hfterm.widgets.attention_tables import lens_rows
from hfterm.widgets.data_grid import NO_ROWS, DataGrid, GridSource

POSITIONS = 32
"""Tokens read at once; the window follows the token that is selected."""

EMPTY = "F5 runs the model; the next token as each layer would say it stands here."


class LensPage(AttentionPage):
    """Layers down, positions across, the selected one first."""

    HELP = """\
## Lens
The logit lens: after each layer the last norm and the head are applied as if it were the last, and
the likeliest next token is shown, first at the token that is selected (`▸`). Below, the best five
there, and how far (KL, in nats) the layer is from the last one. Only for causal models with their
head.
"""

    _lens: LogitLens | None = None

    def body(self) -> ComposeResult:
        """The table, and one cell of it in full."""
        yield DataGrid(id="lens-grid", empty=EMPTY)
        yield Static("", id="lens-said", markup=False)

    def _start(self, sight: Sight) -> int:
        return sight.query // POSITIONS * POSITIONS

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """Read the part that the selected token is in."""
        asked = (sight.looked, self._start(sight))
        if asked != self.asked:
            self.asked, self._lens = asked, None  # that before is of other tokens
            self.start(self._load(sight, self._start(sight)))
        elif self._lens is not None and (before is None or before.query != sight.query):
            self._draw(sight, self._lens, self.query_one(DataGrid).cursor_row)
        else:
            self._say()

    async def _load(self, sight: Sight, start: int) -> None:
        request = ReadLens(looked=sight.looked, start=start, count=POSITIONS)
        # that a model has no lens is an answer; that its engine died is none
        found = await self.answer_to(request, final="no-lens")
        grid = self.query_one(DataGrid)
        self._lens = found
        if found is None:
            grid.empty = self.failure.message if self.failure is not None else ""
            grid.set_source(NO_ROWS)
            self.query_one("#lens-said", Static).update("")
            return
        if self.sight is not None:
            self._draw(self.sight, found, len(found.layers) - 1)

    def _draw(self, sight: Sight, found: LogitLens, row: int) -> None:
        rows = lens_rows(found, sight.rows, sight.query)
        self.query_one(DataGrid).set_source(rows, cursor=row)
        self._say()

    def _say(self) -> None:
        """The best tokens of the layer under the cursor, at the selected token."""
        sight, found = self.sight, self._lens
        if sight is None or found is None:
            return
        row = self.query_one(DataGrid).cursor_row
        place = sight.query - found.positions[0]
        if not (0 <= place < len(found.positions) and 0 <= row < len(found.layers)):
            return
        cell = found.cells[row][place]
        layer = "the embeddings" if row == 0 else f"layer {row}"
        parts = [
            foreign(
                f"after “{token_label(sight.rows[sight.query].name)}” {sight.query}, {layer}: "
            ),
        ]
        for token, probability in zip(cell.tokens, cell.probabilities, strict=True):
            parts += [foreign(token_label(token), "bold"), foreign(f" {probability:.3f}  ")]
        parts.append(foreign(f"KL {float(found.kl.numpy()[row, place]):.3f}", "$text-muted"))
        self.query_one("#lens-said", Static).update(Content.assemble(*parts))

    @on(DataGrid.RowHighlighted)
    def _row(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._say()

    def clear_page(self, why: str) -> None:
        """Nothing to read."""
        super().clear_page(why)
        self._lens = None
        grid = self.query_one(DataGrid)
        grid.empty = why or EMPTY
        grid.set_source(NO_ROWS)
        self.query_one("#lens-said", Static).update("")

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        grid = self.query_one(DataGrid)
        return ("lens", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same readings."""
        if self.sight is None or self._lens is None:
            return ""
        sight = self.sight
        return attention_code(
            sight.info, sight.looked, "lens", sight.which, sight.side,
            start=self._start(sight), count=POSITIONS,
        )  # fmt: skip
