"""What a model costs in memory, before a byte of it is loaded.

Weights are counted on the meta device. What a forward pass or a training step adds is traced
(`memory_trace`) with the tensors that torch, peft and bitsandbytes really make. Optimizer: AdamW
as in `torch.optim`, which on a CPU takes one parameter after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hfterm.job import Job
from hfterm.models.memory_runs import Cut, Run, build, cut, peak_of
from hfterm.models.memory_types import (
    DeviceRoom,
    MemoryPart,
    MemoryPlan,
    MemoryVerdict,
    Precision,
    Purpose,
    Way,
)
from hfterm.sizes import size_text

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from hfterm.models.memory_trace import Bytes

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8", "nf4")

WAYS: tuple[Way, ...] = (
    *(("inference", precision) for precision in PRECISIONS),
    ("full fine-tune", "float32"),
    ("full fine-tune", "bfloat16"),
    ("LoRA", "float32"),
    ("LoRA", "bfloat16"),
    ("QLoRA", "int8"),
    ("QLoRA", "nf4"),
)

NOTES: dict[Way, str] = {
    ("full fine-tune", "bfloat16"): "AdamW keeps bfloat16 states too: small updates are lost",
    ("QLoRA", "int8"): "with activation checkpointing, as peft prepares it",
    ("QLoRA", "nf4"): "with activation checkpointing, as peft prepares it",
}
"""What to know about a plan."""

UNTRACEABLE = (RuntimeError, ValueError, TypeError, AttributeError, LookupError)
"""What a model raises that needs data to run: NotImplementedError is a RuntimeError."""

TIGHT = 0.85
"""The share of free memory above which a plan no longer simply fits."""

STATES = 2
"""Numbers that AdamW keeps for each one it trains: the mean of gradients, and of their squares."""

RUNTIME_BUFFERS: dict[bool, int] = {False: 4_000_000, True: 16_000_000}
"""What the matrix libraries keep for themselves, in inference and in training.

