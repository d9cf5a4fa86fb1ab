"""`edgehold bench newcomer`: how long a node without a state takes until it has one.

From a snapshot: a replica with a million entries writes one, and a replica in a fresh folder takes it piece by piece,
checks the whole against the root and opens it. By its blocks: a fresh replica executes a million transfers among two
thousand organisations and commits each block durably, as a node does that replays what it was sent; what it holds then,
a million answers, goes to one more newcomer. The network, CometBFT's own part and the headers that a light client checks
are not in these figures.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import apsw

from edgehold.bench.ledger import GENESIS as GENESIS_OF_ENTRIES
from edgehold.bench.ledger import MEGABYTE, in_child
from edgehold.bench.map import make_replica
from edgehold.bench.measure import Row, Work, make_row
from edgehold.bench.traffic import GENESIS, TRANSFER, Traffic
from edgehold.crypto.cose import open1, signed_bytes
from edgehold.crypto.names import network_id
from edgehold.crypto.signatures import verify_many
from edgehold.engine.replicated import FILE, SNAPSHOTS, Block, Replica
from edgehold.system import SystemRandomness
from edgehold.verify.header import SECOND
from edgehold.wire.codec import decode
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import Digest
from edgehold.wire.snapshot import Manifest

BLOCK = 2000
"""Transfers of a block."""

SYSTEM = SystemRandomness()


def measure(work: Work) -> list[Row]:
    """Every figure of a newcomer."""
    entries, transfers = (20_000, 4000) if work.quick else (1_000_000, 1_000_000)
    return [*measure_snapshot(work, entries), *measure_replay(work, transfers)]


# ── from a snapshot ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Joined:
    """How long it took, in seconds, and what is on the disk, in bytes."""

    written: float
    restored: float
    copied: float
    """Until the database file alone was copied and every row read once."""
    snapshot: int
    file: int


def measure_snapshot(work: Work, count: int) -> list[Row]:
    """A replica with so many entries gives what it holds to a newcomer."""
    work.say(f"a replica of {count:,} entries")
    giver = work.folder / "giver"
    in_child(make_replica, giver, count)
    found = []
    for number in range(work.runs):
        work.say(f"a snapshot of {count:,} entries, round {number + 1}")
        found.append(join(giver, work.folder / "taker", GENESIS_OF_ENTRIES))
    return _rows(f"snapshot of {count:,} entries", found)


def join(giver: Path, taker: Path, genesis: Genesis) -> Joined:
    """Write a snapshot of a replica and restore it in a fresh folder, which is removed again with the snapshot."""
    replica = Replica(giver, genesis, SYSTEM)
    started = time.perf_counter()
    replica.take_snapshot()
    replica.close()
    written = time.perf_counter() - started
    with closing(Replica(giver, genesis, SYSTEM)) as replica:
        (manifest,) = replica.snapshots()
        said = decode(manifest, Manifest)
        started = time.perf_counter()
        with closing(Replica(taker, genesis, SYSTEM)) as fresh:
            fresh.begin_restoring(manifest, replica.root)
            for index in range(len(said.pieces)):
                if not fresh.restore(index, replica.piece(said.height, index) or b""):
                    raise RuntimeError(f"piece {index} is not the one that the manifest names")
            restored = time.perf_counter() - started
            if (fresh.height, fresh.root) != (replica.height, replica.root):
                raise RuntimeError("the newcomer holds something else")
    copied = copy_and_read(giver / FILE, taker / "copy.sqlite")
    pieces = giver / SNAPSHOTS / str(said.height)
    snapshot, file = sum(one.stat().st_size for one in pieces.iterdir()), (giver / FILE).stat().st_size
    for folder in (taker, giver / SNAPSHOTS):
        shutil.rmtree(folder)
    return Joined(written, restored, copied, snapshot, file)


def copy_and_read(source: Path, target: Path) -> float:
    """Seconds until a database is copied durably and every row of the copy was read once."""
    started = time.perf_counter()
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    with closing(apsw.Connection(str(target))) as database:
        for table in ("passed", "answer", "state"):
            for _ in database.execute(f"SELECT * FROM {table}"):  # noqa: S608
                pass
    return time.perf_counter() - started


def _rows(name: str, found: Sequence[Joined]) -> list[Row]:
    limit, copied = "copying the database file and reading each row once", [one.copied for one in found]
    sizes, files = [one.snapshot / MEGABYTE for one in found], [one.file / MEGABYTE for one in found]
    return [
        make_row(f"{name}: written", "s", [one.written for one in found], limit, copied),
        make_row(f"{name}: a fresh node from it", "s", [one.restored for one in found], limit, copied),
        make_row(f"{name}: its size", "MB", sizes, "the database file", files),
    ]


# ── by its blocks ─────────────────────────────────────────────────────────────────────────────────────────────────


def measure_replay(work: Work, count: int) -> list[Row]:
    """A fresh replica executes so many transfers; the one of the last round gives what it holds to a newcomer."""
    work.say(f"signing {count:,} transfers")
    traffic = Traffic(50 if work.quick else 2000)
    founding, transfers = traffic.founding(), traffic.of_size(TRANSFER, count, "replay")
    own, checks, folder = [], [], work.folder / "replayed"
    for number in range(work.runs):
        work.say(f"replay of {count:,} transfers, round {number + 1}")
        shutil.rmtree(folder, ignore_errors=True)
        own.append(replay(folder, founding, transfers))
        checks.append(check_signatures(traffic, transfers))
    work.say("a snapshot of what was replayed")
    joined = [join(folder, work.folder / "taker", GENESIS)]
    return [
        make_row(f"replay of {count:,} transfers", "s", own, "their signature checks alone, on two threads", checks),
        *_rows(f"snapshot after {count:,} transfers", joined),
    ]


def replay(folder: Path, founding: Sequence[Sequence[bytes]], transfers: Sequence[bytes]) -> float:
    """Seconds in which a fresh replica executes and commits the blocks of all transfers."""
    with closing(Replica(folder, GENESIS, SYSTEM)) as replica:
        for stage in founding:
            _add(replica, stage)
        started = time.perf_counter()
        for block in _blocks(transfers):
            _add(replica, block)
        return time.perf_counter() - started


def _add(replica: Replica, transactions: Sequence[bytes]) -> None:
    """The next block, durably; raises `RuntimeError` if a transaction had no effect: that would be no work done."""
    height = replica.height + 1
    header = Digest(sha256(height.to_bytes(8, "big")).digest())
    receipts, _ = replica.finalize(Block(height, header, GENESIS.time + height * SECOND, transactions))
    replica.commit()
    refused = [receipt.number for receipt in receipts if receipt.number]
    if refused:
        raise RuntimeError(f"block {height}: {len(refused)} transactions had no effect, such as EH{refused[0]}")


def check_signatures(traffic: Traffic, transfers: Sequence[bytes]) -> float:
    """Seconds in which the signatures of all transfers are verified, by the block."""
    network, keys, seconds = network_id(GENESIS), cycle(traffic.public_keys), 0.0
    for block in _blocks(transfers):
        opened = [open1(transaction) for transaction in block]
        items = [(key, signed_bytes(one.payload, network), one.signature) for one, key in zip(opened, keys)]  # noqa: B905
        started = time.perf_counter()
        if not all(verify_many(items, SYSTEM.draw(32))):
            raise RuntimeError("a signature does not hold")
        seconds += time.perf_counter() - started
    return seconds


def _blocks(transactions: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (transactions[at : at + BLOCK] for at in range(0, len(transactions), BLOCK))
