"""The cache with room ahead against transformers' own, token for token."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, MistralConfig
from transformers.cache_utils import DynamicLayer

from hfterm.chat.growing_cache import SHORT, GrowingLayer, growing_cache

STEPS = st.lists(st.integers(-40, 300).filter(bool), min_size=1, max_size=12)
"""Tokens that come, or, below zero, that are taken away again."""


@given(steps=STEPS)
@settings(deadline=None)
def test_it_holds_what_the_librarys_own_layer_holds(steps: list[int]) -> None:
    ours, theirs = GrowingLayer(), DynamicLayer()
    torch.manual_seed(0)
    for step in steps:
        if step > 0:
            keys, values = torch.rand(1, 3, step, 4), torch.rand(1, 3, step, 8)
            given_back = ours.update(keys, values)
            expected = theirs.update(keys, values)
            assert all(torch.equal(a, b) for a, b in zip(given_back, expected, strict=True))
        elif ours.get_seq_length() > -step:
            ours.crop(step)
            theirs.crop(step)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(5) == theirs.get_mask_sizes(5)


def test_a_token_is_written_into_room_that_is_there() -> None:
    layer = GrowingLayer()
    layer.update(torch.rand(1, 2, SHORT, 4), torch.rand(1, 2, SHORT, 4))
    one = torch.rand(1, 2, 1, 4)
    places = [layer.update(one, one)[0].data_ptr() for _ in range(SHORT)]
    # half as much again each time: twice for as many tokens again
    assert len(set(places)) == 2
    layer.reset()
    assert layer.get_seq_length() == 0


def test_generate_gives_the_same_with_it() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    ids = torch.randint(100, (1, 20))
    told = {"attention_mask": torch.ones_like(ids), "do_sample": False, "eos_token_id": None}
    ours, theirs = (
        model.generate(input_ids=ids, max_new_tokens=SHORT + 40, past_key_values=cache, **told)
        for cache in (growing_cache(config), DynamicCache(config=config))
    )
    assert ours.tolist() == theirs.tolist()


def test_a_layer_that_slides_stays_the_librarys() -> None:
    cache = growing_cache(MistralConfig(num_hidden_layers=2, sliding_window=16))
    assert not any(isinstance(layer, GrowingLayer) for layer in cache.layers)
