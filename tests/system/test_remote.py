"""The ledger over a real node's RPC: a real CometBFT, our application, and a client that believes neither."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from one_validator import OneValidator, wait_for

from edgehold.crypto.names import account_id, network_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BadSignature, InsufficientCredits, NodeUnreachable, UnknownAccount
from edgehold.ports import Ledger
from edgehold.remote.ledger import RemoteLedger, connect
from edgehold.remote.trust import Trust
from edgehold.verify.header import SECOND, order_validators, verify_header
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import Digest
from edgehold.wire.tx import Receipt

pytestmark = pytest.mark.system

SEED = bytes([1]) * 32
KEYS = [SigningKey(bytes([seed]) * 32) for seed in (2, 3, 4)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
GENESIS = Genesis(
    chain="remote",
    time=time.time_ns() // SECOND * SECOND,
    founders=tuple(Founder(f"founder {n}", key.public, Role.ORGANISATION, 1000) for n, key in enumerate(KEYS[:2])),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(SigningKey(SEED).public, 10),),
    operators=(1,),
    parameters=Parameters(100, 10, 1000, 1, 100, 1, 10, 1000, 0, 500, 500_000, 10),
)
FIRST = entry_key(Collection.ACCOUNT, ACCOUNTS[0])


class SystemClock:
    def now(self) -> int:
        return time.time_ns()


@pytest.fixture
def validator(tmp_path: Path) -> Iterator[OneValidator]:
    one = OneValidator(tmp_path, GENESIS, SEED)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def ledger(validator: OneValidator, tmp_path: Path) -> Iterator[RemoteLedger]:
    address = f"http://127.0.0.1:{validator.port}"
    trust = Trust(age=86_400 * SECOND)  # the first block is as old as the founding document: as this module
    one = connect([address], GENESIS, tmp_path / "client", SystemClock(), SeededRandomness(1, "client"), trust=trust)
    yield one
    one.close()


def transfer(payer: int, credits: int, key: SigningKey | None = None) -> bytes:
    body = Transfer(to=ACCOUNTS[1 - payer if payer < 2 else 0], credits=credits)
    return sign_transaction(key or KEYS[payer], network_id(GENESIS), ACCOUNTS[payer], 500, body)


def answered(ledger: Ledger, envelope: Digest) -> Receipt:
    found: list[Receipt] = []

    def look() -> bool:
        receipt = ledger.receipt(envelope)
        found.extend([receipt] if receipt else [])
        return receipt is not None

    wait_for(look, "the receipt")
    return found[-1]


def test_a_real_node_is_followed_and_every_answer_proved(
    validator: OneValidator, ledger: RemoteLedger, figures: Any
) -> None:
    wait_for(lambda: validator.height() >= 1, "the first block")
    for number in range(1, 6):
        begun = time.monotonic()
        receipt = answered(ledger, ledger.submit(transfer(0, number)))
        figures.most(
            "remote: from submitting to a proved receipt, one real validator, ms", (time.monotonic() - begun) * 1e3
        )
        assert receipt.number == 0
        value = ledger.read(FIRST)
        assert value is not None
        assert decode(value, Account).credits == 1000 - number * (number + 1) // 2
    assert ledger.submit(transfer(0, 5)) is not None
    payments = list(ledger.transactions(1, ledger.height()))
    assert [data for _, data, _ in payments] == [transfer(0, number) for number in range(1, 6)]
    for height in range(1, ledger.height() + 1):
        signed = ledger.header(height)
        assert signed is not None
        verify_header(signed, GENESIS.chain, order_validators(GENESIS.validators))
    assert ledger.troubles == {}


def test_refusals_of_a_real_node_are_told(validator: OneValidator, ledger: RemoteLedger) -> None:
    wait_for(lambda: validator.height() >= 1, "the first block")
    with pytest.raises(BadSignature):
        ledger.submit(transfer(0, 1, KEYS[1]))
    assert answered(ledger, ledger.submit(transfer(2, 1))).number == UnknownAccount.number
    poor = ledger.submit(transfer(0, 5000))
    ledger.submit(transfer(1, 1))
    assert answered(ledger, poor).number == InsufficientCredits.number


def test_a_node_that_is_killed_is_unreachable_and_followed_again(validator: OneValidator, ledger: RemoteLedger) -> None:
    wait_for(lambda: validator.height() >= 1, "the first block")
    first = ledger.submit(transfer(0, 1))
    height = answered(ledger, first).height
    validator.stop()
    with pytest.raises(NodeUnreachable):
        ledger.read(FIRST)
    (validator.folder / "app.sock").unlink(missing_ok=True)
    validator.start()
    assert answered(ledger, ledger.submit(transfer(0, 2))).height > height
    assert answered(ledger, first).number == 0
