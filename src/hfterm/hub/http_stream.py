"""One HTTP GET whose waiting can be cancelled at any moment, also in a stalled connection.

The standard library's client is enough for one file at a time, follows the usual proxy
variables, and ties hfterm to no client that another package happens to bring.
"""

from __future__ import annotations

import base64
import http.client
import os
import queue
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from hfterm import __version__
from hfterm.errors import HftermError
from hfterm.hub.starter_pip import Access
from hfterm.job import Job
from hfterm.paths import expanded

CHUNK = 256 * 1024
TIMEOUT_SECONDS = 30.0

_POLL_SECONDS = 0.1
_TOLD_SECONDS = 2.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")


class Unreachable(Exception):
    """This attempt failed in a way that another may not.

    Attributes:
        wait: seconds that the server asks to wait before another; 0 when it does not say.
    """

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class _Head:
    def __init__(self, status: int, content_range: str, retry_after: str = "") -> None:
        self.status = status
        self.retry_after = float(retry_after) if retry_after.strip().isdecimal() else 0.0
        found = _CONTENT_RANGE.match(content_range)
        self.first_byte = int(found[1]) if found else 0


def pause(seconds: float, job: Job, host: str = "") -> None:
    """Wait, but no longer than the job is wanted; a long wait that `host` asked for is told."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if host and seconds > _TOLD_SECONDS:
            job.progress(f"{host} asks to wait", int(seconds - left), int(seconds), "s")
        job.check()
        # between two attempts there is nothing to wait on but the clock; a cancel is seen soon
        time.sleep(min(_POLL_SECONDS, left))


class HttpStream:
    """An answer to ``GET url`` from byte `start` on, read by a thread of its own.

    A socket can't be waited for and watched for a cancel at once in a portable way, so the
    thread waits and the caller watches. A thread that is left behind in a stalled connection
    ends with the socket's timeout.

    Attributes:
        status: the HTTP status.
        first_byte: where in the file the answer starts, from Content-Range.
        retry_after: seconds that the server asks to wait, from Retry-After; 0 when it does not.

    Raises:
        Unreachable: on entering or reading, when the connection can't be made or is cut.
        HftermError: the server's certificate is not trusted.
        Cancelled: the job was cancelled.
    """

    def __init__(self, url: str, start: int, access: Access, job: Job) -> None:
        self._url = url
        self._job = job
        self._request = _request(url, start, access)
        self._opener = _opener(access)
        self._stop = threading.Event()
        self._items: queue.Queue[_Head | bytes | Exception] = queue.Queue(maxsize=8)
        self.status = 0
        self.first_byte = 0
        self.retry_after = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._receive, name="download", daemon=True).start()
        try:
            head = self._next()
        except BaseException:
            # Whatever ended the wait, nobody will take what the thread still brings.
            self._stop.set()
            raise
        assert isinstance(head, _Head)
        self.status, self.first_byte = head.status, head.first_byte
        self.retry_after = head.retry_after
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece, until its end or until the connection is cut."""
        while chunk := self._next():
            assert isinstance(chunk, bytes)
            yield chunk

    def _next(self) -> _Head | bytes:
        while True:
            self._job.check()
            try:
                item = self._items.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise _explain(self._url, item) from item
            return item

    def _put(self, item: _Head | bytes | Exception) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def _receive(self) -> None:
        try:
            answer = self._opener.open(self._request, timeout=TIMEOUT_SECONDS)
            with cast("http.client.HTTPResponse", answer) as response:
                self._put(_Head(response.status, response.headers.get("Content-Range", "")))
                # read1, not read: what has arrived is shown and kept at once on a slow line.
                while not self._stop.is_set() and (chunk := response.read1(CHUNK)):
                    self._put(chunk)
            self._put(b"")
        except urllib.error.HTTPError as error:
            error.close()
            self._put(_Head(error.code, "", error.headers.get("Retry-After", "")))
        except Exception as error:  # noqa: BLE001  # the caller raises it, and would else wait for ever
            self._put(error)


def _explain(url: str, error: Exception) -> Exception:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return HftermError(
            "certificate",
            f"The certificate of {urlsplit(url).hostname} is not trusted ({cause.verify_message}).",
            "If a proxy signs connections here, name its certificate in PIP_CERT or SSL_CERT_FILE.",
        )
    if isinstance(error, OSError | http.client.HTTPException):
        return Unreachable(str(cause) or type(cause).__name__)
    return error


def _request(url: str, start: int, access: Access) -> urllib.request.Request:
    headers = {"User-Agent": f"hfterm/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    # Unredirected: where a redirect leads has no business with a login.
    if token := access.tokens.get(urlsplit(url).netloc):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    if login := access.logins.get(urlsplit(url).netloc):
        token = base64.b64encode(":".join(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _opener(access: Access) -> urllib.request.OpenerDirector:
    proxies = {"http": access.proxy, "https": access.proxy} if access.proxy else None
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPSHandler(context=_tls(access)),
    )


def _tls(access: Access) -> ssl.SSLContext:
    """The certificates pip is told to trust; otherwise the system's and certifi's, as pip does."""
    named = access.cert or os.environ.get("REQUESTS_CA_BUNDLE", "")
    try:
        if named:
            path = expanded(named)
            if path.is_dir():
                return ssl.create_default_context(capath=str(path))
            return ssl.create_default_context(cafile=str(path))
        context = ssl.create_default_context()  # SSL_CERT_FILE and SSL_CERT_DIR hold here
    except OSError as error:
        raise HftermError(
            "certificate",
            f"The certificate file {named} can't be read ({error.strerror or error}).",
            "Check PIP_CERT, REQUESTS_CA_BUNDLE or the cert setting of pip.",
        ) from error
    try:
        import certifi
    except ImportError:
        return context
    if "SSL_CERT_FILE" not in os.environ:
        context.load_verify_locations(cafile=certifi.where())
    return context
