"""Tokens: blind signatures of an issuer over slot keys (RFC 9474, RSABSSA-SHA384-PSS-Deterministic).

The issuer signs a person's slot key without seeing it; the person unblinds; to everybody else the token is an ordinary
RSASSA-PSS signature (SHA-384, MGF1 with SHA-384, salt of 48 bytes) of the slot's RSA-2048 key. So a token shows that
*some* enrolled person holds the slot key, and the issuer cannot tell which.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA384

from edgehold import _native
from edgehold.errors import BadSignature, CannotBlind
from edgehold.wire.ids import Modulus, SlotKey, Token

MODULUS_BITS = 2048
EXPONENT = 65537
TOKEN_BYTES = MODULUS_BITS // 8
_PADDING = PSS(MGF1(SHA384()), salt_length=48)


class IssuerKey(NamedTuple):
    """A slot's RSA key as an issuer keeps it: PKCS #8 in DER, and the modulus, which is public."""

    private: bytes
    modulus: Modulus

    def __repr__(self) -> str:
        return f"IssuerKey(private=…, modulus={self.modulus[:8].hex()}…)"


class Blinded(NamedTuple):
    """A slot key hidden for one issuer's key, and what unblinds the answer."""

    message: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Blinded(message={self.message[:8].hex()}…, secret=…)"


class BlindSigner:
    """An issuer's private key, parsed once for many signings; raises `CannotBlind` for what is no RSA-2048 key."""

    def __init__(self, private: bytes) -> None:
        try:
            self._signer = _native.BlindSigner(private)
        except ValueError as error:
            raise CannotBlind(f"not a private key that signs blindly: {error}") from error
        self.modulus = Modulus(self._signer.modulus)
        _check_modulus(self.modulus, CannotBlind)

    def __repr__(self) -> str:
        return f"BlindSigner(modulus={self.modulus[:8].hex()}…, private=…)"


def make_issuer_keys(seeds: Sequence[bytes]) -> list[IssuerKey]:
    """RSA-2048 keys, one from each secret seed of 32 bytes, on all cores; the same seed gives the same key."""
    return [IssuerKey(private, Modulus(modulus)) for private, modulus in _native.rsa_generate_batch(seeds)]


def blind(modulus: Modulus, slot_key: SlotKey, seed: bytes) -> Blinded:
    """Hide a slot key from the issuer who will sign it; `seed` is 32 random bytes, secret and never used again.

    Raises `CannotBlind` if the modulus is not one of an RSA-2048 key.
    """
    _check_modulus(modulus, CannotBlind)
    try:
        return Blinded(*_native.blind(modulus, slot_key, seed))
    except ValueError as error:
        raise CannotBlind(f"nothing can be blinded for modulus {modulus[:8].hex()}…: {error}") from error


def blind_sign(requests: Sequence[tuple[BlindSigner, bytes]], entropy: bytes) -> list[bytes]:
    """Sign blinded messages, each by its key, on all cores; `entropy` is 32 random bytes that hide keys from clocks.

    Raises `CannotBlind`, and signs nothing, if one message is not a number below its key's modulus.
    """
    answers = _native.blind_sign_many([(signer._signer, message) for signer, message in requests], entropy)
    signatures = [answer for answer in answers if isinstance(answer, bytes)]
    if len(signatures) < len(answers):
        place, reason = next((place, answer) for place, answer in enumerate(answers) if isinstance(answer, str))
        raise CannotBlind(f"message {place} of {len(answers)} cannot be signed: {reason}")
    return signatures


def finalize(modulus: Modulus, blind_signature: bytes, secret: bytes, slot_key: SlotKey) -> Token:
    """Unblind the issuer's answer into the token of this slot key; raises `BadSignature` if it is none."""
    _check_modulus(modulus, BadSignature)
    try:
        return Token(_native.finalize(modulus, blind_signature, secret, slot_key))
    except ValueError as error:
        raise BadSignature(f"the issuer's answer is no token of {slot_key.hex()}: {error}") from error


def verify_token(modulus: Modulus, slot_key: SlotKey, token: Token) -> None:
    """Check that the holder of this modulus signed this slot key; raises `BadSignature`.

    1. The modulus is odd and has exactly 2048 bits; the exponent is 65537.
    2. The token has 256 bytes.
    3. It is an RSASSA-PSS signature over the 32 bytes of the slot key.
    """
    _check_modulus(modulus, BadSignature)
    if len(token) != TOKEN_BYTES:
        raise BadSignature(f"a token of {len(token)} bytes instead of {TOKEN_BYTES}")
    try:
        _public_key(modulus).verify(token, slot_key, _PADDING, SHA384())
    except InvalidSignature as error:
        raise BadSignature(f"not a token of {slot_key.hex()} under modulus {modulus[:8].hex()}…") from error


def _check_modulus(modulus: bytes, error: type[BadSignature | CannotBlind]) -> None:
    if len(modulus) != TOKEN_BYTES or modulus[0] < 0x80 or modulus[-1] % 2 == 0:
        raise error(f"the modulus is not an odd number of {MODULUS_BITS} bits")


@lru_cache(maxsize=1024)
def _public_key(modulus: bytes) -> RSAPublicKey:
    return RSAPublicNumbers(EXPONENT, int.from_bytes(modulus)).public_key()
