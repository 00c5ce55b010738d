"""Recipes and data sets that can't work: refused in words, before anything starts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from training_fixtures import Rows, python, recipe_for, rows_of, write_rows

from hfterm.errors import HftermError
from hfterm.training import run_control
from hfterm.training.preflight import check
from hfterm.training.recipe import Recipe

CLASSIFY = "text-classification"
Zoo = dict[str, Path]


def refused(recipe: Recipe, call: Callable[[Recipe], object] = check) -> HftermError:
    with pytest.raises(HftermError) as caught:
        call(recipe)
    error = caught.value
    assert error.message
    assert "Traceback" not in error.message
    return error


def classified(**changes: object) -> Rows:
    """Rows of a classification with columns changed, given the row's number."""
    rows = rows_of(CLASSIFY)
    for number, row in enumerate(rows):
        for name, value in changes.items():
            row[name] = value(number) if callable(value) else value
    return rows


class Bad(NamedTuple):
    """A data set that is refused.

    Attributes:
        kind: of the error.
        says: what its message or remedy must name.
        rows: in the file.
        changes: of the recipe.
        task: of the recipe.
        ending: of the file.
    """

    kind: str
    says: str
    rows: Rows
    changes: Mapping[str, Any] = MappingProxyType({})
    task: str = CLASSIFY
    ending: str = "jsonl"


def spoilt(task: str, column: str, value: object) -> Rows:
    rows = rows_of(task)
    rows[3][column] = value
    return rows


BAD_ROWS: dict[str, Bad] = {
    "wrong column": Bad(
        "no-column", "'review'", classified(), {"data": {"columns": {"text": "review"}}}
    ),
    "one class": Bad("one-class", "two classes", classified(label=1)),
    "labels as text": Bad("labels-are-text", 'labels = ["bad", "good"]', classified(
        label=lambda row: ("good", "bad")[row % 2])),
    "a label that is not named": Bad(
        "unknown-label", "'fine'", classified(label=lambda row: ("good", "bad", "fine")[row % 3]),
        {"data": {"labels": ["bad", "good"]}},
    ),
    "too few names": Bad(
        "unknown-label", "2 names", classified(label=lambda row: row % 3),
        {"data": {"labels": ["a", "b"]}},
    ),
    "labels of eval": Bad(
        "unknown-label", "5", classified(label=lambda row: row % 2 if row < 16 else 5),
    ),
    "words of eval": Bad(
        "unknown-label", "'c'", classified(label=lambda row: "ab"[row % 2] if row < 16 else "c"),
        {"data": {"labels": ["a", "b"]}},
    ),
    "float labels": Bad("bad-label", "0.5", classified(label=lambda row: row / 2)),
    "negative labels": Bad("bad-label", "-1", classified(label=lambda row: row % 2 - 1)),
    "labels missing": Bad("bad-label", "without a label", classified(
        label=lambda row: None if row == 5 else row % 2)),
    "lists as labels": Bad("bad-label", "no label", classified(label=lambda row: [row % 2])),
    "measured labels": Bad("bad-label", "1,234,567", classified(
        label=lambda row: 1_234_567 * (row % 2))),
    "text missing": Bad("not-text", "Row 4", classified(
        text=lambda row: None if row == 4 else "some words")),
    "numbers as text": Bad("not-text", "no text", classified(text=lambda row: row)),
    "empty split": Bad("empty-split", "train[:0]", classified(), {"data": {"train": "train[:0]"}}),
    "empty split, shuffled": Bad(
        "empty-split", "train[:0]", classified(), {"data": {"train": "train[:0]", "shuffle": True}}
    ),
    "empty eval": Bad(
        "empty-split", "train[999:]", classified(), {"data": {"eval": "train[999:]"}}
    ),
    "no such split": Bad("no-split", "validation", classified(), {"data": {"eval": "validation"}}),
    "no such split, shuffled": Bad(
        "no-split", "validation", classified(), {"data": {"eval": "validation", "shuffle": True}}
    ),
    "no slice": Bad("no-split", "train[", classified(), {"data": {"train": "train[:ten]"}}),
    "more than all": Bad("no-split", "train[:200%]", classified(),
                         {"data": {"train": "train[:200%]"}}),
    "too many folds": Bad(
        "empty-split", "folds", classified(), {"data": {"eval": ""}, "folds": 50}
    ),
    "tags of another length": Bad(
        "bad-label", "Row 3", spoilt("token-classification", "tags", [0]),
        task="token-classification",
    ),
    "tags that are no list": Bad(
        "bad-label", "no list of tags",
        [{"tokens": ["a", "b"], "tags": "O O"} for _ in range(24)], task="token-classification",
    ),
    "words that are no list": Bad(
        "not-text", "no list of words",
        [{"tokens": "a b", "tags": [0, row % 2]} for row in range(24)],
        task="token-classification",
    ),
    "answers as text": Bad(
        "bad-answer", "SQuAD",
        [{"question": "q", "context": "a b", "answers": "a"} for _ in range(24)],
        task="question-answering",
    ),
    "answers without places": Bad(
        "bad-answer", "Row 3",
        spoilt("question-answering", "answers", {"text": ["some"], "answer_start": []}),
        task="question-answering",
    ),
    "messages as text": Bad(
        "bad-messages", "role", [{"messages": "hello"} for _ in range(24)], task="chat-sft"
    ),
    "messages of another shape": Bad(
        "bad-messages", "role",
        [{"messages": [{"from": "human", "value": "hi"}]} for _ in range(24)], task="chat-sft",
    ),
    "empty conversation": Bad(
        "bad-messages", "Row 3", spoilt("chat-sft", "messages", []), task="chat-sft"
    ),
}  # fmt: skip


