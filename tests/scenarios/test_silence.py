"""Whoever does not answer is silent, and nobody is told why: refused, not sampled, too late or away look alike."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace
from scenario_world import FIRST_PANEL, LEADER, OPEN, SECOND_PANEL, ScenarioWorld, observed, truth

from edgehold.customer.orders import OrderStatus
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.policy.policy import LeastCredibility, Mode
from edgehold.wire.ids import Digest, TaskId
from edgehold.wire.order import SAMPLING_ONE

SILENT = 3


def away(world: ScenarioWorld) -> None:
    world.away = {SILENT}


def refuses_everybody(world: ScenarioWorld) -> None:
    world.hub(SILENT).set_policy(replace(OPEN, mode=Mode.NEVER))


def asks_for_more_credibility(world: ScenarioWorld) -> None:
    world.hub(SILENT).set_policy(replace(OPEN, least_credibility=LeastCredibility(900_000, 900_000, 900_000)))


def has_no_budget(world: ScenarioWorld) -> None:
    world.hub(SILENT).set_policy(replace(OPEN, loss_per_year="1/10"))


def has_withdrawn(world: ScenarioWorld) -> None:
    world.hub(SILENT).withdraw()


def wants_to_be_asked(world: ScenarioWorld) -> None:
    world.hub(SILENT).set_policy(replace(OPEN, mode=Mode.ASK))


REASONS = [refuses_everybody, asks_for_more_credibility, has_no_budget, has_withdrawn, wants_to_be_asked]


@pytest.mark.parametrize("reason", REASONS)
def test_a_hub_that_says_no_cannot_be_told_from_one_that_is_away(
    open_world: Callable[[], ScenarioWorld], reason: Callable[[ScenarioWorld], None]
) -> None:
    seen = []
    for make_silent in (away, reason):
        world = open_world()
        make_silent(world)
        order, task = world.run()
        assert world.totals(task) == (7, 0)
        assert world.sum_of(order) == truth("bmi", [number for number in FIRST_PANEL if number != SILENT])
        seen.append((observed(world, task), world.row(order).certificate))
    assert seen[0] == seen[1], "every byte that anybody else sees is the same"


def test_the_owner_alone_is_told_why(world: ScenarioWorld) -> None:
    has_no_budget(world)
    _, task = world.run()
    line = world.line(SILENT, task)
    assert line is not None
    assert (line.state, line.bytes_left, line.loss, line.receipt) == (RunState.REFUSED, 0, 0, None)
    assert line.sentence.startswith("Refused. The privacy budget")


def test_a_hub_that_comes_back_after_the_uploads_stays_silent_and_pays_nothing(world: ScenarioWorld) -> None:
    world.away = {SILENT}
    order, task = world.open_task()
    world.advance_to(world.configuration(task).upload_until + 1)
    world.away = set()
    world.finish(order)
    assert SILENT not in world.sent(task)
    assert world.line(SILENT, task) is None
    assert world.hub(SILENT).budget().left(0) == 100
    assert world.totals(task) == (7, 0)


def test_a_hub_that_is_away_at_its_upload_height_misses_the_task_and_its_budget_stays_spent(
    world: ScenarioWorld,
) -> None:
    order, task = world.open_task()
    world.advance()
    late = next(number for number in FIRST_PANEL if number not in world.sent(task))
    line = world.line(late, task)
    assert line is not None
    assert line.state is RunState.STORED
    world.away = {late}
    world.advance_to(world.configuration(task).upload_until + 1)
    world.away = set()
    world.finish(order)
    line = world.line(late, task)
    assert line is not None
    assert (line.state, line.bytes_left) == (RunState.MISSED, 0)
    assert line.loss > 0
    assert world.totals(task) == (7, 0)


def test_the_owners_late_yes_is_refused_and_nothing_leaves(world: ScenarioWorld) -> None:
    wants_to_be_asked(world)
    order, task = world.run()
    (waiting,) = world.hub(SILENT).inbox()
    assert waiting.task == task
    with pytest.raises(Exception, match="took reports until height"):
        world.hub(SILENT).answer(task, yes=True)
    assert SILENT not in world.sent(task)
    assert world.row(order).status is OrderStatus.ACCEPTED


# ── sampling ──────────────────────────────────────────────────────────────────────────────────────────────────────

HALF = SAMPLING_ONE // 2


def sampled(hub: Hub, task: bytes) -> bool:
    return hub.keys.is_sampled(TaskId(Digest(task)), HALF)


def test_a_sample_of_half_is_about_half_of_the_people_over_many_tasks(world: ScenarioWorld) -> None:
    hubs = [resident.hub for resident in world.adults]
    tasks = [number.to_bytes(32, "big") for number in range(400)]
    drawn = [[sampled(hub, task) for task in tasks] for hub in hubs]
    everything = sum(map(sum, drawn)) / (len(hubs) * len(tasks))
    assert 0.47 < everything < 0.53
    for one, other in pairwise(drawn):
        agreeing = sum(mine == theirs for mine, theirs in zip(one, other, strict=True)) / len(tasks)
        assert 0.4 < agreeing < 0.6, "one person's draw says nothing of another's"


def test_only_the_sample_answers_and_who_was_not_drawn_looks_like_who_is_away(
    open_world: Callable[[], ScenarioWorld],
) -> None:
    seen = []
    for stays_away in (False, True):
        world = open_world()
        panels = tuple(sorted((world.first, world.second)))
        order, task = world.open_task(panels=panels, sampling=HALF)
        people = (*FIRST_PANEL, *SECOND_PANEL)
        drawn = [number for number in people if sampled(world.hub(number), task)]
        assert 3 <= len(drawn) <= 10
        if stays_away:
            world.away = set(people) - set(drawn)
        world.finish(order)
        assert world.sent(task) == drawn
        assert world.sum_of(order) == truth("bmi", drawn)
        assert all(world.line(number, task) is None for number in people if number not in drawn)
        seen.append((observed(world, task), world.row(order).certificate))
    assert seen[0] == seen[1]
    assert len(world.uploads(LEADER)) == len(drawn)
