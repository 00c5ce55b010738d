"""Batch: every row of a data set or file, with accuracy, F1 and a confusion matrix."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Static

from hfterm.engine.model_requests import PredictRows
from hfterm.hub import starter
from hfterm.inference.code import batch_code
from hfterm.inference.options import BatchOptions
from hfterm.inference.types import BatchTable
from hfterm.models.types import LoadedInfo
from hfterm.screens.predict.subject import PredictPage, Question
from hfterm.text import foreign
from hfterm.widgets.batch_tables import batch_rows, confusion_rows, metrics_line
from hfterm.widgets.data_grid import NO_ROWS, DataGrid, GridSource
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import whole_number

ORDERS = ("first", "at random")
"""Which rows, when not all of them."""


class BatchPage(PredictPage):
    """A form, progress, and the rows."""

    HELP = """\
## Batch
Predicts every row of a starter data set (`reviews`, `sms-spam`) or a file (`.csv`, `.tsv`,
`.jsonl`, `.json`, `.parquet`, or one text a line), the first ones or some at random from all over.
`Esc` stops within a batch and keeps the rows until then, of texts to classify the shorter ones
first. With a column of true labels: accuracy, F1 and the confusion matrix. `Ctrl+E` writes the rows
as CSV, JSONL or Parquet.
"""

    _shown: tuple[Question, LoadedInfo, BatchOptions, str, BatchTable] | None = None

    def body(self) -> ComposeResult:
        """Fields, button, sum, rows, confusion."""
        with Horizontal(classes="options"):
            yield Field("from", "reviews", placeholder="a data set or file", id="batch-source")
            yield Field("rows", "1000", placeholder="all", id="batch-most")
            yield Choice("taken", ORDERS, id="batch-order")
            yield Field("at once", "32", id="batch-size")
        with Horizontal(classes="options"):
            yield Field("text column", "", placeholder="text", id="batch-column")
            yield Field("label column", "", placeholder="label", id="batch-label")
            yield Button("Start", id="batch-start", compact=True)
        yield Static("", id="batch-sum", markup=False)
        yield DataGrid(id="batch-rows", empty="Start, or F5, predicts every row of the file.")
        yield DataGrid(id="batch-confusion")

    def on_mount(self) -> None:
        """The confusion matrix is there when there are labels."""
        self.query_one("#batch-confusion").display = False

    def _text(self, name: str) -> str:
        return self.query_one(f"#batch-{name}", Input).value.strip()

    def options(self) -> BatchOptions | None:
        """What the form says; None when a field is wrong, and the notice then says so."""
        size = whole_number(self.notice, "at once", self._text("size"))
        most = None
        if self._text("most"):
            most = whole_number(self.notice, "rows", self._text("most"))
            if most is None:
                return None
        if size is None:
            return None
        return BatchOptions(
            column=self._text("column"), label_column=self._text("label"), size=size, most=most,
            shuffled=self.query_one("#batch-order", Choice).value != ORDERS[0],
        )  # fmt: skip

    @on(Button.Pressed, "#batch-start")
    @on(Input.Submitted)
    def run(self) -> None:
        """Predict all rows."""
        if self.busy:
            self.notice.show("A batch is under way.", "Esc stops it.", "note")
            return
        question, options = self.asked(), self.options()
        if question is not None and options is not None:
            self.start(self._predict(question, options))

    async def _predict(self, question: Question, options: BatchOptions) -> None:
        source = self._text("source")
        if not await self.bring(source):
            return
        info = await self.loaded(question.spec)
        if info is None:
            return
        table = await self.ask(
            PredictRows(spec=question.spec, source=source, options=question.options, batch=options),
            partial=True,
        )
        if table is None:
            return
        self._shown = (question, info, options, self._file(source), table)
        rate = len(table.rows) / table.seconds if table.seconds else 0.0
        parts = [f"{len(table.rows):,} rows in {table.seconds:.1f} s", f"{rate:,.0f} rows/s"]
        if table.cut:
            parts.append(f"{table.cut:,} texts were cut")
        lines = [foreign(" · ".join(parts), "$text-muted")]
        if table.metrics is not None:
            lines.insert(0, foreign(metrics_line(table.metrics), "bold"))
        if table.note:
            lines.append(foreign(table.note, "$warning"))
        if info.verdict != "complete":
            lines.append(foreign(f"! {info.cls}: {info.meaning}", "$warning"))
        self.query_one("#batch-sum", Static).update(Content("\n").join(lines))
        self.query_one("#batch-rows", DataGrid).set_source(batch_rows(table), cursor=0)
        confusion = self.query_one("#batch-confusion", DataGrid)
        scored = table.metrics is not None and bool(table.metrics.confusion)
        confusion.display = scored
        if scored and table.metrics is not None:
            confusion.set_source(confusion_rows(table.metrics), cursor=0)

    def outdated(self) -> None:
        """What is shown is about something older."""
        if self._shown is None:
            return
        self._shown = None
        self.query_one("#batch-sum", Static).update("")
        self.query_one("#batch-rows", DataGrid).set_source(NO_ROWS)
        self.query_one("#batch-confusion").display = False

    def _file(self, source: str) -> str:
        found = starter.starter_path(source) if starter.is_starter(source) else None
        return str(found or source)

    def exported(self) -> tuple[str, GridSource] | None:
        """The rows; the matrix when it has the focus."""
        name = "batch-confusion" if self.query_one("#batch-confusion").has_focus else "batch-rows"
        grid = self.query_one(f"#{name}", DataGrid)
        return (name, grid.source) if len(grid.source) else None

    def code(self) -> str:
        """A script that prints the same figures."""
        if self._shown is None:
            return ""
        question, info, options, file, _ = self._shown
        return batch_code(info, file, question.options, options)
