"""From a file to the store: read, check who signed, derive, keep; all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from edgehold.codecs.events import MISSING_TIME, Event, encode_table
from edgehold.codecs.packs import GZIP
from edgehold.crypto.jws import verify_detached
from edgehold.errors import BadSignature
from edgehold.hub.intake.fhir import (
    DEFAULT_LIMITS,
    Limits,
    check_one_person,
    check_one_subject,
    read_packed,
    read_records,
)
from edgehold.hub.intake.kinds import format_of, read_whole
from edgehold.hub.intake.packs import find_fault
from edgehold.hub.store import Store, StoredObject
from edgehold.ports import Randomness
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Signature

NO_TABLE: Final = ""
"""The schema of what programs do not read."""

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
    format: str = ""
    """What the file is, for people."""
    notes: tuple[str, ...] = ()
    """What is wrong with what was kept all the same."""

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
    verify: Callable[[AccountId, bytes, Signature], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    together: Together | None = None,
    randomness: Randomness,
) -> Imported:
    """Take a file into a hub: FHIR records one by one, anything else as it is; on any error nothing of it is stored.

    `signature` is an issuer's detached JWS over the exact bytes of a file that is one record; `verify` knows the
    issuers' keys; `together` the files that this one came with. Raises `IntakeError`, `BadSignature`, `HubError`.
    """
    added: list[StoredObject] = []
    known: list[StoredObject] = []
    notes: list[str] = []

    def keep(original: bytes, place: str, kind: Kind, **about: Any) -> None:
        stored, is_new = store.put_object(
            original, name=before + place, kind=kind, signature=signature, randomness=randomness, **about
        )
        (added if is_new else known).append(stored)

    def check_signature(original: bytes, place: str) -> None:
        if signature is None:
            return
        if added or known:
            raise BadSignature(f"{place}: a signature stands for one record, and this is another")
        if verify is None:
            raise BadSignature(f"{place}: there is nobody whose signatures this hub knows")
        verify_detached(signature, original, verify)

    before = "" if together is None else f"{together.folder}/"
    check_person = check_one_person if together is None else check_one_subject
    persons = set[str]() if together is None else together.persons
    found = format_of(path)
    kind = found.kind
    with store.transaction():
        if found.is_packed:
            original = read_whole(path, is_text=False)
            check_signature(original, path.name)
            fault = find_fault(original, path.name)
            if kind is Kind.EHR and fault is None and original.startswith(GZIP):
                events: list[Event] = []
                for record in read_packed(original, path.name, limits):
                    check_person(persons, record)
                    events += record.events()
                    del record
                years, tables = years_of(events), encode_table(events)
                del events
                keep(original, path.name, kind, years=years, tables=tables)
            else:
                keep(original, path.name, kind, schema=NO_TABLE)
            if fault is not None:
                notes.append(f"kept as it is: {fault.code} {fault}")
        elif kind is Kind.EHR:
            for record in read_records(path, limits):
                check_person(persons, record)
                original, place = record.original, record.place
                check_signature(original, place)
                events = record.events()
                del record  # what was read of it takes ten times its room, and is not needed to store it
                keep(original, place, kind, years=years_of(events), tables=encode_table(events))
        else:
            original = read_whole(path, is_text=kind in TEXTS)
            check_signature(original, path.name)
            keep(original, path.name, kind, schema=NO_TABLE)
    return Imported(added=tuple(added), known=tuple(known), format=found.title, notes=tuple(notes))


def years_of(events: Sequence[Event]) -> tuple[int, int] | None:
    """The first and last year (UTC) in which something was stated, birth apart; None if nothing has a time."""
    times = [event.time for event in events if event.time != MISSING_TIME and event.code != "MEDS_BIRTH"]
    if not times:
        return None
    first, last = (datetime(1970, 1, 1) + timedelta(seconds=time) for time in (min(times), max(times)))
    return first.year, last.year
