"""A chat's model and an answer's figures in a few words."""

from __future__ import annotations

from pathlib import PurePath

from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.types import LlmInfo, LlmSpec
from hfterm.sizes import size_text


def how_words(spec: LlmSpec) -> str:
    """How a model is loaded: ``nf4``, ``bfloat16``, ``llama.cpp`` …; empty for as it is stored."""
    if spec.engine != "transformers":
        return spec.engine
    if spec.quantization != "none":
        single = "" if spec.double_quant or spec.quantization == "int8" else " single"
        return spec.quantization + single
    return "" if spec.dtype == "auto" else spec.dtype


def model_words(spec: LlmSpec) -> str:
    """A model and how it is loaded: ``smollm2 · nf4 + reviews-lora``."""
    name = _name(spec.ref) if "/" in spec.ref else spec.ref or spec.url
    how = how_words(spec)
    words = f"{name} · {how}" if how else name
    return f"{words} + {_name(spec.adapter)}" if spec.adapter else words


def _name(path: str) -> str:
    """The end of a path; with its folder where every run has one of that name."""
    last = PurePath(path)
    common = last.name in ("model", "merged") or last.name.startswith("checkpoint-")
    return f"{last.parent.name}/{last.name}" if common and last.parent.name else last.name


def answer_words(note: AnswerNote) -> str:
    """What an answer took: ``31.2 tokens/s · first 85 ms · 128 tokens``."""
    parts: list[str] = []
    spent = note.seconds - note.ttft
    if note.tokens > 1 and spent > 0:
        parts.append(f"{(note.tokens - 1) / spent:,.1f} tokens/s")
    if note.tokens:
        parts.append(f"first {note.ttft * 1000:,.0f} ms")
        parts.append(f"{note.tokens:,} token{'' if note.tokens == 1 else 's'}")
    if note.stop_reason not in ("end", ""):
        parts.append(note.stop_reason)
    return " · ".join(parts)


def loaded_words(info: LlmInfo) -> str:
    """What is loaded and what it takes."""
    parts = [info.name]
    if info.dtype:
        parts.append(info.dtype)
    if info.footprint:
        parts.append(f"weights {size_text(info.footprint)}")
    if info.memory:
        parts.append(f"process {size_text(info.memory)}")
    return " · ".join(parts)


def message_words(info: LlmInfo | None) -> str:
    """What is written to a model, as far as it is loaded."""
    if info is not None and not info.has_template:
        return "Text to go on with (no chat template)"
    return "Message"
