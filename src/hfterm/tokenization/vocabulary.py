"""Looking into a vocabulary: search it, and decode any ids."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, cast
from weakref import WeakKeyDictionary

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.parsing import parse_ids
from hfterm.tokenization.tutorial_stages import decode_text
from hfterm.tokenization.views import Decoded, VocabularyEntry, VocabularyPage

__all__ = ["Mode", "decode_ids", "parse_ids", "search"]

Mode = Literal["text", "regex", "id", "all"]

REGEX_SECONDS = 2.0
"""What a pattern may take over the whole vocabulary before it is given up."""
SHORT = 16
"""Characters of a token in which no pattern can run long; longer ones get a timeout each."""
CHECK_EVERY = 4096
"""Tokens between two looks at whether the search is still wanted."""
RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)


@dataclass
class _Table:
    """The vocabulary of one tokenizer, by ascending id."""

    ids: list[int]
    tokens: list[str]
    added: dict[int, bool]
    scores: dict[str, float]
    place: dict[int, int]
    folded: list[str] = field(default_factory=lambda: [])
    folded_decoded: list[str] = field(default_factory=lambda: [])


_tables: WeakKeyDictionary[LoadedTokenizer, _Table] = WeakKeyDictionary()


def search(
    loaded: LoadedTokenizer,
    query: str,
    mode: Mode = "text",
    offset: int = 0,
    limit: int = 100,
    *,
    job: Job | None = None,
) -> VocabularyPage:
    """The entries that match `query`, in id order, `limit` of them from `offset`.

    Args:
        loaded: an open tokenizer.
        query: for ``text``, a part of the token or of what it decodes to, in any case; for
            ``regex``, a pattern searched for in the token; for ``id``, ids and ranges
            (``101``, ``100-120``, ``101, 102``). ``all`` and an empty query match everything.
        mode: how `query` is meant.
        offset: matches to skip.
        limit: matches to return; `total` of the page counts all.
        job: cancel.

    Raises:
        HftermError: a bad pattern, one that takes too long, or a bad id.
    """
    job = job or Job()
    table = _table(loaded, job)
    if mode == "all" or not query:
        found: list[int] = list(range(len(table.ids)))
    elif mode == "id":
        found = _by_id(table, query)
    elif mode == "regex":
        found = _by_regex(table, query, job)
    else:
        found = _by_text(loaded, table, query, job)
    page = found[offset : offset + limit]
    return VocabularyPage(
        entries=tuple(_entry(loaded, table, place) for place in page),
        total=len(found),
        vocab_size=len(table.ids),
    )


def decode_ids(loaded: LoadedTokenizer, ids: list[int]) -> Decoded:
    """What `ids` decode to.

    Raises:
        HftermError: an id that the vocabulary does not have.
    """
    table = _table(loaded, Job())
    tokens: list[str] = []
    for id_ in ids:
        place = table.place.get(id_)
        if place is None:
            raise HftermError(
                "bad-id",
                f"{loaded.info.ref} has no token {id_}: its vocabulary has {len(table.ids):,} "
                f"entries, ids {table.ids[0]} to {table.ids[-1]}.",
                "Take that id out.",
            )
        tokens.append(table.tokens[place])
    return Decoded(
        ids=tuple(ids),
        tokens=tuple(tokens),
        text=decode_text(loaded, ids),
        clean=decode_text(loaded, ids, skip_special_tokens=True),
    )


def _table(loaded: LoadedTokenizer, job: Job) -> _Table:
    """The vocabulary of `loaded`, read once."""
    table = _tables.get(loaded)
    if table is None:
        job.progress("reading the vocabulary")
        if loaded.fast is not None:
            vocabulary = loaded.fast.get_vocab()
            added = loaded.fast.get_added_tokens_decoder()
        else:
            auto = loaded.transformers()
            vocabulary = auto.get_vocab()
            added = auto.added_tokens_decoder
        names = {id_: token for token, id_ in vocabulary.items()}
        # an added token need not be in what get_vocab() gives
        names |= {id_: token.content for id_, token in added.items()}
        ids = sorted(names)
        table = _Table(
            ids=ids,
            tokens=[names[id_] for id_ in ids],
            added={id_: token.special for id_, token in added.items()},
            scores=_scores(loaded),
            place={id_: place for place, id_ in enumerate(ids)},
        )
        _tables[loaded] = table
    return table


def _scores(loaded: LoadedTokenizer) -> dict[str, float]:
    """The log probabilities of a Unigram model; the other models have none."""
    if loaded.fast is None or loaded.info.model != "Unigram":
        return {}
    state: dict[str, list[tuple[str, float]]] = json.loads(loaded.fast.model.__getstate__())
    return dict(state["vocab"])


def _entry(loaded: LoadedTokenizer, table: _Table, place: int) -> VocabularyEntry:
    id_, token = table.ids[place], table.tokens[place]
    return VocabularyEntry(
        id=id_,
        token=token,
        decoded=decode_text(loaded, [id_]),
        added=id_ in table.added,
        special=table.added.get(id_, False),
        score=table.scores.get(token),
    )


def _by_text(loaded: LoadedTokenizer, table: _Table, query: str, job: Job) -> list[int]:
    if not table.folded:
        folded = decoded = [token.casefold() for token in table.tokens]
        job.check()
        if loaded.fast is not None:
            # byte-level pieces are unreadable as they are stored, so their text counts too
            texts = loaded.fast.decode_batch(
                [[id_] for id_ in table.ids], skip_special_tokens=False
            )
            decoded = [text.casefold() for text in texts]
        # a search that is stopped before leaves neither
        table.folded, table.folded_decoded = folded, decoded
        job.check()
    wanted = query.casefold()
    both = zip(table.folded, table.folded_decoded, strict=True)
    return [place for place, (token, text) in enumerate(both) if wanted in token or wanted in text]


def _by_id(table: _Table, query: str) -> list[int]:
    places: set[int] = set()
    tight = re.sub(r"\s*(?:-|–|\.\.)\s*", "-", query)
    for part in filter(None, re.split(r"[,;\s]+", tight)):
        if span := RANGE.fullmatch(part):
            low, high = int(span[1][:20]), int(span[2][:20])
            if low > high:
                raise HftermError(
                    "bad-id", f"The range {part} ends before it begins.", "Write it as 100-120."
                )
            places.update(place for place, id_ in enumerate(table.ids) if low <= id_ <= high)
        elif part.isascii() and part.isdigit():
            if int(part[:20]) in table.place:
                places.add(table.place[int(part[:20])])
        else:
            raise HftermError(
                "bad-id",
                f"{part[:40]!r} is neither an id nor a range of ids.",
                "Write 101, or 100-120, or several with commas.",
            )
    return sorted(places)


def _by_regex(table: _Table, query: str, job: Job) -> list[int]:
    import regex

    try:
        pattern = regex.compile(query)
    except regex.error as error:
        wrong = cast("re.error", error)  # it has the same attributes, which its types leave out
        raise HftermError(
            "bad-pattern",
            f"The pattern {query[:80]!r} is wrong at character {(wrong.pos or 0) + 1}: "
            f"{wrong.msg}.",
            r"Correct it there; a literal ( or [ is written \( or \[.",
        ) from error
    search_in = cast("Callable[..., object]", pattern.search)
    try:
        return list(_matching(table.tokens, search_in, job))
    except TimeoutError as error:
        raise HftermError(
            "slow-pattern",
            f"The pattern {query[:80]!r} takes more than {REGEX_SECONDS:g} seconds: "
            "it tries too many ways to match.",
            "Avoid a repetition inside a repetition, such as (a+)+.",
        ) from error


def _matching(tokens: list[str], matches: Callable[..., object], job: Job) -> Iterator[int]:
    """The places whose token matches; TimeoutError when the budget is spent."""
    deadline = time.monotonic() + REGEX_SECONDS
    for place, token in enumerate(tokens):
        if place % CHECK_EVERY == 0:
            job.check()
        if len(token) <= SHORT:
            # a timeout of its own would cost more than the search
            if place % SHORT == 0 and time.monotonic() > deadline:
                raise TimeoutError
            if matches(token):
                yield place
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if matches(token, timeout=left):
            yield place
