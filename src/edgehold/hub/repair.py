"""Mending a damaged hub with an archive of it: what was altered or is missing comes back, what was erased never does.

What the hub itself still knows goes before what the archive says: an object that is whole stays, of one that is not first
the missing bytes are put back, then what follows from others is made again, and only then the object becomes what it was
when the archive was taken. A file that cannot be read any more is made anew of the archive and of all that can still be
read of it. The journal is never taken from an archive: it would forget what was spent since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edgehold.crypto.age import AgeIdentity
from edgehold.durable import storage_failures, sync_folder
from edgehold.errors import BeyondRepair, EdgeholdError, NotAStore, OtherHub, StorageFailed
from edgehold.hub.archive import account_of, check_journal, check_unpacked, staging, sync_files, unpack
from edgehold.hub.catalog import check_catalog
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE
from edgehold.hub.journal import Journal
from edgehold.hub.keys import HubKeys, load_keys
from edgehold.hub.mending import (
    bury_anew,
    mend_content,
    mend_derived,
    remove_strays,
    rename,
    take_over,
    take_over_alone,
)
from edgehold.hub.store import Store
from edgehold.ports import Randomness
from edgehold.wire.data import ObjectId

CATALOG_FACTS = (("postings",), ("dummies",), ("dummies", "postings"))
"""What the leaves under a root are made of; the fewest of them that help are taken from another store."""


@dataclass
class Repaired:
    """What became of a damaged hub."""

    restored: list[tuple[ObjectId | None, str]] = field(default_factory=list)
    """What is whole again, and how it came to be; no object for what belongs to none."""
    beyond: list[tuple[ObjectId | None, str]] = field(default_factory=list)
    """What is still wrong."""


def repair_hub(folder: Path, archive: Path, identities: Sequence[AgeIdentity], randomness: Randomness) -> Repaired:
    """Mend a hub's store with an archive of the same hub.

    Raises `BeyondRepair` if its journal cannot be read, `OtherHub`, `KeysUnusable`, what `unpack` raises, `StoreBusy`,
    `StorageFailed`; then nothing was changed.
    """
    keys = load_keys(folder)
    with ExitStack() as opened:
        erased = opened.enter_context(_alone(folder))
        beside = opened.enter_context(staging(folder, empty=False))
        head = unpack(archive, beside, identities)
        kept = load_keys(beside)
        if head.account != account_of(keys) or kept.storage_key != keys.storage_key:
            raise OtherHub(f"the archive is of hub {head.account.hex()}, the folder of {account_of(keys).hex()}")
        check_unpacked(beside, kept)
        old = opened.enter_context(Store.open(beside / STORE_FILE, keys.storage_key))
        mending = _Mending(old, erased, randomness)
        live = _open_damaged(folder, keys)
        if live is not None:
            opened.enter_context(live)
        if live is not None and live.is_readable():
            mending.mend(live)
        else:
            mending.make_anew(live)
            old.close()
            if live is not None:
                live.close()
            _put_in_place(beside, folder)
    return mending.found


@contextmanager
def _alone(folder: Path) -> Iterator[set[ObjectId]]:
    """Keep other processes from acting for the hub, and read what it erased; raises `BeyondRepair`."""
    path = folder / JOURNAL_FILE
    try:
        faults = check_journal(path) if path.is_file() else ["there is no journal"]
    except NotAStore as error:
        faults = [str(error)]
    if faults:
        raise BeyondRepair("; ".join(faults))
    journal = Journal(path)
    try:
        with journal.alone():
            yield journal.erased()
    finally:
        journal.close()


def _open_damaged(folder: Path, keys: HubKeys) -> Store | None:
    try:
        return Store.open(folder / STORE_FILE, keys.storage_key, is_damaged=True)
    except NotAStore:
        return None


def _put_in_place(beside: Path, folder: Path) -> None:
    """Let a store that was made anew take the place of the one that cannot be read."""
    with storage_failures(folder):
        sync_files(beside)
        for suffix in ("-wal", "-shm"):
            (folder / f"{STORE_FILE}{suffix}").unlink(missing_ok=True)
        (beside / STORE_FILE).replace(folder / STORE_FILE)
        sync_folder(folder)


class _NotHelped(Exception):
    """A way of mending that is undone again."""


@dataclass
class _Mending:
    """The mending of one hub with the store of its archive."""

    old: Store
    erased: set[ObjectId]
    """What the owner erased, as the journal knows."""
    randomness: Randomness
    found: Repaired = field(default_factory=Repaired)
    keys: dict[bytes, ObjectId] = field(init=False)
    """Whose key each is in the archive, wrapped as it is."""

    def __post_init__(self) -> None:
        self.keys = {key: one for one, key in self.old.readable_keys().items() if key is not None}

    # ── a store that SQLite can read ──────────────────────────────────────────────────────────────────────────────

    def mend(self, live: Store) -> None:
        """Mend what is wrong in it, all in one transaction."""
        with live.transaction():
            if not live.is_marked():
                live.set_fact("hub", self.old.get_fact("hub"))
                self.found.restored.append((None, "the mark by which a store knows its key is back"))
            if not live.knows_latest():
                live.set_fact("latest", b"")
                self.found.restored.append((None, "the damaged list of the latest objects was emptied"))
            there = set(live.ids())
            for one, key in live.readable_keys().items():
                name = self._true_id(one, key)
                if name is not None and name not in there:
                    rename(live, one, name)
                    there.add(name)
                    self.found.restored.append((name, "has its id again"))
            for one in self.old.ids():
                if one not in there:
                    self._bring_back(live, one)
            self._mend_objects(live)
            self._mend_catalog(live, self.old, "as they were in the archive")
            if not self.found.beyond and (removed := remove_strays(live)):
                self.found.restored.append((None, f"{removed} pieces that belong to no object were removed"))
        live.empty_log()

    def _mend_objects(self, live: Store) -> None:
        """Mend what is wrong with objects, as long as anything helps: one may be the difference from another."""
        faults = {one: fault for one in live.ids() if (fault := live.fault_of(one)) is not None}
        helped = True
        while faults and helped:
            helped = False
            for one in list(faults):
                if live.fault_of(one) is None or self._mend_object(live, one):
                    del faults[one]
                    helped = True
        self.found.beyond += faults.items()

    def _bring_back(self, live: Store, one: ObjectId) -> None:
        """Put an object in its place that the store knows nothing of, or, if it was erased, its tombstone."""
        if one in self.erased:
            bury_anew(live, one, self.old.get_object(one).slot, self.randomness)
            self.found.restored.append((one, "was erased: its missing tombstone was made anew"))
        else:
            take_over(live, one, self.old, self.randomness)
            self.found.restored.append((one, "was missing, and is as it was in the archive"))

    def _mend_object(self, live: Store, one: ObjectId) -> bool:
        """Mend one object; the first way that helps is the one that changes least. Whether one did."""
        if one in self.erased or live.is_erased(one):
            live.bury(one, self.randomness)
            self.found.restored.append((one, "was erased: its damaged tombstone was made anew"))
            return True
        ways: tuple[tuple[str, Callable[[], None]], ...] = (
            ("its missing or altered bytes are back", lambda: mend_content(live, one, self.old)),
            ("what follows from it was made again", lambda: mend_derived(live, one, self.randomness)),
            ("is as it was in the archive", lambda: take_over(live, one, self.old, self.randomness)),
            ("was sealed anew from the archive", lambda: take_over_alone(live, one, self.old, self.randomness)),
        )
        for words, mend in ways:
            if _helps(live, mend, lambda: live.fault_of(one) is None):
                self.found.restored.append((one, words))
                return True
        return False

    def _mend_catalog(self, store: Store, other: Store, words: str) -> None:
        """See that the leaves under the hub's roots are whole, if need be with what another store knows of them."""
        faults = check_catalog(store)
        for names in CATALOG_FACTS if faults else ():

            def take(names: tuple[str, ...] = names) -> None:
                for name in names:
                    store.set_fact(name, other.get_fact(name))

            if _helps(store, take, lambda: not check_catalog(store)):
                self.found.restored.append((None, f"the leaves of its roots are {words}"))
                return
        self.found.beyond += [(None, fault) for fault in faults]

    def _true_id(self, one: ObjectId, key: bytes | None) -> ObjectId | None:
        """The id of an object in the archive with the same key, if it is another: nothing opens under a wrong one."""
        found = self.keys.get(key or b"")
        return None if found == one else found

    # ── one that it cannot read ───────────────────────────────────────────────────────────────────────────────────

    def make_anew(self, damaged: Store | None) -> None:
        """Bring the archive's store to what can still be read of the damaged one."""
        keys = {} if damaged is None else damaged.readable_keys()
        readable = {one for one, key in keys.items() if self._true_id(one, key) is None}
        archived = self.old.ids()
        with self.old.transaction():
            for one in [*archived, *sorted(readable.difference(archived))]:
                words = self._salvage(one, damaged if one in readable else None, one in archived)
                self.found.restored += [(one, words)] if words else []
            if damaged is not None:
                self._newer_catalog(damaged)
            if not self.old.knows_latest():
                self.old.set_fact("latest", b"")
            remove_strays(self.old)
        self.found.beyond += [(None, fault) for fault in [*self.old.check(), *check_catalog(self.old)]]
        self.old.empty_log()

    def _salvage(self, one: ObjectId, damaged: Store | None, is_archived: bool) -> str:
        """What became of an object, if it is to be told."""
        if damaged is not None and damaged.fault_of(one) is None and self._takes_over(one, damaged):
            return ""
        if one in self.erased or (damaged is not None and damaged.is_erased(one)):
            if is_archived and not self.old.is_erased(one):
                self.old.destroy(one, self.randomness)
            return "was erased, and stays so"
        if is_archived:
            return "is as it was in the archive"
        self.found.beyond.append((one, "cannot be read, and the archive does not hold it"))
        return ""

    def _takes_over(self, one: ObjectId, damaged: Store) -> bool:
        """Take an object over from a file that may break off while it is read; whether all of it came."""

        def is_whole() -> bool:
            self.old.check_sealed(one)
            return True

        return _helps(self.old, lambda: take_over(self.old, one, damaged, self.randomness), is_whole)

    def _newer_catalog(self, damaged: Store) -> None:
        """Take what the damaged store knows of its postings, if it still fits."""

        def take() -> None:
            for name in ("dummies", "postings"):
                self.old.set_fact(name, damaged.get_fact(name))

        _helps(self.old, take, lambda: not check_catalog(self.old))


def _helps(store: Store, mend: Callable[[], None], is_whole: Callable[[], bool]) -> bool:
    """Whether a way of mending helps; if it does not it is undone."""
    try:
        with store.attempt():
            mend()
            _require(is_whole())
    except StorageFailed:
        raise
    except (EdgeholdError, _NotHelped):
        return False
    return True


def _require(is_whole: bool) -> None:
    if not is_whole:
        raise _NotHelped
