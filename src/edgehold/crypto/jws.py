"""Detached signatures of records: JWS (RFC 7515, appendix F) with EdDSA (RFC 8037), beside the file that they sign.

`x.json.jws` is one line, `header..signature`. The header is {"alg":"EdDSA","kid":"<account of the signer, hex>"} and
nothing else; the payload is exactly the bytes of `x.json`. Who signs, and whose key verifies, comes in as an argument.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable

from edgehold.crypto.signatures import Verification
from edgehold.errors import BadSignature
from edgehold.wire.ids import AccountId, Digest, PublicKey, Signature

MAX_TOKEN = 1024
TOKEN = re.compile(rb"([A-Za-z0-9_-]+)\.\.([A-Za-z0-9_-]{86})\n?")
STEP = 1 << 20
"""Bytes of a payload that are written as base64 at once."""
HEADER = re.compile(rb'\{"alg":"EdDSA","kid":"([0-9a-f]{64})"\}')


def sign_detached(payload: bytes, signer: AccountId, sign: Callable[[bytes], bytes]) -> bytes:
    """A detached JWS over exactly these bytes; `sign` gives the 64 bytes of Ed25519 over a message."""
    header = _encode(b'{"alg":"EdDSA","kid":"%s"}' % signer.hex().encode("ascii"))
    return header + b".." + _encode(sign(_signing_input(header, payload)))


def verify_detached(token: bytes, payload: bytes, key_of: Callable[[AccountId], PublicKey]) -> AccountId:
    """`Detached` of a payload that is there at once; returns the signer."""
    signed = Detached(token, key_of)
    signed.update(payload)
    return signed.finish()


class Detached:
    """Check that the signer named in a token signed exactly the bytes that come in pieces.

    1. The token is `header..signature` in base64url without padding, in the only spelling of its bytes.
    2. The header is the two members above, in that order: no other algorithm, no `crit`, nothing more.
    3. The key that `key_of` knows of the signer signed `header.payload` (`signatures.Verification`).

    Raises `BadSignature`, and what `key_of` raises.
    """

    def __init__(self, token: bytes, key_of: Callable[[AccountId], PublicKey]) -> None:
        header, self._signer, signature = _read(token)
        self._verification = Verification(key_of(self._signer), signature)
        self._verification.update(header + b".")
        self._held = b""

    def update(self, piece: bytes) -> None:
        """The next piece. Three bytes are four characters of base64: what is left over waits for the next."""
        for start in range(0, len(piece), STEP):
            held = self._held + piece[start : start + STEP]
            whole = len(held) - len(held) % 3
            self._verification.update(_encode(held[:whole]))
            self._held = held[whole:]

    def finish(self) -> AccountId:
        """That was all; returns the signer. Raises `BadSignature`."""
        self._verification.update(_encode(self._held))
        self._held = b""
        self._verification.finish()
        return self._signer


def signer_of(token: bytes) -> AccountId:
    """The signer named in a token, whether or not they signed; raises `BadSignature` if it is none."""
    return _read(token)[1]


def _read(token: bytes) -> tuple[bytes, AccountId, Signature]:
    match = TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN else None
    if match is None:
        raise BadSignature("not a detached JWS (header..signature, base64url without padding)")
    header, signature = match.groups()
    named = HEADER.fullmatch(_decode(header))
    if named is None:
        raise BadSignature('the header of the JWS is not {"alg":"EdDSA","kid":"<account id, 64 hex digits>"}')
    return header, AccountId(Digest(bytes.fromhex(named[1].decode("ascii")))), Signature(_decode(signature))


def _signing_input(header: bytes, payload: bytes) -> bytes:
    return header + b"." + _encode(payload)


def _encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    try:
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError as error:
        raise BadSignature("the JWS is not base64url") from error
    if _encode(data) != text:
        raise BadSignature("the JWS is not in the only base64url spelling of its bytes")
    return data
