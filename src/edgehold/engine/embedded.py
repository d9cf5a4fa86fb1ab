"""The embedded engine: one process keeps the ledger, one validator signs it.

Transactions wait in memory until `advance` makes blocks of them; everything that one `advance` makes, several empty
blocks included, is one durable write. A block that changed the state is followed at once by an empty one, so that the
state that can be read is always the one that the last header signs. One validator is one operator: nothing but two
headers of one height would prove that it rewrote history.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import apsw

from edgehold.crypto.names import network_id
from edgehold.crypto.signatures import SigningKey, verify_many
from edgehold.durable import storage_failures
from edgehold.engine.blocks import MAX_BLOCK
from edgehold.engine.chain import Chain
from edgehold.engine.execution import Answered, Verified
from edgehold.engine.log import BlockLog
from edgehold.engine.machine import LedgerMachine, StateMachine
from edgehold.engine.storage import Storage
from edgehold.errors import BadSignature, BrokenLog, EngineHalted, NotTheValidator, QueueFull, StorageFailed
from edgehold.ports import Clock, Randomness
from edgehold.wire.governance import Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.proof import MapProof
from edgehold.wire.tx import Receipt

MAX_WAITING = 100_000
"""Transactions that wait for a block."""

MAX_WAITING_BYTES = 64 << 20
"""Bytes of transactions that wait for a block: anybody may send, and senders that are not known yet wait too."""

MAX_UNSIGNED = 1000
"""Refusals of unsigned transactions that can be asked for."""

FILE = "ledger.sqlite"
"""The database in the ledger's folder."""


