"""What is on this machine: found, described, checked and deleted, in real folders."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub.checksums import hash_of
from hfterm.hub.repo_download import PART
from hfterm.job import Job
from hfterm.library.deleting import delete, freed_by
from hfterm.library.facts import folder_facts, is_pickle, safetensors_header
from hfterm.library.listing import files_of, list_library
from hfterm.library.types import LibraryItem
from hfterm.library.verifying import verify
from hfterm.training.run_files import RECIPE

COMMIT = "a" * 40


def weights(file: Path, shape: tuple[int, int] = (3, 4), dtype: str = "F32") -> None:
    """A small safetensors file."""
    size = shape[0] * shape[1] * 4
    head = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + bytes(size))


def model(folder: Path, architecture: str = "BertModel") -> Path:
    """A folder that is a model as far as its files say."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "tokenizer.json").write_text("{}")
    weights(folder / "model.safetensors")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def cached(cache: Path, ref: str, files: dict[str, bytes], commit: str = COMMIT) -> Path:
    """A repository as huggingface_hub keeps it; its snapshot."""
    repo = cache / f"models--{ref.replace('/', '--')}"
    snapshot = repo / "snapshots" / commit
    (repo / "blobs").mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    snapshot.mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    for name, content in files.items():
        here = repo / "new"
        here.write_bytes(content)
        blob = repo / "blobs" / hash_of(here, "sha256", Job(), "")
        here.rename(blob)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


def the(ref: str, *folders: Path) -> LibraryItem:
    """The one thing of that name."""
    library = list_library(Job(), [str(folder) for folder in folders])
    (found,) = [item for item in library.items if item.ref == ref]
    return found


@pytest.mark.usefixtures("starter_kit", "cache")
def test_the_starter_kit_is_described_by_its_files() -> None:
    minilm, smollm2, reviews = the("minilm"), the("smollm2"), the("reviews")
    assert (minilm.kind, minilm.what, minilm.dtype) == ("model", "BertModel", "F32")
    assert minilm.parameters == 22_713_728
    assert minilm.licence == "Apache-2.0"
    assert minilm.size == sum(file.size for file in files_of(minilm.path))
    assert smollm2.screens[0] == "chat"
    assert minilm.screens[0] == "models"
    assert (reviews.kind, reviews.what, reviews.screens[0]) == ("data set", "csv", "library")


def test_a_repository_of_the_cache(cache: Path) -> None:
    config = json.dumps({"architectures": ["LlamaForCausalLM"]}).encode()
    card = b"---\ntags: [x]\nlicense: mit\n---\n# license: gpl\n"
    cached(cache, "lab/tiny", {"config.json": config, "README.md": card, "tok.bin": b"1"})
    cached(cache, "lab/tiny", {"config.json": config + b" "}, "b" * 40)
    item = the("lab/tiny")
    assert (item.kind, item.place, item.what) == (
        "model", "hub cache", "LlamaForCausalLM · no weights",
    )  # fmt: skip
    assert item.revision == "b" * 40
    assert item.revisions == 2
    assert item.deletable


def test_a_licence_is_the_cards(cache: Path) -> None:
    config = json.dumps({"architectures": ["BertModel"]}).encode()
    card = b"---\ntags: [x]\nlicense: mit\n---\n# license: gpl\n"
    cached(cache, "lab/tiny", {"config.json": config, "README.md": card})
    assert the("lab/tiny").licence == "mit"


def test_what_was_broken_off_is_said_and_freed(cache: Path) -> None:
    blobs = cache / "models--lab--cut" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'c' * 64}{PART}").write_bytes(b"x" * 5000)
    library = list_library(Job())
    (item,) = [item for item in library.items if item.ref == "lab/cut"]
    assert item.problem == "a download was broken off"
    assert library.parts == 5000
    assert library.problems == []
    assert freed_by(item, Job()) == 5000
    assert delete(item, Job()) == 5000
    assert not (cache / "models--lab--cut").exists()


