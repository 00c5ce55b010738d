"""The stages between a text and its ids, each made by the component that does it.

Added tokens split a text before anything else; what stands between two of them is
normalized, pre-tokenized and given to the model on its own. The model's pieces are checked
against the tokenizer's real encoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import cast

from tokenizers import NormalizedString, PreTokenizedString, Tokenizer
from tokenizers.normalizers import Normalizer, Sequence
from tokenizers.pre_tokenizers import PreTokenizer

from hfterm.job import Job
from hfterm.tokenization.added_tokens import AddedTokenFinder, Segment
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.steps_script import STEPS_LIMIT
from hfterm.tokenization.tutorial_stages import decode_text, tutorial_stages
from hfterm.tokenization.views import Piece, Stage, Steps

APART = " Added tokens stay as they are; each stretch between them is treated on its own."


def steps(
    loaded: LoadedTokenizer, text: str, pair: str | None = None, job: Job | None = None
) -> Steps:
    """Every stage of `text` (and `pair`), as it is.

    A Rust-backend tokenizer has the whole pipeline, then the stages of the tutorial; a
    Python-backend one only those. The stages of `pair` up to the model follow those of `text`.

    Args:
        loaded: an open tokenizer.
        text: the first sequence. What is beyond `STEPS_LIMIT` characters of a sequence is cut,
            and `shortened` says so.
        pair: the second sequence, None for a single text.
        job: cancel.
    """
    job = job or Job()
    sequences = [text] if pair is None else [text, pair]
    shortened = STEPS_LIMIT if any(len(sequence) > STEPS_LIMIT for sequence in sequences) else None
    sequences = [sequence[:STEPS_LIMIT] for sequence in sequences]
    stages: list[Stage] = []
    if loaded.fast is not None:
        finder = AddedTokenFinder(loaded.fast)
        for index, sequence in enumerate(sequences):
            job.check()
            stages += _sequence_stages(loaded.fast, finder, sequence, "pair" if index else "text")
        stages += _whole_stages(loaded, loaded.fast, sequences)
    job.check()
    stages += tutorial_stages(loaded, sequences)
    return Steps(tuple(stages), shortened)


def component(part: object) -> str:
    """A component's type, with its members when it is a sequence; ``none`` when it is absent."""
    if part is None:
        return "none"
    name = type(part).__name__
    if name != "Sequence":
        return name
    state: dict[str, object] = json.loads(cast("Normalizer", part).__getstate__())
    return _described(state)


def _described(state: dict[str, object]) -> str:
    """A component by its stored form; a decoder's Sequence shows its members only there."""
    members = [value for value in state.values() if isinstance(value, list)]
    if state["type"] != "Sequence" or not members:
        return str(state["type"])
    names = [_described(member) for member in cast("list[dict[str, object]]", members[0])]
    return f"Sequence({', '.join(names)})"


def _sequence_stages(
    rust: Tokenizer, finder: AddedTokenFinder, text: str, variable: str
) -> Iterator[Stage]:
    """The stages of one sequence, up to the model."""
    yield Stage(name="text", component="str", call=variable, text=text, note=_characters(len(text)))
    segments = finder.in_original(text)
    found = sum(segment.id is not None for segment in segments)
    yield Stage(
        name="added tokens",
        component="AddedVocabulary",
        call="tokenizer.added_tokens_decoder",
        pieces=_pieces(segments),
        offsets_of="original",
        note=(
            f"{found} found: the text is split there before anything else."
            if found
            else "None in the text: it goes on as one piece."
        ),
    )
    yield from _normalizer_stages(rust, segments, variable)
    parts = _normalized_parts(rust, finder, segments)
    normalized = "".join(part.text for part in parts)
    late = len([part for part in parts if part.id is not None]) - found
    if late:
        yield Stage(
            name="added tokens",
            component="AddedVocabulary, normalized",
            call="tokenizer.added_tokens_decoder",
            pieces=_pieces(parts),
            offsets_of="normalized",
            note=f"{late} more found: some added tokens are looked for in the normalized text.",
        )
    words = _pre_tokens(rust, normalized, parts)
    pre_tokenizer = cast("PreTokenizer | None", rust.pre_tokenizer)
    yield Stage(
        name="pre-tokenizer",
        component=component(pre_tokenizer),
        call=(
            "backend.pre_tokenizer.pre_tokenize_str(normalized)"
            if pre_tokenizer is not None
            else "[(normalized, (0, len(normalized)))]"
        ),
        pieces=_pieces(words),
        offsets_of="normalized",
        note=(
            ("" if pre_tokenizer is not None else "There is none: nothing is split further. ")
            + "Offsets refer to the normalized text."
            + (APART if found or late else "")
        ),
    )
    yield _model_stage(rust, words, text, variable)


def _normalizer_stages(rust: Tokenizer, segments: list[Segment], variable: str) -> Iterator[Stage]:
    """One stage for a normalizer, or one for each member of a Sequence of them."""
    normalizer = cast("Normalizer | None", rust.normalizer)
    if normalizer is None:
        yield Stage(
            name="normalizer",
            component="none",
            call=variable,
            text="".join(segment.text for segment in segments),
            note="There is none: the text stays as it is.",
        )
        return
    current = [segment.text for segment in segments]
    source = variable
    alone = APART if any(segment.id is not None for segment in segments) else ""
    for path, member in _flat(normalizer, "backend.normalizer"):
        before = "".join(current)
        current = [
            text if segment.id is not None else member.normalize_str(text)
            for segment, text in zip(segments, current, strict=True)
        ]
        after = "".join(current)
        yield Stage(
            name="normalizer",
            component=type(member).__name__,
            call=f"normalized = {path}.normalize_str({source})",
            text=after,
            note=("Nothing changed." if after == before else _characters(len(after))) + alone,
        )
        source = "normalized"


