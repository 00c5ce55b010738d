"""Who may come in: whoever had the address that was printed, and nobody else.

The loopback interface is no protection of its own: every user of the box reaches it, and so does
every page that is open in the browser. So there are four questions, each asked of every request:
is it addressed to this server (a name that an attacker's DNS moved here is not), does its browser
hold the cookie, did the cookie come from the token of the printed address, and does a WebSocket
come from this server's own page.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
"""What the loopback interface is called in an address; the server listens on the first."""

SECRET_BYTES = 32


def _secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def _same(given: str, known: str) -> bool:
    """Compare in a time that tells nothing; as bytes, since a `str` must be ASCII for that."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), known.encode())


@dataclass
class Gate:
    """The secrets of one server.

    Attributes:
        port: where it listens.
        token: what the printed address carries; it is good for one time.
        session: what the cookie holds.
    """

    port: int
    token: str = field(default_factory=_secret)
    session: str = field(default_factory=_secret)
    spent: bool = False

    @property
    def cookie(self) -> str:
        """The cookie's name. Browsers keep one jar for all ports of a host."""
        return f"hfterm-{self.port}"

    @property
    def address(self) -> str:
        """The server's own address."""
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def invitation(self) -> str:
        """The address that lets a browser in, once."""
        return f"{self.address}?token={self.token}"

    def spend(self, token: str) -> bool:
        """Whether the token is right and was not used; it is used by that."""
        if not _same(token, self.token) or self.spent:
            return False
        self.spent = True
        return True

    def knows(self, cookie: str) -> bool:
        """Whether this is the session's cookie."""
        return _same(cookie, self.session)

    def is_here(self, host: str) -> bool:
        """Whether a ``Host`` header names this server."""
        return host.lower() in {f"{name}:{self.port}" for name in NAMES}

    def is_own(self, origin: str, host: str) -> bool:
        """Whether an ``Origin`` header is that of this server's page, as `host` names it."""
        return self.is_here(host) and origin.lower() == f"http://{host.lower()}"
