"""Token statistics of a whole file or data set, read in batches: memory does not grow with it."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil

from hfterm.hub.texts import TextSource
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.views import Statistics

BATCH = 512
"""Texts encoded in one call, and at most this many characters of them: 0.2 s of work."""
BATCH_CHARACTERS = 1 << 18
TOP = 50
"""Tokens listed by frequency."""


def statistics(loaded: LoadedTokenizer, ref_or_path: str, job: Job) -> Statistics:
    """Tokenize every text of a file or starter data set, as a model would get it.

    Special tokens are counted, nothing is padded or cut. A cancel is honoured between two
    batches. Memory: four bytes a text, and a batch.

    Raises:
        HftermError: the file can't be read, or it is not clear which column is the text.
    """
    began = time.perf_counter()
    source = TextSource(ref_or_path)
    lengths = array("I")
    counts: Counter[int] = Counter()
    characters = utf8_bytes = 0
    for batch in _batches(source):
        job.progress("tokenizing", source.done, source.size, "bytes")
        rows = _ids(loaded, batch)
        lengths.extend(map(len, rows))
        counts.update(chain.from_iterable(rows))
        characters += sum(map(len, batch))
        utf8_bytes += sum(len(text.encode("utf-8", "replace")) for text in batch)
    job.progress("tokenizing", source.size, source.size, "bytes")
    limit = loaded.info.model_max_length
    unk_id = loaded.info.unk_id
    ordered = sorted(lengths)
    return Statistics(
        path=str(source.path),
        texts=len(lengths),
        characters=characters,
        utf8_bytes=utf8_bytes,
        tokens=counts.total(),
        unknown=counts[unk_id] if unk_id is not None else 0,
        distinct=sum(1 for count in counts.values() if count),
        vocab_size=loaded.info.vocab_size,
        lengths=_summary(ordered),
        histogram=_histogram(ordered),
        top=tuple((_name(loaded, id_), count) for id_, count in counts.most_common(TOP)),
        limit=limit,
        over_limit=None if limit is None else sum(1 for length in ordered if length > limit),
        seconds=time.perf_counter() - began,
    )


def _batches(source: TextSource) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in source:
        batch.append(text)
        size += len(text)
        if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _ids(loaded: LoadedTokenizer, batch: list[str]) -> list[list[int]]:
    if loaded.fast is not None:
        return [encoding.ids for encoding in loaded.fast.encode_batch_fast(batch)]
    auto = loaded.transformers()
    return auto(batch, truncation=False, padding=False, verbose=False)["input_ids"]


def _name(loaded: LoadedTokenizer, id_: int) -> str:
    if loaded.fast is not None:
        return loaded.fast.id_to_token(id_) or ""
    return str(loaded.transformers().convert_ids_to_tokens(id_))


def _percentile(ordered: Sequence[int], share: float) -> float:
    """The smallest length that `share` of the texts do not exceed (nearest rank)."""
    return float(ordered[max(0, ceil(share * len(ordered)) - 1)])


def _summary(ordered: Sequence[int]) -> dict[str, float]:
    if not ordered:
        return {}
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {
        "minimum": float(ordered[0]),
        "median": float(median),
        "mean": sum(ordered) / len(ordered),
        "p95": _percentile(ordered, 0.95),
        "p99": _percentile(ordered, 0.99),
        "maximum": float(ordered[-1]),
    }


def _histogram(ordered: Sequence[int], bins: int = 20) -> tuple[tuple[int, int], ...]:
    """(upper bound, texts) with bounds that rise by a round number of tokens."""
    if not ordered:
        return ()
    step = _round_step(ordered[-1] / bins)
    counts = Counter((max(length, 1) + step - 1) // step for length in ordered)
    last = max(counts)
    return tuple((bin_ * step, counts[bin_]) for bin_ in range(1, last + 1))


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below `least`."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= least:
                return factor * power
        power *= 10
