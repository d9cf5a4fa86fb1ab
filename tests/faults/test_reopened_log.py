"""What a killed process wrote is durable before the next one shows it to anybody."""

from __future__ import annotations

from pathlib import Path

from recording import Sync, recorded

from edgehold.durable import Database

PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")


def test_the_log_of_a_killed_process_is_synchronised_when_it_is_opened(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    killed = Database(before / "party.sqlite", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF")
    killed.execute("CREATE TABLE said(word)")
    killed.execute("INSERT INTO said VALUES('block 21')")
    for name in ("party.sqlite", "party.sqlite-wal"):
        (after / name).write_bytes((before / name).read_bytes())
    killed.close()
    with recorded(after) as recorder:
        log = recorder.recording.names["party.sqlite-wal"]
        opened = Database(after / "party.sqlite", *PRAGMAS)
        assert Sync(log) in recorder.recording.operations
        assert opened.execute("SELECT word FROM said").fetchall() == [("block 21",)]
        opened.close()
