"""The hub as an actor: one person's data, keys, policy, budget and runs, and all that leaves it.

It is a state machine that can be stopped anywhere. `follow` is called when there may be something new (a height passed,
the hub is back on line); everything durable lies in the folder: keys, the store, the journal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from msgspec.structs import replace as changed

from edgehold.aggregation.batch import find_leaf, list_root, open_leaves, prove_absence
from edgehold.aggregation.report import make_report, report_digest
from edgehold.codecs.choice import Profile
from edgehold.codecs.lossy import Loss
from edgehold.codecs.tables.laboratory import Columns
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import tree_path
from edgehold.crypto.names import account_id, receipt_message, statement_message
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.crypto.transactions import sign_transaction
from edgehold.durable import remove_database, storage_failures
from edgehold.errors import (
    BadSignature,
    Malformed,
    NoService,
    NotAnAdult,
    NotAsked,
    NothingSent,
    PanelNotOpen,
    StorageFailed,
    TooLate,
    UnknownObject,
)
from edgehold.hub import enrolment, sharing
from edgehold.hub.catalog import catalog_root, check_catalog, open_leaf
from edgehold.hub.intake.imports import Imported, Listener, Together
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.journal import RESTORED_FROM, RESTORED_UNTIL, Journal, Run, RunState, Share
from edgehold.hub.keys import KEYS_FILE, KIT_FILE, HubKeys, load_keys
from edgehold.hub.runs import INTERRUPTED, Bench, Library, find_dataset, measure
from edgehold.hub.store import Store
from edgehold.hub.watch import Feed, SeenTask, look, see_task
from edgehold.ledger.state import State, find_panel, find_revocation, find_root, get_account, get_task
from edgehold.policy.budget import Budget
from edgehold.policy.decide import Ask, Decision, Granted, Refused, debit_for, explain, make_record
from edgehold.policy.policy import Mode, Policy, minor, opening_budget
from edgehold.ports import Ledger, Peer, Randomness
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.limits import is_affordable
from edgehold.sandbox.program import Measurement
from edgehold.vdaf.prio3 import neutral
from edgehold.verify.view import ProofCache
from edgehold.wire.account import Role
from edgehold.wire.batch import Batch, ReportLeaf
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import ObjectId
from edgehold.wire.enrolment import Invitation
from edgehold.wire.ids import AccountId, Digest, PanelId, SlotKey, TaskId
from edgehold.wire.panel import SlotCredential
from edgehold.wire.report import decode_report
from edgehold.wire.root import CommitRoot
from edgehold.wire.service import (
    LEAVES_IN_PART,
    Answer,
    Done,
    GetLists,
    ListPart,
    Receipted,
    Request,
    RevokeReport,
    Upload,
)
from edgehold.wire.sharing import Grant, Nonce
from edgehold.wire.task import Outcome, ReportDropped, ReportIgnored, Revoke
from edgehold.wire.tx import Body

STORE_FILE = "store.sqlite"
JOURNAL_FILE = "journal.sqlite"
NETWORK_FILE = "network"
"""Where commands find the hub's ledger."""

EXPIRY = 20
"""Heights within which a transaction of a hub takes effect or is sent anew."""


Lists: TypeAlias = tuple[list[ReportLeaf], list[ReportLeaf]]
"""The accepted and the rejected leaves of one batch."""


@dataclass
class ListCache:
    """The lists of the last few batches that were downloaded whole in this process and have the roots that both signed.

    Many hubs on one host look into the same lists: downloaded by each, their number would count twice. Safe between threads.
    """

    kept: OrderedDict[Digest, Lists] = field(default_factory=OrderedDict)
    most: int = 4
    lock: Lock = field(default_factory=Lock)

    def find(self, statement: Digest) -> Lists | None:
        """The lists over which this statement was signed, if they are here."""
        with self.lock:
            return self.kept.get(statement)

    def keep(self, statement: Digest, lists: Lists) -> None:
        """Keep lists whose roots were compared with the statement."""
        with self.lock:
            self.kept[statement] = lists
            while len(self.kept) > self.most:
                self.kept.popitem(last=False)


