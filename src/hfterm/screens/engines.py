"""The engine processes that screens work with."""

from __future__ import annotations

from dataclasses import dataclass

from hfterm.engine.client import EngineClient


@dataclass(frozen=True)
class Engines:
    """`tokenizers` is always warm; `model` holds the model that is loaded, and ends with it."""

    tokenizers: EngineClient
    model: EngineClient
