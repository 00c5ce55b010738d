"""Requests of the protocol, answered by calling the domain."""

from __future__ import annotations

from hfterm.engine.handlers import starter, tokenization
from hfterm.engine.handlers.registry import Handler

HANDLERS: dict[str, Handler] = {**tokenization.HANDLERS, **starter.HANDLERS}
