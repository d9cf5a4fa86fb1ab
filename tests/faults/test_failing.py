"""Full and failing disks, and no more files: it is said, nothing is half done, and it goes on when there is room again.

Every operation is tried with every trouble at every call that it can hit. `make test` tries a spread of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from failing import BROKEN, COUNTER, FAILS_ONCE, FULL, LIMITED, NO_FILES, TROUBLES, Trouble, failing_system
from failing_world import TAKES_IN, Operation, hub_place, live, organisation
from scenario_world import FIRST_PANEL, copy_scenario, open_scenario, truth
from survival import memory_folder
from trials import Case, Then, Trials

from edgehold.customer.orders import OrderStatus
from edgehold.demo import founding
from edgehold.durable import Database
from edgehold.errors import StorageFailed
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Journal

if TYPE_CHECKING:
    from conftest import Figures

PARTS = 34
"""All cases are dealt to so many numbers of the campaign, after the spread, which is number 0."""

LIMITED_PARTS = 8
"""Operations are dealt to so many numbers."""


@pytest.fixture(scope="session")
def operations() -> Iterator[list[Operation]]:
    """Every operation of the story."""
    with memory_folder() as folder:
        yield live(folder)


@pytest.fixture(scope="session")
def undisturbed_before() -> dict[str, Any]:
    """How operations go when nothing fails, as far as it was looked at."""
    return {}


@pytest.fixture
def trials(undisturbed_before: dict[str, Any]) -> Iterator[Trials]:
    """Files that fail, and a folder to try it in."""
    with memory_folder() as folder, failing_system():
        yield Trials(folder, undisturbed_before)


def spread(trials: Trials, operations: list[Operation]) -> Iterator[Case]:
    """First and last calls of every operation, and one in the middle of every other; of those that differ only in the kind
    of what is taken in, one of these each."""
    for place, operation in enumerate(operations):
        last = trials.undisturbed(operation).count
        tried = [
            (FULL, 1),
            (FAILS_ONCE, last(FAILS_ONCE)),
            *((BROKEN, last(BROKEN) // 2) for _ in range(place % 2)),
            *((NO_FILES, at) for at in {1, last(NO_FILES)}),
        ]
        if operation.name.startswith(TAKES_IN):
            tried = [tried[place % len(tried)]]
        for turn, (trouble, at) in enumerate(tried):
            if 0 < at <= last(trouble):
                yield Case(operation, trouble, at, tuple(Then)[(place + turn) % 2])


def every(trials: Trials, operations: list[Operation]) -> Iterator[Case]:
    """All cases."""
    for operation in operations:
        for trouble in TROUBLES:
            for at in range(1, trials.undisturbed(operation).count(trouble) + 1):
                for then in Then:
                    yield Case(operation, trouble, at, then)


@pytest.mark.campaign(test=1, long=1 + PARTS, shard=1)
def test_a_failed_write_sync_or_open_is_reported_undone_and_done_again(
    numbers: range, figures: Figures, trials: Trials, operations: list[Operation]
) -> None:
    for number in numbers:
        cases = spread(trials, operations) if number == 0 else list(every(trials, operations))[number - 1 :: PARTS]
        for case in cases:
            trials.run(case)
        assert not trials.violations, f"{len(trials.violations)} violations: {trials.violations[:3]}"
    assert trials.reported.keys() == {"StorageFull", "StorageFailed", "FileNotOpened"}, trials.reported
    figures.most("operations whose writes, syncs and opens failed", len(operations))
    figures.add("failed writes, syncs and opens", trials.failed)
    figures.add("operations that failed of it, and were done again", trials.reported.total())


@pytest.mark.campaign(test=1, long=LIMITED_PARTS, shard=1)
def test_the_systems_own_limit_of_open_files_is_reported_undone_and_done_again(
    numbers: range, figures: Figures, trials: Trials, operations: list[Operation]
) -> None:
    for number in numbers:
        for operation in operations[number::LIMITED_PARTS]:
            at = 1
            while trials.run(Case(operation, LIMITED, at, Then.GOES_ON)):
                at += 1
        assert not trials.violations, f"{len(trials.violations)} violations: {trials.violations[:3]}"
    assert trials.reported["FileNotOpened"], "nothing was kept from its end"
    assert trials.reported.keys() <= {"FileNotOpened", "StorageFailed"}, (
        trials.reported
    )  # SQLite's shared memory: SHMLOCK
    figures.add("operations that the system's limit of open files kept from their end", trials.reported.total())


@pytest.mark.parametrize("trouble", [FULL, FAILS_ONCE, NO_FILES], ids=lambda trouble: trouble.name)
def test_an_order_during_which_every_disk_fails_at_every_height_comes_to_the_right_end(
    figures: Figures, trials: Trials, operations: list[Operation], trouble: Trouble
) -> None:
    with open_scenario(copy_scenario(operations[0].stage, trials.folder / "world")) as world:
        order, failed = world.order(), 0
        while world.row(order).status.is_open:
            acts: list[tuple[str, Callable[[], object]]] = [
                *((organisation(name), node.step) for name, node in world.services.items()),
                *((organisation(name), customer.step) for name, customer in world.customers.items()),
                *((hub_place(resident.number), resident.hub.follow) for resident in world.residents),
                ("ledger", world.ledger.advance),
            ]
            for place, act in acts:
                at = 1 + world.ledger.height() % 3
                with COUNTER.failing(trouble, at, world.folder / place), suppress(StorageFailed):
                    act()
                    continue  # it had nothing to write
                failed += 1
                act()
        task = world.task_of(order)
        assert failed
        assert task is not None
        assert world.row(order).status is OrderStatus.ACCEPTED
        assert world.sum_of(order) == truth("bmi", FIRST_PANEL)
        assert (world.totals(task), world.runs) == ((len(FIRST_PANEL), 0), len(FIRST_PANEL))
        figures.add("steps of an order that failed of their disk, and were done again", failed)


# ── faults that this finds ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _no_transaction(self: Database) -> Iterator[None]:
    yield


def _swallow(self: Journal, name: str, value: bytes) -> None:
    with suppress(StorageFailed):
        set_fact(self, name, value)


set_fact = Journal.set_fact


def _write_in_place(path: Path, content: str, **_: Any) -> None:
    try:
        path.write_text(content)
    except OSError as error:
        raise StorageFailed(str(path)) from error


def _forget_the_run(self: Hub, run: Any) -> None:
    try:
        run_once(self, run)
    except StorageFailed:
        self._in_hand.clear()
        raise


run_once = Hub._run

PLANTED = {
    "transactions that are none": (
        Database,
        "transaction",
        _no_transaction,
        "the ledger makes blocks of some transactions",
        "was never there",
    ),
    "a failure that nobody hears of": (
        Journal,
        "set_fact",
        _swallow,
        "an owner sets a policy",
        "said that it was done",
    ),
    "a file that is written in place": (
        founding,
        "write_file",
        _write_in_place,
        "the network's facts are written",
        "was never there",
    ),
    "SQLite's own error": (
        Database,
        "execute",
        apsw.Connection.execute,
        "the customer places an order",
        "it said FullError",
    ),
    "a program that is not run for good": (Hub, "_run", _forget_the_run, "an owner says yes", "it is not the same"),
}


@pytest.mark.parametrize(("where", "name", "planted", "operation", "said"), PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(
    trials: Trials,
    operations: list[Operation],
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    planted: Callable[..., Any],
    operation: str,
    said: str,
) -> None:
    every_case = every(trials, [one for one in operations if one.name == operation])
    cases = [case for case in every_case if case.trouble in (FULL, NO_FILES)][::3]
    monkeypatch.setattr(where, name, planted)
    for case in cases:
        trials.run(case)
    assert any(said in violation for violation in trials.violations), trials.violations
