"""The replicated engine: the state of a ledger whose blocks many validators decide on, moved on by CometBFT.

CometBFT orders transactions and asks the same of every validator's replica, which judges alike on each: what may come to
the door (`check`), what a proposer puts into a block (`prepare`), whether a proposed block may be voted for
(`objection`), what a decided block comes to (`finalize`, of which nothing is written), and that it is kept (`commit`:
one durable transaction). A block is executed once: who proposed it or looked at it knows what it comes to. All that is
read, proved or told is of the state that was committed last.

What a known rule refuses is a number in a receipt. Anything else that goes wrong is a mistake in this program, or a disk
that fails: the caller must stop, since a replica that halts forks nothing.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, NamedTuple

import apsw

from edgehold.crypto.merkle import Staged
from edgehold.crypto.names import network_id
from edgehold.crypto.signatures import verify_many
from edgehold.durable import remove_database, storage_failures, sync_folder
from edgehold.engine.chain import KEPT_ANSWERS
from edgehold.engine.entries import Entries
from edgehold.engine.execution import Executed, Verified, execute_block
from edgehold.engine.heights import Heights, Passed
from edgehold.engine.machine import LedgerMachine, Request, StateMachine, View
from edgehold.engine.signed import SignedTransactions
from edgehold.engine.snapshots import Restoration, SnapshotWriter, read_manifest, read_piece, snapshot_heights
from edgehold.engine.storage import Storage, is_forgotten
from edgehold.errors import (
    AlreadyAnswered,
    BadSignature,
    BadSnapshot,
    BrokenLog,
    EdgeholdError,
    Expired,
    InvalidBlock,
    LedgerBusy,
    Malformed,
    OutOfStep,
    StateMismatch,
    StateNotKept,
    WrongNetwork,
)
from edgehold.ledger.draw import KEPT_HEADERS
from edgehold.ports import Randomness
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import Digest, Height, NetworkId, PublicKey
from edgehold.wire.proof import MapProof
from edgehold.wire.query import PlacedReceipt
from edgehold.wire.tx import Receipt

FILE = "replica.sqlite"
"""The database in the replica's folder."""

SNAPSHOTS = "snapshots"
"""The folder of snapshots in the replica's folder."""

FORMAT = b"edgehold replica 2"

KEPT_STATES = 4
"""Blocks back whose states can still be asked for: the newest header that somebody knows signs one of these."""

MAX_EXECUTED = 4
"""Proposals of one height whose outcome is kept; a round makes one."""


class Refused(NamedTuple):
    """Why a transaction is not taken, or a block not voted for: an error's number and facts."""

    number: int
    facts: str


@dataclass(frozen=True)
class Block:
    """A block that was decided on: its height, its header's hash and time (nanoseconds), its transactions."""

    height: Height
    header: Digest
    time: int
    transactions: Sequence[bytes]


@dataclass(frozen=True)
class _Pending:
    """A block that was executed and is not kept yet."""

    passed: Passed
    executed: Executed
    staged: Staged


