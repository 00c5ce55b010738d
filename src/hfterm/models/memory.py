"""What a model costs in memory, before a byte of it is loaded.

Weights are counted on the meta device. What a forward pass or a training step adds is traced
(`memory_trace`) with the tensors that torch, peft and bitsandbytes really make. Optimizer: AdamW
as in `torch.optim`, which on a CPU takes one parameter after the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hfterm.job import Job
from hfterm.models.memory_types import (
    DeviceRoom,
    MemoryPart,
    MemoryPlan,
    MemoryVerdict,
    Precision,
    Purpose,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

    from hfterm.models.memory_trace import Bytes, Recorder, Trace

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8", "nf4")

WAYS: tuple[tuple[Purpose, Precision], ...] = (
    *(("inference", precision) for precision in PRECISIONS),
    ("full fine-tune", "float32"),
    ("full fine-tune", "bfloat16"),
    ("LoRA", "float32"),
    ("LoRA", "bfloat16"),
    ("QLoRA", "int8"),
    ("QLoRA", "nf4"),
)

TIGHT = 0.85
"""The share of free memory above which a plan no longer simply fits."""

STATES = 2
"""Numbers that AdamW keeps for each one it trains: the mean of gradients, and of their squares."""

MAX_PERIOD = 8
"""Layers after which a pattern of layers is looked for no longer."""


class Run(msgspec.Struct, frozen=True):
    """What every trace of one estimate has in common.

    Attributes:
        batch: sequences at once.
        context: tokens a sequence.
        rank: of the adapters.
        targets: names of the layers that get adapters, or None for every linear layer.
        new: modules that the checkpoint lacks.
    """

    batch: int
    context: int
    rank: int
    targets: tuple[str, ...] | None
    new: tuple[str, ...]


class Cut(msgspec.Struct, frozen=True):
    """Two shorter models to trace in place of one.

    Attributes:
        few: layers of the first.
        more: layers of the second.
        steps: how often the difference is to be added to the first, to come to the whole.
    """

    few: int
    more: int
    steps: float


def estimate(
    model_cls: type[PreTrainedModel],
    config: PreTrainedConfig,
    *,
    context: int,
    batch: int,
    rank: int = 8,
    targets: Sequence[str] | None = None,
    new_modules: Sequence[str] = (),
    job: Job | None = None,
) -> list[MemoryPlan]:
    """The peak of every purpose and precision, largest parts first. Nothing is allocated.

    Args:
        model_cls: the concrete class, such as `LlamaForCausalLM`.
        config: its configuration.
        context: tokens a sequence.
        batch: sequences at once; more than one are taken to be padded, which needs a mask.
        rank: of LoRA's adapters.
        targets: names of the layers that get adapters; None for every linear layer but heads.
        new_modules: what the checkpoint lacks, as the loading report names it: it is trained in
            full, and never quantized.
        job: reports how far the work is, and may cancel it.
    """
    job = job or Job()
    whole = _build(model_cls, config)
    run = Run(batch, context, rank, None if targets is None else tuple(targets), tuple(new_modules))
    cut = _cut(whole, config)
    plans: list[MemoryPlan] = []
    for number, (purpose, precision) in enumerate(WAYS):
        job.progress("estimating memory", number, len(WAYS), "plans")
        if (plan := _plan(whole, config, cut, run, purpose, precision)) is not None:
            plans.append(plan)
    return plans


def weight_sizes(
    model_cls: type[PreTrainedModel], config: PreTrainedConfig, new_modules: Sequence[str] = ()
) -> dict[Precision, int]:
    """Bytes of a model's weights and buffers by precision, tied ones once, scales included.

    int8 and nf4 are bitsandbytes', nf4 with double quantization; what they leave alone
    (embeddings, norms, output layers, `new_modules`) is kept in bfloat16.
    """
    model = _build(model_cls, config)
    return {precision: _weights(model, precision, new_modules) for precision in PRECISIONS}


def judge(plan: MemoryPlan, room: DeviceRoom, plans: Sequence[MemoryPlan] = ()) -> MemoryVerdict:
    """Whether a plan fits what is free on a device, in words.

    Args:
        plan: what is to be done.
        room: the device.
        plans: the others, among which one that does fit is looked for.
    """
    needs = f"{gigabytes(plan.total)} of {gigabytes(room.free)} free"
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
    help_ = (
        "a smaller batch or context, or a smaller model"
        if best is None
        else f"{best.purpose} {best.precision} takes {gigabytes(best.total)}"
    )
    missing = gigabytes(plan.total - room.free)
    return MemoryVerdict(room.name, "does not fit", f"needs {missing} more; {help_}")


def gigabytes(size: int) -> str:
    """Bytes in GB or MB, with the digits that matter."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _build(model_cls: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """The model on the meta device: every shape and not one number."""
    import torch

    with torch.device("meta"):
        model = model_cls(config)
    model.tie_weights()
    return model


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
    from hfterm.models.memory_layers import quantizable, quantized_bytes

    buffers = _nbytes(list(model.buffers()))
    if precision in {"float32", "bfloat16"}:
        return buffers + _nbytes(list(model.parameters()), 4 if precision == "float32" else 2)
    matrices = [module.get_parameter("weight") for module in quantizable(model, new_modules).values()]
    others = _nbytes([*model.parameters()], rest) - _nbytes(matrices, rest)
    return buffers + others + sum(
        quantized_bytes(matrix.numel(), int(matrix.shape[0]), precision) for matrix in matrices
    )  # fmt: skip


def _plan(
    whole: PreTrainedModel,
    config: PreTrainedConfig,
    cut: Cut,
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
    moment = _peak(type(whole), config, cut, run, purpose, precision)
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
    )


def _cut(whole: PreTrainedModel, config: PreTrainedConfig) -> Cut:
    """How many layers to trace: whole periods of the layers' pattern, after what comes before it.

    Two layers are alike when their weights have the same shapes and the configuration gives them
    the same type.
    """
    import torch

    from hfterm.models.kv_cache import layer_kinds

    text = config.get_text_config(decoder=True)
    count = int(text.num_hidden_layers)
    whole_cut = Cut(count, count, 0)
    if config.is_encoder_decoder:
        return whole_cut
    stack = next(
        (
            module
            for module in whole.modules()
            if isinstance(module, torch.nn.ModuleList) and len(module) == count
        ),
        None,
    )
    if stack is None:
        return whole_cut
    kinds = [
        (kind, *(tuple(one.shape) for one in layer.parameters()))
        for kind, layer in zip(layer_kinds(text), stack, strict=True)
    ]
    for start in range(min(count, MAX_PERIOD)):
        for period in range(1, MAX_PERIOD + 1):
            if start + 2 * period >= count:
                break
            if all(kinds[index] == kinds[index + period] for index in range(start, count - period)):
                few = start + period
                return Cut(few, few + period, (count - few) / period)
    return whole_cut


def _peak(
    model_cls: type[PreTrainedModel],
    config: PreTrainedConfig,
    cut: Cut,
    run: Run,
    purpose: Purpose,
    precision: Precision,
) -> Bytes:
    """What is alive at the peak, weights and optimizer states apart."""
    from hfterm.models.kv_cache import with_layers
    from hfterm.models.memory_trace import peak

    def traced(layers: int) -> Trace:
        model = _build(model_cls, with_layers(config, layers) if cut.steps else config)
        return _trace(model, run, purpose, precision)

    few = traced(cut.few)
    return peak(few, traced(cut.more) if cut.steps else few, cut.steps)


def _trace(model: PreTrainedModel, run: Run, purpose: Purpose, precision: Precision) -> Trace:
    """Run a model on the meta device for a purpose; its weights are changed to what that needs."""
    import torch

    from hfterm.models.memory_layers import HEADS, adapt, belongs, quantizable, quantize, targeted
    from hfterm.models.memory_trace import recording

    training = purpose != "inference"
    model.train(training)
    model.to(torch.float32 if precision == "float32" or purpose == "QLoRA" else torch.bfloat16)
    trained: list[nn.Parameter] = list(model.parameters())
    if precision in {"int8", "nf4"}:
        quantize([*quantizable(model, run.new).values()], precision, training=training)
    if purpose in {"LoRA", "QLoRA"}:
        heads = [*run.new, *HEADS]
        model.requires_grad_(False)
        trained = adapt([*targeted(model, run.targets, heads).values()], run.rank)
        for name, parameter in model.named_parameters():
            if belongs(name.rpartition(".")[0], heads):
                parameter.requires_grad_(True)
                trained.append(parameter)
    if purpose == "QLoRA":  # as peft's prepare_model_for_kbit_training
        model.enable_input_require_grads()
        model.activation_checkpointing_enable({"use_reentrant": True, "preserve_rng_state": False})
    inputs = _inputs(model, run, training=training)
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    known = [*model.parameters(), *model.buffers(), *trained, *inputs.values()]
    with recording(known, _logits_test(vocabulary, run)) as recorder, torch.device("meta"):
        if training:
            _train(model, inputs, trained, recorder)
        else:
            _infer(model, inputs, recorder)
        return recorder.trace()


def _logits_test(vocabulary: int, run: Run) -> Callable[[Tensor], bool]:
    """A test for tensors with a score for each word at each place, whatever their shape."""
    sizes = {vocabulary * run.batch * run.context, vocabulary * run.batch * (run.context - 1)}
    return lambda tensor: tensor.ndim > 1 and tensor.numel() in sizes


def _inputs(model: PreTrainedModel, run: Run, *, training: bool) -> dict[str, Tensor]:
    """A batch for the model's class, in shapes only: tokens, a mask where there is padding, labels."""
    import torch

    ids = torch.zeros(run.batch, run.context, dtype=torch.long, device="meta")
    inputs = {"input_ids": ids}
    if run.batch > 1:
        inputs["attention_mask"] = torch.ones_like(ids)
    accepted = inspect.signature(model.forward).parameters
    if training:
        one_each = "Classification" in type(model).__name__ and "Token" not in type(model).__name__
        place = torch.zeros(run.batch, dtype=torch.long, device="meta")
        if "labels" in accepted:
            inputs["labels"] = place if one_each else ids
        elif "start_positions" in accepted:
            inputs |= {"start_positions": place, "end_positions": place}
    return inputs


