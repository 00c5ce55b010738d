"""A batch's predictions against the labels that came with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hfterm.hub.rows import as_text
from hfterm.inference.classification import activation_of
from hfterm.inference.loading import OpenModel
from hfterm.inference.metrics import answer_metrics, classification_metrics
from hfterm.inference.options import TaskOptions
from hfterm.inference.types import Metrics, Value

SCORED = ("text-classification", "zero-shot", "multiple-choice", "question-answering")
"""Tasks whose predictions can be right or wrong."""


def score(
    opened: OpenModel, options: TaskOptions, values: Sequence[Sequence[Value]],
    truths: Sequence[object],
) -> tuple[Metrics | None, str]:  # fmt: skip
    """Metrics of a batch, when labels came with its rows; and why there are none.

    Args:
        opened: the model.
        options: the task.
        values: what was predicted, the label or answer first.
        truths: what is right, a row each.
    """
    known = [index for index, truth in enumerate(truths) if truth is not None and truth != ""]
    if not known or options.task not in SCORED:
        return None, ""
    truths = [truths[index] for index in known]
    predicted = [str(values[index][0]) for index in known]
    if options.task == "question-answering":
        return answer_metrics([accepted_answers(truth) for truth in truths], predicted), ""
    if options.task == "text-classification" and activation_of(opened) == "none":
        return None, "The model gives a number, not a label, so nothing is scored."
    labels = opened.info.labels if options.task == "text-classification" else options.labels
    true = true_labels(labels, truths)
    if true is None:
        return None, (
            "The labels of the file are none of the model's "
            f"({', '.join(labels[:4])}{' …' if len(labels) > 4 else ''}), so nothing is scored."
        )
    return classification_metrics(true, predicted, labels), ""


def true_labels(labels: Sequence[str], truths: Sequence[object]) -> list[str] | None:
    """The labels of a data set by the model's names; None when they are others.

    A data set may name them, or number them as the model's ids.
    """
    lowered = {label.lower(): label for label in labels}
    found: list[str] = []
    for truth in truths:
        text = as_text(truth).strip()
        if text.lower() in lowered:
            found.append(lowered[text.lower()])
            continue
        try:
            number = float(text)
        except ValueError:
            return None
        if not number.is_integer() or not 0 <= int(number) < len(labels):
            return None
        found.append(labels[int(number)])
    return found


def accepted_answers(truth: object) -> tuple[str, ...]:
    """The answers that are right: one text, a list of them, or SQuAD's ``{"text": […]}``."""
    if isinstance(truth, dict):
        truth = cast("dict[str, object]", truth).get("text")
    if isinstance(truth, list | tuple):
        return tuple(as_text(one) for one in cast("Sequence[object]", truth)) or ("",)
    return (as_text(truth),)
