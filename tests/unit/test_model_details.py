"""Configs, parameters, LoRA, comparisons and big configs of models, against the libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

import model_zoo as models
from hfterm.engine import model_requests as requests
from hfterm.engine.handlers import models as handlers
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.models import opening
from hfterm.models.compare import compare_models
from hfterm.models.configuration import config_entries
from hfterm.models.lora import ALL_LINEAR, default_targets, lora_estimate
from hfterm.models.overview import overview
from hfterm.models.parameters import parameter_tree
from hfterm.models.types import LoadingReport, Mismatch, ModelComparison, ModelSpec
from hfterm.widgets.model_tables import parameter_rows

Zoo = dict[str, Path]


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    opening.import_modelling()


def on_meta(config: transformers.PreTrainedConfig, name: str) -> transformers.PreTrainedModel:
    return opening.on_meta(opening.concrete_of(name, config), config)


# -- what is named ---------------------------------------------------------------------------


def test_a_config_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "my config.json"
    file.write_text(json.dumps(models.config_of("bert", num_labels=4).to_dict()))
    found = overview(str(file))
    assert (found.source.kind, found.source.weights, found.model_type) == ("config", "none", "bert")
    assert len(found.labels) == 4
    model = transformers.BertModel(models.config_of("bert"))
    assert (found.main, found.parameters) == ("BertModel", model.num_parameters())


def test_the_config_file_of_a_checkpoint_is_the_checkpoint(model_zoo: Zoo) -> None:
    folder = model_zoo["bert-labels"]
    there = overview(str(folder))
    for file in ("config.json", "model.safetensors"):
        here = overview(str(folder / file))
        assert (here.classes, here.source.path) == (there.classes, there.source.path)


def test_an_architecture_has_the_sizes_of_its_default() -> None:
    found = overview("distilbert")
    with torch.device("meta"):
        model = transformers.DistilBertModel(transformers.DistilBertConfig())
    assert found.parameters == model.num_parameters()
    assert any("default config" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ('{"model_type": "be', "bad-config", "whole JSON"),
        ("", "bad-config", "whole JSON"),
        ("[" * 100_000, "bad-config", "whole JSON"),
        ("[1, 2]", "bad-config", "no object"),
        ("null", "bad-config", "no object"),
        ('{"hidden_size": 3}', "no-model-type", "model_type"),
        ('{"model_type": "weird"}', "unknown-architecture", "weird"),
        ('{"model_type": ["bert"]}', "bad-config", "unhashable"),
        ('{"model_type": "bert", "hidden_size": "wide"}', "bad-config", "hidden_size.*wide"),
        ('{"model_type": "bert", "vocab_size": null}', "bad-config", "vocab_size.*None"),
        ('{"model_type": "bert", "id2label": ["a"]}', "bad-config", "config"),
        ('{"model_type": "bert", "dtype": "float99"}', "bad-config", "float99"),
    ],
)
@pytest.mark.parametrize("as_file", [False, True])
def test_a_broken_config_says_what_is_wrong(
    content: str, kind: str, words: str, as_file: bool, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(HftermError, match=words) as caught:
        overview(str(file if as_file else tmp_path))
    error = caught.value
    assert error.kind == kind
    assert error.remedy
    assert str(tmp_path) in error.message or kind == "unknown-architecture"
    assert "\n" not in error.message + error.remedy


def test_a_config_that_builds_no_model_is_described_all_the_same(tmp_path: Path) -> None:
    models.config_of("bert", hidden_size=33).save_pretrained(tmp_path)
    found = overview(str(tmp_path))
    assert found.parameters is None
    assert any("33" in note and "multiple" in note for note in found.notes)
    assert found.of("AutoModelForMaskedLM")


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ([], "no-config", "no config.json"),
        (["model.safetensors"], "no-config", "no config.json"),
        (["a.gguf", "b.gguf"], "no-config", "2 GGUF"),
        (["adapter_config.json"], "no-base", "adapter"),
    ],
)
def test_a_folder_without_a_config(files: list[str], kind: str, words: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(HftermError, match=words) as caught:
        overview(str(tmp_path))
    assert caught.value.kind == kind
    assert str(tmp_path) in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("", "empty"), ("  ", "empty"), ("/no/such/folder", "not-found"), ("a b", "not-found"),
        ("reviews", "not-a-model"), ("x" * 5000, "not-found"), ("./" + "y" * 5000, "unreadable"),
        ("nul\0byte", "not-found"), ("./nul\0byte", "not-found"),
    ],
)  # fmt: skip
def test_what_names_no_model(ref: str, kind: str, starter_kit: Path) -> None:
    with pytest.raises(HftermError) as caught:
        overview(ref)
    assert (caught.value.kind, bool(caught.value.remedy)) == (kind, True)
    assert len(caught.value.message) < 400


def test_a_file_of_another_kind_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(HftermError) as caught:
        overview(str(tmp_path / "notes.txt"))
    assert caught.value.kind == "not-a-model"


# -- code of a repository --------------------------------------------------------------------

MAP = {"AutoConfig": "configuration_weird.WeirdConfig", "AutoModel": "modeling_weird.WeirdModel"}
CONFIG_CODE = """
from pathlib import Path
Path({ran!r}).touch()
from transformers import PreTrainedConfig
class WeirdConfig(PreTrainedConfig):
    model_type = "weird"
