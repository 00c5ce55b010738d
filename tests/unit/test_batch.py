"""Batches against the tokenizer's own call, and nothing of them left behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from corpus import CORPUS, PAIRS
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.tokenization.batch import encode_batch
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.views import BatchOptions, BatchResult
from zoo import NAMES

Opened = Callable[[str], LoadedTokenizer]

TEXTS = ["Hugging Face Transformers is great!", "The quick brown fox jumps over the dog. " * 3]


def ids(result: BatchResult) -> list[list[int]]:
    return [list(row.ids) for row in result.rows]


def state(loaded: LoadedTokenizer) -> tuple[object, ...]:
    shared = loaded.transformers().backend_tokenizer  # pyright: ignore
    private = loaded.rust()
    return (shared.padding, shared.truncation, private.padding, private.truncation)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_librarys(name: str, opened: Opened) -> None:
    loaded = opened(name)
    auto = loaded.transformers()
    padding = "longest" if auto.pad_token else "none"
    options = BatchOptions(padding=padding, truncation="longest_first", max_length=12)
    result = encode_batch(loaded, CORPUS, None, options)
    real = auto(
        CORPUS,
        padding=bool(auto.pad_token),
        padding_side="right",
        truncation=True,
        max_length=12,
        return_attention_mask=True,
        verbose=False,
    )
    assert ids(result) == real["input_ids"]
    assert [list(row.mask) for row in result.rows] == real["attention_mask"]
    assert [row.decoded for row in result.rows] == auto.batch_decode(real["input_ids"])
    assert result.keys == tuple(auto(CORPUS[:1], verbose=False).keys())
    whole = [len(row) for row in auto(CORPUS, verbose=False)["input_ids"]]
    assert result.cut == sum(length > 12 for length in whole)
    for row in result.rows:
        assert len(row.ids) == len(row.tokens) == len(row.mask)
        assert len(row.ids) == len(row.type_ids) == len(row.special)


def test_shape_is_that_of_return_tensors(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    result = encode_batch(loaded, TEXTS, None, BatchOptions())
    real = loaded.transformers()(TEXTS, padding=True, return_tensors="pt")["input_ids"]
    assert result.shape == tuple(real.shape)
    assert result.shape_error == ""
    assert result.padded == sum(row.mask.count(0) for row in result.rows) > 0
    assert (result.pad_token, result.pad_id) == ("[PAD]", 0)


def test_ragged_rows_have_no_shape_and_say_why(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    result = encode_batch(loaded, TEXTS, None, BatchOptions(padding="none"))
    assert result.shape is None
    assert "different lengths" in result.shape_error
    with pytest.raises(ValueError):
        loaded.transformers()(TEXTS, padding=False, return_tensors="pt")


def test_padding_to_a_length_that_nothing_sets_is_explained(opened: Opened) -> None:
    loaded = opened("word-level")
    result = encode_batch(loaded, TEXTS, None, BatchOptions(padding="max_length"))
    assert "set max_length" in result.shape_error


def test_windows_overlap_by_the_stride_and_cover_the_text(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    options = BatchOptions(truncation="longest_first", max_length=10, stride=3, overflow=True)
    result = encode_batch(loaded, TEXTS, None, options)
    assert result.cut == 0
    assert result.keys[-1] == "overflow_to_sample_mapping"
    for sample, text in enumerate(TEXTS):
        rows = [row for row in result.rows if row.sample == sample]
        inner = [
            [id_ for id_, special in zip(row.ids, row.special, strict=True) if not special]
            for row in rows
        ]
        joined = inner[0]
        for before, window in pairwise(inner):
            assert before[-3:] == window[:3]
            joined = joined + window[3:]
        assert joined == loaded.rust().encode(text, add_special_tokens=False).ids
    assert len(result.rows) > len(TEXTS)


def test_left_padding_and_multiples(opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    options = BatchOptions(padding_side="left", pad_to_multiple_of=8)
    result = encode_batch(loaded, TEXTS, None, options)
    assert result.shape is not None
    assert result.shape[1] % 8 == 0
    assert result.rows[0].mask[0] == 0
    assert result.rows[0].mask[-1] == 1


@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
def test_pairs_are_cut_where_the_strategy_says(truncation: str, opened: Opened) -> None:
    loaded = opened("wordpiece-uncased")
    first, second = ["one two three four five six"], ["alpha beta gamma delta epsilon zeta"]
    whole = encode_batch(loaded, first, second, BatchOptions()).rows[0]
    length = len(whole.ids) - 4
    options = BatchOptions(truncation=truncation, max_length=length)  # pyright: ignore
    row = encode_batch(loaded, first, second, options).rows[0]
    lost = [whole.type_ids.count(side) - row.type_ids.count(side) for side in (0, 1)]
    assert sum(lost) == 4
    if truncation == "only_first":
        assert lost == [4, 0]
    elif truncation == "only_second":
        assert lost == [0, 4]


@pytest.mark.parametrize("name", NAMES)
def test_pairs_even_empty_ones_are_the_librarys(name: str, opened: Opened) -> None:
    loaded = opened(name)
    first, second = [a for a, _ in PAIRS], [b for _, b in PAIRS]
    result = encode_batch(loaded, first, second, BatchOptions(padding="none"))
    assert ids(result) == loaded.transformers()(first, second, verbose=False)["input_ids"]


@pytest.mark.parametrize("name", ["wordpiece-uncased", "stored", "gpt2", "no-pad", "pair-template"])
def test_nothing_leaks_into_the_shared_or_the_private_object(name: str, opened: Opened) -> None:
    loaded = opened(name)
    long = "word " * 200
    alone = loaded.rust().encode(long).ids
    before = state(loaded)
    padding = "max_length" if loaded.transformers().pad_token else "none"
    options = BatchOptions(padding=padding, truncation="longest_first", max_length=6)
    assert {len(row.ids) for row in encode_batch(loaded, [long], None, options).rows} == {6}
    assert state(loaded) == before
    assert loaded.rust().encode(long).ids == alone
    with pytest.raises(HftermError):
        wrong = BatchOptions(padding="none", truncation="only_first", max_length=6)
        encode_batch(loaded, ["a"], [long], wrong)
    assert state(loaded) == before


def test_no_pad_token(opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        encode_batch(opened("no-pad"), TEXTS, None, BatchOptions())
    assert caught.value.kind == "no-pad-token"
    assert "tokenizer.pad_token = tokenizer.eos_token" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "pairs", "said"),
    [
        (BatchOptions(truncation="longest_first", max_length=1), None, "max_length is 1"),
        (BatchOptions(truncation="longest_first", max_length=0), None, "max_length is 0"),
        (BatchOptions(truncation="longest_first", max_length=5, stride=3), None, "stride is 3"),
        (BatchOptions(truncation="longest_first", max_length=5, stride=-1), None, "stride is -1"),
        (BatchOptions(truncation="only_second", max_length=9), None, "no pairs"),
        (BatchOptions(truncation="only_first", max_length=6), ["x " * 50] * 2, "too short"),
        # a panic of the Rust side: beside its pair a text has less room than the stride
        (
            BatchOptions(truncation="longest_first", max_length=12, stride=7, overflow=True),
            ["x " * 50] * 2,
            "must be strictly less",
        ),
        (BatchOptions(pad_to_multiple_of=0), None, "pad_to_multiple_of is 0"),
        (
            BatchOptions(truncation="longest_first", max_length=9, pad_to_multiple_of=8),
            None,
            "not a multiple",
        ),
        (BatchOptions(), ["only one"], "1 pairs"),
    ],
)
def test_what_can_not_be_is_said(
    options: BatchOptions, pairs: list[str] | None, said: str, opened: Opened
) -> None:
    with pytest.raises(HftermError) as caught:
        encode_batch(opened("wordpiece-uncased"), TEXTS, pairs, options)
    assert said in caught.value.message
    assert caught.value.remedy


def test_empty_batch_and_windows_of_a_python_backend(opened: Opened) -> None:
    with pytest.raises(HftermError, match="no texts"):
        encode_batch(opened("gpt2"), [], None, BatchOptions(padding="none"))
    options = BatchOptions(truncation="longest_first", max_length=8, overflow=True)
    with pytest.raises(HftermError) as caught:
        encode_batch(opened("bert-legacy"), TEXTS, None, options)
    assert caught.value.kind == "python-backend"


def test_cancel(opened: Opened) -> None:
    with pytest.raises(Cancelled):
        encode_batch(
            opened("wordpiece-uncased"),
            TEXTS,
            None,
            BatchOptions(),
            Job(cancelled=lambda: True),
        )
