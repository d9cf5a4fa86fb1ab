"""How the content of a damaged store is mended with another store of the same hub, object by object.

Everything is sealed under keys that seal nothing else, so whatever opens is what was there: what is copied from one file
to the other needs no trust.
"""

from __future__ import annotations

from edgehold.codecs.parts import PARTS
from edgehold.codecs.segments import cut_table
from edgehold.errors import AlteredBlob, ErasedObject
from edgehold.hub.sealed import chunks_of, leaf_of, place_of, places_of
from edgehold.hub.store import Store
from edgehold.ports import Randomness
from edgehold.wire.data import ObjectId


def rename(store: Store, object_id: ObjectId, name: ObjectId) -> None:
    """Give an object back its id."""
    store.execute("UPDATE object SET id = ? WHERE id = ?", name, object_id)


def mend_content(store: Store, object_id: ObjectId, other: Store) -> None:
    """Put back each chunk and row group that is not as it was, if another store of this hub holds it so; a key seals
    each of them once, so whatever opens is what was there."""
    row, before = store.row(object_id), other.row(object_id).slot
    record, key = store.open_record(row)
    if key is None:
        raise ErasedObject(f"object {object_id.hex()} was erased")
    total = chunks_of(record.encoded)
    try:
        kept, _ = store.kept_table(object_id)
    except AlteredBlob:
        store.execute("UPDATE object SET tables = ? WHERE id = ?", other.row(object_id).tables, object_id)
        kept, _ = store.kept_table(object_id)
    groups = 0 if kept is None else kept.outline.groups
    for table, count in (("chunk", total), ("rows", groups)):
        end = places_of(row.slot)[1]
        store.execute(f"DELETE FROM {table} WHERE place BETWEEN ? AND ?", place_of(row.slot, count), end)  # noqa: S608
        for number in range(count):
            try:
                if table == "chunk":
                    store.get_chunk(object_id, row.slot, key, number, record)
                elif kept is not None:
                    store.get_group(kept, object_id, row.slot, number)
            except AlteredBlob:
                _copy_content(store, other, table, place_of(before, number), place_of(row.slot, number))


def mend_derived(store: Store, object_id: ObjectId, randomness: Randomness) -> None:
    """Make again what follows from an object's description and original: leaf, identity, and a table if it has one."""
    row = store.row(object_id)
    record, _ = store.open_record(row)
    original = store.pieces_of(object_id)
    table = None if row.tables is None else cut_table(store.derive_table(object_id, original))
    store.remove_content(row.slot, ("rows",))
    store.execute(
        "UPDATE object SET leaf = ?, identity = ?, tables = NULL WHERE id = ?",
        leaf_of(record.descriptor, record.salt, record.commitment),
        original.identity(),
        object_id,
    )
    if table is not None:
        store.put_table(object_id, table, randomness)


def take_over(store: Store, object_id: ObjectId, other: Store, randomness: Randomness) -> None:
    """Replace all that is kept of an object by what another store of this hub keeps of it, sealed as it is."""
    before = other.row(object_id).slot
    _make_room(store, object_id)
    for row in other.execute("SELECT * FROM object WHERE id = ?", object_id):
        store.execute(f"INSERT INTO object VALUES({', '.join('?' * len(row))})", *row)
    slot = _take_slot(store, object_id, before, randomness)
    for table in ("chunk", "rows"):
        _copy_places(store, other, table, before, slot)


def take_over_alone(store: Store, object_id: ObjectId, other: Store, randomness: Randomness) -> None:
    """As `take_over`, encoded by itself and sealed anew, where the version is gone that it was the difference from."""
    row = other.row(object_id)
    record, _ = other.open_record(row)
    assert row.identity is not None  # noqa: S101
    if record.descriptor.codec == PARTS:
        _take_over_parts(store, object_id, other, randomness)
        return
    original, signature = other.get_original(object_id), other.get_signature(object_id)
    tables = None if row.tables is None else other.table(object_id)
    _make_room(store, object_id)
    store.execute("INSERT INTO object(id, slot, leaf, sealed) VALUES(?, ?, x'', x'')", object_id, row.slot)
    slot = _take_slot(store, object_id, row.slot, randomness)
    store.put_alone(object_id, slot, row.identity, record, original, signature, tables, randomness)


def _take_over_parts(store: Store, object_id: ObjectId, other: Store, randomness: Randomness) -> None:
    """As `take_over_alone`, of what is kept part by part; its table comes as it is."""
    row = other.row(object_id)
    record, _ = other.open_record(row)
    assert row.identity is not None  # noqa: S101
    kept, signature = other.open_kept(object_id), other.get_signature(object_id)
    _make_room(store, object_id)
    store.execute("INSERT INTO object(id, slot, leaf, sealed) VALUES(?, ?, x'', x'')", object_id, row.slot)
    slot = _take_slot(store, object_id, row.slot, randomness)
    key, made = store.put_parts_alone(object_id, slot, record, other.alone_parts(object_id), randomness)
    store.describe(object_id, slot, row.identity, made, key, signature, None, randomness)
    if kept is not None:
        _copy_places(store, other, "rows", row.slot, slot)
        store.seal_kept(object_id, kept, randomness)


def bury_anew(store: Store, object_id: ObjectId, slot: int, randomness: Randomness) -> None:
    """Put a tombstone in the place of an object of which nothing is left."""
    store.execute("INSERT INTO object(id, slot, leaf, sealed) VALUES(?, ?, x'', x'')", object_id, slot)
    _take_slot(store, object_id, slot, randomness)
    store.bury(object_id, randomness)


def remove_strays(store: Store) -> int:
    """Remove chunks and row groups that belong to no object; how many."""
    strays = store.strays()
    for table, _, place in strays:
        store.execute(f"DELETE FROM {table} WHERE place = ?", place)  # noqa: S608
    return len(strays)


def _make_room(store: Store, object_id: ObjectId) -> None:
    for (slot,) in store.execute("SELECT slot FROM object WHERE id = ?", object_id):
        store.remove_content(slot)
    store.execute("DELETE FROM object WHERE id = ?", object_id)


def _take_slot(store: Store, object_id: ObjectId, slot: int, randomness: Randomness) -> int:
    """Give an object its place among the leaves, or another if somebody has it; the place is empty then."""
    if store.execute("SELECT 1 FROM object WHERE slot = ? AND id != ?", slot, object_id):
        slot = store.free_slot(randomness)
        store.execute("UPDATE object SET slot = ? WHERE id = ?", slot, object_id)
    store.remove_content(slot)
    return slot


def _copy_places(store: Store, other: Store, table: str, slot: int, to: int) -> None:
    """Copy all that lies in a place of one store into a place of the other."""
    for (place,) in other.execute(f"SELECT place FROM {table} WHERE place BETWEEN ? AND ?", *places_of(slot)):  # noqa: S608
        _copy_content(store, other, table, place, place - place_of(slot, 0) + place_of(to, 0))


def _copy_content(store: Store, other: Store, table: str, place: int, to: int) -> None:
    for (data,) in other.execute(f"SELECT data FROM {table} WHERE place = ?", place):  # noqa: S608
        store.execute(f"INSERT OR REPLACE INTO {table} VALUES(?, ?)", to, data)
