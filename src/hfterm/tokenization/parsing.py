"""What a person types or pastes, as ids and as chat messages. Standard library only."""

from __future__ import annotations

import json
import re
from typing import cast

from hfterm.errors import HftermError
from hfterm.tokenization.views import Message

ROLE_LINE = re.compile(r"(?im)^[ \t]*(system|developer|user|assistant|tool)[ \t]*:[ \t]?")


def parse_ids(text: str) -> list[int]:
    """Ids from what a person pastes: spaces, commas, new lines, brackets, a JSON list, a tensor.

    Raises:
        HftermError: a piece that is not an id, named.
    """
    inner = text.strip().removeprefix("tensor(").removesuffix(")")
    pieces = re.sub(r"[\[\](){},;]", " ", inner).split()
    if not pieces:
        raise HftermError(
            "empty", "There are no ids to decode.", "Type some, such as 101 2023 102."
        )
    ids: list[int] = []
    for piece in pieces:
        if not (piece.isascii() and piece.isdigit()):
            raise HftermError(
                "bad-id",
                f"{piece[:40]!r} is not an id.",
                "Ids are whole numbers from 0, separated by spaces, commas or lines.",
            )
        ids.append(int(piece[:20]))
    return ids


def parse_messages(text: str) -> list[Message]:
    """Messages from JSON, from a transcript (``user: …``), or a plain text as one user message.

    Raises:
        HftermError: nothing there, or JSON that is not a list of messages.
    """
    if not text.strip():
        raise HftermError("empty", "There are no messages.", "Type one, such as: user: Hello")
    if re.match(r"\s*(\[\s*\{|\[\s*\]\s*$|\{\s*\")", text):
        return _from_json(text)
    if not ROLE_LINE.match(text.lstrip()):
        return [Message("user", text)]
    parts = ROLE_LINE.split(text.strip())[1:]
    return [
        Message(role.lower(), content.strip())
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]


def _from_json(text: str) -> list[Message]:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise HftermError(
            "bad-messages",
            f"The messages look like JSON but are not: {error}.",
            'Write a list such as [{"role": "user", "content": "Hello"}].',
        ) from error
    if isinstance(value, dict):
        value = cast("dict[str, object]", value).get("messages", [value])
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not items:
        raise HftermError("empty", "The JSON holds no messages.", "Add one to the list.")
    return [_message(number, item) for number, item in enumerate(items, 1)]


def _message(number: int, item: object) -> Message:
    fields = cast("dict[str, object]", item) if isinstance(item, dict) else {}
    role, content = fields.get("role"), fields.get("content")
    if not isinstance(role, str) or not isinstance(content, str):
        missing = "role" if not isinstance(role, str) else "content"
        raise HftermError(
            "bad-messages",
            f"Message {number} has no {missing} that is a text.",
            'Each is {"role": "user", "content": "…"}.',
        )
    return Message(role, content)
