"""A life of one hub: data, root, enrolment, tasks that are granted, asked, refused and revoked, sharing and erasing.

The hub is the real one, with the real ledger, issuer, services and sandbox around it. Its crash states are of both its
databases, which are recorded on one timeline. What leaves the hub (an upload, a revocation, a root) is a mark at the
moment at which it leaves, since from then on somebody else relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from random import Random

import apsw
from crash_states import CrashState
from hub_world import OPEN, SCHEDULE, World, account_of, bundle, key_of
from msgspec.structs import replace as changed
from recording import Recorder, recorded
from survival import History, memory_folder

from edgehold.aggregation.report import report_digest
from edgehold.crypto.cose import open1
from edgehold.crypto.names import receipt_message
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import ErasedObject
from edgehold.hub.catalog import Postings
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Run, RunState
from edgehold.hub.keys import KEYS_FILE, create_keys
from edgehold.policy.policy import Mode, Policy
from edgehold.wire.batch import UploadReceipt
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import ObjectId
from edgehold.wire.ids import AccountId, Digest, PanelId, TaskId
from edgehold.wire.report import decode_report
from edgehold.wire.root import CommitRoot
from edgehold.wire.service import Done, Receipted, Request, RevokeReport, Upload
from edgehold.wire.tx import Envelope

PERSON, OTHERS = "ada", ("bea", "cleo")

RANK = {RunState.ASKED: 0, RunState.GRANTED: 1, RunState.STORED: 2}
"""How far a run is; every other state is its end."""
END = 3

ASKING = changed(OPEN, mode=Mode.ASK)
LONG = changed(SCHEDULE, upload=80)


@dataclass(frozen=True)
class Sent:
    """An upload that left the hub."""

    place: int
    """In the recording."""
    task: TaskId
    report: bytes


class HubLife:
    """A hub that is being recorded, and all that it promised to its owner and to others."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.random = random
        self.world = World(folder, seed=random.getrandbits(32))
        self.folder = folder / PERSON
        self.uploads: list[Sent] = []
        self.began: list[TaskId] = []
        self.roots: list[Digest] = []
        self.policies = [encode(Policy())]
        self.looked_at: dict[TaskId, Run] = {}
        self.hub: Hub
        self.recorder: Recorder

    def live(self) -> History:
        """One order to its end, two that stay open, and what an owner does in between."""
        pages = self.random.choice((8, 20, 1000))
        hook = lambda connection: connection.wal_autocheckpoint(pages)  # noqa: E731
        world = self.world
        outside = replace(
            world.outside,
            services=self._line,
            ledger=_Witnessed(world.ledger, self._root_is_posted),
            library=self._source,
        )
        others = [world.admit(person) for person in OTHERS]
        keys = create_keys(self.folder, world.randomness)
        beside = {KEYS_FILE: (self.folder / KEYS_FILE).read_bytes()}
        apsw.connection_hooks.append(hook)
        try:
            with recorded(self.folder) as self.recorder:
                self.hub = Hub.create(self.folder, keys, outside)
                self.recorder.mark("the hub exists", lambda hub: encode(hub.policy) in self.policies)
                self._settle_in()
                panel = self._enrol(others)
                self._work(panel, others)
                self._come_to_an_end()
                self.hub.close()
        finally:
            apsw.connection_hooks.remove(hook)
            for other in others:
                other.close()
        return History(self.recorder.recording, beside, self._reopened, hub_faults, self._go_on)

    # ── what the owner does ───────────────────────────────────────────────────────────────────────────────────────

    def _settle_in(self) -> None:
        record, signed = self.world.hand_out(PERSON)
        self.world.settle(self.hub.ask_account(self.world.desk, account_of("issuer"), signed.invitation))
        if self.random.random() < 0.5:
            self._import("notes.json", bundle("me", bmi=31.0), None)
        self._import("record.json", record, signed.signature)
        self._commit()
        self._set_policy(OPEN)

    def _import(self, name: str, record: bytes, signature: bytes | None) -> None:
        path = self.folder / name
        path.write_bytes(record)
        if signature is not None:
            path.with_name(f"{name}.jws").write_bytes(signature)
        before = {one.id for one in self.hub.store.objects()}
        self.hub.import_file(path)
        new = next(one.id for one in self.hub.store.objects() if one.id not in before)
        self.recorder.mark(f"import of {name}", partial(_has_original, dataset=new, record=record))

    def _commit(self) -> None:
        while self.hub.commit() is None:
            self.world.ledger.advance()
        self.world.ledger.advance()

    def _root_is_posted(self, transaction: bytes) -> None:
        envelope = decode(open1(transaction).payload, Envelope)
        if isinstance(envelope.body, CommitRoot):
            self.roots.append(envelope.body.root)
            self.recorder.mark("a posted root can be opened", partial(self._knows_root, place=len(self.roots) - 1))

    def _knows_root(self, hub: Hub, place: int) -> bool:
        kept = decode(hub.store.get_fact("postings"), Postings).newest_first
        newest = self.roots.index(kept[0].root) if kept and kept[0].root in self.roots else len(self.roots)
        return newest >= place + len(kept) or self.roots[place] in [one.root for one in kept]

    def _set_policy(self, policy: Policy) -> None:
        self.policies.append(encode(policy))
        self.hub.set_policy(policy)
        self._policy_is_kept()

    def _policy_is_kept(self) -> None:
        place = len(self.policies) - 1
        later = lambda hub: encode(hub.policy) in self.policies[place:]  # noqa: E731
        self.recorder.mark("the owner's policy", later)

    def _enrol(self, others: list[Hub]) -> PanelId:
        panel = self.world.panel()
        for hub in (self.hub, *others):
            hub.enrol(self.world.desk, panel)
        tokens = [self.hub._journal.token(panel, slot) for slot in range(4)]
        held = lambda hub: [hub._journal.token(panel, slot) for slot in range(4)] == tokens  # noqa: E731
        self.recorder.mark("tokens of a panel", held)
        self.world.close_panel(panel)
        return panel

    def _work(self, panel: PanelId, others: list[Hub]) -> None:
        """The first task goes to its end; at the others the owner intervenes."""
        first = self.world.open_task(panel)
        self._follow(others, count=5)
        self._follow(others, count=12)
        self.hub.check_batch(first)
        for service in ("leader", "helper"):
            counted = lambda hub, service=service: hub._journal.experience(account_of(service)) >= (1, 0)  # noqa: E731
            self.recorder.mark(f"what the hub saw of the {service}", counted)
        for _ in range(2):
            self._set_policy(changed(self.random.choice((OPEN, OPEN, ASKING)), loss_per_year=str(self._some())))
            task = self.world.open_task(panel, schedule=LONG)
            self._follow(others)
            self.random.choice((self._restart, self._share, lambda: None))()
            if self.hub.inbox():
                self.hub.answer(task, yes=self.random.random() < 0.7)
                self._look_at_runs()
            self._follow(others, count=self.random.randint(1, 60))
            if self.hub._journal.run(task).state in (RunState.STORED, RunState.SENT) and self.random.random() < 0.6:
                self.hub.revoke(task)
                self.recorder.mark("a revocation", partial(is_revoked, task=task))
        self._set_policy(changed(OPEN, loss_per_order="1/1000"))
        self.world.open_task(panel, schedule=LONG)
        self._follow(others)

    def _some(self) -> int:
        return self.random.randint(5, 100)

    def _follow(self, others: list[Hub], count: int = 1) -> None:
        for _ in range(count):
            self.hub.follow()
            self._look_at_runs()
            self.world.tick(*others)
            if self.hub._journal.runs(RunState.STORED) == [] and count > 20:
                break

    def _look_at_runs(self) -> None:
        """Whatever a call of the hub did is durable when it returns."""
        for run in self.hub._journal.runs(*RunState):
            if self.looked_at.get(run.task) == run:
                continue
            self.looked_at[run.task] = run
            self.recorder.mark(f"a run that is {run.state.value}", partial(_is_as_far, then=run))

    def _restart(self) -> None:
        self.hub.close()
        self.hub = Hub.open(self.folder, self.hub._outside)

    def _share(self) -> None:
        dataset = next(one.id for one in self.hub.store.objects())
        share = self.hub.share(dataset, account_of("customer"), self.world.ledger.height() + 100)
        self.recorder.mark("a share", lambda hub: share in [one.share for one in hub.shares()])
        if self.random.random() < 0.5:
            self.hub.withdraw_share(share)
            ended = lambda hub: (share, None) not in [(one.share, one.withdrawn_at) for one in hub.shares()]  # noqa: E731
            self.recorder.mark("the end of a share", ended)

    def _come_to_an_end(self) -> None:
        if self.random.random() < 0.5:
            erased = self.hub.erase()
            self.recorder.mark("an erasure", partial(_is_erased, datasets=erased))
            self._commit()
        if self.random.random() < 0.5:
            self.policies.append(encode(changed(self.hub.policy, mode=Mode.NEVER)))
            self.hub.withdraw()
            self._policy_is_kept()
            self.recorder.mark("the hub answers no panel", lambda hub: hub.panels() == [])

    # ── what others saw ───────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, account: AccountId) -> _Spied:
        line = self.world.lines["leader" if account == account_of("leader") else "helper"]
        return _Spied(line.send, self._is_leaving)

    def _is_leaving(self, message: bytes) -> None:
        """From here on a service has it: the report is paid for and never another, and a revocation is not forgotten."""
        request = decode(message, Request)
        match request:
            case Upload(task=task, report=report):
                self.uploads.append(Sent(len(self.recorder.recording.operations), task, report))
                self.recorder.mark("an upload", partial(is_paid, task=task, report=report))
            case RevokeReport(task=task):
                self.recorder.mark("a revocation that was sent", partial(is_revoked, task=task))
            case _:
                pass

    def _source(self, digest: Digest) -> bytes | None:
        """A run begins: it must never begin again."""
        granted = [run.task for run in self.hub._journal.runs(RunState.GRANTED)]
        for task in granted:
            self.began.append(task)
            self.recorder.mark("a run that began", lambda hub, task=task: rank(hub._journal.run(task)) > 0)
        return self.world.sources.get(digest)

    # ── after the power cut ───────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _reopened(self, folder: Path) -> Iterator[Hub]:
        with Hub.open(folder, self.world.outside) as hub:
            yield hub

    def _go_on(self, folder: Path, state: CrashState) -> None:
        """The hub follows the ledger as it stands now: no run twice, no other report, nothing that was revoked."""
        sent = {one.task: one.report for one in self.uploads if one.place <= state.cut.after}
        left: list[tuple[TaskId, bytes]] = []

        def stand_in(message: bytes) -> bytes:
            request = decode(message, Request)
            if not isinstance(request, Upload):
                return encode(Done())
            left.append((request.task, request.report))
            return encode(_receipt(request.task, request.report))

        runs: list[Digest] = []

        def source(digest: Digest) -> bytes | None:
            runs.append(digest)
            return self.world.sources.get(digest)

        outside = replace(
            self.world.outside,
            services=lambda _: _Spied(stand_in, lambda _: None),
            library=source,
            ledger=self.world.ledger,
            randomness=SeededRandomness(state.cut.after, "after the power cut"),
        )
        with Hub.open(folder, outside) as hub:
            before = {run.task: run for run in hub._journal.runs(*RunState)}
            open_tasks = {task for task in hub._outside.feed.after(self.world.ledger, 0) if task not in before}
            for _ in range(2):
                hub.follow()
            assert len(runs) <= len(open_tasks), "a run was repeated"
            assert len({task for task, _ in left}) == len(left), "an upload was repeated after its receipt"
            for task, report in left:
                assert sent.get(task, report) == report, "another report of one task left the hub"
                assert task not in before or before[task].revoked_at is None, "a revoked report left the hub"
                assert before.get(task) is None or before[task].report in (None, report), "the stored report changed"
            assert not hub._journal.runs(RunState.GRANTED), "a run stays interrupted"
            assert not list(hub_faults(hub))


