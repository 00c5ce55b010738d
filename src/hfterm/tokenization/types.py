"""What the tokenization domain returns: plain structs that both processes can import.

Nothing here imports transformers, torch or tokenizers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal

import msgspec

NONE = -1
"""Stands for "there is none" in int32 columns (the word of a special token, offsets of a
Python-backend tokenizer)."""
NO_SEQUENCE = 255
"""Stands for "there is none" in the column of sequences."""


class SpecialToken(msgspec.Struct, frozen=True):
    """A token with a role: ``cls_token``, ``eos_token``, or ``additional``."""

    role: str
    token: str
    id: int


class TokenizerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a tokenizer is, as its files and, once verified, transformers say.

    Attributes:
        ref: what the user asked for (starter name, path or hub id).
        path: the folder it was read from, or the hub id when the cache holds it.
        verified: True when the pipeline is the one `AutoTokenizer` builds; False while
            only tokenizer.json has been read.
        cls: the transformers class, ``BertTokenizer`` for instance.
        backend: ``tokenizers`` (Rust), ``custom`` (Python), ``sentencepiece``, ``mistral_common``.
        model: ``WordPiece``, ``BPE``, ``Unigram``, ``WordLevel``; the class name when Python.
        pipeline: (stage, component) pairs, such as ``("normalizer", "BertNormalizer")``.
        model_max_length: in tokens; None when the files set no limit.
        stored_truncation: max_length stored in tokenizer.json, which would silently cut texts.
        stored_padding: in words, or None.
        chat_templates: names of the chat templates it carries.
        notes: things a user should know, one sentence each.
        fingerprint: of the whole Rust pipeline without padding and truncation: equal
            fingerprints tokenize alike. Empty for Python backends.
    """

    ref: str
    path: str
    verified: bool
    cls: str
    backend: str
    model: str
    vocab_size: int
    added_tokens: int
    pipeline: tuple[tuple[str, str], ...] = ()
    model_max_length: int | None = None
    padding_side: str = "right"
    truncation_side: str = "right"
    special_tokens: tuple[SpecialToken, ...] = ()
    unk_id: int | None = None
    stored_truncation: int | None = None
    stored_padding: str | None = None
    chat_templates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def kind(self) -> Literal["fast", "slow"]:
        """``fast`` for the Rust backend, ``slow`` for the Python ones."""
        return "fast" if self.backend == "tokenizers" else "slow"


class Token(msgspec.Struct, frozen=True):
    """One row of the token table; the field names are those of ``--json``.

    The values are the library's own. `start` and `end` are character offsets into the text of
    `sequence` (0 the text, 1 the pair), both 0 for a token that the post-processor adds; `word`
    is the pre-token it belongs to. Python-backend tokenizers report neither offsets nor words
    nor sequences: None.
    """

    index: int
    id: int
    token: str
    start: int | None
    end: int | None
    word: int | None
    sequence: int | None
    type_id: int
    mask: int
    special: int


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenized text in columns, so that a million tokens cross a process in one piece.

    Attributes:
        ids: uint32[tokens], native byte order, as are all columns.
        starts, ends: int32[tokens], character offsets into the original text; -1 for none.
        words: int32[tokens], pre-token index; -1 for none.
        sequences: uint8[tokens], 0 or 1; 255 for none.
        type_ids, mask, special: uint8[tokens].
        pieces: the token string of every id that occurs.
        odd: position → token string, where it differs from ``pieces[id]`` (an unknown piece
            of a Unigram model keeps its own characters).
        characters: length of the text and the pair.
        seconds: time spent encoding, without loading.
    """

    ref: str
    backend: str
    verified: bool
    ids: bytes
    starts: bytes
    ends: bytes
    words: bytes
    sequences: bytes
    type_ids: bytes
    mask: bytes
    special: bytes
    pieces: dict[int, str]
    odd: dict[int, str] = {}
    unk_id: int | None = None
    characters: int = 0
    utf8_bytes: int = 0
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.special)

    def column(self, name: Literal["ids", "starts", "ends", "words"]) -> memoryview[int]:
        """A zero-copy integer view of one of the 32-bit columns."""
        data: bytes = getattr(self, name)
        return memoryview(data).cast("I" if name == "ids" else "i")

    def token(self, index: int) -> Token:
        """Row `index` as a struct."""
        start = self.column("starts")[index]
        end = self.column("ends")[index]
        word = self.column("words")[index]
        id_ = self.column("ids")[index]
        sequence = self.sequences[index]
        return Token(
            index=index,
            id=id_,
            token=self.odd.get(index, self.pieces[id_]),
            start=None if start == NONE else start,
            end=None if end == NONE else end,
            word=None if word == NONE else word,
            sequence=None if sequence == NO_SEQUENCE else sequence,
            type_id=self.type_ids[index],
            mask=self.mask[index],
            special=self.special[index],
        )

    def tokens(self) -> Iterator[Token]:
        """All rows, lazily."""
        return (self.token(index) for index in range(len(self)))

    def at_character(self, offset: int, sequence: int = 0) -> int | None:
        """The first token whose span holds character `offset` of `sequence`.

        When several tokens share one character (byte-level pieces of an emoji) it is the
        first of them; when none holds it (white space that no token covers) it is the token
        before. None when the sequence has no tokens with offsets.
        """
        first, last = self.sequence_range(sequence)
        if first == last:
            return None
        # both ends of the spans rise along a text, though spans of neighbours may overlap
        index = bisect_right(self.column("ends"), offset, first, last)
        if index < last and self.column("starts")[index] <= offset:
            return index
        return max(first, index - 1)

    def sequence_range(self, sequence: int) -> tuple[int, int]:
        """[first, last) of the tokens of `sequence` that carry offsets."""
        marker = bytes([sequence])
        first = self.sequences.find(marker)
        if first < 0:
            return 0, 0
        last = self.sequences.rfind(marker) + 1
        starts = self.column("starts")
        while first < last and (starts[first] == NONE or self.special[first]):
            first += 1
        while last > first and (starts[last - 1] == NONE or self.special[last - 1]):
            last -= 1
        return first, last

    def same_span(self, index: int) -> range:
        """The run of tokens around `index` that share its span (byte-level pieces)."""
        starts, ends = self.column("starts"), self.column("ends")
        span = (starts[index], ends[index])
        if span[0] == NONE:
            return range(index, index + 1)
        low = high = index
        while low > 0 and (starts[low - 1], ends[low - 1]) == span:
            low -= 1
        while high + 1 < len(self) and (starts[high + 1], ends[high + 1]) == span:
            high += 1
        return range(low, high + 1)

    def unknown(self) -> int:
        """How many tokens are the unknown token."""
        if self.unk_id is None:
            return 0
        return array("I", self.ids).count(self.unk_id)
