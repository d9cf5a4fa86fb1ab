"""Mending: of every kind of damage what an archive can bring back comes back, and nothing that was erased."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw
import pytest
from archives import FRIEND, STRANGER, all_of
from hub_world import OPEN, World, account_of
from msgspec.structs import replace

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BeyondRepair, ErasedObject, KeysUnusable, OtherHub, SealedToOthers, StorageFailed, StoreBusy
from edgehold.hub import repair as repairs
from edgehold.hub.archive import export_hub
from edgehold.hub.catalog import catalog_root, check_catalog
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE, Hub
from edgehold.hub.journal import Journal
from edgehold.hub.keys import KEYS_FILE
from edgehold.hub.repair import Repaired, repair_hub
from edgehold.hub.store import Store
from edgehold.wire.data import ObjectId

DATA = Path(__file__).parent.parent / "data"
FILES = (
    "lines/array.txt",
    "lines/observations.csv",
    "lines/small.vcf",
    "samples/100.hea",
    "samples/100.dat",
    "fhir/ips_example_bundle.json",
)
DICE = SeededRandomness(4, "mending")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A network with a hub of six records, a posted root, and an archive of it in `hub.age`; a seventh came later."""
    world = World(tmp_path_factory.mktemp("mending"))
    found = world.new_hub("ada")
    found.set_policy(OPEN)
    for name in FILES:
        found.import_file(DATA / name)
    catalog_root(found.store, world.randomness)
    export_hub(world.folder / "ada", world.folder / "hub.age", [FRIEND.recipient])
    found.import_file(DATA / "lines" / "minutes.csv")
    found.close()
    return world


@pytest.fixture
def hub(world: World, tmp_path: Path) -> Hub:
    """That hub, with its archive beside it."""
    shutil.copytree(world.folder / "ada", tmp_path / "ada")
    shutil.copy(world.folder / "hub.age", tmp_path / "hub.age")
    return Hub.open(tmp_path / "ada", world.outside)


def damage(hub: Hub, *statements: str) -> None:
    """Change the store's file as no hub does."""
    hub.close()
    file = apsw.Connection(str(place(hub) / STORE_FILE))
    for statement in statements:
        file.execute(statement)
    file.close()


def place(hub: Hub) -> Path:
    """Where it lies."""
    return hub._folder


def mend(hub: Hub) -> Repaired:
    """Repair it with its archive."""
    hub.close()
    return repair_hub(place(hub), place(hub).parent / "hub.age", [FRIEND], DICE)


def id_of(hub: Hub, name: str) -> ObjectId:
    """The object of a file."""
    return next(one.id for one in hub.store.objects() if one.name == Path(name).name)


def hexed(one: ObjectId) -> str:
    """As SQL spells it."""
    return f"x'{one.hex()}'"


FIRST = "id = (SELECT min(id) FROM {})"
DAMAGES: dict[str, tuple[str, ...]] = {
    "every chunk was altered": ("UPDATE chunk SET data = CAST(data || x'00' AS BLOB) WHERE length(data) > 1000",),
    "a chunk is missing": ("DELETE FROM chunk WHERE place = (SELECT min(place) FROM chunk)",),
    "all chunks are missing": ("DELETE FROM chunk",),
    "row groups were altered": ("UPDATE rows SET data = zeroblob(100)",),
    "row groups are missing": ("DELETE FROM rows",),
    "there is a chunk more": ("INSERT INTO chunk SELECT max(place) + 1, x'00' FROM chunk",),
    "the list of the latest was altered": ("UPDATE fact SET value = zeroblob(80) WHERE name = 'latest'",),
    "a leaf was altered": (f"UPDATE object SET leaf = zeroblob(32) WHERE {FIRST.format('object')}",),
    "an identity was altered": (f"UPDATE object SET identity = zeroblob(32) WHERE {FIRST.format('object')}",),
    "tables were altered": ("UPDATE object SET tables = zeroblob(40) WHERE tables IS NOT NULL",),
    "the leaves that fill were altered": ("UPDATE fact SET value = zeroblob(256) WHERE name = 'dummies'",),
    "the postings were altered": ("UPDATE fact SET value = x'80' WHERE name = 'postings'",),
    "both were altered": ("UPDATE fact SET value = zeroblob(256) WHERE name IN ('dummies', 'postings')",),
    "the mark was altered": ("UPDATE fact SET value = x'00' WHERE name = 'hub'",),
    "a chunk belongs to nothing": ("INSERT INTO chunk VALUES(1 << 60, x'00')",),
}


