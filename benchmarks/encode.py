"""Encoding 1 MB and 10 MB: `tokenizers` alone against the engine's answer, columns and all.

Each measurement in a process of its own; the peak is that of its memory, above what it held
before the text came.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Report, isolate, median, options, reviews, table
from results import Target, ratio_at_most

ROUNDS = 3
BIG_ROUNDS = 2
TOPIC = "Encoding, MiniLM on film reviews"
LEAN = Target("< 1.5 ×", of="ratio", high=1.5, strict=True)

RAW = """
import json, sys, time
from pathlib import Path
from tokenizers import Tokenizer

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.no_padding()
tokenizer.no_truncation()
before = peak()
text = Path(sys.argv[2]).read_text("utf-8")
began = time.perf_counter()
encoding = tokenizer.encode(text)
seconds = time.perf_counter() - began
print(json.dumps([seconds, len(encoding), peak() - before]))
"""


def raw(model: str, file: str) -> tuple[float, int, float]:
    """Seconds, tokens and MB of `Tokenizer.encode`."""
    done = subprocess.run(
        [sys.executable, "-c", RAW, model, file], capture_output=True, text=True, check=True
    )
    seconds, tokens, megabytes = json.loads(done.stdout)
    return seconds, tokens, megabytes


def peak(pid: int) -> float:
    """The most memory a process has held, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


async def engine(file: str) -> tuple[float, int, float, float]:
    """Seconds, tokens, MB of the engine and of the client, for the request the app makes."""
    import time

    from hfterm.engine.client import EngineClient
    from hfterm.engine.requests import EncodeFile, EncodeText

    client = EngineClient("benchmark", warm=False)
    try:
        await client.call(EncodeText(ref="minilm", text="warm", provisional=True))
        pid = client.status.pid
        assert pid is not None
        before, ours = peak(pid), peak(os.getpid())
        began = time.perf_counter()
        answer = await client.call(EncodeFile(ref="minilm", path=file, provisional=True))
        seconds = time.perf_counter() - began
        return seconds, len(answer.encoding), peak(pid) - before, peak(os.getpid()) - ours
    finally:
        await client.close()


def measured(file: str) -> tuple[float, int, float, float]:
    """`engine`, in a fresh process, so that the client's peak is its own too."""
    done = subprocess.run(
        [sys.executable, __file__, "--client", file], capture_output=True, text=True, check=True
    )
    seconds, tokens, megabytes, client = json.loads(done.stdout)
    return seconds, tokens, megabytes, client


def main() -> None:
    if sys.argv[1:2] == ["--client"]:
        print(json.dumps(asyncio.run(engine(sys.argv[2]))))
        return
    chosen = options(__doc__)
    rounds = chosen.rounds(ROUNDS, 1)
    report = Report(chosen)
    isolate()
    model = str(Path(os.environ["HFTERM_STARTER"]) / "minilm" / "tokenizer.json")
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for megabytes in (1, 10):
            file = Path(folder) / f"{megabytes}.txt"
            file.write_text(reviews(megabytes), "utf-8")
            pairs = [
                (raw(model, str(file)), measured(str(file)))
                for _ in range(rounds if megabytes == 1 else min(rounds, BIG_ROUNDS))
            ]
            alone, asked = [a for a, _ in pairs], [b for _, b in pairs]
            assert {a[1] for a in alone} == {b[1] for b in asked}, "not the same tokens"
            base, ours = median([a[0] for a in alone]), median([b[0] for b in asked])
            held, engine_held = median([a[2] for a in alone]), median([b[2] for b in asked])
            client_held = median([b[3] for b in asked])
            rows.append((f"{megabytes} MB: tokenizers", alone[0][1], base, 1.0, held, "", 1.0))
            rows.append((f"{megabytes} MB: engine", asked[0][1], ours, ours / base, engine_held,
                         f"{client_held:.0f}", engine_held / held))  # fmt: skip
            report.add(
                TOPIC, f"{megabytes} MB: time", "s", [b[0] for b in asked],
                against="tokenizers alone", other=[a[0] for a in alone],
                target=ratio_at_most(1.5, 0.5, "s") if megabytes == 1 else None,
            )  # fmt: skip
            report.add(
                TOPIC, f"{megabytes} MB: memory of the engine", "MB", [b[2] for b in asked],
                against="tokenizers alone", other=[a[2] for a in alone],
                target=LEAN if megabytes == 10 else None,
            )  # fmt: skip
            report.add(TOPIC, f"{megabytes} MB: memory of the interface", "MB",
                       [b[3] for b in asked])  # fmt: skip
    table(
        f"MiniLM on film reviews; median of {rounds}",
        ("", "tokens", "s", "× time", "MB", "client MB", "× memory"),
        rows,
    )


if __name__ == "__main__":
    main()
