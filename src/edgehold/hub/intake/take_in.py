"""From a file to the store: read, check who signed, derive, keep; all of it or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path, PurePath
from typing import Final

from edgehold.codecs.choice import Profile
from edgehold.codecs.events import MISSING_TIME, SCHEMA, Event, encode_table
from edgehold.codecs.lossy import QUALITIES, Loss, Losses, Stepped, step_qualities
from edgehold.codecs.packs import GZIP, is_pack
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.laboratory import Columns
from edgehold.codecs.tables.variants import MAGIC
from edgehold.crypto.jws import Detached
from edgehold.errors import BadSignature, FileChanged, IntakeError, LargeFile, SeveralPersons
from edgehold.hub.intake.derive import HEADER, derive_table
from edgehold.hub.intake.fhir import (
    DEFAULT_LIMITS,
    Limits,
    check_one_person,
    check_one_subject,
    read_packed,
    read_records,
)
from edgehold.hub.intake.kinds import cut_of, format_of, is_large, read_parts, read_pieces, read_whole, size_of
from edgehold.hub.intake.packs import find_fault, unpacked, unpacked_pieces
from edgehold.hub.intake.steps import SteppedFile, step_file
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import AT_ONCE, NO_TABLE, Doing, Store, telling
from edgehold.hub.tables import Made, make_table
from edgehold.ports import Randomness
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, PublicKey

UNPACKED: Final = frozenset({".gz", ".bgz", ".gzip"})
"""Ends of names that a file loses with its packing."""
IN_LINES: Final = frozenset({Kind.LAB, Kind.WEARABLE, Kind.OTHER})
"""Kinds whose columns an owner can name."""
TEXTS: Final = frozenset({Kind.LAB, Kind.WEARABLE, Kind.GENOTYPE})


@dataclass(frozen=True)
class Together:
    """Files that are taken in as one, such as those of a Bulk Data export: of one person, who is known by any of
    them."""

    folder: str
    """What the names of all of them begin with."""
    persons: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did."""

    added: tuple[StoredObject, ...]
    known: tuple[StoredObject, ...]
    """Records that the hub held already; nothing was stored again."""
    rows: Mapping[str, int]
    """Rows of the tables of what was added, by their schema."""
    format: str = ""
    """What the file is, for people."""
    notes: tuple[str, ...] = ()
    """What a table lacks, or why there is none; what is wrong with a packed file that was kept all the same."""
    lost: Losses | None = None
    """What the file lost before it was kept, because its owner asked; none if every byte was kept."""

    @property
    def bytes_received(self) -> int:
        """Bytes of the originals that were added."""
        return sum(one.received for one in self.added)

    @property
    def bytes_kept(self) -> int:
        """Bytes that are stored of them."""
        return sum(one.kept for one in self.added)


