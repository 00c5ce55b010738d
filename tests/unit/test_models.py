"""What models are: classes, dry-run reports against real loading, parameters, LoRA, comparisons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.models.auto import modeling_auto

import model_zoo as models
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.models import catalogue, opening
from hfterm.models.overview import overview
from hfterm.models.parameters import parameter_tree
from hfterm.models.types import (
    FIRST,
    SIX_HEADS,
    LoadingReport,
    Mismatch,
    ModelSpec,
)
from hfterm.models.verdicts import judge, modules_of

Zoo = dict[str, Path]

NAMES_OF = {
    "AutoModel": "MODEL_MAPPING_NAMES",
    "AutoModelForMaskedLM": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "AutoModelForSequenceClassification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "AutoModelForTokenClassification": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "AutoModelForQuestionAnswering": "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
    "AutoModelForMultipleChoice": "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "AutoModelForSeq2SeqLM": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
}
"""Auto class → the name of transformers' own dictionary of its classes."""

TUTORIAL = ("bert", "distilbert", "roberta", "gpt2", "bart", "t5", "llama", "dbrx")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    opening.import_modelling()


def listed(auto: str, model_type: str) -> str:
    """What transformers' own dictionary says."""
    names: Mapping[str, str | tuple[str, ...]] = getattr(modeling_auto, NAMES_OF[auto])
    name = names.get(model_type, "")
    return name if isinstance(name, str) else name[0]


def auto(name: str) -> str:
    """The Auto class of a short name: ``MaskedLM``, or an empty one for the plain model."""
    return f"AutoModelFor{name}" if name else "AutoModel"


def meta(ref: Path | str, name: str = "", **spec: Any) -> transformers.PreTrainedModel:
    """A class of a model on the meta device, as the tabs of the screen look at it."""
    source = opening.find(str(ref), Job())
    config = opening.load_config(source, spec.get("num_labels"))
    cls = opening.concrete_of(name, config)
    if source.weights == "none":
        return opening.on_meta(cls, config)
    return opening.dry_run(source, cls, config, ModelSpec(ref=str(ref), **spec))[0]


# -- classes of an architecture --------------------------------------------------------------


@pytest.mark.parametrize("model_type", TUTORIAL)
def test_an_architecture_has_the_classes_that_transformers_lists(model_type: str) -> None:
    found = overview(model_type)
    assert set(NAMES_OF) == {*SIX_HEADS, "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"}
    here = {auto for auto in FIRST if listed(auto, model_type)}
    assert {auto: report.concrete for auto in FIRST if (report := found.of(auto))} == {
        auto: listed(auto, model_type) for auto in here
    }
    assert {auto for auto, _ in found.absent} == set(FIRST) - here
    assert [report.auto for report in found.classes[: len(here)]] == [a for a in FIRST if a in here]
    assert {report.verdict for report in found.classes} == {"untrained"}
    assert (found.source.kind, found.source.weights, found.model_type) == (
        "architecture", "none", model_type,
    )  # fmt: skip


@pytest.mark.parametrize("auto_class", NAMES_OF)
def test_every_architecture_of_an_auto_class_is_found(auto_class: str) -> None:
    names: Mapping[str, object] = getattr(modeling_auto, NAMES_OF[auto_class])
    assert len(names) > 20
    for model_type in names:
        assert catalogue.classes_of(model_type)[auto_class] == listed(auto_class, model_type)


def test_the_list_of_architectures_is_that_of_transformers() -> None:
    found = {known.name: known for known in catalogue.architectures()}
    plain = set(modeling_auto.MODEL_MAPPING_NAMES)
    assert plain & set(catalogue.model_types()) <= set(found)
    assert list(found) == sorted(found)
    assert found["bert"].classes == len(catalogue.classes_of("bert")) >= len(SIX_HEADS)


@pytest.mark.parametrize(
    ("model_type", "family"),
    [
        ("bert", "encoder"), ("distilbert", "encoder"), ("roberta", "encoder"),
        ("gpt2", "decoder"), ("llama", "decoder"), ("dbrx", "decoder"), ("mistral", "decoder"),
        ("bart", "encoder–decoder"), ("t5", "encoder–decoder"), ("vit", "vision"),
        ("whisper", "audio"), ("clip", "multimodal"),
    ],
)  # fmt: skip
def test_families(model_type: str, family: str) -> None:
    assert catalogue.family_of(model_type) == family


