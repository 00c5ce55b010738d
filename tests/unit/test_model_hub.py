"""Models of a hub: described from the headers of their weights, loaded whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import model_zoo as models
from hfterm.engine.client import EngineClient
from hfterm.engine.model_requests import DescribeModel, ListParameters, LoadModel
from hfterm.errors import HftermError
from hfterm.models.types import ModelOverview, ModelSpec, ModelSource
from hub_server import COMMIT, Hub

Zoo = dict[str, Path]

HEADER = 100_001
"""Bytes that huggingface_hub asks for at once to read a safetensors header."""


@pytest.fixture(scope="module")
def repositories(model_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Repositories whose weights are well over the bytes that a header takes."""
    import transformers

    folder = tmp_path_factory.mktemp("repositories")
    big = folder / "big"
    shutil.copytree(model_zoo["bert-labels"], big)
    labels = {"id2label": dict(enumerate(models.LABELS))}
    config = models.config_of("bert", vocab_size=30_000, **labels)
    transformers.BertForSequenceClassification(config).save_pretrained(big)
    (big / "README.md").write_text("# Big")
    (big / "onnx").mkdir()
    (big / "onnx" / "model.safetensors").write_bytes(b"another form of the weights")
    shutil.copytree(model_zoo["sharded"], folder / "sharded")
    shutil.copytree(model_zoo["pickle"], folder / "pickle")
    shutil.copytree(model_zoo["config-only"], folder / "config-only")
    damaged = folder / "damaged"
    shutil.copytree(model_zoo["config-only"], damaged)
    (damaged / "model.safetensors").write_bytes(b"<!doctype html>" * 20_000)
    shutil.copytree(big, folder / "both")
    (folder / "both" / "pytorch_model.bin").write_bytes(b"pickle" * 1000)
    return {f"lab/{path.name}": path for path in folder.iterdir()}


