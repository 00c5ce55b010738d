"""Which screen opens a thing: by its name alone, without loading it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.library.fitting import fitting


@pytest.fixture(autouse=True)
def kit(starter_kit: Path) -> None:
    """With the starter kit."""


def folder(path: Path, **files: object) -> str:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(
            content if isinstance(content, str) else json.dumps(content)
        )
    return str(path)


def test_starter_things() -> None:
    assert fitting("minilm")[0] == "models"
    assert fitting("smollm2")[0] == "chat"
    assert fitting("reviews") == ("library",)


def test_a_starter_thing_that_is_not_here_may_be_any(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    assert "tokenize" in fitting("minilm")


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.csv", "library"), ("a.JSONL", "library"), ("notes.txt", "tokenize"), ("R.md", "tokenize"),
     ("tokenizer.json", "tokenize"), ("config.json", "models"), ("m.safetensors", "models"),
     ("events.out.tfevents.1", "train"), ("run-x.wandb", "train"), ("m.gguf", "chat")],
)  # fmt: skip
def test_files(tmp_path: Path, name: str, mode: str) -> None:
    (tmp_path / name).write_text("{}")
    assert fitting(str(tmp_path / name))[0] == mode


def test_folders(tmp_path: Path) -> None:
    bert = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
    llama = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    weights = {"model__safetensors": ""}
    assert fitting(folder(tmp_path / "bert", config__json=bert, **weights))[0] == "models"
    assert fitting(folder(tmp_path / "llama", config__json=llama, **weights))[0] == "chat"
    assert fitting(folder(tmp_path / "tok", tokenizer__json={})) == ("tokenize",)
    assert fitting(folder(tmp_path / "run", recipe__toml="")) == ("train",)
    assert fitting(folder(tmp_path / "board", x__tfevents__1="")) == ("train",)
    assert fitting(folder(tmp_path / "data", rows__jsonl="{}")) == ("library",)
    adapter = {"base_model_name_or_path": "x", "task_type": "CAUSAL_LM"}
    assert fitting(folder(tmp_path / "lora", adapter_config__json=adapter)) == ("chat",)
    assert fitting(folder(tmp_path / "empty")) == ()


def test_a_file_that_no_screen_opens(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("")
    assert fitting(str(tmp_path / "a.zip")) == ()


def test_the_hub_cache_tells_what_a_hub_model_is(tmp_path: Path) -> None:
    repo = paths.hub_cache_dir() / "models--owner--name"
    folder(repo / "refs", main="abc")
    folder(repo / "snapshots" / "abc", tokenizer__json={})
    assert fitting("owner/name") == ("tokenize",)
    assert len(fitting("owner/other")) > 3


@pytest.mark.parametrize(
    "name", ["no-such", "", "a b", "/no/such/path", "a\0b", "x" * 5000, "~q/z"]
)
def test_what_is_nothing_is_said(name: str) -> None:
    with pytest.raises(HftermError) as caught:
        fitting(name)
    assert caught.value.kind == "not-found"
    assert caught.value.remedy