def test_a_bert_that_is_a_decoder_is_one(tmp_path: Path) -> None:
    models.config_of("bert", is_decoder=True).save_pretrained(tmp_path)
    assert overview(str(tmp_path)).family == "decoder"


@pytest.mark.parametrize(
    ("typed", "near"), [("bertt", "bert"), ("distil-bert", "distilbert"), ("lama", "llama")]
)
def test_an_unknown_architecture_names_the_near_ones(typed: str, near: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": typed}))
    with pytest.raises(HftermError) as caught:
        overview(str(tmp_path))
    assert caught.value.kind == "unknown-architecture"
    assert repr(typed) in caught.value.message
    assert transformers.__version__ in caught.value.message
    assert near in caught.value.remedy


def test_an_architecture_near_to_none_is_still_explained() -> None:
    error = catalogue.unknown_architecture("zzzzqqqq")
    assert "Did you mean" not in error.remedy
    assert error.remedy


def test_a_class_that_an_architecture_lacks() -> None:
    config = models.config_of("gpt2")
    for name, words in (("AutoModelForMaskedLM", "gpt2"), ("AutoModelForNothing", "no class")):
        with pytest.raises(HftermError, match=words) as caught:
            opening.concrete_of(name, config)
        assert caught.value.kind == "no-class"
    assert opening.concrete_of("GPT2LMHeadModel", config) is transformers.GPT2LMHeadModel


# -- the dry run against the real loading ----------------------------------------------------


def real_report(path: Path, name: str, **told: Any) -> LoadingReport:
    """The report of transformers' own loading, weights and all."""
    cls = getattr(transformers, name)
    _, info = cls.from_pretrained(
        path, output_loading_info=True, ignore_mismatched_sizes=True, trust_remote_code=False,
        **told,
    )  # fmt: skip
    assert set(info) >= {"missing_keys", "unexpected_keys", "mismatched_keys"}
    return LoadingReport(
        tuple(sorted(info["missing_keys"])),
        tuple(sorted(info["unexpected_keys"])),
        tuple(Mismatch(n, tuple(a), tuple(b)) for n, a, b in sorted(info["mismatched_keys"])),
    )


def dry_report(path: Path, name: str, **more: Any) -> LoadingReport:
    spec = ModelSpec(ref=str(path), auto=name, **more)
    source = opening.find(spec.ref, Job())
    config = opening.load_config(source, spec.num_labels)
    return opening.dry_run(source, opening.concrete_of(name, config), config, spec)[1]


PAIRS: list[tuple[str, str, str]] = [
    ("bert", "", "complete"),
    ("bert", "MaskedLM", "new head"),
    ("bert", "SequenceClassification", "new head"),
    ("bert", "TokenClassification", "new head"),
    ("bert", "QuestionAnswering", "new head"),
    ("bert", "MultipleChoice", "new head"),
    ("bert-mlm", "MaskedLM", "complete"),
    ("bert-mlm", "", "new head"),
    ("bert-labels", "SequenceClassification", "complete"),
    ("bert-labels", "", "complete"),
    ("bert-labels", "MultipleChoice", "mismatched"),
    ("bert-200", "SequenceClassification", "complete"),
    ("bert-ner", "SequenceClassification", "new head"),
    ("headless", "", "new head"),
    ("headless", "SequenceClassification", "new head"),
    ("headless", "QuestionAnswering", "new head"),
    ("distilbert", "MaskedLM", "complete"),
    ("distilbert", "SequenceClassification", "new head"),
    ("roberta", "MaskedLM", "complete"),
    ("roberta", "TokenClassification", "new head"),
    ("gpt2", "CausalLM", "complete"),
    ("gpt2", "SequenceClassification", "new head"),
    ("bart", "Seq2SeqLM", "complete"),
    ("bart", "SequenceClassification", "new head"),
    ("bart", "CausalLM", "incomplete"),
    ("t5", "Seq2SeqLM", "complete"),
    ("t5", "TextEncoding", "complete"),
    ("llama", "CausalLM", "complete"),
    ("llama", "SequenceClassification", "new head"),
    ("llama-untied", "CausalLM", "complete"),
    ("llama-untied", "", "complete"),
    ("sharded", "CausalLM", "complete"),
    ("sharded", "SequenceClassification", "new head"),
    ("wrong", "SequenceClassification", "wrong architecture"),
    ("wrong", "", "wrong architecture"),
]


@pytest.mark.parametrize(("name", "short", "verdict"), PAIRS)
def test_the_dry_run_reports_what_loading_reports(
    name: str, short: str, verdict: str, model_zoo: Zoo
) -> None:
    path = model_zoo[name]
    real = real_report(path, auto(short))
    assert dry_report(path, auto(short)) == real
    report = overview(str(path)).of(auto(short))
    assert report is not None
    assert (report.missing, report.unexpected, report.mismatched) == (
        real.missing, real.unexpected, real.mismatched,
    )  # fmt: skip
    assert report.verdict == verdict
    assert report.meaning
    assert bool(report.remedy) == (verdict != "complete")


@pytest.mark.parametrize(
    ("name", "labels"), [("bert-labels", 7), ("bert-200", 2), ("bert-labels", 3), ("bert", 5)]
)
def test_the_dry_run_with_another_number_of_labels(name: str, labels: int, model_zoo: Zoo) -> None:
    path, head = model_zoo[name], "AutoModelForSequenceClassification"
    real = real_report(path, head, num_labels=labels)
    assert dry_report(path, head, num_labels=labels) == real
    stored = {"bert-labels": 3, "bert-200": models.MANY_LABELS, "bert": None}[name]
    assert {m.name: (m.checkpoint, m.model) for m in real.mismatched} == (
        {
            "classifier.weight": ((stored, models.WIDTH), (labels, models.WIDTH)),
            "classifier.bias": ((stored,), (labels,)),
        }
        if stored not in (None, labels)
        else {}
    )
    report = overview(str(path), ModelSpec(ref=str(path), num_labels=labels)).of(head)
    assert report is not None
    if real.mismatched:
        assert report.verdict == "mismatched"
        assert f"num_labels={stored}" in report.remedy
        assert "ignore_mismatched_sizes=True" in report.remedy
        for size in (stored, labels):
            assert str(size) in report.meaning
    else:
        assert report.verdict == ("complete" if stored else "new head")


def test_a_pickle_is_refused_without_a_yes_and_equal_with_it(model_zoo: Zoo) -> None:
    path, head = model_zoo["pickle"], "AutoModelForSequenceClassification"
    found = overview(str(path))
    assert found.source.weights == "pickle"
    assert {report.verdict for report in found.classes} == {"refused"}
    assert all("pickle" in report.meaning and report.remedy for report in found.classes)
    assert any("pickle" in note for note in found.notes)
    with pytest.raises(HftermError) as caught:
        dry_report(path, head)
    assert caught.value.kind == "pickle"

    allowed = overview(str(path), ModelSpec(ref=str(path), allow_pickle=True))
    for name in (head, "AutoModel", "AutoModelForMaskedLM"):
        real = real_report(path, name, use_safetensors=False)
        assert dry_report(path, name, allow_pickle=True) == real
        assert (report := allowed.of(name)) and report.missing == real.missing
    assert (report := allowed.of(head)) and report.verdict == "complete"


def test_no_pickle_is_opened_without_a_yes(
    model_zoo: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file in ("config.json", "pytorch_model.bin"):
        (tmp_path / file).write_bytes((model_zoo["pickle"] / file).read_bytes())
    opened: list[object] = []
    load = torch.load

    def spy(*told: Any, **more: Any) -> object:
        opened.append(told[0])
        return load(*told, **more)

    monkeypatch.setattr(torch, "load", spy)
    overview(str(tmp_path))
    assert not opened
    overview(str(tmp_path), ModelSpec(ref=str(tmp_path), allow_pickle=True))
    assert opened, "the spy looks at the wrong place"


@pytest.mark.parametrize(
    ("name", "short", "base_missing", "verdict"),
    [
        ("lora-labels", "", set(), "complete"),
        ("lora-labels", "MaskedLM", {"cls"}, "new head"),
        ("lora-labels", "QuestionAnswering", {"qa_outputs"}, "new head"),
        ("lora-causal", "CausalLM", set(), "complete"),
        ("lora-causal", "", set(), "complete"),
        ("lora-causal", "SequenceClassification", {"score"}, "new head"),
        # its backbone has another name in this class: transformers finds nothing of it, and
        # the adapter's own weights have no place either
        ("lora-causal", "QuestionAnswering", {"qa_outputs", "transformer"}, "wrong architecture"),
    ],
)
def test_an_adapter_adds_what_its_base_leaves(
    name: str, short: str, base_missing: set[str], verdict: str, model_zoo: Zoo
) -> None:
    # transformers loads the base in a call of its own and reports only the adapter, so a head
    # that neither of them has is in no report of the library: it is in the base's alone
    path, base = model_zoo[name], model_zoo["bert" if name == "lora-labels" else "llama"]
    adapter, below = real_report(path, auto(short)), real_report(base, auto(short))
    assert {missing.split(".")[0] for missing in below.missing} == base_missing
    ours = dry_report(path, auto(short))
    assert set(ours.missing) == {*adapter.missing, *below.missing}
    assert set(ours.unexpected) == {*adapter.unexpected, *below.unexpected}
    assert set(ours.mismatched) == {*adapter.mismatched, *below.mismatched}
    report = overview(str(path)).of(auto(short))
    assert report is not None
    assert report.verdict == verdict


def test_an_adapter_that_brings_the_head_lacks_nothing(model_zoo: Zoo) -> None:
    path, head = model_zoo["lora-labels"], "AutoModelForSequenceClassification"
    # the base lacks a classifier, the adapter brings it (modules_to_save)
    below = real_report(model_zoo["bert"], head, num_labels=3)
    assert set(below.missing) == {"classifier.weight", "classifier.bias"}
    assert real_report(path, head, num_labels=3) == LoadingReport()
    assert dry_report(path, head, num_labels=3) == LoadingReport()
    # it has three labels, whatever the base has
    assert dry_report(path, head) == LoadingReport()
    report = overview(str(path)).of(head)
    assert report is not None
    assert report.verdict == "complete"
    two = dry_report(path, head, num_labels=2)
    assert two.mismatched == real_report(path, head, num_labels=2).mismatched
    assert {m.checkpoint[0] for m in two.mismatched} == {3}
    report = overview(str(path), ModelSpec(ref=str(path), num_labels=2)).of(head)
    assert report is not None
    assert (report.verdict, "num_labels=3" in report.remedy) == ("mismatched", True)
    notes = overview(str(path)).notes
    assert any(str(model_zoo["bert"]) in note for note in notes)


def test_a_gguf_reports_what_loading_reports(starter_kit: Path) -> None:
    file = next((starter_kit / "smollm2-gguf").glob("*.gguf"))
    source = opening.find(str(file), Job())
    assert (source.weights, source.gguf) == ("gguf", file.name)
    with opening.reading(source, Job()):  # the same reader, so that it is read once
        real = real_report(file.parent, "AutoModelForCausalLM", gguf_file=file.name)
    config = opening.load_config(source)
    assert config.model_type == "llama"
    cls = opening.concrete_of("AutoModelForCausalLM", config)
    model, report = opening.dry_run(source, cls, config)
    assert report == real
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    whole = meta(starter_kit / "smollm2", "AutoModelForCausalLM")
    assert parameter_tree(model).total == parameter_tree(whole).total


def test_minilm_of_the_kit(starter_kit: Path) -> None:
    found = overview("minilm")
    assert (found.source.kind, found.model_type, found.main) == ("starter", "bert", "BertModel")
    assert found.parameters == 22_713_216
    assert (found.limit, found.dtype) == (512, "float32")
    for name in SIX_HEADS:
        report = found.of(name)
        assert report is not None
        real = real_report(starter_kit / "minilm", name)
        assert (report.missing, report.unexpected) == (real.missing, real.unexpected)
        assert report.verdict == ("complete" if name == "AutoModel" else "new head")


def test_a_truncated_file_is_refused_and_said(model_zoo: Zoo) -> None:
    found = overview(str(model_zoo["truncated"]))
    assert {report.verdict for report in found.classes} == {"refused"}
    for report in found.classes:
        assert str(model_zoo["truncated"]) in report.meaning
        assert "fetch them again" in report.remedy
    assert found.parameters == overview(str(model_zoo["bert-labels"])).parameters


def test_a_config_without_weights_is_untrained(model_zoo: Zoo) -> None:
    found = overview(str(model_zoo["config-only"]))
    assert {report.verdict for report in found.classes} == {"untrained"}
    assert all("No weights" in report.meaning for report in found.classes)
    assert found.labels == models.LABELS
    assert found.main == "BertForSequenceClassification"


@pytest.mark.parametrize("name", models.WHOLE)
def test_the_overview_counts_the_parameters_of_the_class_that_was_saved(
    name: str, model_zoo: Zoo
) -> None:
    found = overview(str(model_zoo[name]), ModelSpec(ref="", allow_pickle=True))
    model = getattr(transformers, found.main).from_pretrained(
        model_zoo[name], dtype="auto", ignore_mismatched_sizes=True,
        **({"num_labels": 3} if name == "lora-labels" else {}),
    )  # fmt: skip
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.dtype == "float32"
    if name not in models.ADAPTERS:
        assert found.main == model.config.architectures[0]
    assert found.source.size == sum(
        file.stat().st_size
        for pattern in ("*.safetensors", "*.bin")
        for file in model_zoo[name].glob(pattern)
    )


@pytest.mark.parametrize(
    ("name", "limit"),
    [("bert", models.POSITIONS), ("roberta", models.POSITIONS), ("gpt2", models.POSITIONS),
     ("llama", models.POSITIONS), ("t5", None)],
)  # fmt: skip
def test_the_limit_of_positions_is_what_the_model_takes(
    name: str, limit: int | None, model_zoo: Zoo
) -> None:
    found = overview(str(model_zoo[name]))
    assert found.limit == limit
    if name in ("bert", "roberta", "gpt2"):  # these have a table of positions and break beyond it
        assert limit is not None
        model = transformers.AutoModel.from_pretrained(model_zoo[name])
        model(torch.full((1, limit), 5))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, limit + 1), 5))