@pytest.mark.parametrize("statements", DAMAGES.values(), ids=DAMAGES)
def test_what_the_archive_holds_comes_back_and_nothing_else_changes(hub: Hub, statements: tuple[str, ...]) -> None:
    later = id_of(hub, "minutes.csv")
    before, leaves = all_of(place(hub)), hub.store.leaves()
    keep = f"CREATE TEMP TABLE kept AS SELECT * FROM object WHERE id = {hexed(later)}"
    damage(
        hub, keep, *statements, f"DELETE FROM object WHERE id = {hexed(later)}", "INSERT INTO object SELECT * FROM kept"
    )
    lost = {one for one, _ in mend(hub).beyond}
    assert lost <= {later}, "only what came after the archive can be lost"
    with Hub.open(place(hub), hub._outside) as again:
        assert [one for one in again.check() if later.hex() not in one] == []
        for name in FILES:
            assert again.store.get_original(id_of(again, name)) == (DATA / name).read_bytes()
        if not lost:
            assert again.check() == []
            assert again.store.leaves() == leaves
            after = all_of(place(hub))
            assert (after["keys"], after["journal"]) == (before["keys"], before["journal"])
    assert not list(place(hub).parent.glob(".*"))


@pytest.mark.parametrize("column", ["wrapped", "sealed"])
def test_what_is_said_of_an_object_comes_back_from_the_archive(hub: Hub, column: str) -> None:
    one, later = id_of(hub, FILES[0]), id_of(hub, "minutes.csv")
    before = hub.store.leaves()
    damage(hub, *(f"UPDATE object SET {column} = zeroblob(60) WHERE id = {hexed(each)}" for each in (one, later)))
    mended = mend(hub)
    assert mended.restored == [(one, "is as it was in the archive")]
    assert [each for each, _ in mended.beyond] == [later]
    assert hub.store.leaves() == before
    assert hub.store.get_original(one) == (DATA / FILES[0]).read_bytes()


def test_a_whole_hub_is_left_as_it_is(hub: Hub) -> None:
    before = all_of(place(hub))
    assert mend(hub) == Repaired()
    assert all_of(place(hub)) == before


def test_an_object_that_is_gone_comes_back_to_its_place(hub: Hub) -> None:
    one = id_of(hub, FILES[0])
    before = hub.store.leaves()
    damage(hub, f"DELETE FROM object WHERE id = {hexed(one)}")
    assert (one, "was missing, and is as it was in the archive") in mend(hub).restored
    assert hub.store.leaves() == before
    assert hub.check() == []


def test_if_its_place_was_taken_it_gets_another(hub: Hub) -> None:
    one, other = id_of(hub, FILES[0]), id_of(hub, "minutes.csv")
    slot, before = (hub.store.get_object(each).slot for each in (one, other))
    damage(
        hub,
        f"DELETE FROM object WHERE id = {hexed(one)}",
        f"DELETE FROM chunk WHERE place >> 24 = {slot}",
        f"UPDATE object SET slot = {slot} WHERE id = {hexed(other)}",
        f"UPDATE chunk SET place = place + ({slot - before} << 24) WHERE place >> 24 = {before}",
    )
    mend(hub)
    assert hub.store.get_object(other).slot == slot
    assert hub.store.get_object(one).slot != slot
    assert hub.store.get_original(one) == (DATA / FILES[0]).read_bytes()


