"""Show code of Train: every script runs unchanged, without hfterm, and gives the run's losses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from training_fixtures import (
    CHAT_TEMPLATE,
    SCRIPTS,
    Rows,
    printed_rows,
    python,
    recipe_for,
    rows_of,
    run_all,
    write_rows,
)

from hfterm.training import run_control
from hfterm.training.arguments import LIBRARY
from hfterm.training.code import train_code
from hfterm.training.recipe import Recipe, expand

FULL: dict[str, object] = {"name": "full"}
LORA: dict[str, object] = {"name": "lora", "r": 4, "alpha": 8, "dropout": 0.1}
NF4 = LORA | {"name": "qlora", "target_modules": "all-linear"}
SAME = ("loss", "grad_norm", "learning_rate")


def compare(ours: Rows, theirs: Rows, name: str, tolerance: float = 1e-5) -> None:
    """Each row of a run beside the row that the script printed."""
    assert [row["step"] for row in ours] == [row["step"] for row in theirs], name
    assert sum("loss" in row for row in ours) > 1, name
    for one, other in zip(ours, theirs, strict=True):
        named = [key for key in one if key in SAME or key.startswith("eval_")]
        timed = ("runtime", "second", "perplexity")
        for key in (key for key in named if not any(word in key for word in timed)):
            assert other[key] == pytest.approx(one[key], rel=tolerance, abs=tolerance), (name, key)


def check_all(recipes: dict[str, Recipe], tmp_path: Path) -> None:
    """All runs in one process, and all scripts in another that has no hfterm loaded."""
    runs = run_all(list(recipes.values()))
    places: list[str] = []
    for number, recipe in enumerate(recipes.values()):
        folder = tmp_path / f"script-{number}"
        folder.mkdir()
        (folder / "train.py").write_text(train_code(recipe), encoding="utf-8")
        places.append(str(folder / "train.py"))
    printed = python("-c", SCRIPTS, *places).split("DONE ")
    for name, ours, text in zip(recipes, runs, printed, strict=False):
        compare(ours, printed_rows(text), name)
    for number in range(len(recipes)):
        saved = list((tmp_path / f"script-{number}").glob("*/model/*.safetensors"))
        assert saved, number


@pytest.fixture
def chat_model(model_zoo: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "chatting"
    shutil.copytree(model_zoo["llama"], folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


def made(tmp_path: Path, task: str, ending: str = "jsonl") -> Path:
    return write_rows(tmp_path / f"{task}.{ending}", rows_of(task))


MODELS = {
    "text-classification": "bert",
    "token-classification": "distilbert",
    "question-answering": "bert",
    "masked-lm": "roberta",
    "causal-lm": "gpt2",
    "seq2seq": "t5",
}


def test_every_task(model_zoo: dict[str, Path], tmp_path: Path, chat_model: Path) -> None:
    recipes = {
        f"{task} {method['name']}": recipe_for(
            task, model_zoo[model], made(tmp_path, task), method=method
        )
        for task, model in MODELS.items()
        for method in (FULL, LORA)
    }
    chat = made(tmp_path, "chat-sft")
    recipes["chat full"] = recipe_for("chat-sft", chat_model, chat)
    recipes["chat nf4"] = recipe_for("chat-sft", chat_model, chat, method=NF4)
    check_all(recipes, tmp_path)


def test_the_keys_of_a_recipe(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    """What a recipe can say besides: files, labels, slices, schedules, adapters."""
    tags = ["O", "B-PER", "I-PER"]
    named = [
        row | {"label": ("bad", "fair", "good")[int(str(row["label"]))], "other": row["text"]}
        for row in rows_of("text-classification")
    ]
    words = write_rows(tmp_path / "named.tsv", named)
    parquet = write_rows(tmp_path / "tags.parquet", rows_of("token-classification"))
    spread = tmp_path / "several"
    spread.mkdir()
    for number in range(2):
        write_rows(spread / f"{number}.csv", rows_of("text-classification", 12))
    classify, bert = "text-classification", model_zoo["bert"]
    plain = made(tmp_path, classify, "csv")
    cosine = {
        "max_steps": None, "epochs": 2, "accumulate": 2, "scheduler": "cosine", "warmup": 0.2,
        "weight_decay": 0.1, "max_grad_norm": 0.5, "eval_every": 0, "seed": 7, "precision": "bf16",
        "optimizer": "adamw_torch", "load_best": True, "early_stopping": 1, "save_every": 0,
    }  # fmt: skip
    recipes = {
        "words and pairs": recipe_for(
            classify, bert, words,
            data={"labels": ["bad", "fair", "good"],
                  "columns": {"text": "text", "text_pair": "other"}},
        ),
        "shuffled": recipe_for(classify, bert, spread / "*.csv", data={"shuffle": True}),
        "slices": recipe_for(
            classify, model_zoo["gpt2"], spread,
            data={"train": "train[:25%]+train[-8:]", "eval": ""},
            training={"eval_every": 0},
        ),
        "schedule": recipe_for(classify, bert, plain, training=cosine),
        "fold": recipe_for(
            classify, bert, plain, data={"eval": "", "train": "train"}, folds=3, fold=2
        ),
        "entities": recipe_for(
            "token-classification", bert, parquet, data={"labels": tags}, method=LORA
        ),
        "tags of parquet": recipe_for("token-classification", bert, parquet),
        "dora": recipe_for(
            classify, model_zoo["roberta"], plain,
            method=LORA | {"dora": True, "rslora": True, "bias": "lora_only",
                           "target_modules": ["query", "dense"]},
        ),
        "another head": recipe_for(classify, model_zoo["bert-200"], plain, model={
            "tokenizer": str(model_zoo["bert"]), "dtype": "bfloat16"}),
        "text": recipe_for("causal-lm", model_zoo["llama"], made(tmp_path, "causal-lm", "txt")),
        "workers": recipe_for(
            "masked-lm", model_zoo["bert-mlm"], made(tmp_path, "masked-lm"),
            training={"workers": 1}, data={"mask": 0.3},
        ),
        "int8": recipe_for(classify, bert, plain, method=NF4 | {"quant": "int8"}),
    }  # fmt: skip
    check_all(recipes, tmp_path)


def test_several_runs_are_a_loop(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipe_for(
        "text-classification", model_zoo["bert"], made(tmp_path, "text-classification", "csv"),
        data={"eval": "", "train": "train"}, training={"max_steps": 2, "eval_every": 2},
        method=LORA, folds=2, compare=["full", "lora", "qlora"],
    )  # fmt: skip
    runs = run_all(expand(recipe, "group"))
    script = tmp_path / "train.py"
    script.write_text(train_code(recipe))
    printed = python(str(script), cwd=tmp_path)
    rows = printed_rows(printed)
    for number, ours in enumerate(runs):
        compare(ours, rows[3 * number : 3 * number + 3], f"run {number}")
    for method, place in (("full", 0), ("lora", 1), ("qlora", 2)):
        both = [float(str(runs[place + 3 * fold][-1]["eval_accuracy"])) for fold in range(2)]
        [line] = [line for line in printed.splitlines() if line.startswith(f"{method} ")]
        name, mean, sign, _ = line.split()[1:]
        assert (name, sign) == ("eval_accuracy", "±")
        assert float(mean) == pytest.approx(sum(both) / 2)


def reviews(method: dict[str, object]) -> Recipe:
    return recipe_for(
        "text-classification", "minilm", "reviews", method=method,
        data={"train": "train[:256]", "eval": "train[-64:]", "shuffle": True, "max_length": 32},
        training={"max_steps": 8, "batch_size": 16, "eval_every": 4, "eval_batch_size": 64},
    )  # fmt: skip


METHODS = {"full": FULL, "lora": LORA | {"r": 8}}


@pytest.fixture(scope="module")
def logged(starter_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """What the real model's runs log, both of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        rows = run_all([reviews(method) for method in METHODS.values()])
    return dict(zip(METHODS, rows, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_minilm_on_reviews(method: str, logged: dict[str, Rows], tmp_path: Path) -> None:
    """The real model, the script in an interpreter of its own: losses to 1e-5."""
    script = tmp_path / "train.py"
    script.write_text(train_code(reviews(METHODS[method])))
    compare(logged[method], printed_rows(python(str(script), cwd=tmp_path)), "minilm")


def test_a_launcher_is_named(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    data = made(tmp_path, "causal-lm")
    recipe = recipe_for("causal-lm", model_zoo["gpt2"], data, training={"processes": 2})
    assert "# start it with: accelerate launch --num_processes 2 --cpu SCRIPT" in train_code(recipe)
    config = tmp_path / "fsdp.yaml"
    config.write_text("{}")
    told = {"accelerate_config": str(config)}
    recipe = recipe_for("causal-lm", model_zoo["gpt2"], data, training=told)
    assert f"accelerate launch --config_file {config} SCRIPT" in train_code(recipe)
    recipe = recipe_for("causal-lm", model_zoo["gpt2"], data, model={"device": "cuda:1"})
    assert "CUDA_VISIBLE_DEVICES=1 python SCRIPT" in train_code(recipe)


def test_what_is_left_out_is_the_library_s_default() -> None:
    from dataclasses import fields

    from transformers import TrainingArguments

    defaults = {field.name: field.default for field in fields(TrainingArguments)}
    for name, value in LIBRARY.items():
        there = defaults[name]
        assert getattr(there, "value", there) == value or not (there or value), name


def test_nothing_heavy_is_imported(model_zoo: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipe_for("causal-lm", model_zoo["gpt2"], made(tmp_path, "causal-lm"))
    folder = run_control.create(recipe)
    told = python("-c", (
        "import sys\n"
        "from pathlib import Path\n"
        "from hfterm.training.code import train_code\n"
        "from hfterm.training.run_files import read_recipe_of\n"
        "train_code(read_recipe_of(Path(sys.argv[1])))\n"
        "import json\n"
        "heavy = ('torch', 'transformers', 'datasets', 'numpy', 'peft')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))\n"
    ), str(folder))  # fmt: skip
    assert json.loads(told) == []