class Replica:
    """The state of a replicated ledger in a folder, or in memory if the folder is None. For one thread.

    Starting recomputes the root from the table. Raises `LedgerBusy`, `WrongLedger`, `BrokenLog`, `StateMismatch`,
    `BadGenesis`.
    """

    def __init__(
        self, folder: Path | None, genesis: Genesis, randomness: Randomness, machine: StateMachine | None = None
    ) -> None:
        self.genesis = genesis
        self.network: NetworkId = network_id(genesis)
        self._randomness = randomness
        self._machine = machine or LedgerMachine(genesis)
        self._folder = folder
        self._lock = _lock(folder) if folder else None
        self._restoration: Restoration | None = None
        self._writing: Thread | None = None
        try:
            self._open_storage()
        except BaseException:
            self._unlock()
            raise

    def _open_storage(self) -> None:
        self._signed = SignedTransactions()
        self._executed: dict[tuple[bytes, ...], Executed] = {}
        self._pending: _Pending | None = None
        self._hashes: dict[int, Digest] = {}
        path = self._folder / FILE if self._folder else None
        self._storage = Storage(path, self.network, FORMAT, locking="NORMAL")
        try:
            self._heights = Heights(self._storage.database)
            self._entries = Entries(self._storage, KEPT_STATES)
            self._begin()
        except BaseException as error:
            self._storage.close()
            if isinstance(error, apsw.Error):
                raise BrokenLog(f"{path} is damaged: {error}") from error
            raise

    def _begin(self) -> None:
        """Found the ledger in an empty database, or go on where it stands."""
        passed = self._heights.all()
        if not passed:
            staged = self._entries.stage(self._machine.initial_state())
            passed = [Passed(0, b"", self.genesis.time, staged.root)]
            with self._storage.transaction():
                self._entries.apply(staged)
                self._heights.append(passed[0])
        self._hashes = {one.height: Digest(one.header) for one in passed if one.header}
        self._move_to(passed[-1])
        if self._entries.root != passed[-1].root:
            entries, kept = self._entries.root.hex(), passed[-1].root.hex()
            raise StateMismatch(f"height {self.height}: the entries have root {entries}, {kept} was committed")

    def _move_to(self, passed: Passed) -> None:
        self.last = passed
        if passed.header:
            self._hashes[passed.height] = Digest(passed.header)
            self._hashes.pop(passed.height - KEPT_HEADERS, None)
        self._view = View(self._entries.read, passed.height + 1, self._hashes.get)

    def close(self) -> None:
        """Give the folder free; what was not committed is lost."""
        if self._writing:
            self._writing.join()
        try:
            if self._restoration:
                self._restoration.close()
            self._storage.close()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock:
            self._lock.close()

    # ── what was committed ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def height(self) -> Height:
        """The height of the last block that was committed, 0 before the first."""
        return self.last.height

    @property
    def root(self) -> Digest:
        """The root of the state after the last block: the application hash of the next header."""
        return self.last.root

    def read(self, key: bytes, height: Height | None = None) -> bytes | None:
        """The value under a flat key in the state after a block, the last if none is named; raises `StateNotKept`."""
        return self._entries.read(key, self._back(height))

    def prove(self, key: bytes, height: Height | None = None) -> MapProof:
        """What the map says about a flat key in the state after a block; raises `StateNotKept`."""
        return self._entries.prove(key, self._back(height))

    def _back(self, height: Height | None) -> int:
        back = 0 if height is None else self.height - height
        first = max(0, self.height - self._entries.kept)
        if not 0 <= back <= self.height - first:
            raise StateNotKept(f"asked for the state after block {height}, there are {first} to {self.height}")
        return back

    def receipt(self, envelope: Digest) -> PlacedReceipt | None:
        """What became of a transaction, if it was in a block and is remembered."""
        return self._storage.answer(envelope)

    def require_kept(self, block: Block, root: Digest, results: Sequence[tuple[int, bytes]]) -> None:
        """What is remembered of a block is what was signed: its header, the root after it, number and bytes of its receipts.

        What may be forgotten by now need not be there. Raises `StateMismatch`.
        """
        passed, expected = self._heights.get(block.height), Passed(block.height, block.header, block.time, root)
        if passed != expected and (passed or block.height > self.height - KEPT_HEADERS):
            raise StateMismatch(f"block {block.height}: {passed} is remembered, {expected} was signed")
        requests = [self._machine.open(one) for one in block.transactions]
        found = self._storage.answered((request.envelope, request.expires) for request in requests)
        for place, (request, (_, receipt)) in enumerate(zip(requests, results, strict=True)):
            remembered = found.get(request.envelope)
            if remembered is None and is_forgotten(request.expires, self.height - KEPT_ANSWERS):
                continue
            if remembered != (block.height, place, receipt):
                raise StateMismatch(f"block {block.height}: another receipt is remembered of transaction {place}")

    # ── the door ──────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, transactions: Sequence[bytes]) -> list[Refused | None]:
        """Why each of these may not wait for a block, or None; their signatures are verified together, on one thread.

        A sender must be known already: what strangers sign would be handed on by every node before anybody could tell.
        """
        return [one if isinstance(one, Refused) else self._unfit(*one) for one in self._look(transactions, threads=1)]

    def check_again(self, transaction: bytes) -> Refused | None:
        """Why a transaction that waits may wait no longer, or None; its signature is not looked at."""
        verified = self._signed.get(transaction)
        if verified is not None:
            return self._expired(verified[0])
        request = self._open(transaction)
        if isinstance(request, Refused):
            return request
        if self._storage.answered([(request.envelope, request.expires)]):
            return _already_answered(request)
        return self._expired(request)

    def _unfit(self, request: Request, signer: object) -> Refused | None:
        if (expired := self._expired(request)) is not None:
            return expired
        if signer is not None:
            return None
        receipt, _ = self._machine.execute(self._view, request, False)
        if receipt.number:
            return Refused(receipt.number, receipt.facts)
        return _refused(BadSignature("the sender is not known, or this is not its signature"))

    def _expired(self, request: Request) -> Refused | None:
        if request.expires < self._view.height:
            return _refused(Expired(f"expired at height {request.expires}, this is {self._view.height}"))
        return None

    # ── blocks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def prepare(self, transactions: Sequence[bytes], room: int) -> list[bytes]:
        """What of these transactions, in their order, the next block may hold in so many bytes."""
        looked = self._look(_fitting(transactions, room))
        executed = self._execute([one for one in looked if not isinstance(one, Refused)])
        chosen = [request.transaction for request, _ in executed.answered]
        self._keep(chosen, executed)
        return chosen

    def objection(self, transactions: Sequence[bytes]) -> Refused | None:
        """Why no block of the next height may hold just these transactions, or None. Every replica finds the same.

        1. Each is a signed transaction for this network, in its one spelling.
        2. None was answered before, and none comes twice.
        3. Each is signed by its sender, as the state is after the ones before it, and has not expired.
        """
        if tuple(transactions) in self._executed:
            return None
        fresh: list[Verified] = []
        envelopes: set[Digest] = set()
        # 1, 2
        for one in self._look(transactions):
            if isinstance(one, Refused):
                return one
            if one[0].envelope in envelopes:
                return _already_answered(one[0])
            envelopes.add(one[0].envelope)
            fresh.append(one)
        # 3
        executed = self._execute(fresh)
        for _, receipt in executed.unsigned:
            return Refused(receipt.number, receipt.facts)
        self._keep(transactions, executed)
        return None

    def finalize(self, block: Block) -> tuple[list[Receipt], Digest]:
        """What a decided block comes to: its receipts, and the root of the state after it. Nothing is written.

        Raises `OutOfStep`, `InvalidBlock` if no honest validator would have voted for it, and `UnknownRules` before
        the first block of rules that this program does not have.
        """
        if block.height != self.height + 1:
            raise OutOfStep(f"block {block.height} does not follow height {self.height}")
        if (refused := self.objection(block.transactions)) is not None:
            raise InvalidBlock(f"block {block.height}: EH{refused.number}: {refused.facts}")
        executed = self._executed[tuple(block.transactions)]
        staged = self._entries.stage(executed.writes)
        self._pending = _Pending(Passed(block.height, block.header, block.time, staged.root), executed, staged)
        return [receipt for _, receipt in executed.answered], staged.root

    @property
    def changed_powers(self) -> Mapping[PublicKey, int]:
        """What the block that was executed last changes of the validators' power, by their keys; 0 for one that left."""
        return self._pending.executed.powers if self._pending else {}

    @property
    def rules(self) -> int:
        """The version of the rules that the block follows after the one that was executed last."""
        return self._pending.executed.next_rules if self._pending else self._machine.rules(self._view)

    def require_rules(self) -> None:
        """Raises `UnknownRules` if the block after the last one that was committed follows rules that are not here."""
        self._machine.require_rules(self._view)

    def commit(self) -> None:
        """Keep the block that was executed last: state, answers, header hash and height in one durable transaction.

        Raises `OutOfStep`, `StorageFailed`; after a failure only what is on disk counts.
        """
        if self._pending is None:
            raise OutOfStep(f"there is no block to commit after height {self.height}")
        passed, executed = self._pending.passed, self._pending.executed
        with self._storage.transaction():
            self._entries.apply(self._pending.staged)
            self._storage.remember(passed.height, executed.answered)
            self._storage.forget(below=passed.height - KEPT_ANSWERS)
            self._heights.append(passed)
        self._pending = None
        self._executed.clear()
        for request, _ in executed.answered:
            self._signed.forget(request.envelope)
        self._move_to(passed)

    def _execute(self, verified: Sequence[Verified]) -> Executed:
        return execute_block(self._machine, self._view, verified)

    def _keep(self, transactions: Sequence[bytes], executed: Executed) -> None:
        """Remember what a block of just these transactions would come to."""
        self._executed[tuple(transactions)] = executed
        if len(self._executed) > MAX_EXECUTED:
            del self._executed[next(iter(self._executed))]

    # ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────

    def take_snapshot(self) -> None:
        """Write the state that was committed last for newcomers, in a thread beside; not while another is written."""
        if self._folder is None or (self._writing and self._writing.is_alive()):
            return
        writer = SnapshotWriter(self._folder / FILE, self._folder / SNAPSHOTS, self.network)
        self._writing = Thread(target=writer.write, name="edgehold snapshot")
        self._writing.start()

    def snapshots(self) -> list[bytes]:
        """The manifests of the snapshots that are there."""
        if self._folder is None:
            return []
        folder = self._folder / SNAPSHOTS
        manifests = (read_manifest(folder, height) for height in snapshot_heights(folder))
        return [manifest for manifest in manifests if manifest]

    def piece(self, height: Height, index: int) -> bytes | None:
        """A piece of a snapshot."""
        return read_piece(self._folder / SNAPSHOTS, height, index) if self._folder else None

    def begin_restoring(self, manifest: bytes, root: Digest) -> None:
        """Begin to take over a snapshot whose state's root is verified; raises `BadSnapshot`, also if there is a state."""
        if self._folder is None or self.height:
            raise BadSnapshot(f"this replica is at height {self.height}")
        if self._restoration:
            self._restoration.close()
            self._restoration = None
        self._restoration = Restoration(self._folder, self.network, FORMAT, manifest, root)

    def restore(self, index: int, piece: bytes) -> bool:
        """Take in a piece; whether it is what the manifest names. With the last one the replica is at its height.

        Raises `BadSnapshot` if the whole is not what was verified: then nothing of it is left.
        """
        if self._folder is None or self._restoration is None:
            raise BadSnapshot("none was begun")
        try:
            if not self._restoration.add(index, piece):
                return False
            if self._restoration.is_whole:
                restored = self._restoration.finish()
                self._restoration = None
                self._storage.close()
                remove_database(self._folder / FILE)
                restored.replace(self._folder / FILE)
                sync_folder(self._folder)
                self._open_storage()
        except BadSnapshot:
            if self._restoration:
                self._restoration.discard()
                self._restoration = None
            raise
        return True

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, transactions: Sequence[bytes], threads: int = 2) -> list[Verified | Refused]:
        """Each transaction read, with the key under which its signature holds in the committed state, or None for it.

        One that cannot be read or was answered is refused. What was verified before is not verified again.
        """
        looked: list[Verified | Refused] = []
        unknown: dict[int, Request] = {}
        for place, transaction in enumerate(transactions):
            known = self._signed.get(transaction)
            request = None if known else self._open(transaction)
            if isinstance(request, Request):
                unknown[place] = request
                looked.append((request, None))
            else:
                looked.append(known or request)  # type: ignore[arg-type]
        answered = self._storage.answered((request.envelope, request.expires) for request in unknown.values())
        for place, request in unknown.items():
            if request.envelope in answered:
                looked[place] = _already_answered(request)
        fresh = {place: request for place, request in unknown.items() if request.envelope not in answered}
        self._verify(fresh, looked, threads)
        return looked

    def _verify(self, requests: dict[int, Request], looked: list[Verified | Refused], threads: int) -> None:
        """Note at each place the key under which the signature holds."""
        signers = {place: self._machine.signer(self._view, request) for place, request in requests.items()}
        claims = [(place, requests[place], signer) for place, signer in signers.items() if signer is not None]
        if not claims:
            return
        items = [(signer, request.message, request.signature) for _, request, signer in claims]
        held = verify_many(items, self._randomness.draw(32), threads=threads)
        for (place, request, signer), holds in zip(claims, held, strict=True):
            if holds:
                looked[place] = request, signer
                self._signed.put((request, signer))

    def _open(self, transaction: bytes) -> Request | Refused:
        try:
            return self._machine.open(transaction)
        except (Malformed, WrongNetwork) as error:
            return _refused(error)


def _lock(folder: Path) -> IO[bytes]:
    """Lock a folder for one replica, until the file is closed or the process ends; others may read the database."""
    with storage_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise LedgerBusy(f"{folder} is kept by another process") from error
    return file


def _refused(error: EdgeholdError) -> Refused:
    return Refused(error.number, str(error))


def _already_answered(request: Request) -> Refused:
    return _refused(AlreadyAnswered(f"envelope {request.envelope.hex()}"))


def _fitting(transactions: Sequence[bytes], room: int) -> list[bytes]:
    """The first transactions that fit into a block with so many bytes for them (each with its head in protobuf)."""
    fitting: list[bytes] = []
    for transaction in transactions:
        room -= len(transaction) + 2 + (max(len(transaction), 1).bit_length() - 1) // 7
        if room < 0:
            break
        fitting.append(transaction)
    return fitting
