"""Models of a hub, fetched by a real engine from a server on the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfterm.engine.client import EngineClient
from hfterm.engine.requests import EncodeText, ListModels, OpenTokenizer
from hfterm.errors import HftermError
from hfterm.hub.refs import cached_models, resolve
from hub_server import COMMIT, FAULTS, Hub


@pytest.fixture
def hub(zoo: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the engines of this test talk to."""
    repository = tmp_path / "repository"
    shutil.copytree(zoo["wordpiece-uncased"], repository)
    (repository / "config.json").write_text('{"model_type": "bert"}')
    (repository / "README.md").write_text("# Tiny")
    (repository / "model.safetensors").write_bytes(b"weights that nobody asked for" * 1000)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "README.md").write_text("# Nothing")
    with Hub({"lab/tiny": repository, "lab/no-tokenizer": empty}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        for name in list(os.environ):
            if name.upper().endswith("_PROXY"):
                monkeypatch.delenv(name)
        yield server


async def failure(engine: EngineClient, ref: str) -> HftermError:
    with pytest.raises(HftermError) as caught:
        await engine.call(OpenTokenizer(ref=ref))
    error = caught.value
    assert ref in error.message
    assert error.remedy
    for text in (error.message, error.remedy):
        assert "\n" not in text
        assert "Traceback" not in text
    return error


async def test_a_hub_model_is_fetched_once_and_then_works_offline(
    hub: Hub, engine: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = await engine.call(OpenTokenizer(ref="lab/tiny"))
    assert (info.cls, info.verified) == ("BertTokenizer", True)
    first = await engine.call(EncodeText(ref="lab/tiny", text="Hello there"))
    assert len(first) > 3

    fetched = {path.rsplit("/", 1)[1] for method, path in hub.asked if method == "GET"}
    assert "tokenizer.json" in fetched
    assert not {"model.safetensors", "README.md"} & fetched, "more than the tokenizer's files"
    assert resolve("lab/tiny").kind == "cache"
    assert resolve("lab/tiny").folder == (
        Path(os.environ["HF_HOME"]) / "hub" / "models--lab--tiny" / "snapshots" / COMMIT
    )
    assert cached_models() == ["lab/tiny"]

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    await engine.restart()
    asked = len(hub.asked)
    again = await engine.call(EncodeText(ref="lab/tiny", text="Hello there"))
    assert again.ids == first.ids
    assert len(hub.asked) == asked
    known = await engine.call(ListModels())
    assert ("lab/tiny", "hub cache") in {(model.ref, model.origin) for model in known}


@pytest.mark.parametrize(
    ("ref", "kind", "words"),
    [
        ("lab/private", "unauthorized", "401"),
        ("lab/expired", "unauthorized", "401"),
        ("lab/gated", "gated", "gated"),
        ("lab/gated-anonymous", "gated", "gated"),
        ("lab/forbidden", "forbidden", "403"),
        ("lab/missing", "not-found", "404"),
        ("lab/busy", "rate-limited", "429"),
        ("lab/broken", "hub-error", "500"),
        ("lab/down", "hub-error", "503"),
        ("lab/garbage", "hub-garbage", "not the hub"),
        ("lab/cut", "unreachable", "can't be reached"),
        ("lab/no-tokenizer", "no-tokenizer", "no tokenizer"),
    ],
)
async def test_every_refusal_says_what_it_is(
    hub: Hub, engine: EngineClient, ref: str, kind: str, words: str
) -> None:
    error = await failure(engine, ref)
    assert error.kind == kind
    assert words in error.message
    assert any(ref in path for _, path in hub.asked)
    assert await engine.call(ListModels()) is not None  # the engine lives


def test_no_two_faults_read_the_same() -> None:
    assert len({(status, *headers.items()) for status, headers in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
async def test_a_file_that_breaks_off_leaves_nothing_that_looks_whole(
    hub: Hub, engine: EngineClient, name: str
) -> None:
    hub.cut_files.add(name)
    error = await failure(engine, "lab/tiny")
    assert error.kind == "unreachable"
    assert resolve("lab/tiny").kind == "hub", "half a download passes for the model"
    assert cached_models() == []
    hub.cut_files.clear()
    info = await engine.call(OpenTokenizer(ref="lab/tiny"))
    assert info.cls == "BertTokenizer"


async def test_a_hub_switched_off_is_said(engine: EngineClient) -> None:
    error = await failure(engine, "lab/tiny")
    assert error.kind == "offline"
    assert "HF_HUB_OFFLINE" in error.message


async def test_a_hub_out_of_reach_is_said(
    engine: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses every connection
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.delenv("HF_HUB_OFFLINE")
        error = await failure(engine, "lab/tiny")
    assert error.kind == "unreachable"


async def test_a_misspelt_starter_is_suggested_also_when_the_hub_answers(
    hub: Hub, engine: EngineClient
) -> None:
    error = await failure(engine, "minilim")
    assert error.kind == "not-found"
    assert error.remedy == "Did you mean 'minilm'?"
