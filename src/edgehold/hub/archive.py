"""Moving a hub: all that its folder holds in one file sealed to its owner, and a folder again from that file.

An archive is taken of a hub in use: of each database one moment is read, the journal's first, so that nothing stands in
it that the store does not know. It appears under its name when all of it is on the disk, and so does a folder that is
made of one, after every byte of it was checked. Nothing lies anywhere else meanwhile: what is opened goes into a folder
beside the one to come, which only its owner can read and which holds what every hub's folder holds.

A hub that is made of an archive may be younger than its archive: what the lost one decided since is not known, and is
counted as spent (`Hub.follow`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from edgehold.crypto.age import AgeIdentity, AgeRecipient, open_stream, seal_stream
from edgehold.crypto.names import account_id
from edgehold.durable import (
    Database,
    SqliteFailure,
    remove_database,
    reserve_file,
    storage_failure,
    storage_failures,
    sync_folder,
    write_file,
)
from edgehold.errors import (
    ArchiveDamaged,
    EdgeholdError,
    FolderInUse,
    HubDamaged,
    Malformed,
    NotAStore,
    NotFound,
    OtherHub,
    StorageFailed,
    StoreBusy,
)
from edgehold.hub.catalog import check_catalog
from edgehold.hub.container import (
    HEAD,
    SCHEMA,
    VERSION,
    Head,
    Row,
    Schema,
    Statement,
    Unpacker,
    decode_rows,
    encode_schema,
    pack,
    read_head,
    read_part_name,
    read_schema,
    table_parts,
)
from edgehold.hub.hub import JOURNAL_FILE, NETWORK_FILE, STORE_FILE
from edgehold.hub.journal import LAST_SEEN, Journal
from edgehold.hub.keys import KEYS_FILE, HubKeys, RecoveryKit, is_of_kit, load_keys, read_keys
from edgehold.hub.store import Store
from edgehold.wire.account import Role
from edgehold.wire.codec import encode
from edgehold.wire.ids import AccountId

DATABASES = (JOURNAL_FILE, STORE_FILE)
"""In the order in which a moment of each is taken."""

PATIENCE = "PRAGMA busy_timeout=5000"
PIECE = 1 << 16


@dataclass(frozen=True)
class Archive:
    """What an archive is of."""

    account: AccountId
    height: int
    """The last height that the hub relied on before it was taken."""
    objects: int
    """Datasets, erased ones too."""
    size: int
    """Bytes of the file."""


# ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def export_hub(folder: Path, target: Path, recipients: Sequence[AgeRecipient] = ()) -> Archive:
    """Write a hub into a new file, sealed to these recipients and to the recovery kit.

    Raises `FolderInUse` if there is a file, `HubDamaged` if the hub is not whole, `KeysUnusable`, `NotAStore`,
    `StoreBusy`, `StorageFailed`; then there is no file.
    """
    keys = load_keys(folder)
    count = require_whole(folder, keys)
    with ExitStack() as opened:
        moments = {name: opened.enter_context(_moment(folder / name)) for name in DATABASES}
        height = _height(moments[JOURNAL_FILE])
        head = Head(version=VERSION, account=account_of(keys), height=height)
        with _new_file(target) as sink:
            source = _Pieces(pack(_members(folder, head, moments)))
            seal_stream(source, sink, [keys.recovery, *recipients])
    return Archive(account=head.account, height=height, objects=count, size=target.stat().st_size)


def require_whole(folder: Path, keys: HubKeys) -> int:
    """Open every stored byte, so that no archive is taken of a damaged hub; how many objects there are."""
    if not (folder / JOURNAL_FILE).is_file():
        raise NotAStore(f"{folder / JOURNAL_FILE}: there is no such file")
    with Store.open(folder / STORE_FILE, keys.storage_key) as store:
        try:
            ids = store.ids()
            for one in ids:
                store.check_sealed(one)
            known = store.knows_latest()
            faults = check_catalog(store) + check_journal(folder / JOURNAL_FILE)
        except (StorageFailed, StoreBusy):
            raise
        except EdgeholdError as error:
            raise HubDamaged(str(error)) from error
    if faults or not known:
        raise HubDamaged("; ".join(faults) or "the list of the latest objects was altered")
    return len(ids)


def account_of(keys: HubKeys) -> AccountId:
    """The hub's account."""
    return account_id(Role.HUB, keys.signing.public)


