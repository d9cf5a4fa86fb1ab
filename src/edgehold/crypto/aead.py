"""Sealing what lies on a hub's disk: AES-256-GCM (NIST SP 800-38D), one random key for each object.

An object is cut into chunks. Its key seals nothing but this object, so that the nonce is the chunk's number and need
not be stored; the associated data bind object, number and total, so that chunks cannot be moved, dropped or swapped.
Small secrets (an object's own key under the hub key) are sealed with a random nonce in front.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edgehold.errors import CannotOpen
from edgehold.ports import Randomness

NONCE_SIZE = 12
TAG_SIZE = 16
"""Bytes by which a sealed chunk is longer than what is in it."""
MAX_CHUNKS = 1 << 32


def derive_key(key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from a uniformly random one: HMAC-SHA256(key, purpose), one block of RFC
    5869."""
    return hmac.digest(key, b"edgehold:" + purpose.encode("ascii") + b"\x01", "sha256")


def keyed_digest(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256: names data to holders of the key, and says nothing to others, however guessable the data are."""
    return hmac.digest(key, data, "sha256")


def start_keyed_digest(key: bytes) -> hmac.HMAC:
    """A keyed digest that is told its data in pieces."""
    return hmac.new(key, digestmod="sha256")


def seal_chunk(key: bytes, object_id: bytes, number: int, total: int, plaintext: bytes) -> bytes:
    """Seal chunk `number` (from 0) of `total`; the key must belong to this object alone and each number be sealed
    once."""
    return AESGCM(key).encrypt(*_place(object_id, number, total, plaintext))


def open_chunk(key: bytes, object_id: bytes, number: int, total: int, sealed: bytes) -> bytes:
    """Open a chunk; raises `CannotOpen` if key, object, number, total or any byte is another."""
    try:
        nonce, ciphertext, context = _place(object_id, number, total, sealed)
        return AESGCM(key).decrypt(nonce, ciphertext, context)
    except InvalidTag as error:
        raise CannotOpen(f"chunk {number} of {total} of object {object_id.hex()} does not open") from error


def seal(key: bytes, context: bytes, plaintext: bytes, randomness: Randomness) -> bytes:
    """Seal a small secret: nonce ‖ ciphertext ‖ tag, `context` authenticated with it. One key seals at most 2³² of
    them."""
    nonce = randomness.draw(NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def open_sealed(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """Open what `seal` sealed; raises `CannotOpen` if key, context or any byte is another."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], context)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(f"{len(sealed)} sealed bytes do not open") from error


def _place(object_id: bytes, number: int, total: int, data: bytes) -> tuple[bytes, bytes, bytes]:
    if not 0 <= number < total <= MAX_CHUNKS:
        raise ValueError(f"no chunk {number} of {total}")
    context = object_id + number.to_bytes(8, "little") + total.to_bytes(8, "little")
    return number.to_bytes(NONCE_SIZE, "little"), data, context
