"""The columns of `encode` against what AutoTokenizer gives, and chunks against the whole."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import CORPUS, PAIRS, PROSE, TEXTS
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.job import Cancelled, Job, Progress
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load, load_quick
from hfterm.tokenization.types import Encoding
from zoo import FAST, NAMES, PYTHON_BACKENDS

Opened = Callable[[str], LoadedTokenizer]
Row = tuple[object, ...]

KIT = ("minilm", "smollm2")


def columns(encoding: Encoding) -> list[Row]:
    return [
        (t.id, t.token, t.start, t.end, t.word, t.sequence, t.type_id, t.mask, t.special)
        for t in encoding.tokens()
    ]


def reference(
    loaded: LoadedTokenizer, text: str, pair: str | None = None, add_special_tokens: bool = True
) -> list[Row]:
    """The same rows, from the transformers tokenizer alone."""
    auto = loaded.transformers()
    batch = auto(
        text,
        pair,
        add_special_tokens=add_special_tokens,
        truncation=False,
        padding=False,
        return_token_type_ids=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    if loaded.info.backend == "tokenizers":
        rust = batch.encodings[0]
        spans = rust.offsets
        return list(
            zip(
                rust.ids,
                rust.tokens,
                [start for start, _ in spans],
                [end for _, end in spans],
                rust.word_ids,
                rust.sequence_ids,
                rust.type_ids,
                rust.attention_mask,
                rust.special_tokens_mask,
                strict=True,
            )
        )
    ids = batch["input_ids"]
    nothing = [None] * len(ids)
    special, type_ids = batch["special_tokens_mask"], batch["token_type_ids"]
    if len(special) != len(ids):
        # the library's own mask does not fit its ids: ByT5, where a text ends in </s>
        assert loaded.info.cls == "ByT5Tokenizer"
        special, type_ids = [int(i < 3) for i in ids], [0] * len(ids)
    return list(
        zip(
            ids,
            auto.convert_ids_to_tokens(ids),
            nothing,
            nothing,
            nothing,
            nothing,
            type_ids,
            batch["attention_mask"],
            special,
            strict=True,
        )
    )


@pytest.fixture(scope="session", params=[*NAMES, *KIT])
def loaded(request: pytest.FixtureRequest, opened: Opened) -> LoadedTokenizer:
    name: str = request.param
    if name not in KIT:
        return opened(name)
    if starter.starter_path(name) is None:
        pytest.skip(f"the starter kit's {name} is not installed (hfterm starter {name})")
    return load(name)


@pytest.fixture(scope="session", params=list(FAST))
def fast(request: pytest.FixtureRequest, opened: Opened) -> LoadedTokenizer:
    return opened(request.param)


def test_the_zoo_has_python_backends(opened: Opened) -> None:
    for name in NAMES:
        assert (opened(name).fast is None) == (name in PYTHON_BACKENDS)


def test_every_text_equals_auto_tokenizer(loaded: LoadedTokenizer) -> None:
    for name, text in TEXTS.items():
        for specials in (True, False):
            ours = columns(encode(loaded, text, add_special_tokens=specials))
            assert ours == reference(loaded, text, None, specials), (name, specials)


def test_every_pair_equals_auto_tokenizer(loaded: LoadedTokenizer) -> None:
    for text, pair in PAIRS:
        for specials in (True, False):
            ours = columns(encode(loaded, text, pair, add_special_tokens=specials))
            assert ours == reference(loaded, text, pair, specials), (text, pair, specials)


def test_quick_load_gives_the_same_ids_unless_rebuilt(
    zoo: dict[str, object], opened: Opened
) -> None:
    """What is shown before transformers is loaded is what is shown after it."""
    for name in FAST:
        if name == "llama-rebuilt":
            continue
        quick = load_quick(str(zoo[name]))
        assert quick is not None
        for text in CORPUS:
            assert columns(encode(quick, text)) == columns(encode(opened(name), text)), (name, text)


def test_a_rebuilt_pipeline_says_so(zoo: dict[str, object], opened: Opened) -> None:
    quick, full = load_quick(str(zoo["llama-rebuilt"])), opened("llama-rebuilt")
    assert quick is not None
    assert not quick.info.verified
    assert full.info.verified
    assert any("LlamaTokenizer replaces" in note for note in full.info.notes)


def test_counts_of_the_text(opened: Opened) -> None:
    encoding = encode(opened("gpt2"), "añ👍🏽")
    assert (encoding.characters, encoding.utf8_bytes) == (4, 11)


def test_unknown_pieces_keep_their_characters(opened: Opened) -> None:
    """A Unigram model reports an unknown piece by its own characters, not as <unk>."""
    loaded = opened("t5")
    encoding = encode(loaded, "a 𓂀 b")
    unknown = [token.token for token in encoding.tokens() if token.id == loaded.info.unk_id]
    assert unknown == ["𓂀"]
    assert encoding.unknown() == 1


# Stored padding and truncation, and the object that transformers shares


def test_stored_truncation_is_not_obeyed(opened: Opened) -> None:
    loaded = opened("stored")
    assert loaded.info.stored_truncation == 16
    assert loaded.info.stored_padding is not None
    text = PROSE
    encoding = encode(loaded, text)
    assert len(encoding) > 200
    last = [token for token in encoding.tokens() if not token.special][-1]
    assert last.end == len(text.rstrip())
    assert len(encode(loaded, "one")) < 16


def test_calls_of_transformers_never_reach_the_private_copy(opened: Opened) -> None:
    loaded = opened("stored")
    before = columns(encode(loaded, PROSE))
    auto = loaded.transformers()
    auto(PROSE, truncation=True, max_length=8)
    assert len(auto([PROSE, "a"], padding="max_length", truncation=True, max_length=9)[0]) == 9
    rust = loaded.rust()
    assert rust.truncation is None
    assert rust.padding is None
    assert columns(encode(loaded, PROSE)) == before


class CountingEncoding:
    """An `Encoding` of the Rust library that counts who asks for which list."""

    def __init__(self, real: object, asked: Counter[str]) -> None:
        self._real, self._asked = real, asked

    def __getattr__(self, name: str) -> object:
        self._asked[name] += 1
        return getattr(self._real, name)


class CountingTokenizer:
    """A `Tokenizer` that hands out counting encodings."""

    def __init__(self, real: object) -> None:
        self._real, self.asked = real, Counter[str]()

    def encode(self, *args: object, **options: object) -> CountingEncoding:
        return CountingEncoding(self._real.encode(*args, **options), self.asked)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def test_lists_of_an_encoding_are_not_asked_for_by_row(opened: Opened) -> None:
    """Each access builds the whole list: 4.6 ms a row at 30,000 tokens."""
    loaded = opened("wordpiece-uncased")
    counts: list[Counter[str]] = []
    for text in ("a 𓂀", PROSE * 3):
        counting = CountingTokenizer(loaded.fast)
        encode(dataclasses.replace(loaded, fast=counting), text)
        counts.append(counting.asked)
    assert counts[0]["ids"] >= 1
    assert counts[1] <= counts[0], "more rows must not mean more accesses"
    assert max(counts[1].values()) <= 2


# Chunks


@st.composite
def long_texts(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(st.sampled_from([*CORPUS, *PROSE.splitlines()]), min_size=1))
    glue = draw(st.sampled_from(["", " ", "\n", "\r\n", "\r", "  ", "\u2028", "\t"]))
    text = glue.join(pieces) or "a"
    wanted = draw(st.integers(400, 5000))
    return (text * (wanted // len(text) + 1))[:wanted]


@given(text=long_texts(), chunk=st.integers(200, 2000), overlap=st.integers(64, 400))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_chunks_equal_the_whole(fast: LoadedTokenizer, text: str, chunk: int, overlap: int) -> None:
    whole = columns(encode(fast, text, chunk=10**9))
    assert columns(encode(fast, text, chunk=chunk, overlap=overlap)) == whole


NASTY = {
    "one giant word": "antidisestablishment" * 300,
    "one letter": "a" * 6000,
    "no spaces": "Thequickbrownfox,jumps.Over" * 200,
    "only emoji": "👩‍👩‍👧‍👦👨🏽‍💻🏳️‍🌈👍🏿" * 250,
    "only spaces": " " * 6000,
    "only newlines": "\n" * 6000,
    "crlf mix": "a\r\nb\rc\n\r\n\r\rd " * 400,
    "chinese": TEXTS["chinese"] * 150,
    "thai": TEXTS["thai"] * 150,
    "combining": ("e\u0301" + "\u0300" * 9 + " ") * 400,
    "one base, many marks": "e" + "\u0301" * 5000,
    "specials": "[CLS] a [SEP]<s>b</s> <|endoftext|><mask> quick Hugging Face <sep2> " * 80,
    "digits": "1234567890" * 500,
    "punctuation": "!?." * 1500,
    "prose, then a giant word, then prose": PROSE * 2 + "x" * 3000 + PROSE * 2,
    "metaspaces": "▁a▁▁b ▁" * 800,
    "long lines of code": TEXTS["python"] * 60,
    "nul": "a\x00b \x00" * 800,
}


@pytest.mark.parametrize("name", list(NASTY))
def test_chunks_equal_the_whole_on_nasty_texts(opened: Opened, name: str) -> None:
    text = NASTY[name]
    for member in FAST:
        loaded = opened(member)
        whole = columns(encode(loaded, text, chunk=10**9))
        for chunk, overlap in ((500, 128), (1300, 64)):
            got = columns(encode(loaded, text, chunk=chunk, overlap=overlap))
            assert got == whole, (member, chunk, overlap)


def test_chunks_of_a_pair_equal_the_whole(fast: LoadedTokenizer) -> None:
    text, pair = PROSE * 2, "\n".join(CORPUS)
    for specials in (True, False):
        whole = encode(fast, text, pair, add_special_tokens=specials)
        parts = encode(fast, text, pair, add_special_tokens=specials, chunk=400, overlap=128)
        assert columns(parts) == columns(whole)


def test_long_texts_report_progress(opened: Opened) -> None:
    seen: list[Progress] = []
    encode(opened("gpt2"), PROSE * 20, chunk=1000, overlap=128, job=Job(seen.append))
    done = [progress.done for progress in seen]
    assert len(done) > 3
    assert done == sorted(done)
    assert done[-1] == seen[-1].total == len(PROSE * 20)


def test_long_texts_can_be_cancelled(opened: Opened) -> None:
    seen: list[Progress] = []
    job = Job(seen.append, cancelled=lambda: len(seen) >= 2)
    with pytest.raises(Cancelled):
        encode(opened("gpt2"), PROSE * 20, chunk=1000, overlap=128, job=job)
    assert len(seen) == 2


# The cursor


def test_a_character_selects_a_token_that_holds_it(fast: LoadedTokenizer) -> None:
    for name, text in TEXTS.items():
        encoding = encode(fast, text)
        rows = list(encoding.tokens())
        held: dict[int, list[int]] = {}
        for row in rows:
            if row.special or row.start is None or row.end is None:
                continue
            for character in range(row.start, row.end):
                held.setdefault(character, []).append(row.index)
        for character in range(len(text)):
            selected = encoding.at_character(character)
            if character in held:
                assert selected == held[character][0], (name, character)
            elif selected is not None:
                assert not rows[selected].special, (name, character)


def test_each_sequence_of_a_pair_has_its_own_characters(fast: LoadedTokenizer) -> None:
    encoding = encode(fast, "the quick fox", "the bright day")
    for sequence in (0, 1):
        selected = encoding.at_character(0, sequence)
        assert selected is not None
        assert encoding.token(selected).sequence == sequence


def test_byte_pieces_of_one_emoji_are_selected_together(opened: Opened) -> None:
    text = "a.🦤 b"
    encoding = encode(opened("gpt2"), text)
    selected = encoding.at_character(2)
    assert selected is not None
    span = encoding.same_span(selected)
    assert len(span) > 1, "the emoji is not in the small vocabulary, so its bytes are pieces"
    assert selected == span[0]
    for row in span:
        token = encoding.token(row)
        assert token.start is not None
        assert token.end is not None
        assert token.start <= 2 < token.end


def test_same_span_of_a_plain_token_is_itself(opened: Opened) -> None:
    encoding = encode(opened("wordpiece-uncased"), "the ship left")
    for index in range(len(encoding)):
        assert index in encoding.same_span(index)
    inner = [t.index for t in encoding.tokens() if not t.special]
    assert all(encoding.same_span(index) == range(index, index + 1) for index in inner)


def test_no_tokens_no_selection(opened: Opened) -> None:
    assert encode(opened("wordpiece-uncased"), "").at_character(0) is None
    assert encode(opened("byt5"), "abc").at_character(0) is None


def test_python_backends_have_no_rust_view(opened: Opened) -> None:
    with pytest.raises(HftermError) as caught:
        opened("byt5").rust()
    assert caught.value.kind == "python-backend"
