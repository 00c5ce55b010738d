"""The four stages by which tutorials explain a tokenizer, for every backend.

tokenize, convert_tokens_to_ids, add the special tokens, decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.views import Piece, Stage


def decode_text(
    loaded: LoadedTokenizer, ids: list[int], *, skip_special_tokens: bool = False
) -> str:
    """What `tokenizer.decode` gives; the Rust decoder's text while transformers is not there."""
    if loaded.auto is not None:
        return cast("str", loaded.auto.decode(ids, skip_special_tokens=skip_special_tokens))
    return loaded.rust().decode(ids, skip_special_tokens=skip_special_tokens)


def tutorial_stages(loaded: LoadedTokenizer, sequences: list[str]) -> Iterator[Stage]:
    """The tutorial's stages of one text, or of a text and its pair."""
    inner: list[int | None] = []
    for index, sequence in enumerate(sequences):
        variable = "pair" if index else "text"
        tokens = _tokenize(loaded, sequence)
        ids = _to_ids(loaded, tokens)
        yield Stage(
            name="tokenize",
            component=loaded.info.cls,
            call=f"tokens = tokenizer.tokenize({variable})",
            text=str(tokens),
            pieces=tuple(Piece(token) for token in tokens),
        )
        yield Stage(
            name="convert_tokens_to_ids",
            component=loaded.info.cls,
            call="ids = tokenizer.convert_tokens_to_ids(tokens)",
            text=str(ids),
            pieces=tuple(Piece(t, id=i) for t, i in zip(tokens, ids, strict=True)),
        )
        inner += ids
    full, mask = _full(loaded, sequences)
    yield _specials_stage(loaded, sequences, inner, full, mask)
    yield Stage(
        name="decode",
        component=loaded.info.cls,
        call="tokenizer.decode(ids)",
        text=decode_text(loaded, full),
    )


def _tokenize(loaded: LoadedTokenizer, text: str) -> list[str]:
    if loaded.fast is not None:
        # what tokenizer.tokenize() returns, without changing the object transformers shares
        return loaded.fast.encode(text, add_special_tokens=False).tokens
    return loaded.transformers().tokenize(text)


def _to_ids(loaded: LoadedTokenizer, tokens: list[str]) -> list[int | None]:
    if loaded.auto is not None:
        return cast("list[int | None]", loaded.auto.convert_tokens_to_ids(tokens))
    rust, unk = loaded.rust(), loaded.info.unk_id
    found = [rust.token_to_id(token) for token in tokens]
    return [unk if id_ is None else id_ for id_ in found]


def _full(loaded: LoadedTokenizer, sequences: list[str]) -> tuple[list[int], list[int]]:
    """The ids of the tokenizer's own call, and which of them it added."""
    if loaded.fast is not None:
        encoding = loaded.fast.encode(sequences[0], sequences[1] if len(sequences) > 1 else None)
        return encoding.ids, encoding.special_tokens_mask
    out = loaded.transformers()(
        [sequences[0]],
        [sequences[1]] if len(sequences) > 1 else None,
        truncation=False,
        padding=False,
        return_special_tokens_mask=True,
        verbose=False,
    )
    return out["input_ids"][0], special_mask(
        loaded, out["input_ids"][0], out["special_tokens_mask"][0]
    )


def special_mask(loaded: LoadedTokenizer, ids: list[int], mask: list[int]) -> list[int]:
    """The special tokens mask, made anew where a Python backend's does not fit its own ids.

    ByT5 adds no second ``</s>`` to a text that ends with one, but counts it in the mask.
    """
    if len(mask) == len(ids):
        return mask
    special = set(loaded.transformers().all_special_ids)
    return [int(id_ in special) for id_ in ids]


def _specials_stage(
    loaded: LoadedTokenizer,
    sequences: list[str],
    inner: list[int | None],
    full: list[int],
    mask: list[int],
) -> Stage:
    names = {
        special.id: f"tokenizer.{special.role}_id"
        for special in reversed(loaded.info.special_tokens)
        if special.role != "additional"
    }
    call = 'ids = tokenizer(text)["input_ids"]'
    note = ""
    if len(sequences) > 1:
        call = 'ids = tokenizer([text], [pair])["input_ids"][0]'
    else:
        count = len(inner)
        before = next(
            (k for k in range(len(full) - count + 1) if full[k : k + count] == inner), None
        )
        if before is None:
            note = (
                "convert_tokens_to_ids alone gives other ids: it can't know how these tokens "
                "came about. These are the ids of tokenizer(text)."
            )
        else:
            terms = [
                "[" + ", ".join(names.get(id_, str(id_)) for id_ in ids) + "]" if ids else ""
                for ids in (full[:before], full[before + count :])
            ]
            call = "ids = " + " + ".join(term for term in (terms[0], "ids", terms[1]) if term)
            if not any(terms):
                note = "This tokenizer adds none."
    texts = loaded.fast.id_to_token if loaded.fast is not None else None
    return Stage(
        name="add specials",
        component=loaded.info.cls,
        call=call,
        text=str(full),
        pieces=tuple(
            Piece((texts(id_) if texts else _name(loaded, id_)) or "", id=id_, special=bool(flag))
            for id_, flag in zip(full, mask, strict=True)
        ),
        note=note,
    )


def _name(loaded: LoadedTokenizer, id_: int) -> str | None:
    return cast("str | None", loaded.transformers().convert_ids_to_tokens(id_))
