"""The decision: policy, task, ledger and budget in; granted, refused with a reason, or ask the owner out.

A decision never looks at what the hub holds, so that whether somebody takes part says nothing about their health. The
terms are tried in the order of `Reason`; the first that fails is the reason. A `DecisionRecord` holds all that was
looked at and stays in the hub; `replay` gives the same decision from it, bit for bit, on any machine.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, assert_never

from msgspec import Meta, Struct

from edgehold.policy.budget import Budget, Exhausted, Ratio, Spent, epsilon_of_rho, purpose_key, service_pair
from edgehold.policy.credibility import PPM, blended, is_suspended, score
from edgehold.policy.policy import Mode, Policy, policy_id
from edgehold.policy.purpose import describe_use, permits
from edgehold.wire.credibility import Prior, Score, Standing
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Counter, Digest, Height, TaskId
from edgehold.wire.program import Sensitivity
from edgehold.wire.purpose import Asker, Purpose


class Reason(StrEnum):
    """Why a task is refused, in the order in which the terms are tried."""

    NEVER = "never"
    KIND = "kind"
    PURPOSE = "purpose"
    BATCH = "batch"
    TRUST = "trust"
    SUSPENDED = "suspended"
    CREDIBILITY = "credibility"
    LOSS = "loss"
    BUDGET = "budget"


SENTENCES: dict[Reason, str] = {
    Reason.NEVER: "This hub answers nobody.",
    Reason.KIND: "The task reads a kind of data that is not shared.",
    Reason.PURPOSE: "The purpose is not one that is permitted.",
    Reason.BATCH: "Too few people are summed together.",
    Reason.TRUST: "Neither service is on the owner's own list.",
    Reason.SUSPENDED: "A service is suspended for a proven fault.",
    Reason.CREDIBILITY: "A service has not shown enough to be believed.",
    Reason.LOSS: "The answer would say more about one person than a single order may.",
    Reason.BUDGET: "The privacy budget does not cover the answer.",
}
"""One plain sentence for each reason."""


class Service(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One of the two services of a task: what the ledger shows of it, and what this hub lived through with it."""

    account: AccountId
    standing: Standing
    prior: Prior
    own_good: Counter = 0
    own_bad: Counter = 0


