"""Light verification of block headers: arithmetic over what CometBFT v0.38 hashes and signs, no protobuf runtime.

A header is trusted when more than two thirds of the power of the validator set that genesis names (or that a trusted
header named as its next) signed it. Both engines write this one format; the embedded one has a set of one.
Sources: CometBFT `types/block.go`, `types/vote.go`, `types/canonical.go`, `types/validator_set.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from edgehold.crypto.merkle import tree_root
from edgehold.crypto.signatures import verify, verify_many
from edgehold.errors import BadHeader, BadSignature
from edgehold.wire.governance import Validator
from edgehold.wire.header import (
    Address,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    SignedHeader,
    ValidatorSet,
    VoteFlag,
)
from edgehold.wire.ids import Digest, PublicKey, Signature

PRECOMMIT = 2
SECOND = 10**9
ABSENT_TIME = -62_135_596_800 * SECOND
"""Nanoseconds of the year 1: the time that Go writes for a vote that is absent."""


def verify_header(signed: SignedHeader, chain: str, validators: ValidatorSet, entropy: bytes | None = None) -> Header:
    """Check that these validators of this chain signed a header; returns it, raises `BadHeader`.

    With `entropy` (32 random bytes that are used for nothing else) the votes are checked together, which is faster.

    1. Header and commit are of this chain and of one height.
    2. The commit's block is this header's hash.
    3. The header names exactly these validators.
    4. The commit has one place for each validator, in their order, and every vote in it (for the block or for nil)
       carries that validator's address and valid signature; an absent vote carries nothing.
    5. Votes for the block have more than two thirds of the power.
    """
    header, commit = signed.header, signed.commit
    place = f"header {header.height} of {header.chain}"
    # 1
    if header.chain != chain:
        raise BadHeader(f"{place}: the chain is {chain}")
    if commit.height != header.height:
        raise BadHeader(f"{place}: its commit is of height {commit.height}")
    # 2
    if commit.block.hash != (digest := hash_header(header)):
        raise BadHeader(f"{place}: the commit is for block {commit.block.hash.hex()}, the header is {digest.hex()}")
    # 3
    if header.validators_hash != (digest := hash_validators(validators)):
        raise BadHeader(f"{place}: it names validators {header.validators_hash.hex()}, not {digest.hex()}")
    # 4
    if len(commit.signatures) != len(validators.validators):
        raise BadHeader(f"{place}: {len(commit.signatures)} votes for {len(validators.validators)} validators")
    votes = list(zip(validators.validators, commit.signatures, strict=True))
    _verify_votes([item for each in votes for item in _claim_of(place, chain, commit, *each)], place, entropy)
    # 5
    power = sum(validator.power for validator, vote in votes if vote.flag is VoteFlag.BLOCK)
    total = sum(validator.power for validator in validators.validators)
    if power * 3 <= total * 2:
        raise BadHeader(f"{place}: {power} of {total} voting power signed it, more than two thirds is needed")
    return header


def verify_next_header(signed: SignedHeader, trusted: Header, validators: ValidatorSet) -> Header:
    """Check the header that follows a trusted one; returns it, raises `BadHeader`.

    1. It has the next height, a later time, and names the trusted header as its predecessor.
    2. The validators are those that the trusted header named as next, and they signed it (`verify_header`).
    """
    header = signed.header
    place = f"header {header.height} of {header.chain}"
    # 1
    if header.height != trusted.height + 1:
        raise BadHeader(f"{place}: it does not follow height {trusted.height}")
    if header.time <= trusted.time:
        raise BadHeader(f"{place}: its time is not after that of height {trusted.height}")
    if header.last_block.hash != (digest := hash_header(trusted)):
        raise BadHeader(f"{place}: it follows block {header.last_block.hash.hex()}, not {digest.hex()}")
    # 2
    if trusted.next_validators_hash != (digest := hash_validators(validators)):
        raise BadHeader(f"{place}: the next validators are {trusted.next_validators_hash.hex()}, not {digest.hex()}")
    return verify_header(signed, trusted.chain, validators)


Claim: TypeAlias = tuple[PublicKey, bytes, Signature]
"""A key, a message, and what is said to be the key's signature over it."""


def _claim_of(place: str, chain: str, commit: Commit, validator: Validator, vote: CommitSignature) -> list[Claim]:
    """What a vote claims to be signed; nothing if it is absent."""
    if vote.flag is VoteFlag.ABSENT:
        if vote != ABSENT_VOTE:
            raise BadHeader(f"{place}: an absent vote carries nothing")
        return []
    if vote.address != address_of(validator.key):
        raise BadHeader(
            f"{place}: a vote of {vote.address.hex()} where {address_of(validator.key).hex()} has its place"
        )
    block = commit.block if vote.flag is VoteFlag.BLOCK else None
    message = vote_bytes(chain, commit.height, commit.round, block, vote.time)
    return [(validator.key, message, Signature(vote.signature))]


