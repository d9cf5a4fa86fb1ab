"""A bad network between honest parties: lines cut and replies lost at random. Whatever comes of it, nobody is framed.

An order may fail then, and a service may be late; but no credit is lost, nothing is counted twice, nobody is proven guilty
of what they did not do, and a certified result is the sum of those whom it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from msgspec.structs import replace
from scenario_world import CUSTOMER, FIRST_PANEL, HELPER, LEADER, ScenarioWorld, truth
from test_restarts import PATIENT

from edgehold.customer.customer import QUICK
from edgehold.customer.orders import OrderStatus
from edgehold.errors import NoService, NothingSent, TooLate
from edgehold.wire.entry import Collection
from edgehold.wire.ids import OrderId, TaskId
from edgehold.wire.order import Order

PARTIES = (CUSTOMER, LEADER, HELPER)
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 100))]


def money(world: ScenarioWorld, order: OrderId) -> int:
    """All credits of the three, with what lies in escrow."""
    entry = world.read(Order, Collection.ORDER, order)
    return sum(world.credits(name) for name in PARTIES) + (entry.escrow if entry else 0)


def check_lists(world: ScenarioWorld, task: TaskId) -> list[int]:
    """Let every hub with a receipt look for its report, and say whose report counts."""
    counted = []
    for number in world.sent(task):
        try:
            check = world.hub(number).check_batch(task)
        except (NoService, NothingSent):
            continue
        assert check is None or check.evidence is None, "an honest service is never accused"
        if check is not None and check.included:
            counted.append(number)
    return counted


@pytest.mark.parametrize("seed", SEEDS)
def test_in_any_weather_nobody_is_framed_and_nothing_is_lost(
    open_world: Callable[..., ScenarioWorld], seed: int
) -> None:
    world, dice = open_world(), Random(seed)
    schedule = PATIENT if seed % 2 else replace(QUICK, revoke=2)
    order = world.order(schedule=schedule)
    world.ledger.advance()
    before = money(world, order)
    how_bad = dice.choice([0.1, 0.3, 0.5])
    revoking = dice.sample(FIRST_PANEL, 2)
    for _ in range(70):
        if not world.row(order).status.is_open:
            break
        for line in world.lines.values():
            line.cut = dice.random() < how_bad
            line.lose_replies = dice.randrange(4) if dice.random() < how_bad else 0
        world.away = {number for number in FIRST_PANEL if dice.random() < how_bad / 2}
        task = world.task_of(order)
        if task is not None and revoking and dice.random() < 0.3:
            with suppress(NothingSent, TooLate):
                world.hub(revoking.pop()).revoke(task)
        world.advance()
        assert money(world, order) == before, "no credit comes or goes"
    for line in world.lines.values():
        line.cut, line.lose_replies = False, 0
    world.away = set()
    world.advance(3)
    row, task = world.row(order), world.task_of(order)
    assert not row.status.is_open, "every wait ends"
    assert (row.certificate is None) or row.status in (OrderStatus.ACCEPTED, OrderStatus.UNCONTESTED)
    for name in (LEADER, HELPER):
        assert world.standing(name).suspended_at is None, "nothing is proven against the honest"
    if task is None:
        return
    counted = check_lists(world, task)
    for number in FIRST_PANEL:
        line = world.line(number, task)
        assert world.hub(number).budget().left(0) == 100 - (line.loss if line is not None else 0)
    if row.certificate is not None:
        accepted, _ = world.totals(task)
        mine = set(counted)
        for number in set(FIRST_PANEL) - mine:
            run = world.hub(number)._journal
            if run.has_run(task) and run.run(task).report is not None:
                report = run.run(task).report or b""
                if any(leaf.report == report[:16] for leaf in world.leaves(task, accepted=True)):
                    mine.add(number)
        assert accepted == len(mine)
        lines = {number: world.line(number, task) for number in mine}
        assert all(line is None or line.revoked_at is None for line in lines.values()), "a revocation taken is kept"
        assert world.sum_of(order) == truth("bmi", sorted(mine))