def test_what_came_after_the_archive_is_left_as_it_is(hub: Hub) -> None:
    """A signature that was put beside a record later stays, although the bytes come from the archive."""
    one = id_of(hub, FILES[0])
    hub.store.sign(one, b"signature", DICE)
    damage(hub, "DELETE FROM chunk")
    mended = mend(hub)
    assert (one, "its missing or altered bytes are back") in mended.restored
    assert hub.store.get_signature(one) == b"signature"


def test_a_signature_that_was_altered_makes_the_object_what_it_was(hub: Hub) -> None:
    one = id_of(hub, FILES[0])
    hub.store.sign(one, b"signature", DICE)
    damage(hub, f"UPDATE object SET signature = zeroblob(50) WHERE id = {hexed(one)}")
    assert mend(hub).restored == [(one, "is as it was in the archive")]
    assert hub.store.get_signature(one) is None


def test_a_difference_comes_back_with_what_it_follows(hub: Hub, tmp_path: Path) -> None:
    """Of two versions both are damaged; of the later one the archive knows, or the first was erased since."""
    text = (DATA / "lines" / "observations.csv").read_bytes()
    for number in (1, 2):
        (tmp_path / "versions.csv").write_bytes(text.replace(b"Body", b"Bone") + b"1,2,3\n" * 9 * number)
        hub.import_file(tmp_path / "versions.csv")
    first, second = (
        one.id for one in sorted(hub.store.objects(), key=lambda one: one.received) if one.name == "versions.csv"
    )
    assert hub.store.get_object(second).after == first
    original = hub.store.get_original(second)
    (tmp_path / "hub.age").unlink()
    export_hub(place(hub), tmp_path / "hub.age", [FRIEND.recipient])
    damage(hub, "DELETE FROM chunk")
    assert mend(hub).beyond == []
    assert hub.store.get_original(second) == original
    damage(hub, f"UPDATE object SET sealed = zeroblob(60) WHERE id IN ({hexed(first)}, {hexed(second)})")
    assert {one for one, _ in mend(hub).restored} >= {first, second}
    assert hub.store.get_original(second) == original
    hub.erase(first)
    damage(hub, f"UPDATE object SET sealed = zeroblob(60) WHERE id = {hexed(second)}")
    mended = mend(hub)
    assert mended.restored == [(second, "was sealed anew from the archive")]
    assert hub.store.get_original(second) == original
    assert hub.store.get_object(second).after is None
    assert hub.check() == []


# ── erasure ───────────────────────────────────────────────────────────────────────────────────────────────────────

ERASED_DAMAGES: dict[str, Callable[[str], tuple[str, ...]]] = {
    "nothing": lambda one: (),
    "a damaged tombstone": lambda one: (f"UPDATE object SET sealed = zeroblob(60) WHERE id = {one}",),
    "a tombstone that is gone": lambda one: (f"DELETE FROM object WHERE id = {one}",),
    "a tombstone that pretends to have a key": lambda one: (
        f"UPDATE object SET wrapped = zeroblob(60), identity = zeroblob(32) WHERE id = {one}",
    ),
}


@pytest.mark.parametrize("statements", ERASED_DAMAGES.values(), ids=ERASED_DAMAGES)
def test_what_was_erased_stays_erased(hub: Hub, statements: Callable[[str], tuple[str, ...]]) -> None:
    one, slot = id_of(hub, FILES[0]), hub.store.get_object(id_of(hub, FILES[2])).slot
    hub.erase(one)
    damage(hub, *statements(hexed(one)), f"DELETE FROM chunk WHERE place >> 24 = {slot}")
    mend(hub)
    assert hub.store.get_original(id_of(hub, FILES[1]))
    ids = {each.id for each in hub.store.objects() if not each.descriptor.tombstone}
    assert one not in ids
    assert len(ids) == len(FILES)
    if one in hub.store.ids():
        with pytest.raises(ErasedObject):
            hub.store.get_original(one)
    with apsw.Connection(str(place(hub) / STORE_FILE)) as file:
        assert file.execute("SELECT count(*) FROM object WHERE wrapped IS NOT NULL").get == len(FILES)
    assert hub.check() == []


