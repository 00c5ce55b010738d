"""What is on this machine, in tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hfterm.library.data_preview import DISTINCT, ColumnFacts, DataPage
from hfterm.library.types import LibraryFile, LibraryItem
from hfterm.paths import short_ref
from hfterm.text import displayable, elide_middle
from hfterm.widgets.data_grid import Cell, GridColumn, Rows, Value

NAME = 44
"""Cells of a name at most: a path is cut in its middle."""


class LibraryRows:
    """One row a thing."""

    columns: Sequence[GridColumn] = (
        GridColumn("name", most=NAME),
        GridColumn("kind", most=9),
        GridColumn("MB", right=True),
        GridColumn("last used"),
        GridColumn("what it is", most=30),
        GridColumn("params M", right=True),
        GridColumn("dtype", most=8),
        GridColumn("from", most=12),
        GridColumn("licence", most=16),
        GridColumn("revision", most=10),
        GridColumn("look", most=44),
    )

    def __init__(self, items: Sequence[LibraryItem]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        item = self.items[index]
        count = "" if item.parameters is None else f"{item.parameters / 1e6:,.1f}"
        revision = item.revision[:7]
        if item.revisions > 1:
            revision += f" +{item.revisions - 1}"
        look = _flag(item)
        mark = look.text[:2]
        return (
            Cell(f"{mark}{elide_middle(displayable(short_ref(item.ref)), NAME - 2)}", look.tone),
            Cell(item.kind, "dim"),
            Cell(f"{item.size / 1e6:,.1f}"),
            Cell(day(item.used), "dim"),
            Cell(displayable(item.what)),
            Cell(count),
            Cell(displayable(item.dtype), "dim"),
            Cell(item.place, "dim"),
            Cell(displayable(item.licence), "dim"),
            Cell(revision, "dim"),
            look,
        )

    def values(self, index: int) -> Sequence[Value]:
        """What is exported: plain numbers, whole hashes."""
        item = self.items[index]
        return (
            item.ref, item.kind, item.size / 1e6, day(item.used), item.what,
            None if item.parameters is None else item.parameters / 1e6,
            item.dtype, item.place, item.licence, item.revision,
            item.problem or ("; ".join(item.pickles)),
        )  # fmt: skip


def _flag(item: LibraryItem) -> Cell:
    """What one should look at before using it."""
    if item.problem:
        return Cell(displayable(f"✗ {item.problem}"), "error")
    if item.pickles:
        return Cell(displayable(f"! pickle: {item.pickles[0]}"), "warning")
    return Cell("")


def file_rows(files: Sequence[LibraryFile]) -> Rows:
    """The files of a thing."""
    columns = (GridColumn("file", most=70), GridColumn("MB", right=True), GridColumn("look"))
    cells = [
        (
            Cell(displayable(file.name)),
            Cell(f"{file.size / 1e6:,.3f}"),
            Cell("! pickle: runs code when it is loaded", "warning") if file.pickle else Cell(""),
        )
        for file in files
    ]
    return Rows(columns, cells, [(file.name, file.size / 1e6, file.pickle) for file in files])


def data_rows(page: DataPage) -> Rows:
    """Rows of a data set, numbered from 1."""
    columns = (
        GridColumn("row", right=True),
        *(GridColumn(displayable(name) or "–", most=60) for name in page.columns),
    )
    cells = [
        [
            Cell(f"{page.offset + at + 1:,}", "dim"),
            *(Cell(displayable(value[:200])) for value in row),
        ]
        for at, row in enumerate(page.rows)
    ]
    values = [[page.offset + at + 1, *row] for at, row in enumerate(page.rows)]
    return Rows(columns, cells, values)


def column_rows(facts: Sequence[ColumnFacts]) -> Rows:
    """What each column holds. Of texts, the figures are their lengths in characters."""
    columns = (
        GridColumn("column", most=28),
        GridColumn("holds"),
        GridColumn("present", right=True),
        GridColumn("missing", right=True),
        GridColumn("distinct", right=True),
        GridColumn("least", right=True),
        GridColumn("mean", right=True),
        GridColumn("most", right=True),
        GridColumn("times", right=True),
        GridColumn("most frequent", most=50),
    )
    cells: list[list[Cell]] = []
    values: list[list[Value]] = []
    for each in facts:
        many = each.distinct > DISTINCT
        distinct = f">{DISTINCT:,}" if many else f"{each.distinct:,}"
        kind = "text length" if each.kind in ("text", "mixed") else each.kind
        cells.append([
            Cell(displayable(each.name)), Cell(kind, "dim"), Cell(f"{each.present:,}"),
            Cell(f"{each.missing:,}", "warning" if each.missing else "dim"), Cell(distinct),
            Cell(_number(each.least)), Cell(_number(each.mean)), Cell(_number(each.most)),
            Cell(f"{each.times:,}"), Cell(displayable(each.common[:100])),
        ])  # fmt: skip
        values.append([
            each.name, each.kind, each.present, each.missing, each.distinct, each.least,
            each.mean, each.most, each.times, each.common,
        ])  # fmt: skip
    return Rows(columns, cells, values)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def day(seconds: float) -> str:
    """A day in the local zone; nothing when it is unknown."""
    return datetime.fromtimestamp(seconds).astimezone().date().isoformat() if seconds else ""
