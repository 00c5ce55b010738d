"""Searching a vocabulary and decoding ids, against the tokenizer's own vocabulary."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.tokenization import vocabulary
from hfterm.tokenization.loading import LoadedTokenizer, load_quick
from hfterm.tokenization.vocabulary import decode_ids, parse_ids, search
from zoo import FAST, NAMES

Opened = Callable[[str], LoadedTokenizer]


@pytest.fixture
def long_words(tmp_path: Path) -> LoadedTokenizer:
    """A vocabulary of words in which a bad pattern can search for ever."""
    words = [f"{'a' * 40}{number}!" for number in range(50)] + ["aaa!"] * 1
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="aaa!"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({}))
    loaded = load_quick(str(tmp_path))
    assert loaded is not None
    return loaded


@pytest.mark.parametrize("name", [name for name in NAMES if name != "canine"])
def test_everything_in_id_order_page_by_page(name: str, opened: Opened) -> None:
    loaded = opened(name)
    auto = loaded.transformers()
    expected = {id_: token for token, id_ in auto.get_vocab().items()}
    expected |= {id_: token.content for id_, token in auto.added_tokens_decoder.items()}
    seen = []
    while True:
        page = search(loaded, "", "all", offset=len(seen), limit=97)
        assert page.total == page.vocab_size == len(expected)
        if not page.entries:
            break
        seen += page.entries
    assert [(entry.id, entry.token) for entry in seen] == sorted(expected.items())
    for entry in seen[:50]:
        assert entry.decoded == auto.decode([entry.id])
    added = auto.added_tokens_decoder
    assert {entry.id for entry in seen if entry.added} == set(added)
    assert {e.id for e in seen if e.special} == {i for i, t in added.items() if t.special}


@pytest.mark.parametrize("name", FAST)
def test_text_and_regex_find_what_a_loop_finds(name: str, opened: Opened) -> None:
    loaded = opened(name)
    vocab = loaded.rust().get_vocab()
    rust = loaded.rust()
    page = search(loaded, "HE", "text", limit=10**6)
    assert {entry.id for entry in page.entries} == {
        id_
        for token, id_ in vocab.items()
        if "he" in token.casefold()
        or "he" in rust.decode([id_], skip_special_tokens=False).casefold()
    }
    page = search(loaded, "^.[aeiou]{2,}", "regex", limit=10**6)
    assert {entry.id for entry in page.entries} == {
        id_ for token, id_ in vocab.items() if re.search("^.[aeiou]{2,}", token)
    }


def test_text_finds_byte_level_pieces_by_what_they_say(opened: Opened) -> None:
    entries = search(opened("gpt2"), "é", "text").entries
    assert any(entry.token != entry.decoded and "é" in entry.decoded for entry in entries)


def test_unigram_entries_have_scores(opened: Opened) -> None:
    entries = search(opened("t5"), "the", "text").entries
    assert entries
    assert all(entry.score is not None and entry.score < 0 for entry in entries)
    assert search(opened("gpt2"), "the", "text").entries[0].score is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("101", [101]),
        ("100-103", [100, 101, 102, 103]),
        ("100 - 102", [100, 101, 102]),
        ("101, 102", [101, 102]),
        ("102 101 5..6", [5, 6, 101, 102]),
        ("99999999999999999999999", []),
        ("5, 3-5", [3, 4, 5]),
    ],
)
def test_id_queries(query: str, ids: list[int], opened: Opened) -> None:
    page = search(opened("gpt2"), query, "id")
    assert [entry.id for entry in page.entries] == ids
    assert page.total == len(ids)


@pytest.mark.parametrize("query", ["x", "1-", "-5", "5-3", "1.5", "²"])
def test_bad_id_queries(query: str, opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        search(opened("gpt2"), query, "id")
    assert caught.value.kind == "bad-id"


@pytest.mark.parametrize(("query", "position"), [("a**", 3), ("ab(c", 5), ("[a", 3), ("x*?*", 4)])
def test_bad_patterns_name_the_position(query: str, position: int, opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        search(opened("gpt2"), query, "regex")
    assert caught.value.kind == "bad-pattern"
    assert f"at character {position}" in caught.value.message


def test_a_pattern_that_would_never_end_is_given_up(
    long_words: LoadedTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "REGEX_SECONDS", 0.05)
    with pytest.raises(HftermError) as caught:
        search(long_words, "^(a|aa)+$", "regex")
    assert caught.value.kind == "slow-pattern"


def test_a_spent_budget_stops_short_tokens_too(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "REGEX_SECONDS", -1.0)
    with pytest.raises(HftermError) as caught:
        search(opened("characters"), "a", "regex")
    assert caught.value.kind == "slow-pattern"


def test_the_vocabulary_is_read_once(zoo: dict[str, Path]) -> None:
    loaded = load_quick(str(zoo["gpt2"]))
    assert loaded is not None
    stages: list[str] = []
    job = Job(report=lambda progress: stages.append(progress.stage))
    for mode in ("all", "text", "regex"):
        search(loaded, "a", mode, job=job)
    assert stages == ["reading the vocabulary"]


def test_cancel(opened: Opened) -> None:
    with pytest.raises(Cancelled):
        search(opened("gpt2"), "a", "regex", job=Job(cancelled=lambda: True))


@pytest.mark.parametrize("looks", range(5))
def test_a_search_that_was_stopped_leaves_the_next_one_whole(
    looks: int, zoo: dict[str, Path]
) -> None:
    left = iter([False] * looks)
    loaded, fresh = (load_quick(str(zoo["wordpiece-uncased"])) for _ in range(2))
    with suppress(Cancelled):
        search(loaded, "a", "text", job=Job(cancelled=lambda: next(left, True)))
    assert search(loaded, "a", "text") == search(fresh, "a", "text")


@pytest.mark.parametrize("name", NAMES)
def test_decode_is_the_tokenizers_own(name: str, opened: Opened) -> None:
    loaded = opened(name)
    auto = loaded.transformers()
    ids = auto(["Hello 👍🏽 [SEP] wörld"], verbose=False)["input_ids"][0]
    decoded = decode_ids(loaded, ids)
    assert decoded.text == auto.decode(ids)
    assert decoded.clean == auto.decode(ids, skip_special_tokens=True)
    assert list(decoded.tokens) == auto.convert_ids_to_tokens(ids)


@pytest.mark.parametrize("name", ["gpt2", "bert-legacy"])
@pytest.mark.parametrize("bad", [10**9, 2**40, -1])
def test_ids_out_of_range_are_named(name: str, bad: int, opened: Opened) -> None:
    loaded = opened(name)
    with pytest.raises(HftermError) as caught:
        decode_ids(loaded, [1, bad])
    assert str(bad) in caught.value.message
    assert f"{loaded.info.vocab_size:,} entries" in caught.value.message


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=20))
def test_every_way_to_write_ids(ids: list[int]) -> None:
    words = [str(id_) for id_ in ids]
    for text in (
        " ".join(words),
        json.dumps(ids),
        ", ".join(words),
        "\n".join(words),
        f"tensor([{ids}])",
    ):
        assert parse_ids(text) == ids


@pytest.mark.parametrize(
    ("text", "piece"), [("101 abc", "abc"), ("[1, -2]", "-2"), ("1.5", "1.5"), ('["7"]', '"7"')]
)
def test_a_piece_that_is_no_id_is_named(text: str, piece: str) -> None:
    with pytest.raises(HftermError) as caught:
        parse_ids(text)
    assert piece in caught.value.message


def test_no_ids() -> None:
    with pytest.raises(HftermError) as caught:
        parse_ids(" [ ] ")
    assert caught.value.kind == "empty"
