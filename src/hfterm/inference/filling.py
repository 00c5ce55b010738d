"""Fill-mask: the likeliest tokens where the text says mask.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.inputs import check_finite, prepare, token_names
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import Filling, Long, MaskFilling

if TYPE_CHECKING:
    from torch import Tensor


def fill(opened: OpenModel, text: str, *, top: int = 5, long: Long = "ask") -> MaskFilling:
    """The likeliest tokens for every mask of a text.

    ``[MASK]`` and ``<mask>`` both stand for the tokenizer's own mask token.

    Raises:
        HftermError: there is no mask in the text, or the tokenizer has no mask token.
    """
    import torch

    mask = cast("str | None", opened.text.mask_token)
    if mask is None:
        raise HftermError(
            "no-mask-token",
            f"{opened.info.spec.ref} has no mask token: it was not trained to fill masks.",
            "Choose an encoder, minilm say.",
        )
    for other in ("[MASK]", "<mask>"):
        text = text.replace(other, mask)
    if mask not in text:
        raise HftermError(
            "no-mask", f"There is no {mask} in the text.", f"Write {mask} where a word is wanted."
        )
    # windows would show a mask twice: a text that does not fit is cut or refused
    prepared = prepare(opened, text, long="truncate" if long == "window" else long)
    with memory_errors("this text"), torch.no_grad():
        logits: Tensor = opened.model(**prepared.inputs).logits
    check_finite(opened, logits)
    ids = cast("list[int]", prepared.inputs["input_ids"][0].tolist())
    masks = [position for position, id_ in enumerate(ids) if id_ == opened.text.mask_token_id]
    if not masks:
        raise HftermError(
            "mask-cut", f"The {mask} was cut off with the end of the text.", "Shorten the text."
        )
    found: list[Filling] = []
    for number, position in enumerate(masks):
        row = logits[0, position].float()
        shares = torch.softmax(row, dim=-1)
        best = shares.topk(min(top, shares.numel()))
        for share, id_ in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            filled = list(ids)
            filled[position] = id_
            found.append(
                Filling(
                    number, position, id_, token_names(opened, [id_])[0], share, float(row[id_]),
                    str(opened.text.decode(filled, skip_special_tokens=True)),
                )
            )  # fmt: skip
    return MaskFilling(tuple(found), len(masks), prepared.tokens, prepared.cut)
