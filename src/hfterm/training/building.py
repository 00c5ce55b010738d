"""A recipe → a model with its method on it, and what `transformers.Trainer` needs.

Imports torch and transformers inside functions: for a process that trains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.inference.code_opening import has_tokenizer
from hfterm.inference.loading import memory_errors
from hfterm.job import Job
from hfterm.models.opening import find
from hfterm.training.arguments import trainer_arguments
from hfterm.training.base_model import device_of, load_base, with_method
from hfterm.training.code_model import no_tokenizer
from hfterm.training.data import splits
from hfterm.training.encoding import encode_rows
from hfterm.training.labels import check_held, label_names
from hfterm.training.loss_scale import say_mean
from hfterm.training.recipe import Recipe
from hfterm.training.scoring import Score, reduce_logits, scorer

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainingArguments

Collator = Callable[[list[dict[str, object]]], dict[str, object]]


HEADED = ("classification", "answering")
"""Tasks whose heads peft trains whole, beside an adapter."""


@dataclass(frozen=True)
class Built:
    """What a run trains, and on what.

    Attributes:
        labels: names by id; empty for a task without.
        new: modules that the checkpoint lacks, or has in another shape.
        score: of an evaluation's predictions; None where the loss says it all.
        train_rows: of the whole split, where only some were taken.
        eval_rows: the same.
    """

    recipe: Recipe
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    train: Dataset
    held: Dataset | None
    collator: Collator
    labels: tuple[str, ...]
    new: tuple[str, ...]
    score: Score | None
    trainable: int
    parameters: int
    train_rows: int
    eval_rows: int


def build(recipe: Recipe, job: Job | None = None, *, most: int | None = None) -> Built:
    """Open the data and the model of a recipe.

    Args:
        recipe: of one run.
        job: says what is being done.
        most: rows that are taken of each split, at random; None for all of them.

    Raises:
        HftermError: what is wrong, in words.
    """
    job = job or Job()
    train, held = splits(recipe, job)
    names = label_names(recipe, train, held)
    check_held(recipe, names, held)
    counts = len(train), len(held) if held is not None else 0
    if most is not None:
        train = train.shuffle(seed=0).select(range(min(most, len(train))))
        held = held.shuffle(seed=0).select(range(min(most, len(held)))) if held else None
    source = find(recipe.model.ref, job, whole=True)
    tokenizer = open_tokenizer(recipe, source, job)
    job.progress("tokenizing", 0, len(train), "rows")
    encoded = encode_rows(recipe, tokenizer, names, train)
    encoded_held = encode_rows(recipe, tokenizer, names, held) if held is not None else None
    job.progress(f"loading {recipe.model.ref}")
    with memory_errors(recipe.model.ref):
        model, new = load_base(recipe, source, names, job)
        _check_head(recipe, new)
        say_mean(model)
        model = with_method(recipe, model)
    _check_ids(recipe, tokenizer, model, encoded)
    parameters = list(model.parameters())
    return Built(
        recipe=recipe,
        model=model,
        tokenizer=tokenizer,
        train=encoded,
        held=encoded_held,
        collator=collator(recipe, tokenizer, model),
        labels=names,
        new=new,
        score=scorer(recipe.task, names),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameters=_counted(recipe, model),
        train_rows=counts[0],
        eval_rows=counts[1],
    )


def _check_head(recipe: Recipe, new: tuple[str, ...]) -> None:
    """Refuse an adapter under a vocabulary head that is new: it would stay at random."""
    if new and recipe.method.name != "full" and not recipe.task.endswith(HEADED):
        raise HftermError(
            "new-head",
            f"{recipe.model.ref} has no trained {', '.join(new)}, and {recipe.method.name} would "
            "leave that at random.",
            'Choose method.name = "full", or a checkpoint that was trained for this task.',
        )


def _check_ids(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Dataset
) -> None:
    """Refuse a tokenizer with tokens that the model has no embeddings for."""
    known = cast("Tensor", model.get_input_embeddings().weight).shape[0]
    if len(tokenizer) <= known:
        return
    ids = cast("list[list[int]]", rows["input_ids"][:])
    highest = max(max(row, default=0) for row in ids)
    if highest >= known:
        raise HftermError(
            "other-tokenizer",
            f"The tokenizer gives the token {highest:,}, and {recipe.model.ref} knows {known:,}: "
            "they do not belong together.",
            "Name the model's own tokenizer in model.tokenizer, or leave it out.",
        )


def _counted(recipe: Recipe, model: PreTrainedModel) -> int:
    if recipe.method.name == "full":
        return sum(p.numel() for p in model.parameters())
    # a weight in 4 bits has half as many numbers as it stands for, which peft knows
    adapted = cast("PeftModel", model)
    return int(adapted.get_nb_trainable_parameters()[1])


def open_tokenizer(
    recipe: Recipe, source: ModelSource, job: Job | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer, with a token to pad with.

    Raises:
        HftermError: the model has none.
    """
    from transformers import AutoTokenizer

    folder, gguf = source.path, source.gguf
    if recipe.model.tokenizer and has_tokenizer(recipe.model.tokenizer):
        folder, gguf = recipe.model.tokenizer, ""  # a tokenizer alone, just trained say
    elif recipe.model.tokenizer:
        other = find(recipe.model.tokenizer, job or Job())
        folder, gguf = other.path, other.gguf
    if not gguf and not has_tokenizer(folder):
        raise no_tokenizer(recipe.model.tokenizer or recipe.model.ref)
    try:
        tokenizer = cast(
            "PreTrainedTokenizerBase",
            AutoTokenizer.from_pretrained(
                folder,
                trust_remote_code=False,
                local_files_only=True,
                **({"gguf_file": gguf} if gguf else {}),
            ),
        )
    except Exception as error:
        # tokenizers raises plain Exception for a file that is broken, transformers many others
        raise no_tokenizer(recipe.model.tokenizer or recipe.model.ref) from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise HftermError(
                "no-pad", "The tokenizer has neither a padding token nor an end token.",
                "Name another model's tokenizer in model.tokenizer.",
            )  # fmt: skip
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def collator(
    recipe: Recipe, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel | None
) -> Collator:
    """What makes batches of rows for the task."""
    from transformers import (
        DataCollatorForLanguageModeling,
        DataCollatorForSeq2Seq,
        DataCollatorForTokenClassification,
        DataCollatorWithPadding,
    )

    if recipe.task in ("masked-lm", "causal-lm"):
        masked = recipe.task == "masked-lm"
        if masked and tokenizer.mask_token is None:
            raise HftermError(
                "no-mask", "The tokenizer has no mask token.",
                "Choose an encoder for masked-lm, or task = causal-lm.",
            )  # fmt: skip
        found: object = DataCollatorForLanguageModeling(
            tokenizer, mlm=masked, mlm_probability=recipe.data.mask if masked else None
        )
    elif recipe.task in ("chat-sft", "seq2seq"):
        found = DataCollatorForSeq2Seq(tokenizer, model=model)
    elif recipe.task == "token-classification":
        found = DataCollatorForTokenClassification(tokenizer)
    else:
        found = DataCollatorWithPadding(tokenizer)
    return cast("Collator", found)


def training_arguments(recipe: Recipe, folder: Path, *, evaluates: bool) -> TrainingArguments:
    """The recipe's `[training]` as transformers has it."""
    from transformers import TrainingArguments

    on_cpu = device_of(recipe) == "cpu" and not recipe.training.accelerate_config
    told = trainer_arguments(recipe, evaluates=evaluates)
    try:
        return TrainingArguments(
            output_dir=str(folder),
            include_num_input_tokens_seen="non_padding",
            dataloader_pin_memory=not on_cpu,
            use_cpu=on_cpu,
            disable_tqdm=True,
            report_to="none",
            **told,  # pyright: ignore[reportArgumentType]
        )
    except (ValueError, TypeError, ImportError) as error:
        raise HftermError(
            "bad-training",
            f"transformers refuses what [training] says: {error}",
            "Change the key that it names.",
        ) from error


def preprocess(recipe: Recipe) -> Callable[[object, object], object] | None:
    """What is kept of the logits of an evaluation."""
    if recipe.task in ("text-classification", "token-classification", "masked-lm"):
        return cast("Callable[[object, object], object]", reduce_logits)
    return None
