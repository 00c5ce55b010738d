"""Tokenizers side by side: counts, where they cut differently, and slow against fast."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from corpus import CORPUS, PROSE, TEXTS
from hfterm.errors import HftermError
from hfterm.job import Cancelled, Job, Progress
from hfterm.tokenization import compare as comparing
from hfterm.tokenization.compare import compare, compare_refs, slow_against_fast
from hfterm.tokenization.loading import LoadedTokenizer, load
from zoo import FAST, NAMES

Opened = Callable[[str], LoadedTokenizer]


def test_counts_are_those_of_transformers(opened: Opened) -> None:
    members = [opened(name) for name in NAMES]
    found = compare(members, PROSE, Job())
    assert len(found.rows) == len(NAMES)
    for loaded, row in zip(members, found.rows, strict=True):
        ids = loaded.transformers()(PROSE, truncation=False, padding=False)["input_ids"]
        assert row.tokens == len(ids)
        assert row.characters_per_token == pytest.approx(len(PROSE) / len(ids))
        assert row.bytes_per_token == pytest.approx(len(PROSE.encode()) / len(ids))
        assert row.unknown == ids.count(loaded.info.unk_id)
        assert 1 <= row.runs <= 5
        assert row.seconds > 0


def test_round_trip(opened: Opened) -> None:
    text = "A  café, [CLS]\tÇa"
    names = ("gpt2", "llama", "byt5", "canine", "wordpiece-uncased", "word-level")
    found = compare([opened(name) for name in names], text, Job())
    assert [row.roundtrip for row in found.rows] == [True, True, True, True, False, False]


def test_a_tokenizer_does_not_differ_from_itself(opened: Opened) -> None:
    for name in FAST:
        for text in CORPUS:
            found = compare([opened(name), opened(name)], text, Job())
            assert found.differences == (), (name, text)
            assert found.different_spans == 0


def test_differences_are_the_spans_cut_differently(opened: Opened) -> None:
    text = "the cat sat"
    found = compare([opened("characters"), opened("word-level")], text, Job())
    first = found.differences[0]
    assert (first.start, first.end, first.text) == (0, 3, "the")
    assert first.pieces[0] == ("t", "h", "e")
    assert len(first.pieces[1]) == 1
    # the spaces are tokens of one, and nothing to the other
    assert [d.text for d in found.differences] == ["the", " ", "cat", " ", "sat"]
    assert found.different_spans == 5


def test_a_difference_of_a_whole_book_is_cut(opened: Opened) -> None:
    text = "x" * 50_000
    found = compare([opened("characters"), opened("word-level")], text, Job())
    (difference,) = found.differences
    assert (difference.start, difference.end) == (0, len(text))
    assert difference.text == "x" * comparing.SHOWN + "…"
    assert len(difference.pieces[0]) == comparing.SHOWN + 1


def test_differences_are_complete_and_true(opened: Opened) -> None:
    """Outside the listed spans all cut alike, inside some do not."""
    members = [opened(name) for name in ("gpt2", "wordpiece-uncased", "t5", "no-pad")]
    for text in [PROSE[:900], *TEXTS.values()]:
        found = compare(members, text, Job())
        last = 0
        for difference in found.differences:
            assert last <= difference.start < difference.end <= len(text)
            assert difference.text == text[difference.start : difference.end]
            assert len(difference.pieces) == len(members)
            assert len({len(pieces) for pieces in difference.pieces}) > 1 or (
                len(set(difference.pieces)) > 1
            )
            last = difference.end
        assert found.different_spans == len(found.differences)


def test_byte_pieces_of_one_emoji_are_a_difference(opened: Opened) -> None:
    found = compare([opened("gpt2"), opened("characters")], "🦤", Job())
    assert [d.text for d in found.differences] == ["🦤"]
    assert len(found.differences[0].pieces[0]) > len(found.differences[0].pieces[1]) == 1


def test_the_space_before_a_word_is_no_difference(opened: Opened) -> None:
    """Every word of a byte-level tokenizer would differ from BERT's otherwise."""
    byte_level, bert = opened("gpt2"), opened("wordpiece-cased")
    vocab, other = byte_level.rust().get_vocab(), bert.rust().get_vocab()
    words = [w for w in PROSE.split() if w in vocab and f"Ġ{w}" in vocab and w in other]
    assert len(words) > 5
    assert compare([byte_level, bert], " ".join(words), Job()).differences == ()


def test_python_backends_take_part_in_counts_only(opened: Opened) -> None:
    found = compare([opened("byt5"), opened("characters"), opened("gpt2")], "the cat", Job())
    assert found.rows[0].tokens == 8
    assert found.differences
    assert all(difference.pieces[0] == () for difference in found.differences)
    assert all(any(difference.pieces[1:]) for difference in found.differences)


