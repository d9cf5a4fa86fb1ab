"""Whether a program fails at a person says something about the person; so it changes nothing that leaves the hub.

Pairs of hubs that differ in nothing but one bit of the data, or in the outcome that comes of it: the decision, the height,
the size and every byte of the report are the same if the measurement is, and all but the bytes if it is not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from scenario_world import FIRST_PANEL, LEADER, ScenarioWorld, bundles, observed, sandbox
from test_programs import publish

from edgehold.demo.seeded import SeededRandomness
from edgehold.demo.world import Resident
from edgehold.errors import (
    DeadlineExceeded,
    FuelExhausted,
    MemoryExceeded,
    OutputTooLarge,
    ProgramCrashed,
    ProgramFailed,
    SandboxError,
    StackExceeded,
)
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Journal, RunState
from edgehold.hub.watch import look, see_task
from edgehold.ledger.state import State
from edgehold.sandbox.host import Answer, Sandbox
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest, TaskId
from edgehold.wire.program import Capability, RunLimits

PAIRS = 2_000
PAIRS_IN_THE_SANDBOX = 30

PERSON = min(FIRST_PANEL, key=lambda number: len(bundles()[number - 1]))
"""Who has the smallest record: it is checked before every run."""

FAILS_IF_THE_BIT_IS_SET = "    if person.events.time[0] & 1:\n        raise ValueError\n    return 0"
SAYS_THE_BIT = "    return person.events.time[0] & 1"

Open = Callable[..., ScenarioWorld]


class Bit(Sandbox):
    """The real sandbox over tables in which the lowest bit of the first time is set, or not."""

    def __init__(self, *, is_set: bool) -> None:
        self._is_set = is_set

    def run(
        self, source: str, tables: Path, params: str, limits: RunLimits, capabilities: Collection[Capability] = ()
    ) -> Answer:
        with TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(tables, Path(folder) / "tables"))
            (file,) = copy.rglob("time.i64")
            data = file.read_bytes()
            file.chmod(0o600)
            file.write_bytes(bytes([data[0] & 0xFE | self._is_set]) + data[1:])
            return sandbox().run(source, copy, params, limits, capabilities)


class Ended(Sandbox):
    """A sandbox whose runs have one end: an answer, or an error."""

    def __init__(self, end: str | SandboxError) -> None:
        self._end = end

    def run(
        self, source: str, tables: Path, params: str, limits: RunLimits, capabilities: Collection[Capability] = ()
    ) -> Answer:
        if isinstance(self._end, SandboxError):
            raise self._end
        return Answer(self._end, 1)


class Left(NamedTuple):
    """What one decision and run left behind, and what the owner alone is told."""

    state: RunState
    upload_at: int
    spent: object
    report: bytes
    log: str


class Booth:
    """One person's hub, before a task it has not answered; it can answer again and again, each time for the first time."""

    def __init__(self, world: ScenarioWorld, task: TaskId) -> None:
        self._hub = world.hub(PERSON)
        self._task = task
        self._panels = self._hub.panels()
        journal = self._hub._journal
        self._tokens = [
            (panel, [(modulus, journal.token(panel, slot)) for slot, modulus in enumerate(journal.moduli(panel))])
            for panel in self._panels
        ]
        self._outside = world.surroundings(PERSON)
        self._policy = self._hub.policy
        self._look: tuple[State, Digest] = look(world.ledger, self._outside.proofs, journal)

    def answer(self, number: int, ran_in: Sandbox) -> Left:
        """Decide, run, and seal the report with the dice of this number."""
        journal = Journal(None)
        journal.set_fact("policy", encode(self._policy))
        for panel, tokens in self._tokens:
            journal.add_panel(panel, tokens)
        dice = SeededRandomness(number, "one bit")
        hub = Hub(self._hub._folder, self._hub.keys, replace(self._outside, sandbox=ran_in, randomness=dice))
        hub._opened_store, hub._opened_journal = self._hub.store, journal
        state, header = self._look
        seen = see_task(state, self._task, self._panels, journal)
        assert seen is not None
        hub._decide(state, header, seen)
        run = journal.run(self._task)
        assert run.report is not None
        left = Left(run.state, run.upload_at, journal.spent(), run.report, run.log)
        journal.close()
        return left


