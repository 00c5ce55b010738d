"""Show code for models: every script runs unchanged and prints what the screen shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import model_zoo as models
from hfterm.engine import model_requests as requests
from hfterm.engine.handlers import models as handlers
from hfterm.hub.model_refs import write_label_names
from hfterm.inference.loading import load_model
from hfterm.job import Job
from hfterm.models import code
from hfterm.models.compare import compare_models
from hfterm.models.overview import overview
from hfterm.models.types import LoadedInfo, ModelOverview, ModelSpec

Zoo = dict[str, Path]

RUNNER = """
import contextlib, io, json, sys, traceback
printed = {}
for name, script in json.load(sys.stdin).items():
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(script, name, "exec"), {"__name__": "__main__"})
    except Exception:  # whatever a script raises is what the test shows
        out.write(traceback.format_exc())
    printed[name] = out.getvalue()
json.dump(printed, sys.stdout)
"""

HEAD = "AutoModelForSequenceClassification"
CAUSAL = "AutoModelForCausalLM"
SEEN: dict[str, tuple[str, ModelSpec]] = {
    # name → member of the zoo (or a reference), and how it is looked at
    "bert as its own": ("bert-labels", ModelSpec(ref="", auto=HEAD)),
    "bert with a new head": ("bert", ModelSpec(ref="", auto="AutoModelForQuestionAnswering")),
    "bert with seven labels": ("bert-labels", ModelSpec(ref="", auto=HEAD, num_labels=7)),
    "bert by its class": ("bert-mlm", ModelSpec(ref="", auto="BertForMaskedLM")),
    "tied": ("llama", ModelSpec(ref="", auto=CAUSAL)),
    "gpt2": ("gpt2", ModelSpec(ref="", auto=CAUSAL)),
    "t5": ("t5", ModelSpec(ref="", auto="AutoModelForSeq2SeqLM")),
    "roberta": ("roberta", ModelSpec(ref="", auto=HEAD)),
    "shards": ("sharded", ModelSpec(ref="", auto=CAUSAL)),
    "pickle": ("pickle", ModelSpec(ref="", auto=HEAD, allow_pickle=True)),
    "random": ("bert-labels", ModelSpec(ref="", auto=HEAD, random=True, num_labels=5)),
    "no weights in half": ("half", ModelSpec(ref="", auto=CAUSAL)),
    "no weights": ("config-only", ModelSpec(ref="", auto=HEAD)),
    "architecture": ("distilbert", ModelSpec(ref="distilbert", auto=HEAD)),
    "config file": ("", ModelSpec(ref="", auto="AutoModelForMaskedLM")),
    "starter": ("minilm", ModelSpec(ref="minilm", auto=HEAD)),
    "adapter": ("lora-causal", ModelSpec(ref="", auto=CAUSAL)),
    "adapter with its own labels": ("lora-labels", ModelSpec(ref="", auto=HEAD)),
    "adapter with labels that have names": ("lora-named", ModelSpec(ref="", auto=HEAD)),
    "adapter with a head": ("lora-labels", ModelSpec(ref="", auto=HEAD, num_labels=3)),
}
LOADED: dict[str, ModelSpec] = {
    "as it is": ModelSpec(ref="bert-labels", auto=HEAD),
    "bfloat16": ModelSpec(ref="llama", auto=CAUSAL, dtype="bfloat16"),
    "random": ModelSpec(ref="gpt2", auto=CAUSAL, random=True, dtype="float16"),
    "other shapes": ModelSpec(ref="bert-labels", auto=HEAD, num_labels=9, ignore_mismatched=True),
    "int8": ModelSpec(ref="bert", auto=HEAD, quantization="int8"),
    "nf4": ModelSpec(ref="llama", auto=CAUSAL, quantization="nf4"),
    "pickle": ModelSpec(ref="pickle", auto=HEAD, allow_pickle=True),
    "class": ModelSpec(ref="bert", auto="BertModel"),
    "adapter": ModelSpec(ref="lora-causal", auto=CAUSAL),
}
COMPARED: dict[str, tuple[ModelSpec, ModelSpec]] = {
    "one class": (
        ModelSpec(ref="bert-labels", auto=HEAD),
        ModelSpec(ref="bert-labels", auto="BertForSequenceClassification"),
    ),
    "two heads": (
        ModelSpec(ref="bert-labels", auto=HEAD), ModelSpec(ref="bert-labels", auto="AutoModel"),
    ),
    "labels": (ModelSpec(ref="bert-labels", auto=HEAD), ModelSpec(ref="bert-200", auto=HEAD)),
    "fine-tuned": (ModelSpec(ref="bert-labels", auto=HEAD), ModelSpec(ref="tuned", auto=HEAD)),
    "seven labels": (
        ModelSpec(ref="bert-labels", auto=HEAD, num_labels=7),
        ModelSpec(ref="bert-labels", auto=HEAD, num_labels=7),
    ),
    "base and head": (ModelSpec(ref="bert"), ModelSpec(ref="bert-labels", auto=HEAD)),
    "architecture": (ModelSpec(ref="bert"), ModelSpec(ref="bert", auto="BertForMaskedLM")),
    "architectures": (ModelSpec(ref="bert"), ModelSpec(ref="distilbert")),
    "weights and none": (ModelSpec(ref="bert-labels"), ModelSpec(ref="config-only")),
    "a starter": (ModelSpec(ref="minilm", auto=HEAD), ModelSpec(ref="minilm")),
    "two starters": (ModelSpec(ref="bert-labels"), ModelSpec(ref="minilm")),
    "pickle": (
        ModelSpec(ref="pickle", auto=HEAD, allow_pickle=True),
        ModelSpec(ref="bert-labels", auto=HEAD, allow_pickle=True),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(model_zoo: Zoo, starter_kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """The zoo, a config file of its own, and a copy of a member whose weights were trained on."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("code")
    file = folder / "it's a config.json"
    file.write_text(json.dumps(models.config_of("bert").to_dict()))
    tuned = folder / "tuned"
    tuned.mkdir()
    (tuned / "config.json").write_bytes((model_zoo["bert-labels"] / "config.json").read_bytes())
    weights = load_file(model_zoo["bert-labels"] / "model.safetensors")
    torch.manual_seed(0)
    for name in ("classifier.weight", "bert.pooler.dense.bias"):
        weights[name] = weights[name] + 0.1 * torch.randn_like(weights[name])
    save_file(weights, tuned / "model.safetensors", metadata={"format": "pt"})
    half = folder / "half"
    models.config_of("llama", dtype="bfloat16").save_pretrained(half)
    named = shutil.copytree(model_zoo["lora-labels"], folder / "named")
    write_label_names(named, ["it's", "b", "c"])
    return {**model_zoo, "tuned": tuned, "half": half, "lora-named": named, "": file}


