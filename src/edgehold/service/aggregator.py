"""One aggregator of one task: what it takes, checks, counts, signs and destroys, on one durable store.

`Leader` and `Helper` share the lists, the statements and the noised share. Whatever they send is stored before it
leaves, so that what is sent again is byte for byte what was sent, and a node that stops anywhere goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from edgehold.aggregation.batch import (
    BatchLists,
    intersect,
    make_lists,
    make_statement,
    sign_statement,
)
from edgehold.aggregation.collect import add_noise, make_posting, party_noise
from edgehold.aggregation.report import (
    check_metadata,
    check_sizes,
    check_token,
    error_code,
    open_input_share,
    permit_claim,
    read_upload,
    report_digest,
)
from edgehold.aggregation.task import Phase, ServedTask, phase
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import receipt_message, statement_message
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey, verify, verify_many
from edgehold.errors import (
    AnswerDiffers,
    BadPermit,
    BadSignature,
    BadToken,
    BatchFixed,
    BatchNotReady,
    BatchTooSmall,
    JobConflict,
    KeysDestroyed,
    Malformed,
    NothingHere,
    NoVerifyKey,
    ReportRefused,
    ReportSeen,
    SlotKeyRevoked,
    SlotKeySeen,
    TaskNotOpen,
    WrongTask,
)
from edgehold.ledger.shares import share_aad, share_info
from edgehold.ports import Randomness
from edgehold.service.storage import FoundReport, ReportState, Secrets, Storage
from edgehold.vdaf.prio3 import Begun, Verified
from edgehold.wire.batch import BatchStatement, ReportLeaf, SignedBatch, UploadReceipt
from edgehold.wire.ids import Digest, PublicKey, ReportId, SlotKey
from edgehold.wire.report import (
    MAX_JOB,
    Continued,
    HpkeCiphertext,
    Rejected,
    ReportError,
    ReportMetadata,
    ReportShare,
    VerifyInit,
    VerifyResp,
    decode_job,
    decode_job_answer,
    decode_report,
    encode_job,
    encode_job_answer,
)
from edgehold.wire.service import LEAVES_IN_PART, ListPart, Receipted, RevokeReport
from edgehold.wire.task import Party, PostShare, TaskParty


class Aggregator:
    """What leader and helper have in common; made anew from the store at every start."""

    party: Party

    def __init__(
        self,
        served: ServedTask,
        storage: Storage,
        key: SigningKey,
        secrets: Secrets | None,
        randomness: Randomness,
    ) -> None:
        """`key` is the service's account key; `secrets` are this task's, none once they are destroyed."""
        self.served = served
        self.task = served.task
        self.configuration = served.configuration
        self._storage = storage
        self._key = key
        self._secrets = secrets
        self._seal_pair = SealKeyPair(secrets.seal_seed) if secrets else None
        self._randomness = randomness

    # ── revocations ───────────────────────────────────────────────────────────────────────────────────────────────

    def take_revocation(self, height: int, message: RevokeReport) -> None:
        """A slot key ends its permit, until the last height of the revocation phase; asking again changes nothing.

        Raises `TaskNotOpen`, `BatchFixed`, `WrongTask`, `BadToken`, and `BadSignature` if the slot key did not sign.
        """
        last = self.configuration.revoke_until
        if height > last:
            raise TaskNotOpen(f"revocations for task {self.task.hex()} counted until height {last}, now is {height}")
        if self._storage.find_signed(self.task, 0) is not None:
            raise BatchFixed(f"the lists of task {self.task.hex()} are signed")
        if message.panel >= len(self.served.moduli):
            raise WrongTask(f"panel {message.panel} of {len(self.served.moduli)}")
        check_token(self.served, message.panel, message.slot_key, message.token)
        verify(PublicKey(message.slot_key), revocation_digest(message), message.signature)
        self.revoke(message.slot_key)

    def revoke(self, slot_key: SlotKey) -> None:
        """A revocation that stands: this one's report, if there ever is one, does not count."""
        self._storage.revoke(self.task, slot_key)

    # ── lists and statements ──────────────────────────────────────────────────────────────────────────────────────

    def lists(self) -> BatchLists:
        """Both lists as this aggregator has them now."""
        accepted = self._storage.leaves(self.task, accepted=True)
        return make_lists(accepted, self._storage.leaves(self.task, accepted=False))

    def list_part(self, *, accepted: bool, part: int) -> ListPart:
        """One part of a list that this aggregator has signed; raises `NothingHere` before, and for a part too many."""
        if self._storage.find_signed(self.task, 0) is None:
            raise NothingHere(f"the lists of task {self.task.hex()} are not signed yet")
        parts = max(1, -(-self._storage.count_leaves(self.task, accepted=accepted) // LEAVES_IN_PART))
        if part >= parts:
            raise NothingHere(f"part {part} of {parts}")
        first = part * LEAVES_IN_PART
        leaves = self._storage.leaves(self.task, accepted=accepted, first=first, count=LEAVES_IN_PART)
        return ListPart(parts=parts, leaves=tuple(leaves))

    def sign(self, number: int, height: int) -> SignedBatch:
        """Sign a round, once: what was signed for it before is returned as it was.

        Lists below the order's minimum are signed too: so the ledger learns that the task ends; nothing is released.
        What is signed at a height takes effect in the next: so the last height of the revocation phase is the first to
        sign at, and a revocation that comes after the signature is refused. Raises `BatchNotReady` before and after.
        """
        with self._storage.transaction():
            signed = self._storage.find_signed(self.task, number)
            if signed is not None:
                return signed[0]
            first, last = self.configuration.revoke_until, self.configuration.close_until
            if not first <= height < last:
                raise BatchNotReady(
                    f"batches of task {self.task.hex()} close after {first} until {last}, now is {height}"
                )
            own = sign_statement(self._key, make_statement(self.task, number, self.lists()))
            self._storage.keep_signed(self.task, own, height)
        return own

    def agreed(self) -> tuple[SignedBatch, SignedBatch] | None:
        """This aggregator's and the other's signature over one statement, of the last round, if they agree."""
        for number in (1, 0):
            signed = self._storage.find_signed(self.task, number)
            if signed is not None:
                own, other, _ = signed
                return (own, other) if other is not None and other.statement == own.statement else None
        return None

    def is_fixed(self) -> bool:
        """Whether nothing may change in the lists: both signed the same, or round 1 is signed."""
        return self.agreed() is not None or self._storage.find_signed(self.task, 1) is not None

    def check_statement(self, batch: SignedBatch, number: int) -> None:
        """The other aggregator signed this, for this task and round; raises `AnswerDiffers`, `BadSignature`."""
        statement = batch.statement
        if (statement.task, statement.round) != (self.task, number):
            raise AnswerDiffers(f"a statement for task {statement.task.hex()}, round {statement.round}")
        verify(self._other().key, statement_message(statement), batch.signature)

    def keep_statement(self, batch: SignedBatch) -> None:
        """Keep what the other aggregator signed in a round this one has signed: of two statements the one that agrees.

        A second statement for one round is evidence, and both are kept for that.
        """
        self.check_statement(batch, batch.statement.round)
        signed = self._storage.find_signed(self.task, batch.statement.round)
        if signed is None:
            raise AnswerDiffers(f"task {self.task.hex()}: round {batch.statement.round} is not signed here")
        own, before, _ = signed
        if before is not None and before.statement != batch.statement:
            self._storage.keep_conflict(self.task, before, batch)
        if before is None or before.statement != own.statement:
            self._storage.keep_other(self.task, batch)

    def reject_leaves(self, leaves: Iterable[ReportLeaf], *, told: bool) -> None:
        """These reports do not count; the unknown ones get their leaf. Raises `BatchFixed` after the signature."""
        if self.is_fixed():
            raise BatchFixed(f"the lists of task {self.task.hex()} are signed")
        with self._storage.transaction():
            for leaf in leaves:
                if leaf.panel >= len(self.configuration.panels):
                    raise WrongTask(f"panel {leaf.panel} of {len(self.configuration.panels)}")
                if self._storage.find_report(self.task, leaf.report) is None:
                    self._storage.add_report(self.task, leaf, ReportState.REJECTED, told=told)
                else:
                    self._storage.reject(self.task, leaf.report, told=told)

    # ── shares ──────────────────────────────────────────────────────────────────────────────────────────────────

    def input_share(self, metadata: ReportMetadata, public_share: bytes, sealed: HpkeCiphertext) -> bytes:
        """This aggregator's share of a report, opened and compared; raises `ShareUnreadable`, `ShareDiffers`."""
        if self._seal_pair is None:
            raise KeysDestroyed(f"task {self.task.hex()}: no report can be opened")
        return open_input_share(self.served, self.party, self._seal_pair, metadata, public_share, sealed)

    def aggregate_share(self) -> bytes:
        """The sum of this aggregator's output shares of the accepted reports."""
        return self.served.vdaf.aggregate(self._storage.output_shares(self.task))

    def noised_share(self, header_hash: Digest) -> bytes:
        """The aggregate share with this aggregator's noise; `header_hash` is of the block after the close."""
        if self._secrets is None:
            raise KeysDestroyed(f"task {self.task.hex()}: no noise can be drawn")
        noise = party_noise(self.configuration, self.task, self.party, self._secrets.noise_secret, header_hash)
        return add_noise(self.configuration, self.aggregate_share(), noise)

    def make_share(self, statement: BatchStatement, header_hash: Digest) -> PostShare:
        """The entry with the sealed share; the sealed bytes are kept. Call it once: sealing draws.

        Raises `BatchTooSmall`: below the order's minimum of verified reports nothing is ever released.
        """
        if statement.accepted < self.configuration.least_batch:
            raise BatchTooSmall(f"{statement.accepted} of at least {self.configuration.least_batch} verified reports")
        posting, sealed = make_posting(
            self.configuration,
            self.task,
            share=self.noised_share(header_hash),
            info=share_info(self.party),
            aad=share_aad(statement),
            randomness=self._randomness,
        )
        self._storage.keep_share(self.task, self.party, sealed)
        return posting

    def _other(self) -> TaskParty:
        return self.configuration.helper if self.party is Party.LEADER else self.configuration.leader

    def _verify_key(self) -> bytes:
        verify_key = self._storage.find_verify_key(self.task)
        if verify_key is None:
            raise NoVerifyKey(f"task {self.task.hex()} has no verification key here")
        return verify_key


class Expected(NamedTuple):
    """An upload whose token and permit were found to hold, as it came at a height, and its receipt if it is taken."""

    height: int
    leaf: ReportLeaf
    receipted: Receipted


class Leader(Aggregator):
    """Takes reports from hubs, and leads the helper through jobs and lists."""

    party = Party.LEADER

    def __init__(
        self,
        served: ServedTask,
        storage: Storage,
        key: SigningKey,
        secrets: Secrets | None,
        randomness: Randomness,
    ) -> None:
        super().__init__(served, storage, key, secrets, randomness)
        self._begun: dict[int, dict[ReportId, bytes]] = {}  # states of jobs under way; made again after a restart
        self._expected: dict[bytes, Expected] = {}  # the uploads that came together last, and could count
        self._is_delivered = False  # whether the store was seen to say so; it never takes it back

    def expect(self, height: int, uploads: Sequence[bytes]) -> None:
        """Look at uploads that came together, before any of them is taken: here the store is not held meanwhile.

        Tokens and permits are checked, the permits in one equation, and receipts signed for whom both hold. Nothing is
        decided: each is then taken or refused by itself, with the checks in their order.
        """
        reports = {}
        with self._storage.transaction():
            for data in uploads:
                with suppress(ReportRefused, Malformed):
                    metadata = read_upload(self.served, height, data).metadata
                    self._check_unseen(metadata.leaf())
                    reports[data] = metadata
        candidates = []
        for data, metadata in reports.items():
            permit = metadata.permit
            with suppress(BadToken):
                check_token(self.served, permit.panel, permit.slot_key, permit.token)
                candidates.append((data, metadata))
        claims = [permit_claim(self.task, metadata) for _, metadata in candidates]
        holds = verify_many(claims, self._randomness.draw(32), threads=1)
        self._expected = {
            data: Expected(height, metadata.leaf(), self._receipt(metadata.leaf(), report_digest(data)))
            for (data, metadata), permitted in zip(candidates, holds, strict=True)
            if permitted
        }

    def take_upload(self, height: int, data: bytes) -> Receipted:
        """Admit a report and sign for it; the same bytes again give the same receipt, at any height.

        1. Size, spelling, task, phase (`read_upload`); both have the verification key (`NoVerifyKey`).
        2. The slot key has not reported and has not revoked (`SlotKeySeen`, `SlotKeyRevoked`), the id is free.
        3. Token and permit hold (`BadToken`, `BadPermit`): a receipt promises a leaf, and only permits have leaves.

        HPKE and share digest follow in the job: they cost more, and their failure has a leaf.
        """
        expected = self._expected.get(data)
        if expected is not None and expected.height == height and self._is_delivered:
            with suppress(ReportRefused):  # the checks below say whether the same report is here, or why it is refused
                self._check_unseen(expected.leaf)
                digest = expected.receipted.receipt.digest
                self._storage.add_report(self.task, expected.leaf, ReportState.PENDING, digest=digest, data=data)
                return expected.receipted
        digest = report_digest(data)
        known = self._known_upload(data, digest)
        if known is None:
            report = read_upload(self.served, height, data)
            known = report.metadata.leaf()
            self._is_delivered = self._is_delivered or self._storage.is_delivered(self.task)
            if not self._is_delivered:
                raise NoVerifyKey(f"the helper of task {self.task.hex()} has no verification key yet")
            self._check_unseen(known)
            check_token(self.served, known.panel, known.slot_key, known.token)
            self._check_permit(report.metadata)
            self._storage.add_report(self.task, known, ReportState.PENDING, digest=digest, data=data)
        return self._receipt(known, digest)

    def _receipt(self, leaf: ReportLeaf, digest: Digest) -> Receipted:
        receipt = UploadReceipt(task=self.task, report=leaf.report, slot_key=leaf.slot_key, digest=digest)
        return Receipted(receipt=receipt, signature=self._key.sign(receipt_message(receipt)))

    def next_job(self) -> tuple[int, bytes] | None:
        """Begin a job of the oldest reports, up to `MAX_JOB`: its number and bytes; none if none of them could count.

        Reports that fail here by themselves (HPKE, share digest, revoked, first step) are rejected at once.
        """
        with self._storage.transaction():
            reports, number = self._storage.pending(self.task, MAX_JOB), self._storage.next_job(self.task)
        if not reports:
            return None
        begun = self._begin(reports)
        rejected = [report for report, _ in reports if report not in begun]
        request = encode_job([init for init, _ in begun.values()])
        with self._storage.transaction():
            for report in rejected:
                self._storage.reject(self.task, report, told=False)
            if begun:
                self._storage.assign(self.task, begun, number)
                self._storage.add_job(self.task, number, request, None)
        if not begun:
            return None
        self._begun[number] = {report: state for report, (_, state) in begun.items()}
        return number, request

    def finish_job(self, number: int, data: bytes) -> None:
        """Count a job by the helper's answer; raises `AnswerDiffers`, and counts nothing, if it does not fit."""
        reports = self._storage.job_reports(self.task, number)
        states = self._begun.pop(number, None)
        if states is None:
            states = {report: state for report, (_, state) in self._begin(reports).items()}
        answers = decode_job_answer(data)
        if [answer.report for answer in answers] != [report for report, _ in reports]:
            raise AnswerDiffers(f"job {number} of task {self.task.hex()}: other reports, or in another order")
        continued = [answer for answer in answers if isinstance(answer, Continued) and answer.report in states]
        finished = self.served.vdaf.leader_finish_batch(
            self.served.context, [(states[answer.report], answer.payload) for answer in continued]
        )
        outcomes = zip(continued, finished, strict=True)
        shares = {answer.report: outcome for answer, outcome in outcomes if isinstance(outcome, bytes)}
        with self._storage.transaction():
            for answer in answers:  # rejected by the helper, revoked while the answer was under way, or not verified
                if answer.report not in shares:
                    self._storage.reject(self.task, answer.report, told=isinstance(answer, Rejected))
            self._storage.accept(self.task, shares)
            self._storage.finish_job(self.task, number, data)

    def has_intersected(self) -> bool:
        """Whether round 1 is signed, or the lists changed since round 0 was: then the helper's were met already."""
        if self._storage.find_signed(self.task, 1) is not None:
            return True
        signed = self._storage.find_signed(self.task, 0)
        return signed is not None and make_statement(self.task, 0, self.lists()) != signed[0].statement

    def intersect(self, other: BatchLists) -> None:
        """After a round 0 in which the lists differ: what the helper does not accept is rejected here too.

        Raises `AnswerDiffers` if these are not the lists that the helper signed.
        """
        signed = self._storage.find_signed(self.task, 0)
        if signed is None or signed[1] is None or make_statement(self.task, 0, other) != signed[1].statement:
            raise AnswerDiffers(f"task {self.task.hex()}: these are not the lists that the helper signed")
        with self._storage.transaction():
            self.reject_leaves(intersect(self.lists(), other).rejected, told=False)

    def _known_upload(self, data: bytes, digest: Digest) -> ReportLeaf | None:
        if len(data) != self.served.report_size:
            return None
        known = self._storage.find_report(self.task, ReportId(data[:16]))
        return known.leaf if known is not None and known.digest == digest else None

    def _check_unseen(self, leaf: ReportLeaf) -> None:
        seen = self._storage.find_seen(self.task, leaf.report, leaf.slot_key)
        if seen.slot_key:
            raise SlotKeySeen(f"slot key {leaf.slot_key.hex()} has reported to task {self.task.hex()}")
        if seen.revocation:
            raise SlotKeyRevoked(f"slot key {leaf.slot_key.hex()} has revoked its permit for task {self.task.hex()}")
        if seen.report:
            raise ReportSeen(f"report id {leaf.report.hex()} is taken in task {self.task.hex()}")

    def _check_permit(self, metadata: ReportMetadata) -> None:
        try:
            verify(*permit_claim(self.task, metadata))
        except BadSignature as error:
            raise BadPermit(f"report {metadata.report.hex()}") from error

    def _begin(self, reports: Sequence[tuple[ReportId, bytes]]) -> dict[ReportId, tuple[VerifyInit, bytes]]:
        """The first step of the verification: for each report that passes it the job's part and the leader's state."""
        with self._storage.transaction():
            verify_key, revoked = self._verify_key(), self._storage.revoked(self.task)
        opened = []
        for _, data in reports:
            report = decode_report(data)
            if report.metadata.permit.slot_key in revoked:
                continue
            try:
                opened.append((report, self.input_share(report.metadata, report.public_share, report.leader)))
            except ReportRefused:
                continue
        outcomes = self.served.vdaf.leader_init_batch(
            verify_key,
            self.served.context,
            [(report.metadata.report, report.public_share, share) for report, share in opened],
        )
        begun = {}
        for (report, _), outcome in zip(opened, outcomes, strict=True):
            if isinstance(outcome, Begun):
                part = ReportShare(metadata=report.metadata, public_share=report.public_share, sealed=report.helper)
                begun[report.metadata.report] = (VerifyInit(share=part, payload=outcome.message), outcome.state)
        return begun


class Helper(Aggregator):
    """Answers jobs and proposals; it checks every report as if the leader had checked nothing."""

    party = Party.HELPER

    def answer_job(self, height: int, number: int, data: bytes) -> bytes:
        """Verify a job; store reports, output shares and answer in one transaction. The same job gets the same answer.

        Raises `JobConflict` for other bytes under a known number, `NoVerifyKey`, `BatchFixed`, `TaskNotOpen`,
        `Malformed`.
        """
        known = self._storage.find_job(self.task, number)
        request = tagged_hash("job", data)
        if known is not None:
            if known[0] != request or known[1] is None:
                raise JobConflict(f"job {number} of task {self.task.hex()} was answered for other bytes")
            return known[1]
        if phase(self.configuration, height) > Phase.CLOSE:
            raise TaskNotOpen(f"jobs of task {self.task.hex()} end with height {self.configuration.close_until}")
        if self._storage.find_signed(self.task, 0) is not None:
            raise BatchFixed(f"the lists of task {self.task.hex()} are signed")
        verify_key = self._verify_key()
        inits = decode_job(data)
        reasons, shares = self._admit(inits)
        counted = [init for init in inits if init.share.metadata.report in shares]
        outcomes = self.served.vdaf.helper_init_batch(
            verify_key,
            self.served.context,
            [
                (report, init.share.public_share, shares[report], init.payload)
                for init in counted
                for report in [init.share.metadata.report]
            ],
        )
        verified = {init.share.metadata.report: out for init, out in zip(counted, outcomes, strict=True)}
        found: list[FoundReport] = []
        answer = encode_job_answer(
            [self._decide(init, reason, verified, found) for init, reason in zip(inits, reasons, strict=True)]
        )
        with self._storage.transaction():
            self._storage.add_reports(self.task, found)
            self._storage.add_job(self.task, number, request, answer)
        return answer

    def answer_proposal(self, height: int, proposal: SignedBatch) -> SignedBatch:
        """Sign this aggregator's own lists for the round; the leader compares. Raises as `sign`, and `BatchFixed`.

        Round 1 is only for lists that differed in round 0.
        """
        number = proposal.statement.round
        self.check_statement(proposal, number)
        if number == 1 and self._storage.find_signed(self.task, 1) is None:
            first = self._storage.find_signed(self.task, 0)
            if first is None or self.agreed() is not None:
                raise BatchFixed(f"task {self.task.hex()}: there is nothing to intersect")
        with self._storage.transaction():
            own = self.sign(number, height)
            self.keep_statement(proposal)
        return own

    def _admit(self, inits: Sequence[VerifyInit]) -> tuple[list[ReportRefused | None], dict[ReportId, bytes]]:
        """All checks before the verification: for each report why not, or none; and the shares of those that pass."""
        reasons: list[ReportRefused | None] = []
        seen: set[bytes] = set()
        for init in inits:
            metadata = init.share.metadata
            reasons.append(_reason(self._check_public, init, seen))
            seen.update((metadata.report, metadata.permit.slot_key))
        claims = [permit_claim(self.task, init.share.metadata) for init in inits]
        holds = verify_many(claims, self._randomness.draw(32))
        shares: dict[ReportId, bytes] = {}
        for place, init in enumerate(inits):
            metadata = init.share.metadata
            if reasons[place] is None and not holds[place]:
                reasons[place] = BadPermit(f"report {metadata.report.hex()}")
            if reasons[place] is None:
                reasons[place] = _reason(self._open_into, shares, init.share)
        return reasons, shares

    def _check_public(self, init: VerifyInit, seen: set[bytes]) -> None:
        metadata = init.share.metadata
        slot_key = metadata.permit.slot_key
        check_sizes(self.served, Party.HELPER, init.share.public_share, init.share.sealed)
        check_metadata(self.served, metadata)
        before = self._storage.find_seen(self.task, metadata.report, slot_key)
        if metadata.report in seen or before.report:
            raise ReportSeen(f"report id {metadata.report.hex()} is taken")
        if slot_key in seen or before.slot_key:
            raise SlotKeySeen(f"slot key {slot_key.hex()} has reported")
        if before.revocation:
            raise SlotKeyRevoked(f"slot key {slot_key.hex()} has revoked its permit")
        check_token(self.served, metadata.permit.panel, slot_key, metadata.permit.token)

    def _open_into(self, shares: dict[ReportId, bytes], share: ReportShare) -> None:
        shares[share.metadata.report] = self.input_share(share.metadata, share.public_share, share.sealed)

    def _decide(
        self,
        init: VerifyInit,
        reason: ReportRefused | None,
        verified: Mapping[ReportId, object],
        found: list[FoundReport],
    ) -> VerifyResp:
        """What to store of one report, and to say of it; a report id that was taken keeps its first leaf."""
        metadata: ReportMetadata = init.share.metadata
        report, leaf = metadata.report, metadata.leaf()
        if isinstance(reason, ReportSeen | WrongTask):
            return Rejected(report=report, error=error_code(reason))
        if reason is not None:
            found.append(FoundReport(leaf, None))
            return Rejected(report=report, error=error_code(reason))
        outcome = verified[report]
        if isinstance(outcome, Verified):
            found.append(FoundReport(leaf, outcome.output_share))
            return Continued(report=report, payload=outcome.message)
        found.append(FoundReport(leaf, None))
        return Rejected(report=report, error=ReportError.VDAF_VERIFY_ERROR)


def revocation_digest(message: RevokeReport) -> Digest:
    """What a slot key signs to end its permit."""
    return tagged_hash("revoke-report", message.task + message.slot_key)


def _reason(check: Callable[..., None], *arguments: object) -> ReportRefused | None:
    try:
        check(*arguments)
    except ReportRefused as reason:
        return reason
    return None
