"""Models for the tests of inference, beyond the zoo's, and each loaded once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from corpus import ESC
from hfterm.inference.loading import OpenModel, load_model
from hfterm.inference.options import AUTO_OF, Task, TaskOptions
from hfterm.inference.predicting import predict
from hfterm.inference.types import Prediction
from hfterm.models.types import ModelSpec
from model_zoo import config_of

if TYPE_CHECKING:
    from transformers.modeling_utils import PreTrainedModel

HOSTILE_LABELS = ("[red]x[/red]", f"{ESC}[31mred{ESC}[0m", f"{ESC}]52;c;aGk=\x07", "[/nope]")
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LONG = " ".join(f"the quick brown fox {number} jumps over café" for number in range(40))
"""Longer than the zoo's models take."""


def build_more(folder: Path, zoo: dict[str, Path]) -> dict[str, Path]:
    """Checkpoints with what the zoo lacks; name → folder, the zoo's included."""
    import torch
    import transformers

    t: Any = transformers  # its classes take one config each, where `config_of` gives any
    made = dict(zoo)

    def save(name: str, model: PreTrainedModel, tokenizer: str = "bert") -> Path:
        path = made[name] = folder / name
        model.save_pretrained(path)
        for file in zoo[tokenizer].glob("*token*"):
            shutil.copy(file, path)
        return path

    def labels(*names: str) -> dict[str, object]:
        return {
            "id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)},
        }  # fmt: skip

    with torch.random.fork_rng():
        torch.manual_seed(1)
        many = config_of("bert", num_labels=4, problem_type="multi_label_classification")
        save("multi", t.BertForSequenceClassification(many))
        save("regression", t.BertForSequenceClassification(config_of("bert", num_labels=1)))
        hostile = t.BertForSequenceClassification(config_of("bert", **labels(*HOSTILE_LABELS)))
        save("hostile", hostile)
        entail = config_of("bert", **labels("entailment", "other"))
        save("entail-first", t.BertForSequenceClassification(entail))
        save("chooser", t.BertForMultipleChoice(config_of("bert")))
        save("roberta-ner", t.RobertaForTokenClassification(config_of("roberta")), "roberta")
        broken = t.AutoModelForSequenceClassification.from_pretrained(zoo["bert-labels"])
        with torch.no_grad():
            broken.bert.encoder.layer[1].output.dense.weight[3, 4] = float("nan")
        save("nan", broken)
        causal = t.AutoModelForCausalLM.from_pretrained(zoo["gpt2"])
        with torch.no_grad():
            causal.transformer.ln_f.weight[3] = float("nan")
        save("nan-gpt2", causal, "gpt2")
        code = t.CodeGenConfig(vocab_size=1024, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)
        save("codegen", t.CodeGenForCausalLM(code), "gpt2")
        silent = config_of("t5")
        del silent.decoder_start_token_id  # as T5's configs are when nothing sets it
        save("t5-no-start", t.T5ForConditionalGeneration(silent), "t5")
        bare = t.AutoModelForSequenceClassification.from_pretrained(zoo["bert-labels"])
        bare.save_pretrained(folder / "bare")
        made["bare"] = folder / "bare"
    chat = made["chat"] = folder / "chat"
    shutil.copytree(zoo["gpt2"], chat)
    told = chat / "tokenizer_config.json"
    told.write_text(json.dumps(json.loads(told.read_text()) | {"chat_template": CHAT}))
    return made


@pytest.fixture(scope="session")
def models(model_zoo: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder of every model. Read only."""
    return build_more(tmp_path_factory.mktemp("more"), model_zoo)


@cache
def _load(spec: ModelSpec) -> OpenModel:
    return load_model(spec)


class Shelf:
    """Models by name, loaded once for all tests."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders

    def spec(self, name: str, task: Task, **more: object) -> ModelSpec:
        """How a model is loaded for a task."""
        ref = str(self.folders.get(name, name))
        return ModelSpec(**({"ref": ref, "auto": AUTO_OF[task]} | more))  # pyright: ignore

    def open(self, name: str, task: Task, **more: object) -> OpenModel:
        """It, loaded."""
        return _load(self.spec(name, task, **more))

    def predict(self, name: str, text: str, task: Task, **options: object) -> Prediction:
        """What it says."""
        told = TaskOptions(task=task, **options)  # pyright: ignore[reportArgumentType]
        return predict(self.open(name, task), text, told)


@pytest.fixture(scope="session")
def shelf(models: dict[str, Path]) -> Iterator[Shelf]:
    """The models, opened when they are needed."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small lose by waiting for a second thread
    yield Shelf(models)
    torch.set_num_threads(threads)