def test_a_store_that_forgot_an_erasure_is_reminded_by_the_journal(hub: Hub) -> None:
    """The whole store lies as it was when the archive was taken, but for the one blob that is damaged."""
    one = id_of(hub, FILES[0])
    hub.close()
    old = (place(hub) / STORE_FILE).read_bytes()
    hub.erase(one)
    hub.close()
    (place(hub) / STORE_FILE).write_bytes(old[: len(old) // 2])
    assert (one, "was erased, and stays so") in mend(hub).restored
    with pytest.raises(ErasedObject):
        hub.store.get_original(one)


# ── files that cannot be read ─────────────────────────────────────────────────────────────────────────────────────


def test_a_store_that_is_gone_is_made_of_the_archive(hub: Hub) -> None:
    hub.erase(id_of(hub, FILES[0]))
    hub.close()
    for path in place(hub).glob(f"{STORE_FILE}*"):
        path.unlink()
    mended = mend(hub)
    assert len(mended.restored) == len(FILES)
    assert mended.beyond == []
    assert hub.check() == []
    assert sum(not one.descriptor.tombstone for one in hub.store.objects()) == len(FILES) - 1


def test_whatever_page_is_damaged_nothing_of_the_archive_is_lost(hub: Hub) -> None:
    hub.close()
    path = place(hub) / STORE_FILE
    good, dice = path.read_bytes(), Random(8)
    erased = id_of(hub, FILES[1])
    hub.erase(erased)
    hub.close()
    good = path.read_bytes()
    made_anew = 0
    for _ in range(12):
        page = dice.randrange(len(good) // 1024)
        path.write_bytes(good[: page * 1024] + dice.randbytes(1024) + good[(page + 1) * 1024 :])
        mended = mend(hub)
        made_anew += any("archive" in words for _, words in mended.restored)
        live = [one for one in hub.store.objects() if not one.descriptor.tombstone]
        assert {one.name for one in live} >= {Path(name).name for name in FILES} - {Path(FILES[1]).name}
        assert erased not in {one.id for one in live}
        assert check_catalog(hub.store) == []
        hub.close()
    assert made_anew > 1


def test_what_is_newer_than_the_archive_is_saved_from_a_damaged_file(hub: Hub) -> None:
    """A page of a tree is damaged so that SQLite complains; objects that can be read are taken over."""
    hub.erase(id_of(hub, FILES[1]))
    newest = catalog_root(hub.store, DICE)
    hub.close()
    path = place(hub) / STORE_FILE
    file = apsw.Connection(str(path))
    file.execute("PRAGMA writable_schema=ON")
    root = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'object'").get
    file.execute("PRAGMA writable_schema=OFF; CREATE TABLE extra(a); INSERT INTO extra VALUES(zeroblob(4000))")
    spoilt = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'extra'").get
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    assert root != spoilt
    data = bytearray(path.read_bytes())
    data[(spoilt - 1) * 1024 : spoilt * 1024] = b"\xff" * 1024
    path.write_bytes(data)
    mended = mend(hub)
    assert mended.beyond == []
    assert {one.name for one in hub.store.objects() if one.name} == {
        Path(name).name for name in (*FILES, "minutes.csv") if name != FILES[1]
    }
    assert hub.check() == []
    assert newest.hex() in {posting.root.hex() for posting in _postings_of(hub)}


def _postings_of(hub: Hub) -> tuple[object, ...]:
    from edgehold.hub.catalog import _postings

    return _postings(hub.store).newest_first


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


def test_only_an_archive_of_the_same_hub_mends_it(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    world = World(tmp_path / "elsewhere", seed=2)
    world.new_hub("bea")
    export_hub(world.folder / "bea", tmp_path / "bea.age", [FRIEND.recipient])
    before = all_of(place(hub))
    with pytest.raises(OtherHub):
        repair_hub(place(hub), tmp_path / "bea.age", [FRIEND], DICE)
    with pytest.raises(SealedToOthers):
        repair_hub(place(hub), tmp_path / "hub.age", [STRANGER], DICE)
    (place(hub) / KEYS_FILE).chmod(0o644)
    with pytest.raises(KeysUnusable):
        mend(hub)
    (place(hub) / KEYS_FILE).chmod(0o600)
    assert all_of(place(hub)) == before


def test_a_journal_is_never_made_of_an_archive(hub: Hub) -> None:
    hub.close()
    path = place(hub) / JOURNAL_FILE
    good = path.read_bytes()
    path.write_bytes(b"no journal" * 1000)
    with pytest.raises(BeyondRepair):
        mend(hub)
    assert path.read_bytes() == b"no journal" * 1000
    path.write_bytes(good)
    file = apsw.Connection(str(path))
    file.execute("UPDATE facts SET value = x'00' WHERE name = 'policy'")
    file.close()
    with pytest.raises(BeyondRepair, match="journal"):
        mend(hub)
    for each in place(hub).glob(f"{JOURNAL_FILE}*"):
        each.unlink()
    with pytest.raises(BeyondRepair, match="no journal"):
        mend(hub)


def test_a_hub_that_is_being_acted_for_waits(hub: Hub) -> None:
    journal = Journal(place(hub) / JOURNAL_FILE)
    with journal.alone(), pytest.raises(StoreBusy):
        mend(hub)
    journal.close()


def test_a_failing_disk_is_no_damage(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(hub, "DELETE FROM chunk")

    def fails(*_: object) -> None:
        raise StorageFailed("disk")

    monkeypatch.setattr(repairs, "mend_content", fails)
    with pytest.raises(StorageFailed):
        mend(hub)
    monkeypatch.setattr(Store, "_check_object", fails)
    for look in (hub.store.check, lambda: hub.store.fault_of(hub.store.ids()[0])):
        with pytest.raises(StorageFailed):
            look()


# ── checking in parts ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_all_parts_together_check_everything_once(hub: Hub, parts: int) -> None:
    damage(hub, "DELETE FROM chunk")
    found = [fault for number in range(1, parts + 1) for fault in hub.store.check((number, parts))]
    assert sorted(found) == sorted(hub.store.check())
    assert len(found) == len(hub.store.ids())


def test_a_check_names_what_is_wrong_with_roots_and_journal(hub: Hub) -> None:
    hub.share(id_of(hub, FILES[0]), account_of("customer"), 50)
    damage(hub, "UPDATE fact SET value = zeroblob(100) WHERE name = 'dummies'")
    assert ["leaves that only fill" in fault for fault in hub.check()] == [True]
    assert hub.check((2, 3)) == []
    hub.close()
    file = apsw.Connection(str(place(hub) / JOURNAL_FILE))
    file.execute("UPDATE shares SET grant_ = x'00'")
    file.close()
    assert any(fault.startswith("journal: ") for fault in hub.check())


def test_a_posting_whose_leaves_do_not_give_it_is_named(hub: Hub) -> None:
    from edgehold.hub.catalog import Postings, _postings
    from edgehold.wire.codec import encode

    (posting,) = _postings(hub.store).newest_first
    forged = Postings(newest_first=(replace(posting, leaves=posting.leaves[::-1]),))
    hub.store.set_fact("postings", encode(forged))
    assert [posting.root.hex() in fault for fault in hub.check()] == [True]
    assert os.fspath(place(hub))
