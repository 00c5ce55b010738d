"""Runs that other programs wrote: hfterm beside TensorBoard, terminalboard and wandb's LEET.

An event file and an offline wandb run of the same length. `readers` reads all points of the event
file into memory, by hfterm's reader and by TensorBoard's EventAccumulator, which is told to keep
them all. `screens` is from exec to the charts of the last point in a pseudo-terminal of 120×40,
caches empty; TensorBoard itself has no screen, so its server is asked over HTTP until it gives the
last point: the browser's own time comes on top. `leet` is the same for wandb's run.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

import curves
import peers
from harness import HFTERM, Report, isolate, median, options, table

STEPS = int(os.environ.get("HFTERM_POINTS", "100000"))
ROUNDS = 3
TOPIC = f"Runs of others: {STEPS:,} steps × 3 metrics"
PARTS = ("readers", "screens", "leet")

OURS = """
import json, sys, time
from hfterm.training.foreign.tensorboard import TensorBoardRun
began = time.perf_counter()
run = TensorBoardRun(sys.argv[1])
run.read()
seconds = time.perf_counter() - began
"""
THEIRS = """
import json, sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
began = time.perf_counter()
run = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
run.Reload()
count = sum(len(run.Scalars(tag)) for tag in run.Tags()["scalars"])
seconds = time.perf_counter() - began
assert count == int(sys.argv[2]), count
"""
TELL = """
lines = open("/proc/self/status").read().splitlines()
peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
print(json.dumps([seconds, peak]))
"""

LOGGING = """
import random, sys
import wandb
steps = int(sys.argv[1])
quiet = wandb.Settings(x_disable_stats=True, console="off", silent=True)
run = wandb.init(project="benchmark", mode="offline", dir=sys.argv[2], settings=quiet)
chance = random.Random(1)
for step in range(steps):
    run.log({"loss": chance.random(), "grad_norm": chance.random(),
             "learning_rate": 1e-4 * (1 - step / steps)})
run.finish()
"""


def write_events(file: Path) -> None:
    """The event file of `curves`, shorter, and with the checksums that TensorBoard looks at."""
    from hfterm.training.foreign.tfrecord import checksum

    curves.ROWS = STEPS
    curves.write_events(file)
    data = bytearray(file.read_bytes())
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        body = bytes(data[at + 12 : at + 12 + length])
        struct.pack_into("<I", data, at + 12 + length, checksum(body))
        at += 16 + length
    file.write_bytes(data)


def told(python: Path | str, script: str, *arguments: str) -> list[float]:
    """What a script prints, in a process of its own."""
    command = [str(python), "-c", script + TELL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    return json.loads(done.stdout.splitlines()[-1])


def shown(argv: list[str], *patterns: str) -> list[float]:
    """Seconds from exec until all the patterns are on the screen, and megabytes then."""
    from pty_terminal import PtyTerminal

    # what was read before is kept in caches
    environ = {"XDG_CACHE_HOME": tempfile.mkdtemp(), "WANDB_MODE": "offline", "DO_NOT_TRACK": "1"}
    with PtyTerminal(argv, env=environ, columns=120, rows=40) as terminal:
        for pattern in patterns:
            terminal.wait_for(pattern, 240)
        seconds = terminal.last_read - terminal.started
        terminal.quiet(1.0)
        memory = sum(process.memory_info().rss for process in terminal.family()) / 1e6
        return [seconds, memory]


def served(folder: Path) -> list[float]:
    """Seconds until TensorBoard's server gives the last point, and megabytes of its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(peers.python("tensorboard")), "-m", "tensorboard.main", "--logdir", str(folder),
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    began = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        path = "/data/plugin/scalars/scalars?run=.&tag=train%2Floss"
        while last_step(port, path) != STEPS - 1:
            if server.poll() is not None:
                raise RuntimeError(f"TensorBoard ended with {server.returncode}")
            if time.perf_counter() - began > 240:
                raise RuntimeError("TensorBoard never gave the last point")
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        return [seconds, sum(one.memory_info().rss for one in family) / 1e6]
    finally:
        family = psutil.Process(server.pid).children(recursive=True)
        for process in (*family, server):
            process.kill()
        server.wait()


