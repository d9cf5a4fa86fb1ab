"""The simulated universe: one seed, one history. Virtual time, a queue of events, machines that die and come back.

Everything that happens is an event at a virtual time; of two at one time the one that was planned first happens first.
All chance is drawn from one generator, so that the same seed gives the same history, which its trace tells by a digest.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import apsw
from disk import Disk, io_error

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import EdgeholdError

SECOND = 1000
"""Virtual time is counted in milliseconds."""


class Violation(AssertionError):
    """A promise of the design was broken."""


class Died(BaseException):
    """A machine's process ended in the middle of what it did."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.name)
        self.machine = machine


class Universe:
    """Time, chance, and the trace of what happened."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.now = 0
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self.is_looking = False
        """Whether only somebody looks, at whom nothing fails."""
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    def after(self, delay: int, act: Callable[[], None]) -> None:
        """Plan an event."""
        self._planned += 1
        heapq.heappush(self._queue, (self.now + delay, self._planned, act))

    def run(self, until: Callable[[], bool], check: Callable[[], None]) -> None:
        """Let events happen, one after the other, and check after each; stops when `until` holds or nothing is left."""
        while self._queue and not until():
            self.now, _, act = heapq.heappop(self._queue)
            act()
            check()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """What is done meanwhile is looking on, and no part of the history."""
        before, self.is_looking = self.is_looking, True
        try:
            yield
        finally:
            self.is_looking = before

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return probability > 0 and self.dice.random() < probability

    def note(self, *words: object) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.now} {' '.join(map(str, words))}")

    def count(self, name: str) -> None:
        """Something that the figures tell of."""
        self.counts[name] += 1

    def digest(self) -> str:
        """Names the history: two that differ anywhere have different digests."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class Machine:
    """One process with its disk: it runs, is killed or loses power anywhere, and starts again on what its disk holds."""

    def __init__(self, universe: Universe, name: str, folder: str, files: dict[str, bytes]) -> None:
        self.universe = universe
        self.name = name
        self.disk = Disk(folder, files, self.touch)
        self.open: Callable[[], Any] = lambda: None
        """Start the process: its party, on what the disk holds."""
        self.party: Any = None
        self.on_end: Callable[[], None] = lambda: None
        """The process ended: somebody starts it again."""
        self.on_start: Callable[[], None] = lambda: None
        """The process runs again, on what the disk held."""
        self.openings = 0
        self.fuse: int | None = None
        """After so many operations on disk or network the process ends."""
        self.power = False
        """Whether the power goes with it."""
        self.is_full = False
        self.is_broken = False
        self.is_ghost = False
        """Whether its process has ended and what is left of it still runs in this one."""

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.party is not None and not self.is_ghost

    def randomness(self) -> SeededRandomness:
        """A stream of this opening's own."""
        return SeededRandomness(self.universe.seed, f"{self.name}/{self.openings}")

    def start(self) -> None:
        """Open the party; if the disk does not allow it, the machine stays down."""
        if self.party is not None:
            return
        self.disk.thaw()
        self.is_ghost = False
        self.openings += 1
        try:
            self.party = self.open()
            self.universe.note(self.name, "starts")
        except Died:
            self.bury()
            return
        except (apsw.Error, EdgeholdError) as error:
            self.universe.note(self.name, "does not start:", type(error).__name__)
            if not (self.is_full or self.is_broken or self.is_ghost):
                raise Violation(f"{self.name} does not start on what its disk holds: {error!r}") from error
            self.bury()
            return
        self.on_start()

    def touch(self, operation: str) -> None:
        """An operation on the disk is about to happen."""
        if self.universe.is_looking:
            return
        if self._burns():
            self._die()
            raise io_error(apsw.SQLITE_IOERR, self.name)
        if self.is_full and operation in ("write", "open"):
            raise apsw.FullError(self.name)
        if self.is_broken and operation in ("write", "sync"):
            raise io_error(apsw.SQLITE_IOERR_WRITE if operation == "write" else apsw.SQLITE_IOERR_FSYNC, self.name)

    def reach_out(self) -> None:
        """The process is about to send or to answer; one that is no more does not. Raises `Died`."""
        if self._burns():
            self._die()
        if self.is_ghost:
            raise Died(self)

    def act(self, what: str, do: Callable[[], object]) -> bool:
        """Let the party do something; whether it came to an end without an error that it did not expect."""
        if not self.is_up:
            return False
        try:
            do()
        except Died as death:
            if death.machine is not self:
                raise
        except (EdgeholdError, ConnectionError, apsw.Error) as error:
            if not self.is_ghost:
                self.universe.note(self.name, what, "fails:", type(error).__name__)
                self.universe.count(f"failed: {type(error).__name__}")
                self.on_failure(error)
        if self.is_ghost:
            self.bury()
        return self.party is not None

    def on_failure(self, error: Exception) -> None:
        """What the party's keeper does when a step fails: wait for the next."""

    def kill(self, *, power: bool) -> None:
        """End the process here, between two steps."""
        if self.is_up:
            self.power = power
            self._die()
            self.bury()

    def _burns(self) -> bool:
        if self.fuse is None or self.is_ghost or self.disk.is_frozen:
            return False
        self.fuse -= 1
        return self.fuse <= 0

    def _die(self) -> None:
        self.fuse = None
        self.is_ghost = True
        self.disk.freeze()
        self.universe.note(self.name, "loses power" if self.power else "is killed")
        self.universe.count("power cuts" if self.power else "kills")

    def bury(self) -> None:
        """Let go of what the dead process held, without any effect; then the power cut takes its part."""
        self.disk.freeze()
        party, self.party = self.party, None
        if party is not None:
            with suppress(Exception):
                party.close()
        if self.power:
            self.disk.lose_power(self.universe.dice)
        self.power = False
        self.on_end()
