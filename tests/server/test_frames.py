"""Frames on the application's socket: any pieces give the same messages, and no length makes a reader wait for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import Malformed
from edgehold.server.abci import frames
from edgehold.server.abci.frames import MAX_FRAME, FrameReader, frame


@given(
    messages=st.lists(st.binary(max_size=300), max_size=6),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_messages_come_whole_however_the_bytes_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(message) for message in messages)
    reader, found, place = FrameReader(), [], 0
    while place < len(stream):
        size = cuts[place % len(cuts)]
        found += reader.feed(stream[place : place + size])
        place += size
    assert found == messages


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_a_length_is_written_as_protobuf_does(length: int) -> None:
    head = frame(bytes(length))[: -length or None]
    value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head))
    assert value == length
    assert [byte >> 7 for byte in head] == [1] * (len(head) - 1) + [0]


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01", frame(b"x") + b"\xff\xff\xff\x7f"])
def test_a_length_that_no_message_has_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        FrameReader().feed(data)


def test_the_largest_message_is_taken_and_the_next_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FRAME < 1 << 7 * frames.MAX_LENGTH_BYTES
    monkeypatch.setattr(frames, "MAX_FRAME", 200)
    assert FrameReader().feed(frame(bytes(200))) == [bytes(200)]
    with pytest.raises(Malformed):
        FrameReader().feed(frame(bytes(201))[:2])
