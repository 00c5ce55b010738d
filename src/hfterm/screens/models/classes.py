"""Classes: what can be done with the model, and what each class would leave untrained."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.models.code import classes_code
from hfterm.models.types import ClassReport
from hfterm.screens.models.subject import ClassChosen, LabelsWanted, ModelPage, ModelSubject
from hfterm.text import foreign
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.model_tables import VERDICTS, class_rows, report_lines
from hfterm.widgets.numbers import quoted, typed_whole
from hfterm.widgets.words_scroll import WordsScroll


class ClassesPage(ModelPage):
    """Task by Auto class by concrete class."""

    HELP = """\
## Classes
Each task, its Auto class, the class it chooses for this model, and the report that loading the
checkpoint into it would give (from the meta device: no weights are read). ✓ complete: use it; + new
head: train it first; ≠ mismatched: the shapes differ; ○ no weights here. Under the table the row's
report in words. `Enter` chooses the class for the other tabs; `labels` asks how it would be with so
many labels.
"""

    def body(self) -> ComposeResult:
        """A number of labels, the table, and the row in words."""
        with Horizontal(classes="options"):
            yield Field("labels", "", placeholder="as in the config", id="classes-labels")
        yield DataGrid(id="classes-grid", empty="The classes of a model stand here; F6 opens one.")
        with WordsScroll(id="classes-detail", can_focus=False):
            yield Static("", id="classes-words", classes="about", markup=False)

    @property
    def grid(self) -> DataGrid:
        """The table."""
        return self.query_one("#classes-grid", DataGrid)

    def refresh_page(self, subject: ModelSubject) -> None:
        """The classes of another model."""
        self.notice.clear()
        chosen = [report.auto for report in subject.overview.classes]
        row = chosen.index(subject.spec.auto) if subject.spec.auto in chosen else None
        self.grid.set_source(class_rows(subject.overview), cursor=row or 0)
        self._say(self.grid.cursor_row)

    @on(DataGrid.RowHighlighted, "#classes-grid")
    def _moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._say(event.row)

    @on(DataGrid.RowChosen, "#classes-grid")
    def _chosen(self, event: DataGrid.RowChosen) -> None:
        event.stop()
        report = self._report(event.row)
        if report is not None:
            self.post_message(ClassChosen(report.auto))

    @on(Input.Submitted, "#classes-labels")
    def _labels(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        labels = typed_whole(text)
        if text and not labels:
            self.notice.show(
                f"“labels” is {quoted(text)}, which is no number.",
                "Type a number, 2 for one, or leave it empty.",
            )
            return
        self.post_message(LabelsWanted(labels))

    def _report(self, row: int) -> ClassReport | None:
        classes = self.subject.overview.classes if self.subject else ()
        return classes[row] if row < len(classes) else None

    def _say(self, row: int) -> None:
        words = self.query_one("#classes-words", Static)
        report = self._report(row)
        if report is None:
            overview = self.subject.overview if self.subject else None
            absent = overview.absent if overview else ()
            place = row - len(overview.classes) if overview else 0
            if overview and place < len(absent):
                words.update(
                    foreign(
                        f"transformers has no {overview.model_type} class for {absent[place][0]}."
                    )
                )
            return
        tone = VERDICTS[report.verdict][1]
        style = {"accent": "$accent", "warning": "$warning", "error": "$error"}.get(tone, "")
        lines = report_lines(report)
        content = [
            Content.assemble(
                (f"{report.auto} → ", "dim"),
                (report.concrete, "bold"),
                "  ",
                foreign(lines[0], style),
            )
        ]
        content += [foreign(line) for line in lines[1:]]
        words.update(Content("\n").join(content))

    def exported(self) -> tuple[str, GridSource] | None:
        """The table."""
        return ("classes", self.grid.source) if len(self.grid.source) else None

    def code(self) -> str:
        """The same reports."""
        return classes_code(self.subject.overview, self.subject.spec) if self.subject else ""
