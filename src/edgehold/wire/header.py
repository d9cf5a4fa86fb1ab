"""Block headers and the votes that sign them: what CometBFT v0.38 hashes and signs, in our own encoding.

A header is hashed and a vote is signed as CometBFT does it (`verify.header`), whichever engine keeps the ledger;
between parties they travel as the messages here. Hashes are 32 bytes, or empty where CometBFT leaves them empty.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, NewType, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.governance import Validator
from edgehold.wire.ids import Height

Hash: TypeAlias = Annotated[bytes, Meta(max_length=32)]
Address = NewType("Address", Annotated[bytes, Meta(min_length=20, max_length=20)])
"""The first 20 bytes of SHA-256 of a validator's key."""

Nanoseconds = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""Since 1970-01-01 UTC."""

Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Round = Annotated[int, Meta(ge=0, lt=2**31)]


class PartSetHeader(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Into how many parts the proposer cut the block to send it, and their root."""

    total: Annotated[int, Meta(ge=0, lt=2**32)]
    hash: Hash


class BlockId(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The name of a block: the hash of its header and of its parts; both empty before the first block."""

    hash: Hash
    parts: PartSetHeader


NO_BLOCK = BlockId(hash=b"", parts=PartSetHeader(total=0, hash=b""))


class Header(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the validators agree on about one block; `app_hash` is the root of the state *before* it."""

    block_version: Version
    app_version: Version
    chain: Annotated[str, Meta(max_length=64)]
    height: Height
    time: Nanoseconds
    last_block: BlockId
    last_commit_hash: Hash  # root of the commit that signed the previous header
    data_hash: Hash  # root of the SHA-256 of each transaction
    validators_hash: Hash
    next_validators_hash: Hash
    consensus_hash: Hash
    app_hash: Hash  # root of the state after the previous block
    last_results_hash: Hash  # root of the previous block's receipts
    evidence_hash: Hash
    proposer: Address


class VoteFlag(IntEnum):
    """How a validator voted in a commit."""

    ABSENT = 1
    BLOCK = 2
    NIL = 3


class CommitSignature(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One validator's precommit; an absent one has an empty address and signature and time 0."""

    flag: VoteFlag
    address: Annotated[bytes, Meta(max_length=20)]
    time: Nanoseconds
    signature: Annotated[bytes, Meta(max_length=64)]


class Commit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The precommits for one block, in the order of the validator set."""

    height: Height
    round: Round
    block: BlockId
    signatures: Annotated[tuple[CommitSignature, ...], Meta(max_length=200)]


class SignedHeader(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A header and the commit that signs it."""

    header: Header
    commit: Commit


class ValidatorSet(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who signs, in CometBFT's order: falling power, then rising address."""

    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=200)]
