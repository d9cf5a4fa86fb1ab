"""The codec that is read at once: every byte comes back, what is altered is refused or bounded."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.choice import Profile, codec_named, codec_title, codecs_for, encode_smallest
from edgehold.codecs.general import MAX_WINDOW, SHIPPED_BASE, ZSTD, shipped_codec
from edgehold.codecs.pco import HEAD, PCO, pco_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
FILES = {path.name: path.read_bytes() for path in sorted((DATA / "samples").glob("*.d*"))}
CODEC = pco_codec()


@pytest.mark.parametrize("name", FILES)
def test_real_files_come_back(name: str) -> None:
    original = FILES[name]
    kind = Kind.IMAGE if name.endswith(".dcm") else Kind.SIGNAL
    codec, encoded = encode_smallest(original, codecs_for(kind, Profile.FAST))
    assert codec_named(codec.name, codec.base).decode(encoded, len(original)) == original
    assert len(encoded) < 0.8 * len(original)
    by_columns = CODEC.encode(original)
    assert CODEC.decode(by_columns, len(original)) == original
    assert codec_title(PCO) == "pco/1"


@given(data=st.binary(max_size=400))
def test_whatever_is_given_comes_back_or_has_no_such_encoding(data: bytes) -> None:
    with suppress(CannotDecode):
        assert CODEC.decode(CODEC.encode(data), len(data)) == data


def test_what_lies_around_the_samples_comes_back_too() -> None:
    original = struct.pack("<5I", 30, 12, 400, 0, 4) + b"val\0" + FILES["s0010_re.dat"][:9601]
    assert CODEC.decode(CODEC.encode(original), len(original)) == original


def test_an_image_without_native_pixels_has_no_such_encoding() -> None:
    with pytest.raises(CannotDecode, match="not native"):
        CODEC.encode(FILES["CT_small.dcm"][:6000])
    with pytest.raises(CannotDecode, match="no samples"):
        CODEC.encode(b"")


def test_altered_bytes_give_no_more_than_the_limit_or_are_refused() -> None:
    dice = Random(1)
    for original in (FILES["100.dat"][:3000], FILES["MR_small.dcm"]):
        encoded = CODEC.encode(original)
        for _ in range(200):
            altered = bytearray(encoded)
            altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
            del altered[dice.randrange(len(altered) // 2, len(altered) + 1) :]
            with suppress(CannotDecode):
                assert len(CODEC.decode(bytes(altered), len(original))) <= len(original)
        for bad in (encoded[:-1], encoded + b"\0", encoded[:10], b""):
            with pytest.raises(CannotDecode):
                CODEC.decode(bad, len(original))
        with pytest.raises(CannotDecode):
            CODEC.decode(encoded, len(original) - 1)


def test_a_head_that_says_more_than_there_may_be_is_refused() -> None:
    encoded = CODEC.encode(FILES["MR_small.dcm"])
    packing, channels, start, line, samples, behind, size = HEAD.unpack_from(encoded)
    for head in (
        (9, channels, start, line, samples, behind, size),
        (packing, 0, start, line, samples, behind, size),
        (packing, channels, start - 1, line, samples, behind, size),
        (packing, channels, start + 1, line, samples, behind, size),
        (packing, channels, start, line, 2**32 - 1, behind, size),
        (packing, channels, 2**32 - 1, line, samples, behind, size),
        (packing, channels, start, samples + 1, samples, behind, size),
    ):
        with pytest.raises(CannotDecode):
            CODEC.decode(HEAD.pack(*head) + encoded[HEAD.size :], 2 * len(FILES["MR_small.dcm"]))


def test_records_and_texts_are_kept_so_that_zstd_reads_them() -> None:
    record = (DATA / "fhir" / "ips_example_bundle.json").read_bytes()
    codec, encoded = encode_smallest(record, codecs_for(Kind.EHR, Profile.FAST))
    assert (codec.name, codec.base) == (ZSTD, SHIPPED_BASE)
    assert codec_named(codec.name, codec.base).decode(encoded, len(record)) == record
    assert len(encoded) < len(shipped_codec(SHIPPED_BASE).encode(record))
    text = (DATA / "lines" / "observations.csv").read_bytes()
    for kind in (Kind.LAB, Kind.GENOTYPE, Kind.OTHER):
        codec, encoded = encode_smallest(text, codecs_for(kind, Profile.FAST))
        assert (codec.name, codec.base) == (ZSTD, None)
        assert codec_named(codec.name, codec.base).decode(encoded, len(text)) == text


def test_what_repeats_far_apart_is_found_by_the_fast_codec() -> None:
    far = Random(3).randbytes(1 << 20)
    data = far + bytes(1 << 24) + far
    assert len(data) < MAX_WINDOW
    _, encoded = encode_smallest(data, codecs_for(Kind.OTHER, Profile.FAST))
    assert len(encoded) < len(far) + (1 << 16)