ENDS: list[SandboxError] = [
    kind("whatever the program said")
    for kind in (
        DeadlineExceeded,
        FuelExhausted,
        MemoryExceeded,
        OutputTooLarge,
        ProgramCrashed,
        ProgramFailed,
        StackExceeded,
    )
]


def test_in_two_thousand_pairs_a_failure_changes_no_byte_that_leaves(world: ScenarioWorld) -> None:
    _, task = world.open_task("bmi")
    booth = Booth(world, task)
    sizes, heights = set(), set()
    for number in range(PAIRS):
        says_nothing = booth.answer(number, Ended("5"))
        fails = booth.answer(number, Ended(ENDS[number % len(ENDS)]))
        assert says_nothing[:4] == fails[:4]
        assert (says_nothing.log, fails.log != "") == ("", True)
        sizes.add(len(fails.report))
        heights.add(fails.upload_at)
    assert len(sizes) == 1
    assert len(heights) == 1, "the height follows from the hub's secret and the task, not from dice or outcome"


def test_what_a_program_finds_changes_neither_presence_nor_size_nor_height(world: ScenarioWorld) -> None:
    _, task = world.open_task("bmi")
    booth = Booth(world, task)
    for number in range(100):
        one, other = booth.answer(number, Ended("0")), booth.answer(number, Ended(str(number % 6)))
        assert (one.state, one.upload_at, one.spent) == (other.state, other.upload_at, other.spent)
        assert len(one.report) == len(other.report)
        assert (one.report == other.report) == (number % 6 == 0)


def test_in_the_sandbox_a_program_that_fails_by_one_bit_of_the_data_changes_no_byte_that_leaves(
    world: ScenarioWorld,
) -> None:
    _, task = world.open_task(publish(world, FAILS_IF_THE_BIT_IS_SET))
    booth = Booth(world, task)
    for number in range(PAIRS_IN_THE_SANDBOX):
        unset, is_set = (booth.answer(number, Bit(is_set=value)) for value in (False, True))
        assert unset[:4] == is_set[:4]
        assert unset.log == ""
        assert "ValueError" in is_set.log


def through_the_network(world: ScenarioWorld, body: str, *, is_set: bool) -> tuple[dict[str, object], str]:
    """What everybody sees of a whole order over a person whose bit is set or not, and what the owner is told."""
    outside = replace(world.surroundings(PERSON), sandbox=Bit(is_set=is_set))
    world.hub(PERSON).close()
    hub = Hub.open(world.hub_folder(PERSON), outside)
    world.residents[PERSON - 1] = Resident(number=PERSON, adult=True, hub=hub)
    order, task = world.run(publish(world, body))
    line = world.line(PERSON, task)
    assert line is not None
    assert line.state is RunState.SENT
    seen = observed(world, task)
    return seen | {"certificate": world.row(order).certificate}, line.log


def test_all_the_way_to_the_certificate_nobody_can_tell_a_failure_from_a_no(open_world: Open) -> None:
    unset, is_set = (
        through_the_network(open_world(), FAILS_IF_THE_BIT_IS_SET, is_set=value) for value in (False, True)
    )
    assert unset[0] == is_set[0]
    assert (unset[1], is_set[1] != "") == ("", True)


def test_all_the_way_a_yes_and_a_no_are_of_one_size_and_time(open_world: Open) -> None:
    shapes = []
    for value in (False, True):
        world = open_world()
        seen, _ = through_the_network(world, SAYS_THE_BIT, is_set=value)
        said = world.lines[LEADER].said
        shapes.append([(len(message), len(answer)) for message, answer in said])
        assert seen["certificate"] is not None
    assert shapes[0] == shapes[1]
