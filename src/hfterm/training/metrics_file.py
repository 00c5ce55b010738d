"""Reading ``metrics.jsonl`` while a run writes it: only what is new, a chunk at a time.

A line is an object of numbers: the axes of a row (``step``, ``time``, ``epoch``, ``tokens``) and
its metrics. What is not finite is a string: ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.
``{"resumed_from": 50, "time": …}`` tells that the run went on from the checkpoint at step 50.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import numpy as np

from hfterm.errors import HftermError
from hfterm.training.curve_pyramid import Floats, Ints
from hfterm.training.curves import AXES, AxisName, Curves

CHUNK = 1 << 20
"""Bytes that are read and decoded at once: about 10 ms."""

LONGEST = 16 << 20
"""Bytes of a line; a longer one is not ours and is passed over."""

TAIL = 256
"""Bytes before the offset that tell whether the file was written anew: more than a line has."""

SHAPES = 64
"""Sets of keys whose decoder is kept."""

MARKER = "resumed_from"

NOT_FINITE: dict[object, float] = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}

NOT_JSON = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding a text that is no JSON raises, or one of ten thousand brackets."""

Number = float | Literal["NaN", "Infinity", "-Infinity"]
Decode = Callable[[bytes], list[Any]]

_decode_rows = msgspec.json.Decoder(dict[str, Number]).decode_lines
_decode_row = msgspec.json.Decoder(dict[str, Any]).decode
_values = msgspec.structs.astuple
_axis_names: dict[str, AxisName] = {name: name for name in AXES}


class LineTail:
    """A file of lines that is appended to. What a line says is for a subclass to know.

    Attributes:
        path: the file.
        curves: what was read; the same object from the first reading on.
        total_steps: that the run is to do, 0 when not known.
        finished: None when the file does not tell.
        status_text: what there is to say about the file, or nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.curves = Curves()
        self.total_steps = 0
        self.finished: bool | None = None
        self.status_text = ""
        self._offset = 0
        self._dropping = False
        self._tail = b""
        self._stamp = (0, 0, 0)
        self._idle = False

    @property
    def behind(self) -> int:
        """Bytes that are known to be there and were not yet read, a partial line included."""
        return max(self._stamp[1] - self._offset, 0)

    def read(self, limit_bytes: int | None = None) -> bool:
        """Read what is new, or about `limit_bytes` of it; True if something was.

        Raises:
            HftermError: the file is there and cannot be read.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                return self._read(file.fileno(), limit_bytes)
        except FileNotFoundError:
            return self._renew() if self._offset else False
        except OSError as error:
            raise unreadable(self.path, error) from error

    def places(self) -> dict[str, int]:
        """The file, and how much of it was read."""
        return {str(self.path): self._offset}

    def state(self) -> dict[str, object]:
        """What `restore` needs besides the curves."""
        return {
            "offset": self._offset,
            "dropping": self._dropping,
            "tail": self._tail,
            "inode": self._stamp[0],
            "total": self.total_steps,
        }

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state."""
        self.curves = curves
        self._offset = cast(int, state["offset"])
        self._dropping = cast(bool, state["dropping"])
        self._tail = cast(bytes, state["tail"])
        self._stamp = (cast(int, state["inode"]), 0, 0)
        self.total_steps = cast(int, state["total"])

    def take(self, lines: bytes) -> None:
        """Take in whole lines, the last one's end included."""
        raise NotImplementedError

    def _renew(self) -> bool:
        """The file is another one."""
        self._offset, self._tail, self._dropping, self._stamp = 0, b"", False, (0, 0, 0)
        self.total_steps = 0
        self.curves.clear()
        return True

    def _read(self, file: int, limit: int | None) -> bool:
        found = os.fstat(file)
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        if stamp == self._stamp and self._idle:
            return False
        new = False
        before = os.pread(file, len(self._tail), self._offset - len(self._tail))
        other = self._stamp[0] not in (0, stamp[0])
        if self._offset and (other or stamp[1] < self._offset or before != self._tail):
            new = self._renew()
        self._stamp, self._idle = stamp, False
        end = stamp[1] if limit is None else min(stamp[1], self._offset + max(limit, 1))
        size = CHUNK
        while self._offset < end:
            # A limit must not stop inside a line for ever, hence whole chunks.
            data = os.pread(file, size, self._offset)
            whole = data.rfind(b"\n") + 1
            if whole:
                self._step(data[:whole])
                new, size = True, CHUNK
            elif len(data) < size:
                self._idle = True
                break
            elif size < LONGEST:
                size *= 2
            else:
                self._dropping = True
                self._advance(data)
        self._idle = self._idle or self._offset >= stamp[1]
        return new

    def _step(self, lines: bytes) -> None:
        self._advance(lines)
        if self._dropping:
            self._dropping = False
            self.curves.skipped += 1
            lines = lines[lines.index(b"\n") + 1 :]
        if lines:
            self.take(lines)

    def _advance(self, data: bytes) -> None:
        self._offset += len(data)
        self._tail = (self._tail + data[-TAIL:])[-TAIL:]


