"""Which tokens of a map are shown: special ones hidden, a few searched for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from hfterm.attention.types import Token
from hfterm.errors import HftermError

Hide = Literal["nothing", "specials", "all but words"]
"""What is left out of a map; what is left is renormalised."""

HIDES: tuple[Hide, ...] = ("nothing", "specials", "all but words")

_RANGE = re.compile(r"\s*(\d+)\s*(?:[-–:]\s*(\d+)\s*)?$")


def kept(tokens: Sequence[Token], hide: Hide, wanted: str = "") -> tuple[bool, ...] | None:
    """Which tokens are shown; None for all.

    Args:
        tokens: of an axis.
        hide: what is left out.
        wanted: only these: parts of tokens and positions (``3``, ``3-9``), separated by commas;
            empty for all.

    Raises:
        HftermError: nothing would be left.
    """
    show = [not (hide != "nothing" and token.special) for token in tokens]
    if hide == "all but words":
        show = [one and _has_letter(token) for one, token in zip(show, tokens, strict=True)]
    parts = [part for part in wanted.split(",") if part.strip()]
    if parts:
        found = [_matches(place, token, parts) for place, token in enumerate(tokens)]
        show = [one and two for one, two in zip(show, found, strict=True)]
    if all(show):
        return None
    if not any(show):
        what = f"{wanted!r} matches no token" if parts else f"Without {hide} no token is left"
        raise HftermError(
            "no-tokens",
            f"{what}.",
            "Type a part of a token or positions such as 3-9; empty shows all."
            if parts
            else "Set “hide” to nothing.",
        )
    return tuple(show)


def _has_letter(token: Token) -> bool:
    return any(character.isalnum() for character in token.text)


def _matches(place: int, token: Token, parts: Sequence[str]) -> bool:
    for part in parts:
        span = _RANGE.match(part)
        if span is not None:
            first = int(span[1])
            if first <= place <= int(span[2] or first):
                return True
        elif part.strip().casefold() in token.name.casefold():
            return True
    return False