@contextmanager
def _moment(path: Path) -> Iterator[Database]:
    """A database as it is now, whatever is written meanwhile."""
    if not path.is_file():
        raise NotAStore(f"{path}: there is no such file")
    with _sqlite_errors(path):
        database = Database(path, PATIENCE, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            database.execute("BEGIN")
            database.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            yield database
        finally:
            database.close()


def _height(journal: Database) -> int:
    height: Any = journal.execute("SELECT value FROM facts WHERE name = ?", (LAST_SEEN,)).get
    return int.from_bytes(height or b"", "big")


def _members(folder: Path, head: Head, moments: dict[str, Database]) -> Iterator[tuple[str, bytes]]:
    yield HEAD, encode(head)
    for name in (KEYS_FILE, NETWORK_FILE):
        if (folder / name).is_file():
            with storage_failures(folder / name):
                yield name, (folder / name).read_bytes()
    for name, database in moments.items():
        schema = _schema_of(database)
        yield f"{name}/{SCHEMA}", encode_schema(schema)
        for one in schema.statements:
            if one.kind == "table":
                yield from table_parts(name, one.name, _rows_of(database, one.name))


def _schema_of(database: Database) -> Schema:
    listed = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name"
    return Schema(
        page_size=database.execute("PRAGMA page_size").get,
        user_version=database.execute("PRAGMA user_version").get,
        statements=tuple(Statement(*row) for row in database.execute(listed)),
    )


def _rows_of(database: Database, table: str) -> Iterator[Row]:
    yield from database.execute(f'SELECT * FROM "{table}"')  # noqa: S608 — a name from the schema


class _Pieces:
    """Pieces, read in others."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = memoryview(piece)
        found, self._held = self._held[:size], self._held[size:]
        return bytes(found)


class _File:
    """A file that is written in large pieces, whose failures are named."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor, self._path = descriptor, path
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        if len(self._held) >= PIECE:
            self.drain()
        return len(data)

    def drain(self) -> None:
        """Write what is held."""
        with storage_failures(self._path):
            while self._held:
                del self._held[: os.write(self._descriptor, self._held)]


@contextmanager
def _new_file(path: Path) -> Iterator[_File]:
    """A file that is there, whole and durable, when the block is left, or not at all; never in the place of another."""
    path = path.resolve()
    beside = path.with_name(f"{path.name}.part")
    if path.exists():
        raise FolderInUse(f"{path} exists")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}")
    with storage_failures(path), ExitStack() as undo:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT, 0o600)
        undo.callback(os.close, descriptor)
        _lock(descriptor, beside)
        undo.callback(beside.unlink, missing_ok=True)
        os.ftruncate(descriptor, 0)
        file = _File(descriptor, path)
        yield file
        file.drain()
        os.fsync(descriptor)
        if path.exists():
            raise FolderInUse(f"{path} exists")
        beside.replace(path)
        undo.callback(path.unlink)
        sync_folder(path.parent)
        undo.pop_all()
        os.close(descriptor)


# ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def import_hub(
    archive: Path,
    folder: Path,
    identities: Sequence[AgeIdentity],
    *,
    network: str | None,
    kit: RecoveryKit | None = None,
) -> Archive:
    """Make a hub's folder of an archive; it appears when everything in it was found right.

    `network` replaces what the archive says of where its ledger lies. With a kit, archive and kit must be the same hub's.
    Raises `FolderInUse` unless the folder is empty or not there, `SealedToOthers`, `ArchiveDamaged`, `ArchiveUnknown`,
    `OtherHub`, `StoreBusy`, `StorageFailed`; then there is no hub.
    """
    with staging(folder) as beside:
        head = unpack(archive, beside, identities)
        keys = load_keys(beside)
        if kit is not None and not is_of_kit(keys, kit):
            raise OtherHub(f"the kit is not that of hub {head.account.hex()}")
        if network is not None:
            write_file(beside / NETWORK_FILE, network)
        count = check_unpacked(beside, keys)
        _mark_restored(beside)
        sync_files(beside)
        _appear(beside, folder.resolve())
    return Archive(account=head.account, height=head.height, objects=count, size=archive.stat().st_size)


