"""The modules that an adapter is put on: the usual ones, and the error for one there is not."""

from __future__ import annotations

import difflib
from collections.abc import Container

from hfterm.errors import HftermError

ALL_LINEAR = "all-linear"
USUAL: tuple[tuple[str, ...], ...] = (
    ("query", "value"), ("q_proj", "v_proj"), ("q_lin", "v_lin"), ("q", "v"), ("c_attn",),
    ("query_key_value",), ("Wqkv",), ("qkv_proj",), ("attn_q", "attn_v"),
)  # fmt: skip
"""Query and value projections, as the architectures call them."""

PEFT_TASKS = {
    "text-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "causal-lm": "CAUSAL_LM",
    "chat-sft": "CAUSAL_LM",
    "seq2seq": "SEQ_2_SEQ_LM",
}
"""What peft calls a task; masked language modelling has no name there."""


def usual_targets(names: Container[str]) -> list[str] | str:
    """What is adapted when nobody says.

    Args:
        names: the last parts of the names of the model's linear modules.
    """
    return next((list(some) for some in USUAL if all(name in names for name in some)), ALL_LINEAR)


def unknown_target(target: str, known: list[str]) -> HftermError:
    """The error for a target module that is none."""
    near = difflib.get_close_matches(target, known, 1, 0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return HftermError(
        "unknown-target",
        f"method.target_modules has {target!r}, which is no linear module of the model.",
        f'{hint}It has: {", ".join(known)}; or "all-linear".',
    )
