"""Several panels, several slots, and several helpers who might join."""

from __future__ import annotations

import pytest
from scenario_world import CUSTOMER, FIRST_PANEL, LEADER, SECOND_PANEL, SLOTS, ScenarioWorld, truth

from edgehold.customer.orders import OrderStatus
from edgehold.demo import cast
from edgehold.ledger.draw import drawn_helper
from edgehold.ledger.genesis import found_network
from edgehold.ledger.state import State
from edgehold.service.node import ServiceNode
from edgehold.verify.header import hash_header
from edgehold.wire.account import Attest, Claim
from edgehold.wire.entry import Collection
from edgehold.wire.ids import AccountId, Digest, OrderId
from edgehold.wire.order import Order

FAR = 2**40


# ── panels and slots ──────────────────────────────────────────────────────────────────────────────────────────────


def test_one_task_asks_two_panels_and_sums_both(world: ScenarioWorld) -> None:
    panels = tuple(sorted((world.first, world.second)))
    order, task = world.run(panels=panels)
    configuration = world.configuration(task)
    assert [panel.panel for panel in configuration.panels] == list(panels)
    assert sorted(panel.enrolled for panel in configuration.panels) == [5, 8]
    assert world.totals(task) == (13, 0)
    assert world.sum_of(order) == truth("bmi", (*FIRST_PANEL, *SECOND_PANEL))
    counted = [leaf.panel for leaf in world.leaves(task, accepted=True)]
    assert sorted((counted.count(0), counted.count(1))) == [5, 8]
    verdict = world.customers[CUSTOMER].verdict(order)
    assert len(verdict.configuration.panels) == 2


def test_the_people_of_another_panel_are_not_asked(world: ScenarioWorld) -> None:
    order, task = world.run(panels=(world.second,))
    assert world.sent(task) == list(SECOND_PANEL)
    assert all(world.line(number, task) is None for number in FIRST_PANEL)
    assert world.sum_of(order) == truth("bmi", SECOND_PANEL)


def test_each_task_takes_the_next_slot_and_no_key_or_token_is_seen_twice(world: ScenarioWorld) -> None:
    seen: list[bytes] = []
    for expected in range(3):
        _, task = world.run()
        (panel,) = world.configuration(task).panels
        assert panel.slot == expected
        leaves = world.leaves(task, accepted=True)
        seen += [bytes(leaf.slot_key) for leaf in leaves] + [bytes(leaf.token) for leaf in leaves]
    assert len(seen) == len(set(seen)) == 3 * 8 * 2, "nothing links one person's reports"
    accounts = {resident.hub.account for resident in world.residents}
    assert not accounts & set(seen)


def test_two_orders_at_once_take_two_slots_and_do_not_touch_each_other(world: ScenarioWorld) -> None:
    orders = [world.order("bmi"), world.order("feasibility", customer=cast.REGISTRY.name)]
    for order in orders:
        world.finish(order)
    tasks = [world.task_of(order) for order in orders]
    slots = [world.configuration(task).panels[0].slot for task in tasks if task is not None]
    assert sorted(slots) == [0, 1]
    assert [world.sum_of(order) for order in orders] == [truth(name, FIRST_PANEL) for name in ("bmi", "feasibility")]


def test_when_a_panel_has_no_slot_left_no_task_comes_of_an_order_and_the_price_returns(world: ScenarioWorld) -> None:
    for _ in range(SLOTS):
        world.run()
    before = world.credits(CUSTOMER)
    order = world.order()
    world.finish(order)
    assert world.task_of(order) is None
    assert world.row(order).status is OrderStatus.NOT_TAKEN
    assert world.credits(CUSTOMER) == before


# ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────────

CANDIDATES = (cast.AGGREGATOR_SOUTH.name, cast.AGGREGATOR_NORTH.name, cast.NEWCOMER.name)


@pytest.fixture
def three(world: ScenarioWorld) -> ScenarioWorld:
    """A network in which three services may help the leader: the southern accreditor attests two more."""
    for name in CANDIDATES[1:]:
        statement = Digest(name.encode().ljust(32))
        world.submit(cast.SOUTH, Attest(world.account(name), Claim.INDEPENDENT, FAR, statement))
    world.ledger.advance()
    return world


def drawn(world: ScenarioWorld, order: OrderId) -> AccountId | None:
    """Who may join with the next block, as anybody computes it from headers and state."""

    def header_hash(height: int) -> Digest | None:
        signed = world.ledger.header(height)
        return None if signed is None else hash_header(signed.header)

    state = State(world.ledger.read, world.ledger.height() + 1, header_hash, found_network(world.genesis))
    return drawn_helper(state, world.get(Order, Collection.ORDER, order))


def name_of(world: ScenarioWorld, account: AccountId | None) -> str:
    return next(name for name, node in world.services.items() if node.account == account)


def let_sleep(world: ScenarioWorld, order: OrderId, asleep: dict[str, ServiceNode], how_many: int) -> None:
    """Advance until a task came of an order; the first helpers that are drawn sleep."""
    while world.row(order).status.is_open and world.task_of(order) is None:
        entry = world.read(Order, Collection.ORDER, order)
        if entry is not None and entry.requested_at is not None and world.ledger.height() > entry.requested_at:
            helper = next(
                (name for name, node in (world.services | asleep).items() if node.account == drawn(world, order)), None
            )
            if helper is not None and helper not in asleep and len(asleep) < how_many:
                asleep[helper] = world.services.pop(helper)
        world.advance()


@pytest.mark.parametrize("sleepers", [0, 1, 2])
def test_a_drawn_helper_that_does_not_join_is_followed_by_the_next(three: ScenarioWorld, sleepers: int) -> None:
    order = three.order()
    asleep: dict[str, ServiceNode] = {}
    let_sleep(three, order, asleep, sleepers)
    assert len(asleep) == sleepers
    task = three.task_of(order)
    assert task is not None
    configuration = three.configuration(task)
    joined = name_of(three, configuration.helper.account)
    assert joined in set(CANDIDATES) - set(asleep)
    entry = three.get(Order, Collection.ORDER, order)
    assert entry.requested_at is not None
    first = entry.requested_at + 2 + sleepers * entry.descriptor.schedule.join
    assert first <= configuration.opened_at < first + entry.descriptor.schedule.join
    three.finish(order)
    three.services |= asleep
    assert three.row(order).status is OrderStatus.ACCEPTED
    assert three.sum_of(order) == truth("bmi", FIRST_PANEL)


def test_when_no_helper_joins_the_order_ends_and_the_price_returns(three: ScenarioWorld) -> None:
    before = three.credits(CUSTOMER)
    asleep = {name: three.services.pop(name) for name in CANDIDATES}
    order = three.order()
    three.advance_until(lambda: not three.row(order).status.is_open)
    three.services |= asleep
    assert three.row(order).status is OrderStatus.NOT_TAKEN
    assert three.credits(CUSTOMER) == before
    for name in (LEADER, *CANDIDATES):
        assert three.standing(name).bad == 0


def test_the_draw_reaches_every_helper(three: ScenarioWorld) -> None:
    helpers = set()
    for number in range(SLOTS):
        _, task = three.run(panels=(three.first if number % 2 else three.second,))
        helpers.add(name_of(three, three.configuration(task).helper.account))
    for _ in range(SLOTS // 2):
        _, task = three.run()
        helpers.add(name_of(three, three.configuration(task).helper.account))
    assert len(helpers) >= 2
    assert helpers <= set(CANDIDATES)
