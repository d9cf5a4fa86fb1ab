"""One operation, one trouble, one call that fails: what was said, what is left, and whether it goes on.

What an operation leaves behind is held against its undisturbed run, of which every durable moment is known: a party
that does several things one after the other may have done the first of them, but none by half.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from failing import COUNTER, Trouble
from failing_world import Contents, Operation, contents, contents_of, files_of
from scenario_world import ScenarioWorld, open_scenario

from edgehold.errors import EdgeholdError, StorageFailed
from edgehold.hub.runs import INTERRUPTED


class Then(StrEnum):
    """What a party does when there is room again.

    If a sync fails nobody knows what is on the disk: a party that starts again may find done what it was told had
    failed, and looks before it does it again.
    """

    GOES_ON = "goes on"
    STARTS_AGAIN = "is stopped while the trouble lasts, and starts again"


@dataclass(frozen=True)
class Case:
    """One trial."""

    operation: Operation
    trouble: Trouble
    at: int
    then: Then

    def __str__(self) -> str:
        return f"{self.operation.name} [{self.operation.folder}]: {self.trouble.name} at call {self.at}, it {self.then}"


@dataclass(frozen=True)
class Undisturbed:
    """How an operation goes when nothing fails."""

    calls: Mapping[str, int]
    """How many of each kind it makes."""
    moments: tuple[Contents, ...]
    """What is on the disk before, in between and afterwards."""

    @property
    def after(self) -> Contents:
        """What is there in the end."""
        return self.moments[-1]

    def count(self, trouble: Trouble) -> int:
        """How many calls a trouble can hit."""
        return sum(self.calls.get(call, 0) for call in trouble.hits)


@dataclass
class Trials:
    """Trials in a folder that is used again and again, and what they found."""

    folder: Path
    _undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    failed: int = 0
    """Calls that failed."""
    reported: Counter[str] = field(default_factory=Counter)
    """Which errors operations ended with."""
    violations: list[str] = field(default_factory=list)

    def undisturbed(self, operation: Operation) -> Undisturbed:
        """How this operation goes when nothing fails."""
        if operation.name not in self._undisturbed:
            self._undisturbed[operation.name] = self._let_happen(operation)
        return self._undisturbed[operation.name]

    def _let_happen(self, operation: Operation) -> Undisturbed:
        """Without trouble, looking at the disk whenever something may have become durable."""
        calls: Counter[str] = Counter()
        with self._network(operation) as world:
            folder = world.folder / operation.folder
            disks = [files_of(folder)]

            def look(call: str) -> None:
                calls[call] += 1
                if call != "write" and (disk := files_of(folder)) != disks[-1]:
                    disks.append(disk)

            with COUNTER.watched(look, *operation.failing(world.folder)):
                operation.act(world)
            disks.append(files_of(folder))
        return Undisturbed(calls, tuple(contents_of(disk) for disk in disks if not _is_halfway(disk)))

    def run(self, case: Case) -> bool:
        """One trial; whether the operation failed."""
        before = self.reported.total()
        for fault in self._trial(case, self.undisturbed(case.operation)):
            self.violations.append(f"{case}: {fault}")
        return self.reported.total() > before

    def _trial(self, case: Case, undisturbed: Undisturbed) -> Iterator[str]:
        operation = case.operation
        world = self._network(operation)
        place = world.folder / operation.folder
        try:
            with COUNTER.failing(case.trouble, case.at, *operation.failing(world.folder)):
                error = _error_of(operation, world)
                self.failed += COUNTER.fired
                if COUNTER.fired and case.then is Then.STARTS_AGAIN:
                    world.close()
            if error is None:
                if contents(place) != undisturbed.after:
                    yield f"it said that it was done, but is not: {_difference(contents(place), undisturbed.after)}"
                return
            self.reported[type(error).__name__] += 1
            if not isinstance(error, StorageFailed):
                yield f"it said {type(error).__name__}: {error}"
            if not operation.makes and contents(place) not in undisturbed.moments:
                yield f"what is left was never there: {_difference(contents(place), undisturbed.moments[0])}"
            if case.then is Then.STARTS_AGAIN:
                world = open_scenario(self.folder / "world")
            if case.then is Then.GOES_ON or contents(place) != undisturbed.after:
                operation.again(world)
            left = contents(place)
            if case.then is Then.STARTS_AGAIN:
                left = _uninterrupted(left)
            if left != undisturbed.after:
                yield f"done again, it is not the same: {_difference(left, undisturbed.after)}"
        except Exception as stray:
            yield f"it does not go on: {type(stray).__name__}: {stray}"
        finally:
            world.close()

    def _network(self, operation: Operation) -> ScenarioWorld:
        """The network just before an operation, opened."""
        folder = self.folder / "world"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(operation.stage, folder)
        return open_scenario(folder)


def _error_of(operation: Operation, world: ScenarioWorld) -> Exception | None:
    """What an operation says, if it does not do what it should."""
    try:
        operation.act(world)
    except (EdgeholdError, Exception) as error:
        return error
    return None


def _is_halfway(disk: Mapping[str, bytes]) -> bool:
    """Whether a file is being written that will take another's place: no moment that may be left behind."""
    return any(name.endswith(".part") for name in disk)


def _uninterrupted(found: Contents) -> Contents:
    """Without what a hub tells its owner of a run that a restart cut off; that is as it should be."""
    return {
        name: sorted((tuple("" if value == INTERRUPTED else value for value in row) for row in rows), key=repr)
        if isinstance(rows, list)
        else rows
        for name, rows in found.items()
    }


def _difference(one: Contents, other: Contents) -> str:
    """The first table or file in which they differ."""
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            return f"{name}: {str(one.get(name))[:400]} / {str(other.get(name))[:400]}"
    return "nothing"
