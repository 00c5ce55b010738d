"""A run that Weights & Biases keeps on disk: ``run-*.wandb``, read as it grows.

The file is a log as LevelDB has it (blocks of 32 KiB; a record too long for what is left of one
goes on in the next) of protobuf records; those of the history are rows.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from struct import Struct
from typing import cast

import numpy as np

from hfterm.errors import HftermError
from hfterm.training.curves import Curves
from hfterm.training.foreign.names import AXIS_OF, own_name
from hfterm.training.foreign.protobuf import BYTES, FIXED64, VARINT, fields, signed, varint
from hfterm.training.metrics_file import NOT_FINITE, add_rows, unreadable

START = b":W&B\xe1\xbe\x00"
BLOCK = 32 << 10
HEAD = Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
CHUNK = 1 << 20
LONGEST = 16 << 20
"""Bytes of a record that can be; a file that tells of a longer one is damaged."""

HISTORY, EXIT = 2, 18
STEPS = ("train/global_step", "global_step", "_step")
"""What a row's step is, the first that it has."""

_CHECKSUMS = [zlib.crc32(bytes([kind])) for kind in range(256)]
_double = Struct("<d").unpack_from


class WandbRun:
    """The history of an offline run.

    Attributes:
        path: the ``.wandb`` file.
        curves: what was read; the same object from the first reading on.
        total_steps: 0, the file does not tell.
        finished: whether the run told its end; None before.
        status_text: that the file is damaged, or nothing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.curves = Curves()
        self.total_steps = 0
        self.finished: bool | None = None
        self.status_text = ""
        self._inode = self._offset = self._size = 0
        self._damaged = False

    @property
    def behind(self) -> int:
        """Bytes that are known to be there and were not yet read."""
        return 0 if self._damaged else max(self._size - self._offset, 0)

    def read(self, limit_bytes: int | None = None) -> bool:
        """Read the rows that are new, or about `limit_bytes` of them; True if there were some.

        Raises:
            HftermError: the file cannot be read, or is none of wandb's.
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
            "inode": self._inode,
            "offset": self._offset,
            "finished": self.finished,
            "damaged": self._damaged,
            "text": self.status_text,
        }

    def restore(self, curves: Curves, state: dict[str, object]) -> None:
        """Go on from a state."""
        self.curves = curves
        self._inode = cast(int, state["inode"])
        self._offset = self._size = cast(int, state["offset"])
        self.finished = cast("bool | None", state["finished"])
        self._damaged = cast(bool, state["damaged"])
        self.status_text = cast(str, state["text"])

    def _renew(self) -> bool:
        self._inode = self._offset = self._size = 0
        self.finished, self.status_text, self._damaged = None, "", False
        self.curves.clear()
        return True

    def _read(self, file: int, limit: int | None) -> bool:
        found = os.fstat(file)
        new = False
        if self._offset and (found.st_ino != self._inode or found.st_size < self._offset):
            new = self._renew()
        self._inode, self._size = found.st_ino, found.st_size
        if self._damaged:
            return new
        if not self._offset:
            start = os.pread(file, len(START), 0)
            if not START.startswith(start):
                raise HftermError(
                    "damaged", f"{self.path} is no file of wandb's.", "Name another file."
                )
            if len(start) < len(START):
                return new
            self._offset = len(START)
        end = self._size if limit is None else min(self._size, self._offset + max(limit, 1))
        size = CHUNK
        while self._offset < end and not self._damaged:
            base = self._offset // BLOCK * BLOCK
            data = os.pread(file, size, base)
            records, used, sound = _records(data, self._offset - base)
            if used > self._offset - base:
                self._take(records)
                self._offset = base + used
                new, size = True, CHUNK
            elif sound and len(data) == size and size < LONGEST:
                size *= 2
            elif sound and len(data) < size:
                break
            else:
                sound = False
            if not sound:
                self._damaged = True
                self.status_text = (
                    f"{self.path.name} is damaged at byte {self._offset:,}: "
                    "what is before it is shown."
                )
        return new

    def _take(self, records: list[bytes]) -> None:
        rows: list[dict[str, float]] = []
        for record in records:
            try:
                for number, wire, begin, after in fields(record, 0, len(record)):
                    if number == HISTORY and wire == BYTES:
                        rows.append(_row(history(record, begin, after)))
                    elif number == EXIT and wire == BYTES:
                        self.finished = True
            except ValueError:
                self.curves.skipped += 1
        add_rows(self.curves, [row for row in rows if row])


