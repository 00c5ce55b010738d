"""What a recipe names that is odd: the hub, GGUF files, adapters, tokenizers, data sets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_fixtures import recipe_for, rows_of, write_rows

from hfterm.errors import HftermError
from hfterm.training.code import train_code
from hfterm.training.code_data import rows_lines
from hfterm.training.code_model import model_lines, model_source, tokenizer_lines
from hfterm.training.data import explained, fold_rows
from hfterm.training.preflight import check, warnings_of
from hfterm.training.recipe import Recipe
from hub_server import Hub

CLASSIFY = "text-classification"


@pytest.fixture
def bert(model_zoo: dict[str, Path]) -> Path:
    return model_zoo["bert"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", rows_of(CLASSIFY))


@pytest.fixture
def gguf(starter_kit: Path) -> Path:
    return next((starter_kit / "smollm2-gguf").glob("*.gguf"))


def refused(call: Callable[[], object]) -> HftermError:
    with pytest.raises(HftermError) as caught:
        call()
    assert "Traceback" not in caught.value.message
    return caught.value


# -- what is checked before a start ------------------------------------------------------------


def test_a_model_of_a_hub_that_answers_is_left_to_it(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    recipe = recipe_for(CLASSIFY, "lab/small", rows)
    with Hub(folders={"lab/small": tmp_path}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        check(recipe)
    # the same hub, gone
    error = refused(lambda: check(recipe))
    assert error.kind == "offline"
    assert "lab/small is not on this machine" in error.message
    assert "HF_ENDPOINT" in error.remedy
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in refused(lambda: check(recipe)).message


def test_a_gguf_file_is_left_to_the_library(gguf: Path, tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "texts.jsonl", rows_of("causal-lm"))
    check(recipe_for("causal-lm", gguf, texts))
    check(recipe_for("causal-lm", gguf, texts, model={"ref": str(gguf), "tokenizer": str(gguf)}))


def test_weights_without_a_header_are_left_to_the_library(
    model_zoo: dict[str, Path], rows: Path
) -> None:
    check(recipe_for(CLASSIFY, model_zoo["pickle"], rows, data={"eval": None},
                     training={"eval_every": None}))  # fmt: skip


def test_a_tokenizer_of_another_model_is_looked_at(
    bert: Path, rows: Path, zoo: dict[str, Path], tmp_path: Path
) -> None:
    def named(tokenizer: object) -> Recipe:
        return recipe_for(CLASSIFY, bert, rows, model={"tokenizer": str(tokenizer)})

    check(named(zoo["wordpiece-uncased"]))
    check(named("minilm"))
    empty = tmp_path / "empty"
    shutil.copytree(bert, empty)
    for file in empty.glob("*token*"):
        file.unlink()
    error = refused(lambda: check(named(empty)))
    assert error.kind == "no-tokenizer"
    assert str(empty) in error.message


def test_templates_in_a_folder_of_their_own_count(
    model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "chatting"
    shutil.copytree(model_zoo["llama"], folder)
    chats = write_rows(tmp_path / "chats.jsonl", rows_of("chat-sft"))
    recipe = recipe_for("chat-sft", folder, chats)
    assert refused(lambda: check(recipe)).kind == "no-template"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tools.jinja").write_text("{{ messages }}")
    check(recipe)


def test_a_file_of_accelerate_is_looked_for(bert: Path, rows: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    recipe = recipe_for(CLASSIFY, bert, rows, training={"accelerate_config": str(config)})
    assert refused(lambda: check(recipe)).kind == "not-found"
    config.write_text("num_processes: 1\n")
    check(recipe)


def test_sorted_rows_and_rare_labels_are_warned_of() -> None:
    assert warnings_of({"good": 50, "bad": 50}, {"good": 10, "bad": 10}) == []
    (said,) = warnings_of({"good": 80, "bad": 20}, {"good": 1, "bad": 9})
    assert said.startswith("good is 80 % of train and 10 % of eval")
    (said,) = warnings_of({"good": 970, "bad": 30}, {})
    assert said == "bad has only 30 of 1,000 rows."
    assert warnings_of({}, {}) == []


# -- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(13, "Permission denied"), "unreadable", "can't be read: Permission denied."),
        (OSError("a torn archive\nat 7"), "unreadable", "rows.csv can't be read: a torn archive"),
        (RuntimeError("Dataset scripts are no longer supported"), "script-data-set", "rows.csv"),
        (ValueError("Couldn't find any data file at x"), "offline", "the hub can't be reached"),
        (ValueError("Unknown split 'x'"), "no-split", "no split 'train'"),
        (RuntimeError("Connection aborted"), "offline", "rows.csv is not here"),
    ],
)  # fmt: skip
def test_what_the_library_raises_is_said_in_words(error: Exception, kind: str, said: str) -> None:
    def load() -> None:
        with explained("rows.csv", "train"):
            raise error

    found = refused(load)
    assert found.kind == kind
    assert said in found.message
    assert "\n" not in found.message


def test_folds_of_texts_are_dealt_without_labels(bert: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    texts = rows_of("causal-lm", 20)
    there = Dataset.from_list(texts)
    found: list[int] = []
    for fold in (1, 2, 3):
        recipe = recipe_for(
            "causal-lm", bert, tmp_path, data={"eval": None}, folds=3, fold=fold, group="g"
        )
        found += fold_rows(recipe, there)
    assert sorted(found) == list(range(20))
    few = Dataset.from_list(texts[:2])
    assert "2 rows can't be parted into 3 folds" in refused(lambda: fold_rows(recipe, few)).message


def test_tags_that_are_no_list_name_the_row(tmp_path: Path, bert: Path) -> None:
    found = rows_of("token-classification")
    for number, row in enumerate(found):
        row["tags"] = number
    path = write_rows(tmp_path / "tags.jsonl", found)
    labels = {"labels": ["O", "PER"]}
    error = refused(lambda: check(recipe_for("token-classification", bert, path, data=labels)))
    assert error.kind == "bad-label"
    assert "no list of tags" in error.message


# -- the script --------------------------------------------------------------------------------


def test_an_adapter_has_no_script(model_zoo: dict[str, Path], rows: Path) -> None:
    recipe = recipe_for(CLASSIFY, model_zoo["lora-labels"], rows)
    error = refused(lambda: model_source(recipe))
    assert error.kind == "adapter"
    assert "Merge it" in error.remedy


def test_a_script_opens_the_tokenizer_that_is_named(
    bert: Path, rows: Path, zoo: dict[str, Path], starter_kit: Path
) -> None:
    def lines(tokenizer: object) -> str:
        recipe = recipe_for(CLASSIFY, bert, rows, model={"tokenizer": str(tokenizer)})
        return tokenizer_lines(recipe, model_source(recipe))

    assert f"from_pretrained('{zoo['wordpiece-uncased']}')" in lines(zoo["wordpiece-uncased"])
    assert f"from_pretrained('{starter_kit / 'minilm'}')" in lines("minilm")
    assert f"from_pretrained('{bert}')" in lines("")


def test_a_script_quantizes_on_the_device_that_there_is(bert: Path, rows: Path) -> None:
    def lines(device: str) -> str:
        recipe = recipe_for(
            CLASSIFY, bert, rows, model={"device": device},
            method={"name": "qlora", "target_modules": ["query"]},
        )  # fmt: skip
        return model_lines(recipe, model_source(recipe))

    assert "device = torch.accelerator.current_accelerator(check_available=True) or " in lines(
        "auto"
    )
    assert "device = 'cuda:1'" in lines("cuda:1")


def test_a_script_of_a_hub_data_set_names_its_subset(bert: Path) -> None:
    def lines(**data: Any) -> str:
        return rows_lines(recipe_for(CLASSIFY, bert, "lab/rows", data=data))

    assert "load_dataset('lab/rows', 'en', split='train[:16]')" in lines(subset="en")
    assert "load_dataset('lab/rows', split='train[:16]')" in lines()


def test_a_script_of_folds_of_texts_sorts_by_no_label(bert: Path, tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "texts.jsonl", rows_of("causal-lm"))
    recipe = recipe_for("causal-lm", bert, texts, data={"eval": None}, folds=3)
    assert "permutation(len(rows))" in rows_lines(recipe)
    assert "argsort" not in rows_lines(recipe)


def test_a_script_of_methods_that_are_not_evaluated_compares_nothing(
    bert: Path, rows: Path
) -> None:
    recipe = recipe_for(
        CLASSIFY, bert, rows, data={"eval": None}, compare=["full", "lora"],
        method={"target_modules": ["query"]}, training={"eval_every": 0},
    )  # fmt: skip
    script = train_code(recipe)
    compile(script, "train.py", "exec")
    assert "for name, method, fold in runs:" in script
    assert "results" not in script
