"""Tokenize a text into columns, whatever its length, exactly as one call would.

A long text is encoded in overlapping chunks, which gives progress, cancel, both cores and
a bounded memory (one `tokenizers` encoding of 10 MB takes 3 GB). Chunks are joined only
where both sides agree on a boundary between two pre-tokens, with agreement around it; what
follows such a boundary does not depend on what came before it. Where the sides do not
agree (a tokenizer without pre-tokenizer, a word of a megabyte) the two chunks are encoded
as one.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import cast

from tokenizers import Encoding as RustEncoding
from tokenizers import Tokenizer

from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.types import NO_SEQUENCE, NONE, Encoding

CHUNK = 1 << 17
"""Characters in a chunk: 0.1 s of work, so a cancel is honoured in about that."""
OVERLAP = 1 << 12
"""Characters that neighbouring chunks share on each side of their boundary."""
AGREE = 16
"""Tokens around the seam on which both chunks must agree."""


def encode(
    loaded: LoadedTokenizer,
    text: str,
    pair: str | None = None,
    *,
    add_special_tokens: bool = True,
    chunk: int = CHUNK,
    overlap: int = OVERLAP,
    job: Job | None = None,
) -> Encoding:
    """Tokenize `text` (and `pair`) whole: nothing is padded or cut.

    Args:
        loaded: an open tokenizer.
        text: the first sequence.
        pair: the second sequence. None for none; so is the empty text for a Rust tokenizer, as
            in transformers.
        add_special_tokens: as in the tokenizer's own call.
        chunk: characters a chunk; texts shorter than two are encoded in one call.
        overlap: characters that neighbouring chunks share on each side of their boundary.
        job: progress and cancel.
    """
    job = job or Job()
    if loaded.fast is not None:
        pair = pair or None  # transformers takes an empty second text for none, in fast ones only
    began = time.perf_counter()
    if loaded.fast is None:
        columns = _encode_python(loaded, text, pair, add_special_tokens)
    elif len(text) + len(pair or "") < 2 * chunk:
        columns = _Columns()
        encoding = loaded.fast.encode(text, pair, add_special_tokens=add_special_tokens)
        columns.extend(encoding)
        columns.name_pieces(loaded.fast, columns.ids, encoding.tokens, 0)
    else:
        columns = _encode_long(loaded.fast, text, pair, add_special_tokens, chunk, overlap, job)
    return columns.finish(loaded, text, pair, time.perf_counter() - began)


@dataclass
class _Columns:
    """Growing columns of an `Encoding`."""

    ids: array[int] = field(default_factory=lambda: array("I"))
    starts: array[int] = field(default_factory=lambda: array("i"))
    ends: array[int] = field(default_factory=lambda: array("i"))
    words: array[int] = field(default_factory=lambda: array("i"))
    sequences: bytearray = field(default_factory=bytearray)
    type_ids: bytearray = field(default_factory=bytearray)
    mask: bytearray = field(default_factory=bytearray)
    special: bytearray = field(default_factory=bytearray)
    pieces: dict[int, str] = field(default_factory=lambda: {})
    odd: dict[int, str] = field(default_factory=lambda: {})

    def extend(self, encoding: RustEncoding) -> None:
        """Append a whole encoding as it is. Each list is asked for once: every access builds it."""
        self.ids.extend(encoding.ids)
        for start, end in encoding.offsets:
            self.starts.append(start)
            self.ends.append(end)
        self.words.extend(NONE if word is None else word for word in encoding.word_ids)
        self.sequences.extend(
            NO_SEQUENCE if sequence is None else sequence for sequence in encoding.sequence_ids
        )
        self.type_ids.extend(encoding.type_ids)
        self.mask.extend(encoding.attention_mask)
        self.special.extend(encoding.special_tokens_mask)

    def append_added(self, added: _Added) -> None:
        """Append a token that the post-processor adds."""
        self.ids.append(added.id)
        self.starts.append(0)
        self.ends.append(0)
        self.words.append(NONE)
        self.sequences.append(NO_SEQUENCE if added.sequence is None else added.sequence)
        self.type_ids.append(added.type_id)
        self.mask.append(1)
        self.special.append(1)

    def name_pieces(
        self, tokenizer: Tokenizer, ids: Sequence[int], tokens: list[str], base: int
    ) -> None:
        """Record the strings of `tokens`, the first of which is row `base`.

        An id mostly has one string. Not so an unknown piece, which keeps its own characters
        in some models, and an added token that takes the white space around it.
        """
        for id_ in set(ids).difference(self.pieces):
            self.pieces[id_] = tokenizer.id_to_token(id_) or ""
        plain = list(map(self.pieces.__getitem__, ids))
        if plain == tokens:
            return
        for index, (token, name) in enumerate(zip(tokens, plain, strict=True)):
            if token != name:
                self.odd[base + index] = token

    def finish(
        self, loaded: LoadedTokenizer, text: str, pair: str | None, seconds: float
    ) -> Encoding:
        """The columns as an `Encoding`."""
        joined = text + (pair or "")
        return Encoding(
            ref=loaded.info.ref,
            backend=loaded.info.backend,
            verified=loaded.info.verified,
            ids=self.ids.tobytes(),
            starts=self.starts.tobytes(),
            ends=self.ends.tobytes(),
            words=self.words.tobytes(),
            sequences=bytes(self.sequences),
            type_ids=bytes(self.type_ids),
            mask=bytes(self.mask),
            special=bytes(self.special),
            pieces=self.pieces,
            odd=self.odd,
            unk_id=loaded.info.unk_id,
            characters=len(joined),
            utf8_bytes=len(joined) if joined.isascii() else len(joined.encode("utf-8", "replace")),
            seconds=seconds,
        )


def _encode_python(
    loaded: LoadedTokenizer, text: str, pair: str | None, add_special_tokens: bool
) -> _Columns:
    auto = loaded.transformers()
    out = auto(
        text,
        pair,
        add_special_tokens=add_special_tokens,
        truncation=False,
        padding=False,
        return_special_tokens_mask=True,
        return_token_type_ids=True,
        return_attention_mask=True,
        verbose=False,
    )
    ids: list[int] = out["input_ids"]
    columns = _Columns()
    columns.ids.extend(ids)
    for column in (columns.starts, columns.ends, columns.words):
        column.extend(repeat(NONE, len(ids)))
    special: list[int] = out["special_tokens_mask"]
    type_ids: list[int] = out["token_type_ids"]
    if len(special) != len(ids):
        # ByT5 counts an end token that it did not add, as the text already ended in one
        special = [int(id_ in auto.all_special_ids) for id_ in ids]
    if len(type_ids) != len(ids):
        type_ids = (type_ids + type_ids[-1:] * len(ids))[: len(ids)]
    columns.sequences.extend(NO_SEQUENCE for _ in ids)
    columns.type_ids.extend(type_ids)
    columns.mask.extend(out["attention_mask"])
    columns.special.extend(special)
    distinct = sorted(set(ids))
    tokens = cast("list[str]", auto.convert_ids_to_tokens(distinct))
    columns.pieces.update(zip(distinct, tokens, strict=True))
    return columns


@dataclass
class _Chunk:
    """A stretch of text and its encoding, offsets made absolute."""

    begin: int
    end: int
    encoding: RustEncoding
    ids: list[int]
    starts: list[int]
    ends: list[int]
    words: list[int]

    @classmethod
    def of(cls, begin: int, end: int, encoding: RustEncoding) -> _Chunk:
        offsets = encoding.offsets
        return cls(
            begin,
            end,
            encoding,
            encoding.ids,
            [start + begin for start, _ in offsets],
            [stop + begin for _, stop in offsets],
            [NONE if word is None else word for word in encoding.word_ids],
        )


def _encode_long(
    tokenizer: Tokenizer,
    text: str,
    pair: str | None,
    add_special_tokens: bool,
    chunk: int,
    overlap: int,
    job: Job,
) -> _Columns:
    """Encode each sequence in chunks and put the post-processor's tokens around them."""
    columns = _Columns()
    skeleton = _skeleton(tokenizer, pair is not None, add_special_tokens)
    total = len(text) + len(pair or "")
    done = 0
    for part in skeleton:
        if isinstance(part, _Added):
            columns.append_added(part)
            columns.pieces[part.id] = tokenizer.id_to_token(part.id) or ""
            continue
        sequence = text if part.sequence == 0 else pair or ""
        _append_sequence(columns, tokenizer, sequence, part, chunk, overlap, job, done, total)
        done += len(sequence)
    return columns