def test_a_report_is_judged_by_the_share_of_the_backbone() -> None:
    missing = tuple(f"layer.{n}.weight" for n in range(10))

    def verdict(count: int) -> str:
        return judge(LoadingReport(missing=missing[:count]), 12, 10, count)[0]

    assert [verdict(count) for count in (0, 1, 5, 6, 10)] == [
        "complete", "incomplete", "incomplete", "wrong architecture", "wrong architecture",
    ]  # fmt: skip
    assert modules_of(["a.b.weight", "a.bias", "c.weight", "c.bias", "d"]) == ["a", "c", "d"]


def test_a_dry_run_reads_no_weights(model_zoo: Zoo, tmp_path: Path) -> None:
    """The file's data is gone, as it is with the hub's sparse files: the report stays."""
    path = model_zoo["bert-labels"]
    (tmp_path / "config.json").write_bytes((path / "config.json").read_bytes())
    whole = (path / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    with (tmp_path / "model.safetensors").open("wb") as sparse:
        sparse.write(whole[:header])
        sparse.truncate(len(whole))
    here, there = overview(str(tmp_path)), overview(str(path))
    assert here.classes == there.classes
    assert here.parameters == there.parameters


def test_old_t5_configs_name_positions_they_do_not_have(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "t5", "n_positions": 512, "d_model": 8, "d_ff": 8, "num_layers": 1,'
        ' "num_heads": 1, "d_kv": 8, "vocab_size": 99, "architectures": ["T5Model"]}'
    )
    assert overview(str(tmp_path / "config.json")).limit is None
