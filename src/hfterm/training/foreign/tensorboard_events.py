"""The scalars in the events of a TensorBoard file, each a small protobuf message.

A program logs the same few tags again and again, so most events of one length differ only in the
clock, the step and the value: the first is taken apart, the others are compared with it and read
with numpy.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hfterm.training.curve_pyramid import Floats, Ints
from hfterm.training.foreign.protobuf import BYTES, FIXED32, FIXED64, VARINT, fields, signed, varint
from hfterm.training.foreign.tfrecord import HEAD, Frames

LONGEST_ALIKE = 1024
"""Bytes of an event above which it holds no mere scalar, and is taken apart by itself."""

TEMPLATES = 32
"""Layouts that are tried on the records of one length."""

Bytes = NDArray[np.uint8]

_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 14: "bf16", 19: "<f2", 22: "<u4", 23: "<u8"}
"""Of TensorFlow's DataType, those of scalars."""

_PACKED = {5: "<f4", 6: "<f8"}
_VARINTS = (7, 10, 13, 16, 17)
_SIZES = {"bf16": 2, "<f2": 2}

_double = struct.Struct("<d").unpack_from


@dataclass(frozen=True)
class Scalar:
    """Where a scalar's value is in its event.

    Attributes:
        kind: a dtype, ``bf16``, or ``varint:`` and one of the two for packed numbers.
    """

    tag: str
    begin: int
    kind: str


@dataclass
class Layout:
    """Where things are in an event.

    Attributes:
        clock: the wall time, -1 when there is none.
        step: first byte and the byte after; equal when there is none, and the step is 0.
    """

    clock: int = -1
    step: tuple[int, int] = (0, 0)
    scalars: list[Scalar] = field(default_factory=list["Scalar"])

    @property
    def fixed(self) -> bool:
        """Other events may have their values at the same places."""
        return not any(scalar.kind.startswith("varint") for scalar in self.scalars)


@dataclass
class Scalars:
    """Scalars of a piece of a file, in its order.

    Attributes:
        tags: what `tag` numbers.
        tag: int64[n].
        step: float64[n].
        time: float64[n], seconds since the epoch.
        value: float64[n].
        broken: records that are no event.
    """

    tags: list[str]
    tag: Ints
    step: Floats
    time: Floats
    value: Floats
    broken: int = 0


def scalars(data: bytes, found: Frames) -> Scalars:
    """Read the scalars of some records."""
    reading = _Reading(data)
    order = np.argsort(found.lengths, kind="stable")
    cuts = np.flatnonzero(np.diff(found.lengths[order])) + 1
    for group in np.split(order, cuts):
        if len(group):
            reading.take(group, found.starts[group] + HEAD, int(found.lengths[group[0]]))
    return reading.result()


