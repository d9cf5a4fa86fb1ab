"""The hub's journal: what it decided, ran, sent and spent, in one SQLite file beside the store.

Each step of a run is one durable transaction, so that a hub killed anywhere goes on where it stood: nothing is
run twice, no budget is spent twice or freed, and what is sent again is byte for byte what was sent.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgehold.durable import Database, reserve_file, storage_failures
from edgehold.errors import Malformed, NothingSent, PanelNotOpen, StoreBusy
from edgehold.policy.budget import Spent
from edgehold.policy.decide import DecisionRecord
from edgehold.policy.policy import Policy
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import ObjectId
from edgehold.wire.ids import AccountId, Digest, Modulus, PanelId, TaskId, Token
from edgehold.wire.service import Receipted
from edgehold.wire.sharing import Grant
from edgehold.wire.task import TaskConfiguration

LAST_SEEN = "last seen height"
LAST_SEEN_HEADER = "last seen header"
RESTORED_FROM = "restored from height"
"""Of a hub that was made of an archive: the last height that the lost one is known to have relied on."""
RESTORED_UNTIL = "restored until height"
"""Until which height it was counted as spent what the lost one may have spent; there is none before that was done."""
ERASED = "erased"
"""The ids of everything that the owner ever erased: no archive brings it back."""

_PRAGMAS = (
    "PRAGMA busy_timeout=5000",
    "PRAGMA page_size=1024",  # of a new file: a host of many hubs keeps many open
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=EXTRA",  # without a log, FULL would let a rollback journal come back after a power cut
    "PRAGMA secure_delete=ON",
    "PRAGMA cache_size=-64",
    "PRAGMA trusted_schema=OFF",
)
ID = 16
"""Bytes of an object's id."""
STATEMENTS = 8
"""Prepared statements that one open journal keeps: those of a height at which nothing happens, and some."""

_TABLES = """
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS panels(panel BLOB PRIMARY KEY, left_at INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens(
    panel BLOB, slot INTEGER, modulus BLOB NOT NULL, token BLOB NOT NULL, PRIMARY KEY(panel, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs(
    task BLOB PRIMARY KEY, state TEXT NOT NULL, record BLOB NOT NULL, configuration BLOB NOT NULL,
    panel INTEGER NOT NULL, upload_at INTEGER NOT NULL,
    log TEXT NOT NULL DEFAULT '', report BLOB, sent_at INTEGER, receipt BLOB, revoked_at INTEGER,
    included INTEGER, trouble TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS debits(
    task BLOB PRIMARY KEY, period INTEGER NOT NULL, loss TEXT NOT NULL, customer BLOB NOT NULL, leader BLOB NOT NULL,
    helper BLOB NOT NULL, purpose TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experience(
    service BLOB PRIMARY KEY, good INTEGER NOT NULL, bad INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares(
    share BLOB PRIMARY KEY, object BLOB NOT NULL, grant_ BLOB NOT NULL, withdrawn_at INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fetches(share BLOB NOT NULL, height INTEGER NOT NULL, bytes INTEGER NOT NULL);
"""


class RunState(StrEnum):
    """Where one task stands at this hub."""

    REFUSED = "refused"
    ASKED = "asked"  # waits for the owner
    DECLINED = "declined"  # the owner said no, or nothing in time
    GRANTED = "granted"  # to be run, or interrupted while it ran
    STORED = "stored"  # debited; the sealed report waits for its height
    SENT = "sent"  # the leader's receipt is here
    MISSED = "missed"  # nothing left, and nothing will
    LOST = "lost"  # of a restored hub: the lost one may have answered, so it is spent, and never answered again


@dataclass(frozen=True)
class Run:
    """One task as this hub dealt with it."""

    task: TaskId
    state: RunState
    record: DecisionRecord
    configuration: TaskConfiguration
    panel: int
    """The place of the hub's panel in the task."""
    upload_at: int
    """The height at which the report leaves; 0 before a grant."""
    log: str
    """Why the program gave nothing, for the owner; empty if it gave a measurement."""
    report: bytes | None
    sent_at: int | None
    receipt: Receipted | None
    revoked_at: int | None
    included: bool | None
    """Whether the batch has the report; None before it was looked for."""
    trouble: str
    """Why the last upload got no receipt; empty if none failed."""


