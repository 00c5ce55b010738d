"""Filters, the strip's encoding, coarser shades: what stands between a pass and its picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfterm.attention.filters import HIDES, Hide, kept
from hfterm.attention.strip import as_encoding
from hfterm.attention.types import Token
from hfterm.errors import HftermError
from hfterm.widgets.map_picture import coarser

TOKENS = [
    Token("[CLS]", "", 101, True, -1, -1),
    Token("cat", "Cat", 5, False, 0, 3),
    Token("##s", "s", 6, False, 3, 4),
    Token(",", ",", 7, False, 4, 5),
    Token("cat", "cat", 5, False, 6, 9),
    Token("[SEP]", "", 102, True, -1, -1),
]


@pytest.mark.parametrize(
    ("hide", "wanted", "shown"),
    [
        ("nothing", "", None),
        ("specials", "", [1, 2, 3, 4]),
        ("all but words", "", [1, 2, 4]),
        ("nothing", "CAT", [1, 4]),
        ("nothing", "1-3", [1, 2, 3]),
        ("nothing", "0, 5", [0, 5]),
        ("specials", "0-1, ##s", [1, 2]),
    ],
)
def test_what_is_kept(hide: Hide, wanted: str, shown: list[int] | None) -> None:
    found = kept(TOKENS, hide, wanted)
    assert (None if found is None else [i for i, one in enumerate(found) if one]) == shown


def test_nothing_left_is_said() -> None:
    with pytest.raises(HftermError, match="'dog' matches no token"):
        kept(TOKENS, "nothing", "dog")
    with pytest.raises(HftermError, match="Without specials no token"):
        kept(TOKENS[:1], "specials")


@given(st.sampled_from(HIDES), st.text(max_size=20))
def test_any_filter_keeps_something_or_says_so(hide: Hide, wanted: str) -> None:
    try:
        found = kept(TOKENS, hide, wanted)
    except HftermError as error:
        assert error.remedy
    else:
        assert found is None or (any(found) and len(found) == len(TOKENS))


@given(
    st.lists(
        st.builds(
            Token, st.text(max_size=8), st.text(max_size=8), st.integers(0, 3), st.booleans(),
            st.integers(-1, 40), st.integers(-1, 40),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_an_encoding_of_any_tokens(tokens: list[Token]) -> None:
    encoding = as_encoding(tokens)
    assert len(encoding) == len(tokens)
    for one, token in zip(encoding.tokens(), tokens, strict=True):
        assert (one.token, one.id, one.special) == (token.token, token.id, token.special)
        assert one.start == (None if token.start == -1 else token.start)


@given(st.sampled_from([1, 2, 4, 8]), st.booleans(), st.sampled_from([31, 32]))
def test_coarser_shades_keep_ends_middle_and_order(merged: int, signed: bool, steps: int) -> None:
    steps = 31 if signed else steps
    levels = np.arange(256, dtype=np.uint8)[None]
    found = coarser(levels, merged, steps, signed=signed)[0]
    assert (found[steps:] == levels[0, steps:]).all()
    assert (found[0], found[steps - 1]) == (0, steps - 1)
    assert (np.diff(found[:steps].astype(int)) >= 0).all()
    assert len(np.unique(found[:steps])) <= -(-steps // merged) + 2
    if signed:
        assert found[steps // 2] == steps // 2
