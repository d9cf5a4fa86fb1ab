"""The first codec: what goes in comes out, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs import general
from edgehold.codecs.general import SHIPPED_BASE, Zstd, dictionary_digest, shipped_codec
from edgehold.errors import CannotDecode

FHIR = Path(__file__).parent.parent / "data" / "fhir"
CODECS = [shipped_codec(SHIPPED_BASE), shipped_codec(None), Zstd(b"common to everybody" * 10)]


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=2000))
def test_bytes_come_back_as_they_were(codec: Zstd, data: bytes) -> None:
    assert codec.decode(codec.encode(data), len(data)) == data


@given(data=st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CannotDecode):
        shipped_codec(SHIPPED_BASE).decode(data, 1000)


def test_the_public_dictionary_saves_what_records_have_in_common() -> None:
    record = (FHIR / "ips_example_bundle.json").read_bytes()
    with_base, without = (len(shipped_codec(base).encode(record)) for base in (SHIPPED_BASE, None))
    assert with_base < without < len(record) / 8


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    bomb = zstandard.compress(bytes(1 << 24))
    with pytest.raises(CannotDecode, match="16777216 bytes, the limit is 1000"):
        shipped_codec(None).decode(bomb, 1000)


def test_a_frame_that_hides_its_size_is_refused() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(b"hidden")
    with pytest.raises(CannotDecode):
        shipped_codec(None).decode(hidden, 1000)


def test_a_frame_with_something_behind_it_or_less_of_it_is_refused() -> None:
    codec = shipped_codec(SHIPPED_BASE)
    encoded = codec.encode(b"a record" * 100)
    for altered in (encoded + b"x", encoded + encoded, encoded[:-1], b""):
        with pytest.raises(CannotDecode):
            codec.decode(altered, 10_000)


def test_a_dictionary_that_is_not_there_or_altered_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = dictionary_digest(b"missing")
    with pytest.raises(CannotDecode, match="not shipped"):
        shipped_codec(missing)
    (tmp_path / f"{missing.hex()}.zstd-dict").write_bytes(b"altered")
    monkeypatch.setattr(general, "DICTIONARIES", tmp_path)
    with pytest.raises(CannotDecode, match="altered"):
        shipped_codec(missing)


def test_no_room_is_made_for_a_frame_that_is_to_be_skipped() -> None:
    """Its size is taken for that of what it holds, though it holds nothing."""
    for frame in (b"\x50\x2a\x4d\x18" + bytes(4), b"\x50\x2a\x4d\x18\xff\xff\xff\x7f" + bytes(1000)):
        with pytest.raises(CannotDecode, match="do not begin"):
            shipped_codec(None).decode(frame, 1 << 20)
