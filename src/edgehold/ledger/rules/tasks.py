"""Tasks: requested, joined, revoked from, closed, shared, judged and settled."""

from __future__ import annotations

from typing import cast

from msgspec.structs import replace

from edgehold.crypto.names import attestations_digest, sealed_share_digest, statement_message, task_id
from edgehold.crypto.signatures import verify
from edgehold.errors import (
    AlreadyRevoked,
    BadBatchSignature,
    BadSignature,
    BatchClosed,
    BatchNotClosed,
    NobodyEligible,
    NotAggregator,
    NotCustomer,
    NotDrawn,
    NothingDue,
    NotLeader,
    OrderRequested,
    PhaseNotBegun,
    PhaseOver,
    RequestTooLate,
    ShareNotCarried,
    SharePosted,
    SharesMissing,
    SlotsExhausted,
    TaskSettled,
    TooManyReports,
    WrongSealedDigest,
)
from edgehold.ledger import conduct
from edgehold.ledger.credential import verify_credential
from edgehold.ledger.draw import drawn_helper
from edgehold.ledger.payment import ALL, pay
from edgehold.ledger.rules.orders import get_pending_order
from edgehold.ledger.shares import PostedShares, is_carried, judge_shares, require_usable
from edgehold.ledger.state import (
    Changes,
    State,
    find_revocation,
    get_account,
    get_configuration,
    get_order,
    get_panel,
    get_program,
    get_task,
    live_attestations,
    merge,
    require_claim,
)
from edgehold.wire.account import Claim
from edgehold.wire.batch import Batch, BatchStatement
from edgehold.wire.credibility import Fault
from edgehold.wire.ids import AccountId, Digest, PanelId, PublicKey, SealKey, Signature, SlotKey, TaskId
from edgehold.wire.order import Order
from edgehold.wire.panel import Panel
from edgehold.wire.task import (
    AcceptResult,
    CloseBatch,
    DisputeResult,
    JoinTask,
    Outcome,
    Party,
    PostedShare,
    PostShare,
    RequestTask,
    Revocation,
    Revoke,
    SettleTask,
    Task,
    TaskConfiguration,
    TaskPanel,
    TaskParty,
)
from edgehold.wire.tx import tag_of

# ── how a task comes to be ────────────────────────────────────────────────────────────────────────────────────────


def request_task(state: State, sender: AccountId, tx: RequestTask) -> Changes:
    """The leader takes the order on, once; the next header draws the helper. A suspended one may: hubs decide."""
    order = get_pending_order(state, tx.order)
    if order.descriptor.leader != sender:
        raise NotLeader(f"order {tx.order.hex()} names {order.descriptor.leader.hex()}")
    if order.requested_at is not None:
        raise OrderRequested(f"order {tx.order.hex()} was requested at height {order.requested_at}")
    until = order.placed_at + order.descriptor.schedule.request
    if state.height > until:
        raise RequestTooLate(f"order {tx.order.hex()} could be requested until height {until}")
    require_claim(state, sender, Claim.ACCREDITED)
    require_usable(tx.seal_key)
    requested = replace(
        order,
        requested_at=state.height,
        leader_seal_key=tx.seal_key,
        leader_noise_commitment=tx.noise_commitment,
    )
    return Changes(orders={tx.order: requested})


def join_task(state: State, sender: AccountId, tx: JoinTask) -> Changes:
    """The drawn helper joins: each panel gives its next free slot, heights become absolute, the task has its id."""
    order = get_pending_order(state, tx.order)
    drawn = drawn_helper(state, order)
    if drawn is None:
        raise NobodyEligible(f"nobody is left who could help with order {tx.order.hex()}")
    if drawn != sender:
        raise NotDrawn(f"{drawn.hex()} was drawn for height {state.height}")
    require_usable(tx.seal_key)
    panels = {panel: get_panel(state, panel) for panel in order.descriptor.panels}
    for panel_id, panel in panels.items():
        if panel.next_slot >= panel.descriptor.slots:
            raise SlotsExhausted(f"all {panel.descriptor.slots} slots of panel {panel_id.hex()} are taken")
    configuration = configure(state, order, panels, sender, tx)
    task = task_id(configuration)
    return Changes(
        panels={panel_id: replace(panel, next_slot=panel.next_slot + 1) for panel_id, panel in panels.items()},
        orders={tx.order: replace(order, task=task)},
        tasks={task: _begin(configuration)},
        configurations={task: configuration},
        made=task,
    )


