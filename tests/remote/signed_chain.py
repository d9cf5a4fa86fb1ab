"""A chain of several validators in one process: real keys, real headers, real votes, and sets that change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from edgehold.crypto.signatures import SigningKey
from edgehold.verify.header import (
    ABSENT_VOTE,
    address_of,
    hash_commit,
    hash_consensus_parameters,
    hash_header,
    hash_results,
    hash_transactions,
    hash_validators,
    order_validators,
    vote_bytes,
)
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
from edgehold.wire.ids import Digest
from edgehold.wire.light import LightBlock

SECOND = 10**9
START = 1_790_000_000 * SECOND


def key_of(number: int) -> SigningKey:
    """The key of a validator by its number."""
    return SigningKey(number.to_bytes(32, "big"))


KEYS = {key_of(number).public: key_of(number) for number in range(1, 40)}


def set_of(*numbers: int, power: int = 10) -> ValidatorSet:
    """Validators of equal power by their numbers."""
    return order_validators(Validator(key_of(number).public, power) for number in numbers)


FOUR = set_of(1, 2, 3, 4)


def commit_of(header: Header, validators: ValidatorSet, absent: Sequence[int] = (), round_: int = 0) -> Commit:
    """The votes of a set for a header; those at the places in `absent` do not vote."""
    digest = hash_header(header)
    block = BlockId(hash=digest, parts=PartSetHeader(total=1, hash=digest))
    votes = []
    for place, validator in enumerate(validators.validators):
        if place in absent:
            votes.append(ABSENT_VOTE)
            continue
        time = header.time + place + 1
        signature = KEYS[validator.key].sign(vote_bytes(header.chain, header.height, round_, block, time))
        votes.append(CommitSignature(VoteFlag.BLOCK, address_of(validator.key), time, signature))
    return Commit(height=header.height, round=round_, block=block, signatures=tuple(votes))


@dataclass
class Block:
    """One block: its header with the votes, who voted, its transactions and their results."""

    signed: SignedHeader
    validators: ValidatorSet
    transactions: list[bytes] = field(default_factory=list)
    results: list[tuple[int, bytes]] = field(default_factory=list)


class SignedChain:
    """Blocks 1, 2, … of one chain; whoever makes it says what is in them."""

    def __init__(self, chain: str = "test-chain", validators: ValidatorSet = FOUR, start: int = START) -> None:
        self.chain = chain
        self.start = start
        self.blocks: list[Block] = []
        self.next_validators = validators

    @property
    def height(self) -> int:
        return len(self.blocks)

    def block(self, height: int) -> Block:
        return self.blocks[height - 1]

    def header(self, height: int) -> Header:
        return self.blocks[height - 1].signed.header

    def validators(self, height: int) -> ValidatorSet:
        """Who signs a height, also the one above the last."""
        return self.next_validators if height == self.height + 1 else self.blocks[height - 1].validators

    def query(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]:
        """Headers alone have no application."""
        return 1, "nothing to ask", b""

    def broadcast(self, transaction: bytes) -> tuple[int, str]:
        """Headers alone take nothing."""
        return 1, "nothing to do"

    def now(self) -> int:
        """A clock that goes with the chain (`ports.Clock`)."""
        return (self.blocks[-1].signed.header.time if self.blocks else self.start) + SECOND

    def append(
        self,
        *,
        app_hash: bytes = bytes(32),
        transactions: Sequence[bytes] = (),
        results: Sequence[tuple[int, bytes]] = (),
        next_validators: ValidatorSet | None = None,
        absent: Sequence[int] = (),
        time: int | None = None,
    ) -> SignedHeader:
        """Make the next block; `app_hash` is the state's before it, `next_validators` sign the block after it."""
        validators = self.next_validators
        self.next_validators = next_validators or validators
        last = self.blocks[-1] if self.blocks else None
        header = Header(
            block_version=11,
            app_version=1,
            chain=self.chain,
            height=self.height + 1,
            time=time or (last.signed.header.time + SECOND if last else self.start),
            last_block=last.signed.commit.block if last else NO_BLOCK,
            last_commit_hash=hash_commit(last.signed.commit if last else None),
            data_hash=hash_transactions(transactions),
            validators_hash=hash_validators(validators),
            next_validators_hash=hash_validators(self.next_validators),
            consensus_hash=hash_consensus_parameters(1 << 20, -1),
            app_hash=app_hash,
            last_results_hash=hash_results(last.results if last else []),
            evidence_hash=hash_results([]),
            proposer=Address(address_of(validators.validators[0].key)),
        )
        signed = SignedHeader(header=header, commit=commit_of(header, validators, absent))
        self.blocks.append(Block(signed, validators, list(transactions), list(results)))
        return signed

    def light(self, height: int) -> LightBlock:
        """A header with the validators around it."""
        block = self.blocks[height - 1]
        following = self.validators(height + 1)
        return LightBlock(block.signed, block.validators, None if following == block.validators else following)

    def fork(self, height: int, **changes: object) -> SignedChain:
        """The same chain up to below a height, where the validators signed another block as well."""
        other = SignedChain(self.chain, self.blocks[0].validators, self.start)
        other.blocks = self.blocks[: height - 1]
        other.next_validators = self.validators(height)
        other.append(app_hash=Digest(b"\x66" * 32), **changes)  # type: ignore[arg-type]
        return other


def altered(signed: SignedHeader, validators: ValidatorSet, **changes: object) -> SignedHeader:
    """A header with other fields, signed by the set all the same."""
    header = replace(signed.header, **changes)
    return SignedHeader(header=header, commit=commit_of(header, validators))


def grown(count: int, every: int = 0) -> SignedChain:
    """A chain of so many headers; every so many heights one validator of four is replaced by a new one."""
    chain, members = SignedChain(), [1, 2, 3, 4]
    for height in range(1, count + 1):
        changed = bool(every) and height % every == 0
        if changed:
            members = [*members[1:], members[-1] % 39 + 1]
        chain.append(next_validators=set_of(*members) if changed else None)
    return chain
