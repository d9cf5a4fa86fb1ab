"""Signals and images ↔ sparse bytes: of each sample only what those before it did not foretell.

`docs/formats.md`, samples/1. The work is done by the native module, which is told where the samples lie: of a DICOM file
with native pixels its elements say so, of a signal file it is found out. Bytes before and after the samples are kept too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import bounded, compared
from edgehold.codecs.dicom import Pixels, find_pixels, is_dicom
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

SAMPLES: Final = tagged_hash("codec", b"samples/1")
MAT_HEADER: Final = 20
"""Bytes of the header of a MATLAB 4 matrix, before its name."""
BYTE, LITTLE, BIG, TWELVE, UNSIGNED = range(5)
"""How samples are packed, as the native module counts."""
GROUPS: Final = {BYTE: (1, 1), LITTLE: (2, 1), BIG: (2, 1), TWELVE: (3, 2), UNSIGNED: (2, 1)}
"""Bytes of a group of samples and how many samples these are, by their packing."""

Layout = tuple[int, int, int, int, int, int]
"""Where the first sample lies, how they are packed, how many channels; samples of a line, of a frame, of the whole."""


class SamplesCodec:
    """The codec of signals and images. One object serves any number of hubs and threads."""

    name = SAMPLES
    base: Digest | None = None

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because no samples are found in the data."""
        start, layout = find_samples(data)
        try:
            encoded = _native.samples_encode(data, start, layout)
        except ValueError as error:
            raise CannotDecode(f"there are no samples in {len(data)} bytes: {error}") from error
        return compared(self, data, encoded)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(_native.samples_decode, encoded, limit)


class FramesCodec(SamplesCodec):
    """`samples/1` of what is cut from the pixels of an image: whole frames, or lines of them."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, decoded once and compared; raises `CannotDecode` if the data are not whole lines."""
        one = self._pixels
        line = one.columns * (1 if one.is_planar else one.channels) * one.bits // 8
        frame = line * one.rows * (one.channels if one.is_planar else 1)
        if not data or len(data) % line:
            raise CannotDecode(f"{len(data)} bytes are not whole lines of {line}")
        rows = one.rows if len(data) % frame == 0 else len(data) // line
        planes = one.channels if one.is_planar and len(data) % frame else 1
        part = replace(one, start=0, size=len(data), rows=rows, channels=one.channels // planes)
        try:
            encoded = _native.samples_encode(data, 0, layout_of(part))
        except ValueError as error:
            raise CannotDecode(f"there are no samples in {len(data)} bytes: {error}") from error
        return compared(self, data, encoded)


def find_samples(data: bytes) -> tuple[int, Layout | None]:
    """Where samples begin in a signal, or how the pixels of an image lie; raises `CannotDecode` if these are not native."""
    if not is_dicom(data):
        return start_of_signal(data), None
    pixels = find_pixels(data)
    if pixels is None:
        raise CannotDecode(f"the pixels of {len(data)} bytes are not native")
    return 0, layout_of(pixels)


def layout_of(pixels: Pixels) -> Layout:
    """How the pixels of an image lie, as the native module is told."""
    if pixels.bits == 8:
        packing = BYTE
    elif pixels.is_big_endian:
        packing = BIG
    else:
        packing = LITTLE if pixels.is_signed else UNSIGNED
    channels = 1 if pixels.is_planar else pixels.channels
    line = pixels.columns * channels
    image = pixels.rows * pixels.columns * pixels.channels
    samples = pixels.size * 8 // pixels.bits
    return (pixels.start, packing, channels, line, image if samples > image else 0, samples)


def start_of_signal(data: bytes, size: int | None = None) -> int:
    """Where the samples begin: behind the header of a MATLAB 4 matrix, in which WFDB writes signals too, or at once. With
    the size of the file its beginning does."""
    kind, rows, columns, is_complex, name = (
        int.from_bytes(data[at : at + 4], "little") for at in range(0, MAT_HEADER, 4)
    )
    is_matrix = kind < 60 and kind % 10 == 0 and not is_complex and 0 < name <= 64 and rows * columns > 0
    start = MAT_HEADER + name
    return start if is_matrix and start + rows * columns <= (len(data) if size is None else size) else 0


@cache
def samples_codec() -> SamplesCodec:
    """The codec of signals and images."""
    return SamplesCodec()
