"""Chat: the engine against `generate` itself, and the screen while an answer streams.

The engine's figures are ratios to transformers' `generate` on the same model in the same process,
taken in turns. The screen's are taken in a pseudo-terminal of 120×40.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import psutil

from harness import HFTERM, isolate, median, percentile, table

TOKENS = int(os.environ.get("HFTERM_TOKENS", "128"))
ROUNDS = int(os.environ.get("HFTERM_ROUNDS", "5"))
QUESTION = "Tell me a long story about a fox, a river and a mountain."
WAYS = (
    {"dtype": "float32"}, {"dtype": "bfloat16"}, {"quantization": "int8"}, {"quantization": "nf4"},
)  # fmt: skip


def engine(way: dict[str, str]) -> list[str]:
    """A row: tokens/s and first token of hfterm and of `generate`, and their ratios."""
    import torch
    from transformers import StoppingCriteriaList

    from hfterm.chat.prompting import prompt
    from hfterm.chat.transformers_backend import TransformersBackend
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.job import Job

    llm = TransformersBackend(LlmSpec(ref="smollm2", **way), Job())  # type: ignore[arg-type]
    opened = llm._opened
    messages = (Message("user", QUESTION),)
    ids = torch.tensor([prompt(opened.text, messages, "it").ids])
    sampling = Sampling(temperature=0, max_new_tokens=TOKENS)

    def raw() -> tuple[list[float], float, list[int]]:
        times: list[float] = []

        def seen(sequences: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
            times.append(time.perf_counter())
            return torch.zeros(1, dtype=torch.bool)

        began = time.perf_counter()
        with torch.no_grad():
            output = opened.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS,
                do_sample=False, stopping_criteria=StoppingCriteriaList([seen]),
            )  # fmt: skip
        return _between(times), times[0] - began, output[0, ids.shape[1] :].tolist()

    def ours() -> tuple[list[float], float, list[int]]:
        times: list[float] = []
        job = Job(send=lambda _: times.append(time.perf_counter()))
        answer = llm.answer(Ask(messages=messages, sampling=sampling), job)
        return _between(times), answer.ttft, list(answer.ids)

    # the median of every token's time, over rounds in turn: a busy moment of the machine, which
    # falls on one of the two, does not move it
    mine: list[float] = []
    theirs: list[float] = []
    firsts: list[tuple[float, float]] = []
    same = True
    for _ in range(ROUNDS):
        one, two = raw(), ours()
        theirs += one[0]
        mine += two[0]
        firsts.append((two[1], one[1]))
        same = same and one[2] == two[2]
    rate, raw_rate = 1 / median(mine), 1 / median(theirs)
    first, raw_first = median([a for a, _ in firsts]), median([b for _, b in firsts])
    turns = (Message("user", QUESTION), Message("assistant", "Yes. " * 60), Message("user", "Go."))
    llm.answer(Ask(messages=turns[:2], sampling=sampling, conversation="a"), Job())
    kept = llm.answer(Ask(messages=turns, sampling=sampling, conversation="a"), Job()).ttft
    fresh = median(
        [llm.answer(Ask(messages=turns, sampling=sampling), Job()).ttft for _ in range(3)]
    )
    return [
        next(iter(way.values())), f"{rate:.1f}", f"{raw_rate:.1f}", f"{rate / raw_rate:.3f}",
        f"{1000 * first:.0f}", f"{1000 * raw_first:.0f}", f"{first / raw_first:.2f}",
        f"{kept / fresh:.2f}", "yes" if same else "NO",
    ]  # fmt: skip


def _between(times: list[float]) -> list[float]:
    """Seconds from each token to the next."""
    return [later - earlier for earlier, later in pairwise(times)]


PROMPTS = Path(__file__).parents[1] / "tests/data/chat_prompts.json"
MOST = 32
"""Tokens of each prompt's answer."""


def greedy(way: dict[str, str]) -> list[str]:
    """Of how many prompts hfterm's greedy answer has the tokens that `generate` gives."""
    import torch

    from hfterm.chat.prompting import prompt
    from hfterm.chat.transformers_backend import TransformersBackend
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.job import Job

    llm = TransformersBackend(LlmSpec(ref="smollm2", **way), Job())
    opened = llm._opened
    sampling = Sampling(temperature=0, max_new_tokens=MOST)
    questions = json.loads(PROMPTS.read_text())
    same = tokens = 0
    for question in questions:
        messages = (Message("user", question),)
        answer = llm.answer(Ask(messages=messages, sampling=sampling), Job())
        ids = torch.tensor([prompt(opened.text, messages, "it").ids])
        with torch.no_grad():
            output = opened.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MOST,
                do_sample=False,
            )  # fmt: skip
        same += list(answer.ids) == output[0, ids.shape[1] :].tolist()
        tokens += len(answer.ids)
    return [next(iter(way.values())), f"{same} of {len(questions)}", f"{tokens:,}"]


