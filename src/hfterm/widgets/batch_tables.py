"""A batch as tables and lines: what both the Batch tab and the command show."""

from __future__ import annotations

from collections.abc import Sequence

from hfterm.inference.types import BatchTable, Metrics, Value
from hfterm.text import displayable, elide_middle, label_name
from hfterm.widgets.data_grid import Cell, GridColumn, Rows

NONE = Cell("–", "dim")


def batch_rows(table: BatchTable) -> Rows:
    """The rows of a batch, as they came."""
    right = [
        all(isinstance(row[index], int | float) for row in table.rows[:16])
        for index in range(len(table.columns))
    ]
    columns = [
        GridColumn(displayable(name), right=number, most=60)
        for name, number in zip(table.columns, right, strict=True)
    ]
    return Rows(columns, _Cells(table), table.rows)


class _Cells(Sequence[Sequence[Cell]]):
    """Rows formatted as they are drawn: ten thousand cost nothing until they are in sight."""

    def __init__(self, table: BatchTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table.rows)

    def __getitem__(self, index: int) -> Sequence[Cell]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [_cell(value) for value in self._table.rows[index]]


def _cell(value: Value) -> Cell:
    if value is None:
        return NONE
    if isinstance(value, float):
        return Cell(f"{value:.4f}")
    return Cell(elide_middle(displayable(str(value)), 60))


def metrics_line(metrics: Metrics) -> str:
    """Accuracy and F1 in a line."""
    if not metrics.confusion:
        return f"exact match {metrics.accuracy:.4f} · F1 {metrics.f1:.4f} · {metrics.rows:,} rows"
    return (
        f"accuracy {metrics.accuracy:.4f} · macro F1 {metrics.f1:.4f} · weighted F1 "
        f"{metrics.weighted_f1:.4f} · {metrics.rows:,} rows"
    )


def confusion_rows(metrics: Metrics) -> Rows:
    """True labels down, predicted ones across; precision, recall and F1 beside them."""
    scores = {found.label: found for found in metrics.classes}
    columns = (
        GridColumn("true ↓ predicted →", most=24),
        *(
            GridColumn(elide_middle(label_name(label), 12), right=True, most=12)
            for label in metrics.labels
        ),
        GridColumn("precision", right=True),
        GridColumn("recall", right=True),
        GridColumn("F1", right=True),
    )
    cells: list[list[Cell]] = []
    values: list[list[Value]] = []
    for index, label in enumerate(metrics.labels):
        counts = metrics.confusion[index]
        found = scores.get(label)
        figures = (found.precision, found.recall, found.f1) if found else (None, None, None)
        cells.append(
            [
                Cell(elide_middle(label_name(label), 24)),
                *(
                    Cell(f"{count:,}", "accent" if column == index else "" if count else "dim")
                    for column, count in enumerate(counts)
                ),
                *(NONE if figure is None else Cell(f"{figure:.4f}") for figure in figures),
            ]
        )
        values.append([label, *counts, *figures])
    return Rows(columns, cells, values)
