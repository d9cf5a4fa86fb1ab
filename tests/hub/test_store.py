"""The store: what was kept comes back, what was altered is named, what was erased is gone."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from hashlib import shake_256
from pathlib import Path
from typing import Any

import apsw
import pytest

from edgehold.codecs.events import Event, decode_table, encode_table
from edgehold.crypto.jws import sign_detached
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import (
    AlteredBlob,
    BadField,
    BadSignature,
    EdgeholdError,
    ErasedObject,
    HubError,
    NotAStore,
    NotJson,
    SeveralPersons,
    StoreBusy,
    UnknownObject,
    WrongHubKey,
)
from edgehold.hub import sealed
from edgehold.hub import store as stores
from edgehold.hub.catalog import check_catalog
from edgehold.hub.intake.fhir import read_original
from edgehold.hub.intake.imports import Imported
from edgehold.hub.intake.take_in import import_file, years_of
from edgehold.hub.store import Store
from edgehold.hub.tables import derive_tables, remove_abandoned, tables_directory
from edgehold.verify.opening import record_commitment, signature_digest
from edgehold.wire.data import Kind, ObjectId
from edgehold.wire.ids import AccountId, Digest, PublicKey

FHIR = Path(__file__).parent.parent / "data" / "fhir"
IPS = FHIR / "ips_example_bundle.json"
KEY = bytes(range(32))
BORN = -418262400
"""1956-09-30, the birth of the person in the IPS example, in seconds since 1970."""
CLINIC = AccountId(Digest(bytes(32)))


class Seeded:
    """Randomness from a seed, for tests."""

    def __init__(self, seed: bytes = b"") -> None:
        self._seed = seed
        self._drawn = 0

    def draw(self, count: int) -> bytes:
        self._drawn += 1
        return shake_256(self._seed + self._drawn.to_bytes(8, "little")).digest(count)


RANDOMNESS = Seeded()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "hub.store", KEY, RANDOMNESS) as made:
        yield made


def put(store: Store, original: bytes, **fields: Any) -> ObjectId:
    found, _ = store.put_object(original, name="x.json", kind=Kind.EHR, randomness=RANDOMNESS, **fields)
    return found.id


def take_in(store: Store, path: Path, **fields: Any) -> Imported:
    return import_file(store, path, randomness=RANDOMNESS, **fields)


def patient(name: str = "p", **fields: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": name, "birthDate": "1980"} | fields).encode()


def file_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def leaks(secret: bytes, content: bytes) -> bool:
    """Whether eight bytes of a secret stand anywhere."""
    return any(secret[start : start + 8] in content for start in range(0, len(secret) - 7, 8))


def execute(path: Path, statement: str, *values: Any) -> list[Any]:
    with apsw.Connection(str(path)) as database:
        rows = list(database.execute(statement, values))
    database.close()
    return rows


# ── import and read ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_imported_file_comes_back_byte_for_byte(store: Store) -> None:
    imported = take_in(store, IPS)
    (stored,) = imported.added
    assert store.get_original(stored.id) == IPS.read_bytes()
    assert (stored.name, stored.descriptor.kind) == (IPS.name, Kind.EHR)
    assert stored.received == imported.bytes_received == IPS.stat().st_size
    assert imported.bytes_kept == stored.kept < stored.received / 8
    assert stored.commitment == record_commitment(IPS.read_bytes())
    assert stored.descriptor.first_year is not None


def test_its_events_are_kept_and_can_be_derived_again(store: Store) -> None:
    (stored,) = take_in(store, IPS).added
    kept = store.table(stored.id)
    assert [event.time for event in decode_table(kept) if event.code == "MEDS_BIRTH"] == [BORN]
    execute(store.path, "UPDATE object SET tables = NULL")
    assert store.table(stored.id) == kept


def test_the_same_file_again_adds_nothing(store: Store, tmp_path: Path) -> None:
    (stored,) = take_in(store, IPS).added
    leaves, content = store.leaves(), store.objects()
    shutil.copy(IPS, tmp_path / "renamed.json")
    again = take_in(store, tmp_path / "renamed.json")
    assert (again.added, again.known) == ((), (stored,))
    assert again.bytes_received == again.bytes_kept == 0
    assert (store.leaves(), store.objects()) == (leaves, content)


def test_the_same_record_in_two_hubs_looks_different(tmp_path: Path) -> None:
    content = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with Store.create(tmp_path / name / "hub.store", os.urandom(32), Seeded(name.encode())) as store:
            take_in(store, IPS)
        content.append({row[0] for row in execute(tmp_path / name / "hub.store", "SELECT data FROM chunk")})
    assert not content[0] & content[1]


def test_a_file_with_a_bad_line_leaves_nothing(store: Store, tmp_path: Path) -> None:
    bundle = b'{"resourceType":"Bundle","type":"collection","entry":[]}\n'
    bad = b'{"resourceType":"Observation","status":5}\n'
    for lines, error in ((bundle + b"{]\n", NotJson), (bundle + bad, BadField)):
        path = tmp_path / "x.ndjson"
        path.write_bytes(lines)
        with pytest.raises(error):
            take_in(store, path)
        assert store.objects() == []
        assert store.check() == []
        assert execute(store.path, "SELECT * FROM chunk") == []


def test_another_persons_record_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_bytes(patient() + b"\n" + patient("q") + b"\n")
    with pytest.raises(SeveralPersons):
        take_in(store, tmp_path / "x.ndjson")
    assert store.objects() == []


def test_a_large_original_is_cut_into_chunks_that_cannot_change_places(store: Store) -> None:
    noise = shake_256(b"noise").digest(700_000)
    object_id = put(store, noise, schema="none/1")
    assert store.get_original(object_id) == noise
    chunks = execute(store.path, "SELECT place, data FROM chunk ORDER BY place")
    assert len(chunks) == 3
    execute(store.path, "UPDATE chunk SET data = ? WHERE place = ?", chunks[0][1], chunks[1][0])
    with pytest.raises(AlteredBlob, match=f"chunk 1 of 3 of object {object_id.hex()}"):
        store.get_original(object_id)


def test_an_empty_original_is_kept_too(store: Store) -> None:
    assert store.get_original(put(store, b"", schema="none/1")) == b""


def test_years_are_those_of_what_was_stated() -> None:
    assert years_of([]) is None
    assert years_of([Event(-(2**63), "GENDER//male"), Event(-86400 * 366 * 50, "MEDS_BIRTH")]) is None
    assert years_of([Event(-1, "A"), Event(0, "B"), Event(86400 * 365, "C")]) == (1969, 1971)


# ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────


SIGNER = SigningKey(bytes(32))


def sign(message: bytes) -> bytes:
    return SIGNER.sign(message)


def key_of(signer: AccountId) -> PublicKey:
    if signer != CLINIC:
        raise BadSignature("unknown signer")
    return SIGNER.public


def test_a_signed_record_keeps_its_signature(store: Store) -> None:
    token = sign_detached(IPS.read_bytes(), CLINIC, sign)
    (stored,) = take_in(store, IPS, signature=token, key_of=key_of).added
    assert store.get_signature(stored.id) == token
    assert stored.descriptor.signature == signature_digest(token)
    assert store.check() == []


def test_a_signature_that_comes_later_is_put_beside_the_record(store: Store) -> None:
    (before,) = take_in(store, IPS).added
    assert store.get_signature(before.id) is None
    token = sign_detached(IPS.read_bytes(), CLINIC, sign)
    (after,) = take_in(store, IPS, signature=token, key_of=key_of).known
    assert (after.id, after.slot) == (before.id, before.slot)
    assert after.leaf != before.leaf
    assert after.salt != before.salt
    assert store.get_signature(after.id) == token
    assert store.check() == []


def test_a_record_changed_after_signing_is_refused(store: Store, tmp_path: Path) -> None:
    token = sign_detached(IPS.read_bytes(), CLINIC, sign)
    (tmp_path / "x.json").write_bytes(IPS.read_bytes().replace(b"display", b"dispIay", 1))
    for path, checks in ((tmp_path / "x.json", key_of), (IPS, None)):
        with pytest.raises(BadSignature):
            take_in(store, path, signature=token, key_of=checks)
    assert store.objects() == []


def test_a_signature_stands_for_one_record_only(store: Store, tmp_path: Path) -> None:
    bundle = b'{"resourceType":"Bundle","type":"collection","entry":[]}'
    (tmp_path / "x.ndjson").write_bytes(bundle + b"\n" + bundle + b"\n")
    with pytest.raises(BadSignature, match="one record"):
        take_in(store, tmp_path / "x.ndjson", signature=sign_detached(bundle, CLINIC, sign), key_of=key_of)
    assert store.objects() == []


# ── alterations ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("position", [0, 100, -1])
def test_a_flipped_bit_in_a_chunk_is_named_and_refused(store: Store, position: int) -> None:
    (stored,) = take_in(store, IPS).added
    ((data,),) = execute(store.path, "SELECT data FROM chunk")
    altered = bytearray(data)
    altered[position] ^= 1
    execute(store.path, "UPDATE chunk SET data = ?", bytes(altered))
    with pytest.raises(AlteredBlob, match=f"chunk 0 of 1 of object {stored.id.hex()} was altered"):
        store.get_original(stored.id)
    assert any(f"chunk 0 of 1 of object {stored.id.hex()}" in fault for fault in store.check())


def test_a_missing_chunk_is_named(store: Store) -> None:
    (stored,) = take_in(store, IPS).added
    execute(store.path, "DELETE FROM chunk")
    with pytest.raises(AlteredBlob, match="is missing"):
        store.get_original(stored.id)


@pytest.mark.parametrize("column", ["wrapped", "sealed", "signature", "tables", "leaf", "identity"])
def test_whatever_is_altered_the_check_names_the_object(store: Store, column: str) -> None:
    token = sign_detached(IPS.read_bytes(), CLINIC, sign)
    (stored,) = take_in(store, IPS, signature=token, key_of=key_of).added
    ((value,),) = execute(store.path, f"SELECT {column} FROM object")
    execute(store.path, f"UPDATE object SET {column} = ?", value[:-1] + bytes([value[-1] ^ 1]))
    (fault,) = store.check()
    assert stored.id.hex() in fault


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE object SET slot = 'x'",
        "UPDATE object SET slot = -1",
        "UPDATE object SET slot = 1 << 50",
        "UPDATE object SET slot = 1000",
        "UPDATE object SET leaf = 'text'",
        "UPDATE object SET wrapped = 7",
        "UPDATE object SET sealed = 1 << 60",
        "UPDATE chunk SET data = 1 << 60",
        "UPDATE rows SET data = 'text'",
        "UPDATE fact SET value = 1 << 60 WHERE name = 'dummies'",
        "UPDATE fact SET value = 'text' WHERE name = 'latest'",
        "UPDATE fact SET name = 'lasett' WHERE name = 'latest'",
    ],
)
def test_values_that_no_store_writes_are_refused_and_never_used(store: Store, change: str) -> None:
    one = put(store, IPS.read_bytes())
    store.read_rows(one, [], {}, RANDOMNESS)
    execute(store.path, change)
    for look in (lambda: store.get_original(one), lambda: store.table(one), store.leaves, store.objects):
        with suppress(EdgeholdError):
            look()
    try:
        faults = store.check() + check_catalog(store)
    except EdgeholdError:
        return
    assert faults


def test_a_wrong_table_or_signature_under_the_right_key_is_found(store: Store) -> None:
    put(store, patient(), tables=encode_table([]))
    (fault,) = store.check()
    assert "tables" in fault
    execute(store.path, "UPDATE object SET tables = NULL, signature = NULL")
    put(store, patient(), signature=b"token")
    execute(store.path, "UPDATE object SET signature = NULL")
    (fault,) = store.check()
    assert "signature" in fault


def test_damage_anywhere_in_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "hub.store"
    with Store.create(path, KEY, RANDOMNESS) as store:
        take_in(store, IPS)
    sound = path.read_bytes()
    for start in range(0, len(sound), 1024):
        path.write_bytes(
            sound[:start] + bytes(255 - byte for byte in sound[start : start + 1024]) + sound[start + 1024 :]
        )
        try:
            with Store.open(path, KEY) as store:
                assert store.check() != []
        except HubError:
            continue


def test_stray_chunks_and_row_groups_are_found(store: Store) -> None:
    assert store.check() == []
    for table in ("chunk", "rows"):
        execute(store.path, f"INSERT INTO {table} VALUES(7, ?)", b"stray")
    assert store.check() == ["chunk 7 belongs to no object", "row group 7 belongs to no object"]


def test_an_original_that_is_not_what_was_committed_to_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(stores, "record_commitment", lambda _: Digest(bytes(32)))
        object_id = put(store, patient())
    with pytest.raises(AlteredBlob, match="committed"):
        store.get_original(object_id)


# ── erasure ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_erasure_leaves_nothing_readable(store: Store, tmp_path: Path) -> None:
    (stored,) = take_in(store, IPS, signature=sign_detached(IPS.read_bytes(), CLINIC, sign), key_of=key_of).added
    (secrets,) = execute(
        store.path, "SELECT wrapped, sealed, signature, tables, data, identity, leaf FROM object, rows"
    )
    ((chunk,),) = execute(store.path, "SELECT data FROM chunk")
    assert all(leaks(secret, file_bytes(tmp_path)) for secret in (*secrets, chunk))
    store.erase(stored.id, RANDOMNESS)
    left = file_bytes(tmp_path)
    assert not any(leaks(secret, left) for secret in (*secrets, chunk))
    for read in (store.get_original, store.table):
        with pytest.raises(ErasedObject):
            read(stored.id)
    assert store.get_signature(stored.id) is None
    with pytest.raises(ErasedObject):
        store.erase(stored.id, RANDOMNESS)


def test_a_tombstone_keeps_the_place_and_says_nothing(store: Store) -> None:
    (stored,) = take_in(store, IPS).added
    store.erase(stored.id, RANDOMNESS)
    (tombstone,) = store.objects()
    assert (tombstone.id, tombstone.slot) == (stored.id, stored.slot)
    assert tombstone.descriptor.tombstone
    assert (tombstone.name, tombstone.received, tombstone.cached) == ("", 0, 0)
    assert tombstone.leaf != stored.leaf
    assert store.check() == []


def damage(store: Store, one: ObjectId, column: str) -> None:
    """Replace what stands in a column of an object."""
    execute(store.path, f"UPDATE object SET {column} = zeroblob(60) WHERE id = ?", one)


def test_what_is_damaged_is_erased_too_and_keeps_nothing_else_from_being_erased(store: Store) -> None:
    ids = [put(store, patient(name)) for name in "abc"]
    for one in ids[:2]:
        damage(store, one, "sealed")
    for one in (ids[0], ids[2]):
        store.erase(one, RANDOMNESS)
        assert store.get_object(one).descriptor.tombstone
        with pytest.raises(ErasedObject):
            store.erase(one, RANDOMNESS)
    damage(store, ids[0], "sealed")
    with pytest.raises(ErasedObject):
        store.erase(ids[0], RANDOMNESS)


def test_an_erasure_keeps_of_what_follows_all_that_can_be_read(store: Store) -> None:
    """The table and the signature of the next version are damaged: its original goes on by itself."""
    before, after = (IPS.read_bytes() + end for end in (b"", b" "))
    first, second = put(store, before), put(store, after, tables=derive_tables(after), signature=b"signature")
    assert store.get_object(second).after == first
    for column in ("tables", "signature"):
        damage(store, second, column)
    store.erase(first, RANDOMNESS)
    assert store.get_original(second) == after
    assert store.table(second) == derive_tables(after)
    assert [f"object {second.hex()}" in fault for fault in store.check()] == [True]


def test_a_version_without_the_one_before_is_named(store: Store) -> None:
    first, second = (put(store, IPS.read_bytes() + end) for end in (b"", b" "))
    third = put(store, patient())
    execute(store.path, "UPDATE chunk SET data = zeroblob(60) WHERE place >> 24 = ?", store.get_object(second).slot)
    store.erase(first, RANDOMNESS)
    with pytest.raises(AlteredBlob, match=second.hex()):
        store.get_original(second)
    execute(store.path, "DELETE FROM object WHERE id = ?", first)
    assert any(second.hex() in fault for fault in store.check())
    assert store.get_original(third) == patient()


def test_what_was_erased_can_be_imported_anew(store: Store) -> None:
    (stored,) = take_in(store, IPS).added
    store.erase(stored.id, RANDOMNESS)
    (anew,) = take_in(store, IPS).added
    assert anew.id != stored.id
    assert store.get_original(anew.id) == IPS.read_bytes()


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_store_opens_with_its_key_only(tmp_path: Path) -> None:
    path = tmp_path / "hub.store"
    with Store.create(path, KEY, RANDOMNESS) as store:
        object_id = put(store, patient())
    with Store.open(path, KEY) as store:
        assert store.get_original(object_id) == patient()
        assert store.check() == []
    with pytest.raises(WrongHubKey):
        Store.open(path, bytes(32))
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_commit_is_on_disk_and_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hub.store"
    made = Store.create(path, KEY, RANDOMNESS)
    opened = Store.open(path, KEY)
    for store in (made, opened):
        settings = [store._database.execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "secure_delete")]
        assert settings == [(2,), (1,)]
        store.close()


def test_nothing_readable_lies_in_the_file(store: Store, tmp_path: Path) -> None:
    put(store, patient(name="Erika Mustermann"), signature=b"signature of a clinic")
    for word in (b"Erika", b"Patient", b"x.json", b"signature of", b"edgehold.events", KEY):
        assert word not in file_bytes(tmp_path)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    text, empty, other = tmp_path / "text", tmp_path / "empty", tmp_path / "other"
    text.write_bytes(b"not a database" * 100)
    empty.touch()
    with Store.create(other, KEY, RANDOMNESS) as store:
        store.set_fact("hub", b"edgehold.store/9")
    for path in (text, empty, other, tmp_path / "missing", tmp_path):
        with pytest.raises(NotAStore):
            Store.open(path, KEY)


def test_a_store_is_never_made_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "hub.store").write_bytes(b"precious")
    with pytest.raises(HubError, match="cannot be made"):
        Store.create(tmp_path / "hub.store", KEY, RANDOMNESS)
    assert (tmp_path / "hub.store").read_bytes() == b"precious"


def test_two_writers_do_not_wait_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "BUSY_MILLISECONDS", 1)
    with Store.open(store.path, KEY) as other, store.transaction(), pytest.raises(StoreBusy):
        put(other, patient())


def test_an_unknown_object_is_said_so(store: Store) -> None:
    with pytest.raises(UnknownObject):
        store.get_object(ObjectId(bytes(16)))


def put_and_fail(store: Store) -> None:
    with store.transaction():
        put(store, patient())
        read_original(b"{", "x")


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(NotJson):
        put_and_fail(store)
    assert store.objects() == []
    assert store.get_fact("never set") == b""


def _put_and_die(path: Path) -> None:
    store = Store.open(path, KEY)
    put(store, patient("first"))
    with store.transaction():
        put(store, patient("second"))
        os._exit(0)


def test_after_a_kill_what_was_acknowledged_is_there_and_the_rest_is_not(tmp_path: Path) -> None:
    path = tmp_path / "hub.store"
    Store.create(path, KEY, RANDOMNESS).close()
    process = multiprocessing.get_context("spawn").Process(target=_put_and_die, args=(path,))
    process.start()
    process.join()
    with Store.open(path, KEY) as store:
        (stored,) = store.objects()
        assert store.get_original(stored.id) == patient("first")
        assert store.check() == []


# ── tables for the sandbox ────────────────────────────────────────────────────────────────────────────────────────


def test_tables_lie_in_a_private_directory_that_goes_away() -> None:
    with tables_directory({"time.i64": b"12345678"}) as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (directory / "time.i64").read_bytes() == b"12345678"
    assert not directory.exists()
    with pytest.raises(RuntimeError), tables_directory({}) as directory:
        raise RuntimeError
    assert not directory.exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    dead, own, first = (tmp_path / f"edgehold-tables-{pid}-x" for pid in (process.pid, os.getpid(), 1))
    odd = tmp_path / "edgehold-tables-odd-x"
    for directory in (dead, own, first, odd):
        directory.mkdir()
    remove_abandoned(tmp_path)
    assert not dead.exists()
    assert own.exists()
    assert first.exists()
    assert odd.exists()
