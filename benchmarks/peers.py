"""The peers: programs and libraries that hfterm is measured beside.

`python benchmarks/peers.py` makes a virtual environment for each line of peers.txt, in `.peers`
beside the project; `python benchmarks/peers.py NAME …` only for some. One that is there already is
left alone, one that could not be installed is tried again only when it is named. Benchmarks ask
`peers.python(NAME)` and give the reason where there is none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = Path(os.environ.get("HFTERM_PEERS") or ROOT / ".peers")
LIST = HERE / "peers.txt"
WHY_NOT = "why-not.txt"
"""The file of an environment that could not be made: the reason, in a line."""


class Peer(NamedTuple):
    """A line of peers.txt."""

    name: str
    shares: bool
    requirements: tuple[str, ...]


class Missing(Exception):
    """A peer is not there; the message says why."""


def listed(text: str | None = None) -> dict[str, Peer]:
    """The peers of peers.txt by their names."""
    found: dict[str, Peer] = {}
    for number, line in enumerate((text or LIST.read_text("utf-8")).splitlines(), 1):
        if not (line := line.partition("#")[0].strip()):
            continue
        match = re.fullmatch(r"([\w-]+)( \+)?: (\S.*)", line)
        if match is None:
            raise ValueError(f"{LIST.name}, line {number}: not NAME: REQUIREMENTS: {line!r}")
        name, shares, requirements = match.groups()
        found[name] = Peer(name, shares is not None, tuple(requirements.split()))
    return found


def python(name: str) -> Path:
    """The interpreter that has a peer."""
    folder = FOLDER / name
    if (folder / WHY_NOT).is_file():
        raise Missing((folder / WHY_NOT).read_text("utf-8").strip())
    if not (folder / "ready").is_file():
        raise Missing(f"not installed: python benchmarks/peers.py {name}")
    return folder / "bin" / "python"


def program(name: str, command: str) -> Path:
    """A command that a peer's package brings."""
    return python(name).with_name(command)


def install(peer: Peer) -> str:
    """Make the environment of a peer. Gives what went wrong, or nothing."""
    folder = FOLDER / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    # what hfterm needs binds nobody else; who shares has it there already, and needs no search
    environ.pop("PIP_CONSTRAINT", None)
    if peer.shares:
        own = sysconfig.get_paths()["purelib"]
        inside = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        # site.addsitedir also follows the links of an editable install
        (Path(inside) / "project.pth").write_text(f"import site; site.addsitedir({own!r})\n")
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", *peer.requirements],
        env=environ, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        told = next((line for line in errors if line.startswith("ERROR")), (errors or ["?"])[-1])
        reason = f"could not be installed: {told.removeprefix('ERROR: ')}"
        (folder / WHY_NOT).write_text(reason + "\n", "utf-8")
        return reason
    (folder / "ready").touch()
    return ""


def ensure(names: list[str], *, again: bool) -> None:
    """Make the environments that are missing; `again` also those that failed before."""
    known = listed()
    for name in names:
        if name not in known:
            sys.exit(f"No peer is called {name!r}: {LIST.name} has {', '.join(known)}.")
        folder = FOLDER / name
        if (folder / "ready").is_file() or ((folder / WHY_NOT).is_file() and not again):
            continue
        print(f"{name}: installing {' '.join(known[name].requirements)} …", flush=True)
        began = time.monotonic()
        reason = install(known[name])
        print(f"{name}: {reason or 'ready'} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    ensure(sys.argv[1:] or list(listed()), again=bool(sys.argv[1:]))
