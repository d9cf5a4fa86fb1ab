"""A life of one store: records that are imported, followed by newer versions, signed, read in rows, and erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import apsw
from crash_states import CrashState
from recording import Recorder, recorded
from survival import History, memory_folder

from edgehold.codecs.events import SCHEMA
from edgehold.demo.seeded import SeededRandomness
from edgehold.hub.store import LEAST_VERSION, NO_TABLE, Store
from edgehold.hub.tables import derive_tables
from edgehold.wire.data import Kind, ObjectId

KEY = bytes(range(32))
STORE = "store.sqlite"


class StoreLife:
    """A store that is being recorded, and what it acknowledged."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.path = folder / STORE
        self.random = random
        self.randomness = SeededRandomness(random.getrandbits(32), "a store")
        self.originals: dict[ObjectId, bytes] = {}
        self.recorder: Recorder

    def live(self) -> History:
        """Two records, each followed by some versions; one of them is erased, with others that follow it."""
        pages = self.random.choice((8, 20, 1000))
        hook = lambda connection: connection.wal_autocheckpoint(pages)  # noqa: E731
        apsw.connection_hooks.append(hook)
        try:
            with recorded(self.path.parent) as self.recorder, Store.create(self.path, KEY, self.randomness) as store:
                self.recorder.mark("the store exists", lambda store: store.get_fact("hub") != b"")
                for number in range(3):
                    self._import(store, "record.json", Kind.EHR, record(number, self.random))
                self._read_rows(store)
                for number in range(2):
                    self._import(store, "table.csv", Kind.LAB, lines(2 + number, self.random))
                self._sign(store)
                self._erase(store, self.random.choice(list(self.originals)))
                self._import(store, "record.json", Kind.EHR, record(3, self.random))
        finally:
            apsw.connection_hooks.remove(hook)
        return History(self.recorder.recording, {}, reopened, Store.check, go_on)

    def _import(self, store: Store, name: str, kind: Kind, original: bytes) -> None:
        tables = derive_tables(original) if kind is Kind.EHR and self.random.random() < 0.5 else None
        schema = SCHEMA if kind is Kind.EHR else NO_TABLE
        found, _ = store.put_object(
            original, name=name, kind=kind, schema=schema, tables=tables, randomness=self.randomness
        )
        self.originals[found.id] = original
        self.recorder.mark(f"import of {name}", partial(_gives_back, dataset=found.id, original=original))

    def _read_rows(self, store: Store) -> None:
        """What is derived on the way can be lost, and derived again."""
        for dataset in self.originals:  # only records so far
            store.read_rows(dataset, ["time.i64"], {}, self.randomness)

    def _sign(self, store: Store) -> None:
        dataset = self.random.choice(list(self.originals))
        store.put_object(
            self.originals[dataset], name="", kind=Kind.EHR, signature=b"a clinic's", randomness=self.randomness
        )
        signed = lambda store: store.get_signature(dataset) == b"a clinic's" or _is_erased(store, dataset)  # noqa: E731
        self.recorder.mark("a signature", signed)

    def _erase(self, store: Store, dataset: ObjectId) -> None:
        store.erase(dataset, self.randomness)
        self.recorder.mark("an erasure", partial(_is_erased, dataset=dataset))


@contextmanager
def reopened(folder: Path) -> Iterator[Store]:
    """The store after a power cut."""
    with Store.open(folder / STORE, KEY) as store:
        yield store


def go_on(folder: Path, state: CrashState) -> None:
    """The next version is taken in, everything is erased, and nothing is wrong."""
    randomness = SeededRandomness(state.cut.after, "after the power cut")
    with Store.open(folder / STORE, KEY) as store:
        original = record(9, Random(9))
        found, _ = store.put_object(original, name="record.json", kind=Kind.EHR, randomness=randomness)
        assert store.get_original(found.id) == original
        for one in store.objects():
            if not one.descriptor.tombstone:
                store.erase(one.id, randomness)
        assert store.check() == []


def record(number: int, random: Random) -> bytes:
    """A record with so many weights more than at first."""
    weights = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "effectiveDateTime": f"20{week // 12:02}-{week % 12 + 1:02}-01",
            "valueQuantity": {"value": 60 + week * 7 % 31 / 10, "code": "kg"},
        }
        for week in range(80 + 4 * number)
    ]
    more = {"resourceType": "Basic", "id": f"{random.getrandbits(64):x}"}
    return json.dumps(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in (*weights, more)]},
        indent=1,
    ).encode()


def lines(number: int, random: Random) -> bytes:
    """A table with so many hundred values, which begins as the shorter ones do."""
    rows = [f"2025-01-{row % 28 + 1:02},{row * 7919 % 100},mmol/L" for row in range(500 * number)]
    text = "\n".join(["date,value,unit", *rows, f"{random.random()},,"]).encode()
    assert len(text) >= LEAST_VERSION
    return text


def _gives_back(store: Store, dataset: ObjectId, original: bytes) -> bool:
    return _is_erased(store, dataset) or store.get_original(dataset) == original


def _is_erased(store: Store, dataset: ObjectId) -> bool:
    return store.get_object(dataset).descriptor.tombstone


def store_history(number: int) -> History:
    """The history of this number."""
    with memory_folder() as folder:
        return StoreLife(folder, Random(f"store {number}")).live()
