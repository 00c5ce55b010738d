"""What a chat is made of, as plain data: both processes read it, so nothing heavy is here."""

from __future__ import annotations

from typing import Literal

import msgspec

from hfterm.models.types import AUTO_DEVICE, LoadedInfo

Role = Literal["system", "user", "assistant"]
Engine = Literal["transformers", "llama.cpp", "server"]
"""What runs the model: transformers, llama.cpp on a GGUF file, or a server that speaks OpenAI's
chat completions (vLLM, TGI, ``transformers serve``, llama-server)."""

Quantization = Literal["none", "int8", "nf4", "fp4"]
StopReason = Literal["end", "length", "stop string", "context full", "stopped"]
"""Why an answer ended: the model's end token, `max_new_tokens`, one of the stop strings, no room
left in the context, or the user."""


class Message(msgspec.Struct, frozen=True):
    """What somebody said."""

    role: Role
    content: str


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen. The names are those of transformers' GenerationConfig.

    Attributes:
        temperature: 0 is greedy: always the most probable token.
        top_k: only so many of the most probable; 0 for all.
        top_p: only the most probable that together have this share.
        min_p: only those with at least this share of the most probable one's.
        repetition_penalty: above 1 makes tokens that were there already less likely.
        max_new_tokens: at most so many.
        stop: texts that end the answer; they are not part of it.
        seed: of the sampling; None for another one each time.
    """

    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None


class LlmSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A language model as it is to be loaded.

    Attributes:
        ref: a model reference; for a server, the model's name there.
        engine: what runs it.
        dtype: as in `ModelSpec`.
        quantization: by bitsandbytes, while loading.
        double_quant: whether the scales of nf4 and fp4 are quantized as well.
        device: as in `ModelSpec`.
        adapter: a LoRA folder to put on top; empty for none.
        context: tokens of the context; 0 for all that the model has positions for.
        url: of the server, with its ``/v1``.
        allow_pickle: as in `ModelSpec`.
        allow_code: as in `ModelSpec`.
    """

    ref: str
    engine: Engine = "transformers"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Quantization = "none"
    double_quant: bool = True
    device: str = AUTO_DEVICE
    adapter: str = ""
    context: int = 0
    url: str = ""
    allow_pickle: bool = False
    allow_code: bool = False


class LlmInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A language model that is loaded.

    Attributes:
        spec: what was asked.
        name: its class, or what the server says it is.
        parameters: tied ones once; 0 when they are not known.
        dtype: of most weights, or how they are quantized.
        footprint: bytes of weights and buffers; 0 when they are not known.
        memory: bytes that the engine's process takes; 0 for a server elsewhere.
        seconds: that loading took.
        context: tokens that fit; None when that is not known.
        has_template: whether messages are put into a chat template; else the text is continued.
        note: what the user should know about it, or empty.
        tokenizer: a reference that the Tokenize screen opens; empty for a server.
        ends: the tokens that end an answer.
        base: how transformers loaded it; None for other engines.
        device: where it is: ``cpu``, ``cuda:0``, ``gpu`` for whichever llama.cpp takes; empty for a
            server.
    """

    spec: LlmSpec
    name: str
    parameters: int = 0
    dtype: str = ""
    footprint: int = 0
    memory: int = 0
    seconds: float = 0.0
    context: int | None = None
    has_template: bool = True
    note: str = ""
    tokenizer: str = ""
    ends: tuple[int, ...] = ()
    base: LoadedInfo | None = None
    device: str = ""


class Alternative(msgspec.Struct, frozen=True):
    """A token that might have come instead, and how probable it was."""

    id: int
    text: str
    probability: float


class Token(msgspec.Struct, frozen=True):
    """One token of an answer.

    Attributes:
        id: in the vocabulary; -1 when a server gave only text.
        text: what it adds to the answer; empty while a character is incomplete, and for tokens
            that end it.
        name: the token as the vocabulary writes it.
        probability: the model's own, before temperature and the like; None when it is not known.
        entropy: of the model's distribution, in nats; None when it is not known.
        alternatives: the most probable tokens, best first, the chosen one among them if it is one.
    """

    id: int
    text: str
    name: str = ""
    probability: float | None = None
    entropy: float | None = None
    alternatives: tuple[Alternative, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt.

    Attributes:
        messages: the conversation so far, the system prompt first if there is one.
        sampling: how to choose tokens.
        conversation: keys and values of an earlier turn are used again within one.
        prefix_ids: the answer's first tokens, to go on from; exactly these.
        prefix: the answer's first text, to go on from, where its tokens are not known.
        force: the token that comes next whatever the model thinks; -1 for none.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    conversation: str = ""
    prefix_ids: tuple[int, ...] = ()
    prefix: str = ""
    force: int = -1


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a prompt, and how fast.

    Attributes:
        text: the answer, without what it was to go on from.
        ids: its tokens; empty when a server gave only text.
        tokens: how many were generated.
        prompt_tokens: of the prompt and what was to be gone on from.
        reused_tokens: of these, how many were kept from an earlier turn.
        ttft: seconds from the request to the first token.
        seconds: from the request to the last.
        memory: bytes that the engine's process takes; 0 for a server elsewhere.
        stop_reason: why it ended.
        prompt: the prompt as the template made it; empty when a server makes it.
    """

    text: str
    ids: tuple[int, ...]
    tokens: int
    prompt_tokens: int
    reused_tokens: int = 0
    ttft: float
    seconds: float
    memory: int = 0
    stop_reason: StopReason
    prompt: str = ""

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second after the first one; 0 when there is no second."""
        spent = self.seconds - self.ttft
        return (self.tokens - 1) / spent if self.tokens > 1 and spent > 0 else 0.0
