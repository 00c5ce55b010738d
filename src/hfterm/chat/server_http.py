"""One exchange with a chat server: a request, the bytes of its answer, and what a failure means.

Imports neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

import msgspec

from hfterm import __version__
from hfterm.chat import server_stream as sent
from hfterm.chat.server_key import SERVICE, VARIABLE, FoundKey, find_key, origin
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job

if TYPE_CHECKING:
    import httpx2
    from httpcore2 import NetworkStream

CONNECT_SECONDS = 10.0
FIRST_BYTE_SECONDS = 600.0
"""A server may read a long prompt, or load the model, before it says anything."""
STALLED_SECONDS = 120.0
LONGEST_WAIT_SECONDS = 60.0
"""A server that asks to be left alone for longer is an error."""
ASKED_TO_WAIT_SECONDS = 2.0
"""When it does not say how long."""
RETRY_SECONDS = 0.5
TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window|exceeded)|exceed\w* .{0,60}context|too (long|many tokens)"
    r"|`inputs` tokens",
    re.IGNORECASE,
)
"""How servers say that a prompt does not fit."""

_POLL_SECONDS = 0.05


class _Head(msgspec.Struct):
    status: int
    headers: dict[str, str]
    secret: FoundKey | None


class Exchange:
    """One request and its answer, read by a thread of its own.

    The thread waits for the socket and the caller watches the job; when the caller leaves, the
    socket is shut down, which ends the thread and tells the server to stop generating.

    Attributes:
        url: what is asked.
        status: the HTTP status.
        headers: of the answer, names in lower case.
        secret: the key that was sent, or empty.

    Raises:
        HftermError: on entering or reading: no connection, a cut one, or silence.
        Cancelled: the job was cancelled.
    """

    def __init__(self, method: str, url: str, body: dict[str, object] | None, job: Job) -> None:
        self._method, self.url, self._body, self._job = method, url, body, job
        self._items: queue.Queue[_Head | bytes | HftermError] = queue.Queue(maxsize=64)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._whole: bytes | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.secret = ""
        self.key: FoundKey | None = None

    def __enter__(self) -> Self:
        self._job.check()  # the thread may have sent it before the first look below
        threading.Thread(target=self._receive, name="chat server", daemon=True).start()
        try:
            head = self._item(FIRST_BYTE_SECONDS)
        except BaseException:
            # Whatever ended the wait, nobody will take what the thread still brings.
            self._close()
            raise
        assert isinstance(head, _Head)
        self.status, self.headers, self.key = head.status, head.headers, head.secret
        self.secret = head.secret.value if head.secret else ""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    @property
    def kind(self) -> str:
        """The content's type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def next(self, patience: float) -> bytes:
        """Some bytes of the answer; none at its end.

        Args:
            patience: seconds of silence that are waited for.
        """
        chunk = self._item(patience)
        assert isinstance(chunk, bytes)
        return chunk

    def body(self) -> bytes:
        """All of the answer; may be asked for again."""
        if self._whole is not None:
            return self._whole
        whole = bytearray()
        # An answer that does not stream is generated whole before it comes.
        while chunk := self.next(FIRST_BYTE_SECONDS if self.status == 200 else STALLED_SECONDS):
            whole += chunk
            if len(whole) > sent.LONGEST:
                raise sent.bad_answer(f"it is longer than {sent.LONGEST:,} bytes")
        self._whole = bytes(whole)
        return self._whole

    def words(self) -> str:
        """What an error answer says, uncut; empty for a web page."""
        try:
            raw = self.body()
        except HftermError:
            self._whole = b""  # the status says enough
            return ""
        try:
            return sent.words(sent.object_in(raw)) or raw.decode(errors="replace")
        except HftermError:
            return "" if raw.lstrip()[:1] == b"<" else raw.decode(errors="replace")

    def _item(self, patience: float) -> _Head | bytes:
        until = time.monotonic() + patience
        while True:
            self._job.check()
            try:
                item = self._items.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if time.monotonic() < until:
                    continue
                raise HftermError(
                    "stalled",
                    f"The server has sent nothing for {patience:.0f} seconds.",
                    "Look at the server's log, and ask again.",
                ) from None
            if isinstance(item, HftermError):
                raise item
            return item

    def _put(self, item: _Head | bytes | HftermError) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def _close(self) -> None:
        self._stop.set()
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it may be closed already
                    # Of an SSLSocket, its own `shutdown` takes away what the thread is reading by.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _trace(self, event: str, details: dict[str, object]) -> None:
        """Learn of the socket as soon as there is one: before the head nothing else leads to it."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = cast("NetworkStream", details["return_value"])
            with self._lock:
                self._socket = stream.get_extra_info("socket")
            if self._stop.is_set():
                raise Cancelled

    def _receive(self) -> None:
        head = False
        try:
            key = find_key(self.url)
            with (
                _client(self.url) as client,
                client.stream(
                    self._method,
                    self.url,
                    json=self._body,
                    headers={"Authorization": f"Bearer {key.value}"} if key else {},
                    extensions={"trace": self._trace},
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                self._put(_Head(response.status_code, headers, key))
                head = True
                for chunk in response.iter_bytes():
                    if chunk:
                        self._put(chunk)
                    if self._stop.is_set():
                        return
            self._put(b"")
        except HftermError as error:
            self._put(error)
        except Exception as error:  # noqa: BLE001  # the caller raises it, and would else wait for ever
            # Not the error itself: it holds the request, and that the key.
            self._put(cut("the connection broke") if head else _unreachable(self.url, error))


def _client(url: str) -> httpx2.Client:
    import httpx2

    # Reading all certificates takes a tenth of a second, which plain HTTP need not wait for. The
    # bare context trusts nobody.
    plain = url.startswith("http:")
    return httpx2.Client(
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context(),
        trust_env=not _is_here(urlsplit(url).hostname or ""),  # no proxy leads to this machine
        follow_redirects=False,  # the key is for this server alone
        # The caller's patience ends first; this one ends a thread that it left behind.
        timeout=httpx2.Timeout(2 * FIRST_BYTE_SECONDS, connect=CONNECT_SECONDS),
        headers={
            "User-Agent": f"hfterm/{__version__}",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",  # compression would hold tokens back
        },
    )


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def worth_waiting(exchange: Exchange) -> float | None:
    """Seconds after which another try may do better; None for never."""
    if exchange.status in (500, 502, 503):
        return RETRY_SECONDS
    if exchange.status != 429:
        return None
    asked = exchange.headers.get("retry-after", "")
    seconds = ASKED_TO_WAIT_SECONDS
    try:
        seconds = float(asked)
    except ValueError:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            seconds = email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
    return max(0.0, seconds) if seconds <= LONGEST_WAIT_SECONDS else None


def refuse_failures(exchange: Exchange, host: str) -> None:
    """Raise what a status means, unless it is one of success.

    Raises:
        HftermError: it is not.
    """
    status = exchange.status
    if 200 <= status < 300:
        if exchange.kind in ("text/html", "application/xhtml+xml"):
            raise HftermError(
                "not-a-chat-server",
                f"{host} answered with a web page.",
                "Check the URL; a login page or a proxy may answer in the server's place.",
            )
        return
    text = exchange.words()
    said = sent.shown(text, exchange.secret)
    says = f": {said}" if said else "."
    if 300 <= status < 400:
        target = sent.shown(exchange.headers.get("location", "elsewhere"), exchange.secret)
        raise HftermError(
            "redirect", f"{host} sends on to {target}", "Give the URL that it leads to."
        )
    if status in (401, 403):
        if exchange.key is None:
            raise HftermError(
                "key",
                f"{host} wants a key, and there is none for it (HTTP {status}){says}",
                f"Set {VARIABLE} before starting hfterm, or put one into the keyring: keyring set "
                f"{SERVICE} {origin(exchange.url)}",
            )
        raise HftermError(
            "key",
            f"{host} refuses the key from {exchange.key.where} (HTTP {status}){says}",
            f"Set {VARIABLE} to a key of this server.",
        )
    if status == 413 or (status in (400, 422, 500) and TOO_LONG.search(text)):
        raise too_long(said)
    if status == 404:
        raise HftermError(
            "not-found",
            f"{host} has no such model or path (HTTP 404){says}",
            "Check the URL, which usually ends in /v1, and the model's name.",
        )
    if status == 429:
        raise HftermError("busy", f"{host} has no room for this request{says}", "Ask again later.")
    if status >= 500:
        raise HftermError(
            "server",
            f"{host} failed (HTTP {status}){says}",
            "Look at the server's log, and ask again.",
        )
    raise HftermError(
        "refused-request",
        f"{host} refuses the request (HTTP {status}){says}",
        "Change the settings that it names.",
    )


def too_long(said: str) -> HftermError:
    """The prompt does not fit; `said` are the server's words, or none."""
    return HftermError(
        "context-full",
        f"The conversation is too long for the server: {said or 'it says no more'}",
        "Drop the oldest turns, ask for fewer tokens, or begin a new conversation.",
    )


