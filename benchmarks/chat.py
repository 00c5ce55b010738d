"""Chat: the engine against `generate` itself, and the screen while an answer streams.

The engine's figures are ratios to transformers' `generate` on the same model in the same process,
taken in turns. The screen's are taken in a pseudo-terminal of 120×40.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import msgspec
import psutil

import peers
from harness import HFTERM, Report, isolate, median, options, percentile, table
from results import Row, at_most, between, ratio_at_least, ratio_at_most

TOKENS = int(os.environ.get("HFTERM_TOKENS", "128"))
ROUNDS = int(os.environ.get("HFTERM_ROUNDS", "5"))
FEW = 4
QUESTION = "Tell me a long story about a fox, a river and a mountain."
ENGINE = f"Chat: SmolLM2, {TOKENS} tokens, greedy"
GREEDY = "Chat: greedy answers"
ENDS = "Chat: an answer of {:,} tokens, float32"
UNLOAD = "Chat: memory of the box"
GGUF = f"Chat: SmolLM2 in GGUF, {TOKENS} tokens, greedy"
STREAM = "Chat: the screen while {} streams, 120×40"
STREAMED = {
    "a story": QUESTION,
    "a long list": "Give me a numbered list of 30 tips for learning Python, each with an example.",
}
"""What is asked for: text, and what is laid out as many blocks."""

EVERY = ratio_at_least(1)
WAYS = (
    {"dtype": "float32"}, {"dtype": "bfloat16"}, {"quantization": "int8"}, {"quantization": "nf4"},
)  # fmt: skip


def engine(way: dict[str, str], report: Report, rounds: int) -> list[str]:
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
    rates: list[tuple[float, float]] = []
    answers: list[bool] = []
    for _ in range(rounds):
        one, two = raw(), ours()
        theirs += one[0]
        mine += two[0]
        rates.append((1 / median(two[0]), 1 / median(one[0])))
        answers.append(one[2] == two[2])
        firsts.append((two[1], one[1]))
    rate, raw_rate = 1 / median(mine), 1 / median(theirs)
    first, raw_first = median([a for a, _ in firsts]), median([b for _, b in firsts])
    turns = (Message("user", QUESTION), Message("assistant", "Yes. " * 60), Message("user", "Go."))
    # only the first token counts here
    sampling = Sampling(temperature=0, max_new_tokens=FEW)
    llm.answer(Ask(messages=turns[:2], sampling=sampling, conversation="a"), Job())
    kept = llm.answer(Ask(messages=turns, sampling=sampling, conversation="a"), Job()).ttft
    anew = [llm.answer(Ask(messages=turns, sampling=sampling), Job()).ttft for _ in range(3)]
    fresh = median(anew)
    name = next(iter(way.values()))
    raw_name = "generate"
    report.add(
        ENGINE, f"{name}: rate", "tokens/s", [a for a, _ in rates], against=raw_name,
        other=[b for _, b in rates], target=ratio_at_least(0.97), more=True,
    )  # fmt: skip
    report.add(
        ENGINE, f"{name}: first token", "ms", [1000 * a for a, _ in firsts], against=raw_name,
        other=[1000 * b for _, b in firsts], target=ratio_at_most(1.1),
    )  # fmt: skip
    report.add(
        ENGINE, f"{name}: first token of the second turn", "ms", 1000 * kept,
        against="without the kept cache", other=[1000 * one for one in anew],
        target=ratio_at_most(0.6),
    )  # fmt: skip
    report.add(ENGINE, f"{name}: rounds with the tokens of generate", "", sum(answers),
               against="rounds", other=rounds, target=EVERY, more=True)  # fmt: skip
    return [
        next(iter(way.values())), f"{rate:.1f}", f"{raw_rate:.1f}", f"{rate / raw_rate:.3f}",
        f"{1000 * first:.0f}", f"{1000 * raw_first:.0f}", f"{first / raw_first:.2f}",
        f"{kept / fresh:.2f}", "yes" if all(answers) else "NO",
    ]  # fmt: skip


def _between(times: list[float]) -> list[float]:
    """Seconds from each token to the next."""
    return [later - earlier for earlier, later in pairwise(times)]


PROMPTS = Path(__file__).parents[1] / "tests/data/chat_prompts.json"
MOST = 32
"""Tokens of each prompt's answer."""


