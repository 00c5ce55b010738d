"""Look at a recipe's data as the model will take it.

Imports datasets and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.job import Job
from hfterm.training.data import splits
from hfterm.training.encoding import IGNORED, LEARNT, encode_rows
from hfterm.training.labels import check_held, label_ids, label_names
from hfterm.training.preflight import warnings_of
from hfterm.training.preview_types import LabelCount, Preview, PreviewRow, RecipeCost
from hfterm.training.recipe import Recipe, expand

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

MEASURED = 2_000
"""Rows whose tokens are counted, taken at random."""

SHOWN = 10
LOOKED_AT = 50
"""Rows among which those that are shown are looked for."""

BARS = 12
MUCH_CUT = 0.05
UNCUT = 1_000_000


def preview(recipe: Recipe, job: Job | None = None) -> Preview:
    """Rows, labels, lengths and steps of a recipe; of several runs, of the first.

    Raises:
        HftermError: as `preflight.check` and `encode_rows`.
    """
    job = job or Job()
    one = expand(recipe, "preview")[0]
    train, held = splits(one, job)
    names = label_names(one, train, held)
    check_held(one, names, held)
    job.progress("opening the tokenizer")
    tokenizer = tokenizer_of(one)
    labels = _counts(one, names, train, held)
    chosen = random.Random(0).sample(range(len(train)), min(MEASURED, len(train)))
    job.progress("counting tokens", 0, len(chosen), "rows")
    uncut = msgspec.structs.replace(one, data=msgspec.structs.replace(one.data, max_length=UNCUT))
    # question answering cuts into windows, which is nothing that is lost
    whole = one if one.task == "question-answering" else uncut
    sample = encode_rows(whole, tokenizer, names, train.select(sorted(chosen)))
    lengths = [len(ids) for ids in cast("list[list[int]]", sample["input_ids"][:])]
    cut = sum(length > one.data.max_length for length in lengths)
    steps = steps_of(one, round(len(train) * _teaching(one, sample) / len(chosen)))
    told = warnings_of(
        {found.name: found.train for found in labels},
        {found.name: found.held for found in labels if held is not None},
    )
    if cut > MUCH_CUT * len(lengths):
        told.append(
            f"{100 * cut / len(lengths):.0f} % of the rows are longer than data.max_length = "
            f"{one.data.max_length} and are cut."
        )
    if steps < 10 and not one.training.max_steps:  # else so many were asked for
        told.append(f"It is over after {steps} steps: more rows or epochs, or a smaller batch.")
    return Preview(
        columns=tuple((name, _kind(str(kind))) for name, kind in train.features.items()),
        train_rows=len(train),
        eval_rows=len(held) if held is not None else 0,
        labels=tuple(labels),
        lengths=histogram(lengths),
        measured=len(lengths),
        cut=cut,
        longest=max(lengths),
        rows=tuple(_rows(one, whole, tokenizer, names, train)),
        steps=steps,
        warnings=tuple(told),
    )


def tokenizer_of(recipe: Recipe) -> PreTrainedTokenizerBase:
    """The recipe's tokenizer, with a token to pad with."""
    from hfterm.models.opening import import_modelling
    from hfterm.training.building import open_tokenizer

    import_modelling()
    source = resolve_model(recipe.model.ref, ())
    if source.kind == "hub":
        from hfterm.models.opening import find

        source = find(recipe.model.ref, Job())
    return open_tokenizer(recipe, source)


def steps_of(recipe: Recipe, rows: int) -> int:
    """Optimizer steps of a run, as Trainer counts them."""
    training = recipe.training
    if training.max_steps:
        return training.max_steps
    batches = math.ceil(math.ceil(rows / training.processes) / training.batch_size)
    per_epoch = max(1, math.ceil(batches / training.accumulate))
    return math.ceil(training.epochs * per_epoch)


def _teaching(recipe: Recipe, sample: Dataset) -> int:
    """How many of the encoded rows have something to learn from when they are cut."""
    learnt = LEARNT.get(recipe.task)
    if learnt is None:
        return len(sample)
    column, teaches = learnt
    values = cast("list[list[int]]", sample[column][:])
    return sum(teaches(value[: recipe.data.max_length]) for value in values)


