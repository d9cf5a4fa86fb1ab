"""Sealing: what was sealed opens with its key, place and every byte, and with nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.aead import derive_key, keyed_digest, open_chunk, open_sealed, seal, seal_chunk
from edgehold.errors import CannotOpen

KEY = bytes(range(32))


class Counting:
    """Randomness that counts up, for tests."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "little")


@given(st.binary(max_size=100), st.integers(0, 9))
def test_a_chunk_opens_in_its_place_only(plaintext: bytes, number: int) -> None:
    sealed = seal_chunk(KEY, b"object", number, 10, plaintext)
    assert len(sealed) == len(plaintext) + 16
    assert open_chunk(KEY, b"object", number, 10, sealed) == plaintext
    for key, name, place, total in (
        (bytes(32), b"object", number, 10),
        (KEY, b"other", number, 10),
        (KEY, b"object", (number + 1) % 10, 10),
        (KEY, b"object", number, 11),
    ):
        with pytest.raises(CannotOpen):
            open_chunk(key, name, place, total, sealed)


@given(st.binary(max_size=50), st.data())
def test_a_changed_byte_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, b"context", plaintext, Counting()))
    assert open_sealed(KEY, b"context", bytes(sealed)) == plaintext
    with pytest.raises(CannotOpen):
        open_sealed(KEY, b"other", bytes(sealed))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        open_sealed(KEY, b"context", bytes(sealed))


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        open_sealed(KEY, b"", sealed)
    with pytest.raises(CannotOpen):
        open_chunk(KEY, b"", 0, 1, sealed)


@pytest.mark.parametrize(("number", "total"), [(-1, 1), (1, 1), (0, 0), (0, 2**32 + 1)])
def test_a_chunk_outside_its_object_cannot_be_sealed(number: int, total: int) -> None:
    with pytest.raises(ValueError, match="no chunk"):
        seal_chunk(KEY, b"object", number, total, b"")


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    randomness = Counting()
    assert seal(KEY, b"", b"secret", randomness) != seal(KEY, b"", b"secret", randomness)


def test_keys_for_different_purposes_differ() -> None:
    assert len({derive_key(KEY, "a"), derive_key(KEY, "b"), derive_key(bytes(32), "a"), KEY}) == 4
    assert keyed_digest(KEY, b"x") != keyed_digest(bytes(32), b"x")


def test_the_cipher_is_the_one_of_its_specification() -> None:
    """Test case 16 of McGrew and Viega, *The Galois/Counter Mode of Operation*, through `open_sealed`."""
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
        "ba637b39"
    )
    sealed = bytes.fromhex(
        "cafebabefacedbaddecaf888"
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
        "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    assert open_sealed(key, bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), sealed) == plaintext