def test_folders_are_looked_through(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "models"
    model(root / "one")
    model(root / "deep" / "er" / "two", "GPT2LMHeadModel")
    model(root / ".hidden" / "three")
    (root / "rows.jsonl").write_text('{"text": "a"}\n')
    (root / "adapter").mkdir()
    (root / "adapter" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "lab/base", "peft_type": "LORA",
                    "task_type": "CAUSAL_LM"})
    )  # fmt: skip
    weights(root / "adapter" / "adapter_model.safetensors", (2, 3))
    (root / "tok").mkdir()
    (root / "tok" / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    found = {item.ref: item for item in list_library(Job(), [str(root)]).items
             if item.place == "folder"}  # fmt: skip
    assert set(found) == {
        str(root / name) for name in ("one", "deep/er/two", "rows.jsonl", "adapter", "tok")
    }
    assert found[str(root / "one")].parameters == 12
    adapter = found[str(root / "adapter")]
    assert (adapter.kind, adapter.what, adapter.screens) == (
        "adapter", "LoRA of lab/base", ("chat",),
    )  # fmt: skip
    assert found[str(root / "tok")].what == "BertTokenizer"
    assert found[str(root / "deep/er/two")].screens[0] == "chat"
    for item in found.values():
        with pytest.raises(HftermError, match="did not bring"):
            delete(item, Job())
    assert (root / "one" / "config.json").exists()


@pytest.mark.usefixtures("cache")
def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert list_library(Job(), [str(tmp_path / "no"), "~nobody-here"]).problems[1:] == [
        "There is no folder ~nobody-here."
    ]
    assert list_library(Job(), [str(tmp_path / "no")]).problems == [
        f"There is no folder {tmp_path / 'no'}."
    ]


@pytest.mark.usefixtures("cache")
def test_models_of_runs_and_tokenizers_trained_here() -> None:
    run = paths.runs_dir() / "1-lora"
    model(run / "model")
    model(run / "checkpoint-3")
    (run / RECIPE).write_text("")
    trained = paths.tokenizers_dir() / "mine"
    trained.mkdir(parents=True)
    (trained / "tokenizer.json").write_text("{}")
    written = the(str(run / "model"))
    assert (written.place, written.what) == ("run", "BertModel")
    with pytest.raises(HftermError, match="belongs to a run") as caught:
        delete(written, Job())
    assert "Train" in caught.value.remedy
    assert (run / "model").exists()
    assert not [i for i in list_library(Job()).items if "checkpoint" in i.ref]
    delete(the(str(trained)), Job())
    assert not trained.exists()


def test_deleting_a_repository_leaves_the_others(cache: Path) -> None:
    config = json.dumps({"architectures": ["BertModel"]}).encode()
    cached(cache, "lab/one", {"config.json": config, "x.txt": b"x" * 1000})
    cached(cache, "lab/two", {"config.json": config})
    freed = delete(the("lab/one"), Job())
    assert freed >= 1000
    assert not (cache / "models--lab--one").exists()
    two = the("lab/two")
    # a config alone, as looking at a model of the hub leaves, is not damaged
    assert (two.what, two.problem, two.screens) == (
        "BertModel · no weights", "", ("models", "tokenize"),
    )  # fmt: skip
    assert verify(two, Job()).right == 1
    assert verify(two, Job()).wrong == []


def test_every_byte_is_compared_with_the_hubs_hash(cache: Path) -> None:
    snapshot = cached(cache, "lab/one", {"config.json": b"{}", "x.txt": b"x" * 1000})
    found = verify(the("lab/one"), Job())
    assert (found.right, found.unknown) == (2, 0)
    blob = (snapshot / "x.txt").resolve()
    blob.write_bytes(b"x" * 999 + b"y")
    wrong = dict(verify(the("lab/one"), Job()).wrong)
    assert "sha256" in wrong["x.txt"]
    item = the("lab/one")
    blob.unlink()
    assert "missing" in dict(verify(item, Job()).wrong)["x.txt"]
    # huggingface_hub no longer opens it, so it must be seen here
    damaged = the("lab/one")
    assert damaged.problem == f"Blob missing (broken symlink): blobs/{blob.name}"
    delete(damaged, Job())
    assert not list_library(Job()).problems


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"abc"), "shorter than a header"),
        (lambda f: os.truncate(f / "model.safetensors", 90), "bytes that its header names"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 99), "header is longer"),
        (lambda f: (f / "config.json").write_text("{"), "not whole JSON"),
        (lambda f: (f / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "model-00002-of-00002.safetensors"}}'), "is missing"),
    ],
)  # fmt: skip
def test_what_can_t_be_used_is_said(tmp_path: Path, damage: object, words: str) -> None:
    folder = model(tmp_path / "models" / "one")
    assert callable(damage)
    damage(folder)
    item = the(str(folder), tmp_path / "models")
    assert words in item.problem
    assert any(words in wrong for _, wrong in verify(item, Job()).wrong)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("pytorch_model.bin", True), ("optimizer.pt", True), ("x.ckpt", True), ("a.pkl", True),
     ("model.safetensors", False), ("config.json", False), ("tokenizer.bin", False)],
)  # fmt: skip
def test_pickles_are_flagged(tmp_path: Path, name: str, is_one: bool) -> None:
    assert is_pickle(name) == is_one
    folder = model(tmp_path / "one")
    if is_one:
        (folder / name).write_bytes(pickle.dumps({}))
        assert folder_facts(folder).pickles == (name,)
        assert any(file.pickle for file in files_of(str(folder)))


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_no_bytes_break_the_reading_of_a_header(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("st") / "model.safetensors"
    file.write_bytes(data)
    try:
        assert isinstance(safetensors_header(file), dict)
    except ValueError as error:
        assert str(error)
    (file.parent / "config.json").write_bytes(data)
    facts = folder_facts(file.parent)
    assert facts.kind == "model"


@pytest.mark.usefixtures("cache")
def test_nothing_is_there_at_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "nowhere"))
    library = list_library(Job())
    assert (library.items, library.parts, library.problems) == ([], 0, [])
    assert library.free is not None


def test_a_name_that_is_not_utf_8_hides_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model(folder / "good")
    model(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")))
    (Path(os.fsdecode(os.fsencode(folder / "good") + b"/r\xe9.txt"))).write_text("x")
    library = list_library(Job(), [str(folder)])
    assert [item.ref for item in library.items if item.place == "folder"] == [str(folder / "good")]
    (problem,) = library.problems
    assert "caf\ufffd: its name is not UTF-8; rename it" in problem
    names = [file.name for file in files_of(str(folder / "good"))]
    assert "r\ufffd.txt" in names
    msgspec.msgpack.encode(library)
