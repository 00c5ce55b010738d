"""Overviews that are found again: only of just these files, asked just so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hfterm import paths
from hfterm.engine.handlers.starter import install_starter
from hfterm.engine.requests import InstallStarter
from hfterm.job import Job
from hfterm.models import overview_cache
from hfterm.models.overview import overview
from hfterm.models.overview_cache import keep_overview, known_overview, overview_file
from hfterm.models.types import ModelOverview, ModelSpec

Zoo = dict[str, Path]

FRESH = """
import sys
from hfterm.models.overview_cache import known_overview
from hfterm.models.types import ModelSpec
found = known_overview(ModelSpec(ref=sys.argv[1]))
print(found.parameters, [m for m in ("torch", "transformers") if m in sys.modules])
"""


@pytest.fixture
def model(model_zoo: Zoo, tmp_path: Path) -> Path:
    return shutil.copytree(model_zoo["bert-labels"], tmp_path / "model")


def kept(spec: ModelSpec) -> ModelOverview:
    """An overview that is made and kept."""
    found = overview(spec.ref, spec)
    keep_overview(overview_file(spec), found)
    assert known_overview(spec) == found
    return found


def touch(file: Path, content: bytes | None = None) -> None:
    """Change a file, or only its time: one nanosecond more than before."""
    before = file.stat()
    if content is not None:
        file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def test_an_overview_is_found_again_without_torch(model: Path) -> None:
    found = kept(ModelSpec(ref=str(model)))
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(model)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{found.parameters} []"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_changed_file_is_looked_at_anew(file: str, model: Path) -> None:
    spec = ModelSpec(ref=str(model))
    kept(spec)
    touch(model / file)
    assert known_overview(spec) is None


def test_a_new_file_and_one_that_is_gone_are_changes(model: Path) -> None:
    spec = ModelSpec(ref=str(model))
    kept(spec)
    (model / "model.safetensors").rename(model / "other.safetensors")
    assert known_overview(spec) is None
    (model / "other.safetensors").rename(model / "model.safetensors")
    assert known_overview(spec) is not None
    (model / "model.safetensors").unlink()
    assert known_overview(spec) is None


@pytest.mark.parametrize("more", [{"num_labels": 9}, {"allow_pickle": True}, {"allow_code": True}])
def test_another_question_has_another_answer(more: dict[str, object], model: Path) -> None:
    spec = ModelSpec(ref=str(model))
    kept(spec)
    other = msgspec.structs.replace(spec, **more)
    assert known_overview(other) is None
    assert known_overview(msgspec.structs.replace(spec, auto="AutoModel", seed=3)) is not None


def test_another_version_of_the_libraries_is_another_answer(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec(ref=str(model))
    kept(spec)
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} 99")
    assert known_overview(spec) is None


def test_an_adapter_is_looked_at_anew_when_its_base_changes(model_zoo: Zoo, tmp_path: Path) -> None:
    base = shutil.copytree(model_zoo["bert"], tmp_path / "base")
    adapter = shutil.copytree(model_zoo["lora-labels"], tmp_path / "adapter")
    told = adapter / "adapter_config.json"
    told.write_text(told.read_text().replace(str(model_zoo["bert"]), str(base)))
    spec = ModelSpec(ref=str(adapter))
    kept(spec)
    touch(base / "model.safetensors")
    assert known_overview(spec) is None
    told.write_text(told.read_text().replace(str(base), "lab/base"))
    assert known_overview(spec) is None


@pytest.mark.parametrize("ref", ["bert", "lab/model", "/no/such/folder", "", "a\0b"])
def test_what_has_no_files_here_is_not_kept(ref: str) -> None:
    spec = ModelSpec(ref=ref)
    keep_overview(overview_file(spec), overview("bert"))
    assert known_overview(spec) is None
    assert not (paths.cache_dir() / "overviews").exists()


def test_a_damaged_memory_is_none(model: Path) -> None:
    spec = ModelSpec(ref=str(model))
    kept(spec)
    (file,) = (paths.cache_dir() / "overviews").iterdir()
    for damage in (b"", b"\xff" * 100, file.read_bytes()[:-5]):
        file.write_bytes(damage)
        assert known_overview(spec) is None


def test_a_folder_that_can_t_be_written_costs_nothing_else(model: Path) -> None:
    paths.cache_dir().parent.mkdir(parents=True, exist_ok=True)
    paths.cache_dir().mkdir(parents=True, exist_ok=True)
    (paths.cache_dir() / "overviews").write_text("a file in its place")
    spec = ModelSpec(ref=str(model))
    keep_overview(overview_file(spec), overview(spec.ref))
    assert known_overview(spec) is None


def test_the_oldest_go(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview_cache, "MOST", 3)
    found = overview(str(model))
    specs = [ModelSpec(ref=str(model), num_labels=n) for n in range(1, 6)]
    folder = paths.cache_dir() / "overviews"
    for number, spec in enumerate(specs):
        before = set(folder.glob("*"))
        keep_overview(overview_file(spec), found)
        (new,) = set(folder.glob("*")) - before
        os.utime(new, (number, number))  # the clock may be too coarse to tell them apart
    assert [known_overview(spec) is not None for spec in specs] == [False, False, True, True, True]


def test_a_starter_model_is_known_once_it_is_installed(starter_kit: Path) -> None:
    spec = ModelSpec(ref="minilm")
    assert known_overview(spec) is None
    install_starter(InstallStarter(names=["minilm"]), Job())
    found = known_overview(spec)
    assert found is not None
    assert found.parameters == 22_713_216
