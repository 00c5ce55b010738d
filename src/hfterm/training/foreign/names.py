"""What the metrics of other programs are called here, so that their curves overlay with ours."""

from __future__ import annotations

from functools import lru_cache

from hfterm.training.curves import AxisName

AXIS_OF: dict[str, AxisName] = {
    "epoch": "epoch",
    "train/epoch": "epoch",
    "num_input_tokens_seen": "tokens",
    "train/num_input_tokens_seen": "tokens",
}
"""Metrics of other programs that are places on an axis."""

_PREFIXES = {"train/": "", "eval/": "eval_", "test/": "test_"}
_RESERVED = frozenset({"step", "time", "epoch", "tokens", "resumed_from"})


@lru_cache(maxsize=10_000)
def own_name(tag: str) -> str:
    """``train/loss`` is ``loss``, ``eval/loss`` is ``eval_loss``; others stay as they are."""
    for prefix, ours in _PREFIXES.items():
        rest = tag.removeprefix(prefix)
        if rest != tag and rest and rest not in _RESERVED:
            return ours + rest
    return f"logged/{tag}" if tag in _RESERVED else tag
