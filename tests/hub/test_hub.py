"""The hub as an actor: a task from the feed to the receipt, and everything that stops it."""

from __future__ import annotations

from pathlib import Path

from hub_world import World

from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.wire.ids import PanelId


def enrolled(world: World, *persons: str) -> tuple[list[Hub], PanelId]:
    """Hubs of these persons, all in one closed panel."""
    hubs = [world.admit(person) for person in persons]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    return hubs, panel


def test_three_hubs_answer_a_task_and_find_themselves_in_the_batch(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs, panel = enrolled(world, "ada", "bea", "cleo")
    task = world.open_task(panel)
    for _ in range(6):
        world.tick(*hubs)
    for hub in hubs:
        (departure,) = hub.history()
        assert (departure.task, departure.state, departure.log) == (task, RunState.SENT, "")
        assert departure.receipt is not None
    world.tick(*hubs, count=6)
    for hub in hubs:
        check = hub.check_batch(task)
        assert check is not None
        assert check.included
        assert check.evidence is None
