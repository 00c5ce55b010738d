"""Requests about attention: passes over texts, the last two of them kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfterm.attention.types import (
    AttentionComparison,
    AttentionMap,
    AttentionSummary,
    HiddenViews,
    LogitLens,
    Looked,
    RankedKey,
)
from hfterm.engine import attention_requests as ask
from hfterm.engine.handlers.predict import HOLDER
from hfterm.engine.handlers.registry import Registry
from hfterm.job import Job

if TYPE_CHECKING:
    from hfterm.attention.capture import Capture

HANDLERS = Registry()

KEPT = 2
"""Passes that are kept: two, for comparing."""

_captures: dict[Looked, Capture] = {}
HOLDER.leaving.append(_captures.clear)


def _capture(looked: Looked, job: Job) -> Capture:
    """The pass over a text, run unless it is kept."""
    from hfterm.attention.capture import Capture

    found = _captures.get(looked)
    if found is None:
        opened = HOLDER.get(looked.spec, job)
        while len(_captures) >= KEPT:
            del _captures[next(iter(_captures))]
        found = Capture(opened, looked.text, looked.options, job)
        _captures[looked] = found
    return found


@HANDLERS.answers(ask.CaptureAttention)
def capture_attention(request: ask.CaptureAttention, job: Job) -> AttentionSummary:
    """Run the pass."""
    return _capture(request.looked, job).summary


@HANDLERS.answers(ask.GetAttentionMap)
def get_attention_map(request: ask.GetAttentionMap, job: Job) -> AttentionMap:
    """One map of it."""
    return _capture(request.looked, job).map(request.which, exact=request.exact, job=job)


@HANDLERS.answers(ask.RankAttention)
def rank_attention(request: ask.RankAttention, job: Job) -> list[RankedKey]:
    """One token's links."""
    return _capture(request.looked, job).rank(
        request.side, request.token, incoming=request.incoming, top=request.top, job=job
    )


@HANDLERS.answers(ask.ViewHidden)
def view_hidden(request: ask.ViewHidden, job: Job) -> HiddenViews:
    """Its hidden states."""
    from hfterm.attention.hidden import views

    return views(_capture(request.looked, job), request.side, request.layer)


@HANDLERS.answers(ask.ReadLens)
def read_lens(request: ask.ReadLens, job: Job) -> LogitLens:
    """Its layers as words."""
    from hfterm.attention.hidden import lens

    capture = _capture(request.looked, job)
    return lens(capture, request.start, request.count, request.top, job)


@HANDLERS.answers(ask.CompareAttention)
def compare_attention(request: ask.CompareAttention, job: Job) -> AttentionComparison:
    """Two passes beside each other."""
    from hfterm.attention.comparing import Kept, compare

    # the second comes first: the model that stays loaded is then the one that is looked at
    second = Kept.of(_capture(request.second, job), request.which, job)
    first = Kept.of(_capture(request.first, job), request.which, job)
    return compare(first, second, request.which)


@HANDLERS.answers(ask.WriteAttention)
def write_attention(request: ask.WriteAttention, job: Job) -> str:
    """A figure, or numbers."""
    from hfterm.attention.writing import write_attention as write

    capture = _capture(request.looked, job)
    weights = None if request.which is None else capture.weights(request.which, job=job).numpy()
    return write(
        capture.summary, weights, request.which, request.side, request.out,
        lambda layer: capture.layer_weights(request.side, layer).numpy(), metric=request.metric,
    )  # fmt: skip
