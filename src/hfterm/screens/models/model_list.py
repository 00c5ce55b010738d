"""The list on the left: models of this machine, then every architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from hfterm.engine.requests import KnownModel
from hfterm.models.types import Architecture
from hfterm.text import displayable
from hfterm.widgets.data_grid import Cell, DataGrid, GridColumn, Rows


class ModelList(Vertical):
    """A search over names, and a row each."""

    HELP = """\
## Models and architectures
Type part of a name: `↑` `↓` choose a row, `Enter` opens it. Or type a path (`./folder`, a
`config.json`, a `.gguf`) or a hub id (`owner/name`) and press `Enter`.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next model", show=False, id="models.list-down",
                tooltip="The next row of the list"),
        Binding("up", "move(-1)", "Model before", show=False, id="models.list-up",
                tooltip="The row before in the list"),
    ]  # fmt: skip

    class Wanted(Message):
        """A model should be opened."""

        def __init__(self, ref: str) -> None:
            super().__init__()
            self.ref = ref

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._names: list[tuple[str, str]] = []
        self._found: list[str] = []
        self._moved = False

    def compose(self) -> ComposeResult:
        """Search and rows."""
        yield Input(placeholder="name, path, hub id", id="models-search", compact=True)
        yield DataGrid(id="models-grid", empty="Enter opens what is typed.")

    def show(self, known: Sequence[KnownModel], architectures: Sequence[Architecture]) -> None:
        """List them."""
        self._names = [(model.ref, model.origin) for model in known]
        self._names += [(found.name, found.family) for found in architectures]
        self._filter()

    @on(Input.Changed, "#models-search")
    def _filter(self) -> None:
        wanted = self.query_one("#models-search", Input).value.strip().lower()
        found = [(name, kind) for name, kind in self._names if wanted in name.lower()]
        found.sort(key=lambda pair: pair[0].lower() != wanted)  # a whole name comes first
        self._found = [name for name, _ in found]
        self._moved = False
        columns = (GridColumn("model", most=60, stretch=True), GridColumn("kind", most=16))
        cells = [[Cell(displayable(name)), Cell(displayable(kind), "dim")] for name, kind in found]
        self.query_one("#models-grid", DataGrid).set_source(Rows(columns, cells), cursor=0)

    def action_move(self, by: int) -> None:
        """Move in the list while the search keeps the focus."""
        self._moved = True
        self.query_one("#models-grid", DataGrid).action_move(by)

    @on(Input.Submitted, "#models-search")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = event.value.strip()
        grid = self.query_one("#models-grid", DataGrid)
        a_path = typed.startswith(("/", "./", "../", "~")) or "/" in typed
        if self._found and (self._moved or not a_path):
            self.post_message(self.Wanted(self._found[grid.cursor_row]))
        elif typed:
            self.post_message(self.Wanted(typed))

    @on(DataGrid.RowChosen, "#models-grid")
    def _chosen(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        if event.row < len(self._found):
            self.post_message(self.Wanted(self._found[event.row]))
