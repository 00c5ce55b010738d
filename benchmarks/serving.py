"""Chat with SmolLM2: hfterm beside `transformers serve` and `transformers chat`, float32, greedy.

`engine` asks hfterm's engine process and a server that transformers' own command runs, in turns,
the same question, and looks at when each token comes; both are loaded before. `screen` is the
terminal: from Enter to the answer's first words, then bytes and processor time of the interface
(for transformers: `transformers chat`, connected to that server) for some seconds of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

import peers
from harness import HFTERM, Report, isolate, median, options, table

TOKENS = int(os.environ.get("HFTERM_TOKENS", "128"))
ROUNDS = 4
SCREEN_ROUNDS = 2
SECONDS = float(os.environ.get("HFTERM_SECONDS", "15"))
WORDS = 3
GREEDY = ("\x1bs", "\x1bs", "0", "\x1b[Z")
"""Show the form, whose first field is the temperature, and come back to the message."""
FEW = 2
"""Tokens of an answer of which only the first counts."""
QUESTION = "Tell me a long story about a fox, a river and a mountain."
MAIN = "from transformers.cli.transformers import main; main()"
PARTS = ("engine", "screen")
TOPIC = "Chat beside transformers' own commands: SmolLM2, float32, greedy"
SERVE, CHAT = "transformers serve", "transformers chat"


class Answered(NamedTuple):
    """Seconds to the first token, tokens a second after it, and the text."""

    first: float
    rate: float
    text: str


def model() -> str:
    return str(Path(os.environ["HFTERM_STARTER"]) / "smollm2")


@contextlib.contextmanager
def server(log: Path) -> Iterator[tuple[int, float]]:
    """`transformers serve` with the model loaded: its port, and the seconds that took."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(peers.python("serve")), "-c", MAIN, "serve", model(), "--dtype", "float32",
               "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    began = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        while not healthy(port):
            if process.poll() is not None:
                told = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
                raise RuntimeError(f"{SERVE} ended: {told}")
            if time.perf_counter() - began > 180:
                raise RuntimeError(f"{SERVE} never answered")
            time.sleep(0.05)
        yield port, time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False  # it has only begun
    finally:
        connection.close()


