"""As much of protobuf's wire format as finding numbers in a message takes."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the position after it.

    Raises:
        ValueError: it goes on behind `end`, or is longer than 64 bits.
    """
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("no number here")


def signed(value: int) -> int:
    """The 64 bits of a varint as a number that may be negative."""
    return value - (1 << 64) if value >> 63 else value


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and where the value begins and ends.

    Raises:
        ValueError: it is no message.
    """
    at = start
    while at < end:
        key, at = varint(data, at, end)
        wire = key & 7
        begin = at
        if wire == VARINT:
            _, at = varint(data, at, end)
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        elif wire == BYTES:
            length, begin = varint(data, at, end)
            at = begin + length
        else:
            raise ValueError("no such wire type")
        if at > end:
            raise ValueError("the message ends inside a field")
        yield key >> 3, wire, begin, at
