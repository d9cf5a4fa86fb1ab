"""Tokens: the issuer signs what it does not see; everybody can verify; nothing else passes for a token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold import _native
from edgehold.crypto import blind
from edgehold.crypto.blind import BlindSigner, blind_sign, finalize, make_issuer_keys, verify_token
from edgehold.errors import BadSignature, CannotBlind
from edgehold.wire.ids import Digest, Modulus, PublicKey, SlotKey, Token

RFC9474 = {
    name: bytes.fromhex(text) if name != "origin" else text.encode()
    for name, text in json.loads((Path(__file__).parents[1] / "vectors" / "blind_rsa.json").read_text()).items()
}
KEYS = make_issuer_keys([bytes([number]) * 32 for number in (1, 2)])
SIGNERS = [BlindSigner(key.private) for key in KEYS]
ENTROPY = b"e" * 32


def slot_key(number: int) -> SlotKey:
    return SlotKey(PublicKey(Digest(number.to_bytes(32, "big"))))


def make_token(signer: BlindSigner, key: SlotKey, seed: bytes = bytes(32)) -> Token:
    blinded = blind.blind(signer.modulus, key, seed)
    (signature,) = blind_sign([(signer, blinded.message)], ENTROPY)
    return finalize(signer.modulus, signature, blinded.secret, key)


def as_der(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def private_key(number: int) -> rsa.RSAPrivateKey:
    key = load_der_private_key(KEYS[number].private, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def rfc_key() -> rsa.RSAPrivateKey:
    p, q, n, e, d = (int.from_bytes(RFC9474[name]) for name in "pqned")
    public = rsa.RSAPublicNumbers(e, n)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


def test_the_vector_of_rfc_9474_is_signed_unblinded_and_verified() -> None:
    signer = _native.BlindSigner(as_der(rfc_key()))
    assert signer.modulus == RFC9474["n"]
    assert _native.blind_sign_many([(signer, RFC9474["blinded_msg"])], ENTROPY) == [RFC9474["blind_sig"]]
    message, inverse = RFC9474["msg"], RFC9474["inv"]
    assert _native.finalize(RFC9474["n"], RFC9474["blind_sig"], inverse, message) == RFC9474["sig"]
    pss = padding.PSS(padding.MGF1(SHA384()), salt_length=len(RFC9474["salt"]))
    rfc_key().public_key().verify(RFC9474["sig"], message, pss, SHA384())


@pytest.mark.parametrize("changed", ["blind_sig", "inv", "msg", "n"])
def test_a_changed_vector_of_rfc_9474_is_refused(changed: str) -> None:
    vector = dict(RFC9474)
    vector[changed] = bytes([vector[changed][0], vector[changed][1] ^ 1]) + vector[changed][2:]
    with pytest.raises(ValueError, match="Verification failed"):
        _native.finalize(vector["n"], vector["blind_sig"], vector["inv"], vector["msg"])


def test_a_token_verifies_under_its_key_and_for_its_slot_key_only() -> None:
    token = make_token(SIGNERS[0], slot_key(7))
    verify_token(SIGNERS[0].modulus, slot_key(7), token)
    with pytest.raises(BadSignature):
        verify_token(SIGNERS[0].modulus, slot_key(8), token)
    with pytest.raises(BadSignature):
        verify_token(SIGNERS[1].modulus, slot_key(7), token)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**256 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 2047))
def test_every_slot_key_gets_a_token_and_no_changed_bit_passes(number: int, seed: bytes, bit: int) -> None:
    token = make_token(SIGNERS[0], slot_key(number), seed)
    verify_token(SIGNERS[0].modulus, slot_key(number), token)
    changed = (int.from_bytes(token) ^ 1 << bit).to_bytes(256)
    with pytest.raises(BadSignature):
        verify_token(SIGNERS[0].modulus, slot_key(number), Token(changed))


def test_one_visit_signs_for_many_slots_at_once() -> None:
    slots = [(SIGNERS[number % 2], slot_key(number)) for number in range(16)]
    blinded = [blind.blind(signer.modulus, key, bytes([number]) * 32) for number, (signer, key) in enumerate(slots)]
    requests = [(signer, hidden.message) for (signer, _), hidden in zip(slots, blinded, strict=True)]
    signatures = blind_sign(requests, ENTROPY)
    for (signer, key), hidden, signature in zip(slots, blinded, signatures, strict=True):
        verify_token(signer.modulus, key, finalize(signer.modulus, signature, hidden.secret, key))
    assert blind_sign(requests, bytes(32)) == signatures


def test_the_same_slot_key_is_hidden_differently_each_time() -> None:
    first, second = (blind.blind(SIGNERS[0].modulus, slot_key(1), bytes([seed]) * 32) for seed in (1, 2))
    assert first.message != second.message
    assert first == blind.blind(SIGNERS[0].modulus, slot_key(1), b"\1" * 32)


def test_keys_follow_from_their_seeds_and_are_sound() -> None:
    again = make_issuer_keys([b"\2" * 32, b"\1" * 32])
    assert again == [KEYS[1], KEYS[0]]
    for number, key in enumerate(KEYS):
        numbers = private_key(number).private_numbers()
        assert key.modulus == numbers.public_numbers.n.to_bytes(256)
        assert numbers.public_numbers.e == 65537
        assert numbers.p.bit_length() == numbers.q.bit_length() == 1024
        assert abs(numbers.p - numbers.q) > 2**900
        assert all(pow(base, prime - 1, prime) == 1 for base in (3, 5, 7) for prime in (numbers.p, numbers.q))
    assert KEYS[0].modulus[:8].hex() == "bad7c9dc5d0c1d6f"


@pytest.mark.parametrize("salt", [0, 32, 47, 48, 49])
@pytest.mark.parametrize("hashing", [SHA384(), SHA256()], ids=["sha384", "sha256"])
def test_only_sha384_with_a_salt_of_48_bytes_is_a_token(salt: int, hashing: HashAlgorithm) -> None:
    pss = padding.PSS(padding.MGF1(hashing), salt_length=salt)
    token = Token(private_key(0).sign(slot_key(1), pss, hashing))
    if salt == 48 and isinstance(hashing, SHA384):
        verify_token(KEYS[0].modulus, slot_key(1), token)
    else:
        with pytest.raises(BadSignature):
            verify_token(KEYS[0].modulus, slot_key(1), token)


@pytest.mark.parametrize("token", [b"", bytes(256), b"\xff" * 256, bytes(255), bytes(257)], ids=len)
def test_other_bytes_are_no_token(token: bytes) -> None:
    with pytest.raises(BadSignature):
        verify_token(KEYS[0].modulus, slot_key(1), Token(token))


def test_a_token_and_its_modulus_added_is_another_spelling_and_refused() -> None:
    modulus = int.from_bytes(KEYS[0].modulus)
    tokens = {number: int.from_bytes(make_token(SIGNERS[0], slot_key(number))) for number in range(12)}
    spellings = {number: token + modulus for number, token in tokens.items() if token + modulus < 2**2048}
    assert spellings
    for number, token in spellings.items():
        with pytest.raises(BadSignature):
            verify_token(KEYS[0].modulus, slot_key(number), Token(token.to_bytes(256)))


BAD_MODULI = {
    "empty": b"",
    "even": KEYS[0].modulus[:-1] + bytes([KEYS[0].modulus[-1] ^ 1]),
    "2047 bits": bytes([0x7F]) + KEYS[0].modulus[1:],
    "1024 bits": KEYS[0].modulus[:128],
    "2056 bits": b"\x01" + KEYS[0].modulus,
    "zero": bytes(256),
}


@pytest.mark.parametrize("modulus", BAD_MODULI.values(), ids=BAD_MODULI)
def test_a_modulus_of_another_form_is_refused_everywhere(modulus: bytes) -> None:
    token = make_token(SIGNERS[0], slot_key(1))
    with pytest.raises(BadSignature, match="2048 bits"):
        verify_token(Modulus(modulus), slot_key(1), token)
    with pytest.raises(BadSignature, match="2048 bits"):
        finalize(Modulus(modulus), token, bytes(256), slot_key(1))
    with pytest.raises(CannotBlind, match="2048 bits"):
        blind.blind(Modulus(modulus), slot_key(1), bytes(32))


def test_an_issuer_that_signs_something_else_is_found_out() -> None:
    blinded = blind.blind(SIGNERS[0].modulus, slot_key(1), bytes(32))
    other = blind.blind(SIGNERS[0].modulus, slot_key(2), bytes(32))
    (signature,) = blind_sign([(SIGNERS[0], other.message)], ENTROPY)
    for answer in (signature, b"", bytes(256), b"\xff" * 256, signature[:-1]):
        with pytest.raises(BadSignature):
            finalize(SIGNERS[0].modulus, answer, blinded.secret, slot_key(1))


@pytest.mark.parametrize(
    "message", [b"", bytes(255), KEYS[0].modulus, b"\xff" * 256], ids=["empty", "short", "n", "top"]
)
def test_one_bad_message_and_nothing_is_signed(message: bytes) -> None:
    good = blind.blind(SIGNERS[0].modulus, slot_key(1), bytes(32)).message
    with pytest.raises(CannotBlind, match="message 1 of 3"):
        blind_sign([(SIGNERS[0], good), (SIGNERS[0], message), (SIGNERS[0], good)], ENTROPY)


def test_only_rsa_2048_keys_sign() -> None:
    with pytest.raises(CannotBlind):
        BlindSigner(b"no key")
    with pytest.raises(CannotBlind, match="2048 bits"):
        BlindSigner(as_der(rfc_key()))


def test_secrets_are_not_printed() -> None:
    blinded = blind.blind(SIGNERS[0].modulus, slot_key(1), bytes(32))
    assert "secret=…" in repr(blinded)
    assert "private=…" in repr(KEYS[0])
    assert "private=…" in repr(SIGNERS[0])
    assert repr(KEYS[0].private) not in repr(KEYS)


def test_seeds_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        make_issuer_keys([bytes(31)])
    with pytest.raises(CannotBlind, match="31 bytes"):
        blind.blind(SIGNERS[0].modulus, slot_key(1), bytes(31))
    with pytest.raises(ValueError, match="31 bytes"):
        blind_sign([], bytes(31))
