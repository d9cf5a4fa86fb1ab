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


def test_the_cipher_is_the_one_of_rfc_8439() -> None:
    """RFC 8439, 2.8.2, through `open_sealed`: its nonce stands in front."""
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = bytes.fromhex(
        "070000004041424344454647"
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e06"
        "0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d265"
        "86cec64b61161ae10b594f09e26a7e902ecbd0600691"
    )
    key = bytes(range(0x80, 0xA0))
    assert open_sealed(key, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), sealed) == plaintext