class _Reading:
    """Scalars as they are found, which is by length and not yet in the file's order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._all = np.frombuffer(data, np.uint8)
        self._tags: dict[str, int] = {}
        self._many: list[tuple[Ints, Floats, Floats, Floats, Floats]] = []
        self._single: list[tuple[float, ...]] = []
        self._broken = 0

    def take(self, numbers: Ints, begins: Ints, length: int) -> None:
        """Take in the events of one length, with their numbers in the file."""
        tries = TEMPLATES if length <= LONGEST_ALIKE else 0
        if tries and len(numbers) > 3 and length:
            rows = np.lib.stride_tricks.sliding_window_view(self._all, length)[begins]
            while tries and len(numbers):
                tries -= 1
                alike = self._alike(rows, numbers, int(begins[0]))
                rows, numbers, begins = rows[~alike], numbers[~alike], begins[~alike]
        for number, begin in zip(numbers.tolist(), begins.tolist(), strict=True):
            self._one(number, begin, length)

    def result(self) -> Scalars:
        """Everything, in the order of the file."""
        parts = self._many
        if self._single:
            one = np.array(self._single, np.float64).T
            parts = [*parts, (one[0].astype(np.int64), one[1], one[2], one[3], one[4])]
        if not parts:
            none = np.empty(0)
            return Scalars([], none.astype(np.int64), none, none, none, self._broken)
        number, tag, step, time, value = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        order = np.argsort(number, kind="stable")
        tag = tag[order].astype(np.int64)
        return Scalars(list(self._tags), tag, step[order], time[order], value[order], self._broken)

    def _alike(self, rows: Bytes, numbers: Ints, begin: int) -> NDArray[np.bool_]:
        """Take in the events that are laid out as the first one is; which they are."""
        length = rows.shape[1]
        alike = np.zeros(len(rows), np.bool_)
        alike[0] = True
        layout = self._layout(begin, length)
        if layout is None:
            return alike
        if not layout.fixed:
            self._one(int(numbers[0]), begin, length)
            return alike
        mask = np.full(length, 0xFF, np.uint8)
        for at, size in [(layout.clock - begin, 8 * (layout.clock >= 0)), *_places(layout, begin)]:
            mask[at : at + size] = 0
        first, after = (place - begin for place in layout.step)
        mask[first:after] = 0x80  # how many bytes the step has, but not which
        alike = ~((rows ^ rows[0]) & mask).any(axis=1)
        same, numbers = rows[alike], numbers[alike]
        time = _column(same, layout.clock - begin, "<f8") if layout.clock >= 0 else np.nan
        step = _steps(same[:, first:after])
        for scalar in layout.scalars:
            value = _column(same, scalar.begin - begin, scalar.kind)
            self._many.append(
                (
                    numbers,
                    np.full(len(same), float(self._tag(scalar.tag))),
                    step,
                    np.broadcast_to(time, len(same)),
                    value,
                )
            )
        return alike

    def _one(self, number: int, begin: int, length: int) -> None:
        layout = self._layout(begin, length)
        if layout is None:
            return
        data = self._data
        time = _double(data, layout.clock)[0] if layout.clock >= 0 else np.nan
        first, after = layout.step
        step = float(signed(varint(data, first, after)[0])) if after > first else 0.0
        for scalar in layout.scalars:
            value = _value(data, scalar)
            self._single.append((number, self._tag(scalar.tag), step, time, value))

    def _layout(self, begin: int, length: int) -> Layout | None:
        try:
            return event_layout(self._data, begin, begin + length)
        except ValueError:
            self._broken += 1
            return None

    def _tag(self, tag: str) -> int:
        return self._tags.setdefault(tag, len(self._tags))


def event_layout(data: bytes, start: int, end: int) -> Layout:
    """Where the clock, the step and the scalars of an event are.

    Raises:
        ValueError: it is no event.
    """
    layout = Layout()
    for number, wire, begin, after in fields(data, start, end):
        if number == 1 and wire == FIXED64:
            layout.clock = begin
        elif number == 2 and wire == VARINT:
            layout.step = (begin, after)
        elif number == 5 and wire == BYTES:
            for inner, kind, first, last in fields(data, begin, after):
                if inner == 1 and kind == BYTES:
                    scalar = _scalar(data, first, last)
                    if scalar is not None:
                        layout.scalars.append(scalar)
    return layout


def _scalar(data: bytes, start: int, end: int) -> Scalar | None:
    """A value of a summary, if it is a scalar."""
    tag, plugin = "", b""
    place: tuple[int, str] | None = None
    for number, wire, begin, after in fields(data, start, end):
        if number == 1 and wire == BYTES:
            tag = data[begin:after].decode("utf-8", "replace")
        elif number == 2 and wire == FIXED32:
            place = (begin, "<f4")
        elif number == 8 and wire == BYTES:
            place = _tensor(data, begin, after)
        elif number == 9 and wire == BYTES:
            for inner, kind, first, last in fields(data, begin, after):
                if inner == 1 and kind == BYTES:
                    for key, form, one, two in fields(data, first, last):
                        if key == 1 and form == BYTES:
                            plugin = data[one:two]
    if place is None or not tag or plugin not in (b"", b"scalars"):
        return None
    return Scalar(tag, *place)


def _tensor(data: bytes, start: int, end: int) -> tuple[int, str] | None:
    """Where the number of a tensor is, if it has just one."""
    kind, place = "", (0, 0)
    packed = ""
    for number, wire, begin, after in fields(data, start, end):
        if number == 1 and wire == VARINT:
            kind = _DTYPES.get(varint(data, begin, after)[0], "")
        elif number == 2 and wire == BYTES:
            for inner, form, first, last in fields(data, begin, after):
                if inner == 2 and form == BYTES and not _one_long(data, first, last):
                    return None
        elif number == 4 or number in _PACKED:
            place, packed = (begin, after), _PACKED.get(number, "")
        elif number in _VARINTS and wire in (VARINT, BYTES):
            place, packed = (begin, after), "varint"
    begin, after = place
    if not kind or begin == after:
        return None
    if packed == "varint":
        single = varint(data, begin, after)[1] == after
        return (begin, f"varint:{kind}") if single else None
    kind = packed or kind
    return (begin, kind) if after - begin == _SIZES.get(kind, int(kind[-1])) else None


def _one_long(data: bytes, start: int, end: int) -> bool:
    size = 0
    for number, wire, begin, after in fields(data, start, end):
        if number == 1 and wire == VARINT:
            size = varint(data, begin, after)[0]
    return size == 1


def _value(data: bytes, scalar: Scalar) -> float:
    bits = scalar.kind.removeprefix("varint:")
    if bits == scalar.kind:
        size = _SIZES.get(bits, int(bits[-1]))
        raw = np.frombuffer(data, np.uint8, size, scalar.begin)
        return float(_column(raw[None], 0, bits)[0])
    number, _ = varint(data, scalar.begin, len(data))
    if bits in _SIZES:
        raw = np.array([[number & 0xFF, number >> 8 & 0xFF]], np.uint8)
        return float(_column(raw, 0, bits)[0])
    return float(number if bits.startswith("<u") else signed(number))


def _places(layout: Layout, begin: int) -> list[tuple[int, int]]:
    return [
        (scalar.begin - begin, _SIZES.get(scalar.kind, int(scalar.kind[-1])))
        for scalar in layout.scalars
    ]


def _column(rows: Bytes, at: int, kind: str) -> Floats:
    """float64[n]: the numbers at one place of every row."""
    if kind == "bf16":  # the upper half of a float32
        wide = np.zeros((len(rows), 4), np.uint8)
        wide[:, 2:] = rows[:, at : at + 2]
        return wide.view("<f4")[:, 0].astype(np.float64)
    size = _SIZES.get(kind, int(kind[-1]))
    return np.ascontiguousarray(rows[:, at : at + size]).view(kind)[:, 0].astype(np.float64)


def _steps(rows: Bytes) -> Floats:
    """float64[n]: a varint in every row, all of the same number of bytes."""
    value = np.zeros(len(rows), np.uint64)
    for place in range(rows.shape[1]):
        value |= (rows[:, place].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * place)
    return value.view(np.int64).astype(np.float64)
