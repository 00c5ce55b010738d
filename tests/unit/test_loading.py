"""Opening tokenizers, and every way in which what was named is none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hfterm.errors import HftermError
from hfterm.hub.refs import ResolvedRef, resolve, suggestion
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load, load_quick
from zoo import FAST, PYTHON_BACKENDS

TEXT = "Hello, world! 你好 café 🤗\n  def f(x): return x"
SOURCE = "wordpiece-uncased"


@pytest.fixture
def folder(zoo: dict[str, Path], tmp_path: Path) -> Path:
    """A tokenizer's folder that a test may spoil."""
    copy = tmp_path / "tokenizer"
    shutil.copytree(zoo[SOURCE], copy)
    return copy


def both(ref: str) -> tuple[HftermError, HftermError]:
    """The error of the quick load and that of the full one."""
    caught: list[HftermError] = []
    for opening in (load_quick, load):
        with pytest.raises(HftermError) as info:
            opening(ref)
        assert info.value.message
        assert info.value.remedy
        caught.append(info.value)
    return caught[0], caught[1]


def columns(loaded: LoadedTokenizer, text: str) -> tuple[bytes, ...]:
    encoding = encode(loaded, text)
    return encoding.ids, encoding.starts, encoding.ends, encoding.words, encoding.special


# -- the quick load and the full one ---------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(FAST) - {"llama-rebuilt"}))
def test_what_tokenizer_json_says_is_what_transformers_gives(
    name: str, zoo: dict[str, Path], opened: Callable[[str], LoadedTokenizer]
) -> None:
    quick, full = load_quick(str(zoo[name])), opened(name)
    assert quick is not None
    assert (quick.info.verified, full.info.verified) == (False, True)
    assert columns(quick, TEXT) == columns(full, TEXT)
    # (pipeline and unk_id may differ: transformers adds an empty template, and class defaults)
    for field in ("backend", "model", "vocab_size", "stored_truncation", "stored_padding",
                  "model_max_length", "path"):  # fmt: skip
        assert getattr(quick.info, field) == getattr(full.info, field), field


def test_minilm_quick_is_minilm(starter_kit: Path) -> None:
    quick, full = load_quick("minilm"), load("minilm")
    assert quick is not None
    assert columns(quick, TEXT) == columns(full, TEXT)
    assert quick.info.special_tokens == full.info.special_tokens
    assert full.info.path == str(starter_kit / "minilm")
    assert full.info.stored_truncation is not None
    assert any("stores truncation" in note for note in full.info.notes)


def test_a_pipeline_that_transformers_replaces_is_said(
    zoo: dict[str, Path], opened: Callable[[str], LoadedTokenizer]
) -> None:
    quick, full = load_quick(str(zoo["llama-rebuilt"])), opened("llama-rebuilt")
    assert quick is not None
    assert quick.info.pipeline != full.info.pipeline
    assert any("another pipeline" in note for note in full.info.notes)


@pytest.mark.parametrize("name", sorted(PYTHON_BACKENDS))
def test_python_backends_have_no_quick_load(
    name: str, zoo: dict[str, Path], opened: Callable[[str], LoadedTokenizer]
) -> None:
    assert load_quick(str(zoo[name])) is None
    full = opened(name)
    assert full.fast is None
    assert full.info.kind == "slow"
    with pytest.raises(HftermError) as caught:
        full.rust()
    assert caught.value.kind == "python-backend"
    assert full.info.cls in caught.value.message


def test_a_quick_load_has_no_transformers_tokenizer(zoo: dict[str, Path]) -> None:
    quick = load_quick(str(zoo[SOURCE]))
    assert quick is not None
    with pytest.raises(HftermError) as caught:
        quick.transformers()
    assert caught.value.kind == "not-verified"


def test_the_file_itself_may_be_named(folder: Path) -> None:
    quick = load_quick(str(folder / "tokenizer.json"))
    assert quick is not None
    assert quick.info.path == str(folder)
    assert load(str(folder / "tokenizer.json")).info.cls == "BertTokenizer"


def test_the_private_copy_is_private(folder: Path) -> None:
    loaded = load(str(folder))
    auto = loaded.transformers()
    auto(["a", "a longer text than that"], padding="max_length", truncation=True, max_length=8)
    assert len(encode(loaded, TEXT)) > 8
    assert len(encode(loaded, "a")) == 3


# -- what is no tokenizer --------------------------------------------------------------------


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for error in both(str(tmp_path)):
        assert error.kind == "no-tokenizer"
        assert str(tmp_path) in error.message


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    for error in both(str(tmp_path / "nowhere")):
        assert error.kind == "not-found"
        assert "nowhere" in error.message


def test_a_file_that_is_not_a_tokenizers(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    for error in both(str(file)):
        assert error.kind == "not-a-tokenizer"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.25, 0.5, 0.9, 0.999999])
def test_a_truncated_file_says_that_it_is_cut(folder: Path, share: float) -> None:
    file = folder / "tokenizer.json"
    whole = file.read_bytes().rstrip()
    file.write_bytes(whole[: min(int(len(whole) * share), len(whole) - 1)])
    for error in both(str(folder)):
        assert error.kind == "bad-tokenizer"
        assert "not whole JSON" in error.message
        assert str(file) in error.message


