"""Prompts from a file, and the answers of several models to them as one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hfterm.chat.types import Answer
from hfterm.errors import HftermError

COLUMNS = ("prompt", "question", "text")
"""What the column of prompts is called, the first that is there."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What one model said to one prompt.

    Attributes:
        prompt: what was asked.
        model: the model and how it was loaded, in a few words.
        answer: None when it failed.
        error: why it failed; empty when it did not.
    """

    prompt: str
    model: str
    answer: Answer | None = None
    error: str = ""


def read_prompts(path: str) -> list[str]:
    """The prompts of a file: a line each, or the column of a CSV or JSONL file.

    Raises:
        HftermError: it can't be read, or there are none in it.
    """
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
        if file.suffix == ".csv":
            rows = csv.DictReader(io.StringIO(text))
            prompts = [_prompt(row, f"row {at} of {file.name}") for at, row in enumerate(rows, 1)]
        elif file.suffix == ".jsonl":
            lines = [(at, line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
            prompts = [_from_json(line, f"line {at} of {file.name}") for at, line in lines]
        else:
            prompts = text.split("\n")
    except OSError as error:
        raise HftermError(
            "not-read", f"{file} can't be read: {error.strerror}.", "Choose another file."
        ) from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise HftermError(
            "bad-file", f"{file.name} can't be understood: {error}.",
            "A prompt a line, a CSV or a JSONL file with a column “prompt”.",
        ) from error  # fmt: skip
    found = [prompt.strip() for prompt in prompts if prompt.strip()]
    if not found:
        raise HftermError("empty", f"{file.name} holds no prompts.", "Write one on each line.")
    return found


def _from_json(line: str, where: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep"
        raise HftermError(
            "bad-file", f"{where} is no JSON: {why}.", 'Write {"prompt": "…"} on each line.'
        ) from error
    return _prompt(row, where)


def _prompt(row: object, where: str) -> str:
    values = row if isinstance(row, dict) else {}
    for column in COLUMNS:
        if isinstance(value := values.get(column), str):
            return value
    raise HftermError(
        "no-column", f"{where} has no {', '.join(COLUMNS)}.", "Name a column “prompt”."
    )


def to_markdown(replies: Sequence[Reply]) -> str:
    """A heading a prompt, and under it what each model said."""
    parts: list[str] = []
    asked = ""
    for reply in replies:
        if reply.prompt != asked or not parts:
            asked = reply.prompt
            parts.append(f"## {' '.join(asked.split())}\n")
        figures = ""
        if reply.answer is not None:
            figures = f" ({reply.answer.tokens} tokens, {reply.answer.tokens_per_s:.1f} tokens/s)"
        said = reply.answer.text if reply.answer is not None else f"*{reply.error}*"
        parts.append(f"### {reply.model}{figures}\n\n{said}\n")
    return "\n".join(parts)
