"""How a model is loaded: a form over a `ModelSpec`."""

from __future__ import annotations

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from hfterm.errors import HftermError
from hfterm.models.types import AUTO_DEVICE, ModelSpec
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import quoted, typed_whole

RANDOM = "random, from the config"


class LoadForm(Vertical):
    """Fields for everything of a spec but the model and its class."""

    DEFAULT_CSS = """
    LoadForm { height: auto; }
    LoadForm > Horizontal { height: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)

    def compose(self) -> ComposeResult:
        """Three lines of fields."""
        with Horizontal():
            yield Choice("dtype", ("auto", "float32", "bfloat16", "float16"), id="load-dtype")
            yield Choice("quantization", ("none", "int8", "nf4", "fp4"), id="load-quantization")
            yield Field("device", AUTO_DEVICE, id="load-device")
        with Horizontal():
            yield Choice("weights", ("checkpoint", RANDOM), id="load-weights")
            yield Field("labels", "", placeholder="config's", id="load-labels")
            yield Field("seed", "0", id="load-seed")
        with Horizontal():
            yield Choice("other shapes", ("refuse", "random"), id="load-shapes")
            yield Choice(".bin files", ("no", "yes"), id="load-pickle")
            yield Field("tokenizer", "", placeholder="its own", id="load-tokenizer")

    def _choice(self, name: str) -> str:
        return self.query_one(f"#load-{name}", Choice).value

    def _text(self, name: str) -> str:
        return self.query_one(f"#load-{name}", Input).value.strip()

    def spec(self, ref: str, auto: str, *, allow_code: bool = False) -> ModelSpec:
        """What the form says of a model; `allow_code` only after the user's yes.

        Raises:
            HftermError: a field holds what it can't.
        """
        named, begun = self._text("labels"), self._text("seed")
        labels, seed = typed_whole(named), typed_whole(begun)
        if named and not labels:
            raise HftermError(
                "bad-field",
                f"“labels” is {quoted(named)}, which is no number.",
                "Type a number, 2 for one, or leave it empty.",
            )
        if seed is None:
            raise HftermError(
                "bad-field",
                f"“seed” is {quoted(begun)}, which is no number.",
                "Type a whole number, 0 for one.",
            )
        return msgspec.convert(
            {
                "ref": ref, "auto": auto,
                "dtype": self._choice("dtype"), "quantization": self._choice("quantization"),
                "device": self._text("device") or AUTO_DEVICE,
                "random": self._choice("weights") == RANDOM,
                "num_labels": labels, "seed": seed,
                "ignore_mismatched": self._choice("shapes") == "random",
                "allow_pickle": self._choice("pickle") == "yes",
                "allow_code": allow_code,
                "tokenizer": self._text("tokenizer"),
            },
            ModelSpec,
        )  # fmt: skip

    def show(self, spec: ModelSpec) -> None:
        """Fill the form with a spec."""
        self.query_one("#load-dtype", Choice).value = spec.dtype
        self.query_one("#load-quantization", Choice).value = spec.quantization
        self.query_one("#load-weights", Choice).value = RANDOM if spec.random else "checkpoint"
        self.query_one("#load-shapes", Choice).value = (
            "random" if spec.ignore_mismatched else "refuse"
        )
        self.query_one("#load-pickle", Choice).value = "yes" if spec.allow_pickle else "no"
        labels = "" if spec.num_labels is None else str(spec.num_labels)
        for name, value in (
            ("device", spec.device), ("labels", labels), ("seed", str(spec.seed)),
            ("tokenizer", spec.tokenizer),
        ):  # fmt: skip
            self.query_one(f"#load-{name}", Input).value = value
