"""Texts as a model takes them: what fits, what is cut, what is cut into windows.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.inference.loading import OpenModel
from hfterm.inference.options import OVERLAP
from hfterm.inference.types import Long

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import BatchEncoding


@dataclass(frozen=True)
class Prepared:
    """A text, tokenized.

    Attributes:
        encoding: one row a window, with offsets where the tokenizer knows them.
        inputs: what the model is called with, on its device: int64[windows, tokens].
        tokens: of the whole text, specials included.
        cut: tokens that were cut off.
    """

    encoding: BatchEncoding
    inputs: dict[str, Tensor]
    tokens: int
    cut: int

    @property
    def windows(self) -> int:
        """Rows."""
        return int(self.inputs["input_ids"].shape[0])


def ensure_padding(opened: OpenModel) -> None:
    """Give a tokenizer without a padding token its end token, as fine-tuning scripts do."""
    tokenizer = opened.text
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    config = opened.model.config
    # an attribute of the config that some architectures lack, RWKV say
    unset = getattr(config, "pad_token_id", None) is None
    if unset and tokenizer.pad_token_id is not None:
        config.pad_token_id = int(cast("int", tokenizer.pad_token_id))


def too_long(opened: OpenModel, tokens: int, what: str = "text") -> HftermError:
    """The error for a text that does not fit, with the ways out."""
    return HftermError(
        "too-long",
        f"The {what} has {tokens:,} tokens and {opened.info.spec.ref} takes {opened.info.limit:,}.",
        "Set “long texts” (in a command: --long) to truncate (the rest is dropped) or window "
        "(overlapping pieces).",
    )


def no_tokens(row: int) -> HftermError:
    """The error for a text of a batch, counted from 0, that has no tokens at all."""
    return HftermError(
        "empty",
        f"Row {row + 1:,}: there is no text, so there are no tokens.",
        "Remove the row, or put a text into it.",
    )


def prepare(
    opened: OpenModel, text: str, pair: str | None = None, long: Long = "ask", *,
    only_pair: bool = False, always_window: bool = False, special: bool = True, spare: int = 0,
) -> Prepared:  # fmt: skip
    """Tokenize a text, or a pair, for the model.

    Args:
        opened: the model.
        text: the text.
        pair: a second sequence.
        long: what to do when it does not fit.
        only_pair: cut or slide the second sequence only (a question stays whole).
        always_window: slide even when nobody said so: the task is made for it.
        special: with the special tokens that the tokenizer adds.
        spare: a prompt's: cut from its beginning, and so far that as many tokens fit after it.

    Raises:
        HftermError: it does not fit and `long` is ``ask``, or the tokenizer is another model's.
    """
    tokenizer = opened.text
    limit = opened.info.limit
    told: dict[str, object] = {
        "return_tensors": "pt",
        "return_special_tokens_mask": True,
        "add_special_tokens": special,
    }
    if tokenizer.is_fast:
        told["return_offsets_mapping"] = True
    plain = tokenizer(text, pair, truncation=False, add_special_tokens=special)
    tokens = len(cast("Sequence[int]", plain["input_ids"]))
    cut = 0
    side = tokenizer.truncation_side
    if limit is not None and tokens > limit - bool(spare):
        if long == "ask" and not always_window:
            if spare:
                raise too_long(opened, tokens + 1, "prompt with one new token")
            raise too_long(opened, tokens, "pair of texts" if pair is not None else "text")
        told |= {"truncation": "only_second" if only_pair else True, "max_length": limit - spare}
        if only_pair:
            _check_first(opened, tokens, pair or "", slides=long != "truncate")
        if long == "truncate":
            cut = tokens - limit + spare
        else:
            told |= _windows(opened, limit)
            tokenizer.truncation_side = "right"  # windows from the beginning on
        if spare:
            tokenizer.truncation_side = "left"
    try:
        encoding = tokenizer(text, pair, **told)  # pyright: ignore[reportCallIssue, reportArgumentType]
    finally:
        tokenizer.truncation_side = side
    return Prepared(encoding, model_inputs(opened, encoding), tokens, cut)


def _windows(opened: OpenModel, limit: int) -> dict[str, object]:
    if not opened.text.is_fast:
        raise HftermError(
            "no-windows",
            f"{opened.info.tokenizer} is a Python tokenizer: it can't cut a text into windows.",
            "Set “long texts” (--long) to truncate, or use the fast tokenizer of the same model.",
        )
    ensure_padding(opened)
    return {
        "stride": limit // OVERLAP,
        "return_overflowing_tokens": True,
        "padding": True,
        "return_attention_mask": True,
    }


def _check_first(opened: OpenModel, tokens: int, pair: str, *, slides: bool) -> None:
    """Refuse a first sequence that leaves no room for the second, which would be cut to nothing."""
    limit = opened.info.limit or 0
    alone = opened.text(pair, add_special_tokens=False, truncation=False)
    first = tokens - len(cast("Sequence[int]", alone["input_ids"]))
    if limit - first <= (limit // OVERLAP if slides else 0):
        raise HftermError(
            "too-long",
            f"The question has {first:,} tokens and {opened.info.spec.ref} takes {limit:,} with "
            "its context.",
            "Shorten the question.",
        )


def model_inputs(opened: OpenModel, encoding: Mapping[str, object]) -> dict[str, Tensor]:
    """What of an encoding the model's forward takes, on its device.

    Raises:
        HftermError: an id is outside of the model's vocabulary.
    """
    accepted = inspect.signature(opened.model.forward).parameters
    inputs = {
        name: cast("Tensor", value).to(opened.model.device)
        for name, value in encoding.items()
        if name in accepted
    }
    ids = inputs["input_ids"]
    rows = _vocabulary(opened)
    if rows is not None and ids.numel() and int(ids.max()) >= rows:
        raise HftermError(
            "vocabulary",
            f"The tokenizer gives id {int(ids.max()):,}, but the model knows only {rows:,}.",
            "Use the tokenizer the model was trained with.",
        )
    if not ids.numel():
        raise HftermError("empty", "There is no text, so there are no tokens.", "Type a text.")
    types = inputs.get("token_type_ids")
    kinds = getattr(opened.model.config, "type_vocab_size", None)
    if types is not None and isinstance(kinds, int) and int(types.max()) >= max(kinds, 1):
        raise HftermError(
            "vocabulary",
            f"The tokenizer gives token type {int(types.max())}, but the model knows only {kinds}.",
            "Use the tokenizer the model was trained with.",
        )
    return inputs


def _vocabulary(opened: OpenModel) -> int | None:
    """Ids that the model has embeddings for; None when its class does not say where they are."""
    try:
        embeddings = opened.model.get_input_embeddings()
    except NotImplementedError:  # of a repository's own code: the library finds none by itself
        return None
    return int(cast("Tensor", embeddings.weight).shape[0])


def check_finite(opened: OpenModel, logits: Tensor) -> None:
    """Refuse logits that are no numbers, naming the weights at fault.

    Raises:
        HftermError: a logit is NaN or infinite.
    """
    import torch

    if bool(torch.isfinite(logits).all()):
        return
    bad = [
        name
        for name, weight in opened.model.named_parameters()
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all())
    ]
    if len(bad) == 1:
        cause = f"1 weight holds NaN or infinite values, {bad[0]}"
    elif bad:
        cause = f"{len(bad):,} weights hold NaN or infinite values, {bad[0]} the first"
    else:
        cause = f"the weights are finite, so {opened.info.dtype} overflowed"
    remedy = "Load it in float32; if that is no better, the checkpoint is damaged."
    if opened.info.dtype == "float32":
        remedy = (
            "The checkpoint is damaged: fetch it again, or choose another model."
            if bad
            else "No dtype here is wider: choose another model or checkpoint."
        )
    raise HftermError("not-finite", f"The logits are NaN or infinite: {cause}.", remedy)


def token_names(opened: OpenModel, ids: Sequence[int]) -> list[str]:
    """The tokens of `ids`; an id that the tokenizer does not know is named by itself."""
    names = cast("list[str | None]", opened.text.convert_ids_to_tokens([*ids]))
    return [f"id {id_}" if name is None else name for id_, name in zip(ids, names, strict=True)]


def special_of(prepared: Prepared, window: int) -> list[bool]:
    """Whether each token of a window is one that the tokenizer added, or padding."""
    rows = cast("Tensor", prepared.encoding["special_tokens_mask"])
    return [bool(special) for special in rows[window].tolist()]


def offsets_of(prepared: Prepared, window: int) -> list[tuple[int, int]] | None:
    """(start, end) of each token of a window; None when the tokenizer knows none."""
    if "offset_mapping" not in prepared.encoding:
        return None
    rows = cast("Tensor", prepared.encoding["offset_mapping"])
    return [(int(start), int(end)) for start, end in rows[window].tolist()]
