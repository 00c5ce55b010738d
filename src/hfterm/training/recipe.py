"""What a run is to do: model, data, method, hyperparameters. Plain data; nothing heavy is here.

Each field's description says what it is and what is right for it; the messages about a wrong
value, the form and the documentation are all made from it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Task = Literal[
    "text-classification",
    "token-classification",
    "question-answering",
    "masked-lm",
    "causal-lm",
    "chat-sft",
    "seq2seq",
]
MethodName = Literal["full", "lora", "qlora"]
Quant = Literal["nf4", "int8"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]

AUTO_CLASSES: dict[Task, str] = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "masked-lm": "AutoModelForMaskedLM",
    "causal-lm": "AutoModelForCausalLM",
    "chat-sft": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
COLUMNS: dict[Task, tuple[str, ...]] = {
    "text-classification": ("text", "label"),
    "token-classification": ("tokens", "tags"),
    "question-answering": ("question", "context", "answers"),
    "masked-lm": ("text",),
    "causal-lm": ("text",),
    "chat-sft": ("messages",),
    "seq2seq": ("source", "target"),
}
"""What each task reads of a row; `columns` of a recipe says what the data calls it."""

OPTIONAL_COLUMNS: dict[Task, tuple[str, ...]] = {"text-classification": ("text_pair",)}

METRICS: dict[Task, tuple[str, ...]] = {
    "text-classification": ("accuracy", "f1", "loss"),
    "token-classification": ("accuracy", "f1", "loss"),
    "question-answering": ("exact_match", "f1", "loss"),
    "masked-lm": ("accuracy", "perplexity", "loss"),
    "causal-lm": ("perplexity", "loss"),
    "chat-sft": ("perplexity", "loss"),
    "seq2seq": ("perplexity", "loss"),
}
"""What an evaluation gives; the first is the one that decides which checkpoint is the best."""

LESS_IS_BETTER = frozenset({"loss", "perplexity"})

Name = Annotated[str, Meta(min_length=1, max_length=80, description="a name of 1 to 80 characters")]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000, description="a whole number from 1")]
CountOrNone = Annotated[int, Meta(ge=0, le=1_000_000_000, description="a whole number from 0")]
Share = Annotated[float, Meta(ge=0, lt=1, description="a number from 0 to below 1")]
Positive = Annotated[float, Meta(gt=0, lt=1e6, description="a number above 0 and below a million")]
NotNegative = Annotated[float, Meta(ge=0, lt=1e6, description="a number from 0")]


class ModelPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[model]``.

    Attributes:
        ref: starter name, path or hub id.
        dtype: that of the weights while training; ``auto`` is float32, or bfloat16 around 4 bits.
        device: ``auto`` takes the GPU if there is one.
        tokenizer: another model whose tokenizer is used; empty for the model's own.
        revision: which version of a hub id is taken.
    """

    ref: Annotated[str, Meta(min_length=1, description="a starter name, a path or a hub id")]
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Annotated[str, Meta(description="auto, cpu, or a device such as cuda:0")] = "auto"
    tokenizer: Annotated[str, Meta(description="a model whose tokenizer is used")] = ""
    revision: Annotated[str, Meta(description="a branch, tag or commit of a hub id")] = ""


class DataPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[data]``.

    Attributes:
        ref: starter name, hub id, file or glob.
        subset: the configuration of a hub data set that has several.
        train: a split, or a slice of one as `datasets` has them: ``train[:90%]``.
        eval: the split or slice that is evaluated on; empty for no evaluation.
        shuffle: put the rows in another order before they are sliced, by the seed; files are
            often sorted by label.
        columns: what the data calls the columns that the task reads.
        labels: the names of the classes in the order of their ids; needed where labels are words.
        max_length: tokens a row is cut to.
        stride: tokens that two windows of a long context share (question answering).
        mask: share of tokens that masked language modelling hides.
        packing: rows are not packed together; only false is understood.
    """

    ref: Annotated[
        str, Meta(min_length=1, description="a starter name, a hub id, a file or a glob")
    ]
    subset: Annotated[str, Meta(description="the configuration of a hub data set")] = ""
    train: Annotated[str, Meta(min_length=1, description="a split such as train[:90%]")] = "train"
    eval: Annotated[str, Meta(description="a split such as train[90%:], or nothing")] = ""
    shuffle: bool = False
    columns: Annotated[
        dict[str, str], Meta(description='a table such as { text = "text", label = "label" }')
    ] = {}
    labels: Annotated[
        tuple[str, ...], Meta(description='a list of words such as ["negative", "positive"]')
    ] = ()
    max_length: Annotated[
        int, Meta(ge=1, le=10_000_000, description="a whole number of tokens from 1")
    ] = 128
    stride: CountOrNone = 64
    mask: Annotated[float, Meta(gt=0, lt=1, description="a share between 0 and 1")] = 0.15
    packing: Annotated[bool, Meta(description="false: rows are not packed together")] = False


class MethodPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[method]``: every weight (``full``), an adapter (``lora``), one on a quantized base.

    Attributes:
        name: ``full`` trains every weight, ``lora`` an adapter, ``qlora`` one on a quantized base.
        r: rank of the adapter.
        alpha: the adapter's scale is alpha / r (alpha / √r with `rslora`).
        dropout: share of the adapter's input that is dropped while training.
        target_modules: names of the linear modules that the adapter is put on, or ``all-linear``;
            empty for those that peft has for the architecture.
        bias: which biases are trained beside the adapter.
        rslora: rank-stabilized scale (Kalajdzievski 2023, arXiv:2312.03732).
        dora: weights split into magnitude and direction (Liu et al. 2024, arXiv:2402.09353).
        quant: what ``qlora`` keeps the base in.
    """

    name: MethodName = "full"
    r: Annotated[int, Meta(ge=1, le=4096, description="a rank, a whole number from 1")] = 8
    alpha: Positive = 16
    dropout: Share = 0.0
    target_modules: Annotated[
        tuple[str, ...] | Literal["all-linear"],
        Meta(description='a list of module names such as ["query", "value"], or "all-linear"'),
    ] = ()
    bias: Literal["none", "all", "lora_only"] = "none"
    rslora: bool = False
    dora: bool = False
    quant: Quant = "nf4"


class TrainingPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[training]``. What is not here is as in `transformers.TrainingArguments`.

    Attributes:
        epochs: passes over the training rows.
        max_steps: optimizer steps; 0 leaves it to `epochs`.
        batch_size: rows a process takes at once.
        eval_batch_size: rows that are evaluated at once.
        accumulate: batches whose gradients make one step.
        learning_rate: the highest that is reached.
        scheduler: how the learning rate goes down from there.
        warmup: steps until the full learning rate; below 1 a share of all.
        weight_decay: how fast the optimizer shrinks weights; 0 is not at all.
        max_grad_norm: the number to which the norm of all gradients is clipped; 0 is not at all.
        optimizer: its name in ``TrainingArguments.optim``.
        log_every: steps between two rows of metrics.
        eval_every: steps between two evaluations; 0 is after each epoch.
        save_every: steps between two checkpoints; 0 is after each epoch.
        keep: checkpoints that are kept, the best one besides.
        metric: the one that decides what is the best; empty for the task's first.
        early_stopping: evaluations without a better one after which the run ends; 0 is never.
        load_best: the model at the end is that of the best checkpoint, not of the last step.
        precision: ``bf16`` and ``fp16`` are mixed precision.
        activation_checkpointing: compute activations again in the backward pass: less memory, more
            time.
        seed: what decides a new head, the order of rows and dropout.
        workers: processes that prepare batches; 0 is the training's own.
        on_nan: what a loss that is no number does.
        processes: more than one are started by ``accelerate launch``.
        accelerate_config: the config file of accelerate: GPUs, FSDP, DeepSpeed, other machines.
    """

    epochs: Positive = 1
    max_steps: CountOrNone = 0
    batch_size: Count = 8
    eval_batch_size: Count = 32
    accumulate: Count = 1
    learning_rate: Annotated[
        float, Meta(gt=0, le=100, description="a number above 0 and not above 100")
    ] = 5e-5
    scheduler: Scheduler = "linear"
    warmup: NotNegative = 0
    weight_decay: NotNegative = 0
    max_grad_norm: NotNegative = 1.0
    optimizer: Annotated[str, Meta(min_length=1, description="one of transformers' optim")] = (
        "adamw_torch_fused"
    )
    precision: Literal["no", "bf16", "fp16"] = "no"
    activation_checkpointing: bool = False
    seed: CountOrNone = 42
    log_every: Count = 10
    eval_every: CountOrNone = 0
    save_every: CountOrNone = 0
    keep: Count = 2
    metric: Annotated[str, Meta(description="a metric of the task")] = ""
    early_stopping: CountOrNone = 0
    load_best: bool = False
    on_nan: Literal["stop", "continue"] = "stop"
    workers: CountOrNone = 0
    processes: Count = 1
    accelerate_config: Annotated[str, Meta(description="a file of accelerate's")] = ""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a run needs to be done again.

    Attributes:
        name: what the run is called.
        task: what is trained, which decides what is read of a row.
        prompts: texts that the model is asked at each evaluation.
        folds: k of a k-fold cross-validation over the training split; 0 is none.
        fold: which of the folds this run leaves out and evaluates on, from 1; 0 in a recipe that is
            not yet one run.
        compare: methods that are each run: a recipe with it, or with `folds`, is several runs.
        group: what the runs of one recipe have in common.
    """

    name: Name
    task: Task
    model: ModelPart
    data: DataPart
    method: MethodPart = MethodPart()
    training: TrainingPart = TrainingPart()
    prompts: Annotated[tuple[str, ...], Meta(description="a list of texts")] = ()
    folds: Annotated[int, Meta(ge=0, le=100, description="a whole number from 2, or 0")] = 0
    fold: CountOrNone = 0
    compare: Annotated[
        tuple[MethodName, ...], Meta(description='a list such as ["full", "lora"]')
    ] = ()
    group: Annotated[str, Meta(description="a name")] = ""

    @property
    def metric(self) -> str:
        """The metric that decides which checkpoint is the best."""
        return self.training.metric or METRICS[self.task][0]

    @property
    def quantization(self) -> Literal["none", "int8", "nf4"]:
        """What the base is kept in."""
        return self.method.quant if self.method.name == "qlora" else "none"

    def column(self, role: str) -> str:
        """What the data calls the column that the task reads as `role`."""
        return self.data.columns.get(role, role)


def stride_of(recipe: Recipe) -> int:
    """Tokens that two windows share: no more than a window can take."""
    return min(recipe.data.stride, recipe.data.max_length // 4)


def expand(recipe: Recipe, group: str) -> list[Recipe]:
    """The runs of a recipe: one for each method to compare and each fold.

    Args:
        recipe: what was asked.
        group: what its runs have in common, when there are several.
    """
    methods = recipe.compare or (recipe.method.name,)
    every = recipe.folds and not recipe.fold
    folds = range(1, recipe.folds + 1) if every else (recipe.fold,)
    if len(methods) * len(folds) == 1:
        return [recipe]
    runs: list[Recipe] = []
    for fold in folds:
        for method in methods:
            told = "-".join(
                [
                    recipe.name,
                    *([method] if recipe.compare else []),
                    *([f"fold{fold}"] if fold else []),
                ]
            )
            runs.append(
                msgspec.structs.replace(
                    recipe,
                    name=told[:80],
                    method=msgspec.structs.replace(recipe.method, name=method),
                    fold=fold,
                    compare=(),
                    group=group,
                )
            )
    return runs
