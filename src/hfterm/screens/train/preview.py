"""Preview: the data as the model will take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from hfterm.screens.train.page import TrainPage
from hfterm.text import foreign
from hfterm.training.preview_types import Preview
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.training_tables import label_rows, length_rows, preview_rows

if TYPE_CHECKING:
    from hfterm.widgets.data_grid import GridSource


class PreviewPage(TrainPage):
    """Rows, labels, lengths."""

    HELP = """\
## Preview
The first ten rows as tokens. Where the loss looks at some tokens only, these stand between ‹ and
›. Below, the balance of the labels, and how many tokens the rows have.
"""

    _preview: Preview | None = None

    def body(self) -> ComposeResult:
        """What the data are; rows; labels and lengths side by side."""
        yield Static("", id="preview-sum", markup=False)
        yield DataGrid(id="preview-rows", empty="F5 on the New tab looks at the data.")
        with Horizontal(id="preview-below"):
            yield DataGrid(id="preview-labels", empty="This task has no labels.")
            yield DataGrid(id="preview-lengths")

    def on_mount(self) -> None:
        """What is below is there once there are rows."""
        self.query_one("#preview-below").display = False

    def show_preview(self, preview: Preview) -> None:
        """Show other data."""
        self._preview = preview
        columns = ", ".join(f"{name} ({kind})" for name, kind in preview.columns)
        lines = [
            foreign(
                f"{preview.train_rows:,} rows to learn from, {preview.eval_rows:,} to evaluate on"
                f" · {preview.steps:,} steps · longest {preview.longest:,} tokens, "
                f"{100 * preview.cut / preview.measured:.1f} % of {preview.measured:,} are cut"
            ),
            foreign(f"columns: {columns}", "$text-muted"),
            *(foreign(f"! {text}", "$warning") for text in preview.warnings),
        ]
        self.query_one("#preview-sum", Static).update(Content("\n").join(lines))
        self.query_one("#preview-rows", DataGrid).set_source(preview_rows(preview), cursor=0)
        self.query_one("#preview-below").display = True
        labels = self.query_one("#preview-labels", DataGrid)
        labels.display = bool(preview.labels)
        labels.set_source(label_rows(preview), cursor=0)
        self.query_one("#preview-lengths", DataGrid).set_source(length_rows(preview), cursor=0)

    def exported(self) -> tuple[str, GridSource] | None:
        """The table with the focus, else the rows."""
        for grid in self.query(DataGrid):
            if grid.has_focus and len(grid.source):
                return (grid.id or "preview", grid.source)
        grid = self.query_one("#preview-rows", DataGrid)
        return ("preview", grid.source) if len(grid.source) else None
