"""What a model thought of each token while it generates: seen through `generate`'s own hooks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import FloatTensor, LongTensor, Tensor

ALTERNATIVES = 5
"""Tokens of each distribution that are kept."""


@dataclass(frozen=True)
class Seen:
    """A token that was chosen, and the distribution that it was chosen from.

    Attributes:
        id: the token.
        probability: the model's own, before temperature and the like.
        entropy: in nats.
        best: (token, probability) of the most probable, best first.
    """

    id: int
    probability: float
    entropy: float
    best: tuple[tuple[int, float], ...]


class NotFinite(Exception):
    """The model gave numbers that are none."""


class Watch:
    """A logits processor and a stopping criterion that see the same step.

    As a processor it must come first, so that it sees the model's own logits.

    Args:
        each: told of every token; answers whether to stop after it.
    """

    def __init__(self, each: Callable[[Seen], bool]) -> None:
        self._each = each
        self._logs: Tensor | None = None

    def process(self, _: LongTensor, scores: FloatTensor) -> FloatTensor:
        """Look at the logits, float32[1, vocabulary]; they stay as they are."""
        import torch

        self._logs = torch.log_softmax(scores[0].float(), dim=-1)
        return scores

    def stop(self, sequences: LongTensor, _: object, **__: object) -> Tensor:
        """Look at the token that was chosen: int64[1, tokens]."""
        import torch

        assert self._logs is not None
        logs, id_ = self._logs, int(sequences[0, -1])
        shares = logs.exp()
        if math.isnan(float(shares.sum())):
            raise NotFinite
        best = shares.topk(min(ALTERNATIVES, shares.numel()))
        # 0 · log 0 is 0, and not the NaN that a product makes of it
        entropy = float(-torch.where(shares > 0, shares * logs, 0.0).sum())
        pairs = zip(cast("list[int]", best.indices.tolist()), best.values.tolist(), strict=True)
        stopped = self._each(Seen(id_, float(shares[id_]), entropy, tuple(pairs)))
        return torch.full((1,), stopped, dtype=torch.bool, device=sequences.device)


class Force:
    """A logits processor that leaves one token possible at the first step.

    Args:
        id_: that token.
    """

    def __init__(self, id_: int) -> None:
        self._id = id_

    def process(self, _: LongTensor, scores: FloatTensor) -> FloatTensor:
        """Forbid all others, once: float32[1, vocabulary]."""
        import torch

        if self._id < 0:
            return scores
        only = torch.full_like(scores, -torch.inf)
        only[:, self._id] = 0.0
        self._id = -1
        return cast("FloatTensor", only)
