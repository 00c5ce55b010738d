"""A pass's tokens as an encoding, so that they are shown as those of a tokenizer are."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from hfterm.attention.types import Token
from hfterm.tokenization.types import Encoding


def as_encoding(tokens: Sequence[Token]) -> Encoding:
    """The columns of an encoding of one sequence."""
    count = len(tokens)
    pieces: dict[int, str] = {}
    odd: dict[int, str] = {}
    for place, token in enumerate(tokens):
        if pieces.setdefault(token.id, token.token) != token.token:
            odd[place] = token.token
    special = bytes(token.special for token in tokens)
    return Encoding(
        ref="",
        backend="",
        verified=True,
        ids=array("I", [token.id for token in tokens]).tobytes(),
        starts=array("i", [token.start for token in tokens]).tobytes(),
        ends=array("i", [token.end for token in tokens]).tobytes(),
        words=array("i", [-1] * count).tobytes(),
        sequences=bytes(count),
        type_ids=bytes(count),
        mask=bytes([1]) * count,
        special=special,
        pieces=pieces,
        odd=odd,
    )
