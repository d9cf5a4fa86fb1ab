"""The small ports: dice, clocks, ways to a party and lists of keys, each implementation against what callers rely on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.parties import Dice, Direct, Directory, PublishedKeys
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import PanelNotOpen, Unavailable
from edgehold.issuer.issuer import Issuer
from edgehold.issuer.register import Register
from edgehold.ports import Clock, PanelKeys, Randomness
from edgehold.system import SystemClock, SystemRandomness
from edgehold.wire.account import Role
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import AccountId, Digest, PanelId

START = 1_800_000_000 * 10**9
NOBODY = AccountId(Digest(bytes(32)))

RANDOMNESS: list[Callable[[], Randomness]] = [SystemRandomness, lambda: SeededRandomness(7, "a party")]
CLOCKS: list[Callable[[], Clock]] = [SystemClock, lambda: SteppingClock(START, 1_000_000_000)]


@pytest.mark.parametrize("make", RANDOMNESS)
def test_dice_give_as_many_bytes_as_were_asked_for_and_never_the_same_twice(make: Callable[[], Randomness]) -> None:
    dice = make()
    assert [len(dice.draw(count)) for count in (0, 1, 16, 32, 5_000)] == [0, 1, 16, 32, 5_000]
    drawn = [dice.draw(32) for _ in range(1_000)]
    assert len(set(drawn)) == 1_000
    ones = sum(int.from_bytes(one, "big").bit_count() for one in drawn)
    assert abs(ones - 128_000) < 5 * 253


def test_seeded_dice_repeat_for_one_party_and_are_unlike_for_two_or_another_seed() -> None:
    def first(seed: int, label: str) -> bytes:
        return SeededRandomness(seed, label).draw(32)

    assert first(1, "a") == first(1, "a")
    assert len({first(1, "a"), first(1, "b"), first(2, "a"), first(-1, "a")}) == 4


def test_a_folder_that_is_opened_again_never_begins_a_stream_anew() -> None:
    drawn = {Dice(3, opening).of("a party").draw(32) for opening in range(50)}
    assert len(drawn) == 50
    assert isinstance(Dice(None).of("a party"), SystemRandomness)


@pytest.mark.parametrize("make", CLOCKS)
def test_clocks_give_nanoseconds_that_do_not_go_back(make: Callable[[], Clock]) -> None:
    clock = make()
    times = [clock.now() for _ in range(100)]
    assert all(before <= after for before, after in pairwise(times))
    assert 1_700_000_000 * 10**9 < times[0] < 4_000_000_000 * 10**9


def test_a_party_that_nobody_knows_cannot_be_reached() -> None:
    directory = Directory()
    with pytest.raises(ConnectionError):
        directory(NOBODY)
    directory.peers[NOBODY] = Direct(lambda message: message[::-1])
    assert directory(NOBODY).send(b"abc") == b"cba"


# ── lists of keys ─────────────────────────────────────────────────────────────────────────────────────────────────


def issuer(folder: Path) -> Issuer:
    """An issuer over an empty ledger."""
    key, validator = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)
    parameters = Parameters(
        period=100,
        root_interval=10,
        block_interval_ms=1000,
        least_panel=1,
        most_panel=10,
        least_batch=1,
        hub_quota=10,
        expiry=50,
        abort_fee=0,
        helper_share=500,
        acceptance_cap=0,
        suspension=10,
    )
    genesis = Genesis(
        chain="ports",
        time=START,
        founders=(Founder("founder", key.public, Role.ORGANISATION, 0),),
        accreditors=(0,),
        treasurer=0,
        validators=(Validator(validator.public, 1),),
        operators=(0,),
        parameters=parameters,
    )
    ledger = EmbeddedLedger(None, genesis, validator, SteppingClock(START, 10**9), SeededRandomness(1, "ledger"))
    register = Register(folder / "register.sqlite", tagged_hash("storage", b""))
    return Issuer(ledger, register, key, account_id(Role.ORGANISATION, key.public), SeededRandomness(1, "issuer"))


def test_the_issuer_and_its_published_lists_give_the_same_keys(tmp_path: Path) -> None:
    one = issuer(tmp_path)
    panel = one.declare_panel(scheme="all", period=0, number=0, slots=2, schemas=("edgehold.events/1",))
    ways: list[PanelKeys] = [one, PublishedKeys(Direct(one.handle))]
    lists = [way.moduli(panel) for way in ways]
    assert lists[0] == lists[1]
    assert [len(modulus) for modulus in lists[0]] == [256, 256]
    unknown = PanelId(Digest(bytes(32)))
    with pytest.raises(PanelNotOpen):
        ways[0].moduli(unknown)
    with pytest.raises(Unavailable):
        ways[1].moduli(unknown)
