"""Compare: an Auto class against the class itself, a base against what was fine-tuned from it."""

from __future__ import annotations

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.engine.model_requests import CompareModels
from hfterm.models.code import compare_code
from hfterm.models.types import ModelComparison, ModelSpec
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.model_tables import comparison_rows


class ComparePage(ModelPage):
    """Two models."""

    HELP = """\
## Compare
The chosen class against another model (`with`) or another class (`as`): an Auto class, or a
concrete one such as `BertForSequenceClassification`. Empty means the same. Classes, parameters,
config fields and stored weights that differ; `change` is the norm of the difference over the norm.
`Enter` compares.
"""

    _comparison: ModelComparison | None = None

    def body(self) -> ComposeResult:
        """What to compare with, the sum, the differences."""
        with Horizontal(classes="options"):
            yield Field("with", "", placeholder="the same model", id="compare-with")
            yield Field("as", "", placeholder="the concrete class", id="compare-as")
        yield Static("", id="compare-sum", classes="about", markup=False)
        yield DataGrid(id="compare-grid", empty="Press Enter above: what differs stands here.")

    def refresh_page(self, subject: ModelSubject) -> None:
        """Compare anew."""
        self._ask()

    @on(Input.Submitted)
    def _changed(self, event: Input.Submitted) -> None:
        event.stop()
        self._ask()

    @property
    def specs(self) -> tuple[ModelSpec, ModelSpec] | None:
        """What is compared."""
        if self.subject is None:
            return None
        first = self.subject.spec
        ref = self.query_one("#compare-with", Input).value.strip() or first.ref
        auto = self.query_one("#compare-as", Input).value.strip()
        if not auto:
            auto = self.subject.cls if ref == first.ref else first.auto
        return first, msgspec.structs.replace(first, ref=ref, auto=auto)

    def _ask(self) -> None:
        if self.specs is not None:
            self.start(self._load(*self.specs))

    async def _load(self, first: ModelSpec, second: ModelSpec) -> None:
        found = await self.ask(CompareModels(first=first, second=second))
        if found is None:
            self._comparison = None
            self.query_one("#compare-grid", DataGrid).empty = ""
            self.clear_page()
            return
        self._comparison = found
        lines = [
            foreign(
                f"{first.auto or found.first_class} → {found.first_class} "
                f"{found.first_parameters:,} parameters · {second.auto or found.second_class} → "
                f"{found.second_class} {found.second_parameters:,}"
            ),
            foreign(found.meaning, "$text-muted"),
        ]
        if found.equal_weights:
            lines.append(
                foreign(f"{found.equal_weights:,} stored weights are equal.", "$text-muted")
            )
        self.query_one("#compare-sum", Static).update(Content("\n").join(lines))
        grid = self.query_one("#compare-grid", DataGrid)
        grid.empty = "Nothing differs."
        grid.set_source(comparison_rows(found), cursor=0)

    def exported(self) -> tuple[str, GridSource] | None:
        """The differences."""
        grid = self.query_one("#compare-grid", DataGrid)
        return ("comparison", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same comparison."""
        if self.specs is None or self._comparison is None or self.subject is None:
            return ""
        sources = self._comparison.sources
        other = sources[1] if sources is not None else None
        return compare_code(self.subject.overview.source, *self.specs, other)
