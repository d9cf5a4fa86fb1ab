"""Data of any size ↔ sparse bytes, part by part, so that neither writing nor reading needs all of it at once.

`docs/formats.md`, parts/1. Each part is encoded by itself, by the smallest codec for its kind, or goes on where the one
before ended.

    parts_of(file) → encoded_parts(parts) → stored, and back by decoded_parts(stored) → the same parts
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Final

from edgehold.codecs.compared import compared
from edgehold.codecs.general import Codec, Decoder, GoingOn
from edgehold.codecs.packed import Numbers, written
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

PARTS: Final = tagged_hash("codec", b"parts/1")
PART: Final = 1 << 25
"""Bytes of a part; the last may have fewer."""
PIECE: Final = 1 << 20
"""Bytes that are read at once where nothing is cut."""
MOST_HEAD: Final = 32 + 1 + 32 + 9 + 9
"""Bytes before the encoding of a part: codec, base, length of the part and of its encoding."""


class PartsCodec:
    """The codec of what is too large to be encoded at once. One object serves any number of hubs and threads."""

    name = PARTS
    base: Digest | None = None

    def __init__(
        self,
        codec_named: Callable[[Digest, Digest | None], Codec],
        encode_smallest: Callable[[bytes, Sequence[Codec]], tuple[Codec, bytes]],
        codecs: Sequence[Codec],
    ) -> None:
        self._codec_named = codec_named
        self._encode_smallest = encode_smallest
        self._codecs = codecs

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned."""
        parts = (data[at : at + PART] for at in range(0, len(data), PART))
        return compared(self, data, b"".join(self.encoded_parts(parts)))

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; raises `CannotDecode` if they are none of this codec's or would be more than `limit`."""
        return b"".join(self.decoded_parts([encoded], limit))

    def encoded_parts(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The encoding in pieces, one a part."""
        for part in parts:
            codec, encoded = self._encode_smallest(part, self._codecs)
            yield written_part(codec, len(part), encoded)

    def inside(self, encoded: bytes) -> Iterator[tuple[Digest, Digest | None, bytes]]:
        """Of each part: the name of its codec, that of its base, and its encoding; raises `CannotDecode`."""
        reader = Numbers(encoded)
        while not reader.is_at_end:
            name, base, _, encoded_size = _read_head(reader)
            yield name, base, reader.bytes(encoded_size)

    def decoded_parts(self, pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
        """The parts again, from an encoding in pieces of any size; no more than one part and its encoding are in memory
        with what the pieces hold. Raises `CannotDecode` on the way."""
        stream = Stream(pieces)
        going: dict[Digest, Decoder] = {}
        while stream.has(1):
            stream.has(MOST_HEAD)
            head = Numbers(bytes(stream.held[:MOST_HEAD]))
            name, base, size, encoded_size = _read_head(head)
            limit -= size
            if size > PART or limit < 0 or encoded_size > 2 * PART or name == PARTS:
                raise CannotDecode(f"a part of {size} bytes, encoded in {encoded_size}, is larger than it may be")
            stream.drop(head.place)
            if not stream.has(encoded_size):
                raise CannotDecode(f"an encoding of {encoded_size} bytes breaks off")
            decoder: Decoder = self._codec_named(name, base)
            if isinstance(decoder, GoingOn):
                decoder = going.setdefault(name, decoder.begin())
            part = decoder.decode(bytes(stream.held[:encoded_size]), size)
            if len(part) != size:
                raise CannotDecode(f"a part has {len(part)} bytes instead of {size}")
            stream.drop(encoded_size)
            yield part


def written_part(codec: Codec, size: int, encoded: bytes) -> bytes:
    """The encoding of a part of so many bytes, and what stands before it."""
    head = codec.name + (b"\0" if codec.base is None else b"\x01" + codec.base)
    return head + written([size, len(encoded)]) + encoded


def _read_head(reader: Numbers) -> tuple[Digest, Digest | None, int, int]:
    """What stands before a part: its codec, that one's base, the length of the part and of its encoding."""
    name = Digest(reader.bytes(32))
    base = Digest(reader.bytes(32)) if reader.take() else None
    return name, base, reader.take(), reader.take()


class Stream:
    """Bytes that come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.held = bytearray()

    def has(self, size: int) -> bool:
        """Whether so many more bytes come; they are held then."""
        while len(self.held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self.held += piece
        return True

    def drop(self, size: int) -> None:
        """So many bytes are done with."""
        del self.held[:size]


def parts_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file of any size, part after part."""
    while part := file.read(PART):
        yield part


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file of any size, few at a time, for a codec that cuts it itself."""
    while piece := file.read(PIECE):
        yield piece
