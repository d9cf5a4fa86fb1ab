"""The codec of signals and images: every byte comes back, what is altered is refused or bounded, and it is sparse."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold import _native
from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest
from edgehold.codecs.dicom import find_pixels
from edgehold.codecs.samples import BYTE, GROUPS, LITTLE, SAMPLES, TWELVE, UNSIGNED, samples_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data" / "samples"
FILES = {path.name: path.read_bytes() for path in sorted(DATA.glob("*.d*"))}
CODEC = samples_codec()


@pytest.mark.parametrize("name", FILES)
def test_real_files_come_back_from_fewer_bytes_than_zstd_has(name: str) -> None:
    original = FILES[name]
    kind = Kind.IMAGE if name.endswith(".dcm") else Kind.SIGNAL
    codec, encoded = encode_smallest(original, codecs_for(kind))
    assert codec.name == SAMPLES
    assert codec_named(codec.name, codec.base).decode(encoded, len(original)) == original
    assert len(encoded) < 0.8 * len(zstandard.ZstdCompressor(level=22).compress(original))


@st.composite
def layouts(draw: st.DrawFn) -> tuple[bytes, tuple[int, int, int, int, int, int]]:
    """Bytes and a way in which samples may lie in them."""
    packing = draw(st.sampled_from(sorted(GROUPS)))
    size, count = GROUPS[packing]
    channels = draw(st.integers(1, 5))
    lines = draw(st.sampled_from([0, 1, 4]))  # pixels of a line
    line = lines * channels
    frame = line * draw(st.sampled_from([0, 2, 3]))
    moments = draw(st.integers(1, 300))
    samples = max(moments * channels, line, frame)
    samples *= 1 if samples % count == 0 else count
    start, end = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    body = start + samples // count * size + end
    data = draw(
        st.one_of(
            st.binary(min_size=body, max_size=body),
            st.builds(lambda one: one * body, st.binary(min_size=1, max_size=1)),
        )
    )
    return data, (start, packing, channels, line, frame, samples)


@given(layouts())
@settings(max_examples=150)
def test_however_samples_lie_every_byte_comes_back(case: tuple[bytes, tuple[int, int, int, int, int, int]]) -> None:
    data, layout = case
    assert _native.samples_decode(_native.samples_encode(data, 0, layout), len(data)) == data


@pytest.mark.parametrize(
    "layout",
    [
        (0, 9, 1, 0, 0, 10),  # no such packing
        (0, BYTE, 0, 0, 0, 10),
        (0, BYTE, 65, 0, 0, 65),
        (0, BYTE, 4, 0, 0, 3),  # not one of each channel
        (0, BYTE, 4, 0, 0, 10),  # moments that are not whole
        (0, BYTE, 1, 0, 0, 101),
        (2**63, BYTE, 1, 0, 0, 10),
        (0, LITTLE, 1, 0, 0, 2**63),
        (0, TWELVE, 1, 0, 0, 3),
        (0, BYTE, 3, 4, 0, 12),  # a line that cuts a pixel
        (0, BYTE, 1, 0, 5, 10),  # images without lines
        (0, BYTE, 1, 4, 5, 10),  # an image that cuts a line
    ],
)
def test_samples_that_cannot_lie_so_are_refused(layout: tuple[int, int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"cannot lie|is not known"):
        _native.samples_encode(bytes(100), 0, layout)


@given(data=st.binary(max_size=400))
def test_whatever_is_given_comes_back_or_has_no_such_encoding(data: bytes) -> None:
    with suppress(CannotDecode):
        assert CODEC.decode(CODEC.encode(data), len(data)) == data


def test_altered_bytes_give_no_more_than_the_limit_or_are_refused() -> None:
    dice = Random(1)
    for original in (FILES["100.dat"][:3000], FILES["MR_small.dcm"]):
        encoded = CODEC.encode(original)
        for _ in range(40):
            altered = bytearray(encoded)
            altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
            with suppress(CannotDecode):
                assert len(CODEC.decode(bytes(altered), len(original))) <= len(original)
        with pytest.raises(CannotDecode):
            CODEC.decode(encoded, len(original) - 1)
        with pytest.raises(CannotDecode):
            CODEC.decode(encoded[: len(encoded) // 2], len(original))


@pytest.mark.parametrize("packing", [LITTLE, UNSIGNED])
@pytest.mark.parametrize("line", [0, 40])
def test_samples_of_many_parts_and_classes_come_back(packing: int, line: int) -> None:
    dice = Random(2)
    values = [
        (32768 if place // 3000 % 2 else 65000) + dice.randrange(-(4 ** (place // 1000 % 7)), 700)
        for place in range(24000)
    ]
    data = struct.pack("<24000H", *(value % 65536 for value in values))
    frame = 4000 if line else 0
    assert (
        _native.samples_decode(_native.samples_encode(data, 0, (0, packing, 2, line, frame, 24000)), len(data)) == data
    )


def drawn(row: int, column: int) -> int:
    """Letters, as it were, on an empty ground."""
    return 200 if row % 9 > 2 and (column * 7 + column // 5) % 11 < 3 and 20 < column < 60 else 10 * (row > 70)


def smooth(row: int, column: int) -> int:
    """A hill with some noise."""
    return 900 + (row * (90 - row) + column * (80 - column)) // 4 + (row * 7919 + column * 104_729) % 13 % 5


def enlarged(row: int, column: int) -> int:
    """An image of half its size, between whose pixels values were interpolated."""
    rows = [Random(row // 2 + more).choices(range(60), k=41) for more in (0, row % 2)]
    return sum(one[column // 2] + one[column // 2 + column % 2] for one in rows) // 4


def sparse(row: int, column: int) -> int:
    """Few of the values of the hill."""
    return smooth(row, column) * 11 // 5 - 2000


@pytest.mark.parametrize(("pixel", "most"), [(drawn, 450), (smooth, 1600), (enlarged, 3000), (sparse, 900)])
def test_images_of_several_kinds_come_back_from_few_bytes(pixel: Callable[[int, int], int], most: int) -> None:
    data = struct.pack("<7200h", *(pixel(row, column) for row in range(90) for column in range(80)))
    encoded = _native.samples_encode(data, 0, (0, LITTLE, 1, 80, 0, 7200))
    assert _native.samples_decode(encoded, len(data)) == data
    assert len(encoded) < most


def test_channels_that_say_the_same_take_hardly_more_than_one() -> None:
    grey = [smooth(row, column) % 256 for row in range(60) for column in range(80)]
    one = _native.samples_encode(bytes(grey), 0, (0, BYTE, 1, 80, 0, 4800))
    data = bytes(value for value in grey for _ in range(3))
    three = _native.samples_encode(data, 0, (0, BYTE, 3, 240, 0, 14400))
    assert _native.samples_decode(three, len(data)) == data
    assert len(three) < len(one) + 150


@pytest.mark.parametrize("frames", [1, 2])
def test_colours_that_change_together_take_little_more_than_one(frames: int) -> None:
    dice = Random(3)
    grey = [100 + dice.randrange(60) for _ in range(4800 * frames)]
    tint = [place // 80 % 7 for place in range(4800 * frames)]
    data = bytes(value for one, more in zip(grey, tint, strict=True) for value in (one + 2 * more, one + more, one))
    frame = 14400 if frames > 1 else 0
    encoded = _native.samples_encode(data, 0, (0, BYTE, 3, 240, frame, 14400 * frames))
    assert _native.samples_decode(encoded, len(data)) == data
    alone = _native.samples_encode(bytes(grey), 0, (0, BYTE, 1, 80, frame // 3, 4800 * frames))
    assert len(encoded) < 1.035 * len(alone)


def test_signals_in_a_matrix_begin_behind_its_header() -> None:
    samples = FILES["s0010_re.dat"]
    matrix = struct.pack("<5I", 30, 12, len(samples) // 24, 0, 4) + b"val\0" + samples
    assert len(CODEC.encode(matrix)) < len(CODEC.encode(samples)) + 60
    assert CODEC.decode(CODEC.encode(matrix), len(matrix)) == matrix


# ── where the pixels lie ──────────────────────────────────────────────────────────────────────────────────────────


def element(tag: tuple[int, int], vr: bytes, value: bytes, order: str = "<") -> bytes:
    """A data element as explicit transfer syntaxes write it."""
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack(order + "HH2s2xI", *tag, vr, len(value)) + value
    return struct.pack(order + "HH2sH", *tag, vr, len(value)) + value


def image(syntax: bytes, *elements: bytes) -> bytes:
    """A file of these elements."""
    return bytes(128) + b"DICM" + element((2, 0x10), b"UI", syntax) + b"".join(elements)


def described(
    order: str, *, channels: int, rows: int, columns: int, bits: int, planar: int = 0, signed: int = 0
) -> bytes:
    """What is said of pixels."""
    said = {2: channels, 6: planar, 0x10: rows, 0x11: columns, 0x100: bits, 0x103: signed}
    return b"".join(element((0x28, tag), b"US", struct.pack(order + "H", value), order) for tag, value in said.items())


EXPLICIT, BIG_ENDIAN = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"


def test_the_pixels_of_real_images_are_found() -> None:
    tomography = find_pixels(FILES["CT_small.dcm"])
    assert tomography is not None
    assert (tomography.rows, tomography.columns, tomography.bits, tomography.size) == (128, 128, 16, 32768)
    assert tomography.is_signed
    resonance = find_pixels(FILES["MR_small.dcm"])
    assert resonance is not None
    assert (resonance.rows, resonance.columns, resonance.size) == (64, 64, 8192)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(("syntax", "order"), [(EXPLICIT, "<"), (BIG_ENDIAN, ">")])
@pytest.mark.parametrize("bits", [8, 16])
def test_images_of_every_shape_come_back(planar: int, frames: int, syntax: bytes, order: str, bits: int) -> None:
    said = described(order, channels=3, rows=5, columns=4, bits=bits, planar=planar)
    values = [(row * 7 + place) % 200 for row in range(frames) for place in range(60)]
    pixels = struct.pack(f"{order}{len(values)}{'B' if bits == 8 else 'H'}", *values)
    # a sequence that only its delimiters end, with an item like that in it, lies before
    delimited = struct.pack(order + "HH2s2xI", 8, 0x1115, b"SQ", 0xFFFFFFFF) + struct.pack(
        order + "HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    delimited += element((8, 0x60), b"CS", b"MR", order)
    delimited += struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0) + struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
    file = image(syntax, delimited, said, element((0x7FE0, 0x10), b"OW", pixels, order), b"behind")
    found = find_pixels(file)
    assert found is not None
    assert (found.size, found.is_planar, found.is_big_endian) == (len(pixels), planar == 1, order == ">")
    assert file[found.start : found.start + found.size] == pixels
    assert CODEC.decode(CODEC.encode(file), len(file)) == file


@pytest.mark.parametrize(
    "file",
    [
        b"",
        bytes(200),
        bytes(128) + b"DICM",
        image(b"1.2.840.10008.1.2.4.90", element((0x7FE0, 0x10), b"OB", bytes(8))),  # JPEG 2000
        image(EXPLICIT, element((0x7FE0, 0x10), b"OW", bytes(8))),  # of no size
        image(
            EXPLICIT, described("<", channels=1, rows=9, columns=9, bits=16), element((0x7FE0, 0x10), b"OW", bytes(8))
        ),
        image(
            EXPLICIT, described("<", channels=1, rows=2, columns=2, bits=32), element((0x7FE0, 0x10), b"OW", bytes(16))
        ),
        image(EXPLICIT, described("<", channels=1, rows=2, columns=2, bits=16)),  # no pixels
        image(
            EXPLICIT, struct.pack("<HH2s2xI", 8, 0x1115, b"SQ", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 40
        ),
        image(EXPLICIT, struct.pack("<HH2s2xI", 0x7FE0, 0x10, b"OW", 1 << 20)),  # longer than the file
        FILES["CT_small.dcm"][:6000],
    ],
)
def test_an_image_without_native_pixels_is_left_to_the_general_codec(file: bytes) -> None:
    assert find_pixels(file) is None
    codec, encoded = encode_smallest(file, codecs_for(Kind.IMAGE))
    assert codec.decode(encoded, len(file)) == file


@given(st.integers(0, len(FILES["MR_small.dcm"]) - 1), st.integers(0, 255))
def test_an_altered_image_comes_back_too(place: int, byte: int) -> None:
    altered = bytearray(FILES["MR_small.dcm"])
    altered[place] = byte
    codec, encoded = encode_smallest(bytes(altered), codecs_for(Kind.IMAGE))
    assert codec.decode(encoded, len(altered)) == altered
