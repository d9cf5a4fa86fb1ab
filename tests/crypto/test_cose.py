"""Signed messages: published bytes, one spelling, and the deterministic CBOR under them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.cose import open1, sign1, signed_bytes
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.errors import BadSignature, Malformed
from edgehold.wire.codec import MAX_MESSAGE, decode, encode

FOLDER = Path(__file__).parents[1] / "vectors"
COSE = json.loads((FOLDER / "rfc9052.json").read_text())
CBOR = json.loads((FOLDER / "rfc8949.json").read_text())
KEY = SigningKey(bytes(range(32)))
NETWORK = bytes(32)


def titles(vectors: list[dict[str, Any]]) -> list[str]:
    return [str(vector.get("title", vector.get("hex"))) for vector in vectors]


@pytest.mark.parametrize("vector", COSE["to_be_signed"], ids=titles(COSE["to_be_signed"]))
def test_what_is_signed_has_the_published_bytes(vector: dict[str, Any]) -> None:
    header = cbor2.dumps({1: vector["algorithm"]})
    published = bytes.fromhex(vector["sig_structure"]).replace(header, cbor2.dumps({1: -8}))
    assert signed_bytes(bytes.fromhex(vector["payload"]), bytes.fromhex(vector["external"])) == published


@pytest.mark.parametrize("vector", COSE["other_spellings"], ids=titles(COSE["other_spellings"]))
def test_other_headers_and_algorithms_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        open1(bytes.fromhex(vector["message"]))


@given(payload=st.binary(max_size=300))
def test_a_signed_message_opens_and_its_signature_holds(payload: bytes) -> None:
    data = sign1(KEY, payload, NETWORK)
    message = open1(data)
    assert message.payload == payload
    verify(KEY.public, signed_bytes(message.payload, NETWORK), message.signature)
    assert data == cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps({1: -8}), {}, payload, message.signature]))


def test_a_signature_of_one_network_is_none_in_another() -> None:
    message = open1(sign1(KEY, b"order", NETWORK))
    with pytest.raises(BadSignature):
        verify(KEY.public, signed_bytes(message.payload, bytes([1]) * 32), message.signature)


@pytest.mark.parametrize(
    "parts",
    [
        [b"", {}, b"order", bytes(64)],
        [cbor2.dumps({1: -8, 3: 0}), {}, b"order", bytes(64)],
        [cbor2.dumps({1: -8}), {4: b"11"}, b"order", bytes(64)],
        [cbor2.dumps({1: -8}), {}, None, bytes(64)],
        [cbor2.dumps({1: -8}), {}, "order", bytes(64)],
        [cbor2.dumps({1: -8}), {}, b"order", bytes(63)],
        [cbor2.dumps({1: -8}), {}, b"order", bytes(65)],
        [cbor2.dumps({1: -8}), {}, b"order"],
        [cbor2.dumps({1: -8}), {}, b"order", bytes(64), 0],
    ],
)
def test_another_shape_is_refused(parts: list[Any]) -> None:
    with pytest.raises(Malformed):
        open1(cbor2.dumps(cbor2.CBORTag(18, parts)))


def test_another_tag_or_none_is_refused() -> None:
    data = sign1(KEY, b"order", NETWORK)
    for other in [data[1:], b"\xd1" + data[1:], b"\xd8\x12" + data[1:]]:
        with pytest.raises(Malformed):
            open1(other)


@given(place=st.integers(0, 70), bits=st.integers(1, 255))
def test_no_other_bytes_are_the_same_message(place: int, bits: int) -> None:
    data = sign1(KEY, b"order", NETWORK)
    changed = data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]
    try:
        message = open1(changed)
    except Malformed:
        return
    with pytest.raises(BadSignature):
        verify(KEY.public, signed_bytes(message.payload, NETWORK), message.signature)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_malformed_or_a_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        open1(data)


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65_535, 65_536, MAX_MESSAGE])
def test_payloads_of_every_width_of_length_are_read(size: int) -> None:
    assert open1(sign1(KEY, bytes(size), NETWORK)).payload == bytes(size)


def test_a_payload_larger_than_any_message_is_refused() -> None:
    with pytest.raises(Malformed):
        open1(sign1(KEY, bytes(MAX_MESSAGE + 1), NETWORK))


def test_a_payload_in_a_longer_spelling_is_refused() -> None:
    data = sign1(KEY, b"order", NETWORK)
    assert data[7:8] == b"\x45"
    with pytest.raises(Malformed):
        open1(data[:7] + b"\x58\x05" + data[8:])


# ── deterministic CBOR ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("vector", CBOR["examples"], ids=titles(CBOR["examples"]))
def test_values_are_written_and_read_as_published(vector: dict[str, Any]) -> None:
    value = bytes.fromhex(vector["bytes"]) if "bytes" in vector else vector["value"]
    assert encode(value) == bytes.fromhex(vector["hex"])
    assert decode(bytes.fromhex(vector["hex"]), Any) == value


@pytest.mark.parametrize("vector", CBOR["refused"], ids=titles(CBOR["refused"]))
def test_other_spellings_of_a_value_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode(bytes.fromhex(vector["hex"]), Any)
