"""A life of the embedded ledger: payments in blocks of several sizes, with restarts, under the real rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import apsw
from crash_states import CrashState
from recording import recorded
from survival import History, memory_folder

from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.verify.header import hash_header
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import Digest
from edgehold.wire.tx import Receipt

KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 7)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
CREDITS = 1000
START = 1_800_000_000 * 10**9
GENESIS = Genesis(
    chain="power cuts",
    time=START,
    founders=tuple(
        Founder(f"account {number}", key.public, Role.ORGANISATION, CREDITS) for number, key in enumerate(KEYS)
    ),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(KEYS[0].public, 1),),
    operators=(0,),
    parameters=Parameters(100, 10, 1000, 1, 100, 1, 10, 1000, 0, 500, 500_000, 10),
)


def open_ledger(folder: Path) -> EmbeddedLedger:
    """The ledger as its keeper opens it."""
    return EmbeddedLedger(folder, GENESIS, KEYS[0], SteppingClock(START, 10**9), SeededRandomness(0, "ledger"))


def credits_of(ledger: EmbeddedLedger) -> list[int]:
    """What each account holds."""
    found = [ledger.read(entry_key(Collection.ACCOUNT, account)) for account in ACCOUNTS]
    return [decode(data, Account).credits for data in found if data is not None]


class LedgerLife:
    """A ledger that is being recorded, and all that its keeper promised."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.random = random
        self.headers: dict[int, Digest] = {}
        self.credits: dict[int, list[int]] = {}
        self.settled: set[int] = set()
        self.sent: list[bytes] = []

    def live(self) -> History:
        """A few dozen blocks; the log is written back into the database every so many pages."""
        pages = self.random.choice((8, 20, 60, 1000))
        hook = lambda connection: connection.wal_autocheckpoint(pages)  # noqa: E731
        apsw.connection_hooks.append(hook)
        try:
            with recorded(self.folder) as recorder:
                ledger = open_ledger(self.folder)
                for _ in range(self.random.randint(12, 24)):
                    self._note(ledger)
                    recorder.mark("the ledger is at its height", partial(_reached, height=ledger.height()))
                    if self.random.random() < 0.1:
                        ledger.close()
                        ledger = open_ledger(self.folder)
                    names = [ledger.submit(self._payment(ledger)) for _ in range(self.random.choice((0, 1, 1, 2, 5)))]
                    ledger.advance(self.random.choice((1, 1, 1, 3)))
                    receipts = [(name, ledger.receipt(name)) for name in names]
                    recorder.mark("receipts", partial(_has_receipts, receipts=receipts))
                self._note(ledger)
                ledger.close()
        finally:
            apsw.connection_hooks.remove(hook)
        return History(recorder.recording, {}, _reopened, self._faults, self._go_on)

    def _payment(self, ledger: EmbeddedLedger) -> bytes:
        payer, payee = self.random.sample(range(len(KEYS)), 2)
        body = Transfer(to=ACCOUNTS[payee], credits=self.random.choice((1, 7, 10 * CREDITS)))  # the last is refused
        expires = ledger.height() + self.random.randint(20, 90)
        self.sent.append(sign_transaction(KEYS[payer], ledger.network, ACCOUNTS[payer], expires, body))
        return self.sent[-1]

    def _note(self, ledger: EmbeddedLedger) -> None:
        """What an undisturbed run has at this height."""
        for height in range(len(self.headers) + 1, ledger.height() + 1):
            signed = ledger.header(height)
            assert signed is not None
            self.headers[height] = hash_header(signed.header)
        self.settled.add(ledger.height())
        self.credits[ledger.height()] = credits_of(ledger)

    def _faults(self, ledger: EmbeddedLedger) -> Iterator[str]:
        """Opening has compared the root of the entries with the last header already."""
        height = ledger.height()
        if height not in self.settled and height != 1:
            yield f"height {height} lies within what was one durable write"
        for at in range(1, height + 1):
            signed = ledger.header(at)
            if signed is None or hash_header(signed.header) != self.headers[at]:
                yield f"header {at} is not the one of the undisturbed run"
        if height in self.credits and credits_of(ledger) != self.credits[height]:
            yield f"at height {height} the accounts hold {credits_of(ledger)}, undisturbed {self.credits[height]}"
        ledger.check()

    def _go_on(self, folder: Path, state: CrashState) -> None:
        """What was sent is sent again: what had its effect has no second one, what was lost is done now."""
        with _reopened(folder) as ledger:
            before = ledger.height()
            network_before = {name: ledger.receipt(name) for name in ledger.submit_many(self.sent)}
            ledger.advance(2)
            for name, receipt in network_before.items():
                after = ledger.receipt(name)
                assert after is not None, "a transaction has no answer"
                assert receipt in (None, after), f"a receipt changed: {receipt} to {after}"
            assert sum(credits_of(ledger)) == CREDITS * len(KEYS)
            assert ledger.check() > before


@contextmanager
def _reopened(folder: Path) -> Iterator[EmbeddedLedger]:
    ledger = open_ledger(folder)
    try:
        yield ledger
    finally:
        ledger.close()


def _reached(ledger: EmbeddedLedger, height: int) -> bool:
    return ledger.height() >= height


def _has_receipts(ledger: EmbeddedLedger, receipts: list[tuple[Digest, Receipt | None]]) -> bool:
    return all(receipt is not None and ledger.receipt(name) == receipt for name, receipt in receipts)


def ledger_history(number: int) -> History:
    """The history of this number."""
    with memory_folder() as folder:
        return LedgerLife(folder, Random(f"ledger {number}")).live()