class EmbeddedLedger:
    """A ledger kept in a folder, or in memory if the folder is None (`ports.Ledger`); safe between threads.

    Starting recomputes the root from the table, checks the log's last 1,000 blocks and refuses to run on a mismatch.
    Raises `NotTheValidator`, `LedgerBusy`, `WrongLedger`, `BrokenLog`, `StateMismatch`, `BadGenesis`.
    """

    def __init__(
        self,
        folder: Path | None,
        genesis: Genesis,
        key: SigningKey,
        clock: Clock,
        randomness: Randomness,
        machine: StateMachine | None = None,
    ) -> None:
        if [validator.key for validator in genesis.validators] != [key.public]:
            raise NotTheValidator(f"{key.public.hex()} is not the one validator of {genesis.chain}")
        self._genesis = genesis
        self._network = network_id(genesis)
        self._clock = clock
        self._randomness = randomness
        self._machine = machine or LedgerMachine(genesis)
        self._waiting: dict[bytes, Verified] = {}
        self._waiting_bytes = 0
        self._unsigned: dict[Digest, Receipt] = {}
        self._changed = threading.Condition()
        self._halted: str | None = None
        self._is_stale = False
        self._key = key
        if folder:
            with storage_failures(folder):
                folder.mkdir(parents=True, exist_ok=True)
        self._storage = Storage(folder / FILE if folder else None, self._network)
        try:
            self._log = BlockLog(self._storage.database)
            self._chain = self._read_chain()
        except BaseException as error:
            self._storage.close()
            if isinstance(error, apsw.Error):
                raise BrokenLog(f"{folder} is damaged: {error}") from error
            raise

    # ── as everybody sees it ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def genesis(self) -> Genesis:
        """What the network started from."""
        return self._genesis

    @property
    def network(self) -> NetworkId:
        """Digest of the genesis document."""
        return self._network

    def height(self) -> Height:
        """The height of the last header; `read` and `prove` answer under it."""
        with self._running():
            return self._chain.height

    def submit(self, transaction: bytes) -> Digest:
        """Queue a signed transaction for the next block; returns the digest of its envelope.

        The same bytes again change nothing. Raises `Malformed`, `WrongNetwork`, `BadSignature`, `QueueFull`.
        """
        return self.submit_many([transaction])[0]

    def submit_many(self, transactions: Sequence[bytes]) -> list[Digest]:
        """Queue transactions in this order, all or none; their signatures are verified together.

        A sender whom the state does not know yet is judged in the block. Raises as `submit`.
        """
        requests = [self._machine.open(transaction) for transaction in transactions]
        with self._running():
            view = self._chain.view()
            verified = [(request, self._machine.signer(view, request)) for request in requests]
            answered = self._chain.answered(requests)
            fresh = [one for one in verified if one[0].envelope not in answered]
        items = [(signer, request.message, request.signature) for request, signer in fresh if signer]
        bad = verify_many(items, self._randomness.draw(32)).count(False)
        if bad:
            raise BadSignature(f"{bad} of {len(transactions)} transactions are not signed by their sender")
        with self._running():
            size = self._waiting_bytes + sum(len(request.transaction) for request, _ in fresh)
            if len(self._waiting) + len(fresh) > MAX_WAITING or size > MAX_WAITING_BYTES:
                raise QueueFull(f"{len(self._waiting)} transactions are waiting")
            for one in fresh:
                name = sha256(one[0].transaction).digest()
                if name not in self._waiting:
                    self._waiting[name] = one
                    self._waiting_bytes += len(one[0].transaction)
            self._changed.notify_all()
        return [request.envelope for request in requests]

    def receipt(self, envelope: Digest) -> Receipt | None:
        """What became of a transaction; `None` while it waits, or if it was never seen or is forgotten.

        A transaction that was not signed by its sender gets a refusal that only this process knows and that does not
        keep the same envelope from coming again, signed.
        """
        with self._running():
            found = self._storage.answer(envelope)
            return found.receipt if found else self._unsigned.get(envelope)

    def wait(self, envelope: Digest, seconds: float) -> Receipt | None:
        """The receipt as soon as there is one; `None` if there is none after so many seconds."""
        looked_at = 0

        def look() -> Receipt | None:
            nonlocal looked_at
            if looked_at == self._chain.height and not self._halted:
                return None  # somebody submitted; no block was made
            looked_at = self._chain.height
            return self.receipt(envelope)

        with self._changed:
            return self._changed.wait_for(look, timeout=seconds)

    def read(self, key: bytes) -> bytes | None:
        """The value under a flat key in the state that the last header signs."""
        with self._running():
            return self._chain.read(key)

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        """The last header, the value under a flat key in the state that it signs, and the proof of that."""
        with self._running():
            return self._chain.last, self._chain.read(key), self._chain.prove(key)

    def header(self, height: int) -> SignedHeader | None:
        """The signed header of a height, or `None` if there is none."""
        with self._running():
            return self._log.header(height)

    def transactions(self, first: int, last: int) -> Iterator[tuple[Height, bytes, Receipt]]:
        """Every transaction of the blocks first..last (inclusive) in order: height, signed bytes, receipt."""
        for height in range(max(first, 1), min(last, self.height()) + 1):
            with self._running():
                block = self._log.transactions(height)
            for transaction, receipt in block:
                yield height, transaction, receipt

    def entries(self) -> int:
        """How many entries the state that the last header signs has."""
        with self._running():
            return self._storage.count_entries()

    # ── as its keeper sees it ─────────────────────────────────────────────────────────────────────────────────────

    def advance(self, count: int = 1) -> Height:
        """Make `count` blocks, the first ones of what waits, and one more if the last changed the state.

        All of it is one durable write. Returns the new height. Raises `StorageFailed` if the disk refuses it: then
        nothing happened, what waited waits, and the same may be called again. Raises `EngineHalted` for anything else.
        """
        with self._running():
            taken: list[Verified] = []
            unsigned: list[Answered] = []
            try:
                with self._storage.transaction():
                    for _ in range(count):
                        block = self._take()
                        taken += block
                        unsigned += self._chain.append(block, self._clock.now())
                    if not self._chain.is_settled:
                        self._chain.append([], self._clock.now())
                self._note(unsigned)
            except StorageFailed:
                self._put_back(taken)
                self._is_stale = True
                raise
            except BaseException as error:
                self._halted = f"{type(error).__name__}: {error}"
                if not isinstance(error, Exception):
                    raise
                raise EngineHalted(f"the engine stops: {self._halted}") from error
            finally:
                self._changed.notify_all()
            return self._chain.height

    def wait_for_work(self, seconds: float, stopped: threading.Event) -> bool:
        """Sleep until a transaction waits, the engine halts or `stopped` is set (then `wake`), at most so many seconds.

        Whether a transaction waits.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._halted or stopped.is_set(), timeout=seconds)
            return bool(self._waiting)

    def wake(self) -> None:
        """Let whoever waits look again."""
        with self._changed:
            self._changed.notify_all()

    def check(self) -> Height:
        """Replay the whole log from genesis and check every block; returns the height reached.

        Raises `BrokenLog` at the first block that is not as it was signed, `StateMismatch` if another state comes out.
        """
        with self._running():
            self._chain.check()
            return self._chain.height

    def close(self) -> None:
        """Stop and give the folder free; what waits is lost, what was answered is kept."""
        with self._changed:
            self._halted = self._halted or "it was closed"
            self._storage.close()
            self._changed.notify_all()

    @contextmanager
    def _running(self) -> Iterator[None]:
        with self._changed:
            if self._halted:
                raise EngineHalted(f"the engine does not run: {self._halted}")
            if self._is_stale:
                self._chain = self._read_chain()
                self._is_stale = False
            yield

    def _read_chain(self) -> Chain:
        """The chain as it is on disk; after a write that failed, memory is ahead of it and counts for nothing."""
        return Chain(self._storage, self._log, self._genesis, self._machine, self._key, self._clock.now())

    def _note(self, unsigned: list[Answered]) -> None:
        """Remember what became of transactions that nobody signed, the last of them only."""
        self._unsigned.update((request.envelope, receipt) for request, receipt in unsigned)
        for envelope in list(self._unsigned)[:-MAX_UNSIGNED]:
            del self._unsigned[envelope]

    def _take(self) -> list[Verified]:
        """What goes into the next block: the first that wait, up to its size."""
        taken: list[Verified] = []
        room = MAX_BLOCK
        for name, one in list(self._waiting.items()):
            room -= len(one[0].transaction)
            if room < 0:
                break
            taken.append(one)
            del self._waiting[name]
            self._waiting_bytes -= len(one[0].transaction)
        return taken

    def _put_back(self, taken: list[Verified]) -> None:
        """What was taken for blocks that were not made waits again, before everything else."""
        self._waiting = {sha256(one[0].transaction).digest(): one for one in taken} | self._waiting
        self._waiting_bytes += sum(len(request.transaction) for request, _ in taken)
