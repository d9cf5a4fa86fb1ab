"""Which header may be trusted because an earlier one is, also where validators changed in between.

This is the skipping verification of CometBFT's light client. It holds as long as, of the validators that a trusted
header names as next, less than a third are dishonest for the whole trust period: one honest one among those who signed
is enough to know that the header is the chain's. A header that too few of them signed is reached over one between.
Nothing here asks anybody: whoever follows the chain is told which heights are wanted, and brings them.
Sources: CometBFT `light/verifier.go`, `light/client.go`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from edgehold.errors import BadHeader, TooFarAhead, TrustExpired
from edgehold.ports import Randomness
from edgehold.verify.header import hash_header, hash_validators, verify_header
from edgehold.wire.header import Header, SignedHeader, ValidatorSet, VoteFlag
from edgehold.wire.ids import Height, PublicKey
from edgehold.wire.light import Fork, LightBlock, ValidatorChange

Search: TypeAlias = Generator[Height, LightBlock, list[LightBlock]]
"""Yields a height, is sent its block, and returns the trusted blocks of the way."""

FOREVER = 2**63


class Reign(NamedTuple):
    """From which height on a set of validators signs."""

    since: Height
    validators: ValidatorSet


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How far trust reaches, in nanoseconds."""

    chain: str
    period: int
    """After its time and this period a trusted header is the start of nothing: its validators may have left."""
    drift: int
    """So far may a header's time lie ahead of one's own clock."""


def verify_step(
    trusted: LightBlock, block: LightBlock, terms: Terms, *, now: int, entropy: bytes | None = None
) -> Header:
    """Check a later header of any height against a trusted one; returns it.

    1. The trusted header is not older than the trust period (`TrustExpired`).
    2. The new one has a greater height and a later time, which is not in the future.
    3. If it has the next height: it names the trusted header as its predecessor, and its validators are those that
       the trusted one named as next. Otherwise more than a third of their power voted for it (`TooFarAhead`).
    4. Its own validators signed it (`verify_header`), and the next ones are those it names.

    `now` in nanoseconds since 1970; with `entropy` (32 random bytes) the votes are checked together. Raises `BadHeader`.
    """
    old, header = trusted.signed.header, block.signed.header
    place = f"header {header.height} of {header.chain}"
    # 1
    if old.time + terms.period <= now:
        raise TrustExpired(
            f"header {old.height} of {old.chain} was trusted until {old.time + terms.period}, now is {now}"
        )
    # 2
    if header.height <= old.height or header.time <= old.time:
        raise BadHeader(f"{place}: height or time do not come after those of height {old.height}")
    if header.time >= now + terms.drift:
        raise BadHeader(f"{place}: its time {header.time} is in the future, now is {now}")
    # 3
    if header.height == old.height + 1:
        _check_follows(place, header, trusted.signed)
    else:
        _check_overlap(place, trusted.following, block)
    # 4
    verify_header(block.signed, terms.chain, block.validators, entropy)
    check_next_validators(block)
    return header


def reach(trusted: LightBlock, height: Height, terms: Terms, *, now: int, randomness: Randomness) -> Search:
    """The way from a trusted header to a later height, by as few headers as there need be.

    Yields the heights of the blocks that it wants to see, the target first, and one half way where a step is too far.
    Returns the way: the trusted block, those between, the target. Raises as `verify_step`.
    """
    way = [trusted]
    ahead = [_of_height(height, (yield height))]
    while ahead:
        try:
            verify_step(way[-1], ahead[-1], terms, now=now, entropy=randomness.draw(32))
        except TooFarAhead:
            between = (way[-1].height + ahead[-1].height) // 2
            ahead.append(_of_height(between, (yield between)))
        else:
            way.append(ahead.pop())
    return way


def verify_first(block: LightBlock, terms: Terms, validators: ValidatorSet, *, entropy: bytes | None = None) -> None:
    """Check the first header of a chain against the validators of genesis; raises `BadHeader`."""
    if block.height != 1 or block.validators != validators:
        raise BadHeader(f"header {block.height} of {terms.chain} is not the first, or not of the validators of genesis")
    verify_header(block.signed, terms.chain, validators, entropy)
    check_next_validators(block)


