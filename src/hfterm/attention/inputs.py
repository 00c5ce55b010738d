"""A text as a forward pass takes it, and its tokens as an axis shows them.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hfterm.attention.types import CaptureOptions, Token
from hfterm.errors import HftermError
from hfterm.inference.inputs import prepare
from hfterm.inference.loading import OpenModel

if TYPE_CHECKING:
    from torch import Tensor


_Span = Sequence[int]


@dataclass(frozen=True)
class Fed:
    """What the model is called with.

    Attributes:
        inputs: int64[1, tokens] by name, on the model's device.
        source: the text's tokens.
        target: the decoder's tokens; empty without an encoder.
        tokens: of the whole text.
        note: what was left out, in words.
        windows: that the text has.
    """

    inputs: dict[str, Tensor]
    source: tuple[Token, ...]
    target: tuple[Token, ...]
    tokens: int
    note: str
    windows: int


def feed(opened: OpenModel, text: str, options: CaptureOptions) -> Fed:
    """Tokenize a text for one forward pass.

    Raises:
        HftermError: there are no tokens, or more than the model has positions for.
    """
    tokenizer = opened.text
    if not text.strip():
        raise HftermError("empty", "There is no text, so there are no tokens.", "Type a text.")
    _check_length(opened, text, options)
    prepared = prepare(opened, text, None, options.long, special=options.special)
    row = min(options.window, prepared.windows - 1)
    inputs = {name: value[row : row + 1] for name, value in prepared.inputs.items()}
    ids = cast("list[int]", inputs["input_ids"][0].tolist())
    mask = inputs.get("attention_mask")
    kept = len(ids) if mask is None else int(mask.sum())
    side = tokenizer.padding_side
    if kept < len(ids):  # the last window is padded to the others' length
        cut = slice(0, kept) if side == "right" else slice(len(ids) - kept, None)
        inputs = {name: value[:, cut] for name, value in inputs.items()}
        ids = ids[cut]
    else:
        cut = slice(None)
    spans = cast("Sequence[Sequence[_Span]] | None", prepared.encoding.get("offset_mapping"))
    source = _tokens(opened, ids, text, None if spans is None else [*spans[row]][cut])
    note = ""
    if prepared.cut:
        note = f"The last {prepared.cut:,} of {prepared.tokens:,} tokens were cut off."
    elif prepared.windows > 1:
        note = f"Window {row + 1} of {prepared.windows} of a text of {prepared.tokens:,} tokens."
    target: tuple[Token, ...] = ()
    if opened.model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = shifted = _decoder_ids(opened, options.target or text)
        target = _tokens(opened, cast("list[int]", shifted[0].tolist()), "", None)
    return Fed(inputs, source, target, prepared.tokens, note, prepared.windows)


def _check_length(opened: OpenModel, text: str, options: CaptureOptions) -> None:
    limit = opened.info.limit
    if limit is None or options.long != "ask":
        return
    ids = opened.text(text, add_special_tokens=options.special)["input_ids"]
    tokens = len(cast("Sequence[int]", ids))
    if tokens > limit:
        raise HftermError(
            "too-long",
            f"The text has {tokens:,} tokens and {opened.info.spec.ref} has positions for "
            f"{limit:,}.",
            "Set “long texts” (in a command: --long) to window (overlapping pieces, one at a time) "
            "or truncate (the rest is dropped).",
        )


def _decoder_ids(opened: OpenModel, target: str) -> Tensor:
    """int64[1, tokens]: the target shifted right, as the model does it in training."""
    import torch

    model, limit = opened.model, opened.info.limit
    encoding = opened.text(target, return_tensors="pt", truncation=limit is not None,
                           max_length=limit)  # fmt: skip
    labels = cast("Tensor", encoding["input_ids"]).to(model.device)
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is not None:
        with suppress(AttributeError, ValueError):  # T5's, when nothing says how a decoder starts
            return cast("Tensor", shift(labels))
    # attributes of the config that some architectures lack
    names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    known = (getattr(model.config, name, None) for name in names)
    start = next((id_ for id_ in known if id_ is not None), 0)
    return torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)


def _tokens(
    opened: OpenModel, ids: Sequence[int], text: str, spans: Sequence[Sequence[int]] | None
) -> tuple[Token, ...]:
    tokenizer = opened.text
    special = set(tokenizer.all_special_ids)
    names = cast("list[str | None]", tokenizer.convert_ids_to_tokens([*ids]))
    found: list[Token] = []
    for place, (id_, name) in enumerate(zip(ids, names, strict=True)):
        mark = id_ in special and id_ != tokenizer.unk_token_id
        if spans is not None and not mark:
            start, end = (int(value) for value in spans[place])
            found.append(Token(name or "", text[start:end], id_, mark, start, end))
        else:
            own = "" if mark else str(tokenizer.decode([id_]))
            found.append(Token(name or f"id {id_}", own, id_, mark, -1, -1))
    return tuple(found)
