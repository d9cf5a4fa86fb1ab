"""The file of a hub: what is said of its objects, chunks of their encodings and row groups of their tables, all sealed.

Each object has a random *object key*, which seals nothing else: a chunk that opens is the one that was stored. The object
key is wrapped by the hub key; all that is said about the object (name, descriptor, salt, commitment), the issuer's
signature and the derived tables are sealed under it too. So to destroy one wrapped key is to erase the object. Every write
is one durable transaction; whatever is read is checked first, and what does not fit is named and refused.

Without the hub key the file says only how many objects there are, which of them were erased, and, since lengths are
padded, roughly how large they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Self

import apsw
import msgspec
from msgspec import Struct

from edgehold.codecs.choice import (
    Profile,
)
from edgehold.codecs.parts import PARTS
from edgehold.codecs.segments import Segments, cut_table
from edgehold.crypto.aead import (
    MAX_CHUNKS,
    derive_key,
    open_chunk,
    open_sealed,
    seal,
    seal_chunk,
)
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.padding import pad, padme, unpad
from edgehold.durable import Database, remove_database, storage_failures
from edgehold.errors import (
    AlteredBlob,
    CannotDecode,
    CannotOpen,
    ErasedObject,
    HubError,
    Malformed,
    NotAStore,
    StorageFailed,
    StoreBusy,
    UnknownObject,
    WrongHubKey,
)
from edgehold.hub.tables import KeptTable, close_table, open_group, open_table
from edgehold.ports import Randomness
from edgehold.verify.opening import signature_digest
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Kind, ObjectId, Salt
from edgehold.wire.ids import Digest

VERSION = b"edgehold.store/4"
CHUNK = 1 << 18
"""Encoded bytes of one chunk."""
LEAST_LEAVES = 8
BUSY_MILLISECONDS = 2000
PLACES = 24
"""Bits of the number of a chunk or row group in its key, which begins with the object's place among the leaves."""
MOST_SLOTS = 1 << 63 - PLACES
SPARE_SLOT = MOST_SLOTS - 1
"""A place that no object is given: a new encoding lies there while the old one is read."""
ID = 16
"""Bytes of an object's id."""
NO_COMMITMENT = Digest(bytes(32))

_COLUMNS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "leaf", "sealed", "data", "value"), (bytes,)),
    **dict.fromkeys(("identity", "wrapped", "signature", "tables"), (bytes, NoneType)),
}
"""What a store writes into each column; of a damaged file SQLite reads whatever lies there."""

_SCHEMA = """
CREATE TABLE fact(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE object(id BLOB PRIMARY KEY, slot INTEGER NOT NULL, leaf BLOB NOT NULL, identity BLOB, wrapped BLOB,
    sealed BLOB NOT NULL, signature BLOB, tables BLOB) WITHOUT ROWID;
CREATE TABLE chunk(place INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE rows(place INTEGER PRIMARY KEY, data BLOB NOT NULL);
"""
_PRAGMAS = """
PRAGMA synchronous=FULL;
PRAGMA secure_delete=ON;
PRAGMA cache_size=-256;
PRAGMA temp_store=MEMORY;
"""


class ObjectRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What is said about an object, sealed under its own key."""

    name: str
    descriptor: DatasetDescriptor
    salt: Salt
    commitment: Digest
    received: int
    encoded: int
    """Bytes of the encoding; what the chunks hold behind them are zeros."""
    after: ObjectId | None = None
    """The version that the encoding is the difference from."""
    depth: int = 0
    """How many versions that one reaches back."""
    bases: tuple[Digest, ...]
    """The public bases that whoever decodes it needs."""
    profile: Profile
    """What the owner would rather have of it."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One object as its owner sees it."""

    id: ObjectId
    name: str
    descriptor: DatasetDescriptor
    salt: Salt
    commitment: Digest
    """Tagged digest of the original; 32 zero bytes after erasure."""
    slot: int
    """Its place among the leaves under the hub's root."""
    leaf: Digest
    received: int
    """Bytes of the original."""
    kept: int
    """Bytes that are stored of it: sealed chunks, sealed description, wrapped key, sealed signature."""
    encoded: int
    """Of these, the bytes of its encoding."""
    padding: int
    """Of these, the zeros behind it."""
    cached: int
    """Bytes of its derived tables, which can be made again."""
    after: ObjectId | None
    """The version that it is stored as the difference from."""
    bases: tuple[Digest, ...]
    """The public bases that whoever decodes it needs, the same for everybody."""


