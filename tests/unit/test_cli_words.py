"""What commands print for people: figures, notes, tables, and how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import LlamaConfig

import chat_models
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


def test_a_chat_that_is_only_continued_says_so_and_ends_with_a_word(tmp_path: Path) -> None:
    plain = chat_models.llama3(tmp_path / "plain", None)
    told = ("chat", plain, "--greedy", "--max-new-tokens", "2")
    once = run(*told, "--prompt", "Hello")
    assert once.returncode == 0, once.stderr
    assert "no chat template" in once.stderr
    assert "no chat template" not in once.stdout
    lines = run(*told, stdin="\n  \n /bye \nnever read\n")
    assert lines.returncode == 0, lines.stderr
    assert "no chat template" in lines.stderr
    assert "Ctrl+D ends" in lines.stderr
    assert "tokens" not in lines.stderr.split("Ctrl+D ends")[1]  # nothing was answered


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


def test_a_bench_that_measured_nothing_shows_why_and_fails(tmp_path: Path) -> None:
    done = run("bench-quant", tmp_path / "nowhere", "--ways", "float32", "--max-new-tokens", "2")
    assert done.returncode == 1
    assert "float32" in done.stdout
    assert "nowhere" in done.stdout
    tiny = chat_models.llama3(tmp_path / "tiny")
    done = run("bench-quant", tiny, "--ways", "float32", "--max-new-tokens", "2")
    assert done.returncode == 0, done.stderr
    assert "float32" in done.stdout
    gone = run("bench-quant", tiny, "--ways", "float32", "--text", tmp_path / "gone.txt")
    assert gone.returncode == 1
    assert "gone.txt can't be read" in gone.stderr
    assert gone.stdout == ""


def test_a_plan_that_does_not_fit_says_how_much_is_lacking(
    tmp_path: Path, model_zoo: dict[str, Path]
) -> None:
    LlamaConfig(
        hidden_size=8192, intermediate_size=1_000_000, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256, dtype="bfloat16",
    ).save_pretrained(tmp_path)  # fmt: skip
    told = ("--class", "AutoModelForCausalLM", "--context", "16")
    done = run("memory", tmp_path / "config.json", *told)
    assert done.returncode == 0, done.stderr
    assert "LlamaForCausalLM" in done.stdout
    assert "KV cache" in done.stdout
    assert "inference bfloat16 on cpu: does not fit" in done.stdout
    small = run("memory", model_zoo["bert"], "--context", "16", "--rank", "4")
    assert small.returncode == 0, small.stderr
    assert "KV cache" not in small.stdout
    assert "does not fit" not in small.stdout
