"""The messages between a client and an engine process, and how they are framed.

A frame is an 8-byte little-endian length and a msgpack body. A request has an id; its
answer is zero or more `ProgressEvent` and `Chunk`, and then one `Done` or `Failed`.
"""

from __future__ import annotations

import struct
from typing import ClassVar, Generic, Literal, TypeVar

import msgspec

from hfterm.job import Progress

R_co = TypeVar("R_co", covariant=True)
C_co = TypeVar("C_co", covariant=True)

Lane = Literal["quick", "views", "long"]
"""Where a request runs. Each lane is one thread, so that a training does not delay a key."""


class Request(msgspec.Struct, Generic[R_co], frozen=True, kw_only=True):
    """A request whose answer is an `R_co`. Its class name is its name on the wire."""

    RESULT: ClassVar[object]
    LANE: ClassVar[Lane] = "quick"


class StreamingRequest(Request[R_co], Generic[R_co, C_co], frozen=True, kw_only=True):
    """A request whose answer comes in pieces, each a `C_co`, before the whole."""

    CHUNK: ClassVar[object]


class Call(msgspec.Struct, frozen=True, tag=True):
    """Ask for `method` with its encoded request."""

    id: int
    method: str
    request: msgspec.Raw


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """The answer to `id` is no longer wanted."""

    id: int


class ProgressEvent(msgspec.Struct, frozen=True, tag=True):
    """How far request `id` has come."""

    id: int
    progress: Progress


class Chunk(msgspec.Struct, frozen=True, tag=True):
    """A piece of the answer to request `id`."""

    id: int
    value: msgspec.Raw


class Done(msgspec.Struct, frozen=True, tag=True):
    """The answer to request `id`."""

    id: int
    result: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Request `id` could not be answered; the fields are those of `HftermError`."""

    id: int
    kind: str
    message: str
    remedy: str


class EngineState(msgspec.Struct, frozen=True, tag=True):
    """What the engine is doing by itself: ``started``, ``warming``, ``warm``."""

    phase: str


ToEngine = Call | Cancel
FromEngine = ProgressEvent | Chunk | Done | Failed | EngineState

LENGTH = struct.Struct("<Q")
MAX_FRAME = 1 << 36
"""Bytes. A greater length is no length: something else wrote to the socket."""

_encoder = msgspec.msgpack.Encoder()
decode_to_engine = msgspec.msgpack.Decoder(ToEngine).decode
decode_from_engine = msgspec.msgpack.Decoder(FromEngine).decode


def frame(message: ToEngine | FromEngine) -> bytes:
    """A message as it goes over the socket."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def pack(value: object) -> msgspec.Raw:
    """A request or a result, encoded on its own."""
    return msgspec.Raw(_encoder.encode(value))
