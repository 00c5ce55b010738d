"""The labels of a classification: found in the data, or told by the recipe; and what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.training.recipe import Recipe
from hfterm.training.rows import shown

if TYPE_CHECKING:
    from datasets import Dataset

MOST_LABELS = 10_000


def label_names(recipe: Recipe, train: Dataset, held: Dataset | None = None) -> tuple[str, ...]:
    """The labels' names by id; of other tasks none.

    Args:
        recipe: of one run.
        train: the rows to learn from.
        held: those to evaluate on; of a fold they count as well: all folds have the same labels.

    Raises:
        HftermError: the labels are words whose order nobody told, are no whole numbers from 0, or
            are all the same.
    """
    if recipe.task not in ("text-classification", "token-classification"):
        return ()
    column = recipe.column("label" if recipe.task == "text-classification" else "tags")
    known = recipe.data.labels or class_names(train, column)
    values = _values(recipe, train, column)
    if held is not None and recipe.fold:
        values += _values(recipe, held, column)
    words = sorted({value for value in values if isinstance(value, str)})
    if words and not all(isinstance(value, str) for value in values):
        raise HftermError(
            "bad-label", f"The column {column!r} holds words and numbers.",
            "Labels are either words or whole numbers from 0.",
        )  # fmt: skip
    if words and not known:
        listed = ", ".join(json.dumps(word, ensure_ascii=False) for word in words[:8])
        raise HftermError(
            "labels-are-text",
            f"The column {column!r} holds words ({', '.join(map(shown, words[:4]))}"
            f"{' …' if len(words) > 4 else ''}), and which is number 0 is not told.",
            f"Name them in order in “labels”, or under [data] of a recipe: "
            f"labels = [{listed}{', …' if len(words) > 8 else ''}]",
        )
    if words:
        unknown = [word for word in words if word not in known]
        if unknown:
            raise HftermError(
                "unknown-label",
                f"The column {column!r} holds {shown(unknown[0])}, which is not in data.labels.",
                f"Name them all: it has {', '.join(map(shown, words[:12]))}.",
            )
        seen = set(words)
    else:
        seen = {str(number) for number in _numbers(values, column)}
    if len(seen) < 2:
        raise HftermError(
            "one-class",
            f"Every row of {recipe.data.train} has the label {shown(next(iter(seen), 'nothing'))}: "
            "there is nothing to tell apart.",
            "Take rows of at least two classes; files that are sorted by label need another slice.",
        )
    if known:
        if not words and max(int(value) for value in seen) >= len(known):
            raise HftermError(
                "unknown-label",
                f"The column {column!r} has the label {max(int(value) for value in seen)}, and "
                f"data.labels has {len(known)} names.",
                "Name as many as there are.",
            )
        return tuple(known)
    highest = max(int(value) for value in seen)
    if highest >= MOST_LABELS:
        raise HftermError(
            "bad-label", f"The column {column!r} has the label {highest:,}.",
            "Labels count from 0; for numbers that are measured no class is right.",
        )  # fmt: skip
    return tuple(f"LABEL_{number}" for number in range(highest + 1))


def class_names(rows: Dataset, column: str) -> tuple[str, ...]:
    """The names that the data set itself gives its classes."""
    from datasets import ClassLabel, List

    feature = cast("object", rows.features[column])
    if isinstance(feature, List):
        feature = cast("object", feature.feature)
    return tuple(feature.names) if isinstance(feature, ClassLabel) else ()


def label_ids(names: tuple[str, ...], values: Iterable[object]) -> list[int]:
    """Ids of labels.

    Raises:
        HftermError: one of them is not among those that training knows.
    """
    place = {name: number for number, name in enumerate(names)}
    found: list[int] = []
    for value in values:
        known = place.get(value) if isinstance(value, str) else _whole(value)
        if known is None or known >= len(names):
            told = ", ".join(map(shown, names[:12]))
            raise HftermError(
                "unknown-label",
                f"Some rows have the label {shown(value)}, which is none of those that training "
                f"knows: {told}{', …' if len(names) > 12 else ''}.",
                "Name all labels in data.labels, in the order of their ids, or leave those rows "
                "out.",
            )
        found.append(known)
    return found


def check_held(recipe: Recipe, names: tuple[str, ...], rows: Dataset | None) -> None:
    """See that the rows to evaluate on have no label that training does not know.

    Raises:
        HftermError: they have one, or none at all.
    """
    if rows is not None and names:
        column = recipe.column("label" if recipe.task == "text-classification" else "tags")
        _ = label_ids(names, set(_values(recipe, rows, column)))


def _values(recipe: Recipe, rows: Dataset, column: str) -> list[object]:
    """All labels; each is a word or a number."""
    found = cast("list[object]", rows[column][:])
    if recipe.task == "token-classification":
        for number, row in enumerate(found):
            if not isinstance(row, list):
                raise HftermError(
                    "bad-label",
                    f"Row {number:,} of the column {column!r} holds {shown(row)}, which is no list "
                    "of tags.",
                    "Token classification reads a list of words and a list of tags of one length.",
                )
        found = [value for row in found for value in cast("list[object]", row)]
    for value in found:
        if value is None:
            raise HftermError(
                "bad-label", f"The column {column!r} has rows without a label.",
                "Leave those rows out.",
            )  # fmt: skip
        if not isinstance(value, str | int | float):
            raise HftermError(
                "bad-label",
                f"The column {column!r} holds {shown(value)}, which is no label.",
                "Labels are whole numbers from 0, or words named in data.labels.",
            )
    return found


def _whole(value: object) -> int | None:
    """A number that is a label: whole, and from 0."""
    if isinstance(value, int | float) and value >= 0 and value != math.inf and value == int(value):
        return int(value)
    return None


def _numbers(values: list[object], column: str) -> set[int]:
    """The different numbers; each must be whole and from 0."""
    found: set[int] = set()
    for value in set(values):
        number = _whole(value)
        if number is None:
            raise HftermError(
                "bad-label",
                f"The column {column!r} holds {value!r}, which is no label.",
                "Labels are whole numbers from 0, or words named in data.labels.",
            )
        found.add(number)
    return found
