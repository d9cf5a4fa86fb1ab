"""Lost replies, restarts and kills anywhere: the same end, nothing twice, nothing acknowledged lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from scenario_world import FIRST_PANEL, HELPER, LEADER, ScenarioWorld, open_scenario, truth

from edgehold.customer.orders import OrderStatus
from edgehold.hub.journal import RunState
from edgehold.wire.codec import decode
from edgehold.wire.ids import Digest, OrderId, TaskId
from edgehold.wire.order import Schedule
from edgehold.wire.service import Request, Upload
from edgehold.wire.task import Outcome

Open = Callable[..., ScenarioWorld]


def assert_ended_well(world: ScenarioWorld, order: OrderId, task: TaskId) -> None:
    """All eight counted once, paid once, and each knows it."""
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.entry(task).outcome is Outcome.ACCEPTED
    assert world.totals(task) == (8, 0)
    assert world.sum_of(order) == truth("bmi", FIRST_PANEL)
    for number in FIRST_PANEL:
        hub = world.hub(number)
        (line,) = hub.history()
        assert (line.state, line.log) == (RunState.SENT, "")
        assert hub.budget().left(0) == 100 - line.loss, "the budget is spent once"
        check = hub.check_batch(task)
        assert check is not None
        assert (check.included, check.evidence) == (True, None)


# ── replies ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [LEADER, HELPER])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_after_lost_replies_the_same_bytes_are_sent_and_answered_alike(
    world: ScenarioWorld, name: str, lost: int
) -> None:
    order, task = world.open_task()
    world.lines[name].lose_replies = lost
    world.finish(order)
    answers: dict[bytes, bytes] = {}
    again = 0
    for message, answer in world.lines[name].said:
        if isinstance(decode(message, Request), Upload) or name == HELPER:
            again += message in answers
            assert answers.setdefault(message, answer) == answer
    assert again > 0
    assert world.row(order).status is OrderStatus.ACCEPTED
    arrived = world.totals(task)[0]
    assert arrived == 8, "what the leader has, counts, whether its owner has the receipt or not"
    assert world.sum_of(order) == truth("bmi", FIRST_PANEL)
    assert len(set(world.uploads())) == 8


@pytest.mark.parametrize("name", [LEADER, HELPER])
def test_an_aggregator_restarted_at_every_height_goes_on_where_it_was(world: ScenarioWorld, name: str) -> None:
    order, task = world.open_task()
    while world.row(order).status.is_open:
        world.restart_service(name)
        world.advance()
    assert_ended_well(world, order, task)


def test_an_aggregator_that_is_away_for_some_heights_catches_up(world: ScenarioWorld) -> None:
    order, task = world.open_task()
    world.advance(2)
    helper = world.services.pop(HELPER)
    world.lines[HELPER].cut = True
    world.advance_to(world.configuration(task).revoke_until)
    world.services[HELPER] = helper
    world.lines[HELPER].cut = False
    world.finish(order)
    assert_ended_well(world, order, task)


# ── kills ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Killed:
    """A world whose process is killed now and then: the folder as it lies is copied, and the copy is opened."""

    def __init__(self, world: ScenarioWorld, folder: Path, dice: Random, often: float) -> None:
        self.world = world
        self.kills = 0
        self.runs = 0
        self._folder = folder
        self._dice = dice
        self._often = often

    def perhaps(self) -> None:
        """Kill the process, or not."""
        if self._dice.random() < self._often:
            self.kills += 1
            target = self._folder / f"kill {self.kills}"
            shutil.copytree(self.world.folder, target)
            self.runs += self.world.runs
            self.world.close()
            self.world = open_scenario(target)

    def step(self) -> None:
        """One height, in which the process may be killed between any two steps of any two parties."""
        acts: list[Callable[[], object]] = [
            *(lambda name=name: self.world.services[name].step() for name in self.world.services),
            *(lambda name=name: self.world.customers[name].step() for name in self.world.customers),
            *(lambda number=one.number: self.world.hub(number).follow() for one in self.world.residents),
        ]
        self._dice.shuffle(acts)
        for act in acts:
            self.perhaps()
            act()
        self.perhaps()
        self.world.ledger.advance()


PATIENT = Schedule(request=6, join=6, upload=6, revoke=2, close=6, share=6, accept=6)
"""Time enough to repeat at the next heights what a kill undid."""


def receipts(world: ScenarioWorld, task: TaskId) -> dict[Digest, bytes]:
    """Every receipt that a hub holds, by its report."""
    lines = [world.line(number, task) for number in FIRST_PANEL]
    held = [line.receipt.receipt for line in lines if line is not None and line.receipt is not None]
    return {Digest(receipt.digest): receipt.report for receipt in held}


@pytest.mark.parametrize("seed", range(6))
def test_killed_between_any_two_steps_the_network_comes_to_the_same_end(
    open_world: Open, tmp_path: Path, seed: int
) -> None:
    killed = Killed(open_world(), tmp_path, Random(seed), often=0.03)
    order = killed.world.order(schedule=PATIENT)
    held: dict[Digest, bytes] = {}
    for _ in range(60):
        killed.step()
        task = killed.world.task_of(order)
        if task is not None:
            now = receipts(killed.world, task)
            assert held.items() <= now.items(), "nothing acknowledged is lost"
            held = now
        if not killed.world.row(order).status.is_open:
            break
    killed.world.advance()
    try:
        assert killed.kills >= 3
        assert task is not None
        assert_ended_well(killed.world, order, task)
        assert killed.runs + killed.world.runs == 8, "no program ran twice"
        assert {leaf.report for leaf in killed.world.leaves(task, accepted=True)} == set(held.values())
    finally:
        killed.world.close()


def test_a_network_closed_and_opened_at_every_height_comes_to_the_same_end(open_world: Open) -> None:
    world = open_world()
    order = world.order()
    while world.row(order).status.is_open:
        world = world.reopen()
        world.advance()
    world.advance()
    task = world.task_of(order)
    try:
        assert task is not None
        assert_ended_well(world, order, task)
    finally:
        world.close()
