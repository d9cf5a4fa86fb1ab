"""A life of two aggregators: one task from its order to its end, with restarts, lost replies, bad and revoked reports.

Both nodes are the real ones, with a real ledger; all three are recorded on one timeline. The crash states are those of
one node. What it answered, sent to the other node or submitted to the ledger is a mark at that moment: from then on
somebody else relies on it. To live on, ledger and other node are taken as they were at the last mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
from crash_states import CrashState, Cut, Disk
from recording import Mark, Recorder, Recording, recorded
from service_world import GENESIS, START, Line, PublishedKeys, Run, World, account_of, counts, key_of
from survival import History, memory_folder

from edgehold.crypto.cose import open1
from edgehold.crypto.seal import SealKeyPair
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.service.node import ServiceNode
from edgehold.service.storage import Storage
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection
from edgehold.wire.ids import Digest, OrderId, ReportId, SlotKey, TaskId
from edgehold.wire.service import (
    Answer,
    BatchAnswer,
    BatchProposal,
    Done,
    Failure,
    FromAggregator,
    Internal,
    JobAnswer,
    JobRequest,
    KeepShare,
    KeyDelivery,
    Receipted,
    Request,
    RevokeReport,
    Upload,
)
from edgehold.wire.task import CloseBatch, JoinTask, Party, PostShare, RequestTask, TaskConfiguration
from edgehold.wire.tx import Envelope

NODES = ("leader", "helper")
PLACES = 5

Holds = Callable[[Storage], bool]


def open_ledger(folder: Path) -> EmbeddedLedger:
    """The ledger beside the nodes, as its keeper opens it."""
    clock = SteppingClock(START, 1_000_000_000)
    return EmbeddedLedger(folder, GENESIS, key_of("validator"), clock, SeededRandomness(1, "ledger"))


class ServiceLife:
    """Two nodes that are being recorded, and all that one of them promised."""

    def __init__(self, folder: Path, random: Random, party: str) -> None:
        self.folder = folder
        self.random = random
        self.party = party
        self.places: dict[ReportId, int] = {}
        self.recorder: Recorder
        self.run: Run
        self.recording: Recording

    def live(self) -> History:
        """One task to its end."""
        pages = self.random.choice((8, 20, 1000))
        hook = lambda connection: connection.wal_autocheckpoint(pages)  # noqa: E731
        apsw.connection_hooks.append(hook)
        try:
            with recorded(self.folder) as self.recorder:
                world = RecordedWorld(self)
                self.run = world.open_task(least_batch=6)
                self._collect(world)
                world.tick_to(self.run.configuration.accept_until + 3)
                self.keys, self.panels = world.keys, world.panels
                self.order_number = world._orders
                for name in NODES:
                    world.nodes[name].close()
                world.ledger.close()
        finally:
            apsw.connection_hooks.remove(hook)
        self.recording = self.recorder.recording
        mine = self.recording.only(lambda name: name.startswith(self.party))
        return History(mine, {}, self._reopened, self._faults, self._go_on)

    def _collect(self, world: RecordedWorld) -> None:
        """Reports come in a few parts; some are bad, some are revoked, nodes are restarted, replies get lost."""
        run, random, person = self.run, self.random, 0
        while world.ledger.height() < run.configuration.upload_until:
            batch = []
            for _ in range(random.randint(3, 5)):
                place = random.randrange(PLACES)
                report = run.report(person, place)
                self.places[ReportId(report[:16])] = place
                if random.random() < 0.15:
                    report = report[:-1] + bytes([report[-1] ^ 1])
                batch.append(encode(Upload(task=run.task, report=report)))
                person += 1
            world.nodes["leader"].handle_many(batch)
            if random.random() < 0.5:
                run.revoke(random.randrange(person), *random.sample(NODES, random.randint(1, 2)))
            for name in NODES:
                if random.random() < 0.3:
                    world.restart(name)
            world.lines["helper"].lose_replies = random.choice((0, 0, 1))
            world.tick()

    # ── what others saw ───────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, node: str, name: str, holds: Holds) -> None:
        """A mark of this node, of which only the party's own counts; it is a moment for all."""
        self.recorder.mark(name, holds if node == self.party else _anything)

    def answered(self, node: str, message: bytes, answer: Any) -> None:
        """A node answered a message."""
        self.mark(node, *promise_in_answer(node == NODES[0], message, answer))

    def leaves(self, node: str, message: bytes) -> None:
        """A node sends a message to the other."""
        self.mark(node, *promise_in_message(message))

    def submits(self, node: str, transaction: bytes) -> None:
        """A node submits a transaction."""
        self.mark(node, *promise_in_transaction(transaction))

    # ── after the power cut ───────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _reopened(self, folder: Path) -> Iterator[Storage]:
        storage = Storage(folder / f"{self.party}.sqlite")
        try:
            yield storage
        finally:
            storage.close()

    def _faults(self, storage: Storage) -> Iterator[str]:
        yield from aggregator_faults(storage, self.run.task)
        if storage.find_conflict(self.run.task) is not None:
            yield "a conflict between honest nodes"

    def _go_on(self, folder: Path, state: CrashState) -> None:
        """Both nodes go on from there, and nothing is missing from the end: no result, but the right one or a reason."""
        for name, content in self._others_at(state).items():
            (folder / name).write_bytes(content)
        ledger = open_ledger(folder)
        world = ReopenedWorld(folder, ledger, self)
        try:
            ran = Run(world, self.run.task, self.run.configuration)
            began = world.read(TaskConfiguration, Collection.CONFIGURATION, self.run.task) is not None
            world.tick_to(self.run.configuration.accept_until + 12)
            for name in NODES:
                standing = world.read(Standing, Collection.STANDING, account_of(name)) or Standing()
                assert (standing.bad, standing.suspended_at) == (0, None), f"the {name} is blamed: {standing}"
            if not began:
                return
            entry = ran.entry()
            assert entry.outcome is not None, "the task has no end"
            posted = [body for body in _bodies(ledger) if isinstance(body, PostShare) and body.task == self.run.task]
            assert len(posted) <= 2, "noise was added twice"
            if len(posted) == 2:
                accepted = [self.places[leaf.report] for leaf in ran.leaves(accepted=True)]
                assert ran.result().exact == counts(accepted), "the result is not the sum of what is listed"
        finally:
            for name in NODES:
                world.nodes[name].close()
            ledger.close()

    def _others_at(self, state: CrashState) -> dict[str, bytes]:
        """Ledger and the other node as they were at the last mark before the cut."""
        disk = Disk(dict(self.recording.names), dict(self.recording.contents))
        for operation in self.recording.operations:
            if isinstance(operation, Mark) and disk.marks == state.marks:
                break
            disk.take(operation)
        files = disk.crash(Cut(0, "all"), Random(0)).files
        return {name: content for name, content in files.items() if not name.startswith(self.party)}


