"""Predicted memory beside measured: inference, fine-tuning, LoRA and QLoRA in every precision.

Each measurement in a process of its own, which first does the same with a tiny model of the same
architecture, so that libraries and their pools are there before the baseline is read. Measured is
the high-water mark of resident memory above that baseline, after the model is loaded: `generate`
or a forward pass over a padded batch, or two steps of training with AdamW. The peak of loading is
in a column of its own, since it depends on the file and not on what is done with the model.

Everything is measured twice: with an allocator that gives each larger tensor back to the system
when it is freed (MALLOC_MMAP_THRESHOLD_), which shows what is in use and is what is predicted; and
with glibc's own settings, under which freed tensors leave holes that count as resident.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from harness import Options, Report, isolate, median, parser_of, table
from results import ratio_between

MB = 1e6
NEW_TOKENS = 8
THRESHOLD = 65_536
"""Bytes from which an allocation is a mapping of its own, where that is set."""
SHOWN_PARTS = 3


class Case(msgspec.Struct, frozen=True):
    """One measurement: which model, what for, kept in what, and on how much text."""

    model: str
    cls: str
    purpose: str
    precision: str
    batch: int
    context: int


MODELS = (
    ("minilm", "AutoModelForSequenceClassification", 16, 128),
    ("smollm2", "AutoModelForCausalLM", 2, 256),
)
WAYS = (
    ("inference", ("float32", "bfloat16", "int8", "nf4")),
    ("full fine-tune", ("float32", "bfloat16")),
    ("LoRA", ("float32", "bfloat16")),
    ("QLoRA", ("int8", "nf4")),
)
CASES = [
    Case(model, cls, purpose, precision, batch, context)
    for model, cls, batch, context in MODELS
    for purpose, precisions in WAYS
    for precision in precisions
]


def resident() -> dict[str, int]:
    """Bytes in memory now and at most, by the kernel's names."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in lines)
        if name in {"VmRSS", "VmHWM", "RssFile", "RssAnon"}
    }


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def trim() -> None:
    """Give back to the system what the allocator holds and nobody uses."""
    import ctypes

    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def load(case: Case, path: str) -> Any:
    """The model as hfterm would load it: what the checkpoint lacks is not quantized."""
    import torch
    import transformers

    cls = getattr(transformers, case.cls)
    if case.precision in {"float32", "bfloat16"}:
        dtype = getattr(torch, case.precision)
        return cls.from_pretrained(path, dtype=dtype, use_safetensors=True)
    skip = ["classifier"] if "Classification" in case.cls else None
    if case.precision == "int8":
        quantization = transformers.BitsAndBytesConfig(
            load_in_8bit=True, llm_int8_skip_modules=skip
        )
    else:
        quantization = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=skip,
        )
    return cls.from_pretrained(
        path, dtype=torch.bfloat16, quantization_config=quantization, use_safetensors=True
    )


