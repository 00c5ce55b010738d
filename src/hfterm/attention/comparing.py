"""Two passes side by side: what changed in each head, and in one map.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hfterm.attention.types import Array, AttentionComparison, AttentionSummary, Metric, Which
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.models.types import LoadedInfo

if TYPE_CHECKING:
    from torch import Tensor

    from hfterm.attention.capture import Capture

MOST = 2048
"""Tokens up to which a difference is drawn."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a pass, so that its model may go before the other one comes.

    Attributes:
        weights: float32[query, key]; None for a text too long.
    """

    info: LoadedInfo
    summary: AttentionSummary
    weights: Tensor | None

    @classmethod
    def of(cls, capture: Capture, which: Which, job: Job) -> Kept:
        """The summary and one map."""
        short = max(len(capture.fed.source), len(capture.fed.target)) <= MOST
        weights = capture.weights(which, job=job) if short else None
        return cls(capture.opened.info, capture.summary, weights)


def compare(first: Kept, second: Kept, which: Which) -> AttentionComparison:
    """Second minus first.

    Raises:
        HftermError: the two have not the same number of layers and heads.
    """
    side = which.side
    ours, theirs = first.summary.axis(side), second.summary.axis(side)
    if (ours.layers, ours.heads) != (theirs.layers, theirs.heads):
        raise HftermError(
            "not-alike",
            f"{ours.layers} × {ours.heads} heads against {theirs.layers} × {theirs.heads}: there "
            "is no head for each head.",
            "Compare a model with one of the same architecture and size, its fine-tune say.",
        )
    difference: dict[Metric, Array] = {
        name: Array.of(values.numpy() - first.summary.metrics[side][name].numpy())
        for name, values in second.summary.metrics[side].items()
    }
    why, between = "", None
    if first.weights is None or second.weights is None:
        why = f"A difference is drawn up to {MOST:,} tokens."
    elif first.weights.shape != second.weights.shape:
        shapes = [" × ".join(map(str, one.shape)) for one in (first.weights, second.weights)]
        why = f"{shapes[0]} tokens against {shapes[1]}: there is no weight for each weight."
    else:
        between = Array.of((second.weights - first.weights).numpy())
    models = (first.info, second.info)
    return AttentionComparison(models, first.summary, second.summary, difference, between, why)
