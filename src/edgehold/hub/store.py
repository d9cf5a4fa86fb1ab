"""What a hub keeps: originals, encoded sparsely, and the tables that are derived from them, in one sealed file.

An original that is the next version of another is encoded as the difference from it. When the other is erased, those
that follow it are encoded anew first. One that is too large to be in memory is encoded, and read, part by part, and so
is its next version, step by step with it. Between the two are those of which the first is encoded at once, and the next
part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from io import BytesIO
from itertools import islice

import msgspec
from msgspec import Struct

from edgehold.codecs.alike import is_alike, sketch_of
from edgehold.codecs.choice import (
    NEXT_SHARE,
    Cut,
    Profile,
    bases_of,
    can_follow,
    codec_after,
    codec_named,
    codecs_after,
    codecs_for,
    cut_next,
    encode_smallest,
    packed_codec,
    parts_codec,
)
from edgehold.codecs.events import SCHEMA
from edgehold.codecs.general import ZSTD, Codec, Holding
from edgehold.codecs.packed import DEFLATE, size_inside
from edgehold.codecs.packs import is_pack
from edgehold.codecs.parts import PARTS, Measured, Parts, PartsCodec, Versions, Whole, measured
from edgehold.codecs.segments import STRINGS, Segments, Where, cut_table, find_groups, join, select
from edgehold.codecs.stretches import texts_of
from edgehold.codecs.tables.form import Table, files_of
from edgehold.crypto.aead import (
    keyed_digest,
    open_sealed,
    seal,
    start_keyed_digest,
)
from edgehold.crypto.padding import pad, unpad
from edgehold.errors import (
    AlteredBlob,
    CannotDecode,
    CannotOpen,
    EdgeholdError,
    ErasedObject,
    FileChanged,
    LargeOriginal,
    LargeTable,
    Malformed,
    NoTable,
    SignedExactly,
    StorageFailed,
    UnknownObject,
)
from edgehold.hub.intake.derive import derive_again
from edgehold.hub.sealed import SPARE_SLOT, ObjectRecord, SealedFile, StoredObject, chunks_of, leaf_of
from edgehold.hub.tables import KeptTable, Made, Rows, derive_large, derive_tables
from edgehold.ports import Randomness
from edgehold.verify.opening import Commitment, record_commitment, signature_digest
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Kind, ObjectId, Salt
from edgehold.wire.ids import Digest

LEAST_VERSION, MOST_VERSION = 1 << 14, 3 << 22
"""Bytes of originals of which it is asked whether one is the next version of the other; to know both takes much memory. Of
those that are larger, or hold more, the next version is told part by part."""
NO_TABLE = ""
"""The schema of what programs do not read."""
MOST_VERSIONS = 8
"""How many versions are differences, one from the other, before the next is encoded by itself."""
MOST_LARGE_VERSIONS = 4
"""Of originals that are read part by part: a part of each version is in memory then."""
MOST_NEXT = 1 << 12
"""Parts of an original that could be encoded at once, and is compared with the version before: a file may hold any number of
small ones."""
LATEST = 8
"""How many objects of each kind, small and large, are looked at for the version before."""
AT_ONCE = 1 << 26
"""Bytes of an original that is held in memory; a larger one is encoded, and read, part by part."""
MOST_VIEW = 1 << 28
"""Bytes of a table that is in memory at once, for a program or another tool; rows of a larger one are read."""
STRETCH = 1 << 17
"""Rows of a table that are in memory at once where all of them are read, one stretch after another."""
FACTS = {"hub", "dummies", "latest", "postings"}
"""What stands beside the objects."""


class Doing(StrEnum):
    """What is done with a large original, each time from its beginning to its end."""

    STEP = "steps of"
    """Its qualities are put in steps, to see what is lost."""
    READ = "reading"
    """It is named."""
    COMPARE = "comparing"
    """It is unpacked, to know what of it is as in the version before."""
    ENCODE = "encoding"
    DERIVE = "table of"
    """Its table is made."""


class Large(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An object whose next version is told part by part."""

    id: ObjectId
    sketch: bytes
    """Of what is inside, if it is kept at once: it is decoded only if that of the next version is alike."""


