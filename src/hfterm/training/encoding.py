"""Rows → what a model learns from: token ids, labels, masks, for each task.

Imports datasets and transformers inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.tokenization.role_spans import role_spans
from hfterm.tokenization.views import Message
from hfterm.training.labels import label_ids
from hfterm.training.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Batch = Mapping[str, list[object]]
Encoded = dict[str, list[object]]
Encoder = Callable[[Batch], Encoded]

IGNORED = -100
"""The label of a token that the loss leaves out."""


def encode_rows(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, names: tuple[str, ...], rows: Dataset
) -> Dataset:
    """The rows as a model takes them; those with nothing to learn from are left out.

    Raises:
        HftermError: a row is not what the task reads, or none has anything to learn from.
    """
    encoder = ENCODERS[recipe.task](recipe, tokenizer, names)
    encoded = rows.map(encoder, batched=True, remove_columns=rows.column_names)
    if recipe.task in ("causal-lm", "masked-lm", "chat-sft"):
        key = "labels" if recipe.task == "chat-sft" else "input_ids"
        kept = [
            number
            for number, values in enumerate(cast("list[list[int]]", encoded[key][:]))
            if any(value != IGNORED for value in values)
        ]
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


def _texts(recipe: Recipe, batch: Batch, role: str) -> list[str]:
    name = recipe.column(role)
    for value in batch[name]:
        if not isinstance(value, str):
            raise HftermError(
                "not-text",
                f"The column {name!r} holds {value!r}, which is no text.",
                f"Say which column is the {role}: columns = {{ {role} = … }} under [data].",
            )
    return cast("list[str]", batch[name])


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
        words = cast("list[list[str]]", batch[recipe.column("tokens")])
        tags = cast("list[list[object]]", batch[recipe.column("tags")])
        for row, (some, theirs) in enumerate(zip(words, tags, strict=True)):
            if len(some) != len(theirs):
                raise HftermError(
                    "bad-label", f"A row has {len(some)} words and {len(theirs)} tags (row {row}).",
                    "Each word needs one tag.",
                )  # fmt: skip
        found = tokenizer(
            words, is_split_into_words=True, truncation=True, max_length=recipe.data.max_length
        )
        labels: list[object] = []
        for row, row_tags in enumerate(tags):
            ids = label_ids(names, row_tags)
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
        found = tokenizer(
            _texts(recipe, batch, "question"),
            _texts(recipe, batch, "context"),
            truncation="only_second",
            max_length=recipe.data.max_length,
            stride=min(recipe.data.stride, recipe.data.max_length // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
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
    if not isinstance(answer, Mapping) or "text" not in answer or "answer_start" not in answer:
        raise HftermError(
            "bad-answer",
            "An answer is no {text, answer_start}.",
            'Answers are as in SQuAD: {"text": ["…"], "answer_start": [12]}.',
        )
    if not answer["text"]:
        return 0, 0
    start = int(cast("int", answer["answer_start"][0]))
    end = start + len(str(answer["text"][0]))
    inside = [i for i, sequence in enumerate(sequences) if sequence == 1]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
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
    def encode(batch: Batch) -> Encoded:
        rows: Encoded = {"input_ids": [], "attention_mask": [], "labels": []}
        for conversation in batch[recipe.column("messages")]:
            ids, labels = chat_tokens(tokenizer, messages_of(conversation), recipe.data.max_length)
            rows["input_ids"].append(ids)
            rows["attention_mask"].append([1] * len(ids))
            rows["labels"].append(labels)
        return rows

    return encode


def messages_of(value: object) -> list[Message]:
    """The messages of a row.

    Raises:
        HftermError: it is no list of {role, content}.
    """
    items = cast("list[object]", value) if isinstance(value, list) else []
    found: list[Message] = []
    for item in items:
        row = cast("Mapping[str, object]", item) if isinstance(item, Mapping) else {}
        role, content = row.get("role"), row.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            break
        found.append(Message(role, content))
    if not found or len(found) != len(items):
        raise HftermError(
            "bad-messages",
            "A conversation is no list of messages with a role and a content.",
            'Rows are {"messages": [{"role": "user", "content": "…"}, …]}.',
        )
    return found


def chat_tokens(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], max_length: int
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and labels of what the assistant says in it.

    What opens the assistant's turn is not learnt, what closes it is: the model must learn to stop.

    Raises:
        HftermError: there is no chat template, or it refuses the messages.
    """
    text = _apply(tokenizer, messages)
    spans = _assistant_spans(tokenizer, messages, text)
    found = tokenizer(
        text, add_special_tokens=False, truncation=True, max_length=max_length,
        return_offsets_mapping=True,
    )  # fmt: skip
    ids = cast("list[int]", found["input_ids"])
    offsets = cast("list[tuple[int, int]]", found["offset_mapping"])
    labels = [
        id_ if end > start and any(a <= start and end <= b for a, b in spans) else IGNORED
        for id_, (start, end) in zip(ids, offsets, strict=True)
    ]
    return ids, labels


def _assistant_spans(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], text: str
) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number, message in enumerate(messages):
        if message.role != "assistant":
            continue
        before = _apply(tokenizer, messages[:number], prompt=True) if number else ""
        after = _apply(tokenizer, messages[: number + 1])
        if not number or not text.startswith(before) or not text.startswith(after):
            # the template does not write messages one after the other
            spans = role_spans(messages, text, lambda some: _apply(tokenizer, some))
            return [(span.start, span.end) for span in spans if span.role == "assistant"]
        found.append((len(before), len(after)))
    return found


def _apply(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message], *, prompt: bool = False
) -> str:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise HftermError(
            "no-template",
            "The model's tokenizer has no chat template.",
            "Train a chat model, name one whose tokenizer has one in model.tokenizer, or choose "
            "task = causal-lm.",
        )
    try:
        return cast(
            "str",
            tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                tokenize=False,
                add_generation_prompt=prompt,
            ),
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise HftermError(
            "template", f"The chat template refuses a conversation: {error}",
            "Check the roles and their order.",
        ) from error  # fmt: skip


ENCODERS: dict[str, Callable[[Recipe, PreTrainedTokenizerBase, tuple[str, ...]], Encoder]] = {
    "text-classification": _classification,
    "token-classification": _tagging,
    "question-answering": _answering,
    "masked-lm": _language,
    "causal-lm": _language,
    "chat-sft": _chat,
    "seq2seq": _seq2seq,
}
