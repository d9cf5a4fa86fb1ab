"""What a party's databases ask of the disk, recorded on one timeline together with what the party acknowledged.

A `Recorder` is an SQLite VFS over the operating system's. While it is on, every connection that opens a file under
its folder goes through it: each creation, write, truncation, sync and removal of a database, its write-ahead log or
its rollback journal becomes an operation, in the order in which they were asked for. Reading, locks and shared memory
pass through untouched. A driver adds marks between them: from here on this must survive.

What SQLite does by itself below the VFS is recorded as what it means: the first sync of a new journal or log also
syncs the folder (`UNIXFILE_DIRSYNC` in SQLite's `os_unix.c`), and so does a removal that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import apsw

REAL = "unix"
"""The VFS below."""

_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_numbers = count()


@dataclass(frozen=True)
class Create:
    """A name appears in the folder, for a new empty file (`file` is its number)."""

    name: str
    file: int


@dataclass(frozen=True)
class Remove:
    """A name disappears from the folder."""

    name: str


@dataclass(frozen=True)
class Write:
    """Bytes of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file's new size."""

    file: int
    size: int


@dataclass(frozen=True)
class Sync:
    """All that was written to a file is durable."""

    file: int


@dataclass(frozen=True)
class SyncFolder:
    """All names are durable."""


@dataclass(frozen=True)
class Mark:
    """The party acknowledged or showed something: from here on `holds` must be true of what is opened again."""

    name: str
    holds: Callable[[Any], bool] = field(compare=False)


Operation = Create | Remove | Write | Truncate | Sync | SyncFolder | Mark


@dataclass
class Recording:
    """One history: the files as they were before it, each with its number, and everything since."""

    names: dict[str, int]
    contents: dict[int, bytes]
    operations: list[Operation] = field(default_factory=list)

    def only(self, belongs: Callable[[str], bool]) -> Recording:
        """The part of it that concerns the files of these names; marks stay."""
        files = {number for name, number in self.names.items() if belongs(name)}
        part = Recording(
            {name: number for name, number in self.names.items() if number in files},
            {number: self.contents[number] for number in files},
        )
        for operation in self.operations:
            match operation:
                case Create(name, file) if belongs(name):
                    files.add(file)
                case Create():
                    continue
                case Remove(name) if not belongs(name):
                    continue
                case Write(file) | Truncate(file) | Sync(file) if file not in files:
                    continue
                case _:
                    pass
            part.operations.append(operation)
        return part


class Recorder(apsw.VFS):
    """Records what happens to the database files of one folder, from `start` on, for as long as it is on."""

    def __init__(self, folder: Path) -> None:
        self.name = f"recording {next(_numbers)}"
        self.folder = str(folder.resolve())
        self._files = count()
        names = {path.name: next(self._files) for path in sorted(folder.iterdir()) if _is_database(path.name)}
        self.recording = Recording(names, {number: (folder / name).read_bytes() for name, number in names.items()})
        self._names = dict(names)
        super().__init__(self.name, REAL, makedefault=True)

    def mark(self, name: str, holds: Callable[[Any], bool]) -> None:
        """From here on this must be true of what is opened again."""
        self.recording.operations.append(Mark(name, holds))

    def note(self, operation: Operation) -> None:
        """The next operation."""
        self.recording.operations.append(operation)

    def _is_ours(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return folder == self.folder and _is_database(name)

    def _number(self, name: str) -> int:
        """The number of the file of this name, a new one if it is new."""
        if name not in self._names:
            self._names[name] = next(self._files)
            self.note(Create(name, self._names[name]))
        return self._names[name]

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not self._is_ours(path):
            return apsw.VFSFile(REAL, name, flags)
        is_journal = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        file = RecordedFile(self, is_journal, name, flags)
        file.number = self._number(path.rpartition("/")[2])
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        name = filename.rpartition("/")[2]
        if self._is_ours(filename) and self._names.pop(name, None) is not None:
            self.note(Remove(name))
            if syncdir:
                self.note(SyncFolder())


class RecordedFile(apsw.VFSFile):
    """One open database, log or journal."""

    number: int

    def __init__(
        self, recorder: Recorder, is_journal: bool, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__(REAL, name, flags)
        self._recorder = recorder
        self._syncs_folder = is_journal

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._recorder.note(Write(self.number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._recorder.note(Truncate(self.number, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._recorder.note(Sync(self.number))
        if self._syncs_folder:
            self._recorder.note(SyncFolder())
            self._syncs_folder = False


@contextmanager
def recorded(folder: Path) -> Iterator[Recorder]:
    """Record a folder; whatever was opened meanwhile has to be closed at the end."""
    recorder = Recorder(folder)
    try:
        yield recorder
    finally:
        recorder.unregister()


def _is_database(name: str) -> bool:
    return name.removesuffix("-wal").removesuffix("-journal").endswith((".sqlite", ".db"))
