"""TFRecord: length (8 bytes), a checksum of the length (4), the content, a checksum of it (4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hfterm.training.curve_pyramid import Ints

HEAD = 12
"""Bytes before the content."""

FRAME = 16
"""Bytes of a record that are not its content."""

_length = struct.Struct("<Q").unpack_from


@dataclass(frozen=True)
class Frames:
    """The whole records of a piece of a file.

    Attributes:
        starts: int64[n], where the frame of each begins.
        lengths: int64[n], bytes of its content.
        end: the position after the last one.
        beyond: bytes that the record there has, when its length could be read.
        damaged: the record there is none.
    """

    starts: Ints
    lengths: Ints
    end: int
    beyond: int = 0
    damaged: bool = False


def frames(data: bytes) -> Frames:
    """Find the records; the first byte of `data` is the first of one."""
    found: list[int] = []
    at, size = 0, len(data)
    while at + FRAME <= size:
        after = at + FRAME + _length(data, at)[0]
        if after > size:
            break
        found.append(at)
        at = after
    starts = np.array([*found, at], np.int64)
    lengths = np.diff(starts) - FRAME
    starts = starts[:-1]
    if len(starts):
        told = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 4)
        told = told[starts + 8].view("<u4")[:, 0]
        kinds, which = np.unique(lengths, return_inverse=True)
        right = np.array([length_checksum(int(kind)) for kind in kinds], np.uint32)[which]
        wrong = np.flatnonzero(told != right)[:1]
        if len(wrong):
            bad = int(wrong[0])
            return Frames(starts[:bad], lengths[:bad], int(starts[bad]), damaged=True)
    if at + HEAD > size:
        return Frames(starts, lengths, at)
    length = _length(data, at)[0]
    sound = length_checksum(length) == int.from_bytes(data[at + 8 : at + HEAD], "little")
    return Frames(starts, lengths, at, length + FRAME if sound else 0, not sound)


def _crc_table() -> list[int]:
    table: list[int] = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)  # noqa: PLW2901
        table.append(number)
    return table


_TABLE = _crc_table()


def checksum(data: bytes) -> int:
    """CRC-32C, masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=4096)
def length_checksum(length: int) -> int:
    """The checksum beside a length."""
    return checksum(length.to_bytes(8, "little"))
