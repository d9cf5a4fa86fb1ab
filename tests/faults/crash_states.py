"""The disks that a power cut can leave behind, enumerated from a recording.

The model of the disk, in the manner of ALICE (Pillai et al., OSDI 2014) and of SQLite's own crash tests:

- What was synced is there. Everything else since the last sync of its file is *pending*: each pending write and
  truncation of a file reaches the disk or does not, in any order and combination.
- A write reaches the disk by sectors of 512 bytes, in any combination; and the last one may also be cut at any byte.
  Bytes beside a write are never changed: SQLite assumes this (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`, its default), and so
  does this model. A cut inside a sector of the log is found by the log's checksums, and is among the states.
- What a file was made longer by and did not arrive reads as zeros.
- Names (a file appears, a file disappears) reach the disk in their order, as journalling file systems keep them, and
  durably with the next sync of the folder. So a new file can be missing, and a removed one can come back.

A state is named by the operation after which the power fails and by what of the pending operations arrives.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from itertools import pairwise
from random import Random

from recording import Create, Mark, Recording, Remove, Sync, SyncFolder, Truncate, Write

SECTOR = 512

Pending = Create | Remove | Write | Truncate
Ranges = tuple[tuple[int, int], ...]
"""Byte ranges of a write."""


@dataclass(frozen=True)
class Cut:
    """Where the power fails, and what of the pending operations arrives then.

    `kind` is one of: `lost` (nothing), `all` (everything: as if only the process died), `first`/`last` (so many of the
    oldest or newest), `without`/`only` (all but one, just one), `torn` (all, and of the newest only so many bytes),
    `torn back` (all, and of the newest all but so many bytes), `mixed` (a draw over operations and sectors).
    """

    after: int
    kind: str
    number: int = 0

    def __str__(self) -> str:
        return f"power fails after operation {self.after}: {self.kind} {self.number}"


@dataclass(frozen=True)
class CrashState:
    """The files as they are found, and how many marks had been passed."""

    cut: Cut
    files: Mapping[str, bytes]
    marks: int

    def digest(self) -> bytes:
        """Equal for equal disks."""
        hashed = sha1(usedforsecurity=False)
        for name, content in sorted(self.files.items()):
            hashed.update(f"{name} {len(content)}\n".encode())
            hashed.update(content)
        return hashed.digest()


@dataclass
class Disk:
    """What is durable, and what is pending, at one moment of a recording."""

    names: dict[str, int]
    contents: dict[int, bytes]
    pending: list[Pending] = field(default_factory=list)
    marks: int = 0

    def take(self, operation: object) -> None:
        """One more operation of the recording."""
        match operation:
            case Mark():
                self.marks += 1
            case Sync(file):
                self._settle([one for one in self.pending if isinstance(one, Write | Truncate) and one.file == file])
            case SyncFolder():
                self._settle([one for one in self.pending if isinstance(one, Create | Remove)])
            case Create() | Remove() | Write() | Truncate():
                self.pending.append(operation)
            case _:
                raise AssertionError(operation)

    def _settle(self, operations: Sequence[Pending]) -> None:
        files = {one.file for one in operations if not isinstance(one, Remove)}
        contents = {file: bytearray(self.contents.get(file, b"")) for file in files}
        for operation in operations:
            _apply(operation, None, self.names, contents)
        self.contents.update((number, bytes(content)) for number, content in contents.items())
        settled = {id(one) for one in operations}
        self.pending = [one for one in self.pending if id(one) not in settled]

    def crash(self, cut: Cut, random: Random) -> CrashState:
        """The state of one cut; `random` is for `mixed` ones."""
        names, contents = dict(self.names), dict(self.contents)
        opened: dict[int, bytearray] = {}
        names_arrive = True
        for operation, ranges in zip(self.pending, _arriving(self.pending, cut, random), strict=True):
            if isinstance(operation, Create | Remove):
                names_arrive = names_arrive and ranges != ()
                if names_arrive:
                    _apply(operation, None, names, opened)
            elif ranges != ():
                if operation.file not in opened:
                    opened[operation.file] = bytearray(contents.get(operation.file, b""))
                _apply(operation, ranges, names, opened)
        contents.update((number, bytes(content)) for number, content in opened.items())
        return CrashState(cut, {name: contents.get(number, b"") for name, number in names.items()}, self.marks)


def _apply(operation: Pending, ranges: Ranges | None, names: dict[str, int], contents: dict[int, bytearray]) -> None:
    match operation:
        case Create(name, file):
            names[name] = file
        case Remove(name):
            names.pop(name, None)
        case Truncate(file, size):
            content = contents.setdefault(file, bytearray())
            del content[size:]
            content.extend(bytes(size - len(content)))
        case Write(file, offset, data):
            content = contents.setdefault(file, bytearray())
            for start, end in ranges or ((0, len(data)),):
                content.extend(bytes(max(0, offset + start - len(content))))
                content[offset + start : offset + end] = data[start:end]


def _arriving(pending: Sequence[Pending], cut: Cut, random: Random) -> list[Ranges | None]:
    """For each pending operation what arrives: all of it (None), nothing (no ranges), or some ranges of a write."""
    size, number = len(pending), cut.number
    match cut.kind:
        case "lost":
            return [()] * size
        case "all":
            return [None] * size
        case "first":
            return [None if place < number else () for place in range(size)]
        case "last":
            return [None if place >= size - number else () for place in range(size)]
        case "without":
            return [() if place == number else None for place in range(size)]
        case "only":
            return [None if place == number else () for place in range(size)]
        case "torn":
            return [None] * (size - 1) + [((0, number),)]
        case "torn back":
            newest = pending[-1]
            assert isinstance(newest, Write)
            return [None] * (size - 1) + [((number, len(newest.data)),)]
        case "mixed":
            chance = random.choice((0.1, 0.5, 0.9))
            return [_draw(operation, chance, random) for operation in pending]
        case _:
            raise AssertionError(cut.kind)


def _draw(operation: Pending, chance: float, random: Random) -> Ranges | None:
    if not isinstance(operation, Write) or random.random() < 0.5:
        return None if random.random() < chance else ()
    return tuple(one for one in sectors(operation) if random.random() < chance)


def sectors(write: Write) -> list[tuple[int, int]]:
    """The parts of a write that lie in one sector of the file each."""
    first = SECTOR - write.offset % SECTOR
    bounds = [0, *range(first, len(write.data), SECTOR), len(write.data)]
    return list(pairwise(bounds))


def systematic_cuts(recording: Recording) -> tuple[list[Cut], list[Cut]]:
    """Every cut of the recording but the drawn ones: at each mark nothing or all arrives; then everything else.

    Prefixes are taken where they count most: just before what was pending is synced, and at each mark.
    """
    disk = Disk(dict(recording.names), dict(recording.contents))
    first, others = [Cut(-1, "all")], []
    for place, operation in enumerate(recording.operations):
        if isinstance(operation, Sync | Mark) and place:
            others += [Cut(place - 1, "first", number) for number in range(1, len(disk.pending))]
        disk.take(operation)
        size = len(disk.pending)
        if isinstance(operation, Mark):
            first += [Cut(place, "lost"), Cut(place, "all")]
            others += [Cut(place, "first", number) for number in range(1, size)]
        elif isinstance(operation, Write | Truncate | Create | Remove):
            others += [Cut(place, "lost"), Cut(place, "all")]
            for kind in ("without", "only"):
                others += [Cut(place, kind, number) for number in range(size)]
            others += [Cut(place, "last", number) for number in range(2, size)]
        if isinstance(operation, Write):
            bounds = {end for _, end in sectors(operation)[:-1]} | {len(operation.data) // 2, 1}
            others += [Cut(place, kind, at) for kind in ("torn", "torn back") for at in sorted(bounds)]
    return first, others


def choose_cuts(recording: Recording, count: int, random: Random) -> list[Cut]:
    """So many cuts in the order of time: those at marks, then others by lot, three in four of them systematic."""
    first, others = systematic_cuts(recording)
    random.shuffle(others)
    places = [place for place, operation in enumerate(recording.operations) if isinstance(operation, Write)]
    mixed = max(count // 4, count - len(first) - len(others)) if places else 0
    drawn = [Cut(random.choice(places), "mixed", number) for number in range(mixed)]
    chosen = [*first, *others[: max(0, count - len(first) - len(drawn))], *drawn]
    return sorted(chosen, key=lambda cut: cut.after)


def crash_states(recording: Recording, cuts: Sequence[Cut], random: Random) -> Iterator[CrashState]:
    """The states of these cuts, in the order of time."""
    disk = Disk(dict(recording.names), dict(recording.contents))
    at = [cut.after for cut in cuts]
    start = bisect_left(at, 0)
    for cut in cuts[:start]:
        yield disk.crash(cut, random)
    for place, operation in enumerate(recording.operations):
        disk.take(operation)
        while start < len(cuts) and at[start] == place:
            yield disk.crash(cuts[start], random)
            start += 1
