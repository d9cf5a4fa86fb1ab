"""Sealing: the published vector, and nothing opens with another key, purpose, companion or byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.seal import OVERHEAD, SealKeyPair, open_sealed, seal
from edgehold.errors import BadSealKey, CannotOpen
from edgehold.wire.ids import SealKey

VECTOR = {
    name: bytes.fromhex(value)
    for name, value in json.loads((Path(__file__).parents[1] / "vectors" / "rfc9180.json").read_text()).items()
    if name != "origin"
}


class Fixed:
    """Randomness that is known beforehand."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def draw(self, count: int) -> bytes:
        assert count == len(self.value)
        return self.value


PAIR = SealKeyPair(VECTOR["ikmR"])
DICE = Fixed(VECTOR["ikmE"])


def test_a_key_is_derived_as_published() -> None:
    assert PAIR.public == VECTOR["pkRm"]
    assert PAIR.private.to_private_bytes() == VECTOR["skRm"]


def test_a_message_is_sealed_as_published() -> None:
    sealed = seal(PAIR.public, VECTOR["info"], VECTOR["aad"], VECTOR["pt"], DICE)
    assert sealed == VECTOR["pkEm"] + VECTOR["ct"]
    assert open_sealed(PAIR, VECTOR["info"], VECTOR["aad"], sealed) == VECTOR["pt"]


@given(plaintext=st.binary(max_size=200), seed=st.binary(min_size=32, max_size=32))
def test_what_was_sealed_opens_and_has_the_stated_length(plaintext: bytes, seed: bytes) -> None:
    sealed = seal(PAIR.public, b"report", b"task", plaintext, Fixed(seed))
    assert len(sealed) == len(plaintext) + OVERHEAD
    assert open_sealed(PAIR, b"report", b"task", sealed) == plaintext


def test_another_key_purpose_or_companion_does_not_open() -> None:
    sealed = seal(PAIR.public, b"report", b"task", b"share", DICE)
    for pair, info, aad in [
        (SealKeyPair(bytes(32)), b"report", b"task"),
        (PAIR, b"result", b"task"),
        (PAIR, b"report", b"other task"),
    ]:
        with pytest.raises(CannotOpen):
            open_sealed(pair, info, aad, sealed)


def test_any_byte_changed_or_lost_does_not_open() -> None:
    sealed = seal(PAIR.public, b"report", b"task", b"share", DICE)
    for place in range(len(sealed)):
        with pytest.raises(CannotOpen):
            open_sealed(PAIR, b"report", b"task", sealed[:place])
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(CannotOpen):
            open_sealed(PAIR, b"report", b"task", changed)


def test_a_point_of_small_order_is_refused_on_both_sides() -> None:
    for point in [bytes(32), b"\x01" + bytes(31)]:
        with pytest.raises(BadSealKey):
            seal(SealKey(point), b"report", b"task", b"share", DICE)
        with pytest.raises(CannotOpen):
            open_sealed(PAIR, b"report", b"task", point + bytes(16))


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(BadSealKey):
        seal(SealKey(bytes(31)), b"report", b"task", b"share", DICE)
    with pytest.raises(ValueError, match="32 bytes"):
        SealKeyPair(bytes(16))


def test_a_pair_does_not_print_its_secret() -> None:
    assert VECTOR["skRm"].hex() not in repr(PAIR)
    assert "seed=…" in repr(PAIR)
