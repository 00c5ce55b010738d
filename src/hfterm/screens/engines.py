"""The engine processes that screens work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hfterm.engine.client import EngineClient, EngineStatus

CHAT = "chat"
"""The engine that answers in the conversation."""


class EnginePool:
    """Engines by name, made when they are first asked for: one for each language model.

    Args:
        on_status: told of each engine's state, by its name.
    """

    def __init__(self, on_status: Callable[[str, EngineStatus], None] | None = None) -> None:
        self._engines: dict[str, EngineClient] = {}
        self._on_status = on_status

    def get(self, name: str) -> EngineClient:
        """The engine called `name`; its process starts with the first request."""
        if name not in self._engines:
            tell = partial(self._on_status, name) if self._on_status is not None else None
            self._engines[name] = EngineClient(name, tell, warm=False)
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
