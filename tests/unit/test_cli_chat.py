"""The chat commands, run as programs."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chat_models

HFTERM = Path(sys.executable).with_name("hfterm")
CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
FRANCE = "What is the capital of France?"


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HFTERM), *arguments], input=stdin, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_models.llama3(tmp_path_factory.mktemp("cli") / "tiny")


@pytest.mark.usefixtures("starter_kit")
def test_one_answer_as_json() -> None:
    told = ("--greedy", "--quant", "nf4", "--max-new-tokens", "8", "--json")
    done = run("chat", "smollm2", "--prompt", FRANCE, *told)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "Paris" in found.pop("text")
    # on some processors nf4 goes on after the full stop
    assert found.pop("stop_reason") in ("end", "length")
    assert set(found) == {"tokens", "prompt_tokens", "ttft_s", "tokens_per_s", "memory_mb"}
    assert all(value > 0 for value in found.values())


def test_the_prompt_may_come_from_standard_input_and_the_answer_is_plain(tiny: Path) -> None:
    told = ("--seed", "7", "--max-new-tokens", "8")
    piped = run("chat", str(tiny), "--prompt", "-", *told, stdin="Hola")
    typed = run("chat", str(tiny), "--prompt", "Hola", *told)
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == typed.stdout  # sampled twice, with one seed
    assert "\x1b" not in piped.stdout


def test_lines_are_answered_one_by_one_until_the_end(tiny: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(HFTERM), "chat", str(tiny), "--greedy", "--max-new-tokens", "3"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""

    def until(pattern: bytes) -> None:
        nonlocal seen
        while not re.search(pattern, seen):
            seen += os.read(ours, 4096)

    until(rb"Ctrl\+D ends")
    until(rb"> ")
    for _ in range(2):
        seen = b""
        os.write(ours, b"Hello\n")
        until(rb"\[3 tokens .* ended by: length\]")
        until(rb"> $")
    os.write(ours, b"\x04")
    assert process.wait(20) == 0
    os.close(ours)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nobody/knows", "--prompt", "x"), 1, "nobody/knows"),
        (("minilm", "--prompt", "x", "--adapter", "/nowhere"), 1, "no adapter"),
        (("smollm2", "--json"), 2, "--json needs --prompt"),
        (("smollm2", "--prompt", "x", "--context", "99999"), 1, "8,192"),
    ],
)
@pytest.mark.usefixtures("starter_kit")
def test_what_is_wrong_is_two_lines(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = run("chat", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bench_quant_compares_with_the_first_way(tiny: Path) -> None:
    done = run(
        "bench-quant", str(tiny), "--ways", "float32,int8", "--max-new-tokens", "3", "--json"
    )
    assert done.returncode == 0, done.stderr
    full, int8 = json.loads(done.stdout)
    assert (full["way"], int8["way"]) == ("float32", "int8")
    assert full["kl"] is None
    assert int8["kl"] >= 0
    assert int8["size"] < full["size"]
    assert run("bench-quant", str(tiny), "--ways", "int3").returncode == 2


@pytest.mark.skipif("avx512_bf16" not in CPU, reason="this processor runs layers of any width")
def test_layers_too_narrow_for_4_bits_are_named(tiny: Path) -> None:
    done = run("chat", str(tiny), "--prompt", "Hi", "--quant", "nf4")
    assert done.returncode == 1
    assert "packs 64 inputs" in done.stderr
    assert "q_proj has 32" in done.stderr
    assert "int8" in done.stderr
