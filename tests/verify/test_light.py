"""The light client's arithmetic: which later header is trusted, over which way, and what is refused."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from signed_chain import FOUR, SECOND, START, SignedChain, altered, commit_of, grown, set_of

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BadHeader, TooFarAhead, TrustExpired
from edgehold.verify.header import hash_validators
from edgehold.verify.light import (
    Terms,
    check_next_validators,
    reach,
    validators_at,
    verify_changes,
    verify_earlier,
    verify_first,
    verify_fork,
    verify_step,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, NetworkId
from edgehold.wire.light import Fork, LightBlock, ValidatorChange

DAY = 86_400 * SECOND
TERMS = Terms(chain="test-chain", period=DAY, drift=10 * SECOND)
DICE = SeededRandomness(1, "light")
NETWORK = NetworkId(Digest(bytes(32)))


def step(trusted: LightBlock, block: LightBlock, now: int | None = None, terms: Terms = TERMS) -> None:
    verify_step(trusted, block, terms, now=now or block.signed.header.time + 1, entropy=DICE.draw(32))


def walk(chain: SignedChain, first: int, last: int, now: int | None = None) -> tuple[list[LightBlock], list[int]]:
    """The way that is found, and the heights that were asked for."""
    search = reach(chain.light(first), last, TERMS, now=now or chain.header(last).time + 1, randomness=DICE)
    asked = [next(search)]
    while True:
        try:
            asked.append(search.send(chain.light(asked[-1])))
        except StopIteration as end:
            return end.value, asked


def test_a_header_far_ahead_is_trusted_at_once_if_the_same_validators_signed_it() -> None:
    way, asked = walk(grown(300), 1, 300)
    assert ([block.height for block in way], asked) == ([1, 300], [300])


def test_changed_validators_are_reached_over_headers_between() -> None:
    chain = grown(60, every=5)
    way, asked = walk(chain, 1, 60)
    assert [way[0], way[-1]] == [chain.light(1), chain.light(60)]
    assert len(way) - 1 <= len(asked) < 12
    for first, second in pairwise(way):
        step(first, second)


def test_validators_that_change_altogether_are_followed_over_the_header_that_names_them() -> None:
    chain = SignedChain()
    for height in range(1, 41):
        chain.append(next_validators=set_of(11, 12, 13, 14) if height == 17 else None)
    way, _ = walk(chain, 1, 40)
    assert {17, 18} & {block.height for block in way}
    with pytest.raises(TooFarAhead):
        step(chain.light(16), chain.light(18))
    step(chain.light(17), chain.light(40))


def test_more_than_a_third_of_the_trusted_power_is_needed() -> None:
    chain = SignedChain(validators=set_of(1, 2, 3))
    chain.append()
    chain.append(next_validators=set_of(1, 5, 6))
    chain.append()
    with pytest.raises(TooFarAhead, match="10 of 30"):
        step(chain.light(1), chain.light(3))
    other = SignedChain(validators=set_of(1, 2, 3))
    other.append()
    other.append(next_validators=set_of(1, 2, 5))
    other.append()
    step(other.light(1), other.light(3))


def test_a_vote_that_is_only_claimed_is_no_trust() -> None:
    """A stranger lists the trusted validators in his own set, with little power, and forges their votes."""
    chain = grown(5)
    mixed = set_of(1, 2, 3, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
    forged = altered(chain.blocks[4].signed, mixed, app_hash=b"\x01" * 32, validators_hash=hash_validators(mixed))
    votes = list(forged.commit.signatures)
    for place, validator in enumerate(mixed.validators):
        if validator in FOUR.validators:
            votes[place] = replace(votes[place], signature=bytes(64))
    forged = replace(forged, commit=replace(forged.commit, signatures=tuple(votes)))
    with pytest.raises(BadHeader, match="no valid signature"):
        step(chain.light(1), LightBlock(forged, mixed, FOUR))


def test_a_third_of_the_trusted_is_not_enough_if_their_own_set_did_not_sign() -> None:
    chain = grown(5)
    header = chain.header(5)
    weak = SignedHeader(header, commit_of(header, FOUR, absent=[0, 1]))
    with pytest.raises(BadHeader, match="more than two thirds"):
        step(chain.light(1), LightBlock(weak, FOUR, None))


def test_the_next_header_has_the_validators_that_were_named() -> None:
    chain = grown(3)
    strangers = set_of(11, 12, 13, 14)
    forged = altered(chain.blocks[1].signed, strangers, validators_hash=hash_validators(strangers))
    with pytest.raises(BadHeader, match="header 1 named"):
        step(chain.light(1), LightBlock(forged, strangers, FOUR))
    unlinked = altered(chain.blocks[2].signed, FOUR, last_block=chain.blocks[0].signed.commit.block)
    with pytest.raises(BadHeader, match="it follows block"):
        step(chain.light(2), LightBlock(unlinked, FOUR, None))


@pytest.mark.parametrize(
    ("trusted", "now", "error"),
    [
        (1, START + DAY, TrustExpired),
        (1, START - 11 * SECOND + 40 * SECOND, BadHeader),  # header 50's time is START + 49 s
        (50, None, BadHeader),
        (60, None, BadHeader),
    ],
)
def test_trust_ends_and_time_and_height_go_forward(trusted: int, now: int | None, error: type[Exception]) -> None:
    chain = grown(60)
    with pytest.raises(error) as caught:
        step(chain.light(trusted), chain.light(50), now)
    assert caught.type is error
    step(chain.light(1), chain.light(50), START + DAY - 1)
    step(chain.light(1), chain.light(50), START + 40 * SECOND)


def test_another_chain_and_another_time_are_refused() -> None:
    chain = grown(9)
    back = altered(chain.blocks[8].signed, FOUR, time=chain.header(3).time)
    with pytest.raises(BadHeader, match="do not come after"):
        step(chain.light(3), LightBlock(back, FOUR, None))
    other = altered(chain.blocks[8].signed, FOUR, chain="another")
    with pytest.raises(BadHeader, match="the chain is test-chain"):
        step(chain.light(3), LightBlock(other, FOUR, None))


def test_the_next_validators_that_come_with_a_header_are_those_it_names() -> None:
    chain = grown(9)
    with pytest.raises(BadHeader, match="names the next validators"):
        check_next_validators(replace(chain.light(2), next_validators=set_of(11, 12)))
    with pytest.raises(BadHeader, match="names the next validators"):
        step(chain.light(1), replace(chain.light(5), next_validators=set_of(11, 12)))


def test_a_search_that_is_given_another_height_ends() -> None:
    chain = grown(9)
    search = reach(chain.light(1), 9, TERMS, now=chain.header(9).time + 1, randomness=DICE)
    assert next(search) == 9
    with pytest.raises(BadHeader, match="where 9 was asked for"):
        search.send(chain.light(8))


def test_a_chain_begins_with_the_validators_of_genesis() -> None:
    chain = grown(2)
    verify_first(chain.light(1), TERMS, FOUR)
    for block, validators in ((chain.light(1), set_of(1, 2, 3)), (chain.light(2), FOUR)):
        with pytest.raises(BadHeader, match="not the first"):
            verify_first(block, TERMS, validators)
    strangers = grown(1).fork(1).light(1)
    weak = SignedHeader(strangers.signed.header, commit_of(strangers.signed.header, FOUR, absent=[0, 1]))
    with pytest.raises(BadHeader, match="two thirds"):
        verify_first(replace(strangers, signed=weak), TERMS, FOUR)


def test_earlier_headers_are_known_by_their_hash() -> None:
    chain = grown(9)
    for height in range(8, 0, -1):
        verify_earlier(chain.header(height), chain.header(height + 1))
    for other in (chain.header(7), replace(chain.header(8), app_hash=b"\x01" * 32)):
        with pytest.raises(BadHeader, match="is not the one"):
            verify_earlier(other, chain.header(9))


def test_a_fork_is_proved_with_the_names_of_those_who_signed_both() -> None:
    chain = grown(9)
    other = chain.fork(9, absent=[3])
    fork = Fork(NETWORK, chain.light(3), (chain.light(9),), (other.light(9),))
    both = {validator.key for validator in FOUR.validators[:3]}
    assert set(verify_fork(decode(encode(fork), Fork), "test-chain")) == both


def test_what_is_no_fork_proves_nothing() -> None:
    chain = grown(9)
    weak = chain.fork(9, absent=[2, 3]).light(9)
    again = replace(chain.light(9), signed=SignedHeader(chain.header(9), commit_of(chain.header(9), FOUR, [0])))
    for second in (chain.light(9), again, chain.light(8), weak):
        with pytest.raises(BadHeader):
            verify_fork(Fork(NETWORK, chain.light(3), (chain.light(9),), (second,)), "test-chain")


# ── the validators since genesis ──────────────────────────────────────────────────────────────────────────────────


def changes_of(chain: SignedChain) -> list[ValidatorChange]:
    """Every change of the validators of a chain."""
    blocks = [chain.light(height) for height in range(1, chain.height + 1)]
    return [ValidatorChange(block.signed, block.following) for block in blocks if block.next_validators]


def test_every_set_follows_from_genesis() -> None:
    chain = grown(60, every=9)
    reigns = verify_changes(changes_of(chain), "test-chain", FOUR)
    assert [reign.since for reign in reigns] == [1, 10, 19, 28, 37, 46, 55]
    assert [validators_at(reigns, height) for height in range(1, 61)] == [chain.validators(h) for h in range(1, 61)]
    assert validators_at(reigns, 0) == FOUR


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (lambda changes: changes[1:], "names validators"),
        (lambda changes: [changes[0], changes[2]], "names validators"),
        (lambda changes: changes[:2] + changes[1:2], "names validators"),
        (lambda changes: [replace(changes[0], validators=set_of(11, 12, 13))], "does not name the validators"),
        (lambda changes: [replace(changes[0], signed=grown(9).blocks[4].signed)], "does not name the validators"),
        (lambda changes: [ValidatorChange(grown(9).blocks[4].signed, FOUR)], "changes nothing"),
    ],
)
def test_a_set_that_does_not_follow_signs_nothing(lie: Any, words: str) -> None:
    with pytest.raises(BadHeader, match=words):
        verify_changes(lie(changes_of(grown(40, every=9))), "test-chain", FOUR)


def test_a_set_signs_from_its_first_height_on() -> None:
    """A set that came back signs a change at a height at which it was not the chain's."""
    chain, other = SignedChain(), SignedChain()
    for height in range(1, 13):
        following = {4: set_of(11, 12, 13), 8: FOUR}.get(height)
        chain.append(next_validators=following)
        other.append(next_validators=set_of(21, 22) if height == 6 else None)
    whole = changes_of(chain)
    assert len(verify_changes(whole, "test-chain", FOUR)) == 3
    with pytest.raises(BadHeader, match="sign from height 9 on"):
        verify_changes([*whole, *changes_of(other)], "test-chain", FOUR)


