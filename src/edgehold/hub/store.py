"""What a hub keeps: sealed originals in one SQLite file, each under a key of its own.

An original is encoded sparsely, cut into chunks, sealed with a random *object key* and stored as blobs that are named
by the digest of their sealed bytes. The object key is wrapped by the hub key; all that is said about the object (name,
descriptor, salt, commitment, blobs), the issuer's signature and the derived tables are sealed under it too. So to
destroy one wrapped key is to erase the object. Every write is one durable transaction; whatever is read is checked
first, and what does not fit is named and refused.

Without the hub key the file says only how many objects there are, which of them were erased, and how large they are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest
from edgehold.codecs.events import SCHEMA, encode_table
from edgehold.codecs.general import shipped_codec
from edgehold.crypto.aead import TAG_SIZE, derive_key, keyed_digest, open_chunk, open_sealed, seal, seal_chunk
from edgehold.crypto.hash import tagged_hash
from edgehold.durable import Database, remove_database, require_files, storage_failures
from edgehold.errors import (
    AlteredBlob,
    CannotOpen,
    EdgeholdError,
    ErasedObject,
    HubError,
    Malformed,
    NotAStore,
    StoreBusy,
    UnknownObject,
    WrongHubKey,
)
from edgehold.hub.intake.fhir import read_original
from edgehold.ports import Randomness
from edgehold.verify.opening import record_commitment, signature_digest
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Kind, ObjectId, Salt
from edgehold.wire.ids import BlobId, Digest

VERSION = b"edgehold.store/1"
CHUNK = 1 << 18
"""Encoded bytes of one blob."""
LEAST_LEAVES = 8
BUSY_MILLISECONDS = 2000
MAX_TABLES = 1 << 28
NO_COMMITMENT = Digest(bytes(32))

_SCHEMA = """
CREATE TABLE fact(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE object(id BLOB PRIMARY KEY, slot INTEGER NOT NULL, leaf BLOB NOT NULL, identity BLOB, wrapped BLOB,
    sealed BLOB NOT NULL, signature BLOB, tables BLOB) WITHOUT ROWID;
CREATE TABLE blob(id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
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
    blobs: tuple[BlobId, ...]


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
    """Bytes that are stored of it: sealed blobs, sealed description, wrapped key, sealed signature."""
    encoded: int
    """Of these, the bytes of its encoding."""
    cached: int
    """Bytes of its derived tables, which can be made again."""


class Store:
    """One hub's store. Use it from one thread at a time; `close` it, or use it in a `with` statement."""

    def __init__(self, path: Path, database: Database, hub_key: bytes) -> None:
        self.path = path
        self._database = database
        self._wrap_key = derive_key(hub_key, "store/wrap")
        self._identity_key = derive_key(hub_key, "store/identity")
        self._tombstone_key = derive_key(hub_key, "store/tombstone")
        self.checked: set[Digest] = set()
        """What was found true of stored bytes since this store was opened, so that they need not be decoded again."""

    # ── its life ──────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(cls, path: Path, hub_key: bytes, randomness: Randomness) -> Store:
        """Make an empty store, readable by its owner only; raises `HubError` if there is a file already."""
        try:
            with storage_failures(path):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise HubError(f"{path}: cannot be made: {error.strerror}") from error
        with _readable(path), ExitStack() as undo:
            undo.callback(remove_database, path)  # a store that could not be made whole is not there
            database = Database(path, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL;" + _PRAGMAS)
            undo.callback(database.close)
            store = cls(path, database, hub_key)
            with store.transaction():
                database.execute(_SCHEMA)
                store.set_fact("hub", VERSION + seal(derive_key(hub_key, "store/open"), VERSION, b"", randomness))
                store.set_fact("dummies", randomness.draw(32 * LEAST_LEAVES))
            undo.pop_all()
        return store

    @classmethod
    def open(cls, path: Path, hub_key: bytes) -> Store:
        """Open a store; raises `NotAStore`, `WrongHubKey` or `StoreBusy`."""
        if not path.is_file():
            raise NotAStore(f"{path}: there is no such file")
        with _readable(path):
            busy = f"PRAGMA busy_timeout={BUSY_MILLISECONDS};"
            database = Database(path, busy + _PRAGMAS, flags=apsw.SQLITE_OPEN_READWRITE)
            store = cls(path, database, hub_key)
            mark = store.get_fact("hub")
        if not mark.startswith(VERSION):
            raise NotAStore(f"{path}: not a store of version {VERSION.decode()}")
        try:
            open_sealed(derive_key(hub_key, "store/open"), VERSION, mark[len(VERSION) :])
        except CannotOpen as error:
            raise WrongHubKey(f"{path}: does not open with this hub key") from error
        return store

    def close(self) -> None:
        """Let go of the file; what was acknowledged is on disk already."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is one durable transaction, or, if an error leaves it, nothing. May be nested."""
        with _readable(self.path):
            if self._database.in_transaction:
                yield
                return
            with self._database.transaction():
                yield

    def get_fact(self, name: str) -> bytes:
        """A named value beside the objects; empty if it was never set."""
        rows = self._execute("SELECT value FROM fact WHERE name = ?", name)
        return bytes(rows[0][0]) if rows else b""

    def set_fact(self, name: str, value: bytes) -> None:
        """Keep a named value beside the objects."""
        with self.transaction():
            self._execute("INSERT OR REPLACE INTO fact VALUES(?, ?)", name, value)

    # ── objects ───────────────────────────────────────────────────────────────────────────────────────────────────

    def put_object(
        self,
        original: bytes,
        *,
        name: str,
        kind: Kind,
        schema: str = SCHEMA,
        years: tuple[int, int] | None = None,
        tables: Mapping[str, bytes] | None = None,
        signature: bytes | None = None,
        policy: Digest | None = None,
        previous: Digest | None = None,
        randomness: Randomness,
    ) -> tuple[StoredObject, bool]:
        """Keep an original; says whether it was added. The same bytes again add nothing, except a signature that is
        new.

        `tables` are what programs see of it, kept so that they need not be derived again; `years` its first and last.
        """
        identity = keyed_digest(self._identity_key, original)
        with self.transaction():
            known = self._execute("SELECT id FROM object WHERE identity = ?", identity)
            if known:
                found = self.get_object(ObjectId(known[0][0]))
                if signature is not None and found.descriptor.signature != signature_digest(signature):
                    self._sign(found.id, signature, randomness)
                return self.get_object(found.id), False
            object_id = ObjectId(randomness.draw(16))
            key = randomness.draw(32)
            first, last = years or (None, None)
            codec, encoded = encode_smallest(original, codecs_for(kind))
            record = ObjectRecord(
                name=name,
                descriptor=DatasetDescriptor(
                    schema=schema,
                    kind=kind,
                    first_year=first,
                    last_year=last,
                    codec=codec.name,
                    base=codec.base,
                    policy=policy,
                    previous=previous,
                    signature=None if signature is None else signature_digest(signature),
                ),
                salt=Salt(randomness.draw(32)),
                commitment=record_commitment(original),
                received=len(original),
                blobs=self._put_blobs(object_id, key, encoded),
            )
            self._execute(
                "INSERT INTO object VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                object_id,
                self._free_slot(randomness),
                leaf_of(record.descriptor, record.salt, record.commitment),
                identity,
                seal(self._wrap_key, b"key" + object_id, key, randomness),
                seal(derive_key(key, "about"), b"record" + object_id, encode(record), randomness),
                _seal_optional(key, b"signature" + object_id, signature, randomness),
                _seal_optional(key, b"tables" + object_id, None if tables is None else _pack(tables), randomness),
            )
            return self.get_object(object_id), True

    def objects(self) -> list[StoredObject]:
        """What the hub keeps, tombstones included, in the order of their places; raises `AlteredBlob` for the first
        that does not open."""
        return [self.get_object(object_id) for object_id in self._ids()]

    def get_object(self, object_id: ObjectId) -> StoredObject:
        """One object; raises `UnknownObject`, or `AlteredBlob` if what is said about it was altered."""
        row = self._row(object_id)
        record, _ = self._open_record(row)
        blobs = 0
        for blob in record.blobs:
            blobs += sum(size for (size,) in self._execute("SELECT length(data) FROM blob WHERE id = ?", blob))
        return StoredObject(
            id=object_id,
            name=record.name,
            descriptor=record.descriptor,
            salt=record.salt,
            commitment=record.commitment,
            slot=row.slot,
            leaf=row.leaf,
            received=record.received,
            encoded=blobs - TAG_SIZE * len(record.blobs),
            kept=blobs + len(row.wrapped or b"") + len(row.sealed) + len(row.signature or b""),
            cached=len(row.tables or b""),
        )

    def size(self) -> int:
        """Bytes that the store takes on the disk, its log included."""
        files = (self.path.with_name(self.path.name + end) for end in ("", "-wal"))
        with storage_failures(self.path):
            return sum(one.stat().st_size for one in files if one.exists())

    def get_original(self, object_id: ObjectId) -> bytes:
        """The bytes that were imported; raises `AlteredBlob` naming the first blob with another byte, or
        `ErasedObject`."""
        record, encoded = self._get_encoded(object_id)
        original = codec_named(record.descriptor.codec, record.descriptor.base).decode(encoded, record.received)
        if record_commitment(original) != record.commitment:
            raise AlteredBlob(f"object {object_id.hex()} does not give back what was committed to")
        return original

    def check_stored(self, object_id: ObjectId) -> Digest:
        """Compare and open every stored byte of an object, and name them; raises as `get_original` does.

        Equal names have equal originals: whoever decoded one need not decode it again.
        """
        record, encoded = self._get_encoded(object_id)
        return tagged_hash("stored", record.commitment + encoded)

    def get_signature(self, object_id: ObjectId) -> bytes | None:
        """The issuer's detached signature over the original, if it came with one."""
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None or row.signature is None:
            return None
        return _open_about(key, b"signature", object_id, row.signature)

    def events_table(self, object_id: ObjectId) -> dict[str, bytes]:
        """The files of the table that programs see, by name: as kept, or, where they were not, derived from the
        original."""
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        if row.tables is not None:
            return _unpack(_open_about(key, b"tables", object_id, row.tables))
        return derive_tables(self.get_original(object_id))

    def erase(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Destroy key, salt and bytes of an object; a tombstone with a new salt takes its place. Raises
        `ErasedObject`."""
        row = self._row(object_id)
        record, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased before")
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
            blobs=(),
        )
        with self.transaction():
            for blob in record.blobs:
                self._execute("DELETE FROM blob WHERE id = ?", blob)
            self._execute(
                "UPDATE object SET leaf = ?, identity = NULL, wrapped = NULL, sealed = ?, signature = NULL, "
                "tables = NULL WHERE id = ?",
                leaf_of(tombstone.descriptor, tombstone.salt, tombstone.commitment),
                seal(self._tombstone_key, b"record" + object_id, encode(tombstone), randomness),
                object_id,
            )
        self.empty_log()

    def empty_log(self) -> None:
        """Overwrite what the write-ahead log still holds of earlier contents."""
        with _readable(self.path):
            self._database.empty_log()

    def check(self) -> list[str]:
        """Compute everything again; a sentence for each thing that is wrong, none if all is well."""
        faults = [f"database: {row[0]}" for row in self._execute("PRAGMA integrity_check") if row[0] != "ok"]
        known: set[bytes] = set()
        for object_id in self._ids():
            try:
                known.update(self._check_object(object_id))
            except EdgeholdError as error:
                faults.append(str(error))
        if not faults:
            stored = {row[0] for row in self._execute("SELECT id FROM blob")}
            faults += [f"blob {blob.hex()} belongs to no object" for blob in sorted(stored - known)]
        return faults

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _execute(self, statement: str, *values: bytes | str | int | None) -> list[Any]:
        with _readable(self.path):
            return self._database.execute(statement, values).fetchall()

    def _get_encoded(self, object_id: ObjectId) -> tuple[ObjectRecord, bytes]:
        """What is said about an object, and its blobs, each compared with its name and opened."""
        record, key = self._open_record(self._row(object_id))
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        blobs = enumerate(record.blobs)
        encoded = (self._get_blob(object_id, key, number, len(record.blobs), blob) for number, blob in blobs)
        return record, b"".join(encoded)

    def _check_object(self, object_id: ObjectId) -> tuple[BlobId, ...]:
        row = self._row(object_id)
        record, key = self._open_record(row)
        if row.leaf != leaf_of(record.descriptor, record.salt, record.commitment):
            raise AlteredBlob(f"object {object_id.hex()}: its leaf is not the one of its description")
        if key is None:
            return ()
        original = self.get_original(object_id)
        if row.identity != keyed_digest(self._identity_key, original):
            raise AlteredBlob(f"object {object_id.hex()}: its identity is not the one of its original")
        signature = self.get_signature(object_id)
        if record.descriptor.signature != (None if signature is None else signature_digest(signature)):
            raise AlteredBlob(f"object {object_id.hex()}: its signature is not the one of its description")
        if record.descriptor.schema == SCHEMA and self.events_table(object_id) != derive_tables(original):
            raise AlteredBlob(f"object {object_id.hex()}: its tables are not those of its original")
        return record.blobs

    def _ids(self) -> list[ObjectId]:
        return [ObjectId(object_id) for (object_id,) in self._execute("SELECT id FROM object ORDER BY slot")]

    def _row(self, object_id: ObjectId) -> _Row:
        rows = self._execute("SELECT * FROM object WHERE id = ?", object_id)
        if not rows:
            raise UnknownObject(f"there is no object {object_id.hex()}")
        return _Row(*rows[0])

    def _open_record(self, row: _Row) -> tuple[ObjectRecord, bytes | None]:
        """What is said about an object, and its key unless it was erased."""
        try:
            key = None if row.wrapped is None else open_sealed(self._wrap_key, b"key" + row.id, row.wrapped)
            about = self._tombstone_key if key is None else derive_key(key, "about")
            return decode(open_sealed(about, b"record" + row.id, row.sealed), ObjectRecord), key
        except (CannotOpen, Malformed) as error:
            raise AlteredBlob(f"what is said about object {row.id.hex()} was altered") from error

    def _put_blobs(self, object_id: ObjectId, key: bytes, encoded: bytes) -> tuple[BlobId, ...]:
        chunks = [encoded[start : start + CHUNK] for start in range(0, len(encoded), CHUNK)]
        blobs = []
        for number, chunk in enumerate(chunks):
            data = seal_chunk(key, object_id, number, len(chunks), chunk)
            blobs.append(blob_id(data))
            self._execute("INSERT INTO blob VALUES(?, ?)", blobs[-1], data)
        return tuple(blobs)

    def _get_blob(self, object_id: ObjectId, key: bytes, number: int, total: int, blob: BlobId) -> bytes:
        rows = self._execute("SELECT data FROM blob WHERE id = ?", blob)
        if not rows:
            raise AlteredBlob(f"blob {blob.hex()} of object {object_id.hex()} is missing")
        sealed = rows[0][0]
        if blob_id(sealed) != blob:
            raise AlteredBlob(f"blob {blob.hex()} of object {object_id.hex()} was altered")
        return open_chunk(key, object_id, number, total, sealed)

    def _sign(self, object_id: ObjectId, signature: bytes, randomness: Randomness) -> None:
        """Put a signature beside an object that is here already; the leaf changes, and with it the salt."""
        record, key = self._open_record(self._row(object_id))
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        signed = msgspec.structs.replace(
            record,
            salt=Salt(randomness.draw(32)),
            descriptor=msgspec.structs.replace(record.descriptor, signature=signature_digest(signature)),
        )
        self._execute(
            "UPDATE object SET leaf = ?, sealed = ?, signature = ? WHERE id = ?",
            leaf_of(signed.descriptor, signed.salt, signed.commitment),
            seal(derive_key(key, "about"), b"record" + object_id, encode(signed), randomness),
            _seal_optional(key, b"signature" + object_id, signature, randomness),
            object_id,
        )

    def _free_slot(self, randomness: Randomness) -> int:
        """A random place among the leaves that are still dummies; there are twice as many leaves when all are taken."""
        dummies = self.get_fact("dummies")
        taken = {slot for (slot,) in self._execute("SELECT slot FROM object")}
        if len(taken) == len(dummies) // 32:
            dummies += randomness.draw(len(dummies))
            self.set_fact("dummies", dummies)
        free = [slot for slot in range(len(dummies) // 32) if slot not in taken]
        return free[int.from_bytes(randomness.draw(8), "little") % len(free)]

    def leaves(self) -> list[Digest]:
        """The leaves under the hub's root by their places: those of objects, and random ones that only fill."""
        dummies = self.get_fact("dummies")
        leaves = [Digest(dummies[start : start + 32]) for start in range(0, len(dummies), 32)]
        for slot, leaf in self._execute("SELECT slot, leaf FROM object"):
            leaves[slot] = Digest(leaf)
        return leaves


@dataclass(frozen=True)
class _Row:
    """An object as it lies in the table."""

    id: ObjectId
    slot: int
    leaf: Digest
    identity: bytes | None
    wrapped: bytes | None
    sealed: bytes
    signature: bytes | None
    tables: bytes | None


# ── names and digests ─────────────────────────────────────────────────────────────────────────────────────────────


def blob_id(sealed: bytes) -> BlobId:
    """The name of sealed bytes."""
    return BlobId(tagged_hash("blob", sealed))


def leaf_of(descriptor: DatasetDescriptor, salt: Salt, commitment: Digest) -> Digest:
    """The leaf of a dataset: salt (32 bytes), descriptor, commitment (32 bytes)."""
    return tagged_hash("dataset-leaf", salt + encode(descriptor) + commitment)


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def derive_tables(original: bytes) -> dict[str, bytes]:
    """The files of the events table of an original."""
    return encode_table(read_original(original, "stored object").events())


SPARE_FILES = 8
"""Files that a sandbox has open beside the tables. A program that cannot open its own would have failed, not the system."""


@contextmanager
def tables_directory(tables: Mapping[str, bytes]) -> Iterator[Path]:
    """Files for a sandbox in a new directory that only this user can read, in memory where the system has such a place.

    It is removed on the way out, however that is taken; what a killed process left is removed by the next that comes
    here.
    """
    parent = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())  # noqa: S108
    with storage_failures(parent):
        remove_abandoned(parent)
        directory = Path(tempfile.mkdtemp(prefix=f"edgehold-tables-{os.getpid()}-", dir=parent))
    try:
        for name, content in tables.items():
            with storage_failures(directory / name):
                (directory / name).write_bytes(content)
        require_files(len(tables) + SPARE_FILES, directory)
        yield directory
    finally:
        for (
            name
        ) in tables:  # nothing is opened for it: a process without free files leaves nothing readable behind either
            (directory / name).unlink(missing_ok=True)
        directory.rmdir()


def remove_abandoned(parent: Path) -> None:
    """Remove the tables of this user's processes that are no more."""
    for directory in parent.glob("edgehold-tables-*-*"):
        with suppress(OSError, ValueError):
            if directory.stat().st_uid == os.getuid() and not _is_running(int(directory.name.split("-")[2])):
                rmtree(directory, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pack(tables: Mapping[str, bytes]) -> bytes:
    return shipped_codec(None).encode(encode(sorted(tables.items())))


def _unpack(packed: bytes) -> dict[str, bytes]:
    return dict(decode(shipped_codec(None).decode(packed, MAX_TABLES), list[tuple[str, bytes]]))


def _seal_optional(key: bytes, context: bytes, plaintext: bytes | None, randomness: Randomness) -> bytes | None:
    return None if plaintext is None else seal(derive_key(key, "about"), context, plaintext, randomness)


def _open_about(key: bytes, what: bytes, object_id: ObjectId, sealed: bytes) -> bytes:
    try:
        return open_sealed(derive_key(key, "about"), what + object_id, sealed)
    except CannotOpen as error:
        raise AlteredBlob(f"the {what.decode()} of object {object_id.hex()} was altered") from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path}: in use by another process") from error
    except (apsw.Error, UnicodeDecodeError) as error:  # text where bytes were kept
        raise NotAStore(f"{path}: not a store, or damaged: {error}") from error