@dataclass(frozen=True)
class _Added:
    """A token that the post-processor adds."""

    id: int
    type_id: int
    sequence: int | None


@dataclass(frozen=True)
class _Slot:
    """The place of a sequence in the post-processor's template."""

    sequence: int
    type_id: int


def _skeleton(tokenizer: Tokenizer, pair: bool, add_special_tokens: bool) -> list[_Added | _Slot]:
    """The post-processor's template, read off the encoding of two short words."""
    encoding = tokenizer.encode("a", "b" if pair else None, add_special_tokens=add_special_tokens)
    parts: list[_Added | _Slot] = []
    for id_, sequence, special, type_id in zip(
        encoding.ids,
        encoding.sequence_ids,
        encoding.special_tokens_mask,
        encoding.type_ids,
        strict=True,
    ):
        if special or sequence is None:
            parts.append(_Added(id_, type_id, sequence))
        elif _Slot(sequence, type_id) not in parts:
            parts.append(_Slot(sequence, type_id))
    return parts


def _append_sequence(
    columns: _Columns,
    tokenizer: Tokenizer,
    text: str,
    slot: _Slot,
    chunk: int,
    overlap: int,
    job: Job,
    done: int,
    total: int,
) -> None:
    cuts = list(range(0, len(text), chunk)) or [0]
    if len(cuts) > 1 and len(text) - cuts[-1] < chunk // 2:
        cuts.pop()
    cuts.append(len(text))
    spans = [
        (max(0, begin - overlap), min(len(text), end + overlap)) for begin, end in pairwise(cuts)
    ]
    left: _Chunk | None = None
    first = 0  # the first token of `left` that is not yet in the columns
    word_base = 0  # add to a word id of `left` to get the word id in the whole text
    group = 4  # chunks in one call: the Rust side spreads them over the cores
    ahead: list[RustEncoding] = []
    for index, (begin, end) in enumerate(spans):
        if not ahead:
            job.progress("tokenizing", done + begin, total, "characters")
            ahead = tokenizer.encode_batch(
                [text[b:e] for b, e in spans[index : index + group]], add_special_tokens=False
            )
        right = _Chunk.of(begin, end, ahead.pop(0))
        if left is None:
            left = right
            continue
        seam = _seam(left, right, cuts[index], overlap)
        if seam is None:
            # no common boundary: what is pending and this chunk are encoded as one
            start = left.begin
            job.check()
            joined = tokenizer.encode(text[start:end], add_special_tokens=False)
            anchor = left
            left = _Chunk.of(start, end, joined)
            first, word_base = _resume(left, anchor, first, word_base)
            continue
        _flush(columns, tokenizer, left, first, seam.left, word_base, slot)
        word_base += left.words[seam.left] - right.words[seam.right]
        left, first = right, seam.right
    if left is not None:
        _flush(columns, tokenizer, left, first, len(left.ids), word_base, slot)
    job.progress("tokenizing", done + len(text), total, "characters")


