"""Attacks on a hub: what leaves after a no, what others can read, orders that cannot be answered."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hub_world import World

from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.wire.ids import PanelId


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def enrolled(world: World, *names: str) -> tuple[PanelId, list[Hub]]:
    hubs = [world.admit(name) for name in names]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    return panel, hubs


@pytest.mark.parametrize("services_answer", [True, False])
def test_what_was_revoked_before_it_left_never_leaves(world: World, services_answer: bool) -> None:
    panel, (hub, *_) = enrolled(world, "ada", "bea", "cyd")
    task = world.open_task(panel)
    world.tick()
    hub.follow()
    (run,) = [one for one in hub.history() if one.task == task]
    assert run.state is RunState.STORED
    for line in world.lines.values():
        line.cut = not services_answer
    hub.revoke(task)
    for line in world.lines.values():
        line.cut = False
    before = len(world.lines["leader"].received)
    for _ in range(6):
        hub.follow()
        world.ledger.advance()
    assert len(world.lines["leader"].received) == before
    (run,) = [one for one in hub.history() if one.task == task]
    assert (run.state, run.bytes_left) == (RunState.MISSED, 0)


def test_nobody_else_on_the_machine_reads_a_partys_files(world: World) -> None:
    panel, _ = enrolled(world, "ada", "bea", "cyd")
    world.open_task(panel)
    for path in sorted(world.folder.rglob("*")):
        if path.is_file() and path.suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_keys_do_not_print(world: World) -> None:
    hub = world.new_hub("ada")
    for shown in (repr(hub.keys), repr(hub.keys.file), str(hub.keys.file)):
        assert hub.keys.file.slot_seed.hex() not in shown
        assert repr(hub.keys.file.slot_seed) not in shown
