"""What a party says when the system lets no file grow any more, and that it goes on when it does."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehold.durable import Database
from edgehold.errors import StorageFull

ROOM = 64 << 10


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
