"""The whole way when nothing goes wrong: what every other scenario departs from."""

from __future__ import annotations

import pytest
from scenario_world import CUSTOMER, FIRST_PANEL, HELPER, LEADER, MINOR, PRICE, ScenarioWorld, truth

from edgehold.customer.orders import OrderStatus
from edgehold.wire.task import Outcome


@pytest.mark.parametrize("program", ["bmi", "pressure_by_hypertension", "disorders", "feasibility"])
def test_the_certified_sum_of_a_shipped_program_is_the_plain_sum_of_the_records(
    world: ScenarioWorld, program: str
) -> None:
    order, task = world.run(program)
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.entry(task).outcome is Outcome.ACCEPTED
    assert world.totals(task) == (8, 0)
    assert world.sum_of(order) == truth(program, FIRST_PANEL)


@pytest.mark.on_validators
def test_every_party_sees_the_end_and_gets_its_due(world: ScenarioWorld) -> None:
    before = {name: world.credits(name) for name in (CUSTOMER, LEADER, HELPER)}
    order, task = world.run()
    after = {name: world.credits(name) - before[name] for name in before}
    assert after == {CUSTOMER: -PRICE, LEADER: PRICE * 6 // 10, HELPER: PRICE * 4 // 10}
    assert world.leaves(task, accepted=True) == world.leaves(task, accepted=True, of=HELPER)
    for number in FIRST_PANEL:
        check = world.hub(number).check_batch(task)
        assert check is not None
        assert (check.included, check.evidence) == (True, None)
    verdict = world.customers[CUSTOMER].verdict(order)
    assert (verdict.batch, verdict.rejected, verdict.operators) == (8, 0, len(world.genesis.validators))
    assert world.standing(LEADER).acceptances == 1
    assert world.standing(HELPER).acceptances == 0, "the customer and the helper have one sponsor"


def test_a_minor_is_enrolled_nowhere_and_asked_nothing(world: ScenarioWorld) -> None:
    _, task = world.run(panels=tuple(sorted((world.first, world.second))))
    assert world.hub(MINOR).panels() == []
    assert world.line(MINOR, task) is None
    assert world.totals(task) == (13, 0)