def test_differences_are_listed_up_to_a_limit(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [opened("characters"), opened("gpt2")]
    whole = compare(members, PROSE, Job())
    monkeypatch.setattr(comparing, "LISTED", 7)
    short = compare(members, PROSE, Job())
    assert short.different_spans == whole.different_spans > 7
    assert short.differences == whole.differences[:7]


def test_one_that_cannot_be_opened_is_a_row_with_its_error(opened: Opened) -> None:
    def opener(ref: str) -> LoadedTokenizer:
        if ref == "gone":
            raise HftermError("not-found", "There is no gone.", "Look elsewhere.")
        return opened(ref)

    seen: list[Progress] = []
    found = compare_refs(["gpt2", "gone", "characters"], opener, "the cat", Job(seen.append))
    assert [bool(row.error) for row in found.rows] == [False, True, False]
    assert found.rows[1].ref == "gone"
    assert "There is no gone." in found.rows[1].error
    assert len(found.differences[0].pieces) == 2
    assert {progress.stage for progress in seen} >= {"loading gone", "comparing"}


def test_comparing_can_be_cancelled(opened: Opened) -> None:
    with pytest.raises(Cancelled):
        compare([opened("gpt2")], "a", Job(cancelled=lambda: True))


def test_nothing_to_compare() -> None:
    found = compare([], "a", Job())
    assert (found.rows, found.differences) == ((), ())


# Slow against fast


@pytest.mark.parametrize("name", ["wordpiece-uncased", "wordpiece-cased", "stored"])
def test_bert_legacy_gives_the_same_ids(opened: Opened, name: str) -> None:
    for text in (PROSE, TEXTS["spanish"], TEXTS["bert specials"], ""):
        found = slow_against_fast(opened(name), text, Job())
        assert found.slow_cls == "BertTokenizerLegacy"
        assert found.fast_cls == "BertTokenizer"
        assert found.equal, text
        assert found.first_difference is None
        assert found.fast_tokens == found.slow_tokens
        assert found.fast_seconds > 0 < found.slow_seconds


def test_where_slow_and_fast_disagree_it_is_said_where(opened: Opened) -> None:
    """U+FFFF is cleaned away in Rust only: a difference of the two real classes."""
    loaded = opened("wordpiece-uncased")
    text = "the\uffffthe"
    found = slow_against_fast(loaded, text, Job())
    legacy = opened("bert-legacy").transformers()
    fast = loaded.transformers()(text)["input_ids"]
    slow = legacy(text)["input_ids"]
    assert fast != slow, "the libraries agree now: find another example"
    assert not found.equal
    assert (found.fast_tokens, found.slow_tokens) == (len(fast), len(slow))
    index = found.first_difference
    assert index is not None
    assert fast[:index] == slow[:index]
    assert fast[index] != slow[index]


@pytest.mark.parametrize("name", ["gpt2", "t5", "word-level", "llama"])
def test_no_slow_twin(opened: Opened, name: str) -> None:
    with pytest.raises(HftermError) as caught:
        slow_against_fast(opened(name), "a", Job())
    assert caught.value.kind == "no-slow-twin"
    assert opened(name).info.cls in caught.value.message


def test_a_python_backend_has_no_fast_side(opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        slow_against_fast(opened("byt5"), "a", Job())
    assert caught.value.kind == "python-backend"


def test_a_vocabulary_that_vocab_txt_cannot_hold(opened: Opened, tmp_path: Path) -> None:
    source = Path(opened("wordpiece-uncased").info.path)
    stored = json.loads((source / "tokenizer.json").read_text())
    vocab: dict[str, int] = stored["model"]["vocab"]
    vocab["two\u2028lines"] = vocab.pop(max(vocab, key=vocab.__getitem__))
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored))
    config = json.loads((source / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(HftermError) as caught:
        slow_against_fast(load(str(tmp_path)), "a", Job())
    assert caught.value.kind == "no-slow-twin"
    assert "vocab.txt" in caught.value.message


def test_long_texts_are_cut_and_it_is_said(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfterm.tokenization.slow.LONGEST", 100)
    found = slow_against_fast(opened("wordpiece-uncased"), PROSE, Job())
    assert "first 100 characters" in found.note
    assert found.fast_tokens < 60


def test_sentencepiece_itself_is_the_twin_of_its_model_file(tmp_path: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(PROSE.splitlines()),
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=420,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    config = {"tokenizer_class": "LlamaTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = slow_against_fast(load(str(tmp_path)), "the clocks of the town, 👍", Job())
    assert found.slow_cls == "SentencePieceBackend"
    assert "without special tokens" in found.note
    assert found.equal
    assert found.fast_tokens > 5
