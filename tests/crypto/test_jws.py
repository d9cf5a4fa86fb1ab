"""Detached signatures: they hold for exactly the bytes and the signer, in exactly one spelling."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.jws import STEP, Detached, sign_detached, signer_of, verify_detached
from edgehold.errors import BadSignature
from edgehold.wire.ids import AccountId, Digest, PublicKey

KEY = Ed25519PrivateKey.from_private_bytes(
    urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")  # RFC 8037, appendix A.1
)
CLINIC = AccountId(Digest(bytes(range(32))))
RECORD = b'{"resourceType":"Bundle"}'


PUBLIC = PublicKey(Digest(KEY.public_key().public_bytes_raw()))


def key_of(signer: AccountId) -> PublicKey:
    if signer != CLINIC:
        raise BadSignature("unknown signer")
    return PUBLIC


def b64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def token_with(header: bytes) -> bytes:
    return b64(header) + b".." + b64(KEY.sign(b64(header) + b"." + b64(RECORD)))


TOKEN = sign_detached(RECORD, CLINIC, KEY.sign)


def test_a_signature_holds_and_names_its_signer() -> None:
    assert signer_of(TOKEN) == CLINIC
    assert verify_detached(TOKEN, RECORD, key_of) == CLINIC
    assert verify_detached(TOKEN + b"\n", RECORD, key_of) == CLINIC


def test_it_is_the_compact_form_of_rfc_7515_without_its_payload() -> None:
    header, payload, signature = TOKEN.split(b".")
    assert payload == b""
    assert json.loads(urlsafe_b64decode(header + b"==")) == {"alg": "EdDSA", "kid": CLINIC.hex()}
    KEY.public_key().verify(urlsafe_b64decode(signature + b"=="), header + b"." + b64(RECORD))


def test_the_example_of_rfc_8037_is_signed_alike() -> None:
    """Appendix A.4: the same input to Ed25519 gives the same signature."""
    signed = KEY.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
    assert b64(signed) == (b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")


@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_a_changed_byte_of_the_token_is_refused(position: int, change: int) -> None:
    altered = bytearray(TOKEN)
    altered[position] ^= change
    with pytest.raises(BadSignature):
        verify_detached(bytes(altered), RECORD, key_of)


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_a_changed_byte_of_the_record_is_refused(position: int, change: int) -> None:
    altered = bytearray(RECORD)
    altered[position] ^= change
    with pytest.raises(BadSignature):
        verify_detached(TOKEN, bytes(altered), key_of)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(token: bytes) -> None:
    with pytest.raises(BadSignature):
        verify_detached(token, RECORD, key_of)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","kid":"%s"}',
        b'{"alg":"HS256","kid":"%s"}',
        b'{"alg":"EdDSA","kid":"%s","crit":["b64"],"b64":false}',
        b'{"alg":"EdDSA","kid":"%s","jwk":{}}',
        b'{"alg":"EdDSA","alg":"EdDSA","kid":"%s"}',
        b'{"alg": "EdDSA","kid":"%s"}',
        b'{"kid":"%s","alg":"EdDSA"}',
    ],
)
def test_other_headers_are_refused_even_when_signed(header: bytes) -> None:
    with pytest.raises(BadSignature):
        verify_detached(token_with(header % CLINIC.hex().encode()), RECORD, key_of)


def test_other_spellings_of_the_same_bytes_are_refused() -> None:
    last = TOKEN[-1:]
    spellings = [
        TOKEN[:-1] + bytes([one]) for one in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ]
    accepted = [spelling for spelling in spellings if not refused(spelling)]
    assert accepted == [TOKEN[:-1] + last]
    for spelling in (
        b"A" + TOKEN[TOKEN.index(b"..") :],
        TOKEN + b"=",
        TOKEN + b"\n\n",
        b" " + TOKEN,
        TOKEN.replace(b"..", b"." + b64(RECORD) + b"."),
    ):
        assert refused(spelling)


def refused(token: bytes) -> bool:
    try:
        verify_detached(token, RECORD, key_of)
    except BadSignature:
        return True
    return False


@given(st.binary(max_size=100), st.lists(st.integers(0, 20), max_size=12))
def test_a_payload_in_pieces_is_judged_as_if_it_had_come_at_once(payload: bytes, sizes: list[int]) -> None:
    token = sign_detached(payload, CLINIC, KEY.sign)
    signed = Detached(token, key_of)
    at = 0
    for size in [*sizes, len(payload)]:
        signed.update(payload[at : at + size])
        at += size
    assert signed.finish() == CLINIC
    signed = Detached(token, key_of)
    signed.update(payload + b"x")
    with pytest.raises(BadSignature):
        signed.finish()


def test_long_pieces_are_written_as_base64_in_steps() -> None:
    payload = bytes(range(256)) * (STEP // 128) + b"!"
    signed = Detached(sign_detached(payload, CLINIC, KEY.sign), key_of)
    signed.update(payload)
    assert signed.finish() == CLINIC