@dataclass(frozen=True)
class Row:
    """An object as it lies in the table."""

    id: ObjectId
    slot: int
    leaf: Digest
    identity: bytes | None
    wrapped: bytes | None
    sealed: bytes
    signature: bytes | None
    tables: bytes | None


class SealedFile:
    """One hub's objects in a file. Use it from one thread at a time; `close` it, or use it in a `with` statement."""

    def __init__(self, path: Path, database: Database, hub_key: bytes) -> None:
        self.path = path
        self._database = database
        self._mark_key = derive_key(hub_key, "store/open")
        self._wrap_key = derive_key(hub_key, "store/wrap")
        self._identity_key = derive_key(hub_key, "store/identity")
        self._tombstone_key = derive_key(hub_key, "store/tombstone")
        self._latest_key = derive_key(hub_key, "store/latest")
        self._is_log_large = False
        self.checked: set[Digest] = set()
        """What was found true of stored bytes since this store was opened, so that they need not be decoded again."""

    # ── its life ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(cls, path: Path, hub_key: bytes, randomness: Randomness) -> Self:
        """Make an empty store, readable by its owner only; raises `HubError` if there is a file already."""
        try:
            with storage_failures(path):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise HubError(f"{path}: cannot be made: {error.strerror}") from error
        with readable(path), ExitStack() as undo:
            undo.callback(remove_database, path)  # a store that could not be made whole is not there
            database = Database(path, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL;" + _PRAGMAS)
            undo.callback(database.close)
            database.row_trace = _as_written
            store = cls(path, database, hub_key)
            with store.transaction():
                database.execute(_SCHEMA)
                store.set_fact("hub", VERSION + seal(store._mark_key, VERSION, b"", randomness))
                store.set_fact("dummies", randomness.draw(32 * LEAST_LEAVES))
            undo.pop_all()
        return store

    @classmethod
    def open(cls, path: Path, hub_key: bytes, *, is_damaged: bool = False) -> Self:
        """Open a store; raises `NotAStore`, `WrongHubKey` or `StoreBusy`. One that is damaged is opened whatever it says."""
        if not path.is_file():
            raise NotAStore(f"{path}: there is no such file")
        with readable(path):
            busy = f"PRAGMA busy_timeout={BUSY_MILLISECONDS};"
            database = Database(path, busy + _PRAGMAS, flags=apsw.SQLITE_OPEN_READWRITE)
            database.row_trace = _as_written
            store = cls(path, database, hub_key)
            if is_damaged:
                return store
            mark = store.get_fact("hub")
        if not mark.startswith(VERSION):
            raise NotAStore(f"{path}: not a store of version {VERSION.decode()}")
        if not store.is_marked():
            raise WrongHubKey(f"{path}: does not open with this hub key")
        return store

    def close(self) -> None:
        """Let go of the file; what was acknowledged is on disk already."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is one durable transaction, or, if an error leaves it, nothing. May be nested."""
        with readable(self.path):
            if self._database.in_transaction:
                yield
                return
            with self._database.transaction():
                yield
            if self._is_log_large:
                self._is_log_large = False
                with suppress(StoreBusy, StorageFailed):  # what was written is durable; the log only takes room
                    self.empty_log()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All that is written inside is undone if an error leaves it, also within a transaction."""
        with readable(self.path), self._database:
            yield

    def execute(self, statement: str, *values: bytes | str | int | None) -> list[Any]:
        """The rows that a statement gives, all of them; raises `NotAStore`, `StoreBusy`, `AlteredBlob`."""
        with readable(self.path):
            return self._database.execute(statement, values).fetchall()

    def get_fact(self, name: str) -> bytes:
        """A named value beside the objects; empty if it was never set."""
        rows = self.execute("SELECT value FROM fact WHERE name = ?", name)
        return bytes(rows[0][0]) if rows else b""

    def set_fact(self, name: str, value: bytes) -> None:
        """Keep a named value beside the objects."""
        with self.transaction():
            self.execute("INSERT OR REPLACE INTO fact VALUES(?, ?)", name, value)

    def is_marked(self) -> bool:
        """Whether the store's mark opens with its key."""
        mark = self.get_fact("hub")
        try:
            open_sealed(self._mark_key, VERSION, mark[len(VERSION) :])
        except CannotOpen:
            return False
        return mark.startswith(VERSION)

    def has_tables(self) -> bool:
        """Whether the tables are those that every store has."""
        made = {statement.strip() for statement in _SCHEMA.split(";") if statement.strip()}
        return made <= {sql for (sql,) in self.execute("SELECT sql FROM sqlite_schema")}

    def is_readable(self) -> bool:
        """Whether SQLite finds nothing wrong with the file, its tables are a store's, and every object has a name and a
        place."""
        try:
            self.execute("SELECT id, slot FROM object")
            return self.execute("PRAGMA integrity_check") == [("ok",)] and self.has_tables()
        except (NotAStore, AlteredBlob):
            return False

    def size(self) -> int:
        """Bytes that the store takes on the disk, its log included."""
        files = (self.path.with_name(self.path.name + end) for end in ("", "-wal"))
        with storage_failures(self.path):
            return sum(one.stat().st_size for one in files if one.exists())

    def empty_log(self) -> None:
        """Overwrite what the write-ahead log still holds of earlier contents."""
        with readable(self.path):
            self._database.empty_log()

    # ── objects ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def ids(self) -> list[ObjectId]:
        """Every object, tombstones too, by their places; raises `NotAStore` where the file cannot be read."""
        return [ObjectId(object_id) for (object_id,) in self.execute("SELECT id FROM object ORDER BY slot")]

    def objects(self) -> list[StoredObject]:
        """What the hub keeps, tombstones included, in the order of their places; raises `AlteredBlob` for the first
        that does not open."""
        return [self.get_object(object_id) for object_id in self.ids()]

    def get_object(self, object_id: ObjectId) -> StoredObject:
        """One object; raises `UnknownObject`, or `AlteredBlob` if what is said about it was altered."""
        row = self.row(object_id)
        record, _ = self.open_record(row)
        return StoredObject(
            id=object_id,
            name=record.name,
            descriptor=record.descriptor,
            salt=record.salt,
            commitment=record.commitment,
            slot=row.slot,
            leaf=row.leaf,
            received=record.received,
            encoded=record.encoded,
            padding=padme(record.encoded) - record.encoded,
            kept=self.size_of("chunk", row.slot)
            + len(row.wrapped or b"")
            + len(row.sealed)
            + len(row.signature or b""),
            cached=self.size_of("rows", row.slot) + len(row.tables or b""),
            after=record.after,
            bases=record.bases,
        )

    def row(self, object_id: ObjectId) -> Row:
        """What lies in the row of an object; raises `UnknownObject`, `AlteredBlob`."""
        columns = "id, slot, leaf, identity, wrapped, sealed, signature, tables"
        rows = self.execute(f"SELECT {columns} FROM object WHERE id = ?", object_id)  # noqa: S608
        if not rows:
            raise UnknownObject(f"there is no object {object_id.hex()}")
        if rows[0][0] != object_id:  # in a damaged tree SQLite finds what it did not look for
            raise AlteredBlob(f"what is said about object {object_id.hex()} was altered")
        return Row(*rows[0])

    def readable_keys(self) -> dict[ObjectId, bytes | None]:
        """The objects that a file still names, damaged or not, from whichever end they can be read, with their wrapped keys;
        none of one that was erased."""
        found: dict[ObjectId, bytes | None] = {}
        for order in ("", " DESC"):
            with suppress(NotAStore, AlteredBlob), readable(self.path):
                for object_id, key in self._database.execute(f"SELECT id, wrapped FROM object ORDER BY id{order}"):  # noqa: S608
                    found[ObjectId(object_id)] = key
        return found

    def is_erased(self, object_id: ObjectId) -> bool:
        """Whether a tombstone, damaged or not, stands for an object: the key is gone."""
        try:
            rows = self.execute("SELECT wrapped IS NULL FROM object WHERE id = ?", object_id)
        except NotAStore:
            return False
        return bool(rows and rows[0][0])

    def open_record(self, row: Row) -> tuple[ObjectRecord, bytes | None]:
        """What is said about an object, and its key unless it was erased."""
        try:
            key = None if row.wrapped is None else open_sealed(self._wrap_key, b"key" + row.id, row.wrapped)
            about = self._tombstone_key if key is None else derive_key(key, "about")
            return decode(unpad(open_sealed(about, b"record" + row.id, row.sealed)), ObjectRecord), key
        except (CannotOpen, Malformed) as error:
            raise AlteredBlob(f"what is said about object {row.id.hex()} was altered") from error

    def put_record(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        encoded: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | Segments | None,
        randomness: Randomness,
    ) -> None:
        """Seal everything of an object under a new key, in its place."""
        key = randomness.draw(32)
        if record.descriptor.codec == PARTS:
            self.put_pieces(object_id, slot, key, [encoded])
        else:
            self.put_chunks(object_id, slot, key, encoded)
        self.describe(object_id, slot, identity, record, key, signature, tables, randomness)

    def describe(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        key: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | Segments | None,
        randomness: Randomness,
    ) -> None:
        """Seal everything of an object but its chunks, which are there."""
        self.execute(
            "INSERT OR REPLACE INTO object VALUES(?, ?, ?, ?, ?, ?, ?, NULL)",
            object_id,
            slot,
            leaf_of(record.descriptor, record.salt, record.commitment),
            identity,
            seal(self._wrap_key, b"key" + object_id, key, randomness),
            _seal_about(key, b"record", object_id, pad(encode(record)), randomness),
            None if signature is None else _seal_about(key, b"signature", object_id, signature, randomness),
        )
        if tables is not None:
            self.put_table(object_id, tables, randomness)

    def get_signature(self, object_id: ObjectId) -> bytes | None:
        """The issuer's detached signature over the original, if it came with one."""
        row = self.row(object_id)
        _, key = self.open_record(row)
        if key is None or row.signature is None:
            return None
        return _open_about(key, b"signature", object_id, row.signature)

    def sign(self, object_id: ObjectId, signature: bytes, randomness: Randomness) -> None:
        """Put a signature beside an object that is here already; the leaf changes, and with it the salt."""
        record, key = self.open_record(self.row(object_id))
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        signed = msgspec.structs.replace(
            record,
            salt=Salt(randomness.draw(32)),
            descriptor=msgspec.structs.replace(record.descriptor, signature=signature_digest(signature)),
        )
        self.execute(
            "UPDATE object SET leaf = ?, sealed = ?, signature = ? WHERE id = ?",
            leaf_of(signed.descriptor, signed.salt, signed.commitment),
            _seal_about(key, b"record", object_id, pad(encode(signed)), randomness),
            _seal_about(key, b"signature", object_id, signature, randomness),
            object_id,
        )

    def bury(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Put a tombstone with a new salt in the place of whatever is left of an object."""
        tombstone = ObjectRecord(
            name="",
            descriptor=DatasetDescriptor(
                schema="",
                kind=Kind.OTHER,
                first_year=None,
                last_year=None,
                codec=NO_COMMITMENT,
                base=None,
                tombstone=True,
            ),
            salt=Salt(randomness.draw(32)),
            commitment=NO_COMMITMENT,
            received=0,
            encoded=0,
            bases=(),
            profile=Profile.SMALL,
        )
        self.remove_content(self.row(object_id).slot)
        self.execute(
            "UPDATE object SET leaf = ?, identity = NULL, wrapped = NULL, sealed = ?, signature = NULL, "
            "tables = NULL WHERE id = ?",
            leaf_of(tombstone.descriptor, tombstone.salt, tombstone.commitment),
            seal(self._tombstone_key, b"record" + object_id, pad(encode(tombstone)), randomness),
            object_id,
        )

    # ── chunks of encodings ───────────────────────────────────────────────────────────────────────────────────────────

    def put_chunks(self, object_id: ObjectId, slot: int, key: bytes, encoded: bytes) -> None:
        """Seal an encoding, chunk by chunk, padded."""
        padded = encoded.ljust(padme(len(encoded)), b"\0")
        total = chunks_of(len(encoded))
        for number in range(total):
            sealed = seal_chunk(key, object_id, number, total, padded[number * CHUNK : (number + 1) * CHUNK])
            self.execute("INSERT INTO chunk VALUES(?, ?)", place_of(slot, number), sealed)

    def put_pieces(self, object_id: ObjectId, slot: int, key: bytes, pieces: Iterable[bytes]) -> int:
        """As `put_chunks`, for an encoding whose length is not known before its last piece; how many bytes it has."""
        held, number, encoded = bytearray(), 0, 0

        def put(chunk: bytes) -> None:
            sealed = seal_chunk(key, object_id, number, MAX_CHUNKS, chunk)
            self.execute("INSERT INTO chunk VALUES(?, ?)", place_of(slot, number), sealed)

        for piece in pieces:
            held += piece
            encoded += len(piece)
            while len(held) >= CHUNK:
                put(bytes(held[:CHUNK]))
                del held[:CHUNK]
                number += 1
        left = padme(encoded) - number * CHUNK
        while left > 0:
            put(bytes(held[:CHUNK]).ljust(min(left, CHUNK), b"\0"))
            del held[:CHUNK]
            number, left = number + 1, left - CHUNK
        return encoded

    def get_chunk(self, object_id: ObjectId, slot: int, key: bytes, number: int, record: ObjectRecord) -> bytes:
        """One chunk of an encoding, padded as it was sealed; raises `AlteredBlob`, naming it."""
        total = chunks_of(record.encoded)
        rows = self.execute("SELECT data FROM chunk WHERE place = ?", place_of(slot, number))
        if not rows:
            raise AlteredBlob(f"chunk {number} of {total} of object {object_id.hex()} is missing")
        try:
            of = MAX_CHUNKS if record.descriptor.codec == PARTS else total
            return open_chunk(key, object_id, number, of, rows[0][0])
        except CannotOpen as error:
            raise AlteredBlob(f"chunk {number} of {total} of object {object_id.hex()} was altered") from error

    def open_chunks(self, object_id: ObjectId) -> tuple[ObjectRecord, Iterator[bytes]]:
        """What is said about an object, and its encoding in pieces that are opened one by one."""
        row = self.row(object_id)
        record, key = self.open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        total = chunks_of(record.encoded)
        opened = (self.get_chunk(object_id, row.slot, key, number, record) for number in range(total))
        return record, (chunk[: max(record.encoded - number * CHUNK, 0)] for number, chunk in enumerate(opened))

    def check_stored(self, object_id: ObjectId) -> Digest:
        """Open every stored byte of an object, and name them; raises as `get_original` does.

        Equal names have equal bytes, since a key seals each chunk once: whoever decoded one need not decode it again.
        """
        record, chunks = self.open_chunks(object_id)
        for _ in chunks:
            pass
        return tagged_hash("stored", object_id + encode(record))

    # ── row groups of tables ──────────────────────────────────────────────────────────────────────────────────────────

    def put_table(self, object_id: ObjectId, table: Mapping[str, bytes] | Segments, randomness: Randomness) -> None:
        """Keep the table of an object, files or row groups, in the place of the one that it has; raises `ErasedObject`,
        `Malformed`."""
        row = self.row(object_id)
        _, key = self.open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        segments = cut_table(table) if isinstance(table, Mapping) else table
        kept, groups = close_table(Digest(randomness.draw(32)), object_id, segments)
        self.remove_content(row.slot, ("rows",))
        for number, group in enumerate(groups):
            self.execute("INSERT INTO rows VALUES(?, ?)", place_of(row.slot, number), group)
        sealed = _seal_about(key, b"tables", object_id, kept, randomness)
        self.execute("UPDATE object SET tables = ? WHERE id = ?", sealed, object_id)

    def kept_table(self, object_id: ObjectId) -> tuple[KeptTable | None, int]:
        """How the table of an object is read, and the sealed bytes that say so; none if it is not kept."""
        row = self.row(object_id)
        _, key = self.open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        if row.tables is None:
            return None, 0
        try:
            return open_table(_open_about(key, b"tables", object_id, row.tables)), len(row.tables)
        except (Malformed, CannotDecode) as error:
            raise AlteredBlob(f"the tables of object {object_id.hex()} were altered") from error

    def open_kept(self, object_id: ObjectId) -> bytes | None:
        """How the table of an object is read, as it was sealed; none if it is not kept. Raises `AlteredBlob`."""
        row = self.row(object_id)
        _, key = self.open_record(row)
        if key is None or row.tables is None:
            return None
        return _open_about(key, b"tables", object_id, row.tables)

    def seal_kept(self, object_id: ObjectId, kept: bytes, randomness: Randomness) -> None:
        """Say how the table of an object is read whose row groups are there."""
        _, key = self.open_record(self.row(object_id))
        assert key is not None  # noqa: S101
        sealed = _seal_about(key, b"tables", object_id, kept, randomness)
        self.execute("UPDATE object SET tables = ? WHERE id = ?", sealed, object_id)

    def get_group(self, kept: KeptTable, object_id: ObjectId, slot: int, number: int) -> tuple[bytes, int]:
        """One row group, and the sealed bytes it was in."""
        rows = self.execute("SELECT data FROM rows WHERE place = ?", place_of(slot, number))
        if not rows:
            raise AlteredBlob(f"row group {number} of object {object_id.hex()} is missing")
        try:
            return open_group(kept, object_id, number, rows[0][0]), len(rows[0][0])
        except (CannotOpen, Malformed, CannotDecode) as error:
            raise AlteredBlob(f"row group {number} of object {object_id.hex()} was altered") from error

    # ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def remove_content(self, slot: int, tables: Sequence[str] = ("chunk", "rows")) -> None:
        """Remove chunks and row groups of the object in this place."""
        for table in tables:
            self.execute(f"DELETE FROM {table} WHERE place BETWEEN ? AND ?", *places_of(slot))  # noqa: S608

    def move_chunks(self, slot: int, to: int) -> None:
        """Move the chunks in one place to another, in which there are none."""
        by = place_of(to, 0) - place_of(slot, 0)
        self.execute("UPDATE chunk SET place = place + ? WHERE place BETWEEN ? AND ?", by, *places_of(slot))

    def size_of(self, table: str, slot: int) -> int:
        """Sealed bytes of an object in one of the tables of chunks and row groups."""
        found = self.execute(f"SELECT total(length(data)) FROM {table} WHERE place BETWEEN ? AND ?", *places_of(slot))  # noqa: S608
        return int(found[0][0])

    def count_of(self, table: str, slot: int) -> int:
        """How many of them there are."""
        return int(self.execute(f"SELECT count(*) FROM {table} WHERE place BETWEEN ? AND ?", *places_of(slot))[0][0])  # noqa: S608

    def strays(self) -> list[tuple[str, str, int]]:
        """Chunks and row groups in places where there is no object: their table, what they are, and where."""
        taken = {slot for (slot,) in self.execute("SELECT slot FROM object WHERE wrapped IS NOT NULL")}
        return [
            (table, what, place)
            for table, what in (("chunk", "chunk"), ("rows", "row group"))
            for (place,) in self.execute(f"SELECT place FROM {table}")  # noqa: S608
            if place >> PLACES not in taken
        ]

    def free_slot(self, randomness: Randomness) -> int:
        """A random place among the leaves that are still dummies; there are twice as many leaves when all are taken."""
        dummies = self.get_fact("dummies")
        taken = {slot for (slot,) in self.execute("SELECT slot FROM object")}
        if len(taken) == len(dummies) // 32:
            dummies += randomness.draw(len(dummies))
            self.set_fact("dummies", dummies)
        free = [slot for slot in range(len(dummies) // 32) if slot not in taken]
        return free[int.from_bytes(randomness.draw(8), "little") % len(free)]

    def last_slot(self) -> int:
        """The highest place that an object has among the leaves; −1 if there is none."""
        return max((slot for (slot,) in self.execute("SELECT slot FROM object")), default=-1)

    def filling_slots(self) -> set[int]:
        """The places among the leaves that no object has."""
        taken = {slot for (slot,) in self.execute("SELECT slot FROM object")}
        return set(range(len(self.get_fact("dummies")) // 32)) - taken

    def leaves(self) -> list[Digest]:
        """The leaves under the hub's root by their places: those of objects, and random ones that only fill. Raises
        `AlteredBlob` for a place that is none."""
        dummies = self.get_fact("dummies")
        leaves = [Digest(dummies[start : start + 32]) for start in range(0, len(dummies), 32)]
        for slot, leaf in self.execute("SELECT slot, leaf FROM object"):
            if slot >= len(leaves):
                raise AlteredBlob(f"place {slot} is none of the {len(leaves)} leaves")
            leaves[slot] = Digest(leaf)
        return leaves


# ── places and digests ────────────────────────────────────────────────────────────────────────────────────────────────


def place_of(slot: int, number: int) -> int:
    """The key of a chunk or row group of the object in this place."""
    return slot << PLACES | number


def places_of(slot: int) -> tuple[int, int]:
    """Between which keys those of one object lie."""
    return place_of(slot, 0), place_of(slot + 1, 0) - 1


def chunks_of(encoded: int) -> int:
    """How many chunks so many bytes are cut into, padded."""
    return -(-padme(encoded) // CHUNK)


def leaf_of(descriptor: DatasetDescriptor, salt: Salt, commitment: Digest) -> Digest:
    """The leaf of a dataset: salt (32 bytes), descriptor, commitment (32 bytes)."""
    return tagged_hash("dataset-leaf", salt + encode(descriptor) + commitment)


def _seal_about(key: bytes, what: bytes, object_id: ObjectId, plaintext: bytes, randomness: Randomness) -> bytes:
    return seal(derive_key(key, "about"), what + object_id, plaintext, randomness)


def _open_about(key: bytes, what: bytes, object_id: ObjectId, sealed: bytes) -> bytes:
    try:
        return open_sealed(derive_key(key, "about"), what + object_id, sealed)
    except CannotOpen as error:
        raise AlteredBlob(f"the {what.decode()} of object {object_id.hex()} was altered") from error


def _as_written(cursor: apsw.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row, if its values are such as stores write; raises `AlteredBlob`."""
    for (name, *_), value in zip(cursor.description, row, strict=True):
        is_right = name != "slot" or (isinstance(value, int) and 0 <= value < MOST_SLOTS)
        is_right = is_right and (name != "id" or (isinstance(value, bytes) and len(value) == ID))
        if not is_right or not isinstance(value, _COLUMNS.get(name, object)):
            raise AlteredBlob(f"a {name} was altered: no store writes it so")
    return row


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path}: in use by another process") from error
    except (apsw.Error, UnicodeDecodeError) as error:  # text where bytes were kept
        raise NotAStore(f"{path}: not a store, or damaged: {error}") from error
