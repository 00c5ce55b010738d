"""The sanitizer, the backstop under it, and text fitted into terminal cells."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich import control
from rich.cells import cell_len
from rich.text import Text
from textual import content
from textual.content import Content

from corpus import HOSTILE
from hfterm import text as sanitizer
from hfterm.text import (
    FORBIDDEN,
    displayable,
    elide_middle,
    elide_start,
    fit,
    foreign,
    foreign_rich,
    install_backstop,
    label_name,
    token_label,
)

# Surrogates too: a tokenizer's piece may hold half of a pair.
any_text = st.text(alphabet=st.characters(codec=None, exclude_categories=()), max_size=60)
NASTY = "".join(chr(code) for code in FORBIDDEN)
spiked = st.lists(st.one_of(any_text, st.sampled_from([*HOSTILE.values(), *NASTY]))).map("".join)
shown_text = spiked.map(displayable)


@given(spiked)
def test_displayable_keeps_the_length(text: str) -> None:
    for space in (False, True):
        for lines in (False, True):
            assert len(displayable(text, space=space, lines=lines)) == len(text)


@given(spiked)
def test_nothing_forbidden_survives(text: str) -> None:
    forbidden = set(FORBIDDEN)
    for shown in (displayable(text), displayable(text, space=True)):
        assert forbidden.isdisjoint(map(ord, shown))
        assert "\n" not in shown
        assert "\t" not in shown
    assert forbidden.isdisjoint(map(ord, displayable(text, lines=True)))


@given(spiked)
def test_it_can_be_sent_to_a_terminal(text: str) -> None:
    displayable(text).encode("utf-8")


@given(spiked)
def test_displayable_twice_is_displayable_once(text: str) -> None:
    assert displayable(displayable(text)) == displayable(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_markup_is_never_parsed(name: str) -> None:
    text = HOSTILE[name]
    assert foreign(text).plain == displayable(text)
    assert not foreign(text).spans
    assert foreign_rich(text).plain == displayable(text)
    assert not foreign_rich(text).spans


def test_layout_is_kept_only_where_lines_are_laid_out() -> None:
    assert displayable("a\tb\nc", lines=True) == "a\tb\nc"
    assert displayable("a\tb\nc") == "a→b⏎c"
    assert displayable("a b", space=True) == "a·b"


def test_spaces_of_no_width_are_seen() -> None:
    for lines in (False, True):
        assert displayable("pos\u200bitive\ufeff", lines=lines) == "pos‸itive‸"


def test_forbidden_is_what_terminals_obey_or_reorder() -> None:
    for code in (0x1B, 0x07, 0x0D, 0x7F, 0x80, 0x9B, 0x9D, 0x9F, 0x202E, 0x2066, 0x2069):
        assert code in FORBIDDEN
    for code in (0x09, 0x0A, 0x20, 0xA0, 0xE9, 0x200D):
        assert code not in FORBIDDEN


# -- the backstop ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name"),
    [(control, "strip_control_codes"), (content, "_strip_control_codes")],
    ids=["rich", "textual"],
)
def test_the_tables_are_where_the_backstop_looks(module: ModuleType, name: str) -> None:
    """Fails when Rich or Textual move the private tables: then nothing would be stripped."""
    table = vars(module)["_CONTROL_STRIP_TRANSLATE"]
    assert isinstance(table, dict)
    strip = vars(module)[name]
    defaults = [p.default for p in inspect.signature(strip).parameters.values()]
    # The function holds the table as a default: a table put in its place would not be used.
    assert any(default is table for default in defaults)


def test_the_strip_functions_are_the_ones_in_use() -> None:
    assert "strip_control_codes" in inspect.getsource(Content.__init__)
    assert "strip_control_codes" in inspect.getsource(Text.__init__)


def test_backstop() -> None:
    install_backstop()
    install_backstop()
    for piece in HOSTILE.values():
        for plain in (Content(piece).plain, Text(piece).plain, Text().append(piece).plain):
            assert set(FORBIDDEN).isdisjoint(map(ord, plain))
    assert Content("a\tb\nc é 世 👩‍👩‍👧").plain == "a\tb\nc é 世 👩‍👩‍👧"
    assert control.strip_control_codes(NASTY) == ""
    assert content._strip_control_codes(NASTY) == ""


@given(any_text)
def test_backstop_drops_only_what_is_forbidden(text: str) -> None:
    install_backstop()
    left = "".join(character for character in text if ord(character) not in set(FORBIDDEN))
    assert Content(text).plain == left


# -- cells ---------------------------------------------------------------------------------


@given(shown_text, st.integers(0, 40), st.booleans())
def test_fit_is_exactly_as_wide_as_asked(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, right=right)) == width


@given(shown_text)
def test_fit_keeps_what_fits(text: str) -> None:
    width = cell_len(text)
    assert fit(text, width) == text
    assert fit(text, width + 3) == f"{text}   "
    assert fit(text, width + 3, right=True) == f"   {text}"


def test_fit_says_that_it_cut() -> None:
    assert fit("hugging", 4) == "hug…"
    assert fit("世界世界", 4) == "世 …"
    assert fit("x", 0) == ""


@given(shown_text, st.integers(3, 40))
def test_elide_middle_is_never_wider(text: str, width: int) -> None:
    shown = elide_middle(text, width)
    assert cell_len(shown) <= width
    if cell_len(text) <= width:
        assert shown == text
    else:
        assert "…" in shown


def test_elide_middle_keeps_both_ends() -> None:
    assert elide_middle("/home/someone/models/minilm", 15) == "/home/s…/minilm"


@given(spiked)
def test_token_label_is_safe_and_never_empty(text: str) -> None:
    label = token_label(text)
    assert cell_len(label) > 0
    assert set(FORBIDDEN).isdisjoint(map(ord, label))
    assert "\n" not in label
    unseen = cell_len(displayable(text, space=True)) == 0 or not text.strip("\u200b\ufeff")
    assert " " not in label or unseen


def test_token_labels() -> None:
    assert token_label("") == "∅"
    assert token_label(" the") == "·the"
    assert token_label("\u200b") == "U+200B"
    assert token_label("a\u200bb\ufeff") == "a‸b‸"
    assert token_label("\u0301") == "U+0301"
    assert token_label("\u0301x") == "◌\u0301x"
    assert token_label("\x1b[0m") == "␛[0m"


def test_label_names() -> None:
    assert label_name("") == "∅"
    assert label_name("  ") == "··"
    assert label_name("\u200b") == "U+200B"
    assert label_name("very good") == "very good"
    assert label_name("[red]\x1b") == "[red]␛"


def test_every_table_keeps_one_character_for_one() -> None:
    for table in (sanitizer._KEEP_LAYOUT, sanitizer._ONE_LINE, sanitizer._VISIBLE_SPACE):
        assert {len(shown) for shown in table.values()} == {1}


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("/tmp/a/model", 20, "/tmp/a/model"), ("/tmp/a/model", 7, "…/model"), ("日本語", 5, "…本語"),
     ("日本語", 4, "…語"), ("abc", 1, "abc")],
)  # fmt: skip
def test_elide_start_keeps_the_end(text: str, width: int, shown: str) -> None:
    assert elide_start(text, width) == shown
