"""Apps whose every figure on the screen is the same on every machine, in every run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

import msgspec
import pytest

# Textual reads these when it is imported.
os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ.pop("NO_COLOR", None)

from rich.color import Color, ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Background
from textual.filter import LineFilter

import hfterm.app
from hfterm.app import HftermApp
from hfterm.engine.client import EngineStatus
from hfterm.models.memory_types import MemoryVerdict
from hfterm.screens.start import StartOptions
from hfterm.screens.tokenize import train
from hfterm.system import log_tail, samples
from hfterm.system.samples import SystemSample
from hfterm.system.terminal import ColorDecision, ColorDepth
from painting import painted_when_looked_at
from pilot_app import BackgroundEngine, BorrowedEngine

__all__ = ["painted_when_looked_at"]

R = TypeVar("R")

HOME = "/home/you"
KIT = f"{HOME}/.local/share/hfterm/starter"
SAMPLE = SystemSample(12.0, 3_100_000_000, 24_000_000_000, [])
LOG = [
    "Some weights of BertModel were not initialized from the model checkpoint:",
    "['pooler.dense.bias', 'pooler.dense.weight']",
    "You should probably TRAIN this model on a down-stream task.",
]


def fixed(value: object, kit: str, name: str = "") -> object:
    """An answer with the times and folders of this machine replaced."""
    if isinstance(value, MemoryVerdict):
        return MemoryVerdict(value.device, "fits", "of 20.9 GB free")
    if isinstance(value, msgspec.Struct):
        changes = {
            field: fixed(getattr(value, field), kit, field) for field in value.__struct_fields__
        }
        return msgspec.structs.replace(value, **changes)
    if isinstance(value, tuple | list):
        return type(value)(fixed(item, kit) for item in value)
    if isinstance(value, str):
        return value.replace(kit, KIT)
    if isinstance(value, float) and name.endswith("seconds"):
        return 0.00042
    return value


class FixedEngine(BorrowedEngine):
    """Real answers, but for what differs between machines."""

    kit = ""

    @property
    def log_file(self) -> Path:
        """A name without a process id."""
        return Path(f"{HOME}/.local/state/hfterm/logs/engine-tokenizers-4242.log")

    def answered(self, answer: R) -> R:
        """With fixed times and folders."""
        return cast("R", fixed(answer, self.kit))


class FixedSampler:
    """A machine that always does the same."""

    def sample(self) -> SystemSample:
        """Some load."""
        return SAMPLE


class Downgrade(LineFilter):
    """Draw with the colours a terminal of fewer colours would show, as Rich chooses them."""

    def __init__(self, system: ColorSystem) -> None:
        super().__init__()
        self._system = system

    def _color(self, color: Color | None) -> Color | None:
        return None if color is None else color.downgrade(self._system)

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:
        """Replace the colours of each segment."""
        return [
            Segment(
                segment.text,
                segment.style
                + Style(color=self._color(segment.style.color),
                        bgcolor=self._color(segment.style.bgcolor))
                if segment.style is not None
                else None,
                segment.control,
            )
            for segment in segments
        ]  # fmt: skip


class Studio(Protocol):
    """Makes an app to take pictures of."""

    def __call__(
        self,
        model: str = "",
        text: str | None = None,
        *,
        colors: str = "truecolor",
        mode: str = "tokenize",
    ) -> HftermApp: ...


DEPTHS = {
    "truecolor": ColorDepth.TRUECOLOR,
    "256": ColorDepth.COLORS_256,
    "16": ColorDepth.COLORS_16,
    "none": ColorDepth.NONE,
}
SYSTEMS: dict[str, Sequence[ColorSystem]] = {
    "256": [ColorSystem.EIGHT_BIT],
    "16": [ColorSystem.STANDARD],
}


@pytest.fixture
def studio(background_engine: BackgroundEngine, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """Everything that differs between machines is fixed before an app is made."""
    kit = os.environ["HFTERM_STARTER"]
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", HOME)  # nothing is written: the engine runs already
    monkeypatch.setattr(samples, "Sampler", FixedSampler)
    monkeypatch.setattr(log_tail, "last_lines", lambda file, lines: LOG)
    monkeypatch.setattr(train.time, "strftime", lambda pattern: "1122-224000")
    monkeypatch.setattr(FixedEngine, "kit", str(Path(kit).expanduser().absolute()))

    def borrow(
        _: str = "", on_status: Callable[[EngineStatus], None] | None = None, **__: bool
    ) -> FixedEngine:
        assert on_status is not None
        return FixedEngine(background_engine, on_status)

    monkeypatch.setattr(hfterm.app, "EngineClient", borrow)

    def make(
        model: str = "",
        text: str | None = None,
        *,
        colors: str = "truecolor",
        mode: str = "tokenize",
    ) -> HftermApp:
        if colors == "none":
            monkeypatch.setenv("NO_COLOR", "1")
        depth = DEPTHS[colors]
        app = HftermApp(
            None,
            StartOptions(model, text, live_delay=0.01),
            color=ColorDecision(depth, "A test says so.", depth),
            mode=mode,
        )
        app._filters.extend(Downgrade(system) for system in SYSTEMS.get(colors, ()))
        if colors != "none":  # a console that is no terminal has no colours, which ramps are for
            app.console._color_system = SYSTEMS.get(colors, [ColorSystem.TRUECOLOR])[0]
        return app

    return make
