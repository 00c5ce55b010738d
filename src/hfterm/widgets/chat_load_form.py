"""How a language model is loaded: a form over an `LlmSpec`."""

from __future__ import annotations

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from hfterm.chat.types import LlmSpec
from hfterm.errors import HftermError
from hfterm.models.types import AUTO_DEVICE
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import quoted, typed_whole


class ChatLoadForm(Vertical):
    """Fields for everything of a spec."""

    DEFAULT_CSS = """
    ChatLoadForm { height: auto; }
    ChatLoadForm > Horizontal { height: 1; }
    """

    def compose(self) -> ComposeResult:
        """Four lines."""
        with Horizontal():
            yield Field("model", "", placeholder="starter name, path or hub id", id="chat-ref")
            yield Choice("engine", ("transformers", "llama.cpp", "server"), id="chat-engine")
        with Horizontal():
            yield Choice("dtype", ("auto", "float32", "bfloat16", "float16"), id="chat-dtype")
            yield Choice("quantization", ("none", "int8", "nf4", "fp4"), id="chat-quantization")
            yield Choice("double", ("yes", "no"), id="chat-double")
        with Horizontal():
            yield Field(
                "adapter", "", placeholder="an adapter's folder, or nothing", id="chat-adapter"
            )
            yield Field("device", AUTO_DEVICE, id="chat-device")
        with Horizontal():
            yield Field("context", "", placeholder="the model's", id="chat-context")
            yield Field("server", "", placeholder="http://127.0.0.1:8000/v1", id="chat-url")

    def show(self, spec: LlmSpec) -> None:
        """Fill the form."""
        self.query_one("#chat-engine", Choice).value = spec.engine
        self.query_one("#chat-dtype", Choice).value = spec.dtype
        self.query_one("#chat-quantization", Choice).value = spec.quantization
        self.query_one("#chat-double", Choice).value = "yes" if spec.double_quant else "no"
        for name, value in (
            ("ref", spec.ref), ("adapter", spec.adapter), ("device", spec.device),
            ("context", str(spec.context or "")), ("url", spec.url),
        ):  # fmt: skip
            self.query_one(f"#chat-{name}", Input).value = value

    @on(Input.Changed, "#chat-url")
    def _address_typed(self, event: Input.Changed) -> None:
        """Who types an address wants that server."""
        engine = self.query_one("#chat-engine", Choice)
        wanted = "server" if event.value.strip() else "transformers"
        if event.input.has_focus and wanted != engine.value and "server" in (wanted, engine.value):
            engine.value = wanted
            engine.post_message(Choice.Changed(engine, wanted))

    def _text(self, name: str) -> str:
        return self.query_one(f"#chat-{name}", Input).value.strip()

    def spec(self, base: LlmSpec) -> LlmSpec:
        """What the form says; what it has no field for stays as in `base`.

        Raises:
            HftermError: a field holds what it can't.
        """
        typed = self._text("context")
        context = typed_whole(typed)
        if typed and context is None:
            raise HftermError(
                "bad-field", f"“context” is {quoted(typed)}, which is no number of tokens.",
                "Type a number, 2048 for one, or leave it empty.",
            )  # fmt: skip
        found = msgspec.convert(
            {
                **msgspec.structs.asdict(base),
                "ref": self._text("ref"),
                "engine": self.query_one("#chat-engine", Choice).value,
                "dtype": self.query_one("#chat-dtype", Choice).value,
                "quantization": self.query_one("#chat-quantization", Choice).value,
                "double_quant": self.query_one("#chat-double", Choice).value == "yes",
                "adapter": self._text("adapter"),
                "device": self._text("device") or AUTO_DEVICE,
                "context": context or 0,
                "url": self._text("url"),
            },
            LlmSpec,
        )
        if found.engine == "server" and not found.url:
            raise HftermError(
                "bad-field",
                "The server's address is missing.",
                "Type it, for example http://127.0.0.1:8000/v1",
            )
        if found.engine != "server" and not found.ref:
            raise HftermError("bad-field", "“model” is empty.", "Type a model, smollm2 for one.")
        return found
