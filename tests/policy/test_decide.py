"""Decisions: each term by its own reason, in order; sentences; replay; more credibility never means fewer permits."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edgehold.errors import BadLoss
from edgehold.policy.budget import Budget
from edgehold.policy.decide import (
    SENTENCES,
    Ask,
    DecisionRecord,
    Granted,
    Question,
    Reason,
    Refused,
    Service,
    credibility,
    debit_for,
    decide,
    explain,
    make_record,
    replay,
)
from edgehold.policy.policy import LeastCredibility, Mode, Policy, minor, opening_budget, policy_id
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import EVIDENCE_UNIT, Prior, Standing
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Digest, TaskId
from edgehold.wire.program import Sensitivity
from edgehold.wire.purpose import Asker, Permission, Purpose

GOOD = Standing(good=10 * EVIDENCE_UNIT)
LEADER, HELPER, CUSTOMER = (AccountId(Digest(bytes([number]) * 32)) for number in (1, 2, 3))


def service(account: AccountId, standing: Standing = GOOD, **own: int) -> Service:
    return Service(account, standing, Prior.ACCREDITED, **own)


def question(**changes: Any) -> Question:
    asked = Question(
        task=TaskId(Digest(b"\x07" * 32)),
        height=40,
        period=9,
        asker=Asker(CUSTOMER),
        purpose=Purpose(Permission.HMB),
        kinds=(Kind.EHR,),
        sensitivity=Sensitivity.AGGREGATE,
        least_batch=100,
        loss="1/50",
        leader=service(LEADER),
        helper=service(HELPER),
        acceptance_cap=500_000,
    )
    return replace(asked, **changes)


def answer(policy: Policy = Policy(), **changes: Any) -> Granted | Refused | Ask:  # noqa: B008 (frozen)
    return decide(policy, question(**changes), opening_budget(policy))


def test_a_task_that_passes_every_term_is_granted() -> None:
    assert answer() == Granted()


REFUSALS: list[tuple[Policy, dict[str, Any], Reason, str]] = [
    (minor(), {}, Reason.NEVER, "the policy's mode is never"),
    (Policy(kinds=(Kind.LAB,)), {}, Reason.KIND, "ehr is not shared"),
    (
        Policy(),
        {"purpose": Purpose(Permission.GRU)},
        Reason.PURPOSE,
        "general research use is asked, health or medical or biomedical research is allowed",
    ),
    (Policy(uses=()), {}, Reason.PURPOSE, "no use is permitted"),
    (Policy(least_batch=101), {}, Reason.BATCH, "100 people, 101 are needed"),
    (Policy(trusted=(CUSTOMER,)), {}, Reason.TRUST, "1 services are trusted"),
    (
        Policy(),
        {"helper": service(HELPER, replace(GOOD, suspended_at=12), own_good=99)},
        Reason.SUSPENDED,
        "the helper, since height 12",
    ),
    (
        Policy(),
        {"leader": service(LEADER, Standing())},
        Reason.CREDIBILITY,
        "the leader has 0.31, 0.50 is needed",
    ),
    (Policy(), {"loss": "1/10"}, Reason.LOSS, "ρ 1/10, at most 311/5000 an order"),
    (
        Policy(loss_per_order="1"),
        {"loss": "1/10"},
        Reason.BUDGET,
        "limit customer, ρ 311/5000 left, never at this size",
    ),
]


@pytest.mark.parametrize(("policy", "changes", "reason", "detail"), REFUSALS, ids=lambda part: str(part)[:24])
def test_each_term_refuses_with_its_own_reason(
    policy: Policy, changes: dict[str, Any], reason: Reason, detail: str
) -> None:
    assert answer(policy, **changes) == Refused(reason, detail)


def test_every_reason_has_a_sentence_and_a_test() -> None:
    assert set(SENTENCES) == set(Reason) == {reason for _, _, reason, _ in REFUSALS}


def test_the_first_failing_term_is_the_reason() -> None:
    worst = Policy(mode=Mode.NEVER, kinds=(), uses=(), least_batch=999)
    assert answer(worst, loss="5") == Refused(Reason.NEVER, "the policy's mode is never")
    assert answer(replace(worst, mode=Mode.ALWAYS), loss="5") == Refused(Reason.KIND, "ehr is not shared")


def test_any_one_permitted_use_is_enough_and_one_trusted_service_too() -> None:
    policy = Policy(trusted=(HELPER,))
    assert answer(replace(policy, uses=(replace(policy.uses[0], permission=Permission.POA), *policy.uses))) == Granted()


def test_equal_passes_and_one_millionth_less_does_not() -> None:
    shown = credibility(service(LEADER), 500_000)
    exact = Policy(least_credibility=LeastCredibility(aggregate=shown))
    assert answer(exact) == Granted()
    above = Policy(least_credibility=LeastCredibility(aggregate=shown + 1))
    assert isinstance(answer(above), Refused)


def test_own_experience_can_tip_the_scale_but_not_lift_a_suspension() -> None:
    newcomer = Standing()
    assert answer(leader=service(LEADER, newcomer, own_good=2)) == Granted()
    assert credibility(service(LEADER, Standing(suspended_at=1), own_good=50), 500_000) == 0


def test_the_owner_is_asked_in_mode_ask_and_for_records() -> None:
    assert answer(Policy(mode=Mode.ASK)) == Ask()
    lenient = Policy(least_credibility=LeastCredibility(record=0))
    assert answer(lenient, sensitivity=Sensitivity.RECORD) == Ask()
    assert answer(replace(lenient, ask_for_records=False), sensitivity=Sensitivity.RECORD) == Granted()


def test_an_exhausted_budget_names_the_period_in_which_it_would_fit() -> None:
    policy = Policy()
    budget = opening_budget(policy)
    for _ in range(3):
        budget = budget.debited(debit_for(question()))
    assert decide(policy, question(), budget) == Refused(
        Reason.BUDGET, "limit customer, ρ 11/5000 left, again from period 13"
    )


def test_a_task_without_loss_is_an_error_and_not_a_permit() -> None:
    with pytest.raises(BadLoss):
        answer(loss="0")


def test_a_decision_is_explained_with_its_numbers() -> None:
    policy, asked = Policy(), question()
    assert explain(Granted(), asked, policy) == (
        "Granted. Customer 03030303 asks for health or medical or biomedical research, over ehr: at least 100 people "
        "summed together, services of credibility 0.88 or more where you ask for 0.50, privacy loss ε 0.90."
    )
    assert explain(Ask(), asked, policy).startswith("You decide. Customer 03030303 asks for")
    assert explain(Refused(Reason.BATCH, "100 people, 101 are needed"), asked, policy) == (
        "Refused. Too few people are summed together. (100 people, 101 are needed.) Customer 03030303 asks for health "
        "or medical or biomedical research, over ehr."
    )


@given(
    st.sampled_from(REFUSALS),
    st.integers(0, 40),
    st.sampled_from(Mode),
    st.fractions(Fraction(1, 50), 2, max_denominator=50),
)
def test_a_record_replays_bit_for_bit(
    case: tuple[Policy, dict[str, Any], Reason, str], audits: int, mode: Mode, loss: Fraction
) -> None:
    policy, changes, _, _ = case
    policy = replace(policy, mode=mode)
    helper = service(HELPER, Standing(good=audits * EVIDENCE_UNIT))
    asked = question(**({"loss": str(loss), "helper": helper} | changes))
    record = make_record(policy, asked, opening_budget(policy))
    again = decode(encode(record), DecisionRecord)
    assert again == record
    assert encode(replay(again)) == encode(record.decision) == encode(decide(policy, asked, opening_budget(policy)))
    assert record.policy_id == policy_id(policy)
    assert record.helper_credibility == credibility(asked.helper, asked.acceptance_cap)


@pytest.mark.untraced
def test_over_ten_thousand_owners_permits_rise_with_credibility() -> None:
    dice = random.Random(3)
    owners = [
        Policy(
            mode=dice.choice([Mode.ALWAYS, Mode.ALWAYS, Mode.ASK, Mode.NEVER]),
            least_credibility=LeastCredibility(aggregate=dice.randrange(1_000_001)),
            least_batch=dice.choice([50, 100, 200]),
        )
        for _ in range(10_000)
    ]
    budget = Budget()
    permits = []
    for audits in (0, 1, 3, 10, 50):
        standing = Standing(good=audits * EVIDENCE_UNIT)
        asked = question(leader=service(LEADER, standing), helper=service(HELPER, standing))
        permits.append([not isinstance(decide(owner, asked, budget), Refused) for owner in owners])
    for fewer, more in pairwise(permits):
        assert all(now or not before for before, now in zip(fewer, more, strict=True))
        assert sum(fewer) < sum(more)