class RecordedNode(ServiceNode):
    """A node whose every answer is a mark."""

    life: ServiceLife
    name: str

    def handle_many(self, messages: Any) -> list[bytes]:
        """Answer, and mark what was answered."""
        answers = super().handle_many(messages)
        for message, answer in zip(messages, answers, strict=True):
            self.life.answered(self.name, message, decode(answer, Answer))
        return answers


class RecordedLine(Line):
    """A way on which every message is a mark of whoever sends it."""

    def __init__(self, life: ServiceLife, sender: str, node: Callable[[], ServiceNode]) -> None:
        super().__init__(node)
        self._life, self._sender = life, sender

    def send(self, message: bytes) -> bytes:
        """Mark and deliver."""
        self._life.leaves(self._sender, message)
        return super().send(message)


class WitnessedLedger:
    """A ledger as one node sees it; what it submits is a mark."""

    def __init__(self, ledger: EmbeddedLedger, life: ServiceLife, node: str) -> None:
        self._ledger, self._life, self._node = ledger, life, node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def submit(self, transaction: bytes) -> Digest:
        """Mark and submit."""
        self._life.submits(self._node, transaction)
        return self._ledger.submit(transaction)


class RecordedWorld(World):
    """The services' small world, with its ledger on disk and everything marked."""

    def __init__(self, life: ServiceLife) -> None:
        self.life = life
        super().__init__(life.folder, ledger=open_ledger(life.folder))
        for name, other in zip(NODES, reversed(NODES), strict=True):
            self.lines[name] = RecordedLine(life, other, lambda name=name: self.nodes[name])
        for name in NODES:
            self.restart(name)

    def start(self, name: str) -> ServiceNode:
        """Start a node on its file, anew or again."""
        node = self._start(RecordedNode, WitnessedLedger(self.ledger, self.life, name), name)
        node.life, node.name = self.life, name
        return node

    def tick(self, count: int = 1) -> None:
        """As ever; a passed height is a moment for all."""
        for _ in range(count):
            super().tick()
            self.life.mark("ledger", "a height passed", _anything)


