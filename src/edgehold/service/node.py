"""A service node: follows the ledger by heights, leads the orders that name it, helps where it is drawn.

`step` does what the present height allows, in the order in which a task lives: request or join, agree on the
verification key, run jobs, agree on the lists, close, post the share, settle. It can be stopped anywhere and called
any number of times: every step looks at what is stored and what the ledger says. `handle` is the node's whole outside:
bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar, assert_never

from edgehold.aggregation.batch import BatchLists, make_lists
from edgehold.aggregation.collect import noise_commitment
from edgehold.aggregation.task import serve_task
from edgehold.crypto.cose import open1, sign1
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import account_id, envelope_digest, sealed_share_digest
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.errors import (
    AggregationError,
    AnswerDiffers,
    BadSignature,
    BatchDiffers,
    CryptoError,
    EdgeholdError,
    JobConflict,
    Malformed,
    MessageRefused,
    NothingHere,
    NotTheAggregator,
    Refusal,
    StorageFailed,
    TaskNotServed,
)
from edgehold.ledger.draw import drawn_helper
from edgehold.ledger.genesis import found_network
from edgehold.ledger.state import State
from edgehold.ports import Ledger, PanelKeys, Peer, Randomness
from edgehold.service.aggregator import Aggregator, Helper, Leader
from edgehold.service.storage import Secrets, Storage, StoredTask, Submission
from edgehold.vdaf.prio3 import VERIFY_KEY_BYTES
from edgehold.verify.header import hash_header
from edgehold.wire.account import Role
from edgehold.wire.batch import ReportLeaf, SignedBatch
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import AccountId, Digest, OrderId, PublicKey, SealKey, SlotKey, TaskId
from edgehold.wire.order import Order, PlaceOrder
from edgehold.wire.report import MAX_JOB
from edgehold.wire.service import (
    LEAVES_IN_PART,
    Answer,
    BatchAnswer,
    BatchProposal,
    Done,
    Failure,
    FromAggregator,
    GetLists,
    GetShare,
    Internal,
    JobAnswer,
    JobRequest,
    KeepShare,
    KeyDelivery,
    ListPart,
    RejectReports,
    Request,
    RevokeReport,
    SealedShareAnswer,
    Upload,
)
from edgehold.wire.task import (
    CloseBatch,
    JoinTask,
    Party,
    PostedShare,
    ReportConflict,
    RequestTask,
    Revoke,
    SettleTask,
    Task,
    TaskConfiguration,
)
from edgehold.wire.tx import Body, Envelope, Receipt

T = TypeVar("T")

PATIENCE = 50
"""Heights for which a node's transaction is good; after that it signs a new one, if the matter is still open."""

RESEND = 5
"""Heights after which a transaction without a receipt is sent again, the same bytes."""

RETRY = 5
"""Heights after which a node signs a new transaction in place of a refused one, if the matter is still open."""

LEAST_CLOSE = 2
"""Heights for the lists: one to sign at, one to spare."""

LEAST_SHARE = 2
"""Heights after the last for a close: noise is seeded by the header after the batch's, and the share is in the next."""

_KEY_INFO = b"edgehold verify key"


