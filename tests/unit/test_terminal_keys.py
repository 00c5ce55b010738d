"""What Textual's private tables hold, as far as hfterm changes it."""

from __future__ import annotations

from textual import _ansi_sequences
from textual._xterm_parser import XTermParser

from hfterm.widgets.alt_digits import let_alt_digits_through


def test_alt_with_a_digit_is_a_key() -> None:
    assert isinstance(_ansi_sequences.ANSI_SEQUENCES_KEYS, dict), "Textual moved its table"
    let_alt_digits_through()
    for digit in "1234567890":
        parser = XTermParser(False)
        found = [*parser.feed(f"\x1b{digit}"), *parser.feed("")]
        assert not any(getattr(event, "character", None) in set("™£¢∞§¶•ªº¡") for event in found)
        assert f"\x1b{digit}" not in _ansi_sequences.ANSI_SEQUENCES_KEYS
