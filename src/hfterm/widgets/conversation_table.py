"""Conversations in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hfterm.chat.conversation_types import ConversationRow
from hfterm.text import displayable
from hfterm.widgets.data_grid import Cell, GridColumn


class ConversationRows:
    """One row a conversation; where words were searched for, what was said around them."""

    columns: Sequence[GridColumn] = (
        GridColumn("updated"),
        GridColumn("title", most=48),
        GridColumn("messages", right=True),
        GridColumn("model", most=28),
        GridColumn("found", most=80),
    )

    def __init__(self, rows: Sequence[ConversationRow]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        row = self.rows[index]
        return (
            Cell(_when(row.updated), "dim"),
            Cell(displayable(row.title)),
            Cell(f"{row.messages:,}"),
            Cell(displayable(row.model), "dim"),
            Cell(displayable(row.snippet), "dim"),
        )

    def values(self, index: int) -> Sequence[str | int]:
        """What is exported."""
        row = self.rows[index]
        return _when(row.updated), row.title, row.messages, row.model, row.snippet


def _when(seconds: float) -> str:
    """A time in the local zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
