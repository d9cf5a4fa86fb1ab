"""What engines and light clients write beside SQLite, on the simulated disks; and the threads and clocks they take.

A `Place` is a path of which the methods that the engines use act on a simulated disk. The few functions that talk to the
system by themselves (locks, files written anew, folders synchronised) are exchanged while `simulated` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, ClassVar

import apsw
import pytest
from disk import Disk, DiskSystem
from universe import SECOND, Machine, Universe

from edgehold.durable import Database, storage_failure
from edgehold.engine import replicated, snapshots, storage
from edgehold.engine.snapshots import SnapshotWriter
from edgehold.errors import StorageFailed
from edgehold.remote import ledger as remote_ledger
from edgehold.remote import nodes as remote_nodes
from edgehold.remote import trust as remote_trust

READERS = "/simulated/readers"
"""The folder of the copies that second readers of a database see."""

EPOCH = 2
KEPT_ANSWERS = 3
"""Heights; few, so that answers are forgotten within a history."""


class Place(PurePosixPath):
    """A path on a simulated disk, as far as engines and clients use one."""

    system: ClassVar[DiskSystem]

    @property
    def disk(self) -> Disk:
        """The disk on which it lies: each has one folder below the first."""
        return self.system.disk_of("/".join((*self.parts[:3], ""))[1:])

    def operate(self, operation: str) -> None:
        """An operation on the disk is about to happen; raises `StorageFailed`."""
        if self.disk.is_frozen:
            raise StorageFailed(f"{self} belongs to a process that is no more")
        try:
            self.disk.touch(operation)
        except apsw.Error as error:
            raise storage_failure(error, Path(self)) from error

    def mkdir(self, *_: object, **__: object) -> None:
        """Folders are what names begin with."""

    def within(self) -> list[str]:
        """The names of all files in this folder and below, ascending."""
        return sorted(name for name in self.disk.files if name.startswith(f"{self}/"))

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return str(self) in self.disk.files or bool(self.within())

    def glob(self, pattern: str) -> Iterator[Place]:
        """The files below whose names fit."""
        for name in self.within():
            below = Place(name).relative_to(self)
            if len(below.parts) == pattern.count("/") + 1 and fnmatchcase(str(below), pattern):
                yield Place(name)

    def read_bytes(self) -> bytes:
        """What the file holds."""
        file = self.disk.files.get(str(self))
        if file is None:
            raise FileNotFoundError(str(self))
        return bytes(file.data)

    def replace(self, target: Place) -> Place:
        """Rename a file or a folder."""
        self.operate("rename")
        disk = self.disk
        for name in [str(self)] if str(self) in disk.files else self.within():
            disk.rename(name, f"{target}{name.removeprefix(str(self))}")
        return target

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        if str(self) not in self.disk.files:
            if not missing_ok:
                raise FileNotFoundError(str(self))
            return
        self.operate("delete")
        self.disk.remove(str(self), synchronise=False)


def write_file(place: Place, content: bytes | str, *, mode: int = 0) -> None:
    """Write a file anew (`durable.write_file`)."""
    disk, beside = place.disk, place.with_name(f"{place.name}.part")
    try:
        place.operate("open")
        file = disk.open(str(beside), create=True)
        place.operate("write")
        file.truncate(0)
        file.write(content.encode() if isinstance(content, str) else content, 0)
        place.operate("sync")
        disk.synchronise(file)
        beside.replace(place)
        sync_folder(place)
    except StorageFailed:
        with suppress(StorageFailed):
            beside.unlink(missing_ok=True)
        raise


def sync_folder(folder: Place) -> None:
    """Make the names in a folder durable."""
    folder.operate("sync")
    folder.disk.synchronise_folder()


def remove_tree(folder: Place, ignore_errors: bool = False) -> None:
    """Remove all that is in a folder."""
    for name in folder.within():
        Place(name).unlink()


class Copy(Database):
    """A second reader of a database, which sees it as it is now; this file system has no memory that readers share."""

    numbers: ClassVar[list[int]] = [0]

    def __init__(self, path: Place, *first: str, **options: Any) -> None:
        self.numbers[0] += 1
        self._names = []
        for suffix in ("", "-wal"):
            if f"{path}{suffix}" in path.disk.files:
                copy = Place(READERS) / f"{self.numbers[0]}.sqlite{suffix}"
                copy.disk.open(str(copy), create=True).data[:] = path.disk.files[f"{path}{suffix}"].data
                self._names.append(str(copy))
        super().__init__(Path(self._names[0]), *first, **options)

    def close(self, force: bool = False) -> None:
        """Close it, and forget the copy."""
        super().close(force)
        for name in self._names:
            Place(name).disk.files.pop(name, None)


@dataclass
class Surroundings:
    """The universe that threads and clocks belong to now, and its machines by their folders."""

    universe: Universe | None = None
    machines: dict[str, Machine] = field(default_factory=dict)
    waited: float = 0.0
    """Seconds that somebody who polls waited, within one event."""

    def monotonic(self) -> float:
        """Seconds (`time.monotonic`)."""
        assert self.universe is not None
        return self.universe.now / SECOND + self.waited

    def sleep(self, seconds: float) -> None:
        """Wait for something that cannot happen meanwhile (`time.sleep`)."""
        self.waited += seconds


AROUND = Surroundings()


class Later:
    """A thread that writes a snapshot: it runs as one event of its own, while its replica goes on (`Thread`)."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._writer: SnapshotWriter = target.__self__  # type: ignore[attr-defined]
        folder: Any = self._writer._folder
        self._machine = AROUND.machines[folder.disk.folder]
        self._opening = folder.disk.opening
        self._waits = True

    def start(self) -> None:
        assert AROUND.universe is not None
        AROUND.universe.after(AROUND.universe.dice.randrange(1, 2 * SECOND), self._run)

    def is_alive(self) -> bool:
        return self._waits

    def join(self) -> None:
        if self._waits:
            self._write()

    def _run(self) -> None:
        if self._waits:
            self._write()
            if self._machine.is_ghost and self._machine.party is not None:
                self._machine.bury()

    def _write(self) -> None:
        self._waits = False
        disk, universe = self._machine.disk, self._machine.universe
        if disk.is_frozen or disk.opening != self._opening:
            self._writer._reader.close()
            return
        try:
            self._target()
            universe.count("snapshots written")
        except StorageFailed as error:
            universe.note(self._machine.name, "writes no snapshot:", type(error).__name__)


