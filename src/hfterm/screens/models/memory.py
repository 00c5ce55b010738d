"""Memory: what the class costs for what one wants to do, and whether this machine has it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.engine.model_requests import EstimateMemory
from hfterm.models.code import memory_code
from hfterm.models.memory_types import MemoryReport
from hfterm.screens.models.subject import ModelPage, ModelSubject
from hfterm.sizes import size_text
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.model_tables import FITS, memory_rows
from hfterm.widgets.numbers import whole_number


class MemoryPage(ModelPage):
    """Every plan against every device."""

    HELP = """\
## Memory
What the chosen class takes at its peak: inference in each precision, a full fine-tune with AdamW,
LoRA and QLoRA, at a context length and batch. Worked out by running the class's own operations on
tensors without data. ✓ fits: up to 85 % of what is free. ! tight. ✗ does not, and by how much.
Change a figure and press `Enter`. Under the table: what the row's peak is made of, at that moment
(at the peak of a backward pass few gradients are there yet). What is counted is what is in use; on
a CPU the C library keeps freed blocks, so that resident memory can be higher, most of all in
training.
"""

    _report: MemoryReport | None = None

    def body(self) -> ComposeResult:
        """Context, batch, adapters; plans; the row in words."""
        with Horizontal(classes="options"):
            yield Field("context", "", placeholder="512", id="memory-context")
            yield Field("batch", "1", id="memory-batch")
            yield Field("LoRA rank", "8", id="memory-rank")
            yield Field("targets", "", placeholder="the usual ones", id="memory-targets")
        yield Static("", id="memory-sum", classes="about", markup=False)
        yield DataGrid(id="memory-grid", empty="What the model costs stands here.")
        yield Static("", id="memory-words", classes="about", markup=False)

    def refresh_page(self, subject: ModelSubject) -> None:
        """Another class."""
        self._estimate()

    @on(Input.Submitted)
    def _changed(self, event: Input.Submitted) -> None:
        event.stop()
        self._estimate()

    def _value(self, name: str) -> str:
        return self.query_one(f"#memory-{name}", Input).value.strip()

    def _estimate(self) -> None:
        if self.subject is None:
            return
        context = 0
        if self._value("context"):
            typed = whole_number(self.notice, "context", self._value("context"))
            if typed is None:
                return
            context = typed
        batch = whole_number(self.notice, "batch", self._value("batch"))
        rank = whole_number(self.notice, "LoRA rank", self._value("rank"))
        if batch is None or rank is None:
            return
        targets = tuple(self._value("targets").replace(",", " ").split())
        self.start(
            self._load(
                EstimateMemory(
                    spec=self.subject.spec, context=context, batch=batch, rank=rank, targets=targets
                )
            )
        )

    async def _load(self, request: EstimateMemory) -> None:
        report = await self.ask(request)
        if report is None:
            return
        self._report = report
        self.query_one("#memory-grid", DataGrid).set_source(memory_rows(report))
        sizes = " · ".join(f"{name} {size_text(size)}" for name, size in report.weights.items())
        cache = f" · KV cache {size_text(report.kv_cache)} (bf16)" if report.kv_cache else ""
        where = f" · at {report.context:,} × {report.batch:,}"
        self.query_one("#memory-sum", Static).update(
            foreign(f"weights: {sizes}{cache}{where}", "$text-muted")
        )
        self._say(self.query_one("#memory-grid", DataGrid).cursor_row)

    @on(DataGrid.RowHighlighted, "#memory-grid")
    def _moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._say(event.row)

    def _say(self, row: int) -> None:
        if self._report is None or row >= len(self._report.plans):
            return
        judged = self._report.plans[row]
        parts = " + ".join(f"{part.what} {size_text(part.size)}" for part in judged.plan.parts)
        lines = [
            foreign(f"{judged.plan.purpose}, {judged.plan.precision}: {parts}"),
            *(
                foreign(
                    f"{FITS[verdict.fit][0]} {verdict.device}: {verdict.fit}, {verdict.why}",
                    {"tight": "$warning", "does not fit": "$error"}.get(verdict.fit, ""),
                )
                for verdict in judged.verdicts
            ),
        ]
        if judged.plan.note:
            lines.append(foreign(judged.plan.note, "$text-muted"))
        self.query_one("#memory-words", Static).update(Content("\n").join(lines))

    def exported(self) -> tuple[str, GridSource] | None:
        """The plans."""
        grid = self.query_one("#memory-grid", DataGrid)
        return ("memory", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """The sizes that follow from shapes alone."""
        if self.subject is None or self._report is None:
            return ""
        return memory_code(
            self.subject.overview.source, self.subject.spec, self.subject.cls,
            self._report.context, self._report.batch,
        )  # fmt: skip
