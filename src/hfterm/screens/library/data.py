"""The Rows tab: a data set page by page, and what its columns hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.library_requests import DescribeColumns, PageOfRows
from hfterm.hub import starter
from hfterm.library.code import rows_code
from hfterm.library.data_preview import ColumnFacts, DataPage
from hfterm.paths import full_path
from hfterm.screens.library.page import LibraryPage
from hfterm.text import elide_middle, foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.library_tables import column_rows, data_rows

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient

PAGE = 500
"""Rows that are asked for at once."""

SHORTEST_NAME = 12
"""Characters of a file's name in the line over the rows, however little room there is."""


class DataRowsPage(LibraryPage):
    """A field, the rows, and a table of the columns."""

    HELP = """\
## Rows
Type a starter data set (`reviews`), a file (CSV, TSV, JSON, JSONL, Parquet, lines) or a folder of
such files, and press `Enter`. Rows come 500 at a time: `n` (`alt+n`) goes to the next 500, `p`
(`alt+p`) back. `c` (`alt+c`) goes through all rows and says what each column holds: how many values
are missing, how many differ, the least, mean and most of numbers, or of the lengths of texts in
characters.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+n", "turn(1)", "Next rows", priority=True, id="rows.next",
                tooltip="The next 500 rows"),
        Binding("n", "turn(1)", "Next rows", show=False, id="rows.next-letter",
                tooltip="The next 500 rows"),
        Binding("alt+p", "turn(-1)", "Rows before", priority=True, id="rows.before",
                tooltip="The 500 rows before"),
        Binding("p", "turn(-1)", "Rows before", show=False, id="rows.before-letter",
                tooltip="The 500 rows before"),
        Binding("alt+c", "columns", "Columns", priority=True, id="rows.columns",
                tooltip="Go through all rows and say what each column holds"),
        Binding("c", "columns", "Columns", show=False, id="rows.columns-letter",
                tooltip="Go through all rows and say what each column holds"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, id: str) -> None:
        super().__init__(engine, id=id)
        self._source = ""
        self._found: DataPage | None = None
        self._columns: list[ColumnFacts] = []

    def body(self) -> ComposeResult:
        """The field and the two tables."""
        with Horizontal(classes="options"):
            yield Field("data", "", placeholder="reviews, or a file", id="rows-source")
        yield Static("", id="rows-of", markup=False)
        yield DataGrid(id="rows-grid", empty="Name a data set and press Enter: reviews, say.")
        yield DataGrid(id="rows-columns", empty="alt+c says what each column holds.")

    def come(self) -> None:
        """Type, or read on."""
        self.query_one("#rows-grid" if self._found is not None else "#rows-source").focus()

    def again(self) -> None:
        """Read the page again."""
        if self._source:
            self.start(self._look(self._found.offset if self._found is not None else 0))

    def show(self, source: str) -> None:
        """A data set, from its beginning."""
        self.query_one("#rows-source", Input).value = source
        self._open(source)

    @on(Input.Submitted, "#rows-source")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._open(event.value.strip())

    def _open(self, source: str) -> None:
        self._source = source if starter.is_starter(source) else full_path(source)
        self.start(self._look(0))

    async def _look(self, offset: int) -> None:
        source = self._source
        found = await self.ask(PageOfRows(source=source, offset=offset, limit=PAGE))
        if found is None or source != self._source:
            return
        if self._found is None or self._found.file != found.file:
            self._columns = []
            self.query_one("#rows-columns", DataGrid).set_source(column_rows([]))
        self._found = found
        grid = self.query_one("#rows-grid", DataGrid)
        grid.set_source(data_rows(found), cursor=0)
        grid.focus()
        self._say_which()

    def on_resize(self) -> None:
        """The file's name takes the room there is."""
        self._say_which()

    def _say_which(self) -> None:
        if self._found is not None:
            self.query_one("#rows-of", Static).update(foreign(self._about(self._found)))

    def _about(self, found: DataPage) -> str:
        last = found.offset + len(found.rows)
        parts = [f"rows {found.offset + 1:,} to {last:,}" if found.rows else "no rows"]
        parts.append("more follow" if found.more else "these are the last")
        if len(found.files) > 1:
            parts.append(f"the first of {len(found.files):,} files: ")
            room = self.query_one("#rows-of").size.width - cell_len(" · ".join(parts))
            name = found.file.removeprefix(f"{self._source.rstrip('/')}/")
            parts[-1] += elide_middle(name, max(SHORTEST_NAME, room))
        return " · ".join(parts)

    def action_turn(self, by: int) -> None:
        """Other rows."""
        found = self._found
        if found is None or (by > 0 and not found.more) or (by < 0 and not found.offset):
            which = "after these" if by > 0 else "before these"
            self.notice.show(f"There are no rows {which}.", severity="note")
            return
        self.start(self._look(max(0, found.offset + by * PAGE)))

    def action_columns(self) -> None:
        """Go through all rows."""
        if self._found is None:
            self.notice.show(
                "No data set is open.", "Type a name, reviews for one, and press Enter.", "note"
            )
        else:
            self.start(self._describe(self._source))

    async def _describe(self, source: str) -> None:
        facts = await self.ask(DescribeColumns(source=source))
        if facts is not None and source == self._source:
            self._columns = facts
            self.query_one("#rows-columns", DataGrid).set_source(column_rows(facts), cursor=0)

    def exported(self) -> tuple[str, GridSource] | None:
        """The rows; the columns when they have the focus."""
        if self._columns and self.query_one("#rows-columns").has_focus:
            return ("columns", column_rows(self._columns))
        return ("rows", data_rows(self._found)) if self._found is not None else None

    def code(self) -> str:
        """What prints these rows."""
        found = self._found
        if found is None:
            return ""
        path = starter.starter_path(found.file) if starter.is_starter(found.file) else found.file
        return rows_code(str(path), found.offset, len(found.rows))
