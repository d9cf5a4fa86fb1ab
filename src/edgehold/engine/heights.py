"""How far a replica is: the header hashes of the last heights, and the root of the state after each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from edgehold.durable import Database
from edgehold.ledger.draw import KEPT_HEADERS
from edgehold.wire.ids import Digest, Height

_SCHEMA = """
CREATE TABLE IF NOT EXISTS passed (
    height INTEGER PRIMARY KEY, header BLOB NOT NULL, time INTEGER NOT NULL, root BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Passed:
    """A height that passed: the hash and time of its header, and the root of the state after it."""

    height: Height
    header: bytes  # empty for height 0, which has none
    time: int
    root: Digest


class Heights:
    """The last heights in the database of a replica; every change happens inside a transaction of the storage."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction():
            database.execute(_SCHEMA)

    def append(self, passed: Passed) -> None:
        """Add a height, and forget the one that no rule may ask for any more."""
        self.restore([passed])
        self._database.execute("DELETE FROM passed WHERE height <= ?", (passed.height - KEPT_HEADERS,))

    def restore(self, heights: Iterable[Passed]) -> None:
        """Add heights as they were kept elsewhere."""
        rows = ((one.height, one.header, one.time, one.root) for one in heights)
        self._database.executemany("INSERT INTO passed VALUES (?, ?, ?, ?)", rows)

    def get(self, height: Height) -> Passed | None:
        """A height, if it is kept."""
        rows = self._database.execute("SELECT height, header, time, root FROM passed WHERE height = ?", (height,))
        for row in rows:
            return Passed(*cast(tuple[int, bytes, int, Digest], row))
        return None

    def all(self) -> list[Passed]:
        """Every height that is kept, ascending."""
        rows = self._database.execute("SELECT height, header, time, root FROM passed ORDER BY height")
        return [Passed(*cast(tuple[int, bytes, int, Digest], row)) for row in rows]
