"""Archives in tests: whom they are sealed to, what lies inside, what a hub's folder holds, and a hub that has lived."""

from __future__ import annotations

import io
from pathlib import Path

import apsw
from hub_world import SCHEDULE, World, account_of
from msgspec.structs import replace

from edgehold.crypto.age import AgeIdentity, identity_of, open_stream, seal_stream
from edgehold.hub.container import Unpacker, pack
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE, Hub
from edgehold.hub.journal import RunState
from edgehold.hub.keys import KEYS_FILE
from edgehold.wire.ids import PanelId

PERSONS = ("ada", "bea", "cleo")
LINES = Path(__file__).parent.parent / "data" / "lines"
FRIEND, STRANGER = identity_of(bytes(range(32))), identity_of(bytes(32))

Members = list[tuple[str, bytes]]


def enrolled(world: World) -> tuple[list[Hub], PanelId]:
    """Hubs of three persons, all in one closed panel."""
    hubs = [world.admit(person) for person in PERSONS]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    return hubs, panel


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a database, as it is read."""
    file = apsw.Connection(str(path))
    try:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: sorted(file.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
    finally:
        file.close()


def all_of(folder: Path) -> dict[str, object]:
    """What a hub's folder holds; but for what says that it is restored."""
    journal = rows_of(folder / JOURNAL_FILE)
    journal["facts"] = [row for row in journal["facts"] if not str(row[0]).startswith("restored")]
    keys = (folder / KEYS_FILE).read_bytes()
    return {"keys": keys, "journal": journal, "store": rows_of(folder / STORE_FILE)}


def members_of(archive: Path, identity: AgeIdentity) -> Members:
    """What lies inside an archive."""
    found: Members = []
    unpacker = Unpacker(lambda name, content: found.append((name, content)))
    with archive.open("rb") as source:
        open_stream(source, unpacker, [identity])
    unpacker.close()
    return found


def write_archive(path: Path, members: Members) -> Path:
    """An archive of anything, sealed to the friend."""
    sink = io.BytesIO()
    seal_stream(io.BytesIO(b"".join(pack(members))), sink, [FRIEND.recipient])
    path.write_bytes(sink.getvalue())
    return path


def lived(world: World) -> tuple[Hub, Path]:
    """A hub with records of several kinds, an erased one, a share, a sent report and one that waits."""
    hubs, panel = enrolled(world)
    hub = hubs[0]
    for name in ("array.txt", "observations.csv", "small.vcf"):
        hub.import_file(LINES / name)
    hub.erase(hub.store.objects()[1].id)
    hub.share(next(one.id for one in hub.store.objects() if one.name), account_of("customer"), 500)
    world.open_task(panel)
    world.tick(*hubs, count=6)
    world.open_task(panel, schedule=replace(SCHEDULE, upload=40))
    hub.follow()
    assert {line.state for line in hub.history()} == {RunState.SENT, RunState.STORED}
    return hub, world.folder / "ada"
