"""Text classification: logits, probabilities, the loss of a label, gradients.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from hfterm.errors import HftermError
from hfterm.inference.inputs import check_finite, ensure_padding, prepare
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.types import Classification, LabelScore, Long, Loss, ModuleGradient

if TYPE_CHECKING:
    from torch import Tensor

Activation = Literal["softmax", "sigmoid", "none"]

_LAYER = re.compile(r"^(.*?\.\d+)(\.|$)")


def activation_of(opened: OpenModel) -> Activation:
    """What makes probabilities of the logits: the config's problem type says."""
    if opened.model.config.problem_type == "multi_label_classification":
        return "sigmoid"
    if opened.model.config.num_labels == 1 or opened.model.config.problem_type == "regression":
        return "none"
    return "softmax"


def probabilities(logits: Tensor, activation: Activation) -> Tensor:
    """float32[…, labels] of logits of the same shape."""
    import torch

    logits = logits.float()
    if activation == "softmax":
        return torch.softmax(logits, dim=-1)
    return torch.sigmoid(logits) if activation == "sigmoid" else logits


def scores_of(opened: OpenModel, logits: Tensor, activation: Activation) -> list[LabelScore]:
    """One score a label. `logits`: float[labels]."""
    shares = probabilities(logits, activation)
    labels = opened.info.labels
    return [
        LabelScore(id_, labels[id_] if id_ < len(labels) else str(id_), float(logit), float(share))
        for id_, (logit, share) in enumerate(zip(logits.tolist(), shares.tolist(), strict=True))
    ]


def classify(
    opened: OpenModel, text: str, pair: str | None = None, *, label: int | None = None,
    backward: bool = False, long: Long = "ask",
) -> Classification:  # fmt: skip
    """Classify a text, or a pair.

    Args:
        opened: a sequence classification model.
        text: the text.
        pair: a second sequence.
        label: the id of a label whose loss is wanted.
        backward: also the norms of the gradients of that loss.
        long: what to do with a text that does not fit.

    Raises:
        HftermError: the text does not fit, the label is none, or the logits are no numbers.
    """
    import torch

    ensure_padding(opened)
    count = len(opened.info.labels)
    if label is not None and not 0 <= label < count:
        raise HftermError(
            "no-label",
            f"There is no label {label}; the model has {count}.",
            f"Choose 0 to {count - 1}.",
        )
    prepared = prepare(opened, text, pair, long)
    with memory_errors("this text"), torch.no_grad():
        logits: Tensor = opened.model(**prepared.inputs).logits
    check_finite(opened, logits)
    mean = logits.float().mean(dim=0)
    activation = activation_of(opened)
    found = scores_of(opened, mean, activation)
    loss = None
    if label is not None:
        with memory_errors("the backward pass"):
            loss = loss_of(opened, prepared.inputs, label, backward=backward)
    return Classification(
        tokens=prepared.tokens,
        windows=prepared.windows,
        cut=prepared.cut,
        scores=tuple(found),
        best=max(found, key=lambda score: score.logit).id,
        activation=activation,
        loss=loss,
    )


def loss_of(opened: OpenModel, inputs: dict[str, Tensor], label: int, *, backward: bool) -> Loss:
    """The loss of a label, by the model's ``labels`` argument and by the function itself."""
    import torch
    from torch.nn import functional

    activation = activation_of(opened)
    rows = inputs["input_ids"].shape[0]
    count = len(opened.info.labels)
    device = opened.model.device
    target = torch.full((rows,), label, device=device)
    labels, function = target, "cross_entropy"
    if activation == "sigmoid":
        labels = functional.one_hot(target, count).float()
        function = "binary_cross_entropy_with_logits"
    elif activation == "none":
        wanted = functional.one_hot(target, count) if count > 1 else target
        labels, function = wanted.float(), "mse_loss"
    trainable = backward and opened.info.spec.quantization == "none"
    opened.model.zero_grad(set_to_none=True)
    with torch.set_grad_enabled(trainable):
        output = opened.model(**inputs, labels=labels)
        logits: Tensor = output.logits.float()
        if function == "mse_loss":
            by_hand = functional.mse_loss(logits.squeeze(-1), labels)
        elif function == "cross_entropy":
            by_hand = functional.cross_entropy(logits, labels)
        else:
            by_hand = functional.binary_cross_entropy_with_logits(logits, labels)
    gradients: list[ModuleGradient] = []
    total = 0.0
    if trainable:
        by_hand.backward()
        gradients = gradient_norms(opened)
        total = sum(found.norm**2 for found in gradients) ** 0.5
        opened.model.zero_grad(set_to_none=True)
    return Loss(
        label, float(output.loss.detach()), float(by_hand.detach()), function, total,
        tuple(gradients),
    )  # fmt: skip


def module_of(name: str) -> str:
    """The module a gradient is counted to: its layer, else the first two parts of the name."""
    if match := _LAYER.match(name):
        return match[1]
    parts = name.split(".")[:-1]
    return ".".join(parts[:2]) or name


def gradient_norms(opened: OpenModel) -> list[ModuleGradient]:
    """The L2 norm of the gradient of every module."""
    squares: dict[str, float] = {}
    counts: dict[str, int] = {}
    for name, weight in opened.model.named_parameters():
        module = module_of(name)
        counts[module] = counts.get(module, 0) + weight.numel()
        norm = float(weight.grad.float().norm()) if weight.grad is not None else 0.0
        squares[module] = squares.get(module, 0.0) + norm**2
    return [ModuleGradient(name, squares[name] ** 0.5, counts[name]) for name in squares]