class MetricsTail(LineTail):
    """``metrics.jsonl`` of a run of this program."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._shapes: dict[tuple[str, ...], Decode | None] = {}

    def take(self, lines: bytes) -> None:
        """Rows and marks; lines that are neither are counted in `Curves.skipped`."""
        keys = _keys_of(lines)
        if not (self._alike(keys, lines) or self._mixed(lines)):
            self._one_by_one(lines)

    def _alike(self, keys: tuple[str, ...], lines: bytes) -> bool:
        """Take in lines of the same keys; False, and nothing is done, when they are not."""
        decode = self._shape(keys) if MARKER not in keys else None
        if decode is None:
            return False
        try:
            rows = decode(lines)
        except NOT_JSON:
            return False
        if len(rows) != lines.count(b"\n"):
            return False
        flat = chain.from_iterable(map(_values, rows))
        values = np.fromiter(flat, np.float64, len(rows) * len(keys))
        self.curves.append(keys, values.reshape(len(rows), len(keys)))
        return True

    def _mixed(self, lines: bytes) -> bool:
        """Take in rows of several shapes; False, and nothing is done, when a line is no row."""
        try:
            rows = _decode_rows(lines)
        except NOT_JSON:
            return False
        if len(rows) != lines.count(b"\n") or any(MARKER in row or not row for row in rows):
            return False
        add_rows(self.curves, rows)
        return True

    def _shape(self, keys: tuple[str, ...]) -> Decode | None:
        """A decoder of lines that have just these keys, each a number."""
        if keys not in self._shapes:
            if len(self._shapes) >= SHAPES:
                self._shapes.clear()
            self._shapes[keys] = _decoder(keys)
        return self._shapes[keys]

    def _one_by_one(self, lines: bytes) -> None:
        rows: list[dict[str, float]] = []
        for line in lines.split(b"\n"):
            row = self._row(line)
            if row is None:
                continue
            if MARKER in row:
                add_rows(self.curves, rows)
                rows = []
                self.curves.resume(row[MARKER], row.get("time", np.nan))
            elif row:
                rows.append(row)
        add_rows(self.curves, rows)

    def _row(self, line: bytes) -> dict[str, float] | None:
        found = numbers_of(line)
        if found is None or (MARKER in found and not np.isfinite(found[MARKER])):
            self.curves.skipped += bool(line.strip())
            # The process died inside a line, and the one that resumed it wrote on from there.
            mark = line.rfind(b'{"resumed_from"')
            return self._row(line[mark:]) if mark > 0 else None
        return found


def numbers_of(line: bytes) -> dict[str, float] | None:
    """The numbers of a line's object; None when the line is no object."""
    if not line.strip():
        return None
    try:
        row = _decode_row(line)
    except NOT_JSON:
        return None
    found: dict[str, float] = {}
    for key, value in row.items():
        number = number_of(value)
        if number is not None:
            found[key] = number
    return found


def number_of(value: object) -> float | None:
    """A number as a line has it; None for everything else."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return NOT_FINITE.get(value) if isinstance(value, str) else None


def add_rows(curves: Curves, rows: Sequence[Mapping[str, Number]]) -> None:
    """Add rows whose keys differ from one to the next."""
    kinds: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(rows):
        kinds.setdefault(tuple(row), []).append(at)
    axes: dict[AxisName, Floats] = {}
    points: dict[str, list[tuple[Ints, Floats]]] = {}
    for keys, places in kinds.items():
        at = np.array(places, np.int64)
        flat = chain.from_iterable(rows[place].values() for place in places)
        values = np.fromiter(flat, np.float64, len(at) * len(keys)).reshape(len(at), len(keys))
        for key, column in zip(keys, values.T, strict=True):
            if key in _axis_names:
                given = axes.setdefault(_axis_names[key], np.full(len(rows), np.nan))
                given[at] = column
            else:
                points.setdefault(key, []).append((at, column))
    if rows:
        names = sorted(points, key=lambda name: min(int(at[0]) for at, _ in points[name]))
        curves.extend(len(rows), axes, {name: _joined(points[name]) for name in names})


def unreadable(path: Path, error: OSError | ValueError) -> HftermError:
    """What to say of a file that the system does not let us read."""
    if isinstance(error, PermissionError):
        return HftermError(
            "permission", f"{path} may not be read.", "Give yourself the right to read it."
        )
    reason = error.strerror if isinstance(error, OSError) else None
    return HftermError("unreadable", f"{path} cannot be read: {reason or error}.", "Is it a file?")


def _joined(parts: Iterable[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    places, values = zip(*parts, strict=True)
    if len(places) == 1:
        return places[0], values[0]
    at = np.concatenate(places)
    order = np.argsort(at, kind="stable")
    return at[order], np.concatenate(values)[order]


def _keys_of(lines: bytes) -> tuple[str, ...]:
    """The keys of the first line; none if it is no object."""
    try:
        return tuple(_decode_row(lines[: lines.index(b"\n")]))
    except NOT_JSON:
        return ()


def _decoder(keys: tuple[str, ...]) -> Decode | None:
    """None where keys cannot be the fields of a struct."""
    fields = [f"f{index}" for index in range(len(keys))]
    try:
        shape = msgspec.defstruct(
            "Shape",
            [(name, Number) for name in fields],
            rename=dict(zip(fields, keys, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
        return msgspec.json.Decoder(shape).decode_lines if keys else None
    except (TypeError, ValueError):
        return None