def histogram(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Rows by their number of tokens: (tokens up to, rows), in about a dozen bars."""
    longest = max(lengths, default=1)
    width = max(1, math.ceil(longest / BARS))
    counts = Counter((length - 1) // width for length in lengths)
    return tuple(((bar + 1) * width, counts[bar]) for bar in range(math.ceil(longest / width)))


def _counts(
    recipe: Recipe, names: tuple[str, ...], train: Dataset, held: Dataset | None
) -> list[LabelCount]:
    if not names:
        return []
    column = recipe.column("label" if recipe.task == "text-classification" else "tags")

    def count(rows: Dataset | None) -> Counter[int]:
        if rows is None:
            return Counter()
        values = cast("list[object]", rows[column][:])
        if recipe.task == "token-classification":
            values = [value for row in values for value in cast("list[object]", row)]
        return Counter(label_ids(names, values))

    ours, theirs = count(train), count(held)
    return [LabelCount(name, ours[i], theirs[i]) for i, name in enumerate(names)]


def _kind(feature: str) -> str:
    return feature.removeprefix("Value(").removesuffix(")").strip("'\"")


def _rows(
    recipe: Recipe,
    whole: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    names: tuple[str, ...],
    rows: Dataset,
) -> Iterator[PreviewRow]:
    """The first rows, or windows of rows, that something can be learnt from.

    Args:
        recipe: as they are cut.
        whole: the same recipe, cutting nothing.
        tokenizer: the recipe's.
        names: of the labels.
        rows: as the data has them.
    """
    shown = 0
    for number in range(min(LOOKED_AT, len(rows))):
        one = rows.select([number])
        try:
            encoded = encode_rows(recipe, tokenizer, names, one)
        except HftermError as error:
            if error.kind == "empty-split":  # the run leaves it out as well
                continue
            raise
        ids = cast("list[list[int]]", encode_rows(whole, tokenizer, names, one)["input_ids"][:])
        for window in encoded:
            row = cast("dict[str, object]", window)
            cut = 0 if recipe is whole else len(ids[0]) - len(cast("list[int]", row["input_ids"]))
            yield _row(recipe, tokenizer, names, row, cut)
            shown += 1
            if shown == SHOWN:
                return


def _row(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    names: tuple[str, ...],
    row: dict[str, object],
    cut: int,
) -> PreviewRow:
    ids = cast("list[int]", row["input_ids"])
    tokens = tuple(str(token) for token in tokenizer.convert_ids_to_tokens(ids))
    labels = cast("list[int]", row.get("labels", []))
    learnt: tuple[bool, ...] = ()
    label = ""
    if recipe.task == "text-classification":
        label = names[cast("int", row["labels"])]
    elif recipe.task == "token-classification":
        learnt = tuple(value != IGNORED for value in labels)
        label = " ".join(names[value] for value in labels if value != IGNORED)
    elif recipe.task == "question-answering":
        start, end = cast("int", row["start_positions"]), cast("int", row["end_positions"])
        text = str(tokenizer.decode(ids[start : end + 1]))
        label = f"{text} (tokens {start} to {end})" if end else "not in this window"
        learnt = tuple(bool(end) and start <= place <= end for place in range(len(ids)))
    elif recipe.task == "masked-lm":
        label = f"{100 * recipe.data.mask:.0f} % of the tokens, others each time"
    elif recipe.task == "causal-lm":
        learnt = tuple(place > 0 for place in range(len(ids)))
    elif recipe.task == "chat-sft":
        learnt = tuple(value != IGNORED for value in labels)
    else:
        label = str(tokenizer.decode(labels, skip_special_tokens=True))
    return PreviewRow(tokens, learnt, label, cut)


def cost(recipe: Recipe, labels: int, job: Job | None = None) -> RecipeCost:
    """What is trained, and the memory it takes: see `cost.recipe_cost`."""
    from hfterm.training.cost import recipe_cost

    return recipe_cost(recipe, labels, job)