def _resume(joined: _Chunk, before: _Chunk, first: int, word_base: int) -> tuple[int, int]:
    """Where `joined`, which begins as `before` did, goes on from token `first` of `before`.

    The tokens before `first` were already joined at a seam, so both chunks agree on them.
    """
    if first == 0:
        return 0, word_base
    if joined.starts[first] == before.starts[first] and joined.ids[first] == before.ids[first]:
        return first, word_base
    position = before.starts[first]
    again = next(i for i, start in enumerate(joined.starts) if start >= position)
    return again, word_base + before.words[first] - joined.words[again]


@dataclass(frozen=True)
class _Seam:
    """The first token to take from the right chunk, and its twin in the left one."""

    left: int
    right: int


def _seam(left: _Chunk, right: _Chunk, cut: int, overlap: int) -> _Seam | None:
    """A pre-token boundary near `cut` around which both chunks give the same tokens."""
    low, high = cut - overlap // 2, cut + overlap // 2
    in_left = _window(left, low, high)
    in_right = _window(right, low, high)
    if len(in_left) != len(in_right) or len(in_left) < 2 * AGREE:
        return None
    shift = left.words[in_left.start] - right.words[in_right.start]
    for i, j in zip(in_left, in_right, strict=True):
        if (
            left.ids[i] != right.ids[j]
            or left.starts[i] != right.starts[j]
            or left.ends[i] != right.ends[j]
            or left.words[i] == NONE
            or left.words[i] - right.words[j] != shift
        ):
            return None
    middle = len(in_left) // 2
    for k in range(middle, len(in_left) - AGREE):
        i, j = in_left.start + k, in_right.start + k
        if left.words[i] != left.words[i - 1] and left.starts[i] >= left.ends[i - 1]:
            return _Seam(i, j)
    return None


def _window(chunk: _Chunk, low: int, high: int) -> range:
    """The tokens of `chunk` that lie within [low, high) of the text."""
    first = bisect_left(chunk.starts, low)
    last = bisect_left(chunk.starts, high)
    while last > first and chunk.ends[last - 1] > high:
        last -= 1
    return range(first, last)


def _flush(
    columns: _Columns,
    tokenizer: Tokenizer,
    chunk: _Chunk,
    first: int,
    last: int,
    word_base: int,
    slot: _Slot,
) -> None:
    """Append tokens [first, last) of `chunk`."""
    count = last - first
    base = len(columns.ids) - first
    columns.ids.extend(chunk.ids[first:last])
    columns.starts.extend(chunk.starts[first:last])
    columns.ends.extend(chunk.ends[first:last])
    columns.words.extend(
        word if word == NONE else word + word_base for word in chunk.words[first:last]
    )
    columns.sequences.extend(bytes([slot.sequence]) * count)
    columns.type_ids.extend(bytes([slot.type_id]) * count)
    columns.mask.extend(b"\x01" * count)
    columns.special.extend(b"\x00" * count)
    columns.name_pieces(
        tokenizer, chunk.ids[first:last], chunk.encoding.tokens[first:last], first + base
    )
