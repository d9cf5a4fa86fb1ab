"""Signed messages: COSE_Sign1 (RFC 9052, section 4.2) with Ed25519, in exactly one spelling.

    18([<< {1: -8} >>, {}, payload, signature])

The protected header names EdDSA and nothing else, there is no unprotected header, the payload is always inside. Who
signs and for which network is not in the header: the key follows from the payload, the network id is external data.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from edgehold.errors import Malformed
from edgehold.wire.codec import MAX_MESSAGE, encode_bytes
from edgehold.wire.ids import Signature

_PROTECTED = bytes.fromhex("a10127")  # {1: -8}, alg: EdDSA
_HEAD = bytes.fromhex("d28443") + _PROTECTED + b"\xa0"  # tag 18, array of 4, protected header, empty map
_SIGNED_HEAD = b"\x84\x6aSignature1\x43" + _PROTECTED  # array of 4, text of 10, protected header
_SIGNATURE = bytes.fromhex("5840")  # byte string of 64


class Signer(Protocol):
    """Whoever holds an Ed25519 key."""

    def sign(self, message: bytes) -> Signature:
        """The signature over these bytes."""
        ...


class Sign1(Struct, frozen=True):
    """A signed message, read but not yet verified."""

    payload: bytes
    signature: Signature


def signed_bytes(payload: bytes, aad: bytes) -> bytes:
    """The `Sig_structure` over which the signature is made; `aad` is the external data, here always a network id."""
    return _SIGNED_HEAD + encode_bytes(aad) + encode_bytes(payload)


def sign1(key: Signer, payload: bytes, aad: bytes) -> bytes:
    """Sign a payload; returns the tagged message."""
    return _write(payload, key.sign(signed_bytes(payload, aad)))


def open1(data: bytes) -> Sign1:
    """Read a signed message without checking its signature; raises `Malformed` for any spelling but `sign1`'s."""
    start = len(_HEAD)
    width = _WIDTHS.get(data[start] if len(data) > start else 0, 1)
    payload, signature = data[start + width : -len(_SIGNATURE) - 64], Signature(data[-64:])
    if len(payload) > MAX_MESSAGE or _write(payload, signature) != data:
        raise Malformed("not a COSE_Sign1 message with EdDSA, an empty unprotected header and a payload")
    return Sign1(payload=payload, signature=signature)


_WIDTHS = {0x58: 2, 0x59: 3, 0x5A: 5}
"""Bytes before a payload, by the first of them: that a byte string follows, and how long it is; else only one."""


def _write(payload: bytes, signature: Signature) -> bytes:
    return _HEAD + encode_bytes(payload) + _SIGNATURE + signature
