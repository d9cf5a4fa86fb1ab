"""A customer's own store: each order with its private key, what was sent, and in the end its certificate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edgehold.durable import Database, reserve_file, storage_failures
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, OrderId
from edgehold.wire.order import PlaceOrder


class OrderStatus(StrEnum):
    """Where an order stands, as its customer sees it."""

    PLACED = "placed"
    REFUSED = "refused"
    CERTIFIED = "certified"
    DISPUTED = "disputed"
    ACCEPTED = "accepted"
    UNCONTESTED = "uncontested"
    NOT_TAKEN = "not-taken"
    TOO_FEW = "too-few"
    ABANDONED = "abandoned"
    WITHHELD = "withheld"
    UNUSABLE = "unusable"

    @property
    def is_open(self) -> bool:
        """Whether something may still happen."""
        return self in OPEN


OPEN = (OrderStatus.PLACED, OrderStatus.CERTIFIED, OrderStatus.DISPUTED)


@dataclass(frozen=True)
class OrderRow:
    """One order: `seal_seed` is the secret that opens its shares; `shares` lie beside the certificate, if any.

    `sent` is the last transaction that was signed for it; `reason` says why it was refused or disputed, or what a
    result still lacks.
    """

    order: OrderId
    placed: PlaceOrder
    seal_seed: bytes
    status: OrderStatus
    sent: bytes
    certificate: bytes | None
    shares: bytes | None
    reason: str | None

    def __repr__(self) -> str:
        return f"OrderRow({self.order.hex()[:16]}, {self.status.value}, seal_seed=…)"


SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY,
    "order" BLOB NOT NULL UNIQUE,
    placed BLOB NOT NULL,
    seal_seed BLOB NOT NULL,
    status TEXT NOT NULL,
    sent BLOB NOT NULL,
    certificate BLOB,
    shares BLOB,
    reason TEXT
) STRICT;
"""

COLUMNS = '"order", placed, seal_seed, status, sent, certificate, shares, reason'


class OrderStore:
    """The orders of one customer in one SQLite file, durable at each call."""

    def __init__(self, folder: Path) -> None:
        with storage_failures(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reserve_file(folder / "orders.db")
        pragmas = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
        self._database = Database(folder / "orders.db", *pragmas, SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, order: OrderId, placed: PlaceOrder, seal_seed: bytes, transaction: bytes) -> None:
        """Keep a new order before anything of it is sent: without the secret its result could never be opened."""
        self._database.execute(
            'INSERT INTO orders ("order", placed, seal_seed, status, sent) VALUES (?, ?, ?, ?, ?)',
            (order, encode(placed), seal_seed, OrderStatus.PLACED.value, transaction),
        )

    def row(self, order: OrderId) -> OrderRow | None:
        """One order, if it is ours."""
        found = self._select('WHERE "order" = ?', order)
        return found[0] if found else None

    def rows(self) -> list[OrderRow]:
        """All orders, the oldest first."""
        return self._select("ORDER BY number")

    def open_rows(self) -> list[OrderRow]:
        """The orders to which something may still happen, the oldest first."""
        return self._select("WHERE status IN (?, ?, ?) ORDER BY number", *(status.value for status in OPEN))

    def keep_sent(self, order: OrderId, transaction: bytes) -> None:
        """Keep a transaction before it is sent, so that what is sent again is byte for byte the same."""
        self._set(order, "sent", transaction)

    def keep_certificate(self, order: OrderId, certificate: bytes, shares: bytes | None) -> None:
        """Keep the verified certificate."""
        self._database.execute(
            'UPDATE orders SET certificate = ?, shares = ?, status = ?, reason = NULL WHERE "order" = ?',
            (certificate, shares, OrderStatus.CERTIFIED.value, order),
        )

    def keep_reason(self, order: OrderId, reason: str) -> None:
        """Keep what a result lacks."""
        self._set(order, "reason", reason)

    def refuse(self, order: OrderId, reason: str) -> None:
        """Keep why the ledger refused the order."""
        self._judge(order, OrderStatus.REFUSED, reason, None)

    def dispute(self, order: OrderId, reason: str, transaction: bytes) -> None:
        """Keep why a result is disputed and the transaction that does it, together and before it is sent."""
        self._judge(order, OrderStatus.DISPUTED, reason, transaction)

    def move(self, order: OrderId, status: OrderStatus) -> None:
        """Keep where the order stands now."""
        self._set(order, "status", status.value)

    def _judge(self, order: OrderId, status: OrderStatus, reason: str, transaction: bytes | None) -> None:
        self._database.execute(
            'UPDATE orders SET status = ?, reason = ?, sent = coalesce(?, sent) WHERE "order" = ?',
            (status.value, reason, transaction, order),
        )

    def _set(self, order: OrderId, column: str, value: bytes | str) -> None:
        self._database.execute(f'UPDATE orders SET {column} = ? WHERE "order" = ?', (value, order))  # noqa: S608

    def _select(self, condition: str, *arguments: Digest | str) -> list[OrderRow]:
        rows = self._database.execute(f"SELECT {COLUMNS} FROM orders {condition}", arguments)  # noqa: S608
        return [
            OrderRow(OrderId(Digest(row[0])), decode(row[1], PlaceOrder), row[2], OrderStatus(row[3]), *row[4:])
            for row in rows
        ]
