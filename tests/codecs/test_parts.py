"""The codec of what is too large to be encoded at once: part by part, and no more than a part at once."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from edgehold.codecs import parts
from edgehold.codecs.choice import codec_named, parts_codec
from edgehold.codecs.general import ZSTD
from edgehold.codecs.packed import written
from edgehold.codecs.parts import PARTS, Head, parts_of
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest

DATA = Path(__file__).parent.parent / "data"
TEXT = (DATA / "lines" / "observations.csv").read_bytes()
CODEC = parts_codec(Kind.LAB)
NAME = Digest(bytes(32))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 20_000)


@pytest.mark.parametrize("data", [b"", b"a", TEXT, TEXT[:40_000], gzip.compress(TEXT) + Random(1).randbytes(50_000)])
def test_it_comes_back_whatever_the_parts_are(data: bytes) -> None:
    encoded = CODEC.encode(data)
    assert codec_named(PARTS, None).decode(encoded, len(data)) == data
    assert len(encoded) < len(data) + 200
    with pytest.raises(CannotDecode):
        CODEC.decode(encoded + b"\0", len(data))
    if data:
        with pytest.raises(CannotDecode):
            CODEC.decode(encoded, len(data) - 1)


def test_a_stream_is_encoded_and_decoded_one_part_at_a_time() -> None:
    made: list[int] = []

    def noted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            made.append(len(piece))
            yield piece

    encoded = list(CODEC.encoded_parts(noted(parts_of(io.BytesIO(TEXT)))))
    assert made == [20_000, 20_000, 20_000, len(TEXT) - 60_000]
    assert b"".join(encoded) == CODEC.encode(TEXT)
    made.clear()
    cut = iter([piece[at : at + 700] for piece in encoded for at in range(0, len(piece), 700)])
    for number, part in enumerate(CODEC.decoded_parts(noted(cut), len(TEXT))):
        assert part == TEXT[number * 20_000 : (number + 1) * 20_000]
        assert sum(made) < sum(map(len, encoded[: number + 1])) + 1000


@pytest.mark.parametrize(
    "head",
    [
        Head(0, NAME, 5, codec=NAME, base=None, encoded=5).written() + bytes(5),
        Head(0, NAME, 5, codec=PARTS, base=None, encoded=5).written() + bytes(5),
        Head(0, NAME, 5, codec=ZSTD, base=None, encoded=6).written() + bytes(5),
        Head(1, NAME, 5, codec=ZSTD, base=NAME, encoded=5).written()[:80],
        Head(0, NAME, 20_001, codec=ZSTD, base=None, encoded=5).written() + bytes(5),
        Head(0, NAME, 5, codec=ZSTD, base=None, encoded=40_001).written() + bytes(5),
        Head(2, NAME, 5, codec=ZSTD, base=None, encoded=5).written() + bytes(5),
        Head(4, NAME, 5, 0).written(),
        Head(5, NAME, 5, codec=ZSTD, base=NAME, encoded=5).written() + bytes(5),
    ],
)
def test_what_nobody_wrote_is_refused(head: bytes) -> None:
    with pytest.raises(CannotDecode):
        CODEC.decode(head, 1 << 20)


def test_an_altered_encoding_is_refused_or_bounded() -> None:
    encoded = CODEC.encode(TEXT)
    for seed in range(100):
        dice = Random(seed)
        altered = bytearray(encoded)
        altered[dice.choice([dice.randrange(80), dice.randrange(len(encoded))])] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            assert len(CODEC.decode(bytes(altered), len(TEXT))) <= len(TEXT)


def test_a_part_that_is_not_as_long_as_is_said_is_refused() -> None:
    encoded = CODEC.encode(b"abc")
    assert encoded[33] == 3
    with pytest.raises(CannotDecode, match="instead of"):
        CODEC.decode(encoded[:33] + written([4]) + encoded[34:], 100)


def test_a_part_that_is_another_than_was_said_is_refused() -> None:
    encoded = CODEC.encode(b"abc")
    with pytest.raises(CannotDecode, match="another than it was"):
        CODEC.decode(encoded[:1] + NAME + encoded[33:], 100)
