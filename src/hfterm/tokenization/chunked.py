"""Tokenize a long text in overlapping chunks, exactly as one call would.

Chunks give progress, cancel, both cores and a bounded memory (one `tokenizers` encoding of
10 MB takes 3 GB). They are joined only where both sides agree on a boundary between two
pre-tokens, with agreement around it; what follows such a boundary does not depend on what came
before it. Where the sides do not agree (a tokenizer without pre-tokenizer, a word of a megabyte)
the two chunks are encoded as one.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from tokenizers import Encoding as RustEncoding
from tokenizers import Tokenizer

from hfterm.job import Job
from hfterm.tokenization.columns import Added, Columns
from hfterm.tokenization.types import NONE

CHUNK = 1 << 17
"""Characters in a chunk: 0.1 s of work, so a cancel is honoured in about that."""
OVERLAP = 1 << 12
"""Characters that neighbouring chunks share on each side of their boundary."""
AGREE = 16
"""Tokens around the seam on which both chunks must agree."""


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


def encode_long(
    tokenizer: Tokenizer,
    text: str,
    pair: str | None,
    add_special_tokens: bool,
    chunk: int,
    overlap: int,
    job: Job,
) -> Columns:
    """Encode each sequence in chunks and put the post-processor's tokens around them."""
    columns = Columns()
    skeleton = _skeleton(tokenizer, pair is not None, add_special_tokens)
    total = len(text) + len(pair or "")
    done = 0
    for part in skeleton:
        if isinstance(part, Added):
            columns.append_added(part)
            columns.pieces[part.id] = tokenizer.id_to_token(part.id) or ""
            continue
        sequence = text if part.sequence == 0 else pair or ""
        _append_sequence(columns, tokenizer, sequence, part, chunk, overlap, job, done, total)
        done += len(sequence)
    return columns


@dataclass(frozen=True)
class _Slot:
    """The place of a sequence in the post-processor's template."""

    sequence: int
    type_id: int


def _skeleton(tokenizer: Tokenizer, pair: bool, add_special_tokens: bool) -> list[Added | _Slot]:
    """The post-processor's template, read off the encoding of two short words."""
    encoding = tokenizer.encode("a", "b" if pair else None, add_special_tokens=add_special_tokens)
    parts: list[Added | _Slot] = []
    for id_, sequence, special, type_id in zip(
        encoding.ids,
        encoding.sequence_ids,
        encoding.special_tokens_mask,
        encoding.type_ids,
        strict=True,
    ):
        if special or sequence is None:
            parts.append(Added(id_, type_id, sequence))
        elif _Slot(sequence, type_id) not in parts:
            parts.append(_Slot(sequence, type_id))
    return parts


def _append_sequence(
    columns: Columns,
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
    columns: Columns,
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
