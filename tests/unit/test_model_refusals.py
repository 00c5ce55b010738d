"""Models that can't be opened, scripts about them, and what is counted where little can be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource, Weights
from hfterm.inference.code import batch_code, predict_code
from hfterm.inference.options import BatchOptions, Task, TaskOptions
from hfterm.inference.types import Answer, Answering, Entity, Tagging
from hfterm.job import Job
from hfterm.models import memory_trace
from hfterm.models.catalogue import classes_of, model_types, task_of
from hfterm.models.code_parts import from_pretrained, source_of, tokenizer_lines
from hfterm.models.kv_cache import layer_tensors
from hfterm.models.lora import default_targets, linear_modules
from hfterm.models.memory import estimate
from hfterm.models.memory_report import memory_report
from hfterm.models.opening import concrete_of, find, load_config
from hfterm.models.opening_errors import explain_config, explain_loading
from hfterm.models.overview import overview
from hfterm.models.types import LoadedInfo, LoadingReport, ModelSpec
from hfterm.screens.predict.highlight import highlighted
from model_zoo import config_of

MISMATCH = "You set `ignore_mismatched_sizes` to `False`"


def source(weights: Weights = "safetensors", **more: object) -> ModelSource:
    told = {"ref": "m", "kind": "path", "path": "/models/m", "weights": weights, **more}
    return ModelSource(**told)  # pyright: ignore[reportArgumentType]


# -- errors in words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "error", "kind", "words"),
    [
        ("safetensors", HftermError("quota", "Full.", "Free some."), "quota", "Full."),
        ("safetensors", ValueError("pass trust_remote_code=True"), "remote-code", "run.py in"),
        ("pickle", OSError("no file named model.safetensors"), "pickle", "only as pickle"),
        ("none", OSError("no file named model.safetensors"), "no-weights", "has no weights here"),
        ("safetensors", RuntimeError(MISMATCH), "mismatched", "another shape"),
        ("safetensors", RuntimeError("Size mismatch for x"), "mismatched", "another shape"),
        ("safetensors", MemoryError(), "memory", "Memory ran out with m"),
        ("safetensors", OSError(""), "bad-weights", "can't be opened: OSError"),
        ("safetensors", ValueError("cut\nmore"), "bad-weights", "can't be opened: cut"),
    ],
)
def test_why_weights_cannot_be_opened(
    weights: Weights, error: Exception, kind: str, words: str
) -> None:
    found = explain_loading(source(weights, code=("run.py",)), error)
    assert found.kind == kind
    assert words in found.message
    assert found.remedy


def test_a_mismatch_names_the_labels_that_the_checkpoint_has() -> None:
    assert "“labels” to 7" in explain_loading(source(labels=7), RuntimeError(MISMATCH)).remedy
    assert "the checkpoint's number" in explain_loading(source(), RuntimeError(MISMATCH)).remedy


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "bertt"}, "unknown-architecture"),
        ({"model_type": "bert"}, "bad-config"),  # it is known: something else lacks
        ({}, "bad-config"),
        (None, "bad-config"),
    ],
)
def test_a_field_that_is_missing_is_not_taken_for_an_unknown_architecture(
    tmp_path: Path, config: dict[str, str] | None, kind: str
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    found = explain_config(source(path=str(tmp_path)), KeyError("num_heads"))
    assert found.kind == kind
    assert ("num_heads" in found.message) == (kind == "bad-config")


def test_a_name_that_nothing_has_is_taken_for_a_misspelt_architecture() -> None:
    with pytest.raises(HftermError, match="has no architecture 'bertt'") as caught:
        find("bertt", Job())
    assert "bert" in caught.value.remedy
    with pytest.raises(HftermError) as caught:
        find("some/bertt", Job())
    assert "architecture" not in caught.value.message


@pytest.mark.parametrize("labels", [0, -1, 10**9])
def test_a_head_has_a_number_of_labels_that_can_be(labels: int) -> None:
    with pytest.raises(HftermError, match="no number of labels") as caught:
        load_config(source(kind="architecture", path="bert"), labels)
    assert caught.value.kind == "bad-labels"


def test_of_several_classes_the_config_s_own_is_taken() -> None:
    for named, found in (
        (None, "FunnelModel"), (["FunnelBaseModel"], "FunnelBaseModel"), (["Other"], "FunnelModel"),
    ):  # fmt: skip
        config = transformers.FunnelConfig(architectures=named)
        assert concrete_of("AutoModel", config).__name__ == found


def test_a_part_of_other_models_has_no_class_to_describe(tmp_path: Path) -> None:
    part = next(name for name in sorted(model_types()) if not classes_of(name))
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": part}))
    with pytest.raises(HftermError, match=f"No Auto class knows {part}") as caught:
        overview(str(file))
    assert caught.value.kind == "no-class"


@pytest.mark.parametrize(
    ("auto", "words"),
    [
        ("AutoModelForCausalLM", "text generation"),
        ("AutoModelForImageSegmentation", "image segmentation"),
        ("AutoModelForSpeechSeq2Seq", "speech sequence to sequence"),
        ("AutoBackbone", "backbone"),
        ("Auto", "Auto"),
    ],
)
def test_a_task_is_said_in_words(auto: str, words: str) -> None:
    assert task_of(auto) == words


# -- scripts ---------------------------------------------------------------------------------


def test_a_script_names_a_hub_id_and_never_the_cache() -> None:
    cached = source(ref="a/b", kind="cache", path="/cache/models--a--b/snapshots/1")
    assert source_of(cached) == "a/b"
    assert from_pretrained(cached, "AutoModel", ModelSpec(ref="a/b")) == (
        "AutoModel.from_pretrained(\n    'a/b',\n    use_safetensors=True,\n)\n"
    )


def test_a_script_of_a_gguf_file_says_which_and_runs_code_only_after_a_yes() -> None:
    made = from_pretrained(
        source("gguf", gguf="m.gguf"), "AutoModel", ModelSpec(ref="m", allow_code=True)
    )
    assert "gguf_file='m.gguf'" in made
    assert "use_safetensors" not in made
    assert "trust_remote_code=True" in made
    spec = ModelSpec(ref="m", allow_pickle=True)
    assert "use_safetensors" not in from_pretrained(source("pickle"), "AutoModel", spec)


def test_the_tokenizer_of_a_config_is_beside_it() -> None:
    config = source("none", kind="config", path="/models/m/config.json")
    assert "from_pretrained('/models/m')" in tokenizer_lines(config, ModelSpec(ref="m"))
    named = ModelSpec(ref="m", tokenizer="minilm")
    assert "from_pretrained('minilm')" in tokenizer_lines(config, named)


def loaded(task: Task, limit: int | None) -> LoadedInfo:
    return LoadedInfo(
        ModelSpec(ref="m", auto="AutoModel"), "AnyModel", "any", 1, "float32", 4, 0.1, "complete",
        "", ("a", "b"), limit, "PreTrainedTokenizerFast", source(),
    )  # fmt: skip


@pytest.mark.parametrize("task", ["question-answering", "text-generation", "seq2seq"])
def test_a_script_cuts_nothing_for_a_model_without_a_limit(task: Task) -> None:
    options = TaskOptions(task=task, question="Who?", new_tokens=7)
    endless, limited = (
        predict_code(loaded(task, limit), "text", options) for limit in (None, 99)
    )  # fmt: skip
    for written in (endless, limited):
        compile(written, task, "exec")
    assert "99" not in endless
    assert "truncation" not in endless
    assert "min(7" not in endless
    assert endless != limited or task == "seq2seq"


def test_choices_are_scored_only_by_a_column_that_is_named() -> None:
    options = TaskOptions(task="multiple-choice", labels=("one", "two"))
    unscored, scored = (
        batch_code(
            loaded("multiple-choice", 99), "rows.csv", options, BatchOptions(label_column=column)
        )
        for column in ("", "answer")
    )
    assert "accuracy" not in unscored
    assert "accuracy" in scored
    assert "column = 'answer'" in scored
    compile(scored, "scored", "exec")


# -- marks in a text -------------------------------------------------------------------------


def test_entities_that_overlap_are_marked_once() -> None:
    text = "Ada Lovelace met Babbage"
    entities = tuple(
        Entity(label, text[start:end], start, end, 0.9)
        for label, start, end in (("PER", 0, 12), ("PER", 4, 12), ("ORG", 17, 99), ("PER", 17, 24))
    )
    marked = highlighted(Tagging((), entities, 1, 0), text)
    assert marked is not None
    assert marked.plain == "Ada Lovelace‹PER› met Babbage‹PER›"


def test_an_answer_in_a_long_text_is_shown_with_what_is_around_it() -> None:
    text = "x" * 900 + "Paris" + "y" * 900
    answers = (Answer("Paris", 900, 905, 1.0, 0.9), Answer("", None, None, 0.0, 0.1))
    found = Answering(answers, 0.0, 9, 1, 0)
    marked = highlighted(found, text)
    assert marked is not None
    assert marked.plain == "…" + "x" * 300 + "Paris" + "y" * 300 + "…"
    assert highlighted(found, text, 1) is None  # no answer has no place
    assert highlighted(found, text, 2) is None


# -- counting --------------------------------------------------------------------------------


def test_a_class_whose_projections_have_other_names_is_adapted_all_over() -> None:
    config = transformers.FNetConfig(
        vocab_size=99, hidden_size=16, num_hidden_layers=1, intermediate_size=32
    )
    with torch.device("meta"):
        model = transformers.FNetForMaskedLM(config)
    assert "decoder" in linear_modules(model)
    targets = default_targets(model)
    assert "dense" in targets
    assert "decoder" not in targets  # what gives the logits is left as it is


def plan_of(
    model: type[transformers.PreTrainedModel], config: transformers.PreTrainedConfig
) -> dict[str, int]:
    plans = estimate(model, config, context=16, batch=1)
    plan = next(plan for plan in plans if plan.purpose == "inference")
    assert plan.note.startswith("by a rule of thumb")
    assert "more than 5 operations" in plan.note
    return {part.what: part.size for part in plan.parts}


def test_a_model_too_long_to_trace_is_estimated_by_a_rule_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_trace, "MOST", 5)
    parts = plan_of(transformers.LlamaForCausalLM, config_of("llama"))
    assert parts["activations"] > 0
    assert parts["KV cache"] > 0


def test_tensors_of_no_operation_are_none_of_a_trace() -> None:
    known, other = torch.zeros(4), torch.zeros(4)
    with memory_trace.recording([known], lambda _: False) as recorder:
        recorder.classify(other, memory_trace.Kind.LOGITS)
        made = known + 1
    assert made.shape == known.shape
    trace = recorder.trace()
    assert all(moment[memory_trace.Kind.LOGITS] == 0 for moment in trace.live)


@pytest.mark.parametrize(("context", "batch"), [(-1, 1), (16, 0), (16, -3)])
def test_no_tokens_and_no_sequences_take_no_plan(context: int, batch: int) -> None:
    config = config_of("bert")
    with torch.device("meta"):
        model = transformers.BertModel(config)  # pyright: ignore[reportArgumentType]
    with pytest.raises(HftermError, match="count from 1") as caught:
        memory_report("m", model, config, LoadingReport(), context=context, batch=batch)
    assert caught.value.kind == "bad-size"


def test_what_is_no_cache_holds_nothing() -> None:
    cache = transformers.DynamicCache()
    cache.update(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 0)
    assert [tuple(held.shape) for held in layer_tensors(cache, 0)] == [(1, 2, 3, 4)] * 2
    assert layer_tensors(cache, 1) == []
    assert layer_tensors((cache,), 0) == []