class _Spied:
    """A way to a service on which everything is seen before it leaves."""

    def __init__(self, send: object, see: object) -> None:
        self._send, self._see = send, see

    def send(self, message: bytes) -> bytes:
        """Deliver."""
        self._see(message)
        return self._send(message)


class _Witnessed:
    """A ledger of which every transaction is seen before it is sent."""

    def __init__(self, ledger: EmbeddedLedger, see: object) -> None:
        self._ledger, self._see = ledger, see

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def submit(self, transaction: bytes) -> Digest:
        """Send."""
        self._see(transaction)
        return self._ledger.submit(transaction)


def hub_faults(hub: Hub) -> Iterator[str]:
    """What must never be in a hub."""
    yield from hub.store.check()
    yield from journal_faults(hub)


def journal_faults(hub: Hub) -> Iterator[str]:
    """A report without its debit, or a debit without its report."""
    debits = hub._journal.debits()
    runs = {run.task: run for run in hub._journal.runs(*RunState)}
    for task in debits.keys() - runs.keys():
        yield f"a debit for task {task.hex()} without a run"
    for task, run in runs.items():
        if (run.report is not None) != (task in debits):
            yield f"task {task.hex()}: report {run.report is not None}, debit {task in debits}"
        if task in debits and debits[task] != Fraction(run.record.question.loss):
            yield f"task {task.hex()} cost {debits[task]}"
        if run.state in (RunState.STORED, RunState.SENT) and run.report is None:
            yield f"task {task.hex()} is {run.state.value} without a report"
        if (run.state is RunState.SENT) != (run.receipt is not None):
            yield f"task {task.hex()} is {run.state.value} with receipt {run.receipt}"


