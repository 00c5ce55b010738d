"""The line under every screen: the engine, and the machine it works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from hfterm.engine.client import EngineStatus
from hfterm.sizes import size_text
from hfterm.text import foreign

if TYPE_CHECKING:
    from hfterm.chat.types import LlmInfo
    from hfterm.models.types import LoadedInfo
    from hfterm.system.samples import GpuSample, SystemSample
    from hfterm.training.store import Run

BARS = "▁▂▃▄▅▆▇█"
STEP = 10
"""Percent of load in which it is told."""

STICKY = 0.75
"""Steps that the load must be away from what is told: at half of one it would go to and fro."""

RAM_PARTS = 100
"""A change by less than one part in so many of the memory is not told."""

PHASES = {
    "off": "engine off",
    "starting": "engine starting",
    "started": "engine ready",
    "warming": "engine ready · transformers loading",
    "warm": "engine warm",
}


def bar(share: float) -> str:
    """A share as a bar of one cell."""
    return BARS[min(len(BARS) - 1, max(0, int(share * len(BARS))))]


class StatusBar(Horizontal):
    """Engine state and the models that are loaded on the left, the machine on the right."""

    DEFAULT_CSS = """
    StatusBar { height: 1; padding: 0 1; color: $text-muted; }
    StatusBar > #status-engine { width: auto; max-width: 50%; text-overflow: ellipsis; }
    StatusBar > #status-loaded { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis;
        padding-right: 1; }
    StatusBar > #status-runs { width: auto; max-width: 50%; text-wrap: nowrap;
        text-overflow: ellipsis; padding-right: 1; color: $accent; }
    StatusBar > #status-machine { width: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        # made here, since an engine changes its state also before they are mounted, and after
        self._engine = Static(PHASES["off"], id="status-engine", markup=False)
        self._loaded = Static("", id="status-loaded", markup=False)
        self._runs = Static("", id="status-runs", markup=False)
        self._runs.display = False
        self._model: LoadedInfo | None = None
        self._llm: LlmInfo | None = None
        self._offer = ""
        self._cpu = 0
        self._ram = 0
        self._machine = Static("", id="status-machine", markup=False)

    def compose(self) -> ComposeResult:
        """Four texts."""
        yield self._engine
        yield self._loaded
        yield self._runs
        yield self._machine

    def show_engine(self, status: EngineStatus) -> None:
        """Say what the engine is doing."""
        line = self._engine
        if status.phase == "dead":
            line.update(Content.styled("✗ engine ended · restarts on next use", "$error"))
            return
        text = PHASES.get(status.phase, status.phase)
        if status.restarts:
            text += f" · restarted {status.restarts} ×"
        before = str(line.content)
        if before != text:
            line.update(Content(text), layout=len(before) != len(text))

    def show_loaded(self, info: LoadedInfo | None) -> None:
        """Name the model that is loaded: precision, memory, device, class."""
        self._model = info
        self._show_models()

    def show_llm(self, info: LlmInfo | None) -> None:
        """Name the language model that answers in Chat."""
        self._llm = info
        self._show_models()

    def show_offer(self, offer: str) -> None:
        """Offer something by its key, as long as no model is named; empty offers nothing."""
        self._offer = offer
        self._show_models()

    def _show_models(self) -> None:
        loaded: list[tuple[str, str]] = []
        if (model := self._model) is not None:
            words = f"● {model.dtype} {size_text(model.footprint)} {model.device}"
            loaded.append((words, model.cls))
        if (llm := self._llm) is not None:
            size = size_text(llm.footprint) if llm.footprint else ""
            parts = ("● chat", llm.dtype, size, llm.spec.url or llm.device)
            loaded.append((" ".join(part for part in parts if part), llm.name))
        texts = [f"{words} {cls}" for words, cls in loaded] or [self._offer]
        if len(loaded) > 1:  # there is no room for their classes
            texts = [words for words, _ in loaded]
        text = "".join(f" · {text}" for text in texts if text)
        if str(self._loaded.content) != text:
            self._loaded.update(foreign(text), layout=False)

    def show_runs(self, runs: Sequence[Run]) -> None:
        """Name the runs at work, with what is done and left of each."""
        from hfterm.widgets.training_words import runs_line

        text = runs_line(runs)
        before = str(self._runs.content)
        if before != text:
            self._runs.display = bool(text)
            self._runs.update(foreign(text), layout=cell_len(before) != cell_len(text))

    def show_machine(self, sample: SystemSample) -> None:
        """Draw the load. Rounded, and slow to change, so that an idle machine repaints nothing."""
        if abs(sample.cpu_percent - self._cpu) > STICKY * STEP:
            self._cpu = round(sample.cpu_percent / STEP) * STEP
        if abs(sample.ram_used - self._ram) > sample.ram_total / RAM_PARTS:
            self._ram = sample.ram_used
        cpu, used, total = self._cpu, self._ram / 1e9, sample.ram_total / 1e9
        parts = [
            f"cpu {bar(cpu / 100)} {cpu:3} %",
            f"ram {bar(used / total)} {used:{len(f'{total:.1f}')}.1f}/{total:.1f} GB",
        ]
        parts += [_gpu(index, gpu) for index, gpu in enumerate(sample.gpus)]
        text = " · ".join(parts)
        line = self._machine
        before = str(line.content)
        if before != text:
            # of one width, or the screen is laid out anew, and under a window drawn anew
            line.update(Content(text), layout=len(before) != len(text))


def _gpu(index: int, gpu: GpuSample) -> str:
    """What the driver says of a GPU; it need not say everything."""
    parts = [f"gpu{index}"]
    if gpu.utilization is not None:
        parts.append(f"{bar(gpu.utilization / 100)} {gpu.utilization:.0f} %")
    if gpu.memory_used is not None and gpu.memory_total is not None:
        parts.append(f"{gpu.memory_used / 1e9:.1f}/{gpu.memory_total / 1e9:.1f} GB")
    if gpu.temperature is not None:
        parts.append(f"{gpu.temperature:.0f} °C")
    return " ".join(parts)
