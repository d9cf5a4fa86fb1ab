"""Aggregators that misbehave: what the customer, the owners and anybody else see of it, and what it costs whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from misbehaving import (
    AlteringNode,
    DeafNode,
    DroppingNode,
    GarblingNode,
    HoardingNode,
    WithholdingNode,
)
from msgspec.structs import replace
from scenario_world import CUSTOMER, FIRST_PANEL, HELPER, LEADER, PRICE, ScenarioWorld, truth

from edgehold.crypto.hash import tagged_hash
from edgehold.customer.customer import QUICK
from edgehold.customer.orders import OrderStatus
from edgehold.demo import cast
from edgehold.demo.cheat import TwoFacedNode
from edgehold.demo.orders import score_of
from edgehold.hub.journal import RunState
from edgehold.service.node import ServiceNode
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import EVIDENCE_UNIT, Fault, Standing
from edgehold.wire.ids import OrderId, TaskId
from edgehold.wire.service import Answer, Done, RevokeReport
from edgehold.wire.task import Outcome

CHANGED = 3
OTHERS = [number for number in FIRST_PANEL if number != CHANGED]
UNHURRIED = replace(QUICK, revoke=2)
Open = Callable[..., ScenarioWorld]


def is_blameless(standing: Standing) -> bool:
    """Whether nothing counts against a service."""
    return (standing.bad, standing.pair_marks, standing.suspended_at) == (0, (), None)


def no_result(world: ScenarioWorld, order: OrderId, status: OrderStatus) -> bool:
    """Whether the customer ended there without a certificate, and paid nothing."""
    row = world.row(order)
    return (row.status, row.certificate) == (status, None) and world.credits(CUSTOMER) == 1_000_000


# ── input shares and lists ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [LEADER, HELPER])
def test_an_altered_input_share_has_its_report_rejected_and_the_rest_is_right(open_world: Open, name: str) -> None:
    world = open_world(**{name: AlteringNode})
    order, task = world.run()
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.totals(task) == (7, 1)
    (lost,) = world.leaves(task, accepted=False)
    assert world.leaves(task, accepted=False, of=HELPER) == [lost]
    checks = {number: world.hub(number).check_batch(task) for number in FIRST_PANEL}
    counted = [number for number, check in checks.items() if check is not None and check.included]
    assert len(counted) == 7, "the owner of the report sees that it was rejected"
    assert world.sum_of(order) == truth("bmi", counted)


def tell_one(world: ScenarioWorld, number: int, task: TaskId, name: str) -> None:
    """A hub tells only one of the two services that it revokes."""
    hub = world.hub(number)
    run = hub._journal.run(task)
    credential, slot_key = hub._credential(run), hub._slot_key(run)
    message = RevokeReport(
        task=task,
        panel=run.panel,
        slot_key=credential.key,
        token=credential.token,
        signature=slot_key.sign(tagged_hash("revoke-report", task + credential.key)),
    )
    assert decode(world.lines[name].send(encode(message)), Answer) == Done()


def test_lists_that_differ_are_intersected_once_and_the_result_is_that_of_the_rest(world: ScenarioWorld) -> None:
    order, task = world.open_task(schedule=UNHURRIED)
    world.advance_to(world.configuration(task).upload_until + 1)
    world.services[LEADER].step()
    tell_one(world, CHANGED, task, HELPER)
    world.finish(order)
    batch = world.entry(task).batch
    assert batch is not None
    assert (batch.statement.round, batch.statement.accepted, batch.statement.rejected) == (1, 7, 1)
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.sum_of(order) == truth("bmi", OTHERS)
    assert is_blameless(world.standing(LEADER))
    assert is_blameless(world.standing(HELPER))


def test_lists_that_still_differ_end_the_task_openly_and_mark_both(open_world: Open) -> None:
    world = open_world(**{HELPER: DeafNode})
    order, task = world.open_task(schedule=UNHURRIED)
    world.advance_to(world.configuration(task).upload_until + 1)
    tell_one(world, CHANGED, task, LEADER)
    world.finish(order)
    assert world.entry(task).outcome is Outcome.ABANDONED
    assert no_result(world, order, OrderStatus.ABANDONED)
    for name, partner in ((LEADER, HELPER), (HELPER, LEADER)):
        (mark,) = world.standing(name).pair_marks
        assert mark.partner == world.account(partner)
        assert world.standing(name).suspended_at is None


def test_a_receipted_report_that_the_leader_drops_is_proven_by_its_owner_against_the_leader_alone(
    open_world: Open,
) -> None:
    world = open_world(**{LEADER: DroppingNode})
    order, task = world.run()
    assert world.row(order).status is OrderStatus.ACCEPTED, "nobody but the owner can know"
    assert world.totals(task) == (7, 0)
    assert len(world.sent(task)) == 8
    evidence = [
        check.evidence for number in FIRST_PANEL if (check := world.hub(number).check_batch(task)) and check.evidence
    ]
    assert len(evidence) == 1
    world.settle(*evidence)
    assert world.standing(LEADER).suspended_at is not None
    assert world.standing(LEADER).bad == Fault.PROVEN * EVIDENCE_UNIT
    assert is_blameless(world.standing(HELPER))
    order, later = world.run()
    assert no_result_after(world, order)
    assert world.sent(later) == []


def no_result_after(world: ScenarioWorld, order: OrderId) -> bool:
    """Whether an order of a suspended leader came to nothing."""
    row = world.row(order)
    return row.certificate is None and row.status in (OrderStatus.TOO_FEW, OrderStatus.ABANDONED)


# ── shares ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("guilty", "innocent"), [(LEADER, HELPER), (HELPER, LEADER)])
def test_a_withheld_share_is_missed_by_the_one_who_owes_it(open_world: Open, guilty: str, innocent: str) -> None:
    world = open_world(**{guilty: WithholdingNode})
    order, task = world.run()
    assert world.entry(task).outcome is Outcome.WITHHELD
    assert no_result(world, order, OrderStatus.WITHHELD)
    assert world.standing(guilty).bad == Fault.MISSED * EVIDENCE_UNIT
    assert world.standing(guilty).suspended_at is None
    assert is_blameless(world.standing(innocent))


def test_a_garbage_share_is_disputed_by_the_customer_and_suspends_its_sender(open_world: Open) -> None:
    world = open_world(**{HELPER: GarblingNode})
    order, task = world.run()
    assert world.entry(task).outcome is Outcome.UNUSABLE
    assert no_result(world, order, OrderStatus.UNUSABLE)
    assert "helper" in str(world.row(order).reason)
    assert world.standing(HELPER).bad == Fault.PROVEN * EVIDENCE_UNIT
    assert world.standing(HELPER).suspended_at is not None
    assert score_of(world, world.account(HELPER)) == 0
    assert is_blameless(world.standing(LEADER))


def test_a_report_counted_on_one_side_only_gives_no_certificate_and_marks_both(open_world: Open) -> None:
    world = open_world(**{LEADER: HoardingNode})
    order, task = world.run()
    assert world.entry(task).outcome is Outcome.UNUSABLE
    assert no_result(world, order, OrderStatus.UNUSABLE)
    for name in (LEADER, HELPER):
        standing = world.standing(name)
        assert len(standing.pair_marks) == 1
        assert (standing.bad, standing.suspended_at) == (0, None)


# ── two faces ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.on_validators
def test_two_signatures_on_one_round_suspend_their_signer_and_the_next_order_gets_no_permits(
    open_world: Open,
) -> None:
    world = open_world(**{LEADER: TwoFacedNode})
    _, first = world.run()
    world.advance_until(lambda: world.standing(LEADER).suspended_at is not None)
    assert world.standing(LEADER).strikes == 1
    assert is_blameless(world.standing(HELPER))
    order, task = world.run()
    assert world.sent(first) == list(FIRST_PANEL)
    assert world.sent(task) == []
    assert world.row(order).certificate is None
    for number in FIRST_PANEL:
        line = world.line(number, task)
        assert line is not None
        assert (line.state, line.bytes_left, line.loss) == (RunState.REFUSED, 0, 0)
        assert "suspended for a proven fault" in line.sentence
    other = {"leader": world.account(cast.TWO_FACED.name)}
    order, task = world.run(**other)
    assert world.row(order).status is OrderStatus.ACCEPTED, "another pair goes on as before"
    assert world.sent(task) == list(FIRST_PANEL)


def test_services_are_paid_for_results_and_for_nothing_else(open_world: Open) -> None:
    kinds: dict[str, type[ServiceNode]] = {HELPER: GarblingNode}
    world = open_world(**kinds)
    world.run()
    assert (world.credits(LEADER), world.credits(HELPER)) == (0, 0)
    honest = open_world()
    honest.run()
    assert honest.credits(LEADER) + honest.credits(HELPER) == PRICE
