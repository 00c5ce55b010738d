"""How fast each way of loading a model was on this machine: measured with every answer."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.lab_types import WayResult
from hfterm.chat.types import LlmSpec

LEAST = 16
"""Tokens of an answer below which its speed says little."""


class Speed(msgspec.Struct, frozen=True):
    """One way of loading, as it was last measured.

    Attributes:
        tokens_per_s: after the first token.
        ttft: seconds to the first token.
        memory: bytes that the process took.
    """

    tokens_per_s: float
    ttft: float
    memory: int


def way_of(spec: LlmSpec, dtype: str = "") -> str:
    """The way of loading, as it is looked up.

    Args:
        spec: as it was asked for.
        dtype: what the weights are in, for when that was left to the checkpoint.
    """
    if spec.engine != "transformers":
        return spec.engine
    if spec.quantization != "none":
        return spec.quantization
    return dtype if spec.dtype == "auto" and dtype else spec.dtype


class Measured:
    """The speeds in a file; one that can't be read is an empty one, since all can be measured."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, ref: str, device: str) -> dict[str, Speed]:
        """Speeds by way of loading."""
        return self._read().get(_key(ref, device), {})

    def note(self, spec: LlmSpec, answer: AnswerNote, memory: int, dtype: str = "") -> None:
        """Keep the speed of an answer that is long enough to tell; `dtype` as in `way_of`."""
        spent = answer.seconds - answer.ttft
        if answer.tokens < LEAST or spent <= 0 or spec.engine == "server" or spec.adapter:
            return
        speed = Speed((answer.tokens - 1) / spent, answer.ttft, memory)
        self._keep(spec, way_of(spec, dtype), speed)

    def note_way(self, spec: LlmSpec, result: WayResult) -> None:
        """Keep what the quantization lab measured of a model; a way that failed is none."""
        if not result.error and result.tokens_per_s and not spec.adapter:
            speed = Speed(result.tokens_per_s, result.ttft_s, result.memory)
            self._keep(spec, result.way, speed)

    def _keep(self, spec: LlmSpec, way: str, speed: Speed) -> None:
        known = self._read()
        known.setdefault(_key(spec.ref, spec.device), {})[way] = speed
        self._write(known)

    def _read(self) -> dict[str, dict[str, Speed]]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, dict[str, Speed]])
        except (OSError, msgspec.MsgspecError):
            return {}

    def _write(self, known: dict[str, dict[str, Speed]]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._file.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(known)))
                Path(name).replace(self._file)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError:
            return  # a full disk costs only the recommendation


def _key(ref: str, device: str) -> str:
    return f"{ref} on {device}"


def fastest(speeds: dict[str, Speed]) -> str:
    """The way with the most tokens a second; empty when fewer than two were measured."""
    if len(speeds) < 2:
        return ""
    return max(speeds, key=lambda way: speeds[way].tokens_per_s)
