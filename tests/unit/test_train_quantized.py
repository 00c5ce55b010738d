"""QLoRA on a CPU: 4 and 8 bits train, and an evaluation leaves the gradients alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_fixtures import recipe_for, rows_of, write_rows

from hfterm.training.building import Built, build
from hfterm.training.recipe import Recipe
from hfterm.training.worker import make_trainer

QLORA: dict[str, object] = {
    "name": "qlora", "quant": "nf4", "r": 8, "alpha": 16, "target_modules": "all-linear",
}  # fmt: skip
LAYERS = 6


@pytest.fixture(scope="module")
def few_layers(starter_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2's first six layers of thirty: on a CPU each step of nf4 makes all weights anew."""
    folder = tmp_path_factory.mktemp("smollm2") / "six-layers"
    shutil.copytree(starter_kit / "smollm2", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": LAYERS}))
    weights = load_file(starter_kit / "smollm2/model.safetensors")
    kept = {
        name: weight for name, weight in weights.items()
        if not name.startswith("model.layers.") or int(name.split(".")[2]) < LAYERS
    }  # fmt: skip
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return folder


def chat_recipe(tmp_path: Path, model: Path, **method: object) -> Recipe:
    rows = write_rows(tmp_path / "chat.jsonl", rows_of("chat-sft", 4))
    return recipe_for(
        "chat-sft", model, rows, method=QLORA | method,
        data={"train": "train[:2]", "eval": "train[2:]", "max_length": 48},
        training={"max_steps": 2, "batch_size": 2, "eval_every": 1, "learning_rate": 1e-2},
    )  # fmt: skip


def gradients(built: Built) -> dict[str, torch.Tensor]:
    """Of one batch, in training mode."""
    batch = built.collator([built.train[row] for row in range(2)])
    built.model.train()
    built.model.zero_grad()
    built.model(**batch).loss.backward()
    return {
        name: weight.grad.clone()
        for name, weight in built.model.named_parameters()
        if weight.grad is not None
    }


def test_an_evaluation_leaves_the_gradients_of_nf4_alone(tmp_path: Path, few_layers: Path) -> None:
    built = build(chat_recipe(tmp_path, few_layers))
    before = gradients(built)
    assert len(before) == LAYERS * 7 * 2
    assert max(float(found.abs().max()) for found in before.values()) > 0
    built.model.eval()
    with torch.no_grad():
        built.model(**built.collator([built.train[0]]))
    after = gradients(built)
    assert before.keys() == after.keys()
    for name, found in before.items():
        assert torch.equal(found, after[name]), name


def losses(built: Built, folder: Path) -> tuple[list[float], list[float]]:
    trainer = make_trainer(built, folder, None)
    trainer.args.set_save("no")
    trainer.train()
    log = trainer.state.log_history
    return (
        [float(row["loss"]) for row in log if "loss" in row],
        [float(row["eval_loss"]) for row in log if "eval_loss" in row],
    )


def learns(built: Built, folder: Path) -> None:
    assert 0 < built.trainable < built.parameters / 10
    trained, held = losses(built, folder)
    assert trained[-1] < trained[0] - 0.3
    assert len(held) == 2


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_a_chat_is_learned(tmp_path: Path, few_layers: Path, quant: str) -> None:
    learns(build(chat_recipe(tmp_path, few_layers, quant=quant)), tmp_path / "out")


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_a_new_head_is_not_quantized(tmp_path: Path, starter_kit: Path, quant: str) -> None:
    recipe = recipe_for(
        "text-classification", "minilm", "reviews", method=QLORA | {"quant": quant},
        data={"train": "train[:16]", "eval": "train[-16:]", "shuffle": True, "max_length": 24},
        training={"max_steps": 4, "batch_size": 8, "eval_every": 2, "learning_rate": 2e-3},
    )  # fmt: skip
    built = build(recipe)
    assert built.new == ("classifier",)
    wrapper = built.model.get_submodule("base_model.model.classifier")
    assert type(wrapper).__name__ == "ModulesToSaveWrapper"
    for weight in wrapper.parameters():
        assert weight.dtype.is_floating_point
    kinds = {type(module).__name__ for module in built.model.modules()}
    assert ("Linear4bit" if quant == "nf4" else "Linear8bitLt") in kinds
    trained, _ = losses(built, tmp_path / "out")
    assert trained[-1] < trained[0]
