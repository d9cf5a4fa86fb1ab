"""Where the money goes when an order ends otherwise than by an acceptance."""

from __future__ import annotations

import pytest
from scenario_world import CUSTOMER, FIRST_PANEL, HELPER, LEADER, PRICE, ScenarioWorld

from edgehold.customer.orders import OrderStatus
from edgehold.hub.journal import RunState
from edgehold.service.node import ServiceNode
from edgehold.wire.task import Outcome, SettleTask

PARTIES = (CUSTOMER, LEADER, HELPER)


def holdings(world: ScenarioWorld) -> dict[str, int]:
    return {name: world.credits(name) for name in PARTIES}


def gains(world: ScenarioWorld, before: dict[str, int]) -> tuple[int, ...]:
    """What customer, leader and helper gained."""
    return tuple(world.credits(name) - before[name] for name in PARTIES)


def test_a_batch_that_is_too_small_is_aborted_and_the_price_returns_less_a_fee(world: ScenarioWorld) -> None:
    before = holdings(world)
    world.away = {1, 2, 3}
    order, task = world.run(least_batch=6)
    entry, row = world.entry(task), world.row(order)
    assert entry.outcome is Outcome.TOO_FEW
    assert (entry.leader_share, entry.helper_share) == (None, None)
    assert (row.status, row.certificate) == (OrderStatus.TOO_FEW, None)
    fee = PRICE * world.genesis.parameters.abort_fee // 1000
    assert gains(world, before) == (-fee, fee - fee * 4 // 10, fee * 4 // 10)
    for number in FIRST_PANEL[3:]:
        line = world.line(number, task)
        assert line is not None
        assert line.state is RunState.SENT
        assert line.loss > 0, "a budget is not refunded"
        check = world.hub(number).check_batch(task)
        assert check is not None
        assert check.evidence is None
    assert world.standing(LEADER).bad == world.standing(HELPER).bad == 0


def test_a_customer_that_disappears_pays_by_rule_and_vouches_for_nobody(world: ScenarioWorld) -> None:
    before = holdings(world)
    order, task = world.open_task()
    customer = world.customers.pop(CUSTOMER)
    world.advance_until(lambda: world.entry(task).outcome is not None)
    assert world.entry(task).outcome is Outcome.UNCONTESTED
    assert gains(world, before) == (-PRICE, PRICE * 6 // 10, PRICE * 4 // 10)
    assert world.standing(LEADER).acceptances == world.standing(HELPER).acceptances == 0
    world.customers[CUSTOMER] = customer
    world.advance(3)
    row = world.row(order)
    assert row.status is OrderStatus.UNCONTESTED
    assert row.certificate is not None, "who comes back late still finds the result"


def test_an_order_that_its_leader_never_requests_returns_whole(world: ScenarioWorld) -> None:
    before = holdings(world)
    order = world.order()
    leader = world.services.pop(LEADER)
    world.advance_until(lambda: not world.row(order).status.is_open)
    world.services[LEADER] = leader
    assert world.row(order).status is OrderStatus.NOT_TAKEN
    assert world.task_of(order) is None
    assert gains(world, before) == (0, 0, 0)


@pytest.mark.on_validators
def test_a_task_that_both_services_forget_returns_the_price_and_marks_both(world: ScenarioWorld) -> None:
    before = holdings(world)
    order, task = world.open_task()
    services: dict[str, ServiceNode] = {name: world.services.pop(name) for name in (LEADER, HELPER)}
    world.advance_until(lambda: not world.row(order).status.is_open)
    world.services |= services
    entry = world.entry(task)
    assert (entry.batch, entry.outcome) == (None, Outcome.ABANDONED)
    assert world.row(order).status is OrderStatus.ABANDONED
    assert gains(world, before) == (0, 0, 0)
    for name in (LEADER, HELPER):
        assert len(world.standing(name).pair_marks) == 1


def test_a_task_is_settled_once_whoever_asks(world: ScenarioWorld) -> None:
    before = holdings(world)
    _, task = world.run()
    paid = gains(world, before)
    envelope = world.submit(HELPER, SettleTask(task=task))
    world.ledger.advance()
    receipt = world.ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.number != 0
    assert gains(world, before) == paid