@dataclass(frozen=True)
class Surroundings:
    """What a hub reaches outside its folder. Hubs of one process may share all of it.

    `proofs` and `lists` remember what was verified in this process; a hub that trusts no other has its own.
    """

    ledger: Ledger
    sandbox: Sandbox
    library: Library
    services: Callable[[AccountId], Peer]
    randomness: Randomness
    proofs: ProofCache = field(default_factory=ProofCache)
    feed: Feed = field(default_factory=Feed)
    lists: ListCache = field(default_factory=ListCache)


@dataclass(frozen=True)
class Departure:
    """One line of the history: a task, what was decided, what left and what it cost."""

    task: TaskId
    state: RunState
    decision: Decision
    sentence: str
    bytes_left: int
    sent_at: int | None
    loss: Fraction
    """ρ that was debited; 0 if nothing was."""
    receipt: Receipted | None
    included: bool | None
    """Whether the batch counts the report; None as long as it is not known."""
    revoked_at: int | None
    log: str
    """Why the program gave nothing; empty if it gave a measurement."""
    trouble: str
    """Why the last upload got no receipt; empty if none failed."""


@dataclass(frozen=True)
class Sharing:
    """One line of the history: a shared record that was fetched."""

    share: Digest
    recipient: AccountId
    height: int
    bytes_left: int


@dataclass(frozen=True)
class Remains:
    """What is left elsewhere of erased datasets, as far as the hub knows."""

    fetched: list[Sharing]
    """Each time a holder fetched one of them."""
    sums: list[Departure]
    """Reports that left and were not taken back, whatever the program read."""


@dataclass(frozen=True)
class BatchCheck:
    """What the lists of a closed batch say of this hub's report."""

    included: bool
    evidence: Digest | None
    """Envelope of the accusation that was sent to the ledger, if the lists break a promise."""


