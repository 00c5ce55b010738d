"""1,000 film reviews through the engine, beside a plain loop of the same batch size.

The plain loop runs in a process of its own, as the engine does; they take turns.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from harness import Report, isolate, median, options, table
from results import ratio_at_least

ROUNDS = 3
TOPIC = "Predict: text classification with MiniLM"
ROWS = 1000
BATCH = 32

PLAIN = f"""
import csv, os, time, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging
logging.set_verbosity_error()
kit = os.environ["HFTERM_STARTER"]
tokenizer = AutoTokenizer.from_pretrained(kit + "/minilm")
model = AutoModelForSequenceClassification.from_pretrained(kit + "/minilm", dtype="auto").eval()
texts = [r["text"] for r in csv.DictReader(open(kit + "/reviews/reviews.csv", newline=""))][:{ROWS}]
began = time.monotonic()
with torch.inference_mode():
    for start in range(0, len(texts), {BATCH}):
        inputs = tokenizer(texts[start:start + {BATCH}], padding=True, return_tensors="pt")
        torch.softmax(model(**inputs).logits, dim=-1).max(dim=-1).indices.tolist()
print(time.monotonic() - began)
"""


def plain() -> float:
    """Rows a second of the loop."""
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True)
    return ROWS / float(done.stdout.split()[-1])


async def ours() -> tuple[float, float]:
    """Rows a second through the engine, and the longest that the asking loop was held up."""
    from hfterm.engine.client import EngineClient
    from hfterm.engine.model_requests import LoadModel, PredictRows
    from hfterm.inference.options import AUTO_OF, BatchOptions, TaskOptions
    from hfterm.models.types import ModelSpec

    spec = ModelSpec(ref="minilm", auto=AUTO_OF["text-classification"])
    engine = EngineClient("benchmark", warm=False)
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            worst = max(worst, time.monotonic() - before - 0.005)

    try:
        await engine.call(LoadModel(spec=spec))
        watching = asyncio.create_task(watch())
        began = time.monotonic()
        await engine.call(
            PredictRows(
                spec=spec, source="reviews", options=TaskOptions(task="text-classification"),
                batch=BatchOptions(size=BATCH, most=ROWS),
            ),
            lambda _: None,
        )  # fmt: skip
        taken = time.monotonic() - began
        watching.cancel()
    finally:
        await engine.close()
    return ROWS / taken, worst


def main() -> None:
    chosen = options(__doc__)
    rounds = chosen.rounds(ROUNDS, 1)
    isolate()
    loops: list[float] = []
    engines: list[float] = []
    held: list[float] = []
    for _ in range(rounds):
        loops.append(plain())
        rate, worst = asyncio.run(ours())
        engines.append(rate)
        held.append(worst)
    base = median(loops)
    table(
        f"{ROWS:,} film reviews, batches of {BATCH}; {rounds} rounds",
        ("", "rows/s", "slowest", "fastest", "× plain"),
        [
            ("plain loop", base, min(loops), max(loops), 1.0),
            (
                "hfterm's engine",
                median(engines),
                min(engines),
                max(engines),
                median(engines) / base,
            ),
        ],
    )
    print(f"  the interface's loop was held up {1e3 * max(held):.0f} ms at most")
    report = Report(chosen)
    report.add(
        TOPIC, f"{ROWS:,} rows, batches of {BATCH}", "rows/s", engines,
        against="a plain loop", other=loops, target=ratio_at_least(0.95), more=True,
    )  # fmt: skip
    report.add(TOPIC, "longest that the asking loop was held up", "ms", [1e3 * x for x in held])


if __name__ == "__main__":
    main()