def _records(data: bytes, at: int) -> tuple[list[bytes], int, bool]:
    """The whole records of some blocks.

    Args:
        data: from the start of a block.
        at: where the first record begins.

    Returns:
        The records, the position after the last, and whether what is there may become one.
    """
    records: list[bytes] = []
    parts: list[bytes] = []
    whole = at
    while True:
        left = BLOCK - at % BLOCK
        if left < HEAD.size:
            at += left
            continue
        if at + HEAD.size > len(data):
            return records, whole, True
        crc, length, kind = HEAD.unpack_from(data, at)
        body = data[at + HEAD.size : at + HEAD.size + length]
        if length > left - HEAD.size:
            return records, whole, False
        if len(body) < length or not (crc or length or kind):
            return records, whole, True
        starts = kind in (FULL, FIRST)
        if not FULL <= kind <= LAST or starts == bool(parts):
            return records, whole, False
        if zlib.crc32(body, _CHECKSUMS[kind]) != crc:
            return records, whole, False
        at += HEAD.size + length
        parts.append(body)
        if kind in (FULL, LAST):
            records.append(body if kind == FULL else b"".join(parts))
            parts, whole = [], at


def history(data: bytes, start: int, end: int) -> dict[str, float]:
    """The numbers of a row of history.

    Raises:
        ValueError: it is none.
    """
    row: dict[str, float] = {}
    at = start
    while at < end:
        length = data[at + 1] if at + 1 < end else 0x80
        after = at + 2 + length
        found = None
        if data[at] == 0x0A and length < 0x80 and after <= end:
            found = _usual_item(data[at + 2 : after])
        if found is None:
            key, value_at = varint(data, at, end)
            if key & 7 != BYTES:
                at = next(fields(data, at, end))[3]
                continue
            length, value_at = varint(data, value_at, end)
            after = value_at + length
            if after > end:
                raise ValueError("the row ends inside an item")
            found = _item(data, value_at, after) if key >> 3 == 1 else ("", None)
        if found[1] is not None:
            row[found[0]] = found[1]
        at = after
    return row


def _usual_item(item: bytes) -> tuple[str, float] | None:
    """An item as it nearly always is: a short key, and a number as JSON."""
    if len(item) < 5 or item[0] not in (0x0A, 0x12):
        return None
    value = 2 + item[1]
    if len(item) < value + 3 or item[value : value + 2] != b"\x82\x01":
        return None
    if value + 3 + item[value + 2] != len(item):
        return None
    try:
        return item[2:value].decode(), float(item[value + 3 :])
    except ValueError:
        return None


def _item(data: bytes, start: int, end: int) -> tuple[str, float | None]:
    keys: list[str] = []
    value: float | None = None
    for number, wire, begin, after in fields(data, start, end):
        if number in (1, 2) and wire == BYTES:
            keys.append(data[begin:after].decode("utf-8", "replace"))
        elif number == 16 and wire == BYTES and after - begin < 64:
            value = _json_number(data[begin:after])
        elif number == 6 and wire == FIXED64:
            value = _double(data, begin)[0]
        elif number == 5 and wire == VARINT:
            zigzag = varint(data, begin, after)[0]
            value = float(signed(zigzag >> 1 ^ -(zigzag & 1) & 0xFFFFFFFFFFFFFFFF))
    return ".".join(keys), value


def _json_number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return NOT_FINITE.get(text.decode("utf-8", "replace").strip('"'))


def _row(items: dict[str, float]) -> dict[str, float]:
    """A row with the names that are used here."""
    row: dict[str, float] = {}
    for name in STEPS:
        if name in items:
            row["step"] = items[name]
            break
    if "_timestamp" in items:
        row["time"] = items["_timestamp"]
    for name, value in items.items():
        if name in AXIS_OF:
            row[AXIS_OF[name]] = value
        elif not name.startswith("_") and name not in STEPS:
            row[own_name(name)] = value
    return row if np.isfinite(row.get("step", np.nan)) else {}