class ReopenedWorld(World):
    """The world after a power cut: nothing of it is in memory."""

    def __init__(self, folder: Path, ledger: EmbeddedLedger, life: ServiceLife) -> None:
        self.folder, self.ledger = folder, ledger
        self.keys: PublishedKeys = life.keys
        self.panels = life.panels
        self.kinds = dict.fromkeys(NODES, ServiceNode)
        self.lines = {name: Line(lambda name=name: self.nodes[name]) for name in NODES}
        self.nodes = {}
        self._orders, self._drawn = life.order_number, 1000
        for name in NODES:
            self.start(name)


def aggregator_faults(storage: Storage, task: TaskId) -> Iterator[str]:
    """What must never be in what a node keeps of a task."""
    if storage.find_task(task) is None:
        return
    leaves = list(storage.leaves(task, accepted=True))
    if len({leaf.slot_key for leaf in leaves}) < len(leaves):
        yield "a slot key is counted twice"
    missing = storage._one("SELECT count(*) FROM report WHERE task = ? AND state = 1 AND output_share IS NULL", task)
    if missing and not _is_destroyed(storage, task):
        yield f"{missing} accepted reports without their shares"


# ── what is promised ──────────────────────────────────────────────────────────────────────────────────────────────

Promise = tuple[str, Holds]


def promise_in_answer(is_leader: bool, message: bytes, answer: Any) -> Promise:
    """What a node must know from when it has answered a message."""
    request: Any = decode(message, Request)
    inner = decode(request.body, Internal) if isinstance(request, FromAggregator) else request
    match inner, answer:
        case _, Failure():
            return "a refusal", _anything
        case Upload(task=task), Receipted(receipt=receipt):
            return "a receipt", partial(_has_report, task=task, receipt=receipt)
        case RevokeReport(task=task, slot_key=key), Done():
            return "a revocation", partial(_is_revoked, task=task, key=key)
        case KeyDelivery(task=task), Done():
            return "the verification key", partial(_has_verify_key, task=task)
        case JobRequest(task=task, number=number), JobAnswer(job=job):
            return "an answered job", partial(_has_answer, task=task, number=number, answer=job)
        case BatchProposal(), BatchAnswer(batch=batch):
            return "a signed list", partial(_has_signed, batch=batch)
        case KeepShare(task=task, sealed=sealed), Done():
            return "the other's share", partial(_has_share, task=task, is_leader=is_leader, sealed=sealed)
        case _:
            return type(answer).__name__, _anything


def promise_in_message(message: bytes) -> Promise:
    """What a node must know from when it sends a message to another."""
    request: Any = decode(message, Request)
    inner = decode(request.body, Internal) if isinstance(request, FromAggregator) else request
    match inner:
        case KeyDelivery(task=task):
            return "a sent key", partial(_has_delivery, task=task, message=message)
        case JobRequest(task=task, number=number, job=job):
            return "a sent job", partial(_has_job, task=task, number=number, message=message, job=job)
        case BatchProposal(batch=batch):
            return "a proposed list", partial(_has_signed, batch=batch)
        case _:
            return type(inner).__name__, _anything


