"""What a party says when the system lets no file grow any more, and that it goes on when it does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from archives import FRIEND

from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import Database
from edgehold.errors import StorageFull
from edgehold.hub.archive import export_hub, import_hub
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE
from edgehold.hub.journal import Journal
from edgehold.hub.keys import create_keys
from edgehold.hub.originals import write_originals
from edgehold.hub.repair import repair_hub
from edgehold.hub.store import Store
from edgehold.policy.policy import Policy
from edgehold.wire.codec import encode
from edgehold.wire.data import Kind, ObjectId

if TYPE_CHECKING:
    from conftest import Figures

ROOM = 64 << 10
DISK = 1 << 20
DICE = SeededRandomness(7, "a small disk")


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """No file of this process grows beyond a limit; the signal that would end it for trying is ignored."""
    earlier, limit = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    signal.signal(signal.SIGXFSZ, earlier)


def test_a_limit_of_file_sizes_is_a_full_disk(tmp_path: Path, file_size_limit: None) -> None:
    database = Database(tmp_path / "kept.sqlite", "PRAGMA journal_mode=WAL", "CREATE TABLE kept (bytes BLOB)")
    rows = [(bytes(4000),)] * (2 * ROOM // 4000)
    with pytest.raises(StorageFull, match=r"kept\.sqlite: File too large"), database.transaction():
        database.executemany("INSERT INTO kept VALUES (?)", rows)
    assert database.execute("SELECT count(*) FROM kept").fetchall() == [(0,)]
    database.close()


# ── a small disk ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a mebibyte in memory. Only root mounts one, so that it is for `make long`."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place], check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def originals_of(store: Store) -> dict[ObjectId, bytes]:
    """Everything that a store gives back."""
    return {one: store.get_original(one) for one in store.ids() if not store.is_erased(one)}


def fill(path: Path) -> None:
    """Write a file until there is no more room."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def is_refused(act: Callable[[], object]) -> None:
    """There is no room, and the same files are there as before."""
    with pytest.raises(StorageFull):
        act()


@pytest.mark.slow
def test_a_full_disk_keeps_what_is_there_and_nothing_by_half(
    small_disk: Path, tmp_path: Path, figures: Figures
) -> None:
    """Imports until the disk is full; then nothing that needs room is done by half, and with room everything goes on."""
    hub, dice = small_disk / "hub", Random(3)
    keys = create_keys(hub, DICE)
    journal = Journal(hub / JOURNAL_FILE)
    journal.set_fact("policy", encode(Policy()))
    journal.close()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(DISK // 2))
    kept: dict[ObjectId, bytes] = {}
    with Store.create(hub / STORE_FILE, keys.storage_key, DICE) as store:

        def put(original: bytes) -> None:
            found, _ = store.put_object(original, name="noise", kind=Kind.OTHER, randomness=DICE)
            kept[found.id] = original

        put(dice.randbytes(9_000))
        export_hub(hub, tmp_path / "hub.age", [FRIEND.recipient])
        for number in count():
            following = dice.randbytes(9_000 + 1_000 * number)
            try:
                put(following)
            except StorageFull:
                break
        assert originals_of(store) == kept
        assert store.check() == []
        before = {path for path in small_disk.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
        rest = small_disk / "rest"
        with pytest.raises(OSError, match="No space"):
            fill(rest)
        acts: tuple[Callable[[], object], ...] = (
            lambda: export_hub(hub, small_disk / "hub.age", [FRIEND.recipient]),
            lambda: import_hub(tmp_path / "hub.age", small_disk / "elsewhere", [FRIEND], network=None),
            lambda: repair_hub(hub, tmp_path / "hub.age", [FRIEND], DICE),
            lambda: write_originals(store, small_disk / "originals"),
            lambda: put(dice.randbytes(40_000)),
        )
        for act in acts:
            is_refused(act)
            left = {path for path in small_disk.rglob("*") if not path.name.endswith(("-wal", "-shm"))}
            assert left == before | {rest}
        assert originals_of(store) == kept
        rest.unlink()
        filler.unlink()
        put(following)
        store.erase(next(iter(kept)), DICE)
        kept.pop(next(iter(kept)))
        assert originals_of(store) == kept
        assert store.check() == []
        export_hub(hub, small_disk / "hub.age", [FRIEND.recipient])
    figures.add("operations that a full disk refused, and nothing was left of them", len(acts) + 1)