@pytest.fixture
def chatting(model_zoo: Zoo, tmp_path: Path) -> Path:
    folder = tmp_path / "chatting"
    shutil.copytree(model_zoo["llama"], folder)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    return folder


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_are_refused(name: str, model_zoo: Zoo, tmp_path: Path, chatting: Path) -> None:
    bad = BAD_ROWS[name]
    model = chatting if bad.task == "chat-sft" else model_zoo["bert"]
    data = write_rows(tmp_path / f"rows.{bad.ending}", bad.rows)
    error = refused(recipe_for(bad.task, model, data, **bad.changes))
    assert error.kind == bad.kind, error.message
    assert bad.says in f"{error.message} {error.remedy}"


GOOD_CSV = b"text,label\n" + b"some words,0\nmore words,1\n" * 12
GOOD_JSON = b"".join(json.dumps(row).encode() + b"\n" for row in rows_of(CLASSIFY))
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x06" * 20
FILES: dict[str, tuple[str, bytes]] = {
    "0 bytes": ("rows.csv", b""),
    "0 bytes of JSON": ("rows.jsonl", b""),
    "0 bytes of Parquet": ("rows.parquet", b""),
    "0 bytes of text": ("rows.txt", b""),
    "only a header": ("rows.csv", b"text,label\n"),
    "only blank lines": ("rows.jsonl", b"\n\n\n"),
    "ragged": ("rows.csv", b"text,label\na,1\nb,0,c,d\n"),
    "an open quote": ("rows.csv", b'text,label\n"a,1\nb,0\n'),
    "NUL": ("rows.csv", b"text,label\na\x00b,\x00\nc,1\n"),
    "invalid UTF-8": ("rows.csv", b"text,label\n\xff\xfe\xfa,1\nb,0\n"),
    "invalid UTF-8 in JSON": ("rows.jsonl", b'{"text": "\xff", "label": 1}\n'),
    "invalid UTF-8 in text": ("rows.txt", b"\xff\xfe\xfa\n" * 9),
    "UTF-16": ("rows.csv", GOOD_CSV.decode().encode("utf-16")),
    "JSON that is CSV": ("rows.jsonl", GOOD_CSV),
    "CSV that is JSON": ("rows.csv", GOOD_JSON),
    "Parquet that is CSV": ("rows.parquet", GOOD_CSV),
    "CSV that is a picture": ("rows.csv", PNG),
    "JSON that is a picture": ("rows.json", PNG),
    "text that is a picture": ("rows.txt", PNG),
    "cut JSON": ("rows.jsonl", GOOD_JSON[:-9]),
    "a JSON word": ("rows.json", b'"hello"'),
    "JSON of numbers": ("rows.json", b"[1, 2, 3]"),
    "JSON of both kinds": ("rows.jsonl", b'{"text": "a", "label": 1}\n{"text": 5, "label": "x"}\n'),
    "half a surrogate": ("rows.jsonl", b'{"text": "\\ud800", "label": 1}\n'),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_refused(name: str, model_zoo: Zoo, tmp_path: Path) -> None:
    file, content = FILES[name]
    (tmp_path / file).write_bytes(content)
    task = "masked-lm" if file.endswith("txt") else CLASSIFY
    recipe = recipe_for(
        task, model_zoo["bert"], tmp_path / file, data={"train": "train", "eval": ""},
        training={"eval_every": 0},
    )  # fmt: skip
    error = refused(recipe)
    assert file in error.message or "column" in error.message or "row" in error.message
    assert error.remedy


def test_what_is_no_data_set(model_zoo: Zoo, tmp_path: Path, starter_kit: Path) -> None:
    """Refs: scripts, folders, globs of several kinds, what is not there, names no path can have."""
    bert = model_zoo["bert"]
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "dataset.py").write_text("import datasets")
    (tmp_path / "nothing").mkdir()
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    write_rows(mixed / "a.csv", rows_of(CLASSIFY))
    write_rows(mixed / "b.jsonl", rows_of(CLASSIFY))
    cases = {
        str(tmp_path / "script"): "script-data-set",
        str(tmp_path / "script" / "dataset.py"): "script-data-set",
        "nobody/dataset.py": "script-data-set",
        str(tmp_path / "nothing"): "not-a-data-set",
        str(mixed): "mixed-files",
        str(mixed / "*"): "mixed-files",
        str(tmp_path / "*.csv"): "not-found",
        str(tmp_path / "gone.csv"): "not-found",
        "gone.parquet": "not-found",
        "./gone": "not-found",
        "~nobody-at-all/x": "not-found",
        "a\0b": "not-found",
        "x" * 5000: "not-found",
        "what is this?": "not-found",
        "minilm": "not-a-data-set",
        "nobody/nothing": "offline",
    }
    for ref, kind in cases.items():
        error = refused(recipe_for(CLASSIFY, bert, ref))
        assert error.kind == kind, (ref, error.message)
        assert error.remedy, ref