class Hub:
    """One person's hub, in a folder. Use it from one thread at a time.

    `close` it, or use it in a `with` statement. Its files are opened when they are needed, also after `close`, so that
    a host of many hubs holds open those only that it works for.
    """

    def __init__(self, folder: Path, keys: HubKeys, outside: Surroundings) -> None:
        self.keys = keys
        self.account = account_id(Role.HUB, keys.signing.public)
        self._folder = folder
        self._outside = outside
        self._ledger = outside.ledger
        self._opened_store: Store | None = None
        self._opened_journal: Journal | None = None
        self._followed = 0
        self._is_made_up = False
        self._posting: tuple[Digest | None, int] = (None, 0)
        self._sendings = sharing.Sendings()
        self._in_hand: dict[TaskId, Callable[[], tuple[Measurement, str]]] = {}
        """How to come by the measurement of a grant of this process: by its one run, or, after that, as it was."""

    @classmethod
    def create(cls, folder: Path, keys: HubKeys, outside: Surroundings) -> Hub:
        """Make store and journal beside fresh keys; a minor's hub gets the policy *never*."""
        hub = cls(folder, keys, outside)
        hub._opened_store = Store.create(folder / STORE_FILE, keys.storage_key, outside.randomness)
        try:
            hub._journal.set_fact("policy", encode(minor() if keys.minor else Policy()))
        except BaseException:
            hub.close()
            remove_database(folder / STORE_FILE)  # without a journal it is no hub: the next attempt begins anew
            raise
        return hub

    @classmethod
    def open(cls, folder: Path, outside: Surroundings) -> Hub:
        """Open the hub in a folder; raises `KeysUnusable`, `NotAStore`, `WrongHubKey`, `StoreBusy`."""
        hub = cls(folder, load_keys(folder), outside)
        hub._opened_store = Store.open(folder / STORE_FILE, hub.keys.storage_key)
        return hub

    @property
    def store(self) -> Store:
        """What the hub keeps."""
        if self._opened_store is None:
            self._opened_store = Store.open(self._folder / STORE_FILE, self.keys.storage_key)
        return self._opened_store

    @property
    def _journal(self) -> Journal:
        if self._opened_journal is None:
            self._opened_journal = Journal(self._folder / JOURNAL_FILE)
        return self._opened_journal

    def close(self) -> None:
        """Let go of the files; nothing is lost by not calling it."""
        for file in (self._opened_journal, self._opened_store):
            if file is not None:
                file.close()
        self._opened_journal = self._opened_store = None
        self._sendings = sharing.Sendings()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── data and root ─────────────────────────────────────────────────────────────────────────────────────────────

    def import_file(
        self,
        path: Path,
        profile: Profile = Profile.SMALL,
        *,
        columns: Columns | None = None,
        together: Together | None = None,
        lossy: Loss | None = None,
        told: Listener | None = None,
    ) -> Imported:
        """Take in a file, FHIR records one by one, checking the issuer's signature `NAME.jws` if it lies beside it.

        `columns` says how to read a table in lines, `lossy` what the owner would rather lose; of a large file `told` hears
        what is done with it, with how many bytes so far, and of how many. The same bytes again add nothing.
        Raises `IntakeError`, `BadSignature`, `UnknownAccount`; then nothing was stored.
        """
        beside = path.with_name(path.name + ".jws")
        take = partial(
            import_file,
            self.store,
            path,
            profile=profile,
            columns=columns,
            together=together,
            lossy=lossy,
            told=told,
            randomness=self._outside.randomness,
        )
        if not beside.exists():
            return take()
        state, _ = self._look()

        with storage_failures(beside):
            token = beside.read_bytes()
        return take(signature=token, key_of=lambda signer: get_account(state, signer).key)

    def import_together(self, paths: Sequence[Path], profile: Profile = Profile.SMALL) -> list[Imported]:
        """Take in the files of one Bulk Data export, all of them or, if one is refused, none: they are of one person,
        and programs see them as one. Raises as `import_file` does."""
        together = Together(paths[0].resolve().parent.name)
        with self.store.transaction():
            return [self.import_file(path, profile, together=together) for path in paths]

    def commit(self) -> Digest | None:
        """Post the root if the next block's interval has none yet, changed or not.

        Returns the digest of the envelope, or none if the root is there or on its way.
        """
        state, _ = self._look()
        last = find_root(state, self.account)
        interval = state.parameters.root_interval
        if last is not None and last.at // interval == (state.height + 1) // interval:
            return None
        sent, expires = self._posting
        if sent is not None and state.height < expires and self._ledger.receipt(sent) is None:
            return None
        envelope = self._submit(CommitRoot(root=catalog_root(self.store, self._outside.randomness)))
        self._posting = envelope, state.height + EXPIRY
        return envelope

    def check(self, part: tuple[int, int] = (1, 1)) -> list[str]:
        """Compute everything again, or the n-th of t parts of it; a sentence for each thing that is wrong."""
        faults = self.store.check(part)
        return faults if part[0] > 1 else [*faults, *check_catalog(self.store), *self._journal.check()]

    # ── enrolment ─────────────────────────────────────────────────────────────────────────────────────────────────

    def ask_account(self, issuer: Peer, sponsor: AccountId, invitation: Invitation) -> Digest:
        """Ask the issuer to sponsor the hub's account; returns the digest of its entry's envelope."""
        return enrolment.ask_account(issuer, sponsor, self._ledger.network, self.keys, invitation)

    def enrol(self, issuer: Peer, panel: PanelId) -> None:
        """Show the issuer the record it signed under the live root, and have all slot keys of a panel signed.

        The same call again repeats the same visit. Raises `EnrolmentError`, `NotCommitted`, `UnknownObject`,
        `NoService`.
        """
        if self.keys.minor:
            raise NotAnAdult(f"hub {self.account.hex()} was made for a minor")
        state, _ = self._look()
        entry, root = find_panel(state, panel), find_root(state, self.account)
        if entry is None:
            raise PanelNotOpen(f"panel {panel.hex()} is not on the ledger")
        dataset = find_dataset(self.store, entry.descriptor.schemas[0], entry.descriptor.kinds)
        opening = open_leaf(self.store, dataset.id, root.root if root else Digest(bytes(32)))
        enrolment.enrol(
            issuer,
            self._ledger.network,
            entry.descriptor,
            self._journal,
            self.keys,
            self.account,
            panel,
            opening,
        )
        if self._journal.fact(RESTORED_UNTIL) is not None:
            self._write_off_tasks([panel], self._journal.height(RESTORED_UNTIL))

    def panels(self) -> list[PanelId]:
        """The panels that this hub answers for."""
        return self._journal.panels()

    # ── policy and budget ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def policy(self) -> Policy:
        """The owner's standing answer."""
        return self._journal.policy() or minor()

    def set_policy(self, policy: Policy) -> None:
        """Give another standing answer, for tasks that are decided from now on. Raises `NotAnAdult`."""
        if self.keys.minor and policy.mode is not Mode.NEVER:
            raise NotAnAdult("a minor's hub answers nobody")
        self._journal.set_fact("policy", encode(policy))

    def budget(self) -> Budget:
        """What the policy allows, and every debit."""
        return replace(opening_budget(self.policy), spent=self._journal.spent())

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """Do all that is due: finish what was interrupted, upload what has its height, answer the tasks that are new.

        Uploads come first, so that how long a program runs moves none of them. Raises `LedgerBehind`, `BadHeader`,
        `BadProof`, `HeaderMoved`; then nothing was decided. Raises `StoreBusy` while another process acts for the hub.
        """
        with self._journal.alone():
            self._follow(self._ledger.height())

    def _follow(self, height: int) -> None:
        self._make_up()
        for run in self._journal.runs(RunState.GRANTED):
            self._run(run)
        self._upload_due(height)
        news = self._outside.feed.after(self._ledger, self._followed)
        panels = self._journal.panels()
        if news and panels:
            state, header = self._look()
            for task in news:
                if not self._journal.has_run(task):
                    seen = see_task(state, task, panels, self._journal)
                    if seen is not None and self._is_asked(seen, height):
                        self._decide(state, header, seen)
        self._followed = height

    def _make_up(self) -> None:
        """Of a hub that was made of an archive: count as spent, once, whatever the lost one may have spent since."""
        if self._is_made_up:
            return
        if self._journal.fact(RESTORED_FROM) is not None and self._journal.fact(RESTORED_UNTIL) is None:
            height = self._ledger.height()
            for run in self._journal.runs(RunState.GRANTED, RunState.ASKED):
                self._journal.write_off(run, debit_for(run.record.question))
            self._write_off_tasks(self._journal.panels(), height)
            self._journal.set_height(RESTORED_UNTIL, height)
        self._is_made_up = True

    def _write_off_tasks(self, panels: Sequence[PanelId], until: int) -> None:
        """Write off every task of these panels up to a height that the lost hub can have answered.

        That is each whose upload had not ended when it was last heard of, whatever its policy has become since, if this
        hub does not know how it was dealt with.
        """
        feed = self._outside.feed
        later = set(feed.after(self._ledger, until))
        unknown = [one for one in feed.after(self._ledger, 0) if one not in later and not self._journal.has_run(one)]
        if not unknown:
            return
        state, header = self._look()
        heard = self._journal.height(RESTORED_FROM)
        for task in unknown:
            seen = see_task(state, task, panels, self._journal)
            if seen is not None and self._is_asked(seen, heard):
                record = make_record(self.policy, seen.question, self.budget())
                debit = debit_for(seen.question)
                self._journal.write_off_unseen(record, seen.configuration, debit, panel=seen.panel, header=header)

    def inbox(self) -> list[Run]:
        """The tasks that wait for the owner's answer."""
        return self._journal.runs(RunState.ASKED)

    def answer(self, task: TaskId, *, yes: bool) -> None:
        """The owner's answer. A yes is decided again by policy and budget as they are now.

        Raises `NotAsked`, `TooLate`.
        """
        with self._journal.alone():
            self._answer(task, yes=yes)

    def _answer(self, task: TaskId, *, yes: bool) -> None:
        self._make_up()
        waiting = [run for run in self.inbox() if run.task == task]
        if not waiting:
            raise NotAsked(f"task {task.hex()}")
        if not yes:
            self._journal.move_run(task, RunState.DECLINED)
            return
        until = waiting[0].configuration.upload_until
        if self._ledger.height() >= until:
            self._journal.move_run(task, RunState.DECLINED)
            raise TooLate(f"task {task.hex()} took reports until height {until}")
        state, header = self._look()
        seen = see_task(state, task, self._journal.panels(), self._journal)
        if seen is None:
            raise NotAsked(f"the hub left the panel of task {task.hex()}")
        self._decide(state, header, seen, owner_agrees=True)

    def _is_asked(self, seen: SeenTask, height: int) -> bool:
        """Whether the hub is in the sample, could run the program, and has a height left at which a report can leave."""
        configuration = seen.configuration
        return (
            is_affordable(seen.program)
            and height < configuration.upload_until
            and self.keys.is_sampled(seen.question.task, configuration.sampling)
        )

    def _decide(self, state: State, header: Digest, seen: SeenTask, *, owner_agrees: bool = False) -> None:
        """Decide by policy, task, ledger and budget; on a grant fix the upload's height, run, and store the report.

        The grant is durable before the run begins: a hub that is killed meanwhile does not run it again.
        """
        record = make_record(self.policy, seen.question, self.budget())
        configuration, upload_at = seen.configuration, 0
        match record.decision:
            case Refused():
                verdict = RunState.REFUSED
            case Ask() if not owner_agrees:
                verdict = RunState.ASKED
            case Ask() | Granted():
                verdict = RunState.GRANTED
                first = self._ledger.height() + 1
                upload_at = self.keys.upload_height(seen.question.task, first, configuration.upload_until)
        self._journal.set_decision(verdict, record, configuration, panel=seen.panel, upload_at=upload_at, header=header)
        if verdict is RunState.GRANTED:
            self._in_hand[seen.question.task] = lambda: measure(
                Bench(self.store, self._outside.sandbox, self._outside.library), state, self.account, seen
            )
            self._run(self._journal.run(seen.question.task))

    def _run(self, run: Run) -> None:
        """Run the program of a grant and keep the report; a run of which this process knows nothing was interrupted.

        What a failing disk stops goes on with the next call: a program that had not begun is run, one that has run is
        not run again.
        """
        in_hand = self._in_hand.pop(run.task, None)
        if in_hand is None:
            measured = neutral(run.configuration.measurement), INTERRUPTED
        else:
            try:
                measured = in_hand()
            except StorageFailed:
                self._in_hand[run.task] = in_hand
                raise
        try:
            self._store(run, *measured)
        except StorageFailed:
            self._in_hand[run.task] = lambda: measured
            raise

    def _store(self, run: Run, measurement: Measurement, log: str) -> None:
        """Debit the budget and keep the sealed report, in one transaction."""
        panel = run.configuration.panels[run.panel]
        report = make_report(
            run.configuration,
            measurement,
            panel=run.panel,
            slot_key=self.keys.slot_key(panel.panel, panel.slot),
            token=self._journal.token(panel.panel, panel.slot),
            randomness=self._outside.randomness,
        )
        self._journal.store_report(run.task, report, log, debit_for(run.record.question))

    def _upload_due(self, height: int) -> None:
        """Upload what has its height, once; what got no receipt is sent again as it was, until the phase ends."""
        for run in self._journal.runs(RunState.STORED):
            if height > run.configuration.upload_until:
                self._journal.move_run(run.task, RunState.MISSED)
            elif height >= run.upload_at and run.report is not None and run.revoked_at is None:
                try:
                    self._journal.set_sent(run.task, height, self._upload(run, run.report))
                except (ConnectionError, NoService, BadSignature, Malformed) as error:
                    self._journal.note(run.task, f"Height {height}: {type(error).__name__} {error}")

    def _upload(self, run: Run, report: bytes) -> Receipted:
        leader = run.configuration.leader
        answer = self._ask(leader.account, Upload(task=run.task, report=report))
        permit = decode_report(report).metadata
        if not isinstance(answer, Receipted):
            raise NoService(f"the leader answered an upload with {answer}")
        receipt = answer.receipt
        expected = (run.task, permit.report, permit.permit.slot_key, report_digest(report))
        if (receipt.task, receipt.report, receipt.slot_key, receipt.digest) != expected:
            raise NoService("the leader's receipt is for another report")
        verify(leader.key, receipt_message(receipt), answer.signature)
        return answer

    # ── afterwards ────────────────────────────────────────────────────────────────────────────────────────────────

    def history(self) -> list[Departure]:
        """Every task this hub decided on, the oldest first: why, what left, what it cost, whether it counts."""
        debits = self._journal.debits()
        return [
            Departure(
                task=run.task,
                state=run.state,
                decision=run.record.decision,
                sentence=explain(run.record.decision, run.record.question, run.record.policy),
                bytes_left=len(run.report) if run.report and run.state is RunState.SENT else 0,
                sent_at=run.sent_at,
                loss=debits.get(run.task, Fraction(0)),
                receipt=run.receipt,
                included=run.included,
                revoked_at=run.revoked_at,
                log=run.log,
                trouble=run.trouble,
            )
            for run in self._journal.runs(*RunState)
        ]

    def check_batch(self, task: TaskId) -> BatchCheck | None:
        """Look for this hub's report in the lists of a closed batch; none as long as it is not closed.

        The whole lists are downloaded, so that nobody learns what was looked for. A receipted report that is in
        neither, or one that counts although its revocation stood on the ledger, is evidence and goes to the ledger.
        Raises `NothingSent`, `NoService`.
        """
        run = self._journal.run(task)
        if run.receipt is None or run.report is None:
            raise NothingSent(f"task {task.hex()}: {run.state.value}")
        state, _ = self._look()
        entry = get_task(state, task)
        if entry.batch is None:
            return self._conclude(run, included=False) if entry.outcome is not None else None
        accepted, rejected = self._download(run, entry.batch)
        report = decode_report(run.report).metadata
        place, slot_key = find_leaf(accepted, report.report), self._slot_key(run)
        if place is not None:
            if find_revocation(state, task, SlotKey(slot_key.public)) is None:
                return self._conclude(run, included=entry.outcome is not Outcome.TOO_FEW)
            ignored = ReportIgnored(task=task, credential=self._credential(run), leaf=open_leaves(accepted, [place])[0])
            return self._conclude(run, included=True, evidence=self._submit(ignored, slot_key))
        if find_leaf(rejected, report.report) is not None:
            return self._conclude(run, included=False)
        dropped = ReportDropped(
            receipt=run.receipt.receipt,
            signature=run.receipt.signature,
            credential=self._credential(run),
            accepted=prove_absence(accepted, report.report),
            rejected=prove_absence(rejected, report.report),
        )
        return self._conclude(run, included=False, evidence=self._submit(dropped, slot_key))

    def _conclude(self, run: Run, *, included: bool, evidence: Digest | None = None) -> BatchCheck:
        """Remember what the lists said, and of whom it is to the credit or to the blame."""
        services = (run.configuration.leader.account, run.configuration.helper.account)
        good: Sequence[AccountId] = services if included and evidence is None else ()
        bad: Sequence[AccountId] = ()
        if evidence is not None:
            bad = services if included else services[:1]
        self._journal.set_included(run.task, included=included, good=good, bad=bad)
        return BatchCheck(included=included, evidence=evidence)

    def _download(self, run: Run, batch: Batch) -> Lists:
        """Both lists, whole, from the leader or else the helper, and the ones that the ledger has the roots of."""
        statement = batch.statement
        name = statement_message(statement)
        known = self._outside.lists.find(name)
        if known is not None:
            return known
        for account in (run.configuration.leader.account, run.configuration.helper.account):
            try:
                lists = [
                    self._download_list(account, run.task, accepted=True, size=statement.accepted),
                    self._download_list(account, run.task, accepted=False, size=statement.rejected),
                ]
            except (ConnectionError, NoService, Malformed):
                continue
            if [list_root(leaves) for leaves in lists] == [statement.accepted_root, statement.rejected_root]:
                self._outside.lists.keep(name, (lists[0], lists[1]))
                return lists[0], lists[1]
        raise NoService(f"neither service gives the lists of task {run.task.hex()} that both signed")

    def _download_list(self, account: AccountId, task: TaskId, *, accepted: bool, size: int) -> list[ReportLeaf]:
        """All parts of one list, of which the ledger says how long it is."""
        leaves: list[ReportLeaf] = []
        for part in range(size // LEAVES_IN_PART + 1):
            answer = self._ask(account, GetLists(task=task, accepted=accepted, part=part))
            if not isinstance(answer, ListPart):
                raise NoService(f"a service answered a question for lists with {answer}")
            leaves.extend(answer.leaves)
            if len(leaves) >= size:
                break
        return leaves

    # ── taking back ───────────────────────────────────────────────────────────────────────────────────────────────

    def revoke(self, task: TaskId) -> Digest | None:
        """End the permit for a task: both services are told; if one does not answer, the ledger is.

        At the last height one answer has to do, since the next block is too late. Returns the digest of the ledger's
        envelope if one was sent. Raises `NothingSent`, `TooLate` (then the sum contains the report).
        """
        run = self._journal.run(task)
        if run.state not in (RunState.STORED, RunState.SENT, RunState.LOST):
            raise NothingSent(f"task {task.hex()}: {run.state.value}")
        height, until = self._ledger.height(), run.configuration.revoke_until
        if height > until:
            raise TooLate(
                f"task {task.hex()} could be revoked until height {until}; a released sum contains the report"
            )
        if height < until:
            self._journal.set_revoked(task, height)  # before anybody is told: a report still here never leaves
        credential, slot_key = self._credential(run), self._slot_key(run)
        message = RevokeReport(
            task=task,
            panel=run.panel,
            slot_key=credential.key,
            token=credential.token,
            signature=slot_key.sign(tagged_hash("revoke-report", task + credential.key)),
        )
        services = (run.configuration.leader.account, run.configuration.helper.account)
        answered = [self._is_done(service, message) for service in services]
        if height == until and not any(answered):
            raise TooLate(
                f"task {task.hex()}: neither service takes it any more, and the next block is after height {until}"
            )
        self._journal.set_revoked(task, height)
        if all(answered) or height == until:
            return None
        return self._submit(Revoke(task=task, credential=credential), slot_key)

    def withdraw(self) -> None:
        """Stop the future: answer nobody from now on, leave every panel, send nothing that still waits."""
        self.set_policy(changed(self.policy, mode=Mode.NEVER))
        self._journal.leave_panels(self._ledger.height())
        for run in self._journal.runs(RunState.STORED, RunState.GRANTED, RunState.ASKED):
            self._journal.move_run(run.task, RunState.MISSED)

    def erase(self, dataset: ObjectId | None = None) -> list[ObjectId]:
        """Destroy keys and salts of one dataset, or of all, and say which; with the next `commit` its leaf is gone. Also
        what is damaged is erased.

        The words of programs that failed go too: they may repeat what the programs read.
        Raises `UnknownObject`, `ErasedObject`.
        """
        ids = self.store.ids()
        if dataset is not None and dataset not in ids:
            raise UnknownObject(f"there is no object {dataset.hex()}")
        erased = [dataset] if dataset is not None else [one for one in ids if not self.store.is_erased(one)]
        self._journal.note_erased(erased)
        self._sendings.end_of(erased)
        try:
            for one in erased:
                self.store.erase(one, self._outside.randomness)
        finally:  # also where an attempt before came only so far
            self.store.empty_log()
            self._journal.forget_logs()
        return erased

    def remains(self, erased: Sequence[ObjectId]) -> Remains:
        """What holders of shares and released sums still contain of these datasets."""
        shares = {one.share for one in self._journal.shares() if one.object in erased}
        left = (RunState.STORED, RunState.SENT, RunState.LOST)
        return Remains(
            fetched=[one for one in self.fetches() if one.share in shares],
            sums=[
                one
                for one in self.history()
                if one.state in left and one.revoked_at is None and one.included is not False
            ],
        )

    def _is_done(self, service: AccountId, message: Request) -> bool:
        try:
            return isinstance(self._ask(service, message), Done)
        except (ConnectionError, Malformed):
            return False

    # ── sharing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def share(self, dataset: ObjectId, recipient: AccountId, until: int) -> Digest:
        """Share one record with one account until a height; returns the share's name, for the recipient."""
        nonce = Nonce(self._outside.randomness.draw(16))
        grant = Grant(network=self._ledger.network, hub=self.account, recipient=recipient, until=until, nonce=nonce)
        return sharing.share(self._journal, self.store, grant, dataset)

    def withdraw_share(self, share: Digest) -> None:
        """Serve a share no more. Raises `NotTheRecipient` if there is none of this name."""
        sharing.withdraw(self._journal, share, self._ledger.height())

    def handle(self, message: bytes) -> bytes:
        """Answer who fetches a shared record, or the next piece of it; each fetch that is served is in the history."""
        state, _ = self._look()
        desk = sharing.Desk(self._journal, self.store, self.keys, self._sendings, self._outside.randomness)
        return sharing.serve(desk, state, message)

    def fetches(self) -> list[Sharing]:
        """Every fetch of a shared record that was served, in their order."""
        grants = {one.share: one.grant for one in self._journal.shares()}
        return [
            Sharing(share=share, recipient=grants[share].recipient, height=height, bytes_left=size)
            for share, height, size in self._journal.fetches()
        ]

    def shares(self) -> list[Share]:
        """Every share there ever was."""
        return self._journal.shares()

    # ── the way out ───────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> tuple[State, Digest]:
        return look(self._ledger, self._outside.proofs, self._journal)

    def _submit(self, body: Body, slot_key: SigningKey | None = None) -> Digest:
        """Send an entry, signed by the hub key or, for whatever concerns a task, by its slot key."""
        sender = Digest(slot_key.public) if slot_key else self.account
        expires = self._ledger.height() + EXPIRY
        key = slot_key or self.keys.signing
        return self._ledger.submit(sign_transaction(key, self._ledger.network, sender, expires, body))

    def _ask(self, service: AccountId, message: Request) -> Answer:
        answer: Answer = decode(self._outside.services(service).send(encode(message)), Answer)
        return answer

    def _slot_key(self, run: Run) -> SigningKey:
        panel = run.configuration.panels[run.panel]
        return self.keys.slot_key(panel.panel, panel.slot)

    def _credential(self, run: Run) -> SlotCredential:
        """What shows that the slot key of a run belongs to somebody of the panel."""
        panel = run.configuration.panels[run.panel]
        moduli = self._journal.moduli(panel.panel)
        return SlotCredential(
            panel=panel.panel,
            slot=panel.slot,
            key=SlotKey(self._slot_key(run).public),
            token=self._journal.token(panel.panel, panel.slot),
            modulus=moduli[panel.slot],
            path=tuple(tree_path(moduli, panel.slot)),
        )


def remove_hub(folder: Path) -> None:
    """Remove a hub that could not be made whole: keys, kit, store and journal."""
    for name in (KEYS_FILE, KIT_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (STORE_FILE, JOURNAL_FILE):
        remove_database(folder / name)
