"""Payloads as bytes: what comes out is what went in, and nothing else is taken for a header."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dasr.worlds.interface import bytes_of
from dasr.worlds.process import wire
from dasr.worlds.process.wire import BadHeader, Described, Message

CPU = torch.device("cpu")
described = st.lists(
    st.builds(
        Described,
        st.sampled_from(wire.DTYPES),
        st.booleans(),
        st.lists(st.integers(0, 5), max_size=4).map(tuple),
    ),
    max_size=6,
).map(tuple)


def message_of(payload: tuple[Tensor, ...]) -> Message:
    body = np.frombuffer(b"".join(bytes(part) for part in wire.pack(payload)), np.uint8).copy()
    return Message(wire.parse_header(wire.header_of(payload), len(body)), body)


@settings(deadline=None)
@given(described, st.integers(0, 2**32 - 1))
def test_a_payload_of_any_dtypes_and_shapes_comes_out_as_it_went_in(
    tensors: tuple[Described, ...], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    payload = []
    for one in tensors:
        raw = generator.integers(0, 2, one.nbytes, dtype=np.uint8)  # valid values of every dtype
        flat = torch.from_numpy(raw).view(one.dtype) if one.nbytes else torch.empty(0, dtype=one.dtype)
        payload.append(flat.view(one.shape))
    message = message_of(tuple(payload))
    assert len(message.body) == bytes_of(tuple(payload))
    for sent, received in zip(payload, wire.unpack(message, CPU), strict=True):
        assert received.dtype == sent.dtype and received.shape == sent.shape
        assert torch.equal(received, sent)


@given(described)
def test_a_header_says_what_it_was_made_from(tensors: tuple[Described, ...]) -> None:
    header = wire._encode(tensors)
    assert wire.parse_header(header, sum(one.nbytes for one in tensors)) == tensors
    assert len(header) <= wire.MOST_HEADER_BYTES


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 2**40))
def test_bytes_that_are_no_header_are_refused(header: bytes, body_bytes: int) -> None:
    """Whatever arrives, it describes tensors of that many bytes, or is a BadHeader."""
    try:
        tensors = wire.parse_header(header, body_bytes)
    except BadHeader:
        return
    assert sum(one.nbytes for one in tensors) == body_bytes and wire._encode(tensors) == header


@pytest.mark.parametrize(
    ("header", "body_bytes", "why"),
    [
        (bytes([99, 0, 0]), 4, "describes no tensor"),
        (bytes([0, 2, 0]), 4, "describes no tensor"),
        (bytes([0, 0, 9]) + bytes(72), 0, "describes no tensor"),
        (bytes([0, 0, 1]) + bytes(7), 0, "ends too early"),
        (bytes([0, 0]), 4, "ends too early"),
        (bytes([0, 0, 0]), 8, "has 8 bytes where its header describes 4"),
        (bytes([0, 0, 1]) + struct.pack("!Q", 2**63), 4, "describes"),
        (bytes([8, 0, 0]) * 256, 256, "describes 256 tensors, more than 255"),
    ],
)
def test_a_bad_header_is_refused_with_the_reason(header: bytes, body_bytes: int, why: str) -> None:
    with pytest.raises(BadHeader, match=why):
        wire.parse_header(header, body_bytes)


def test_what_cannot_be_described_is_refused_where_it_is_sent() -> None:
    with pytest.raises(ValueError, match=r"complex64 cannot be sent"):
        wire.header_of((torch.zeros(1, dtype=torch.complex64),))
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        wire.header_of((torch.zeros([1] * 9),))
    with pytest.raises(ValueError, match="at most 255 tensors"):
        wire.header_of((torch.zeros(1),) * 256)
    with pytest.raises(TypeError, match=r"send \(tensor,\)"):
        bytes_of(torch.zeros(3))  # type: ignore[arg-type]


def test_the_halves_of_an_exchange_must_be_alike() -> None:
    mine = [(torch.float32, torch.Size([3]))]
    assert wire.check_alike(mine, (torch.zeros(3),), 1)
    with pytest.raises(ValueError, match=r"learner 1 exchanges torch.float16 \[3\] where this one .*float32"):
        wire.check_alike(mine, (torch.zeros(3, dtype=torch.float16),), 1)


def test_what_was_on_the_sender_s_device_comes_to_the_receiver_s() -> None:
    header = wire._encode((Described(torch.int64, False, ()), Described(torch.float32, True, (2,))))
    message = Message(wire.parse_header(header, 16), np.zeros(16, np.uint8))
    kind, vector = wire.unpack(message, torch.device("meta"))
    assert kind.device == CPU and vector.device.type == "meta" and vector.shape == (2,)