@contextmanager
def staging(folder: Path, *, empty: bool = True) -> Iterator[Path]:
    """A folder beside another, readable by its owner only and gone on the way out; what a killed process left in it goes too.

    Raises `FolderInUse` if the other is to be empty and is not, `StoreBusy` if another process is at it.
    """
    folder = folder.resolve()
    if empty and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty: a hub that is there may have spent what an archive does not know of")
    beside = folder.with_name(f".{folder.name}.part")
    with storage_failures(beside), ExitStack() as undo:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(beside, os.O_RDONLY | os.O_DIRECTORY)
        undo.callback(os.close, descriptor)
        _lock(descriptor, beside)
        undo.callback(_remove, beside)
        for left in list(beside.iterdir()):
            left.unlink()
        yield beside


def _remove(folder: Path) -> None:
    """Remove a folder of a hub, opening nothing: also without free files its keys do not stay."""
    with suppress(OSError):
        for name in (KEYS_FILE, NETWORK_FILE, f"{KEYS_FILE}.part", f"{NETWORK_FILE}.part"):
            (folder / name).unlink(missing_ok=True)
        for name in DATABASES:
            remove_database(folder / name)
            (folder / f"{name}.lock").unlink(missing_ok=True)
        folder.rmdir()


def _lock(descriptor: int, path: Path) -> None:
    """Keep other processes from the same file or folder; raises `StoreBusy`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_same = path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino
    except BlockingIOError:
        is_same = False
    if not is_same:
        raise StoreBusy(f"another process writes {path}")


def unpack(archive: Path, folder: Path, identities: Sequence[AgeIdentity]) -> Head:
    """Put what an archive holds into an empty folder; raises `NotFound`, `SealedToOthers`, `ArchiveDamaged`, `ArchiveUnknown`."""
    if not archive.is_file():
        raise NotFound(f"there is no file {archive}")
    with Unpacked(folder) as found:
        try:
            with archive.open("rb") as source:
                open_stream(source, found, identities)
            return found.finish()
        except (Malformed, ArchiveDamaged) as error:
            raise ArchiveDamaged(f"{archive.name}: {error}") from error


class Unpacked:
    """A folder that is filled with what a container holds. Raises `Malformed`, `ArchiveUnknown`, `StorageFailed`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unpacker = Unpacker(self._take)
        self._head: Head | None = None
        self._keys: HubKeys | None = None
        self._databases: list[_Built] = []

    def __enter__(self) -> Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._databases:
            one.database.close()

    def write(self, data: bytes) -> int:
        """The next piece of the container."""
        with _rows_that_fit(self._folder):
            return self._unpacker.write(data)

    def _take(self, name: str, content: bytes) -> None:
        """The next member."""
        if self._head is None:
            if name != HEAD:
                raise Malformed(f"begins with {name!r} and not with {HEAD}")
            self._head = read_head(content)
        elif name == KEYS_FILE and self._keys is None:
            self._keys = read_keys(content)
            write_file(self._folder / KEYS_FILE, content)
        elif name == NETWORK_FILE and not self._databases:
            write_file(self._folder / NETWORK_FILE, content)
        elif len(self._databases) < len(DATABASES) and name == f"{DATABASES[len(self._databases)]}/{SCHEMA}":
            if self._databases:
                self._databases[-1].finish()
            self._databases.append(_Built(self._folder / DATABASES[len(self._databases)], read_schema(content)))
        else:
            self._take_part(name, content)

    def _take_part(self, name: str, content: bytes) -> None:
        database, table, number = read_part_name(name)
        if not self._databases or database != self._databases[-1].database.path.name:
            raise Malformed(f"{name!r} does not come next")
        self._databases[-1].insert(table, number, content)

    def finish(self) -> Head:
        """That was all: whose archive it was; raises `Malformed` if something is missing or belongs to another hub."""
        self._unpacker.close()
        if self._head is None or self._keys is None or len(self._databases) < len(DATABASES):
            raise Malformed("not all that a hub has")
        if account_of(self._keys) != self._head.account:
            raise Malformed("the keys are those of another hub")
        with _rows_that_fit(self._folder):
            self._databases[-1].finish()
        return self._head


@contextmanager
def _rows_that_fit(folder: Path) -> Iterator[None]:
    """What SQLite says of foreign tables and rows, as ours."""
    try:
        yield
    except SqliteFailure as error:
        raise storage_failure(error, folder) from error
    except (apsw.Error, UnicodeEncodeError) as error:
        raise Malformed(f"tables and rows that are no hub's: {error}") from error


