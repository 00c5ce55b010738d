"""What commands print for people: figures, notes, tables, and how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chat_server import DONE, ChatServer, Reply, chunk, refusal
from hfterm.chat.types import Answer, StopReason
from hfterm.cli_chat import _figures

HFTERM = Path(sys.executable).with_name("hfterm")


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HFTERM), *map(str, arguments)], input=stdin, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("tokens", "memory", "reason", "words"),
    [
        (1, 0, "end", "[1 tokens · first token 500 ms]"),
        (11, 0, "length", "[11 tokens · 5.0 tokens/s · first token 500 ms · ended by: length]"),
        (11, 2_500_000_000, "end", "[11 tokens · 5.0 tokens/s · first token 500 ms · 2.5 GB]"),
    ],
)
def test_figures_leave_out_what_is_not_known(
    tokens: int, memory: int, reason: StopReason, words: str
) -> None:
    answer = Answer(
        text="", ids=(), tokens=tokens, prompt_tokens=1, ttft=0.5, seconds=2.5, memory=memory,
        stop_reason=reason,
    )  # fmt: skip
    assert _figures(answer) == words


@pytest.mark.parametrize(
    ("reply", "out", "err"),
    [
        (Reply([chunk("Hel"), chunk("lo")], cut=True), "Hello\n", "The answer was cut"),
        (refusal(404, {"error": "gone"}), "", "no such model or path"),
        (Reply([chunk("Hi"), chunk(finish="stop"), DONE]), "Hi\n", ""),
    ],
)
def test_what_went_wrong_begins_a_line_of_its_own(reply: Reply, out: str, err: str) -> None:
    with ChatServer(script=[reply]) as server:
        done = run("chat", "tiny", "--url", server.url, "--prompt", "Hello")
    assert (done.stdout, done.returncode) == (out, 1 if err else 0)
    assert err in done.stderr
