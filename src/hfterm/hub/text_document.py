"""A file that was read as text, as plain data."""

from __future__ import annotations

import msgspec


class TextDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A local file read as text.

    `encoding` is ``utf-8`` or ``utf-8, invalid bytes replaced``; `replaced` counts those.
    """

    path: str
    text: str
    encoding: str
    replaced: int = 0
    size: int = 0
