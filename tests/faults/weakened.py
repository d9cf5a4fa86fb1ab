"""Settings and orders of writing that lose data, planted so that the enumeration has something to find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def synchronous(level: str) -> Iterator[None]:
    """Every connection opened meanwhile has this `PRAGMA synchronous`, whatever it asks for."""

    def weaken(connection: apsw.Connection) -> None:
        connection.execute(f"PRAGMA synchronous={level}")
        connection.authorizer = _ignore_synchronous

    apsw.connection_hooks.append(weaken)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(weaken)


@contextmanager
def rollback_journal() -> Iterator[None]:
    """Every connection opened meanwhile keeps a rollback journal and syncs as with a log, whatever it asks for."""

    def weaken(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        connection.authorizer = _ignore_log

    apsw.connection_hooks.append(weaken)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(weaken)


def _ignore_log(
    operation: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    asked = operation == apsw.SQLITE_PRAGMA and (first or "").lower() == "journal_mode"
    return apsw.SQLITE_IGNORE if asked else _ignore_synchronous(operation, first, second, database, trigger)


def _ignore_synchronous(
    operation: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    asked = operation == apsw.SQLITE_PRAGMA and (first or "").lower() == "synchronous" and second is not None
    return apsw.SQLITE_IGNORE if asked else apsw.SQLITE_OK