@pytest.mark.parametrize(
    "content",
    [b"{}", b"[]", b"3", b"null", b'"text"', b'{"name": "a package", "version": "1"}'],
)
def test_json_that_is_no_tokenizer(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    for error in both(str(folder)):
        assert error.kind == "bad-tokenizer"
        assert "JSON but not a tokenizer" in error.message


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04\x95", b"\xff\xfe{\x00}\x00", b"[" * 100_000],
    ids=["pickle", "utf-16", "deep"],
)
def test_what_is_not_even_json(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    for error in both(str(folder)):
        assert error.kind == "bad-tokenizer"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", 3),
        ("model", {"type": "WordPiece", "vocab": ["a", "b"]}),
        ("model", {"type": "NotYetInvented", "vocab": {}}),
        ("normalizer", {"type": "NotYetInvented"}),
        ("added_tokens", {"id": 1}),
        ("version", "99.0"),
    ],
)
def test_wrong_things_inside(folder: Path, key: str, value: object) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    content[key] = value
    file.write_text(json.dumps(content), "utf-8")
    for error in both(str(folder)):
        assert error.kind == "bad-tokenizer"
        assert str(file) in error.message


def test_a_folder_in_the_place_of_the_file(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").mkdir()
    for error in both(str(folder)):
        assert error.kind == "unreadable"
        assert "Is a directory" in error.message


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"tokenizer_class": 3}'])
def test_a_broken_config_is_an_error_or_does_not_matter(folder: Path, content: str) -> None:
    (folder / "tokenizer_config.json").write_text(content)
    quick = load_quick(str(folder))
    assert quick is not None
    assert len(encode(quick, "hello")) > 2
    try:
        full = load(str(folder))
    except HftermError as error:
        assert error.kind == "bad-tokenizer"
        assert error.remedy
    else:
        assert columns(full, "hello") == columns(quick, "hello")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(folder: Path) -> None:
    (folder / "tokenizer.json").chmod(0)
    for error in both(str(folder)):
        assert error.kind == "unreadable"
        assert "Permission denied" in error.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder(folder: Path) -> None:
    folder.chmod(0)
    try:
        for error in both(str(folder / "tokenizer.json")):
            assert error.kind == "unreadable"
    finally:
        folder.chmod(0o755)


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for error in both(str(tmp_path / "a")):
        assert error.kind in {"not-found", "unreadable"}


def test_code_from_a_repository_is_never_run(folder: Path, tmp_path: Path) -> None:
    proof = tmp_path / "it-ran"
    (folder / "tokenization_own.py").write_text(
        f"open({str(proof)!r}, 'w').close()\n"
        "from transformers import PreTrainedTokenizer\n"
        "class OwnTokenizer(PreTrainedTokenizer):\n    pass\n"
    )
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[UNK]\na\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "OwnTokenizer",
                "auto_map": {"AutoTokenizer": ["tokenization_own.OwnTokenizer", None]},
            }
        )
    )
    with pytest.raises(HftermError) as caught:
        load(str(folder))
    assert caught.value.kind == "remote-code"
    assert "Python code" in caught.value.message
    assert not proof.exists()


# -- names -----------------------------------------------------------------------------------


def test_a_data_set_is_not_a_model(starter_kit: Path) -> None:
    for error in both("reviews"):
        assert error.kind == "not-a-model"
        assert "data set" in error.message


def test_a_starter_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    for error in both("minilm"):
        assert error.kind == "not-installed"
        assert "hfterm starter minilm" in error.remedy


@pytest.mark.parametrize(
    ("typed", "meant"), [("minilim", "minilm"), ("smolm2", "smollm2"), ("review", "reviews")]
)
def test_a_misspelt_starter_is_suggested(typed: str, meant: str) -> None:
    assert meant in suggestion(typed)
    with pytest.raises(HftermError) as caught:
        load(typed)
    assert f"Did you mean '{meant}'?" in str(caught.value)


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("https://huggingface.co/openai-community/gpt2/tree/main", "openai-community/gpt2"),
        ("https://huggingface.co", "Name it"),
        ("http://127.0.0.1:8000/v1", "--url"),
        ("http://[", "--url"),
    ],
)
def test_an_address_is_told_where_it_goes(pasted: str, words: str) -> None:
    assert words in suggestion(pasted)


def test_nothing_like_a_starter_gets_no_suggestion() -> None:
    assert suggestion("gpt2") == ""


@pytest.mark.parametrize("ref", ["", "   ", "\n"])
def test_no_name_at_all(ref: str) -> None:
    for error in both(ref):
        assert error.kind == "empty"


def test_a_hub_id_in_the_cache_is_found(zoo: dict[str, Path]) -> None:
    cache = Path(os.environ["HF_HOME"]) / "hub" / "models--lab--tiny"
    snapshot = cache / "snapshots" / "0123abc"
    shutil.copytree(zoo[SOURCE], snapshot)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0123abc\n")
    found = resolve("lab/tiny")
    assert (found.kind, found.folder) == ("cache", snapshot)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=300))
@example("a\0b")
@example("/" + "a" * 300)
@example("./" + "x/" * 3000)
@example("~nobody-of-that-name/x")
@example("~")
@example("~\0")
@example("/dev/null")
@example("/dev/stdin")
@example("/proc/self/mem")
@example("a" * 5000)
@example("a/b" * 900)
@example("\udcff/\udcff")
@example("/\udcff")
@example("../" * 2000)
@example("owner/name/more")
@example("-rf")
@example("minilm/../minilm")
@example("models--a--b")
@example("a/b\u202e")
def test_any_name_resolves_or_is_an_error_for_people(ref: str) -> None:
    try:
        found = resolve(ref)
    except HftermError as error:
        assert error.kind
        assert error.message
        assert error.remedy
    else:
        assert isinstance(found, ResolvedRef)
