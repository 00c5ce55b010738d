"""Looks the installation over: what is here, what is missing, and what to do about it.

Needs neither torch nor transformers: it must work where they do not.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from hfterm import __version__, paths, settings
from hfterm.job import Job
from hfterm.paths import home_relative
from hfterm.sizes import size_text
from hfterm.system.clipboard import DEFAULT_LIMIT
from hfterm.system.disk import folder_size
from hfterm.system.reach import DEFAULT_ENDPOINT, has_token, offline_variable, reach
from hfterm.system.samples import Sampler
from hfterm.system.terminal import (
    ColorDecision,
    ColorDepth,
    decide_color,
    in_screen,
    in_tmux,
    over_ssh,
)
from hfterm.system.tmux import tmux_option

PACKAGES = (
    "textual",
    "tokenizers",
    "transformers",
    "torch",
    "safetensors",
    "huggingface-hub",
    "gguf",
)
"""What hfterm cannot do without, by the name the package index knows."""

LOW_DISK = 1_000_000_000
"""Bytes free below which a folder's disk earns a warning: less than a small model."""

Status = Literal["ok", "note", "warning", "error"]


class Check(msgspec.Struct, frozen=True):
    """One thing looked at.

    Attributes:
        name: what was looked at.
        status: ``note`` is worth knowing and no fault.
        value: what was found, in a few words.
        detail: why, and what to do about it. May have several lines.
    """

    name: str
    status: Status
    value: str
    detail: str = ""


class DoctorReport(msgspec.Struct, frozen=True):
    """Everything that was looked at, in the order to show it in."""

    checks: list[Check]

    def count(self, status: Status) -> int:
        """How many checks came out so."""
        return sum(check.status == status for check in self.checks)


class _Context(NamedTuple):
    env: Mapping[str, str]
    chosen: settings.Settings
    problems: list[str]
    color: ColorDecision
    job: Job


def examine(job: Job, color: ColorDecision | None = None) -> DoctorReport:
    """Look everything over. Takes up to about six seconds, where nothing answers.

    Args:
        job: is told which check is next.
        color: the depth decided at start; decided anew from the environment without it.

    Raises:
        Cancelled: the job was cancelled.
    """
    env = dict(os.environ)
    chosen, problems = settings.load(paths.settings_file(), env)
    context = _Context(env, chosen, problems, color or decide_color(env, chosen.color), job)
    checks: list[Check] = []
    for done, (stage, look) in enumerate(_LOOKS):
        job.progress(f"looking at {stage}", done, len(_LOOKS), "checks")
        checks += look(context)
    job.progress("done", len(_LOOKS), len(_LOOKS), "checks")
    return DoctorReport(checks)


def _python(_: _Context) -> list[Check]:
    return [
        Check("hfterm", "ok", __version__),
        Check("Python", "ok", platform.python_version(), home_relative(Path(sys.executable))),
        Check("system", "ok", f"{platform.system()} {platform.release()} {platform.machine()}"),
    ]


def _packages(_: _Context) -> list[Check]:
    return [_package(name) for name in PACKAGES]


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "error", "missing", f"Install it: pip install {name}")


def _gpus(_: _Context) -> list[Check]:
    sampler = Sampler()
    gpus = sampler.sample().gpus
    if not gpus:
        if sys.platform == "darwin" and platform.machine() == "arm64":
            return [Check("GPU", "ok", "Apple GPU", "Used by torch as mps.")]
        return [Check("GPU", "note", "none", f"Models run on the CPU. {sampler.gpu_problem}.")]
    cpu_only = _package("torch").value.endswith("+cpu")
    advice = "torch is the CPU build and cannot use it: install one with CUDA."
    checks: list[Check] = []
    for index, gpu in enumerate(gpus):
        memory = size_text(gpu.memory_total) if gpu.memory_total else "memory unknown"
        status: Status = "warning" if cpu_only else "ok"
        value = f"{gpu.name}, {memory}"
        checks.append(Check(f"GPU {index}", status, value, advice if cpu_only else ""))
    return checks


def _terminal(context: _Context) -> list[Check]:
    env, color = context.env, context.color
    names = {
        ColorDepth.NONE: "none",
        ColorDepth.COLORS_16: "16",
        ColorDepth.COLORS_256: "256",
        ColorDepth.TRUECOLOR: "truecolor",
    }
    capable: Status = "warning" if color.terminal is ColorDepth.NONE else "ok"
    between = [
        word
        for word, there in (
            ("tmux", in_tmux(env)),
            ("screen", in_screen(env)),
            ("ssh", over_ssh(env)),
        )
        if there
    ]
    return [
        Check("colours", capable, names[color.depth], color.reason),
        Check("between here and you", "ok", ", ".join(between) or "nothing"),
        _clipboard(env),
    ]


