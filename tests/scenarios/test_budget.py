"""A budget that is spent: refused until there is some again, and never answered with less noise than was asked."""

from __future__ import annotations

from fractions import Fraction

import pytest
from msgspec.structs import replace
from scenario_world import FIRST_PANEL, OPEN, ScenarioWorld

from edgehold.demo import cast
from edgehold.hub.journal import RunState
from edgehold.policy.budget import PERIODS_A_YEAR
from edgehold.policy.policy import Policy
from edgehold.wire.ids import TaskId
from edgehold.wire.purpose import Permission, Purpose

LOSS = Fraction(1, 4)
"""ρ of a histogram at σ = 2."""

OTHER_CUSTOMER = {"customer": cast.REGISTRY.name}
OTHER_PURPOSE = {"purpose": Purpose(permission=Permission.GRU)}


def give(world: ScenarioWorld, policy: Policy) -> None:
    """Give everybody of the first panel this policy."""
    for number in FIRST_PANEL:
        world.hub(number).set_policy(policy)


def sentence(world: ScenarioWorld, task: TaskId) -> str:
    """What the first person's history says of a task."""
    line = world.line(FIRST_PANEL[0], task)
    assert line is not None
    return line.sentence


def test_a_year_that_is_spent_is_refused_until_the_period_in_which_it_fits_again(world: ScenarioWorld) -> None:
    give(world, replace(OPEN, loss_per_year="1/4"))
    _, first = world.run()
    assert len(world.sent(first)) == 8
    _, second = world.run()
    assert world.sent(second) == []
    assert f"limit year, ρ 0 left, again from period {PERIODS_A_YEAR}" in sentence(world, second)
    assert all(world.hub(number).budget().left(0) == 0 for number in FIRST_PANEL)
    world.ledger.advance(PERIODS_A_YEAR * world.genesis.parameters.period - world.ledger.height())
    _, third = world.run()
    assert len(world.sent(third)) == 8


@pytest.mark.parametrize(
    ("which", "policy", "other"),
    [
        ("customer", replace(OPEN, loss_per_year="1", customer_share="1/4"), OTHER_CUSTOMER),
        ("purpose", replace(OPEN, loss_per_year="1", purpose_share="1/4"), OTHER_PURPOSE),
        ("services", replace(OPEN, loss_per_year="1", services_share="1/4"), {"leader": cast.TWO_FACED.name}),
    ],
)
def test_a_share_that_is_spent_is_refused_to_those_who_spent_it_and_to_nobody_else(
    world: ScenarioWorld, which: str, policy: Policy, other: dict[str, object]
) -> None:
    give(world, policy)
    _, first = world.run()
    _, again = world.run()
    if "leader" in other:
        other = {"leader": world.account(str(other["leader"]))}
    _, another = world.run(**other)
    assert [len(world.sent(task)) for task in (first, again, another)] == [8, 0, 8]
    assert f"limit {which}, ρ 0 left, again from period {PERIODS_A_YEAR}" in sentence(world, again)


def test_a_loss_that_never_fits_is_refused_for_ever_and_no_noise_is_bargained_for(world: ScenarioWorld) -> None:
    give(world, replace(OPEN, loss_per_year="1", loss_per_order="1/8"))
    _, task = world.run()
    line = world.line(FIRST_PANEL[0], task)
    assert line is not None
    assert (line.state, line.loss) == (RunState.REFUSED, 0)
    assert "more about one person than a single order may" in line.sentence
    give(world, replace(OPEN, loss_per_year="1/8"))
    _, task = world.run()
    assert "limit year, ρ 1/8 left, never at this size" in sentence(world, task)
    _, task = world.run(sigma=Fraction(4))
    assert len(world.sent(task)) == 8, "more noise costs less, and the order says how much there is"
    assert world.configuration(task).sigma_numerator == 4


def test_what_was_spent_is_spent_whatever_became_of_the_task(world: ScenarioWorld) -> None:
    _, task = world.run(least_batch=8)
    assert world.totals(task) == (8, 0)
    order, task = world.open_task(least_batch=8)
    world.advance_to(world.configuration(task).upload_until + 1)
    world.hub(1).revoke(task)
    world.finish(order)
    for number in FIRST_PANEL:
        line = world.line(number, task)
        assert line is not None
        assert line.loss == LOSS
        assert world.hub(number).budget().left(0) == 100 - 2 * LOSS
