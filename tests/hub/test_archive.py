"""A hub in one file: out of a hub in use, into an empty folder elsewhere, whole or not at all, and never richer than before."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from random import Random

import apsw
import pytest
from archives import (
    FRIEND,
    LINES,
    PERSONS,
    STRANGER,
    Members,
    all_of,
    enrolled,
    lived,
    members_of,
    write_archive,
)
from hub_world import OPEN, SCHEDULE, World, digest
from msgspec.structs import replace

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    ArchiveDamaged,
    ArchiveUnknown,
    FolderInUse,
    HubDamaged,
    KeysUnusable,
    NotAStore,
    NotFound,
    OtherHub,
    SealedToOthers,
    StoreBusy,
)
from edgehold.hub import archive as archive_module
from edgehold.hub.archive import Archive, Unpacked, export_hub, import_hub
from edgehold.hub.catalog import check_catalog
from edgehold.hub.container import (
    HEAD,
    Head,
    Schema,
    Statement,
    decode_rows,
    encode_schema,
    part_name,
    read_schema,
    table_parts,
)
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE, Hub
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.journal import RunState
from edgehold.hub.keys import KEYS_FILE, KIT_FILE, load_keys, read_kit
from edgehold.hub.store import Store
from edgehold.policy.policy import Mode
from edgehold.wire.codec import encode
from edgehold.wire.service import Failure


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network."""
    return World(tmp_path)


# ── out and in ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_elsewhere_everything_is_as_it_was(world: World, tmp_path: Path) -> None:
    hub, folder = lived(world)
    before, root = all_of(folder), hub.store.leaves()
    made = export_hub(folder, tmp_path / "hub.age", [FRIEND.recipient])
    assert (made.account, made.objects, made.size) == (hub.account, 4, (tmp_path / "hub.age").stat().st_size)
    assert (tmp_path / "hub.age").stat().st_mode & 0o777 == 0o600
    found = import_hub(tmp_path / "hub.age", tmp_path / "elsewhere", [FRIEND], network="/somewhere\n")
    assert found == made
    assert all_of(tmp_path / "elsewhere") == before
    assert (tmp_path / "elsewhere" / "network").read_text() == "/somewhere\n"
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "elsewhere").iterdir()} == {0}
    assert not (tmp_path / "elsewhere" / KIT_FILE).exists()
    assert (folder / KIT_FILE).exists()
    with Hub.open(tmp_path / "elsewhere", hub._outside) as again:
        assert again.account == hub.account
        assert again.store.leaves() == root
        assert again.budget() == hub.budget()
        assert again.history() == hub.history()
        assert again.shares() == hub.shares()
        assert again.check() == []
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_the_kit_alone_brings_a_lost_hub_back(world: World, tmp_path: Path) -> None:
    hub, folder = lived(world)
    before = all_of(folder)
    export_hub(folder, tmp_path / "hub.age")
    kit = read_kit(folder / KIT_FILE)
    hub.close()
    shutil.rmtree(folder)
    import_hub(tmp_path / "hub.age", folder, [kit.identity], network=None, kit=kit)
    assert all_of(folder) == before
    with Hub.open(folder, hub._outside) as again:
        again.follow()
        again.commit()
        assert again.check() == []


def test_the_same_hub_gives_the_same_container_however_its_files_lie(world: World, tmp_path: Path) -> None:
    hub, folder = lived(world)
    export_hub(folder, tmp_path / "one.age", [FRIEND.recipient])
    hub.close()
    for name in (STORE_FILE, JOURNAL_FILE):
        file = apsw.Connection(str(folder / name))
        file.execute("VACUUM")
        file.close()
    export_hub(folder, tmp_path / "two.age", [FRIEND.recipient])
    one, two = (members_of(tmp_path / name, FRIEND) for name in ("one.age", "two.age"))
    assert one == two
    assert [name for name, _ in one[:3]] == [HEAD, KEYS_FILE, "journal.sqlite/schema"]


