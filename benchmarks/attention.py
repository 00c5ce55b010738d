"""Attention: 512 tokens on MiniLM beside the raw eager forward and bertviz, 8,192 on SmolLM2.

Rounds of the raw forward and of the engine take turns, each in a process of its own. The grid is
there when the summary and the first map are: what the screen draws the first full frame from.
Memory is what the engine process holds over what it held with the model loaded, its peak included.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

import peers
from harness import Report, isolate, median, options, table
from results import below, ratio_at_most

ROUNDS = 5
TURNS = 2
"""Processes of either side; bertviz takes long, and has as many."""
TOKENS = 512
LONG = 8192
WORD = "one two three four five six seven eight nine ten "

RAW = """
import json, os, sys, time, torch
from transformers import AutoModel, AutoTokenizer, logging
logging.set_verbosity_error()
path = os.environ["HFTERM_STARTER"] + "/minilm"
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModel.from_pretrained(path, attn_implementation="eager").eval()
text = sys.argv[1]
def forward():
    began = time.monotonic()
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
    with torch.inference_mode():
        output = model(**inputs, output_attentions=True, output_hidden_states=True)
    return time.monotonic() - began, inputs, output
forward()
times = [forward()[0] for _ in range(5)]
print(json.dumps({"seconds": sorted(times)[2], "tokens": forward()[1].input_ids.shape[1]}))
"""

BERTVIZ = (
    RAW[: RAW.index("forward()\ntimes")]
    + """
import resource
spent, inputs, output = forward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.monotonic()
from bertviz import model_view
page = model_view(output.attentions, tokenizer.convert_ids_to_tokens(inputs.input_ids[0]),
                  html_action="return")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": time.monotonic() - began, "bytes": 1024 * (after - before),
                  "page": len(page.data), "forward": spent}))