class ServiceNode:
    """One organisation's node; everything it must not forget is in its storage."""

    leader_kind: type[Leader] = Leader
    helper_kind: type[Helper] = Helper

    def __init__(
        self,
        ledger: Ledger,
        storage: Path,
        key: SigningKey,
        randomness: Randomness,
        *,
        peers: Mapping[AccountId, Peer],
        panel_keys: PanelKeys,
    ) -> None:
        self.account = account_id(Role.ORGANISATION, key.public)
        self._ledger = ledger
        self._storage = Storage(storage)
        self._key = key
        self._randomness = randomness
        self._peers = peers
        self._panel_keys = panel_keys
        self._network = found_network(ledger.genesis)
        self._aggregators: dict[TaskId, Aggregator] = {}
        self._sent: dict[Digest, int] = {}  # envelopes that this process sent, and at which height last

    def close(self) -> None:
        """Close the storage; nothing is lost without it."""
        self._storage.close()

    # ── what the node does by itself ──────────────────────────────────────────────────────────────────────────────

    def step(self) -> None:
        """Do what the ledger's present height allows. A task that fails is noted and does not hold up the others.

        Raises `StorageFailed`; the next step goes on from what is stored.
        """
        try:
            self._step()
        except StorageFailed:
            self._aggregators.clear()
            raise

    def _step(self) -> None:
        self._follow()
        for order, party in self._storage.wanted():
            self._pursue(order, party)
        for stored in self._storage.open_tasks():
            try:
                self._advance(stored)
            except ConnectionError as error:
                self._storage.note_problem(stored.task, f"the other aggregator cannot be reached: {error}")
            except (AggregationError, CryptoError, Malformed, Refusal) as error:
                self._storage.note_problem(stored.task, f"{error.code}: {error}")

    def problem(self, task: TaskId) -> str | None:
        """Why a task does not go on, if it does not."""
        stored = self._storage.find_task(task)
        return stored.problem if stored else None

    def _follow(self) -> None:
        """Read the transactions of new blocks: orders for this node, requests to help, tasks, revocations."""
        first, last = self._storage.followed() + 1, self._ledger.height()
        if first > last:
            return
        with self._storage.transaction():
            for _, data, receipt in self._ledger.transactions(first, last):
                if receipt.number == 0:
                    self._notice(decode(open1(data).payload, Envelope), receipt)
            self._storage.follow(last)

    def _notice(self, envelope: Envelope, receipt: Receipt) -> None:
        match envelope.body:
            case PlaceOrder(leader=leader) if leader == self.account and receipt.made is not None:
                self._storage.want(OrderId(receipt.made), Party.LEADER)
            case RequestTask(order=order) if envelope.sender != self.account:
                self._storage.want(order, Party.HELPER)
            case JoinTask(order=order) if receipt.made is not None:
                self._open(TaskId(receipt.made), order)
            case Revoke(task=task):
                if self._storage.find_task(task) is not None:
                    self._storage.revoke(task, SlotKey(PublicKey(envelope.sender)))
            case CloseBatch():
                self._compare_close(envelope.body)
            case _:
                pass

    def _compare_close(self, close: CloseBatch) -> None:
        """The batch on the ledger against what the other aggregator signed here: two lists for one round are evidence."""
        stored = self._storage.find_task(close.statement.task)
        signed = self._storage.find_signed(close.statement.task, close.statement.round)
        if stored is None or signed is None or signed[1] is None or signed[1].statement == close.statement:
            return
        signature = close.helper_signature if stored.party is Party.LEADER else close.leader_signature
        self._storage.keep_conflict(stored.task, signed[1], SignedBatch(close.statement, signature))

    def _open(self, task: TaskId, order: OrderId) -> None:
        """A task came of an order; if this node has a part in it, it begins to serve."""
        configuration = self._read(TaskConfiguration, Collection.CONFIGURATION, task)
        if configuration is not None:
            for party, side in ((Party.LEADER, configuration.leader), (Party.HELPER, configuration.helper)):
                if side.account == self.account:
                    self._storage.open_task(task, party, configuration)
        self._storage.drop_order(order)

    # ── how a task comes to be ────────────────────────────────────────────────────────────────────────────────────

    def _pursue(self, order_id: OrderId, party: Party) -> None:
        order = self._read(Order, Collection.ORDER, order_id)
        if order is None or not is_workable(order):
            self._storage.drop_order(order_id)
        elif party is Party.LEADER:
            deadline = order.placed_at + order.descriptor.schedule.request
            if order.requested_at is None and self._ledger.height() < deadline:
                made = self._commitments(order_id, party)
                self._submit(b"request" + order_id, RequestTask(order_id, *made))
        elif self._is_drawn(order):
            self._submit(b"join" + order_id, JoinTask(order_id, *self._commitments(order_id, party)))

    def _commitments(self, order: OrderId, party: Party) -> tuple[SealKey, Digest]:
        """This node's HPKE key for the task and its noise commitment, drawn once and stored before they are shown."""
        secrets = self._storage.find_secrets(order, party)
        if secrets is None:
            secrets = Secrets(seal_seed=self._randomness.draw(32), noise_secret=self._randomness.draw(32))
            self._storage.keep_secrets(order, party, secrets)
        return SealKeyPair(secrets.seal_seed).public, noise_commitment(secrets.noise_secret, order, party)

    def _is_drawn(self, order: Order) -> bool:
        state = State(
            read=self._ledger.read,
            height=self._ledger.height() + 1,
            header_hash=self._header_hash,
            network=self._network,
        )
        try:
            return drawn_helper(state, order) == self.account
        except Refusal:
            return False

    # ── one task, one step ────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self, stored: StoredTask) -> None:
        # Lists are signed at a height up to which every revocation was read, and the task is looked at afterwards: so
        # nothing that stood on the ledger by this height is missed, however fast heights pass.
        height = self._storage.followed()
        task = self._read(Task, Collection.TASK, stored.task)
        if task is None:
            return
        self._report_conflict(stored)
        if task.outcome is not None:
            self._destroy(stored)
            self._storage.end_task(stored.task)
        elif task.batch is not None:
            self._release(stored, task, height)
        elif height > task.close_until:
            self._destroy(stored)  # without a batch nothing is ever released
            self._settle(stored)
        elif isinstance(aggregator := self._aggregator(stored.task), Leader):
            self._lead(stored, aggregator, height)
        else:
            self._close_for_leader(aggregator, height)

    def _lead(self, stored: StoredTask, leader: Leader, height: int) -> None:
        """The leader's part until the batch is closed: key, jobs, lists."""
        self._deliver_key(stored)
        self._run_jobs(leader, everything=height > stored.configuration.upload_until)
        if height >= stored.configuration.revoke_until:
            self._agree(leader, height)
            self._submit_close(leader)
        self._storage.note_problem(stored.task, None)

    def _deliver_key(self, stored: StoredTask) -> None:
        """Draw the verification key; both store it before the first report is admitted."""
        if stored.delivered:
            return
        delivery = self._storage.find_delivery(stored.task)
        verify_key = self._storage.find_verify_key(stored.task)
        if delivery is None:
            verify_key = verify_key or self._randomness.draw(VERIFY_KEY_BYTES)
            helper = stored.configuration.helper
            sealed = seal(helper.seal_key, _KEY_INFO, stored.task, verify_key, self._randomness)
            delivery = self._signed(KeyDelivery(task=stored.task, sealed=sealed))
            self._storage.keep_verify_key(stored.task, verify_key, delivery)
        self._ask(stored.configuration.helper.account, delivery, Done)
        self._storage.mark_delivered(stored.task)

    def _run_jobs(self, leader: Leader, *, everything: bool) -> None:
        """Finish the jobs that were begun, then begin new ones: full ones during uploads, the rest afterwards."""
        helper = leader.configuration.helper.account
        for number, request in self._storage.unanswered_jobs(leader.task):
            self._run_job(leader, helper, number, request)
        while (waiting := self._storage.count_pending(leader.task)) >= MAX_JOB or (everything and waiting):
            begun = leader.next_job()
            if begun is not None:
                self._run_job(leader, helper, *begun)

    def _run_job(self, leader: Leader, helper: AccountId, number: int, request: bytes) -> None:
        message = self._signed(JobRequest(task=leader.task, number=number, job=request))
        leader.finish_job(number, self._ask(helper, message, JobAnswer).job)

    def _agree(self, leader: Leader, height: int) -> None:
        """Tell what is rejected, sign, compare; if the lists differ, intersect once and sign round 1.

        Raises `BatchDiffers` if they still differ: then nothing is closed, and nothing is lost silently.
        """
        if leader.agreed() is not None:
            return
        self._tell_rejected(leader)
        if self._compare(leader, 0, height):
            return
        if not leader.has_intersected():
            leader.intersect(self._fetch_lists(leader))
        self._tell_rejected(leader)
        if not self._compare(leader, 1, height):
            raise BatchDiffers(f"task {leader.task.hex()}: the lists differ after one intersection")

    def _tell_rejected(self, leader: Leader) -> None:
        helper = leader.configuration.helper.account
        while leaves := self._storage.untold(leader.task, LEAVES_IN_PART):
            self._ask(helper, self._signed(RejectReports(task=leader.task, leaves=tuple(leaves))), Done)
            self._storage.mark_told(leader.task, [leaf.report for leaf in leaves])

    def _compare(self, leader: Leader, number: int, height: int) -> bool:
        """Sign a round, have the helper sign it, and say whether both signed the same."""
        own = leader.sign(number, height)
        signed = self._storage.find_signed(leader.task, number)
        other = signed[1] if signed else None
        if other is None:
            message = self._signed(BatchProposal(batch=own))
            other = self._ask(leader.configuration.helper.account, message, BatchAnswer).batch
            leader.check_statement(other, number)
            leader.keep_statement(other)
        return other.statement == own.statement

    def _fetch_lists(self, leader: Leader) -> BatchLists:
        """The helper's lists, as it signed them in round 0."""
        return make_lists(self._fetch_list(leader, accepted=True), self._fetch_list(leader, accepted=False))

    def _fetch_list(self, leader: Leader, *, accepted: bool) -> list[ReportLeaf]:
        """One list of the helper's, which knows no report but from this node: a longer list than ours is no list."""
        helper = leader.configuration.helper.account
        known = sum(self._storage.count_leaves(leader.task, accepted=kind) for kind in (True, False))
        leaves: list[ReportLeaf] = []
        part, parts = 0, 1
        while part < parts:
            answer = self._ask(helper, encode(GetLists(task=leader.task, accepted=accepted, part=part)), ListPart)
            if answer.parts > known // LEAVES_IN_PART + 1:
                raise AnswerDiffers(f"{answer.parts} parts of a list that can have {known} leaves")
            leaves.extend(answer.leaves)
            part, parts = part + 1, answer.parts
        return leaves

    def _submit_close(self, aggregator: Aggregator) -> None:
        agreed = aggregator.agreed()
        if agreed is None:
            return
        own, other = agreed
        leader, helper = (own, other) if aggregator.party is Party.LEADER else (other, own)
        self._submit(
            b"close" + aggregator.task,
            CloseBatch(statement=own.statement, leader_signature=leader.signature, helper_signature=helper.signature),
        )

    def _close_for_leader(self, helper: Aggregator, height: int) -> None:
        """The helper closes what both signed, if the leader has not done it by the height after."""
        signed = self._storage.find_signed(helper.task, 1) or self._storage.find_signed(helper.task, 0)
        if signed is not None and height > signed[2] + 1:
            self._submit_close(helper)

    def _report_conflict(self, stored: StoredTask) -> None:
        """The other aggregator signed two statements for one round: the ledger is shown both, once."""
        conflict = self._storage.find_conflict(stored.task)
        if conflict is None:
            return
        name = b"conflict" + stored.task
        if self._storage.find_submission(name) is None:
            first, second = conflict
            accused = stored.other.account
            evidence = ReportConflict(task=stored.task, accused=accused, first=first, second=second)
            self._prepare(name, evidence, expires=self._ledger.height() + PATIENCE)
        self._submit(name, None)

    def _release(self, stored: StoredTask, task: Task, height: int) -> None:
        """After the close: post the noised share once the header that seeds it is there; destroy; settle."""
        posted = posted_share(task, stored.party) is not None
        if posted:
            self._destroy(stored)
        elif height <= task.share_until:
            self._post_share(stored, task)
        if height > task.accept_until or (height > task.share_until and not (task.leader_share and task.helper_share)):
            self._settle(stored)
        if posted:
            self._pass_share(stored)

    def _post_share(self, stored: StoredTask, task: Task) -> None:
        name = b"share" + stored.task
        if self._storage.find_submission(name) is not None:
            self._submit(name, None)
        elif task.batch is not None and (header_hash := self._header_hash(task.batch.closed_at + 1)) is not None:
            with self._storage.transaction():
                posting = self._aggregator(stored.task).make_share(task.batch.statement, header_hash)
                self._prepare(name, posting, expires=task.share_until)
            self._submit(name, None)

    def _pass_share(self, stored: StoredTask) -> None:
        """The other node keeps a copy of this one's sealed share: either of them can give it to the customer."""
        sealed = self._storage.unpassed_share(stored.task, stored.party)
        if sealed is not None:
            self._ask(stored.other.account, self._signed(KeepShare(task=stored.task, sealed=sealed)), Done)
            self._storage.mark_passed(stored.task, stored.party)

    def _settle(self, stored: StoredTask) -> None:
        if stored.party is Party.LEADER:
            self._submit(b"settle" + stored.task, SettleTask(task=stored.task))

    def _destroy(self, stored: StoredTask) -> None:
        if not stored.destroyed:
            self._storage.destroy(stored.task, stored.configuration.order, stored.party)
            self._aggregators.pop(stored.task, None)

    # ── what the node answers ─────────────────────────────────────────────────────────────────────────────────────

    def handle(self, message: bytes) -> bytes:
        """Answer one message; whatever is wrong with it comes back as a `Failure` and leaves nothing half written."""
        return self.handle_many([message])[0]

    def handle_many(self, messages: Sequence[bytes]) -> list[bytes]:
        """Answer messages in their order, all made durable together before the first answer is given."""
        requests = [_read(message) for message in messages]
        try:
            self._expect(requests)
            with self._storage.transaction():
                return [
                    encode(self._answer(message, request)) for message, request in zip(messages, requests, strict=True)
                ]
        except StorageFailed as error:  # none is durable: none of the answers may leave
            self._aggregators.clear()
            return [encode(_failure(message, error)) for message in messages]

    def _expect(self, requests: Sequence[Request | Malformed]) -> None:
        """Let each leader look at the uploads that came together, while others use the store."""
        uploads: dict[TaskId, list[bytes]] = {}
        for request in requests:
            if isinstance(request, Upload):
                uploads.setdefault(request.task, []).append(request.report)
        for task, reports in uploads.items():
            if len(reports) > 1:
                try:
                    self._leader(task).expect(self._ledger.height(), reports)
                except StorageFailed:
                    raise
                except EdgeholdError:  # whoever uploaded is told, each in its answer
                    continue

    def _answer(self, message: bytes, request: Request | Malformed) -> Answer:
        try:
            if isinstance(request, Malformed):
                raise request
            with self._storage.transaction():
                return self._dispatch(request)
        except StorageFailed:
            raise
        except EdgeholdError as error:
            return _failure(message, error)

    def _dispatch(self, request: Request) -> Answer:
        height = self._ledger.height()
        match request:
            case Upload(task=task, report=report):
                return self._leader(task).take_upload(height, report)
            case RevokeReport(task=task):
                self._aggregator(task).take_revocation(height, request)
                return Done()
            case GetLists(task=task, accepted=accepted, part=part):
                return self._aggregator(task).list_part(accepted=accepted, part=part)
            case GetShare(task=task, party=party):
                sealed = self._storage.find_share(task, party)
                if sealed is None:
                    raise NothingHere(f"the {party.value}'s share of task {task.hex()} is not here")
                return SealedShareAnswer(sealed=sealed)
            case FromAggregator(body=body, signature=signature):
                return self._answer_aggregator(height, body, FromAggregator(body=body, signature=signature))
            case _:
                assert_never(request)

    def _answer_aggregator(self, height: int, body: bytes, message: FromAggregator) -> Answer:
        inner = decode(body, Internal)
        task = inner.batch.statement.task if isinstance(inner, BatchProposal) else inner.task
        stored = self._stored(task)
        other = stored.other
        try:
            verify(other.key, tagged_hash("service-message", body), message.signature)
        except BadSignature as error:
            raise NotTheAggregator(f"only {other.account.hex()} may send this for task {task.hex()}") from error
        match inner:
            case KeyDelivery(sealed=sealed):
                self._take_key(stored, sealed)
                return Done()
            case JobRequest(number=number, job=job):
                return JobAnswer(job=self._helper(task).answer_job(height, number, job))
            case RejectReports(leaves=leaves):
                self._helper(task).reject_leaves(leaves, told=True)
                return Done()
            case BatchProposal(batch=batch):
                self._follow()
                return BatchAnswer(batch=self._helper(task).answer_proposal(self._storage.followed(), batch))
            case KeepShare(sealed=sealed):
                self._keep_share(stored, sealed)
                return Done()
            case _:
                assert_never(inner)

    def _take_key(self, stored: StoredTask, sealed: bytes) -> None:
        """The helper stores the verification key, once; the same key again changes nothing."""
        secrets = self._storage.find_secrets(stored.configuration.order, stored.party)
        if stored.party is not Party.HELPER or secrets is None:
            raise TaskNotServed(f"task {stored.task.hex()} takes no verification key here")
        verify_key = open_sealed(SealKeyPair(secrets.seal_seed), _KEY_INFO, stored.task, sealed)
        known = self._storage.find_verify_key(stored.task)
        if known is not None and known != verify_key:
            raise JobConflict(f"task {stored.task.hex()} has another verification key")
        self._storage.keep_verify_key(stored.task, verify_key, None)

    def _keep_share(self, stored: StoredTask, sealed: bytes) -> None:
        """Keep the other's sealed share if it is the one whose digest it posted."""
        task = self._read(Task, Collection.TASK, stored.task)
        party = Party.HELPER if stored.party is Party.LEADER else Party.LEADER
        posted = posted_share(task, party) if task else None
        if posted is None or posted.sealed_digest != sealed_share_digest(sealed):
            raise NothingHere(f"this is not the share that the {party.value} of task {stored.task.hex()} posted")
        self._storage.keep_share(stored.task, party, sealed)

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _stored(self, task: TaskId) -> StoredTask:
        stored = self._storage.find_task(task)
        if stored is None:
            self._follow()
            stored = self._storage.find_task(task)
        if stored is None:
            raise TaskNotServed(f"task {task.hex()} is not served here")
        return stored

    def _aggregator(self, task: TaskId) -> Aggregator:
        """The aggregator of a task, made from the store. Raises `TaskNotServed`, `PanelKeysDiffer`."""
        if task not in self._aggregators:
            stored = self._stored(task)
            secrets = self._storage.find_secrets(stored.configuration.order, stored.party)
            keys = [self._panel_keys.moduli(panel.panel) for panel in stored.configuration.panels]
            served = serve_task(stored.configuration, keys)
            kind = self.leader_kind if stored.party is Party.LEADER else self.helper_kind
            self._aggregators[task] = kind(served, self._storage, self._key, secrets, self._randomness)
        return self._aggregators[task]

    def _leader(self, task: TaskId) -> Leader:
        aggregator = self._aggregator(task)
        if not isinstance(aggregator, Leader):
            raise TaskNotServed(f"this node helps with task {task.hex()}; its leader takes this message")
        return aggregator

    def _helper(self, task: TaskId) -> Helper:
        aggregator = self._aggregator(task)
        if not isinstance(aggregator, Helper):
            raise TaskNotServed(f"this node leads task {task.hex()}; its helper takes this message")
        return aggregator

    # ── the ledger and the other node ─────────────────────────────────────────────────────────────────────────────

    def _read(self, kind: type[T], collection: Collection, *ids: bytes) -> T | None:
        data = self._ledger.read(entry_key(collection, *ids))
        return None if data is None else decode(data, kind)

    def _header_hash(self, height: int) -> Digest | None:
        signed = self._ledger.header(height)
        return None if signed is None else hash_header(signed.header)

    def _submit(self, name: bytes, body: Body | None) -> None:
        """Send the transaction made for a purpose, the same bytes until it took effect, was refused or expired.

        A refusal or expiry makes a new one from `body`, if there is one: the matter is still open, or nobody would ask.
        """
        height = self._ledger.height()
        submission = self._storage.find_submission(name)
        receipt = self._ledger.receipt(submission.envelope) if submission else None
        if body is not None and (submission is None or self._is_spent(submission, receipt, height)):
            submission, receipt = self._prepare(name, body, expires=height + PATIENCE), None
        if submission is None or receipt is not None:
            return
        if height >= self._sent.get(submission.envelope, -RESEND) + RESEND:
            self._ledger.submit(submission.transaction)
            self._sent[submission.envelope] = height

    def _is_spent(self, submission: Submission, receipt: Receipt | None, height: int) -> bool:
        """Whether a transaction can no longer take effect, and it is time for another."""
        if receipt is None:
            return height >= submission.expires
        return receipt.number != 0 and height >= receipt.height + RETRY

    def _prepare(self, name: bytes, body: Body, *, expires: int) -> Submission:
        """Sign a transaction and store it before it is sent."""
        limit = self._ledger.height() + self._ledger.genesis.parameters.expiry
        envelope = Envelope(network=self._ledger.network, sender=self.account, expires=min(expires, limit), body=body)
        submission = Submission(
            transaction=sign1(self._key, encode(envelope), self._ledger.network),
            envelope=envelope_digest(envelope),
            expires=envelope.expires,
        )
        self._storage.keep_submission(name, submission)
        return submission

    def _signed(self, message: Internal) -> bytes:
        body = encode(message)
        return encode(FromAggregator(body=body, signature=self._key.sign(tagged_hash("service-message", body))))

    def _ask(self, account: AccountId, message: bytes, kind: type[T]) -> T:
        """Send a message to a node and read its answer; raises `ConnectionError`, `MessageRefused`, `AnswerDiffers`."""
        peer = self._peers.get(account)
        if peer is None:
            raise ConnectionError(f"no way to {account.hex()}")
        answer = decode(peer.send(message), Answer)
        if isinstance(answer, Failure):
            raise MessageRefused(f"EH{answer.number:03d}: {answer.facts}")
        if not isinstance(answer, kind):
            raise AnswerDiffers(f"{type(answer).__name__} where {kind.__name__} was asked for")
        return answer


def _failure(message: bytes, error: EdgeholdError) -> Failure:
    return Failure(number=error.number, facts=str(error)[:400], digest=tagged_hash("service-message", message))


def _read(message: bytes) -> Request | Malformed:
    try:
        request: Request = decode(message, Request)
    except Malformed as error:
        return error
    return request


def is_workable(order: Order) -> bool:
    """Whether a task may still come of an order, and an honest node can keep its heights: missed ones are blamed on it."""
    is_pending = order.withdrawn_at is None and order.settled_at is None and order.task is None
    schedule = order.descriptor.schedule
    return is_pending and schedule.close >= LEAST_CLOSE and schedule.share >= LEAST_SHARE


def posted_share(task: Task, party: Party) -> PostedShare | None:
    """What one aggregator of a task has posted, if it has."""
    match party:
        case Party.LEADER:
            return task.leader_share
        case Party.HELPER:
            return task.helper_share