LONG = int(os.environ.get("HFTERM_LONG", "2000"))
AT_AN_END = 200
"""Tokens of a long answer's beginning and end that are compared."""


def long_answer() -> list[list[str]]:
    """Tokens a second at both ends of a long answer: hfterm's, and those of `generate`."""
    import torch
    from transformers import StoppingCriteriaList

    from hfterm.chat.prompting import prompt
    from hfterm.chat.transformers_backend import TransformersBackend
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.job import Job

    llm = TransformersBackend(LlmSpec(ref="smollm2", dtype="float32"), Job())
    llm._ends = frozenset()  # the answer is to be as long as it is asked for
    opened = llm._opened
    messages = (Message("user", QUESTION),)
    ids = torch.tensor([prompt(opened.text, messages, "it").ids])
    ours: list[float] = []
    theirs: list[float] = []
    sampling = Sampling(temperature=0.8, seed=1, max_new_tokens=LONG)
    llm.answer(Ask(messages=messages, sampling=sampling),
               Job(send=lambda _: ours.append(time.perf_counter())))  # fmt: skip

    def seen(sequences: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        theirs.append(time.perf_counter())
        return torch.zeros(1, dtype=torch.bool)

    with torch.no_grad():
        opened.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=LONG,
            min_new_tokens=LONG, do_sample=True, temperature=0.8,
            stopping_criteria=StoppingCriteriaList([seen]),
        )  # fmt: skip
    rows: list[list[str]] = []
    for name, times in (("hfterm", ours), ("generate", theirs)):
        rates = [1 / median(_between(part)) for part in (times[:AT_AN_END], times[-AT_AN_END:])]
        rows.append([name, *(f"{rate:.1f}" for rate in rates), f"{rates[1] / rates[0]:.2f}"])
    return rows


def unloaded() -> list[list[str]]:
    """Memory of the box before a model is loaded, with it, and after it was let go."""
    import asyncio

    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.engine.chat_requests import AnswerPrompt
    from hfterm.engine.client import EngineClient
    from hfterm.engine.llm import open_llm

    def taken() -> float:
        # what processes hold: the cache of files is the system's, which frees it when it likes
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        return (
            sum(sizes[name] for name in ("AnonPages", "Shmem", "KernelStack", "PageTables")) / 1e3
        )

    async def run() -> list[list[str]]:
        rows: list[list[str]] = []
        for way in WAYS:
            engine = EngineClient("benchmark", warm=False)
            spec = LlmSpec(ref="smollm2", **way)  # type: ignore[arg-type]
            ask = Ask(messages=(Message("user", QUESTION),), sampling=Sampling(max_new_tokens=32))
            await open_llm(engine, spec)  # so that the files are in the page cache
            await engine.unload()
            await asyncio.sleep(1)
            before = taken()
            await open_llm(engine, spec)
            await engine.stream(AnswerPrompt(spec=spec, ask=ask), lambda _: None)
            during = taken()
            await engine.unload()
            await asyncio.sleep(1)
            after = taken()
            await engine.close()
            rows.append(
                [next(iter(way.values())), f"{during - before:,.0f}", f"{after - before:+,.1f}"]
            )
        return rows

    return asyncio.run(run())


def gguf() -> list[list[str]]:
    """The llama.cpp engine against llama-cpp-python's own completion, where it is installed."""
    from llama_cpp import Llama

    from hfterm.chat.llama_backend import LlamaCppBackend
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.hub.starter import starter_gguf
    from hfterm.job import Job

    file = str(starter_gguf("smollm2"))
    llm = LlamaCppBackend(LlmSpec(ref=file, engine="llama.cpp", context=2048), Job())
    threads = llm._model._llama.n_threads  # as many: hfterm leaves a core to the interface
    raw = Llama(file, n_ctx=2048, n_threads=threads, verbose=False)
    ask = Ask(messages=(Message("user", QUESTION),),
              sampling=Sampling(temperature=0, max_new_tokens=TOKENS))  # fmt: skip
    asked = llm.answer(ask, Job()).prompt
    pairs: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        times: list[float] = []
        raw.reset()
        for _ in raw.create_completion(
            asked, max_tokens=TOKENS, temperature=0, repeat_penalty=1, stream=True
        ):
            times.append(time.perf_counter())
        pairs.append(
            (llm.answer(ask, Job()).tokens_per_s, (len(times) - 1) / (times[-1] - times[0]))
        )
    return [[f"{median([a for a, _ in pairs]):.1f}", f"{median([b for _, b in pairs]):.1f}",
             f"{median([a / b for a, b in pairs]):.3f}"]]  # fmt: skip


