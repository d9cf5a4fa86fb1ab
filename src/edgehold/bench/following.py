"""What a light client pays: for a header, for a proof, and for 10,000 headers that came while it was away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

from edgehold.bench.ledger import milliseconds
from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.bench.traffic import GENESIS, OFFICE
from edgehold.bench.validators import Network
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey, verify, verify_many
from edgehold.system import SystemRandomness
from edgehold.verify.header import (
    SECOND,
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
from edgehold.verify.inclusion import verify_answer
from edgehold.verify.light import FOREVER, Terms, reach, verify_step
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
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
from edgehold.wire.light import LightBlock
from edgehold.wire.query import ENTRY, EntryAnswer

START = GENESIS.time
TERMS = Terms(chain=GENESIS.chain, period=FOREVER, drift=SECOND)
REPLACED_EVERY = 1000
"""Heights after which one validator of four gives its place to a new one."""

SYSTEM = SystemRandomness()


@dataclass(frozen=True)
class Shown:
    """What a node of a real network shows: a header, the next one, and an entry of the state that the next one signs."""

    trusted: LightBlock
    following: bytes
    key: bytes
    answer: bytes


def shown_by(network: Network) -> Shown:
    """What the first node shows of its last blocks."""
    node, height = network.node, network.applied()[0]
    validators = order_validators(GENESIS.validators)
    before, last = (LightBlock(node.signed_header(at), validators, None) for at in (height - 1, height))
    key = entry_key(Collection.ACCOUNT, account_id(Role.ORGANISATION, OFFICE.public))
    return Shown(before, encode(last), key, node.query(ENTRY, key, height - 1).value)


def measure_light(work: Work, shown: Shown) -> list[Row]:
    """Every figure of the light client; what comes over the network comes as bytes."""
    count = 10_000 if not work.quick else 200
    work.say(f"a chain of {count:,} headers")
    chain = make_chain(count + 1)
    return [*_measure_one(work, shown), *_measure_many(work, chain, count)]


def _measure_one(work: Work, shown: Shown) -> list[Row]:
    times = 20 if work.quick else 500
    last = decode(shown.following, LightBlock)
    votes = _votes(last)
    key, message, signature = votes[0]
    now = last.signed.header.time + 1

    def step() -> None:
        verify_step(shown.trusted, decode(shown.following, LightBlock), TERMS, now=now, entropy=SYSTEM.draw(32))

    def check_votes() -> None:
        if not all(verify_many(votes, SYSTEM.draw(32))):
            raise RuntimeError("a vote does not hold")

    def prove() -> None:
        answer = decode(shown.answer, EntryAnswer)
        verify_answer(last.signed, shown.key, answer.value, answer.proof)

    found = interleave(
        work.runs,
        {
            "step": lambda: milliseconds(times, step),
            "votes": lambda: milliseconds(times, check_votes),
            "proof": lambda: milliseconds(times, prove),
            "one": lambda: milliseconds(times, lambda: verify(key, message, signature)),
        },
    )
    return [
        make_row("light client: a header step", "ms", found["step"], "the checks of its votes alone", found["votes"]),
        make_row("light client: a state proof", "ms", found["proof"], "one signature check", found["one"]),
    ]


def _measure_many(work: Work, chain: Sequence[bytes], count: int) -> list[Row]:
    claims = [_votes(decode(data, LightBlock)) for data in chain[1:]]

    def check_votes() -> float:
        started = perf_counter()
        for votes in claims:
            if not all(verify_many(votes, SYSTEM.draw(32))):
                raise RuntimeError("a vote does not hold")
        return perf_counter() - started

    subjects = {"each": lambda: follow(chain), "skipping": lambda: skip(chain), "votes": check_votes}
    found = interleave(work.runs, subjects)
    name = f"light client: {count:,} headers behind"
    return [
        make_row(f"{name}, one by one", "s", found["each"], "the checks of their votes alone", found["votes"]),
        make_row(f"{name}, skipping", "s", found["skipping"], "one header after the other", found["each"]),
    ]


def follow(chain: Sequence[bytes]) -> float:
    """Seconds to verify every header of a chain after the first."""
    now = decode(chain[-1], LightBlock).signed.header.time + 1
    started = perf_counter()
    trusted = decode(chain[0], LightBlock)
    for data in chain[1:]:
        block = decode(data, LightBlock)
        verify_step(trusted, block, TERMS, now=now, entropy=SYSTEM.draw(32))
        trusted = block
    return perf_counter() - started


def skip(chain: Sequence[bytes]) -> float:
    """Seconds to reach the last header of a chain from the first over as few as there need be."""
    now = decode(chain[-1], LightBlock).signed.header.time + 1
    started = perf_counter()
    search = reach(decode(chain[0], LightBlock), len(chain), TERMS, now=now, randomness=SYSTEM)
    height = next(search)
    while True:
        try:
            height = search.send(decode(chain[height - 1], LightBlock))
        except StopIteration as end:
            if cast(list[LightBlock], end.value)[-1].height != len(chain):
                raise RuntimeError("the search ended below the last header") from end
            return perf_counter() - started


# ── a chain ───────────────────────────────────────────────────────────────────────────────────────────────────────


def make_chain(count: int) -> list[bytes]:
    """So many headers with their votes; one validator of four is replaced now and then."""
    keys = [_key(number) for number in range(4)]
    chain: list[bytes] = []
    last: SignedHeader | None = None
    for height in range(1, count + 1):
        following = [*keys[1:], _key(height)] if height % REPLACED_EVERY == 0 else keys
        own, after = _set(keys), _set(following)
        header = _header(height, last, own, after)
        last = SignedHeader(header, _commit(header, own, {key.public: key for key in keys}))
        chain.append(encode(LightBlock(last, own, None if after == own else after)))
        keys = following
    return chain


def _key(number: int) -> SigningKey:
    return SigningKey(b"validator" + number.to_bytes(23, "big"))


def _set(keys: Sequence[SigningKey]) -> ValidatorSet:
    return order_validators(Validator(key.public, 10) for key in keys)


def _header(height: int, last: SignedHeader | None, validators: ValidatorSet, following: ValidatorSet) -> Header:
    return Header(
        block_version=11,
        app_version=1,
        chain=GENESIS.chain,
        height=height,
        time=START + height * SECOND,
        last_block=last.commit.block if last else NO_BLOCK,
        last_commit_hash=hash_commit(last.commit if last else None),
        data_hash=hash_transactions([]),
        validators_hash=hash_validators(validators),
        next_validators_hash=hash_validators(following),
        consensus_hash=hash_consensus_parameters(1 << 20, -1),
        app_hash=bytes(32),
        last_results_hash=hash_results([]),
        evidence_hash=hash_results([]),
        proposer=Address(address_of(validators.validators[0].key)),
    )


def _commit(header: Header, validators: ValidatorSet, keys: dict[PublicKey, SigningKey]) -> Commit:
    digest = hash_header(header)
    block = BlockId(hash=digest, parts=PartSetHeader(total=1, hash=digest))
    votes = tuple(
        CommitSignature(
            VoteFlag.BLOCK,
            address_of(validator.key),
            header.time + 1,
            keys[validator.key].sign(vote_bytes(header.chain, header.height, 0, block, header.time + 1)),
        )
        for validator in validators.validators
    )
    return Commit(height=header.height, round=0, block=block, signatures=votes)


def _votes(block: LightBlock) -> list[tuple[PublicKey, bytes, Signature]]:
    """Key, message and signature of each vote for a header."""
    commit = block.signed.commit
    return [
        (
            validator.key,
            vote_bytes(TERMS.chain, commit.height, commit.round, commit.block, vote.time),
            Signature(vote.signature),
        )
        for validator, vote in zip(block.validators.validators, commit.signatures, strict=True)
        if vote.flag is VoteFlag.BLOCK
    ]
