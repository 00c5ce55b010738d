"""One forward pass, kept so that any head's weights can be had again.

What is kept is the input of each layer: float[tokens, width], as the hidden states are wanted
anyway. A head's weights are computed again from it by the layer itself, which takes a fraction
of the pass. `WholePass` is for models that don't follow transformers' attention interface.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hfterm.attention.rows import Enough, Wanted, implementation_of, watching
from hfterm.attention.types import Side
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.sizes import size_text
from hfterm.system.own_memory import trim

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers.modeling_utils import PreTrainedModel

WHOLE = 2 << 30
"""Bytes of weights that are kept at most where they can't be computed again."""

_LAYER = re.compile(r"^(.*?\d+)\.")


@dataclass(frozen=True)
class Site:
    """An attention module: where it is, and what its weights look like."""

    module: nn.Module
    layer: nn.Module
    stack: nn.Module
    side: Side
    index: int
    heads: int
    kv_heads: int


LONG = 1024
"""Tokens from which memory is given back after each layer: weights come in pieces of many sizes,
between whose remains the C library finds no room for the next.
"""


class Pass(ABC):
    """A forward pass of one text.

    Attributes:
        hidden: by stack, float[tokens, width] for the embeddings and after each layer, the last
            one normalised as the model hands it out.
    """

    implementation: str
    hidden: dict[Side, list[Tensor]]

    @abstractmethod
    def shape(self, side: Side) -> tuple[int, int, int]:
        """Layers, heads and key heads of a side."""

    @property
    @abstractmethod
    def sides(self) -> tuple[Side, ...]:
        """The attentions there are."""

    @abstractmethod
    def see(self, side: Side, layer: int, wanted: Wanted) -> None:
        """Show a layer's weights to ``wanted.see``."""


def sites_of(model: PreTrainedModel) -> list[Site]:
    """The attention modules in the order in which a pass calls them.

    None when it calls none that go through transformers' interface, or one of them twice.

    They are found by a pass over three tokens (and two of a target, by which cross-attention is
    told from the decoder's own).
    """
    import torch

    names = {id(module): name for name, module in model.named_modules()}
    modules = dict(model.named_modules())
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def watch(module: nn.Module, query: Tensor, key: Tensor) -> Wanted | None:
        calls.append((module, query, key))
        return None

    paired = bool(model.config.is_encoder_decoder)
    ids = torch.ones(1, 3, dtype=torch.long, device=model.device)
    told: dict[str, object] = {"input_ids": ids, "use_cache": False}
    if paired:
        told["decoder_input_ids"] = ids[:, :2]
    with watching(model, watch), torch.inference_mode():
        _base(model)(**told)
    if len({id(module) for module, _, _ in calls}) < len(calls):
        return []  # layers share a module, as ALBERT's do: its inputs would be the last layer's
    found: list[Site] = []
    counts: dict[Side, int] = {}
    for module, query, key in calls:
        side: Side = "self"
        if paired:
            side = "encoder" if query.shape[2] == 3 else "decoder"
            if query.shape[2] != key.shape[2]:
                side = "cross"
        name = names[id(module)]
        match = _LAYER.match(name + ".")
        layer = match[1] if match else name
        stack = re.sub(r"\.?[^.]+\.\d+$", "", layer)
        index = counts.get(side, 0)
        counts[side] = index + 1
        found.append(
            Site(module, modules[layer], modules[stack], side, index, query.shape[1], key.shape[1])
        )
    return found


def _base(model: PreTrainedModel) -> nn.Module:
    """The model without its head, whose logits would be the largest thing in memory."""
    return model.base_model


