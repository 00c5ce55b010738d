"""What the Chat screen shows in tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hfterm.chat.measured import Speed, fastest
from hfterm.chat.types import Token
from hfterm.models.memory_types import MemoryReport
from hfterm.sizes import size_text
from hfterm.text import displayable, token_label
from hfterm.widgets.data_grid import Cell, GridColumn, Rows
from hfterm.widgets.model_tables import FITS, bar

PREDICTED = ("float32", "bfloat16", "int8", "nf4")
"""Ways of loading whose memory is predicted."""

BAR = 6
"""Cells of a probability of 1."""

UNSURE = 0.5
"""A probability below which a token was no clear choice."""


def ways_shown(speeds: Mapping[str, Speed]) -> list[str]:
    """The ways of loading that have a row: those whose memory is predicted, and those measured."""
    return [*PREDICTED, *(way for way in speeds if way not in PREDICTED)]


def ways_rows(report: MemoryReport | None, speeds: Mapping[str, Speed], chosen: str) -> Rows:
    """One row a way of loading: what it takes, whether it fits, how it was here."""
    columns = (
        GridColumn(""),
        GridColumn("way"),
        GridColumn("tokens/s", right=True),
        GridColumn("weights", right=True),
        GridColumn("at its peak", right=True),
        GridColumn("fits", most=40),
        GridColumn("first ms", right=True),
        GridColumn("process MB", right=True),
    )
    best = fastest(dict(speeds))
    peaks = {
        judged.plan.precision: judged
        for judged in (report.plans if report is not None else ())
        if judged.plan.purpose == "inference"
    }
    weights = report.weights if report is not None else {}
    cells: list[list[Cell]] = []
    for way in ways_shown(speeds):
        judged = peaks.get(way)
        speed = speeds.get(way)
        fits = judged.verdicts[0] if judged is not None and judged.verdicts else None
        glyph, tone = FITS[fits.fit] if fits is not None else ("", "dim")
        cells.append(
            [
                Cell("▸" if way == chosen else "", "accent"),
                Cell(way),
                Cell(f"{'★ ' if way == best else ''}{speed.tokens_per_s:.1f}" if speed else "–"),
                Cell(size_text(size) if (size := weights.get(way)) else "–"),
                Cell(size_text(judged.plan.total) if judged is not None else "–"),
                Cell(f"{glyph} {fits.fit}: {fits.why}" if fits is not None else "–", tone),
                Cell(f"{speed.ttft * 1000:,.0f}" if speed else "–"),
                Cell(f"{speed.memory / 1e6:,.0f}" if speed and speed.memory else "–"),
            ]
        )
    return Rows(columns, cells)


class TokenRows:
    """A row for each token of an answer: how sure the model was, and what else it thought of."""

    columns: Sequence[GridColumn] = (
        GridColumn("#", right=True, name="position"),
        GridColumn("id", right=True),
        GridColumn("token", most=24),
        GridColumn("p %", right=True, name="probability"),
        GridColumn("", name=""),
        GridColumn("entropy nats", right=True, name="entropy"),
        GridColumn("rank", right=True),
        GridColumn("alternatives", most=90),
    )

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = [token for token in tokens if token.id >= 0 or token.probability is not None]

    def __len__(self) -> int:
        return len(self.tokens)

    def words(self) -> str:
        """How sure the model was of the whole."""
        known = [token.probability for token in self.tokens if token.probability]
        count = f"{len(self.tokens):,} tokens"
        if not known:
            return f"{count} · probabilities are not known" if self.tokens else ""
        surprise = -sum(math.log(share) for share in known) / len(known)
        unsure = sum(share < UNSURE for share in known)
        return f"{count} · perplexity {math.exp(surprise):.2f} · {unsure:,} less than even"

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        token = self.tokens[index]
        share, rank = token.probability, _rank(token)
        tone = "warning" if share is not None and share < UNSURE else ""
        others = "  ".join(
            f"{token_label(other.text)} {other.probability * 100:.1f}"
            for other in token.alternatives
            if other.id != token.id
        )
        return (
            Cell(f"{index:,}", "dim"),
            Cell(f"{token.id}" if token.id >= 0 else "–", "dim"),
            Cell(token_label(token.name or token.text)),
            Cell("–" if share is None else f"{share * 100:.1f}", tone),
            Cell("" if share is None else bar(share, BAR), "accent"),
            Cell("–" if token.entropy is None else f"{token.entropy:.2f}"),
            Cell("–" if rank is None else str(rank), "warning" if rank not in (1, None) else ""),
            Cell(displayable(others), "dim"),
        )

    def values(self, index: int) -> Sequence[str | int | float | None]:
        """What is exported."""
        token = self.tokens[index]
        others = " ".join(f"{other.text!r}={other.probability:.4f}" for other in token.alternatives)
        return (
            index, token.id, token.name or token.text, token.probability, None, token.entropy,
            _rank(token), others,
        )  # fmt: skip


class AlternativeRows:
    """The most probable tokens at one place; the one that was taken is marked."""

    columns: Sequence[GridColumn] = (
        GridColumn(""),
        GridColumn("rank", right=True),
        GridColumn("id", right=True),
        GridColumn("instead", most=40),
        GridColumn("p %", right=True, name="probability"),
        GridColumn("", name=""),
    )

    def __init__(self, token: Token | None) -> None:
        self._token = token

    def __len__(self) -> int:
        return len(self._token.alternatives) if self._token is not None else 0

    def row(self, index: int) -> Sequence[Cell]:
        """What is drawn."""
        assert self._token is not None
        other = self._token.alternatives[index]
        return (
            Cell("▸" if other.id == self._token.id else "", "accent"),
            Cell(str(index + 1), "dim"),
            Cell(str(other.id), "dim"),
            Cell(token_label(other.text)),
            Cell(f"{other.probability * 100:.1f}"),
            Cell(bar(other.probability, BAR), "accent"),
        )

    def values(self, index: int) -> Sequence[str | int | float | None]:
        """What is exported."""
        assert self._token is not None
        other = self._token.alternatives[index]
        return None, index + 1, other.id, other.text, other.probability, None


def _rank(token: Token) -> int | None:
    """Which of the most probable it was, from 1; None when it was none of those that are kept."""
    ids = [other.id for other in token.alternatives]
    return ids.index(token.id) + 1 if token.id in ids else None
