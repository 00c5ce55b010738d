"""Multiple choice: one logit for each choice, after the same beginning.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.inputs import check_finite, ensure_padding, model_inputs, too_long
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import Choosing, LabelScore, Long

if TYPE_CHECKING:
    from torch import Tensor


def choose(opened: OpenModel, text: str, choices: Sequence[str], long: Long = "ask") -> Choosing:
    """How likely each choice goes on after the text.

    Raises:
        HftermError: fewer than two choices, or a text that does not fit.
    """
    import torch

    named = [choice.strip() for choice in choices if choice.strip()]
    if len(named) < 2:
        raise HftermError(
            "no-choices",
            "A choice needs at least two options.",
            "Type them with commas between them (in a command: --choice for each).",
        )
    ensure_padding(opened)
    limit = opened.info.limit
    told: dict[str, object] = {"padding": True, "return_tensors": "pt"}
    encoding = opened.text([text] * len(named), named, **told)  # pyright: ignore[reportCallIssue, reportArgumentType]
    length = int(cast("Tensor", encoding["input_ids"]).shape[1])
    cut = max(0, length - limit) if limit is not None else 0
    if limit is not None and cut:
        if long == "ask":
            raise too_long(opened, length, "text with its longest option")
        alone = opened.text(text, add_special_tokens=False, truncation=False)
        option = length - len(cast("Sequence[int]", alone["input_ids"]))
        if option >= limit:
            raise HftermError(
                "too-long",
                f"The longest option has {option:,} tokens and {opened.info.spec.ref} takes "
                f"{limit:,} with the text.",
                "Shorten the option.",
            )
        told |= {"truncation": "only_first", "max_length": limit}
        encoding = opened.text([text] * len(named), named, **told)  # pyright: ignore[reportCallIssue, reportArgumentType]
    inputs = {name: value.unsqueeze(0) for name, value in model_inputs(opened, encoding).items()}
    with memory_errors("these options"), torch.no_grad():
        logits: Tensor = opened.model(**inputs).logits[0].float()
    check_finite(opened, logits)
    shares = torch.softmax(logits, dim=0)
    scores = [
        LabelScore(index, choice, float(logits[index]), float(shares[index]))
        for index, choice in enumerate(named)
    ]
    return Choosing(tuple(scores), int(logits.argmax()), length, cut)
