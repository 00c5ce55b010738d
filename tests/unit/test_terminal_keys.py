"""What Textual's private tables and parser hold, as far as hfterm changes them."""

from __future__ import annotations

import string

import pytest
from textual import _ansi_sequences, events
from textual._xterm_parser import XTermParser

from hfterm.widgets.alt_keys import let_alt_keys_through


def keys_of(sent: str, *, then: str = "") -> list[str]:
    """The keys of what comes in one piece, and then in another."""
    let_alt_keys_through()
    parser = XTermParser(False)
    found = [event for part in (sent, then) if part for event in parser.feed(part)]
    found += parser.feed("")
    return [event.key for event in found if isinstance(event, events.Key)]


def test_alt_with_a_digit_is_a_key() -> None:
    assert isinstance(_ansi_sequences.ANSI_SEQUENCES_KEYS, dict), "Textual moved its table"
    let_alt_keys_through()
    for digit in string.digits:
        assert keys_of(f"\x1b{digit}") == [f"alt+{digit}"]
        assert f"\x1b{digit}" not in _ansi_sequences.ANSI_SEQUENCES_KEYS


@pytest.mark.parametrize("letter", sorted({*string.ascii_lowercase} - {"b", "f"}))
def test_alt_keys_of_one_packet(letter: str) -> None:
    assert keys_of(f"\x1b{letter}\x1b{letter}") == [f"alt+{letter}"] * 2
    assert keys_of(f"\x1b{letter}hi") == [f"alt+{letter}", "h", "i"]
    assert keys_of(f"a\x1b{letter}\x1b[A\r") == ["a", f"alt+{letter}", "up", "enter"]


@pytest.mark.parametrize(
    ("sent", "key"),
    [("\x1b[A", "up"), ("\x1bOP", "f1"), ("\x1b[17~", "f6"), ("\x1b[1;3C", "alt+right"),
     ("\x1bb", "ctrl+left"), ("\x1bf", "ctrl+right"), ("\x1b[[A", "f1"), ("\x1b[Z", "shift+tab")],
)  # fmt: skip
def test_what_begins_longer_keys_is_left_alone(sent: str, key: str) -> None:
    assert keys_of(sent) == [key]
    assert keys_of(sent + "x") == [key, "x"]
    for at in range(1, len(sent)):
        assert keys_of(sent[:at], then=sent[at:]) == [key], f"cut after {at}"


def test_what_a_terminal_answers_is_no_key() -> None:
    assert keys_of("\x1b[?2026;2$y") == []


def test_a_paste_stays_a_paste() -> None:
    let_alt_keys_through()
    parser = XTermParser(False)
    found = [*parser.feed("\x1b[200~a b\x1b[201~x"), *parser.feed("")]
    assert [type(event) for event in found] == [events.Paste, events.Key]


def test_escape_alone_is_escape() -> None:
    assert keys_of("\x1b") == ["escape"]
    assert keys_of("\x1b\x1b[A")[-1] == "up"