@dataclass(frozen=True)
class Share:
    """One record shared with one account."""

    share: Digest
    object: ObjectId
    grant: Grant
    withdrawn_at: int | None


class Journal:
    """The journal's file, or one in memory. Every method that writes is one durable transaction when it returns."""

    def __init__(self, path: Path | None) -> None:
        with storage_failures(path or Path(os.devnull)):
            self._lock = os.open(_reserve(path) if path else os.devnull, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._database = Database(path, *_PRAGMAS, statementcachesize=STATEMENTS)
            if not self._database.execute("SELECT count(*) FROM sqlite_schema").get:
                with self._database:
                    self._database.execute(_TABLES)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()
        os.close(self._lock)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other process from acting for this hub meanwhile; raises `StoreBusy` if one is acting already."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreBusy("another process acts for this hub") from error
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    # ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def fact(self, name: str) -> bytes | None:
        """A named value, or none."""
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def set_fact(self, name: str, value: bytes) -> None:
        """Keep a named value in place of an earlier one."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES(?, ?)", (name, value))

    def height(self, name: str) -> int:
        """A named height, 0 if there is none."""
        return int.from_bytes(self.fact(name) or b"", "big")

    def set_height(self, name: str, height: int) -> None:
        """Keep a named height."""
        self.set_fact(name, height.to_bytes(8, "big"))

    def policy(self) -> Policy | None:
        """The owner's standing answer, if one was set."""
        value = self.fact("policy")
        return None if value is None else decode(value, Policy)

    def mark_restored(self) -> None:
        """Note that this journal comes from an archive, so that another may have gone on from where it stands."""
        if self.fact(RESTORED_FROM) is None or self.fact(RESTORED_UNTIL) is not None:
            with self._database:
                self.set_height(RESTORED_FROM, self.height(LAST_SEEN))
                self._database.execute("DELETE FROM facts WHERE name = ?", (RESTORED_UNTIL,))

    def erased(self) -> set[ObjectId]:
        """Everything that the owner ever erased."""
        ids = self.fact(ERASED) or b""
        return {ObjectId(ids[at : at + ID]) for at in range(0, len(ids), ID)}

    def note_erased(self, objects: Sequence[ObjectId]) -> None:
        """Note what the owner erases, before it is done."""
        ids = self.erased() | set(objects)
        self.set_fact(ERASED, b"".join(sorted(ids)))

    def check(self) -> list[str]:
        """Read everything again; a sentence for each thing that is wrong, none if all is well."""
        faults = [f"database: {row[0]}" for row in self._database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        readers: tuple[Callable[[], object], ...] = (
            self.policy,
            self.panels,
            self.spent,
            self.debits,
            self.shares,
            self.fetches,
            self.erased,
            lambda: self.runs(*RunState),
        )
        for read in readers:
            try:
                read()
            except (Malformed, ValueError) as error:
                faults.append(f"journal: {error}")
        return faults

    # ── panels ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_panel(self, panel: PanelId, keys: Sequence[tuple[Modulus, Token]]) -> None:
        """Keep the tokens of a panel, in slot order, with the moduli that they are checked with."""
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO panels VALUES(?, NULL)", (panel,))
            self._database.executemany(
                "INSERT OR REPLACE INTO tokens VALUES(?, ?, ?, ?)",
                [(panel, slot, modulus, token) for slot, (modulus, token) in enumerate(keys)],
            )

    def panels(self) -> list[PanelId]:
        """The panels that the hub answers for."""
        rows = self._database.execute("SELECT panel FROM panels WHERE left_at IS NULL")
        return [PanelId(Digest(panel)) for (panel,) in rows]

    def leave_panels(self, height: int) -> None:
        """Answer no task of these panels any more; the tokens stay, so that old permits can be revoked."""
        self._database.execute("UPDATE panels SET left_at = ? WHERE left_at IS NULL", (height,))

    def token(self, panel: PanelId, slot: int) -> Token:
        """The token of one slot; raises `PanelNotOpen` if the hub has none."""
        row = self._one("SELECT token FROM tokens WHERE panel = ? AND slot = ?", panel, slot)
        if row is None:
            raise PanelNotOpen(f"this hub has no token for slot {slot} of panel {panel.hex()}")
        return Token(row[0])

    def moduli(self, panel: PanelId) -> list[Modulus]:
        """The panel's slot verification keys, in slot order."""
        rows = self._database.execute("SELECT modulus FROM tokens WHERE panel = ? ORDER BY slot", (panel,))
        return [Modulus(modulus) for (modulus,) in rows]

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_decision(
        self,
        state: RunState,
        record: DecisionRecord,
        configuration: TaskConfiguration,
        *,
        panel: int,
        upload_at: int,
        header: Digest,
    ) -> None:
        """Note a decision, the header it relies on, and at which height the report leaves if there will be one."""
        question = record.question
        with self._database:
            self._database.execute(
                "INSERT INTO runs(task, state, record, configuration, panel, upload_at) VALUES(?, ?, ?, ?, ?, ?)"
                " ON CONFLICT(task) DO UPDATE SET"
                " state = excluded.state, record = excluded.record, upload_at = excluded.upload_at",
                (question.task, state.value, encode(record), encode(configuration), panel, upload_at),
            )
            self.set_height(LAST_SEEN, question.height)
            self.set_fact(LAST_SEEN_HEADER, header)

    def write_off(self, run: Run, debit: Spent) -> None:
        """Count as spent what a lost hub may have spent after this decision."""
        with self._database:
            self.move_run(run.task, RunState.LOST)
            self._debit(run.task, debit)

    def write_off_unseen(
        self, record: DecisionRecord, configuration: TaskConfiguration, debit: Spent, *, panel: int, header: Digest
    ) -> None:
        """Count as spent what a lost hub may have spent on a task of which this journal knows nothing."""
        with self._database:
            self.set_decision(RunState.LOST, record, configuration, panel=panel, upload_at=0, header=header)
            self._debit(record.question.task, debit)

    def move_run(self, task: TaskId, state: RunState) -> None:
        """Note that a run came to another state."""
        self._database.execute("UPDATE runs SET state = ? WHERE task = ?", (state.value, task))

    def store_report(self, task: TaskId, report: bytes, log: str, debit: Spent) -> None:
        """Debit the budget and keep the sealed report, both or neither, and only once."""
        with self._database:
            self._debit(task, debit)
            self._database.execute(
                "UPDATE runs SET state = 'stored', report = ?, log = ? WHERE task = ?", (report, log, task)
            )

    def _debit(self, task: TaskId, debit: Spent) -> None:
        self._database.execute(
            "INSERT INTO debits VALUES(?, ?, ?, ?, ?, ?, ?)",
            (task, debit.period, str(debit.loss), debit.customer, *debit.services, debit.purpose),
        )

    def set_sent(self, task: TaskId, height: int, receipt: Receipted) -> None:
        """Keep the leader's receipt."""
        self._database.execute(
            "UPDATE runs SET state = 'sent', sent_at = ?, receipt = ? WHERE task = ?", (height, encode(receipt), task)
        )

    def note(self, task: TaskId, words: str) -> None:
        """Keep for the owner why an upload got no receipt; the last such reason stays."""
        self._database.execute("UPDATE runs SET trouble = ? WHERE task = ?", (words[:400], task))

    def forget_logs(self) -> None:
        """Overwrite what programs said when they failed, in the log of writes too."""
        self._database.execute("UPDATE runs SET log = '' WHERE log != ''")
        self._database.empty_log()

    def set_revoked(self, task: TaskId, height: int) -> None:
        """Note that the permit was revoked."""
        self._database.execute("UPDATE runs SET revoked_at = ? WHERE task = ?", (height, task))

    def set_included(
        self, task: TaskId, *, included: bool, good: Sequence[AccountId], bad: Sequence[AccountId]
    ) -> None:
        """Note what a batch's lists said, and remember it of the services; a batch counts once."""
        with self._database:
            self._database.execute("UPDATE runs SET included = ? WHERE task = ? AND included IS NULL", (included, task))
            if not self._database.changes():
                return
            for service, was_good in [(one, True) for one in good] + [(one, False) for one in bad]:
                self._database.execute(
                    "INSERT INTO experience VALUES(?, ?, ?) ON CONFLICT(service)"
                    " DO UPDATE SET good = good + excluded.good, bad = bad + excluded.bad",
                    (service, was_good, not was_good),
                )

    def experience(self, service: AccountId) -> tuple[int, int]:
        """How many tasks with this service went well, and how many did not."""
        row = self._one("SELECT good, bad FROM experience WHERE service = ?", service)
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def run(self, task: TaskId) -> Run:
        """How the hub dealt with a task. Raises `NothingSent` if it never decided on it."""
        for run in self._runs("WHERE task = ?", task):
            return run
        raise NothingSent(f"task {task.hex()}")

    def has_run(self, task: TaskId) -> bool:
        """Whether the hub decided on a task."""
        return self._one("SELECT 1 FROM runs WHERE task = ?", task) is not None

    def runs(self, *states: RunState) -> list[Run]:
        """Every run in one of these states, the oldest decision first."""
        named = ", ".join(f"'{state.value}'" for state in states)
        return sorted(self._runs(f"WHERE state IN ({named})"), key=lambda run: run.record.question.height)

    def _runs(self, condition: str, *values: bytes) -> Iterator[Run]:
        columns = "task, state, record, configuration, panel, upload_at, log, report, sent_at, receipt"
        query = f"SELECT {columns}, revoked_at, included, trouble FROM runs {condition}"  # noqa: S608 — constants
        for row in self._database.execute(query, values):
            task, state, record, configuration, panel, upload_at, log, report, sent_at, receipt, *rest = row
            revoked_at, included, trouble = rest
            yield Run(
                task=TaskId(Digest(task)),
                state=RunState(state),
                record=decode(record, DecisionRecord),
                configuration=decode(configuration, TaskConfiguration),
                panel=panel,
                upload_at=upload_at,
                log=log,
                report=report,
                sent_at=sent_at,
                receipt=None if receipt is None else decode(receipt, Receipted),
                revoked_at=revoked_at,
                included=None if included is None else bool(included),
                trouble=trouble,
            )

    # ── budget ────────────────────────────────────────────────────────────────────────────────────────────────────

    def spent(self) -> tuple[Spent, ...]:
        """Every debit, whatever became of the report."""
        rows = self._database.execute("SELECT period, loss, customer, leader, helper, purpose FROM debits")
        return tuple(
            Spent(
                period=period,
                loss=Fraction(loss),
                customer=AccountId(Digest(customer)),
                services=(AccountId(Digest(leader)), AccountId(Digest(helper))),
                purpose=purpose,
            )
            for period, loss, customer, leader, helper, purpose in rows
        )

    def debits(self) -> dict[TaskId, Fraction]:
        """What each task cost."""
        return {
            TaskId(Digest(task)): Fraction(loss)
            for task, loss in self._database.execute("SELECT task, loss FROM debits")
        }

    # ── sharing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add_share(self, share: Digest, shared: ObjectId, grant: Grant) -> None:
        """Note that a record is shared."""
        self._database.execute("INSERT OR IGNORE INTO shares VALUES(?, ?, ?, NULL)", (share, shared, encode(grant)))

    def share(self, share: Digest) -> Share | None:
        """One share, or none of this id."""
        row = self._one("SELECT share, object, grant_, withdrawn_at FROM shares WHERE share = ?", share)
        return None if row is None else _share(row)

    def shares(self) -> list[Share]:
        """Every share there ever was."""
        rows = self._database.execute("SELECT share, object, grant_, withdrawn_at FROM shares ORDER BY share")
        return [_share(row) for row in rows]

    def withdraw_share(self, share: Digest, height: int) -> None:
        """Serve a share no more."""
        self._database.execute(
            "UPDATE shares SET withdrawn_at = ? WHERE share = ? AND withdrawn_at IS NULL", (height, share)
        )

    def add_fetch(self, share: Digest, height: int, size: int) -> None:
        """Note that a shared record left the hub."""
        self._database.execute("INSERT INTO fetches VALUES(?, ?, ?)", (share, height, size))

    def fetches(self) -> list[tuple[Digest, int, int]]:
        """Share, height and bytes of each fetch that was served, in their order."""
        return [
            (Digest(share), height, size) for share, height, size in self._database.execute("SELECT * FROM fetches")
        ]

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        return row


def _reserve(path: Path) -> Path:
    """Make the journal's file if it is not there, and say what its lock is called."""
    reserve_file(path)
    return path.with_name(path.name + ".lock")


def _share(row: tuple[Any, ...]) -> Share:
    share, shared, grant, withdrawn_at = row
    return Share(Digest(share), ObjectId(shared), decode(grant, Grant), withdrawn_at)
