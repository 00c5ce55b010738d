"""The stages against the real encoding, for every kind of tokenizer and every text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from corpus import CORPUS, PAIRS
from hfterm.errors import Cancelled
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.stages import steps
from hfterm.tokenization.views import Stage, Steps
from zoo import FAST, NAMES, PYTHON_BACKENDS

Opened = Callable[[str], LoadedTokenizer]

TUTORIAL = ["tokenize", "convert_tokens_to_ids", "add specials", "decode"]


def named(result: Steps, name: str) -> list[Stage]:
    return [stage for stage in result.stages if stage.name == name]


@pytest.mark.parametrize("name", FAST)
def test_model_on_each_pre_token_gives_the_encodings_tokens(name: str, opened: Opened) -> None:
    loaded = opened(name)
    rust = loaded.rust()
    for text in CORPUS:
        result = steps(loaded, text)
        made: list[tuple[str, int]] = []
        for word in named(result, "pre-tokenizer")[0].pieces:
            if word.id is None:
                made += [(token.value, token.id) for token in rust.model.tokenize(word.text)]
            else:
                made.append((word.text, word.id))
        encoding = rust.encode(text, add_special_tokens=False)
        real = list(zip(encoding.tokens, encoding.ids, strict=True))
        assert made == real, text
        model = named(result, "model")[0]
        assert [(piece.text, piece.id) for piece in model.pieces] == real
        assert [(piece.start, piece.end) for piece in model.pieces] == encoding.offsets
        assert "real ones" not in model.note


@pytest.mark.parametrize("name", FAST)
def test_pre_token_offsets_refer_to_the_normalized_text(name: str, opened: Opened) -> None:
    """Their concatenated spans never leave the normalized text, and name what was cut from it."""
    loaded = opened(name)
    whole_words = type(loaded.rust().pre_tokenizer).__name__ in ("BertPreTokenizer", "NoneType")
    for text in CORPUS:
        result = steps(loaded, text)
        normalized = named(result, "normalizer")[-1].text
        stage = named(result, "pre-tokenizer")[0]
        assert normalized is not None
        assert stage.offsets_of == "normalized"
        for piece in stage.pieces:
            assert piece.start is not None
            assert piece.end is not None
            assert 0 <= piece.start <= piece.end <= len(normalized)
            if whole_words:
                assert normalized[piece.start : piece.end] == piece.text


@pytest.mark.parametrize("name", FAST)
def test_post_processor_and_ids_are_the_tokenizers_own(name: str, opened: Opened) -> None:
    loaded = opened(name)
    for text, pair in [*((text, None) for text in CORPUS), *PAIRS]:
        result = steps(loaded, text, pair)
        auto = loaded.transformers()
        batch = auto([text], None if pair is None else [pair], verbose=False)
        post = named(result, "post-processor")[0]
        assert [piece.id for piece in post.pieces] == batch["input_ids"][0]
        assert [piece.text for piece in post.pieces] == batch.tokens(0)
        decoded = [stage.text for stage in named(result, "decoded")]
        ids = batch["input_ids"][0]
        assert decoded == [auto.decode(ids), auto.decode(ids, skip_special_tokens=True)]


@pytest.mark.parametrize("name", NAMES)
def test_tutorial_stages_are_what_the_tutorials_calls_give(name: str, opened: Opened) -> None:
    loaded = opened(name)
    auto = loaded.transformers()
    for text in CORPUS:
        stages = steps(loaded, text).stages[-4:]
        assert [stage.name for stage in stages] == TUTORIAL
        tokens = auto.tokenize(text)
        assert [piece.text for piece in stages[0].pieces] == tokens
        ids = auto.convert_tokens_to_ids(tokens)
        assert [piece.id for piece in stages[1].pieces] == ids
        full = auto([text], verbose=False)["input_ids"][0]
        assert [piece.id for piece in stages[2].pieces] == full
        assert stages[3].text == auto.decode(full)
        # the Python that the stage shows does what the stage shows
        scope: dict[str, object] = {"tokenizer": auto, "text": text, "ids": ids}
        exec(stages[2].call, scope)
        assert scope["ids"] == full, stages[2].call


@pytest.mark.parametrize("name", sorted(PYTHON_BACKENDS))
def test_python_backend_has_the_tutorials_stages_only(name: str, opened: Opened) -> None:
    result = steps(opened(name), "hello world")
    assert [stage.name for stage in result.stages] == TUTORIAL


def test_every_member_of_a_normalizer_sequence_is_named(opened: Opened) -> None:
    result = steps(opened("word-level"), "Cádiz")
    stages = named(result, "normalizer")
    assert [stage.component for stage in stages] == ["NFD", "StripAccents"]
    assert [stage.text for stage in stages] == ["Ca\u0301diz", "Cadiz"]
    assert stages[1].call == "normalized = backend.normalizer[1].normalize_str(normalized)"


def test_absent_components_are_said_to_be_absent(opened: Opened) -> None:
    result = steps(opened("no-pre-tokenizer"), "hello there")
    assert named(result, "normalizer")[0].component == "none"
    stage = named(result, "pre-tokenizer")[0]
    assert stage.component == "none"
    assert [piece.text for piece in stage.pieces] == ["hello there"]


def test_sequences_name_their_members(opened: Opened) -> None:
    result = steps(opened("llama"), "a")
    assert named(result, "decoded")[0].component == "Sequence(Replace, ByteFallback, Fuse, Strip)"


def test_added_tokens_split_the_text_before_normalization(opened: Opened) -> None:
    result = steps(opened("pair-template"), "ÉT [MASK] HUGGING FACE <sep2> x")
    early, late = named(result, "added tokens")
    assert [(piece.text, piece.special) for piece in early.pieces] == [
        ("ÉT ", False),
        ("[MASK]", True),
        (" HUGGING FACE <sep2> x", False),
    ]
    # looked for in the normalized text only
    assert "hugging face" in [piece.text for piece in late.pieces if piece.id is not None]
    assert named(result, "normalizer")[0].text == "et [MASK] hugging face <sep2> x"


def test_metaspace_is_put_before_the_first_stretch_only(opened: Opened) -> None:
    loaded = opened("llama-rebuilt")
    words = named(steps(loaded, "one</s>two"), "pre-tokenizer")[0].pieces
    real = loaded.rust().encode("one</s>two", add_special_tokens=False).tokens
    assert "".join(piece.text for piece in words) == "".join(real)


def test_pair_stages_follow_those_of_the_text(opened: Opened) -> None:
    result = steps(opened("wordpiece-uncased"), "One", "Two")
    assert [stage.text for stage in named(result, "text")] == ["One", "Two"]
    assert [stage.text for stage in named(result, "normalizer")] == ["one", "two"]
    assert [p.text for p in named(result, "post-processor")[0].pieces].count("[SEP]") == 2


def test_long_texts_are_shortened_and_it_is_said(opened: Opened) -> None:
    result = steps(opened("gpt2"), "a" * 2001)
    assert result.shortened == 2000
    assert named(result, "text")[0].text == "a" * 2000
    assert steps(opened("gpt2"), "a" * 2000).shortened is None


def test_the_shared_object_is_left_alone(opened: Opened) -> None:
    loaded = opened("stored")
    before = loaded.rust().to_str()
    steps(loaded, "a b " * 50)
    assert loaded.rust().to_str() == before
    assert loaded.rust().truncation is None


def test_cancel(opened: Opened) -> None:
    with pytest.raises(Cancelled):
        steps(opened("gpt2"), "a", job=Job(cancelled=lambda: True))
