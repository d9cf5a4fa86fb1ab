"""Five hundred canaries in the records of a small network: none leaves its hub in any way, and none outlives erasure."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import apsw
import pytest
import zstandard
from canaries import SONG, hatch, plant, singing_files, sings
from msgspec.structs import replace
from scenario_world import FIRST_PANEL, PEOPLE, SEED, ScenarioWorld, found_scenario, open_scenario
from test_programs import publish

from edgehold.cli import run
from edgehold.crypto.hash import tagged_hash
from edgehold.customer.orders import OrderStatus
from edgehold.demo.world import read_cohort
from edgehold.errors import BadProof, EdgeholdError
from edgehold.hub.catalog import open_leaf
from edgehold.ledger.state import find_root
from edgehold.verify.opening import record_commitment, verify_opening
from edgehold.wire.data import LeafOpening, Salt
from edgehold.wire.ids import Digest

if TYPE_CHECKING:
    from conftest import Figures

CANARIES = 500
GUESSES = 10_000

TELLS_ALL = (
    "    words = [str(part) for row in person.events.rows() for part in row]\n    raise ValueError(' '.join(words))"
)
RETURNS_ALL = "    return ' '.join(row.code for row in person.events.rows())"


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScenarioWorld]:
    """A founded network whose people's records are full of canaries; temporary files go into a folder beside it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    canaries, lines, planted = hatch(CANARIES), [], 0
    share = -(-CANARIES // PEOPLE)
    for number, bundle in enumerate(islice(read_cohort(None), PEOPLE)):
        line, count = plant(bundle, canaries[number * share : (number + 1) * share])
        lines.append(line)
        planted += count
    assert planted == CANARIES
    cohort = tmp_path / "cohort.ndjson.zst"
    cohort.write_bytes(zstandard.compress(b"\n".join(lines)))
    found_scenario(tmp_path / "world", SEED, cohort)
    world = open_scenario(tmp_path / "world", {})
    yield world
    world.close()


def test_no_canary_leaves_its_hub(
    aviary: ScenarioWorld, tmp_path: Path, capfd: pytest.CaptureFixture[str], figures: Figures
) -> None:
    world = aviary
    assert sings(world.hub(1).store.get_original(world.hub(1).store.objects()[0].id)), "they are in the records"
    ended = [world.run(program)[0] for program in ("bmi", publish(world, TELLS_ALL))]
    assert [world.row(order).status for order in ended] == [OrderStatus.ACCEPTED] * 2
    logs = [line.log for line in world.hub(1).history()]
    assert any(SONG in log for log in logs), "the owner is told what the program said"
    share_one_record(world)
    said = [message + answer for line in world.lines.values() for message, answer in line.said]
    assert said
    assert not any(sings(one) for one in said), "messages between hubs and services"
    errors = [str(error) for error in refused_imports(world, tmp_path / "bad")]
    assert len(errors) == 4
    assert not any(sings(error.encode()) for error in errors), errors
    folder = world.folder
    world.close()
    for words in (["ledger", "log", "--dir", str(folder)], ["catalog", "--dir", str(folder), "--json"]):
        assert run(words) == 0
    told = "".join(capfd.readouterr())
    assert told
    assert not sings(told.encode())
    given = {"cohort.ndjson.zst", *(f"bad/{path.name}" for path in (tmp_path / "bad").iterdir())}
    journals = {f"world/hubs/{number:04}/journal.sqlite{end}" for number in FIRST_PANEL for end in ("", "-wal")}
    heard = singing_files(tmp_path) - given
    assert heard, "what programs said stays in the hub's own journal, for its owner"
    assert heard <= journals
    assert not list(Path("/dev/shm").glob(f"edgehold-tables-{os.getpid()}-*")), "tables are gone with their runs"
    figures.add("canaries that were searched for", CANARIES)


def share_one_record(world: ScenarioWorld) -> None:
    """One person shares a record with an organisation; it stays sealed."""
    hub = world.hub(1)
    hub.share(hub.store.objects()[0].id, world.hub(2).account, world.ledger.height() + 50)


def refused_imports(world: ScenarioWorld, folder: Path) -> Iterator[EdgeholdError]:
    """What is said of files that are cut, of another person, wrongly signed, or not even JSON, all full of canaries."""
    folder.mkdir()
    whole = world.hub(1).store.get_original(world.hub(1).store.objects()[0].id)
    other = world.hub(2).store.get_original(world.hub(2).store.objects()[0].id)
    cases = {
        "cut.json": whole[: len(whole) // 2],
        "two.ndjson": whole + b"\n" + other,
        "wrong.json": whole.replace(b'"resourceType":"Condition"', b'"resourceType":"%s"' % SONG.encode(), 1),
        "named.json": b"{" + f'"resourceType": "Bundle", "{SONG}": {SONG}'.encode() + b"}",
    }
    for name, content in cases.items():
        (folder / name).write_bytes(content)
        with pytest.raises(EdgeholdError) as refused:
            world.hub(1).import_file(folder / name)
        yield refused.value


def test_after_erasure_no_canary_is_in_the_hub(aviary: ScenarioWorld, figures: Figures) -> None:
    world = aviary
    world.run(publish(world, TELLS_ALL))
    world.run(publish(world, RETURNS_ALL))
    hub, folder = world.hub(1), world.hub_folder(1)
    columns = "SELECT wrapped, sealed, signature, tables, identity FROM object"
    with apsw.Connection(str(hub.store.path)) as database:
        secrets = [bytes(one) for row in database.execute(columns) for one in row if one]
        secrets += [bytes(data) for (data,) in database.execute("SELECT data FROM chunk")]
    hub.erase()
    hub.commit()
    world.ledger.advance()
    hub.close()
    assert singing_files(folder) == set()
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not any(secret[at : at + 16] in left for secret in secrets for at in range(0, len(secret) - 15, 997))
    figures.add("sealed pieces and keys that were searched for after erasure", len(secrets))


def test_after_erasure_guesses_without_the_salt_link_to_no_root(aviary: ScenarioWorld, figures: Figures) -> None:
    """Even with the whole record, its descriptor, its place and path, and the salt of the root."""
    world = aviary
    hub = world.hub(1)
    dataset = hub.store.objects()[0].id
    original = hub.store.get_original(dataset)
    state, _ = hub._look()
    root = find_root(state, hub.account)
    assert root is not None
    opening = open_leaf(hub.store, dataset, root.root)
    hub.erase()
    hub.commit()
    world.ledger.advance()
    later = find_root(hub._look()[0], hub.account)
    roots = [root.root, later.root if later else root.root]
    assert opening.commitment == record_commitment(original)
    verify_opening(root.root, opening)  # whoever kept the salt can link: `docs/threats.md` says so
    assert count_links(roots, opening, original, GUESSES) == 0
    figures.add("guesses without the salt", GUESSES)


def count_links(roots: Sequence[Digest], opening: LeafOpening, original: bytes, most: int) -> int:
    """How many of so many guesses of the salt link a record to any of these roots."""
    linked = 0
    guessed = replace(opening, commitment=record_commitment(original))
    for salt in islice(guesses(original, opening.salt), most):
        for posted in roots:
            try:
                verify_opening(posted, replace(guessed, salt=salt))
                linked += 1
            except BadProof:
                continue
    return linked


def guesses(original: bytes, salt: Salt) -> Iterator[Salt]:
    """Salts that somebody would try: constants, counters, what follows from the record, one wrong bit, chance."""
    yield from (Salt(bytes([byte]) * 32) for byte in range(256))
    yield from (Salt(number.to_bytes(32, "big")) for number in range(2_000))
    yield from (Salt(tagged_hash(f"guess {number}", original)) for number in range(2_000))
    yield from (Salt(bytes(b ^ (bit >> 3 == at) << (bit & 7) for at, b in enumerate(salt))) for bit in range(256))
    dice = Random("guesses")
    while True:
        yield Salt(dice.randbytes(32))


def test_a_planted_leak_is_heard(aviary: ScenarioWorld, tmp_path: Path) -> None:
    record = aviary.hub(1).store.get_original(aviary.hub(1).store.objects()[0].id)
    for name, content in {
        "plain.log": b"patient " + record[:20_000],
        "wide.log": record[:20_000].decode().encode("utf-16-le"),
        "hex.log": record[:20_000].hex().encode(),
        "packed.log": b"head" + zstandard.compress(record),
    }.items():
        (tmp_path / "temporary" / name).write_bytes(content)
        assert singing_files(tmp_path / "temporary") == {name}
        (tmp_path / "temporary" / name).unlink()
