"""The log of an engine that makes its own blocks: every signed header, every transaction with its receipt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from edgehold.durable import Database
from edgehold.engine.blocks import encode_receipt
from edgehold.wire.codec import decode, encode
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Height
from edgehold.wire.tx import Receipt

_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (height INTEGER PRIMARY KEY, signed_header BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tx (
    height INTEGER, place INTEGER, bytes BLOB NOT NULL, receipt BLOB NOT NULL, PRIMARY KEY (height, place)
) WITHOUT ROWID, STRICT;
"""


class BlockLog:
    """The log in the database of a ledger; every change happens inside a transaction of the storage."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction():
            database.execute(_SCHEMA)

    def append(self, signed: SignedHeader, transactions: Iterable[tuple[bytes, Receipt]]) -> None:
        """Add a block to the log."""
        height = signed.header.height
        self._database.execute("INSERT INTO block VALUES (?, ?)", (height, encode(signed)))
        rows = ((height, place, data, encode_receipt(receipt)) for place, (data, receipt) in enumerate(transactions))
        self._database.executemany("INSERT INTO tx VALUES (?, ?, ?, ?)", rows)

    def last_height(self) -> Height:
        """The height of the last block, 0 if there is none."""
        row = self._database.execute("SELECT max(height) FROM block").fetchall()[0]
        return cast(int, row[0] or 0)

    def header(self, height: int) -> SignedHeader | None:
        """The signed header of a block."""
        for (data,) in self._database.execute("SELECT signed_header FROM block WHERE height = ?", (height,)):
            return decode(cast(bytes, data), SignedHeader)
        return None

    def transactions(self, height: int) -> list[tuple[bytes, Receipt]]:
        """The transactions of a block, in order, with their receipts."""
        rows = self._database.execute("SELECT bytes, receipt FROM tx WHERE height = ? ORDER BY place", (height,))
        return [(cast(bytes, data), decode(cast(bytes, receipt), Receipt)) for data, receipt in rows]