class Question(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that a decision relies on besides policy and budget; every part was checked by proof against one header."""

    task: TaskId
    height: Height
    period: Counter
    asker: Asker
    purpose: Purpose
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=7)]
    sensitivity: Sensitivity
    least_batch: Counter
    loss: Ratio
    """ρ, from the order's noise scale and the program's measurement."""
    leader: Service
    helper: Service
    acceptance_cap: Score


class Granted(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """The hub will answer."""


class Refused(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The hub stays silent; `detail` says in numbers how the term failed."""

    reason: Reason
    detail: str


class Ask(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Every term passes and the owner wants to decide."""


Decision = Granted | Refused | Ask


class DecisionRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One decision with all it relied on; it stays in the hub."""

    policy_id: Digest
    policy: Policy
    question: Question
    leader_credibility: Score
    helper_credibility: Score
    exhausted: Exhausted | None
    """What the budget answered."""
    decision: Decision


def credibility(service: Service, acceptance_cap: int) -> int:
    """The credibility a permit depends on: the ledger's score blended with own experience; 0 while suspended; ppm."""
    if is_suspended(service.standing):
        return 0
    return blended(score(service.standing, service.prior, acceptance_cap), service.own_good, service.own_bad)


def debit_for(question: Question) -> Spent:
    """What answering would cost, as an entry of the budget."""
    return Spent(
        period=question.period,
        loss=Fraction(question.loss),
        customer=question.asker.account,
        services=service_pair(question.leader.account, question.helper.account),
        purpose=purpose_key(question.purpose),
    )


def decide(policy: Policy, question: Question, budget: Budget) -> Decision:
    """Answer a task; the first term that fails is the reason. Raises `BadLoss` if the task's loss is not positive."""
    return _judge(policy, question, budget.covers(debit_for(question)))


def make_record(policy: Policy, question: Question, budget: Budget) -> DecisionRecord:
    """Decide, and keep what was relied on."""
    exhausted = budget.covers(debit_for(question))
    return DecisionRecord(
        policy_id=policy_id(policy),
        policy=policy,
        question=question,
        leader_credibility=credibility(question.leader, question.acceptance_cap),
        helper_credibility=credibility(question.helper, question.acceptance_cap),
        exhausted=exhausted,
        decision=_judge(policy, question, exhausted),
    )


def replay(record: DecisionRecord) -> Decision:
    """The decision again, from the record alone."""
    return _judge(record.policy, record.question, record.exhausted)


def _judge(policy: Policy, question: Question, exhausted: Exhausted | None) -> Decision:
    """Try the terms in order."""
    if policy.mode is Mode.NEVER:
        return Refused(Reason.NEVER, "the policy's mode is never")
    withheld = [kind.value for kind in question.kinds if kind not in policy.kinds]
    if withheld:
        return Refused(Reason.KIND, f"{withheld[0]} is not shared")
    misfits = [permits(use, question.purpose, question.asker, question.height) for use in policy.uses]
    if all(misfits):
        return Refused(Reason.PURPOSE, misfits[0] if misfits and misfits[0] else "no use is permitted")
    if question.least_batch < policy.least_batch:
        return Refused(Reason.BATCH, f"{question.least_batch} people, {policy.least_batch} are needed")
    pair = (question.leader, question.helper)
    if policy.trusted and not any(service.account in policy.trusted for service in pair):
        return Refused(Reason.TRUST, f"{len(policy.trusted)} services are trusted")
    for role, service in zip(("leader", "helper"), pair, strict=True):
        if is_suspended(service.standing):
            return Refused(Reason.SUSPENDED, f"the {role}, since height {service.standing.suspended_at}")
    least = policy.threshold(question.sensitivity)
    for role, service in zip(("leader", "helper"), pair, strict=True):
        shown = credibility(service, question.acceptance_cap)
        if shown < least:
            return Refused(Reason.CREDIBILITY, f"the {role} has {_decimal(shown)}, {_decimal(least)} is needed")
    if Fraction(question.loss) > Fraction(policy.loss_per_order):
        return Refused(Reason.LOSS, f"ρ {question.loss}, at most {policy.loss_per_order} an order")
    if exhausted is not None:
        until = "never at this size" if exhausted.until is None else f"again from period {exhausted.until}"
        return Refused(Reason.BUDGET, f"limit {exhausted.which}, ρ {exhausted.left} left, {until}")
    if policy.mode is Mode.ASK or (policy.ask_for_records and question.sensitivity is Sensitivity.RECORD):
        return Ask()
    return Granted()


def explain(decision: Decision, question: Question, policy: Policy) -> str:
    """What was decided and why, in a sentence or two that the owner can read."""
    asked = (
        f"Customer {question.asker.account.hex()[:8]} asks for {describe_use(question.purpose)}, "
        f"over {', '.join(kind.value for kind in question.kinds)}"
    )
    match decision:
        case Refused(reason, detail):
            return f"Refused. {SENTENCES[reason]} ({detail}.) {asked}."
        case Granted() | Ask():
            lowest = min(
                credibility(service, question.acceptance_cap) for service in (question.leader, question.helper)
            )
            facts = (
                f"{asked}: at least {question.least_batch} people summed together, services of credibility "
                f"{_decimal(lowest)} or more where you ask for {_decimal(policy.threshold(question.sensitivity))}, "
                f"privacy loss ε {epsilon_of_rho(Fraction(question.loss)):.2f}"
            )
            return f"{'Granted' if isinstance(decision, Granted) else 'You decide'}. {facts}."
        case _:
            assert_never(decision)


def _decimal(ppm: int) -> str:
    """Parts per million with two decimals, cut and never rounded up: 0.499999 is not shown as 0.50."""
    return f"{ppm // PPM}.{ppm % PPM // 10_000:02d}"
