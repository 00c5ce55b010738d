"""Tokenize a text into columns, whatever its length; nothing is padded or cut."""

from __future__ import annotations

import time
from itertools import repeat
from typing import cast

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.chunked import CHUNK, OVERLAP, encode_long
from hfterm.tokenization.columns import Columns
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.types import NO_SEQUENCE, NONE, Encoding


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

    Raises:
        HftermError: the text is not Unicode (a lone surrogate, from bytes that were not UTF-8).
    """
    job = job or Job()
    _refuse_surrogates(text + (pair or ""))
    if loaded.fast is not None:
        pair = pair or None  # transformers takes an empty second text for none, in fast ones only
    began = time.perf_counter()
    if loaded.fast is None:
        columns = _encode_python(loaded, text, pair, add_special_tokens)
    elif len(text) + len(pair or "") < 2 * chunk:
        columns = Columns()
        encoding = loaded.fast.encode(text, pair, add_special_tokens=add_special_tokens)
        columns.extend(encoding)
        columns.name_pieces(loaded.fast, columns.ids, encoding.tokens, 0)
    else:
        columns = encode_long(loaded.fast, text, pair, add_special_tokens, chunk, overlap, job)
    return columns.finish(loaded, text, pair, time.perf_counter() - began)


def _encode_python(
    loaded: LoadedTokenizer, text: str, pair: str | None, add_special_tokens: bool
) -> Columns:
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
    columns = Columns()
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


def _refuse_surrogates(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise HftermError(
            "not-unicode",
            f"Character {error.start} of the text is U+{ord(text[error.start]):04X}, half of a "
            "character: the bytes it came from were not UTF-8.",
            "Put the text into a file and open that; what is not UTF-8 is shown as � then.",
        ) from error
