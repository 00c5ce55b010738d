"""The messages between client and engine: framing, and that every request is answered."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfterm.engine import protocol, requests
from hfterm.engine.protocol import LENGTH, Request
from hfterm.job import Progress

REQUESTS = [
    value
    for value in vars(requests).values()
    if isinstance(value, type) and issubclass(value, Request) and value is not Request
]


def body(frame: bytes) -> bytes:
    (length,) = LENGTH.unpack(frame[: LENGTH.size])
    assert length == len(frame) - LENGTH.size
    return frame[LENGTH.size :]


@given(st.integers(0, 2**53), st.text(), st.integers(0, 2**40), st.none() | st.integers(0))
def test_progress_comes_back_as_it_went(id_: int, stage: str, done: int, total: int | None) -> None:
    total = None if total is None else total % 2**40
    message = protocol.ProgressEvent(id_, Progress(stage, done, total, "bytes"))
    assert protocol.decode_from_engine(body(protocol.frame(message))) == message


@given(st.text(), st.none() | st.text(), st.booleans())
def test_a_request_comes_back_as_it_went(text: str, pair: str | None, specials: bool) -> None:
    request = requests.EncodeText(ref="m", text=text, pair=pair, add_special_tokens=specials)
    call = protocol.Call(7, "EncodeText", protocol.pack(request))
    again = protocol.decode_to_engine(body(protocol.frame(call)))
    assert isinstance(again, protocol.Call)
    assert msgspec.msgpack.decode(again.request, type=requests.EncodeText) == request


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"hello", b"\x81\xa4type\xa4Nope", b"\x90"])
def test_a_body_that_is_no_message_is_refused(garbage: bytes) -> None:
    for decode in (protocol.decode_from_engine, protocol.decode_to_engine):
        with pytest.raises(msgspec.MsgspecError):
            decode(garbage)


def test_a_message_of_the_wrong_direction_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_to_engine(body(protocol.frame(protocol.EngineState("warm"))))


def test_the_length_is_eight_bytes_little_endian() -> None:
    frame = protocol.frame(protocol.Cancel(3))
    assert struct.unpack("<Q", frame[:8]) == (len(frame) - 8,)


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda r: r.__name__)
def test_every_request_has_a_handler_in_its_lane(request_type: type[Request[object]]) -> None:
    from hfterm.engine.handlers import HANDLERS

    handler = HANDLERS[request_type.__name__]
    assert handler.request is request_type
    assert handler.lane == request_type.LANE
    msgspec.msgpack.Decoder(request_type.RESULT)  # a result type that can't be decoded raises
