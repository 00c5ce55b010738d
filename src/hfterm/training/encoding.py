"""Rows → what a model learns from: token ids, labels, masks, for each task.

`code_tasks` writes the same as a script. Imports datasets and transformers inside functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from hfterm import __version__
from hfterm.errors import HftermError
from hfterm.training.labels import label_ids
from hfterm.training.recipe import Recipe, stride_of
from hfterm.training.rows import Batch, check_rows

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Encoded = dict[str, list[object]]
Encoder = Callable[[Batch], Encoded]

IGNORED = -100
"""The label of a token that the loss leaves out."""

IN_MEMORY = 50_000_000
"""Tokens, at most, that are kept in memory; more go through a file in the cache of datasets."""


def encode_rows(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...], rows: Dataset
) -> Dataset:
    """The rows as a model takes them; those with nothing to learn from are left out.

    Raises:
        HftermError: a row is not what the task reads, or none has anything to learn from.
    """
    _check_room(recipe, tokenizer)
    encode = ENCODERS[recipe.task](recipe, tokenizer, names)

    def checked(batch: Batch, numbers: list[int], version: str) -> Encoded:
        check_rows(recipe, batch, numbers[0])
        return encode(batch)

    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    encoded = rows.map(
        checked,
        batched=True,
        with_indices=True,
        remove_columns=rows.column_names,
        # of several processes the first writes a file, and the others find it
        keep_in_memory=alone and len(rows) * recipe.data.max_length <= IN_MEMORY,
        # another version of hfterm may encode otherwise
        fn_kwargs={"version": __version__},
    )
    learnt = LEARNT.get(recipe.task)
    if learnt is not None:
        column, teaches = learnt
        values = cast("list[list[int]]", encoded[column][:])
        kept = [number for number, value in enumerate(values) if teaches(value)]
        if len(kept) < len(encoded):
            encoded = encoded.select(kept)
    if not len(encoded):
        raise HftermError(
            "empty-split",
            f"No row of {recipe.data.ref} has anything to learn from at "
            f"{recipe.data.max_length:,} tokens.",
            "Raise data.max_length, or check the columns.",
        )
    return encoded


def _check_room(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a length that special tokens fill: a tokenizer would then cut nothing at all."""
    if recipe.task == "chat-sft":
        return
    pair = recipe.task == "question-answering" or "text_pair" in recipe.data.columns
    special = tokenizer.num_special_tokens_to_add(pair=pair)
    if recipe.data.max_length <= special:
        raise HftermError(
            "too-short",
            f"data.max_length = {recipe.data.max_length}: the tokenizer adds {special} special "
            "tokens, so no room is left for a text.",
            f"Give more than {special}.",
        )


LEARNT: dict[str, tuple[str, Callable[[list[int]], bool]]] = {
    # each token is asked for by those before it, so the first never is
    "causal-lm": ("input_ids", lambda ids: len(ids) > 1),
    "masked-lm": ("special_tokens_mask", lambda marks: not all(marks)),
    "chat-sft": ("labels", lambda labels: any(label != IGNORED for label in labels[1:])),
}
"""Which rows have something to learn from: by which column, and when."""


def _texts(recipe: Recipe, batch: Batch, role: str) -> list[str]:
    return cast("list[str]", batch[recipe.column(role)])


def _classification(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]
) -> Encoder:
    def encode(batch: Batch) -> Encoded:
        pair = _texts(recipe, batch, "text_pair") if "text_pair" in recipe.data.columns else None
        found = tokenizer(
            _texts(recipe, batch, "text"), pair, truncation=True, max_length=recipe.data.max_length
        )
        encoded = cast("Encoded", dict(found))
        encoded["labels"] = list(label_ids(names, batch[recipe.column("label")]))
        return encoded

    return encode


def _tagging(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]) -> Encoder:
    def encode(batch: Batch) -> Encoded:
        found = tokenizer(
            cast("list[list[str]]", batch[recipe.column("tokens")]),
            is_split_into_words=True,
            truncation=True,
            max_length=recipe.data.max_length,
        )
        labels: list[object] = []
        for row, tags in enumerate(cast("list[list[object]]", batch[recipe.column("tags")])):
            ids = label_ids(names, tags)
            before: int | None = None
            own: list[int] = []
            for word in found.word_ids(row):
                # a word's later tokens are not asked for: the word was tagged once
                own.append(IGNORED if word is None or word == before else ids[word])
                before = word
            labels.append(own)
        return cast("Encoded", dict(found)) | {"labels": labels}

    return encode