def configure(
    state: State, order: Order, panels: dict[PanelId, Panel], helper: AccountId, tx: JoinTask
) -> TaskConfiguration:
    """Everything the task is, from order, panels and both services as they are at this height."""
    asked = order.descriptor
    upload_until = state.height + asked.schedule.upload
    revoke_until = upload_until + asked.schedule.revoke
    close_until = revoke_until + asked.schedule.close
    share_until = close_until + asked.schedule.share
    return TaskConfiguration(
        network=state.network.id,
        order=tx.order,
        customer=order.customer,
        program=asked.program,
        measurement=get_program(state, asked.program).descriptor.measurement,
        panels=tuple(_task_panel(panel_id, panel) for panel_id, panel in panels.items()),
        sampling=asked.sampling,
        least_batch=asked.least_batch,
        sigma_numerator=asked.sigma_numerator,
        sigma_denominator=asked.sigma_denominator,
        seal_key=asked.seal_key,
        leader=_task_party(state, asked.leader, order.leader_seal_key, order.leader_noise_commitment),
        helper=_task_party(state, helper, tx.seal_key, tx.noise_commitment),
        opened_at=state.height,
        upload_until=upload_until,
        revoke_until=revoke_until,
        close_until=close_until,
        share_until=share_until,
        accept_until=share_until + asked.schedule.accept,
    )


def _task_panel(panel_id: PanelId, panel: Panel) -> TaskPanel:
    return TaskPanel(
        panel=panel_id,
        issuer=panel.issuer,
        grade=panel.descriptor.grade,
        slot=panel.next_slot,
        slots=panel.descriptor.slots,
        keys_root=panel.descriptor.keys_root,
        enrolled=panel.enrolled or 0,
    )


def _task_party(state: State, service: AccountId, seal_key: SealKey | None, commitment: Digest | None) -> TaskParty:
    account = get_account(state, service)
    return TaskParty(
        account=service,
        key=account.key,
        sponsor=account.sponsor or service,
        seal_key=cast(SealKey, seal_key),  # the leader's stand in the order since its request
        noise_commitment=cast(Digest, commitment),
        attestations=attestations_digest(live_attestations(state, service)),
    )


def _begin(configuration: TaskConfiguration) -> Task:
    return Task(
        order=configuration.order,
        leader=configuration.leader.account,
        helper=configuration.helper.account,
        panels_enrolled=sum(panel.enrolled for panel in configuration.panels),
        least_batch=configuration.least_batch,
        opened_at=configuration.opened_at,
        upload_until=configuration.upload_until,
        revoke_until=configuration.revoke_until,
        close_until=configuration.close_until,
        share_until=configuration.share_until,
        accept_until=configuration.accept_until,
        batch=None,
        leader_share=None,
        helper_share=None,
        outcome=None,
        settled_at=None,
    )


# ── while it runs ─────────────────────────────────────────────────────────────────────────────────────────────────


def revoke(state: State, sender: SlotKey, tx: Revoke) -> Changes:
    """A slot key ends its permit on the ledger, because the aggregators did not answer: its report must not count."""
    task = get_running_task(state, tx.task)
    if state.height > task.revoke_until:
        raise PhaseOver(f"permits of task {tx.task.hex()} could be revoked until height {task.revoke_until}")
    verify_credential(get_configuration(state, tx.task), tx.credential, sender)
    revoked = find_revocation(state, tx.task, sender)
    if revoked is not None:
        raise AlreadyRevoked(f"slot key {sender.hex()} revoked its permit at height {revoked.at}")
    return Changes(revocations={(tx.task, sender): Revocation(at=state.height)})


