"""What a chat server's failures mean, told by real exchanges over the loopback interface."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from chat_server import ChatServer, Reply, chunk, event, listing, refusal
from hfterm.chat import server_http, server_stream
from hfterm.chat.server import ServerBackend
from hfterm.chat.server_http import Exchange, refuse_failures, worth_waiting
from hfterm.chat.server_key import origin
from hfterm.chat.types import Ask, LlmSpec, Message
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from waiting import wait_until

KEY = "sk-very-secret-1234567890"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def exchange(server: ChatServer, job: Job | None = None) -> Exchange:
    return Exchange("GET", server.url + "/models", None, job or Job())


def refused(server: ChatServer, reply: Reply) -> HftermError:
    server.models = reply
    with exchange(server) as answer, pytest.raises(HftermError) as caught:
        refuse_failures(answer, "the host")
    return caught.value


def opened(server: ChatServer, ref: str = "") -> ServerBackend:
    return ServerBackend(LlmSpec(ref=ref, engine="server", url=server.url), Job())


def asked() -> Ask:
    return Ask(messages=(Message("user", "Hi"),))


# -- statuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "kind", "said"),
    [
        (401, "who are you", "key", "wants a key, and there is none for it (HTTP 401): who are"),
        (403, "no", "key", "wants a key, and there is none for it (HTTP 403): no"),
        (413, "", "context-full", "too long for the server: it says no more"),
        (400, "maximum context length is 9", "context-full", "maximum context length is 9"),
        (404, "no such route", "not-found", "no such model or path (HTTP 404): no such route"),
        (429, "", "busy", "has no room for this request."),
        (503, "warming up", "server", "failed (HTTP 503): warming up"),
        (418, "teapot", "refused-request", "refuses the request (HTTP 418): teapot"),
    ],
)
def test_a_status_means_one_thing(
    server: ChatServer, status: int, words: str, kind: str, said: str
) -> None:
    error = refused(server, refusal(status, {"error": words}) if words else Reply([], status))
    assert error.kind == kind
    assert said in error.message
    assert error.remedy


def test_a_redirection_is_not_followed_but_its_target_is_said(server: ChatServer) -> None:
    error = refused(server, refusal(307, {}, Location="https://elsewhere.example/v1"))
    assert error.kind == "redirect"
    assert error.message == "the host sends on to https://elsewhere.example/v1"
    assert len(server.asked) == 1
    assert "sends on to elsewhere" in refused(server, refusal(301, {})).message


def test_a_key_that_is_refused_is_said_with_where_it_came_from(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    error = refused(server, refusal(401, {"error": f"{KEY} is no key"}))
    assert "refuses the key from" in error.message
    assert "HFTERM_API_KEY" in error.message + error.remedy
    assert "[key] is no key" in error.message
    assert KEY not in error.message + error.remedy


def test_a_web_page_is_no_answer(server: ChatServer) -> None:
    error = refused(server, Reply([b"<html>Log in</html>"], kind="text/html; charset=utf-8"))
    assert error.kind == "not-a-chat-server"
    assert "<" not in error.message


def test_success_is_let_through(server: ChatServer) -> None:
    with exchange(server) as answer:
        refuse_failures(answer, "the host")
        first = answer.body()
        assert b"tiny" in first
        assert answer.body() == first  # asked for again, after the connection has given all


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (500, {}, server_http.RETRY_SECONDS),
        (503, {"Retry-After": "9999"}, server_http.RETRY_SECONDS),
        (429, {"Retry-After": "7"}, 7.0),
        (429, {}, server_http.ASKED_TO_WAIT_SECONDS),
        (429, {"Retry-After": "3600"}, None),
        (404, {"Retry-After": "1"}, None),
    ],
)
def test_another_try_is_worth_it_or_not(
    server: ChatServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    server.models = Reply([b"{}"], status, headers, "application/json")
    with exchange(server) as answer:
        assert worth_waiting(answer) == seconds


def test_an_endless_answer_is_refused(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_stream, "LONGEST", 10)
    with exchange(server) as answer, pytest.raises(HftermError, match="longer than 10 bytes"):
        answer.body()


def test_a_server_that_falls_silent_is_given_up(server: ChatServer) -> None:
    go_on = threading.Event()
    server.models = Reply([lambda: go_on.wait(30)])
    with exchange(server) as answer, pytest.raises(HftermError, match="sent nothing") as caught:
        answer.next(patience=0)
    go_on.set()
    assert caught.value.kind == "stalled"


def test_what_was_stopped_before_it_connected_is_never_sent(server: ChatServer) -> None:
    with pytest.raises(Cancelled), exchange(server, Job(cancelled=lambda: True)):
        pass
    wait_until(
        lambda: all(thread.name != "chat server" for thread in threading.enumerate()), "no thread"
    )
    assert server.asked == []


def test_no_proxy_leads_to_localhost(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = server.url.replace("127.0.0.1", "localhost")
    with Exchange("GET", url + "/models", None, Job()) as answer:
        assert answer.status == 200


# -- no connection ---------------------------------------------------------------------------


def unreachable(url: str) -> HftermError:
    with pytest.raises(HftermError) as caught, Exchange("GET", url, None, Job()):
        pass
    return caught.value


def test_a_port_where_nothing_listens_is_said() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    error = unreachable(f"http://127.0.0.1:{port}/v1")
    assert error.message == f"Nothing listens at 127.0.0.1:{port}."
    assert "Start the server" in error.remedy


def test_a_server_without_tls_is_said(server: ChatServer) -> None:
    error = unreachable(server.url.replace("http:", "https:"))
    assert error.kind == "certificate"
    assert "does not speak TLS" in error.message


def test_certificates_that_are_missing_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    error = unreachable("https://127.0.0.1:9/v1")
    assert error.kind == "certificate"
    assert "file of trusted certificates is missing" in error.message


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "unreachable", "There is no host h:1"),
        (httpx2.ConnectTimeout("sk-secret"), "unreachable", "h:1 does not answer: time ran out."),
        (httpx2.ProxyError("sk-secret"), "unreachable", "The proxy does not lead to h:1."),
        (httpx2.UnsupportedProtocol("sk-secret"), "bad-url", "The server's URL is none."),
        (OSError(101, "Network is unreachable"), "unreachable", "h:1: Network is unreachable."),
        (httpx2.RemoteProtocolError("sk-secret"), "unreachable", "closed the connection without"),
    ],
)
def test_why_there_is_no_answer_is_said_without_the_request(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, said: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(httpx2.Client, "send", fails)
    found = unreachable("http://h:1/v1")
    assert found.kind == kind
    assert said in found.message
    assert "sk-secret" not in found.message + found.remedy
    assert server.asked == []


# -- what it lists, and how it answers ------------------------------------------------------


def test_a_list_that_fails_does_not_matter_when_the_model_is_named(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_http, "RETRY_SECONDS", 0.0)
    server.models = refusal(500, {"error": "no cache folder"})
    assert opened(server, "tiny").answer(asked(), Job()).text == "Hello there"
    assert len(server.asked) == 4  # three tries, and the answer
    with pytest.raises(HftermError, match="no cache folder"):
        opened(server)


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (refusal(200, {"object": "list"}), "its list of models has no “data”"),
        (refusal(200, {"data": "tiny"}), "its list of models has no “data”"),
        (refusal(200, {"data": [{"id": ""}]}), "a model in its list has no name"),
        (refusal(200, {"data": ["tiny"]}), "something else where an object should be"),
        (refusal(200, ["tiny"]), "it is no JSON object but"),
    ],
)
def test_a_list_that_is_none_is_refused(server: ChatServer, models: Reply, said: str) -> None:
    server.models = models
    with pytest.raises(HftermError, match=said):
        opened(server)


def test_a_complaint_of_nothing_that_could_be_left_out_is_shown(server: ChatServer) -> None:
    server.script = [refusal(400, {"error": {"message": "the messages must alternate"}})]
    with pytest.raises(HftermError, match=r"HTTP 400.*messages must alternate"):
        opened(server).answer(asked(), Job())
    assert len(server.bodies) == 1


def test_a_stream_that_ends_without_saying_why_was_cut(server: ChatServer) -> None:
    server.script = [Reply([chunk("Hel")])]
    with pytest.raises(HftermError, match="ended without saying why") as caught:
        opened(server).answer(asked(), Job())
    assert caught.value.kind == "cut"


@pytest.mark.parametrize("rest", [[], [event({"choices": []})]])
def test_a_connection_that_breaks_after_the_end_loses_nothing(
    server: ChatServer, rest: list[bytes]
) -> None:
    server.script = [Reply([chunk("Hello"), chunk(finish="stop"), *rest], cut=True)]
    answer = opened(server).answer(asked(), Job())
    assert (answer.text, answer.stop_reason) == ("Hello", "end")


def test_without_a_list_and_a_name_there_is_no_model(server: ChatServer) -> None:
    server.models = listing()
    with pytest.raises(HftermError) as caught:
        opened(server)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://[::1]/v1", "http://[::1]:80"),
        ("https://[::1]:8443/v1", "https://[::1]:8443"),
        ("https://Example.org/v1", "https://example.org:443"),
    ],
)
def test_a_key_belongs_to_a_scheme_a_host_and_a_port(url: str, found: str) -> None:
    assert origin(url) == found
