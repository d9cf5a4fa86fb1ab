"""Sealed messages: what only the holder of one key can open (HPKE, RFC 9180, base mode).

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM; one message for one encapsulated key. `info` says what the
message is for, `aad` binds what travels beside it; both must be the same on both sides.
"""

from __future__ import annotations

from pyhpke import AEADId, CipherSuite, KDFId, KEMId, PyHPKEError

from edgehold.errors import BadSealKey, CannotOpen
from edgehold.ports import Randomness
from edgehold.wire.ids import SealKey

_SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)

ENCAPSULATED = 32
"""Bytes of the encapsulated key, with which a sealed message begins."""

OVERHEAD = ENCAPSULATED + 16
"""Bytes by which a sealed message is longer than its plaintext."""


class SealKeyPair:
    """A key to which others seal; made from a secret seed of 32 bytes (RFC 9180, section 7.1.3, `DeriveKeyPair`)."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"a seal key is made from 32 bytes, not from {len(seed)}")
        pair = _SUITE.kem.derive_key_pair(seed)
        self.private = pair.private_key
        self.public = SealKey(pair.public_key.to_public_bytes())

    def __repr__(self) -> str:
        return f"SealKeyPair(public={self.public.hex()}, seed=…)"


def seal(public: SealKey, info: bytes, aad: bytes, plaintext: bytes, randomness: Randomness) -> bytes:
    """Seal a message: encapsulated key ‖ ciphertext, `OVERHEAD` bytes longer than the plaintext.

    The ephemeral key is derived from 32 drawn bytes. Raises `BadSealKey` for a public key with which no secret can be
    shared (wrong length, or a point of small order).
    """
    ephemeral = _SUITE.kem.derive_key_pair(randomness.draw(32))
    try:
        recipient = _SUITE.kem.deserialize_public_key(public)
        encapsulated, context = _SUITE.create_sender_context(recipient, info, eks=ephemeral)
    except ValueError as error:
        raise BadSealKey(f"nothing can be sealed to {public.hex()}") from error
    return encapsulated + context.seal(plaintext, aad)


def open_sealed(pair: SealKeyPair, info: bytes, aad: bytes, data: bytes) -> bytes:
    """Open what was sealed to this key with this `info` and `aad`; raises `CannotOpen`."""
    if len(data) < OVERHEAD:
        raise CannotOpen(f"{len(data)} bytes are fewer than the {OVERHEAD} of an empty sealed message")
    try:
        return _SUITE.create_recipient_context(data[:ENCAPSULATED], pair.private, info).open(data[ENCAPSULATED:], aad)
    except (ValueError, PyHPKEError) as error:
        raise CannotOpen(f"{len(data)} sealed bytes do not open with key {pair.public.hex()}") from error