@contextmanager
def simulated(disks: DiskSystem) -> Iterator[None]:
    """While this holds, replicas and light clients live on simulated disks."""
    Place.system = disks
    patch = pytest.MonkeyPatch()
    patch.setattr(replicated, "_lock", lambda folder: SimpleNamespace(close=lambda: None))
    patch.setattr(replicated, "Thread", Later)
    patch.setattr(replicated, "Storage", lambda path, network, form, locking: storage.Storage(path, network, form))
    patch.setattr(replicated, "KEPT_ANSWERS", KEPT_ANSWERS)
    patch.setattr(storage, "EPOCH", EPOCH)
    patch.setattr(snapshots, "EPOCH", EPOCH)
    patch.setattr(replicated, "sync_folder", sync_folder)
    patch.setattr(snapshots, "sync_folder", sync_folder)
    patch.setattr(snapshots, "write_file", write_file)
    patch.setattr(snapshots, "shutil", SimpleNamespace(rmtree=remove_tree))
    patch.setattr(snapshots, "Database", Copy)
    patch.setattr(remote_trust, "write_file", write_file)
    patch.setattr(remote_nodes, "monotonic", AROUND.monotonic)
    patch.setattr(remote_ledger, "monotonic", AROUND.monotonic)
    patch.setattr(remote_ledger, "sleep", AROUND.sleep)
    try:
        yield
    finally:
        patch.undo()