def verify_earlier(header: Header, later: Header) -> None:
    """Check that a header is the predecessor of a trusted one, by its hash alone; raises `BadHeader`."""
    if later.last_block.hash != hash_header(header) or header.height != later.height - 1:
        raise BadHeader(f"header {header.height} is not the one that header {later.height} of {later.chain} follows")


def check_next_validators(block: LightBlock) -> None:
    """The set that comes with a header as its next is the one that it names; raises `BadHeader`."""
    if block.signed.header.next_validators_hash != (digest := hash_validators(block.following)):
        named = block.signed.header.next_validators_hash.hex()
        raise BadHeader(f"header {block.height} names the next validators {named}, not {digest.hex()}")


def verify_changes(changes: Sequence[ValidatorChange], chain: str, founding: ValidatorSet) -> list[Reign]:
    """Follow the validators of a chain from genesis over every set that there was; raises `BadHeader`.

    1. The first set is that of genesis; every other signs from the height after the header that named it.
    2. That header is signed by the set before it, within the heights of that set.
    3. It names the set that follows, which is another one.

    It needs no clock and trusts nobody for a period; but more than two thirds of a set that was replaced could sign
    another history at any time, so a newer header that is trusted already says more.
    """
    # 1
    reigns = [Reign(1, founding)]
    for change in changes:
        reign = reigns[-1]
        # 2
        header = verify_header(change.signed, chain, reign.validators)
        if header.height < reign.since:
            raise BadHeader(f"header {header.height} of {chain}: its validators sign from height {reign.since} on")
        # 3
        if header.next_validators_hash != hash_validators(change.validators):
            raise BadHeader(f"header {header.height} of {chain} does not name the validators that follow")
        if change.validators == reign.validators:
            raise BadHeader(f"header {header.height} of {chain} changes nothing")
        reigns.append(Reign(header.height + 1, change.validators))
    return reigns


def validators_at(reigns: Sequence[Reign], height: Height) -> ValidatorSet:
    """Who signs a height."""
    return next((reign.validators for reign in reversed(reigns) if reign.since <= height), reigns[0].validators)


def verify_fork(fork: Fork, chain: str) -> tuple[PublicKey, ...]:
    """Check the proof of a fork; returns the keys that signed both headers. Raises `BadHeader` if it is none.

    1. Each way leads from the common header by steps that a light client takes, whatever the time.
    2. They lead to one height and to two headers.

    If nobody signed both, the ways parted below, and the votes of all who signed the way that is not the chain's are
    the proof.
    """
    terms = Terms(chain=chain, period=FOREVER, drift=1)
    # 1
    for way in (fork.first, fork.second):
        trusted = fork.common
        for block in way:
            verify_step(trusted, block, terms, now=block.signed.header.time)
            trusted = block
    # 2
    first, second = fork.first[-1], fork.second[-1]
    if first.height != second.height or hash_header(first.signed.header) == hash_header(second.signed.header):
        raise BadHeader(f"headers {first.height} and {second.height} of {chain} are not two of one height")
    return tuple(sorted(_signers(first) & _signers(second)))


def _check_follows(place: str, header: Header, trusted: SignedHeader) -> None:
    old, digest = trusted.header, trusted.commit.block.hash
    if header.last_block.hash != digest:
        raise BadHeader(f"{place}: it follows block {header.last_block.hash.hex()}, not {digest.hex()}")
    if header.validators_hash != old.next_validators_hash:
        named = old.next_validators_hash.hex()
        raise BadHeader(
            f"{place}: its validators are {header.validators_hash.hex()}, header {old.height} named {named}"
        )


def _check_overlap(place: str, trusted: ValidatorSet, block: LightBlock) -> None:
    """That enough voted; whether their votes are valid is seen when the header's own validators are checked."""
    signers = _signers(block)
    power = sum(validator.power for validator in trusted.validators if validator.key in signers)
    total = sum(validator.power for validator in trusted.validators)
    if power * 3 <= total:
        raise TooFarAhead(f"{place}: {power} of {total} trusted voting power signed it, more than a third is needed")


def _signers(block: LightBlock) -> set[PublicKey]:
    votes = zip(block.validators.validators, block.signed.commit.signatures, strict=False)
    return {validator.key for validator, vote in votes if vote.flag is VoteFlag.BLOCK}


def _of_height(height: Height, block: LightBlock) -> LightBlock:
    if block.height != height:
        raise BadHeader(f"a header of height {block.height} where {height} was asked for")
    return block
