"""Copies of a hub's store, of the log of a killed process and of the archive, with a bit flipped or an end cut off.

Damaged or not, a store gives back what was stored or refuses by an error of ours. Damage is *detected* if something is
refused or `check` names it, and *harmless* if everything comes back and `check` finds nothing wrong because nothing is.
A log that is damaged is to SQLite one that a power cut left: the store is then as it was a moment before, and whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from archives import FRIEND, all_of
from kinds_of_files import small_files, versions
from survival import memory_folder, write_files

from edgehold.crypto.age import AgeIdentity
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import EdgeholdError
from edgehold.hub import store as stores
from edgehold.hub.archive import export_hub, import_hub
from edgehold.hub.catalog import catalog_root, check_catalog
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.journal import Journal
from edgehold.hub.keys import create_keys
from edgehold.hub.repair import repair_hub
from edgehold.hub.store import Store
from edgehold.policy.policy import Policy
from edgehold.wire.codec import encode
from edgehold.wire.data import Kind, ObjectId

if TYPE_CHECKING:
    from conftest import Figures

DICE = SeededRandomness(6, "damaged stores")
LOG = f"{STORE_FILE}-wal"

BEFORE = "as it was a moment before"
"""What becomes of a log whose last entry was damaged."""

SECONDS = 5.0
"""Processor time in which everything that is kept of one copy is read and checked; it takes a fiftieth of it."""

MENDED = 15
"""One damaged store in so many is repaired."""


@dataclass(frozen=True)
class Contents:
    """All that a store says when nothing is wrong with it."""

    about: dict[ObjectId, object]
    originals: dict[ObjectId, bytes]
    signatures: dict[ObjectId, bytes | None]
    tables: dict[ObjectId, dict[str, bytes]]
    beside: tuple[object, ...]


@dataclass
class Read:
    """What one copy says."""

    contents: Contents = field(default_factory=lambda: Contents({}, {}, {}, {}, ()))
    refused: list[str] = field(default_factory=list)
    """Errors of ours, and what `check` names."""


@dataclass(frozen=True)
class Lived:
    """A hub with records of every kind, and what it holds."""

    folder: Path
    key: bytes
    files: dict[str, bytes]
    """As they lie when the hub is closed."""
    killed: dict[str, bytes]
    """Store and log of a process that was killed after one more import."""
    archive: bytes
    moments: tuple[Contents, Contents]
    """Before and after that import."""
    held: dict[str, object]
    """What an archive has to give."""


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The hub's life: records of every kind, a newer version, a signature, an erased one, postings, an archive."""
    files, folder = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("lived") / "hub"
    keys = create_keys(folder, DICE)
    journal = Journal(folder / JOURNAL_FILE)
    journal.set_fact("policy", encode(Policy()))
    with pytest.MonkeyPatch.context() as patch, Store.create(folder / STORE_FILE, keys.storage_key, DICE) as store:
        patch.setattr(stores, "LEAST_VERSION", 1000)
        records = small_files()
        for name, content in [*records.items(), *(("noted.csv", version) for version in versions(1000))]:
            (files / name).write_bytes(content)
            import_file(store, files / name, randomness=DICE)
        store.put_object(records["bundle.json"], name="", kind=Kind.EHR, signature=b"a clinic's" * 30, randomness=DICE)
        catalog_root(store, DICE)
        erased = next(one.id for one in store.objects() if one.name == "letter.pdf")
        journal.note_erased([erased])
        store.erase(erased, DICE)
        catalog_root(store, DICE)
        assert {one.descriptor.kind for one in store.objects()} == set(Kind)
        assert any(one.after for one in store.objects())
        before = read(store).contents
    journal.close()
    closed = {path.name: path.read_bytes() for path in folder.iterdir()}
    export_hub(folder, folder.parent / "hub.age", [FRIEND.recipient])
    with Store.open(folder / STORE_FILE, keys.storage_key) as store:
        store.put_object(Random(2).randbytes(5000), name="later", kind=Kind.OTHER, randomness=DICE)
        killed = {name: (folder / name).read_bytes() for name in (STORE_FILE, LOG)}
        after = read(store).contents
    write_files(folder, closed)
    return Lived(
        folder=folder,
        key=keys.storage_key,
        files=closed,
        killed={**closed, **killed},
        archive=(folder.parent / "hub.age").read_bytes(),
        moments=(before, after),
        held=all_of(folder),
    )


# ── what a copy says ──────────────────────────────────────────────────────────────────────────────────────────────


def read(store: Store) -> Read:
    """Everything that a store gives or refuses; an error that is none of ours comes through."""
    found = Read()
    kept = found.contents

    def take(into: dict[ObjectId, Any], one: ObjectId, get: Any) -> None:
        try:
            into[one] = get(one)
        except EdgeholdError as error:
            found.refused.append(str(error))

    def about(one: ObjectId) -> object:
        said = store.get_object(one)
        return said.name, said.descriptor, said.salt, said.commitment, said.received, said.after

    try:
        for one in store.ids():
            take(kept.about, one, about)
            if one in kept.about and not store.is_erased(one):
                take(kept.signatures, one, store.get_signature)
                take(kept.originals, one, store.get_original)
                if store.get_object(one).descriptor.schema:
                    take(kept.tables, one, store.table)
        leaves = tuple(store.leaves())
        found.refused += store.check() + check_catalog(store)
        found.contents = Contents(
            kept.about, kept.originals, kept.signatures, kept.tables, (leaves, store.get_fact("postings"))
        )
    except EdgeholdError as error:
        found.refused.append(str(error))
    return found