def last_step(port: int, path: str) -> int:
    """The step of the last point that is served; -1 when there is none yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        return int(json.loads(body)[-1][1]) if answer.status == 200 else -1
    except (OSError, ValueError, IndexError, http.client.HTTPException):
        return -1  # it has only begun
    finally:
        connection.close()


Contestants = dict[str, Callable[[], list[float]]]


def compare(what: str, contestants: Contestants, report: Report, rounds: int, note: str) -> None:
    """Rounds of all, taking turns: seconds and megabytes of each; the first is hfterm."""
    found: dict[str, list[list[float]]] = {}
    reasons: dict[str, str] = {}
    for _ in range(rounds):
        for name, measure in contestants.items():
            if name in reasons:
                continue
            try:
                found.setdefault(name, []).append(measure())
            except (peers.Missing, RuntimeError, AssertionError) as why:
                reasons[name] = str(why).partition("\n")[0]
    for name, why in reasons.items():
        found.pop(name, None)
        report.not_run(TOPIC, name, f"{what}: {why}")
    table(
        f"{STEPS:,} steps × 3 metrics: {what}",
        ("", "s", "MB"),
        [(name, *(median(column) for column in zip(*taken, strict=True)))
         for name, taken in found.items()],
    )  # fmt: skip
    ours, *others = contestants
    for place, (of, unit) in enumerate(((what, "s"), (f"{what}: memory", "MB"))):
        for other in others:
            if ours in found and other in found:
                report.add(
                    TOPIC, of, unit, [one[place] for one in found[ours]], against=other,
                    other=[one[place] for one in found[other]], peer=True,
                    note="" if place else note,
                )  # fmt: skip


def main() -> None:
    chosen = options(__doc__, PARTS)
    report = Report(chosen)
    rounds = chosen.rounds(ROUNDS, 1)
    isolate()
    last = f"step {STEPS - 1:,}"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "run"
        folder.mkdir()
        if "readers" in chosen.parts or "screens" in chosen.parts:
            write_events(folder / "events.out.tfevents.1764096000.host.1.0")
        if "readers" in chosen.parts:
            compare(
                "all points of an event file in memory",
                {
                    "hfterm": lambda: told(sys.executable, OURS, str(folder)),
                    "TensorBoard's EventAccumulator": lambda: told(
                        peers.python("tensorboard"), THEIRS, str(folder), str(3 * STEPS)
                    ),
                },
                report, rounds, "",
            )  # fmt: skip
        if "screens" in chosen.parts:
            compare(
                "exec to the charts of an event file",
                {
                    "hfterm watch": lambda: shown(
                        [HFTERM, "watch", str(folder)], last, "learning rate +learning_rate"
                    ),
                    "terminalboard": lambda: shown(
                        [str(peers.program("terminalboard", "terminalboard")), "--smooth", "0",
                         str(folder)],
                        rf"\b{(STEPS - 1) * 3 // 4}\.\d",
                    ),
                    "TensorBoard's server, over HTTP": lambda: served(folder),
                },
                report, rounds,
                "TensorBoard's server keeps 1,000 points of a metric, chosen by chance, and has"
                " yet to be opened in a browser; terminalboard and hfterm show all.",
            )  # fmt: skip
        if "leet" in chosen.parts:
            leet(Path(made), report, rounds, last)


def leet(made: Path, report: Report, rounds: int, last: str) -> None:
    """A run that wandb wrote offline."""
    what = "exec to the charts of a wandb run"
    try:
        python = peers.python("wandb")
        subprocess.run(
            [str(python), "-c", LOGGING, str(STEPS), str(made)],
            check=True, capture_output=True, text=True, env=os.environ | {"WANDB_MODE": "offline"},
        )  # fmt: skip
    except peers.Missing as why:
        report.not_run(TOPIC, "wandb leet", why)
        return
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().rpartition("\n")[2]
        report.not_run(TOPIC, "wandb leet", f"wandb wrote no run: {why}")
        return
    run = str(next((made / "wandb").glob("offline-run-*")))
    compare(
        what,
        {
            "hfterm watch": lambda: shown(
                [HFTERM, "watch", run], last, "learning rate +learning_rate"
            ),
            "wandb leet": lambda: shown(
                [str(python.with_name("wandb")), "leet", run], rf"_step +{STEPS - 1}\b"
            ),
        },
        report, rounds, "",
    )  # fmt: skip


if __name__ == "__main__":
    main()
