"""Result: what the head says of the text."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from hfterm.engine.model_requests import PredictText
from hfterm.inference.code import predict_code
from hfterm.inference.types import Classification, Prediction
from hfterm.models.types import LoadedInfo
from hfterm.screens.predict.highlight import highlighted
from hfterm.screens.predict.subject import PredictPage, Question
from hfterm.text import foreign, label_name
from hfterm.widgets.data_grid import NO_ROWS, DataGrid, GridSource
from hfterm.widgets.prediction_tables import detail, tables
from hfterm.widgets.words_scroll import WordsScroll

EMPTY = "F5 runs the model on the text; what it says stands here."


class ResultPage(PredictPage):
    """Tables, and a few lines in words."""

    HELP = """\
## Result
What the model says. Classification: logits, softmax, label; with `loss for` a label its loss, by
the model's labels argument and by the loss function itself, and with `gradients` the norm by
module after backward. Entities and answers are marked in the text. `F5` runs it again.
"""

    _shown: tuple[Question, LoadedInfo, Prediction] | None = None

    def body(self) -> ComposeResult:
        """Words, the table, and a second one where there are two."""
        with WordsScroll(id="result-top", can_focus=False):
            yield Static("", id="result-warning", markup=False)
            yield Static("", id="result-words", markup=False)
        with Horizontal(id="result-tables"):
            yield DataGrid(id="result-grid", empty=EMPTY)
            yield DataGrid(id="result-second")

    def on_mount(self) -> None:
        """The second table is there when there is something in it."""
        self.query_one("#result-second").display = False

    def run(self) -> None:
        """Predict the text; the model is loaded if it is not."""
        question = self.asked()
        if question is not None:
            self.about = question
            self.start(self._predict(question))

    async def _predict(self, question: Question) -> None:
        info = await self.loaded(question.spec)
        if info is None:
            self.outdated()
            return
        found = await self.ask(
            PredictText(spec=question.spec, text=question.text, options=question.options),
            partial=question.options.task == "text-generation",
        )
        if found is None:
            self.outdated()  # what is shown is about something else
        else:
            self._show(question, info, found)

    def _show(self, question: Question, info: LoadedInfo, found: Prediction) -> None:
        self._shown = (question, info, found)
        warning = self.query_one("#result-warning", Static)
        warning.display = info.verdict not in ("complete",)
        warning.update(foreign(f"! {info.cls}: {info.meaning}", "$warning"))
        first, *others = tables(found)
        self.query_one("#result-grid", DataGrid).set_source(first, cursor=0)
        second = self.query_one("#result-second", DataGrid)
        second.display = bool(others)
        second.set_source(others[0] if others else NO_ROWS, cursor=0)
        self._say(0)

    def _say(self, row: int) -> None:
        if self._shown is None:
            return
        question, _, found = self._shown
        lines = [foreign(line, lines=True) for line in detail(found) if line]
        marked = highlighted(found, question.text, row)
        if marked is not None:
            lines.append(marked)
        if isinstance(found, Classification):
            best = found.scores[found.best]
            lines.insert(
                0,
                Content.assemble(
                    (label_name(best.label), "bold $accent"), f"  {best.probability:.4f} ",
                    (f"({found.activation})", "dim"),
                ),
            )  # fmt: skip
        self.query_one("#result-words", Static).update(Content("\n").join(lines))

    @on(DataGrid.RowHighlighted, "#result-grid")
    def _moved(self, event: DataGrid.RowHighlighted) -> None:
        event.stop()
        self._say(event.row)

    def outdated(self) -> None:
        """Another task: its result comes with F5."""
        self.about = None
        if self._shown is None:
            return
        self._shown = None
        self.query_one("#result-words", Static).update("")
        self.query_one("#result-warning", Static).update("")
        self.query_one("#result-grid", DataGrid).set_source(NO_ROWS)
        self.query_one("#result-second").display = False

    def exported(self) -> tuple[str, GridSource] | None:
        """The table that has the focus, else the first."""
        grid = self.query_one("#result-grid", DataGrid)
        second = self.query_one("#result-second", DataGrid)
        if second.has_focus:
            grid = second
        return ("prediction", grid.source) if len(grid.source) else None

    def code(self) -> str:
        """A script that prints the same."""
        if self._shown is None:
            return ""
        question, info, _ = self._shown
        return predict_code(info, question.text, question.options)
