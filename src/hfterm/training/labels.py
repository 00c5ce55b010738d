"""The labels of a classification: found in the data, or told by the recipe; and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.training.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

MOST_LABELS = 10_000


def label_names(recipe: Recipe, rows: Dataset) -> tuple[str, ...]:
    """The labels' names by id; of other tasks none.

    Raises:
        HftermError: the labels are words whose order nobody told, are no whole numbers from 0, or
            are all the same.
    """
    if recipe.task not in ("text-classification", "token-classification"):
        return ()
    column = recipe.column("label" if recipe.task == "text-classification" else "tags")
    known = recipe.data.labels or class_names(rows, column)
    values = _values(recipe, rows, column)
    words = sorted({value for value in values if isinstance(value, str)})
    if words and not known:
        listed = ", ".join(f'"{word}"' for word in words[:8])
        raise HftermError(
            "labels-are-text",
            f"The column {column!r} holds words ({', '.join(words[:4])} …), and which is number 0 "
            "is not told.",
            f"Say their order under [data]: labels = [{listed}{', …' if len(words) > 8 else ''}]",
        )
    if words:
        unknown = [word for word in words if word not in known]
        if unknown:
            raise HftermError(
                "unknown-label",
                f"The column {column!r} holds {unknown[0]!r}, which is not in data.labels.",
                f"It has {', '.join(words[:12])}.",
            )
        seen = set(words)
    else:
        seen = {str(number) for number in _numbers(values, column)}
    if len(seen) < 2:
        raise HftermError(
            "one-class",
            f"Every row of {recipe.data.train} has the label {next(iter(seen), 'nothing')!r}: "
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
    """Ids of labels that were checked by `label_names`."""
    place = {name: number for number, name in enumerate(names)}
    return [place[value] if isinstance(value, str) else int(cast("int", value)) for value in values]


def _values(recipe: Recipe, rows: Dataset, column: str) -> list[object]:
    values = cast("list[object]", rows[column][:])
    if recipe.task == "text-classification":
        found = values
    else:
        for number, row in enumerate(values):
            if not isinstance(row, list):
                raise HftermError(
                    "bad-label", f"Row {number:,}: {column!r} is no list of tags.",
                    "Token classification reads a list of words and a list of tags of one length.",
                )  # fmt: skip
        found = [value for row in values for value in cast("list[object]", row)]
    if any(value is None for value in found):
        raise HftermError(
            "bad-label", f"The column {column!r} has rows without a label.", "Leave those rows out."
        )
    return found


def _numbers(values: list[object], column: str) -> set[int]:
    """The different numbers; each must be whole and from 0."""
    found: set[int] = set()
    for value in set(values):
        if not isinstance(value, int | float) or value != int(value) or value < 0:
            raise HftermError(
                "bad-label",
                f"The column {column!r} holds {value!r}, which is no label.",
                "Labels are whole numbers from 0, or words named in data.labels.",
            )
        found.add(int(value))
    return found
