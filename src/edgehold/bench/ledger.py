"""`edgehold bench ledger`: what the embedded ledger does in a second, how long an answer takes, what its map costs.

Two thousand hubs post their roots, each under its own key and with all rules, into a ledger on disk. Beside it, in the
same rounds: the signature checks alone, and bare SQLite that inserts the same bytes with as many durable commits.
"""

from __future__ import annotations

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import apsw

from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.crypto.cose import open1, signed_bytes
from edgehold.crypto.merkle import MerkleMap, hash_key, hash_value
from edgehold.crypto.names import account_id, network_id, possession_message
from edgehold.crypto.signatures import SigningKey, verify, verify_many
from edgehold.crypto.transactions import sign_transaction
from edgehold.engine.embedded import FILE, EmbeddedLedger
from edgehold.engine.keeper import Keeper
from edgehold.engine.machine import LedgerMachine
from edgehold.engine.storage import FORMAT, Storage
from edgehold.system import SystemClock, SystemRandomness
from edgehold.verify.header import order_validators, verify_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.account import Attest, Claim, OpenAccount, Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import AccountId, Digest, NetworkId, PublicKey, Signature
from edgehold.wire.proof import MapProof
from edgehold.wire.root import CommitRoot, HubRoot
from edgehold.wire.tx import Body

BLOCKS = (1, 100, 1000)
"""Transactions of a block."""

RATE = 1000
"""Transactions a second that are offered where the latency is measured."""

Item = tuple[PublicKey, bytes, Signature]
"""Key, message and signature."""


def measure(work: Work) -> list[Row]:
    """Every figure of the embedded ledger."""
    work.say("a ledger with its hubs")
    with Bed(work.folder / "ledger", hubs=1000 if work.quick else 2000).running() as bed:
        return [
            *measure_blocks(work, bed),
            *measure_latency(work, bed),
            *measure_checks(work, bed),
            *measure_map(work),
        ]


# ── the ledger and those who write to it ──────────────────────────────────────────────────────────────────────────


ACCREDITOR, ISSUER, VALIDATOR = (SigningKey(bytes([place]) * 32) for place in (1, 2, 3))

GENESIS = Genesis(
    chain="bench",
    time=0,
    founders=tuple(
        Founder(name, key.public, Role.ORGANISATION, 10**6)
        for name, key in (("accreditor", ACCREDITOR), ("issuer", ISSUER))
    ),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(VALIDATOR.public, 1),),
    operators=(0,),
    parameters=Parameters(
        period=2**40,
        root_interval=1,  # so that a hub may post its root in every block
        block_interval_ms=1000,
        least_panel=1,
        most_panel=2000,
        least_batch=1,
        hub_quota=2**30,
        expiry=1000,
        abort_fee=0,
        helper_share=500,
        acceptance_cap=500_000,
        suspension=10,
    ),
)
"""Keys that everybody knows: nothing here is worth anything."""


