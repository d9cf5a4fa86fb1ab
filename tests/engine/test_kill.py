"""A keeper that is killed at any moment: what it acknowledged is there when it starts again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator

KEY = SigningKey(bytes([1]) * 32)
OTHER = SigningKey(bytes([2]) * 32)
PAYER, PAYEE = (account_id(Role.ORGANISATION, key.public) for key in (KEY, OTHER))
CREDITS = 10_000
START = 1_800_000_000 * 10**9
GENESIS = Genesis(
    chain="killed",
    time=START,
    founders=(
        Founder("payer", KEY.public, Role.ORGANISATION, CREDITS),
        Founder("payee", OTHER.public, Role.ORGANISATION, 0),
    ),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(KEY.public, 1),),
    operators=(0,),
    parameters=Parameters(100, 10, 1000, 1, 100, 1, 10, 1000, 0, 500, 500_000, 10),
)


def opened(folder: Path) -> EmbeddedLedger:
    return EmbeddedLedger(folder, GENESIS, KEY, SteppingClock(START, 10**9), SeededRandomness(0, "kill"))


def paid(ledger: EmbeddedLedger) -> int:
    """Credits that arrived."""
    data = ledger.read(entry_key(Collection.ACCOUNT, PAYEE))
    assert data is not None
    return decode(data, Account).credits


def pay_for_ever(folder: Path) -> None:
    """Pay one credit a block and print the sum after each; told apart by the expiry."""
    ledger = opened(folder)
    while True:
        body = Transfer(to=PAYEE, credits=1)
        ledger.submit(sign_transaction(KEY, ledger.network, PAYER, ledger.height() + 10, body))
        ledger.advance()
        print(paid(ledger), flush=True)


@pytest.mark.system
@pytest.mark.parametrize("lines", [1, 7, 30])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, lines: int) -> None:
    acknowledged = 0
    for _ in range(2):
        child = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(lines):
            acknowledged = int(child.stdout.readline())
        child.kill()
        acknowledged = max([acknowledged, *map(int, child.stdout.read().split())])
        child.stdout.close()
        child.wait()
        ledger = opened(tmp_path)
        assert paid(ledger) in (acknowledged, acknowledged + 1)
        assert ledger.check() == ledger.height() == 1 + 2 * paid(ledger)
        ledger.close()


if __name__ == "__main__":
    pay_for_ever(Path(sys.argv[1]))
