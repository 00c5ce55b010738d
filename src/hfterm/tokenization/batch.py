"""Several texts at once, exactly as the transformers tokenizer batches them.

It pads, cuts and makes windows by changing the Rust object that it shares with whoever
holds it, so that object's settings are put back after each batch.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.tutorial_stages import special_mask
from hfterm.tokenization.views import BatchOptions, BatchResult, BatchRow

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BatchEncoding, PreTrainedTokenizerFast


def encode_batch(
    loaded: LoadedTokenizer,
    texts: list[str],
    pairs: list[str] | None,
    options: BatchOptions,
    job: Job | None = None,
) -> BatchResult:
    """Tokenize `texts` (each with its pair) into rows, padded and cut as `options` say.

    Args:
        loaded: a tokenizer that transformers has opened.
        texts: at least one.
        pairs: the second sequences, as many as `texts`; None for single texts.
        options: the arguments of the tokenizer's own call.
        job: progress and cancel.

    Raises:
        HftermError: the options do not fit the tokenizer or the texts, or it has no padding token.
    """
    job = job or Job()
    auto = loaded.transformers()
    _check(loaded, texts, pairs, options)
    job.progress("tokenizing", 0, len(texts), "texts")
    with _settings_kept(loaded):
        batch = _call(loaded, texts, pairs, options)
    job.check()
    ids: list[list[int]] = batch["input_ids"]
    masks: list[list[int]] = batch["attention_mask"]
    windows = options.overflow and options.truncation != "none"
    samples: list[int] = batch["overflow_to_sample_mapping"] if windows else list(range(len(texts)))
    decoded = auto.batch_decode(ids)
    clean = auto.batch_decode(ids, skip_special_tokens=True)
    rows = tuple(
        BatchRow(
            sample=samples[index],
            ids=tuple(ids[index]),
            tokens=_tokens(loaded, batch, index),
            mask=tuple(masks[index]),
            type_ids=_fitted(batch["token_type_ids"][index], len(ids[index])),
            special=tuple(special_mask(loaded, ids[index], batch["special_tokens_mask"][index])),
            decoded=decoded[index],
            decoded_clean=clean[index],
        )
        for index in range(len(ids))
    )
    lengths = sorted({len(row) for row in ids})
    shape = (len(ids), lengths[0]) if len(lengths) == 1 else None
    job.progress("tokenizing", len(texts), len(texts), "texts")
    return BatchResult(
        rows=rows,
        shape=shape,
        shape_error="" if shape else _why_ragged(loaded, options, lengths),
        padded=sum(row.count(0) for row in masks),
        cut=0 if windows else _cut(loaded, texts, pairs, options, batch),
        keys=_keys(loaded, windows),
        pad_token=cast("str | None", auto.pad_token),
        pad_id=cast("int | None", auto.pad_token_id),
    )


def _fitted(type_ids: list[int], count: int) -> tuple[int, ...]:
    """One type id a token; ByT5 gives one too many where a text brings its own end token."""
    return tuple((type_ids + type_ids[-1:] * count)[:count])


def _check(
    loaded: LoadedTokenizer, texts: list[str], pairs: list[str] | None, options: BatchOptions
) -> None:
    """Refuse what the library would fail at without naming it, or silently not do."""
    if not texts:
        raise HftermError("empty", "The batch has no texts.", "Type at least one.")
    if pairs is not None and len(pairs) != len(texts):
        raise HftermError(
            "bad-batch",
            f"There are {len(texts)} texts but {len(pairs)} pairs.",
            "Give every text a pair, or none.",
        )
    auto = loaded.transformers()
    if options.padding != "none" and auto.pad_token is None:
        raise HftermError(
            "no-pad-token",
            f"{loaded.info.ref} has no padding token, so its rows can't be padded.",
            "Choose padding none; in Python, set tokenizer.pad_token = tokenizer.eos_token first.",
        )
    for name, value, least in (
        ("max_length", options.max_length, 1),
        ("stride", options.stride, 0),
        ("pad_to_multiple_of", options.pad_to_multiple_of, 1),
    ):
        if value is not None and value < least:
            raise HftermError("bad-option", f"{name} is {value}.", f"It must be at least {least}.")
    if options.truncation == "only_second" and pairs is None:
        raise HftermError(
            "bad-option",
            "Truncation only_second cuts the second text of a pair, and there are no pairs.",
            "Add pairs, or choose only_first or longest_first.",
        )
    if options.truncation == "none":
        return
    if options.overflow and loaded.fast is None:
        raise HftermError(
            "python-backend",
            f"{loaded.info.cls} is a Python-backend tokenizer: it makes no overflowing windows.",
            "Turn windows off, or use a tokenizer with a tokenizer.json.",
        )
    limit = options.max_length or loaded.info.model_max_length
    if limit is None:
        return
    added = auto.num_special_tokens_to_add(pairs is not None) if options.add_special_tokens else 0
    if limit < added:
        raise HftermError(
            "bad-option",
            f"max_length is {limit}, but the tokenizer adds {added} special tokens to every text, "
            "and the library would cut nothing.",
            f"Choose a max_length of more than {added}.",
        )
    if options.stride and options.stride >= limit - added:
        raise HftermError(
            "bad-option",
            f"stride is {options.stride}, but a window of {limit} tokens has only "
            f"{limit - added} of the text beside {added} special ones.",
            f"Choose a stride below {limit - added}.",
        )


@contextmanager
def _settings_kept(loaded: LoadedTokenizer) -> Generator[None]:
    """Put the padding and truncation of the object that transformers shares back afterwards."""
    if loaded.fast is None:
        yield
        return
    shared: Tokenizer = cast("PreTrainedTokenizerFast", loaded.transformers()).backend_tokenizer
    padding, truncation = shared.padding, shared.truncation
    try:
        yield
    finally:
        if padding is None:
            shared.no_padding()
        else:
            shared.enable_padding(**padding)
        if truncation is None:
            shared.no_truncation()
        else:
            shared.enable_truncation(**truncation)


def _call(
    loaded: LoadedTokenizer, texts: list[str], pairs: list[str] | None, options: BatchOptions
) -> BatchEncoding:
    auto = loaded.transformers()
    truncate = options.truncation != "none"
    try:
        return auto(
            texts,
            pairs,
            add_special_tokens=options.add_special_tokens,
            padding=False if options.padding == "none" else options.padding,
            padding_side=options.padding_side,
            truncation=options.truncation if truncate else False,
            max_length=options.max_length,
            stride=options.stride,
            pad_to_multiple_of=options.pad_to_multiple_of,
            return_special_tokens_mask=True,
            return_token_type_ids=True,
            return_attention_mask=True,
            verbose=False,
            return_overflowing_tokens=options.overflow and truncate,
        )
    except Exception as error:
        # Rust raises bare Exception, transformers ValueError, OverflowError and others: each
        # says that the options do not fit, in words that are worth showing.
        raise _refused(error, options) from error
    except BaseException as error:
        # a panic of the Rust side is no Exception, and its class can't be imported
        if type(error).__name__ != "PanicException":
            raise
        raise _refused(error, options) from error


def _refused(error: BaseException, options: BatchOptions) -> HftermError:
    return HftermError(
        "bad-batch",
        f"The tokenizer refuses this batch: {str(error).strip().rstrip(',.')}.",
        _remedy(str(error), options),
    )


def _remedy(reason: str, options: BatchOptions) -> str:
    if "too short" in reason:
        return (
            f"{options.truncation} may only cut one side, and the other alone is longer than "
            "max_length: choose longest_first or a larger max_length."
        )
    if "stride" in reason:
        return "Beside its pair a text has less room than the stride: choose a smaller stride."
    if "pad_to_multiple_of" in reason:
        return "Make max_length a multiple of pad_to_multiple_of."
    if "TextEncodeInput" in reason:
        return "A text holds half of a surrogate pair, which is no Unicode text: remove it."
    return "Change padding, truncation or max_length."


def _tokens(loaded: LoadedTokenizer, batch: BatchEncoding, row: int) -> tuple[str, ...]:
    if loaded.fast is not None:
        return tuple(batch.tokens(row))
    return tuple(
        cast("list[str]", loaded.transformers().convert_ids_to_tokens(batch["input_ids"][row]))
    )


def _why_ragged(loaded: LoadedTokenizer, options: BatchOptions, lengths: list[int]) -> str:
    reason = (
        f"The rows have {len(lengths)} different lengths, {lengths[0]} to {lengths[-1]} tokens: "
        'return_tensors="pt" would fail.'
    )
    if options.padding == "none":
        return reason + " Choose a padding."
    if options.padding == "max_length" and not options.max_length:
        return reason + " There is no length to pad to: set max_length."
    if options.padding == "max_length":
        return reason + " Some are longer than max_length: choose a truncation."
    return reason


def _cut(
    loaded: LoadedTokenizer,
    texts: list[str],
    pairs: list[str] | None,
    options: BatchOptions,
    batch: BatchEncoding,
) -> int:
    """How many texts lost tokens."""
    if options.truncation == "none":
        return 0
    if batch.encodings is not None:
        return sum(bool(encoding.overflowing) for encoding in batch.encodings)
    whole = loaded.transformers()(
        texts, pairs, add_special_tokens=options.add_special_tokens, truncation=False, verbose=False
    )
    kept = [
        sum(1 for on in mask if on) for mask in cast("list[list[int]]", batch["attention_mask"])
    ]
    return sum(
        len(ids) > count
        for ids, count in zip(cast("list[list[int]]", whole["input_ids"]), kept, strict=True)
    )


def _keys(loaded: LoadedTokenizer, windows: bool) -> tuple[str, ...]:
    """The keys that the tokenizer's call has when nothing more than a model needs is asked for."""
    wanted = loaded.transformers().model_input_names
    keys = ["input_ids", *(k for k in ("token_type_ids", "attention_mask") if k in wanted)]
    return (*keys, *repeat("overflow_to_sample_mapping", windows))
