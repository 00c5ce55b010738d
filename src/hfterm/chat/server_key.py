"""Where the key of a chat server comes from: the environment, or the system's keyring.

A key is sent to its own server and nowhere else. It is in no file of hfterm's, in no log, and in
no error: `FoundKey` does not even show it in its repr.
"""

from __future__ import annotations

import importlib
import os
from typing import Any
from urllib.parse import urlsplit

from hfterm.errors import HftermError

VARIABLE = "HFTERM_API_KEY"
SERVICE = "hfterm"

_OPENAI = ("https://api.openai.com:443", "OPENAI_API_KEY")
"""A variable that other programs set: its key is not for any server that is typed in here."""

_PORTS = {"http": 80, "https": 443}


class FoundKey:
    """A key, and where it was found.

    Attributes:
        value: the key.
        where: in words, for a message when the server refuses it.
    """

    __slots__ = ("value", "where")

    def __init__(self, value: str, where: str) -> None:
        self.value = value
        self.where = where

    def __repr__(self) -> str:
        return f"FoundKey(where={self.where!r})"


def origin(url: str) -> str:
    """``scheme://host:port`` of a URL: what a key belongs to.

    Raises:
        HftermError: it names no host, or its port is no port.
    """
    scheme, host, port = "", "", 0
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
        port = parts.port or _PORTS.get(scheme, 0)
    except ValueError:
        host = ""
    if not host or not port:
        raise HftermError(
            "bad-url",
            "The server's URL names no host, or a port that is none.",
            "Write it like http://localhost:8000/v1.",
        )
    if ":" in host:
        host = f"[{host}]"
    return f"{scheme}://{host}:{port}"


def find_key(url: str) -> FoundKey | None:
    """The key for the server at `url`, and where it was found. May wait for the keyring.

    Raises:
        HftermError: the URL names no host, or the key has characters that no header can carry.
    """
    server = origin(url)
    variables = [VARIABLE, *([_OPENAI[1]] if server == _OPENAI[0] else [])]
    for name in variables:
        if value := os.environ.get(name, "").strip():
            return FoundKey(_checked(value, name), name)
    if value := (_from_keyring(server) or "").strip():
        return FoundKey(_checked(value, "the keyring"), "the keyring")
    return None


def _keyring() -> Any:
    """The package, if it is there: hfterm works without it."""
    return importlib.import_module("keyring")


def _from_keyring(server: str) -> str | None:
    try:
        found: object = _keyring().get_password(SERVICE, server)
    except Exception:  # noqa: BLE001  # no package, no backend, locked: all mean that there is no key
        return None
    return found if isinstance(found, str) else None


def _checked(key: str, where: str) -> str:
    """A header library would quote a key that it can't send in its error."""
    if key and key.isascii() and key.isprintable() and " " not in key:
        return key
    raise HftermError(
        "bad-key",
        f"The key from {where} is empty or has characters that no key has.",
        "Copy it again: one word of ASCII, without spaces or line breaks.",
    )
