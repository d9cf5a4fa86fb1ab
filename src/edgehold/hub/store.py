"""What a hub keeps: sealed originals in one SQLite file, each under a key of its own.

An original is encoded sparsely, cut into chunks and sealed with a random *object key*, which seals nothing else: a
chunk that opens is the one that was stored. The object key is wrapped by the hub key; all that is said about the object
(name, descriptor, salt, commitment), the issuer's signature and the derived tables are sealed under it too. So to
destroy one wrapped key is to erase the object. Every write is one durable transaction; whatever is read is checked
first, and what does not fit is named and refused.

An original that is the next version of another is encoded as the difference from it. When the other is erased, those
that follow it are encoded anew first.

Without the hub key the file says only how many objects there are, which of them were erased, and, since lengths are
padded, roughly how large they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from edgehold.codecs.choice import (
    Profile,
    bases_of,
    codec_after,
    codec_named,
    codecs_after,
    codecs_for,
    encode_smallest,
)
from edgehold.codecs.events import SCHEMA
from edgehold.codecs.general import Codec
from edgehold.codecs.parts import PARTS, PartsCodec
from edgehold.codecs.segments import STRINGS, Where, find_groups, join, select, strings_in
from edgehold.crypto.aead import (
    MAX_CHUNKS,
    derive_key,
    keyed_digest,
    open_chunk,
    open_sealed,
    seal,
    seal_chunk,
    start_keyed_digest,
)
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.padding import pad, padme, unpad
from edgehold.durable import Database, remove_database, storage_failures
from edgehold.errors import (
    AlteredBlob,
    CannotDecode,
    CannotOpen,
    EdgeholdError,
    ErasedObject,
    FileChanged,
    HubError,
    LargeOriginal,
    Malformed,
    NoTable,
    NotAStore,
    SignedExactly,
    StorageFailed,
    StoreBusy,
    UnknownObject,
    WrongHubKey,
)
from edgehold.hub.intake.derive import derive_again
from edgehold.hub.tables import KeptTable, Rows, close_table, derive_tables, open_group, open_table
from edgehold.ports import Randomness
from edgehold.verify.opening import Commitment, record_commitment, signature_digest
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Kind, ObjectId, Salt
from edgehold.wire.ids import Digest

VERSION = b"edgehold.store/3"
CHUNK = 1 << 18
"""Encoded bytes of one chunk."""
LEAST_LEAVES = 8
BUSY_MILLISECONDS = 2000
LEAST_VERSION, MOST_VERSION = 1 << 14, 3 << 22
"""Bytes of originals of which it is asked whether one is the next version of the other; to know both takes much memory."""
NO_TABLE = ""
"""The schema of what programs do not read."""
PLACES = 24
"""Bits of the number of a chunk or row group in its key, which begins with the object's place among the leaves."""
MOST_SLOTS = 1 << 63 - PLACES
ID = 16
"""Bytes of an object's id."""
MOST_VERSIONS = 8
"""How many versions are differences, one from the other, before the next is encoded by itself."""
LATEST = 8
"""How many objects of each kind are looked at for the version before."""
AT_ONCE = 1 << 26
"""Bytes of an original that is held in memory; a larger one is encoded, and read, part by part."""
NO_COMMITMENT = Digest(bytes(32))
FACTS = {"hub", "dummies", "latest", "postings"}
"""What stands beside the objects."""

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


