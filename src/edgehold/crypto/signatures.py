"""Ed25519 signatures (RFC 8032), judged by one rule wherever a ledger depends on it: ZIP-215.

Libraries disagree about keys of small order and points in other than their canonical encoding, and a mix of rules is a
fork of the ledger that anybody can trigger. So all verification, single or in batches, is the native module's.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgehold import _native
from edgehold.errors import BadSignature
from edgehold.wire.ids import PublicKey, Signature


class SigningKey:
    """A private key, made from a secret seed of 32 bytes; the seed is not kept where it could be printed."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"a signing key is made from 32 bytes, not from {len(seed)}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> Signature:
        """Sign a message; the same message gets the same signature."""
        return Signature(self._private.sign(message))

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()}, seed=…)"


def verify(public_key: PublicKey, message: bytes, signature: Signature) -> None:
    """Check one signature; raises `BadSignature`, also for bytes that are no key or no signature."""
    if not _native.ed25519_verify(public_key, message, signature):
        raise BadSignature(f"not a signature of {public_key.hex()} over these {len(message)} bytes")


class Verification:
    """A signature over a message that comes in pieces, judged by RFC 8032 without the cofactor (`ed25519-dalek`): what
    holds here holds by ZIP-215 too."""

    def __init__(self, public_key: PublicKey, signature: Signature) -> None:
        self._key = public_key
        self._stream = _native.Ed25519Stream(public_key, signature)
        self._size = 0

    def update(self, piece: bytes) -> None:
        """The next piece."""
        self._stream.update(piece)
        self._size += len(piece)

    def finish(self) -> None:
        """That was all; raises `BadSignature`."""
        if not self._stream.finish():
            raise BadSignature(f"not a signature of {self._key.hex()} over these {self._size} bytes")


FEW = 16
"""So many signatures are checked before a second thread would have begun."""


def verify_many(items: Sequence[tuple[PublicKey, bytes, Signature]], entropy: bytes, *, threads: int = 2) -> list[bool]:
    """Whether each (key, message, signature) holds: what `verify` says of each, three to five times as fast.

    `entropy` is 32 random bytes that are used for nothing else; with the items they choose the coefficients of the
    combined equation. Bad items cost time only, and are found by halves.
    """
    return _native.ed25519_verify_batch(items, entropy, threads if len(items) > FEW else min(threads, 1))
