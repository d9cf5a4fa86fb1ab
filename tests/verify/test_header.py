"""Headers: published hashes and sign-bytes, a real chain, and every altered header or commit refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edgehold.crypto.signatures import SigningKey
from edgehold.errors import BadHeader, Malformed
from edgehold.verify.header import (
    ABSENT_TIME,
    ABSENT_VOTE,
    address_of,
    hash_commit,
    hash_consensus_parameters,
    hash_header,
    hash_results,
    hash_transactions,
    hash_validators,
    order_validators,
    verify_header,
    verify_next_header,
    vote_bytes,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Validator
from edgehold.wire.header import (
    NO_BLOCK,
    Address,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    PartSetHeader,
    SignedHeader,
    ValidatorSet,
    VoteFlag,
)
from edgehold.wire.ids import PublicKey, Signature

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "cometbft.json").read_text())
CHAIN = "test-chain"
HASHES = [name for name in Header.__struct_fields__ if name.endswith("_hash")]


def block_of(data: dict[str, Any]) -> BlockId:
    return BlockId(bytes.fromhex(data["hash"]), PartSetHeader(data["total"], bytes.fromhex(data["parts"])))


def signed_of(data: dict[str, Any]) -> SignedHeader:
    fields: dict[str, Any] = {
        name: block_of(value)
        if name == "last_block"
        else value
        if not isinstance(value, str) or name == "chain"
        else bytes.fromhex(value)
        for name, value in data["header"].items()
    }
    commit = data["commit"]
    signatures = tuple(
        CommitSignature(
            VoteFlag(vote["flag"]), bytes.fromhex(vote["address"]), vote["time"], bytes.fromhex(vote["signature"])
        )
        for vote in commit["signatures"]
    )
    return SignedHeader(
        Header(**fields), Commit(commit["height"], commit["round"], block_of(commit["block"]), signatures)
    )


def validators_of(data: list[dict[str, Any]]) -> ValidatorSet:
    return ValidatorSet(tuple(Validator(PublicKey(bytes.fromhex(one["key"])), one["power"]) for one in data))


FIRST, SECOND = (signed_of(data) for data in VECTORS["one_validator"]["chain"])
ALONE = validators_of(VECTORS["one_validator"]["validators"])
SHARED = signed_of(VECTORS["four_validators"]["signed"])
FOUR = validators_of(VECTORS["four_validators"]["validators"])


@pytest.mark.parametrize("vote", VECTORS["votes"])
def test_a_vote_signs_the_published_bytes(vote: dict[str, Any]) -> None:
    signed = vote_bytes(vote["chain"], vote["height"], vote["round"], None, ABSENT_TIME, kind=vote["kind"])
    assert signed.hex() == vote["bytes"]


def test_a_header_has_the_published_hash() -> None:
    vector = VECTORS["header_hash"]
    fields: dict[str, Any] = {name: sha256(name.encode()).digest() for name in HASHES}
    fields |= {name: vector[name] for name in ["block_version", "app_version", "chain", "height", "time"]}
    header = Header(
        last_block=BlockId(bytes(32), PartSetHeader(6, bytes(32))),
        proposer=Address(sha256(b"proposer_address").digest()[:20]),
        **fields,
    )
    assert hash_header(header).hex() == vector["hash"]


def test_consensus_parameters_have_the_published_hash() -> None:
    vector = VECTORS["default_consensus_hash"]
    assert hash_consensus_parameters(vector["max_bytes"], vector["max_gas"]).hex() == vector["hash"]


def test_transactions_have_the_root_that_a_node_computed() -> None:
    vector = VECTORS["transaction"]
    assert hash_transactions([bytes.fromhex(vector["bytes"])]).hex() == vector["data_hash"]


def test_two_headers_of_a_real_node_verify_one_after_the_other() -> None:
    trusted = verify_header(FIRST, "dockerchain", ALONE)
    header = verify_next_header(SECOND, trusted, ALONE)
    assert header.height == 236
    assert hash_validators(ALONE) == FIRST.header.validators_hash
    assert hash_commit(FIRST.commit) == SECOND.header.last_commit_hash


def test_a_header_signed_by_four_verifies() -> None:
    assert verify_header(SHARED, CHAIN, FOUR) == SHARED.header
    assert order_validators(reversed(FOUR.validators)) == FOUR
    published = [one["address"] for one in VECTORS["four_validators"]["validators"]]
    assert [address_of(one.key).hex() for one in FOUR.validators] == published


def test_a_signed_header_travels_as_one_message() -> None:
    assert decode(encode(SECOND), SignedHeader) == SECOND


def test_nothing_has_the_root_of_an_empty_list() -> None:
    empty = sha256(b"").digest()
    assert hash_transactions([]) == hash_results([]) == hash_commit(None) == empty


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


def votes(signed: SignedHeader, *changed: tuple[int, CommitSignature]) -> SignedHeader:
    signatures = list(signed.commit.signatures)
    for index, vote in changed:
        signatures[index] = vote
    return replace(signed, commit=replace(signed.commit, signatures=tuple(signatures)))


def test_a_header_of_another_chain_is_refused() -> None:
    with pytest.raises(BadHeader, match="the chain is"):
        verify_header(SHARED, "another", FOUR)


def test_a_commit_of_another_height_or_block_is_refused() -> None:
    with pytest.raises(BadHeader, match="its commit is of height"):
        verify_header(replace(FIRST, commit=SECOND.commit), "dockerchain", ALONE)
    other = replace(FIRST.commit, block=SECOND.commit.block)
    with pytest.raises(BadHeader, match="the commit is for block"):
        verify_header(replace(FIRST, commit=other), "dockerchain", ALONE)


def test_other_validators_are_refused() -> None:
    fewer = ValidatorSet(FOUR.validators[:3])
    stronger = ValidatorSet((replace(FOUR.validators[0], power=51), *FOUR.validators[1:]))
    for validators in [fewer, stronger]:
        with pytest.raises(BadHeader, match="it names validators"):
            verify_header(SHARED, CHAIN, validators)


def test_more_than_two_thirds_of_the_power_are_needed() -> None:
    verify_header(votes(SHARED, (0, ABSENT_VOTE)), CHAIN, FOUR)
    with pytest.raises(BadHeader, match="100 of 200 voting power"):
        verify_header(votes(SHARED, (0, ABSENT_VOTE), (1, ABSENT_VOTE)), CHAIN, FOUR)
    seeds = [bytes([number]) * 32 for number in range(3)]
    three = ValidatorSet(tuple(Validator(SigningKey(seed).public, 1) for seed in seeds))
    verify_header(signed_by(seeds, [0, 1, 2]), "chain", three)
    with pytest.raises(BadHeader, match="2 of 3 voting power"):
        verify_header(signed_by(seeds, [0, 1]), "chain", three)


def signed_by(seeds: list[bytes], voting: list[int], flag: VoteFlag = VoteFlag.BLOCK) -> SignedHeader:
    keys = [SigningKey(seed) for seed in seeds]
    validators = ValidatorSet(tuple(Validator(key.public, 1) for key in keys))
    header = replace(SHARED.header, chain="chain", validators_hash=hash_validators(validators), last_block=NO_BLOCK)
    block = BlockId(hash_header(header), PartSetHeader(1, bytes(32)))
    named = block if flag is VoteFlag.BLOCK else None
    message = vote_bytes("chain", 1, 0, named, 7)
    signatures = tuple(
        CommitSignature(flag, address_of(key.public), 7, key.sign(message)) if index in voting else ABSENT_VOTE
        for index, key in enumerate(keys)
    )
    return SignedHeader(header, Commit(1, 0, block, signatures))


def test_votes_for_nil_count_for_nothing() -> None:
    validators = ValidatorSet((Validator(SigningKey(bytes(32)).public, 1),))
    with pytest.raises(BadHeader, match="0 of 1 voting power"):
        verify_header(signed_by([bytes(32)], [0], VoteFlag.NIL), "chain", validators)


def test_a_vote_in_the_wrong_place_or_with_a_broken_signature_is_refused() -> None:
    first, second, *_ = SHARED.commit.signatures
    with pytest.raises(BadHeader, match="has its place"):
        verify_header(votes(SHARED, (0, second), (1, first)), CHAIN, FOUR)
    for broken in [bytes(64), first.signature[:63], second.signature]:
        with pytest.raises(BadHeader, match="no valid signature"):
            verify_header(votes(SHARED, (0, replace(first, signature=Signature(broken)))), CHAIN, FOUR)


def test_a_vote_too_many_or_too_few_is_refused() -> None:
    signatures = SHARED.commit.signatures
    for other in [signatures[:3], (*signatures, ABSENT_VOTE)]:
        with pytest.raises(BadHeader, match="for 4 validators"):
            verify_header(replace(SHARED, commit=replace(SHARED.commit, signatures=other)), CHAIN, FOUR)


def test_an_absent_vote_carries_nothing() -> None:
    odd = [
        replace(ABSENT_VOTE, time=1),
        replace(ABSENT_VOTE, address=bytes(20)),
        replace(ABSENT_VOTE, signature=bytes(64)),
    ]
    for vote in odd:
        with pytest.raises(BadHeader, match="carries nothing"):
            verify_header(votes(SHARED, (0, vote)), CHAIN, FOUR)


def test_any_byte_changed_in_a_signed_header_is_noticed() -> None:
    for signed, chain, validators in [(SECOND, "dockerchain", ALONE), (SHARED, CHAIN, FOUR)]:
        data = encode(signed)
        for place in range(len(data)):
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            with pytest.raises((BadHeader, Malformed)):
                verify_header(decode(changed, SignedHeader), chain, validators)


def test_a_header_that_does_not_follow_is_refused() -> None:
    with pytest.raises(BadHeader, match="does not follow height"):
        verify_next_header(FIRST, FIRST.header, ALONE)
    with pytest.raises(BadHeader, match="its time"):
        verify_next_header(SECOND, replace(FIRST.header, time=SECOND.header.time), ALONE)
    with pytest.raises(BadHeader, match="it follows block"):
        verify_next_header(SECOND, replace(FIRST.header, app_hash=b""), ALONE)
    with pytest.raises(BadHeader, match="the next validators are"):
        verify_next_header(SECOND, FIRST.header, FOUR)