"""
)


def text_of(tokens: int) -> str:
    """About so many tokens of either model."""
    return (WORD * (tokens // 10 + 1)).strip()


def in_python(script: str, text: str, python: str | Path = sys.executable) -> dict[str, float]:
    """What a script prints."""
    done = subprocess.run(
        [str(python), "-c", script, text], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


class Watch:
    """The largest resident memory of a process while it works, over what it held before."""

    def __init__(self, pid: int | None) -> None:
        self._process = psutil.Process(pid)
        self._before = self._process.memory_info().rss
        self.grown = 0
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self.grown = max(self.grown, self._process.memory_info().rss - self._before)
            await asyncio.sleep(0.005)

    def stop(self) -> float:
        """Megabytes."""
        self._task.cancel()
        return self.grown / 1e6


async def short(rounds: int) -> tuple[list[float], float]:
    """Seconds to the grid of 512 tokens, and megabytes."""
    from hfterm.attention.types import CaptureOptions, Looked, Which
    from hfterm.engine.attention_requests import CaptureAttention, GetAttentionMap
    from hfterm.engine.client import EngineClient
    from hfterm.engine.model_requests import LoadModel
    from hfterm.models.types import ModelSpec

    spec = ModelSpec(ref="minilm", auto="")
    engine = EngineClient("benchmark", warm=False)
    taken: list[float] = []

    async def once(more: str) -> float:
        options = CaptureOptions(long="truncate")
        looked = Looked(spec=spec, text=more + text_of(TOKENS), options=options)
        began = time.monotonic()
        summary = await engine.call(CaptureAttention(looked=looked))
        await engine.call(GetAttentionMap(looked=looked, which=Which()))
        assert len(summary.source) == TOKENS
        return time.monotonic() - began

    try:
        await engine.call(LoadModel(spec=spec))
        short_text = Looked(spec=spec, text="a text")
        await engine.call(CaptureAttention(looked=short_text))  # modules are imported
        watch = Watch(engine.status.pid)
        await once("")
        grown = watch.stop()
        # another text each time: a pass that was run is kept
        for number in range(rounds):
            taken.append(await once(f"{number} "))
    finally:
        await engine.close()
    return taken, grown


async def long() -> dict[str, float]:
    """8,192 tokens on SmolLM2: seconds of the pass and of a head, megabytes, seconds to stop."""
    from hfterm.attention.types import Looked, Which
    from hfterm.engine.attention_requests import CaptureAttention, GetAttentionMap
    from hfterm.engine.client import EngineClient
    from hfterm.engine.model_requests import LoadModel
    from hfterm.models.types import ModelSpec

    spec = ModelSpec(ref="smollm2", auto="")
    engine = EngineClient("benchmark", warm=False)
    found: dict[str, float] = {}
    try:
        await engine.call(LoadModel(spec=spec))
        await engine.call(CaptureAttention(looked=Looked(spec=spec, text="a text")))
        told: list[float] = []
        text = (WORD * (LONG // 10 + 1)).split(" ")
        looked = Looked(spec=spec, text=" ".join(text[:LONG]))
        watch = Watch(engine.status.pid)
        began = time.monotonic()
        summary = await engine.call(
            CaptureAttention(looked=looked), lambda _: told.append(time.monotonic())
        )
        found["tokens"] = len(summary.source)
        found["pass, s"] = time.monotonic() - began
        found["longest without progress, s"] = max(
            after - before for before, after in itertools.pairwise(told)
        )
        began = time.monotonic()
        shown = await engine.call(
            GetAttentionMap(looked=looked, which=Which(layer=12, head=3)), None
        )
        assert shown.weights.shape == (found["tokens"], found["tokens"])
        found["one head, s"] = time.monotonic() - began
        found["grown by, with the head, MB"] = watch.stop()
        another = Looked(spec=spec, text=" ".join(text[1:LONG]))
        begun = asyncio.Event()
        task = asyncio.create_task(
            engine.call(CaptureAttention(looked=another), lambda _: begun.set())
        )
        await begun.wait()
        await asyncio.sleep(2)
        began = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # the engine is free again when it answers on the same lane
        await engine.call(CaptureAttention(looked=Looked(spec=spec, text="b")))
        found["free after a cancel, s"] = time.monotonic() - began
    finally:
        await engine.close()
    return found


SHORT = f"Attention of {TOKENS} tokens, MiniLM"
FAR = f"Attention of {LONG:,} tokens, SmolLM2"


def of_short(report: Report, turns: int) -> None:
    """The raw forward, the engine, and bertviz, taking turns."""
    raws: list[float] = []
    ours: list[float] = []
    growths: list[float] = []
    theirs: list[dict[str, float]] = []
    try:
        bertviz = peers.python("bertviz")
    except peers.Missing as why:
        bertviz = None
        report.not_run(SHORT, "bertviz", why)
    for _ in range(turns):
        raws.append(in_python(RAW, text_of(TOKENS))["seconds"])
        taken, grown = asyncio.run(short(ROUNDS))
        ours.append(median(taken))
        growths.append(grown)
        if bertviz is not None:
            theirs.append(in_python(BERTVIZ, text_of(TOKENS), bertviz))
    base = median(raws)
    rows: list[tuple[str | float, ...]] = [
        ("raw eager forward", base, 1.0),
        ("hfterm: to the full grid", median(ours), median(ours) / base),
        ("the most there may be", 1.3 * base + 0.1, (1.3 * base + 0.1) / base),
    ]
    if theirs:
        page = median([one["seconds"] for one in theirs])
        rows.append(("bertviz model_view, the page", page, page / base))
    table(f"{TOKENS} tokens on MiniLM; {turns} × {ROUNDS} rounds", ("", "s", "× raw"), rows)
    print(f"  the engine grew by {max(growths):.0f} MB over the loaded model")
    report.add(
        SHORT, "text to the full grid and the first map", "s", ours,
        against="the raw eager forward", other=raws, target=ratio_at_most(1.3, 0.1, "s"),
    )  # fmt: skip
    report.add(SHORT, "memory over the loaded model", "MB", growths, target=below(200, "MB"))
    if theirs:
        print(f"  bertviz by {theirs[0]['bytes'] / 1e6:,.0f} MB, for a page of "
              f"{theirs[0]['page'] / 1e6:,.0f} MB")  # fmt: skip
        report.add(
            SHORT, "text to the first picture", "s", ours,
            against="bertviz model_view: forward and page",
            other=[one["seconds"] + one["forward"] for one in theirs], peer=True,
            note="bertviz's page must still be sent to a browser and drawn there: "
            f"{theirs[0]['page'] / 1e6:,.0f} MB of HTML.",
        )  # fmt: skip
        report.add(
            SHORT, "memory of the picture", "MB", growths, against="bertviz model_view",
            other=[one["bytes"] / 1e6 for one in theirs], peer=True,
        )  # fmt: skip


def of_long(report: Report) -> None:
    """A text that no other tool takes; there is only hfterm's figure."""
    found = asyncio.run(long())
    table(f"{LONG:,} tokens on SmolLM2", ("", ""), list(found.items()))
    held = 30 * 9 * LONG**2 * 4 / 1e9
    print(f"  all heads in float32 would be {held:.0f} GB")
    for name, value in found.items():
        what, _, unit = name.rpartition(", ")
        if what:
            target = below(1500, "MB") if unit == "MB" else None
            report.add(FAR, what, unit, value, target=target)


PARTS = ("short", "long")


def main() -> None:
    chosen = options(__doc__, PARTS)
    report = Report(chosen)
    isolate()
    if "short" in chosen.parts:
        of_short(report, chosen.rounds(TURNS, 1))
    if "long" in chosen.parts:
        print()
        of_long(report)


if __name__ == "__main__":
    main()
