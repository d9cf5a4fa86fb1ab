"""Sealed messages: what only the holder of one key can open (HPKE, RFC 9180, base mode).

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM; one message for one encapsulated key. `info` says what the
message is for, `aad` binds what travels beside it; both must be the same on both sides.

Sealing is `pyhpke`'s. Opening is written out here, after the standard: an aggregator opens a share of every report, and
around the exchange of keys the library takes as long again as the exchange itself.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from edgehold.errors import BadSealKey, CannotOpen
from edgehold.ports import Randomness
from edgehold.wire.ids import SealKey

_SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)

ENCAPSULATED = 32
"""Bytes of the encapsulated key, with which a sealed message begins."""

OVERHEAD = ENCAPSULATED + 16
"""Bytes by which a sealed message is longer than its plaintext."""

_KEM = b"HPKE-v1KEM\x00\x20"
_HPKE = b"HPKE-v1HPKE\x00\x20\x00\x01\x00\x01"
"""What every labelled hash of our suite begins with (RFC 9180, sections 4 and 4.1)."""


class SealKeyPair:
    """A key to which others seal; made from a secret seed of 32 bytes (RFC 9180, section 7.1.3, `DeriveKeyPair`)."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"a seal key is made from 32 bytes, not from {len(seed)}")
        pair = _SUITE.kem.derive_key_pair(seed)
        self.private = pair.private_key
        self.public = SealKey(pair.public_key.to_public_bytes())
        self._exchange = X25519PrivateKey.from_private_bytes(pair.private_key.to_private_bytes())

    def exchange(self, encapsulated: bytes) -> bytes:
        """The secret shared with the sender of an encapsulated key; raises `ValueError` for a point of small order."""
        return self._exchange.exchange(X25519PublicKey.from_public_bytes(encapsulated))

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
    encapsulated = data[:ENCAPSULATED]
    try:
        key, nonce = _key_schedule(_shared_secret(pair, encapsulated), info)
        return AESGCM(key).decrypt(nonce, data[ENCAPSULATED:], aad)
    except (ValueError, InvalidTag) as error:
        raise CannotOpen(f"{len(data)} sealed bytes do not open with key {pair.public.hex()}") from error


def _shared_secret(pair: SealKeyPair, encapsulated: bytes) -> bytes:
    """`Decap` of RFC 9180, section 4.1."""
    extracted = hmac.digest(b"", _KEM + b"eae_prk" + pair.exchange(encapsulated), "sha256")
    context = encapsulated + pair.public
    return hmac.digest(extracted, b"\x00\x20" + _KEM + b"shared_secret" + context + b"\x01", "sha256")


def _key_schedule(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the one message (RFC 9180, section 5.1, mode base)."""
    context = _schedule_context(info)
    secret = hmac.digest(shared_secret, _HPKE + b"secret", "sha256")
    key = hmac.digest(secret, b"\x00\x10" + _HPKE + b"key" + context + b"\x01", "sha256")
    nonce = hmac.digest(secret, b"\x00\x0c" + _HPKE + b"base_nonce" + context + b"\x01", "sha256")
    return key[:16], nonce[:12]


@lru_cache(maxsize=64)
def _schedule_context(info: bytes) -> bytes:
    extracted = [hmac.digest(b"", _HPKE + what, "sha256") for what in (b"psk_id_hash", b"info_hash" + info)]
    return b"\x00" + b"".join(extracted)
