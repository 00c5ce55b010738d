"""Weights as levels, squares and shares: what is asked for twice, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from hfterm.attention.types import Which
from hfterm.attention.views import UNKNOWN, TokenMap, hidden, levels, pooled, signed_levels


def weights_of(count: int) -> np.ndarray:
    """Rows that sum to 1, with a largest weight in each."""
    weights = np.random.default_rng(0).random((count, count)) ** 3 + 1e-3
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def test_the_largest_weight_of_a_row_has_the_brightest_step_exact_or_in_bytes() -> None:
    exact = weights_of(9)
    coded = np.rint(np.sqrt(exact) * 255).astype(np.uint8)
    found, of_bytes = levels(exact, "row max", 32), levels(coded, "row max", 32)
    assert (found.max(axis=1) == 31).all()
    assert (of_bytes.max(axis=1) == 31).all()
    assert np.array_equal(found.argmax(axis=1), of_bytes.argmax(axis=1))
    assert np.abs(found.astype(int) - of_bytes.astype(int)).max() <= 1
    nothing = levels(np.zeros((2, 2), np.uint8), "row max", 32)
    assert not nothing.any()


def test_a_difference_without_a_peak_has_its_own() -> None:
    difference = np.array([[-0.2, 0], [0.1, np.nan]], np.float32)
    assert signed_levels(difference, 31).tolist() == [[0, 15], [23, UNKNOWN]]
    assert signed_levels(difference, 31, peak=0.4).tolist() == [[7, 15], [19, UNKNOWN]]
    assert signed_levels(difference, 31, scale="sqrt")[1, 0] == 26
    assert signed_levels(np.zeros((1, 1), np.float32), 31).tolist() == [[15]]


def test_squares_of_one_are_the_map_itself_and_those_of_nothing_are_nothing() -> None:
    weights = weights_of(4)
    assert pooled(weights, 1) is weights
    assert pooled(np.zeros((0, 4), np.float32), 2).shape == (0, 4)


def test_a_square_of_a_difference_keeps_the_largest_amount_and_its_sign() -> None:
    difference = np.array([[0.1, -0.3, 0.2], [0.2, 0, -0.1]], np.float32)
    assert pooled(difference, 2, signed=True).tolist() == [
        [pytest.approx(-0.3), pytest.approx(0.2)]
    ]
    assert pooled(difference, 2).tolist() == [[pytest.approx(0.2), pytest.approx(0.2)]]


def test_a_difference_without_some_tokens_is_not_made_to_sum_to_1() -> None:
    weights = weights_of(4)
    keep = np.array([True, False, True, True])
    assert np.array_equal(hidden(weights, keep, renormalise=False), weights[:, keep])
    assert np.allclose(hidden(weights, keep).sum(axis=1), 1)
    signed = TokenMap(weights - 0.25, signed=True, keep_columns=keep)
    assert signed.weight(2, 1) == pytest.approx(float(weights[2, 2]) - 0.25)


def test_a_part_of_a_map_has_the_levels_of_the_whole() -> None:
    of = TokenMap(weights_of(12))
    whole = of.block(2, (0, 6), (0, 6), "row max")
    again = of.block(2, (2, 5), (1, 4), "row max")
    assert np.array_equal(again, whole[2:5, 1:4])


@pytest.mark.parametrize(
    ("which", "name", "short"),
    [
        (Which(layer=4, head=7), "layer 4 · head 7", "L4 H7"),
        (Which(layer=None, head=None), "mean of layers · mean of heads", "LM HM"),
        (Which(layer=3, rollout=True), "rollout to layer 3", "R3"),
    ],
)
def test_a_map_has_a_name_and_a_short_one(which: Which, name: str, short: str) -> None:
    assert (which.name, which.short) == (name, short)