MODELS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "unknown target": ("bert", {"method": {"name": "lora", "target_modules": ["qery"]}},
                       "unknown-target", "Did you mean query?"),
    "too long": ("bert", {"data": {"max_length": 129}}, "too-long", "Give 128"),
    "too long with an offset": ("roberta", {"data": {"max_length": 129}}, "too-long", "Give 128"),
    "no device": ("bert", {"model": {"device": "cuda:7"}}, "no-device", "cpu"),
    "fp16 without a GPU": ("bert", {"training": {"precision": "fp16"}}, "no-device", "bf16"),
    "no weights": ("config-only", {}, "no-weights", "safetensors"),
    "cut weights": ("truncated", {}, "broken-weights", "again"),
    "an adapter": ("lora-labels", {}, "adapter", "Merge"),
    "no launcher's file": ("bert", {"training": {"accelerate_config": "/none.yaml"}},
                           "not-found", "accelerate config"),
    "nobody's tokenizer": ("bert", {"model": {"tokenizer": "/nowhere"}}, "not-found", "path"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_models_are_refused(name: str, model_zoo: Zoo, tmp_path: Path) -> None:
    member, changes, kind, says = MODELS[name]
    data = write_rows(tmp_path / "rows.csv", rows_of(CLASSIFY))
    error = refused(recipe_for(CLASSIFY, model_zoo[member], data, **changes))
    assert error.kind == kind, error.message
    assert says in f"{error.message} {error.remedy}"


def test_other_models_are_refused(model_zoo: Zoo, tmp_path: Path, starter_kit: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", rows_of(CLASSIFY))
    chat = write_rows(tmp_path / "chat.jsonl", rows_of("chat-sft"))
    mixed = tmp_path / "mixed"
    shutil.copytree(model_zoo["bert"], mixed)
    told = json.loads((mixed / "config.json").read_text())
    (mixed / "config.json").write_text(json.dumps(told | {"hidden_size": 48}))
    assert refused(recipe_for(CLASSIFY, mixed, data)).kind == "another-model"
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(model_zoo["bert"] / name, bare)
    assert refused(recipe_for(CLASSIFY, bare, data)).kind == "no-tokenizer"
    assert refused(recipe_for("chat-sft", model_zoo["llama"], chat)).kind == "no-template"
    assert refused(recipe_for(CLASSIFY, "reviews", data)).kind == "not-a-model"
    assert refused(recipe_for(CLASSIFY, "nobody/nothing", data)).kind == "offline"
    assert refused(recipe_for(CLASSIFY, tmp_path / "gone", data)).kind == "not-found"


def test_no_space(model_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    data = write_rows(tmp_path / "rows.csv", rows_of(CLASSIFY))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 10_000))
    error = refused(recipe_for(CLASSIFY, model_zoo["bert"], data))
    assert error.kind == "no-space"
    assert "10.0 kB" in error.message or "10 kB" in error.message


def test_the_library_knows_more(model_zoo: Zoo, tmp_path: Path, zoo: Zoo) -> None:
    """What only building can tell is said in the same way, and nothing is trained."""
    from hfterm.training.building import build, training_arguments

    data = write_rows(tmp_path / "rows.csv", rows_of(CLASSIFY))
    chat = write_rows(tmp_path / "chat.jsonl", rows_of("chat-sft"))
    answers = write_rows(tmp_path / "answers.jsonl", [
        row | {"question": "Who said so? " * 20} for row in rows_of("question-answering")
    ])  # fmt: skip
    text = {"data": {"eval": ""}, "training": {"eval_every": 0}}
    picky = tmp_path / "picky"
    shutil.copytree(model_zoo["llama"], picky)
    (picky / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    jumbled = tmp_path / "jumbled"
    shutil.copytree(model_zoo["llama"], jumbled)
    (jumbled / "chat_template.jinja").write_text(
        "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    broken = tmp_path / "broken"
    shutil.copytree(model_zoo["bert"], broken)
    (broken / "tokenizer.json").write_text("{}")
    cases: dict[str, tuple[Recipe, str]] = {
        "another's weights": (recipe_for(CLASSIFY, model_zoo["wrong"], data), "another-model"),
        "no such head": (recipe_for("masked-lm", model_zoo["gpt2"], data, **text), "no-class"),
        "no mask": (recipe_for("masked-lm", model_zoo["bert-mlm"], data, **text,
                               model={"tokenizer": str(zoo["word-level"])}), "no-mask"),
        "no room": (recipe_for(CLASSIFY, model_zoo["bert"], data, data={"max_length": 2}),
                    "too-short"),
        "long questions": (
            recipe_for("question-answering", model_zoo["bert"], answers), "too-long",
        ),
        "a picky template": (recipe_for("chat-sft", picky, chat), "template"),
        "a jumbled template": (recipe_for("chat-sft", jumbled, chat), "template"),
        "nothing to learn": (recipe_for("causal-lm", model_zoo["gpt2"], data, **text | {
            "data": {"eval": "", "max_length": 1}}), "empty-split"),
        "an adapter under a new head": (
            recipe_for("masked-lm", model_zoo["bert"], data, **text, method={"name": "lora"}),
            "new-head",
        ),
        "a broken tokenizer": (recipe_for(CLASSIFY, broken, data), "no-tokenizer"),
        "a vocabulary beyond the model": (
            recipe_for(CLASSIFY, model_zoo["bert"], data, model={"tokenizer": "minilm"}),
            "other-tokenizer",
        ),
    }  # fmt: skip
    for name, (recipe, kind) in cases.items():
        error = refused(recipe, build)
        assert error.kind == kind, (name, error.message)
    optimizer = {"optimizer": "galore_adamw"}
    recipe = recipe_for(CLASSIFY, model_zoo["bert"], data, training=optimizer)
    training_arguments(recipe, tmp_path / "out", evaluates=True)


def test_a_check_needs_no_torch(model_zoo: Zoo, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", rows_of(CLASSIFY))
    folder = run_control.create(recipe_for(CLASSIFY, model_zoo["bert"], data))
    told = python("-c", (
        "import sys\n"
        "from pathlib import Path\n"
        "from hfterm.training.preflight import check\n"
        "from hfterm.training.run_files import read_recipe_of\n"
        "check(read_recipe_of(Path(sys.argv[1])))\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    ), str(folder))  # fmt: skip
    assert told.strip().endswith("[]")
