"""Signals and images ↔ bytes that are read at once: for who would rather have speed than the fewest bytes.

`docs/formats.md`, pco/1. Samples are found as `samples/1` finds them; each channel is packed by itself as a column of
numbers ("pcodec"), and what lies before and behind the samples is a zstd frame.
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import bounded, compared
from edgehold.codecs.general import Zstd
from edgehold.codecs.samples import GROUPS, find_samples
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

PCO: Final = tagged_hash("codec", b"pco/1")
HEAD: Final = struct.Struct("<2B5I")
"""Packing, channels; bytes before the samples, samples of a line, samples, bytes behind, bytes of the frame."""


class PcoCodec:
    """The codec of columns of numbers. One object serves any number of hubs and threads."""

    name = PCO
    base: Digest | None = None

    def __init__(self) -> None:
        self._around = Zstd()

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because no samples are found in the data."""
        start, layout = find_samples(data)
        try:
            layout = layout or _native.samples_layout(data, start)
            line, packed = _native.numbers_encode(data, layout)
        except ValueError as error:
            raise CannotDecode(f"there are no samples in {len(data)} bytes: {error}") from error
        start, packing, channels, _, _, samples = layout
        end = start + bytes_of(packing, samples)
        frame = self._around.encode(data[:start] + data[end:])
        head = HEAD.pack(packing, channels, start, line, samples, len(data) - end, len(frame))
        return compared(self, data, head + frame + packed)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(self._read, encoded, limit)

    def _read(self, encoded: bytes, limit: int) -> bytes:
        if len(encoded) < HEAD.size:
            raise CannotDecode(f"{len(encoded)} bytes are too few for this codec")
        packing, channels, start, line, samples, behind, size = HEAD.unpack_from(encoded)
        room = limit - start - behind
        if room < 0:
            raise CannotDecode(f"{start + behind} bytes lie around the samples, the limit is {limit}")
        around = self._around.decode(encoded[HEAD.size : HEAD.size + size], start + behind)
        if len(around) != start + behind:
            raise CannotDecode(f"{len(around)} bytes lie around the samples instead of {start + behind}")
        layout = (0, packing, channels, line, 0, samples)
        found = _native.numbers_decode(encoded[HEAD.size + size :], layout, room)
        return around[:start] + found + around[start:]


def bytes_of(packing: int, samples: int) -> int:
    """The bytes in which so many samples lie."""
    size, count = GROUPS[packing]
    return samples // count * size


@cache
def pco_codec() -> PcoCodec:
    """The codec of columns of numbers."""
    return PcoCodec()