Measured: MKL and oneDNN on two cores, after products of the shapes of a small model; with the
output layer over 50,000 words and the backward pass, 16 MB.
"""


def estimate(
    model_cls: type[PreTrainedModel],
    config: PreTrainedConfig,
    *,
    context: int,
    batch: int,
    rank: int = 8,
    targets: Sequence[str] | None = None,
    new_modules: Sequence[str] = (),
    only: Way | None = None,
    job: Job | None = None,
) -> list[MemoryPlan]:
    """The peak of every purpose and precision, largest parts first. Nothing is allocated.

    Args:
        model_cls: the concrete class, such as `LlamaForCausalLM`.
        config: its configuration.
        context: tokens a sequence.
        batch: sequences at once; more than one are taken to be padded, which needs a mask.
        rank: of LoRA's adapters.
        targets: names of the layers that get adapters; none for every linear one but heads.
        new_modules: what the checkpoint lacks, as the loading report names it: it is trained in
            full, and never quantized.
        only: the one purpose and precision that is asked for.
        job: reports how far the work is, and may cancel it.
    """
    job = job or Job()
    ways = [way for way in WAYS if only in (None, way)]
    whole = build(model_cls, config)
    run = Run(batch, context, rank, tuple(targets or ()), tuple(new_modules))
    shorter = cut(whole, config)
    plans: list[MemoryPlan] = []
    for number, (purpose, precision) in enumerate(ways):
        job.progress("estimating memory", number, len(ways), "plans")
        if (plan := _plan(whole, config, shorter, run, purpose, precision)) is not None:
            plans.append(plan)
    return plans


def weight_sizes(
    model_cls: type[PreTrainedModel], config: PreTrainedConfig, new_modules: Sequence[str] = ()
) -> dict[Precision, int]:
    """Bytes of a model's weights and buffers by precision, tied ones once, scales included.

    int8 and nf4 are bitsandbytes', nf4 with double quantization; what they leave alone
    (embeddings, norms, output layers, `new_modules`) is kept in bfloat16.
    """
    model = build(model_cls, config)
    return {precision: _weights(model, precision, new_modules) for precision in PRECISIONS}


def judge(plan: MemoryPlan, room: DeviceRoom, plans: Sequence[MemoryPlan] = ()) -> MemoryVerdict:
    """Whether a plan fits what is free on a device, in words.

    Args:
        plan: what is to be done.
        room: the device.
        plans: the others, among which one that does fit is looked for.
    """
    needs = f"{size_text(plan.total)} of {size_text(room.free)} free"
    if plan.total <= TIGHT * room.free:
        return MemoryVerdict(room.name, "fits", needs)
    if plan.total <= room.free:
        return MemoryVerdict(room.name, "tight", f"{needs}; close other programs, or use less text")
    training = plan.purpose != "inference"
    fitting = [
        other
        for other in plans
        if other.total <= TIGHT * room.free and (other.purpose != "inference") == training
    ]
    best = max(fitting, key=lambda other: other.total, default=None)
    weights = sum(part.size for part in plan.parts if part.what == "weights")
    if best is not None:
        help_ = f"{best.purpose} {best.precision} takes {size_text(best.total)}"
    elif weights > room.free:
        help_ = f"the weights alone take {size_text(weights)}: a smaller model, or a larger device"
    else:
        help_ = "a smaller batch or context, or a smaller model"
    missing = size_text(plan.total - room.free)
    return MemoryVerdict(room.name, "does not fit", f"needs {missing} more; {help_}")


def _nbytes(tensors: Sequence[Tensor], width: int | None = None) -> int:
    """Bytes of tensors, each floating-point number taking `width`, or what it takes now."""
    return sum(
        tensor.numel() * (width if width and tensor.is_floating_point() else tensor.itemsize)
        for tensor in tensors
    )


def _weights(
    model: PreTrainedModel, precision: Precision, new_modules: Sequence[str], rest: int = 2
) -> int:
    """Bytes of weights and buffers; `rest` is the width of what is not quantized."""
    from hfterm.models.memory_layers import matrix_shape, quantizable, quantized_bytes

    buffers = _nbytes(list(model.buffers()))
    if precision in {"float32", "bfloat16"}:
        return buffers + _nbytes(list(model.parameters()), 4 if precision == "float32" else 2)
    layers = list(quantizable(model, new_modules).values())
    matrices = [layer.get_parameter("weight") for layer in layers]
    others = _nbytes([*model.parameters()], rest) - _nbytes(matrices, rest)
    return buffers + others + sum(
        quantized_bytes(matrix.numel(), matrix_shape(layer)[0], precision)
        for layer, matrix in zip(layers, matrices, strict=True)
    )  # fmt: skip


def _plan(
    whole: PreTrainedModel,
    config: PreTrainedConfig,
    shorter: Cut,
    run: Run,
    purpose: Purpose,
    precision: Precision,
) -> MemoryPlan | None:
    """The plan of one purpose in one precision, or None where the model has nothing to adapt."""
    from hfterm.models.memory_layers import HEADS, belongs, targeted

    width = 4 if precision == "float32" or purpose == "QLoRA" else 2
    weights = _weights(whole, precision, run.new, width)
    parts = {"weights": weights}
    trained: list[int] = []  # bytes of each tensor that is trained
    trainable = 0
    if purpose == "full fine-tune":
        trained = [_nbytes([one], width) for one in whole.parameters()]
        trainable = sum(one.numel() for one in whole.parameters())
    elif purpose != "inference":
        heads = [
            one for name, one in whole.named_parameters()
            if belongs(name.rpartition(".")[0], [*run.new, *HEADS])
        ]  # fmt: skip
        layers = targeted(whole, run.targets, [*run.new, *HEADS])
        if not layers:
            return None
        shapes = [module.get_parameter("weight").shape for module in layers.values()]
        trained = [4 * run.rank * int(size) for shape in shapes for size in shape]
        parts["adapters"] = sum(trained) + _nbytes(heads, width)
        trained += [_nbytes([head], width) for head in heads]
        trainable = sum(run.rank * sum(shape) for shape in shapes)
        trainable += sum(head.numel() for head in heads)
    note = NOTES.get((purpose, precision), "")
    try:
        moment = peak_of(type(whole), config, shorter, run, purpose, precision)
    except UNTRACEABLE as error:
        moment = _rule_of_thumb(config, run, purpose, width)
        note = f"by a rule of thumb: {type(whole).__name__} cannot be traced ({error})"
    activations, logits, gradients, cache = moment
    if trained:
        parts["optimizer states"] = STATES * sum(trained)
        step = sum(trained) + 2 * max(trained)
        if step > sum(moment):
            activations = logits = 0
            gradients = sum(trained)
            parts["AdamW's step"] = step - gradients
    parts |= {
        "gradients": gradients,
        "KV cache": cache,
        "activations": activations,
        "logits and loss": logits,
        "runtime buffers": RUNTIME_BUFFERS[purpose != "inference"],
    }
    kept = tuple(
        MemoryPart(what, size)
        for what, size in sorted(parts.items(), key=lambda part: -part[1])
        if size
    )
    return MemoryPlan(
        purpose=purpose,
        precision=precision,
        parts=kept,
        total=sum(part.size for part in kept),
        trainable=trainable,
        note=note.splitlines()[0] if note else "",
    )


def _rule_of_thumb(config: PreTrainedConfig, run: Run, purpose: Purpose, width: int) -> Bytes:
    """Activations of a usual transformer, for a model that cannot be run without data.

    A layer keeps s·b·h·(34 + 5·a·s / h) bytes in 16-bit numbers (Korthikanti et al. 2022, "Reducing
    Activation Recomputation in Large Transformer Models", equation 1); inference has one at a
    time, and under activation checkpointing only the inputs of the others are kept.
    """
    text = config.get_text_config(decoder=True)
    tokens, hidden = run.batch * run.context, int(text.hidden_size)
    # an attribute of the config that models without attention lack: they keep no keys either
    heads: int = getattr(text, "num_attention_heads", 0)
    layers = int(text.num_hidden_layers)
    layer = tokens * (34 * hidden + 5 * heads * run.context) * width // 2
    if purpose == "inference":
        return layer, 0, 0, 2 * layers * tokens * hidden * width if heads else 0
    inputs = layers * tokens * hidden * width
    kept = layer + inputs if purpose == "QLoRA" else layers * layer
    return kept, 3 * 4 * tokens * int(text.vocab_size), 0, 0
