"""Run every benchmark in turn and write RESULTS.md.

`python benchmarks/run_all.py` runs all; `--only startup,encode` some, whose results take the place
of their older ones; `--quick` with fewer rounds; `--render` measures nothing and draws RESULTS.md
again from results.json. A script that fails or takes too long leaves the rows that it had, and
the reason. The peers are installed first, unless `--no-peers` says not to.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import psutil

import peers
from results import Machine, Part, Results, Row, render

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = HERE / "RESULTS.md"


class Script(NamedTuple):
    """A script, what it is called with, and the most seconds that it may take.

    What it is called with and the variables keep the whole within three quarters of an hour.
    """

    most: int = 600
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = MappingProxyType({})


CHAT = {"HFTERM_ROUNDS": "3", "HFTERM_TOKENS": "96", "HFTERM_SECONDS": "15"}
SCRIPTS = {
    "startup": Script(),
    "keystrokes": Script(),
    "encode": Script(),
    "grid": Script(),
    "explorers": Script(),
    "classes": Script(),
    "predict": Script(),
    "memory": Script(1200, ("--rounds", "1", "--exact")),
    "attention": Script(900),
    "heatmap": Script(),
    "train": Script(900),
    "curves": Script(),
    "chart": Script(),
    "monitor": Script(environ={"HFTERM_SECONDS": "15"}),
    "monitors": Script(900),
    "chat": Script(1800, environ=CHAT),
    "serving": Script(),
    "conversations": Script(),
}
"""In the order of RESULTS.md."""

PACKAGES = (
    "textual", "transformers", "tokenizers", "torch", "peft", "bitsandbytes", "datasets", "msgspec",
)  # fmt: skip


def machine() -> Machine:
    """What there is to measure on."""
    info = Path("/proc/cpuinfo").read_text("utf-8")
    names = [line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line]
    memory = Path("/proc/meminfo").read_text("utf-8").split()[1]
    versions = {"hfterm": importlib.metadata.version("hfterm")}
    versions |= {"Python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
    return Machine(
        names[0] if names else platform.machine(), os.cpu_count() or 0, int(memory) / 1e6,
        f"{platform.system()} {platform.release()}", versions,
    )  # fmt: skip


def run(name: str, *, quick: bool) -> Part:
    """Run a script; what it wrote, whatever became of it."""
    script = SCRIPTS[name]
    facts, when = machine(), time.strftime("%Y-%m-%d %H:%M")
    busy = psutil.cpu_percent(2.0)
    with tempfile.TemporaryDirectory(
        prefix="hfterm-benchmark-", ignore_cleanup_errors=True
    ) as folder:
        rows_file, errors_file = Path(folder) / "rows.json", Path(folder) / "errors.txt"
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(rows_file)]
        command += script.arguments
        command += ["--quick"] if quick else []
        began = time.monotonic()
        failure = ""
        with errors_file.open("wb") as errors:
            process = subprocess.Popen(
                command,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, **script.environ, "TMPDIR": folder},
            )
            try:
                process.wait(script.most)
            except subprocess.TimeoutExpired:
                failure = f"it was ended after {script.most} s"
            finally:
                end(process, folder)
        if not failure and process.returncode:
            told = errors_file.read_text("utf-8", "replace").strip().splitlines()
            failure = told[-1] if told else f"exit code {process.returncode}"
            print("\n".join(told[-20:]), file=sys.stderr)
        seconds = time.monotonic() - began
        rows: list[Row] = []
        if rows_file.is_file():
            rows = msgspec.json.decode(rows_file.read_bytes(), type=list[Row])
    return Part(rows, when, seconds, busy, facts, quick, failure)


def end(process: subprocess.Popen[bytes], folder: str) -> None:
    """End what a script started and left: its children, and runs, which outlive who made them."""
    left: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        left += psutil.Process(process.pid).children(recursive=True)
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # its home is in the folder, so the directory of its run is
            if any(folder in argument for argument in other.cmdline()) and other.pid != os.getpid():
                left.append(other)
    for other in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            other.kill()
    process.kill()
    process.wait()


def read() -> Results:
    """The results that are kept."""
    if not RESULTS.is_file():
        return {}
    try:
        return msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    except msgspec.DecodeError as error:
        sys.exit(f"{RESULTS} can't be read ({error}): delete it, and measure everything anew.")


def write(results: Results) -> None:
    """Keep the results, in the order of the scripts, and draw the page."""
    ordered = {name: results[name] for name in SCRIPTS if name in results}
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")
    PAGE.write_text(render(ordered), "utf-8")


def chosen_scripts(only: str) -> list[str]:
    """The scripts that are named, in their own order; all when none is."""
    wanted = [name.strip().removesuffix(".py") for name in only.split(",") if name.strip()]
    if wrong := [name for name in wanted if name not in SCRIPTS]:
        sys.exit(f"No benchmark is called {wrong[0]!r}; there are {', '.join(SCRIPTS)}.")
    return [name for name in SCRIPTS if not wanted or name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="A,B", help=", ".join(SCRIPTS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--render", action="store_true", help="only draw RESULTS.md again")
    parser.add_argument("--no-peers", action="store_true", help="install none that is missing")
    chosen = parser.parse_args(arguments)
    if chosen.render:
        write(read())
        return 0
    names = chosen_scripts(chosen.only)
    if not chosen.no_peers:
        peers.ensure(list(peers.listed()), again=False)
    # ended from outside, the script that runs is ended too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    failed: list[str] = []
    for number, name in enumerate(names, 1):
        print(f"\n[{number}/{len(names)}, {time.monotonic() - began:.0f} s] {name}", flush=True)
        part = run(name, quick=chosen.quick)
        if part.failure:
            failed.append(name)
            print(f"{name}: {part.failure}", flush=True)
        print(f"{name}: {len(part.rows)} rows in {part.seconds:.0f} s", flush=True)
        write(read() | {name: part})
    print(f"\n{PAGE.name} is written, after {time.monotonic() - began:.0f} s.")
    if failed:
        print(f"Not to their end: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