"""
MODEL_CODE = """
from pathlib import Path
Path({ran!r}).touch()
import torch
from transformers import PreTrainedModel
from .configuration_weird import WeirdConfig
class WeirdModel(PreTrainedModel):
    config_class = WeirdConfig
    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(3, 4)
        self.post_init()
"""


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str], Path]:
    def make(model_type: str) -> Path:
        folder = tmp_path / "repository"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": model_type, "auto_map": MAP}))
        for name, code in (("configuration", CONFIG_CODE), ("modeling", MODEL_CODE)):
            text = code.format(ran=str(tmp_path / f"{name} ran"))
            (folder / f"{name}_weird.py").write_text(text)
        return folder

    return make


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What `trust_remote_code` every config was opened with."""
    told: list[object] = []
    real = transformers.AutoConfig.from_pretrained

    def spy(*args: Any, **more: Any) -> object:
        told.append(more.get("trust_remote_code"))
        return real(*args, **more)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", spy)
    return told


def test_code_of_a_repository_is_named_and_not_run(
    repository: Callable[[str], Path], trusted: list[object], tmp_path: Path
) -> None:
    folder = repository("weird")
    with pytest.raises(HftermError) as caught:
        overview(str(folder))
    assert caught.value.kind == "remote-code"
    for words in (str(folder), "configuration_weird.py", "modeling_weird.py"):
        assert words in caught.value.message
    assert trusted == [False]
    assert not list(tmp_path.glob("* ran"))


