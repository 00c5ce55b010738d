"""Attention as tables: what both the Attention screen and the command print."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hfterm.attention.types import (
    METRICS,
    Array,
    AttentionComparison,
    AttentionMap,
    AttentionSummary,
    LogitLens,
    Metric,
    RankedKey,
    Side,
    Token,
)
from hfterm.text import token_label
from hfterm.widgets.data_grid import Cell, GridColumn, Rows, Tone

NONE = Cell("–", "dim")

STRONGEST = 3
"""Keys named beside a query where a map is a table."""


def labels_of(tokens: Sequence[Token]) -> list[str]:
    """Tokens as an axis shows them."""
    return [token_label(token.name) for token in tokens]


def metric_rows(summary: AttentionSummary, side: Side) -> Rows:
    """A head a row, a metric a column."""
    axis = summary.axis(side)
    values = {name: array.numpy() for name, array in summary.metrics[side].items()}
    columns = (
        GridColumn("layer", right=True),
        GridColumn("head", right=True),
        *(GridColumn(name, right=True) for name in METRICS),
    )
    cells: list[list[Cell]] = []
    exported: list[list[float | int | None]] = []
    for layer in range(axis.layers):
        for head in range(axis.heads):
            row = [float(values[name][layer, head]) for name in METRICS]
            cells.append([Cell(str(layer)), Cell(str(head)), *(_number(value, 3) for value in row)])
            exported.append([layer, head, *map(_known, row)])
    return Rows(columns, cells, exported)


def map_rows(found: AttentionMap, queries: Sequence[Token], keys: Sequence[Token]) -> Rows:
    """A query a row, with the keys that it looks at most."""
    from hfterm.attention.views import row_of

    names, seen = labels_of(queries), labels_of(keys)
    few = min(STRONGEST, len(seen))
    columns = (
        GridColumn("#", right=True),
        GridColumn("query", most=20),
        *(
            column
            for place in range(few)
            for column in (
                GridColumn("looks at" if place == 0 else "then", most=20),
                GridColumn("weight", right=True),
            )
        ),
    )
    cells: list[list[Cell]] = []
    for query, name in enumerate(names):
        row = row_of(found.weights, query)
        best = (-row).argsort(kind="stable")[:few].tolist()
        pairs = ((Cell(seen[key]), Cell(f"{float(row[key]):.4f}")) for key in best)
        cells.append(
            [Cell(str(query), "dim"), Cell(name), *(cell for pair in pairs for cell in pair)]
        )
    return Rows(columns, cells)


def ranking_rows(
    links: Sequence[RankedKey], queries: Sequence[Token], keys: Sequence[Token], *, incoming: bool
) -> Rows:
    """The strongest links of a token."""
    columns = (
        GridColumn("weight", right=True),
        GridColumn("layer", right=True),
        GridColumn("head", right=True),
        GridColumn("#", right=True),
        GridColumn("who looks" if incoming else "looks at", most=28),
    )
    cells: list[list[Cell]] = []
    exported: list[list[str | int | float]] = []
    for link in links:
        place = link.query if incoming else link.key
        token = (queries if incoming else keys)[place]
        cells.append(
            [
                Cell(f"{link.weight:.3f}", "accent" if link.weight >= 0.5 else ""),
                Cell(str(link.layer)), Cell(str(link.head)), Cell(str(place), "dim"),
                _token(token),
            ]
        )  # fmt: skip
        exported.append([link.weight, link.layer, link.head, place, token.token])
    return Rows(columns, cells, exported)


def norm_rows(norms: Array, tokens: Sequence[Token]) -> Rows:
    """A token a row, a layer a column: the length of its hidden state."""
    values = norms.numpy()
    columns = (
        GridColumn("#", right=True),
        GridColumn("token", most=20),
        *(GridColumn("embed" if layer == 0 else f"L{layer}", right=True)
          for layer in range(len(values))),
    )  # fmt: skip
    cells: list[list[Cell]] = []
    exported: list[list[str | int | float]] = []
    for place, token in enumerate(tokens):
        column = values[:, place].tolist()
        cells.append(
            [Cell(str(place), "dim"), _token(token), *(_number(value, 2) for value in column)]
        )  # fmt: skip
        exported.append([place, token.token, *column])
    return Rows(columns, cells, exported)


def lens_rows(lens: LogitLens, tokens: Sequence[Token], first: int) -> Rows:
    """What each layer would say next: a layer a row, a position a column.

    Args:
        lens: the readings.
        tokens: of the text.
        first: the position that stands first, whatever its place is.
    """
    order = sorted(range(len(lens.positions)), key=lambda at: lens.positions[at] != first)
    places = [lens.positions[at] for at in order]
    columns = (
        GridColumn("layer", right=True),
        *(
            GridColumn(f"{'▸' if at == first else ''}{at} {token_label(tokens[at].name)}", most=14)
            for at in places
        ),
    )
    cells: list[list[Cell]] = []
    exported: list[list[str | int]] = []
    for layer, row in zip(lens.layers, lens.cells, strict=True):
        told = [
            Cell(token_label(row[at].tokens[0]), _sure(row[at].probabilities[0])) for at in order
        ]
        cells.append([Cell("embed" if layer == 0 else str(layer), "dim"), *told])
        exported.append([layer, *(row[at].tokens[0] for at in order)])
    return Rows(columns, cells, exported)


def comparison_rows(found: AttentionComparison, metric: Metric, side: Side) -> Rows:
    """A head a row, the most changed first: before, after, change of one metric."""
    first = found.first.metrics[side][metric].numpy()
    second = found.second.metrics[side][metric].numpy()
    change = found.difference[metric].numpy()
    places = [(layer, head) for layer in range(change.shape[0]) for head in range(change.shape[1])]
    places.sort(key=lambda at: -abs(float(change[at])) if not math.isnan(change[at]) else 1.0)
    columns = tuple(
        GridColumn(name, right=True) for name in ("layer", "head", "first", "second", "change")
    )
    cells = [
        [Cell(str(at[0])), Cell(str(at[1])), _number(float(first[at]), 4),
         _number(float(second[at]), 4), _number(float(change[at]), 4, signed=True)]
        for at in places
    ]  # fmt: skip
    exported = [
        [*at, *(_known(float(values[at])) for values in (first, second, change))] for at in places
    ]
    return Rows(columns, cells, exported)


def _token(token: Token) -> Cell:
    return Cell(token_label(token.name), "special" if token.special else "")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _sure(probability: float) -> Tone:
    return "accent" if probability >= 0.5 else "" if probability >= 0.1 else "dim"


def _number(value: float, places: int, *, signed: bool = False) -> Cell:
    if math.isnan(value):
        return NONE
    return Cell(f"{value:+.{places}f}" if signed else f"{value:.{places}f}")
