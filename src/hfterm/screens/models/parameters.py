"""Parameters: shape, dtype, count, ties, by name or summed by module; no weights are read."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.model_requests import ListParameters
from hfterm.models.code import parameters_code
from hfterm.models.types import ParameterTree
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.model_tables import module_rows, parameter_rows, parameters_text


class ParametersPage(ModelPage):
    """The parameter tree of the class that is chosen."""

    HELP = """\
## Parameters
Every parameter of the chosen class: shape, dtype as stored, count (tied ones count once), whether
it is in the checkpoint or new (random, where there are no weights). `by module` sums them up,
`depth` says how finely. `search` looks in names. Built on the meta device: an 80 GB model costs
nothing here.
"""

    _tree: ParameterTree | None = None

    def body(self) -> ComposeResult:
        """A search, a view, and the table."""
        with Horizontal(classes="options"):
            yield Field("search", "", placeholder="part of a name", id="parameters-search")
            yield Choice("view", ("list", "by module"), id="parameters-view")
            yield Choice("depth", ("1", "2", "3", "4", "5"), "2", id="parameters-depth")
        yield DataGrid(id="parameters-grid", empty="No parameter's name has that in it.")
        yield Static("", id="parameters-sum", classes="about", markup=False)

    def on_mount(self) -> None:
        """The depth is only of use by module."""
        self.query_one("#parameters-depth").display = False

    def refresh_page(self, subject: ModelSubject) -> None:
        """The parameters of another class."""
        self.start(self._load(subject))

    async def _load(self, subject: ModelSubject) -> None:
        tree = await self.ask(ListParameters(spec=subject.spec))
        if tree is not None:
            self._tree = tree
            self._filter()

    @on(Input.Changed, "#parameters-search")
    @on(Choice.Changed)
    def _filter(self) -> None:
        if self._tree is None:
            return
        wanted = self.query_one("#parameters-search", Input).value.strip().lower()
        by_module = self.query_one("#parameters-view", Choice).value != "list"
        self.query_one("#parameters-depth").display = by_module
        found = tuple(p for p in self._tree.parameters if wanted in p.name.lower())
        tree = ParameterTree(self._tree.cls, found)
        depth = int(self.query_one("#parameters-depth", Choice).value)
        rows = module_rows(tree, depth) if by_module else parameter_rows(found)
        self.query_one("#parameters-grid", DataGrid).set_source(rows, cursor=0)
        tied = sum(1 for p in found if p.tied_to)
        line = f"{tree.cls}: {len(found):,} weights, {parameters_text(tree.total)} parameters"
        self.query_one("#parameters-sum", Static).update(
            foreign(f"{line} · {tied} tied" if tied else line, "$text-muted")
        )

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        grid = self.query_one("#parameters-grid", DataGrid)
        return ("parameters", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same tree."""
        if self.subject is None:
            return ""
        return parameters_code(self.subject.overview.source, self.subject.spec, self.subject.cls)