def cut(what: str) -> HftermError:
    """The answer ended before its end."""
    return HftermError(
        "cut",
        f"The answer was cut: {what}.",
        "What came is kept; continue the answer, or ask anew.",
    )


def _unreachable(url: str, error: BaseException) -> HftermError:
    """Why there is no answer. Says nothing of the error's own that might hold the request."""
    import httpx2

    host = urlsplit(url).netloc
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    start = "Start the server, or check the URL's host and port."
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return HftermError(
                "certificate",
                f"The certificate of {host} is not trusted ({cause.verify_message}).",
                "Name the certificate that signs it in SSL_CERT_FILE.",
            )
        if isinstance(cause, ssl.SSLError):
            return HftermError(
                "certificate",
                f"{host} does not speak TLS ({cause.reason or 'handshake failed'}).",
                "If it is a server without encryption, write http:// in its URL.",
            )
        if isinstance(cause, socket.gaierror):
            return HftermError(
                "unreachable", f"There is no host {host} ({cause.strerror}).", "Check the URL."
            )
        if isinstance(cause, FileNotFoundError):
            return HftermError(
                "certificate",
                "The file of trusted certificates is missing.",
                "Check SSL_CERT_FILE and SSL_CERT_DIR.",
            )
        if isinstance(cause, ConnectionRefusedError):
            return HftermError("unreachable", f"Nothing listens at {host}.", start)
    if isinstance(error, httpx2.TimeoutException):
        return HftermError("unreachable", f"{host} does not answer: time ran out.", start)
    if isinstance(error, httpx2.ProxyError):
        return HftermError(
            "unreachable",
            f"The proxy does not lead to {host}.",
            "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return HftermError(
            "bad-url", "The server's URL is none.", "Write it like http://host:8000."
        )
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return HftermError("unreachable", f"{host}: {cause.strerror}.", start)
    return HftermError(
        "unreachable",
        f"{host} closed the connection without an answer ({type(error).__name__}).",
        "Look at the server's log; perhaps it speaks another protocol.",
    )