class Bed:
    """A ledger on disk on which an issuer has opened the accounts of many hubs."""

    def __init__(self, folder: Path, hubs: int) -> None:
        self.network: NetworkId = network_id(GENESIS)
        self.ledger = EmbeddedLedger(folder, GENESIS, VALIDATOR, SystemClock(), SystemRandomness())
        self.hubs = [SigningKey(b"hub" + number.to_bytes(29, "big")) for number in range(hubs)]
        self._accounts = [account_id(Role.HUB, key.public) for key in self.hubs]
        self._posted = 0
        sponsor = account_id(Role.ORGANISATION, ISSUER.public)
        office = account_id(Role.ORGANISATION, ACCREDITOR.public)
        self._do([self._sign(ACCREDITOR, office, Attest(sponsor, Claim.ISSUER, 2**40, Digest(bytes(32))))])
        self._do([self._sign(ISSUER, sponsor, self._opening(sponsor, key)) for key in self.hubs])

    @contextmanager
    def running(self) -> Iterator[Bed]:
        """This bed, which is closed at the end."""
        try:
            yield self
        finally:
            self.ledger.close()

    def roots(self, count: int) -> list[bytes]:
        """The next so many hubs post a new root each, in turn."""
        numbers = range(self._posted, self._posted + count)
        self._posted += count
        return [self._root(number % len(self.hubs), number) for number in numbers]

    def root_key(self, number: int) -> bytes:
        """The flat key under which a hub's root lies."""
        return entry_key(Collection.ROOT, self._accounts[number])

    def write(self, transactions: Sequence[bytes]) -> None:
        """Have these transactions verified, executed and durable, in one block."""
        self.ledger.submit_many(transactions)
        self.ledger.advance()

    def items(self, transactions: Sequence[bytes], first: int) -> list[Item]:
        """What is verified of roots that were posted from number `first` on."""
        items = []
        for number, transaction in enumerate(transactions, start=first):
            key, opened = self.hubs[number % len(self.hubs)].public, open1(transaction)
            items.append((key, signed_bytes(opened.payload, self.network), opened.signature))
        return items

    @property
    def posted(self) -> int:
        """How many roots were made so far."""
        return self._posted

    def _root(self, hub: int, number: int) -> bytes:
        return self._sign(self.hubs[hub], self._accounts[hub], CommitRoot(Digest(number.to_bytes(32, "big"))))

    def _opening(self, sponsor: AccountId, key: SigningKey) -> OpenAccount:
        owner = SigningKey(bytes([4]) * 32).public
        possession = key.sign(possession_message(self.network, sponsor, key.public))
        return OpenAccount(Role.HUB, key.public, owner, possession)

    def _sign(self, key: SigningKey, sender: AccountId, body: Body) -> bytes:
        return sign_transaction(key, self.network, sender, self.ledger.height() + 1000, body)

    def _do(self, transactions: Sequence[bytes]) -> None:
        envelopes = self.ledger.submit_many(transactions)
        while self.ledger.receipt(envelopes[-1]) is None:
            self.ledger.advance()
        require_done(self.ledger, envelopes)


def require_done(ledger: EmbeddedLedger, envelopes: Sequence[Digest]) -> None:
    """Raises `RuntimeError` unless every transaction took effect: a refusal would be no work done."""
    for envelope in envelopes:
        receipt = ledger.receipt(envelope)
        if receipt is None or receipt.number:
            raise RuntimeError(f"transaction {envelope.hex()} did not take effect: {receipt}")


# ── transactions a second ─────────────────────────────────────────────────────────────────────────────────────────


def measure_blocks(work: Work, bed: Bed) -> list[Row]:
    """Durable verified transactions a second, by the size of a block."""
    rows = []
    for size in BLOCKS:
        work.say(f"blocks of {size:,}")
        count = {1: 20, 100: 500, 1000: 1000}[size] if work.quick else {1: 400, 100: 5000, 1000: 10_000}[size]
        rounds = Rounds(bed, work.folder / f"bare-{size}.sqlite", count, size)
        found = interleave(work.runs, {"ours": rounds.ours, "checks": rounds.checks, "rows": rounds.inserts})
        both = [1 / (1 / checks + 1 / rows) for checks, rows in zip(found["checks"], found["rows"], strict=True)]
        name = f"transactions in blocks of {size:,}"
        rows += [
            make_row(name, "/s", found["ours"], "signature checks, then bare SQLite inserts of the same bytes", both),
            make_row(f"{name}: the checks", "/s", found["ours"], "the same signature checks alone", found["checks"]),
            make_row(f"{name}: the disk", "/s", found["ours"], "bare SQLite inserts of the same bytes", found["rows"]),
        ]
    return rows


