"""Where large originals are cut: every byte is in one part, no part is too large, and each is encoded by itself."""

from __future__ import annotations

import gc
import gzip
import io
import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from edgehold.codecs import choice, cuts
from edgehold.codecs.choice import Cut, Profile, codec_named, codecs_for, cut_for
from edgehold.codecs.cuts import content_of_blocks, cut_blocks, cut_frames, cut_lines, cut_markup, cut_samples
from edgehold.codecs.dicom import find_pixels
from edgehold.codecs.packed import DEFLATE, Numbers
from edgehold.codecs.parts import PARTS, read_head
from edgehold.codecs.record import LINES
from edgehold.codecs.samples import SAMPLES, FramesCodec
from edgehold.codecs.variants import VARIANTS
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
VCF = (DATA / "variants" / "nist.vcf").read_bytes()
IMAGE = (DATA / "samples" / "CT_small.dcm").read_bytes()


def bgzipped(text: bytes, size: int = 3000) -> bytes:
    """A bgzip file of blocks of so many bytes (SAM specification, 4.1)."""
    found = b""
    for at in range(0, len(text), size):
        content = text[at : at + size]
        stream = zlib.compress(content, 6, -15)
        found += b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0" + struct.pack("<H", len(stream) + 25)
        found += stream + struct.pack("<II", zlib.crc32(content), len(content))
    return found


BLOCKS = bgzipped(VCF)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "TEXT_PART", 5000)
    monkeypatch.setattr(cuts, "TABLE_PART", 5000)
    monkeypatch.setattr(cuts, "BLOCKS_PART", 5000)
    monkeypatch.setattr(cuts, "PART", 12_000)
    for module in (cuts, choice):
        monkeypatch.setattr(module, "SAMPLES_PART", 3000)


def test_text_is_cut_behind_lines() -> None:
    for text in (VCF, VCF[:4999], VCF[:5000], b"", b"long" * 3000 + b"\nx", b"a\n" * 2500 + b"end"):
        found = list(cut_lines(io.BytesIO(text)))
        assert b"".join(found) == text
        assert all(0 < len(part) <= 5000 for part in found)
        assert all(part.endswith(b"\n") or b"\n" not in part for part in found[:-1])


def test_markup_is_cut_before_a_tag() -> None:
    text = b"<a>\n" + b' <b c="1"/>\n' * 3000 + b"</a>"
    for one in (text, text[:4000], b"", b"<a>\n" + b" " * 4000 + b"<b/>\n" * 9000):
        found = list(cut_markup(io.BytesIO(one)))
        assert b"".join(found) == one
        assert all(part.startswith(b"<") or not part.strip() for part in found if part)
        assert b"" not in found
    assert len(list(cut_markup(io.BytesIO(text)))) > 5
    for one in (b"<a>\n" + b" " * 20_000 + b"<b/>", b"<" * 20_000):
        assert b"".join(cut_markup(io.BytesIO(one))) == one


def test_a_codec_that_cannot_encode_leaves_nothing_in_memory() -> None:
    data = bytes(VCF[:100])
    before = sys.getrefcount(data)
    gc.disable()
    try:
        choice.encode_smallest(data, codecs_for(Kind.GENOTYPE))
        assert sys.getrefcount(data) == before
    finally:
        gc.enable()


def test_bgzip_is_cut_between_blocks_and_what_is_none_at_fixed_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert content_of_blocks(io.BytesIO(BLOCKS)) == len(gzip.decompress(BLOCKS))
    found = list(cut_blocks(io.BytesIO(BLOCKS)))
    assert len(found) > 1
    assert b"".join(map(gzip.decompress, found)) == gzip.decompress(BLOCKS)
    monkeypatch.setattr(cuts, "MOST_BLOCKS", 1)
    lie = BLOCKS[:16] + b"\x05\0" + BLOCKS[18:]  # a block that is shorter than its header
    for packed in (BLOCKS, BLOCKS[:-1], BLOCKS + b"\x1f", BLOCKS + lie, lie, b""):
        assert b"".join(cut_blocks(io.BytesIO(packed))) == packed
    assert content_of_blocks(io.BytesIO(lie)) == 0


def test_images_are_cut_between_frames_or_lines() -> None:
    pixels = find_pixels(IMAGE)
    assert pixels is not None
    assert find_pixels(IMAGE[: pixels.start], len(IMAGE)) == pixels
    assert find_pixels(IMAGE[: pixels.start]) is None
    sizes = [len(part) for part in cut_frames(io.BytesIO(IMAGE), pixels)]
    assert (sizes[0], sum(sizes)) == (pixels.start, len(IMAGE))
    assert all(size % (2 * pixels.columns) == 0 for size in sizes[1:-1])
    frames = replace(pixels, rows=4)
    sizes = [len(part) for part in cut_frames(io.BytesIO(IMAGE), frames)]
    assert all(size % (8 * pixels.columns) == 0 for size in sizes[1:-1])
    assert b"".join(cut_frames(io.BytesIO(IMAGE[:5000]), pixels)) == IMAGE[:5000]


@pytest.mark.parametrize("is_planar", [False, True])
def test_whole_lines_of_an_image_are_told_as_its_pixels(is_planar: bool) -> None:
    pixels = find_pixels(IMAGE)
    assert pixels is not None
    codec = FramesCodec(replace(pixels, rows=8, channels=3, columns=16, is_planar=is_planar))
    data = IMAGE[pixels.start : pixels.start + pixels.size]
    line = 2 * 16 * (1 if is_planar else 3)
    for part in (data[: 8 * 96 * 3], data[: 5 * line]):
        encoded = codec.encode(part)
        assert codec_named(SAMPLES, None).decode(encoded, len(part)) == part
    for part in (b"", data[:-1]):
        with pytest.raises(CannotDecode, match="whole lines"):
            codec.encode(part)


def test_signals_are_cut_behind_their_header_where_frames_end() -> None:
    sizes = [len(part) for part in cut_samples(io.BytesIO(bytes(7000)), 24)]
    assert sizes == [3024, 3000, 976]


def parts_by(cut: Cut, data: bytes) -> list[bytes]:
    """The digests of the codecs that the parts were encoded by; they come back."""
    encoded = list(cut.codec.encoded_parts(cut.parts(io.BytesIO(data))))
    assert codec_named(PARTS, None).decode(b"".join(encoded), len(data)) == data
    return [read_head(Numbers(one)).codec for one in encoded]


def test_each_part_is_encoded_as_the_kind_it_is_of() -> None:
    assert parts_by(cut_for(VCF, len(VCF), Kind.GENOTYPE), VCF)[-1] == VARIANTS
    blocks = cut_for(BLOCKS, len(BLOCKS), Kind.GENOTYPE)
    assert DEFLATE in parts_by(blocks, BLOCKS)
    assert blocks.is_known
    assert not cut_for(BLOCKS, len(BLOCKS), Kind.GENOTYPE, Profile.FAST).is_known
    image = parts_by(cut_for(IMAGE, len(IMAGE), Kind.IMAGE), IMAGE)
    assert set(image[1:-1]) == {SAMPLES}
    assert not cut_for(b"?", 1, Kind.OTHER).is_known
    markup = (DATA / "lines" / "export.xml").read_bytes()
    assert LINES in parts_by(cut_for(markup, len(markup), Kind.WEARABLE), markup)
    table = (DATA / "lines" / "observations.csv").read_bytes()
    assert LINES in parts_by(cut_for(table, len(table), Kind.LAB), table)