def streamed() -> list[list[str]]:
    """Bytes a second, key to frame, and the rate at both ends while a long answer streams."""
    from pty_terminal import PtyTerminal

    terminal = PtyTerminal([HFTERM, "--screen", "chat"], columns=120, rows=40)
    found = re.compile(r"([\d,]+) tokens · ([\d.]+)/s")

    def until(pattern: str, seconds: float = 90) -> None:
        end = time.perf_counter() + seconds
        while not re.search(pattern, terminal.text):
            terminal.read(0.02)
            if time.perf_counter() > end:
                print(terminal.text)
                sys.exit(f"The screen never showed {pattern!r}.")

    until("Enter sends")
    terminal.settle()
    terminal.send("\x1bs")  # the form has the focus: the first field is the temperature
    terminal.send("\x1bs")
    terminal.send("\t0\x1b[Z")
    terminal.send(QUESTION + "\r")
    until(r"\d+ tokens · [\d.]+/s")
    ui = psutil.Process(terminal.process.pid)
    lags: list[float] = []
    before, cpu, began = len(terminal.raw), ui.cpu_times(), time.perf_counter()
    seconds = float(os.environ.get("HFTERM_SECONDS", "30"))
    while time.perf_counter() - began < seconds and "Esc stops" in terminal.text:
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            terminal.read(0.02)
    taken = time.perf_counter() - began
    rate = (len(terminal.raw) - before) / taken
    after = ui.cpu_times()
    share = 100 * (after.user + after.system - cpu.user - cpu.system) / taken
    for number in range(200):
        if "Esc stops" not in terminal.text:
            break
        letter = chr(ord("a") + number % 26)
        wait = time.perf_counter() + 0.05
        while time.perf_counter() < wait:
            terminal.read(0.01)
        mark, pressed = len(terminal.raw), time.perf_counter()
        terminal.send(letter)
        while letter.encode() not in bytes(terminal.raw[mark:]):
            terminal.read(0.002)
            if time.perf_counter() - pressed > 2:
                break
        lags.append(1000 * (time.perf_counter() - pressed))
    shown = found.search(terminal.text)
    print(f"shown at the end: {shown[0] if shown else 'nothing'}; {len(lags)} keys")
    terminal.kill()
    return [
        ["bytes a second", f"{rate:,.0f}"],
        ["processor of the interface, % of a core", f"{share:.1f}"],
        ["key to frame, median ms", f"{median(lags):.1f}" if lags else "–"],
        ["key to frame, p99 ms", f"{percentile(lags, 99):.1f}" if lags else "–"],
    ]


def main() -> None:
    """Print the tables."""
    isolate()
    parts = sys.argv[1:] or ["engine", "greedy", "long", "memory", "gguf", "screen"]
    if "engine" in parts:
        rows = [engine(way) for way in WAYS]
        table(
            f"SmolLM2, {TOKENS} tokens, greedy: hfterm against generate",
            ["way", "tokens/s", "generate", "ratio", "first ms", "generate", "ratio",
             "2nd turn kept/fresh", "same tokens"], rows,
        )  # fmt: skip
    if "greedy" in parts:
        table(
            f"Greedy answers of up to {MOST} tokens with the tokens of `generate`",
            ["way", "answers", "tokens"], [greedy(way) for way in WAYS],
        )  # fmt: skip
    if "long" in parts:
        table(
            f"An answer of {LONG:,} tokens, float32: tokens/s of its first and last {AT_AN_END}",
            ["", "first", "last", "last/first"], long_answer(),
        )  # fmt: skip
    if "memory" in parts:
        table("Memory of the box, MB more than before", ["way", "loaded", "unloaded"], unloaded())
    if "gguf" in parts:
        if find_spec("llama_cpp") is None:
            print("\nllama-cpp-python is not installed: hfterm[gguf] brings it.")
        else:
            columns = ["tokens/s", "create_completion", "ratio"]
            table(f"SmolLM2 in GGUF, {TOKENS} tokens, greedy", columns, gguf())
    if "screen" in parts:
        table("While an answer streams, 120×40", ["", ""], streamed())


if __name__ == "__main__":
    main()