class Latest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The objects that may be the version before of what comes next, by kind, the newest first."""

    objects: dict[Kind, tuple[ObjectId, ...]]


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


class Store:
    """One hub's store. Use it from one thread at a time; `close` it, or use it in a `with` statement."""

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
            database.row_trace = _as_written
            store = cls(path, database, hub_key)
            with store.transaction():
                database.execute(_SCHEMA)
                store.set_fact("hub", VERSION + seal(store._mark_key, VERSION, b"", randomness))
                store.set_fact("dummies", randomness.draw(32 * LEAST_LEAVES))
            undo.pop_all()
        return store

    @classmethod
    def open(cls, path: Path, hub_key: bytes, *, is_damaged: bool = False) -> Store:
        """Open a store; raises `NotAStore`, `WrongHubKey` or `StoreBusy`. One that is damaged is opened whatever it says."""
        if not path.is_file():
            raise NotAStore(f"{path}: there is no such file")
        with _readable(path):
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
            if self._is_log_large:
                self._is_log_large = False
                with suppress(StoreBusy, StorageFailed):  # what was written is durable; the log only takes room
                    self.empty_log()

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
        profile: Profile = Profile.SMALL,
        lossy: str | None = None,
        randomness: Randomness,
    ) -> tuple[StoredObject, bool]:
        """Keep an original; says whether it was added. The same bytes again add nothing, except a signature that is
        new.

        `tables` are what programs see of it, kept so that they need not be derived again; `years` its first and last;
        `lossy` names what it lost on its way here, if it is not the file that its owner had. Raises `SignedExactly` if
        that one was signed.
        """
        if lossy is not None and signature is not None:
            raise SignedExactly(f"{name}: what lost something is not what was signed")
        identity = keyed_digest(self._identity_key, original)
        with self.transaction():
            known = self._execute("SELECT id FROM object WHERE identity = ?", identity)
            if known:
                found = self.get_object(ObjectId(known[0][0]))
                if signature is not None and found.descriptor.signature != signature_digest(signature):
                    self._sign(found.id, signature, randomness)
                return self.get_object(found.id), False
            object_id = ObjectId(randomness.draw(16))
            first, last = years or (None, None)
            made = self._encode(original, name, kind, profile)
            descriptor = DatasetDescriptor(
                schema=schema,
                kind=kind,
                first_year=first,
                last_year=last,
                codec=made.codec.name,
                base=made.codec.base,
                policy=policy,
                previous=None if made.after is None else made.after.leaf,
                signature=None if signature is None else signature_digest(signature),
                lossy=lossy,
            )
            record = ObjectRecord(
                name=name,
                descriptor=descriptor,
                salt=Salt(randomness.draw(32)),
                commitment=record_commitment(original),
                received=len(original),
                encoded=len(made.encoded),
                after=None if made.after is None else made.after.id,
                depth=made.depth,
                bases=bases_of(made.codec, made.encoded),
                profile=profile,
            )
            slot = self._free_slot(randomness)
            self._put_record(object_id, slot, identity, record, made.encoded, signature, tables, randomness)
            if len(original) >= LEAST_VERSION:
                self._remember_latest(kind, object_id, randomness)
            return self.get_object(object_id), True

    def put_parts(
        self,
        parts: Callable[[], Iterator[bytes]],
        codec: PartsCodec,
        *,
        name: str,
        kind: Kind,
        schema: str = SCHEMA,
        years: tuple[int, int] | None = None,
        tables: Mapping[str, bytes] | None = None,
        profile: Profile = Profile.SMALL,
        randomness: Randomness,
        told: Callable[[int], None] | None = None,
    ) -> tuple[StoredObject, bool]:
        """As `put_object`, for an original that is never in memory at once: `parts` gives its parts, twice, and `told`
        hears how many bytes of each are stored. Raises `FileChanged` if it is another the second time.

        It is no version of another, and no issuer signs it.
        """
        identity, commitment, received = self._name(parts())
        with self.transaction():
            known = self._execute("SELECT id FROM object WHERE identity = ?", identity)
            if known:
                return self.get_object(ObjectId(known[0][0])), False
            object_id, slot, key = ObjectId(randomness.draw(16)), self._free_slot(randomness), randomness.draw(32)
            again, left = Commitment(), received

            def noted() -> Iterator[bytes]:
                nonlocal left
                for part in parts():
                    again.update(part)
                    left -= len(part)
                    if left < 0:
                        raise FileChanged(f"{name}: has more than the {received} bytes that were read before")
                    yield part
                    if told is not None:
                        told(len(part))

            self._is_log_large = True
            bases = set[Digest]()

            def pieces() -> Iterator[bytes]:
                for piece in codec.encoded_parts(noted()):
                    bases.update(bases_of(codec, piece))
                    yield piece

            encoded = self._put_pieces(object_id, slot, key, pieces())
            if again.digest() != commitment:
                raise FileChanged(f"{name}: of {received} bytes some were others when they were read again")
            first, last = years or (None, None)
            record = ObjectRecord(
                name=name,
                descriptor=DatasetDescriptor(
                    schema=schema, kind=kind, first_year=first, last_year=last, codec=codec.name, base=codec.base
                ),
                salt=Salt(randomness.draw(32)),
                commitment=commitment,
                received=received,
                encoded=encoded,
                bases=tuple(sorted(bases)),
                profile=profile,
            )
            self._describe(object_id, slot, identity, record, key, None, tables, randomness)
            return self.get_object(object_id), True

    def objects(self) -> list[StoredObject]:
        """What the hub keeps, tombstones included, in the order of their places; raises `AlteredBlob` for the first
        that does not open."""
        return [self.get_object(object_id) for object_id in self.ids()]

    def get_object(self, object_id: ObjectId) -> StoredObject:
        """One object; raises `UnknownObject`, or `AlteredBlob` if what is said about it was altered."""
        row = self._row(object_id)
        record, _ = self._open_record(row)
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
            kept=self._size_of("chunk", row.slot)
            + len(row.wrapped or b"")
            + len(row.sealed)
            + len(row.signature or b""),
            cached=self._size_of("rows", row.slot) + len(row.tables or b""),
            after=record.after,
            bases=record.bases,
        )

    def holds(self, original: bytes) -> bool:
        """Whether these very bytes are an original that is here."""
        return bool(
            self._execute("SELECT 1 FROM object WHERE identity = ?", keyed_digest(self._identity_key, original))
        )

    def size(self) -> int:
        """Bytes that the store takes on the disk, its log included."""
        files = (self.path.with_name(self.path.name + end) for end in ("", "-wal"))
        with storage_failures(self.path):
            return sum(one.stat().st_size for one in files if one.exists())

    def get_original(self, object_id: ObjectId) -> bytes:
        """The bytes that were imported; raises `AlteredBlob` naming the first chunk with another byte, or
        `ErasedObject`, or `LargeOriginal` if they are more than are read at once."""
        record, chunks = self._open_chunks(object_id)
        if record.descriptor.codec == PARTS and record.received > AT_ONCE:
            raise LargeOriginal(f"object {object_id.hex()} has {record.received} bytes, more than {AT_ONCE}")
        codec = codec_named(record.descriptor.codec, record.descriptor.base)
        if record.after is not None:
            try:
                codec = codec_after(codec, self.get_original(record.after))
            except (ErasedObject, UnknownObject) as error:
                raise AlteredBlob(f"object {object_id.hex()}: the version before it is gone") from error
        original = codec.decode(b"".join(chunks), record.received)
        if record_commitment(original) != record.commitment:
            raise AlteredBlob(f"object {object_id.hex()} does not give back what was committed to")
        return original

    def read_original(self, object_id: ObjectId) -> Iterator[bytes]:
        """The bytes that were imported, of any size, in pieces of at most `AT_ONCE`; raises as `get_original` does.

        Each piece is what was stored. That all of them are what was committed to is known behind the last.
        """
        record, chunks = self._open_chunks(object_id)
        if record.descriptor.codec != PARTS:
            yield self.get_original(object_id)
            return
        codec, commitment = codec_named(PARTS, None), Commitment()
        assert isinstance(codec, PartsCodec)  # noqa: S101
        for part in codec.decoded_parts(chunks, record.received):
            commitment.update(part)
            yield part
        if commitment.digest() != record.commitment:
            raise AlteredBlob(f"object {object_id.hex()} does not give back what was committed to")

    def verify_original(self, object_id: ObjectId) -> None:
        """Read all of an original, of any size, and keep nothing; raises as `get_original` does."""
        for _ in self.read_original(object_id):
            pass

    def check_stored(self, object_id: ObjectId) -> Digest:
        """Open every stored byte of an object, and name them; raises as `get_original` does.

        Equal names have equal bytes, since a key seals each chunk once: whoever decoded one need not decode it again.
        """
        record, chunks = self._open_chunks(object_id)
        for _ in chunks:
            pass
        return tagged_hash("stored", object_id + encode(record))

    def get_signature(self, object_id: ObjectId) -> bytes | None:
        """The issuer's detached signature over the original, if it came with one."""
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None or row.signature is None:
            return None
        return _open_about(key, b"signature", object_id, row.signature)

    def table(self, object_id: ObjectId) -> dict[str, bytes]:
        """The files of the table that programs see, by name: as kept, or, where they were not, derived from the
        original."""
        kept, _ = self._open_table(object_id)
        if kept is None:
            return self._derive_table(object_id, self.get_original(object_id))
        slot = self._row(object_id).slot
        groups = [self._get_group(kept, object_id, slot, number) for number in range(kept.outline.groups)]
        return join(kept.outline, [group for group, _ in groups])

    def read_rows(self, object_id: ObjectId, columns: Sequence[str], where: Where, randomness: Randomness) -> Rows:
        """Rows of an object's table that fulfil every condition, of the columns that are named: only the row groups in
        which there may be such rows are read. A table that was not kept is derived and kept first.

        Raises `Malformed` for a column that is not there, `AlteredBlob`, `ErasedObject`.
        """
        kept, read = self._open_table(object_id)
        if kept is None:
            with self.transaction():
                self._put_table(object_id, self._derive_table(object_id, self.get_original(object_id)), randomness)
            kept, read = self._open_table(object_id)
            assert kept is not None  # noqa: S101
        numbers = find_groups(kept.outline, where)
        slot = self._row(object_id).slot
        opened = [(number, *self._get_group(kept, object_id, slot, number)) for number in numbers]
        groups = [(number, group) for number, group, _ in opened]
        return Rows(
            columns=select(kept.outline, groups, columns, where),
            strings=strings_in(kept.outline, groups)[0],
            others={name: data for name, data in kept.outline.others if name != STRINGS},
            read=read + sum(size for _, _, size in opened),
        )

    def erase(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Destroy key, salt and bytes of an object, damaged or not; a tombstone with a new salt takes its place. Raises
        `UnknownObject`, `ErasedObject`."""
        if self._row(object_id).wrapped is None:
            raise ErasedObject(f"object {object_id.hex()} was erased before")
        self.destroy(object_id, randomness)
        self.empty_log()

    def destroy(self, object_id: ObjectId, randomness: Randomness) -> None:
        """As `erase`, but the write-ahead log still holds what was there until it is emptied."""
        with self.transaction():
            for other in self.ids():
                with suppress(AlteredBlob, CannotDecode):  # one that cannot be read needs what is erased no more
                    if self._open_record(self._row(other))[0].after == object_id:
                        self._encode_alone(other, randomness)
            self.bury(object_id, randomness)

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
        self._remove_content(self._row(object_id).slot)
        self._execute(
            "UPDATE object SET leaf = ?, identity = NULL, wrapped = NULL, sealed = ?, signature = NULL, "
            "tables = NULL WHERE id = ?",
            leaf_of(tombstone.descriptor, tombstone.salt, tombstone.commitment),
            seal(self._tombstone_key, b"record" + object_id, pad(encode(tombstone)), randomness),
            object_id,
        )

    def empty_log(self) -> None:
        """Overwrite what the write-ahead log still holds of earlier contents."""
        with _readable(self.path):
            self._database.empty_log()

    def check(self, part: tuple[int, int] = (1, 1)) -> list[str]:
        """Compute everything again; a sentence for each thing that is wrong, none if all is well.

        Of a part n of t, each object whose id falls to it: whoever checks all t has checked every object.
        """
        faults = [f"database: {row[0]}" for row in self._execute("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [fault for one in self.ids() if is_of_part(one, part) and (fault := self.fault_of(one)) is not None]
        if not self._has_tables():
            faults.append("the tables are not those of a store")
        if not self.knows_latest():
            faults.append("the list of the latest objects was altered")
        names = [name for (name,) in self._execute("SELECT name FROM fact")]
        faults += [f"there is a fact {name!r}, which no store has" for name in names if name not in FACTS]
        if not faults:
            faults += [f"{what} {place} belongs to no object" for _, what, place in self._strays()]
        return faults

    def _strays(self) -> list[tuple[str, str, int]]:
        """Chunks and row groups in places where there is no object: their table, what they are, and where."""
        taken = {slot for (slot,) in self._execute("SELECT slot FROM object WHERE wrapped IS NOT NULL")}
        return [
            (table, what, place)
            for table, what in (("chunk", "chunk"), ("rows", "row group"))
            for (place,) in self._execute(f"SELECT place FROM {table}")  # noqa: S608
            if place >> PLACES not in taken
        ]

    def check_sealed(self, object_id: ObjectId) -> None:
        """Open every stored byte of an object, tombstones too, and decode nothing; raises as `get_original` does."""
        row = self._row(object_id)
        record, key = self._open_record(row)
        if row.leaf != leaf_of(record.descriptor, record.salt, record.commitment):
            raise AlteredBlob(f"object {object_id.hex()}: its leaf is not the one of its description")
        if key is None:
            return
        self.check_stored(object_id)
        signature = self.get_signature(object_id)
        if record.descriptor.signature != (None if signature is None else signature_digest(signature)):
            raise AlteredBlob(f"object {object_id.hex()}: its signature is not the one of its description")
        kept, _ = self._open_table(object_id)
        groups = 0 if kept is None else kept.outline.groups
        for table, count in (("chunk", _chunks(record.encoded)), ("rows", groups)):
            if (found := self._count_of(table, row.slot)) != count:
                raise AlteredBlob(f"object {object_id.hex()}: {found} in {table}, where there should be {count}")
        for number in range(groups):
            if kept is not None:
                self._get_group(kept, object_id, row.slot, number)

    # ── mending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def fault_of(self, object_id: ObjectId) -> str | None:
        """What is wrong with an object, tombstones too; none if all is well."""
        try:
            self._check_object(object_id)
        except StorageFailed:
            raise
        except EdgeholdError as error:
            return str(error)
        return None

    def ids(self) -> list[ObjectId]:
        """Every object, tombstones too, by their places; raises `NotAStore` where the file cannot be read."""
        return [ObjectId(object_id) for (object_id,) in self._execute("SELECT id FROM object ORDER BY slot")]

    def is_marked(self) -> bool:
        """Whether the store's mark opens with its key."""
        mark = self.get_fact("hub")
        try:
            open_sealed(self._mark_key, VERSION, mark[len(VERSION) :])
        except CannotOpen:
            return False
        return mark.startswith(VERSION)

    def knows_latest(self) -> bool:
        """Whether the list of objects that may have a next version can be read, and they are all here."""
        try:
            listed = self._latest().objects.values()
        except AlteredBlob:
            return False
        return {one for objects in listed for one in objects} <= set(self.ids())

    def is_readable(self) -> bool:
        """Whether SQLite finds nothing wrong with the file, its tables are a store's, and every object has a name and a
        place."""
        try:
            self._execute("SELECT id, slot FROM object")
            return self._execute("PRAGMA integrity_check") == [("ok",)] and self._has_tables()
        except (NotAStore, AlteredBlob):
            return False

    def _has_tables(self) -> bool:
        """Whether the tables are those that every store has."""
        made = {statement.strip() for statement in _SCHEMA.split(";") if statement.strip()}
        return made <= {sql for (sql,) in self._execute("SELECT sql FROM sqlite_schema")}

    def readable_keys(self) -> dict[ObjectId, bytes | None]:
        """The objects that a file still names, damaged or not, from whichever end they can be read, with their wrapped keys;
        none of one that was erased."""
        found: dict[ObjectId, bytes | None] = {}
        for order in ("", " DESC"):
            with suppress(NotAStore, AlteredBlob), _readable(self.path):
                for object_id, key in self._database.execute(f"SELECT id, wrapped FROM object ORDER BY id{order}"):  # noqa: S608
                    found[ObjectId(object_id)] = key
        return found

    def is_erased(self, object_id: ObjectId) -> bool:
        """Whether a tombstone, damaged or not, stands for an object: the key is gone."""
        try:
            rows = self._execute("SELECT wrapped IS NULL FROM object WHERE id = ?", object_id)
        except NotAStore:
            return False
        return bool(rows and rows[0][0])

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All that is written inside is undone if an error leaves it, also within a transaction."""
        with _readable(self.path), self._database:
            yield

    def rename(self, object_id: ObjectId, name: ObjectId) -> None:
        """Give an object back its id."""
        self._execute("UPDATE object SET id = ? WHERE id = ?", name, object_id)

    def mend_content(self, object_id: ObjectId, other: Store) -> None:
        """Put back each chunk and row group that is not as it was, if another store of this hub holds it so; a key seals
        each of them once, so whatever opens is what was there."""
        row, before = self._row(object_id), other._row(object_id).slot
        record, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        total = _chunks(record.encoded)
        try:
            kept, _ = self._open_table(object_id)
        except AlteredBlob:
            self._execute("UPDATE object SET tables = ? WHERE id = ?", other._row(object_id).tables, object_id)
            kept, _ = self._open_table(object_id)
        groups = 0 if kept is None else kept.outline.groups
        for table, count in (("chunk", total), ("rows", groups)):
            end = _places(row.slot)[1]
            self._execute(f"DELETE FROM {table} WHERE place BETWEEN ? AND ?", _place(row.slot, count), end)  # noqa: S608
            for number in range(count):
                try:
                    if table == "chunk":
                        self._get_chunk(object_id, row.slot, key, number, record)
                    elif kept is not None:
                        self._get_group(kept, object_id, row.slot, number)
                except AlteredBlob:
                    self._copy_content(other, table, _place(before, number), _place(row.slot, number))

    def mend_derived(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Make again what follows from an object's description and original: leaf, identity, and a table if it has one."""
        row = self._row(object_id)
        record, _ = self._open_record(row)
        original, identity = self._identify(object_id)
        table = None if row.tables is None else self._derive_table(object_id, original)
        self._remove_content(row.slot, ("rows",))
        self._execute(
            "UPDATE object SET leaf = ?, identity = ?, tables = NULL WHERE id = ?",
            leaf_of(record.descriptor, record.salt, record.commitment),
            identity,
            object_id,
        )
        if table is not None:
            self._put_table(object_id, table, randomness)

    def take_over(self, object_id: ObjectId, other: Store, randomness: Randomness) -> None:
        """Replace all that is kept of an object by what another store of this hub keeps of it, sealed as it is."""
        before = other._row(object_id).slot
        self._make_room(object_id)
        for row in other._execute("SELECT * FROM object WHERE id = ?", object_id):
            self._execute(f"INSERT INTO object VALUES({', '.join('?' * len(row))})", *row)
        slot = self._take_slot(object_id, before, randomness)
        for table in ("chunk", "rows"):
            for (place,) in other._execute(f"SELECT place FROM {table} WHERE place BETWEEN ? AND ?", *_places(before)):  # noqa: S608
                self._copy_content(other, table, place, place - _place(before, 0) + _place(slot, 0))

    def take_over_alone(self, object_id: ObjectId, other: Store, randomness: Randomness) -> None:
        """As `take_over`, encoded by itself and sealed anew, where the version is gone that it was the difference from."""
        row = other._row(object_id)
        record, _ = other._open_record(row)
        assert row.identity is not None  # noqa: S101
        original, signature = other.get_original(object_id), other.get_signature(object_id)
        tables = None if row.tables is None else other.table(object_id)
        self._make_room(object_id)
        self._execute("INSERT INTO object(id, slot, leaf, sealed) VALUES(?, ?, x'', x'')", object_id, row.slot)
        slot = self._take_slot(object_id, row.slot, randomness)
        self._put_alone(object_id, slot, row.identity, record, original, signature, tables, randomness)

    def bury_anew(self, object_id: ObjectId, slot: int, randomness: Randomness) -> None:
        """Put a tombstone in the place of an object of which nothing is left."""
        self._execute("INSERT INTO object(id, slot, leaf, sealed) VALUES(?, ?, x'', x'')", object_id, slot)
        self._take_slot(object_id, slot, randomness)
        self.bury(object_id, randomness)

    def remove_strays(self) -> int:
        """Remove chunks and row groups that belong to no object; how many."""
        strays = self._strays()
        for table, _, place in strays:
            self._execute(f"DELETE FROM {table} WHERE place = ?", place)  # noqa: S608
        return len(strays)

    def _make_room(self, object_id: ObjectId) -> None:
        for (slot,) in self._execute("SELECT slot FROM object WHERE id = ?", object_id):
            self._remove_content(slot)
        self._execute("DELETE FROM object WHERE id = ?", object_id)

    def _take_slot(self, object_id: ObjectId, slot: int, randomness: Randomness) -> int:
        """Give an object its place among the leaves, or another if somebody has it; the place is empty then."""
        if self._execute("SELECT 1 FROM object WHERE slot = ? AND id != ?", slot, object_id):
            slot = self._free_slot(randomness)
            self._execute("UPDATE object SET slot = ? WHERE id = ?", slot, object_id)
        self._remove_content(slot)
        return slot

    def _copy_content(self, other: Store, table: str, place: int, to: int) -> None:
        for (data,) in other._execute(f"SELECT data FROM {table} WHERE place = ?", place):  # noqa: S608
            self._execute(f"INSERT OR REPLACE INTO {table} VALUES(?, ?)", to, data)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _execute(self, statement: str, *values: bytes | str | int | None) -> list[Any]:
        with _readable(self.path):
            return self._database.execute(statement, values).fetchall()

    def _open_chunks(self, object_id: ObjectId) -> tuple[ObjectRecord, Iterator[bytes]]:
        """What is said about an object, and its encoding in pieces that are opened one by one."""
        row = self._row(object_id)
        record, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        total = _chunks(record.encoded)
        opened = (self._get_chunk(object_id, row.slot, key, number, record) for number in range(total))
        return record, (chunk[: max(record.encoded - number * CHUNK, 0)] for number, chunk in enumerate(opened))

    def _encode(self, original: bytes, name: str, kind: Kind, profile: Profile) -> _Encoded:
        """The fewest bytes for an original, by itself or as the difference from a version before."""
        codec, encoded = encode_smallest(original, codecs_for(kind, profile))
        before = self._version_before(name, kind) if LEAST_VERSION <= len(original) <= MOST_VERSION else None
        if before is not None and before[0].received <= MOST_VERSION:
            found, depth = before
            try:
                known = self.get_original(found.id)
                other, fewer = encode_smallest(original, codecs_after(kind, known, profile))
            except (CannotDecode, AlteredBlob):
                return _Encoded(codec, encoded)
            if 2 * len(fewer) <= len(encoded):
                return _Encoded(other, fewer, found, depth + 1)
        return _Encoded(codec, encoded)

    def _version_before(self, name: str, kind: Kind) -> tuple[StoredObject, int] | None:
        """The object that may be the version before: of those of the kind the newest of that name, or the newest."""
        known = [one for one in self._latest().objects.get(kind, ()) if self._row(one).wrapped is not None]
        records = [(one, self._open_record(self._row(one))[0]) for one in known]
        likely = [one for one in records if one[1].name == name] or records
        if not likely or likely[0][1].depth >= MOST_VERSIONS:
            return None
        object_id, record = likely[0]
        return self.get_object(object_id), record.depth

    def _latest(self) -> Latest:
        kept = self.get_fact("latest")
        try:
            return decode(unpad(open_sealed(self._latest_key, b"latest", kept)), Latest) if kept else Latest({})
        except (CannotOpen, Malformed) as error:
            raise AlteredBlob("the list of the latest objects was altered") from error

    def _remember_latest(self, kind: Kind, object_id: ObjectId, randomness: Randomness) -> None:
        known = self._latest().objects
        latest = Latest(known | {kind: (object_id, *known.get(kind, ()))[:LATEST]})
        self.set_fact("latest", seal(self._latest_key, b"latest", pad(encode(latest)), randomness))

    def _put_record(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        encoded: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | None,
        randomness: Randomness,
    ) -> None:
        """Seal everything of an object under a new key, in its place."""
        key = randomness.draw(32)
        self._put_chunks(object_id, slot, key, encoded)
        self._describe(object_id, slot, identity, record, key, signature, tables, randomness)

    def _describe(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        key: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | None,
        randomness: Randomness,
    ) -> None:
        """Seal everything of an object but its chunks, which are there."""
        self._execute(
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
            self._put_table(object_id, tables, randomness)

    def _encode_alone(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Encode an object anew that is the difference from another, by itself and under a new key; its leaf changes,
        and with it the salt."""
        row = self._row(object_id)
        record, _ = self._open_record(row)
        original, signature, tables = self.get_original(object_id), None, None
        with suppress(AlteredBlob):  # what was altered of the rest does not keep the original from going on
            signature = self.get_signature(object_id)
        with suppress(AlteredBlob):
            tables = None if row.tables is None else self.table(object_id)
        assert row.identity is not None  # noqa: S101
        self._remove_content(row.slot)
        self._put_alone(object_id, row.slot, row.identity, record, original, signature, tables, randomness)

    def _put_alone(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        original: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | None,
        randomness: Randomness,
    ) -> None:
        """Encode an original by itself and seal it with everything that belongs to it, under a new key."""
        codec, encoded = encode_smallest(original, codecs_for(record.descriptor.kind, record.profile))
        alone = msgspec.structs.replace(
            record,
            descriptor=msgspec.structs.replace(record.descriptor, codec=codec.name, base=codec.base, previous=None),
            salt=Salt(randomness.draw(32)),
            encoded=len(encoded),
            after=None,
            depth=0,
            bases=bases_of(codec, encoded),
        )
        self._put_record(object_id, slot, identity, alone, encoded, signature, tables, randomness)

    def _remove_content(self, slot: int, tables: Sequence[str] = ("chunk", "rows")) -> None:
        for table in tables:
            self._execute(f"DELETE FROM {table} WHERE place BETWEEN ? AND ?", *_places(slot))  # noqa: S608

    def _size_of(self, table: str, slot: int) -> int:
        """Sealed bytes of an object in one of the tables of chunks and row groups."""
        found = self._execute(f"SELECT total(length(data)) FROM {table} WHERE place BETWEEN ? AND ?", *_places(slot))  # noqa: S608
        return int(found[0][0])

    def _count_of(self, table: str, slot: int) -> int:
        return int(self._execute(f"SELECT count(*) FROM {table} WHERE place BETWEEN ? AND ?", *_places(slot))[0][0])  # noqa: S608

    def _put_table(self, object_id: ObjectId, files: Mapping[str, bytes], randomness: Randomness) -> None:
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        kept, groups = close_table(Digest(randomness.draw(32)), object_id, files)
        self._remove_content(row.slot, ("rows",))
        for number, group in enumerate(groups):
            self._execute("INSERT INTO rows VALUES(?, ?)", _place(row.slot, number), group)
        sealed = _seal_about(key, b"tables", object_id, kept, randomness)
        self._execute("UPDATE object SET tables = ? WHERE id = ?", sealed, object_id)

    def _open_table(self, object_id: ObjectId) -> tuple[KeptTable | None, int]:
        """How the table of an object is read, and the sealed bytes that say so; none if it is not kept."""
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None:
            raise ErasedObject(f"object {object_id.hex()} was erased")
        if row.tables is None:
            return None, 0
        try:
            return open_table(_open_about(key, b"tables", object_id, row.tables)), len(row.tables)
        except (Malformed, CannotDecode) as error:
            raise AlteredBlob(f"the tables of object {object_id.hex()} were altered") from error

    def _get_group(self, kept: KeptTable, object_id: ObjectId, slot: int, number: int) -> tuple[bytes, int]:
        """One row group, and the sealed bytes it was in."""
        rows = self._execute("SELECT data FROM rows WHERE place = ?", _place(slot, number))
        if not rows:
            raise AlteredBlob(f"row group {number} of object {object_id.hex()} is missing")
        try:
            return open_group(kept, object_id, number, rows[0][0]), len(rows[0][0])
        except (CannotOpen, Malformed, CannotDecode) as error:
            raise AlteredBlob(f"row group {number} of object {object_id.hex()} was altered") from error

    def _check_object(self, object_id: ObjectId) -> None:
        self.check_sealed(object_id)
        row = self._row(object_id)
        _, key = self._open_record(row)
        if key is None:
            return
        original, identity = self._identify(object_id)
        if row.identity != identity:
            raise AlteredBlob(f"object {object_id.hex()}: its identity is not the one of its original")
        kept, _ = self._open_table(object_id)
        if kept is not None and (files := self.table(object_id)) != self._derive_again(object_id, original, files):
            raise AlteredBlob(f"object {object_id.hex()}: its tables are not those of its original")

    def _name(self, parts: Iterable[bytes]) -> tuple[bytes, Digest, int]:
        """Identity and commitment of an original that comes in parts, and its length."""
        identity, commitment, received = start_keyed_digest(self._identity_key), Commitment(), 0
        for part in parts:
            identity.update(part)
            commitment.update(part)
            received += len(part)
        return identity.digest(), commitment.digest(), received

    def _identify(self, object_id: ObjectId) -> tuple[bytes, bytes]:
        """What a table is derived from, the original or of one in parts the first, and the identity of all of it."""
        identity, first = start_keyed_digest(self._identity_key), None
        for piece in self.read_original(object_id):
            identity.update(piece)
            first = piece if first is None else first
        return first or b"", identity.digest()

    def _derive_table(self, object_id: ObjectId, original: bytes) -> dict[str, bytes]:
        """The table of an object that has none yet; raises `NoTable`."""
        derived = self._derive_again(object_id, original, None)
        if derived is None:
            raise NoTable(f"object {object_id.hex()} has no table")
        return dict(derived)

    def _derive_again(
        self, object_id: ObjectId, original: bytes, kept: Mapping[str, bytes] | None
    ) -> Mapping[str, bytes] | None:
        """The table that the original of an object gives, as it gave the one that was kept."""
        one = self.get_object(object_id)
        if one.descriptor.schema == NO_TABLE and one.descriptor.codec == PARTS:
            return None
        if one.descriptor.kind is Kind.EHR:
            return derive_tables(original)
        return derive_again(original, kind=one.descriptor.kind, name=one.name, kept=kept, beside=self._originals_named)

    def _originals_named(self, name: str) -> Iterator[bytes]:
        """The originals of this name; what is said of another object may be altered."""
        for object_id in self.ids():
            with suppress(AlteredBlob):
                one = self.get_object(object_id)
                if one.name == name and not one.descriptor.tombstone and one.received <= AT_ONCE:
                    yield self.get_original(object_id)

    def _row(self, object_id: ObjectId) -> _Row:
        columns = "id, slot, leaf, identity, wrapped, sealed, signature, tables"
        rows = self._execute(f"SELECT {columns} FROM object WHERE id = ?", object_id)  # noqa: S608
        if not rows:
            raise UnknownObject(f"there is no object {object_id.hex()}")
        if rows[0][0] != object_id:  # in a damaged tree SQLite finds what it did not look for
            raise AlteredBlob(f"what is said about object {object_id.hex()} was altered")
        return _Row(*rows[0])

    def _open_record(self, row: _Row) -> tuple[ObjectRecord, bytes | None]:
        """What is said about an object, and its key unless it was erased."""
        try:
            key = None if row.wrapped is None else open_sealed(self._wrap_key, b"key" + row.id, row.wrapped)
            about = self._tombstone_key if key is None else derive_key(key, "about")
            return decode(unpad(open_sealed(about, b"record" + row.id, row.sealed)), ObjectRecord), key
        except (CannotOpen, Malformed) as error:
            raise AlteredBlob(f"what is said about object {row.id.hex()} was altered") from error

    def _put_chunks(self, object_id: ObjectId, slot: int, key: bytes, encoded: bytes) -> None:
        padded = encoded.ljust(padme(len(encoded)), b"\0")
        total = _chunks(len(encoded))
        for number in range(total):
            sealed = seal_chunk(key, object_id, number, total, padded[number * CHUNK : (number + 1) * CHUNK])
            self._execute("INSERT INTO chunk VALUES(?, ?)", _place(slot, number), sealed)

    def _put_pieces(self, object_id: ObjectId, slot: int, key: bytes, pieces: Iterable[bytes]) -> int:
        """As `_put_chunks`, for an encoding whose length is not known before its last piece; how many bytes it has."""
        held, number, encoded = bytearray(), 0, 0

        def put(chunk: bytes) -> None:
            sealed = seal_chunk(key, object_id, number, MAX_CHUNKS, chunk)
            self._execute("INSERT INTO chunk VALUES(?, ?)", _place(slot, number), sealed)

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

    def _get_chunk(self, object_id: ObjectId, slot: int, key: bytes, number: int, record: ObjectRecord) -> bytes:
        total = _chunks(record.encoded)
        rows = self._execute("SELECT data FROM chunk WHERE place = ?", _place(slot, number))
        if not rows:
            raise AlteredBlob(f"chunk {number} of {total} of object {object_id.hex()} is missing")
        try:
            of = MAX_CHUNKS if record.descriptor.codec == PARTS else total
            return open_chunk(key, object_id, number, of, rows[0][0])
        except CannotOpen as error:
            raise AlteredBlob(f"chunk {number} of {total} of object {object_id.hex()} was altered") from error

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
            _seal_about(key, b"record", object_id, pad(encode(signed)), randomness),
            _seal_about(key, b"signature", object_id, signature, randomness),
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

    def last_slot(self) -> int:
        """The highest place that an object has among the leaves; −1 if there is none."""
        return max((slot for (slot,) in self._execute("SELECT slot FROM object")), default=-1)

    def filling_slots(self) -> set[int]:
        """The places among the leaves that no object has."""
        taken = {slot for (slot,) in self._execute("SELECT slot FROM object")}
        return set(range(len(self.get_fact("dummies")) // 32)) - taken

    def leaves(self) -> list[Digest]:
        """The leaves under the hub's root by their places: those of objects, and random ones that only fill. Raises
        `AlteredBlob` for a place that is none."""
        dummies = self.get_fact("dummies")
        leaves = [Digest(dummies[start : start + 32]) for start in range(0, len(dummies), 32)]
        for slot, leaf in self._execute("SELECT slot, leaf FROM object"):
            if slot >= len(leaves):
                raise AlteredBlob(f"place {slot} is none of the {len(leaves)} leaves")
            leaves[slot] = Digest(leaf)
        return leaves


@dataclass(frozen=True)
class _Encoded:
    """An encoding, and the version that it is the difference from, which reaches so far back."""

    codec: Codec
    encoded: bytes
    after: StoredObject | None = None
    depth: int = 0


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


# ── places and digests ────────────────────────────────────────────────────────────────────────────────────────────


def _place(slot: int, number: int) -> int:
    """The key of a chunk or row group of the object in this place."""
    return slot << PLACES | number


def _places(slot: int) -> tuple[int, int]:
    """Between which keys those of one object lie."""
    return _place(slot, 0), _place(slot + 1, 0) - 1


def _chunks(encoded: int) -> int:
    """How many chunks so many bytes are cut into, padded."""
    return -(-padme(encoded) // CHUNK)


def is_of_part(object_id: ObjectId, part: tuple[int, int]) -> bool:
    """Whether an object falls to the n-th of t parts."""
    number, of = part
    return int.from_bytes(object_id[:8], "big") % of == number - 1


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
def _readable(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path}: in use by another process") from error
    except (apsw.Error, UnicodeDecodeError) as error:  # text where bytes were kept
        raise NotAStore(f"{path}: not a store, or damaged: {error}") from error
