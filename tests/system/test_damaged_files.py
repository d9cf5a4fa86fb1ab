"""Copies of a stopped node's files with one byte changed or an end cut off: it is noticed, or it changes nothing.

Noticed is what the state refuses when it is opened, what `edgehold node verify` finds, or what CometBFT does not start
with. It changes nothing if in the end every height, receipt and entry is what it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from four_validators import Validator
from lone_validator import Kept, content_of, live_and_be_killed
from one_validator import wait_for

from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import Database
from edgehold.engine.replicated import FILE, SNAPSHOTS, Replica
from edgehold.engine.snapshots import MANIFEST
from edgehold.errors import BadSnapshot, BrokenLog, EdgeholdError, StateMismatch
from edgehold.server.home import Home
from edgehold.server.pair import CONSENSUS_FAILED
from edgehold.server.replay import kept_blocks, snapshots_of, take_snapshot, verify_home
from edgehold.verify.header import hash_header
from edgehold.wire.ids import Digest

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = pytest.mark.system

STATE = (FILE, f"{FILE}-wal")
PLACES = ("data/blockstore.db", "data/cs.wal", "data/state.db", "replica", "data/priv_validator_state.json")
"""What is damaged before a node starts on it."""

PATIENCE = 60.0
"""Seconds in which a node that was started makes a block, or ends."""

DICE = SeededRandomness(1, "damaged")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return live_and_be_killed(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def copy(kept: Kept, tmp_path: Path) -> Home:
    """The same files in another place."""
    home = Home(tmp_path / "copy")
    shutil.copytree(kept.home.folder, home.folder)
    return home


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answer SET place = place + 1 WHERE height = (SELECT max(height) FROM answer WHERE height < ?)",
        "UPDATE answer SET receipt = zeroblob(length(receipt)) WHERE height = (SELECT min(height) FROM answer)",
        "DELETE FROM answer WHERE height = (SELECT max(height) FROM answer WHERE height < ?)",
        "UPDATE passed SET header = zeroblob(32) WHERE height = ? / 2",
        "UPDATE passed SET time = time + 1 WHERE height = 0",
    ],
)
def test_what_the_root_does_not_cover_is_compared_with_the_blocks(kept: Kept, copy: Home, change: str) -> None:
    database = Database(copy.replica / FILE)
    database.execute(change, (kept.height,) if "?" in change else ())
    assert database.changes() > 0
    database.close()
    with pytest.raises(StateMismatch, match="is remembered"):
        verify_home(copy, lambda height, top: None)


def test_a_damaged_name_in_the_schema_is_noticed_when_the_state_is_opened(kept: Kept, copy: Home) -> None:
    database = Database(copy.replica / FILE, "PRAGMA writable_schema = 1")
    database.execute("UPDATE sqlite_schema SET sql = replace(sql, 'receipt', 'receipu') WHERE name = 'answer'")
    database.close()
    with pytest.raises(BrokenLog, match="no such column"):
        Replica(copy.replica, kept.genesis, DICE)


def test_what_nobody_touched_is_verified(kept: Kept, copy: Home) -> None:
    verified = verify_home(copy, lambda height, top: None)
    assert verified.height == kept.height
    assert verified.replayed
    assert verified.state_checked


def damage(path: Path, dice: Random) -> str:
    """Change one byte of a file, or cut it off somewhere; says which."""
    data = bytearray(path.read_bytes())
    place = dice.randrange(len(data))
    if dice.random() < 0.25:
        path.write_bytes(data[:place])
        return f"{path.name} cut at {place} of {len(data)}"
    data[place] ^= dice.randrange(1, 256)
    path.write_bytes(data)
    return f"{path.name} changed at {place} of {len(data)}"


@pytest.mark.campaign(test=400, long=20_000, shard=100)
def test_a_damaged_state_is_noticed_or_comes_to_the_same(
    kept: Kept, tmp_path: Path, numbers: range, figures: Figures
) -> None:
    for number in numbers:
        dice, copy = Random(number), tmp_path / str(number)
        copy.mkdir()
        for name in STATE:
            shutil.copy(kept.home.replica / name, copy / name)
        if number % 2:  # as a node leaves it that ends in order
            Replica(copy, kept.genesis, DICE).close()
        what = damage(dice.choice(sorted(copy.glob(f"{FILE}*"))), dice)
        outcome = outcome_of(copy, kept, f"number {number}: {what}")
        figures.add(f"copies of a state with one byte changed or an end cut off: {outcome}", 1)
        shutil.rmtree(copy)


def outcome_of(folder: Path, kept: Kept, what: str) -> str:
    """How a damaged state is noticed, or that it changes nothing."""
    try:
        replica = Replica(folder, kept.genesis, DICE)
    except EdgeholdError:
        return "noticed when it was opened"
    try:
        for block, root, results in kept.signed[: replica.height + 1]:
            replica.require_kept(block, root, results)
        kept.go_on(replica)
    except StateMismatch:
        return "noticed by what node verify compares"
    finally:
        replica.close()
    assert content_of(folder) == kept.content, what
    return "it came to the same"


def test_a_damaged_snapshot_is_refused_or_comes_to_the_same(
    kept: Kept, copy: Home, tmp_path: Path, figures: Figures
) -> None:
    take_snapshot(copy)
    (snapshot,) = snapshots_of(copy)
    folder = copy.replica / SNAPSHOTS / str(snapshot.height)
    pieces = [(folder / str(index)).read_bytes() for index in range(snapshot.pieces)]
    manifest, root = (folder / MANIFEST).read_bytes(), kept.signed[snapshot.height][1]
    refused = 0
    for variant in damaged(manifest):
        newcomer = Replica(tmp_path / "newcomer", kept.genesis, DICE)
        with pytest.raises(BadSnapshot):
            restore(newcomer, variant, root, pieces)
        newcomer.close()
        shutil.rmtree(tmp_path / "newcomer")
        refused += 1
    newcomer = Replica(tmp_path / "newcomer", kept.genesis, DICE)
    newcomer.begin_restoring(manifest, root)
    for index, piece in enumerate(pieces):
        for variant in damaged(piece):
            assert not newcomer.restore(index, variant)
            refused += 1
        assert newcomer.restore(index, piece)
    kept.go_on(newcomer)
    newcomer.close()
    assert content_of(tmp_path / "newcomer") == kept.content
    figures.add("manifest and pieces of a snapshot with a byte changed or an end cut off, everywhere: refused", refused)


def restore(newcomer: Replica, manifest: bytes, root: Digest, pieces: list[bytes]) -> None:
    """Take over a snapshot; raises `BadSnapshot`, also if its manifest does not name these pieces."""
    newcomer.begin_restoring(manifest, root)
    for index, piece in enumerate(pieces):
        if not newcomer.restore(index, piece):
            raise BadSnapshot(f"piece {index} is not the one that the manifest names")


def damaged(data: bytes) -> Iterator[bytes]:
    """Everything that changing one byte or cutting off an end makes of it, with one change for each byte."""
    dice = Random(len(data))
    for place in range(len(data)):
        yield data[:place]
        yield data[:place] + bytes([data[place] ^ dice.randrange(1, 256)]) + data[place + 1 :]


@pytest.mark.campaign(test=10, long=1000, shard=5)
def test_a_node_on_damaged_files_notices_it_or_comes_to_the_same(
    kept: Kept, tmp_path: Path, numbers: range, figures: Figures
) -> None:
    for number in numbers:
        dice, home = Random(number), Home(tmp_path / str(number))
        shutil.copytree(kept.home.folder, home.folder)
        place = PLACES[number % len(PLACES)]
        if number // len(PLACES) % 2:  # half of them as a node leaves the state that ends in order
            Replica(home.replica, kept.genesis, DICE).close()
        found = home.folder / place
        files = sorted(path for path in found.glob("*") if path.stat().st_size) if found.is_dir() else [found]
        what = damage(dice.choice(files), dice)
        outcome = outcome_of_starting(home, kept, f"number {number}: {place}: {what}")
        figures.add(f"copies of a node with damage in {place}: {outcome}", 1)
        shutil.rmtree(home.folder)


def outcome_of_starting(home: Home, kept: Kept, what: str) -> str:
    """How a damaged node is noticed, or that it changes nothing."""
    try:
        verify_home(home, lambda height, top: None)
    except EdgeholdError:
        return "noticed by node verify"
    node = Validator(home)
    try:
        node.start()
        wait_for(lambda: node.height() > kept.height or has_ended(node), f"a block, or an end: {what}", PATIENCE)
        if has_ended(node):
            return "noticed at the start"
    finally:
        node.kill()
        home.socket.unlink(missing_ok=True)
    verify_home(home, lambda height, top: None)
    with kept_blocks(home) as blocks:
        for block, _, _ in kept.signed[1:]:
            assert hash_header(blocks.block(block.height)[0]) == block.header, what
    replica = Replica(home.replica, kept.genesis, DICE)
    try:
        for block, root, results in kept.signed:
            replica.require_kept(block, root, results)
    finally:
        replica.close()
    return "it came to the same, and went on"


def has_ended(node: Validator) -> bool:
    """Whether one of its halves is gone, or CometBFT says that it will decide nothing any more."""
    return not node.is_running or CONSENSUS_FAILED.decode() in node.log()
