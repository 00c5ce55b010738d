"""Requests about attention. The last two passes are kept: asking for a map of one is cheap."""

from __future__ import annotations

from typing import ClassVar

from hfterm.attention.types import (
    AttentionComparison,
    AttentionMap,
    AttentionSummary,
    HiddenViews,
    LogitLens,
    Looked,
    Metric,
    RankedKey,
    Side,
    Which,
)
from hfterm.engine.protocol import Lane, Request


class CaptureAttention(Request[AttentionSummary], frozen=True, kw_only=True):
    """Run the model on the text once and describe every head; the model is loaded if it is not."""

    RESULT: ClassVar[object] = AttentionSummary
    LANE: ClassVar[Lane] = "long"
    looked: Looked


class GetAttentionMap(Request[AttentionMap], frozen=True, kw_only=True):
    """The weights of one head, or of a mean; with `exact` as float32 whatever their number."""

    RESULT: ClassVar[object] = AttentionMap
    LANE: ClassVar[Lane] = "long"
    looked: Looked
    which: Which
    exact: bool = False


class RankAttention(Request[list[RankedKey]], frozen=True, kw_only=True):
    """The strongest links of one token over all layers and heads.

    `incoming` is who looks at it; else at whom it looks.
    """

    RESULT: ClassVar[object] = list[RankedKey]
    LANE: ClassVar[Lane] = "long"
    looked: Looked
    side: Side
    token: int
    incoming: bool = False
    top: int = 200


class ViewHidden(Request[HiddenViews], frozen=True, kw_only=True):
    """Pictures of the hidden states of a stack (``self``, ``encoder`` or ``decoder``)."""

    RESULT: ClassVar[object] = HiddenViews
    LANE: ClassVar[Lane] = "long"
    looked: Looked
    side: Side
    layer: int


class ReadLens(Request[LogitLens], frozen=True, kw_only=True):
    """The logit lens at `count` positions from `start` on."""

    RESULT: ClassVar[object] = LogitLens
    LANE: ClassVar[Lane] = "long"
    looked: Looked
    start: int = 0
    count: int = 64
    top: int = 5


class CompareAttention(Request[AttentionComparison], frozen=True, kw_only=True):
    """Two passes and how they differ; `which` says whose map."""

    RESULT: ClassVar[object] = AttentionComparison
    LANE: ClassVar[Lane] = "long"
    first: Looked
    second: Looked
    which: Which


class WriteAttention(Request[str], frozen=True, kw_only=True):
    """Write a figure or the numbers to `out`, by its ending: png, svg, npz or csv.

    `which` is one map; None for the whole: the grid of heads (png, svg; with `metric` its matrix
    instead), all weights (npz), or the metrics (csv). The answer says what was written.
    """

    RESULT: ClassVar[object] = str
    LANE: ClassVar[Lane] = "long"
    looked: Looked
    side: Side
    which: Which | None
    out: str
    metric: Metric | None = None
