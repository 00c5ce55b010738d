"""A chat server on the loopback interface, with every failure on demand.

A test gives it a script: one `Reply` a request to ``/v1/chat/completions``, the last one again
and again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

DONE = b"data: [DONE]\n\n"


@dataclass
class Reply:
    """An answer.

    Attributes:
        pieces: bytes that are sent one after another; a callable is called between two, and may
            wait for an event.
        cut: whether the connection is closed without the chunk that ends the body.
        head: called before anything is sent, not even the status.
    """

    pieces: Sequence[bytes | Callable[[], object]] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "text/event-stream"
    cut: bool = False
    head: Callable[[], object] | None = None


def event(value: object) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def chunk(content: object = None, *, finish: str | None = None, **more: Any) -> bytes:
    """A piece of an answer; `more` are fields of the delta, but for logprobs."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if "logprobs" in more:
        choice["logprobs"] = {"content": more.pop("logprobs")}
    if "stop_reason" in more:
        choice["stop_reason"] = more.pop("stop_reason")
    choice["delta"] = more if content is None else {"content": content, **more}
    return event({"object": "chat.completion.chunk", "choices": [choice]})


def usage(prompt: int, completion: int, cached: int = 0) -> bytes:
    """The last piece, when the usage was asked for."""
    told = {
        "prompt_tokens": prompt, "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }  # fmt: skip
    return event({"choices": [], "usage": told})


def refusal(status: int, value: object, **headers: str) -> Reply:
    """An answer in JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply([json.dumps(value).encode()], status, named, "application/json")


def said(*texts: str) -> Reply:
    """A whole answer in these pieces."""
    return Reply([*map(chunk, texts), chunk(finish="stop"), DONE])


def listing(*names: str, **more: object) -> Reply:
    """The list of models."""
    return refusal(200, {"object": "list", "data": [{"id": name, **more} for name in names]})


@dataclass
class ChatServer:
    """The server.

    Attributes:
        models: the answer to ``GET /v1/models``.
        script: the answers to ``POST /v1/chat/completions``.
        asked: (method, path, headers, body) of every request.
        gone: set when a client left in the middle of an answer.
    """

    models: Reply = field(default_factory=lambda: listing("tiny"))
    script: list[Reply] = field(default_factory=lambda: [said("Hello", " there")])
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        server = self

        class Handler(_Handler):
            chat = server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """With its ``/v1``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def bodies(self) -> list[Any]:
        """Of the prompts."""
        return [body for method, _, _, body in self.asked if method == "POST"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat: ChatServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._note(None)
        self._send(self.chat.models)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        self._note(json.loads(self.rfile.read(size)))
        script = self.chat.script
        self._send(script.pop(0) if len(script) > 1 else script[0])

    def _note(self, body: object) -> None:
        self.chat.asked.append((self.command, self.path, dict(self.headers.items()), body))

    def _send(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.head is not None:
            reply.head()
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in reply.pieces:
                if not isinstance(piece, bytes):
                    piece()
                elif piece:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
            if not reply.cut:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.chat.gone.set()
