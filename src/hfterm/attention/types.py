"""What attention is shown as, as plain data: the interface reads it, so nothing heavy is here.

Arrays travel as bytes with a shape; `Array.numpy` gives numpy's view of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from hfterm.models.types import LoadedInfo, ModelSpec

if TYPE_CHECKING:
    import numpy as np

Side = Literal["self", "encoder", "decoder", "cross"]
"""Which attention: of a model with one stack, or of an encoder–decoder's three."""

Metric = Literal[
    "entropy", "top", "first", "self", "previous", "next", "separator", "punctuation", "distance",
    "induction",
]  # fmt: skip

METRICS: dict[Metric, str] = {
    "entropy": "Spread of a query's weights, in bits: 0 when it looks at one token only",
    "top": "Weight of the token that a query looks at most",
    "first": "Weight on the first token: a sink when it is near 1",
    "self": "Weight of a token on itself",
    "previous": "Weight on the token before",
    "next": "Weight on the token after",
    "separator": "Weight on the special tokens after the first, such as [SEP]",
    "punctuation": "Weight on tokens without a letter or a digit",
    "distance": "Mean distance between query and key, in tokens",
    "induction": "Weight on the token after an earlier occurrence of the query's token",
}
"""The metrics of a head, each the mean over its queries, and what they say.

entropy, top, self and distance are means over all queries; first, previous and punctuation over
those from the second on; next over those before the last; induction over those whose token
occurred before (Olsson et al. 2022, In-context Learning and Induction Heads). A metric without a
query to count, or without a meaning for cross-attention, is NaN.
"""


class Array(msgspec.Struct, frozen=True):
    """Numbers on their way between processes."""

    shape: tuple[int, ...]
    dtype: Literal["float32", "uint8", "int64", "bool"]
    data: bytes

    def numpy(self) -> np.ndarray:
        """The numbers, read-only and not copied."""
        import numpy as np

        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    @classmethod
    def of(cls, values: np.ndarray) -> Array:
        """An array of one of the known types."""
        import numpy as np

        flat = np.ascontiguousarray(values)
        return msgspec.convert(
            {"shape": flat.shape, "dtype": str(flat.dtype), "data": flat.tobytes()}, cls
        )


class Token(msgspec.Struct, frozen=True, array_like=True):
    """One token on an axis.

    Attributes:
        token: as the vocabulary has it.
        text: the part of the text that it stands for; empty for special tokens.
        id: in the vocabulary.
        special: a token that the tokenizer or a template added.
        start, end: of `text` in the whole text, in characters; -1 when it has no place there.
    """

    token: str
    text: str
    id: int
    special: bool
    start: int
    end: int

    @property
    def name(self) -> str:
        """What it is called on an axis: its text, or the token where that says more."""
        own = self.special or not self.text or self.token.startswith("##")
        return self.token if own else self.text


class Axis(msgspec.Struct, frozen=True):
    """An attention's shape, and how its layers and heads lie.

    Attributes:
        side: which attention.
        layers: of the stack.
        heads: of each layer.
        kv_heads: heads of keys and values; fewer than `heads` when queries share them.
        causal: no query sees a later key.
        windows: of each layer, tokens that a query sees back; 0 for all.
        queries: which tokens the rows are: ``source`` or ``target``.
        keys: which tokens the columns are.
    """

    side: Side
    layers: int
    heads: int
    kv_heads: int
    causal: bool
    windows: tuple[int, ...]
    queries: Literal["source", "target"] = "source"
    keys: Literal["source", "target"] = "source"


