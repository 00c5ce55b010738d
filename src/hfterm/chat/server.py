"""A chat over a server that speaks OpenAI's chat completions: vLLM, TGI, llama-server and others.

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
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

import msgspec

from hfterm import __version__
from hfterm.chat import server_stream as sent
from hfterm.chat.decoding import StopText
from hfterm.chat.server_key import VARIABLE, FoundKey, find_key, origin
from hfterm.chat.types import Answer, Ask, LlmInfo, LlmSpec, Sampling, StopReason, Token
from hfterm.errors import Cancelled, HftermError
from hfterm.hub.http_stream import pause
from hfterm.job import Job

if TYPE_CHECKING:
    import httpx2
    import numpy as np
    from httpcore2 import NetworkStream

CONNECT_SECONDS = 10.0
FIRST_BYTE_SECONDS = 600.0
"""A server may read a long prompt, or load the model, before it says anything."""
STALLED_SECONDS = 120.0
AFTER_FINISH_SECONDS = 5.0
"""What may come after the end of an answer (its usage) is not waited for longer."""
LONGEST_WAIT_SECONDS = 60.0
"""A server that asks to be left alone for longer is an error."""
ASKED_TO_WAIT_SECONDS = 2.0
"""When it does not say how long."""
RETRY_SECONDS = 0.5
TRIES = 3

_POLL_SECONDS = 0.05
_VERSION = re.compile(r"/v\d+\w*(/|$)")
_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window|exceeded)|exceed\w* .{0,60}context|too (long|many tokens)"
    r"|`inputs` tokens",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(
    r"unexpected|unknown|unrecogni[sz]ed|unsupported|not support|extra|not permitted|not allowed",
    re.IGNORECASE,
)
_OPTIONAL = ("stream_options", "top_logprobs", "logprobs", "top_k", "min_p", "repetition_penalty",
             "repeat_penalty", "seed")  # fmt: skip
_CONTINUING = ("continue_final_message", "add_generation_prompt")


class ServerBackend:
    """A model at a server."""

    def __init__(self, spec: LlmSpec, job: Job) -> None:
        """Find the server and the model.

        Raises:
            HftermError: the URL is none, the server can't be reached or refuses, or it does not
                have the model.
            Cancelled: the job was cancelled.
        """
        began = time.monotonic()
        self._base = _base(spec.url)
        self._host = urlsplit(self._base).netloc
        self._refused: set[str] = set()
        job.progress(f"asking {self._host} for its models")
        model = _chosen(spec.ref, self._listed(spec.ref, job), self._host)
        self._model = model.id
        self._info = LlmInfo(
            spec=spec,
            name=f"server at {self._host}",
            parameters=model.parameters,
            footprint=model.footprint,
            seconds=time.monotonic() - began,
            context=model.context,
        )

    @property
    def info(self) -> LlmInfo:
        """The model, and which settings its server was seen to refuse."""
        note = "The model runs at a server: its memory and its token ids are not known here."
        if self._refused:
            note += f" The server does not take {', '.join(sorted(self._refused))}."
        return msgspec.structs.replace(self._info, note=note)

    def read(self, text: str, most: int, job: Job) -> tuple[list[int], np.ndarray]:
        """A server does not tell; see `Backend`.

        Raises:
            HftermError: always.
        """
        raise HftermError(
            "no-logits", "A server does not tell what it expects at every place of a text.",
            "Load the model here to compare quantizations.",
        )  # fmt: skip

    def answer(self, ask: Ask, job: Job) -> Answer:
        """Generate at the server; see `Backend`.

        Raises:
            HftermError: the server can't be reached, refuses, or fails. Tokens that were sent
                before stay valid.
        """
        record = _Record(job, ask.sampling.stop)
        try:
            with self._begun(ask, job) as exchange:
                record.read(exchange)
        except Cancelled:
            job.partial = True
            record.let_go()
            return record.answer("stopped")
        except HftermError:
            record.let_go()
            raise
        return record.answer(_reason(record, ask.sampling))

    def _listed(self, ref: str, job: Job) -> list[sent.ServedModel]:
        with self._exchange("GET", "/models", None, job) as exchange:
            if exchange.status in (404, 405, 501):  # many a server has one model and no list
                return []
            if ref and exchange.status >= 500:
                # `transformers serve` fails here when there is no cache folder, yet answers.
                return []
            _refuse_failures(exchange, self._host)
            return sent.served_models(sent.object_in(exchange.body(), exchange.secret))

    @contextlib.contextmanager
    def _begun(self, ask: Ask, job: Job) -> Generator[_Exchange]:
        """An exchange in which the server has agreed to answer."""
        job.progress(f"waiting for {self._host}")
        while True:
            body = _body(ask, self._model, self._refused)
            with self._exchange("POST", "/chat/completions", body, job) as exchange:
                if exchange.status not in (400, 422):
                    _refuse_failures(exchange, self._host)
                    yield exchange
                    return
                self._learn(exchange, body, continued=bool(ask.prefix))

    def _learn(self, exchange: _Exchange, body: dict[str, object], *, continued: bool) -> None:
        """Which fields the server did not take; they are left out from now on.

        Raises:
            HftermError: it complains of something that can't be left out.
        """
        text = exchange.words()
        shown = sent.shown(text, exchange.secret)
        if _TOO_LONG.search(text):
            raise _too_long(shown)
        named = {name for name in _OPTIONAL if name in body and re.search(rf"\b{name}\b", text)}
        if "max_completion_tokens" in text and "max_tokens" in body:
            named.add("max_tokens")
        if continued and (not named or any(name in text for name in _CONTINUING)):
            raise HftermError(
                "no-continue",
                f"The server can't go on from the middle of an answer: {shown}",
                "Ask anew, or use a server that can: vLLM, llama-server.",
            )
        if not named and _COMPLAINT.search(text):
            named = {name for name in _OPTIONAL if name in body}
        if not named:
            _refuse_failures(exchange, self._host)
        if "logprobs" in named:  # the one means nothing without the other
            named.add("top_logprobs")
        self._refused |= named

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, body: dict[str, object] | None, job: Job
    ) -> Generator[_Exchange]:
        """A request whose head has come; repeated when the server is busy or fails."""
        for attempt in range(1, TRIES + 1):
            with _Exchange(method, self._base + path, body, job) as exchange:
                seconds = _worth_waiting(exchange) if attempt < TRIES else None
                if seconds is None:
                    yield exchange
                    return
            # The wait is outside of the exchange: nobody is kept on the line for it.
            if exchange.status == 429:
                job.progress("the server asks to wait", 0, round(seconds), "s")
            pause(seconds, job)


class _Record:
    """What came of an answer so far; sends each token on."""

    def __init__(self, job: Job, stops: tuple[str, ...]) -> None:
        self._job = job
        # Some servers end at a stop string and yet send it, and others know of none.
        self.stops = StopText(stops)
        self._goes_on = False
        self._rests = 0
        self._began = self._last = time.monotonic()
        self._tokens: list[Token] = []
        self._ttft = 0.0
        self.reader = sent.ChatReader()

    def read(self, exchange: _Exchange) -> None:
        """Take all that the server sends.

        Raises:
            HftermError: it is an error, no answer, or only a part of one.
            Cancelled: the job was cancelled.
        """
        self.reader = sent.ChatReader(exchange.secret)
        if exchange.kind == "application/json":  # it does not stream
            self._take(exchange.body())
        else:
            self._stream(exchange)
        if not self._may_end:
            raise _cut("the stream ended without saying why")
        if self.reader.finish != "length":  # a thought that is cut by a limit may be gone on from
            self._keep(self.reader.close())
        self.let_go()
        if self.reader.called_tools and not self._tokens:
            raise HftermError(
                "tools",
                "The model answered with a call of a tool, which hfterm does not run.",
                "Ask in another way, or turn tools off at the server.",
            )

    def _stream(self, exchange: _Exchange) -> None:
        parser = sent.EventParser()
        while not (self.reader.done or self._goes_on):
            try:
                chunk = exchange.next(self._patience)
            except HftermError:
                if self._may_end:
                    return
                raise
            if not chunk:
                return
            for data in parser.feed(chunk):
                self._take(data)
                if self.reader.done:
                    return

    @property
    def _may_end(self) -> bool:
        return bool(self.reader.finish or self.reader.done or self.stops.met)

    @property
    def _patience(self) -> float:
        if self._may_end:
            return AFTER_FINISH_SECONDS
        # vLLM sends its headers before it has read the prompt.
        return STALLED_SECONDS if self._tokens else FIRST_BYTE_SECONDS

    def _take(self, data: str | bytes) -> None:
        self._keep(self.reader.take(data))

    def _keep(self, tokens: list[Token]) -> None:
        for token in tokens:
            if self.stops.met:
                self._goes_on = self._goes_on or bool(token.text)
                continue
            if not self._tokens:
                self._ttft = time.monotonic() - self._began
            self._last = time.monotonic()
            text = self.stops.take(token.text)
            self._send(token if text == token.text else msgspec.structs.replace(token, text=text))

    def _send(self, token: Token) -> None:
        self._tokens.append(token)
        self._job.send(token)

    def let_go(self) -> None:
        """Send what was held back because it might have become a stop string."""
        if rest := "" if self.stops.met else self.stops.rest():
            self._rests += 1
            self._send(Token(-1, rest))

    @property
    def count(self) -> int:
        """Tokens: the server's count, else of what it sent."""
        if self.reader.tokens is not None:
            return self.reader.tokens
        tags = sum(token.text in ("<think>", "</think>") for token in self._tokens)
        return len(self._tokens) - tags - self._rests

    def answer(self, reason: StopReason) -> Answer:
        """All of it, once no more comes."""
        ids = tuple(token.id for token in self._tokens)
        return Answer(
            text="".join(token.text for token in self._tokens),
            ids=ids if min(ids, default=-1) >= 0 else (),
            tokens=self.count,
            prompt_tokens=self.reader.prompt_tokens,
            reused_tokens=self.reader.reused_tokens,
            ttft=self._ttft,
            seconds=self._last - self._began,
            stop_reason=reason,
        )


