"""What the quantization lab measures, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from hfterm.chat.types import LlmSpec

WAYS = ("float32", "bfloat16", "int8", "nf4", "fp4")
"""In this order: the first is what the others are compared with."""

TEXT = (
    "The harbour was quiet that morning. A thin fog lay over the water, and the fishing boats "
    "rocked against the wooden pier as if they were breathing. Anna, who had come early, counted "
    "the crates that the men had left there the night before: eleven of herring, four of mackerel "
    "and one that nobody had labelled. She wrote the numbers into a small blue notebook, because "
    "the cooperative paid by weight and the scale could not be trusted. In 1987 the town had had "
    "two hundred fishermen; now there were nineteen. Still, the market opened at six, the bells of "
    "the church rang, and the first customers came down the hill with their baskets. Prices had "
    "risen by twelve percent since spring. “It is the fuel,” said the captain, “and the quotas, "
    "and the young people who would rather work with computers.” Anna laughed. Her own daughter "
    "was studying mathematics in the capital, and when she called on Sundays she spoke of "
    "functions, of proofs, and of a machine that could finish any sentence one began."
)
"""Plain prose with names, numbers and quotations, written for this purpose."""


class WayResult(msgspec.Struct, frozen=True, kw_only=True):
    """One way of loading a model, measured.

    Attributes:
        way: ``float32``, ``int8`` …
        size: bytes of the weights and buffers.
        load_s: seconds that loading took.
        tokens_per_s: greedy, after the first token.
        ttft_s: seconds to the first token.
        memory: bytes that the process took after generating.
        perplexity: of the text, e to the mean of the negative log-likelihood of each token.
        kl: mean over the text of the divergence of this way's next-token distribution from that
            of the first way, in nats; None for the first way itself.
        agreement: share of the text's places at which both hold the same token most probable.
        sample: the beginning of the answer.
        error: why it could not be measured; the other figures are 0 then.
    """

    way: str
    size: int = 0
    load_s: float = 0.0
    tokens_per_s: float = 0.0
    ttft_s: float = 0.0
    memory: int = 0
    perplexity: float = 0.0
    kl: float | None = None
    agreement: float | None = None
    sample: str = ""
    error: str = ""


@dataclass(frozen=True)
class Measure:
    """What ways of loading are compared by.

    Attributes:
        title: with the unit.
        value: of a way; None where there is none.
        form: how a value is written.
        best: of several values.
    """

    title: str
    value: Callable[[WayResult], float | None]
    form: str
    best: Callable[[Iterable[float]], float]


MEASURES = (
    Measure("tokens a second", lambda result: result.tokens_per_s, ".1f", max),
    Measure("weights, MB", lambda result: result.size / 1e6, ",.0f", min),
    Measure("KL to the first, nats", lambda result: result.kl, ".4f", min),
    Measure("perplexity", lambda result: result.perplexity, ".2f", min),
)
"""The most telling ones first."""


def spec_of(base: LlmSpec, way: str) -> LlmSpec:
    """How a model is loaded in one of the ways."""
    if way in ("llama.cpp", "server"):  # the way it is loaded already, which was measured
        return base
    quantized = way in ("int8", "nf4", "fp4")
    return msgspec.convert(
        {
            **msgspec.structs.asdict(base),
            "engine": "llama.cpp" if way == "gguf" else "transformers",
            "quantization": way if quantized else "none",
            "dtype": "auto" if quantized or way == "gguf" else way,
        },
        LlmSpec,
    )
