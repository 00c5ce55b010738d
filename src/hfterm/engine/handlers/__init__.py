"""Requests of the protocol, answered by calling the domain."""

from __future__ import annotations

from hfterm.engine.handlers import (
    attention,
    chat,
    library,
    models,
    predict,
    starter,
    tokenization,
    training,
)
from hfterm.engine.handlers.registry import Handler

HANDLERS: dict[str, Handler] = {
    **tokenization.HANDLERS,
    **attention.HANDLERS,
    **chat.HANDLERS,
    **library.HANDLERS,
    **models.HANDLERS,
    **predict.HANDLERS,
    **starter.HANDLERS,
    **training.HANDLERS,
}