class Latest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The objects that may be the version before of what comes next, by kind, the newest first."""

    objects: dict[Kind, tuple[ObjectId, ...]]
    large: dict[Kind, tuple[Large, ...]]
    """Those that are kept part by part, or whose next version would be."""


class Store(SealedFile):
    """The originals of one hub, and their tables."""

    # ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────────

    def put_object(
        self,
        original: bytes,
        *,
        name: str,
        kind: Kind,
        schema: str = SCHEMA,
        years: tuple[int, int] | None = None,
        tables: Mapping[str, bytes] | Segments | None = None,
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
            known = self.execute("SELECT id FROM object WHERE identity = ?", identity)
            if known:
                found = self.get_object(ObjectId(known[0][0]))
                if signature is not None and found.descriptor.signature != signature_digest(signature):
                    self.sign(found.id, signature, randomness)
                return self.get_object(found.id), False
            object_id = ObjectId(randomness.draw(16))
            first, last = years or (None, None)
            cut = cut_of(original, kind, profile)
            sketch = None if cut is None else sketch_of(texts_inside(original, cut))
            made = None
            if cut is not None and sketch is not None:
                made = self._encode_next(original, cut, sketch, name, kind)
            made = made or self._encode(original, name, kind, profile, is_alone=cut is not None)
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
            slot = self.free_slot(randomness)
            self.put_record(object_id, slot, identity, record, made.encoded, signature, tables, randomness)
            if sketch is not None and (made.codec.name in (PARTS, DEFLATE) or not is_pack(original)):
                self._remember_large(kind, Large(object_id, b"" if made.codec.name == PARTS else sketch), randomness)
            elif sketch is None and len(original) >= LEAST_VERSION:
                self._remember(kind, object_id, randomness)
            return self.get_object(object_id), True

    def put_parts(
        self,
        parts: Callable[[], Iterator[bytes]],
        codec: PartsCodec,
        *,
        name: str,
        kind: Kind,
        derive: Callable[[Iterable[bytes]], Made | None] = lambda _: None,
        pieces: Callable[[], Iterator[bytes]] | None = None,
        signature: bytes | None = None,
        profile: Profile = Profile.SMALL,
        lossy: str | None = None,
        randomness: Randomness,
        told: Callable[[Doing, int], None] = lambda _, __: None,
    ) -> tuple[StoredObject, bool]:
        """As `put_object`, for an original that is never in memory at once: `parts` gives its parts, as often as they are
        asked for, `derive` makes their table if they are stored, of `pieces` if it needs smaller ones, and `told` hears what
        is done with how many more bytes. Raises `FileChanged` if it is another than the first time.

        Whoever has a `signature` checks it while the parts are read for the first time.
        """
        if lossy is not None and signature is not None:
            raise SignedExactly(f"{name}: what lost something is not what was signed")
        read, named = telling(parts, told, Doing.READ)(), list[Measured]()
        identity, commitment, received = self._name(read if codec.has_inside else noted(read, named))
        with self.transaction():
            known = self.execute("SELECT id FROM object WHERE identity = ?", identity)
            if known:
                found = self.get_object(ObjectId(known[0][0]))
                if signature is not None and found.descriptor.signature != signature_digest(signature):
                    self.sign(found.id, signature, randomness)
                return self.get_object(found.id), False
            object_id, slot, key = ObjectId(randomness.draw(16)), self.free_slot(randomness), randomness.draw(32)

            encode = _Again(telling(parts, told, Doing.ENCODE), name, commitment, received)
            self._is_log_large = True
            bases = set[Digest]()
            compare = _Again(telling(parts, told, Doing.COMPARE), name, commitment, received)
            before, versions = self._large_before(
                name, kind, lambda: codec.measured(compare) if codec.has_inside else named
            )

            def encoded_parts() -> Iterator[bytes]:
                for piece in codec.encoded_parts(iter(encode), versions):
                    bases.update(bases_of(codec, piece))
                    yield piece

            encoded = self.put_pieces(object_id, slot, key, encoded_parts())
            again = _Again(telling(pieces or parts, told, Doing.DERIVE), name, commitment, received)
            made = derive(again)
            again.finish()
            first, last = (made and made.years) or (None, None)
            if versions is None or versions.named is None:
                before = None
            record = ObjectRecord(
                name=name,
                descriptor=DatasetDescriptor(
                    schema=NO_TABLE if made is None else made.schema,
                    kind=kind,
                    first_year=first,
                    last_year=last,
                    codec=codec.name,
                    base=codec.base,
                    previous=None if before is None else before[0].leaf,
                    signature=None if signature is None else signature_digest(signature),
                    lossy=lossy,
                ),
                salt=Salt(randomness.draw(32)),
                commitment=commitment,
                received=received,
                encoded=encoded,
                after=None if before is None else before[0].id,
                depth=0 if before is None else before[1] + 1,
                bases=tuple(sorted(bases)),
                profile=profile,
            )
            table = None if made is None else made.segments
            self.describe(object_id, slot, identity, record, key, signature, table, randomness)
            self._remember_large(kind, Large(object_id, b""), randomness)
            return self.get_object(object_id), True

    def holds(self, original: Iterable[bytes]) -> bool:
        """Whether these very bytes, in pieces, are an original that is here."""
        identity, *_ = self._name(original)
        return bool(self.execute("SELECT 1 FROM object WHERE identity = ?", identity))

    # ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def get_original(self, object_id: ObjectId) -> bytes:
        """The bytes that were imported; raises `AlteredBlob` naming the first chunk with another byte, or
        `ErasedObject`, or `LargeOriginal` if they are more than are read at once."""
        record, chunks = self.open_chunks(object_id)
        if record.descriptor.codec == PARTS and record.received > AT_ONCE:
            raise LargeOriginal(f"object {object_id.hex()} has {record.received} bytes, more than {AT_ONCE}")
        if record.descriptor.codec == PARTS:
            return b"".join(self.read_original(object_id))
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
        record, _ = self.open_chunks(object_id)
        if record.descriptor.codec != PARTS:
            yield self.get_original(object_id)
            return
        commitment = Commitment()
        for part in self._parts(object_id).decoded():
            commitment.update(part)
            yield part
        if commitment.digest() != record.commitment:
            raise AlteredBlob(f"object {object_id.hex()} does not give back what was committed to")

    def _parts(self, object_id: ObjectId) -> Parts:
        """The parts of an original that is kept part by part, with those of the versions before it."""
        record, chunks = self.open_chunks(object_id)
        before = None
        if record.after is not None:
            try:
                before = self._before(record.after)
            except (ErasedObject, UnknownObject) as error:
                raise AlteredBlob(f"object {object_id.hex()}: the version before it is gone") from error
        return parts_codec(record.descriptor.kind).opened(chunks, record.received, before)

    def _before(self, object_id: ObjectId) -> Parts | Whole:
        """An original that one follows which is kept part by part."""
        record, _ = self.open_chunks(object_id)
        if record.descriptor.codec == PARTS:
            return self._parts(object_id)
        return Whole(lambda: b"".join(self._contents(object_id)))

    def _contents(self, object_id: ObjectId) -> Sequence[bytes]:
        """What is inside of an original that is kept at once, one text after another; itself if it is not unpacked. Raises
        `AlteredBlob`, `CannotDecode`."""
        record, chunks = self.open_chunks(object_id)
        if record.after is not None or record.received > AT_ONCE:
            raise AlteredBlob(f"object {object_id.hex()} is not kept as those are that are followed part by part")
        if record.descriptor.codec == DEFLATE:
            return packed_codec().contents(b"".join(chunks), record.received)
        return [self.get_original(object_id)]

    def verify_original(self, object_id: ObjectId) -> None:
        """Read all of an original, of any size, and keep nothing; raises as `get_original` does."""
        for _ in self.read_original(object_id):
            pass

    def table(self, object_id: ObjectId) -> dict[str, bytes]:
        """The files of the table that programs see, by name: as kept, or, where they were not, derived from the
        original. Raises `LargeTable`."""
        kept, _ = self.kept_table(object_id)
        if kept is None:
            return dict(files_of(self.derive_table(object_id)))
        outline, slot = kept.outline, self.row(object_id).slot
        size = sum(map(outline.size_of, range(outline.groups)))
        if size > MOST_VIEW:
            raise LargeTable(f"the table of object {object_id.hex()} has {size} bytes, more than {MOST_VIEW}")
        groups = (self.get_group(kept, object_id, slot, number)[0] for number in range(outline.groups))
        return join(outline, groups)

    def read_rows(self, object_id: ObjectId, columns: Sequence[str], where: Where, randomness: Randomness) -> Rows:
        """Rows of an object's table that fulfil every condition, of the columns that are named: only the row groups in
        which there may be such rows are read. A table that was not kept is derived and kept first.

        Raises `Malformed` for a column that is not there, `AlteredBlob`, `ErasedObject`.
        """
        kept, read = self._kept_or_derived(object_id, randomness)
        return self._rows_of(object_id, kept, find_groups(kept.outline, where), columns, where, read)

    def read_stretches(
        self, object_id: ObjectId, columns: Sequence[str], where: Where, randomness: Randomness
    ) -> Iterator[tuple[int, Rows]]:
        """As `read_rows`, of a table of any size: the rows of some groups, then of the next, each time with the number of the
        first row of these groups."""
        kept, read = self._kept_or_derived(object_id, randomness)
        numbers, several = find_groups(kept.outline, where), max(STRETCH // kept.outline.group, 1)
        for start in range(0, len(numbers), several):
            some = numbers[start : start + several]
            yield some[0] * kept.outline.group, self._rows_of(object_id, kept, some, columns, where, read)
            read = 0

    def _kept_or_derived(self, object_id: ObjectId, randomness: Randomness) -> tuple[KeptTable, int]:
        """How the table of an object is read, which is derived and kept first if it was not, and the sealed bytes that say
        so."""
        kept, read = self.kept_table(object_id)
        if kept is None:
            with self.transaction():
                self.put_table(object_id, cut_table(self.derive_table(object_id)), randomness)
            kept, read = self.kept_table(object_id)
            assert kept is not None  # noqa: S101
        return kept, read

    def _rows_of(
        self,
        object_id: ObjectId,
        kept: KeptTable,
        numbers: Sequence[int],
        columns: Sequence[str],
        where: Where,
        read: int,
    ) -> Rows:
        """The rows of some groups that fulfil every condition; so many sealed bytes were read before."""
        slot = self.row(object_id).slot

        def opened() -> Iterator[tuple[int, bytes]]:
            nonlocal read
            for number in numbers:
                group, size = self.get_group(kept, object_id, slot, number)
                read += size
                yield number, group

        found, strings = select(kept.outline, opened(), columns, where)
        others = {name: data for name, data in kept.outline.others if name != STRINGS}
        return Rows(columns=found, strings=strings, others=others, read=read)

    # ── erasure ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def erase(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Destroy key, salt and bytes of an object, damaged or not; a tombstone with a new salt takes its place. Raises
        `UnknownObject`, `ErasedObject`."""
        if self.row(object_id).wrapped is None:
            raise ErasedObject(f"object {object_id.hex()} was erased before")
        self.destroy(object_id, randomness)
        self.empty_log()

    def destroy(self, object_id: ObjectId, randomness: Randomness) -> None:
        """As `erase`, but the write-ahead log still holds what was there until it is emptied."""
        with self.transaction():
            for other in self.ids():
                with suppress(AlteredBlob, CannotDecode), self.attempt():  # what cannot be read needs it no more
                    if self.open_record(self.row(other))[0].after == object_id:
                        self._encode_alone(other, randomness)
            self._forget_sketch(object_id, randomness)
            self.bury(object_id, randomness)

    # ── checks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, part: tuple[int, int] = (1, 1)) -> list[str]:
        """Compute everything again; a sentence for each thing that is wrong, none if all is well.

        Of a part n of t, each object whose id falls to it: whoever checks all t has checked every object.
        """
        faults = [f"database: {row[0]}" for row in self.execute("PRAGMA integrity_check") if row[0] != "ok"]
        faults += [fault for one in self.ids() if is_of_part(one, part) and (fault := self.fault_of(one)) is not None]
        if not self.has_tables():
            faults.append("the tables are not those of a store")
        if not self.knows_latest():
            faults.append("the list of the latest objects was altered")
        names = [name for (name,) in self.execute("SELECT name FROM fact")]
        faults += [f"there is a fact {name!r}, which no store has" for name in names if name not in FACTS]
        if not faults:
            faults += [f"{what} {place} belongs to no object" for _, what, place in self.strays()]
        return faults

    def fault_of(self, object_id: ObjectId) -> str | None:
        """What is wrong with an object, tombstones too; none if all is well."""
        try:
            self._check_object(object_id)
        except StorageFailed:
            raise
        except EdgeholdError as error:
            return str(error)
        return None

    def check_sealed(self, object_id: ObjectId) -> None:
        """Open every stored byte of an object, tombstones too, and decode nothing; raises as `get_original` does."""
        row = self.row(object_id)
        record, key = self.open_record(row)
        if row.leaf != leaf_of(record.descriptor, record.salt, record.commitment):
            raise AlteredBlob(f"object {object_id.hex()}: its leaf is not the one of its description")
        if key is None:
            return
        self.check_stored(object_id)
        signature = self.get_signature(object_id)
        if record.descriptor.signature != (None if signature is None else signature_digest(signature)):
            raise AlteredBlob(f"object {object_id.hex()}: its signature is not the one of its description")
        kept, _ = self.kept_table(object_id)
        groups = 0 if kept is None else kept.outline.groups
        for table, count in (("chunk", chunks_of(record.encoded)), ("rows", groups)):
            if (found := self.count_of(table, row.slot)) != count:
                raise AlteredBlob(f"object {object_id.hex()}: {found} in {table}, where there should be {count}")
        for number in range(groups):
            if kept is not None:
                self.get_group(kept, object_id, row.slot, number)

    def _check_object(self, object_id: ObjectId) -> None:
        self.check_sealed(object_id)
        row = self.row(object_id)
        _, key = self.open_record(row)
        if key is None:
            return
        original = self.pieces_of(object_id)
        kept, _ = self.kept_table(object_id)
        is_same = kept is None or self._gives_again(object_id, original, kept)
        if row.identity != original.identity():
            raise AlteredBlob(f"object {object_id.hex()}: its identity is not the one of its original")
        if not is_same:
            raise AlteredBlob(f"object {object_id.hex()}: its tables are not those of its original")

    def _gives_again(self, object_id: ObjectId, original: Iterable[bytes], kept: KeptTable) -> bool:
        """Whether the table that was kept is one that the original gives, or nothing else tells how to read it."""
        slot, is_told = self.row(object_id).slot, False
        for table in self.tables_again(object_id, original, dict(kept.outline.others)):
            is_told = True
            if table is not None:
                outline, groups = cut_table(table)
                if outline == kept.outline and all(
                    group == self.get_group(kept, object_id, slot, number)[0] for number, group in enumerate(groups)
                ):
                    return True
        return not is_told

    def knows_latest(self) -> bool:
        """Whether the list of objects that may have a next version can be read, and they are all here."""
        try:
            latest = self._latest()
        except AlteredBlob:
            return False
        listed = {one for objects in latest.objects.values() for one in objects}
        return listed | {one.id for objects in latest.large.values() for one in objects} <= set(self.ids())

    # ── encodings ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _encode_next(self, original: bytes, cut: Cut, sketch: bytes, name: str, kind: Kind) -> _Encoded | None:
        """An original in parts, after the version before; none if there is none, or it would not take less than half."""

        def parts() -> Iterator[bytes]:
            return cut.parts(BytesIO(original))

        def come() -> Sequence[Measured]:
            found = [measured(text) for text in islice(cut.codec.named_parts(parts()), MOST_NEXT + 1)]
            if len(found) > MOST_NEXT:
                raise CannotDecode(f"more than {MOST_NEXT} parts, each of which would be told by itself")
            return found

        before, versions = self._large_before(name, kind, come, share=NEXT_SHARE, sketch=sketch)
        if before is None or versions is None:
            return None
        try:
            encoded = b"".join(cut.codec.encoded_parts(parts(), versions))
        except CannotDecode:
            return None
        found, depth = before
        return _Encoded(cut.codec, encoded, found, depth + 1) if versions.is_half(len(encoded)) else None

    def _encode(self, original: bytes, name: str, kind: Kind, profile: Profile, *, is_alone: bool) -> _Encoded:
        """The fewest bytes for an original, by itself or as the difference from a version before."""
        codec, encoded = encode_alone(original, kind, profile)
        is_asked = not is_alone and LEAST_VERSION <= len(original) <= MOST_VERSION and can_follow(original)
        latest = self._known_latest() if is_asked else None
        likely = () if latest is None else latest.objects.get(kind, ())
        before = self._version_before(name, likely, MOST_VERSIONS) if likely else None
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

    def _large_before(
        self,
        name: str,
        kind: Kind,
        following: Callable[[], Sequence[Measured]],
        *,
        share: int = 1,
        sketch: bytes | None = None,
    ) -> tuple[tuple[StoredObject, int] | None, Versions | None]:
        """The version before of an original that is told part by part, and how its parts, cut with this share of what they
        may have, are likely to follow; none if there is none, or anything stored of it, or of those before it, is not as it
        was. If there is a `sketch`, that of what is kept at once has to be alike."""
        try:
            latest = self._latest().large.get(kind, ())
            likely = [one.id for one in latest if not one.sketch or sketch is None or is_alike(one.sketch, sketch)]
            found = self._version_before(name, likely, MOST_LARGE_VERSIONS)
            if found is None:
                return None, None
            before, known = self._measured_before(found[0].id, share)
            one, first = found[0].after, found[0]
            while one is not None:
                self._measured_parts(one)
                first = self.get_object(one)
                one = first.after
            come, by_itself = following(), None
            if sketch is not None:  # what the first takes that stands by itself says how much this one would
                by_itself = first.encoded * sum(one.size for one in come) // max(sum(one.size for one in known), 1)
            return found, Versions(before, known, come, by_itself)
        except (AlteredBlob, CannotDecode, ErasedObject, UnknownObject):
            return None, None

    def _measured_before(self, object_id: ObjectId, share: int) -> tuple[Parts | Whole, Sequence[Measured]]:
        """A version before, and its parts; what is kept at once is decoded, and cut as the next version is."""
        if self.get_object(object_id).descriptor.codec == PARTS:
            return self._parts(object_id), self._measured_parts(object_id)
        contents = self._contents(object_id)
        known = [measured(text) for content in contents for text in texts_of(content, share)]
        whole = b"".join(contents)
        return Whole(lambda: whole), known

    def _measured_parts(self, object_id: ObjectId) -> Sequence[Measured]:
        """The parts of an original, of which every chunk is opened; none of one that is kept at once."""
        record, chunks = self.open_chunks(object_id)
        if record.descriptor.codec != PARTS:
            self.check_stored(object_id)
            return ()
        return parts_codec(record.descriptor.kind).measured_parts(chunks, record.received)

    def _version_before(self, name: str, latest: Sequence[ObjectId], most: int) -> tuple[StoredObject, int] | None:
        """The object that may be the version before, and how far it reaches back: of the latest the newest of that name,
        or the newest. What was altered or erased is none."""
        records: list[tuple[ObjectId, ObjectRecord]] = []
        for one in latest:
            with suppress(AlteredBlob, UnknownObject):
                record, key = self.open_record(self.row(one))
                if key is not None:
                    records.append((one, record))
        likely = [one for one in records if one[1].name == name] or records
        if not likely or likely[0][1].depth >= most:
            return None
        object_id, record = likely[0]
        return self.get_object(object_id), record.depth

    def _latest(self) -> Latest:
        kept = self.get_fact("latest")
        try:
            return decode(unpad(open_sealed(self._latest_key, b"latest", kept)), Latest) if kept else Latest({}, {})
        except (CannotOpen, Malformed) as error:
            raise AlteredBlob("the list of the latest objects was altered") from error

    def _known_latest(self) -> Latest | None:
        """The same; none if it was altered: nothing is stopped by that, but until it is mended nothing follows another."""
        try:
            return self._latest()
        except AlteredBlob:
            return None

    def _remember(self, kind: Kind, object_id: ObjectId, randomness: Randomness) -> None:
        if (latest := self._known_latest()) is not None:
            newer = latest.objects | {kind: (object_id, *latest.objects.get(kind, ()))[:LATEST]}
            self._keep_latest(Latest(newer, latest.large), randomness)

    def _remember_large(self, kind: Kind, one: Large, randomness: Randomness) -> None:
        if (latest := self._known_latest()) is not None:
            newer = latest.large | {kind: (one, *latest.large.get(kind, ()))[:LATEST]}
            self._keep_latest(Latest(latest.objects, newer), randomness)

    def _forget_sketch(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Keep nothing of what is inside of an object that is erased."""
        latest = self._known_latest()
        if latest is None or all(one.id != object_id for objects in latest.large.values() for one in objects):
            return
        left = {kind: tuple(one for one in latest.large[kind] if one.id != object_id) for kind in latest.large}
        self._keep_latest(Latest(latest.objects, left), randomness)

    def _keep_latest(self, latest: Latest, randomness: Randomness) -> None:
        self.set_fact("latest", seal(self._latest_key, b"latest", pad(encode(latest)), randomness))

    def _encode_alone(self, object_id: ObjectId, randomness: Randomness) -> None:
        """Encode an object anew that is the difference from another, by itself and under a new key; its leaf changes,
        and with it the salt."""
        row = self.row(object_id)
        record, _ = self.open_record(row)
        if record.descriptor.codec == PARTS:
            self._encode_parts_alone(object_id, randomness)
            return
        original, signature, tables = self.get_original(object_id), None, None
        with suppress(AlteredBlob):  # what was altered of the rest does not keep the original from going on
            signature = self.get_signature(object_id)
        with suppress(AlteredBlob):
            tables = None if row.tables is None else self.table(object_id)
        identity = keyed_digest(self._identity_key, original)
        self.remove_content(row.slot)
        self.put_alone(object_id, row.slot, identity, record, original, signature, tables, randomness)

    def _encode_parts_alone(self, object_id: ObjectId, randomness: Randomness) -> None:
        """As `_encode_alone`, part by part: the new encoding is written in a place that nobody has while the old one is
        read. The table stays as it lies; how it is read is sealed anew."""
        row = self.row(object_id)
        record, _ = self.open_record(row)
        kept = signature = None
        with suppress(AlteredBlob):  # what was altered of the rest does not keep the original from going on
            signature = self.get_signature(object_id)
        with suppress(AlteredBlob):
            kept = self.open_kept(object_id)
        identity = row.identity or self.pieces_of(object_id).identity()
        self.remove_content(SPARE_SLOT, ("chunk",))
        key, made = self.put_parts_alone(object_id, SPARE_SLOT, record, self.alone_parts(object_id), randomness)
        self.remove_content(row.slot, ("chunk",) if kept is not None else ("chunk", "rows"))
        self.move_chunks(SPARE_SLOT, row.slot)
        self.describe(object_id, row.slot, identity, made, key, signature, None, randomness)
        if kept is not None:
            self.seal_kept(object_id, kept, randomness)

    def alone_parts(self, object_id: ObjectId) -> Iterator[bytes]:
        """The encoding by itself of an original that is kept part by part."""
        record, _ = self.open_record(self.row(object_id))
        return parts_codec(record.descriptor.kind, record.profile).alone_parts(self._parts(object_id))

    def put_parts_alone(
        self, object_id: ObjectId, slot: int, record: ObjectRecord, encoded: Iterable[bytes], randomness: Randomness
    ) -> tuple[bytes, ObjectRecord]:
        """Seal the encoding by itself of an original that is kept part by part, under a new key; the key, and what is
        then to be said of it."""
        key, bases, codec = randomness.draw(32), set[Digest](), parts_codec(record.descriptor.kind)

        def noted() -> Iterator[bytes]:
            for piece in encoded:
                bases.update(bases_of(codec, piece))
                yield piece

        size = self.put_pieces(object_id, slot, key, noted())
        self._is_log_large = True
        return key, msgspec.structs.replace(
            record,
            descriptor=msgspec.structs.replace(record.descriptor, previous=None),
            salt=Salt(randomness.draw(32)),
            encoded=size,
            after=None,
            depth=0,
            bases=tuple(sorted(bases)),
        )

    def put_alone(
        self,
        object_id: ObjectId,
        slot: int,
        identity: bytes,
        record: ObjectRecord,
        original: bytes,
        signature: bytes | None,
        tables: Mapping[str, bytes] | Segments | None,
        randomness: Randomness,
    ) -> None:
        """Encode an original by itself and seal it with everything that belongs to it, under a new key."""
        codec, encoded = encode_alone(original, record.descriptor.kind, record.profile)
        alone = msgspec.structs.replace(
            record,
            descriptor=msgspec.structs.replace(record.descriptor, codec=codec.name, base=codec.base, previous=None),
            salt=Salt(randomness.draw(32)),
            encoded=len(encoded),
            after=None,
            depth=0,
            bases=bases_of(codec, encoded),
        )
        self.put_record(object_id, slot, identity, alone, encoded, signature, tables, randomness)

    def _name(self, parts: Iterable[bytes]) -> tuple[bytes, Digest, int]:
        """Identity and commitment of an original that comes in parts, and its length."""
        identity, commitment, received = start_keyed_digest(self._identity_key), Commitment(), 0
        for part in parts:
            identity.update(part)
            commitment.update(part)
            received += len(part)
        return identity.digest(), commitment.digest(), received

    # ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def pieces_of(self, object_id: ObjectId) -> Original:
        """The original of an object, of any size."""
        return Original(partial(self.read_original, object_id), self._identity_key)

    def derive_table(self, object_id: ObjectId, original: Iterable[bytes] | None = None) -> Mapping[str, bytes] | Table:
        """The table of an object that has none yet; raises `NoTable`."""
        pieces = self.pieces_of(object_id) if original is None else original
        derived = next(self.tables_again(object_id, pieces, None), None)
        if derived is None:
            raise NoTable(f"object {object_id.hex()} has no table")
        return derived

    def tables_again(
        self, object_id: ObjectId, original: Iterable[bytes], kept: Mapping[str, bytes] | None
    ) -> Iterator[Mapping[str, bytes] | Table | None]:
        """The table that the original of an object gives, or those of which one is the one that was kept."""
        one = self.get_object(object_id)
        if one.descriptor.schema == NO_TABLE and one.descriptor.codec == PARTS:
            yield None
        elif one.descriptor.kind is Kind.EHR:
            yield derive_large(original) if one.descriptor.codec == PARTS else derive_tables(b"".join(original))
        else:
            kind, named = one.descriptor.kind, self._originals_named
            for derived in derive_again(original, kind=kind, name=one.name, kept=kept, beside=named):
                yield None if derived is None else derived.table

    def _originals_named(self, name: str) -> Iterator[bytes]:
        """The originals of this name; what is said of another object may be altered."""
        for object_id in self.ids():
            with suppress(AlteredBlob):
                one = self.get_object(object_id)
                if one.name == name and not one.descriptor.tombstone and one.received <= AT_ONCE:
                    yield self.get_original(object_id)


class Original:
    """The bytes of an object in pieces, as often as they are asked for."""

    def __init__(self, read: Callable[[], Iterator[bytes]], identity_key: bytes) -> None:
        self._read, self._key = read, identity_key
        self._identity: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        digest = start_keyed_digest(self._key)
        for piece in self._read():
            digest.update(piece)
            yield piece
        self._identity = digest.digest()

    def identity(self) -> bytes:
        """The identity of all of them; they are read for it if nobody read them to the end."""
        if self._identity is None:
            for _ in self:
                pass
        assert self._identity is not None  # noqa: S101
        return self._identity


def cut_of(original: bytes, kind: Kind, profile: Profile) -> Cut | None:
    """How to cut an original if it is the next version of another; none if it is told after that one at once, if at all."""
    size = max(len(original), size_inside(original))
    return cut_next(original, kind, profile) if MOST_VERSION < size <= AT_ONCE else None


def encode_alone(original: bytes, kind: Kind, profile: Profile) -> tuple[Codec, bytes]:
    """The fewest bytes for an original by itself: at once, or in parts if a table is too large for its codec at once."""
    codec, encoded = encode_smallest(original, codecs_for(kind, profile))
    inside = [name for name, _, _ in codec.inside(encoded)] if isinstance(codec, Holding) else [codec.name]
    cut = cut_of(original, kind, profile) if kind in (Kind.LAB, Kind.WEARABLE) and ZSTD in inside else None
    if cut is not None and profile is Profile.SMALL:
        parts = b"".join(cut.codec.encoded_parts(cut.parts(BytesIO(original))))
        if len(parts) < len(encoded):
            return cut.codec, parts
    return codec, encoded


def texts_inside(original: bytes, cut: Cut) -> Iterable[bytes]:
    """What is inside of an original, text after text; itself if it is not packed."""
    return cut.codec.named_parts(cut.parts(BytesIO(original))) if cut.codec.has_inside else [original]


def telling(
    parts: Callable[[], Iterator[bytes]], told: Callable[[Doing, int], None], doing: Doing
) -> Callable[[], Iterator[bytes]]:
    """The same parts, of each of which it is told when it is done with."""

    def heard() -> Iterator[bytes]:
        for part in parts():
            yield part
            told(doing, len(part))

    return heard


def noted(parts: Iterable[bytes], found: list[Measured]) -> Iterator[bytes]:
    """The same parts; what they are compared by is put down."""
    for part in parts:
        found.append(measured(part))
        yield part


class _Again:
    """The parts of a file that were read before, and have to be the same each time they are read again."""

    def __init__(self, parts: Callable[[], Iterator[bytes]], name: str, commitment: Digest, received: int) -> None:
        self._parts, self._name = parts, name
        self._commitment, self._received = commitment, received
        self._is_whole = True  # nobody has begun

    def __iter__(self) -> Iterator[bytes]:
        self._is_whole = False
        found, left = Commitment(), self._received
        for part in self._parts():
            found.update(part)
            left -= len(part)
            if left < 0:
                raise FileChanged(f"{self._name}: has more than the {self._received} bytes that were read before")
            yield part
        if found.digest() != self._commitment:
            raise FileChanged(f"{self._name}: of {self._received} bytes some were others when they were read again")
        self._is_whole = True

    def finish(self) -> None:
        """Read them once more if nobody did to the end."""
        if not self._is_whole:
            for _ in self:
                pass


@dataclass(frozen=True)
class _Encoded:
    """An encoding, and the version that it is the difference from, which reaches so far back."""

    codec: Codec
    encoded: bytes
    after: StoredObject | None = None
    depth: int = 0


def is_of_part(object_id: ObjectId, part: tuple[int, int]) -> bool:
    """Whether an object falls to the n-th of t parts."""
    number, of = part
    return int.from_bytes(object_id[:8], "big") % of == number - 1
