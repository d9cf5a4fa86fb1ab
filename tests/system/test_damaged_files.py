"""Copies of a stopped node's files with one byte changed or an end cut off: it is noticed, or it changes nothing.

Noticed is what the state refuses when it is opened, what `edgehold node verify` finds, or what CometBFT does not start
with. It changes nothing if in the end every height, receipt and entry is what it was.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from lone_validator import Kept, content_of, live_and_be_killed

from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import Database
from edgehold.engine.replicated import FILE, Replica
from edgehold.errors import EdgeholdError, StateMismatch
from edgehold.server.home import Home
from edgehold.server.replay import verify_home

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = pytest.mark.system

STATE = (FILE, f"{FILE}-wal")
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