def import_file(
    store: Store,
    path: Path,
    *,
    signature: bytes | None = None,
    key_of: Callable[[AccountId], PublicKey] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    profile: Profile = Profile.SMALL,
    columns: Columns | None = None,
    together: Together | None = None,
    lossy: Loss | None = None,
    told: Callable[[Doing, int, int], None] | None = None,
    randomness: Randomness,
) -> Imported:
    """Take a file into a hub: FHIR records one by one, anything else as it is; on any error nothing of it is stored.

    A file that is no FHIR is kept also if no table can be made of it: it is its owner's all the same. A file of a signal
    brings its record's header along. `columns` says how to read a table in lines. What `lossy` names is lost of files that
    have it, and kept unpacked; a file that is here already, every byte of it, stays so.

    `signature` is an issuer's detached JWS over the exact bytes of a file that is one record; `key_of` knows the
    issuers' keys; `together` the files that this one came with. Of a large file `told` hears what is done
    with it, with how many bytes so far, and of how many. Raises `IntakeError` (`SignedExactly` if a signed file would lose
    something), `BadSignature`, `HubError`.
    """
    added: list[StoredObject] = []
    known: list[StoredObject] = []
    notes: list[str] = []
    rows: Counter[str] = Counter()

    def keep(original: bytes, place: str, kind: Kind, derived: Derived | None, token: bytes | None = signature) -> None:
        made = None if derived is None else make_table(derived)
        stored, is_new = store.put_object(
            original,
            name=before + place,
            kind=kind,
            schema=NO_TABLE if made is None else made.schema,
            years=None if made is None else made.years,
            tables=None if made is None else made.segments,
            signature=token,
            profile=profile,
            lossy=None if lost is None else QUALITIES,
            randomness=randomness,
        )
        (added if is_new else known).append(stored)
        if is_new and made is not None:
            rows[made.schema] += made.segments.outline.rows

    def begin_check(place: str) -> Detached | None:
        """The check of the signature, if there is one, of a record whose bytes come now."""
        if signature is None:
            return None
        if added or known:
            raise BadSignature(f"{place}: a signature stands for one record, and this is another")
        if key_of is None:
            raise BadSignature(f"{place}: there is nobody whose signatures this hub knows")
        return Detached(signature, key_of)

    def check_signature(original: bytes, place: str) -> None:
        signed = begin_check(place)
        if signed is not None:
            signed.update(original)
            signed.finish()

    lost: Losses | None = None
    before = "" if together is None else f"{together.folder}/"
    check_person = check_one_person if together is None else check_one_subject
    persons = set[str]() if together is None else together.persons

    def derive_packed(packed: bytes) -> Derived:
        """The one table of all records that are packed in a file."""
        events: list[Event] = []
        for record in read_packed(packed, path.name, limits):
            check_person(persons, record)
            events += record.events()
            del record
        return derived_from(events)

    def lose_of_large(read: Callable[[], Iterator[bytes]], heard: Callable[[Doing, int], None]) -> SteppedFile | None:
        """A large text with its qualities in steps; none, and a note, of a packed one that cannot be read."""

        def text(pieces: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
            return unpacked_pieces(pieces(), path.name) if form.is_packed else pieces()

        try:
            return step_file(partial(text, read), text(telling(read, heard, Doing.STEP)))
        except IntakeError as error:
            if not form.is_packed:
                raise type(error)(f"{path.name}: {error}") from error
            notes.append(f"kept as it is: {error.code} {error}")
            return None

    def keep_large() -> None:
        """Take a file in part by part, and its table with it."""
        nonlocal lost
        cut, name, size = cut_of(path, kind, profile), path.name, size_of(path)
        exact = partial(read_pieces, path)
        parts: Callable[[], Iterator[bytes]] = partial(
            read_parts, path, cut, is_text=kind in TEXTS and not form.is_packed
        )
        pieces: Callable[[], Iterator[bytes]] = exact
        done = Counter[Doing]()

        def heard(doing: Doing, count: int) -> None:
            done[doing] += count
            if told is not None:
                told(doing, min(done[doing], size), size)

        if lossy is not None and kind is Kind.GENOTYPE and not store.holds(exact()):
            stepped = lose_of_large(exact if form.is_packed else parts, heard)
            if stepped is not None:
                lost, cut, name, size = stepped.losses, stepped.cut(profile), unpacked_name(name), stepped.size
                parts, pieces = partial(stepped.parts, cut), stepped.pieces
        if form.is_packed and not cut.is_known:
            notes.append(f"{path.name}: kept as packed as it is, to be read at once")
        signed = begin_check(path.name)

        def checked() -> Iterator[bytes]:
            """The parts; what was read for the first time is what has to be signed."""
            nonlocal signed
            for part in parts():
                if signed is not None:
                    signed.update(part)
                yield part
            if signed is not None:
                signed.finish()
                signed = None

        def derive(parts: Iterable[bytes]) -> Made | None:
            if kind is Kind.OTHER:
                return None
            try:
                if kind is Kind.SIGNAL or (kind is Kind.EHR and form.is_packed):
                    raise LargeFile(f"it has more than {AT_ONCE} bytes, and its table is made of all of them at once")
                found = derive_table(parts, kind=kind, name=path.name, columns=columns)
                made = None if found is None else make_table(found)
            except FileChanged:
                raise
            except IntakeError as error:
                if columns is not None:
                    raise type(error)(f"{path.name}: {error}") from error
                notes.append(f"{path.name}: kept without a table: {error.code} {error}")
                return None
            if found is not None and found.note:
                notes.append(f"{path.name}: {found.note}")
            if made is not None:
                rows[made.schema] += made.segments.outline.rows
            return made

        stored, is_new = store.put_parts(
            checked,
            cut.codec,
            name=before + name,
            kind=kind,
            derive=derive,
            pieces=None if kind is Kind.IMAGE else pieces,
            signature=signature,
            profile=profile,
            lossy=None if lost is None else QUALITIES,
            randomness=randomness,
            told=heard,
        )
        (added if is_new else known).append(stored)

    form = format_of(path)
    kind = form.kind
    if kind not in IN_LINES:
        columns = None
    elif columns is not None:
        kind = Kind.LAB
    with store.transaction():
        if kind is Kind.EHR and not form.is_packed:
            for record in read_records(path, limits):
                check_person(persons, record)
                original, place = record.original, record.place
                check_signature(original, place)
                events = record.events()
                del record  # what was read of it takes ten times its room, and is not needed to store it
                keep(original, place, kind, derived_from(events))
        elif is_large(path, form):
            keep_large()
            if kind is Kind.SIGNAL and (header := header_beside(path)) is not None:
                keep(header, path.with_suffix(HEADER).name, kind, None, None)
        else:
            original = read_whole(path, is_text=kind in TEXTS and not form.is_packed)
            check_signature(original, path.name)
            header = header_beside(path) if kind is Kind.SIGNAL and not form.is_packed else None
            fault = find_fault(original, path.name) if form.is_packed else None
            found, name = None, path.name
            if lossy is not None and kind is Kind.GENOTYPE and fault is None and not store.holds([original]):
                stepped = lose_qualities(original, path.name)
                if stepped is not None:
                    lost, original, name = stepped.losses, stepped.text, unpacked_name(path.name)
            if fault is not None:
                notes.append(f"kept as it is: {fault.code} {fault}")
            elif kind is not Kind.EHR:
                try:
                    found = derive_table([original], kind=kind, name=path.name, header=header, columns=columns)
                except IntakeError as error:
                    if columns is not None:  # somebody said how it is to be read
                        raise type(error)(f"{path.name}: {error}") from error
                    notes.append(f"{path.name}: kept without a table: {error.code} {error}")
            elif is_pack(original):
                try:
                    found = derive_packed(original)
                except IntakeError as error:
                    if original.startswith(GZIP) or isinstance(error, SeveralPersons):
                        raise
                    notes.append(f"{path.name}: kept without a table: {error.code} {error}")
            if found is not None and found.note:
                notes.append(f"{path.name}: {found.note}")
            keep(original, name, kind, found)
            if header is not None:
                keep(header, path.with_suffix(HEADER).name, kind, None, None)
    return Imported(
        added=tuple(added), known=tuple(known), rows=dict(rows), format=form.title, notes=tuple(notes), lost=lost
    )


def lose_qualities(original: bytes, name: str) -> Stepped | None:
    """Variants, packed by gzip or not, with their qualities in steps; none if nothing of them is lost. Raises
    `PackLimit`."""
    if original.startswith(GZIP):
        original = unpacked(original, name)
    return step_qualities(original) if original.startswith(MAGIC) else None


def unpacked_name(name: str) -> str:
    """What a file is called when it is unpacked."""
    path = PurePath(name)
    return path.stem if path.suffix in UNPACKED else name


def header_beside(path: Path) -> bytes | None:
    """The header of the record that a file of a signal belongs to, if it lies beside it."""
    header = path.with_suffix(HEADER)
    return read_whole(header, is_text=False) if header != path and header.is_file() else None


def derived_from(events: Sequence[Event]) -> Derived:
    """The table of a record's events."""
    return Derived(schema=SCHEMA, table=encode_table(events), years=years_of(events))


def years_of(events: Sequence[Event]) -> tuple[int, int] | None:
    """The first and last year (UTC) in which something was stated, birth apart; None if nothing has a time."""
    times = [event.time for event in events if event.time != MISSING_TIME and event.code != "MEDS_BIRTH"]
    if not times:
        return None
    first, last = (datetime(1970, 1, 1) + timedelta(seconds=time) for time in (min(times), max(times)))
    return first.year, last.year
