"""What a service node keeps: one SQLite file, durable before anything is acknowledged (`synchronous=FULL`).

Everything that belongs together is written in one transaction. What is deleted is overwritten (`secure_delete`), and
after a task's secrets are destroyed the write-ahead log is emptied too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from threading import Lock, get_ident
from types import TracebackType
from typing import Any

from msgspec import Struct

from edgehold.durable import Database, reserve_file
from edgehold.wire.batch import ReportLeaf, SignedBatch
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, OrderId, PublicKey, ReportId, SlotKey, TaskId
from edgehold.wire.task import Party, TaskConfiguration, TaskParty

_SCHEMA = """
CREATE TABLE IF NOT EXISTS followed (one INTEGER PRIMARY KEY CHECK (one = 1), height INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS wanted (
    order_id BLOB NOT NULL, party TEXT NOT NULL, seal_seed BLOB, noise_secret BLOB, done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, party)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task (
    task BLOB PRIMARY KEY, party TEXT NOT NULL, configuration BLOB NOT NULL, verify_key BLOB,
    delivery BLOB, delivered INTEGER NOT NULL DEFAULT 0, destroyed INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0, problem TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report (
    number INTEGER PRIMARY KEY, task BLOB NOT NULL, report BLOB NOT NULL, slot_key BLOB NOT NULL, leaf BLOB NOT NULL,
    digest BLOB NOT NULL, state INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0, job INTEGER, data BLOB,
    output_share BLOB, UNIQUE (task, report));
CREATE INDEX IF NOT EXISTS report_slot_key ON report (task, slot_key);
CREATE INDEX IF NOT EXISTS report_state ON report (task, state, job);
CREATE TABLE IF NOT EXISTS job (
    task BLOB NOT NULL, number INTEGER NOT NULL, request BLOB NOT NULL, answer BLOB,
    PRIMARY KEY (task, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revocation (
    task BLOB NOT NULL, slot_key BLOB NOT NULL, PRIMARY KEY (task, slot_key)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS listed AS SELECT *, state = 1 AND NOT EXISTS (
    SELECT 1 FROM revocation WHERE revocation.task = report.task AND revocation.slot_key = report.slot_key) AS counts
    FROM report;
CREATE TABLE IF NOT EXISTS signed (
    task BLOB NOT NULL, round INTEGER NOT NULL, own BLOB NOT NULL, other BLOB, height INTEGER NOT NULL,
    PRIMARY KEY (task, round)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflict (
    task BLOB PRIMARY KEY, first BLOB NOT NULL, second BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS share (
    task BLOB NOT NULL, party TEXT NOT NULL, sealed BLOB NOT NULL, passed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (task, party)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submission (
    name BLOB PRIMARY KEY, transaction_bytes BLOB NOT NULL, envelope BLOB NOT NULL,
    expires INTEGER NOT NULL) WITHOUT ROWID;
"""


class ReportState(IntEnum):
    """Where a report stands at one aggregator."""

    PENDING = 0
    ACCEPTED = 1
    REJECTED = 2


class StoredReport(Struct, frozen=True):
    """One report as an aggregator knows it."""

    leaf: ReportLeaf
    digest: Digest
    """Of the uploaded bytes; zero where this aggregator never saw them."""
    state: ReportState


class Seen(Struct, frozen=True):
    """What an aggregator already knows of a report that comes."""

    report: bool
    """The report id is taken."""
    slot_key: bool
    """The slot key has reported."""
    revocation: bool
    """The slot key has ended its permit."""


class FoundReport(Struct, frozen=True):
    """A report as the helper found it in a job: with its output share, or rejected."""

    leaf: ReportLeaf
    output_share: bytes | None


class StoredTask(Struct, frozen=True):
    """One task this node serves."""

    task: TaskId
    party: Party
    configuration: TaskConfiguration
    delivered: bool
    """The helper has the verification key."""
    destroyed: bool
    """Keys, shares and reports are gone."""
    problem: str | None
    """Why it does not go on, in words for the operator."""

    @property
    def other(self) -> TaskParty:
        """The other aggregator."""
        return self.configuration.helper if self.party is Party.LEADER else self.configuration.leader


class Submission(Struct, frozen=True):
    """A signed transaction, stored before it is sent for the first time."""

    transaction: bytes
    envelope: Digest
    expires: int


class Secrets(Struct, frozen=True):
    """What a node drew for one order and part: the seed of its HPKE key, and its noise secret."""

    seal_seed: bytes
    noise_secret: bytes

    def __repr__(self) -> str:
        return "Secrets(…)"


class Turns:
    """A lock that threads get one after the other, so that a busy one keeps nobody out; its holder may take it again."""

    def __init__(self) -> None:
        self._next = Lock()
        self._held = Lock()
        self._holder = 0
        self._depth = 0

    @property
    def is_awaited(self) -> bool:
        """Whether some thread is next."""
        return self._next.locked()

    def __enter__(self) -> None:
        thread = get_ident()
        if self._holder != thread:
            with self._next:  # who waits here is next, before the holder of now can ask again
                self._held.acquire()
            self._holder = thread
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = 0
            self._held.release()


class Storage:
    """The file, opened by one process; `with storage.transaction():` groups writes, a nested group fails by itself.

    Threads may share it: one statement or one transaction runs at a time, whole.
    """

    def __init__(self, path: Path) -> None:
        self._lock = Turns()
        reserve_file(path)
        pragmas = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "busy_timeout=5000")
        self._db = Database(path, *(f"PRAGMA {pragma}" for pragma in pragmas), _SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside or none; the outermost is durable when it ends. Other threads wait until then."""
        with self._lock, self._db:
            yield

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    # ── the ledger as far as it was read ──────────────────────────────────────────────────────────────────────────

    def followed(self) -> int:
        """The last height whose transactions were read."""
        return int(self._one("SELECT height FROM followed") or 0)

    def follow(self, height: int) -> None:
        """All transactions up to this height were read."""
        self._run("INSERT INTO followed VALUES (1, ?) ON CONFLICT DO UPDATE SET height = excluded.height", (height,))

    def find_submission(self, name: bytes) -> Submission | None:
        """The last transaction made for a purpose."""
        row = self._row("SELECT transaction_bytes, envelope, expires FROM submission WHERE name = ?", name)
        return Submission(transaction=row[0], envelope=Digest(row[1]), expires=row[2]) if row else None

    def keep_submission(self, name: bytes, submission: Submission) -> None:
        """Store a transaction before it is sent."""
        self._run(
            "INSERT OR REPLACE INTO submission VALUES (?, ?, ?, ?)",
            (name, submission.transaction, submission.envelope, submission.expires),
        )

    # ── orders that may become tasks ──────────────────────────────────────────────────────────────────────────────

    def want(self, order: OrderId, party: Party) -> None:
        """Remember an order that this node may lead or help with."""
        self._run("INSERT OR IGNORE INTO wanted (order_id, party) VALUES (?, ?)", (order, party.value))

    def wanted(self) -> list[tuple[OrderId, Party]]:
        """The orders of which no task came yet, in the order of their ids."""
        rows = self._run("SELECT order_id, party FROM wanted WHERE done = 0 ORDER BY order_id, party")
        return [(OrderId(order), Party(party)) for order, party in rows]

    def drop_order(self, order: OrderId) -> None:
        """The order became a task or came to an end."""
        self._run("UPDATE wanted SET done = 1 WHERE order_id = ?", (order,))

    def find_secrets(self, order: OrderId, party: Party) -> Secrets | None:
        """What was drawn for an order, until it is destroyed."""
        row = self._row(
            "SELECT seal_seed, noise_secret FROM wanted WHERE order_id = ? AND party = ? AND seal_seed IS NOT NULL",
            order,
            party.value,
        )
        return Secrets(seal_seed=row[0], noise_secret=row[1]) if row else None

    def keep_secrets(self, order: OrderId, party: Party, secrets: Secrets) -> None:
        """Store what was drawn for an order, before anything that depends on it is sent."""
        self._run(
            "UPDATE wanted SET seal_seed = ?, noise_secret = ? WHERE order_id = ? AND party = ?",
            (secrets.seal_seed, secrets.noise_secret, order, party.value),
        )

    # ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open_task(self, task: TaskId, party: Party, configuration: TaskConfiguration) -> None:
        """A task that this node serves has begun."""
        self._run(
            "INSERT OR IGNORE INTO task (task, party, configuration) VALUES (?, ?, ?)",
            (task, party.value, encode(configuration)),
        )

    def open_tasks(self) -> list[StoredTask]:
        """The tasks that have not ended, in the order of their ids."""
        return [self._task(row) for row in self._run("SELECT * FROM task WHERE ended = 0 ORDER BY task")]

    def find_task(self, task: TaskId) -> StoredTask | None:
        """One task, ended or not."""
        row = self._row("SELECT * FROM task WHERE task = ?", task)
        return self._task(row) if row else None

    def end_task(self, task: TaskId) -> None:
        """Nothing is left to do for a task."""
        self._run("UPDATE task SET ended = 1 WHERE task = ?", (task,))

    def note_problem(self, task: TaskId, problem: str | None) -> None:
        """Why a task does not go on, or that it does."""
        self._run("UPDATE task SET problem = ? WHERE task = ?", (problem, task))

    def find_verify_key(self, task: TaskId) -> bytes | None:
        """The VDAF's verification key of a task."""
        return self._bytes("SELECT verify_key FROM task WHERE task = ?", task)

    def find_delivery(self, task: TaskId) -> bytes | None:
        """The leader's message with the sealed key, as it is sent each time."""
        return self._bytes("SELECT delivery FROM task WHERE task = ?", task)

    def keep_verify_key(self, task: TaskId, verify_key: bytes, delivery: bytes | None) -> None:
        """Store the key before the first report is admitted."""
        self._run("UPDATE task SET verify_key = ?, delivery = ? WHERE task = ?", (verify_key, delivery, task))

    def is_delivered(self, task: TaskId) -> bool:
        """Whether both aggregators have the verification key."""
        return bool(self._one("SELECT delivered FROM task WHERE task = ?", task))

    def mark_delivered(self, task: TaskId) -> None:
        """The helper has confirmed the key."""
        self._run("UPDATE task SET delivered = 1 WHERE task = ?", (task,))

    def destroy(self, task: TaskId, order: OrderId, party: Party) -> None:
        """Overwrite what could open or single out a report: HPKE and verification keys, reports, output shares, jobs.

        The leaves, statements and posted shares stay; so does the noise secret, which an audit may ask for.
        """
        with self.transaction():
            self._run("UPDATE wanted SET seal_seed = NULL WHERE order_id = ? AND party = ?", (order, party.value))
            self._run("UPDATE task SET verify_key = NULL, delivery = NULL WHERE task = ?", (task,))
            self._run("UPDATE report SET data = NULL, output_share = NULL WHERE task = ?", (task,))
            self._run("DELETE FROM job WHERE task = ?", (task,))
        with self._lock:
            self._db.empty_log()
        self._run("UPDATE task SET destroyed = 1 WHERE task = ?", (task,))  # only now: until the log is empty, again

    # ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add_report(
        self,
        task: TaskId,
        leaf: ReportLeaf,
        state: ReportState,
        *,
        digest: bytes = bytes(32),
        told: bool = False,
        data: bytes | None = None,
        output_share: bytes | None = None,
    ) -> None:
        """Keep a report that was unknown; `data` is the upload, until its job is done."""
        self._run(
            "INSERT INTO report (task, report, slot_key, leaf, digest, state, told, data, output_share) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (task, leaf.report, leaf.slot_key, encode(leaf), digest, int(state), int(told), data, output_share),
        )

    def add_reports(self, task: TaskId, found: Iterable[FoundReport]) -> None:
        """Keep reports of a job that were unknown, accepted or rejected; the leader knows which."""
        self._run_many(
            "INSERT INTO report (task, report, slot_key, leaf, digest, state, told, output_share) "
            "VALUES (?, ?, ?, ?, zeroblob(32), ?, ?, ?)",
            [
                (
                    task,
                    one.leaf.report,
                    one.leaf.slot_key,
                    encode(one.leaf),
                    int(ReportState.REJECTED if one.output_share is None else ReportState.ACCEPTED),
                    int(one.output_share is None),
                    one.output_share,
                )
                for one in found
            ],
        )

    def find_seen(self, task: TaskId, report: ReportId, slot_key: SlotKey) -> Seen:
        """Whether a report id is taken, a slot key has reported, and it has ended its permit."""
        row = self._row(
            "SELECT EXISTS (SELECT 1 FROM report WHERE task = ?1 AND report = ?2), "
            "EXISTS (SELECT 1 FROM report WHERE task = ?1 AND slot_key = ?3), "
            "EXISTS (SELECT 1 FROM revocation WHERE task = ?1 AND slot_key = ?3)",
            task,
            report,
            slot_key,
        )
        return Seen(report=bool(row[0]), slot_key=bool(row[1]), revocation=bool(row[2]))

    def find_report(self, task: TaskId, report: ReportId) -> StoredReport | None:
        """A report by its id."""
        return self._report(
            self._row("SELECT leaf, digest, state FROM report WHERE task = ? AND report = ?", task, report)
        )

    def pending(self, task: TaskId, count: int) -> list[tuple[ReportId, bytes]]:
        """Reports that are in no job yet, with their bytes, as they came."""
        rows = self._run(
            "SELECT report, data FROM report WHERE task = ? AND state = ? AND job IS NULL ORDER BY number LIMIT ?",
            (task, int(ReportState.PENDING), count),
        )
        return [(ReportId(report), data) for report, data in rows]

    def count_pending(self, task: TaskId) -> int:
        """How many reports are in no job yet."""
        found = self._one(
            "SELECT count(*) FROM report WHERE task = ? AND state = ? AND job IS NULL", task, int(ReportState.PENDING)
        )
        return int(found or 0)

    def assign(self, task: TaskId, reports: Iterable[ReportId], job: int) -> None:
        """Put reports into a job."""
        self._run_many(
            "UPDATE report SET job = ? WHERE task = ? AND report = ?", [(job, task, report) for report in reports]
        )

    def job_reports(self, task: TaskId, job: int) -> list[tuple[ReportId, bytes]]:
        """The undecided reports of a job, with their bytes, as they came."""
        rows = self._run(
            "SELECT report, data FROM report WHERE task = ? AND job = ? AND state = ? ORDER BY number",
            (task, job, int(ReportState.PENDING)),
        )
        return [(ReportId(report), data) for report, data in rows]

    def accept(self, task: TaskId, shares: Mapping[ReportId, bytes]) -> None:
        """Reports count, each with its output share; their sealed bytes go."""
        self._run_many(
            "UPDATE report SET state = ?, output_share = ?, data = NULL WHERE task = ? AND report = ?",
            [(int(ReportState.ACCEPTED), share, task, report) for report, share in shares.items()],
        )

    def reject(self, task: TaskId, report: ReportId, *, told: bool) -> None:
        """A report does not count; `told`: the other aggregator knows."""
        self._run(
            "UPDATE report SET state = ?, told = max(told, ?), output_share = NULL, data = NULL "
            "WHERE task = ? AND report = ?",
            (int(ReportState.REJECTED), int(told), task, report),
        )

    def untold(self, task: TaskId, count: int) -> list[ReportLeaf]:
        """Leaves that this node rejects, or whose permit it knows revoked, and of which the other was not told."""
        rows = self._run(
            "SELECT leaf FROM listed WHERE task = ? AND told = 0 AND NOT counts ORDER BY report LIMIT ?",
            (task, count),
        )
        return [decode(leaf, ReportLeaf) for (leaf,) in rows]

    def mark_told(self, task: TaskId, reports: Iterable[ReportId]) -> None:
        """The other aggregator has confirmed that it rejects these."""
        self._run_many("UPDATE report SET told = 1 WHERE task = ? AND report = ?", [(task, one) for one in reports])

    def leaves(self, task: TaskId, *, accepted: bool, first: int = 0, count: int = -1) -> Iterator[ReportLeaf]:
        """One list, sorted by report id: the leaves that count, or the others; or `count` of them from `first` on."""
        query = "SELECT leaf FROM listed WHERE task = ? AND counts = ? ORDER BY report LIMIT ? OFFSET ?"
        for (leaf,) in self._run(query, (task, int(accepted), count, first)):
            yield decode(leaf, ReportLeaf)

    def count_leaves(self, task: TaskId, *, accepted: bool) -> int:
        """How many leaves one list has."""
        return int(self._one("SELECT count(*) FROM listed WHERE task = ? AND counts = ?", task, int(accepted)))

    def output_shares(self, task: TaskId) -> list[bytes]:
        """The output shares of the reports that count, sorted by report id."""
        rows = self._run("SELECT output_share FROM listed WHERE task = ? AND counts ORDER BY report", (task,))
        return [share for (share,) in rows]

    def revoke(self, task: TaskId, slot_key: SlotKey) -> None:
        """A slot key ended its permit; whatever report it has or will have does not count."""
        self._run("INSERT OR IGNORE INTO revocation VALUES (?, ?)", (task, slot_key))

    def revoked(self, task: TaskId) -> set[SlotKey]:
        """The slot keys that ended their permits."""
        rows = self._run("SELECT slot_key FROM revocation WHERE task = ?", (task,))
        return {SlotKey(PublicKey(slot_key)) for (slot_key,) in rows}

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_job(self, task: TaskId, number: int, request: bytes, answer: bytes | None) -> None:
        """Keep a job: the leader's before it is sent, the helper's with its answer."""
        self._run("INSERT INTO job VALUES (?, ?, ?, ?)", (task, number, request, answer))

    def find_job(self, task: TaskId, number: int) -> tuple[bytes, bytes | None] | None:
        """The request of a job and its answer."""
        row = self._row("SELECT request, answer FROM job WHERE task = ? AND number = ?", task, number)
        return (row[0], row[1]) if row else None

    def finish_job(self, task: TaskId, number: int, answer: bytes) -> None:
        """The leader has the answer and has counted it."""
        self._run("UPDATE job SET answer = ? WHERE task = ? AND number = ?", (answer, task, number))

    def unanswered_jobs(self, task: TaskId) -> list[tuple[int, bytes]]:
        """Jobs that were begun and not finished."""
        return list(self._run("SELECT number, request FROM job WHERE task = ? AND answer IS NULL", (task,)))

    def next_job(self, task: TaskId) -> int:
        """A number no job of the task has."""
        return int(self._one("SELECT coalesce(max(number) + 1, 0) FROM job WHERE task = ?", task) or 0)

    # ── statements and shares ─────────────────────────────────────────────────────────────────────────────────────

    def find_signed(self, task: TaskId, number: int) -> tuple[SignedBatch, SignedBatch | None, int] | None:
        """What this node signed in a round, what the other did, and at which height."""
        row = self._row("SELECT own, other, height FROM signed WHERE task = ? AND round = ?", task, number)
        if row is None:
            return None
        return decode(row[0], SignedBatch), decode(row[1], SignedBatch) if row[1] else None, row[2]

    def keep_signed(self, task: TaskId, own: SignedBatch, height: int) -> None:
        """Store a statement before its signature leaves; there is one a round, for ever."""
        self._run("INSERT INTO signed VALUES (?, ?, ?, NULL, ?)", (task, own.statement.round, encode(own), height))

    def keep_other(self, task: TaskId, other: SignedBatch) -> None:
        """Store what the other aggregator signed in a round in which this one has signed."""
        self._run(
            "UPDATE signed SET other = ? WHERE task = ? AND round = ?", (encode(other), task, other.statement.round)
        )

    def keep_conflict(self, task: TaskId, first: SignedBatch, second: SignedBatch) -> None:
        """Two statements of the other aggregator for one round; one pair is enough."""
        self._run("INSERT OR IGNORE INTO conflict VALUES (?, ?, ?)", (task, encode(first), encode(second)))

    def find_conflict(self, task: TaskId) -> tuple[SignedBatch, SignedBatch] | None:
        """Two statements of the other aggregator for one round, if it signed two."""
        row = self._row("SELECT first, second FROM conflict WHERE task = ?", task)
        return (decode(row[0], SignedBatch), decode(row[1], SignedBatch)) if row else None

    def keep_share(self, task: TaskId, party: Party, sealed: bytes) -> None:
        """Keep a sealed noised share; the first one stays."""
        self._run("INSERT OR IGNORE INTO share (task, party, sealed) VALUES (?, ?, ?)", (task, party.value, sealed))

    def unpassed_share(self, task: TaskId, party: Party) -> bytes | None:
        """This node's sealed share, as long as the other has no copy."""
        query = "SELECT sealed FROM share WHERE task = ? AND party = ? AND passed = 0"
        return self._bytes(query, task, party.value)

    def mark_passed(self, task: TaskId, party: Party) -> None:
        """The other node has a copy of this share."""
        self._run("UPDATE share SET passed = 1 WHERE task = ? AND party = ?", (task, party.value))

    def find_share(self, task: TaskId, party: Party) -> bytes | None:
        """A sealed noised share."""
        return self._bytes("SELECT sealed FROM share WHERE task = ? AND party = ?", task, party.value)

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _run_many(self, query: str, rows: list[tuple[Any, ...]]) -> None:
        with self._lock:
            self._db.executemany(query, rows)

    def _row(self, query: str, *values: Any) -> Any:
        rows = self._run(query, values)
        return rows[0] if rows else None

    def _one(self, query: str, *values: Any) -> Any:
        row = self._row(query, *values)
        return row[0] if row else None

    def _bytes(self, query: str, *values: Any) -> bytes | None:
        found: bytes | None = self._one(query, *values)
        return found

    def _task(self, row: tuple[Any, ...]) -> StoredTask:
        task, party, configuration, _, _, delivered, destroyed, _, problem = row
        return StoredTask(
            task=TaskId(task),
            party=Party(party),
            configuration=decode(configuration, TaskConfiguration),
            delivered=bool(delivered),
            destroyed=bool(destroyed),
            problem=problem,
        )

    def _report(self, row: tuple[Any, ...] | None) -> StoredReport | None:
        if row is None:
            return None
        return StoredReport(leaf=decode(row[0], ReportLeaf), digest=Digest(row[1]), state=ReportState(row[2]))