def _answering(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]
) -> Encoder:
    def encode(batch: Batch) -> Encoded:
        answers = cast("list[Mapping[str, list[object]]]", batch[recipe.column("answers")])
        try:
            found = tokenizer(
                _texts(recipe, batch, "question"),
                _texts(recipe, batch, "context"),
                truncation="only_second",
                max_length=recipe.data.max_length,
                stride=stride_of(recipe),
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
        except Exception as error:
            # tokenizers raises plain Exception where a question leaves the context no room
            raise HftermError(
                "too-long",
                f"A question of {recipe.data.ref} leaves no room for its context: {error}",
                "Raise data.max_length, or leave out rows with long questions.",
            ) from error
        starts: list[object] = []
        ends: list[object] = []
        samples = cast("list[int]", found.pop("overflow_to_sample_mapping"))
        offsets = cast("list[list[tuple[int, int]]]", found.pop("offset_mapping"))
        for window, sample in enumerate(samples):
            span = answer_tokens(answers[sample], offsets[window], found.sequence_ids(window))
            starts.append(span[0])
            ends.append(span[1])
        return cast("Encoded", dict(found)) | {"start_positions": starts, "end_positions": ends}

    return encode


def answer_tokens(
    answer: Mapping[str, list[object]],
    offsets: list[tuple[int, int]],
    sequences: list[int | None],
) -> tuple[int, int]:
    """First and last token of an answer in a window; (0, 0), the [CLS], when it is not in it."""
    inside = [i for i, sequence in enumerate(sequences) if sequence == 1]
    if not answer["text"] or not inside:
        return 0, 0
    start = cast("int", answer["answer_start"][0])
    end = start + len(cast("str", answer["text"][0]))
    if offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    first = max(i for i in inside if offsets[i][0] <= start)
    last = min(i for i in inside if offsets[i][1] >= end)
    return first, last


def _language(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]
) -> Encoder:
    masked = recipe.task == "masked-lm"

    def encode(batch: Batch) -> Encoded:
        found = tokenizer(
            _texts(recipe, batch, "text"), truncation=True, max_length=recipe.data.max_length,
            return_special_tokens_mask=masked,
        )  # fmt: skip
        return cast("Encoded", dict(found))

    return encode


def _seq2seq(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]) -> Encoder:
    def encode(batch: Batch) -> Encoded:
        found = tokenizer(
            _texts(recipe, batch, "source"), text_target=_texts(recipe, batch, "target"),
            truncation=True, max_length=recipe.data.max_length,
        )  # fmt: skip
        return cast("Encoded", dict(found))

    return encode


def _chat(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...]) -> Encoder:
    special = special_ids(tokenizer)

    def encode(batch: Batch) -> Encoded:
        rows: Encoded = {"input_ids": [], "attention_mask": [], "labels": []}
        for conversation in batch[recipe.column("messages")]:
            messages = [
                {"role": message["role"], "content": message["content"]}
                for message in cast("list[dict[str, str]]", conversation)
            ]
            ids, labels = chat_tokens(tokenizer, special, messages, recipe.data.max_length)
            rows["input_ids"].append(ids)
            rows["attention_mask"].append([1] * len(ids))
            rows["labels"].append(labels)
        return rows

    return encode


def special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that stand for no text: one of them ends a turn."""
    added = tokenizer.added_tokens_decoder
    return {id_ for id_, token in added.items() if token.special}


def chat_tokens(
    tokenizer: PreTrainedTokenizerBase,
    special: set[int],
    messages: list[dict[str, str]],
    max_length: int,
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and labels of what the assistant says in it.

    What opens the assistant's turn is not learnt; the token that ends it is: the model must learn
    to stop. Nothing is learnt of an assistant that speaks first.

    Raises:
        HftermError: there is no chat template, or it refuses the messages.
    """
    text = _render(tokenizer, messages)
    found = tokenizer(
        text, add_special_tokens=False, truncation=True, max_length=max_length,
        return_offsets_mapping=True,
    )  # fmt: skip
    ids = cast("list[int]", found["input_ids"])
    offsets = cast("list[tuple[int, int]]", found["offset_mapping"])
    labels = [IGNORED] * len(ids)
    for number, message in enumerate(messages):
        if message["role"] != "assistant" or not number:
            continue
        start, end = _turn(tokenizer, messages, number, text)
        for place, (first, last) in enumerate(offsets):
            if first >= start and last <= end:
                labels[place] = ids[place]
                if ids[place] in special:
                    break
    return ids, labels


def _turn(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], number: int, text: str
) -> tuple[int, int]:
    """Where the assistant begins to speak in the whole text, and where it has ended at last.

    Templates that drop the reasoning of earlier turns write a turn otherwise when it is the last:
    then only its first special token tells where it ends.
    """
    before = _render(tokenizer, messages[:number])
    if not text.startswith(before):
        raise HftermError(
            "template",
            "The chat template does not write messages one after the other, so what the assistant "
            "says in a conversation can't be told.",
            "Name another model's tokenizer in model.tokenizer, or choose task = causal-lm.",
        )
    prompt = _render(tokenizer, messages[:number], prompt=True)
    after = _render(tokenizer, messages[: number + 1])
    end = len(after.rstrip()) if text.startswith(after) else len(text)
    return len(os.path.commonprefix([prompt, text])), end  # noqa: RUF071  # no paths, but texts


def _render(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], *, prompt: bool = False
) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise no_template()
    try:
        return cast(
            "str",
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt),
        )
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise HftermError(
            "template", f"The chat template refuses a conversation: {error}",
            "Check the roles and their order.",
        ) from error  # fmt: skip


def no_template() -> HftermError:
    """The error for a tokenizer that knows no conversations."""
    return HftermError(
        "no-template",
        "The model's tokenizer has no chat template.",
        "Train a chat model, name one whose tokenizer has one in model.tokenizer, or choose "
        "task = causal-lm.",
    )


ENCODERS: dict[str, Callable[[Recipe, PreTrainedTokenizerBase, tuple[str, ...]], Encoder]] = {
    "text-classification": _classification,
    "token-classification": _tagging,
    "question-answering": _answering,
    "masked-lm": _language,
    "causal-lm": _language,
    "chat-sft": _chat,
    "seq2seq": _seq2seq,
}