def close_batch(state: State, sender: AccountId, tx: CloseBatch) -> Changes:
    """Either aggregator closes the batch with both signatures, once; with too few reports the task ends here."""
    statement = tx.statement
    task = get_running_task(state, statement.task)
    _require_aggregator(task, statement.task, sender)
    if task.batch is not None:
        raise BatchClosed(f"task {statement.task.hex()} was closed at height {task.batch.closed_at}")
    if state.height <= task.revoke_until:
        raise PhaseNotBegun(f"task {statement.task.hex()} closes after height {task.revoke_until}")
    if state.height > task.close_until:
        raise PhaseOver(f"task {statement.task.hex()} could be closed until height {task.close_until}")
    if statement.accepted > task.panels_enrolled:
        raise TooManyReports(f"{statement.accepted} reports of {task.panels_enrolled} persons")
    configuration = get_configuration(state, statement.task)
    verify_statement(configuration.leader.key, statement, tx.leader_signature)
    verify_statement(configuration.helper.key, statement, tx.helper_signature)
    closed = replace(task, batch=Batch(statement=statement, closed_at=state.height))
    if statement.accepted >= task.least_batch:
        return Changes(tasks={statement.task: closed})
    return merge(
        _end(state, statement.task, closed, Outcome.TOO_FEW),
        pay(state, task, per_mille=state.parameters.abort_fee),
    )


def verify_statement(key: PublicKey, statement: BatchStatement, signature: Signature) -> None:
    """Check an aggregator's signature over a batch statement; raises `BadBatchSignature`."""
    try:
        verify(key, statement_message(statement), signature)
    except BadSignature as error:
        task = statement.task.hex()
        raise BadBatchSignature(f"key {key.hex()} did not sign this statement on task {task}") from error


def post_share(state: State, sender: AccountId, tx: PostShare) -> Changes:
    """An aggregator posts its noised share once the header that seeds its noise exists; two digests stay."""
    task = get_running_task(state, tx.task)
    party = _require_aggregator(task, tx.task, sender)
    if task.batch is None:
        raise BatchNotClosed(f"the batch of task {tx.task.hex()} is not closed")
    if state.height < task.batch.closed_at + 2:
        raise PhaseNotBegun(f"shares of task {tx.task.hex()} are posted from height {task.batch.closed_at + 2} on")
    if state.height > task.share_until:
        raise PhaseOver(f"shares of task {tx.task.hex()} were posted until height {task.share_until}")
    if (task.leader_share if party is Party.LEADER else task.helper_share) is not None:
        raise SharePosted(f"the {party.value} of task {tx.task.hex()} posted its share before")
    if tx.sealed and sealed_share_digest(tx.sealed) != tx.sealed_digest:
        raise WrongSealedDigest(f"{len(tx.sealed)} sealed bytes have another digest than {tx.sealed_digest.hex()}")
    if not tx.sealed and is_carried(get_configuration(state, tx.task).measurement):
        raise ShareNotCarried(f"a share of task {tx.task.hex()} fits into the transaction")
    posted = PostedShare(sealed_digest=tx.sealed_digest, share_digest=tx.share_digest, at=state.height)
    if party is Party.LEADER:
        return Changes(tasks={tx.task: replace(task, leader_share=posted)})
    return Changes(tasks={tx.task: replace(task, helper_share=posted)})


# ── how it ends ───────────────────────────────────────────────────────────────────────────────────────────────────


def accept_result(state: State, sender: AccountId, tx: AcceptResult) -> Changes:
    """The customer verified the result: both services are paid, and the acceptance may count."""
    task, _ = _get_judged(state, sender, tx.task)
    return merge(
        _end(state, tx.task, task, Outcome.ACCEPTED),
        pay(state, task, per_mille=ALL),
        conduct.accepted(state, task, sender),
    )


