"""Attention a few queries at a time: the model's own eager function, without its memory.

A model's whole attention is float32[heads, queries, keys] a layer: 2.4 GB at 8,192 tokens and 9
heads. `attend` is registered with transformers as an attention implementation. It calls the
eager function of the model's own module on some queries at a time, shows the weights to whoever
watches, and lets them go. The weights are those of ``attn_implementation="eager"``, soft caps,
sinks and position biases included, and so is the output.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers.modeling_utils import PreTrainedModel

NAME = "hfterm_rows"
CHUNK = 16 << 20
"""Bytes of weights at once."""

See = Callable[[int, "Tensor"], None]
"""Is shown weights: the first query's position, and float[heads, some queries, keys seen]. Keys
that are left out at the end are masked for all of these queries."""


class Enough(Exception):
    """The weights that were wanted are there; the rest of the layer need not run."""


@dataclass
class Wanted:
    """What is wanted of one call of an attention module.

    Attributes:
        see: is shown the weights.
        unit: a chunk is whole units of queries, or a part of one unit.
        head: of one head alone; None for all.
        rows: from the first query to before the second; None for all.
        only: nothing but the weights is wanted.
    """

    see: See
    unit: int = 1
    head: int | None = None
    rows: tuple[int, int] | None = None
    only: bool = False


Watch = Callable[["nn.Module", "Tensor", "Tensor"], "Wanted | None"]
"""Asked at each call of an attention module, with its query and key: float[1, heads, tokens, d]."""

_watch: ContextVar[Watch | None] = ContextVar("_watch", default=None)


class _Eager(Protocol):
    def __call__(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor,
        attention_mask: Tensor | None, **kwargs: object,
    ) -> tuple[Tensor, Tensor]: ...  # fmt: skip


@contextmanager
def watching(model: PreTrainedModel, watch: Watch) -> Generator[None]:
    """Let `watch` see every attention of `model`, which computes as before afterwards."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    before = implementation_of(model)
    token = _watch.set(watch)
    try:
        model.set_attn_implementation(NAME)
        yield
    finally:
        _watch.reset(token)
        if implementation_of(model) != before:  # a model that refuses may refuse its own, too
            model.set_attn_implementation(before)


def implementation_of(model: PreTrainedModel) -> str:
    """What computes a model's attention now: ``sdpa``, ``eager`` …"""
    return str(model.config._attn_implementation)  # pyright: ignore[reportPrivateUsage]


def _eager_of(module: nn.Module) -> _Eager:
    """The eager attention of the file that defines the module's class."""
    for cls in type(module).__mro__:
        found = getattr(sys.modules[cls.__module__], "eager_attention_forward", None)
        if found is not None:
            return cast("_Eager", found)
    raise NotImplementedError(f"{type(module).__name__} has no eager attention")


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    **kwargs: object,
) -> tuple[Tensor, None]:  # fmt: skip
    """An attention function as transformers calls it.

    Args:
        module: the attention module.
        query: float[1, heads, queries, d].
        key: float[1, kv_heads, keys, d].
        value: as `key`.
        attention_mask: bool (True is seen) or float (added), [1, 1, queries, keys]; None for
            none, or for a causal one when the module is causal.
        kwargs: what the model's eager function takes; `position_bias` is cut as the mask is.

    Returns:
        float[1, queries, heads, d], and no weights.
    """
    import torch

    watch = _watch.get()
    wanted = watch(module, query, key) if watch is not None else None
    queries, keys = query.shape[2], key.shape[2]
    causal = kwargs.pop("is_causal", None)
    causal = bool(getattr(module, "is_causal", False) if causal is None else causal) and queries > 1
    bias = cast("Tensor | None", kwargs.pop("position_bias", None))
    eager = _eager_of(module)
    if wanted is not None and wanted.only and wanted.head is not None:
        query, key, value, bias, picked = _one_head(module, wanted.head, query, key, value, bias)
    else:
        picked = wanted.head if wanted is not None else None
    first, last = (0, queries) if wanted is None or wanted.rows is None else wanted.rows
    unit = wanted.unit if wanted is not None else 1
    pieces = _pieces(queries, unit, max(1, CHUNK // (4 * query.shape[1] * keys)))
    outputs: list[Tensor] = []
    for start, stop in pieces:
        if wanted is not None and wanted.only:
            start, stop = max(start, first), min(stop, last)  # noqa: PLW2901 - a piece of it
            if start >= stop:
                continue
        mask, seen = _mask(attention_mask, query, start, stop, keys, causal)
        more = dict(kwargs)
        if bias is not None:
            more["position_bias"] = bias[:, :, start:stop, :seen]
        output, weights = eager(
            module, query[:, :, start:stop], key[:, :, :seen], value[:, :, :seen], mask, **more
        )
        if wanted is not None:
            shown = weights[0] if picked is None else weights[0, picked : picked + 1]
            wanted.see(start, shown.float())
        if wanted is None or not wanted.only:
            outputs.append(output)
    if wanted is not None and wanted.only:
        raise Enough
    return torch.cat(outputs, dim=1), None


def _pieces(queries: int, unit: int, most: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of some queries at a time: whole units, or even parts of one, never across.

    Args:
        queries: how many there are.
        unit: what the squares of a small map are high.
        most: queries at once.
    """
    step = most // unit * unit if most >= unit else -(-unit // -(-unit // most))
    block = max(step, unit)
    for begin in range(0, queries, block):
        end = min(begin + block, queries)
        for start in range(begin, end, step):
            yield start, min(start + step, end)


def _one_head(
    module: nn.Module, head: int, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int]:
    """The group of heads that share a head's keys, and its place in the group."""
    heads, groups = query.shape[1], query.shape[1] // key.shape[1]
    if getattr(module, "sinks", None) is not None:  # one a head, and the module holds them all
        return query, key, value, bias, head
    shared = head // groups
    own = slice(shared * groups, (shared + 1) * groups)
    if bias is not None and bias.shape[1] == heads:
        bias = bias[:, own]
    one = slice(shared, shared + 1)
    return query[:, own], key[:, one], value[:, one], bias, head - shared * groups


def _mask(
    mask: Tensor | None, query: Tensor, start: int, stop: int, keys: int, causal: bool
) -> tuple[Tensor | None, int]:
    """The mask of some queries as eager attention adds it, and how many keys they see at most."""
    import torch

    least = torch.finfo(query.dtype).min
    if mask is None:
        if not causal:
            return None, keys
        places = torch.arange(start, stop, device=query.device)
        allowed = torch.arange(stop, device=query.device) <= places[:, None]
        return torch.zeros(allowed.shape, dtype=query.dtype, device=query.device).masked_fill_(
            ~allowed, least
        )[None, None], stop
    part = mask if mask.shape[2] == 1 else mask[:, :, start:stop]
    if part.dtype != torch.bool:
        return part, keys
    seen = keys
    if causal and stop < keys and not bool(part[..., stop:].any()):
        part, seen = part[..., :stop], stop
    if bool(part.all()):
        return None, seen
    return torch.zeros(part.shape, dtype=query.dtype, device=part.device).masked_fill_(
        ~part, least
    ), seen