def placed(spec: ModelSpec, member: str, places: Zoo) -> ModelSpec:
    ref = spec.ref if spec.ref in ("distilbert", "minilm") else str(places[member])
    return msgspec.structs.replace(spec, ref=ref)


def compared(key: str, places: Zoo) -> tuple[ModelSpec, ModelSpec]:
    """The specs of a comparison; an architecture is named by itself."""
    first, second = COMPARED[key]
    if key.startswith("architecture"):
        return first, second
    return placed(first, first.ref, places), placed(second, second.ref, places)


@pytest.fixture(scope="module")
def loaded(places: Zoo) -> dict[str, LoadedInfo]:
    return {key: load_model(placed(spec, spec.ref, places)).info for key, spec in LOADED.items()}


@pytest.fixture(scope="module")
def seen(places: Zoo) -> dict[str, tuple[ModelOverview, ModelSpec]]:
    specs = {key: placed(spec, member, places) for key, (member, spec) in SEEN.items()}
    return {key: (overview(spec.ref, spec), spec) for key, spec in specs.items()}


@pytest.fixture(scope="module")
def printed(
    places: Zoo, seen: dict[str, tuple[ModelOverview, ModelSpec]], loaded: dict[str, LoadedInfo],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:  # fmt: skip
    """What every script prints, all run in one fresh interpreter with nothing of hfterm in it."""
    scripts: dict[str, str] = {}
    for key, (found, spec) in seen.items():
        report = found.of(spec.auto)
        tell = found.source, spec, report.concrete if report else spec.auto
        estimate = handlers.estimate_lora(requests.EstimateLora(spec=spec, rank=4), Job())
        scripts[f"classes {key}"] = code.classes_code(found, spec)
        scripts[f"config {key}"] = code.config_code(found.source)
        scripts[f"parameters {key}"] = code.parameters_code(*tell)
        scripts[f"memory {key}"] = code.memory_code(*tell, 128, 4)
        scripts[f"lora {key}"] = code.lora_code(*tell, estimate)
    for key, info in loaded.items():
        scripts[f"load {key}"] = code.load_code(info.source, info.spec, info.skipped)
    for key in COMPARED:
        first, second = compared(key, places)
        sources = compare_models(first, second).sources
        assert sources
        scripts[f"compare {key}"] = code.compare_code(sources[0], first, second, sources[1])
        if "architecture" not in key:  # without being told what the second is
            alone = code.compare_code(sources[0], first, second)
            assert alone == scripts[f"compare {key}"]
    assert not [
        name
        for name, script in scripts.items()
        if "import hfterm" in script or "from hfterm" in script
    ]

    folder = tmp_path_factory.mktemp("run")
    environment = {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    result = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(scripts),
        capture_output=True,
        text=True,
        env=environment | {"PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"},
        cwd=folder,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr[-3000:]
    answer: dict[str, str] = json.loads(result.stdout)
    return {
        name: f"{scripts[name]}\n{out}" if "Traceback" in out else out
        for name, out in answer.items()
    }


def lines_of(printed: dict[str, str], name: str) -> list[str]:
    assert "Traceback" not in printed[name], printed[name]
    return printed[name].splitlines()


Seen = dict[str, tuple[ModelOverview, ModelSpec]]


@pytest.mark.parametrize("key", SEEN)
def test_classes(key: str, printed: dict[str, str], seen: Seen) -> None:
    found, _ = seen[key]
    lines = lines_of(printed, f"classes {key}")
    if found.source.weights == "none":
        expected = {f"{r.auto} {r.concrete}" for r in found.classes if r.auto != "AutoBackbone"}
        assert {line for line in lines if "(" not in line} <= expected
        assert len(lines) == len(expected)
        return
    assert lines == [
        f"{r.auto} {r.concrete} {len(r.missing)} {len(r.unexpected)} {len(r.mismatched)}"
        for r in found.classes
        if r.verdict != "refused"
    ]
    assert lines


@pytest.mark.parametrize("key", SEEN)
def test_config(key: str, printed: dict[str, str], seen: Seen) -> None:
    _, spec = seen[key]
    marked: set[str] = set()
    names: set[str] = set()
    for line in lines_of(printed, f"config {key}"):
        mark, name, _ = line.split(" ", 2)
        names.add(name)
        if mark == "*":
            marked.add(name)
    entries = handlers.list_config(requests.ListConfig(spec=spec), Job())
    flat = {entry.name: entry for entry in entries if "." not in entry.name}
    assert set(flat) <= names
    assert marked & set(flat) == {name for name, entry in flat.items() if entry.differs}


@pytest.mark.parametrize("key", SEEN)
def test_parameters(key: str, printed: dict[str, str], seen: Seen) -> None:
    _, spec = seen[key]
    *lines, total = lines_of(printed, f"parameters {key}")
    tree = handlers.list_parameters(requests.ListParameters(spec=spec), Job())
    counts = {found.name: found.count for found in tree.parameters}
    assert lines == [
        f"{p.name} {list(p.shape)} torch.{p.dtype} {p.count or counts[p.tied_to]}"
        for p in tree.parameters
    ]
    assert int(total) == tree.total


@pytest.mark.parametrize("key", SEEN)
def test_memory(key: str, printed: dict[str, str], seen: Seen) -> None:
    _, spec = seen[key]
    request = requests.EstimateMemory(spec=spec, context=16)
    report = handlers.estimate_memory(request, Job())
    said = dict(line.rsplit(" ", 1) for line in lines_of(printed, f"memory {key}"))
    assert int(said["parameters"]) == report.parameters
    if key.startswith("adapter"):
        return  # weights are counted without the adapter there, and with it by the script
    for precision in ("float32", "bfloat16"):
        assert int(said[f"weights in {precision}"]) == report.weights[precision]


@pytest.mark.parametrize("key", SEEN)
def test_lora(key: str, printed: dict[str, str], seen: Seen) -> None:
    _, spec = seen[key]
    estimate = handlers.estimate_lora(requests.EstimateLora(spec=spec, rank=4), Job())
    trainable = estimate.added + estimate.head
    assert lines_of(printed, f"lora {key}") == [
        f"{trainable} {estimate.full} {100 * trainable / estimate.full:.3f} %"
    ]


@pytest.mark.parametrize("key", LOADED)
def test_load(key: str, printed: dict[str, str], loaded: dict[str, LoadedInfo]) -> None:
    (line,) = lines_of(printed, f"load {key}")
    info = loaded[key]
    dtype = "bfloat16" if info.spec.quantization != "none" else info.dtype
    assert line == f"{info.cls} torch.{dtype} {info.footprint}"


@pytest.mark.parametrize("key", COMPARED)
def test_compare(key: str, printed: dict[str, str], places: Zoo) -> None:
    found = compare_models(*compared(key, places))
    lines = lines_of(printed, f"compare {key}")
    assert lines[:2] == [
        f"{found.first_class} {found.first_parameters}",
        f"{found.second_class} {found.second_parameters}",
    ]
    expected: dict[str, str] = {}
    distances: dict[str, float] = {}
    for d in found.differences:
        if d.kind == "parameter":
            expected[d.name] = f"{d.first} {d.second}".replace("–", "None")
        elif d.kind == "weight" and "–" in (d.first, d.second):
            expected.setdefault(d.name, "is stored in one of them")
        elif d.distance:
            distances[d.name] = d.distance
    for line in lines[2:]:
        name, value = line.split(" ", 1)
        if name in distances:
            assert float(value) == pytest.approx(distances.pop(name), rel=1e-6)
        else:
            assert value in (expected.pop(name, None), "is stored in one of them")
    assert not distances
    assert not expected


def test_the_comparison_of_a_fine_tuned_copy_names_what_was_trained(
    printed: dict[str, str],
) -> None:
    lines = lines_of(printed, "compare fine-tuned")[2:]
    assert {line.split()[0] for line in lines} == {"classifier.weight", "bert.pooler.dense.bias"}


def test_code_imports_nothing_heavy() -> None:
    heavy = "import hfterm.models.code, sys; print([m for m in sys.modules " + (
        "if m.split('.')[0] in ('torch', 'transformers', 'peft', 'textual')])"
    )
    out = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