def _flat(normalizer: Normalizer, path: str) -> Iterator[tuple[str, Normalizer]]:
    """A normalizer, or the members of a Sequence of them, each with the Python that names it."""
    if not isinstance(normalizer, Sequence):
        yield path, normalizer
        return
    index = 0
    while True:
        try:
            member = cast("Normalizer", normalizer[index])
        except IndexError:  # it has no other way to say how many members it has
            return
        yield from _flat(member, f"{path}[{index}]")
        index += 1


def _normalized_parts(
    rust: Tokenizer, finder: AddedTokenFinder, segments: list[Segment]
) -> list[Segment]:
    """The segments after normalization; offsets count characters of the normalized whole."""
    normalizer = cast("Normalizer | None", rust.normalizer)
    parts: list[Segment] = []
    position = 0
    for segment in segments:
        if segment.id is not None:
            inner = [Segment(segment.text, 0, len(segment.text), segment.id, segment.special)]
        else:
            text = normalizer.normalize_str(segment.text) if normalizer else segment.text
            inner = finder.in_normalized(text)
        for part in inner:
            end = position + len(part.text)
            parts.append(Segment(part.text, position, end, part.id, part.special))
            position = end
    return parts


def _pre_tokens(rust: Tokenizer, normalized: str, parts: list[Segment]) -> list[Segment]:
    """What the model gets, added tokens in between; offsets refer to the normalized text.

    Each part is cut out of the whole, not given as a text of its own: some pre-tokenizers
    act only at the beginning of a text.
    """
    pre_tokenizer = cast("PreTokenizer | None", rust.pre_tokenizer)
    if pre_tokenizer is None:
        return parts
    words: list[Segment] = []
    for part in parts:
        if part.id is not None:
            words.append(part)
            continue
        whole = PreTokenizedString(normalized)
        whole.split(partial(_cut, span=(part.start, part.end)))
        pre_tokenizer.pre_tokenize(whole)
        words += [
            Segment(text, start, end) for text, (start, end), _ in whole.get_splits("original")
        ]
    return words


def _cut(_index: int, text: NormalizedString, span: tuple[int, int]) -> list[NormalizedString]:
    """The one piece that is kept of a text: what a `PreTokenizedString` asks to be split into."""
    piece = text.slice(span)
    return [] if piece is None else [piece]


def _model_stage(rust: Tokenizer, words: list[Segment], text: str, variable: str) -> Stage:
    made: list[Piece] = []
    for word in words:
        if word.id is not None:
            made.append(Piece(word.text, id=word.id, special=word.special))
        else:
            made += [Piece(token.value, id=token.id) for token in rust.model.tokenize(word.text)]
    encoding = rust.encode(text, add_special_tokens=False)
    real = list(zip(encoding.tokens, encoding.ids, encoding.offsets, strict=True))
    agrees = [(piece.text, piece.id) for piece in made] == [(t, i) for t, i, _ in real]
    special = {i for i, token in rust.get_added_tokens_decoder().items() if token.special}
    flags = [piece.special for piece in made] if agrees else [i in special for _, i, _ in real]
    return Stage(
        name="model",
        component=component(rust.model),
        call=f"encoding = backend.encode({variable}, add_special_tokens=False)",
        pieces=tuple(
            Piece(token, start, end, id_, flag)
            for (token, id_, (start, end)), flag in zip(real, flags, strict=True)
        ),
        offsets_of="original",
        note=(
            "backend.model.tokenize() of each pre-token, one after the other."
            if agrees
            else "The stages above, done one by one, give other pieces; these are the real ones."
        ),
    )


def _whole_stages(
    loaded: LoadedTokenizer, rust: Tokenizer, sequences: list[str]
) -> Iterator[Stage]:
    """The stages that see both sequences: post-processor, ids, decoded."""
    pair = sequences[1] if len(sequences) > 1 else None
    encoding = rust.encode(sequences[0], pair)
    ids = encoding.ids
    columns = zip(encoding.tokens, ids, encoding.offsets, encoding.special_tokens_mask, strict=True)
    added = sum(encoding.special_tokens_mask)
    yield Stage(
        name="post-processor",
        component=component(rust.post_processor),
        call="encoding = backend.encode(text)"
        if pair is None
        else ("encoding = backend.encode(text, pair)"),
        pieces=tuple(
            Piece(token, None if special else start, None if special else end, id_, bool(special))
            for token, id_, (start, end), special in columns
        ),
        offsets_of="original",
        note=f"{added} token{'' if added == 1 else 's'} added.",
    )
    yield Stage(
        name="ids",
        component="",
        call="ids = encoding.ids",
        text=str(ids),
        pieces=tuple(Piece(str(id_), id=id_) for id_ in ids),
    )
    for skip in (False, True):
        yield Stage(
            name="decoded",
            component=component(rust.decoder),
            call=f"tokenizer.decode(ids{', skip_special_tokens=True' if skip else ''})",
            text=decode_text(loaded, ids, skip_special_tokens=skip),
            note="Without special tokens." if skip else "With special tokens.",
        )


def _pieces(segments: list[Segment]) -> tuple[Piece, ...]:
    return tuple(
        Piece(segment.text, segment.start, segment.end, segment.id, segment.special)
        for segment in segments
    )


def _characters(count: int) -> str:
    return f"{count:,} character{'' if count == 1 else 's'}."
