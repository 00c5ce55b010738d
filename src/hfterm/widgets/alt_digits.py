"""Alt with a digit is a key, not the character that one terminal on macOS makes of it.

A terminal sends Escape and the digit. Textual turns that pair into ``™``, ``£`` and the like,
since WezTerm on macOS sends it for Option and the digit; so no ``alt+2`` ever came.
"""

from __future__ import annotations

from typing import cast

from textual import _ansi_sequences


def let_alt_digits_through() -> None:
    """Take the pairs out of Textual's private table. A test fails when the table moves."""
    table = cast("dict[str, object]", _ansi_sequences.ANSI_SEQUENCES_KEYS)
    for digit in "0123456789":
        table.pop(f"\x1b{digit}", None)
