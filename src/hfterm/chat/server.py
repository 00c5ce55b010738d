"""A chat over a server that speaks OpenAI's chat completions: vLLM, TGI, llama-server and others.

Imports neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

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
            http.refuse_failures(exchange, self._host)
            return sent.served_models(sent.object_in(exchange.body(), exchange.secret))

    @contextlib.contextmanager
    def _begun(self, ask: Ask, job: Job) -> Generator[http.Exchange]:
        """An exchange in which the server has agreed to answer."""
        job.progress(f"waiting for {self._host}")
        while True:
            body = _body(ask, self._model, self._refused)
            with self._exchange("POST", "/chat/completions", body, job) as exchange:
                if exchange.status not in (400, 422):
                    http.refuse_failures(exchange, self._host)
                    yield exchange
                    return
                self._learn(exchange, body, continued=bool(ask.prefix))

    def _learn(self, exchange: http.Exchange, body: dict[str, object], *, continued: bool) -> None:
        """Which fields the server did not take; they are left out from now on.

        Raises:
            HftermError: it complains of something that can't be left out.
        """
        text = exchange.words()
        shown = sent.shown(text, exchange.secret)
        if http.TOO_LONG.search(text):
            raise http.too_long(shown)
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
            http.refuse_failures(exchange, self._host)
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

    def read(self, exchange: http.Exchange) -> None:
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
