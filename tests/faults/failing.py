"""A disk and a system that fail: the n-th write, sync or open of whatever runs inside `failing`.

SQLite's files fail in a VFS below SQLite, all other files where Python calls the system. What is counted is what one
kind of trouble can hit: a full disk refuses writes, a failing one writes and syncs, a system without free files opens.
"""

from __future__ import annotations

import errno
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from edgehold.durable import Database, SqliteFailure

T = TypeVar("T")

VFS = "failing"


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble: which calls it hits, and how SQLite and the system name it."""

    name: str
    hits: frozenset[str]
    number: int
    lasting: bool
    """From the n-th call on; else the n-th alone."""

    def of_sqlite(self, call: str) -> apsw.Error:
        """As the VFS below SQLite says it."""
        if self.number == errno.ENOSPC:
            return apsw.FullError("database or disk is full")
        if self.number == errno.EMFILE:
            return apsw.CantOpenError("unable to open database file")
        error = apsw.IOError("disk I/O error")
        error.extendedresult = apsw.SQLITE_IOERR_FSYNC if call == "sync" else apsw.SQLITE_IOERR_WRITE
        return error

    def of_system(self, place: str) -> OSError:
        """As the system says it."""
        return OSError(self.number, os.strerror(self.number), place)


FULL = Trouble("disk full", frozenset({"write"}), errno.ENOSPC, lasting=True)
FAILS_ONCE = Trouble("one write or sync fails", frozenset({"write", "sync"}), errno.EIO, lasting=False)
BROKEN = Trouble("disk fails", frozenset({"write", "sync"}), errno.EIO, lasting=True)
NO_FILES = Trouble("no more files", frozenset({"open"}), errno.EMFILE, lasting=True)
TROUBLES = (FULL, FAILS_ONCE, BROKEN, NO_FILES)

LIMITED = Trouble("the system's own limit of open files", frozenset(), errno.EMFILE, lasting=True)
"""No call is counted: the system itself opens no `at`-th further file at a time, whoever asks, SQLite and sandbox too."""


class Counter:
    """Counts the calls that a trouble hits below a folder, and makes the n-th fail."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._look: Callable[[str], None] | None = None
        self._folders: tuple[str, ...] = ()
        self._at = 0
        self.calls = 0
        self.fired = 0

    @contextmanager
    def failing(self, trouble: Trouble, at: int, *folders: Path) -> Iterator[None]:
        """The `at`-th call inside that hits one of the folders fails; `calls` and `fired` tell afterwards."""
        self._trouble, self._at, self._folders = trouble, at, tuple(str(folder) for folder in folders)
        self.calls = self.fired = 0
        try:
            with limited(at - 1) if trouble is LIMITED else nullcontext():
                yield
        finally:
            self._trouble = None

    @contextmanager
    def watched(self, look: Callable[[str], None], *folders: Path) -> Iterator[None]:
        """Nothing fails, but `look` is told of every call that some trouble could hit, before it is made."""
        self._look, self._folders = look, tuple(str(folder) for folder in folders)
        try:
            yield
        finally:
            self._look = None

    def meets(self, call: str, place: str) -> Trouble | None:
        """Whether this call fails, and of what."""
        if (look := self._look) is not None and place.startswith(self._folders):
            self._look = None  # what it opens itself is not to be looked at
            look(call)
            self._look = look
        trouble = self._trouble
        if trouble is None or call not in trouble.hits or not place.startswith(self._folders):
            return None
        self.calls += 1
        if self.calls >= self._at if trouble.lasting else self.calls == self._at:
            self.fired += 1
            return trouble
        return None


COUNTER = Counter()


class FailingFile(apsw.VFSFile):
    """A file of SQLite's that fails when its turn has come."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        self._place = name.filename() if isinstance(name, apsw.URIFilename) else str(name or "")
        self._fail("open")
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 — the name is apsw's
        self._fail("write")
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802 — the name is apsw's
        self._fail("write")
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802 — the name is apsw's
        self._fail("sync")
        super().xSync(flags)

    def _fail(self, call: str) -> None:
        if (trouble := COUNTER.meets(call, self._place)) is not None:
            raise trouble.of_sqlite(call)


class FailingVfs(apsw.VFS):
    """The system's files, each of which can fail."""

    def __init__(self) -> None:
        super().__init__(VFS, "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 — the name is apsw's
        return FailingFile(name, flags)


@contextmanager
def limited(more: int) -> Iterator[None]:
    """This process can have so many more files open than it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in range(soft) if not Path(f"/proc/self/fd/{number}").is_symlink())
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, more, None)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _watched(real: Callable[..., T], call: str, place: Callable[..., str]) -> Callable[..., T]:
    """A call to the system that can fail."""

    def watched(*arguments: Any, **options: Any) -> T:
        where = place(*arguments)
        if (trouble := COUNTER.meets(call, where)) is not None:
            raise trouble.of_system(where)
        return real(*arguments, **options)

    return watched


def _half_written(real: Callable[..., int]) -> Callable[..., int]:
    """Writing a file at one go, which can fail half-way."""

    def watched(path: Path, content: Any, **options: Any) -> int:
        if (trouble := COUNTER.meets("write", str(path))) is not None:
            real(path, content[: len(content) // 2], **options)
            raise trouble.of_system(str(path))
        return real(path, content, **options)

    return watched


def _close(database: Database) -> None:
    """SQLite says nothing if it cannot empty its log on closing; only from a VFS in Python the exception comes through."""
    with suppress(*SqliteFailure):
        apsw.Connection.close(database)


def _named(path: Any, *_: Any) -> str:
    return os.fspath(path) if isinstance(path, str | os.PathLike) else _of_descriptor(path)


def _of_descriptor(descriptor: int, *_: Any) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 — a link of the kernel's, not a path


@contextmanager
def failing_system() -> Iterator[Counter]:
    """From here on every file can fail: SQLite's that are opened inside, and those that Python writes itself."""
    vfs = FailingVfs()
    with pytest.MonkeyPatch.context() as patch:
        for name, call, place in (
            ("open", "open", _named),
            ("write", "write", _of_descriptor),
            ("fsync", "sync", _of_descriptor),
            ("mkdir", "write", _named),
            ("replace", "write", _named),
        ):
            patch.setattr(os, name, _watched(getattr(os, name), call, place))
        patch.setattr(io, "open", _watched(io.open, "open", _named))
        for name in ("write_bytes", "write_text"):
            patch.setattr(Path, name, _half_written(getattr(Path, name)))
        patch.setattr(Database, "close", _close)
        yield COUNTER
    vfs.unregister()
