"""What an evaluation says besides the loss, for each task.

numpy only: these functions are given to `transformers.Trainer`. `code_tasks` writes the same as a
script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from hfterm.training.recipe import Task

IGNORED = -100
LONGEST_ANSWER = 30
"""Tokens of an answer, as in the SQuAD scripts."""


class Predictions(Protocol):
    """What Trainer gives: numpy arrays, or tuples of them."""

    predictions: np.ndarray | tuple[np.ndarray, ...]
    label_ids: np.ndarray | tuple[np.ndarray, ...]


Score = Callable[[Predictions], dict[str, float]]


def scorer(task: Task, names: Sequence[str]) -> Score | None:
    """The function that scores an evaluation; None where the loss says it all."""
    if task == "text-classification":
        return _classified
    if task == "token-classification":
        return lambda found: _tagged(found, names)
    if task == "question-answering":
        return _answered
    if task == "masked-lm":
        return _filled
    return None


def reduce_logits(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The most likely class of each row or token: what is kept instead of all logits."""
    first = logits[0] if isinstance(logits, tuple) else logits
    return first.argmax(dim=-1)


def macro_f1(predicted: np.ndarray, true: np.ndarray) -> float:
    """The mean F1 of the classes that occur."""
    found: list[float] = []
    for kind in np.union1d(predicted, true):
        hit = np.sum((predicted == kind) & (true == kind))
        found.append(2 * float(hit) / float(np.sum(predicted == kind) + np.sum(true == kind)))
    return float(np.mean(found)) if found else 0.0


def _accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean(predicted == true)) if len(true) else 0.0


def _classified(found: Predictions) -> dict[str, float]:
    predicted, true = _arrays(found)
    return {"accuracy": _accuracy(predicted, true), "f1": macro_f1(predicted, true)}


def _tagged(found: Predictions, names: Sequence[str]) -> dict[str, float]:
    predicted, true = _arrays(found)
    kept = true != IGNORED
    if has_entities(names):
        f1 = _entity_f1(predicted, true, names)
    else:
        f1 = macro_f1(predicted[kept], true[kept])
    return {"accuracy": _accuracy(predicted[kept], true[kept]), "f1": f1}


def has_entities(names: Sequence[str]) -> bool:
    """Whether tags mark entities: B- their first word, I- the others."""
    return any(name.startswith(("B-", "I-")) for name in names)


def _entity_f1(predicted: np.ndarray, true: np.ndarray, names: Sequence[str]) -> float:
    """F1 over whole entities, as seqeval has it: right in both ends and kind."""
    hit = claimed = wanted = 0
    for guess, label in zip(predicted, true, strict=True):
        kept = label != IGNORED
        ours = _entities([names[int(i)] for i in guess[kept]])
        theirs = _entities([names[int(i)] for i in label[kept]])
        hit += len(ours & theirs)
        claimed += len(ours)
        wanted += len(theirs)
    return 2 * hit / (claimed + wanted) if claimed + wanted else 0.0


def _entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    found: set[tuple[str, int, int]] = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            found.add((kind, start, place))
            kind = ""
        if prefix in ("B", "I") and not kind:
            kind, start = name, place
    return found


def _answered(found: Predictions) -> dict[str, float]:
    """Exact match and F1 over the tokens of each window's best span.

    Over windows and tokens, not over texts: Trainer gives no more than the logits. The SQuAD
    figures of whole texts come from a batch on the Predict screen.
    """
    starts, ends = cast("tuple[np.ndarray, np.ndarray]", found.predictions[:2])
    true_starts, true_ends = cast("tuple[np.ndarray, np.ndarray]", found.label_ids[:2])
    exact, overlap = 0, 0.0
    for start, end, a, b in zip(starts, ends, true_starts, true_ends, strict=True):
        first, last = best_span(start, end)
        exact += (first, last) == (int(a), int(b))
        shared = max(0, min(last, int(b)) - max(first, int(a)) + 1)
        overlap += 2 * shared / (last - first + 1 + int(b) - int(a) + 1)
    rows = max(1, len(true_starts))
    return {"exact_match": exact / rows, "f1": overlap / rows}


def best_span(start: np.ndarray, end: np.ndarray) -> tuple[int, int]:
    """First and last token of the likeliest span of at most `LONGEST_ANSWER` tokens."""
    sums = start[:, None] + end[None, :]
    allowed = np.triu(np.ones_like(sums)) - np.triu(np.ones_like(sums), LONGEST_ANSWER)
    place = int(np.where(allowed > 0, sums, -np.inf).argmax())
    return place // sums.shape[1], place % sums.shape[1]


def _filled(found: Predictions) -> dict[str, float]:
    predicted, true = _arrays(found)
    kept = true != IGNORED
    return {"accuracy": _accuracy(predicted[kept], true[kept])}


def _arrays(found: Predictions) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = found.predictions, found.label_ids
    first = predicted[0] if isinstance(predicted, tuple) else predicted
    return first, true[0] if isinstance(true, tuple) else true
