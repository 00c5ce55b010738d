"""A pass, described: every head's metrics on the way, any map afterwards.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hfterm.attention.inputs import feed
from hfterm.attention.metrics import HeadMetrics, eight_bits
from hfterm.attention.passes import Pass, RowPass, Site, WholePass, sites_of
from hfterm.attention.rows import Wanted
from hfterm.attention.types import (
    METRICS,
    Array,
    AttentionMap,
    AttentionSummary,
    Axis,
    CaptureOptions,
    Metric,
    RankedKey,
    Side,
    Token,
    Which,
)
from hfterm.errors import HftermError
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.job import Job
from hfterm.models.kv_cache import layer_kinds

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers.modeling_utils import PreTrainedModel

EXACT = 1 << 20
"""Weights of a map up to which they are sent as they are, and beyond as 8 bits of each."""

ROLLOUT = 4096
"""Tokens up to which layers are multiplied: the work grows with their cube."""


class Capture:
    """One forward pass of a model over a text.

    Args:
        opened: the model.
        text: the text.
        options: what is fed.
        job: is told of each layer, and may stop between two chunks of queries.

    Raises:
        HftermError: no tokens, too many of them, no attention, or no memory for it.
    """

    def __init__(
        self, opened: OpenModel, text: str, options: CaptureOptions | None = None,
        job: Job | None = None,
    ) -> None:  # fmt: skip
        job = job or Job()
        self.opened = opened
        self.fed = feed(opened, text, options or CaptureOptions())
        began = time.monotonic()
        self._metrics: dict[Side, list[HeadMetrics]] = {}
        with memory_errors(opened.info.spec.ref):
            sites = _sites(opened)
            self.passed: Pass = (
                RowPass(opened.model, sites, self.fed.inputs, self._wanted(sites), job)
                if sites
                else self._whole(job)
            )
        self.summary = self._describe(time.monotonic() - began)

    @property
    def _device(self) -> torch.device:
        return self.opened.model.device

    # -- the pass --------------------------------------------------------------------------------

    def _tokens(self, side: Side) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
        """Tokens of the rows and of the columns."""
        source, target = self.fed.source, self.fed.target
        if side == "decoder":
            return target, target
        return (target if side == "cross" else source), source

    def _gather(self, side: Side, heads: int) -> Wanted:
        queries, keys = self._tokens(side)
        cross = side == "cross"
        metrics = HeadMetrics(queries, keys, heads, cross=cross, device=self._device)
        self._metrics.setdefault(side, []).append(metrics)
        return Wanted(metrics.see, unit=metrics.rows_per_bin)

    def _wanted(self, sites: list[Site]) -> dict[Side, dict[int, Wanted]]:
        found: dict[Side, dict[int, Wanted]] = {}
        for site in sites:
            found.setdefault(site.side, {})[site.index] = self._gather(site.side, site.heads)
        return found

    def _whole(self, job: Job) -> Pass:
        passed = WholePass(self.opened.model, self.fed.inputs, job)
        for side in passed.sides:
            layers, heads, _ = passed.shape(side)
            for layer in range(layers):
                job.progress("metrics", layer, layers, "layers")
                passed.see(side, layer, self._gather(side, heads))
        return passed

    def _describe(self, seconds: float) -> AttentionSummary:
        import torch

        metrics: dict[Side, dict[Metric, Array]] = {}
        thumbnails: dict[Side, Array] = {}
        finite: dict[Side, Array] = {}
        for side, layers in self._metrics.items():
            results = [layer.result() for layer in layers]
            metrics[side] = {
                name: Array.of(torch.stack([one[name] for one in results]).numpy())
                for name in METRICS
            }
            thumbnails[side] = Array.of(torch.stack([one.thumbnails() for one in layers]).numpy())
            finite[side] = Array.of(
                torch.stack([one["entropy"].isfinite() for one in results]).numpy()
            )
        hidden = self.passed.hidden
        return AttentionSummary(
            cls=self.opened.info.cls,
            source=self.fed.source,
            target=self.fed.target,
            axes=tuple(self._axis(side) for side in self.passed.sides),
            metrics=metrics,
            thumbnails=thumbnails,
            norms={
                side: Array.of(
                    torch.stack([one.float().norm(dim=1) for one in states]).cpu().numpy()
                )
                for side, states in hidden.items()
            },
            hidden={side: (1, *states[0].shape) for side, states in hidden.items()},
            finite=finite,
            implementation=self.passed.implementation,
            note=self.fed.note,
            windows=self.fed.windows,
            tokens=self.fed.tokens,
            limit=self.opened.info.limit,
            seconds=seconds,
        )

    def _axis(self, side: Side) -> Axis:
        layers, heads, kv_heads = self.passed.shape(side)
        causal = side == "decoder" or (side == "self" and self._is_causal())
        windows = (0,) * layers
        if causal:
            text = self.opened.model.config.get_text_config(decoder=True)
            window = text.to_dict().get("sliding_window")
            kinds = layer_kinds(text)
            if isinstance(window, int) and len(kinds) == layers:
                # without kinds of layers, as in Mistral, the window is every layer's
                windows = tuple(window if "sliding" in kind or not kind else 0 for kind in kinds)
        return Axis(
            side=side, layers=layers, heads=heads, kv_heads=kv_heads, causal=causal,
            windows=windows, queries="target" if side in ("decoder", "cross") else "source",
            keys="target" if side == "decoder" else "source",
        )  # fmt: skip

    def _is_causal(self) -> bool:
        """Whether no head puts any weight above the diagonal; a picture of one token says no."""
        if len(self.fed.source) < 2:
            return False
        import torch

        above = torch.stack([one.result()["next"] for one in self._metrics["self"]])
        return bool((above.nan_to_num(0) == 0).all())

    # -- maps ------------------------------------------------------------------------------------

    def map(self, which: Which, *, exact: bool = False, job: Job | None = None) -> AttentionMap:
        """The weights of one head, or of a mean.

        Args:
            which: whose.
            exact: as float32 whatever their number, and not as 8 bits of each.
            job: is told of each layer where there are several.

        Raises:
            HftermError: no such layer or head, a weight that is no number, or no memory.
        """
        import torch

        queries, keys = self._tokens(which.side)
        exact = exact or len(queries) * len(keys) <= EXACT
        with memory_errors(self.opened.info.spec.ref):
            weights = self.weights(which, bits=not exact, job=job)
        if weights.dtype == torch.float32 and not bool(weights.isfinite().all()):
            raise self._not_finite(which)
        return AttentionMap(which, Array.of(weights.numpy()))

    def weights(self, which: Which, *, bits: bool = False, job: Job | None = None) -> Tensor:
        """float32[query, key], or with `bits` uint8[query, key] (√weight × 255), in main memory.

        Raises:
            HftermError: there is no such layer or head, or too many tokens for a rollout.
        """
        return self._weights(which, job or Job(), bits=bits).cpu()

    def _weights(self, which: Which, job: Job, *, bits: bool = False) -> Tensor:
        """As `weights`, where the model is."""
        import torch

        layers = self._check(which)
        queries, keys = self._tokens(which.side)
        if which.rollout:
            return self._rollout(which, job)
        if which.layer is not None:
            dtype = torch.uint8 if bits else torch.float32
            out = torch.zeros(len(queries), len(keys), dtype=dtype, device=self._device)

            def see(start: int, weights: Tensor) -> None:
                job.check()
                mean = weights.mean(0) if which.head is None else weights[0]
                rows, seen = mean.shape
                if bits and not bool(mean.isfinite().all()):
                    raise self._not_finite(which)
                out[start : start + rows, :seen] = eight_bits(mean) if bits else mean

            self.passed.see(which.side, which.layer, Wanted(see, head=which.head))
            return out
        total = torch.zeros(len(queries), len(keys), device=self._device)

        def add(start: int, weights: Tensor) -> None:
            job.check()
            mean = weights.mean(0) if which.head is None else weights[0]
            total[start : start + mean.shape[0], : mean.shape[1]] += mean

        for layer in range(layers):
            job.progress("mean of layers", layer, layers, "layers")
            self.passed.see(which.side, layer, Wanted(add, head=which.head))
        total /= layers
        return eight_bits(total) if bits else total

    def layer_weights(self, side: Side, layer: int) -> Tensor:
        """All heads of a layer: float32[heads, query, key], in main memory."""
        import torch

        queries, keys = self._tokens(side)
        out = torch.zeros(self.passed.shape(side)[1], len(queries), len(keys))

        def see(start: int, weights: Tensor) -> None:
            out[:, start : start + weights.shape[1], : weights.shape[2]] = weights

        self.passed.see(side, layer, Wanted(see))
        return out

    def _check(self, which: Which) -> int:
        """Layers of the side, if there is such a map."""
        if which.side not in self.passed.sides:
            raise HftermError(
                "no-side",
                f"{self.opened.info.cls} has no {which.side} attention.",
                f"It has: {', '.join(self.passed.sides)}.",
            )
        layers, heads, _ = self.passed.shape(which.side)
        for name, value, count in (("layer", which.layer, layers), ("head", which.head, heads)):
            if value is not None and not 0 <= value < count:
                raise HftermError(
                    "no-head",
                    f"There is no {name} {value}: the {which.side} attention of "
                    f"{self.opened.info.cls} has {count} {name}s.",
                    f"Choose a {name} from 0 to {count - 1}.",
                )
        return layers

    def _rollout(self, which: Which, job: Job) -> Tensor:
        import torch

        queries, keys = self._tokens(which.side)
        if which.side == "cross":
            raise HftermError(
                "no-rollout", "Cross-attention joins two texts: its layers can't be multiplied.",
                "Choose the encoder's or the decoder's own attention.",
            )  # fmt: skip
        if len(queries) > ROLLOUT:
            raise HftermError(
                "too-long",
                f"A rollout multiplies a {len(queries):,} × {len(keys):,} matrix for each layer.",
                f"Take at most {ROLLOUT:,} tokens, or look at the mean of the layers.",
            )
        last = self.passed.shape(which.side)[0] - 1 if which.layer is None else which.layer
        rolled = torch.eye(len(queries), device=self._device)
        for layer in range(last + 1):
            job.progress("rollout", layer, last + 1, "layers")
            mean = self._weights(Which(side=which.side, layer=layer, head=None), job)
            mean.mul_(0.5).diagonal().add_(0.5)
            rolled = mean @ rolled
        return rolled

    def _not_finite(self, which: Which) -> HftermError:
        finite = self.summary.finite[which.side].numpy()
        first = next((layer for layer in range(len(finite)) if not finite[layer].all()), 0)
        return HftermError(
            "not-finite",
            f"Weights of {which.name} are no numbers (NaN); the first layer with such a head is "
            f"{first}.",
            "Load the model in float32 (F7), or look at the norms under Hidden for what grew.",
        )

    # -- links -----------------------------------------------------------------------------------

    def rank(
        self, side: Side, token: int, *, incoming: bool = False, top: int = 200,
        job: Job | None = None,
    ) -> list[RankedKey]:  # fmt: skip
        """The strongest links of one token over all layers and heads, the strongest first.

        Args:
            side: which attention.
            token: a query, or with `incoming` a key.
            incoming: who looks at the token, instead of whom it looks at.
            top: how many.
            job: is told of each layer.
        """
        import torch

        job = job or Job()
        layers = self._check(Which(side=side))
        found: list[tuple[float, int, int, int, int]] = []

        def see(layer: int, start: int, weights: Tensor) -> None:
            if incoming and token >= weights.shape[2]:
                return
            part = weights[:, :, token] if incoming else weights[:, 0]
            flat = part.reshape(-1)
            best = torch.topk(flat.nan_to_num(0), min(top, flat.numel()))
            width = part.shape[1]
            for weight, at in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                if weight > 0:
                    head, place = divmod(at, width)
                    query, key = (start + place, token) if incoming else (token, place)
                    found.append((weight, layer, head, query, key))

        for layer in range(layers):
            job.progress("links", layer, layers, "layers")
            rows = None if incoming else (token, token + 1)
            self.passed.see(
                side, layer,
                Wanted(lambda start, weights, layer=layer: see(layer, start, weights), rows=rows),
            )  # fmt: skip
        found.sort(key=lambda link: -link[0])
        return [
            RankedKey(layer=layer, head=head, query=query, key=key, weight=weight)
            for weight, layer, head, query, key in found[:top]
        ]


_known: WeakKeyDictionary[PreTrainedModel, list[Site]] = WeakKeyDictionary()


def _sites(opened: OpenModel) -> list[Site]:
    """The model's attention modules, looked for once."""
    if opened.model not in _known:
        try:
            found = sites_of(opened.model)
        except (NotImplementedError, TypeError, ValueError, AttributeError):
            # a model that does not follow the interface refuses it in one of these ways
            found = []
        _known[opened.model] = found
    return _known[opened.model]
