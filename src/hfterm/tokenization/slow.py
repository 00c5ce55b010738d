"""A Rust tokenizer against the slow twin that transformers still has for it.

In transformers 5 two are left: `BertTokenizerLegacy` (WordPiece in Python), and SentencePiece
itself, where the folder still holds the .model file.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tokenizers import Tokenizer

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.views import SlowFast

if TYPE_CHECKING:
    from transformers import AddedToken as TransformersAddedToken
    from transformers import PreTrainedTokenizerBase

LONGEST = 200_000
"""Characters that are compared: a slow tokenizer takes seconds a megabyte, uninterruptibly."""
RUNS = 3
"""Runs that are timed, at most."""
PATIENCE = 1.0
"""Seconds of timing after which no further run is begun."""


def slow_against_fast(loaded: LoadedTokenizer, text: str, job: Job) -> SlowFast:
    """Run the tokenizer and its slow twin on the same text, and compare time and ids.

    Raises:
        HftermError: ``no-slow-twin`` where transformers has none.
    """
    auto = loaded.transformers()
    rust = loaded.rust()
    job.progress("building the slow twin")
    with tempfile.TemporaryDirectory(prefix="hfterm-") as folder:
        slow, specials, note = _twin(loaded, rust, Path(folder))
    cut = text[:LONGEST]
    if len(cut) < len(text):
        note = f"Only the first {LONGEST:,} characters were compared. {note}".strip()

    def ids_of(tokenizer: PreTrainedTokenizerBase) -> list[int]:
        out = tokenizer(
            cut, add_special_tokens=specials, truncation=False, padding=False, verbose=False
        )
        return cast("list[int]", out["input_ids"])

    job.progress("fast", 0, 2, "tokenizers")
    fast_ids, fast_seconds = _median(lambda: ids_of(auto), job)
    job.progress("slow", 1, 2, "tokenizers")
    slow_ids, slow_seconds = _median(lambda: ids_of(slow), job)
    job.progress("slow", 2, 2, "tokenizers")
    first = _first_difference(fast_ids, slow_ids)
    return SlowFast(
        fast_cls=loaded.info.cls,
        slow_cls=type(slow).__name__,
        equal=first is None,
        first_difference=first,
        fast_seconds=fast_seconds,
        slow_seconds=slow_seconds,
        fast_tokens=len(fast_ids),
        slow_tokens=len(slow_ids),
        note=note,
    )


def _median(run: Callable[[], list[int]], job: Job) -> tuple[list[int], float]:
    seconds: list[float] = []
    ids: list[int] = []
    while not seconds or (len(seconds) < RUNS and sum(seconds) < PATIENCE):
        job.check()
        began = time.perf_counter()
        ids = run()
        seconds.append(time.perf_counter() - began)
    return ids, statistics.median(seconds)


def _first_difference(left: list[int], right: list[int]) -> int | None:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return None if len(left) == len(right) else min(len(left), len(right))


def _twin(
    loaded: LoadedTokenizer, rust: Tokenizer, folder: Path
) -> tuple[PreTrainedTokenizerBase, bool, str]:
    """The slow tokenizer, whether specials can be compared too, and a note."""
    if loaded.info.model == "WordPiece":
        return _bert_legacy(loaded, rust, folder), True, ""
    models = sorted(Path(loaded.info.path).glob("*.model"))
    if models:
        return _sentencepiece(loaded, models[0]), False, "Compared without special tokens."
    raise _none(
        f"{loaded.info.cls} ({loaded.info.model}) has no slow twin in transformers 5.",
    )


def _none(message: str) -> HftermError:
    return HftermError(
        "no-slow-twin",
        message,
        "Only BERT's WordPiece has one (BertTokenizerLegacy), and tokenizers whose folder holds "
        "a SentencePiece .model file.",
    )


def _bert_legacy(loaded: LoadedTokenizer, rust: Tokenizer, folder: Path) -> PreTrainedTokenizerBase:
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    pipeline: dict[str, dict[str, object] | None] = json.loads(rust.to_str())
    normalizer, pre_tokenizer = pipeline["normalizer"], pipeline["pre_tokenizer"]
    bert = (normalizer or {}).get("type") == "BertNormalizer"
    if normalizer is None or not bert or (pre_tokenizer or {}).get("type") != "BertPreTokenizer":
        raise _none(
            f"{loaded.info.cls} is a WordPiece tokenizer, but not with BERT's normalizer and "
            "pre-tokenizer, so BertTokenizerLegacy is no twin of it.",
        )
    vocab = rust.get_vocab(with_added_tokens=False)
    tokens = sorted(vocab, key=vocab.__getitem__)
    if list(map(vocab.__getitem__, tokens)) != list(range(len(tokens))) or any(
        token != token.strip() or not token or len(token.splitlines()) > 1 for token in tokens
    ):
        raise _none(
            f"The vocabulary of {loaded.info.ref} can't be written as the vocab.txt that "
            "BertTokenizerLegacy reads (gaps between ids, or white space in tokens).",
        )
    file = folder / "vocab.txt"
    file.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    roles = {s.role: s.token for s in loaded.info.special_tokens if s.role != "additional"}
    slow = BertTokenizerLegacy(
        str(file),
        do_lower_case=bool(normalizer["lowercase"]),
        strip_accents=cast("bool | None", normalizer["strip_accents"]),
        tokenize_chinese_chars=bool(normalizer["handle_chinese_chars"]),
        **roles,  # pyright: ignore[reportArgumentType]  # only names that end in _token
    )
    for id_, token in sorted(rust.get_added_tokens_decoder().items()):
        if id_ >= len(tokens):
            slow.add_tokens([cast("TransformersAddedToken", token)])  # the same class
    return slow


def _sentencepiece(loaded: LoadedTokenizer, file: Path) -> PreTrainedTokenizerBase:
    from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

    roles = {s.role: s.token for s in loaded.info.special_tokens if s.role != "additional"}
    try:
        return SentencePieceBackend(vocab_file=str(file), **roles)
    except (RuntimeError, OSError) as error:  # what sentencepiece raises for a file it can't parse
        raise _none(f"{file} is not a SentencePiece model: {error}.") from error