class _Built:
    """A database that is filled. It counts for nothing before it is whole, so that nothing of it is synchronised before."""

    def __init__(self, path: Path, schema: Schema) -> None:
        reserve_file(path)
        self._schema = schema
        first = f"PRAGMA page_size={schema.page_size}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY"
        self.database = Database(path, first)
        tables = [one for one in schema.statements if one.kind == "table"]
        self.database.execute("BEGIN")
        self._make(tables)
        self._columns = {one.name: self._count_columns(one.name) for one in tables}
        self._inserts = {name: _insert_of(name, columns) for name, columns in self._columns.items()}
        self._expected = list(self._columns)
        self._current, self._next = "", 0
        self.database.authorizer = _only_makes
        for name, insert in self._inserts.items():  # nor does a row that comes, now or later, do more
            self.database.execute(f"EXPLAIN {insert}", (None,) * self._columns[name]).fetchall()

    def _make(self, statements: Sequence[Statement]) -> None:
        """Let a statement of an archive make tables and indices, and do nothing else."""
        self.database.authorizer = _only_makes
        for one in statements:
            self.database.execute(one.sql).fetchall()
        self.database.authorizer = None

    def _count_columns(self, table: str) -> int:
        count: Any = self.database.execute("SELECT count(*) FROM pragma_table_info(?)", (table,)).get
        return int(count)

    def insert(self, table: str, number: int, content: bytes) -> None:
        """The next part of a table."""
        if number == 0 and self._expected[:1] == [table]:
            self._current, self._next = self._expected.pop(0), 0
        elif number == 0 or self._next != number or table != self._current:
            raise Malformed(f"part {number} of table {table} does not come next")
        self._next += 1
        self.database.executemany(self._inserts[table], decode_rows(content, self._columns[table]))

    def finish(self) -> None:
        """Make it a database as parties open it."""
        if self._expected:
            raise Malformed(f"table {self._expected[0]} is missing")
        self.database.authorizer = None
        self._make([one for one in self._schema.statements if one.kind == "index"])
        self.database.execute("COMMIT")
        self.database.execute(f"PRAGMA user_version={self._schema.user_version}")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("PRAGMA journal_mode=WAL").fetchall()
        self.database.close()


def _insert_of(table: str, columns: int) -> str:
    return f'INSERT INTO "{table}" VALUES({", ".join("?" * columns)})'


MAKING = {
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_READ,
    apsw.SQLITE_REINDEX,
}
"""What SQLite does when it makes a table or an index."""


def _only_makes(action: int, *_: str | None) -> int:
    return apsw.SQLITE_OK if action in MAKING else apsw.SQLITE_DENY


def check_unpacked(folder: Path, keys: HubKeys) -> int:
    """Compute everything again that lies in an unpacked folder; how many objects there are. Raises `ArchiveDamaged`."""
    try:
        with Store.open(folder / STORE_FILE, keys.storage_key) as store:
            faults = store.check() + check_catalog(store)
            count = len(store.objects())
        faults += check_journal(folder / JOURNAL_FILE)
    except StorageFailed:
        raise
    except EdgeholdError as error:
        raise ArchiveDamaged(f"it does not hold a whole hub: {error}") from error
    if faults:
        raise ArchiveDamaged("; ".join(faults))
    return count


def check_journal(path: Path) -> list[str]:
    """Read everything that a journal holds; a sentence for each thing that is wrong. Raises `NotAStore`."""
    with _sqlite_errors(path):
        journal = Journal(path)
        try:
            return journal.check()
        finally:
            journal.close()


def _mark_restored(folder: Path) -> None:
    journal = Journal(folder / JOURNAL_FILE)
    try:
        journal.mark_restored()
    finally:
        journal.close()


def sync_files(folder: Path) -> None:
    """Make the files of a folder durable, and their names."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)


def _appear(beside: Path, folder: Path) -> None:
    """Give a folder its name, durably, or leave it where it is."""
    beside.replace(folder)
    try:
        sync_folder(folder.parent)
    except OSError:
        folder.rename(beside)
        raise


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path}: in use by another process") from error
    except (apsw.Error, UnicodeDecodeError, ValueError) as error:
        raise NotAStore(f"{path}: not what a hub keeps, or damaged: {error}") from error
