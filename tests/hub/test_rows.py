"""Rows of a table: those that are asked for, from the row groups that hold them, and nothing that was altered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_store import KEY, RANDOMNESS, execute, put

from edgehold.codecs.events import Event, decode_table, encode_table
from edgehold.codecs.segments import values_of
from edgehold.errors import AlteredBlob, ErasedObject, Malformed
from edgehold.hub.store import Store
from edgehold.hub.tables import derive_tables
from edgehold.wire.data import ObjectId

YEAR = 31_557_600
CODES = ("LOINC//29463-7", "LOINC//8302-2", "LOINC//8480-6")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "hub.store", KEY, RANDOMNESS) as made:
        yield made


def record(years: int = 40) -> bytes:
    """A weight, a height and a pressure each week."""
    weeks = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code.removeprefix("LOINC//")}]},
            "effectiveDateTime": f"{1980 + week // 52}-{week % 52 * 12 // 52 + 1:02}-{week % 28 + 1:02}",
            "valueQuantity": {"value": 60 + week % 17, "code": "kg"},
        }
        for week in range(52 * years)
        for code in CODES
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in weeks]}
    return json.dumps(bundle).encode()


@pytest.fixture
def stored(store: Store) -> ObjectId:
    original = record()
    return put(store, original, tables=derive_tables(original))


def test_a_year_of_one_code_is_read_without_the_others(store: Store, stored: ObjectId) -> None:
    files = store.table(stored)
    strings = json.loads(files["strings.json"])
    code = strings.index(CODES[1])
    where = {"time.i64": (30 * YEAR, 31 * YEAR - 1), "code.u32": (code, code)}
    rows = store.read_rows(stored, ["time.i64", "value.f64"], where, RANDOMNESS)
    wanted = [
        (event.time, event.value)
        for event in decode_table(files)
        if event.code == CODES[1] and 30 * YEAR <= event.time < 31 * YEAR
    ]
    times = values_of("time.i64", rows.columns["time.i64"])
    values = values_of("value.f64", rows.columns["value.f64"])
    assert list(zip(times, values, strict=True)) == wanted
    assert len(wanted) > 40
    assert {place: strings[place] for place in rows.strings} == rows.strings
    assert CODES[0] in rows.strings.values()
    whole = store.get_object(stored)
    assert rows.read < 0.15 * (whole.kept + whole.cached)


def test_a_table_that_was_not_kept_is_derived_once(store: Store) -> None:
    object_id = put(store, record(1))
    assert store.get_object(object_id).cached == 0
    first = store.read_rows(object_id, ["time.i64"], {}, RANDOMNESS)
    assert store.get_object(object_id).cached > 0
    assert store.read_rows(object_id, ["time.i64"], {}, RANDOMNESS) == first
    assert first.columns["time.i64"] == store.table(object_id)["time.i64"]
    assert store.check() == []


def test_a_table_that_is_kept_again_is_sealed_under_another_key(store: Store, stored: ObjectId) -> None:
    before = execute(store.path, "SELECT data FROM rows ORDER BY place")
    execute(store.path, "UPDATE object SET tables = NULL")
    store.read_rows(stored, ["time.i64"], {}, RANDOMNESS)
    after = execute(store.path, "SELECT data FROM rows ORDER BY place")
    assert len(before) == len(after)
    assert not {row[0] for row in before} & {row[0] for row in after}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rows SET data = zeroblob(length(data)) WHERE place & 0xFFFFFF = 1",
        "DELETE FROM rows WHERE place & 0xFFFFFF = 1",
    ],
)
def test_an_altered_row_group_is_named_and_the_others_are_read(store: Store, stored: ObjectId, change: str) -> None:
    execute(store.path, change)
    with pytest.raises(AlteredBlob, match=f"row group 1 of object {stored.hex()}"):
        store.table(stored)
    assert stored.hex() in store.check()[0]
    first = store.read_rows(stored, ["time.i64"], {"row": (0, 10)}, RANDOMNESS)
    assert len(first.columns["time.i64"]) == 8 * 11


def test_a_row_group_too_many_is_found(store: Store, stored: ObjectId) -> None:
    execute(store.path, "INSERT INTO rows SELECT max(place) + 1, x'00' FROM rows")
    (fault,) = store.check()
    assert "in rows, where there should be" in fault


def test_what_is_no_column_and_what_was_erased_are_refused(store: Store, stored: ObjectId) -> None:
    with pytest.raises(Malformed):
        store.read_rows(stored, ["time.i64"], {"value.f64": (0, 1)}, RANDOMNESS)
    with pytest.raises(Malformed):
        store.read_rows(stored, ["nothing.i64"], {}, RANDOMNESS)
    store.erase(stored, RANDOMNESS)
    assert execute(store.path, "SELECT count(*) FROM rows") == [(0,)]
    with pytest.raises(ErasedObject):
        store.read_rows(stored, ["time.i64"], {}, RANDOMNESS)


def test_lengths_tell_little_of_what_is_kept(store: Store) -> None:
    """Events that differ by their words only are kept in the same number of bytes, or nearly."""
    sizes = set()
    for words in ("a", "b" * 7, "c" * 20):
        object_id = put(store, json.dumps({"resourceType": "Patient", "id": words}).encode())
        ((size,),) = execute(store.path, "SELECT length(sealed) FROM object WHERE id = ?", object_id)
        sizes.add(size)
    assert len(sizes) == 1


def test_a_table_of_nothing_is_kept(store: Store) -> None:
    object_id = put(store, b'{"resourceType": "Bundle"}', tables=encode_table([]))
    assert decode_table(store.table(object_id)) == list[Event]()
    assert store.read_rows(object_id, ["time.i64"], {"time.i64": (0, 1)}, RANDOMNESS).columns == {"time.i64": b""}
