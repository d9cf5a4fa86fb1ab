"""A real CometBFT of one validator over our application: what is committed is proved, and no kill makes it other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from dying_application import POINTS
from one_validator import OneValidator, wait_for

from edgehold.crypto.cose import open1
from edgehold.crypto.names import account_id, network_id, payload_digest
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.blocks import results_root
from edgehold.engine.replicated import Block, Replica
from edgehold.errors import AlreadyAnswered, BadSignature, InsufficientCredits, Malformed
from edgehold.verify.header import SECOND, order_validators, verify_header, verify_next_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import Digest

pytestmark = pytest.mark.system

SEED = bytes([1]) * 32
KEYS = [SigningKey(bytes([seed]) * 32) for seed in (2, 3)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
GENESIS = Genesis(
    chain="one-validator",
    time=time.time_ns() // SECOND * SECOND + 7,
    founders=tuple(Founder(f"founder {place}", key.public, Role.ORGANISATION, 100) for place, key in enumerate(KEYS)),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(SigningKey(SEED).public, 10),),
    operators=(1,),
    parameters=Parameters(100, 10, 1000, 1, 100, 1, 10, 1000, 0, 500, 500_000, 10),
)
VALIDATORS = order_validators(GENESIS.validators)
ENTRY = entry_key(Collection.ACCOUNT, ACCOUNTS[1])


@pytest.fixture
def validator(tmp_path: Path) -> Iterator[OneValidator]:
    one = OneValidator(tmp_path, GENESIS, SEED)
    try:
        one.start()
        yield one
    finally:
        one.stop()


def transfer(credits: int, expires: int, key: SigningKey = KEYS[0]) -> tuple[bytes, Digest]:
    """A signed transfer from the first founder to the second, and its envelope's digest."""
    data = sign_transaction(key, network_id(GENESIS), ACCOUNTS[0], expires, Transfer(to=ACCOUNTS[1], credits=credits))
    return data, payload_digest(open1(data).payload)


def pay(validator: OneValidator, credits: int, expires: int) -> Digest:
    """Submit a transfer and wait until it is answered."""
    data, envelope = transfer(credits, expires)
    assert validator.submit(data) == 0
    wait_for(lambda: validator.receipt(envelope).found is not None, "the receipt")
    return envelope


def balance(validator: OneValidator) -> int:
    value = validator.entry(ENTRY).value
    assert value is not None
    return decode(value, Account).credits


def replay(validator: OneValidator) -> None:
    """Verify every header from genesis, and execute every block again: same roots, same receipts."""
    replica = Replica(None, GENESIS, SeededRandomness(0, "replay"))
    headers = [validator.header(height) for height in range(1, validator.height() + 1)]
    verify_header(headers[0], GENESIS.chain, VALIDATORS)
    for first, second in pairwise(headers):
        verify_next_header(second, first.header, VALIDATORS)
        assert first.header.app_hash == replica.root
        header, data = first.header, validator.transactions(first.header.height)
        receipts, root = replica.finalize(Block(header.height, Digest(first.commit.block.hash), header.time, data))
        assert second.header.app_hash == root
        assert second.header.last_results_hash == results_root(list(zip(data, receipts, strict=True)))
        replica.commit()
    replica.close()


def test_what_a_validator_commits_is_proved_by_its_headers(validator: OneValidator) -> None:
    envelope = pay(validator, 30, expires=40)
    found = validator.receipt(envelope).found
    assert found is not None
    assert found.receipt.number == 0
    answer = validator.entry(ENTRY)
    assert balance(validator) == 130
    poor = validator.receipt(pay(validator, 1000, expires=40)).found
    # a block without transactions is only made to prove the one before: the second payment brings the next for sure
    signed = validator.header(answer.height + 1)
    verify_header(signed, GENESIS.chain, VALIDATORS)
    verify_answer(signed, ENTRY, answer.value, answer.proof)
    assert poor is not None
    assert poor.receipt.number == InsufficientCredits.number
    replay(validator)


def test_what_nobody_may_send_is_refused_at_the_door(validator: OneValidator) -> None:
    good, _ = transfer(1, 40)
    pay(validator, 1, expires=40)
    respelled = good[:-64] + bytes(64)
    assert validator.submit(b"anything") == Malformed.number
    assert validator.submit(transfer(2, 40, key=KEYS[1])[0]) == BadSignature.number
    assert validator.submit(respelled) == AlreadyAnswered.number


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_of_a_block_changes_nothing(validator: OneValidator, point: str) -> None:
    pay(validator, 1, expires=50)
    validator.stop()
    validator.start(dies=point)
    data, envelope = transfer(2, 51)
    assert validator.submit(data) == 0
    validator.wait_for_death()
    validator.start()
    wait_for(lambda: validator.receipt(envelope).found is not None, "the receipt")
    assert balance(validator) == 103
    pay(validator, 4, expires=52)
    assert balance(validator) == 107
    replay(validator)


def test_a_newcomer_begins_with_a_snapshot_that_the_headers_prove(validator: OneValidator, tmp_path: Path) -> None:
    validator.stop()
    validator.start("--snapshot-every", "4")
    for credits in range(1, 6):
        pay(validator, credits, expires=60)
    snapshots = tmp_path / "replica" / "snapshots"
    wait_for(lambda: any(snapshots.glob("*/manifest")), "a snapshot")
    trusted = validator.header(2)
    (tmp_path / "newcomer").mkdir()
    newcomer = OneValidator(
        tmp_path / "newcomer",
        GENESIS,
        bytes([7]) * 32,
        enable="true",
        rpc_servers=f'"127.0.0.1:{validator.port},127.0.0.1:{validator.port}"',
        trust_height="2",
        trust_hash=f'"{trusted.commit.block.hash.hex()}"',
        discovery_time='"5s"',
        persistent_peers=f'"{validator.address()}"',
        allow_duplicate_ip="true",
    )
    try:
        newcomer.start()
        wait_for(lambda: newcomer.height() >= validator.height(), "the newcomer", 60)
        assert int(newcomer.rpc("status")["sync_info"]["earliest_block_height"]) > 4
        envelope = pay(validator, 7, expires=60)
        wait_for(lambda: newcomer.receipt(envelope).found is not None, "the receipt")
        assert balance(newcomer) == balance(validator) == 122
        assert newcomer.submit(transfer(1, 60)[0]) == AlreadyAnswered.number
    finally:
        newcomer.stop()
