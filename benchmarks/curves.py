"""A million rows of three metrics: read, read again, followed live, and cut into a chart.

Each measurement in a process of its own. "decoded" is `msgspec` decoding the same lines one by
one and throwing them away: the least that reading them as JSON takes. The event file is written
here as torch's SummaryWriter writes it, a scalar an event.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from harness import Report, median, options, table
from results import at_most

ROWS = 1_000_000
COLUMNS = 240
WINDOW = 100
TIMES = 50
METRICS = ("loss", "grad_norm", "learning_rate")
STARTED = 1_764_096_000.0


def write_lines(file: Path) -> None:
    """metrics.jsonl, with an evaluation every 1,000 steps."""
    chance = random.Random(1)
    with file.open("w", encoding="utf-8") as opened:
        for row in range(ROWS):
            opened.write(line(row, chance.random()))
            if row % 1000 == 999:
                told = {"step": row, "time": STARTED + row, "epoch": row / 1e4, "eval_loss": 0.5}
                opened.write(json.dumps(told) + "\n")


def line(row: int, value: float) -> str:
    """A row as a run writes it."""
    return (
        f'{{"step":{row},"time":{STARTED + row * 0.3:.3f},"epoch":{row / 1e4:.6f},'
        f'"tokens":{row * 512},"loss":{value + 0.5:.6f},"grad_norm":{value * 3:.5f},'
        f'"learning_rate":{1e-4 * (1 - row / ROWS):.8g}}}\n'
    )


def write_events(file: Path) -> None:
    """The same as a TensorBoard event file."""
    from hfterm.training.foreign.tfrecord import checksum

    heads: dict[int, bytes] = {}
    chance = random.Random(1)
    tags = [f"train/{name}".encode() for name in METRICS]
    with file.open("wb", 1 << 20) as opened:
        for row in range(ROWS):
            for tag in tags:
                told = b"\x0a" + bytes([len(tag)]) + tag + b"\x15"
                told += struct.pack("<f", chance.random())
                told = b"\x2a" + bytes([len(told) + 2]) + b"\x0a" + bytes([len(told)]) + told
                event = b"\x09" + struct.pack("<d", STARTED + row * 0.3) + step(row) + told
                if len(event) not in heads:
                    length = struct.pack("<Q", len(event))
                    heads[len(event)] = length + struct.pack("<I", checksum(length))
                opened.write(heads[len(event)] + event + bytes(4))


def step(row: int) -> bytes:
    """The field of an event's step, which protobuf leaves out when it is 0."""
    if not row:
        return b""
    out = bytearray(b"\x10")
    while row >= 0x80:
        out.append(row & 0x7F | 0x80)
        row >>= 7
    return bytes([*out, row])


def peak() -> float:
    """The most memory that this process has held, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def decoded(folder: Path) -> list[float]:
    decode = msgspec.json.Decoder().decode

    def work() -> None:
        with (folder / "metrics.jsonl").open("rb") as opened:
            for told in opened:
                decode(told)

    return [timed(work)]


def cold(folder: Path) -> list[float]:
    from hfterm.job import Job
    from hfterm.training.curve_cache import open_curves

    return [timed(lambda: open_curves(folder / "metrics.jsonl", folder / "cache", Job()))]


def live(folder: Path) -> list[float]:
    """Seconds to read one row more, to cut a chart after it, the first chart, nothing new."""
    from hfterm.job import Job
    from hfterm.training.curve_cache import open_curves

    curves, tail = open_curves(folder / "metrics.jsonl", folder / "cache", Job())

    def chart() -> None:
        curves.columns("loss", "step", 0, ROWS, COLUMNS, WINDOW)

    first = timed(chart)
    reads: list[float] = []
    charts: list[float] = []
    for row in range(TIMES):
        with (folder / "metrics.jsonl").open("a", encoding="utf-8") as opened:
            opened.write(line(ROWS + row, 0.5))
        reads.append(timed(tail.read))
        charts.append(timed(chart))
    curves.resume(ROWS / 2)
    for row in range(ROWS // 2, ROWS, 1000):
        rows = np.arange(row, row + 1000, dtype=np.float64)
        curves.append(("step", "loss"), np.stack([rows, rows], 1))
    chart()
    resumed = median([timed(chart) for _ in range(TIMES)])
    idle = median([timed(tail.read) for _ in range(TIMES)])
    return [median(reads), median(charts), first, idle, resumed]


def events(folder: Path) -> list[float]:
    from hfterm.training.foreign.tensorboard import TensorBoardRun

    run = TensorBoardRun(folder)
    seconds = timed(run.read)
    assert len(run.curves) == ROWS and set(run.curves.names) == set(METRICS)
    return [seconds]


PARTS = {part.__name__: part for part in (decoded, cold, live, events)}


def run(part: str, folder: Path) -> list[float]:
    """What a part measures, and its peak in MB."""
    command = [sys.executable, __file__, part, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


TOPIC = f"Curves of {ROWS:,} rows × {len(METRICS)} metrics"
ROUNDS = 3


def main() -> None:
    chosen = options(__doc__)
    report = Report(chosen)
    rounds = chosen.rounds(ROUNDS, 1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_lines(folder / "metrics.jsonl")
        write_events(folder / "events.out.tfevents.1764096000.host.1.0")
        raws, firsts, agains, readers = [], [], [], []
        for _ in range(rounds):
            shutil.rmtree(folder / "cache", ignore_errors=True)
            raws.append(run("decoded", folder))
            firsts.append(run("cold", folder))
            agains.append(run("cold", folder))
            readers.append(run("events", folder))
        more = run("live", folder)
        raw, first, again, tensorboard = (
            [median(column) for column in zip(*taken, strict=True)]
            for taken in (raws, firsts, agains, readers)
        )
    table(
        f"{ROWS:,} rows × {len(METRICS)} metrics",
        ("", "seconds", "× decoded", "peak MB"),
        [
            (name, found[0], found[0] / raw[0], found[-1])
            for name, found in (
                ("msgspec, decoded", raw),
                ("metrics.jsonl, first time", first),
                ("metrics.jsonl, from the cache", again),
                ("TensorBoard events", tensorboard),
            )
        ],
    )
    names = ("one row more", f"{COLUMNS} columns after it", "the first chart", "nothing new")
    table(
        "Followed live, in milliseconds",
        ("", "ms", "peak MB"),
        [
            (name, seconds * 1000, more[-1])
            for name, seconds in zip((*names, "a chart of a resumed run"), more[:-1], strict=True)
        ],
    )
    for name, taken, most in (
        ("metrics.jsonl, first time", firsts, 2.5),
        ("metrics.jsonl, from the cache", agains, 0.5),
        ("TensorBoard's events", readers, 12.0),
    ):
        lines = taken is not readers
        report.add(
            TOPIC, name, "s", [one[0] for one in taken],
            against="msgspec decoding the same lines" if lines else "",
            other=[one[0] for one in raws] if lines else (),
            target=at_most(most, "s"),
        )  # fmt: skip
    for name, seconds in zip((*names, "a chart of a resumed run"), more[:-1], strict=True):
        report.add(TOPIC, f"followed live: {name}", "ms", seconds * 1000)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        print(json.dumps([*PARTS[sys.argv[1]](Path(sys.argv[2])), peak()]))
    else:
        main()
