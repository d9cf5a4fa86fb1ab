"""The simulated disk: files in memory under a SQLite VFS, with what a power cut may take from them.

A write is *pending* until its file is synchronised. A killed process loses nothing of what it wrote; a power cut keeps of
the pending writes what the dice say: none, all, a prefix, or any of them, the last one torn at a sector. A file that was
made or removed is on the disk for sure once its folder was synchronised, which SQLite does with the first
synchronisation of a new journal, or when it removes one and asks for that.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import apsw

SECTOR = 512


@dataclass
class File:
    """One file: what a process reads of it now, and what a power cut could still undo."""

    name: str
    data: bytearray
    pending: list[tuple[int, bytes, bytes, int]] = field(default_factory=list)
    """Writes since the last synchronisation: where, what, what was there before, and the length before."""
    linked: bool = False
    """Whether its name is in its folder for sure."""
    before: File | None = None
    """What had the name before and was removed, as long as the removal is not sure."""

    def write(self, data: bytes, offset: int) -> None:
        """Write, making the file longer where that is needed."""
        length = len(self.data)
        self.pending.append((offset, data, bytes(self.data[offset : offset + len(data)]), length))
        if length < offset:
            self.data.extend(bytes(offset - length))
        self.data[offset : offset + len(data)] = data

    def truncate(self, length: int) -> None:
        """Cut the file off."""
        self.pending.append((length, b"", bytes(self.data[length:]), len(self.data)))
        del self.data[length:]

    def lose_power(self, dice: Random) -> None:
        """Keep of the pending writes what the dice say."""
        kept = survivors(self.pending, dice)
        for offset, _, old, length in reversed(self.pending):
            if len(self.data) < length:
                self.data.extend(bytes(length - len(self.data)))
            self.data[offset : offset + len(old)] = old
            del self.data[length:]
        self.pending.clear()
        for offset, data in kept:
            if data:
                self.write(data, offset)
            else:
                self.truncate(offset)
        self.pending.clear()


def survivors(pending: list[tuple[int, bytes, bytes, int]], dice: Random) -> list[tuple[int, bytes]]:
    """The writes that reached the disk before the power went."""
    writes = [(offset, data) for offset, data, _, _ in pending]
    match dice.choice(("none", "all", "prefix", "any")):
        case "none":
            return []
        case "all":
            return writes
        case "prefix":
            writes = writes[: dice.randrange(len(writes) + 1)]
        case _:
            writes = [one for one in writes if dice.random() < 0.5]
    if writes and len(writes[-1][1]) > SECTOR and dice.random() < 0.5:
        offset, data = writes.pop()
        writes.append((offset, data[: SECTOR * dice.randrange(1, len(data) // SECTOR + 1)]))
    return writes


class Disk:
    """What one machine has written, under its folder's name."""

    def __init__(self, folder: str, files: dict[str, bytes], touch: Callable[[str], None]) -> None:
        """`touch` is told of every operation before it happens, and may raise in its place."""
        self.folder = folder
        self.touch = touch
        self.files = {name: File(name, bytearray(data), linked=True) for name, data in files.items()}
        self.removed: dict[str, File] = {}
        self.renamed: list[tuple[str, str, File | None]] = []
        """Names that files had, those they have instead, and what had these, as long as that is not sure."""
        self.opening = 0
        """Handles of an earlier opening are those of a process that is no more."""
        self.handles = 0
        self.is_frozen = False
        """A process that is no more changes nothing."""

    def freeze(self) -> None:
        """The process ends here; whatever its remains still do has no effect."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Another process begins with what lies here."""
        if self.handles:
            gc.collect()  # what the dead process still held open must not remove a file under the new one
        assert self.handles == 0
        self.is_frozen = False
        self.opening += 1

    def lose_power(self, dice: Random) -> None:
        """Lose what was not synchronised."""
        while self.renamed:
            name, target, before = self.renamed.pop()
            if dice.random() < 0.5 and target in self.files:
                self.files[name] = self.files.pop(target)
                if before is not None:
                    self.files[target] = before
        for name in sorted(self.files):
            file: File | None = self.files[name]
            while file is not None and not file.linked and dice.random() < 0.5:
                file = file.before
            if file is None:
                del self.files[name]
            else:
                self.files[name] = file
        for name in sorted(self.removed):
            if dice.random() < 0.5 and name not in self.files:
                self.files[name] = self.removed[name]
        self.removed.clear()
        for name in sorted(self.files):
            file = self.files[name]
            file.lose_power(dice)
            file.linked, file.before = True, None

    def unsure(self) -> list[str]:
        """The files of which a power cut could still take something."""
        found = [file.name for file in self.files.values() if file.pending or not file.linked]
        return sorted(found + list(self.removed))

    def synchronise(self, file: File) -> None:
        """What was written to a file is on the disk; if the file is new, so is what was made and removed around it."""
        file.pending.clear()
        if not file.linked:
            self.synchronise_folder()

    def synchronise_folder(self) -> None:
        """Names are on the disk as they are now."""
        self.removed.clear()
        self.renamed.clear()
        for file in self.files.values():
            file.linked, file.before = True, None

    def open(self, name: str, *, create: bool) -> File:
        """A file by its name."""
        if name not in self.files:
            if not create:
                raise apsw.CantOpenError(name)
            self.files[name] = File(name, bytearray(), before=self.removed.pop(name, None))
        return self.files[name]

    def remove(self, name: str, *, synchronise: bool) -> None:
        """Remove a file's name."""
        file = self.files.pop(name, None)
        if file is None:
            raise io_error(apsw.SQLITE_IOERR_DELETE_NOENT, name)
        if file.linked:
            self.removed[name] = file
        elif file.before is not None:
            self.removed[name] = file.before
        if synchronise:
            self.synchronise_folder()

    def rename(self, name: str, target: str) -> None:
        """Give a file another name, in place of what has it: all of it or nothing, even if the power goes."""
        file = self.files.pop(name)
        self.renamed.append((name, target, self.files.get(target)))
        self.files[target] = file


