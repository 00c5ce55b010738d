"""Look at a recipe's data as the model will take it, and at what it costs.

Imports datasets and transformers inside functions: for an engine process.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.job import Job
from hfterm.training.data import splits
from hfterm.training.encoding import IGNORED, encode_rows
from hfterm.training.labels import check_held, label_ids, label_names
from hfterm.training.preflight import warnings_of
from hfterm.training.preview_types import LabelCount, Preview, PreviewRow, RecipeCost
from hfterm.training.recipe import AUTO_CLASSES, Recipe, expand

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

MEASURED = 2_000
"""Rows whose tokens are counted, taken at random."""

SHOWN = 10
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
    steps = steps_of(one, len(train))
    told = warnings_of(
        {found.name: found.train for found in labels},
        {found.name: found.held for found in labels if held is not None},
    )
    if cut > MUCH_CUT * len(lengths):
        told.append(
            f"{100 * cut / len(lengths):.0f} % of the rows are longer than data.max_length = "
            f"{one.data.max_length} and are cut."
        )
    if steps < 10:
        told.append(f"It is over after {steps} steps: more rows or epochs, or a smaller batch.")
    first = encode_rows(one, tokenizer, names, train.select(range(min(SHOWN, len(train)))))
    return Preview(
        columns=tuple((name, _kind(str(kind))) for name, kind in train.features.items()),
        train_rows=len(train),
        eval_rows=len(held) if held is not None else 0,
        labels=tuple(labels),
        lengths=histogram(lengths),
        measured=len(lengths),
        cut=cut,
        longest=max(lengths),
        rows=tuple(
            _row(one, tokenizer, names, cast("dict[str, object]", row), lengths) for row in first
        ),
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
        try:
            return Counter(label_ids(names, values))
        except KeyError as error:
            raise HftermError(
                "unknown-label",
                f"The rows to evaluate on have the label {error}, which training never sees.",
                "Name all labels in data.labels.",
            ) from error

    ours, theirs = count(train), count(held)
    return [LabelCount(name, ours[i], theirs[i]) for i, name in enumerate(names)]


def _kind(feature: str) -> str:
    return feature.removeprefix("Value(").removesuffix(")").strip("'\"")


def _row(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    names: tuple[str, ...],
    row: dict[str, object],
    lengths: Sequence[int],
) -> PreviewRow:
    ids = cast("list[int]", row["input_ids"])
    tokens = tuple(str(token) for token in tokenizer.convert_ids_to_tokens(ids))
    labels = row.get("labels")
    learnt: tuple[bool, ...] = ()
    label = ""
    if isinstance(labels, list) and recipe.task != "seq2seq":
        learnt = tuple(value != IGNORED for value in cast("list[int]", labels))
    elif isinstance(labels, int):
        label = names[labels]
    elif isinstance(labels, list):
        label = str(tokenizer.decode(cast("list[int]", labels), skip_special_tokens=True))
    elif "start_positions" in row:
        start, end = cast("int", row["start_positions"]), cast("int", row["end_positions"])
        label = f"tokens {start} to {end}" if end else "not in this window"
    return PreviewRow(tokens, learnt, label, max(0, len(ids) - recipe.data.max_length))


def cost(recipe: Recipe, labels: int, job: Job | None = None) -> RecipeCost:
    """What is trained, and the memory it takes, from shapes alone.

    Args:
        recipe: of its methods, the first.
        labels: of the head; 0 for a task without.
        job: told of the plans.
    """
    from hfterm.models.lora import ALL_LINEAR, default_targets, linear_modules, lora_estimate
    from hfterm.models.memory_report import memory_report
    from hfterm.models.opening import concrete_of, dry_run, find, load_config
    from hfterm.models.types import ModelSpec
    from hfterm.training.targets import unknown_target

    job = job or Job()
    one = expand(recipe, "cost")[0]
    source = find(one.model.ref, job)
    config = load_config(source, labels or None)
    cls = concrete_of(AUTO_CLASSES[one.task], config)
    spec = ModelSpec(
        ref=one.model.ref, auto=AUTO_CLASSES[one.task], num_labels=labels or None,
        ignore_mismatched=True,
    )  # fmt: skip
    model, report = dry_run(source, cls, config, spec, job)
    targets: list[str] = []
    trainable = parameters = sum(weight.numel() for weight in model.parameters())
    if one.method.name != "full":
        known = linear_modules(model)
        wanted = one.method.target_modules
        targets = [ALL_LINEAR] if wanted == ALL_LINEAR else list(wanted) or default_targets(model)
        for target in targets:
            if target not in known and target != ALL_LINEAR:
                raise unknown_target(target, list(known))
        estimate = lora_estimate(model, one.method.r, targets)
        trainable = estimate.added + estimate.head
        parameters += estimate.added + estimate.head
        targets = [row.module for row in estimate.rows if row.chosen]
    memory = memory_report(
        one.model.ref, model, config, report, context=one.data.max_length,
        batch=one.training.batch_size, rank=one.method.r, targets=targets, job=job,
    )  # fmt: skip
    purpose = {"full": "full fine-tune", "lora": "LoRA", "qlora": "QLoRA"}[one.method.name]
    precision = one.method.quant if one.method.name == "qlora" else (
        "bfloat16" if one.model.dtype in ("bfloat16", "float16") else "float32"
    )  # fmt: skip
    plan = next(
        (
            found
            for found in memory.plans
            if (found.plan.purpose, found.plan.precision) == (purpose, precision)
        ),
        None,
    )
    return RecipeCost(
        cls=cls.__name__, trainable=trainable, parameters=parameters, targets=tuple(targets),
        plan=plan,
    )  # fmt: skip
