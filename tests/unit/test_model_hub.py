"""Models of a hub: described from the headers of their weights, loaded whole."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

import model_zoo as models
from hfterm.engine.client import EngineClient
from hfterm.engine.model_requests import CompareModels, DescribeModel, ListParameters, LoadModel
from hfterm.engine.protocol import Request
from hfterm.engine.requests import ListModels
from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.models.types import ModelOverview, ModelSpec
from hub_server import COMMIT, Hub
from pilot_app import BackgroundEngine

R = TypeVar("R")
HOMES = ("HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
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
    return {path.name: path for path in folder.iterdir()}


@dataclass
class Lab:
    """A hub, an engine that talks to it, and the home of both."""

    hub: Hub
    engine: BackgroundEngine
    home: Path
    names: Iterator[int] = field(default_factory=itertools.count)

    def publish(self, folder: Path) -> str:
        """Put a folder on the hub under a name that nobody has asked for yet."""
        name = f"lab/{folder.name}-{next(self.names)}"
        self.hub.folders[name] = folder
        return name

    def ask(self, request: Request[R]) -> R:
        return self.engine.run(self.engine.client.call(request))

    def describe(self, ref: str | Path) -> ModelOverview:
        return self.ask(DescribeModel(spec=ModelSpec(ref=str(ref))))


@pytest.fixture(scope="module")
def whole_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("hub-home")
    with pytest.MonkeyPatch.context() as patch, Hub() as hub:
        for name in list(os.environ):
            if name.upper().endswith("_PROXY"):
                patch.delenv(name)
        for name in HOMES:
            patch.setenv(name, str(home / name))
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        patch.delenv("HF_HUB_OFFLINE")
        engine = BackgroundEngine()
        engine.run(engine.client.call(ListModels()))  # starts the process, with this environment
        yield Lab(hub, engine, home)
        engine.close()


@pytest.fixture
def lab(whole_lab: Lab) -> Iterator[Lab]:
    yield whole_lab
    whole_lab.hub.cut_files.clear()
    whole_lab.hub.asked.clear()
    whole_lab.hub.sent.clear()


def without_source(found: ModelOverview) -> ModelOverview:
    source = ModelSource("", "path", "")
    return msgspec.structs.replace(found, source=source, notes=())


def weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["big", "sharded", "both"])
def test_a_hub_model_is_described_from_its_headers(
    lab: Lab, repositories: dict[str, Path], name: str
) -> None:
    found = lab.describe(lab.publish(repositories[name]))
    folder = Path(found.source.path)
    assert (found.source.kind, found.source.weights) == ("hub", "safetensors")
    assert folder.is_relative_to(lab.home / "XDG_STATE_HOME")
    here = lab.describe(repositories[name])
    assert without_source(found) == without_source(here)
    assert found.parameters

    assert [file.name for file in weights(folder)] == [f.name for f in weights(repositories[name])]
    for file in weights(folder):
        real = repositories[name] / file.name
        assert 0 < lab.hub.sent[file.name] <= HEADER
        assert file.stat().st_blocks * 512 <= 16_384 < file.stat().st_size
        assert abs(file.stat().st_size - real.stat().st_size) < 4096  # the header's spaces
    described = {"config.json", "generation_config.json", "model.safetensors.index.json"}
    assert set(lab.hub.sent) <= {*described, *(file.name for file in weights(folder))}
    if name == "big":
        assert lab.hub.sent["model.safetensors"] * 10 < weights(folder)[0].stat().st_size


def test_headers_are_asked_for_once(lab: Lab, repositories: dict[str, Path]) -> None:
    ref = lab.publish(repositories["big"])
    first = lab.describe(ref)
    lab.hub.asked.clear()
    assert lab.describe(ref) == first
    assert [path for _, path in lab.hub.asked] == [f"/api/models/{ref}"]
    # another version of it is looked at anew
    for mark in Path(first.source.path).glob("*.whole"):
        mark.rename(mark.with_name("another.whole"))
    assert lab.describe(ref) == first
    assert any(path.endswith("model.safetensors") for _, path in lab.hub.asked)


def test_the_parameters_of_a_hub_model_are_told_without_its_weights(
    lab: Lab, repositories: dict[str, Path]
) -> None:
    auto = "AutoModelForMaskedLM"
    ref = lab.publish(repositories["big"])
    there = lab.ask(ListParameters(spec=ModelSpec(ref=ref, auto=auto)))
    assert lab.hub.sent["model.safetensors"] <= HEADER
    local = ModelSpec(ref=str(repositories["big"]), auto=auto)
    assert there == lab.ask(ListParameters(spec=local))
    assert {found.state for found in there.parameters} == {"stored", "new"}


def test_loading_a_hub_model_fetches_all_of_it(lab: Lab, repositories: dict[str, Path]) -> None:
    auto, ref = "AutoModelForSequenceClassification", lab.publish(repositories["both"])
    lab.describe(ref)
    info = lab.ask(LoadModel(spec=ModelSpec(ref=ref, auto=auto)))
    assert (info.cls, info.verdict) == ("BertForSequenceClassification", "complete")
    assert info.tokenizer
    snapshot = Path(info.source.path)
    assert snapshot.name == COMMIT
    size = (repositories["both"] / "model.safetensors").stat().st_size
    assert lab.hub.sent["model.safetensors"] >= size
    assert (snapshot / "model.safetensors").stat().st_size == size
    # one form of the weights, never pickle, and nothing for people to read
    assert not {"pytorch_model.bin", "README.md", "onnx/model.safetensors"} & set(lab.hub.sent)
    again = lab.describe(ref)
    assert again.source.kind == "cache"
    assert again.classes == lab.describe(repositories["both"]).classes


def test_weights_that_are_not_here_are_not_compared(
    lab: Lab, repositories: dict[str, Path]
) -> None:
    ref, local = lab.publish(repositories["big"]), str(repositories["big"])
    request = CompareModels(first=ModelSpec(ref=local), second=ModelSpec(ref=ref))
    found = lab.ask(request)
    # behind the headers there are only zeros
    assert [d for d in found.differences if d.kind == "weight"] == []
    assert (found.equal_weights, "No weights were compared" in found.meaning) == (0, True)
    assert found.first_parameters == found.second_parameters
    lab.ask(LoadModel(spec=ModelSpec(ref=ref)))
    found = lab.ask(request)
    assert (found.equal_weights > 0, found.differences) == (True, ())


def test_pickle_on_the_hub_is_named_and_not_fetched(
    lab: Lab, repositories: dict[str, Path]
) -> None:
    found = lab.describe(lab.publish(repositories["pickle"]))
    assert found.source.weights == "pickle"
    assert {report.verdict for report in found.classes} == {"refused"}
    assert all("pickle" in report.meaning for report in found.classes)
    assert "pytorch_model.bin" not in lab.hub.sent


def test_a_config_on_the_hub_is_untrained(lab: Lab, repositories: dict[str, Path]) -> None:
    found = lab.describe(lab.publish(repositories["config-only"]))
    assert {report.verdict for report in found.classes} == {"untrained"}


def test_python_on_the_hub_is_named_and_not_run(lab: Lab, tmp_path: Path) -> None:
    config = {"model_type": "weird", "auto_map": {"AutoConfig": "own_code.WeirdConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own_code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for load in (False, True):
        error = refused(lab, lab.publish(tmp_path), load)
        assert error.kind == "remote-code"
        assert "own_code.py" in error.message
    assert not (tmp_path / "ran").exists()


def refused(lab: Lab, ref: str, load: bool) -> HftermError:
    spec = ModelSpec(ref=ref)
    with pytest.raises(HftermError) as caught:
        lab.ask(LoadModel(spec=spec) if load else DescribeModel(spec=spec))
    error = caught.value
    assert ref in error.message
    assert error.remedy
    assert "\n" not in error.message + error.remedy
    assert lab.describe("bert").main == "BertModel"  # the engine lives
    return error


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
    ],
)
@pytest.mark.parametrize("load", [False, True])
def test_every_refusal_says_what_it_is(
    lab: Lab, ref: str, kind: str, words: str, load: bool
) -> None:
    error = refused(lab, ref, load)
    assert error.kind == kind
    assert words in error.message


@pytest.mark.parametrize("load", [False, True])
def test_weights_that_are_none_are_said_to_be(
    lab: Lab, repositories: dict[str, Path], load: bool
) -> None:
    assert refused(lab, lab.publish(repositories["damaged"]), load).kind == "bad-weights"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_breaks_off_leaves_nothing_that_looks_whole(
    lab: Lab, repositories: dict[str, Path], name: str
) -> None:
    ref = lab.publish(repositories["big"])
    lab.hub.cut_files.add(name)
    assert refused(lab, ref, load=False).kind == "unreachable"
    lab.hub.cut_files.clear()
    here = lab.describe(repositories["big"])
    assert without_source(lab.describe(ref)) == without_source(here)


async def test_a_hub_switched_off_is_said_and_the_cache_is_asked(
    engine: EngineClient, model_zoo: Zoo
) -> None:
    for request in (DescribeModel(spec=ModelSpec(ref="lab/big")),
                    LoadModel(spec=ModelSpec(ref="lab/big"))):  # fmt: skip
        with pytest.raises(HftermError) as caught:
            await engine.call(request)
        assert caught.value.kind == "offline"
        assert "HF_HUB_OFFLINE" in caught.value.message

    folder = Path(os.environ["HF_HOME"]) / "hub" / "models--lab--seen"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    shutil.copy(model_zoo["bert-labels"] / "config.json", snapshot)
    found = await engine.call(DescribeModel(spec=ModelSpec(ref="lab/seen")))
    assert (found.source.kind, found.source.weights) == ("cache", "none")
    assert found.labels == models.LABELS
