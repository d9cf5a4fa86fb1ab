"""One process at a time acts for a hub: a second one is told so and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hub_world import World

from edgehold.errors import StoreBusy
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.wire.ids import Digest


def test_a_second_process_does_not_take_a_run_under_way_for_an_interrupted_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs = [world.admit(name) for name in ("ada", "bea", "cyd")]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    task = world.open_task(panel)
    hubs[0].close()
    refusals: list[StoreBusy] = []

    def meanwhile(source: Digest) -> bytes | None:
        with world.open_hub("ada") as second:
            with pytest.raises(StoreBusy) as caught:
                second.follow()
            with pytest.raises(StoreBusy):
                second.answer(task, yes=True)
        refusals.append(caught.value)
        return world.outside.library(source)

    with Hub.open(tmp_path / "ada", replace(world.outside, library=meanwhile)) as first:
        first.follow()
        assert [run.state for run in first._journal.runs(*RunState)] == [RunState.STORED]
        assert list(first._journal.debits()) == [task]
    assert refusals[0].exit_code == 7