def by_server(port: int, messages: list[dict[str, str]], tokens: int = TOKENS) -> Answered:
    """Ask over HTTP, as an event stream; a piece is a token."""
    body = {
        "model": model(), "messages": messages, "stream": True,
        "generation_config": json.dumps({"do_sample": False, "max_new_tokens": tokens}),
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    times: list[float] = []
    text = ""
    began = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json"})  # fmt: skip
    answer = connection.getresponse()
    while line := answer.readline():
        if not line.startswith(b"data: {"):
            continue
        choices = json.loads(line[6:]).get("choices") or [{}]
        if piece := choices[0].get("delta", {}).get("content"):
            times.append(time.perf_counter())
            text += piece
    connection.close()
    if len(times) < min(FEW, tokens):
        raise RuntimeError(f"{SERVE} gave {len(times)} pieces: {text or answer.status}")
    return Answered(times[0] - began, rate_of(times), text)


def rate_of(times: list[float]) -> float:
    """Tokens a second: of the median of all waits, which one busy moment does not move."""
    waits = [later - earlier for earlier, later in pairwise(times)]
    return 1 / median(waits) if waits else 0.0


TURNS = [
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": "Yes. " * 60},
    {"role": "user", "content": "Go."},
]
"""A second turn on a long first one."""


async def of_engine(report: Report, rounds: int) -> None:
    """Both answer the same prompts in turns."""
    from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
    from hfterm.engine.chat_requests import AnswerPrompt
    from hfterm.engine.client import EngineClient
    from hfterm.engine.llm import open_llm

    engine = EngineClient("benchmark", warm=False)
    spec = LlmSpec(ref=model(), dtype="float32")

    async def by_engine(
        messages: list[dict[str, str]], conversation: str = "", tokens: int = TOKENS
    ) -> Answered:
        told = tuple(Message(one["role"], one["content"]) for one in messages)  # type: ignore[arg-type]
        sampling = Sampling(temperature=0, max_new_tokens=tokens)
        ask = Ask(messages=told, sampling=sampling, conversation=conversation)
        times: list[float] = []
        began = time.perf_counter()
        answer = await engine.stream(
            AnswerPrompt(spec=spec, ask=ask), lambda _: times.append(time.perf_counter())
        )
        return Answered(times[0] - began, rate_of(times), answer.text)

    ours: list[Answered] = []
    theirs: list[Answered] = []
    seconds: list[float] = []
    second_turns: list[tuple[float, float]] = []
    try:
        began = time.perf_counter()
        await open_llm(engine, spec)
        loaded = time.perf_counter() - began
        with (
            tempfile.TemporaryDirectory() as folder,
            server(Path(folder) / "log") as (port, started),
        ):
            loading = await asyncio.to_thread(by_server, port, TURNS[:1])
            await by_engine(TURNS[:1])
            for number in range(rounds):
                print(f"round {number + 1} of {rounds}", flush=True)
                ours.append(await by_engine(TURNS[:1]))
                theirs.append(await asyncio.to_thread(by_server, port, TURNS[:1]))
                await by_engine(TURNS[:1], f"kept {number}", FEW)
                kept = await by_engine(TURNS, f"kept {number}", FEW)
                again = await asyncio.to_thread(by_server, port, TURNS, FEW)
                second_turns.append((kept.first, again.first))
            seconds = [started]
    finally:
        await engine.close()
    same = sum(one.text.strip() == two.text.strip() for one, two in zip(ours, theirs, strict=True))
    table(
        f"{TOKENS} tokens; {rounds} rounds",
        ("", "tokens/s", "first token ms", "second turn's ms", "ready after s"),
        [
            ("hfterm's engine", median([one.rate for one in ours]),
             1000 * median([one.first for one in ours]),
             1000 * median([one for one, _ in second_turns]), loaded),
            (SERVE, median([one.rate for one in theirs]),
             1000 * median([one.first for one in theirs]),
             1000 * median([one for _, one in second_turns]), seconds[0]),
        ],
    )  # fmt: skip
    print(f"  {same} of {rounds} answers are the same text; its first answer took "
          f"{1000 * loading.first:.0f} ms")  # fmt: skip
    report.add(TOPIC, "rate", "tokens/s", [one.rate for one in ours], against=SERVE,
               other=[one.rate for one in theirs], peer=True, more=True)  # fmt: skip
    report.add(TOPIC, "first token", "ms", [1000 * one.first for one in ours], against=SERVE,
               other=[1000 * one.first for one in theirs], peer=True)  # fmt: skip
    report.add(TOPIC, "first token of the second turn", "ms", [1000 * a for a, _ in second_turns],
               against=SERVE, other=[1000 * b for _, b in second_turns], peer=True)  # fmt: skip
    report.add(TOPIC, "from nothing to a loaded model", "s", loaded, against=SERVE,
               other=seconds, peer=True)  # fmt: skip
    report.add(TOPIC, "rounds with the same text", "", same, against="rounds",
               other=rounds, more=True)  # fmt: skip


class Streamed(NamedTuple):
    """Seconds from Enter to the first words; bytes and percent of a core while they come."""

    first: float
    bytes: float
    share: float


def watched(terminal: object, words: str, began: float) -> Streamed:
    """From Enter on."""
    from pty_terminal import PtyTerminal

    assert isinstance(terminal, PtyTerminal)
    terminal.wait_for(re.escape(words))
    first = terminal.last_read - began
    interface = psutil.Process(terminal.process.pid)
    cpu, mark, start = interface.cpu_times(), len(terminal.raw), time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        terminal.read(0.05)
    taken = time.perf_counter() - start
    after = interface.cpu_times()
    share = 100 * (after.user + after.system - cpu.user - cpu.system) / taken
    return Streamed(first, (len(terminal.raw) - mark) / taken, share)


def by_hfterm(words: str) -> Streamed:
    """The Chat screen; the model is loaded by a first short question."""
    from pty_terminal import PtyTerminal

    with PtyTerminal([HFTERM, "--screen", "chat"], columns=120, rows=40) as terminal:
        terminal.wait_for("Enter sends")
        terminal.settle()
        for keys in GREEDY:
            terminal.send(keys)
            terminal.settle()
        terminal.send("Say yes.\r")
        terminal.wait_for(r"\d+ tokens · [\d.]+/s")
        terminal.send("\x1b")
        terminal.wait(lambda: "Esc stops" not in terminal.text, "the end of the first answer")
        terminal.settle()
        for keys in ("\x1bn", QUESTION):
            terminal.send(keys)
            terminal.settle()
        began = time.perf_counter()
        terminal.send("\r")
        return watched(terminal, words, began)


def by_chat(port: int, words: str) -> Streamed:
    """`transformers chat`, connected to the server."""
    from pty_terminal import PtyTerminal

    command = [str(peers.python("serve")), "-c", MAIN, "chat", model(), f"http://127.0.0.1:{port}",
               "max_new_tokens=1000", "do_sample=False", "--user", "me"]  # fmt: skip
    with PtyTerminal(command, env={"HF_HUB_OFFLINE": "0"}, columns=120, rows=40) as terminal:
        terminal.wait_for("<me>:")
        terminal.settle()
        terminal.send(QUESTION)
        terminal.settle()
        began = time.perf_counter()
        terminal.send("\r")
        return watched(terminal, words, began)


def of_screen(report: Report, rounds: int) -> None:
    """Both in a pseudo-terminal, one after the other."""
    ours: list[Streamed] = []
    theirs: list[Streamed] = []
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "log") as (port, _):
        first = by_server(port, TURNS[:1])
        words = " ".join(first.text.split()[:WORDS])
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            ours.append(by_hfterm(words))
            theirs.append(by_chat(port, words))
    whats = (
        (f"Enter to the first {WORDS} words of the answer", "s"),
        ("bytes while the answer streams", "B/s"),
        ("processor of the interface", "% of a core"),
    )
    table(
        f"120×40, {SECONDS:.0f} s of an answer; {rounds} rounds",
        ("", *(what for what, _ in whats)),
        [(name, *(median(column) for column in zip(*found, strict=True)))
         for name, found in (("hfterm", ours), (CHAT, theirs))],
    )  # fmt: skip
    for place, (what, unit) in enumerate(whats):
        report.add(TOPIC, f"screen: {what}", unit, [one[place] for one in ours], against=CHAT,
                   other=[one[place] for one in theirs], peer=True)  # fmt: skip


def main() -> None:
    chosen = options(__doc__, PARTS)
    report = Report(chosen)
    isolate()
    for part in chosen.parts:
        try:
            if part == "engine":
                asyncio.run(of_engine(report, chosen.rounds(ROUNDS)))
            else:
                of_screen(report, chosen.rounds(SCREEN_ROUNDS, 1))
        except (peers.Missing, RuntimeError, AssertionError) as why:
            name = SERVE if part == "engine" else CHAT
            report.not_run(TOPIC, name, str(why).partition("\n")[0])


if __name__ == "__main__":
    main()