def batch_of(case: Case, vocabulary: int) -> dict[str, Any]:
    """Random tokens; the last sequence is a quarter padding, as in a batch of real texts."""
    import torch

    ids = torch.randint(5, vocabulary, (case.batch, case.context))
    mask = torch.ones_like(ids)
    if case.purpose == "inference" and "Causal" in case.cls:
        mask[-1, : case.context // 4] = 0
    else:
        mask[-1, -case.context // 4 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def infer(case: Case, model: Any) -> None:
    import torch

    model.eval()
    inputs = batch_of(case, model.config.vocab_size)
    if "Causal" in case.cls:
        inputs = {name: value[:, NEW_TOKENS:] for name, value in inputs.items()}
        model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS,
                       do_sample=False)  # fmt: skip
    else:
        with torch.no_grad():
            model(**inputs)


def train(case: Case, model: Any) -> None:
    """Two steps; the second one starts with the optimizer's state in memory."""
    import torch

    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    for _ in range(2):
        inputs = batch_of(case, model.config.vocab_size)
        causal = "Causal" in case.cls
        labels = inputs["input_ids"] if causal else torch.zeros(case.batch, dtype=torch.long)
        more = {"use_cache": False} if causal else {}
        model(**inputs, labels=labels, **more).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def adapt(case: Case, model: Any) -> Any:
    """The model with LoRA on every linear layer, and prepared as peft does when quantized."""
    import bitsandbytes
    import peft

    if case.purpose == "QLoRA":
        model = peft.prepare_model_for_kbit_training(model)
        for module in model.modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                module.support_avx512bf16_for_cpu = False
    task = "SEQ_CLS" if "Classification" in case.cls else "CAUSAL_LM"
    config = peft.LoraConfig(
        r=8, lora_alpha=16, lora_dropout=0.05, target_modules="all-linear", task_type=task
    )
    return peft.get_peft_model(model, config)


def work(case: Case, path: str, mark: Callable[[str], None]) -> None:
    mark("begin")
    model = load(case, path)
    gc.collect()
    mark("loaded")
    if case.purpose == "inference":
        infer(case, model)
    else:
        train(case, model if case.purpose == "full fine-tune" else adapt(case, model))
    mark("done")


def tiny(case: Case, folder: str) -> str:
    """A model of the same architecture with next to no weights, without a head of its own."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(kit(case.model))
    config.num_hidden_layers = 1
    config.hidden_size, config.intermediate_size, config.vocab_size = 64, 64, 64
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 2, 2, 32
    causal = "Causal" in case.cls
    made = transformers.AutoModelForCausalLM if causal else transformers.AutoModel
    made.from_config(config).save_pretrained(folder)
    return folder


def kit(model: str) -> str:
    return str(Path(os.environ["HFTERM_STARTER"]) / model)


def measure(case: Case) -> dict[str, float]:
    """Bytes above the baseline: after loading, its peak, and the peak of the work itself."""
    import bitsandbytes  # noqa: F401
    import peft  # noqa: F401
    import torch
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        small = msgspec.structs.replace(case, batch=2, context=32)
        work(small, tiny(case, folder), lambda _: None)
    torch.manual_seed(0)
    trim()
    base = resident()
    found: dict[str, float] = {}

    def mark(moment: str) -> None:
        now = resident()
        if moment != "begin":
            found[f"{moment} peak"] = now["VmHWM"] - base["VmRSS"]
        found[moment] = now["VmRSS"] - base["VmRSS"]
        found[f"{moment} file"] = now["RssFile"] - base["RssFile"]
        forget_peak()

    work(case, kit(case.model), mark)
    return found


def measured(case: Case, *, exact: bool = True) -> dict[str, float]:
    """`measure`, in a fresh process; `exact` with the allocator that keeps nothing."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(THRESHOLD)} if exact else None
    done = subprocess.run(
        [sys.executable, __file__, "--measure", msgspec.json.encode(case).decode()],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def predict(cases: list[Case]) -> list[Any]:
    """The plan for each case, in bytes, from the configuration alone."""
    import transformers

    from hfterm.models.memory import estimate

    plans: dict[tuple[str, str, str], Any] = {}
    for name, cls, batch, context in MODELS:
        if not any(case.model == name for case in cases):
            continue
        config = transformers.AutoConfig.from_pretrained(kit(name))
        model_cls = getattr(transformers, cls)._model_mapping[type(config)]
        new = ["classifier"] if "Classification" in cls else []
        for plan in estimate(model_cls, config, context=context, batch=batch, new_modules=new):
            plans[name, plan.purpose, plan.precision] = plan
    return [plans[case.model, case.purpose, case.precision] for case in cases]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument(
        "--rounds", dest="rounds_", type=int, default=3, help="processes a row; the median counts"
    )
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--raw", type=Path, help="also write the raw measurements here")
    parser.add_argument(
        "--exact", action="store_true", help="only with the allocator that keeps nothing"
    )
    chosen = parser.parse_args(namespace=Options(parts=[]))
    rounds = 1 if chosen.quick else chosen.rounds_
    if chosen.measure:
        case = msgspec.json.decode(chosen.measure, type=Case)
        print(json.dumps(measure(case)))
        return
    isolate()
    cases = [
        case for case in CASES if chosen.only in f"{case.model} {case.purpose} {case.precision}"
    ]
    if chosen.quick:
        cases = cases[::5]
    report = Report(chosen)
    runs: list[list[tuple[dict[str, float], dict[str, float]]]] = []
    rows: list[tuple[object, ...]] = []
    plans = predict(cases)

    def of(case: Case) -> list[tuple[dict[str, float], dict[str, float]]]:
        return [
            (measured(case), {} if chosen.exact else measured(case, exact=False))
            for _ in range(rounds)
        ]

    # two at a time: it is memory that is measured, not time
    pool = ThreadPoolExecutor(2)
    for case, plan, found in zip(cases, plans, pool.map(of, cases), strict=True):
        runs.append(found)
        peaks = [exact["done peak"] / MB for exact, _ in found]
        default = [other["done peak"] / MB for _, other in found if other]
        parts = sorted(plan.parts, key=lambda part: -part.size)[:SHOWN_PARTS]
        rows.append((
            f"{case.model} {case.batch}×{case.context} {case.purpose} {case.precision}",
            plan.total / MB, median(peaks), plan.total / MB / median(peaks),
            median(default) if default else "–",
            median([exact["loaded peak"] for exact, _ in found]) / MB,
            ", ".join(f"{part.what} {part.size / MB:.0f}" for part in parts),
        ))  # fmt: skip
        report.add(
            f"Memory foretold: {case.model}, batch of {case.batch} × {case.context}",
            f"{case.purpose}, {case.precision}", "MB", [plan.total / MB] * len(peaks),
            against="measured", other=peaks, target=ratio_between(0.9, 1.1),
        )  # fmt: skip
    if chosen.raw:
        pairs = zip(cases, runs, strict=True)
        chosen.raw.write_text(json.dumps([[msgspec.to_builtins(case), run] for case, run in pairs]))
    table(
        f"Peak memory in MB, the median of {rounds}; predicted without loading a weight",
        ("", "predicted", "measured", "ratio", "glibc", "loading", "largest parts predicted"),
        rows,
    )


if __name__ == "__main__":
    main()