def test_code_of_a_repository_runs_after_a_yes(
    repository: Callable[[str], Path], trusted: list[object], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = repository("weird")
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = ModelSpec(ref=str(folder), allow_code=True)
    found = overview(spec.ref, spec)
    assert trusted == [True]
    assert [note for note in found.notes if "as you said yes" in note]
    assert not [note for note in found.notes if "not run" in note]
    for name in ("configuration", "modeling"):
        assert (tmp_path / f"{name} ran").exists(), "the marker marks nothing"
    assert (found.model_type, found.main, found.parameters) == ("weird", "WeirdModel", 16)
    assert [(r.auto, r.concrete, r.verdict) for r in found.classes] == [
        ("AutoModel", "WeirdModel", "untrained")
    ]
    save_file({"layer.weight": torch.ones(4, 3)}, folder / "model.safetensors", {"format": "pt"})
    report = overview(spec.ref, spec).of("AutoModel")
    assert report is not None
    assert (report.missing, report.verdict) == (("layer.bias",), "incomplete")
    config = opening.load_config(opening.find(spec.ref, Job()), allow_code=True)
    for missing in ("AutoModelForCausalLM", "NothingModel"):
        with pytest.raises(HftermError) as caught:
            opening.concrete_of(missing, config)
        assert caught.value.kind == "no-class"


def test_code_of_a_repository_that_can_t_run_is_an_error_of_its_own(
    repository: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repository("weird")
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    for file, line in (("modeling", "raise RuntimeError('no luck')"),
                       ("modeling", "import no_such_package"),
                       ("configuration", "import no_such_package")):  # fmt: skip
        code = folder / f"{file}_weird.py"
        whole = code.read_text()
        code.write_text(f"{line}\n{whole}")
        try:
            found = overview(str(folder), ModelSpec(ref=str(folder), allow_code=True))
        except HftermError as error:
            said = error.message
        else:
            said = " ".join(found.notes)
        assert "no luck" in said or "no_such_package" in said
        code.write_text(whole)


def test_a_known_architecture_needs_none_of_its_repository_s_code(
    repository: Callable[[str], Path], trusted: list[object], tmp_path: Path
) -> None:
    found = overview(str(repository("bert")))
    assert found.main == "BertModel"
    assert found.source.code == ("configuration_weird.py", "modeling_weird.py")
    assert any("configuration_weird.py" in note for note in found.notes)
    assert trusted == [False]
    assert not list(tmp_path.glob("* ran"))


@pytest.mark.parametrize("allow", [False, True])
def test_weights_are_opened_with_what_was_allowed(
    allow: bool, model_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    real = transformers.BertModel.from_pretrained

    def spy(*args: Any, **more: Any) -> object:
        told.append(more)
        return real(*args, **more)

    monkeypatch.setattr(transformers.BertModel, "from_pretrained", spy)
    ref = str(model_zoo["bert"])
    overview(ref, ModelSpec(ref=ref, allow_code=allow, allow_pickle=allow))
    assert {more["trust_remote_code"] for more in told} == {allow}
    assert {more["use_safetensors"] for more in told} == {None if allow else True}
    assert {more["local_files_only"] for more in told} == {True}


# -- config ----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", models.TOKENIZER_OF)
def test_every_field_of_a_config_is_beside_its_default(architecture: str) -> None:
    config = models.config_of(architecture)
    entries = {entry.name: entry for entry in config_entries(config)}
    default = type(config)().to_dict()
    flat = {name for name, value in config.to_dict().items() if not isinstance(value, dict)}
    assert flat <= set(entries)
    assert list(entries) == sorted(entries)
    for name in flat:
        entry = entries[name]
        assert json.loads(entry.value) == json.loads(json.dumps(config.to_dict()[name]))
        if name in default:
            assert json.loads(entry.default) == json.loads(json.dumps(default[name]))
            assert entry.differs == (config.to_dict()[name] != default[name])
    assert entries["vocab_size"].differs
    assert not entries["transformers_version"].differs


def test_a_default_config_differs_in_nothing() -> None:
    for cls in (transformers.BertConfig, transformers.T5Config, transformers.CLIPConfig):
        assert [entry.name for entry in config_entries(cls()) if entry.differs] == []


def test_fields_of_nested_configs_have_dots() -> None:
    config = transformers.CLIPConfig(text_config={"hidden_size": 64, "extra": [1]})
    entries = {entry.name: entry for entry in config_entries(config)}
    size = entries["text_config.hidden_size"]
    assert (size.value, size.differs) == ("64", True)
    assert (entries["text_config.extra"].default, entries["text_config.extra"].differs) == (
        "",
        True,
    )
    assert not entries["vision_config.hidden_size"].differs


# -- parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "auto"),
    [
        ("bert", "AutoModel"), ("bert-mlm", "AutoModelForMaskedLM"),
        ("bert-labels", "AutoModelForSequenceClassification"), ("gpt2", "AutoModelForCausalLM"),
        ("bart", "AutoModelForSeq2SeqLM"), ("t5", "AutoModelForSeq2SeqLM"),
        ("llama", "AutoModelForCausalLM"), ("llama-untied", "AutoModelForCausalLM"),
        ("sharded", "AutoModelForCausalLM"), ("distilbert", "AutoModelForMaskedLM"),
        ("roberta", "AutoModelForMaskedLM"), ("lora-causal", "AutoModelForCausalLM"),
    ],
)  # fmt: skip
def test_the_parameters_are_those_of_the_real_model(name: str, auto: str, model_zoo: Zoo) -> None:
    source = opening.find(str(model_zoo[name]), Job())
    config = opening.load_config(source)
    model, report = opening.dry_run(source, opening.concrete_of(auto, config), config)
    tree = parameter_tree(model, report)
    real = getattr(transformers, auto).from_pretrained(model_zoo[name])
    expected = dict(real.named_parameters(remove_duplicate=False))
    assert [found.name for found in tree.parameters] == list(expected)
    unique = dict(real.named_parameters())
    for found in tree.parameters:
        parameter = expected[found.name]
        assert (found.shape, found.dtype) == (tuple(parameter.shape), "float32")
        assert (found.count, found.tied_to == "") == (
            (parameter.numel(), True) if found.name in unique else (0, False)
        )
        if found.tied_to:
            assert expected[found.tied_to] is parameter
        assert found.trainable == parameter.requires_grad
    assert tree.total == sum(parameter.numel() for parameter in real.parameters())
    assert tree.cls == type(real).__name__


@pytest.mark.parametrize(
    ("name", "tied"),
    [("llama", {"lm_head.weight": "model.embed_tokens.weight"}), ("llama-untied", {}),
     ("gpt2", {"lm_head.weight": "transformer.wte.weight"})],
)  # fmt: skip
def test_tied_parameters_say_to_what(name: str, tied: dict[str, str], model_zoo: Zoo) -> None:
    source = opening.find(str(model_zoo[name]), Job())
    config = opening.load_config(source)
    for model in (
        on_meta(config, "AutoModelForCausalLM"),
        opening.dry_run(source, opening.concrete_of("AutoModelForCausalLM", config), config)[0],
    ):
        tree = parameter_tree(model)
        assert {p.name: p.tied_to for p in tree.parameters if p.tied_to} == tied


def test_a_parameter_says_whether_the_checkpoint_has_it(model_zoo: Zoo) -> None:
    model = on_meta(models.config_of("bert"), "AutoModelForSequenceClassification")
    report = LoadingReport(
        missing=("classifier.bias",), mismatched=(Mismatch("classifier.weight", (3, 4), (2, 4)),)
    )
    states = {found.name: found.state for found in parameter_tree(model, report).parameters}
    assert states.pop("classifier.bias") == "new"
    assert states.pop("classifier.weight") == "mismatched"
    assert set(states.values()) == {"stored"}


@pytest.mark.parametrize(
    ("ref", "told", "states"),
    [("bert", {}, {"random"}), ("config-only", {}, {"random"}), ("bert-labels", {}, {"stored"}),
     ("bert-labels", {"random": True}, {"random"}), ("bert-mlm", {}, {"stored", "new"})],
)  # fmt: skip
def test_without_weights_every_parameter_is_random(
    ref: str, told: dict[str, Any], states: set[str], model_zoo: Zoo
) -> None:
    ref = ref if ref == "bert" else str(model_zoo[ref])
    spec = ModelSpec(ref=ref, auto="AutoModelForSequenceClassification", **told)
    tree = handlers.list_parameters(requests.ListParameters(spec=spec), Job())
    assert {found.state for found in tree.parameters} == states
    table = parameter_rows(tree.parameters)
    assert {table.values(index)[-1] for index in range(len(table))} == states


# -- LoRA ------------------------------------------------------------------------------------

LORA: list[tuple[str, str, list[str] | None]] = [
    ("bert", "AutoModel", ["query", "value"]),
    ("bert", "AutoModel", ["query", "key", "value", "dense"]),
    ("bert", "AutoModelForMaskedLM", [ALL_LINEAR]),
    ("bert", "AutoModelForSequenceClassification", None),
    ("bert", "AutoModelForSequenceClassification", [ALL_LINEAR]),
    ("bert", "AutoModelForTokenClassification", None),
    ("bert", "AutoModelForSequenceClassification", ["query", "dense"]),
    ("bert", "AutoModelForQuestionAnswering", None),
    ("distilbert", "AutoModel", ["q_lin", "v_lin"]),
    ("distilbert", "AutoModelForSequenceClassification", ["q_lin", "v_lin"]),
    ("distilbert", "AutoModelForMaskedLM", [ALL_LINEAR]),
    ("roberta", "AutoModelForMaskedLM", None),
    ("roberta", "AutoModelForSequenceClassification", None),
    ("roberta", "AutoModelForSequenceClassification", ["query", "dense"]),
    ("roberta", "AutoModelForSequenceClassification", [ALL_LINEAR]),
    ("gpt2", "AutoModelForCausalLM", None),
    ("gpt2", "AutoModelForCausalLM", ["c_attn", "c_proj", "c_fc"]),
    ("gpt2", "AutoModelForCausalLM", [ALL_LINEAR]),
    ("gpt2", "AutoModelForSequenceClassification", None),
    ("bart", "AutoModelForSequenceClassification", ["q_proj"]),
    ("bart", "AutoModelForSequenceClassification", [ALL_LINEAR]),
    ("bart", "AutoModelForSeq2SeqLM", None),
    ("bart", "AutoModelForSeq2SeqLM", [ALL_LINEAR]),
    ("t5", "AutoModelForSeq2SeqLM", None),
    ("t5", "AutoModelForSeq2SeqLM", [ALL_LINEAR]),
    ("llama", "AutoModelForCausalLM", None),
    ("llama", "AutoModelForCausalLM", ["gate_proj", "up_proj", "down_proj"]),
    ("llama", "AutoModelForCausalLM", [ALL_LINEAR]),
    ("llama", "AutoModelForSequenceClassification", [ALL_LINEAR]),
]


@pytest.mark.parametrize(("architecture", "auto", "targets"), LORA)
@pytest.mark.parametrize("rank", [1, 8, 64])
def test_lora_adds_what_peft_adds(
    architecture: str, auto: str, targets: list[str] | None, rank: int
) -> None:
    model = on_meta(models.config_of(architecture), auto)
    estimate = lora_estimate(model, rank, targets)
    full = sum(parameter.numel() for parameter in model.parameters())
    kind = {
        "AutoModelForSequenceClassification": "SEQ_CLS",
        "AutoModelForTokenClassification": "TOKEN_CLS",
        "AutoModelForQuestionAnswering": "QUESTION_ANS",
        "AutoModelForCausalLM": "CAUSAL_LM",
        "AutoModelForSeq2SeqLM": "SEQ_2_SEQ_LM",
    }.get(auto)
    told = "all-linear" if targets == [ALL_LINEAR] else targets or None  # None: peft's own default
    lora = LoraConfig(r=rank, target_modules=told, task_type=kind)
    trainable, everything = get_peft_model(
        model, lora, low_cpu_mem_usage=True
    ).get_nb_trainable_parameters()
    assert estimate.added + estimate.head == trainable
    assert estimate.full == full
    assert everything == full + trainable  # the head that is saved is a copy
    assert (estimate.rank, estimate.adapter_bytes) == (rank, 4 * trainable)
    assert dict(estimate.ranks).get(rank, estimate.added) == estimate.added
    assert sum(row.added for row in estimate.rows if row.chosen) == estimate.added


def test_the_adapter_s_file_is_as_big_as_was_said(model_zoo: Zoo) -> None:
    for name, auto, labels in (
        ("lora-labels", "AutoModelForSequenceClassification", 3),
        ("lora-causal", "AutoModelForCausalLM", None),
    ):
        told = {} if labels is None else {"num_labels": labels}
        config = models.config_of("llama" if labels is None else "bert", **told)
        estimate = lora_estimate(on_meta(config, auto), 4)
        stored = load_file(model_zoo[name] / "adapter_model.safetensors")
        assert estimate.adapter_bytes == sum(t.numel() * 4 for t in stored.values())


@pytest.mark.parametrize(
    ("name", "base", "auto", "labels"),
    [("lora-labels", "bert", "AutoModelForSequenceClassification", 3),
     ("lora-causal", "llama", "AutoModelForCausalLM", None)],
)  # fmt: skip
@pytest.mark.parametrize("targets", [None, [ALL_LINEAR]])
def test_a_new_adapter_goes_on_the_base_of_the_old_one(
    name: str, base: str, auto: str, labels: int | None, targets: list[str] | None, model_zoo: Zoo
) -> None:
    estimates = []
    for ref in (str(model_zoo[name]), str(model_zoo[base])):
        source = opening.find(ref, Job())
        config = opening.load_config(source, labels)
        model, _ = opening.dry_run(source, opening.concrete_of(auto, config), config)
        estimates.append(lora_estimate(model, 8, targets))
    assert estimates[0] == estimates[1]


def test_gpt2_s_transposed_layers_have_their_shapes() -> None:
    model = on_meta(models.config_of("gpt2"), "AutoModel")
    rows = {row.module: row for row in lora_estimate(model, 8, ["c_attn"]).rows}
    width = models.WIDTH
    assert rows["c_attn"].shapes == ((3 * width, width),)
    assert rows["c_fc"].shapes == ((4 * width, width),)
    assert rows["c_proj"].modules == 2 * models.LAYERS
    assert [name for name, row in rows.items() if row.chosen] == ["c_attn"]


@pytest.mark.parametrize(
    ("rank", "targets", "kind"),
    [(0, None, "bad-rank"), (-3, None, "bad-rank"), (8, ["nope"], "no-module")],
)
def test_lora_refuses_what_is_none(rank: int, targets: list[str] | None, kind: str) -> None:
    model = on_meta(models.config_of("bert"), "AutoModel")
    with pytest.raises(HftermError) as caught:
        lora_estimate(model, rank, targets)
    assert caught.value.kind == kind
    if targets:
        assert "nope" in caught.value.message
        assert all(name in caught.value.remedy for name in default_targets(model))


# -- comparing -------------------------------------------------------------------------------


def compared(first: ModelSpec, second: ModelSpec) -> ModelComparison:
    return compare_models(first, second, Job())


def of_kind(comparison: ModelComparison, kind: str) -> dict[str, tuple[str, str]]:
    return {d.name: (d.first, d.second) for d in comparison.differences if d.kind == kind}


def test_auto_and_the_class_it_chooses_are_one(model_zoo: Zoo) -> None:
    ref = str(model_zoo["bert-labels"])
    found = compared(
        ModelSpec(ref=ref, auto="AutoModelForSequenceClassification"),
        ModelSpec(ref=ref, auto="BertForSequenceClassification"),
    )
    assert found.first_class == found.second_class == "BertForSequenceClassification"
    real = transformers.BertForSequenceClassification.from_pretrained(ref)
    assert found.first_parameters == found.second_parameters == real.num_parameters()
    assert found.differences == ()
    assert found.equal_weights == len(load_file(model_zoo["bert-labels"] / "model.safetensors"))
    assert "same class" in found.meaning


def test_two_heads_of_one_checkpoint(model_zoo: Zoo) -> None:
    ref = str(model_zoo["bert-labels"])
    found = compared(
        ModelSpec(ref=ref), ModelSpec(ref=ref, auto="AutoModelForSequenceClassification")
    )
    assert of_kind(found, "class") == {"class": ("BertModel", "BertForSequenceClassification")}
    more = 3 * models.WIDTH + 3
    assert found.second_parameters - found.first_parameters == more
    assert f"+{more:,}" in found.meaning
    assert set(of_kind(found, "parameter")) == {"classifier.weight", "classifier.bias"}


def test_a_fine_tuned_copy_differs_in_the_weights_that_changed(
    model_zoo: Zoo, tmp_path: Path
) -> None:
    base = model_zoo["bert-labels"]
    weights = load_file(base / "model.safetensors")
    changed = {"classifier.weight": 0.5, "bert.encoder.layer.0.attention.self.query.weight": 0.01}
    tuned = dict(weights)
    for name, share in changed.items():
        noise = torch.randn_like(weights[name])
        tuned[name] = weights[name] + noise * (share * weights[name].norm() / noise.norm())
    (tmp_path / "config.json").write_bytes((base / "config.json").read_bytes())
    save_file(tuned, tmp_path / "model.safetensors", metadata={"format": "pt"})
    spec = "AutoModelForSequenceClassification"
    found = compared(ModelSpec(ref=str(base), auto=spec), ModelSpec(ref=str(tmp_path), auto=spec))
    distances = {d.name: d.distance for d in found.differences}
    assert set(distances) == set(changed)
    for name, share in changed.items():
        assert distances[name] == pytest.approx(share, rel=1e-3)
    assert found.equal_weights == len(weights) - len(changed)
    assert "2 with other values" in found.meaning

    half = {name: weight.half() for name, weight in weights.items()}
    save_file(half, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = compared(ModelSpec(ref=str(base), auto=spec), ModelSpec(ref=str(tmp_path), auto=spec))
    assert found.equal_weights == 0
    assert set(of_kind(found, "weight").values()) == {("float32", "float16")}


def test_a_base_and_its_fine_tune_have_the_same_names(model_zoo: Zoo, tmp_path: Path) -> None:
    """A head's checkpoint names its base model's weights with a prefix, the base's own does not."""
    tuned = model_zoo["bert-labels"]
    weights = load_file(tuned / "model.safetensors")
    heads = {name for name in weights if not name.startswith("bert.")}
    assert heads == {"classifier.weight", "classifier.bias"}
    base = {n.removeprefix("bert."): w.clone() for n, w in weights.items() if n not in heads}
    base["pooler.dense.bias"] += 1
    (tmp_path / "config.json").write_bytes((tuned / "config.json").read_bytes())
    save_file(base, tmp_path / "model.safetensors", metadata={"format": "pt"})
    one = ModelSpec(ref=str(tmp_path))
    other = ModelSpec(ref=str(tuned), auto="AutoModelForSequenceClassification")
    for first, second in ((one, other), (other, one)):
        found = compared(first, second)
        assert set(of_kind(found, "parameter")) == heads
        named = "pooler.dense.bias" if first is one else "bert.pooler.dense.bias"
        assert set(of_kind(found, "weight")) == {*heads, named}
        assert found.equal_weights == len(base) - 1
        assert "1 with other values" in found.meaning


def test_a_copy_in_shards_is_equal(model_zoo: Zoo) -> None:
    found = compared(
        ModelSpec(ref=str(model_zoo["llama-untied"])), ModelSpec(ref=str(model_zoo["sharded"]))
    )
    assert found.differences == ()
    assert found.equal_weights == len(load_file(model_zoo["llama-untied"] / "model.safetensors"))
    assert found.meaning == "Every stored weight is equal."


def test_different_numbers_of_labels(model_zoo: Zoo) -> None:
    spec = "AutoModelForSequenceClassification"
    found = compared(
        ModelSpec(ref=str(model_zoo["bert-labels"]), auto=spec),
        ModelSpec(ref=str(model_zoo["bert-200"]), auto=spec),
    )
    width = models.WIDTH
    expected = {
        "classifier.weight": (f"[3, {width}]", f"[200, {width}]"),
        "classifier.bias": ("[3]", "[200]"),
    }
    assert of_kind(found, "parameter") == expected
    weights = of_kind(found, "weight")
    assert {name: weights[name] for name in expected} == expected
    assert "id2label" in of_kind(found, "config")
    assert found.second_parameters - found.first_parameters == 197 * (width + 1)


def test_one_checkpoint_with_two_numbers_of_labels(model_zoo: Zoo) -> None:
    ref, auto = str(model_zoo["bert-labels"]), "AutoModelForSequenceClassification"
    found = compared(ModelSpec(ref=ref, auto=auto), ModelSpec(ref=ref, auto=auto, num_labels=7))
    more = 4 * (models.WIDTH + 1)
    assert found.second_parameters - found.first_parameters == more
    assert set(of_kind(found, "parameter")) == {"classifier.weight", "classifier.bias"}
    assert "same" not in found.meaning
    assert f"+{more:,}" in found.meaning


def test_where_no_weights_are_none_are_called_equal(model_zoo: Zoo) -> None:
    for first, second in (
        ("bert", "roberta"), (str(model_zoo["bert"]), "bert"),
        (str(model_zoo["bert-labels"]), str(model_zoo["config-only"])),
    ):  # fmt: skip
        found = compared(ModelSpec(ref=first), ModelSpec(ref=second))
        assert found.equal_weights == 0
        assert "equal" not in found.meaning
        assert "weights" in found.meaning


def test_a_class_of_another_architecture_is_said(model_zoo: Zoo) -> None:
    ref = str(model_zoo["bert"])
    for wrong in ("GPT2Model", "T5ForConditionalGeneration", "RobertaModel"):
        with pytest.raises(HftermError) as caught:
            compared(ModelSpec(ref=ref), ModelSpec(ref=ref, auto=wrong))
        assert caught.value.kind == "wrong-architecture"
        assert wrong in caught.value.message
        assert "bert model" in caught.value.message
        assert "hfterm classes bert" in caught.value.remedy
    assert compared(ModelSpec(ref=ref), ModelSpec(ref=ref, auto="BertForMaskedLM")).differences


def test_comparing_can_be_stopped(model_zoo: Zoo) -> None:
    stages: list[str] = []
    job = Job(lambda progress: stages.append(progress.stage), lambda: "comparing weights" in stages)
    ref, other = (ModelSpec(ref=str(model_zoo[name])) for name in ("bert", "bert-labels"))
    with pytest.raises(Cancelled):
        compare_models(ref, other, job)
    assert stages.count("comparing weights") == 1


# -- big ones --------------------------------------------------------------------------------

BIG = """
import json, resource, sys
import psutil
from hfterm.job import Job
from hfterm.models import opening
from hfterm.models.overview import overview
from hfterm.models.parameters import parameter_tree

opening.import_modelling()
import transformers.models.llama.modeling_llama
process = psutil.Process()
before = max(process.memory_info().rss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
answers = []
for ref in sys.argv[1:]:
    found = overview(ref)
    source = opening.find(ref, Job())
    config = opening.load_config(source)
    model = opening.on_meta(opening.concrete_of("AutoModelForCausalLM", config), config)
    tree = parameter_tree(model)
    answers.append([found.model_type, found.parameters, tree.total, len(tree.parameters)])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
grown = max(peak, process.memory_info().rss) - before
json.dump({"answers": answers, "grown": grown}, sys.stdout)
"""


def test_a_model_of_70_billion_costs_no_memory(tmp_path: Path) -> None:
    sizes = {
        "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
               "num_attention_heads": 32},
        "70B": {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
                "num_attention_heads": 64},
    }  # fmt: skip
    for name, size in sizes.items():
        config = transformers.LlamaConfig(
            vocab_size=128_256, num_key_value_heads=8, dtype="bfloat16",
            architectures=["LlamaForCausalLM"], **size,
        )  # fmt: skip
        config.save_pretrained(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", BIG, *(str(tmp_path / name / "config.json") for name in sizes)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    assert answer["answers"] == [
        ["llama", 8_030_261_248, 8_030_261_248, 32 * 9 + 3],
        ["llama", 70_553_706_496, 70_553_706_496, 80 * 9 + 3],
    ]
    assert answer["grown"] < 300e6
