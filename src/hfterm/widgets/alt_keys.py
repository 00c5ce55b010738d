"""Alt with a character is a key, whatever comes after it.

A terminal sends Escape and the character. Textual goes wrong with that pair in two ways:

* With a digit it makes ``™``, ``£`` and the like of it, since WezTerm on macOS sends that for
  Option and the digit; so no ``alt+2`` ever came.
* It waits a tenth of a second for more. If the next key comes by then, as it does when several come
  in one packet over a slow line, all of them are typed, with ``^`` for Escape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from textual import _ansi_sequences, events
from textual._xterm_parser import XTermParser

ESCAPE = "\x1b"
STRINGS = "PX^_]"
"""What begins a string that the terminal answers with: it has no key."""


def let_alt_keys_through() -> None:
    """Mend Textual's private table and parser. A test fails when they change."""
    table = cast("dict[str, object]", _ansi_sequences.ANSI_SEQUENCES_KEYS)
    for digit in "0123456789":
        table.pop(f"{ESCAPE}{digit}", None)
    if XTermParser._sequence_to_key_events is _alt_at_once:  # pyright: ignore[reportPrivateUsage]
        return
    _beginnings.update(key[1] for key in table if key[0] == ESCAPE and len(key) > 2)
    XTermParser._sequence_to_key_events = _alt_at_once  # pyright: ignore[reportPrivateUsage]


_beginnings = set(STRINGS)
_events_of = XTermParser._sequence_to_key_events  # pyright: ignore[reportPrivateUsage]


def _alt_at_once(self: XTermParser, sequence: str, alt: bool = False) -> Iterable[events.Key]:
    """Escape and a character that begins nothing longer is that character with Alt."""
    pair = len(sequence) == 2 and sequence[0] == ESCAPE and sequence[1].isprintable()
    known = sequence in _ansi_sequences.ANSI_SEQUENCES_KEYS
    if pair and not known and sequence[1] not in _beginnings:
        return _events_of(self, sequence[1], alt=True)
    return _events_of(self, sequence, alt=alt)
