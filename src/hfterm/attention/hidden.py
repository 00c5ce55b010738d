"""Hidden states: how alike they are, where they lie, and what the head would make of them.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hfterm.attention.capture import Capture
from hfterm.attention.types import Array, HiddenViews, LensCell, LogitLens, Side
from hfterm.errors import HftermError
from hfterm.job import Job

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 512
"""Positions of a similarity matrix at most."""


def views(capture: Capture, side: Side, layer: int) -> HiddenViews:
    """Similarities and a plane of the hidden states of one layer.

    Raises:
        HftermError: there is no such stack or layer.
    """
    import torch

    states = _states(capture, side)
    if not 0 <= layer < len(states):
        raise HftermError(
            "no-layer", f"There are no hidden states {layer}.",
            f"Choose from 0 (the embeddings) to {len(states) - 1}.",
        )  # fmt: skip
    own = states[layer].float()
    every = -(-own.shape[0] // SIDE)
    unit = torch.nn.functional.normalize(own[::every], dim=1)
    units = [torch.nn.functional.normalize(one.float(), dim=1) for one in states]
    layers = torch.stack(
        [torch.stack([(first * second).sum(1).mean() for second in units]) for first in units]
    )
    plane, explained = _plane(own)
    return HiddenViews(
        layer=layer,
        similarity=Array.of((unit @ unit.T).cpu().numpy()),
        every=every,
        layers=Array.of(layers.cpu().numpy()),
        plane=Array.of(plane.cpu().numpy()),
        explained=explained,
    )


def _states(capture: Capture, side: Side) -> list[Tensor]:
    states = capture.passed.hidden.get(side)
    if states is None:
        raise HftermError(
            "no-hidden", f"There are no hidden states of the {side} attention's own.",
            f"Choose: {', '.join(capture.passed.hidden)}.",
        )  # fmt: skip
    return states


def _plane(states: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """The first two principal components, float32[tokens, 2], and their shares of the variance."""
    import torch

    centred = states - states.mean(0)
    if centred.shape[0] < 2 or not bool(centred.isfinite().all()):
        return torch.zeros(centred.shape[0], 2), (0.0, 0.0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors[:, -2:].flip(1)
    # an eigenvector's sign is arbitrary: the same text gives the same picture
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    total = float(values.clamp_min(0).sum()) or 1.0
    first, second = (max(0.0, float(value)) / total for value in (values[-1], values[-2]))
    return centred @ axes, (first, second)


def lens(
    capture: Capture, start: int = 0, count: int = 64, top: int = 5, job: Job | None = None
) -> LogitLens:
    """What the language model's head makes of each layer's states, at some positions.

    Args:
        capture: a pass of a model with a head over the vocabulary.
        start: the first position.
        count: positions.
        top: tokens of each.
        job: is told of each layer.

    Raises:
        HftermError: the model has no such head, or its norm before the head was not found.
    """
    import torch

    job = job or Job()
    model = capture.opened.model
    head = model.get_output_embeddings()
    # an encoder–decoder scales or shifts its states on the way to the head, each in its own way
    norm = _final_norm(capture) if "self" in capture.passed.hidden else None
    if head is None or norm is None:
        raise HftermError(
            "no-lens",
            f"{capture.opened.info.cls} has no head over the vocabulary behind a last norm, so its "
            "layers can't be read as words.",
            "Load a causal model (smollm2, say) with the class for text generation.",
        )
    states = _states(capture, "self")
    positions = range(start, min(start + count, states[0].shape[0]))
    tokenizer = capture.opened.text
    rows: list[tuple[LensCell, ...]] = []
    distributions: list[Tensor] = []
    with torch.inference_mode():
        logits = cast("Tensor", head(states[-1][positions.start : positions.stop])).float()
        last = logits.log_softmax(1)
        for layer, state in enumerate(states):
            job.progress("logit lens", layer, len(states), "layers")
            part = state[positions.start : positions.stop]
            if layer < len(states) - 1:
                part = cast("Tensor", norm(part))
            log = cast("Tensor", head(part)).float().log_softmax(1)
            distributions.append((last.exp() * (last - log)).sum(1))
            best = log.exp().topk(min(top, log.shape[1]), dim=1)
            rows.append(
                tuple(
                    LensCell(
                        tuple(str(tokenizer.decode([id_])) for id_ in ids), tuple(probabilities)
                    )
                    for ids, probabilities in zip(
                        best.indices.tolist(), best.values.tolist(), strict=True
                    )
                )
            )
    return LogitLens(
        layers=tuple(range(len(states))),
        positions=tuple(positions),
        cells=tuple(rows),
        kl=Array.of(torch.stack(distributions).cpu().numpy()),
    )


_NORMS = ("norm", "ln_f", "final_layernorm", "final_layer_norm", "final_norm")
"""What the last norm of a decoder is called."""


def _final_norm(capture: Capture) -> torch.nn.Module | None:
    """The norm between the last layer and the head: a child of the stack."""
    from hfterm.attention.passes import RowPass

    passed = capture.passed
    stack = passed.stack if isinstance(passed, RowPass) else capture.opened.model.base_model
    children = dict(stack.named_children())
    return next((children[name] for name in _NORMS if name in children), None)


if TYPE_CHECKING:
    import torch
