"""A figure or the numbers of a forward pass, written by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hfterm.attention.tables import check_target, map_csv, map_npz, metrics_csv, whole_npz
from hfterm.attention.types import METRICS, AttentionSummary, Metric, Side, Which
from hfterm.paths import expanded

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


def write_attention(
    summary: AttentionSummary, weights: np.ndarray | None, which: Which | None, side: Side,
    out: str, all_weights: Callable[[int], np.ndarray], *, metric: Metric | None = None,
) -> str:  # fmt: skip
    """Write what was asked for and say what it is.

    Args:
        summary: of the pass.
        weights: float32[queries, keys] of `which`.
        which: one map; None for the whole: the grid of heads (png, svg), all weights (npz) or the
            metrics (csv).
        side: which attention, when `which` does not say.
        out: the file: its ending is the format.
        all_weights: float32[heads, queries, keys] of a layer.
        metric: instead of the grid, the matrix of this metric (png, svg).

    Raises:
        HftermError: the name won't do, it would be too large, or can't be written.
    """
    path = expanded(out)
    check_target(path)
    if which is None or weights is None:
        return _whole(summary, side, path, all_weights, metric)
    side = which.side
    queries, keys = summary.queries(side), summary.keys(side)
    if path.suffix == ".npz":
        map_npz(path, weights, queries, keys)
    elif path.suffix == ".csv":
        map_csv(path, weights, queries, keys)
    else:
        from hfterm.attention.figures import head_figure

        axis = summary.axis(side)
        # a mean, or what flowed through several layers, has no one window
        one = which.layer is not None and not which.rollout
        window = axis.windows[which.layer or 0] if one and axis.windows else 0
        figure = head_figure(
            weights, queries, keys, title=_title(summary, side, which.name), causal=axis.causal,
            window=window,
        )  # fmt: skip
        _draw(figure, path)
    return f"Wrote {which.name}, {len(queries):,} × {len(keys):,} weights, to {path}"


def _whole(
    summary: AttentionSummary, side: Side, path: Path, all_weights: Callable[[int], np.ndarray],
    metric: Metric | None,
) -> str:  # fmt: skip
    axis = summary.axis(side)
    heads = f"{axis.layers} × {axis.heads} heads"
    if path.suffix == ".npz":
        shape = whole_npz(path, summary, side, all_weights)
        return (
            f"Wrote the weights and metrics of {heads}, {shape[2]:,} × {shape[3]:,} each, to {path}"
        )
    metrics: dict[Metric, np.ndarray] = {
        name: summary.metrics[side][name].numpy() for name in METRICS
    }
    if path.suffix == ".csv":
        metrics_csv(path, metrics)
        return f"Wrote {len(metrics)} metrics of {heads} to {path}"
    from hfterm.attention.figures import grid_figure, matrix_figure

    if metric is not None:
        title = _title(summary, side, METRICS[metric].partition(":")[0])
        _draw(matrix_figure(metrics[metric], title=title, label=metric), path)
        return f"Wrote {metric} of {heads} to {path}"
    small = (summary.thumbnails[side].numpy().astype("float32") / 255) ** 2
    small[~summary.finite[side].numpy()] = float("nan")
    figure = grid_figure(
        small, summary.queries(side), summary.keys(side), title=_title(summary, side, heads),
        axis=axis,
    )  # fmt: skip
    _draw(figure, path)
    return f"Wrote the grid of {heads} to {path}"


def _draw(figure: Figure, path: Path) -> None:
    from hfterm.attention.figures import write

    write(figure, path)


def _title(summary: AttentionSummary, side: Side, what: str) -> str:
    of = "" if side == "self" else f"{side} · "
    return f"{summary.cls} · {of}{what}"