@pytest.mark.parametrize("members", [4, 7, 20])
def test_what_a_change_of_validators_weighs(members: int, figures: Any) -> None:
    chain = SignedChain(validators=set_of(*range(1, members + 1)))
    chain.append(next_validators=set_of(*range(2, members + 2)))
    figures.most(f"a change of {members} validators in a certificate, bytes", len(encode(changes_of(chain)[0])))


@pytest.mark.untraced
def test_a_step_and_ten_thousand_headers_are_soon_verified(figures: Any, is_long: bool) -> None:
    count = 10_000 if is_long else 1_000
    chain = grown(count)
    blocks = [chain.light(height) for height in range(1, count + 1)]
    begun = time.process_time()
    for trusted, block in pairwise(blocks):
        step(trusted, block)
    each = (time.process_time() - begun) / (count - 1)
    begun = time.process_time()
    walk(chain, 1, count)
    skipped = time.process_time() - begun
    changing = grown(count, every=count // 20)
    begun = time.process_time()
    way, asked = walk(changing, 1, count)
    changed = time.process_time() - begun
    figures.most("light client: a header step, ms", each * 1e3)
    figures.most(f"light client: {count:,} headers behind, ms", skipped * 1e3)
    figures.most(f"light client: the same over 20 changes of a validator, ms ({len(asked)} headers)", changed * 1e3)
    assert len(way) - 1 <= len(asked) <= 60
    assert each < 0.005
