"""Whose loss is a mean over its own batch, which Trainer can't see.

Trainer takes every ``forward`` with ``**kwargs`` for one that divides its loss by
``num_items_in_batch``, the labels of all batches and processes of a step, and does not divide
again. Many heads (BERT's, GPT-2's for classification, T5) take ``**kwargs`` and ignore that one:
their loss and gradients would be summed over accumulated batches, and over processes. The
library's own answer is the attribute ``accepts_loss_kwargs`` of a model.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COUNTED = r"(loss_function|super\(\)\.forward)\(([^()]|\([^()]*\))*\*\*"
"""In the source of a ``forward``: the count is handed on to the loss."""


def is_counted(model: PreTrainedModel) -> bool:
    """Whether the loss of a model is divided by ``num_items_in_batch`` where it is given."""
    try:
        source = inspect.getsource(type(model).forward)
    except (OSError, TypeError):  # no source: what Trainer thinks stands
        return True
    return re.search(COUNTED, source) is not None


def say_mean(model: PreTrainedModel) -> None:
    """Tell Trainer where the loss of a model is a mean over its own batch."""
    if not is_counted(model):
        model.accepts_loss_kwargs = False  # pyright: ignore[reportArgumentType]
