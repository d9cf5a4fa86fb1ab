"""From a file to the store: read, check who signed, derive, keep; all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from edgehold.codecs.choice import Profile
from edgehold.codecs.events import MISSING_TIME, SCHEMA, Event, encode_table
from edgehold.codecs.lossy import Loss, Stepped, step_qualities
from edgehold.codecs.packs import GZIP
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.laboratory import Columns
from edgehold.codecs.tables.variants import MAGIC
from edgehold.errors import IntakeError, SeveralPersons
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.fhir import DEFAULT_LIMITS, Limits, is_large_document, read_packed, read_records
from edgehold.hub.intake.imports import Import, Imported, Listener, Together
from edgehold.hub.intake.kinds import format_of, header_beside, is_large, read_whole
from edgehold.hub.intake.large import take_large
from edgehold.hub.intake.packs import find_fault, unpacked, unpacked_name
from edgehold.hub.store import Store
from edgehold.ports import Randomness
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, PublicKey

IN_LINES: Final = frozenset({Kind.LAB, Kind.WEARABLE, Kind.OTHER})
"""Kinds whose columns an owner can name."""


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
    told: Listener | None = None,
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
    form = format_of(path)
    if form.kind not in IN_LINES:
        columns = None
    elif columns is not None:
        form = replace(form, kind=Kind.LAB)
    file = Import(
        store=store,
        path=path,
        form=form,
        columns=columns,
        signature=signature,
        key_of=key_of,
        limits=limits,
        profile=profile,
        together=together,
        lossy=lossy,
        told=told,
        randomness=randomness,
    )
    with store.transaction():
        if form.kind is Kind.EHR and not form.is_packed:
            take_health_records(file)
        elif is_large(path, form):
            take_large(file)
        else:
            take_whole(file)
    return file.imported()


# ── FHIR, one record after another ────────────────────────────────────────────────────────────────────────────────


def take_health_records(file: Import) -> None:
    """Take FHIR in: a document that is too large to be read at once part by part, anything else record by record."""
    if is_large_document(file.path, file.limits):
        take_large(file)
    else:
        take_records(file)


def take_records(file: Import) -> None:
    """Take the records of a file in, each with the table of its events."""
    for record in read_records(file.path, file.limits):
        file.check_person(record)
        original, place = record.original, record.place
        file.check_signature(original, place)
        events = record.events()
        del record  # what was read of it takes ten times its room, and is not needed to store it
        file.keep(original, place, derived_from(events))


# ── anything else, as it is ───────────────────────────────────────────────────────────────────────────────────────


def take_whole(file: Import) -> None:
    """Take a file in that is in memory at once, and its table with it."""
    name, derived = file.path.name, None
    original = read_whole(file.path, is_text=file.form.is_text)
    file.check_signature(original, name)
    header = header_beside(file.path) if file.form.kind is Kind.SIGNAL else None
    fault = find_fault(original, name) if file.form.is_packed else None
    if fault is None:
        original, name = lose(file, original)
        derived = derive(file, original, header)
    else:
        file.note_fault(fault)
    file.keep(original, name, derived)
    if header is not None:
        file.keep_header(header)


def lose(file: Import, original: bytes) -> tuple[bytes, str]:
    """A file without what its owner would rather lose, and how it is called then."""
    name = file.path.name
    stepped = lose_qualities(original, name) if file.is_to_lose([original]) else None
    if stepped is None:
        return original, name
    file.lost = stepped.losses
    return stepped.text, unpacked_name(name)


def derive(file: Import, original: bytes, header: bytes | None) -> Derived | None:
    """The table of a file, or a note why there is none."""
    kind, name = file.form.kind, file.path.name
    if kind is Kind.EHR:
        return derive_packed(file, original)
    try:
        found = derive_table([original], kind=kind, name=name, header=header, columns=file.columns)
    except IntakeError as error:
        file.go_without_table(error)
        return None
    if found is not None:
        file.note_lack(found)
    return found


def derive_packed(file: Import, packed: bytes) -> Derived | None:
    """The one table of all records that are packed in a file, or a note why there is none. What would be refused unpacked
    is refused in gzip as well; in a ZIP file it may be one part of many."""
    events: list[Event] = []
    try:
        for record in read_packed(packed, file.path.name, file.limits):
            file.check_person(record)
            events += record.events()
            del record
        return derived_from(events)
    except IntakeError as error:
        if packed.startswith(GZIP) or isinstance(error, SeveralPersons):
            raise
        file.go_without_table(error)
        return None


def lose_qualities(original: bytes, name: str) -> Stepped | None:
    """Variants, packed by gzip or not, with their qualities in steps; none if nothing of them is lost. Raises
    `PackLimit`."""
    if original.startswith(GZIP):
        original = unpacked(original, name)
    return step_qualities(original) if original.startswith(MAGIC) else None


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
