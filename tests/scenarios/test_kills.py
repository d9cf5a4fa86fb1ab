"""Killed in the middle of a step, at any statement to any file: the folder as it lies then is what goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import apsw
import pytest
from scenario_world import FIRST_PANEL, ScenarioWorld, open_scenario, truth
from test_restarts import PATIENT, receipts

from edgehold.customer.orders import OrderStatus
from edgehold.hub.journal import RunState
from edgehold.hub.runs import INTERRUPTED
from edgehold.wire.ids import Digest

STATEMENTS = 500
"""The next death comes within so many; an order takes about 3,000."""


class KilledError(BaseException):
    """The process ends here."""


class Reaper:
    """Looks at every statement of every file of a world, and at one of them ends the process."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._left = 0
        self._target: Path | None = None
        self._folder = Path()
        self.copy: Path | None = None

    def wait_for(self, folder: Path, target: Path, statements: int) -> None:
        """The next death comes within so many statements; what lies in the folder then is copied."""
        self._left = self._dice.randrange(1, statements)
        self._folder, self._target, self.copy = folder, target, None

    def rest(self) -> None:
        """Nobody dies any more."""
        self._target = None

    def watch(self, connection: apsw.Connection) -> None:
        """A file was opened."""
        connection.exec_trace = self._see

    def _see(self, cursor: object, statement: str, bindings: object) -> bool:
        if self._target is not None and self.copy is None:
            self._left -= 1
            if self._left == 0:
                shutil.copytree(self._folder, self._target)
                self.copy = self._target
        if self.copy is not None and not statement.lstrip().upper().startswith(("ROLLBACK", "RELEASE")):
            raise KilledError
        return True


@pytest.fixture
def hooks() -> Iterator[list[Callable[[apsw.Connection], None]]]:
    """Whatever is in this list is told of every file that is opened; emptied afterwards."""
    yield apsw.connection_hooks
    apsw.connection_hooks.clear()


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_statement_the_network_comes_to_the_same_end(
    open_world: Callable[..., ScenarioWorld],
    tmp_path: Path,
    hooks: list[Callable[[apsw.Connection], None]],
    seed: int,
) -> None:
    reaper = Reaper(Random(seed))
    hooks.append(reaper.watch)
    world = open_world()
    order = world.order(schedule=PATIENT)
    kills, runs, held = 0, 0, dict[Digest, bytes]()
    reports: dict[int, bytes] = {}
    reaper.wait_for(world.folder, tmp_path / "kill 0", STATEMENTS)
    for _ in range(80):
        try:
            if not world.row(order).status.is_open:
                break
            world.advance()
        except KilledError:
            copy, kills, runs = reaper.copy, kills + 1, runs + world.runs
            reaper.rest()
            assert copy is not None
            with suppress(KilledError):
                world.close()
            reaper.copy = None
            world = open_scenario(copy)
            task = world.task_of(order)
            if task is not None:
                now = receipts(world, task)
                assert held.items() <= now.items(), "nothing acknowledged is lost"
                held = now
                stored = {number: report_in(world, number) for number in FIRST_PANEL}
                for number, report in reports.items():
                    assert stored[number] == report, "what was stored is what is sent"
                reports = {number: report for number, report in stored.items() if report is not None}
            reaper.wait_for(world.folder, tmp_path / f"kill {kills}", STATEMENTS)
    reaper.rest()
    world.advance()
    task = world.task_of(order)
    try:
        assert kills >= 2
        assert task is not None
        assert world.row(order).status is OrderStatus.ACCEPTED
        assert world.totals(task) == (8, 0)
        lines = {number: world.line(number, task) for number in FIRST_PANEL}
        ran = [number for number, line in lines.items() if line is not None and line.log != INTERRUPTED]
        assert all(line is not None and line.state is RunState.SENT for line in lines.values())
        assert all(world.hub(number).budget().left(0) == 100 - lines[number].loss for number in FIRST_PANEL)  # type: ignore[union-attr]
        assert len(ran) <= runs + world.runs <= 8, "no program ran twice"
        expected = truth("bmi", ran)
        expected[-1] += 8 - len(ran)
        assert world.sum_of(order) == expected
        assert held.items() <= receipts(world, task).items()
    finally:
        world.close()


def report_in(world: ScenarioWorld, number: int) -> bytes | None:
    """The sealed report that a hub holds."""
    runs = world.hub(number)._journal.runs(*RunState)
    return runs[0].report if runs else None
