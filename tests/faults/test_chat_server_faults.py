"""What a chat server does wrong: refusals, cuts, silence, nonsense; and a user who leaves."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_server import DONE, ChatServer, Reply, chunk, event, listing, refusal, said
from hfterm.chat.server import ServerBackend
from hfterm.chat.types import Ask, LlmSpec, Message, Token
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job, Progress
from waiting import wait_until

ASK = Ask(messages=(Message("user", "Hi"),))
KEY = "sk-very-secret-1234567890"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HFTERM_API_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr("hfterm.chat.server_http.RETRY_SECONDS", 0.0)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def opened(url: str, job: Job | None = None) -> ServerBackend:
    return ServerBackend(LlmSpec(ref="", engine="server", url=url), job or Job())


def failed(server: ChatServer, *script: Reply) -> tuple[HftermError, list[Token]]:
    """The error of an answer, and the tokens that came before it."""
    server.script = list(script)
    tokens: list[Token] = []
    with pytest.raises(HftermError) as caught:
        opened(server.url).answer(ASK, Job(send=tokens.append))  # pyright: ignore
    error = caught.value
    assert error.message and error.remedy
    assert "\n" not in str(error)
    return error, tokens


# -- no connection ---------------------------------------------------------------------------


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(HftermError, match=f"Nothing listens at 127.0.0.1:{port}") as caught:
        opened(f"http://127.0.0.1:{port}")
    assert caught.value.kind == "unreachable"


def test_a_host_that_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(HftermError, match=r"There is no host nowhere\.invalid:8000"):
        opened("http://nowhere.invalid:8000")


def test_time_runs_out_while_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", slow)
    with pytest.raises(HftermError, match="time ran out"):
        opened("http://127.0.0.1:8000")


def test_a_server_without_encryption_is_asked_for_it(server: ChatServer) -> None:
    with pytest.raises(HftermError, match=r"does not speak TLS.*http://") as caught:
        opened(server.url.replace("http:", "https:"))
    assert caught.value.kind == "certificate"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    pem = tmp_path / "self.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", pem, "-out",
         tmp_path / "cert.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", pem)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake() -> None:
            connection, _ = listening.accept()
            # The client does not like the certificate, which is the point.
            with connection, contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=shake, daemon=True).start()
        with pytest.raises(HftermError, match=r"not trusted.*SSL_CERT_FILE") as caught:
            opened(f"https://127.0.0.1:{listening.getsockname()[1]}")
    assert caught.value.kind == "certificate"


def test_a_server_that_hangs_up(server: ChatServer) -> None:
    def hang_up() -> None:
        raise ConnectionAbortedError

    server.models = Reply(head=hang_up)
    with pytest.raises(HftermError, match="closed the connection without an answer"):
        opened(server.url)


# -- refusals --------------------------------------------------------------------------------


def test_a_key_is_wanted(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.models = refusal(401, {"error": {"message": "no\nkey"}})
    with pytest.raises(HftermError, match=r"wants a key.*no key.*HFTERM_API_KEY"):
        opened(server.url)
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    with pytest.raises(HftermError, match="refuses the key from HFTERM_API_KEY"):
        opened(server.url)


@pytest.mark.parametrize("before", ["", "x" * 290])
@pytest.mark.parametrize("status", [400, 401, 404, 413, 418, 422, 429, 500])
def test_a_key_that_the_server_repeats_is_not_shown(
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int,
    before: str,
) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    words = f"{before}Incorrect key: {KEY}"
    error, _ = failed(server, refusal(status, {"error": {"message": words}}, Retry_After="0"))
    text = "".join(traceback.format_exception(error)) + caplog.text + repr(error.__dict__)
    assert KEY[:10] not in text
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "stream", [event({"error": f"bad {KEY}"}), f"data: bad {KEY}\n\n".encode()]
)
def test_nor_in_a_stream(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, stream: bytes
) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    error, _ = failed(server, Reply([stream]))
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (404, "The model `x` does not exist.", "not-found"),
        (413, "Payload too large", "context-full"),
        (400, "This model's maximum context length is 2048 tokens.", "context-full"),
        (400, "the request exceeds the available context size", "context-full"),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096", "context-full"),
        (400, "temperature must be positive", "refused-request"),
        (403, "Not for you", "key"),
        (504, "Gateway timeout", "server"),
    ],
)
def test_refusals_show_the_servers_words(
    server: ChatServer, status: int, words: str, kind: str
) -> None:
    for value in ({"error": {"message": words}}, {"detail": words}, {"message": words}):
        error, _ = failed(server, refusal(status, value))
        assert error.kind == kind
        assert words in error.message


def test_long_words_are_cut(server: ChatServer) -> None:
    error, _ = failed(server, refusal(404, {"detail": "long \n" * 1000}))
    assert len(error.message) < 400


def test_a_redirect_is_not_followed(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    with ChatServer() as other:
        error, _ = failed(server, refusal(307, {}, Location=other.url))
        assert error.kind == "redirect"
        assert other.url in error.message
        assert not other.asked


# -- busy and failing ------------------------------------------------------------------------


def test_a_busy_server_is_asked_again(server: ChatServer) -> None:
    busy = refusal(429, {"error": "slow down"}, Retry_After="0")
    server.script = [busy, busy, said("now")]
    stages: list[Progress] = []
    assert opened(server.url).answer(ASK, Job(report=stages.append)).text == "now"
    assert [stage.stage for stage in stages].count("the server asks to wait") == 2
    error, _ = failed(server, busy)
    assert error.kind == "busy"
    assert len(server.bodies) == 3 + 3


@pytest.mark.parametrize("after", ["3600", formatdate(4e9, usegmt=True)])
def test_a_long_wait_is_an_error(server: ChatServer, after: str) -> None:
    error, _ = failed(server, refusal(429, {}, Retry_After=after))
    assert error.kind == "busy"
    assert len(server.bodies) == 1


def test_the_wait_can_be_cancelled(server: ChatServer) -> None:
    server.script = [refusal(429, {}, Retry_After="59")]
    stop = threading.Event()
    job = Job(
        report=lambda progress: stop.set() if "wait" in progress.stage and progress.total else None,
        cancelled=stop.is_set,
    )
    assert opened(server.url).answer(ASK, job).stop_reason == "stopped"
    assert job.partial


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_is_tried_again_before_the_first_token(server: ChatServer, status: int) -> None:
    broken = refusal(status, {"error": "oops"})
    server.script = [broken, broken, said("fine")]
    assert opened(server.url).answer(ASK, Job()).text == "fine"
    error, _ = failed(server, broken)
    assert error.kind == "server"
    assert "oops" in error.message


# -- in the middle of an answer --------------------------------------------------------------


def test_a_cut_keeps_what_came(server: ChatServer) -> None:
    for reply in (Reply([chunk("a"), chunk("b")], cut=True), Reply([chunk("a"), chunk("b")])):
        error, tokens = failed(server, reply)
        assert error.kind == "cut"
        assert [token.text for token in tokens] == ["a", "b"]
        assert len(server.bodies) == 1  # not again: tokens have come
        server.asked.clear()


@pytest.mark.parametrize("end", [[], [DONE]])
@pytest.mark.parametrize("cut", [False, True])
def test_an_answer_that_says_why_it_ended_is_whole(
    server: ChatServer, end: list[bytes], cut: bool
) -> None:
    server.script = [Reply([chunk("a"), chunk(finish="stop"), *end], cut=cut)]
    assert opened(server.url).answer(ASK, Job()).text == "a"


def test_a_server_that_stays_on_the_line_after_the_end(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfterm.chat.server.AFTER_FINISH_SECONDS", 0.0)
    server.script = [Reply([chunk("a"), chunk(finish="stop"), lambda: server.gone.wait(1)])]
    assert opened(server.url).answer(ASK, Job()).stop_reason == "end"


@pytest.mark.parametrize(
    "value", [{"error": {"message": "out of memory"}}, {"error": "out of memory"},
              {"object": "error", "message": "out of memory"}]
)  # fmt: skip
def test_an_error_in_the_stream(server: ChatServer, value: object) -> None:
    error, tokens = failed(server, Reply([chunk("a"), event(value)]))
    assert error.kind == "server"
    assert "out of memory" in error.message
    assert [token.text for token in tokens] == ["a"]


@pytest.mark.parametrize("field", ["STALLED_SECONDS", "FIRST_BYTE_SECONDS"])
def test_silence_is_an_error(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    over = threading.Event()
    pieces = [chunk("a")] if field == "STALLED_SECONDS" else []
    server.script = [Reply([*pieces, lambda: over.wait(60)])]
    backend = opened(server.url)
    monkeypatch.setattr(f"hfterm.chat.server_http.{field}", 0.2)
    with pytest.raises(HftermError, match="has sent nothing") as caught:
        backend.answer(ASK, Job())
    over.set()
    assert caught.value.kind == "stalled"


# -- nonsense --------------------------------------------------------------------------------


def test_a_web_page(server: ChatServer) -> None:
    page = Reply([b"<!doctype html><title>Sign in</title>"], kind="text/html; charset=utf-8")
    error, _ = failed(server, page)
    assert error.kind == "not-a-chat-server"
    server.models = page
    with pytest.raises(HftermError, match="web page"):
        opened(server.url)


@pytest.mark.parametrize("body", [b"[1]", b"nonsense", b"", b'{"data": 3}', b'{"data": [{}]}',
                                  b'{"data": ["x"]}', b"[" * 100_000])  # fmt: skip
def test_a_list_of_models_that_is_none(server: ChatServer, body: bytes) -> None:
    server.models = Reply([body], kind="application/json")
    with pytest.raises(HftermError) as caught:
        opened(server.url)
    assert caught.value.kind == "bad-answer"


@pytest.mark.parametrize("stream", [b"data: [1]\n\n", b"data: {\n\n", chunk(5), chunk(["a"]),
                                    event({"choices": 3}), event({"choices": [3]})])  # fmt: skip
def test_a_chunk_that_is_none(server: ChatServer, stream: bytes) -> None:
    error, _ = failed(server, Reply([stream]))
    assert error.kind == "bad-answer"


def test_answers_without_end(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfterm.chat.server_stream.LONGEST", 1000)
    endless = [b"x" * 500] * 5
    error, _ = failed(server, Reply(endless))
    assert error.kind == "bad-answer"
    error, _ = failed(server, Reply(endless, kind="application/json"))
    assert error.kind == "bad-answer"


@given(st.binary(max_size=60), st.sampled_from(["text/event-stream", "application/json", "x"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_bytes_come_only_a_known_error_is_raised(
    server: ChatServer, raw: bytes, kind: str
) -> None:
    stream = b"data: " + raw + b"\n\n"
    server.script = [Reply([raw, stream], kind=kind)]
    server.models = listing("tiny")
    backend = opened(server.url)
    with pytest.raises(HftermError):
        backend.answer(ASK, Job())


# -- leaving ---------------------------------------------------------------------------------


def leaving(server: ChatServer, before: list[bytes], after: list[bytes]) -> tuple[Job, str]:
    """Cancel while the server hangs, after `before` was seen; the job, and what came."""
    hangs, stop, over = threading.Event(), threading.Event(), threading.Event()
    seen: list[object] = []

    def hang() -> None:
        hangs.set()
        over.wait(60)

    server.script = [Reply([*before, hang, *after]) if before else Reply(head=hang)]
    job, found = Job(cancelled=stop.is_set, send=seen.append), []
    backend = opened(server.url)
    asking = threading.Thread(target=lambda: found.append(backend.answer(ASK, job)))
    asking.start()
    wait_until(lambda: hangs.is_set() and len(seen) == len(before), "the server hangs")
    stop.set()
    asking.join(60)
    assert not asking.is_alive()  # while the server still hangs
    over.set()
    assert found[0].stop_reason == "stopped"
    return job, found[0].text


def test_leaving_before_the_first_byte(server: ChatServer) -> None:
    job, text = leaving(server, [], [])
    assert (job.partial, text) == (True, "")


def test_leaving_a_stalled_stream_closes_it(server: ChatServer) -> None:
    more = [chunk("x" * 100_000)] * 200  # more than the system holds for a reader that is there
    job, text = leaving(server, [chunk("a")], more)
    assert (job.partial, text) == (True, "a")
    wait_until(server.gone.is_set, "the server learns that its client is gone")


def test_leaving_while_connecting(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connecting, over = threading.Event(), threading.Event()
    backend = opened(server.url)

    def hang(*_: object, **__: object) -> None:
        connecting.set()
        over.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    job = Job(cancelled=connecting.is_set)
    assert backend.answer(ASK, job).stop_reason == "stopped"
    with pytest.raises(Cancelled):
        opened(server.url, job)
    over.set()