def greedy(way: dict[str, str], report: Report, most: int) -> list[str]:
    """Of how many prompts hfterm's greedy answer has the tokens that `generate` gives."""
    import torch

    from hfterm.chat.prompting import prompt
    from hfterm.chat.transformers_backend import TransformersBackend
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.job import Job

    llm = TransformersBackend(LlmSpec(ref="smollm2", **way), Job())
    opened = llm._opened
    sampling = Sampling(temperature=0, max_new_tokens=MOST)
    questions = json.loads(PROMPTS.read_text())[:most]
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
    name = next(iter(way.values()))
    report.add(GREEDY, f"{name}: answers with the tokens of generate", "", same,
               against="answers", other=len(questions), target=EVERY, more=True)  # fmt: skip
    return [name, f"{same} of {len(questions)}", f"{tokens:,}"]


GREEDY_PROMPTS = int(os.environ.get("HFTERM_PROMPTS", "51"))
LONG = int(os.environ.get("HFTERM_LONG", "2000"))
SECONDS = float(os.environ.get("HFTERM_SECONDS", "30"))
AT_AN_END = 200
"""Tokens of a long answer's beginning and end that are compared."""


def long_answer(report: Report, count: int) -> list[list[str]]:
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
    sampling = Sampling(temperature=0.8, seed=1, max_new_tokens=count)
    llm.answer(Ask(messages=messages, sampling=sampling),
               Job(send=lambda _: ours.append(time.perf_counter())))  # fmt: skip

    def seen(sequences: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        theirs.append(time.perf_counter())
        return torch.zeros(1, dtype=torch.bool)

    with torch.no_grad():
        opened.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count,
            min_new_tokens=count, do_sample=True, temperature=0.8,
            stopping_criteria=StoppingCriteriaList([seen]),
        )  # fmt: skip
    rows: list[list[str]] = []
    both: list[list[float]] = []
    for name, times in (("hfterm", ours), ("generate", theirs)):
        rates = [1 / median(_between(part)) for part in (times[:AT_AN_END], times[-AT_AN_END:])]
        rows.append([name, *(f"{rate:.1f}" for rate in rates), f"{rates[1] / rates[0]:.2f}"])
        both.append([*rates, rates[1] / rates[0]])
    whats = ("rate of the first {}", "rate of the last {}", "last by first")
    targets = (None, None, between(0.9, 1.1))
    for what, target, ours_, other in zip(whats, targets, *both, strict=True):
        unit = "" if target else "tokens/s"
        report.add(ENDS.format(count), what.format(AT_AN_END), unit, ours_, against="generate",
                   other=other, target=target, more=True)  # fmt: skip
    return rows


def unloaded(report: Report) -> list[list[str]]:
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
            name = next(iter(way.values()))
            report.add(UNLOAD, f"{name}: more while it is loaded", "MB", during - before)
            report.add(UNLOAD, f"{name}: more after it was unloaded", "MB", after - before,
                       target=at_most(20, "MB"),
                       note="Of all processes of the box: those of others count too.")  # fmt: skip
            rows.append(
                [next(iter(way.values())), f"{during - before:,.0f}", f"{after - before:+,.1f}"]
            )
        return rows

    return asyncio.run(run())


def gguf(report: Report, rounds: int) -> list[list[str]]:
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
    for _ in range(rounds):
        times: list[float] = []
        raw.reset()
        for _ in raw.create_completion(
            asked, max_tokens=TOKENS, temperature=0, repeat_penalty=1, stream=True
        ):
            times.append(time.perf_counter())
        pairs.append(
            (llm.answer(ask, Job()).tokens_per_s, (len(times) - 1) / (times[-1] - times[0]))
        )
    report.add(
        GGUF, "rate", "tokens/s", [a for a, _ in pairs], against="create_completion",
        other=[b for _, b in pairs], target=ratio_at_least(0.97), more=True,
    )  # fmt: skip
    return [[f"{median([a for a, _ in pairs]):.1f}", f"{median([b for _, b in pairs]):.1f}",
             f"{median([a / b for a, b in pairs]):.3f}"]]  # fmt: skip