def _receipt(task: TaskId, report: bytes) -> Receipted:
    metadata = decode_report(report).metadata
    receipt = UploadReceipt(
        task=task, report=metadata.report, slot_key=metadata.permit.slot_key, digest=report_digest(report)
    )
    return Receipted(receipt=receipt, signature=key_of("leader").sign(receipt_message(receipt)))


def rank(run: Run) -> int:
    """How far a run is."""
    return RANK.get(run.state, END)


def _is_as_far(hub: Hub, then: Run) -> bool:
    """The run stands where it stood, or further; what was decided, stored, receipted or revoked is the same."""
    now = hub._journal.run(then.task)
    if rank(now) < rank(then) or (rank(then) == END and now.state is not then.state):
        return False
    kept = (then.report, then.receipt, then.revoked_at and True, then.included)
    found = (now.report, now.receipt, now.revoked_at and True, now.included)
    decided = rank(then) == 0 or (now.record, now.upload_at) == (then.record, then.upload_at)
    return decided and all(was is None or was == is_ for was, is_ in zip(kept, found, strict=True))


def is_paid(hub: Hub, task: TaskId, report: bytes) -> bool:
    """Whether a report that left was stored with its debit."""
    return hub._journal.run(task).report == report and task in hub._journal.debits()


def is_revoked(hub: Hub, task: TaskId) -> bool:
    """Whether the hub knows that it took a report back."""
    return hub._journal.run(task).revoked_at is not None


def _has_original(hub: Hub, dataset: ObjectId, record: bytes) -> bool:
    try:
        return hub.store.get_original(dataset) == record
    except ErasedObject:
        return True


def _is_erased(hub: Hub, datasets: list[ObjectId]) -> bool:
    return all(hub.store.get_object(one).descriptor.tombstone for one in datasets)


def hub_history(number: int) -> History:
    """The history of this number."""
    with memory_folder() as folder:
        return HubLife(folder, Random(f"hub {number}")).live()
