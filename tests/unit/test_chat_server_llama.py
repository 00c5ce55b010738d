"""A chat over llama-cpp-python's own server, where that is installed."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfterm.chat.server import ServerBackend
from hfterm.chat.types import Ask, LlmSpec, Message, Sampling, Token
from hfterm.errors import HftermError
from hfterm.hub.starter import starter_gguf
from hfterm.job import Job
from waiting import wait_until

KEY = "sk-real-1234"
NEEDED = ("llama_cpp", "fastapi", "uvicorn", "sse_starlette", "starlette_context",
          "pydantic_settings")  # fmt: skip
QUESTIONS = (
    "Name three colours.",
    "Translate to Japanese: Good morning, how are you?",
    "Give me a list of ten emoji: 🤗 ",
)


def listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the server ended"
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("llama") / "log"


@pytest.fixture(scope="module")
def url(starter_kit: Path, log: Path) -> Iterator[str]:
    if not all(importlib.util.find_spec(name) for name in NEEDED):
        pytest.skip("pip install 'llama-cpp-python[server]'")
    gguf = starter_gguf("smollm2")
    if gguf is None:
        pytest.skip("the starter kit has no GGUF file")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    command = [
        sys.executable, "-m", "llama_cpp.server", "--model", str(gguf), "--host", "127.0.0.1",
        "--port", str(port), "--api_key", KEY, "--n_ctx", "512", "--n_threads", "1",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(lambda: listens(port, process), "the server listens")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def backend(url: str, monkeypatch: pytest.MonkeyPatch) -> ServerBackend:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("HFTERM_API_KEY", KEY)
    return ServerBackend(LlmSpec(ref="", engine="server", url=url), Job())


def asked(question: str, prefix: str = "", most: int = 40) -> Ask:
    sampling = Sampling(temperature=0, max_new_tokens=most)
    return Ask(messages=(Message("user", question),), sampling=sampling, prefix=prefix)


def whole(url: str, question: str, most: int = 40) -> str:
    """The answer that the server gives in one piece."""
    messages = [{"role": "user", "content": question}]
    body = {"messages": messages, "temperature": 0, "max_tokens": most}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stream_is_the_answer_in_one_piece(
    backend: ServerBackend, url: str, question: str
) -> None:
    tokens: list[Token] = []
    # How much of a prompt is in the cache decides how it is read, and that the last digits: both
    # answers come after the same other question.
    whole(url, "Hi", most=1)
    answer = backend.answer(asked(question), Job(send=tokens.append))  # pyright: ignore
    whole(url, "Hi", most=1)
    assert answer.text == whole(url, question) != ""
    assert "".join(token.text for token in tokens) == answer.text
    assert len(tokens) > 5


def test_a_key_is_wanted_and_taken(
    backend: ServerBackend, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backend.answer(asked("Hi", most=2), Job()).text
    monkeypatch.setenv("HFTERM_API_KEY", "sk-wrong")
    with pytest.raises(HftermError, match=r"refuses the key from HFTERM_API_KEY.*Invalid"):
        backend.answer(asked("Hi"), Job())
    monkeypatch.delenv("HFTERM_API_KEY")
    with pytest.raises(HftermError, match=r"wants a key.*Invalid"):
        backend.answer(asked("Hi"), Job())


def disconnections(log: Path) -> int:
    return log.read_text("utf-8", "replace").count("Disconnected from client")


def test_a_stop_ends_the_servers_work_too(backend: ServerBackend, log: Path) -> None:
    tokens: list[Token] = []
    job = Job(None, lambda: len(tokens) > 3, tokens.append)  # pyright: ignore
    before = disconnections(log)
    answer = backend.answer(asked("Write a long story about a dragon.", most=400), job)
    assert answer.stop_reason == "stopped"
    assert answer.text == "".join(token.text for token in tokens)
    wait_until(lambda: disconnections(log) > before, "the server saw the end")
    assert backend.answer(asked("Hi", most=2), Job()).stop_reason == "length"


def test_it_cannot_go_on_and_is_not_made_to_begin_anew(backend: ServerBackend) -> None:
    with pytest.raises(HftermError) as caught:
        backend.answer(asked("Name three colours.", prefix="1. Red: This is"), Job())
    assert caught.value.kind == "no-continue"


def test_a_prompt_that_is_too_long_is_said_to_be(backend: ServerBackend) -> None:
    with pytest.raises(HftermError, match="maximum context length is 512 tokens") as caught:
        backend.answer(asked("word " * 800), Job())
    assert caught.value.kind == "context-full"
