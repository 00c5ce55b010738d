"""LLaMA-Factory's ``trainer_log.jsonl``, read as it grows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from hfterm.training.curves import Curves
from hfterm.training.foreign.names import own_name
from hfterm.training.metrics_file import NOT_JSON, LineTail, add_rows, number_of

NAMES = {
    "current_steps": "step",
    "total_tokens": "tokens",
    "epoch": "epoch",
    "lr": "learning_rate",
}
LEFT_OUT = frozenset({"total_steps", "percentage", "elapsed_time", "remaining_time"})
MOST_STEPS = 2**53

_ELAPSED = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,6}):(\d\d):(\d\d)$")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class LlamaFactoryLog(LineTail):
    """The log of a run. Its lines tell how long the run took so far, not when they were written.

    So a row's time is that length, with the file's last change as the time of the last line.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._newest = -np.inf
        self._base: float | None = None

    def state(self) -> dict[str, object]:
        """What `restore` needs besides the curves."""
        own = {"newest": self._newest, "base": self._base, "finished": self.finished}
        return super().state() | own

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state."""
        super().restore(curves, state)
        self._newest = cast(float, state["newest"])
        self._base = cast("float | None", state["base"])
        self.finished = cast("bool | None", state["finished"])

    def take(self, lines: bytes) -> None:
        """Rows; lines that are none are counted in `Curves.skipped`."""
        rows: list[dict[str, float]] = []
        for line in lines.split(b"\n"):
            row = self._row(line)
            if row is None:
                continue
            if "loss" in row:
                if row["step"] <= self._newest:
                    add_rows(self.curves, rows)
                    rows = []
                    self.curves.resume(row["step"] - 1, row.get("time", np.nan))
                self._newest = row["step"]
            rows.append(row)
        add_rows(self.curves, rows)

    def _renew(self) -> bool:
        self._newest, self._base, self.finished = -np.inf, None, None
        return super()._renew()

    def _row(self, line: bytes) -> dict[str, float] | None:
        if not line.strip():
            return None
        try:
            told = _decode(line.strip())
        except NOT_JSON:
            told = {}
        step = number_of(told.get("current_steps"))
        if step is None or not np.isfinite(step):
            self.curves.skipped += 1
            return None
        row: dict[str, float] = {}
        for name, value in told.items():
            number = number_of(value)
            if number is not None and name not in LEFT_OUT:
                row[NAMES.get(name) or own_name(name)] = number
        total = number_of(told.get("total_steps"))
        if total is not None and 0 < total < MOST_STEPS:
            self.total_steps = int(total)
            self.finished = step >= total or None
        elapsed = seconds(told.get("elapsed_time"))
        if elapsed is not None:
            if self._base is None:
                self._base = self._began(elapsed)
            row["time"] = self._base + elapsed
        return row

    def _began(self, elapsed: float) -> float:
        """When the run began: the last line's length before the file's last change."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(self.path.stat().st_size - 4096, 0))
                for line in reversed(file.read().split(b"\n")):
                    told = re.search(rb'"elapsed_time": *"([^"]{1,40})"', line)
                    length = seconds(told[1].decode("ascii", "replace")) if told else None
                    if length is not None:
                        return self.path.stat().st_mtime - length
            return self.path.stat().st_mtime - elapsed
        except OSError:
            return 0.0


def seconds(text: object) -> float | None:
    """The length of ``1 day, 2:03:04``; None for what is none."""
    found = _ELAPSED.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
