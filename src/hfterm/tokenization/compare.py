"""Several tokenizers on one text: how much each makes of it, and where they cut differently."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.slow import slow_against_fast
from hfterm.tokenization.types import Encoding
from hfterm.tokenization.views import ComparedTokenizer, Comparison, Difference

__all__ = ["compare", "compare_refs", "slow_against_fast"]

LISTED = 500
"""Differing spans that are listed; all are counted."""
JOINED = 200
"""Characters up to which neighbouring differences are joined to one span."""
SHOWN = 1000
"""Characters and pieces of one difference that are given; an ellipsis stands for the rest."""
RUNS = 5
"""Encodings that are timed, at most."""
PATIENCE = 1.0
"""Seconds of timing after which no further run is begun."""


def compare_refs(
    refs: Sequence[str],
    opener: Callable[[str], LoadedTokenizer],
    text: str,
    job: Job,
) -> Comparison:
    """Open each reference with `opener` and compare those that could be opened.

    The rows are in the order of `refs`; one that can't be opened has its `error` set.
    """
    opened: list[LoadedTokenizer] = []
    errors: dict[int, ComparedTokenizer] = {}
    for index, ref in enumerate(refs):
        job.progress(f"loading {ref}", index, len(refs), "tokenizers")
        try:
            opened.append(opener(ref))
        except HftermError as error:
            errors[index] = ComparedTokenizer(ref=ref, error=str(error))
    found = compare(opened, text, job)
    rows = iter(found.rows)
    return Comparison(
        rows=tuple(errors[i] if i in errors else next(rows) for i in range(len(refs))),
        differences=found.differences,
        different_spans=found.different_spans,
    )


def compare(loaded: Sequence[LoadedTokenizer], text: str, job: Job) -> Comparison:
    """Run every tokenizer on `text`.

    Tokens are those a model would get, specials included. The pieces of a difference are in
    the order of `loaded`, and none for a Python backend, which reports no offsets: it takes
    part in the counts only.
    """
    rows: list[ComparedTokenizer] = []
    cuts: list[_Cuts | None] = []
    for index, one in enumerate(loaded):
        job.progress(f"tokenizing with {one.info.ref}", index, len(loaded), "tokenizers")
        encoding, seconds = _timed(one, text, job)
        rows.append(_row(one, text, encoding, seconds))
        cuts.append(_Cuts(encoding, text, job) if one.fast is not None else None)
    job.progress("comparing", len(loaded), len(loaded), "tokenizers")
    differences, total = _differences(cuts, text, job)
    return Comparison(rows=tuple(rows), differences=tuple(differences), different_spans=total)


def _timed(loaded: LoadedTokenizer, text: str, job: Job) -> tuple[Encoding, list[float]]:
    encoding = encode(loaded, text, job=job)
    seconds = [encoding.seconds]
    while len(seconds) < RUNS and sum(seconds) < PATIENCE:
        job.check()
        seconds.append(encode(loaded, text, job=job).seconds)
    return encoding, seconds


def _row(
    loaded: LoadedTokenizer, text: str, encoding: Encoding, seconds: list[float]
) -> ComparedTokenizer:
    tokens = len(encoding)
    return ComparedTokenizer(
        ref=loaded.info.ref,
        cls=loaded.info.cls,
        backend=loaded.info.backend,
        model=loaded.info.model,
        vocab_size=loaded.info.vocab_size,
        tokens=tokens,
        characters_per_token=encoding.characters / tokens if tokens else 0.0,
        bytes_per_token=encoding.utf8_bytes / tokens if tokens else 0.0,
        unknown=encoding.unknown(),
        seconds=statistics.median(seconds),
        runs=len(seconds),
        roundtrip=decoded(loaded, encoding) == text,
    )


def decoded(loaded: LoadedTokenizer, encoding: Encoding) -> str:
    """The text that the tokens decode to, without those that the post-processor adds."""
    special = encoding.special
    ids = [id_ for i, id_ in enumerate(encoding.column("ids")) if not special[i]]
    if loaded.fast is not None:
        return loaded.fast.decode(ids, skip_special_tokens=False)
    return cast("str", loaded.transformers().decode(ids, clean_up_tokenization_spaces=False))


class _Cuts:
    """Where one tokenizer cuts a text.

    A token's white space at either end does not count, or every word of a byte-level
    tokenizer would differ from BERT's; a token of nothing but white space does.
    """

    def __init__(self, encoding: Encoding, text: str, job: Job) -> None:
        self.encoding = encoding
        self.rows: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        starts, ends = encoding.column("starts"), encoding.column("ends")
        for row in range(len(encoding)):
            if row % 4096 == 0:
                job.check()
            start, end = starts[row], ends[row]
            if encoding.special[row] or start >= end:
                continue
            piece = text[start:end]
            if piece and not piece.isspace():
                start += len(piece) - len(piece.lstrip())
                end -= len(piece) - len(piece.rstrip())
            self.rows.append(row)
            self.starts.append(start)
            self.ends.append(end)

    def positions(self) -> set[int]:
        """Positions that no token straddles and where one begins or ends."""
        found: set[int] = set()
        reach = 0
        for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            if start >= reach:
                found.add(start)
            reach = max(reach, end)
            if i + 1 == len(self.starts) or self.starts[i + 1] >= reach:
                found.add(reach)
        return found

    def within(self, start: int, end: int) -> range:
        """Indices of the tokens that begin in [start, end)."""
        return range(bisect_left(self.starts, start), bisect_left(self.starts, end))

    def spans(self, start: int, end: int) -> list[tuple[int, int]]:
        """Their spans."""
        return [(self.starts[i], self.ends[i]) for i in self.within(start, end)]

    def pieces(self, start: int, end: int) -> tuple[str, ...]:
        """Their strings, as the tokenizer writes them."""
        inside = self.within(start, end)
        found = tuple(self.encoding.token(self.rows[i]).token for i in inside[:SHOWN])
        return found if len(inside) <= SHOWN else (*found, "…")


def _shown(text: str, start: int, end: int) -> str:
    return text[start:end] if end - start <= SHOWN else text[start : start + SHOWN] + "…"


def _differences(cuts: Sequence[_Cuts | None], text: str, job: Job) -> tuple[list[Difference], int]:
    """Spans between cuts that all share, in which some cuts are not shared.

    Those that touch are joined, but for white space between them: words stay apart.
    """
    with_offsets = [one for one in cuts if one is not None]
    if len(with_offsets) < 2:
        return [], 0
    shared = set.intersection(*(one.positions() | {0, len(text)} for one in with_offsets))
    edges = sorted(shared)
    spans: list[tuple[int, int]] = []
    total = 0
    begin = last_end = -1
    for index, (start, end) in enumerate(pairwise(edges)):
        if index % 4096 == 0:
            job.check()
        first = with_offsets[0].spans(start, end)
        if all(one.spans(start, end) == first for one in with_offsets[1:]):
            continue
        joins = start == last_end and not (
            text[start:end].isspace() or text[start - 1].isspace() or end - begin > JOINED
        )
        if joins:
            if total <= LISTED:
                spans[-1] = (spans[-1][0], end)
        else:
            total += 1
            begin = start
            if total <= LISTED:
                spans.append((start, end))
        last_end = end
    return [
        Difference(
            start,
            end,
            _shown(text, start, end),
            tuple(() if one is None else one.pieces(start, end) for one in cuts),
        )
        for start, end in spans
    ], total