def is_part_of(some: dict[Any, Any], all_: dict[Any, Any]) -> bool:
    """Whether everything that was given is as it was."""
    return all(one in all_ and all_[one] == what for one, what in some.items())


def outcome_of(folder: Path, lived: Lived, moment: Contents) -> str:
    """What became of a damaged store that held this; the assertions are what must hold."""
    try:
        with Store.open(folder / STORE_FILE, lived.key) as store:
            found = read(store)
    except EdgeholdError:
        return "detected when it was opened"
    latest, got = lived.moments[-1], found.contents
    assert is_part_of(got.about, latest.about), "said of a record"
    assert is_part_of(got.originals, latest.originals), "another original"
    assert is_part_of(got.signatures, latest.signatures), "another signature"
    assert is_part_of(got.tables, latest.tables), "another table"
    if found.refused:
        return "detected when it was read or checked"
    if got == moment:
        return "harmless"
    assert got in lived.moments, "nothing is refused, and something is another"
    return BEFORE


def damaged(content: bytes, dice: Random, *, is_paged: bool) -> tuple[bytes, str]:
    """One bit the other way round, or an end cut off. Of pages every other bit is one of the head of a page or of the first
    page, where SQLite says what lies where: most of all others lie in sealed bytes."""
    if dice.random() < 0.2:
        size = dice.randrange(len(content))
        return content[:size], f"cut at {size} of {len(content)}"
    place = dice.randrange(len(content))
    if is_paged and dice.random() < 0.5:
        place = dice.randrange(1024) if dice.random() < 0.3 else place // 1024 * 1024 + dice.randrange(40)
    bit = dice.randrange(8)
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed), f"bit {bit} of byte {place} of {len(content)} flipped"


# ── the campaign ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.campaign(test=120, long=6_000, shard=120)
def test_a_flipped_bit_or_a_cut_end_is_detected_or_harmless(lived: Lived, numbers: range, figures: Figures) -> None:
    with memory_folder() as folder:
        for number in numbers:
            dice = Random(number)
            kind = ("store", "store", "archive", "store", "log" if number % 10 == 4 else "store")[number % 5]
            try:
                outcome, took = tried(folder, lived, kind, dice, mends=number % MENDED == 0)
            except (Exception, AssertionError) as error:
                raise AssertionError(f"number {number}, {kind}: {type(error).__name__}: {error}") from error
            verdict = outcome if outcome in ("harmless", BEFORE) else "detected"
            figures.add(f"bits flipped and ends cut: {verdict}", 1)
            figures.add(f"bits flipped and ends cut in a {kind}: {outcome}", 1)
            figures.most("bits flipped and ends cut: processor seconds until all is read and checked", took)
            assert took < SECONDS, f"number {number}: {took:.1f} s"


def tried(folder: Path, lived: Lived, kind: str, dice: Random, *, mends: bool) -> tuple[str, float]:
    """Damage a copy, read it, and perhaps repair it; the outcome, and the processor time of reading."""
    if kind == "archive":
        changed, what = damaged(lived.archive, dice, is_paged=False)
        began = time.process_time()
        return opened(folder, changed, lived), time.process_time() - began
    name = LOG if kind == "log" else STORE_FILE
    files = lived.killed if kind == "log" else lived.files
    changed, what = damaged(files[name], dice, is_paged=kind == "store")
    write_files(folder / "hub", {**files, name: changed})
    began = time.process_time()
    try:
        outcome = outcome_of(folder / "hub", lived, lived.moments[kind == "log"])
        took = time.process_time() - began
        if mends and kind == "store":
            mend(folder, lived, {**files, name: changed})
    except (Exception, AssertionError) as error:
        error.add_note(what)
        raise
    return outcome, took


def opened(folder: Path, changed: bytes, lived: Lived) -> str:
    """What became of a damaged archive."""
    (folder / "hub.age").write_bytes(changed)
    place = folder / "elsewhere"
    try:
        import_hub(folder / "hub.age", place, [FRIEND], network=None)
    except EdgeholdError:
        assert not place.exists(), "a part of a hub is there"
        assert not list(folder.glob(".*")), "something was left behind"
        return "detected when it was opened"
    assert all_of(place) == lived.held, "another hub"
    return "harmless"


def mend(folder: Path, lived: Lived, files: dict[str, bytes]) -> None:
    """With the archive everything comes back, whatever was damaged, and nothing is wrong any more."""
    write_files(folder / "hub", files)
    (folder / "hub.age").write_bytes(lived.archive)
    identities: list[AgeIdentity] = [FRIEND]
    repaired = repair_hub(folder / "hub", folder / "hub.age", identities, DICE)
    lost = {one for one, _ in repaired.beyond}  # an id that was altered may be that of an object that never was
    assert lost.isdisjoint({None, *lived.moments[0].about}), f"beyond repair: {repaired}"
    with Store.open(folder / "hub" / STORE_FILE, lived.key) as store:
        found = read(store)
    assert found.refused == [], "repaired, and still wrong"
    assert found.contents.originals == lived.moments[0].originals
