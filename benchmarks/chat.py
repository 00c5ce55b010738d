"""Chat: the engine against `generate` itself, and the screen while an answer streams.

The engine's figures are ratios to transformers' `generate` on the same model in the same process,
taken in turns. The screen's are taken in a pseudo-terminal of 120×40.
"""

from __future__ import annotations

import os
import re
import sys
import time

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

    def raw() -> tuple[float, float, list[int]]:
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
        rate = (len(times) - 1) / (times[-1] - times[0])
        return rate, times[0] - began, output[0, ids.shape[1] :].tolist()

    def ours() -> tuple[float, float, list[int]]:
        answer = llm.answer(Ask(messages=messages, sampling=sampling), Job())
        return answer.tokens_per_s, answer.ttft, list(answer.ids)

    rates: list[tuple[float, float]] = []
    firsts: list[tuple[float, float]] = []
    same = True
    for _ in range(ROUNDS):
        one, two = raw(), ours()
        rates.append((two[0], one[0]))
        firsts.append((two[1], one[1]))
        same = same and one[2] == two[2]
    rate = median([a / b for a, b in rates])
    first = median([a / b for a, b in firsts])
    turns = (Message("user", QUESTION), Message("assistant", "Yes. " * 60), Message("user", "Go."))
    llm.answer(Ask(messages=turns[:2], sampling=sampling, conversation="a"), Job())
    kept = llm.answer(Ask(messages=turns, sampling=sampling, conversation="a"), Job()).ttft
    fresh = llm.answer(Ask(messages=turns, sampling=sampling), Job()).ttft
    return [
        next(iter(way.values())), f"{median([a for a, _ in rates]):.1f}",
        f"{median([b for _, b in rates]):.1f}", f"{rate:.3f}",
        f"{1000 * median([a for a, _ in firsts]):.0f}",
        f"{1000 * median([b for _, b in firsts]):.0f}", f"{first:.2f}", f"{kept / fresh:.2f}",
        "yes" if same else "NO",
    ]  # fmt: skip


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
    if "screen" not in sys.argv:
        rows = [engine(way) for way in WAYS]
        table(
            f"SmolLM2, {TOKENS} tokens, greedy: hfterm against generate",
            ["way", "tokens/s", "generate", "ratio", "first ms", "generate", "ratio",
             "2nd turn kept/fresh", "same tokens"], rows,
        )  # fmt: skip
    if "engine" not in sys.argv:
        table("While an answer streams, 120×40", ["", ""], streamed())


if __name__ == "__main__":
    main()