def dispute_result(state: State, sender: AccountId, tx: DisputeResult) -> Changes:
    """The customer reveals the order's private key: what does not open is its sender's fault, what cannot be both's."""
    task, posted = _get_judged(state, sender, tx.task)
    configuration = get_configuration(state, tx.task)
    guilty = judge_shares(configuration, posted, tx)
    if guilty:
        services = {Party.LEADER: task.leader, Party.HELPER: task.helper}
        faults = {services[party]: Fault.PROVEN for party in guilty}
        consequence = conduct.blamed(state, tx.task, task, tag_of(tx), faults)
    else:
        consequence = conduct.marked(state, tx.task, task, tag_of(tx))
    return merge(
        _end(state, tx.task, task, Outcome.UNUSABLE),
        pay(state, task, per_mille=0),
        consequence,
    )


def settle_task(state: State, sender: AccountId, tx: SettleTask) -> Changes:
    """Anybody asks for what the passed heights entitle to: an end without a batch, without a share, or with payment."""
    task = get_running_task(state, tx.task)
    if task.batch is None:
        _require_passed(state, tx.task, task.close_until)
        return merge(
            _end(state, tx.task, task, Outcome.ABANDONED),
            pay(state, task, per_mille=0),
            conduct.marked(state, tx.task, task, tag_of(tx)),
        )
    missing = [
        service
        for service, share in ((task.leader, task.leader_share), (task.helper, task.helper_share))
        if share is None
    ]
    if missing:
        _require_passed(state, tx.task, task.share_until)
        return merge(
            _end(state, tx.task, task, Outcome.WITHHELD),
            pay(state, task, per_mille=0),
            conduct.blamed(state, tx.task, task, tag_of(tx), dict.fromkeys(missing, Fault.MISSED)),
        )
    _require_passed(state, tx.task, task.accept_until)
    return merge(
        _end(state, tx.task, task, Outcome.UNCONTESTED),
        pay(state, task, per_mille=ALL),
        Changes(standings=conduct.task_ended(state, task)),
    )


def get_running_task(state: State, task_id: TaskId) -> Task:
    """A task that has not ended; raises `UnknownTask`, `TaskSettled`."""
    task = get_task(state, task_id)
    if task.outcome is not None:
        raise TaskSettled(f"task {task_id.hex()} ended as {task.outcome.value} at height {task.settled_at}")
    return task


def _get_judged(state: State, sender: AccountId, task_id: TaskId) -> tuple[Task, PostedShares]:
    """The task whose customer may now say what it thinks of the result, and both posted shares."""
    task = get_running_task(state, task_id)
    order = get_order(state, task.order)
    if order.customer != sender:
        raise NotCustomer(f"task {task_id.hex()} belongs to {order.customer.hex()}")
    if task.batch is None or task.leader_share is None or task.helper_share is None:
        raise SharesMissing(f"the shares of task {task_id.hex()} are not both posted")
    if state.height > task.accept_until:
        raise PhaseOver(f"task {task_id.hex()} was to be judged until height {task.accept_until}")
    return task, PostedShares(task.batch.statement, task.leader_share, task.helper_share)


def _require_aggregator(task: Task, task_id: TaskId, sender: AccountId) -> Party:
    if sender == task.leader:
        return Party.LEADER
    if sender == task.helper:
        return Party.HELPER
    raise NotAggregator(f"{sender.hex()} is no aggregator of task {task_id.hex()}")


def _require_passed(state: State, task_id: TaskId, height: int) -> None:
    if state.height <= height:
        raise NothingDue(f"nothing is due in task {task_id.hex()} until height {height} has passed")


def _end(state: State, task_id: TaskId, task: Task, outcome: Outcome) -> Changes:
    return Changes(tasks={task_id: replace(task, outcome=outcome, settled_at=state.height)})
