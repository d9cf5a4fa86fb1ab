"""Evidence: what anybody, or one person by a slot key, can prove of a service's conduct in a task."""

from __future__ import annotations

from edgehold.crypto.merkle import check_path
from edgehold.crypto.names import receipt_message
from edgehold.crypto.signatures import verify
from edgehold.errors import (
    BadProof,
    BadSignature,
    BadUploadReceipt,
    BatchNotClosed,
    LeafNotAccepted,
    NoConflict,
    NotAggregator,
    NotDropped,
    NotRevoked,
)
from edgehold.ledger.conduct import prove_fault
from edgehold.ledger.credential import verify_credential
from edgehold.ledger.rules.tasks import verify_statement
from edgehold.ledger.state import Changes, State, find_revocation, get_configuration, get_task
from edgehold.wire.batch import Absence, Batch, LeafOpening
from edgehold.wire.codec import encode
from edgehold.wire.ids import AccountId, Digest, ReportId, SlotKey, TaskId
from edgehold.wire.task import ReportConflict, ReportDropped, ReportIgnored
from edgehold.wire.tx import tag_of


def report_conflict(state: State, sender: AccountId, tx: ReportConflict) -> Changes:
    """One aggregator signed two different statements for one task and round; anybody may show it, it counts once."""
    configuration = get_configuration(state, tx.task)
    keys = {party.account: party.key for party in (configuration.leader, configuration.helper)}
    if tx.accused not in keys:
        raise NotAggregator(f"{tx.accused.hex()} is no aggregator of task {tx.task.hex()}")
    first, second = tx.first.statement, tx.second.statement
    if first == second or first.round != second.round or {first.task, second.task} != {tx.task}:
        raise NoConflict(f"the statements do not contradict each other on task {tx.task.hex()}")
    verify_statement(keys[tx.accused], first, tx.first.signature)
    verify_statement(keys[tx.accused], second, tx.second.signature)
    return prove_fault(state, [tx.accused], tx.task, tag_of(tx), witness=b"")


def report_dropped(state: State, sender: SlotKey, tx: ReportDropped) -> Changes:
    """The leader signed a receipt for a report that is in neither list of the closed batch."""
    task = tx.receipt.task
    configuration = get_configuration(state, task)
    verify_credential(configuration, tx.credential, sender)
    if tx.receipt.slot_key != sender:
        raise BadUploadReceipt("the receipt is another slot key's")
    try:
        verify(configuration.leader.key, receipt_message(tx.receipt), tx.signature)
    except BadSignature as error:
        raise BadUploadReceipt(f"the leader of task {task.hex()} did not sign this receipt") from error
    statement = _get_batch(state, task).statement
    for root, size, absence in (
        (statement.accepted_root, statement.accepted, tx.accepted),
        (statement.rejected_root, statement.rejected, tx.rejected),
    ):
        verify_absence(root, size, tx.receipt.report, absence)
    return prove_fault(state, [configuration.leader.account], task, tag_of(tx), witness=sender)


def report_ignored(state: State, sender: SlotKey, tx: ReportIgnored) -> Changes:
    """A report counts although its revocation stood on the ledger in time: both aggregators signed the list."""
    configuration = get_configuration(state, tx.task)
    verify_credential(configuration, tx.credential, sender)
    if find_revocation(state, tx.task, sender) is None:
        raise NotRevoked(f"slot key {sender.hex()} did not revoke its permit for task {tx.task.hex()} here")
    statement = _get_batch(state, tx.task).statement
    if tx.leaf.leaf.slot_key != sender:
        raise LeafNotAccepted("the leaf is another slot key's")
    try:
        _check_leaf(statement.accepted_root, statement.accepted, tx.leaf)
    except BadProof as error:
        raise LeafNotAccepted(f"no such leaf among the accepted reports of task {tx.task.hex()}") from error
    signers = [configuration.leader.account, configuration.helper.account]
    return prove_fault(state, signers, tx.task, tag_of(tx), witness=sender)


def verify_absence(root: Digest, size: int, report: ReportId, absence: Absence) -> None:
    """Check that a sorted list has no leaf of this report; raises `NotDropped`.

    1. Every leaf that is shown is in the list at its place.
    2. The two follow each other; one that is missing would lie beyond the list's end.
    3. The report would stand between them.
    """
    left, right = absence.left, absence.right
    try:
        for shown in (left, right):
            if shown is not None:
                _check_leaf(root, size, shown)
    except BadProof as error:
        raise NotDropped(f"a leaf is not in the list: {error}") from error
    before = left.index + 1 if left is not None else 0
    after = right.index if right is not None else size
    if before != after:
        raise NotDropped(f"{after - before} leaves lie between the two that are shown")
    if (left is not None and left.leaf.report >= report) or (right is not None and report >= right.leaf.report):
        raise NotDropped(f"report {report.hex()} does not lie between the two leaves that are shown")


def _get_batch(state: State, task: TaskId) -> Batch:
    batch = get_task(state, task).batch
    if batch is None:
        raise BatchNotClosed(f"the batch of task {task.hex()} is not closed")
    return batch


def _check_leaf(root: Digest, size: int, opening: LeafOpening) -> None:
    check_path(root, encode(opening.leaf), opening.index, size, opening.path)
