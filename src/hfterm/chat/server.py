"""A chat over a server that speaks OpenAI's chat completions: vLLM, TGI, llama-server and others.

Imports neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Generator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from hfterm.chat import server_body as asked
from hfterm.chat import server_http as http
from hfterm.chat import server_stream as sent
from hfterm.chat.decoding import StopText
from hfterm.chat.server_key import VARIABLE, origin
from hfterm.chat.types import Answer, Ask, LlmInfo, LlmSpec, Sampling, StopReason, Token
from hfterm.errors import Cancelled, HftermError
from hfterm.hub.http_stream import pause
from hfterm.job import Job

if TYPE_CHECKING:
    import numpy as np

AFTER_FINISH_SECONDS = 5.0
"""What may come after the end of an answer (its usage) is not waited for longer."""
TRIES = 3

_VERSION = re.compile(r"/v\d+\w*(/|$)")
_COMPLAINT = re.compile(
    r"unexpected|unknown|unrecogni[sz]ed|unsupported|not support|extra|not permitted|not allowed",
    re.IGNORECASE,
)


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
        self._config = False
        self._goes_on: bool | None = None
        job.progress(f"asking {self._host} for its models")
        model = _chosen(spec.ref, self._listed(spec.ref, job), self._host)
        self._model = model.id
        self._lossy = model.lossy
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
        if self._lossy:
            note += " It loses characters when it is asked for probabilities, so there are none."
        refused = self._refused
        if self._config and "generation_config" not in refused:
            refused = refused - {*asked.AS_CONFIG}
        if refused:
            note += f" The server does not take {', '.join(sorted(refused))}."
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
                silent = not record.read(exchange)
            if silent:
                # llama-cpp-python has begun its stream when it finds that the prompt is too long,
                # and then says nothing. Of an answer in one piece it says what was wrong.
                with self._begun(ask, job, stream=False) as exchange:
                    record.read_or_fail(exchange, self._host)
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
            http.refuse_failures(exchange, self._host)
            return sent.served_models(sent.object_in(exchange.body(), exchange.secret))

    @contextlib.contextmanager
    def _begun(self, ask: Ask, job: Job, *, stream: bool = True) -> Generator[http.Exchange]:
        """An exchange in which the server has agreed to answer."""
        job.progress(f"waiting for {self._host}")
        if ask.prefix:
            self._refuse_to_begin_anew(job)
        while True:
            unasked = self._refused | (asked.PROBABILITIES if self._lossy else set[str]())
            body = asked.request_body(ask, self._model, unasked, stream=stream, config=self._config)
            with self._exchange("POST", "/chat/completions", body, job) as exchange:
                if exchange.status not in (400, 422):
                    http.refuse_failures(exchange, self._host)
                    yield exchange
                    return
                self._learn(exchange, body, continued=bool(ask.prefix))

    def _refuse_to_begin_anew(self, job: Job) -> None:
        """Servers that leave out what they don't know would answer anew, amid the old answer.

        Raises:
            HftermError: the server's own list of fields has none for going on.
        """
        if self._goes_on is None:
            url = f"{_VERSION.split(self._base)[0]}/openapi.json"
            # Without an answer it is not known, and is asked again the next time.
            with contextlib.suppress(HftermError), http.Exchange("GET", url, None, job) as exchange:
                self._goes_on = True  # where nothing is said the server may refuse it yet
                if exchange.status == 200:
                    document = sent.object_in(exchange.body())
                    self._goes_on = asked.knows_field(document, asked.CONTINUING[0]) is not False
        if self._goes_on is False:
            raise _no_continue(f"it has no field “{asked.CONTINUING[0]}”.")

    def _learn(self, exchange: http.Exchange, body: dict[str, object], *, continued: bool) -> None:
        """Which fields the server did not take; they are left out from now on.

        Raises:
            HftermError: it complains of something that can't be left out.
        """
        text = exchange.words()
        shown = sent.shown(text, exchange.secret)
        if http.TOO_LONG.search(text):
            raise http.too_long(shown)
        optional = [name for name in asked.OPTIONAL if name in body]
        named = {name for name in optional if re.search(rf"\b{name}\b", text)}
        if "max_completion_tokens" in text and "max_tokens" in body:
            named.add("max_tokens")
        if continued and (not named or any(name in text for name in asked.CONTINUING)):
            raise _no_continue(shown)
        if not named and _COMPLAINT.search(text):
            named = {*optional}
        if not named:
            http.refuse_failures(exchange, self._host)
        if asked.TAKES_CONFIG.search(text):
            self._config = True
        if "logprobs" in named:  # the one means nothing without the other
            named.add("top_logprobs")
        self._refused |= named

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, body: dict[str, object] | None, job: Job
    ) -> Generator[http.Exchange]:
        """A request whose head has come; repeated when the server is busy or fails."""
        for attempt in range(1, TRIES + 1):
            with http.Exchange(method, self._base + path, body, job) as exchange:
                seconds = http.worth_waiting(exchange) if attempt < TRIES else None
                if seconds is None:
                    yield exchange
                    return
            # The wait is outside of the exchange: nobody is kept on the line for it.
            if exchange.status == 429:
                _wait(seconds, job)
            else:
                pause(seconds, job)


class _Record:
    """What came of an answer so far; sends each token on."""

    def __init__(self, job: Job, stops: tuple[str, ...]) -> None:
        self._job = job
        # Some servers end at a stop string and yet send it, and others know of none.
        self.stops = StopText(stops)
        self._goes_on = False
        self._rests = 0
        self._began = time.monotonic()
        self._seconds = 0.0
        self._tokens: list[Token] = []
        self._ttft = 0.0
        self.reader = sent.ChatReader()

    def read(self, exchange: http.Exchange) -> bool:
        """Take all that the server sends; False when that is nothing at all.

        Raises:
            HftermError: it is an error, no answer, or only a part of one.
            Cancelled: the job was cancelled.
        """
        self.reader = sent.ChatReader(exchange.secret)
        if exchange.kind == "application/json":  # it does not stream
            self._take(exchange.body())
            self._ttft = self._seconds  # all of it came at once, which is no speed of tokens
        else:
            self._stream(exchange)
        if not (self.reader.heard or self.reader.done):
            return False
        if not self._may_end:
            raise http.cut("the stream ended without saying why")
        if self.reader.finish != "length":  # a thought that is cut by a limit may be gone on from
            self._keep(self.reader.close())
        self.let_go()
        if self.reader.called_tools and not self._tokens:
            raise HftermError(
                "tools",
                "The model answered with a call of a tool, which hfterm does not run.",
                "Ask in another way, or turn tools off at the server.",
            )
        return True

    def read_or_fail(self, exchange: http.Exchange, host: str) -> None:
        """As `read`, for the last try.

        Raises:
            HftermError: as for `read`; also when nothing comes.
            Cancelled: the job was cancelled.
        """
        if not self.read(exchange):
            raise HftermError(
                "cut",
                f"{host} began an answer and ended it without a word.",
                "Look at the server's log: the conversation may be too long for it.",
            )

    def _stream(self, exchange: http.Exchange) -> None:
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
        return http.STALLED_SECONDS if self._tokens else http.FIRST_BYTE_SECONDS

    def _take(self, data: str | bytes) -> None:
        self._keep(self.reader.take(data))

    def _keep(self, tokens: list[Token]) -> None:
        for token in tokens:
            if self.stops.met:
                self._goes_on = self._goes_on or bool(token.text)
                continue
            self._seconds = time.monotonic() - self._began
            if not self._tokens:
                self._ttft = self._seconds
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
            seconds=self._seconds,
            stop_reason=reason,
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


def _wait(seconds: float, job: Job) -> None:
    """Wait as long as the server asked, and show how much of it is over."""
    whole = max(1, math.ceil(seconds))
    for second in range(whole):
        job.progress("the server asks to wait", second, whole, "s")
        pause(min(1.0, seconds - second), job)


def _no_continue(why: str) -> HftermError:
    return HftermError(
        "no-continue",
        f"The server can't go on from the middle of an answer: {why}",
        "Ask anew, or use a server that can: vLLM, llama-server.",
    )


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


def _reason(record: _Record, sampling: Sampling) -> StopReason:
    reader = record.reader
    if record.stops.met:
        return "stop string"
    if reader.finish == "length":
        early = reader.tokens is not None and reader.tokens < sampling.max_new_tokens
        return "context full" if early else "length"
    return "stop string" if reader.stop in sampling.stop else "end"
