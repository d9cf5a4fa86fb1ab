"""Frames on the socket: each message is preceded by its length as a varint."""

from __future__ import annotations

from edgehold.errors import Malformed

MAX_FRAME = 16 << 20
"""Bytes; a block has 1 MiB, a piece of a snapshot as much."""

MAX_LENGTH_BYTES = 4
"""A varint of so many bytes says up to 256 MiB."""


def frame(message: bytes) -> bytes:
    """A message with its length before it."""
    length, head = len(message), bytearray()
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + message


class FrameReader:
    """Puts together what comes in pieces; raises `Malformed` for a length that no message has."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now, in order."""
        waiting = self._waiting
        waiting += data
        messages: list[bytes] = []
        start, end = 0, len(waiting)
        while start < end:
            place, length, shift = start, 0, 0
            while True:
                if place == end:
                    return self._kept(start, messages)
                byte = waiting[place]
                place += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift >= 7 * MAX_LENGTH_BYTES:
                    raise Malformed("the length of a message does not end")
            if length > MAX_FRAME:
                raise Malformed(f"a message of {length} bytes; the largest has {MAX_FRAME}")
            if place + length > end:
                break
            messages.append(bytes(waiting[place : place + length]))
            start = place + length
        return self._kept(start, messages)

    def _kept(self, start: int, messages: list[bytes]) -> list[bytes]:
        del self._waiting[:start]
        return messages
