"""Runs of a model without data, one for each purpose: what is traced, and what is done in it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hfterm.building_lock import building
from hfterm.models.memory_types import Precision, Purpose

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

    from hfterm.models.memory_trace import Bytes, Recorder, Trace

CHECKPOINT = "_gradient_checkpointing_func"
"""Where transformers keeps the function that runs a layer under activation checkpointing."""

MAX_PERIOD = 8
"""Layers after which a pattern of layers is looked for no longer."""


class Run(msgspec.Struct, frozen=True):
    """What every trace of one estimate has in common.

    Attributes:
        batch: sequences at once.
        context: tokens a sequence.
        rank: of the adapters.
        targets: names of the layers that get adapters; empty for every linear layer.
        new: modules that the checkpoint lacks.
    """

    batch: int
    context: int
    rank: int
    targets: tuple[str, ...]
    new: tuple[str, ...]


class Cut(msgspec.Struct, frozen=True):
    """Two shorter models to trace in place of one.

    Attributes:
        few: layers of the first.
        more: layers of the second.
        steps: how often the difference is to be added to the first, to come to the whole.
        start: the first of the layers that recur.
    """

    few: int
    more: int
    steps: float
    start: int = 0


def build(model_cls: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """The model on the meta device: every shape and not one number."""
    import torch

    with building(), torch.device("meta"):
        own = copy.deepcopy(config)
        text = own.get_text_config(decoder=True)
        # an attribute of the config that some architectures lack, RWKV say
        if getattr(text, "pad_token_id", None) is None:
            text.pad_token_id = 0  # without one, no class takes a batch of texts to classify
        model = model_cls(own)
        model.tie_weights()
    return model


def cut(whole: PreTrainedModel, config: PreTrainedConfig) -> Cut:
    """How many layers to trace: whole periods of the layers' pattern, after what comes before it.

    Two layers are alike when their weights have the same shapes and the configuration gives them
    the same type.
    """
    from hfterm.models.kv_cache import layer_kinds

    text = config.get_text_config(decoder=True)
    count = int(text.num_hidden_layers)
    uncut = Cut(count, count, 0)
    stack = _stack(whole, count)
    if config.is_encoder_decoder or stack is None:
        return uncut
    kinds = [
        (kind, *(tuple(one.shape) for one in layer.parameters()))
        for kind, layer in zip(layer_kinds(text), stack, strict=True)
    ]
    for start in range(1, min(count, MAX_PERIOD)):  # what goes into the first layer is kept longer
        for period in range(1, MAX_PERIOD + 1):
            few = start + period
            if few + period >= count:
                break
            if all(kinds[index] == kinds[index + period] for index in range(start, count - period)):
                return Cut(few, few + period, (count - few) / period, start)
    return uncut


def _stack(model: PreTrainedModel, count: int) -> nn.ModuleList | None:
    """The list of the model's layers."""
    import torch

    return next(
        (
            module
            for module in model.modules()
            if isinstance(module, torch.nn.ModuleList) and len(module) == count
        ),
        None,
    )


def peak_of(
    model_cls: type[PreTrainedModel],
    config: PreTrainedConfig,
    shorter: Cut,
    run: Run,
    purpose: Purpose,
    precision: Precision,
) -> Bytes:
    """What is alive at the peak, weights and optimizer states apart."""
    from hfterm.models.kv_cache import with_layers
    from hfterm.models.memory_trace import peak

    def traced(layers: int) -> Trace:
        model = build(model_cls, with_layers(config, layers) if shorter.steps else config)
        stack = _stack(model, layers) if shorter.steps else None
        return _trace(
            model, run, purpose, precision, None if stack is None else stack[shorter.start]
        )

    few = traced(shorter.few)
    return peak(few, traced(shorter.more) if shorter.steps else few, shorter.steps)


def _trace(
    model: PreTrainedModel,
    run: Run,
    purpose: Purpose,
    precision: Precision,
    alike: nn.Module | None = None,
) -> Trace:
    """Run a model on the meta device for a purpose; its weights are changed to what that needs.

    Args:
        model: on the meta device.
        run: the batch, and what is trained.
        purpose: inference, or the kind of training.
        precision: of the weights.
        alike: the first layer of those that recur.
    """
    import torch

    from hfterm.models.memory_layers import HEADS, adapt, belongs, quantizable, quantize, targeted
    from hfterm.models.memory_trace import checkpointed, recording

    training = purpose != "inference"
    model.train(training)
    wide = precision == "float32" or purpose == "QLoRA"
    torch.nn.Module.to(model, torch.float32 if wide else torch.bfloat16)
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
        if model.supports_gradient_checkpointing:
            model.activation_checkpointing_enable()
            for module in model.modules():
                if CHECKPOINT in vars(module):
                    setattr(module, CHECKPOINT, checkpointed)
    inputs = _inputs(model, run, training=training)
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    known = [*model.parameters(), *model.buffers(), *trained, *inputs.values()]
    with recording(known, _logits_test(vocabulary, run)) as recorder, torch.device("meta"):
        if alike is not None:
            alike.register_forward_pre_hook(lambda _module, _inputs: recorder.alike())
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
    """A batch for a class, in shapes only: tokens, a mask where there is padding, labels."""
    import torch

    name = type(model).__name__
    choices = (1,) if "MultipleChoice" in name else ()
    ids = torch.zeros(run.batch, *choices, run.context, dtype=torch.long, device="meta")
    inputs = {"input_ids": ids}
    if run.batch > 1:
        inputs["attention_mask"] = torch.ones_like(ids)
    accepted = inspect.signature(model.forward).parameters
    if model.config.is_encoder_decoder and not training:
        inputs["decoder_input_ids"] = ids
    if training:
        one_each = bool(choices) or ("Classification" in name and "Token" not in name)
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
    model.config.get_text_config(decoder=True).use_cache = False
    loss = _loss(model(**inputs))
    recorder.turn()
    loss.backward()


def _loss(answer: Any) -> Tensor:
    """The loss of a class that computes one, or the mean of what it gives."""
    loss = answer.get("loss")
    return next(iter(answer.values())).float().mean() if loss is None else loss