def streamed(report: Report, lasting: float, keys: int, what: str) -> list[list[str]]:
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
    # the form's first is the temperature; five fields on is how long the answer may be
    for key in ("\x1bs", "\x1bs", "0", *["\t"] * 5, "4000", "\x1b"):
        terminal.send(key)
        terminal.settle()
    terminal.send(STREAMED[what] + "\r")
    until(r"\d+ tokens · [\d.]+/s")
    ui = psutil.Process(terminal.process.pid)
    said = time.perf_counter()

    def streaming() -> bool:
        # when its head scrolls away it is said elsewhere, with the next tokens
        nonlocal said
        if "Esc stops" in terminal.text:
            said = time.perf_counter()
        return time.perf_counter() - said < 1.5

    lags: list[float] = []
    before, cpu, began = len(terminal.raw), ui.cpu_times(), time.perf_counter()
    while time.perf_counter() - began < lasting and streaming():
        end = time.perf_counter() + 1.0
        while time.perf_counter() < end:
            terminal.read(0.02)
    taken = time.perf_counter() - began
    rate = (len(terminal.raw) - before) / taken
    after = ui.cpu_times()
    share = 100 * (after.user + after.system - cpu.user - cpu.system) / taken
    for number in range(keys):
        if not streaming():
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
    topic = STREAM.format(what)
    report.add(topic, "bytes", "B/s", rate, target=at_most(6000, "B/s"))
    report.add(topic, "processor of the interface", "% of a core", share)
    if lags:
        report.add(topic, "key to its frame, median", "ms", lags)
        report.add(topic, f"key to its frame, p99 of {len(lags)}", "ms", percentile(lags, 0.99),
                   target=at_most(50, "ms"))  # fmt: skip
    return [
        ["bytes a second", f"{rate:,.0f}"],
        ["processor of the interface, % of a core", f"{share:.1f}"],
        ["key to frame, median ms", f"{median(lags):.1f}" if lags else "–"],
        ["key to frame, p99 ms", f"{percentile(lags, 0.99):.1f}" if lags else "–"],
    ]


PARTS = ("engine", "greedy", "long", "memory", "gguf", "screen")


def gguf_elsewhere(report: Report, *, quick: bool) -> None:
    """The same part by the Python that has llama.cpp."""
    if find_spec("llama_cpp") is not None:
        columns = ["tokens/s", "create_completion", "ratio"]
        table(f"SmolLM2 in GGUF, {TOKENS} tokens, greedy", columns,
              gguf(report, 2 if quick else ROUNDS))  # fmt: skip
        return
    try:
        python = peers.python("llama-cpp")
    except peers.Missing as why:
        report.not_run(GGUF, "llama-cpp-python", why)
        return
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [str(python), __file__, "gguf", "--json", file.name, *["--quick"][: int(quick)]]
        subprocess.run(command, check=True)
        report.extend(msgspec.json.decode(Path(file.name).read_bytes(), type=list[Row]))


def main() -> None:
    """Print the tables."""
    chosen = options(__doc__, PARTS)
    report = Report(chosen)
    isolate()
    parts = chosen.parts
    if "engine" in parts:
        rows = [engine(way, report, chosen.rounds(ROUNDS)) for way in WAYS]
        table(
            f"SmolLM2, {TOKENS} tokens, greedy: hfterm against generate",
            ["way", "tokens/s", "generate", "ratio", "first ms", "generate", "ratio",
             "2nd turn kept/fresh", "same tokens"], rows,
        )  # fmt: skip
    if "greedy" in parts:
        most = chosen.rounds(GREEDY_PROMPTS, 2)
        table(
            f"Greedy answers of up to {MOST} tokens with the tokens of `generate`",
            ["way", "answers", "tokens"], [greedy(way, report, most) for way in WAYS],
        )  # fmt: skip
    if "long" in parts:
        count = chosen.rounds(LONG, 400)
        table(
            f"An answer of {count:,} tokens, float32: tokens/s of its first and last {AT_AN_END}",
            ["", "first", "last", "last/first"], long_answer(report, count),
        )  # fmt: skip
    if "memory" in parts:
        table("Memory of the box, MB more than before", ["way", "loaded", "unloaded"],
              unloaded(report))  # fmt: skip
    if "gguf" in parts:
        gguf_elsewhere(report, quick=chosen.quick)
    if "screen" in parts:
        lasting = SECONDS / 3 if chosen.quick else SECONDS
        for what in STREAMED:
            table(f"While {what} streams, 120×40", ["", ""],
                  streamed(report, lasting, chosen.rounds(200, 20), what))  # fmt: skip


if __name__ == "__main__":
    main()
