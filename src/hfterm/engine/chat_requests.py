"""Requests to an engine that holds a language model."""

from __future__ import annotations

from typing import ClassVar

from hfterm.chat.lab_types import WayResult
from hfterm.chat.types import Answer, Ask, LlmInfo, LlmSpec, Token
from hfterm.engine.protocol import Lane, Request, StreamingRequest


class OpenLlm(Request[LlmInfo], frozen=True, kw_only=True):
    """Load a language model; the one that was loaded before goes."""

    RESULT: ClassVar[object] = LlmInfo
    LANE: ClassVar[Lane] = "long"
    spec: LlmSpec


class ExplainKill(Request[tuple[str, str]], frozen=True, kw_only=True):
    """(message, remedy): what loading takes and what is free, after a process was killed at it."""

    RESULT: ClassVar[object] = tuple[str, str]
    LANE: ClassVar[Lane] = "long"
    spec: LlmSpec
    what: str


class AnswerPrompt(StreamingRequest[Answer, Token], frozen=True, kw_only=True):
    """The model's answer, token by token; it is loaded if it is not."""

    RESULT: ClassVar[object] = Answer
    CHUNK: ClassVar[object] = Token
    LANE: ClassVar[Lane] = "long"
    spec: LlmSpec
    ask: Ask


class WriteLab(Request[None], frozen=True, kw_only=True):
    """Write the quantization lab's chart to `out`, by its ending: png or svg."""

    RESULT: ClassVar[object] = None
    LANE: ClassVar[Lane] = "long"
    name: str
    results: tuple[WayResult, ...]
    out: str


class MeasureWay(Request[WayResult], frozen=True, kw_only=True):
    """Load a model one way, measure it, and let it go."""

    RESULT: ClassVar[object] = WayResult
    LANE: ClassVar[Lane] = "long"
    spec: LlmSpec
    text: str
    question: str
    new_tokens: int
    reference: str
    is_reference: bool
