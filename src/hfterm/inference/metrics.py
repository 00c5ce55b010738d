"""Accuracy, F1 and a confusion matrix, from plain lists."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from hfterm.inference.types import ClassScore, Metrics

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def classification_metrics(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> Metrics:
    """Metrics of one label a row, as scikit-learn computes them.

    Args:
        true: the labels that came with the rows.
        predicted: the model's.
        labels: the order of the confusion matrix; others that occur come after them.
    """
    named = list(dict.fromkeys([*labels, *sorted({*true, *predicted})]))
    place = {name: index for index, name in enumerate(named)}
    confusion = [[0] * len(named) for _ in named]
    for wanted, found in zip(true, predicted, strict=True):
        confusion[place[wanted]][place[found]] += 1
    classes: list[ClassScore] = []
    for index, name in enumerate(named):
        hit = confusion[index][index]
        support = sum(confusion[index])
        claimed = sum(row[index] for row in confusion)
        precision = hit / claimed if claimed else 0.0
        recall = hit / support if support else 0.0
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        if support or claimed:
            classes.append(ClassScore(name, support, precision, recall, f1))
    rows = len(true)
    right = sum(confusion[index][index] for index in range(len(named)))
    return Metrics(
        rows=rows,
        accuracy=right / rows if rows else 0.0,
        f1=sum(found.f1 for found in classes) / len(classes) if classes else 0.0,
        weighted_f1=sum(found.f1 * found.support for found in classes) / rows if rows else 0.0,
        classes=tuple(classes),
        labels=tuple(named),
        confusion=tuple(tuple(row) for row in confusion),
    )


def answer_metrics(true: Sequence[Sequence[str]], predicted: Sequence[str]) -> Metrics:
    """Exact match and mean token F1, as the SQuAD script computes them.

    Args:
        true: the answers that are right, of each row; the nearest counts.
        predicted: the model's.
    """
    compared = list(zip(true, predicted, strict=True))
    exact = sum(any(_plain(a) == _plain(b) for a in answers) for answers, b in compared)
    scores = [max(_overlap(_plain(a), _plain(b)) for a in answers) for answers, b in compared]
    rows = len(true)
    mean = sum(scores) / rows if rows else 0.0
    return Metrics(rows, exact / rows if rows else 0.0, mean, mean)


def _plain(text: str) -> str:
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def _overlap(wanted: str, found: str) -> float:
    one, other = wanted.split(), found.split()
    if not one or not other:
        return float(one == other)
    shared = sum((Counter(one) & Counter(other)).values())
    return 2 * shared / (len(one) + len(other)) if shared else 0.0
