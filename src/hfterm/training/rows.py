"""What the rows of each task must look like, whatever file they came from.

Standard library only: the check before a start uses it, and the encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from hfterm.errors import HftermError
from hfterm.training.recipe import COLUMNS, OPTIONAL_COLUMNS, Recipe

Batch = Mapping[str, list[object]]

LONGEST_SHOWN = 60


def check_rows(recipe: Recipe, batch: Batch, first: int = 0) -> None:
    """See that rows are what the task reads. Labels of a classification are seen to elsewhere.

    Args:
        recipe: says the task, and what its columns are called.
        batch: some rows, by column.
        first: the number of the first one.

    Raises:
        HftermError: which row is not, and what it should be.
    """
    for role in roles_of(recipe):
        check = CHECKS.get(role)
        if check is None:
            continue
        name = recipe.column(role)
        for number, value in enumerate(batch[name], first):
            check(name, role, number, value)
    if recipe.task == "token-classification":
        tokens, tags = batch[recipe.column("tokens")], batch[recipe.column("tags")]
        for number, (some, theirs) in enumerate(zip(tokens, tags, strict=True), first):
            words, kinds = len(cast("list[object]", some)), len(cast("list[object]", theirs))
            if words != kinds:
                raise HftermError(
                    "bad-label",
                    f"Row {number:,} has {words:,} words and {kinds:,} tags.",
                    "Each word needs one tag.",
                )


def roles_of(recipe: Recipe) -> list[str]:
    """The columns that the task reads, by what they are to it."""
    optional = OPTIONAL_COLUMNS.get(recipe.task, ())
    return [*COLUMNS[recipe.task], *(role for role in optional if role in recipe.data.columns)]


def _text(name: str, role: str, number: int, value: object) -> None:
    if not isinstance(value, str):
        raise HftermError(
            "not-text",
            f"Row {number:,} of the column {name!r} holds {shown(value)}, which is no text.",
            "Leave out rows without a text, or say which column is the text: "
            f'columns = {{ {role} = "…" }} under [data].',
        )


def _words(name: str, role: str, number: int, value: object) -> None:
    if not isinstance(value, list) or not all(
        isinstance(word, str) for word in cast("list[object]", value)
    ):
        raise HftermError(
            "not-text",
            f"Row {number:,} of the column {name!r} holds {shown(value)}, which is no list of "
            "words.",
            'Rows are {"tokens": ["EU", "rejects"], "tags": [1, 0]}, as JSONL or Parquet.',
        )


def _tags(name: str, role: str, number: int, value: object) -> None:
    if not isinstance(value, list):
        raise HftermError(
            "bad-label",
            f"Row {number:,} of the column {name!r} holds {shown(value)}, which is no list of "
            "tags.",
            'Rows are {"tokens": ["EU", "rejects"], "tags": [1, 0]}, as JSONL or Parquet.',
        )


def _messages(name: str, role: str, number: int, value: object) -> None:
    items = cast("list[object]", value) if isinstance(value, list) else []
    right = bool(items)
    for item in items:
        row = cast("Mapping[str, object]", item) if isinstance(item, Mapping) else {}
        right &= isinstance(row.get("role"), str) and isinstance(row.get("content"), str)
    if not right:
        raise HftermError(
            "bad-messages",
            f"Row {number:,} of the column {name!r} is no conversation: {shown(value)}.",
            'Rows are {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", '
            '"content": "…"}]}.',
        )


def _answers(name: str, role: str, number: int, value: object) -> None:
    row = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
    texts, starts = row.get("text"), row.get("answer_start")
    right = isinstance(texts, list) and isinstance(starts, list)
    if right:
        texts, starts = cast("list[object]", texts), cast("list[object]", starts)
        right = len(texts) == len(starts) and all(
            isinstance(text, str) and isinstance(start, int) and start >= 0
            for text, start in zip(texts, starts, strict=True)
        )
    if not right:
        raise HftermError(
            "bad-answer",
            f"Row {number:,} of the column {name!r} holds no answers: {shown(value)}.",
            'Answers are as in SQuAD: {"text": ["…"], "answer_start": [12]}, and both lists empty '
            "where there is none.",
        )


CHECKS: dict[str, Callable[[str, str, int, object], None]] = {
    "text": _text,
    "text_pair": _text,
    "question": _text,
    "context": _text,
    "source": _text,
    "target": _text,
    "tokens": _words,
    "tags": _tags,
    "messages": _messages,
    "answers": _answers,
}


def shown(value: object) -> str:
    """A value in a message, not too long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
