"""Feature extraction: pooled hidden states, and how alike texts are.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.inputs import (
    check_finite,
    ensure_padding,
    model_inputs,
    no_tokens,
    too_long,
)
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import Embedding, Long, Pooling

if TYPE_CHECKING:
    from torch import Tensor, nn


def pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a text.

    Args:
        hidden: float[texts, tokens, hidden], the last layer.
        mask: int64[texts, tokens], 1 where there is a token.
        pooling: mean over the tokens, the first (``cls``), the greatest, or the last token.
    """
    import torch

    hidden = hidden.float()
    if pooling == "cls":
        return hidden[torch.arange(len(hidden)), mask.argmax(dim=1)]
    if pooling == "last":
        positions = torch.arange(mask.shape[1], device=mask.device)
        return hidden[torch.arange(len(hidden)), (mask * positions).argmax(dim=1)]
    wide = mask.unsqueeze(-1).to(hidden.dtype)
    if pooling == "max":
        return hidden.masked_fill(wide == 0, -torch.inf).amax(dim=1)
    return (hidden * wide).sum(dim=1) / wide.sum(dim=1)


def hidden_states(
    opened: OpenModel, texts: Sequence[str], long: Long = "ask", first: int = 0
) -> tuple[Tensor, Tensor, list[int]]:
    """(last hidden states, mask, tokens cut of each text) of a batch.

    Args:
        opened: the model.
        texts: of the batch.
        long: what to do with one that does not fit.
        first: texts before this batch, for naming one of it.

    Raises:
        HftermError: a text is empty or does not fit, or the model has no hidden states to pool.
    """
    import torch

    ensure_padding(opened)
    lengths = [len(ids) for ids in _plain(opened, texts)]
    limit = opened.info.limit
    cut = [0] * len(lengths)
    if limit is not None and max(lengths) > limit:
        if long == "ask":
            row = next(index for index, length in enumerate(lengths) if length > limit)
            raise too_long(opened, lengths[row], f"text {first + row + 1:,}")
        cut = [max(0, length - limit) for length in lengths]
    if 0 in lengths:
        raise no_tokens(first + lengths.index(0))
    encoding = opened.text(
        list(texts),
        padding=True,
        truncation=any(cut),
        max_length=limit if any(cut) else None,
        return_tensors="pt",
        return_attention_mask=True,
    )
    inputs = model_inputs(opened, encoding)
    mask = cast("Tensor", encoding["attention_mask"]).to(opened.model.device)
    model: nn.Module = opened.model
    if opened.model.config.is_encoder_decoder:
        model = opened.model.get_encoder()
        inputs = {k: v for k, v in inputs.items() if k in ("input_ids", "attention_mask")}
    with memory_errors("these texts"), torch.no_grad():
        output = model(**inputs)
    found = output.get("last_hidden_state")
    if found is None:
        raise HftermError(
            "no-hidden-states",
            f"{opened.info.cls} gives no last_hidden_state.",
            "Load it as AutoModel.",
        )
    return found, mask, cut


def _plain(opened: OpenModel, texts: Sequence[str]) -> Sequence[Sequence[int]]:
    encoding = opened.text(list(texts), truncation=False, padding=False)
    return cast("Sequence[Sequence[int]]", encoding["input_ids"])


def embed(
    opened: OpenModel, texts: Sequence[str], *, pooling: Pooling = "mean", normalize: bool = True,
    long: Long = "ask",
) -> Embedding:  # fmt: skip
    """Embed texts, and compare each with each.

    ``window`` cuts as ``truncate`` does: one text has one vector.

    Raises:
        HftermError: there is no text, or one does not fit.
    """
    import torch

    texts = [text for text in texts if text.strip()]
    if not texts:
        raise HftermError("empty", "There is no text.", "Type one text a line.")
    hidden, mask, cut = hidden_states(opened, texts, long)
    vectors = pool(hidden, mask, pooling)
    check_finite(opened, vectors)
    norms = vectors.norm(dim=1)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    shown = unit if normalize else vectors
    return Embedding(
        texts=tuple(texts),
        vectors=tuple(tuple(row) for row in shown.tolist()),
        norms=tuple(norms.tolist()),
        similarity=tuple(tuple(row) for row in (unit @ unit.T).tolist()),
        tokens=tuple(int(count) for count in mask.sum(dim=1).tolist()),
        cut=sum(cut),
        pooling=pooling,
    )