@pytest.fixture
def hub(repositories: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the engines of this test talk to."""
    with Hub(dict(repositories)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        for name in list(os.environ):
            if name.upper().endswith("_PROXY"):
                monkeypatch.delenv(name)
        yield server


async def described(engine: EngineClient, ref: str | Path) -> ModelOverview:
    return await engine.call(DescribeModel(spec=ModelSpec(ref=str(ref))))


def without_source(found: ModelOverview) -> ModelOverview:
    source = ModelSource("", "path", "")
    return msgspec.structs.replace(found, source=source, notes=())


def weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["lab/big", "lab/sharded", "lab/both"])
async def test_a_hub_model_is_described_from_its_headers(
    hub: Hub, engine: EngineClient, repositories: dict[str, Path], name: str
) -> None:
    found = await described(engine, name)
    folder = Path(found.source.path)
    assert (found.source.kind, found.source.weights) == ("hub", "safetensors")
    assert folder.is_relative_to(os.environ["XDG_STATE_HOME"])
    here = await described(engine, repositories[name])
    assert without_source(found) == without_source(here)
    assert found.parameters

    assert [file.name for file in weights(folder)] == [f.name for f in weights(repositories[name])]
    for file in weights(folder):
        real = repositories[name] / file.name
        assert 0 < hub.sent[file.name] <= HEADER
        assert file.stat().st_blocks * 512 <= 16_384 < file.stat().st_size
        assert abs(file.stat().st_size - real.stat().st_size) < 4096  # the header's spaces
    assert set(hub.sent) <= {*(f.name for f in weights(folder)), "config.json",
                             "generation_config.json", "model.safetensors.index.json"}  # fmt: skip
    if name == "lab/big":
        assert hub.sent["model.safetensors"] * 10 < weights(folder)[0].stat().st_size


async def test_headers_are_asked_for_once(hub: Hub, engine: EngineClient) -> None:
    first = await described(engine, "lab/big")
    asked = len(hub.asked)
    assert await described(engine, "lab/big") == first
    assert [path for _, path in hub.asked[asked:]] == ["/api/models/lab/big"]
    # another version of it is looked at anew
    for mark in Path(first.source.path).glob("*.whole"):
        mark.rename(mark.with_name("another.whole"))
    asked = len(hub.asked)
    assert await described(engine, "lab/big") == first
    assert any(path.endswith("model.safetensors") for _, path in hub.asked[asked:])


async def test_the_parameters_of_a_hub_model_are_told_without_its_weights(
    hub: Hub, engine: EngineClient, repositories: dict[str, Path]
) -> None:
    auto = "AutoModelForMaskedLM"
    there = await engine.call(ListParameters(spec=ModelSpec(ref="lab/big", auto=auto)))
    assert hub.sent["model.safetensors"] <= HEADER
    local = ModelSpec(ref=str(repositories["lab/big"]), auto=auto)
    assert there == await engine.call(ListParameters(spec=local))
    assert {found.state for found in there.parameters} == {"stored", "new"}


async def test_loading_a_hub_model_fetches_all_of_it(
    hub: Hub, engine: EngineClient, repositories: dict[str, Path]
) -> None:
    auto = "AutoModelForSequenceClassification"
    await described(engine, "lab/both")
    info = await engine.call(LoadModel(spec=ModelSpec(ref="lab/both", auto=auto)))
    assert (info.cls, info.verdict) == ("BertForSequenceClassification", "complete")
    assert info.tokenizer
    snapshot = Path(info.source.path)
    assert snapshot.name == COMMIT
    size = (repositories["lab/both"] / "model.safetensors").stat().st_size
    assert hub.sent["model.safetensors"] >= size
    assert (snapshot / "model.safetensors").stat().st_size == size
    # one form of the weights, never pickle, and nothing for people to read
    assert not {"pytorch_model.bin", "README.md", "onnx/model.safetensors"} & set(hub.sent)
    again = await described(engine, "lab/both")
    assert (again.source.kind, again.of(auto)) == ("cache", again.of(auto))
    local = await described(engine, repositories["lab/both"])
    assert again.classes == local.classes


async def test_pickle_on_the_hub_is_named_and_not_fetched(hub: Hub, engine: EngineClient) -> None:
    found = await described(engine, "lab/pickle")
    assert found.source.weights == "pickle"
    assert {report.verdict for report in found.classes} == {"refused"}
    assert all("pickle" in report.meaning for report in found.classes)
    assert "pytorch_model.bin" not in hub.sent


async def test_a_config_on_the_hub_is_untrained(hub: Hub, engine: EngineClient) -> None:
    found = await described(engine, "lab/config-only")
    assert {report.verdict for report in found.classes} == {"untrained"}


@pytest.mark.parametrize(
    ("ref", "kind", "words"),
    [
        ("lab/private", "unauthorized", "401"),
        ("lab/gated", "gated", "gated"),
        ("lab/forbidden", "forbidden", "403"),
        ("lab/missing", "not-found", "404"),
        ("lab/busy", "rate-limited", "429"),
        ("lab/down", "hub-error", "503"),
        ("lab/garbage", "hub-garbage", "not the hub"),
        ("lab/cut", "unreachable", "can't be reached"),
        ("lab/damaged", "bad-weights", "model.safetensors"),
    ],
)
@pytest.mark.parametrize("load", [False, True])
async def test_every_refusal_says_what_it_is(
    hub: Hub, engine: EngineClient, ref: str, kind: str, words: str, load: bool
) -> None:
    spec = ModelSpec(ref=ref)
    with pytest.raises(HftermError) as caught:
        await engine.call(LoadModel(spec=spec) if load else DescribeModel(spec=spec))
    error = caught.value
    assert error.kind == kind
    assert ref in error.message
    if not (load and ref == "lab/damaged"):
        assert words in error.message
    assert error.remedy
    assert "\n" not in error.message + error.remedy
    assert (await described(engine, "bert")).main == "BertModel"  # the engine lives


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
async def test_a_file_that_breaks_off_leaves_nothing_that_looks_whole(
    hub: Hub, engine: EngineClient, repositories: dict[str, Path], name: str
) -> None:
    hub.cut_files.add(name)
    with pytest.raises(HftermError) as caught:
        await described(engine, "lab/big")
    assert caught.value.kind == "unreachable"
    hub.cut_files.clear()
    found = await described(engine, "lab/big")
    here = await described(engine, repositories["lab/big"])
    assert without_source(found) == without_source(here)


async def test_a_hub_switched_off_is_said(engine: EngineClient) -> None:
    for request in (DescribeModel(spec=ModelSpec(ref="lab/big")),
                    LoadModel(spec=ModelSpec(ref="lab/big"))):  # fmt: skip
        with pytest.raises(HftermError) as caught:
            await engine.call(request)
        assert caught.value.kind == "offline"
        assert "HF_HUB_OFFLINE" in caught.value.message


async def test_a_config_in_the_cache_is_described_when_the_hub_is_off(
    engine: EngineClient, model_zoo: Zoo
) -> None:
    folder = Path(os.environ["HF_HOME"]) / "hub" / "models--lab--seen"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    shutil.copy(model_zoo["bert-labels"] / "config.json", snapshot)
    found = await described(engine, "lab/seen")
    assert (found.source.kind, found.source.weights) == ("cache", "none")
    assert found.labels == models.LABELS
    assert json.loads((snapshot / "config.json").read_text())["model_type"] == found.model_type
