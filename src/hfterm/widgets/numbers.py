"""Whole numbers typed into fields."""

from __future__ import annotations

import re

from hfterm.text import elide_middle
from hfterm.widgets.notice import Notice

DIGITS = 19
"""Digits that a number may have at most, as many as one of 64 bits; Python refuses to read some
thousands.
"""

THOUSANDS = re.compile(r"\d{1,3}([,_]\d{3})+")


def typed_whole(text: str) -> int | None:
    """The whole number from 0 that a text is, with marks of thousands or without; else None."""
    plain = text.strip()
    if THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "").replace("_", "")
    return int(plain) if plain.isdecimal() and len(plain) <= DIGITS else None


def quoted(text: str) -> str:
    """What was typed, as a message names it."""
    return elide_middle(repr(text), 40)


def whole_number(notice: Notice, label: str, text: str, least: int = 1) -> int | None:
    """The number in a field; None when there is none, and the notice then says so."""
    number = typed_whole(text)
    if number is not None and number >= least:
        return number
    notice.show(
        f"“{label}” is {quoted(text)}, which is not a whole number of at least {least}.",
        f"Type {least} or more.",
    )
    return None
