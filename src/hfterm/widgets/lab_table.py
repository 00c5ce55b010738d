"""The quantization lab's results in a table."""

from __future__ import annotations

from collections.abc import Sequence

from hfterm.chat.lab_types import WayResult
from hfterm.sizes import size_text
from hfterm.text import displayable
from hfterm.widgets.data_grid import Cell, GridColumn


class LabRows:
    """A row a way; the fastest is marked."""

    columns: Sequence[GridColumn] = (
        GridColumn("way"),
        GridColumn("size", right=True),
        GridColumn("load s", right=True),
        GridColumn("tokens/s", right=True),
        GridColumn("first ms", right=True),
        GridColumn("process MB", right=True),
        GridColumn("perplexity", right=True),
        GridColumn("KL nats", right=True),
        GridColumn("same top %", right=True),
        GridColumn("answer", most=60),
    )

    def __init__(self, results: Sequence[WayResult]) -> None:
        self.results = list(results)

    def __len__(self) -> int:
        return len(self.results)

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        result = self.results[index]
        if result.error:
            dash = Cell("–", "dim")
            return Cell(result.way), *[dash] * 8, Cell(displayable(result.error), "error")
        speed = max(each.tokens_per_s for each in self.results)
        best = result.tokens_per_s == speed and len(self.results) > 1
        return (
            Cell(result.way),
            Cell(size_text(result.size)),
            Cell(f"{result.load_s:.1f}"),
            Cell(f"{'★ ' if best else ''}{result.tokens_per_s:.1f}"),
            Cell(f"{result.ttft_s * 1000:,.0f}"),
            Cell(f"{result.memory / 1e6:,.0f}"),
            Cell(f"{result.perplexity:.2f}"),
            Cell("–" if result.kl is None else f"{result.kl:.4f}"),
            Cell("–" if result.agreement is None else f"{100 * result.agreement:.1f}"),
            Cell(displayable(result.sample), "dim"),
        )

    def values(self, index: int) -> Sequence[str | int | float | None]:
        """What is exported."""
        result = self.results[index]
        return (
            result.way, result.size, result.load_s, result.tokens_per_s, result.ttft_s * 1000,
            result.memory / 1e6, result.perplexity, result.kl,
            None if result.agreement is None else 100 * result.agreement,
            result.error or result.sample,
        )  # fmt: skip
