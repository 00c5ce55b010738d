"""Folders of the library that are not as a hub would have made them."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.hub.refs import ResolvedRef, cached_snapshot
from hfterm.job import Job
from hfterm.library.deleting import delete, freed_by
from hfterm.library.facts import folder_facts, safetensors_header
from hfterm.library.listing import DEPTH, list_library
from hfterm.library.types import LibraryItem
from hfterm.library.verifying import verify
from hfterm.library.wanted import wanted

COMMIT = "b" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def cached(repo: Path, files: dict[str, str]) -> Path:
    """A repository of the cache whose files are no links; its snapshot."""
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        (snapshot / name).write_text(content)
    return snapshot


def safetensors(file: Path, header: object) -> Path:
    """A file that says `header` of itself, and has no tensors."""
    head = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head)
    return file


def thing(path: Path, **changes: object) -> LibraryItem:
    """A folder as the library lists it."""
    return LibraryItem(
        **{"ref": str(path), "kind": "model", "place": "folder", "path": str(path), **changes}
    )  # pyright: ignore[reportArgumentType]


# -- what a folder is ----------------------------------------------------------------------------


def test_a_folder_of_a_gguf_alone_is_that_gguf(tmp_path: Path) -> None:
    (tmp_path / "b.gguf").write_bytes(b"no GGUF at all")
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    facts = folder_facts(tmp_path)
    assert (facts.kind, facts.licence, facts.screens) == ("GGUF", "apache-2.0", ("chat",))
    assert "b.gguf" in facts.problem


def test_a_card_without_a_head_names_no_licence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# A model\nlicense: mit\n")
    assert folder_facts(tmp_path).licence == ""


@pytest.mark.parametrize("head", [[], "text", 3])
def test_weights_whose_header_is_no_object_are_damaged(tmp_path: Path, head: object) -> None:
    (tmp_path / "config.json").write_text("{}")
    file = safetensors(tmp_path / "model.safetensors", head)
    with pytest.raises(ValueError, match="its header is no object"):
        safetensors_header(file)
    assert folder_facts(tmp_path).problem == "model.safetensors is damaged: its header is no object"


def test_a_tensor_without_a_place_or_a_shape_does_not_end_the_listing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    safetensors(
        tmp_path / "model.safetensors",
        {"a": {"dtype": "F16", "shape": [2, 3]}, "b": {"shape": "?", "data_offsets": None}},
    )
    facts = folder_facts(tmp_path)
    assert (facts.problem, facts.dtype) == ("", "F16")
    assert facts.parameters == 7  # a scalar's worth for the one whose shape nobody knows


@pytest.mark.parametrize("index", ['{"weight_map": []}', "{}", "[", "[]"])
def test_an_index_that_names_no_files_misses_none(tmp_path: Path, index: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert folder_facts(tmp_path).problem == ""


# -- looking through folders ---------------------------------------------------------------------


def found(root: Path) -> Sequence[str]:
    """Names of what is found below a folder."""
    here = f"{root}/"
    library = list_library(Job(), [str(root)])
    return [item.ref.removeprefix(here) for item in library.items if item.ref.startswith(here)]


@pytest.mark.usefixtures("cache")
def test_only_so_many_folders_deep_is_looked(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    near, far = "/".join("abcdefgh"[:DEPTH]), "/".join("abcdefgh"[: DEPTH + 1])
    (root / far).mkdir(parents=True)
    for folder in (near, far):
        (root / folder / "rows.csv").write_text("a\n1\n")
    assert found(root) == [f"{near}/rows.csv"]


@pytest.mark.usefixtures("cache")
def test_of_a_gguf_in_parts_the_first_is_listed_and_a_text_is_not(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    for name in ("big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "one.gguf", "notes.md"):
        (root / name).write_bytes(b"GGUF")
    assert sorted(found(root)) == ["big-00001-of-00002.gguf", "one.gguf"]


def test_a_space_in_the_cache_is_no_model(cache: Path) -> None:
    cached(cache / "spaces--lab--demo", {"app.py": "print()"})
    cached(cache / "models--lab--one", {"config.json": "{}"})
    items = [item.ref for item in list_library(Job()).items if item.place == "hub cache"]
    assert items == ["lab/one"]


def test_a_data_set_in_the_cache_is_opened_as_rows(cache: Path) -> None:
    cached(cache / "datasets--lab--rows", {"rows.csv": "a\n1\n"})
    (item,) = [item for item in list_library(Job()).items if item.ref == "lab/rows"]
    assert (item.kind, item.what, item.screens) == ("data set", "data set", ("library",))


# -- checking and deleting -----------------------------------------------------------------------


def test_folders_in_a_thing_are_no_files_and_texts_have_no_hash(tmp_path: Path) -> None:
    (tmp_path / "one" / "1_Pooling").mkdir(parents=True)
    (tmp_path / "one" / "config.json").write_text("{}")
    (tmp_path / "one" / "1_Pooling" / "config.json").write_text("{")
    (tmp_path / "one" / "notes.txt").write_text("hello")
    checked = verify(thing(tmp_path / "one"), Job())
    assert (checked.right, checked.unknown) == (1, 1)
    ((name, wrong),) = checked.wrong
    assert name == "1_Pooling/config.json"
    assert "not whole JSON" in wrong


def test_one_file_is_checked_by_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n")
    checked = verify(thing(file, kind="data set", problem="it is old"), Job())
    assert (checked.right, checked.unknown, checked.wrong) == (0, 1, [("", "it is old")])


@pytest.mark.parametrize(
    ("place", "words"), [("run", "belongs to a run"), ("folder", "did not bring")]
)
def test_what_hfterm_did_not_bring_stays(tmp_path: Path, place: str, words: str) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    with pytest.raises(HftermError, match=words) as caught:
        delete(thing(folder, place=place), Job())
    assert caught.value.kind == "not-ours"
    assert folder.is_dir()


def test_a_starter_model_is_deleted_with_the_file_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    known = starter.find("smollm2")
    assert known is not None
    for folder in (known.folder, known.unpacked):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 500)
    item = thing(known.folder, ref="smollm2", place="starter kit", deletable=True)
    assert delete(item, Job()) >= 1000
    assert not known.folder.exists()
    assert not known.unpacked.exists()
    assert freed_by(item, Job()) == 0


def test_a_tokenizer_trained_here_is_deleted() -> None:
    folder = paths.tokenizers_dir() / "mine"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    delete(thing(folder, kind="tokenizer", place="trained here", deletable=True), Job())
    assert not folder.exists()


# -- tokenizers of the cache ---------------------------------------------------------------------


def test_what_is_not_in_a_folder_has_no_tokenizer_files() -> None:
    nowhere = ResolvedRef("lab/one", "hub", None)
    assert nowhere.tokenizer_json is None
    assert not nowhere.has_tokenizer_files


@pytest.mark.parametrize(
    ("here", "listed", "whole"),
    [
        (["tokenizer.json"], ["tokenizer.json", "vocab.txt"], True),
        (["vocab.txt"], ["vocab.txt", "tokenizer_config.json"], False),
        (["vocab.txt", "tokenizer_config.json"], ["vocab.txt", "tokenizer_config.json"], True),
    ],
)
def test_half_a_tokenizer_of_the_cache_is_none(
    cache: Path, here: list[str], listed: list[str], whole: bool
) -> None:
    repo = cache / "models--lab--one"
    snapshot = cached(repo, dict.fromkeys(here, "{}"))
    (repo / "trees").mkdir()
    (repo / "trees" / f"{COMMIT}.json").write_text(json.dumps({"files": dict.fromkeys(listed)}))
    assert cached_snapshot("lab/one") == (snapshot if whole else None)


@pytest.mark.parametrize(
    ("kind", "part", "typed", "brought", "left"),
    [
        ("model", "tokenizer only", (), "tokenizer*", "*.safetensors"),
        ("dataset", "tokenizer only", ("*.csv",), "*.csv", "tokenizer.json"),
    ],
)
def test_what_is_brought_of_a_repository(
    kind: str, part: str, typed: tuple[str, ...], brought: str, left: str
) -> None:
    patterns, without = wanted(kind, part, typed)  # pyright: ignore[reportArgumentType]
    assert brought in patterns
    assert left not in patterns
    assert without == ()