class Rounds:
    """One round: the same transactions through the ledger, as signature checks, as rows of a bare database."""

    def __init__(self, bed: Bed, bare: Path, count: int, block: int) -> None:
        self._bed = bed
        self._bare = bare
        self._count = count
        self._block = block
        self._items: list[Item] = []
        self._blocks: list[list[bytes]] = []

    def ours(self) -> float:
        """Transactions a second, each verified, executed, durable, answered; they are new in every round."""
        first, block = self._bed.posted, self._block
        transactions = self._bed.roots(self._count)
        self._items = self._bed.items(transactions, first)
        self._blocks = [transactions[at : at + block] for at in range(0, self._count, block)]
        ledger, envelopes = self._bed.ledger, []
        started = time.perf_counter()
        for each in self._blocks:
            envelopes += ledger.submit_many(each)
            ledger.advance()
        seconds = time.perf_counter() - started
        require_done(ledger, envelopes)
        return self._count / seconds

    def checks(self) -> float:
        """Signatures of the same transactions a second, in the same batches; a single one as a single one."""
        started = time.perf_counter()
        for at in range(0, self._count, self._block):
            if self._block == 1:
                verify(*self._items[at])
            elif not all(verify_many(self._items[at : at + self._block], bytes(32))):
                raise RuntimeError("a signature does not hold")
        return self._count / (time.perf_counter() - started)

    def inserts(self) -> float:
        """Rows of the same bytes a second, with as many durable commits."""
        with bare_database(self._bare) as database:
            started = time.perf_counter()
            for block in self._blocks:
                with database:
                    database.executemany("INSERT INTO tx (bytes) VALUES (?)", [(one,) for one in block])
            return self._count / (time.perf_counter() - started)


@contextmanager
def bare_database(path: Path) -> Iterator[apsw.Connection]:
    """A database with one plain table and the durability of the ledger's."""
    database = apsw.Connection(str(path))
    for name, value in (("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")):
        database.pragma(name, value)
    database.execute("CREATE TABLE IF NOT EXISTS tx (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT")
    try:
        yield database
    finally:
        database.close()


# ── latency ───────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_latency(work: Work, bed: Bed) -> list[Row]:
    """Open loop: from the moment a transaction is due until its receipt is durable, whatever the ones before it do."""
    work.say(f"latency at {RATE:,} transactions a second")
    count = RATE // 5 if work.quick else 3 * RATE
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "rows": []}
    for _ in range(work.runs):
        transactions = bed.roots(count)
        found["ours"].append(middle_and_tail(answer_times(bed.ledger, transactions)))
        found["rows"].append(middle_and_tail(insert_times(work.folder / "bare-latency.sqlite", transactions)))
    rival = "bare SQLite that commits whatever is due, again and again"
    return [
        make_row(
            f"latency at {RATE:,}/s, {name}",
            "ms",
            [1000 * times[part] for times in found["ours"]],
            rival,
            [1000 * times[part] for times in found["rows"]],
        )
        for part, name in enumerate(("median", "95 of 100"))
    ]


def answer_times(ledger: EmbeddedLedger, transactions: Sequence[bytes]) -> list[float]:
    """Seconds from due to durable of each transaction; each is submitted by itself, a keeper makes the blocks."""
    envelopes: list[Digest] = []
    done: list[float] = []
    keeper = Keeper(ledger, interval=1.0)
    start = time.perf_counter() + 0.01

    def observe() -> None:
        for place in range(len(transactions)):
            while len(envelopes) <= place or ledger.wait(envelopes[place], 1.0) is None:
                time.sleep(0.001)
            done.append(time.perf_counter())

    observer = threading.Thread(target=observe, name="observer")
    observer.start()
    for place, transaction in enumerate(transactions):
        sleep_until(start + place / RATE)
        envelopes.append(ledger.submit(transaction))
    observer.join()
    keeper.stop()
    require_done(ledger, envelopes)
    return [at - (start + place / RATE) for place, at in enumerate(done)]


def insert_times(path: Path, rows: Sequence[bytes]) -> list[float]:
    """Seconds from due to durable of rows in a bare database; all that are due share a commit."""
    done: list[float] = []
    with bare_database(path) as database:
        start = time.perf_counter() + 0.01
        while len(done) < len(rows):
            sleep_until(start + len(done) / RATE)
            due = min(len(rows), int((time.perf_counter() - start) * RATE) + 1)
            with database:
                database.executemany("INSERT INTO tx (bytes) VALUES (?)", [(row,) for row in rows[len(done) : due]])
            done += [time.perf_counter()] * (due - len(done))
    return [at - (start + place / RATE) for place, at in enumerate(done)]


def sleep_until(moment: float) -> None:
    """Return at a moment of `perf_counter`, at once if it is past."""
    if (rest := moment - time.perf_counter()) > 0:
        time.sleep(rest)


