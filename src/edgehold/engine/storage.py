"""The state on disk: one SQLite database with the entries and the receipts that are remembered, the same for every engine.

Write-ahead log with `synchronous=FULL`: what was committed survives a power cut. The database is locked for one keeper
as long as it is open, unless its keeper has a lock of its own and lets others read. Every change happens inside
`transaction()`, all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, cast

import apsw

from edgehold.crypto.merkle import TableEntry, hash_key, table_entries
from edgehold.durable import Database, closed_on_failure
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.execution import Answered
from edgehold.errors import BrokenLog, LedgerBusy, StateMismatch, WrongLedger
from edgehold.wire.codec import decode
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.proof import BUCKET_BITS, MapEntry
from edgehold.wire.query import PlacedReceipt
from edgehold.wire.tx import Receipt

FORMAT = b"edgehold ledger 4"

EPOCH = 16
"""Heights of expiry whose answers lie together. What comes together expires about together: so a block's answers touch
few pages and are forgotten as a stretch of the table, and a receipt is looked for in 127 places at most."""

FAR = 1 << 62
"""The epoch of answers to what expires later than a transaction may: a refusal, which is remembered for good."""

MOST_AHEAD = 1000
"""Heights; no network lets a transaction expire further ahead."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS state (
    key_hash BLOB PRIMARY KEY, value_hash BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS answer (
    epoch INTEGER, envelope BLOB, height INTEGER NOT NULL, place INTEGER NOT NULL, receipt BLOB NOT NULL,
    PRIMARY KEY (epoch, envelope)
) WITHOUT ROWID, STRICT;
"""

_EVERY_COLUMN = "SELECT epoch, envelope, height, place, receipt FROM answer LIMIT 0"
"""Of the table that is not read at the start: a damaged name in the schema is found then, not by the first receipt."""

_EPOCHS = """
WITH RECURSIVE each(epoch) AS (
    SELECT max(epoch) FROM answer
    UNION ALL SELECT (SELECT max(epoch) FROM answer WHERE epoch < each.epoch) FROM each WHERE epoch IS NOT NULL
)
"""

AT_ONCE = 512
"""Rows that are hashed together when all are read."""

_BUCKET_STEP = 1 << (32 - BUCKET_BITS)


class Storage:
    """One ledger's database; `path` None keeps it in memory. Raises `LedgerBusy`, `WrongLedger`, `BrokenLog`."""

    def __init__(
        self, path: Path | None, network: NetworkId, form: bytes = FORMAT, *, locking: str = "EXCLUSIVE"
    ) -> None:
        self._path = path
        try:
            pragmas = (f"locking_mode={locking}", "journal_mode=WAL", "synchronous=FULL")
            self._db = Database(path, *(f"PRAGMA {pragma}" for pragma in pragmas))
            with closed_on_failure(self._db):
                with self.transaction():
                    self._db.execute(_SCHEMA)
                    self._identify(network, form)
                if (found := self._db.pragma("quick_check")) != "ok":
                    raise BrokenLog(f"{path} is damaged: {found}")
                self._db.execute(_EVERY_COLUMN)
        except (apsw.BusyError, apsw.LockedError) as error:
            raise LedgerBusy(f"{path} is kept by another process") from error
        except (apsw.CorruptError, apsw.SQLError) as error:
            raise BrokenLog(f"{path} is damaged: {error}") from error
        except apsw.Error as error:
            raise WrongLedger(f"{path} cannot be used as a ledger: {error}") from error

    def _identify(self, network: NetworkId, form: bytes) -> None:
        for name, value in (("format", form), ("network", network)):
            self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
            found = self._one("SELECT value FROM meta WHERE name = ?", name)
            if found != value:
                raise WrongLedger(f"{self._path}: its {name} is {found!r}, not {value!r}")

    def close(self) -> None:
        """Give the database free."""
        self._db.close()

    @property
    def database(self) -> Database:
        """For the tables that an engine keeps beside those of the state."""
        return self._db

    def transaction(self) -> AbstractContextManager[None]:
        """All writes inside become durable together when it ends, or none if it raises."""
        return self._db.transaction()

    # ── entries: the table under the Merkle map ───────────────────────────────────────────────────────────────────

    def put(self, entries: Iterable[TableEntry]) -> None:
        """Store entries, each in place of an earlier one of the same key."""
        self._db.executemany("REPLACE INTO state VALUES (?, ?, ?, ?)", entries)

    def delete(self, key_hashes: Iterable[Digest]) -> None:
        """Remove the entries that are there."""
        self._db.executemany("DELETE FROM state WHERE key_hash = ?", ((key_hash,) for key_hash in key_hashes))

    def get(self, key: bytes) -> bytes | None:
        """The value of a flat key, if there is one."""
        return self._one("SELECT value FROM state WHERE key_hash = ?", hash_key(key))

    def lines(self, numbers: Iterable[int]) -> Iterator[MapEntry]:
        """The lines of buckets, in the order in which these are asked for, ascending within each."""
        query = "SELECT key_hash, value_hash FROM state WHERE key_hash BETWEEN ? AND ?"
        rows = self._db.executemany(query, (_bounds(number) for number in numbers))
        return (MapEntry(cast(bytes, key_hash) + cast(bytes, value_hash)) for key_hash, value_hash in rows)

    def all_lines(self) -> Iterator[MapEntry]:
        """All lines, ascending, each recomputed from what the table holds."""
        rows = self._db.execute("SELECT key_hash, value_hash, key, value FROM state ORDER BY key_hash")
        found = cast(Iterator[TableEntry], iter(rows))
        while some := list(islice(found, AT_ONCE)):
            yield from _recomputed(some)

    def count_entries(self) -> int:
        """How many entries the state has."""
        return sum(cast(int, count) for (count,) in self._db.execute("SELECT count(*) FROM state"))

    # ── receipts that are remembered ──────────────────────────────────────────────────────────────────────────────

    def remember(self, height: Height, answered: Iterable[Answered]) -> None:
        """Keep what the transactions of a block came to, each until the height at which its envelope expires."""
        rows = (
            (
                request.expires // EPOCH if request.expires <= height + MOST_AHEAD else FAR,
                request.envelope,
                height,
                place,
                encode_receipt(receipt),
            )
            for place, (request, receipt) in enumerate(answered)
        )
        self.restore_answers(rows)

    def restore_answers(self, rows: Iterable[tuple[int, Digest, Height, int, bytes]]) -> None:
        """Keep answers as they were kept elsewhere: epoch, envelope, height, place, receipt."""
        self._db.executemany("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", rows)

    def answered(self, envelopes: Iterable[tuple[Digest, Height]]) -> dict[Digest, tuple[Height, int, bytes]]:
        """Height, place and receipt of envelopes, of those of which it is remembered; each is given with its expiry."""
        query = "SELECT envelope, height, place, receipt FROM answer WHERE epoch IN (?, ?) AND envelope = ?"
        found = self._db.executemany(query, ((expires // EPOCH, FAR, envelope) for envelope, expires in envelopes))
        rows = (cast(tuple[bytes, int, int, bytes], row) for row in found)
        return {Digest(name): (height, place, receipt) for name, height, place, receipt in rows}

    def answer(self, envelope: Digest) -> PlacedReceipt | None:
        """What an envelope came to, if it is remembered; the latest expiry is looked at first."""
        query = "SELECT height, place, receipt FROM each CROSS JOIN answer USING (epoch) WHERE envelope = ?"
        for height, place, receipt in self._db.execute(f"{_EPOCHS} {query}", (envelope,)):
            return PlacedReceipt(cast(int, height), cast(int, place), decode(cast(bytes, receipt), Receipt))
        return None

    def forget(self, below: Height) -> None:
        """Drop the answers to envelopes that expired below a height, when the last of an epoch did."""
        self._db.execute("DELETE FROM answer WHERE epoch < ?", (below // EPOCH,))

    def _one(self, query: str, argument: Any) -> bytes | None:
        for (value,) in self._db.execute(query, (argument,)):
            return cast(bytes, value)
        return None


def is_forgotten(expires: Height, below: Height) -> bool:
    """Whether the answer to what expires then is dropped by `forget`."""
    return expires // EPOCH < below // EPOCH


def _bounds(number: int) -> tuple[bytes, bytes]:
    """Between which key hashes a bucket lies."""
    first, end = number * _BUCKET_STEP, (number + 1) * _BUCKET_STEP
    return first.to_bytes(4, "big"), (end - 1).to_bytes(4, "big") + b"\xff" * 29


def _recomputed(rows: list[TableEntry]) -> Iterator[MapEntry]:
    """The lines of rows, of which each is found to be what its key and value make."""
    for row, made in zip(rows, table_entries([(key, value) for _, _, key, value in rows]), strict=True):
        if row != made:
            raise StateMismatch(f"the entry at {row[0].hex()} does not hold what its hashes say")
        yield MapEntry(row[0] + row[1])
