"""Config: every field, and what differs from the architecture's default."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.model_requests import ListConfig
from hfterm.models.code import config_code
from hfterm.models.types import ConfigEntry
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.model_tables import config_rows


class ConfigPage(ModelPage):
    """The config."""

    HELP = """\
## Config
Every field of the config as transformers reads it, nested ones with dots, beside what the
architecture has by default; ● marks what differs. `search` looks in names and values.
"""

    _entries: tuple[ConfigEntry, ...] = ()

    def body(self) -> ComposeResult:
        """A search, the table, and the labels."""
        with Horizontal(classes="options"):
            yield Field("search", "", placeholder="a field or a value", id="config-search")
            yield Choice("show", ("all", "what differs"), id="config-show")
        yield DataGrid(id="config-grid", empty="Nothing in the config matches.")
        yield Static("", id="config-labels", classes="about", markup=False)

    def refresh_page(self, subject: ModelSubject) -> None:
        """The config of another model."""
        self.start(self._load(subject))

    async def _load(self, subject: ModelSubject) -> None:
        entries = await self.ask(ListConfig(spec=subject.spec))
        if entries is None:
            return
        self._entries = tuple(entries)
        labels = subject.overview.labels
        shown = ", ".join(f"{id_} {label}" for id_, label in enumerate(labels[:24]))
        more = f" and {len(labels) - 24:,} more" if len(labels) > 24 else ""
        self.query_one("#config-labels", Static).update(
            foreign(f"{len(labels):,} labels: {shown}{more}", "$text-muted")
        )
        self._filter()

    @on(Input.Changed, "#config-search")
    @on(Choice.Changed, "#config-show")
    def _filter(self) -> None:
        wanted = self.query_one("#config-search", Input).value.strip().lower()
        only = self.query_one("#config-show", Choice).value != "all"
        rows = config_rows(
            entry
            for entry in self._entries
            if (entry.differs or not only)
            and (wanted in entry.name.lower() or wanted in entry.value.lower())
        )
        self.query_one("#config-grid", DataGrid).set_source(rows, cursor=0)

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        grid = self.query_one("#config-grid", DataGrid)
        return ("config", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same fields."""
        return config_code(self.subject.overview.source) if self.subject else ""
