"""The log that transformers' Trainer saves with each checkpoint: ``trainer_state.json``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, cast

import msgspec

from hfterm.errors import HftermError
from hfterm.training.curves import Curves
from hfterm.training.foreign.names import AXIS_OF, own_name
from hfterm.training.metrics_file import NOT_JSON, add_rows, number_of, unreadable

FILE = "trainer_state.json"
MOST_STEPS = 2**53
_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})")


def newest_state(path: Path) -> Path | None:
    """The newest ``trainer_state.json`` of an output folder, or the one that `path` is.

    It is that of the checkpoint with the highest step, unless the one beside the checkpoints,
    which a Trainer saves at the end, is not older.

    Raises:
        OSError: a folder cannot be read.
    """
    if path.is_file():
        return path if path.name == FILE else None
    steps = [
        (int(told[1]), entry.path)
        for entry in os.scandir(path)
        if (told := _CHECKPOINT.fullmatch(entry.name)) and Path(entry.path, FILE).is_file()
    ]
    last = path / FILE
    if not steps:
        return last if last.is_file() else None
    newest = Path(max(steps)[1], FILE)
    later = last.is_file() and last.stat().st_mtime_ns >= newest.stat().st_mtime_ns
    return last if later else newest


class TrainerRun:
    """The log history of a Trainer, as fresh as its last checkpoint.

    Attributes:
        path: the output folder, a checkpoint, or the file.
        curves: what was read; the same object from the first reading on.
        total_steps: ``max_steps``.
        finished: True when all steps are done, else None.
        status_text: at which step the file was saved.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.curves = Curves()
        self.total_steps = 0
        self.finished: bool | None = None
        self.status_text = ""
        self._file: Path | None = None
        self._stamp = (0, 0, 0)
        self._rows: list[dict[str, float]] = []

    @property
    def behind(self) -> int:
        """0: the file is read as a whole."""
        return 0

    def read(self, limit_bytes: int | None = None) -> bool:
        """Read the newest file, if it is another than before; True if it is.

        Raises:
            HftermError: it cannot be read, or is no Trainer's.
        """
        del limit_bytes  # a JSON document is read as a whole
        try:
            file = newest_state(self.path)
            if file is None:
                return False
            found = file.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if file == self._file and stamp == self._stamp:
                return False
            content = file.read_bytes()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unreadable(self.path, error) from error
        told = _document(file, content)
        self._file, self._stamp = file, stamp
        self._take(told)
        return True

    def places(self) -> dict[str, int]:
        """The file that was read; it is not appended to, but replaced."""
        return {str(self._file): self._stamp[1]} if self._file is not None else {}

    def state(self) -> dict[str, object]:
        """What `restore` needs besides the curves."""
        return {
            "file": os.fsencode(self._file or ""),
            "stamp": self._stamp,
            "total": self.total_steps,
            "finished": self.finished,
            "text": self.status_text,
        }

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state."""
        self.curves = curves
        self._file = Path(os.fsdecode(cast(bytes, state["file"])))
        first, second, third = cast("tuple[int, int, int]", state["stamp"])
        self._stamp = (first, second, third)
        self.total_steps = cast(int, state["total"])
        self.finished = cast("bool | None", state["finished"])
        self.status_text = cast(str, state["text"])

    def _take(self, told: dict[str, Any]) -> None:
        history: list[object] = told["log_history"]
        rows = [_row(cast("dict[str, object]", one)) for one in history if isinstance(one, dict)]
        known = len(self._rows)
        if not known or repr(rows[:known]) != repr(self._rows):  # NaN differs from itself
            self.curves.clear()
            known = 0
        self.curves.skipped = len(history) - len(rows)
        add_rows(self.curves, [row for row in rows[known:] if row])
        self._rows = rows
        total, step = number_of(told.get("max_steps")), number_of(told.get("global_step"))
        self.total_steps = int(total) if total is not None and 0 < total < MOST_STEPS else 0
        self.status_text = f"saved at step {step:,.0f}" if step is not None else ""
        self.finished = (step is not None and 0 < self.total_steps <= step) or None


def _document(file: Path, content: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(content)
    except NOT_JSON:
        try:
            told = json.loads(content)  # a Trainer writes NaN, which is no JSON
        except (ValueError, RecursionError):
            told = None
    if not isinstance(told, dict) or not isinstance(told.get("log_history"), list):
        raise HftermError(
            "damaged",
            f"{file} holds no log of a Trainer.",
            "Name the folder that the Trainer wrote its checkpoints to.",
        )
    return cast("dict[str, Any]", told)


def _row(told: dict[str, object]) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, value in told.items():
        number = number_of(value)
        if number is not None:
            row[AXIS_OF.get(name) or ("step" if name == "step" else own_name(name))] = number
    return row
