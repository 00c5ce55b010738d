"""The engine processes that screens work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from hfterm.engine.client import EngineClient


class EnginePool:
    """Engines by name, made when they are first asked for: one for each language model."""

    def __init__(self) -> None:
        self._engines: dict[str, EngineClient] = {}

    def get(self, name: str) -> EngineClient:
        """The engine called `name`; its process starts with the first request."""
        if name not in self._engines:
            self._engines[name] = EngineClient(name, warm=False)
        return self._engines[name]

    async def close(self) -> None:
        """End all processes."""
        for engine in self._engines.values():
            await engine.close()


@dataclass(frozen=True)
class Engines:
    """`tokenizers` is always warm; `model` holds the model that is loaded, and ends with it.

    `chats` hold a language model each.
    """

    tokenizers: EngineClient
    model: EngineClient
    chats: EnginePool = field(default_factory=EnginePool)