def _infer(model: PreTrainedModel, inputs: dict[str, Tensor], recorder: Recorder) -> None:
    """One forward pass, as `generate` makes it over a prompt: scores of the last place only."""
    import torch

    from hfterm.models.kv_cache import cache_tensors
    from hfterm.models.memory_trace import Kind

    accepted = inspect.signature(model.forward).parameters
    more: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
    with torch.no_grad():
        answer = model(**inputs, **more)
    for tensor in cache_tensors(answer.get("past_key_values")):
        recorder.classify(tensor, Kind.CACHE)


def _train(
    model: PreTrainedModel, inputs: dict[str, Tensor], trained: list[nn.Parameter],
    recorder: Recorder,
) -> None:  # fmt: skip
    """A forward and a backward pass."""
    from hfterm.models.memory_trace import Kind

    def collected(parameter: Tensor) -> None:
        if parameter.grad is not None:
            recorder.classify(parameter.grad, Kind.GRADIENT)

    for parameter in trained:
        parameter.register_post_accumulate_grad_hook(collected)
    accepted = inspect.signature(model.forward).parameters
    more: dict[str, Any] = {"use_cache": False} if "use_cache" in accepted else {}
    loss: torch.Tensor | None = _loss(model(**inputs, **more))
    recorder.turn()
    if loss is not None:
        loss.backward()


def _loss(answer: Any) -> torch.Tensor | None:
    """The loss of a class that computes one, or the mean of what it gives."""
    loss = answer.get("loss")
    if loss is not None:
        return loss
    return next(iter(answer.values())).float().mean()
