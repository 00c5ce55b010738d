"""A step of several batches, or processes, has the loss of one batch of as many rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import run_kit as kit
from hfterm.training.building import build
from hfterm.training.worker import make_trainer


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("BertForSequenceClassification", False),
        ("BertForMaskedLM", False),
        ("LlamaForSequenceClassification", False),
        ("T5ForConditionalGeneration", False),
        ("LlamaForCausalLM", True),
        ("GPT2LMHeadModel", True),
        ("ModernBertForMaskedLM", True),
        ("Gemma3ForCausalLM", True),
    ],
)
def test_whose_loss_is_divided_by_all_labels(name: str, counted: bool) -> None:
    import transformers

    from hfterm.training.loss_scale import is_counted

    assert is_counted(object.__new__(getattr(transformers, name))) == counted


@pytest.mark.parametrize("method", ["full", "lora"])
def test_accumulated_batches_are_averaged(method: str, tmp_path: Path) -> None:
    model, rows = kit.build_model(tmp_path), kit.build_rows(tmp_path)
    losses: list[float] = []
    for batch, accumulate in ((8, 1), (2, 4)):
        recipe = kit.recipe(
            model, rows, f"method.name={method}", f"training.batch_size={batch}",
            f"training.accumulate={accumulate}", "training.max_steps=1", "training.log_every=1",
        )  # fmt: skip
        built = build(recipe)
        for module in built.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer = make_trainer(built, tmp_path / f"{batch}", None)
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
