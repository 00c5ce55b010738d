"""LoRA: rank × target modules → parameters added, beside a full fine-tune."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from hfterm.engine.model_requests import EstimateLora
from hfterm.models.code import lora_code
from hfterm.models.types import LoraEstimate
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.model_tables import lora_rows, rank_rows
from hfterm.widgets.numbers import whole_number


class LoraPage(ModelPage):
    """The calculator."""

    HELP = """\
## LoRA
An adapter of rank r on a weight of shape [out, in] adds r × (in + out) parameters. The names of
the modules are the model's own; `Enter` on one adapts it or leaves it. `targets` takes names, or
`all-linear` (all but the output layer and the head). A classification head is new: it is trained
and saved along with the adapter. The second table compares ranks, and a full fine-tune.
"""

    _estimate: LoraEstimate | None = None

    def body(self) -> ComposeResult:
        """Rank and targets; modules; ranks."""
        with Horizontal(classes="options"):
            yield Field("rank", "8", id="lora-rank")
            yield Field("targets", "", placeholder="the usual ones; all-linear", id="lora-targets")
        yield Static("", id="lora-sum", classes="about", markup=False)
        yield DataGrid(id="lora-grid", empty="The modules that LoRA can adapt stand here.")
        yield DataGrid(id="lora-ranks")

    def refresh_page(self, subject: ModelSubject) -> None:
        """Another class has other modules."""
        self.query_one("#lora-targets", Input).value = ""
        self._ask()

    @on(Input.Submitted)
    def _changed(self, event: Input.Submitted) -> None:
        event.stop()
        self._ask()

    @on(DataGrid.RowChosen, "#lora-grid")
    def _toggled(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        if self._estimate is None:
            return
        rows = self._estimate.rows
        kept = [row.module for i, row in enumerate(rows) if row.chosen != (i == event.row)]
        if not kept:
            self.notice.show("An adapter needs at least one module.", severity="warning")
            return
        self.query_one("#lora-targets", Input).value = " ".join(kept)
        self._ask()

    def _ask(self) -> None:
        rank = whole_number(self.notice, "rank", self.query_one("#lora-rank", Input).value)
        if rank is None or self.subject is None:
            return
        targets = self.query_one("#lora-targets", Input).value.replace(",", " ").split()
        self.start(
            self._load(EstimateLora(spec=self.subject.spec, rank=rank, targets=tuple(targets)))
        )

    async def _load(self, request: EstimateLora) -> None:
        estimate = await self.ask(request)
        if estimate is None:
            return
        self._estimate = estimate
        trained = estimate.added + estimate.head
        head = f" with {estimate.head:,} of the head" if estimate.head else ""
        self.query_one("#lora-sum", Static).update(
            foreign(
                f"r={estimate.rank}: {trained:,} parameters{head} · "
                f"{100 * trained / max(1, estimate.full):.3f} % of {estimate.full:,} · "
                f"adapter {size_text(estimate.adapter_bytes)}, model "
                f"{size_text(estimate.full_bytes)}",
                "$text-muted",
            )
        )
        self.query_one("#lora-grid", DataGrid).set_source(lora_rows(estimate))
        self.query_one("#lora-ranks", DataGrid).set_source(rank_rows(estimate))

    def exported(self) -> tuple[str, GridSource] | None:
        """The modules."""
        grid = self.query_one("#lora-grid", DataGrid)
        return ("lora", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The same figures, by peft."""
        if self.subject is None or self._estimate is None:
            return ""
        return lora_code(
            self.subject.overview.source, self.subject.spec, self.subject.cls, self._estimate
        )
