"""Attacks on a hub: what leaves after a no, what others can read, orders that cannot be answered."""

from __future__ import annotations

import stat
from dataclasses import replace as changed
from pathlib import Path

import pytest
from hub_world import ANALYSES, World
from msgspec.structs import replace

from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.sandbox.program import load_program
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


def test_a_program_that_asks_for_hours_or_gigabytes_is_not_run(world: World) -> None:
    panel, (hub, *_) = enrolled(world, "ada", "bea", "cyd")
    shipped = load_program(ANALYSES / "bmi.py")
    limits = replace(shipped.manifest.limits, deadline_ms=600_000, memory_bytes=2**32 - 1)
    greedy = changed(shipped, manifest=replace(shipped.manifest, limits=limits))
    world.open_task(panel, greedy)
    for _ in range(6):
        hub.follow()
        world.ledger.advance()
    assert hub.history() == []
    assert hub.budget().spent == ()


def test_erasing_forgets_what_programs_said(world: World) -> None:
    panel, (hub, *_) = enrolled(world, "ada", "bea", "cyd")
    shipped = load_program(ANALYSES / "bmi.py")
    source = b"def main(person):\n    raise ValueError(' '.join(person.events.strings))\n"
    world.open_task(panel, changed(shipped, source=source))
    world.tick()
    hub.follow()
    assert "LOINC//39156-5" in hub.history()[0].log
    hub.erase()
    hub.close()
    assert hub.history()[0].log == ""
    for path in (world.folder / "ada").glob("journal.sqlite*"):
        assert b"LOINC//39156-5" not in path.read_bytes()


def test_limit_shown_the_number_of_reports_is_public_and_a_slow_run_can_move_one(world: World) -> None:
    """What is not promised: a run that lasts longer than the upload phase makes its report miss the phase.

    Heights have no least duration, so that a hub cannot wait out the program's deadline. The deadline is capped, and
    the owner sees in the history that nothing left.
    """
    panel, (hub, *_) = enrolled(world, "ada", "bea", "cyd")
    task = world.open_task(panel)
    world.tick()
    hub.follow()
    until = hub._journal.run(task).configuration.upload_until
    while world.ledger.height() <= until:
        world.ledger.advance()
    hub.follow()
    (run,) = hub.history()
    assert (run.state, run.bytes_left) == (RunState.MISSED, 0)
    assert run.loss > 0