def test_a_hub_in_use_is_read_at_one_moment(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the archive is written records come and go; it has what was there when it was begun."""
    hub, folder = lived(world)
    before = all_of(folder)
    real, dice = archive_module.table_parts, Random(1)

    def meanwhile(database: str, table: str, rows: Iterator[object]) -> Iterator[tuple[str, bytes]]:
        path = tmp_path / f"{table}.csv"
        path.write_text("code,value\n" + "".join(f"{dice.random()},{dice.random()}\n" for _ in range(50)))
        hub.import_file(path)
        hub.set_policy(replace(OPEN, mode=dice.choice(tuple(Mode))))
        return real(database, table, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(archive_module, "table_parts", meanwhile)
    export_hub(folder, tmp_path / "hub.age")
    assert len(hub.store.objects()) > 8
    import_hub(tmp_path / "hub.age", tmp_path / "then", [read_kit(folder / KIT_FILE).identity], network=None)
    assert all_of(tmp_path / "then") == before


def test_five_hundred_parts_take_no_more_memory_than_one(world: World, tmp_path: Path) -> None:
    """Of the database nothing but a part at a time is held: what is read ahead is bounded by what is written."""
    hub = world.new_hub("ada")
    dice = SeededRandomness(3, "large")
    for number in range(6):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(dice.draw(1 << 20))
        import_file(hub.store, path, randomness=dice)
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    sizes = [len(content) for _, content in members_of(tmp_path / "hub.age", FRIEND)]
    assert max(sizes) < 3 << 19
    assert sum(sizes) > 6 << 20


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_ever_overwritten(world: World, tmp_path: Path) -> None:
    hub, folder = lived(world)
    (tmp_path / "hub.age").write_bytes(b"precious")
    with pytest.raises(FolderInUse):
        export_hub(folder, tmp_path / "hub.age")
    assert (tmp_path / "hub.age").read_bytes() == b"precious"
    with pytest.raises(NotFound):
        export_hub(folder, tmp_path / "no" / "hub.age")
    export_hub(folder, tmp_path / "good.age")
    hub.import_file(LINES / "minutes.csv")
    before, kit = all_of(folder), read_kit(folder / KIT_FILE)
    with pytest.raises(FolderInUse, match="may have spent"):
        import_hub(tmp_path / "good.age", folder, [kit.identity], network=None, kit=kit)
    (tmp_path / "file").touch()
    with pytest.raises(FolderInUse):
        import_hub(tmp_path / "good.age", tmp_path / "file", [kit.identity], network=None)
    assert all_of(folder) == before
    (tmp_path / "empty").mkdir()
    import_hub(tmp_path / "good.age", tmp_path / "empty", [kit.identity], network=None)
    assert (tmp_path / "empty" / KEYS_FILE).is_file()


def test_only_its_recipients_and_its_own_kit_open_it(world: World, tmp_path: Path) -> None:
    ada, bea = world.new_hub("ada"), world.new_hub("bea")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    kits = {name: read_kit(world.folder / name / KIT_FILE) for name in ("ada", "bea")}
    for identity in (STRANGER, kits["bea"].identity):
        with pytest.raises(SealedToOthers):
            import_hub(tmp_path / "hub.age", tmp_path / "out", [identity], network=None)
    with pytest.raises(OtherHub, match=ada.account.hex()):
        import_hub(tmp_path / "hub.age", tmp_path / "out", [FRIEND], network=None, kit=kits["bea"])
    with pytest.raises(NotFound):
        import_hub(tmp_path / "missing.age", tmp_path / "out", [FRIEND], network=None)
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".*")) == []
    assert bea.account != ada.account


def test_a_damaged_hub_is_not_taken_for_a_good_copy(world: World, tmp_path: Path) -> None:
    hub = world.new_hub("ada")
    hub.import_file(LINES / "array.txt")
    hub.store.execute("UPDATE chunk SET data = CAST(data || x'00' AS BLOB)")
    with pytest.raises(HubDamaged, match="altered"):
        export_hub(world.folder / "ada", tmp_path / "hub.age")
    hub.close()
    (world.folder / "ada" / JOURNAL_FILE).unlink()
    hub.store.execute("DELETE FROM object")
    with pytest.raises(NotAStore):
        export_hub(world.folder / "ada", tmp_path / "hub.age")
    (world.folder / "ada" / KEYS_FILE).unlink()
    with pytest.raises(KeysUnusable):
        export_hub(world.folder / "ada", tmp_path / "hub.age")
    assert not list(tmp_path.glob("*.age*"))


def test_no_byte_of_an_archive_can_be_changed(world: World, tmp_path: Path) -> None:
    hub = world.new_hub("ada")
    hub.import_file(LINES / "observations.csv")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    data = (tmp_path / "hub.age").read_bytes()
    dice = Random(5)
    changes = [data[:place] for place in (0, 10, len(data) // 2, len(data) - 1)]
    for _ in range(60):
        place = dice.randrange(len(data))
        changes.append(data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :])
    for altered in changes:
        (tmp_path / "altered.age").write_bytes(altered)
        with pytest.raises((ArchiveDamaged, SealedToOthers)):
            import_hub(tmp_path / "altered.age", tmp_path / "out", [FRIEND], network=None)
        assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".*")) == []


def drop(name: str) -> Callable[[Members], Members]:
    """Without the members whose names begin so."""
    return lambda members: [one for one in members if not one[0].startswith(name)]


def put(name: str, content: bytes) -> Callable[[Members], Members]:
    """With another content in a member."""
    return lambda members: [(one, content if one == name else kept) for one, kept in members]


def twice(name: str) -> Callable[[Members], Members]:
    """With a member that stands there twice."""
    return lambda members: [again for one in members for again in ([one, one] if one[0] == name else [one])]


def with_schema(database: str, change: Callable[[Schema], Schema]) -> Callable[[Members], Members]:
    """With another schema."""
    name = f"{database}/schema"

    def act(members: Members) -> Members:
        schema = read_schema(dict(members)[name])
        return put(name, encode_schema(change(schema)))(members)

    return act


def with_rows(
    database: str, table: str, change: Callable[[list[object]], list[object]]
) -> Callable[[Members], Members]:
    """With other rows in the first part of a table."""

    def act(members: Members) -> Members:
        name, columns = (
            part_name(database, table, 0),
            {"object": 8, "fact": 2, "facts": 2, "chunk": 2}[table],
        )
        rows = change(decode_rows(dict(members)[name], columns))  # type: ignore[arg-type]
        (_, part), *_ = table_parts(database, table, rows)  # type: ignore[arg-type]
        return put(name, part)(members)

    return act


def also(sql: str) -> Callable[[Schema], Schema]:
    """With one more statement."""
    return lambda schema: replace(schema, statements=(*schema.statements, Statement("table", "z", sql)))


FORGED = {
    "nothing": lambda _: [],
    "no head": drop(HEAD),
    "no keys": drop(KEYS_FILE),
    "no journal": drop("journal"),
    "no store": drop("store"),
    "no rows at all": drop("store.sqlite/rows"),
    "no tokens": drop("journal.sqlite/tokens"),
    "no chunks": drop("store.sqlite/chunk"),
    "keys twice": twice(KEYS_FILE),
    "a part twice": twice("store.sqlite/fact/00000000"),
    "a schema twice": twice("store.sqlite/schema"),
    "another's keys": lambda members: put(KEYS_FILE, encode(replace(load(members), hub_seed=digest("another"))))(
        members
    ),
    "another's storage key": lambda members: put(
        KEYS_FILE, encode(replace(load(members), storage_key=digest("another")))
    )(members),
    "keys that are none": put(KEYS_FILE, b"\x80"),
    "a member nobody knows": lambda members: [*members, ("more", b"")],
    "an object that was altered": with_rows(
        STORE_FILE, "object", lambda rows: [(*row[:2], bytes(32), *row[3:]) for row in rows]
    ),
    "a chunk less": with_rows(STORE_FILE, "chunk", lambda rows: rows[1:]),
    "a mark that is no mark": with_rows(
        STORE_FILE, "fact", lambda rows: [(name, b"" if name == "hub" else value) for name, value in rows]
    ),
    "leaves that are none": with_rows(
        STORE_FILE, "fact", lambda rows: [(name, value[:-1] if name == "dummies" else value) for name, value in rows]
    ),
    "a policy that is none": with_rows(
        JOURNAL_FILE, "facts", lambda rows: [(name, b"x" if name == "policy" else value) for name, value in rows]
    ),
    "one key twice": with_rows(STORE_FILE, "chunk", lambda rows: rows + rows),
    "a statement that makes no table": with_schema(STORE_FILE, also("ATTACH 'x' AS y")),
    "one that makes a trigger": with_schema(
        STORE_FILE, also("CREATE TRIGGER z AFTER INSERT ON fact BEGIN SELECT 1; END")
    ),
    "one after another": with_schema(STORE_FILE, also("CREATE TABLE z(a); PRAGMA writable_schema=ON")),
    "one whose rows would do more": with_schema(
        STORE_FILE, also("CREATE TABLE z(a CHECK(length(randomblob(999999999))))")
    ),
    "one that counts for ever": with_schema(
        STORE_FILE,
        also("CREATE TABLE z AS WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT a FROM n"),
    ),
    "one that is none": with_schema(STORE_FILE, also("CREATE …")),
    "a table that is not named so": with_schema(STORE_FILE, also("CREATE TABLE y(a)")),
}


def load(members: Members) -> object:
    """The keys in an archive."""
    from edgehold.hub.keys import KeyFile
    from edgehold.wire.codec import decode

    return decode(dict(members)[KEYS_FILE], KeyFile)


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_archive_makes_no_hub(world: World, tmp_path: Path, forge: Callable[[Members], Members]) -> None:
    """Whoever knows a recipient can seal anything to it."""
    hub = world.new_hub("ada")
    hub.import_file(LINES / "observations.csv")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    forged = write_archive(tmp_path / "forged.age", forge(members_of(tmp_path / "hub.age", FRIEND)))
    with pytest.raises(ArchiveDamaged):
        import_hub(forged, tmp_path / "out", [FRIEND], network=None)
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".*")) == []


def test_an_archive_of_a_later_version_is_said_to_be_one(world: World, tmp_path: Path) -> None:
    head = encode(Head(version="edgehold.hub/2", account=world.new_hub("ada").account, height=0))
    with pytest.raises(ArchiveUnknown):
        import_hub(write_archive(tmp_path / "x.age", [(HEAD, head)]), tmp_path / "out", [FRIEND], network=None)


def test_an_index_is_made_again(tmp_path: Path) -> None:
    """No database of a hub has one today."""
    schema = Schema(
        page_size=4096,
        user_version=7,
        statements=(Statement("table", "t", "CREATE TABLE t(a, b)"), Statement("index", "i", "CREATE INDEX i ON t(b)")),
    )
    built = archive_module._Built(tmp_path / "x.sqlite", schema)
    built.insert("t", 0, next(table_parts("x", "t", [(1, "one"), (None, b"two")]))[1])
    built.finish()
    file = apsw.Connection(str(tmp_path / "x.sqlite"))
    assert file.execute("SELECT * FROM t INDEXED BY i WHERE b = 'one'").fetchall() == [(1, "one")]
    assert (file.execute("PRAGMA user_version").get, file.execute("PRAGMA journal_mode").get) == (7, "wal")
    file.close()


def test_where_its_ledger_lies_goes_with_it_and_what_was_left_before_is_gone(world: World, tmp_path: Path) -> None:
    world.new_hub("ada")
    (world.folder / "ada" / "network").write_text("/a/place\n")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / KEYS_FILE).write_bytes(b"left by a killed process")
    import_hub(tmp_path / "hub.age", tmp_path / "out", [FRIEND], network=None)
    assert (tmp_path / "out" / "network").read_text() == "/a/place\n"
    assert (tmp_path / "out" / KEYS_FILE).read_bytes() == (world.folder / "ada" / KEYS_FILE).read_bytes()


@pytest.mark.parametrize(
    ("file", "statement", "says"),
    [
        (STORE_FILE, "UPDATE fact SET value = zeroblob(80) WHERE name = 'latest'", "latest"),
        (STORE_FILE, "UPDATE fact SET value = zeroblob(80) WHERE name = 'dummies'", "leaves"),
        (JOURNAL_FILE, "UPDATE facts SET value = zeroblob(80) WHERE name = 'policy'", "journal"),
    ],
)
def test_what_belongs_to_no_record_is_looked_at_too(
    world: World, tmp_path: Path, file: str, statement: str, says: str
) -> None:
    hub = world.new_hub("ada")
    hub.import_file(LINES / "observations.csv")
    hub.close()
    database = apsw.Connection(str(world.folder / "ada" / file))
    database.execute(statement)
    database.close()
    with pytest.raises(HubDamaged, match=says):
        export_hub(world.folder / "ada", tmp_path / "hub.age")
    assert not (tmp_path / "hub.age").exists()


def test_who_keeps_a_database_to_himself_is_waited_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.new_hub("ada").close()
    monkeypatch.setattr(archive_module, "PATIENCE", "PRAGMA busy_timeout=1")
    monkeypatch.setattr(archive_module, "require_whole", lambda folder, keys: 0)
    other = apsw.Connection(str(world.folder / "ada" / STORE_FILE))
    other.execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE").fetchall()
    with pytest.raises(StoreBusy):
        export_hub(world.folder / "ada", tmp_path / "hub.age")
    other.close()
    assert not (tmp_path / "hub.age").exists()


# ── killed and in each other's way ────────────────────────────────────────────────────────────────────────────────


def _import(archive: str, folder: str) -> None:
    import_hub(Path(archive), Path(folder), [FRIEND], network=None)


def _export(folder: str, archive: str) -> None:
    export_hub(Path(folder), Path(archive), [FRIEND.recipient])


def killed(act: Callable[..., None], *arguments: str, seconds: float) -> None:
    """Do it in a process that is killed after a while."""
    process = multiprocessing.get_context("fork").Process(target=act, args=arguments)
    process.start()
    time.sleep(seconds)
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.mark.untraced
def test_killed_at_any_moment_there_is_all_or_nothing(world: World, tmp_path: Path) -> None:
    hub = world.new_hub("ada")
    dice = Random(11)
    for number in range(3):
        (tmp_path / "large.bin").write_bytes(dice.randbytes(1 << 20))
        import_file(hub.store, tmp_path / "large.bin", randomness=SeededRandomness(number, "x"))
    hub.close()
    place, before = world.folder / "ada", all_of(world.folder / "ada")
    whole = tmp_path / "whole.age"
    began = time.perf_counter()
    export_hub(place, whole, [FRIEND.recipient])
    import_hub(whole, tmp_path / "first", [FRIEND], network=None)
    longest = time.perf_counter() - began
    for _ in range(6):
        killed(_export, str(place), str(tmp_path / "cut.age"), seconds=dice.random() * longest)
        killed(_import, str(whole), str(tmp_path / "cut"), seconds=dice.random() * longest)
        if (tmp_path / "cut.age").exists():
            assert members_of(tmp_path / "cut.age", FRIEND) == members_of(whole, FRIEND)
            (tmp_path / "cut.age").unlink()
        if (tmp_path / "cut").exists():
            assert all_of(tmp_path / "cut") == before
            shutil.rmtree(tmp_path / "cut")
    export_hub(place, tmp_path / "cut.age", [FRIEND.recipient])
    import_hub(tmp_path / "cut.age", tmp_path / "cut", [FRIEND], network=None)
    assert all_of(tmp_path / "cut") == before
    assert not list(tmp_path.glob(".*"))
    assert not list(tmp_path.glob("*.part"))


def test_two_do_not_write_the_same_at_once(world: World, tmp_path: Path) -> None:
    world.new_hub("ada")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    with archive_module.staging(tmp_path / "out"), pytest.raises(StoreBusy):
        import_hub(tmp_path / "hub.age", tmp_path / "out", [FRIEND], network=None)
    with archive_module._new_file(tmp_path / "two.age"), pytest.raises(StoreBusy):
        export_hub(world.folder / "ada", tmp_path / "two.age")
    assert (tmp_path / "two.age").read_bytes() == b""
    with pytest.raises(FolderInUse), archive_module._new_file(tmp_path / "late.age"):
        (tmp_path / "late.age").write_bytes(b"another was faster")
    assert (tmp_path / "late.age").read_bytes() == b"another was faster"


def test_a_folder_that_cannot_get_its_name_is_not_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.new_hub("ada")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])

    def refuse(folder: Path) -> None:
        if folder == tmp_path:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(archive_module, "sync_folder", refuse)
    with pytest.raises(Exception, match="Input/output"):
        import_hub(tmp_path / "hub.age", tmp_path / "out", [FRIEND], network=None)
    with pytest.raises(Exception, match="Input/output"):
        export_hub(world.folder / "ada", tmp_path / "again.age")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "again.age").exists()
    assert not list(tmp_path.glob(".*"))


# ── budgets ───────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(hub: Hub, world: World, place: Path, archive: Path, kit: object) -> Hub:
    """A hub made of an archive, opened."""
    import_hub(archive, place, [kit.identity], network=None, kit=kit)  # type: ignore[attr-defined, arg-type]
    return Hub.open(place, replace_randomness(hub))


def replace_randomness(hub: Hub) -> object:
    """What a hub reaches, with other dice."""
    from dataclasses import replace as changed

    return changed(hub._outside, randomness=SeededRandomness(9, "restored"))


def test_what_was_spent_after_the_archive_stays_spent(world: World, tmp_path: Path) -> None:
    """The lost hub answered one task, was asked a second and took no part in a third; the restored one knows of none."""
    hubs, panel = enrolled(world)
    hub, folder = hubs[0], world.folder / "ada"
    kit = read_kit(folder / KIT_FILE)
    first = world.open_task(panel)
    world.tick(*hubs, count=6)
    made = export_hub(folder, tmp_path / "hub.age")
    second = world.open_task(panel)
    world.tick(*hubs, count=6)
    lost = hub.budget()
    assert {one.task for one in hub.history()} == {first, second}
    hub.close()
    again = moved(hub, world, tmp_path / "restored", tmp_path / "hub.age", kit)
    assert len(again.budget().spent) == 1
    again.follow()
    assert set(again.budget().spent) == set(lost.spent)
    lines = {one.task: one for one in again.history()}
    assert lines[second].state is RunState.LOST
    assert lines[second].loss == Fraction(lines[first].loss)
    assert again._journal.height("restored until height") >= made.height
    with pytest.raises(Exception, match="could be revoked until"):
        again.revoke(second)
    third = world.open_task(panel)
    again.follow()
    assert {one.task: one.state for one in again.history()}[third] in (RunState.STORED, RunState.SENT)
    again.close()


def test_a_question_that_waited_and_a_run_that_was_granted_are_counted_as_answered(
    world: World, tmp_path: Path
) -> None:
    hubs, panel = enrolled(world)
    hub, folder = hubs[0], world.folder / "ada"
    kit = read_kit(folder / KIT_FILE)
    hub.set_policy(replace(OPEN, mode=Mode.ASK))
    asked = world.open_task(panel, schedule=replace(SCHEDULE, upload=60))
    hub.follow()
    assert [run.task for run in hub.inbox()] == [asked]
    export_hub(folder, tmp_path / "hub.age")
    hub.answer(asked, yes=True)
    again = moved(hub, world, tmp_path / "restored", tmp_path / "hub.age", kit)
    with pytest.raises(Exception, match=asked.hex()):
        again.answer(asked, yes=True)
    assert [one.state for one in again.history()] == [RunState.LOST]
    assert set(again.budget().spent) == set(hub.budget().spent)
    assert again.revoke(asked) is None, "both services are told, whatever the lost hub sent"
    again.close()
    export_hub(tmp_path / "restored", tmp_path / "second.age")
    twice_moved = moved(hub, world, tmp_path / "twice", tmp_path / "second.age", kit)
    twice_moved.follow()
    assert set(twice_moved.budget().spent) == set(hub.budget().spent)
    twice_moved.close()


def test_a_panel_that_is_joined_again_brings_what_was_answered_in_it(world: World, tmp_path: Path) -> None:
    """The lost hub enrolled after its archive was taken: its tokens come back with the same visit, and its losses too."""
    hubs = [world.admit(person) for person in PERSONS]
    hub, folder = hubs[0], world.folder / "ada"
    kit = read_kit(folder / KIT_FILE)
    export_hub(folder, tmp_path / "hub.age")
    panel = world.panel()
    for one in hubs:
        one.enrol(world.desk, panel)
    world.close_panel(panel)
    world.open_task(panel)
    world.tick(*hubs, count=6)
    assert len(hub.budget().spent) == 1
    again = moved(hub, world, tmp_path / "restored", tmp_path / "hub.age", kit)
    again.follow()
    assert again.budget().spent == ()
    again.enrol(world.desk, panel)
    assert set(again.budget().spent) == set(hub.budget().spent)
    again.close()


# ── two copies ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_copies_that_run_are_counted_once_in_a_task(world: World, tmp_path: Path) -> None:
    hubs, panel = enrolled(world)
    hub, folder = hubs[0], world.folder / "ada"
    export_hub(folder, tmp_path / "hub.age")
    other = moved(hub, world, tmp_path / "copy", tmp_path / "hub.age", read_kit(folder / KIT_FILE))
    other.follow()
    task = world.open_task(panel)
    world.tick(*hubs, other, count=7)
    states = [one.history()[0].state for one in (hub, other)]
    assert sorted(state.value for state in states) in (["missed", "sent"], ["sent", "stored"])
    refused = next(
        one.history()[0] for one, state in zip((hub, other), states, strict=True) if state is not RunState.SENT
    )
    assert Failure.__name__ in refused.trouble
    world.tick(*hubs, count=20)
    check = hub.check_batch(task) if states[0] is RunState.SENT else other.check_batch(task)
    assert check is not None
    assert check.included
    other.close()


def test_limit_shown_two_copies_that_take_turns_spend_twice(world: World, tmp_path: Path) -> None:
    """Nobody but the owner knows that there are two: each has a budget, and a task that one answers the other may miss."""
    hubs, panel = enrolled(world)
    hub, folder = hubs[0], world.folder / "ada"
    export_hub(folder, tmp_path / "hub.age")
    other = moved(hub, world, tmp_path / "copy", tmp_path / "hub.age", read_kit(folder / KIT_FILE))
    other.follow()
    for present in (hub, other):
        world.open_task(panel)
        world.tick(present, *hubs[1:], count=6)
    assert [len(one.budget().spent) for one in (hub, other)] == [1, 1]
    assert {one.task for one in hub.history() if one.loss} != {one.task for one in other.history() if one.loss}
    other.close()


# ── erasure ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_limit_shown_an_older_archive_still_holds_what_was_erased_since(world: World, tmp_path: Path) -> None:
    hub = world.new_hub("ada")
    hub.import_file(LINES / "array.txt")
    export_hub(world.folder / "ada", tmp_path / "hub.age", [FRIEND.recipient])
    hub.erase()
    import_hub(tmp_path / "hub.age", tmp_path / "then", [FRIEND], network=None)
    with Store.open(tmp_path / "then" / STORE_FILE, load_keys(tmp_path / "then").storage_key) as store:
        assert store.get_original(store.objects()[0].id) == (LINES / "array.txt").read_bytes()
        assert check_catalog(store) == []


def test_of_an_archive_it_is_said_what_it_is_of(tmp_path: Path, world: World) -> None:
    hub, folder = lived(world)
    made = export_hub(folder, tmp_path / "hub.age")
    assert made == Archive(
        account=hub.account,
        height=hub._journal.height("last seen height"),
        objects=len(hub.store.objects()),
        size=(tmp_path / "hub.age").stat().st_size,
    )
    assert Unpacked(tmp_path).__enter__() is not None
