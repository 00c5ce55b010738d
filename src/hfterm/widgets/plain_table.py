"""A table as plain lines, for commands and screen readers."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from hfterm.text import fit
from hfterm.widgets.data_grid import GridSource


def plain_table(source: GridSource) -> Iterator[str]:
    """Header and rows, aligned in terminal cells."""
    columns = source.columns
    rows = [[cell.text for cell in source.row(index)] for index in range(len(source))]
    widths = [
        max([cell_len(column.label), *(cell_len(row[position]) for row in rows)])
        for position, column in enumerate(columns)
    ]
    for cells in ([column.label for column in columns], *rows):
        yield "  ".join(
            fit(cell, width, right=column.right)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        ).rstrip()