def _verify_votes(claims: list[Claim], place: str, entropy: bytes | None) -> None:
    if entropy and all(verify_many(claims, entropy)):
        return
    for key, message, signature in claims:
        try:
            verify(key, message, signature)
        except BadSignature as error:
            raise BadHeader(f"{place}: the vote of {address_of(key).hex()} has no valid signature") from error


ABSENT_VOTE = CommitSignature(flag=VoteFlag.ABSENT, address=b"", time=0, signature=b"")


# ── hashes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def hash_header(header: Header) -> Digest:
    """The block's name: the root over the header's 14 fields, each in protobuf."""
    hashes = (
        header.last_commit_hash,
        header.data_hash,
        header.validators_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,
        header.last_results_hash,
        header.evidence_hash,
        header.proposer,
    )
    return tree_root(
        [
            _number(1, header.block_version) + _number(2, header.app_version),
            _bytes(1, header.chain.encode()),
            _number(1, header.height),
            _time(header.time),
            _block_id(header.last_block),
            *(_bytes(1, digest) for digest in hashes),
        ]
    )


@lru_cache(maxsize=64)
def hash_validators(validators: ValidatorSet) -> Digest:
    """The root over the keys and powers of a set, in its order; one set signs many headers."""
    return tree_root(
        [_bytes(1, _bytes(1, one.key)) + _number(2, one.power) for one in validators.validators],
    )


def hash_commit(commit: Commit | None) -> Digest:
    """The root over the votes of a commit; of none (before the first block) the root of an empty list."""
    votes = commit.signatures if commit else ()
    return tree_root([_commit_signature(vote) for vote in votes])


def hash_transactions(transactions: Sequence[bytes]) -> Digest:
    """The root over the SHA-256 of each transaction of a block."""
    return tree_root([transaction_leaf(transaction) for transaction in transactions])


def transaction_leaf(transaction: bytes) -> bytes:
    """What stands for a transaction in the list under `data_hash`."""
    return sha256(transaction).digest()


def hash_results(results: Iterable[tuple[int, bytes]]) -> Digest:
    """The root over code and receipt of each transaction of a block (CometBFT: code and data of `ExecTxResult`)."""
    return tree_root([_number(1, code) + _bytes(2, receipt) for code, receipt in results])


def hash_consensus_parameters(max_bytes: int, max_gas: int) -> Digest:
    """What a header says about the size of blocks; -1 is no limit."""
    return Digest(sha256(_number(1, max_bytes) + _number(2, max_gas)).digest())


@lru_cache(maxsize=1024)
def address_of(key: PublicKey) -> Address:
    """The name of a validator in headers and votes."""
    return Address(sha256(key).digest()[:20])


def order_validators(validators: Iterable[Validator]) -> ValidatorSet:
    """A validator set in CometBFT's order: falling power, then rising address."""
    return ValidatorSet(tuple(sorted(validators, key=lambda one: (-one.power, address_of(one.key)))))


def vote_bytes(chain: str, height: int, round_: int, block: BlockId | None, time: int, kind: int = PRECOMMIT) -> bytes:
    """What a validator signs (`CanonicalVote`, preceded by its length); `block` is None in a vote for nil.

    `time` in nanoseconds since 1970; `kind` is `PRECOMMIT` in every commit.
    """
    vote = (
        _number(1, kind)
        + _fixed(2, height)
        + _fixed(3, round_)
        + (_message(4, _block_id(block)) if block else b"")
        + _message(5, _time(time))
        + _bytes(6, chain.encode())
    )
    return _varint(len(vote)) + vote


# ── protobuf, as far as headers need it: fields in order, zero values left out ────────────────────────────────────


_SHORT = [bytes([value]) for value in range(0x80)]


def _varint(value: int) -> bytes:
    if 0 <= value <= 0x7F:
        return _SHORT[value]
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _fixed(field: int, value: int) -> bytes:
    return _varint(field << 3 | 1) + value.to_bytes(8, "little") if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return _message(field, value) if value else b""


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _time(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, SECOND)
    return _number(1, seconds) + _number(2, rest)


def _block_id(block: BlockId) -> bytes:
    parts = _number(1, block.parts.total) + _bytes(2, block.parts.hash)
    return _bytes(1, block.hash) + _message(2, parts)


def _commit_signature(vote: CommitSignature) -> bytes:
    time = ABSENT_TIME if vote.flag is VoteFlag.ABSENT else vote.time
    return _number(1, vote.flag) + _bytes(2, vote.address) + _message(3, _time(time)) + _bytes(4, vote.signature)
