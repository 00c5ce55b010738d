"""`hfterm classes` beside the import of transformers with torch; a warm engine; big configs.

Three imports stand beside it, since transformers imports lazily: the bare names, the Auto classes,
and what every model class stands on (`PreTrainedModel`), which is what a class costs at least.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import HFTERM, Report, isolate, median, options, table
from results import at_most, ratio_at_most

ROUNDS = 3
TOPIC = "Classes of a model"

IMPORTS = {
    "import torch, transformers": "import torch, transformers",
    "… and the Auto classes": "import torch; from transformers import AutoModel",
    "… and PreTrainedModel": "import torch; from transformers import PreTrainedModel",
}

DUE = "import torch, transformers"
"""The import that the budget is judged by: the shortest of the three."""

FIRST, AGAIN = "hfterm classes minilm, first time", "hfterm classes minilm, files unchanged"

LLAMA = {
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
           "num_attention_heads": 32},
    "70B": {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
            "num_attention_heads": 64},
}  # fmt: skip
SHARED = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16",
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192,
}  # fmt: skip


def seconds(argv: list[str], cache: str | None = None) -> float:
    """A command as a whole process; with `cache`, that folder is its cache."""
    environ = os.environ if cache is None else {**os.environ, "XDG_CACHE_HOME": cache}
    began = time.monotonic()
    subprocess.run(
        argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    )
    return time.monotonic() - began


def commands(report: Report, rounds: int) -> None:
    """The command and the imports, taking turns."""
    runs = {name: [sys.executable, "-c", code] for name, code in IMPORTS.items()}
    ours = [HFTERM, "classes", "minilm", "--json"]
    runs |= {FIRST: ours, AGAIN: ours}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, argv in runs.items():
            measured = seconds(argv, tempfile.mkdtemp() if name == FIRST else None)
            if number:  # the first round warms the disk
                times[name].append(measured)
    first, again = median(times[FIRST]), median(times[AGAIN])
    table(
        f"From exec to exit, in seconds; {rounds} rounds",
        ("", "median", "fastest", "slowest", "first ÷ it", "again ÷ it"),
        [
            (name, median(found), min(found), max(found), first / median(found),
             again / median(found))
            for name, found in times.items()
        ],
    )  # fmt: skip
    for ours in (FIRST, AGAIN):
        for name in IMPORTS:
            report.add(
                TOPIC, ours, "s", times[ours], against=name, other=times[name],
                target=ratio_at_most(1.5) if name == DUE else None,
            )  # fmt: skip


async def warm(report: Report) -> None:
    """What a screen waits for, on an engine that has transformers."""
    import psutil

    from hfterm.engine.client import EngineClient
    from hfterm.engine.model_requests import DescribeModel, EstimateMemory, ListParameters
    from hfterm.models.types import ModelSpec

    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # nothing is known from before
    engine = EngineClient("benchmark", warm=False)
    rows: list[tuple[str, float, float, float, float]] = []
    try:
        for ref in ("bert", "llama"):  # their modules are imported
            await engine.call(DescribeModel(spec=ModelSpec(ref=ref)))
        assert engine.status.pid is not None
        process = psutil.Process(engine.status.pid)
        refs = ["minilm", "smollm2"]
        for name, sizes in LLAMA.items():
            file = Path(tempfile.mkdtemp()) / f"llama-{name}.json"
            file.write_text(json.dumps(SHARED | sizes))
            refs.append(str(file))
        for ref in refs:
            before = process.memory_info().rss
            spec = ModelSpec(ref=ref, auto="")
            times: list[float] = []
            for request in (
                DescribeModel(spec=spec), ListParameters(spec=spec), EstimateMemory(spec=spec),
            ):  # fmt: skip
                began = time.monotonic()
                await engine.call(request)
                times.append(time.monotonic() - began)
            grown = (process.memory_info().rss - before) / 1e6
            rows.append((Path(ref).stem, times[0], times[1], times[2], grown))
            what = ("classes", "parameters", "memory plans")
            for name, taken in zip(what, times, strict=True):
                most = 1.0 if ref.endswith(".json") else 0.3
                report.add(TOPIC, f"{Path(ref).stem}, warm engine: {name}", "s", taken,
                           target=at_most(most, "s"))  # fmt: skip
    finally:
        await engine.close()
    table(
        "On a warm engine, in seconds; and how much its memory grew",
        ("", "classes", "parameters", "memory plans", "MB"),
        rows,
    )


def main() -> None:
    chosen = options(__doc__)
    report = Report(chosen)
    isolate()
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    commands(report, chosen.rounds(ROUNDS, 1))
    asyncio.run(warm(report))


if __name__ == "__main__":
    main()
