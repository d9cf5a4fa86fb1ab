"""What happened in a task, as evidence and in the standings of its services."""

from __future__ import annotations

from collections.abc import Iterable

from edgehold.crypto.names import evidence_id
from edgehold.errors import AlreadyProven
from edgehold.ledger.state import Changes, State, find_counted, find_evidence, get_account, get_standing
from edgehold.policy.credibility import faded, with_acceptance, with_named_evidence, with_pair_mark
from edgehold.wire.credibility import Fault, Standing
from edgehold.wire.ids import AccountId, Digest, TaskId
from edgehold.wire.task import Counted, Evidence, Task

PAIR_MARK_WEIGHT = 1
"""The weight that an entry of evidence shows for a mark on both services."""


def prove_fault(state: State, accused: Iterable[AccountId], task: TaskId, tag: int, witness: bytes) -> Changes:
    """A fault that anybody can check, of one service or of both; whoever was proven guilty of it before is passed over.

    Raises `AlreadyProven` if nobody is left.
    """
    found = {service: evidence_id(service, task, tag, witness) for service in accused}
    new = {service: name for service, name in found.items() if find_evidence(state, name) is None}
    if not new:
        raise AlreadyProven(f"this evidence about task {task.hex()} stands on the ledger")
    return Changes(
        standings={
            service: with_named_evidence(get_standing(state, service), Fault.PROVEN, state.height) for service in new
        },
        evidence={name: _evidence(state, service, task, tag, Fault.PROVEN) for service, name in new.items()},
    )


def task_ended(state: State, task: Task) -> dict[AccountId, Standing]:
    """Both standings one task later."""
    return {service: faded(get_standing(state, service)) for service in (task.leader, task.helper)}


def accepted(state: State, task: Task, customer: AccountId) -> Changes:
    """The customer's word counts for each service at most once a period, and never between those with one sponsor."""
    standings = task_ended(state, task)
    counted: dict[tuple[AccountId, AccountId, int], Counted] = {}
    for service, standing in standings.items():
        if _sponsor(state, service) == _sponsor(state, customer):
            continue
        if find_counted(state, service, customer, state.period) is None:
            standings[service] = with_acceptance(standing)
            counted[service, customer, state.period] = Counted(at=state.height)
    return Changes(standings=standings, counted=counted)


def blamed(state: State, task_id: TaskId, task: Task, tag: int, faults: dict[AccountId, Fault]) -> Changes:
    """The task ended by the fault of the services that are named."""
    standings = task_ended(state, task)
    for service, fault in faults.items():
        standings[service] = with_named_evidence(standings[service], fault, state.height)
    return Changes(
        standings=standings,
        evidence=dict(_found(state, service, task_id, tag, fault) for service, fault in faults.items()),
    )


def marked(state: State, task_id: TaskId, task: Task, tag: int) -> Changes:
    """The task ended by a fault of one of the two, and nobody can say of which: both are marked alike."""
    standings = task_ended(state, task)
    return Changes(
        standings={
            service: with_pair_mark(standings[service], partner, state.height)
            for service, partner in ((task.leader, task.helper), (task.helper, task.leader))
        },
        evidence=dict(_found(state, service, task_id, tag, PAIR_MARK_WEIGHT) for service in (task.leader, task.helper)),
    )


def _found(state: State, service: AccountId, task: TaskId, tag: int, weight: int) -> tuple[Digest, Evidence]:
    return evidence_id(service, task, tag, b""), _evidence(state, service, task, tag, weight)


def _evidence(state: State, service: AccountId, task: TaskId, tag: int, weight: int) -> Evidence:
    return Evidence(accused=service, task=task, tag=tag, weight=int(weight), at=state.height)


def _sponsor(state: State, account: AccountId) -> AccountId:
    """Who stands behind an account; a founder stands for itself."""
    return get_account(state, account).sponsor or account
