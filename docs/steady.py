"""What differs between two looks at the same screen, made the same: clocks, folders, load.

The engines, the models and their answers are real. Only this is put in place of what the machine
says: its load and free memory, how long things took, and when files were used.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import msgspec

import hfterm.app
import hfterm.screens.engines
from hfterm.chat.conversation_types import AnswerNote
from hfterm.engine.client import EngineClient
from hfterm.engine.protocol import Request
from hfterm.hub.starter import STARTER
from hfterm.job import Progress
from hfterm.library.types import LibraryItem
from hfterm.models.memory_types import MemoryVerdict
from hfterm.screens.chat import turns
from hfterm.screens.library import things
from hfterm.system import samples
from hfterm.system.samples import SystemSample
from hfterm.training.preview_types import ProbeResult
from hfterm.widgets import library_tables, training_words

R = TypeVar("R")

SAMPLE = SystemSample(12.0, 3_100_000_000, 24_000_000_000, [])
HOME = "/home/you"
FREE = 74_400_000_000
DAY = "2026-11-27"
NOON = 1_795_780_800.0
"""Of that day, in UTC."""
PROBED = ProbeResult(
    step_seconds=0.21, eval_seconds=1.5, peak_memory=640_000_000, total_seconds=31.0,
    losses=(0.7, 0.69),
)  # fmt: skip
SAME = {"used": 0.0, "changed": NOON, "free": FREE, "memory": 612_000_000}
"""Fields of answers that tell of the machine, and what they tell here."""


def steady(value: object, name: str = "") -> object:
    """An answer with what the machine added to it replaced."""
    if name == "seconds" and isinstance(value, float):
        return 0.11
    if name in SAME and isinstance(value, int | float):
        return SAME[name]
    if isinstance(value, MemoryVerdict):
        return MemoryVerdict(value.device, "fits", "of 20.9 GB free")
    if isinstance(value, ProbeResult):
        return PROBED
    if isinstance(value, LibraryItem):
        value = msgspec.structs.replace(value, path=value.path.replace(str(Path.home()), HOME))
    if isinstance(value, msgspec.Struct):
        changes = {field: steady(getattr(value, field), field) for field in value.__struct_fields__}
        return msgspec.structs.replace(value, **changes)
    if isinstance(value, tuple | list):
        return type(value)(steady(item) for item in value)
    return value


class SteadyEngine(EngineClient):
    """A real engine, whose answers are the same each time."""

    async def call(
        self,
        request: Request[R],
        on_progress: Callable[[Progress], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> R:
        """Ask, and steady the answer."""
        return cast("R", steady(await super().call(request, on_progress, stop)))


class SteadySampler:
    """A machine that always does the same."""

    gpu_problem = ""

    def sample(self) -> SystemSample:
        """Some load."""
        return SAMPLE


class SteadyClock:
    """The day of the recorded run, in UTC."""

    strftime = staticmethod(time.strftime)

    @staticmethod
    def localtime(when: float = NOON) -> time.struct_time:
        """A moment, wherever the machine is."""
        return time.gmtime(when)


def _answer_words(note: AnswerNote) -> str:
    took = 0.24 + (note.tokens - 1) / 31.2
    return _real_words(msgspec.structs.replace(note, seconds=took, ttft=0.24))


_real_words = turns.answer_words


def hold_still() -> None:
    """Put what is the same in place of what is not. For a process that only takes pictures."""
    samples.Sampler = SteadySampler
    hfterm.app.EngineClient = SteadyEngine
    hfterm.screens.engines.EngineClient = SteadyEngine
    turns.answer_words = _answer_words
    library_tables.day = things.day = lambda _: DAY
    training_words.time = SteadyClock


def make_home(home: Path, kit: Path) -> None:
    """A home folder with the starter kit where hfterm puts it, and nothing else.

    Args:
        home: an empty folder.
        kit: where the starter kit is.
    """
    missing = [item.name for item in STARTER if not (kit / item.name).is_dir()]
    if missing:
        raise SystemExit(f"{kit} lacks {', '.join(missing)}. Bring it: hfterm starter")
    target = home / ".local" / "share" / "hfterm" / "starter"
    shutil.copytree(kit, target, copy_function=_link)
    for name in list(os.environ):
        if name.startswith(("XDG_", "HF_", "HFTERM_")):
            del os.environ[name]
    os.environ["HOME"] = str(home)
    os.environ["HF_HUB_OFFLINE"] = "1"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)