class RowPass(Pass):
    """A pass whose weights are computed again, some queries at a time.

    Args:
        model: the model.
        sites: its attention modules.
        inputs: int64[1, tokens] by name.
        wanted: what to see of each site on the way.
        job: is told of each layer.
    """

    implementation = "the model's own eager attention, row by row"

    def __init__(
        self, model: PreTrainedModel, sites: list[Site], inputs: Mapping[str, Tensor],
        wanted: Mapping[Side, Mapping[int, Wanted]], job: Job,
    ) -> None:  # fmt: skip
        import torch

        self._model = model
        self._sites: dict[tuple[Side, int], Site] = {
            (site.side, site.index): site for site in sites
        }
        self._calls: dict[int, tuple[tuple[object, ...], dict[str, object]]] = {}
        self.hidden = {}
        by_module = {id(site.module): site for site in sites}
        layers = {id(site.layer): site for site in reversed(sites) if site.side != "cross"}
        stacks = {id(site.stack): site for site in sites if site.side != "cross"}
        done = 0

        def entered(layer: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            nonlocal done
            job.progress("attention", done, len(layers), "layers")
            done += 1
            self._calls[id(layer)] = (args, kwargs)
            state = cast("Tensor", args[0] if args else kwargs["hidden_states"])
            self.hidden.setdefault(layers[id(layer)].side, []).append(state[0])
            if state.shape[1] >= LONG:
                trim()

        def left(stack: nn.Module, _args: object, output: object) -> None:
            # a tuple, or an output of transformers', which takes 0 as well
            last = cast("Sequence[Tensor]", output)[0]
            self.hidden[stacks[id(stack)].side].append(last[0])
            trim()

        def watch(module: nn.Module, _query: Tensor, _key: Tensor) -> Wanted | None:
            job.check()
            site = by_module[id(module)]
            return wanted.get(site.side, {}).get(site.index)

        hooks = [
            site.layer.register_forward_pre_hook(entered, with_kwargs=True)
            for site in layers.values()
        ] + [site.stack.register_forward_hook(left) for site in stacks.values()]
        try:
            with watching(model, watch), torch.inference_mode():
                _base(model)(**inputs, use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def sides(self) -> tuple[Side, ...]:
        """In the order of the pass."""
        found: list[Side] = []
        for side, _ in self._sites:
            if side not in found:
                found.append(side)
        return tuple(found)

    @property
    def stack(self) -> nn.Module:
        """The stack of layers that a head stands on: the last one of the pass."""
        return next(site.stack for site in reversed(self._sites.values()))

    def shape(self, side: Side) -> tuple[int, int, int]:
        """Layers, heads, key heads."""
        own = [site for site in self._sites.values() if site.side == side]
        return len(own), own[0].heads, own[0].kv_heads

    def see(self, side: Side, layer: int, wanted: Wanted) -> None:
        """Run the layer again as far as its attention."""
        import torch

        site = self._sites[side, layer]
        wanted.only = True

        def watch(module: nn.Module, _query: Tensor, _key: Tensor) -> Wanted | None:
            return wanted if module is site.module else None

        args, kwargs = self._calls[id(site.layer)]
        with watching(self._model, watch), torch.inference_mode():
            try:
                site.layer(*args, **kwargs)
            except Enough:
                return


class WholePass(Pass):
    """A pass of a model that only gives its weights whole (``output_attentions``)."""

    implementation = "eager attention, all weights at once (the model has no other way)"

    def __init__(self, model: PreTrainedModel, inputs: Mapping[str, Tensor], job: Job) -> None:
        import torch

        job.progress("attention")
        before = implementation_of(model)
        tokens = int(inputs["input_ids"].shape[1])
        config = model.config.get_text_config(decoder=True)
        layers, heads = int(config.num_hidden_layers), getattr(config, "num_attention_heads", None)
        if not isinstance(heads, int):  # a state space model has none
            raise no_attention(model)
        if layers * heads * tokens * tokens * 4 > WHOLE:
            raise HftermError(
                "too-large",
                f"{type(model).__name__} only gives all its weights at once, and at {tokens:,} "
                f"tokens these are {size_text(layers * heads * tokens * tokens * 4)}.",
                "Take a shorter text, or set “long texts” (--long) to truncate.",
            )
        try:
            model.set_attn_implementation("eager")
            with torch.inference_mode():
                output = cast(
                    "Mapping[str, tuple[Tensor | None, ...] | None]",
                    _base(model)(**inputs, output_attentions=True, output_hidden_states=True,
                                 use_cache=False),
                )  # fmt: skip
        except (ValueError, TypeError, NotImplementedError) as error:
            # in one of these ways a model refuses eager attention, or to give its weights
            raise HftermError(
                "no-eager",
                f"{type(model).__name__} can't run eager attention, which weights come from: "
                f"{error}",
                "Choose a model whose class has eager attention.",
            ) from error
        finally:
            if implementation_of(model) != before:
                model.set_attn_implementation(before)
        paired = bool(model.config.is_encoder_decoder)
        names: dict[Side, tuple[str, str]] = (
            {
                "encoder": ("encoder_attentions", "encoder_hidden_states"),
                "decoder": ("decoder_attentions", "decoder_hidden_states"),
                "cross": ("cross_attentions", ""),
            }
            if paired
            else {"self": ("attentions", "hidden_states")}
        )
        self._weights: dict[Side, list[Tensor]] = {}
        self.hidden = {}
        for side, (weights, hidden) in names.items():
            found = [one[0] for one in output.get(weights) or () if one is not None]
            if len(found) == layers:
                self._weights[side] = found
                states = [one[0] for one in output.get(hidden) or () if one is not None]
                if states:
                    self.hidden[side] = states
        if not self._weights:
            raise no_attention(model)
        for side, found in self._weights.items():
            if any(tuple(one.shape[1:]) != _places(side, inputs) for one in found):
                raise HftermError(
                    "local-attention",
                    f"{type(model).__name__} gives weights of the shape {tuple(found[0].shape)}, "
                    "which are not queries × keys: it attends in blocks or streams.",
                    "Choose a model with full or sliding-window attention.",
                )

    @property
    def sides(self) -> tuple[Side, ...]:
        """As the output names them."""
        return tuple(self._weights)

    def shape(self, side: Side) -> tuple[int, int, int]:
        """Layers, heads; nobody says how many key heads."""
        own = self._weights[side]
        return len(own), own[0].shape[0], own[0].shape[0]

    def see(self, side: Side, layer: int, wanted: Wanted) -> None:
        """From what was kept."""
        weights = self._weights[side][layer].float()
        if wanted.head is not None:
            weights = weights[wanted.head : wanted.head + 1]
        first, last = wanted.rows or (0, weights.shape[1])
        wanted.see(first, weights[:, first:last])


def _places(side: Side, inputs: Mapping[str, Tensor]) -> tuple[int, int]:
    """How many queries and keys there are."""
    source = int(inputs["input_ids"].shape[1])
    target = int(inputs["decoder_input_ids"].shape[1]) if side in ("decoder", "cross") else source
    return target, target if side == "decoder" else source


def no_attention(model: PreTrainedModel) -> HftermError:
    """The error for a model without weights to show."""
    return HftermError(
        "no-attention",
        f"{type(model).__name__} ({model.config.model_type}) has no attention weights: it mixes "
        "tokens in another way, or its code does not give them.",
        "Choose a transformer; the Models screen lists the classes of each architecture.",
    )