def middle_and_tail(seconds: Sequence[float]) -> tuple[float, float]:
    """Median and the value below which 95 of 100 lie."""
    ordered = sorted(seconds)
    return median(ordered), ordered[len(ordered) * 95 // 100]


# ── checks offline ────────────────────────────────────────────────────────────────────────────────────────────────


def measure_checks(work: Work, bed: Bed) -> list[Row]:
    """What a reader without the ledger pays to believe one entry: header and proof, from their bytes."""
    work.say("a header and a proof, offline")
    count = 20 if work.quick else 500
    validators = order_validators(GENESIS.validators)
    key = bed.root_key(0)
    signed, value, proof = bed.ledger.prove(key)
    answer = encode(signed), encode(proof)
    ((public, message, signature),) = bed.items(bed.roots(1), bed.posted - 1)

    def believe() -> None:
        header = decode(answer[0], SignedHeader)
        verify_header(header, GENESIS.chain, validators)
        verify_answer(header, key, value, decode(answer[1], MapProof))

    subjects = {
        "ours": lambda: milliseconds(count, believe),
        "one": lambda: milliseconds(count, lambda: verify(public, message, signature)),
    }
    found = interleave(work.runs, subjects)
    name = "a header and a state proof checked, from their bytes"
    return [make_row(name, "ms", found["ours"], "one signature check", found["one"])]


def milliseconds(count: int, action: Callable[[], None]) -> float:
    """How long one of `count` repetitions takes."""
    started = time.perf_counter()
    for _ in range(count):
        action()
    return 1000 * (time.perf_counter() - started) / count


# ── the map at a million keys ─────────────────────────────────────────────────────────────────────────────────────

BATCH = 1000
"""Keys that one durable write changes."""

WARM = 3
"""Batches before the first that is measured: until then SQLite's log grows on disk."""

MEGABYTE = 1e6


def measure_map(work: Work) -> list[Row]:
    """A ledger with many entries, opened anew by a fresh process in every round."""
    count = 20_000 if work.quick else 1_000_000
    work.say(f"a ledger of {count:,} entries")
    folder = work.folder / "large"
    in_child(make_large, folder, count)
    opened, used = [], []
    for number in range(work.runs):
        work.say(f"the map, round {number + 1}")
        opened.append(in_child(open_large, folder, count))
        used.append(in_child(use_map, folder, count, 1 if work.quick else 5, number + 1))
    return map_rows(count, used, opened)


def map_rows(count: int, used: Sequence[dict[str, float]], opened: Sequence[dict[str, float]]) -> list[Row]:
    """What rounds of `use_map` and of opening found, of a map with so many keys."""
    siblings = f"the {balanced_depth(count)} siblings of a balanced tree"

    def row(name: str, unit: str, found: Sequence[dict[str, float]], ours: str, rival: str, theirs: str) -> Row:
        values = [one[ours] for one in found]
        return make_row(f"map of {count:,} keys: {name}", unit, values, rival, [one[theirs] for one in found])

    return [
        row(
            "a key updated, durable",
            "µs",
            used,
            "update",
            "bare SQLite that replaces the same rows, in their order",
            "replace",
        ),
        row("a key proved", "µs", used, "prove", "bare SQLite that reads the same rows", "read"),
        row("a proof, mean", "B", used, "proof", siblings, "siblings"),
        row("a proof, largest", "B", used, "largest", siblings, "siblings"),
        row("memory of the open ledger", "MB", opened, "memory", "the database file", "file"),
        row("start", "s", opened, "start", "reading every row of the table once", "scan"),
    ]


def balanced_depth(count: int) -> int:
    """How many siblings a path has in a balanced tree of so many leaves."""
    return (count - 1).bit_length()


class LargeMachine(LedgerMachine):
    """The rules, on a network that begins with the roots of many hubs."""

    def __init__(self, genesis: Genesis, count: int) -> None:
        super().__init__(genesis)
        self._count = count

    def initial_state(self) -> Mapping[bytes, bytes]:
        """What genesis says and the roots, in the order of the table."""
        keys = sorted((large_key(number) for number in range(self._count)), key=hash_key)
        return {**super().initial_state(), **dict.fromkeys(keys, large_value(0))}


def large_key(number: int) -> bytes:
    """The flat key of one of the roots."""
    return entry_key(Collection.ROOT, sha256(number.to_bytes(8, "big")).digest())


def large_value(version: int) -> bytes:
    """The entry of a hub that posted so many roots after its first."""
    return encode(HubRoot(root=Digest(sha256(version.to_bytes(8, "big")).digest()), at=1, posted=version + 1))


def open_ledger(folder: Path, count: int) -> EmbeddedLedger:
    """The ledger with many entries; founds it if there is none."""
    machine = LargeMachine(GENESIS, count)
    return EmbeddedLedger(folder, GENESIS, VALIDATOR, SystemClock(), SystemRandomness(), machine)


def make_large(folder: Path, count: int) -> None:
    """Found the ledger, and put two copies of its table beside it: for the map above it, and for bare SQLite."""
    open_ledger(folder, count).close()
    for copy in ("map.sqlite", "bare.sqlite"):
        shutil.copyfile(folder / FILE, folder / copy)


def open_large(folder: Path, count: int) -> dict[str, float]:
    """Open the ledger as a process does that begins: how long it takes, and what memory the process has more."""
    before = resident_bytes()
    started = time.perf_counter()
    ledger = open_ledger(folder, count)
    seconds = time.perf_counter() - started
    memory = resident_bytes() - before
    ledger.close()
    database = apsw.Connection(str(folder / FILE))
    started = time.perf_counter()
    for _ in database.execute("SELECT key_hash, value_hash, key, value FROM state"):
        pass
    scan = time.perf_counter() - started
    database.close()
    file = (folder / FILE).stat().st_size
    return {"start": seconds, "scan": scan, "memory": memory / MEGABYTE, "file": file / MEGABYTE}


def use_map(folder: Path, count: int, batches: int, version: int, form: bytes = FORMAT) -> dict[str, float]:
    """Update and prove keys of the whole range, in the ledger's table (of this form) and beside it in the bare copy."""
    step = count // ((WARM + batches) * BATCH)
    numbers = range(version % step, count, step)[: (WARM + batches) * BATCH]
    keys = [large_key(number) for number in numbers]
    value = large_value(version)
    writes = [dict.fromkeys(keys[at : at + BATCH], value) for at in range(0, len(keys), BATCH)]
    storage = Storage(folder / "map.sqlite", network_id(GENESIS), form)
    tree = MerkleMap(storage)

    def update(batch: Mapping[bytes, bytes]) -> None:
        with storage.transaction():
            tree.update(batch)

    for batch in writes[:WARM]:
        update(batch)
    updated = microseconds(batches * BATCH, update, writes[WARM:])
    proved = microseconds(len(keys), tree.prove, keys)
    sizes = [len(encode(tree.prove(key))) for key in keys]
    storage.close()
    with bare_database(folder / "bare.sqlite") as database:

        def replace(batch: Mapping[bytes, bytes]) -> None:
            rows = sorted((hash_key(key), hash_value(value), key, value) for key, value in batch.items())
            with database:
                database.executemany("REPLACE INTO state VALUES (?, ?, ?, ?)", rows)

        def read(key: bytes) -> None:
            database.execute("SELECT value FROM state WHERE key_hash = ?", (hash_key(key),)).fetchall()

        for batch in writes[:WARM]:
            replace(batch)
        replaced = microseconds(batches * BATCH, replace, writes[WARM:])
        found = microseconds(len(keys), read, keys)
    return {
        "update": updated,
        "replace": replaced,
        "prove": proved,
        "read": found,
        "proof": sum(sizes) / len(sizes),
        "largest": max(sizes),
        "siblings": balanced_depth(count) * 32,
    }


def microseconds(count: int, action: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    """How long one of the `count` things takes that an action does, called for one argument after the other."""
    started = time.perf_counter()
    for argument in arguments:
        action(argument)
    return 1e6 * (time.perf_counter() - started) / count


def resident_bytes() -> int:
    """Memory of this process that is in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def in_child(subject: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a fresh process, whose memory nobody else has used."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(subject, *arguments).result()