def io_error(code: int, name: str) -> apsw.IOError:
    """SQLite's error for a file operation, by its extended number."""
    error = apsw.IOError(name)
    error.extendedresult = code
    return error


class Handle:
    """An open file, as SQLite uses it."""

    def __init__(self, disk: Disk, file: File) -> None:
        self._disk = disk
        self._file = file
        self._opening = disk.opening
        disk.handles += 1

    def _is_ghost(self) -> bool:
        return self._disk.is_frozen or self._opening != self._disk.opening

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 — SQLite's names, here and below
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._is_ghost():
            return
        self._disk.touch("write")
        self._file.write(bytes(data), offset)

    def xTruncate(self, length: int) -> None:  # noqa: N802
        if self._is_ghost():
            return
        self._disk.touch("truncate")
        self._file.truncate(length)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._is_ghost():
            return
        self._disk.touch("sync")
        self._disk.synchronise(self._file)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.data)

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return int(apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE)

    def xClose(self) -> None:  # noqa: N802
        self._disk.handles -= 1


class DiskSystem(apsw.VFS):
    """Every disk of a simulated world, as SQLite's default file system; open it with `with`."""

    def __init__(self, randomness: Callable[[int], bytes]) -> None:
        self._randomness = randomness
        self._disks: dict[str, Disk] = {}
        super().__init__("edgehold simulation", "", makedefault=True)
        apsw.connection_hooks.append(settle)

    def close(self) -> None:
        """Give the real file system back."""
        apsw.connection_hooks.remove(settle)
        self.unregister()

    def hold(self, disks: Iterable[Disk], randomness: Callable[[int], bytes]) -> None:
        """From now on these disks and no others are there; SQLite draws its salts anew."""
        self._disks = {disk.folder: disk for disk in disks}
        self._randomness = randomness
        apsw.randomness(0)

    def disk_of(self, name: str) -> Disk:
        """The disk on which a file lies."""
        return self._disks[name.rpartition("/")[0]]

    def xOpen(self, name: Any, flags: list[int]) -> Handle:  # noqa: N802
        path = name if isinstance(name, str) else name.filename()
        flags[1] = flags[0]
        disk = self.disk_of(path)
        disk.touch("open")
        return Handle(disk, disk.open(path, create=bool(flags[0] & apsw.SQLITE_OPEN_CREATE)))

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        disk = self.disk_of(name)
        if not disk.is_frozen:
            disk.touch("delete")
            disk.remove(name, synchronise=bool(syncdir))

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802
        return name in self.disk_of(name).files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, amount: int) -> bytes:  # noqa: N802
        return self._randomness(amount)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds

    def xCurrentTime(self) -> float:  # noqa: N802
        return 2_461_369.0

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        return 2_461_369 * 86_400_000


def settle(connection: apsw.Connection) -> None:
    """This file system has no shared memory: whoever keeps a write-ahead log keeps its index alone."""
    connection.pragma("locking_mode", "EXCLUSIVE")
    connection.pragma("temp_store", 2)
