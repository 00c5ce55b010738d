"""What the tabs of the Tokenize screen show of a tokenizer, as plain structs.

Both processes import these; nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hfterm.tokenization.types import Encoding, TokenizerInfo


class Piece(msgspec.Struct, frozen=True):
    """A piece of a stage: its text and where it came from.

    Offsets refer to the text named by the stage's `offsets_of`; None where there are none.
    """

    text: str
    start: int | None = None
    end: int | None = None
    id: int | None = None
    special: bool = False


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the pipeline, as it is.

    Attributes:
        name: ``text``, ``added tokens``, ``normalizer``, ``pre-tokenizer``, ``model``,
            ``post-processor``, ``ids``, ``decoded``.
        component: the component's type (``BertNormalizer``), ``none`` when it is absent.
        call: the Python that does just this stage.
        text: the stage's result when it is a text.
        pieces: the stage's result when it is a list.
        offsets_of: ``original`` or ``normalized``, what the offsets of `pieces` refer to.
        note: a sentence that explains, or warns.
    """

    name: str
    component: str
    call: str
    text: str | None = None
    pieces: tuple[Piece, ...] = ()
    offsets_of: Literal["original", "normalized", ""] = ""
    note: str = ""
    truncated: int = 0


class Steps(msgspec.Struct, frozen=True):
    """All stages of one text, in order. Long texts are cut, and `shortened` says to what."""

    stages: tuple[Stage, ...]
    shortened: int | None = None


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch is padded and cut; the names are those of the tokenizer's own call.

    `padding`: ``longest``, ``max_length`` or ``none``. `truncation`: ``longest_first``,
    ``only_first``, ``only_second`` or ``none``. `stride` only acts with overflowing windows.
    """

    padding: Literal["longest", "max_length", "none"] = "longest"
    padding_side: Literal["right", "left"] = "right"
    truncation: Literal["none", "longest_first", "only_first", "only_second"] = "none"
    max_length: int | None = None
    stride: int = 0
    overflow: bool = False
    pad_to_multiple_of: int | None = None
    add_special_tokens: bool = True


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a batch: a text (or one window of it) as the model would get it.

    `sample` is the index of the text it came from; `mask`, `type_ids` and `special` have one
    entry a token, as `ids`.
    """

    sample: int
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    mask: tuple[int, ...]
    type_ids: tuple[int, ...]
    special: tuple[int, ...]
    decoded: str
    decoded_clean: str


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenized batch.

    Attributes:
        shape: (rows, columns) of ``return_tensors="pt"``, or None with `shape_error` when
            the rows are ragged and no tensor can be made.
        padded: how many of all positions are padding.
        keys: the keys of the BatchEncoding, as the model would get them.
        cut: how many texts lost tokens to truncation.
    """

    rows: tuple[BatchRow, ...]
    shape: tuple[int, int] | None
    shape_error: str = ""
    padded: int = 0
    cut: int = 0
    keys: tuple[str, ...] = ()
    pad_token: str | None = None
    pad_id: int | None = None


class VocabularyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a vocabulary. `decoded` is what decoding this id alone gives."""

    id: int
    token: str
    decoded: str
    added: bool = False
    special: bool = False
    score: float | None = None


class VocabularyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that match a query, in id order. `total` counts all matches."""

    entries: tuple[VocabularyEntry, ...]
    total: int
    vocab_size: int


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """What ids decode to, with and without special tokens."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    text: str
    clean: str


class RoleSpan(msgspec.Struct, frozen=True):
    """Characters [start, end) of a rendered template that a message of `role` produced."""

    role: str
    start: int
    end: int


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A chat template applied to messages, and its tokens."""

    text: str
    spans: tuple[RoleSpan, ...]
    encoding: Encoding
    template: str
    name: str = "default"


class Message(msgspec.Struct, frozen=True):
    """A chat message as templates take it."""

    role: str
    content: str


class ComparedTokenizer(msgspec.Struct, frozen=True, kw_only=True):
    """One tokenizer of a comparison, on one text.

    `seconds` is the median of `runs` encodings. `roundtrip` says whether decoding gives the
    text back. `error` replaces everything when it could not be loaded.
    """

    ref: str
    cls: str = ""
    backend: str = ""
    model: str = ""
    vocab_size: int = 0
    tokens: int = 0
    characters_per_token: float = 0.0
    bytes_per_token: float = 0.0
    unknown: int = 0
    seconds: float = 0.0
    runs: int = 0
    roundtrip: bool = False
    error: str = ""


class Difference(msgspec.Struct, frozen=True):
    """A span of the text that at least two tokenizers cut differently."""

    start: int
    end: int
    text: str
    pieces: tuple[tuple[str, ...], ...]


class SlowFast(msgspec.Struct, frozen=True, kw_only=True):
    """A Python-backend twin against the Rust one on the same text.

    `first_difference` is the index of the first differing id, None when all are equal.
    """

    fast_cls: str
    slow_cls: str
    equal: bool
    first_difference: int | None
    fast_seconds: float
    slow_seconds: float
    fast_tokens: int
    slow_tokens: int
    note: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Several tokenizers on one text."""

    rows: tuple[ComparedTokenizer, ...]
    differences: tuple[Difference, ...]
    different_spans: int
    slow_fast: SlowFast | None = None


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a new tokenizer is trained.

    `algorithm`: ``BPE`` (byte-level, as GPT-2), ``WordPiece`` (as BERT), ``Unigram`` (as T5), or
    ``parent``: the pipeline of `parent` with a new vocabulary (`train_new_from_iterator`).
    """

    algorithm: Literal["BPE", "WordPiece", "Unigram", "parent"] = "BPE"
    vocab_size: int = 8000
    min_frequency: int = 2
    lowercase: bool = False
    parent: str = ""


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenizer that was trained and saved.

    `sample_tokens` and `parent_sample_tokens` count the tokens of the same held-in sample.
    """

    path: str
    info: TokenizerInfo
    seconds: float
    texts: int
    characters: int
    parent: str
    shared: int
    only_new: tuple[str, ...]
    only_parent: tuple[str, ...]
    only_new_total: int
    only_parent_total: int
    sample_characters: int
    sample_tokens: int
    parent_sample_tokens: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an audit looked at. `rows` are token indices to jump to."""

    severity: Literal["ok", "note", "warning"]
    title: str
    detail: str
    count: int = 0
    rows: tuple[int, ...] = ()


class Audit(msgspec.Struct, frozen=True):
    """What a careful reader would check of one encoding."""

    findings: tuple[Finding, ...]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Token statistics of a whole file or data set; a text is a line or a row.

    Attributes:
        lengths: tokens per text: minimum, median, mean, 95th, 99th percentile, maximum.
        histogram: (upper bound in tokens, texts) pairs.
        over_limit: texts longer than the model's limit, `limit` tokens; None without one.
        top: the most frequent tokens with their counts.
    """

    path: str
    texts: int
    characters: int
    utf8_bytes: int
    tokens: int
    unknown: int
    distinct: int
    vocab_size: int
    lengths: dict[str, float]
    histogram: tuple[tuple[int, int], ...]
    top: tuple[tuple[str, int], ...]
    limit: int | None = None
    over_limit: int | None = None
    seconds: float = 0.0
