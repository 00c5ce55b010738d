"""What a model thought of each token while it generates: seen through `generate`'s own hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np
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


def seen(id_: int, logits: np.ndarray) -> Seen:
    """What a model thought of a token, by its logits, float32[vocabulary].

    In numpy and on one core: for one row that is several times faster than torch, which divides it
    among threads.

    Raises:
        NotFinite: they are no numbers.
    """
    import numpy as np

    shifted = logits - logits.max()
    shares = np.exp(shifted)
    total = float(shares.sum())
    if not np.isfinite(total):
        raise NotFinite
    # 0 · -inf would be NaN; such a share is 0 and adds nothing
    np.maximum(shifted, -1e30, out=shifted)
    entropy = float(np.log(total) - np.dot(shares, shifted) / total)
    probability = float(shares[id_]) / total
    best: list[tuple[int, float]] = []
    for _ in range(min(ALTERNATIVES, shares.size)):  # quicker than any partition of so many
        at = int(shares.argmax())
        best.append((at, float(shares[at]) / total))
        shares[at] = -1.0
    return Seen(id_, probability, entropy, tuple(best))


class Watch:
    """A logits processor, and in `stop` a stopping criterion, that see the same step.

    As a processor it must come first, so that it sees the model's own logits. It is an object that
    can be called, as transformers' own are: `generate` asks each processor for its signature at
    every token, which takes ten times as long for a function or a method.

    Args:
        each: told of every token; answers whether to stop after it.
    """

    def __init__(self, each: Callable[[Seen], bool]) -> None:
        self._each = each
        self._logits: Tensor | None = None
        self._told: tuple[Tensor, ...] = ()

    def __call__(self, _: LongTensor, scores: FloatTensor) -> FloatTensor:
        """Look at the logits, float32[1, vocabulary]; they stay as they are."""
        self._logits = scores[0].float()  # none of those after this one writes into it
        return scores

    def stop(self, sequences: LongTensor, _: object, **__: object) -> Tensor:
        """Look at the token that was chosen: int64[1, tokens]."""
        import torch

        assert self._logits is not None
        if not self._told:
            self._told = torch.tensor([[False], [True]], device=sequences.device).unbind()
        return self._told[self._each(seen(int(sequences[0, -1]), self._logits.cpu().numpy()))]


class Force:
    """A logits processor that leaves one token possible at the first step.

    Args:
        id_: that token.
    """

    def __init__(self, id_: int) -> None:
        self._id: int | None = id_

    def __call__(self, _: LongTensor, scores: FloatTensor) -> FloatTensor:
        """Forbid all others, once: float32[1, vocabulary]."""
        import torch

        if self._id is None:
            return scores
        only = torch.full_like(scores, -torch.inf)
        only[:, self._id] = 0.0
        self._id = None
        return cast("FloatTensor", only)