class _Head(msgspec.Struct):
    status: int
    headers: dict[str, str]
    secret: FoundKey | None


class _Exchange:
    """One request and its answer, read by a thread of its own.

    The thread waits for the socket and the caller watches the job; when the caller leaves, the
    socket is shut down, which ends the thread and tells the server to stop generating.

    Attributes:
        status: the HTTP status.
        headers: of the answer, names in lower case.
        secret: the key that was sent, or empty.

    Raises:
        HftermError: on entering or reading: no connection, a cut one, or silence.
        Cancelled: the job was cancelled.
    """

    def __init__(self, method: str, url: str, body: dict[str, object] | None, job: Job) -> None:
        self._method, self._url, self._body, self._job = method, url, body, job
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
            key = find_key(self._url)
            with (
                _client(self._url) as client,
                client.stream(
                    self._method,
                    self._url,
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
            self._put(_cut("the connection broke") if head else _unreachable(self._url, error))


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


def _base(url: str) -> str:
    """The URL below which the server's paths are."""
    url = url.strip()
    if "://" not in url:
        url = f"http://{url}"
    server = origin(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise HftermError(
            "bad-url",
            f"{server} with what follows is no URL of a chat server.",
            "Write it like http://localhost:8000/v1.",
        )
    if "@" in parts.netloc:  # it would be shown, and kept in settings
        raise HftermError(
            "bad-url",
            "The server's URL has a login in it.",
            f"Put the key into {VARIABLE} instead.",
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    if not _VERSION.search(path):
        path += "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _chosen(ref: str, models: list[sent.ServedModel], host: str) -> sent.ServedModel:
    found = [model for model in models if ref in ("", model.id)]
    if ref and not found and (not models or ref.startswith(("/", "~", "."))):
        # `transformers serve` lists what is in its cache, and has a folder it was started with too.
        return sent.ServedModel(ref)
    if len(found) == 1 or (ref and found):
        return found[0]
    if not models:
        raise HftermError(
            "no-model", f"{host} does not say which models it has.", "Name the model."
        )
    names = sent.shown(", ".join(model.id for model in models))
    if not ref:
        raise HftermError("no-model", f"{host} has several models.", f"Name one: {names}")
    raise HftermError("no-model", f"{host} has no model “{ref}”.", f"It has: {names}")


def _body(ask: Ask, model: str, refused: set[str]) -> dict[str, object]:
    """The request, without what the server refused before."""
    sampling = ask.sampling
    messages = [{"role": said.role, "content": said.content} for said in ask.messages]
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 5,
        "temperature": sampling.temperature,
        **_sampled(sampling),
    }
    limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
    body[limit] = sampling.max_new_tokens
    if sampling.repetition_penalty != 1:
        body["repetition_penalty"] = sampling.repetition_penalty
        body["repeat_penalty"] = sampling.repetition_penalty  # llama-server's name for it
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if ask.prefix:
        messages.append({"role": "assistant", "content": ask.prefix})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return {name: value for name, value in body.items() if name not in refused}


def _sampled(sampling: Sampling) -> dict[str, object]:
    """What says how to choose among several tokens; nothing when it is always the best one."""
    if sampling.temperature == 0:
        return {}
    chosen: dict[str, object] = {"top_p": sampling.top_p}
    if sampling.top_k > 0:
        chosen["top_k"] = sampling.top_k
    if sampling.min_p > 0:
        chosen["min_p"] = sampling.min_p
    return chosen


def _reason(record: _Record, sampling: Sampling) -> StopReason:
    reader = record.reader
    if record.stops.met:
        return "stop string"
    if reader.finish == "length":
        early = reader.tokens is not None and reader.tokens < sampling.max_new_tokens
        return "context full" if early else "length"
    return "stop string" if reader.stop in sampling.stop else "end"


def _worth_waiting(exchange: _Exchange) -> float | None:
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


def _refuse_failures(exchange: _Exchange, host: str) -> None:
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
                f"Set {VARIABLE} before starting hfterm, or put a key into the keyring.",
            )
        raise HftermError(
            "key",
            f"{host} refuses the key from {exchange.key.where} (HTTP {status}){says}",
            f"Set {VARIABLE} to a key of this server.",
        )
    if status == 413 or (status in (400, 422, 500) and _TOO_LONG.search(text)):
        raise _too_long(said)
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


def _too_long(said: str) -> HftermError:
    return HftermError(
        "context-full",
        f"The conversation is too long for the server: {said or 'it says no more'}",
        "Drop the oldest turns, ask for fewer tokens, or begin a new conversation.",
    )


def _cut(what: str) -> HftermError:
    return HftermError(
        "cut",
        f"The answer was cut: {what}.",
        "What came is kept; continue the answer.",
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
