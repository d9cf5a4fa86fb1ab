"""Files that outlive a power cut, and what a party says when the disk or the system refuses one.

A full disk, a failing one, or no more open files is no bug and no attack: whatever a party was doing is undone and
reported as `StorageFailed`, and the same call may be made again when there is room. This is the one place where the
errors of SQLite and of the system become ours; parties open their databases as `Database` and write the few files
beside them with `write_file`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from edgehold.errors import FileNotOpened, StorageFailed, StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_OPENED = (errno.EMFILE, errno.ENFILE)
_FAILED = (errno.EIO, errno.EROFS)

SqliteFailure = (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError)
"""What SQLite raises when the disk or the system fails it; anything else is about the content or the caller."""


class Database(apsw.Connection):
    """A SQLite file, whose failures of disk and system are `StorageFailed`; every other error stays SQLite's, that of a file
    which ends in the middle of a page too.

    After a failure inside a transaction nothing of it is there, also where SQLite has rolled back by itself. What an
    earlier process wrote and was killed before it was synchronised is durable before anybody sees it.
    """

    def __init__(self, path: Path | None, *first: str, **options: Any) -> None:
        """Open a file (in memory without a path) and run the first statements; it is closed again if one fails."""
        self.path = path or Path(":memory:")
        try:
            super().__init__(str(self.path), **options)
            with closed_on_failure(self):
                try:
                    for statements in first:
                        super().execute(
                            statements
                        ).fetchall()  # of several, those after one with an answer run only here
                    self._synchronise_log()
                except SqliteFailure as error:
                    raise self._failure(error) from error
        except SqliteFailure as error:  # nothing was opened that could be asked
            raise storage_failure(error, self.path) from error

    def execute(self, *arguments: Any, **options: Any) -> apsw.Cursor:
        """As SQLite's; a statement that writes has written when this returns."""
        try:
            return super().execute(*arguments, **options)
        except SqliteFailure as error:
            raise self._failure(error) from error

    def executemany(self, *arguments: Any, **options: Any) -> apsw.Cursor:
        """As SQLite's."""
        try:
            return super().executemany(*arguments, **options)
        except SqliteFailure as error:
            raise self._failure(error) from error

    def _synchronise_log(self) -> None:
        """Move what the write-ahead log holds into the database, as far as there is room; the log is synchronised first.

        SQLite takes over what a killed process wrote to the log, but synchronises it with the next commit only.
        """
        with suppress(apsw.FullError, apsw.BusyError):  # busy: whoever else has it open does the same just now
            self.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def empty_log(self) -> None:
        """Move what the write-ahead log holds into the database and overwrite the log with nothing."""
        try:
            self.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except SqliteFailure as error:
            raise self._failure(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is not None and not self.in_transaction:
            with suppress(apsw.Error):  # SQLite rolled back by itself: the savepoint is no more
                super().__exit__(kind, error, traceback)
            return False
        try:
            return super().__exit__(kind, error, traceback)
        except SqliteFailure as failure:
            raise self._failure(failure) from failure

    def _failure(self, error: Exception) -> Exception:
        """Of a quota or a limit that is reached SQLite says that a write failed, and the system why. A file that ends too
        soon is no failure of the disk."""
        if (cut := _cut_short(error)) is not None:
            return cut
        if isinstance(error, apsw.IOError) and self.system_errno in _FULL:
            return StorageFull(f"{self.path.parent.name}/{self.path.name}: {os.strerror(self.system_errno)}")
        return storage_failure(error, self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is one durable transaction, or, if an error leaves it, nothing."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:
                self.execute("ROLLBACK")
            raise


def _cut_short(error: Exception) -> apsw.CorruptError | None:
    """What is to be said of a file that ends in the middle of a page."""
    if getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_SHORT_READ:
        return apsw.CorruptError("the file is cut short")
    return None


@contextmanager
def closed_on_failure(file: Database) -> Iterator[None]:
    """Close a file again if something inside fails, so that no lock outlives the attempt."""
    try:
        yield
    except BaseException:
        file.close()
        raise


def remove_database(path: Path) -> None:
    """Remove a database that could not be made whole, with all that SQLite put beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def storage_failure(error: Exception, path: Path) -> StorageFailed:
    """What SQLite or the system says of a file, as ours; the file is named without the folders above its own."""
    facts = f"{path.parent.name}/{path.name}: {error.strerror if isinstance(error, OSError) else error}"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, apsw.FullError) or number in _FULL:
        return StorageFull(facts)
    if isinstance(error, apsw.CantOpenError) or number in _NOT_OPENED:
        return FileNotOpened(facts)
    return StorageFailed(facts)


def is_storage_failure(error: OSError) -> bool:
    """Whether the disk or the system failed, rather than that something is not there, not allowed or not reached."""
    return error.errno in _FULL + _NOT_OPENED + _FAILED


@contextmanager
def storage_failures(path: Path) -> Iterator[None]:
    """What the system says inside when the disk or the system fails, as ours; everything else passes."""
    try:
        yield
    except OSError as error:
        if not is_storage_failure(error):
            raise
        raise storage_failure(error, path) from error


def require_files(count: int, place: Path) -> None:
    """Raise `FileNotOpened` unless this process can open so many more files now."""
    with storage_failures(place), ExitStack() as opened:
        for _ in range(count):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


PUBLIC = 0o666
"""The mode of a file that others may read, as far as the umask lets them."""


def reserve_file(path: Path) -> None:
    """Make an empty file that only its owner may read, whatever the umask, if it is not there."""
    with storage_failures(path):
        path.touch(mode=0o600)


def write_file(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Write a file so that after any failure or power cut it holds the new content or is as it was.

    A file that is new is not there after a failure, so that the next attempt finds nothing in its way. A link is
    followed. Raises `StorageFailed`, and `OSError` for a folder that is not there or not ours, a device or a pipe.
    """
    write_pieces(path, [content.encode() if isinstance(content, str) else content], mode=mode)


def write_pieces(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600) -> None:
    """As `write_file`, for a content that comes in pieces; what is raised on the way leaves the file as it was."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file that could be written anew", str(path))
    beside, is_new = path.with_name(path.name + ".part"), not path.exists()
    with storage_failures(path):
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            try:
                for piece in pieces:
                    written = 0
                    while written < len(piece):
                        written += os.write(descriptor, piece[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        try:
            sync_folder(path.parent)
        except OSError:
            if is_new:
                path.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