def _clipboard(env: Mapping[str, str]) -> Check:
    """How a copy travels, and whether anything on the way drops it."""
    limit = f"Up to {DEFAULT_LIMIT * 3 // 4 // 1000} kB; longer texts have to be exported."
    if in_screen(env):
        return Check("copy", "ok", "OSC 52 through GNU screen", limit)
    if not in_tmux(env):
        return Check("copy", "ok", "OSC 52", f"If your terminal allows it. {limit}")
    value = "OSC 52 through tmux"
    clipboard = tmux_option("set-clipboard", env)
    passthrough = tmux_option("allow-passthrough", env)
    if clipboard is None:
        return Check(
            "copy", "note", value, f"tmux did not say whether it lets copies pass. {limit}"
        )
    said = f"tmux: set-clipboard {clipboard}, allow-passthrough {passthrough or 'always'}."
    # Before 3.3, tmux had no such option and let everything through.
    if clipboard == "on" or passthrough in (None, "on", "all"):
        return Check("copy", "ok", value, f"{said} {limit}")
    advice = "tmux drops copies. Put into ~/.tmux.conf: set -g set-clipboard on"
    return Check("copy", "warning", value, f"{said} {advice}")


def _hub(context: _Context) -> list[Check]:
    env = context.env
    known = has_token(env)
    login = "" if known else "Gated and private models need one: hf auth login"
    token = Check("hub token", "ok" if known else "note", "present" if known else "none", login)
    if variable := offline_variable(env):
        detail = f"{variable} is set: only what is on this machine opens."
        return [Check("hub", "note", "offline", detail), token]
    endpoint = env.get("HF_ENDPOINT") or context.chosen.hub_endpoint or DEFAULT_ENDPOINT
    answer = reach(endpoint)
    detail = f"{endpoint}: {answer.reason}."
    if answer.reachable:
        return [Check("hub", "ok", "reachable", detail), token]
    detail += " The starter kit and what is in the cache work without it."
    return [Check("hub", "warning", "unreachable", detail), token]


def _starter(_: _Context) -> list[Check]:
    from hfterm.hub.starter import starter_status

    parts = starter_status()
    missing = [part.name for part in parts if not part.installed]
    value = f"{len(parts) - len(missing)} of {len(parts)} installed"
    if not missing:
        return [Check("starter kit", "ok", value)]
    detail = f"Missing: {', '.join(missing)}. Bring them: hfterm starter"
    return [Check("starter kit", "note", value, detail)]


def _folders(context: _Context) -> list[Check]:
    cache = paths.hub_cache_dir()
    size = folder_size(cache, context.job)
    used = f"{'' if size.complete else 'more than '}{size_text(size.total)} in it"
    return [
        _folder("settings folder", paths.config_dir()),
        _folder("starter folder", paths.starter_dir()),
        _folder("runs folder", paths.runs_dir()),
        _folder("logs folder", paths.logs_dir()),
        _folder("hub cache", cache, used),
    ]


def _folder(name: str, folder: Path, used: str = "") -> Check:
    """Whether a folder can be written, and the room there is on its disk."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    value = home_relative(folder)
    if not there.is_dir():
        return Check(name, "error", value, f"{home_relative(there)} is not a folder.")
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(name, "error", value, f"It cannot be read: {error.strerror}.")
    detail = ", ".join(part for part in (used, f"{size_text(free)} free") if part)
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(name, "error", value, f"It cannot be written: see the rights of {there}.")
    if free < LOW_DISK:
        return Check(name, "warning", value, f"{detail}: the disk is nearly full.")
    return Check(name, "ok", value, detail)


def _settings(context: _Context) -> list[Check]:
    file = paths.settings_file()
    if context.problems:
        count = len(context.problems)
        value = f"{home_relative(file)}: {count} problem{'s' if count > 1 else ''}"
        return [Check("settings", "warning", value, "\n".join(context.problems))]
    detail = "" if file.exists() else "There is none yet; the defaults apply."
    return [Check("settings", "ok", home_relative(file), detail)]


_LOOKS: tuple[tuple[str, Callable[[_Context], list[Check]]], ...] = (
    ("Python", _python),
    ("the packages", _packages),
    ("the GPUs", _gpus),
    ("the terminal", _terminal),
    ("the hub", _hub),
    ("the starter kit", _starter),
    ("the folders", _folders),
    ("the settings", _settings),
)
