"""Ed25519 by ZIP-215: the same verdict singly and in batches, for honest and for hostile bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold.crypto.signatures import SigningKey, Verification, verify, verify_many
from edgehold.errors import BadSignature
from edgehold.wire.ids import Digest, PublicKey, Signature

Claim = tuple[PublicKey, bytes, Signature]


def claim(key: bytes, message: bytes, signature: bytes) -> Claim:
    return PublicKey(Digest(key)), message, Signature(signature)


CASES = [
    (case["case"], claim(*(bytes.fromhex(case[part]) for part in ("key", "message", "signature"))), case["holds"])
    for case in json.loads((Path(__file__).parents[1] / "vectors" / "zip215.json").read_text())
]
ENTROPY = bytes(range(32))


def holds(item: Claim) -> bool:
    try:
        verify(*item)
    except BadSignature:
        return False
    return True


def test_the_vectors_have_all_196_small_order_cases_and_bad_ones() -> None:
    small = [item for name, item, _ in CASES if name == "small order"]
    assert len(set(small)) == 196
    assert len({key for key, _, _ in small}) == 14
    assert sum(not expected for _, _, expected in CASES) == 17


@pytest.mark.parametrize(
    ("name", "item", "expected"), CASES, ids=[f"{n}-{name}" for n, (name, _, _) in enumerate(CASES)]
)
def test_single_verification_follows_zip215(name: str, item: Claim, expected: bool) -> None:
    assert holds(item) is expected


def holds_in_pieces(item: Claim, size: int) -> bool:
    key, message, signature = item
    verification = Verification(key, signature)
    for start in range(0, len(message), size):
        verification.update(message[start : start + size])
    try:
        verification.finish()
    except BadSignature:
        return False
    return True


def test_a_message_in_pieces_holds_by_zip215_too() -> None:
    in_pieces = [holds_in_pieces(item, 3) for _, item, _ in CASES]
    assert all(expected or not found for found, (_, _, expected) in zip(in_pieces, CASES, strict=True))
    assert any(in_pieces)
    assert sum(expected for _, _, expected in CASES) > sum(in_pieces), "only ZIP-215 takes what is off by the cofactor"
    key = SigningKey(bytes(32))
    item = claim(key.public, bytes(100), key.sign(bytes(100)))
    assert holds_in_pieces(item, 7)
    assert not holds_in_pieces(claim(key.public, bytes(99), item[2]), 7)
    for broken in (claim(b"", *item[1:]), claim(*item[:2], b""), claim(*item[:2], item[2] + b"x")):
        assert not holds_in_pieces(broken, 7)


def test_batches_follow_zip215_in_any_order() -> None:
    dice = random.Random(5)
    for threads in (1, 2, 3):
        mixed = dice.sample(CASES, len(CASES))
        verdicts = verify_many([item for _, item, _ in mixed], dice.randbytes(32), threads=threads)
        assert verdicts == [expected for _, _, expected in mixed]


@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
)
def test_signing_is_that_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    verify(key.public, bytes.fromhex(message), Signature(bytes.fromhex(signature)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64), st.integers(0, 700), st.floats(0, 1), st.integers(1, 4))
def test_a_batch_says_of_each_what_single_verification_says(seed: int, size: int, bad: float, threads: int) -> None:
    dice = random.Random(seed)
    keys = [SigningKey(dice.randbytes(32)) for _ in range(3)]
    items = []
    for number in range(size):
        key, message = dice.choice(keys), number.to_bytes(2, "big")
        parts = [bytearray(key.public), bytearray(message), bytearray(key.sign(message))]
        if dice.random() < bad / 10:
            changed = dice.choice(parts)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        items.append(claim(*map(bytes, parts)))
    assert verify_many(items, dice.randbytes(32), threads=threads) == [holds(item) for item in items]


@given(st.lists(st.tuples(st.binary(max_size=70), st.binary(max_size=5), st.binary(max_size=70)), max_size=9))
def test_any_bytes_are_a_bad_signature_and_nothing_worse(triples: list[tuple[bytes, bytes, bytes]]) -> None:
    items = [claim(*triple) for triple in triples]
    assert verify_many(items, ENTROPY) == [holds(item) for item in items]


def test_an_empty_batch_has_no_verdicts() -> None:
    assert verify_many([], ENTROPY) == []


def test_the_refusal_names_the_key_and_not_the_message() -> None:
    key = SigningKey(bytes(32))
    with pytest.raises(BadSignature, match=key.public.hex()) as caught:
        verify(key.public, b"a secret message", key.sign(b"another"))
    assert "secret" not in str(caught.value)


def test_a_signing_key_prints_its_public_half_only() -> None:
    seed = bytes(range(100, 132))
    key = SigningKey(seed)
    assert repr(key) == f"SigningKey(public={key.public.hex()}, seed=…)"
    assert seed.hex() not in repr(vars(key))


def test_a_key_is_made_from_32_bytes_only() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(31))
    with pytest.raises(ValueError, match="entropy has 31 bytes"):
        verify_many([], bytes(31))
    with pytest.raises(ValueError, match="threads"):
        verify_many([], ENTROPY, threads=0)
