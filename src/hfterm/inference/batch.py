"""Predict every row of a file: in batches, with progress, stopped between two of them.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from hfterm.errors import Cancelled, HftermError
from hfterm.hub.rows import Row, as_text, pick_column, read_rows
from hfterm.inference.answering import answer
from hfterm.inference.choosing import choose
from hfterm.inference.classification import activation_of, classify, probabilities
from hfterm.inference.embedding import hidden_states, pool
from hfterm.inference.filling import fill
from hfterm.inference.generating import generate
from hfterm.inference.inputs import (
    check_finite,
    ensure_padding,
    model_inputs,
    no_tokens,
    too_long,
)
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.options import SEED, BatchOptions, TaskOptions
from hfterm.inference.scoring import score
from hfterm.inference.seq2seq import decode_by_hand
from hfterm.inference.tagging import tag
from hfterm.inference.types import BatchTable, Value
from hfterm.inference.zero_shot import zero_shot
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import Tensor

WINDOWED = ("token-classification", "question-answering")
"""Tasks of one row at a time that read a long text in windows."""

LOOK = 64
"""Rows that are looked at before a model is loaded."""

SORTED = 16
"""Batches whose texts are sorted by length together, so that little is padded."""

Values = tuple[Value, ...]
T = TypeVar("T")


def predict_rows(
    opened: OpenModel, source: str, options: TaskOptions, batch: BatchOptions,
    job: Job | None = None, *, partial: bool = False,
) -> BatchTable:  # fmt: skip
    """Predict every row.

    Args:
        opened: a model with the task's head.
        source: a starter data set or a file.
        options: the task, and what it needs besides the text.
        batch: columns, rows, and how many at once.
        job: told of every batch; stops after one.
        partial: when stopped, give the rows until then.

    Raises:
        HftermError: the file or a column is not there, or a row can't be predicted: the message
            says which.
    """
    job = job or Job()
    with memory_errors(f"the rows of {source}"):
        return _predict_rows(opened, source, options, batch, _Keeping(job) if partial else job)


def chosen_rows(source: str, batch: BatchOptions, job: Job) -> list[Row]:
    """The rows that are asked for: the first ones, or some from all over the file.

    Raises:
        HftermError: there is no such file, or it is not what its name says.
    """
    if not batch.shuffled:
        return read_rows(source, job, batch.most)
    rows = read_rows(source, job)
    return random.Random(SEED).sample(rows, min(batch.most or len(rows), len(rows)))


def check_rows(source: str, options: TaskOptions, batch: BatchOptions, job: Job) -> None:
    """Look at the first rows, before a model is loaded for them.

    Raises:
        HftermError: the file or a column is not there.
    """
    rows = read_rows(source, job, LOOK)
    pick_column(rows, batch.column, *_default_columns(options.task))
    pick_column(rows, batch.label_column, needed=False)


class _Keeping(Job):
    """A job whose cancel ends the loops over rows without an error, and marks what they give."""

    def __init__(self, job: Job) -> None:
        super().__init__(cancelled=job.cancelled)
        self.job = job

    def progress(self, stage: str, done: int = 0, total: int | None = None, unit: str = "") -> None:
        """Tell the caller; `until_stopped` takes the cancel."""
        self.job.progress(stage, done, total, unit)


def until_stopped(found: Iterable[T], job: Job) -> Iterator[T]:
    """What `found` gives, until the caller stops it; only where a part is wanted."""
    try:
        yield from found
    except Cancelled:
        if not isinstance(job, _Keeping):
            raise
        job.job.partial = True


def _predict_rows(
    opened: OpenModel, source: str, options: TaskOptions, batch: BatchOptions, job: Job
) -> BatchTable:
    rows = chosen_rows(source, batch, job)
    column = pick_column(rows, batch.column, *_default_columns(options.task))
    texts = [as_text(row.get(column)) for row in rows]
    label_column = pick_column(rows, batch.label_column, *_label_columns(options), needed=False)
    began = time.monotonic()
    cut = 0
    if options.task == "text-classification":
        columns, values, cut = _classified(opened, texts, options, batch, job)
    elif options.task == "feature-extraction":
        columns, values, cut = _embedded(opened, texts, options, batch, job)
    else:
        columns, one = _single(opened, rows, options, batch, job)
        values = list(until_stopped(_each(texts, rows, one, job), job))
        count = len(values)
        cut = _count_cut(opened, texts[:count], rows[:count], options, batch)
    asked = len(rows)
    kept = [index for index, found in enumerate(values) if found]
    if len(kept) < asked:
        rows, texts = [rows[index] for index in kept], [texts[index] for index in kept]
        values = [values[index] for index in kept]
    seconds = time.monotonic() - began
    truths = [row.get(label_column) for row in rows] if label_column else []
    metrics, note = score(opened, options, values, truths)
    if len(rows) < asked:
        told = f"Stopped after {len(rows):,} of {asked:,} rows"
        if kept != list(range(len(kept))):
            told += (
                f", the shorter of each {SORTED * batch.size:,} first: the figures are not those "
                f"of the first {len(rows):,}"
            )
        note = f"{told}. {note}".strip()
    named = ("text", *((label_column,) if label_column else ()), *columns)
    table = [
        (text, *((_value(truths[index]),) if label_column else ()), *found)
        for index, (text, found) in enumerate(zip(texts, values, strict=True))
    ]
    return BatchTable(_unique(named), tuple(table), seconds, cut, metrics, note)


def _default_columns(task: str) -> tuple[str, ...]:
    return ("context", "text") if task == "question-answering" else ("text", "sentence", "content")


def _label_columns(options: TaskOptions) -> tuple[str, ...]:
    return {
        "question-answering": ("answer", "answers"),
        "text-classification": ("label", "labels"),
        "zero-shot": ("label", "labels"),
    }.get(options.task, ())


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        found.append(name if name not in found else f"{name} (predicted)")
    return tuple(found)


def _value(value: object) -> Value:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def tokenized_batches(
    opened: OpenModel, texts: Sequence[str], options: TaskOptions, batch: BatchOptions, job: Job
) -> Iterator[tuple[list[int], dict[str, Tensor], int]]:
    """(rows, model inputs, tokens cut) of each batch.

    The texts of `SORTED` batches at a time are sorted by length.
    """
    from transformers import BatchEncoding

    ensure_padding(opened)
    limit = opened.info.limit
    span = SORTED * batch.size
    done = 0
    for first in range(0, len(texts), span):
        some = texts[first : first + span]
        encoded = opened.text(list(some), truncation=False, padding=False)
        ids = cast("Sequence[Sequence[int]]", encoded["input_ids"])
        lengths = [len(row) for row in ids]
        if limit is not None and max(lengths) > limit and options.long == "ask":
            row = next(i for i, length in enumerate(lengths) if length > limit)
            raise too_long(opened, lengths[row], f"text of row {first + row + 1:,}")
        if 0 in lengths:
            raise no_tokens(first + lengths.index(0))
        order = sorted(range(len(some)), key=lambda index: lengths[index])
        for start in range(0, len(order), batch.size):
            job.progress("predicting", done, len(texts), "rows")
            chosen = order[start : start + batch.size]
            cut = 0
            if limit is not None and lengths[chosen[-1]] > limit:
                cut = sum(lengths[index] > limit for index in chosen)
            columns = {
                name: [
                    cast("Sequence[Sequence[int]]", rows)[index][: limit if cut else None]
                    for index in chosen
                ]
                for name, rows in encoded.items()
            }
            if cut:  # cut by the tokenizer, which keeps the special tokens
                columns = dict(
                    opened.text(
                        [some[index] for index in chosen], truncation=True, max_length=limit
                    )
                )
            with memory_errors(f"a batch of {len(chosen)}"):
                padded = opened.text.pad(
                    BatchEncoding(columns), return_tensors="pt", return_attention_mask=True
                )
            yield [first + index for index in chosen], model_inputs(opened, padded), cut
            done += len(chosen)
    job.progress("predicting", len(texts), len(texts), "rows")


def _classified(
    opened: OpenModel, texts: Sequence[str], options: TaskOptions, batch: BatchOptions, job: Job
) -> tuple[tuple[str, ...], list[Values], int]:
    import torch

    if options.long == "window":

        def one(text: str, _: Row) -> Values:
            found = classify(opened, text, long=options.long)
            return opened.info.labels[found.best], found.scores[found.best].probability

        each = _each(texts, [{}] * len(texts), one, job)
        return ("label", "score"), list(until_stopped(each, job)), 0
    activation = activation_of(opened)
    labels = opened.info.labels
    values: list[Values] = [()] * len(texts)
    cut = 0
    batches = tokenized_batches(opened, texts, options, batch, job)
    for rows, inputs, more in until_stopped(batches, job):
        cut += more
        with memory_errors(f"a batch of {len(rows)}"), torch.inference_mode():
            logits = opened.model(**inputs).logits
        check_finite(opened, logits)
        best = probabilities(logits, activation).max(dim=-1)
        for row, share, id_ in zip(rows, best.values.tolist(), best.indices.tolist(), strict=True):
            values[row] = (labels[id_], share)
    return ("label", "score"), values, cut


def _embedded(
    opened: OpenModel, texts: Sequence[str], options: TaskOptions, batch: BatchOptions, job: Job
) -> tuple[tuple[str, ...], list[Values], int]:
    import torch

    values: list[Values] = []
    cut = 0
    width = 0
    starts = _starts("embedding", len(texts), batch.size, job)
    for first in until_stopped(starts, job):
        some = texts[first : first + batch.size]
        hidden, mask, lost = hidden_states(opened, some, options.long, first)
        vectors = pool(hidden, mask, options.pooling)
        check_finite(opened, vectors)
        if options.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        values += [tuple(row) for row in vectors.tolist()]
        width, cut = int(vectors.shape[1]), cut + sum(map(bool, lost))
    return tuple(f"v{index}" for index in range(width)), values, cut


def _starts(stage: str, total: int, size: int, job: Job) -> Iterator[int]:
    for first in range(0, total, size):
        job.progress(stage, first, total, "rows")
        yield first


def _single(
    opened: OpenModel, rows: list[Row], options: TaskOptions, batch: BatchOptions, job: Job
) -> tuple[tuple[str, ...], Callable[[str, Row], Values]]:
    """Columns of a task that takes one row at a time, and what predicts one."""
    task = options.task
    if task == "zero-shot":

        def zero(text: str, _: Row) -> Values:
            best = zero_shot(
                opened, text, options.labels, template=options.template,
                multi_label=options.multi_label, long=options.long,
            ).scores[0]  # fmt: skip
            return best.label, best.probability

        return ("label", "score"), zero
    if task == "token-classification":

        def entities(text: str, _: Row) -> Values:
            found = tag(opened, text, options.long).entities
            return ("; ".join(f"{e.label}: {e.text}" for e in found), len(found))

        return ("entities", "count"), entities
    if task == "question-answering":
        pick_column(rows, batch.question_column, needed=False)  # one that was named is there

        def answered(text: str, row: Row) -> Values:
            question = _question(row, options, batch)
            best = answer(opened, question, text, long=options.long).answers[0]
            return best.text, best.score

        return ("answer", "score"), answered
    if task == "fill-mask":

        def filled(text: str, _: Row) -> Values:
            best = fill(opened, text, top=1, long=options.long).candidates[0]
            return best.token, best.probability, best.text

        return ("token", "score", "filled"), filled
    if task == "text-generation":

        def continued(text: str, _: Row) -> Values:
            found = generate(
                opened, text, new_tokens=options.new_tokens, temperature=options.temperature,
                top_p=options.top_p, seed=options.seed, chat=options.chat, long=options.long,
                job=Job(cancelled=job.cancelled),
            )  # fmt: skip
            return found.text, len(found.steps)

        return ("generated", "tokens"), continued
    if task == "multiple-choice":

        def chosen(text: str, _: Row) -> Values:
            found = choose(opened, text, options.labels, options.long)
            return found.scores[found.best].label, found.scores[found.best].probability

        return ("choice", "score"), chosen

    def decoded(text: str, _: Row) -> Values:
        found = decode_by_hand(
            opened, text, new_tokens=options.new_tokens, long=options.long,
            job=Job(cancelled=job.cancelled),
        )  # fmt: skip
        return found.text, len(found.steps)

    return ("generated", "tokens"), decoded


def _each(
    texts: Sequence[str], rows: Sequence[Row], one: Callable[[str, Row], Values], job: Job
) -> Iterator[Values]:
    for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
        job.progress("predicting", index, len(texts), "rows")
        try:
            yield one(text, row)
        except HftermError as error:
            raise HftermError(
                error.kind, f"Row {index + 1:,}: {error.message}", error.remedy
            ) from error


def _count_cut(
    opened: OpenModel, texts: Sequence[str], rows: Sequence[Row], options: TaskOptions,
    batch: BatchOptions,
) -> int:  # fmt: skip
    """Texts that a task of one row at a time had to cut."""
    limit, task = opened.info.limit, options.task
    if options.long == "ask" or limit is None or not texts:
        return 0
    if options.long == "window" and task in WINDOWED:
        return 0
    tokenizer = opened.text

    def lengths(some: Sequence[str]) -> list[int]:
        encoded = tokenizer(list(some), truncation=False, padding=False, add_special_tokens=False)
        return [len(ids) for ids in cast("Sequence[Sequence[int]]", encoded["input_ids"])]

    extra = [0] * len(texts)
    if task == "question-answering":
        extra = lengths([_question(row, options, batch) for row in rows])
    elif task in ("zero-shot", "multiple-choice"):
        form = options.template if task == "zero-shot" else "{}"
        extra = [max(lengths([form.replace("{}", label) for label in options.labels]))] * len(texts)
    elif task == "text-generation":
        extra = [1] * len(texts)
    paired = task in ("question-answering", "zero-shot", "multiple-choice")
    special = tokenizer.num_special_tokens_to_add(pair=paired)
    alone = lengths(texts)
    return sum(one + more + special > limit for one, more in zip(alone, extra, strict=True))


def _question(row: Row, options: TaskOptions, batch: BatchOptions) -> str:
    """The row's own question, else the one for all."""
    return as_text(row.get(batch.question_column or "question", options.question))