def promise_in_transaction(transaction: bytes) -> Promise:
    """What a node must know from when it submits a transaction."""
    body = decode(open1(transaction).payload, Envelope).body
    match body:
        case RequestTask(order=order) | JoinTask(order=order):
            party = Party.LEADER if isinstance(body, RequestTask) else Party.HELPER
            return "its keys", partial(_has_secrets, order=order, party=party, key=body.seal_key)
        case CloseBatch(statement=statement):
            return "a closed list", partial(_has_closed, task=statement.task, statement=statement)
        case PostShare(task=task):
            return "its noised share", partial(_has_posted, task=task, transaction=transaction)
        case _:
            return type(body).__name__, _anything


# ── what must be there ────────────────────────────────────────────────────────────────────────────────────────────


def _anything(_: object) -> bool:
    return True


def _is_destroyed(storage: Storage, task: TaskId) -> bool:
    """Whether keys and shares were overwritten, all at once; the noise secret stays, and came with the keys."""
    stored = storage.find_task(task)
    if stored is None:
        return False
    order = stored.configuration.order
    return bool(
        storage._one(
            "SELECT count(*) FROM wanted WHERE order_id = ? AND seal_seed IS NULL AND noise_secret IS NOT NULL", order
        )
    )


def _has_report(storage: Storage, task: TaskId, receipt: Any) -> bool:
    found = storage.find_report(task, receipt.report)
    return found is not None and found.digest == receipt.digest


def _is_revoked(storage: Storage, task: TaskId, key: SlotKey) -> bool:
    return key in storage.revoked(task)


def _has_verify_key(storage: Storage, task: TaskId) -> bool:
    return storage.find_verify_key(task) is not None or _is_destroyed(storage, task)


def _has_delivery(storage: Storage, task: TaskId, message: bytes) -> bool:
    return storage.find_delivery(task) == message or _is_destroyed(storage, task)


def _has_job(storage: Storage, task: TaskId, number: int, message: bytes, job: bytes) -> bool:
    found = storage.find_job(task, number)
    return _is_destroyed(storage, task) or (found is not None and found[0] in (message, job))


def _has_answer(storage: Storage, task: TaskId, number: int, answer: bytes) -> bool:
    found = storage.find_job(task, number)
    return _is_destroyed(storage, task) or (found is not None and found[1] == answer)


def _has_signed(storage: Storage, batch: Any) -> bool:
    found = storage.find_signed(batch.statement.task, batch.statement.round)
    return found is not None and found[0] == batch


def _has_closed(storage: Storage, task: TaskId, statement: Any) -> bool:
    found = storage.find_signed(task, statement.round)
    return found is not None and found[0].statement == statement


def _has_share(storage: Storage, task: TaskId, is_leader: bool, sealed: bytes) -> bool:
    return storage.find_share(task, Party.HELPER if is_leader else Party.LEADER) == sealed


def _has_secrets(storage: Storage, order: OrderId, party: Party, key: bytes) -> bool:
    row = storage._row(
        "SELECT seal_seed, noise_secret FROM wanted WHERE order_id = ? AND party = ?", order, party.value
    )
    return row is not None and row[1] is not None and (row[0] is None or SealKeyPair(row[0]).public == key)


def _has_posted(storage: Storage, task: TaskId, transaction: bytes) -> bool:
    found = storage.find_submission(b"share" + task)
    return found is not None and found.transaction == transaction


def _bodies(ledger: EmbeddedLedger) -> Iterator[Any]:
    for _, transaction, receipt in ledger.transactions(1, ledger.height()):
        if receipt.number == 0:
            yield decode(open1(transaction).payload, Envelope).body


def leader_history(number: int) -> History:
    """The leader's history of this number."""
    with memory_folder() as folder:
        return ServiceLife(folder, Random(f"leader {number}"), "leader").live()


def helper_history(number: int) -> History:
    """The helper's history of this number."""
    with memory_folder() as folder:
        return ServiceLife(folder, Random(f"helper {number}"), "helper").live()
