"""Whether the Hugging Face hub can be reached from here, and whether a token is at hand."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hfterm.paths import expanded

DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})  # as huggingface_hub reads its switches


class Reach(NamedTuple):
    """What came of asking.

    Attributes:
        reachable: something that speaks HTTP answered, and not that it is broken.
        reason: what it said, or why nothing came back.
    """

    reachable: bool
    reason: str


def offline_variable(env: Mapping[str, str]) -> str:
    """The variable that tells huggingface_hub to stay offline; empty when there is none."""
    name = "HF_HUB_OFFLINE" if env.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
    return name if env.get(name, "").upper() in _TRUE else ""


def has_token(env: Mapping[str, str]) -> bool:
    """Whether the user is logged in to the hub. Looks, and neither shows nor refreshes it."""
    if any(env.get(name, "").strip() for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
        return True
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = expanded(env.get("HF_HOME") or cache / "huggingface")
    try:
        token = expanded(env.get("HF_TOKEN_PATH") or home / "token")
        return token.stat().st_size > 0
    except OSError:
        return False


def reach(endpoint: str, timeout: float = 3.0) -> Reach:
    """Ask a hub for its headers.

    Args:
        endpoint: its address, ``https://…``.
        timeout: seconds after which it counts as unreachable, whatever is the matter: a
            thread is left behind then, since a name look-up cannot be interrupted.
    """
    answers: list[Reach] = []
    asking = threading.Thread(
        target=lambda: answers.append(_ask(endpoint, timeout)), daemon=True, name="reach"
    )
    asking.start()
    asking.join(timeout)
    return answers[0] if answers else Reach(False, f"no answer within {timeout:g} s")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer; following it would ask somebody else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


def _ask(endpoint: str, timeout: float) -> Reach:
    try:
        request = urllib.request.Request(endpoint, method="HEAD")
        secure = urllib.request.HTTPSHandler(context=_certificates())
        opener = urllib.request.build_opener(_NoRedirect, secure)
        with opener.open(request, timeout=timeout) as response:
            return Reach(True, f"it answered {response.status}")
    except urllib.error.HTTPError as error:
        working = error.code < 500 and error.code != http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        return Reach(working, f"it answered {error.code}")
    except urllib.error.URLError as error:
        reason = error.reason
        said = reason.strerror if isinstance(reason, OSError) else None
        return Reach(False, str(said or reason))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Reach(False, str(error) or type(error).__name__)


def _certificates() -> ssl.SSLContext:
    """The system's certificates and, where installed, the ones huggingface_hub brings along."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    if not os.environ.get("SSL_CERT_FILE"):  # naming a file means these and no others
        context.load_verify_locations(certifi.where())
    return context
