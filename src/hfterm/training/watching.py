"""A run that is watched: its curves, and the lists beside them, read again as they grow.

Works for this program's runs and for those of others. numpy; no torch.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from hfterm import paths
from hfterm.training import run_files as files
from hfterm.training.curves import CurveSource
from hfterm.training.metrics_file import LineTail, MetricsTail
from hfterm.training.run_types import Checkpoint, RunEvent, RunSample, SystemRow
from hfterm.training.store import read_lines, size_of

AT_ONCE = 128 * 1024
"""Bytes that are read at a time where a screen waits: some milliseconds."""

LARGE = 2 * 1024 * 1024
"""A file of more bytes is read by another process first."""

KEPT = 300
"""Lines of the log, and rows of the system, that a table shows."""


class SystemTail(LineTail):
    """``system.jsonl`` as curves; the step of a row is told by the metrics of that time."""

    def __init__(self, path: Path, metrics: CurveSource) -> None:
        super().__init__(path)
        self._metrics = metrics
        self.rows: list[SystemRow] = []

    def take(self, lines: bytes) -> None:
        """Read some whole lines."""
        for line in lines.splitlines():
            try:
                row = msgspec.json.decode(line, type=SystemRow)
            except msgspec.MsgspecError:
                self.curves.skipped += 1
                continue
            self.rows = [*self.rows[-KEPT + 1 :], row]
            step, epoch = self._place(row.time)
            keys = ["step", "time", "epoch", "memory", "cpu"]
            values = [step, row.time, epoch, row.memory / 1e6, row.cpu]
            for number, (use, used, _) in enumerate(row.gpus):
                keys += [f"gpu{number}", f"gpu{number}_memory"]
                values += [float(use or 0), (used or 0) / 1e6]
            self.curves.append(keys, np.array([values], dtype=np.float64))

    def _place(self, when: float) -> tuple[float, float]:
        times = self._metrics.curves.axes["time"].view
        if not len(times):
            return 0.0, 0.0
        row = max(0, int(np.searchsorted(times, when, "right")) - 1)
        step = float(self._metrics.curves.axes["step"].view[row])
        return step, float(self._metrics.curves.axes["epoch"].view[row])


class Watched:
    """A watched run.

    Attributes:
        kind: ``hfterm``, or the program whose run it is.
        source: its metrics.
        system: memory and load; None where nobody wrote them down.
    """

    def __init__(self, name: str, path: Path, source: CurveSource, kind: str = "hfterm") -> None:
        self.name = name
        self.path = path
        self.kind = kind
        self.source = source
        self.system = SystemTail(path / files.SYSTEM, source) if kind == "hfterm" else None
        self._seen: dict[str, tuple[int, int]] = {}

    @property
    def own(self) -> bool:
        """Whether this program trains it."""
        return self.kind == "hfterm"

    def refresh(self) -> set[str]:
        """Read what is new, `AT_ONCE` bytes of each file at most.

        Raises:
            HftermError: a foreign source can no longer be read.
        """
        changed: set[str] = set()
        if self.source.read(AT_ONCE):
            changed.add("curves")
        if self.system is not None and self.system.read(AT_ONCE):
            changed.add("system")
        for what, name in (
            ("events", files.EVENTS), ("samples", files.SAMPLES), ("log", files.LOG),
            ("checkpoints", files.CHECKPOINTS),
        ):  # fmt: skip
            if self.own and self._changed(name):
                changed.add(what)
        return changed

    def _changed(self, name: str) -> bool:
        try:
            found = (self.path / name).stat()
        except OSError:
            return self._seen.pop(name, None) is not None
        now = found.st_size, found.st_mtime_ns
        if self._seen.get(name) == now:
            return False
        self._seen[name] = now
        return True

    def events(self) -> list[RunEvent]:
        """``events.jsonl``."""
        return read_lines(self.path / files.EVENTS, RunEvent) if self.own else []

    def samples(self) -> list[RunSample]:
        """``samples.jsonl``."""
        return read_lines(self.path / files.SAMPLES, RunSample) if self.own else []

    def checkpoints(self) -> list[Checkpoint]:
        """The whole checkpoints, the oldest first; of a foreign run those of Trainer."""
        if not self.own:
            return trainer_checkpoints(self.path)
        best = files.progress_of(self.path).best_step
        return [
            Checkpoint(found.step, found.path, found.size, found.time, found.step == best)
            for found in trainer_checkpoints(self.path / files.CHECKPOINTS)
            if (Path(found.path) / files.WHOLE).exists()
        ]


def trainer_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoint folders in an output directory of Trainer."""
    found: list[Checkpoint] = []
    with suppress(OSError):
        for path in folder.glob("checkpoint-*"):
            step = path.name.rpartition("-")[2]
            if step.isdecimal() and path.is_dir():
                found.append(Checkpoint(int(step), str(path), size_of(path), path.stat().st_mtime))
    return sorted(found, key=lambda one: one.step)


def watch_run(folder: Path) -> Watched:
    """A run of this machine; nothing is read yet."""
    return Watched(folder.name, folder, MetricsTail(folder / files.METRICS))


def watch_path(path: str) -> list[Watched]:
    """The runs of any program in a folder, or of a file; nothing is read yet.

    Raises:
        HftermError: there is nothing there that is known.
    """
    from hfterm.training.foreign.detect import detect_all, open_source

    found = detect_all(path)
    return [
        watch_run(Path(one.path).parent)
        if one.kind == "hfterm"
        else Watched(one.name, Path(one.path), open_source(one), one.kind)
        for one in found
    ]


def cache_of(watched: Watched) -> Path:
    """Where the cache of its curves is: beside an own run, elsewhere for a foreign one."""
    if watched.own:
        return watched.path / ".metrics.cache"
    import hashlib

    name = hashlib.sha256(str(watched.path.absolute()).encode()).hexdigest()[:24]
    return paths.cache_dir() / "curves" / f"{name}.cache"
