"""State and log of one ledger, moved on block by block: execute, write, sign. For one thread at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from edgehold.crypto.merkle import MemoryTable, MerkleMap
from edgehold.crypto.signatures import SigningKey
from edgehold.engine.blocks import Transactions, check_block, encode_receipt, make_block
from edgehold.engine.entries import Entries
from edgehold.engine.execution import Answered, Verified, execute_block
from edgehold.engine.log import BlockLog
from edgehold.engine.machine import Request, StateMachine, View
from edgehold.engine.storage import Storage
from edgehold.errors import BrokenLog, Malformed, StateMismatch
from edgehold.verify.header import hash_header, order_validators
from edgehold.wire.governance import Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, Height
from edgehold.wire.proof import MapProof

KEPT_HEADERS = 1000
"""Hashes of so many headers are known to the rules; so many blocks are checked at the start."""

KEPT_ANSWERS = 1000
"""Heights for which a receipt can still be asked for after its envelope expired."""


class Chain:
    """The ledger that a storage holds; founds it if the storage is empty.

    Starting checks the log's last 1,000 blocks, recomputes the root from the table, and raises `BrokenLog` or
    `StateMismatch` if anything is not as it was signed.
    """

    last: SignedHeader

    def __init__(
        self, storage: Storage, log: BlockLog, genesis: Genesis, machine: StateMachine, key: SigningKey, now: int
    ) -> None:
        self._storage = storage
        self._log = log
        self._genesis = genesis
        self._validators = order_validators(genesis.validators)
        self._machine = machine
        self._key = key
        self._hashes: dict[int, Digest] = {}
        self._last_transactions: Transactions = []
        height = log.last_height()
        if height == 0:
            self._entries = Entries(storage)
            with storage.transaction():
                self._entries.apply(self._entries.stage(machine.initial_state()))
                self._append(None, [], now)
        else:
            for signed, transactions in self._checked_blocks(max(1, height - KEPT_HEADERS + 1)):
                self._check_answers(signed.header.height, transactions, height)
                self._move_to(signed, transactions)
            self._entries = Entries(storage)
            self._require_root(self._entries.root)

    @property
    def height(self) -> Height:
        """The height of the last header."""
        return self.last.header.height

    @property
    def is_settled(self) -> bool:
        """Whether the last header signs the state as it is now."""
        return self.last.header.app_hash == self._entries.root

    def read(self, key: bytes) -> bytes | None:
        """The value under a flat key."""
        return self._entries.read(key)

    def prove(self, key: bytes) -> MapProof:
        """What the map says about a flat key."""
        return self._entries.prove(key)

    def view(self) -> View:
        """The state as a transaction in the next block would see it."""
        return View(self._entries.read, self.height + 1, self._hashes.get)

    def answered(self, requests: Iterable[Request]) -> Collection[Digest]:
        """The envelopes that were executed and are remembered: they have no second effect."""
        return self._storage.answered((request.envelope, request.expires) for request in requests)

    def append(self, requests: Sequence[Verified], now: int) -> list[Answered]:
        """Make the next block, inside a transaction of the storage; time never stands still or goes back.

        Transactions without their sender's signature are left out; they come back with what the rules say of them.
        """
        return self._append(self.last, requests, now)

    def _append(self, previous: SignedHeader | None, requests: Sequence[Verified], now: int) -> list[Answered]:
        height, time = (previous.header.height, previous.header.time) if previous else (0, self._genesis.time)
        view = View(self._entries.read, height + 1, self._hashes.get)
        answered = self.answered(request for request, _ in requests)
        fresh = (one for one in requests if one[0].envelope not in answered)
        executed = execute_block(self._machine, view, fresh)
        transactions = [(request.transaction, receipt) for request, receipt in executed.answered]
        signed = make_block(
            key=self._key,
            rules=self._machine.rules(view),
            chain=self._genesis.chain,
            validators=self._validators,
            height=height + 1,
            time=max(now, time + 1),
            previous=previous,
            previous_transactions=self._last_transactions,
            state_root=self._entries.root,
            transactions=[data for data, _ in transactions],
        )
        self._entries.apply(self._entries.stage(executed.writes))
        self._log.append(signed, transactions)
        self._storage.remember(height + 1, executed.answered)
        self._storage.forget(below=height + 1 - KEPT_ANSWERS)
        self._move_to(signed, transactions)
        return executed.unsigned

    def check(self) -> None:
        """Check every block of the log and replay it from genesis; raises `BrokenLog`, `StateMismatch`."""
        replayed = Replay(self._machine)
        for signed, transactions in self._checked_blocks(1):
            replayed.follow(signed, transactions)
        self._require_root(replayed.root)

    def _move_to(self, signed: SignedHeader, transactions: Transactions) -> None:
        height = signed.header.height
        self.last = signed
        self._last_transactions = transactions
        self._hashes[height] = Digest(signed.commit.block.hash)
        self._hashes.pop(height - KEPT_HEADERS, None)

    def _checked_blocks(self, first: Height) -> Iterator[tuple[SignedHeader, Transactions]]:
        previous, previous_transactions = self._block(first - 1) if first > 1 else (None, [])
        for height in range(first, self._log.last_height() + 1):
            signed, transactions = self._block(height)
            check_block(signed, transactions, previous, previous_transactions, self._genesis.chain, self._validators)
            yield signed, transactions
            previous, previous_transactions = signed, transactions

    def _block(self, height: Height) -> tuple[SignedHeader, Transactions]:
        try:
            signed = self._log.header(height)
            if signed is None or signed.header.height != height:
                raise BrokenLog(f"the log has no block {height}")
            return signed, self._log.transactions(height)
        except Malformed as error:
            raise BrokenLog(f"block {height} cannot be read: {error}") from error

    def _check_answers(self, height: Height, transactions: Transactions, now: Height) -> None:
        requests = [self._machine.open(data) for data, _ in transactions]
        answered = self._storage.answered((request.envelope, request.expires) for request in requests)
        for place, (request, (_, receipt)) in enumerate(zip(requests, transactions, strict=True)):
            expected = height, place, encode_receipt(receipt)
            if request.expires > now and answered.get(request.envelope) != expected:
                raise BrokenLog(f"block {height}: transaction {place} could be executed or answered a second time")

    def _require_root(self, root: Digest) -> None:
        if self.last.header.app_hash != root:
            signed = self.last.header.app_hash.hex()
            raise StateMismatch(f"height {self.height}: the entries have root {root.hex()}, the header signs {signed}")


class Replay:
    """The state that follows from a log, in memory: the same transactions once more, from genesis on."""

    def __init__(self, machine: StateMachine) -> None:
        self._machine = machine
        self._table = MemoryTable()
        self._map = MerkleMap(self._table)
        self._map.update(machine.initial_state())
        self._hashes: dict[int, Digest] = {}

    @property
    def root(self) -> Digest:
        """The root of the state reached."""
        return self._map.root

    def follow(self, signed: SignedHeader, transactions: Transactions) -> None:
        """Execute one block; raises `StateMismatch` for another state than signed, `BrokenLog` for other receipts."""
        height = signed.header.height
        if signed.header.app_hash != self.root:
            app_hash = signed.header.app_hash.hex()
            raise StateMismatch(
                f"height {height}: the log leads to root {self.root.hex()}, the header signs {app_hash}"
            )
        view = View(self._table.get, height, self._hashes.get)
        executed = execute_block(self._machine, view, [(self._machine.open(data), None) for data, _ in transactions])
        if [receipt for _, receipt in executed.answered] != [receipt for _, receipt in transactions]:
            raise BrokenLog(f"block {height}: its transactions have other receipts when they are executed again")
        self._map.update(executed.writes)
        self._hashes[height] = hash_header(signed.header)
        self._hashes.pop(height - KEPT_HEADERS, None)
