"""A file on its way into the store, whichever way it takes: what was asked of it, and what came of it so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from edgehold.codecs.choice import Profile
from edgehold.codecs.lossy import QUALITIES, Loss, Losses
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.laboratory import Columns
from edgehold.crypto.jws import Detached
from edgehold.errors import BadSignature, IntakeError
from edgehold.hub.intake.derive import HEADER
from edgehold.hub.intake.fhir import Limits, Record, check_one_person, check_one_subject
from edgehold.hub.intake.kinds import Format
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import NO_TABLE, Doing, Store
from edgehold.hub.tables import Made, make_table
from edgehold.ports import Randomness
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, PublicKey

Listener: TypeAlias = Callable[[Doing, int, int], None]
"""Hears what is done with a large file, with how many bytes so far, and of how many."""


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


@dataclass(kw_only=True)
class Import:
    """An import under way: what it was asked for stays, what comes of it is added."""

    store: Store
    path: Path
    form: Format
    columns: Columns | None
    """How the file is read, if it is a table in lines and somebody said so."""
    signature: bytes | None
    key_of: Callable[[AccountId], PublicKey] | None
    limits: Limits
    profile: Profile
    together: Together | None
    lossy: Loss | None
    told: Listener | None
    randomness: Randomness

    persons: set[str] = field(default_factory=set)
    """Those whose records are in a file that came alone."""
    added: list[StoredObject] = field(default_factory=list)
    known: list[StoredObject] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    lost: Losses | None = None

    def imported(self) -> Imported:
        """What came of it in the end."""
        return Imported(
            added=tuple(self.added),
            known=tuple(self.known),
            rows=dict(self.rows),
            format=self.form.title,
            notes=tuple(self.notes),
            lost=self.lost,
        )

    # ── before something is kept ──────────────────────────────────────────────────────────────────────────────────────

    def check_person(self, record: Record) -> None:
        """Raises `SeveralPersons` if a record is of another person than those before it."""
        if self.together is None:
            check_one_person(self.persons, record)
        else:
            check_one_subject(self.together.persons, record)

    def begin_check(self, place: str) -> Detached | None:
        """The check of the signature, if there is one, of a record whose bytes come now; raises `BadSignature`."""
        if self.signature is None:
            return None
        if self.added or self.known:
            raise BadSignature(f"{place}: a signature stands for one record, and this is another")
        if self.key_of is None:
            raise BadSignature(f"{place}: there is nobody whose signatures this hub knows")
        return Detached(self.signature, self.key_of)

    def check_signature(self, original: bytes, place: str) -> None:
        """Raises `BadSignature` if there is a signature, and it is of other bytes."""
        signed = self.begin_check(place)
        if signed is not None:
            signed.update(original)
            signed.finish()

    def is_to_lose(self, original: Iterable[bytes]) -> bool:
        """Whether the file may have what its owner would rather lose, and is not here already, every byte of it."""
        return self.lossy is not None and self.form.kind is Kind.GENOTYPE and not self.store.holds(original)

    # ── what is kept, and what is said of it ──────────────────────────────────────────────────────────────────────────

    def keep(self, original: bytes, name: str, derived: Derived | None) -> None:
        """Store an original that is in memory at once, and its table."""
        self._keep(original, name, derived=derived, signature=self.signature)

    def keep_header(self, header: bytes) -> None:
        """Store the header of a signal beside it; a signature is of the signal alone."""
        self._keep(header, self.path.with_suffix(HEADER).name, derived=None, signature=None)

    def _keep(self, original: bytes, name: str, *, derived: Derived | None, signature: bytes | None) -> None:
        made = None if derived is None else make_table(derived)
        stored, is_new = self.store.put_object(
            original,
            name=self.named(name),
            kind=self.form.kind,
            schema=NO_TABLE if made is None else made.schema,
            years=None if made is None else made.years,
            tables=None if made is None else made.segments,
            signature=signature,
            profile=self.profile,
            lossy=self.lossy_name,
            randomness=self.randomness,
        )
        self.note_stored(stored, is_new=is_new)
        if is_new and made is not None:
            self.count_rows(made)

    def named(self, name: str) -> str:
        """What an original is called in the store."""
        return name if self.together is None else f"{self.together.folder}/{name}"

    @property
    def lossy_name(self) -> str | None:
        """What the store says that was lost."""
        return None if self.lost is None else QUALITIES

    def note_stored(self, stored: StoredObject, *, is_new: bool) -> None:
        """Note what is in the store now, and whether it was there before."""
        (self.added if is_new else self.known).append(stored)

    def count_rows(self, made: Made) -> None:
        """Count the rows of a table that is added."""
        self.rows[made.schema] += made.segments.outline.rows

    def note_lack(self, derived: Derived) -> None:
        """Note what a table lacks, if it lacks anything."""
        if derived.note:
            self.notes.append(f"{self.path.name}: {derived.note}")

    def note_fault(self, fault: IntakeError) -> None:
        """Note why nothing of a packed file could be read or lost."""
        self.notes.append(f"kept as it is: {fault.code} {fault}")

    def go_without_table(self, error: IntakeError) -> None:
        """Note why the file has no table; raises the error if somebody said how it is to be read."""
        if self.columns is not None:
            raise type(error)(f"{self.path.name}: {error}") from error
        self.notes.append(f"{self.path.name}: kept without a table: {error.code} {error}")