class AttentionSummary(msgspec.Struct, frozen=True):
    """Every head of one forward pass, in small.

    Attributes:
        cls: the model's class.
        source: tokens of the text; of the encoder when there is one.
        target: tokens of the decoder; empty without an encoder.
        axes: the attentions there are.
        metrics: float32[layers, heads] by side and metric; NaN where it has no meaning.
        thumbnails: by side, uint8[layers, heads, rows, columns]: √weight × 255, each cell the
            maximum of its square of the map.
        norms: float32[layers + 1, tokens] by stack (``self``, ``encoder``, ``decoder``): the
            length of each hidden state.
        hidden: the shape of one layer's hidden states, by stack.
        finite: heads whose weights are all finite, bool[layers, heads] by side.
        implementation: how the weights were had, in words.
        note: what else is to be said: cut tokens, a window.
        windows: that the text has; 1 when it is whole.
        tokens: of the whole text, before anything was cut.
        limit: tokens that the model has positions for; None when they are relative.
        seconds: of the forward pass.
    """

    cls: str
    source: tuple[Token, ...]
    target: tuple[Token, ...]
    axes: tuple[Axis, ...]
    metrics: dict[Side, dict[Metric, Array]]
    thumbnails: dict[Side, Array]
    norms: dict[Side, Array]
    hidden: dict[Side, tuple[int, ...]]
    finite: dict[Side, Array]
    implementation: str
    note: str
    windows: int
    tokens: int
    limit: int | None
    seconds: float

    def axis(self, side: Side) -> Axis:
        """The attention of one side."""
        return next(axis for axis in self.axes if axis.side == side)

    def queries(self, side: Side) -> tuple[Token, ...]:
        """The tokens of the rows."""
        return self.target if self.axis(side).queries == "target" else self.source

    def keys(self, side: Side) -> tuple[Token, ...]:
        """The tokens of the columns."""
        return self.target if self.axis(side).keys == "target" else self.source


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which map of a summary.

    Attributes:
        side: which attention.
        layer: of the stack, from 0; None for the mean of all.
        head: of the layer, from 0; None for the mean of all.
        rollout: the layers' means multiplied up to `layer`, with the residual connection as half
            (Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers).
    """

    side: Side = "self"
    layer: int | None = 0
    head: int | None = 0
    rollout: bool = False

    @property
    def name(self) -> str:
        """In words."""
        if self.rollout:
            return f"rollout to layer {self.layer}"
        layer = "mean of layers" if self.layer is None else f"layer {self.layer}"
        head = "mean of heads" if self.head is None else f"head {self.head}"
        return f"{layer} · {head}"

    @property
    def short(self) -> str:
        """In signs: ``L4 H7``, with an M for a mean."""
        if self.rollout:
            return f"R{self.layer}"
        layer, head = ("M" if one is None else one for one in (self.layer, self.head))
        return f"L{layer} H{head}"


class AttentionMap(msgspec.Struct, frozen=True):
    """The weights of one head, or of a mean.

    Attributes:
        which: whose.
        weights: float32[query, key], or for long texts uint8[query, key], √weight × 255.
    """

    which: Which
    weights: Array

    @property
    def exact(self) -> bool:
        """Whether these are the weights themselves and not 8 bits of each."""
        return self.weights.dtype == "float32"


class RankedKey(msgspec.Struct, frozen=True, array_like=True):
    """One link: who looks at what in which head."""

    layer: int
    head: int
    query: int
    key: int
    weight: float


class LensCell(msgspec.Struct, frozen=True, array_like=True):
    """What the head would say at one place of one layer."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]


class LogitLens(msgspec.Struct, frozen=True):
    """What the language model's head makes of each layer's hidden states.

    The last layer's states are already normalised and are not normalised again
    (nostalgebraist 2020, interpreting GPT: the logit lens).

    Attributes:
        layers: which hidden states, 0 for the embeddings.
        positions: which tokens.
        cells: [layers][positions].
        kl: float32[layers, positions], nats from the last layer's distribution.
    """

    layers: tuple[int, ...]
    positions: tuple[int, ...]
    cells: tuple[tuple[LensCell, ...], ...]
    kl: Array


class HiddenViews(msgspec.Struct, frozen=True):
    """Pictures of the hidden states of one stack.

    Attributes:
        layer: whose.
        similarity: float32[tokens, tokens], cosines between positions of the layer; for long
            texts between every n-th.
        every: that n.
        layers: float32[layers + 1, layers + 1], mean cosine between a token's states.
        plane: float32[tokens, 2], the first two principal components.
        explained: share of the variance that each of the two carries.
    """

    layer: int
    similarity: Array
    every: int
    layers: Array
    plane: Array
    explained: tuple[float, float]


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is fed to the model, besides the text.

    Attributes:
        target: the decoder's text, in an encoder–decoder; empty for the text itself. It is
            shifted right, as in training.
        special: with the special tokens that the tokenizer adds.
        long: what is done with a text that is longer than the model's limit.
        window: which of the overlapping windows is looked at, from 0, when `long` is ``window``.
    """

    target: str = ""
    special: bool = True
    long: Literal["ask", "truncate", "window"] = "ask"
    window: int = 0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A model and a text, as one forward pass looks at them."""

    spec: ModelSpec
    text: str
    options: CaptureOptions = CaptureOptions()


class AttentionComparison(msgspec.Struct, frozen=True):
    """Two passes side by side: two models on one text, or two texts on one model.

    Attributes:
        models: what was loaded for each.
        first, second: the summaries.
        difference: second minus first, float32[layers, heads] by metric, of the side looked at.
        map: second minus first of one map, float32[query, key], position by position; None when
            there are more tokens in one than in the other.
        why: why there is no map; else empty.
    """

    models: tuple[LoadedInfo, LoadedInfo]
    first: AttentionSummary
    second: AttentionSummary
    difference: dict[Metric, Array]
    map: Array | None
    why: str
