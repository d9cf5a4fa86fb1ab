"""`edgehold bench map`: the Merkle map at ten million keys, and a bucket into which keys were ground.

The map lies under a replica, which is opened anew by a fresh process in every round. It is filled by the piece: founded
at once, as the ledger of a million entries in `edgehold bench ledger` is, ten million entries would want some ten
gigabytes of memory. Whoever grinds keys tries names until their digests begin with the same 18 bits; the bench makes
such digests up, since a bucket does not know where they come from.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path

import apsw

from edgehold.bench.ledger import (
    GENESIS,
    MEGABYTE,
    in_child,
    large_key,
    large_value,
    map_rows,
    microseconds,
    resident_bytes,
    use_map,
)
from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.crypto.merkle import MerkleMap, bucket_of, hash_key, hash_value
from edgehold.crypto.names import network_id
from edgehold.engine.entries import Entries
from edgehold.engine.heights import Heights, Passed
from edgehold.engine.machine import LedgerMachine
from edgehold.engine.replicated import FILE, FORMAT, Replica
from edgehold.engine.storage import Storage
from edgehold.system import SystemRandomness
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest
from edgehold.wire.proof import BUCKET_BITS, MapEntry

AT_ONCE = 50_000
"""Entries of one transaction while the map is filled."""

CROWDS = (100, 1000, 10_000, 100_000)
"""Keys that were ground into one bucket."""


def measure(work: Work) -> list[Row]:
    """Every figure of the large map."""
    return [*measure_large(work, 20_000 if work.quick else 10_000_000), *measure_crowds(work)]


# ── many keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_large(work: Work, count: int) -> list[Row]:
    """A replica with so many entries."""
    work.say(f"a replica of {count:,} entries")
    folder = work.folder / "large"
    in_child(make_replica, folder, count)
    for copy in ("map.sqlite", "bare.sqlite"):
        shutil.copyfile(folder / FILE, folder / copy)
    opened, used = [], []
    for number in range(work.runs):
        work.say(f"the map of {count:,} keys, round {number + 1}")
        opened.append(in_child(open_replica, folder))
        used.append(in_child(use_map, folder, count, 1 if work.quick else 5, number + 1, FORMAT))
    return map_rows(count, used, opened)


def make_replica(folder: Path, count: int) -> None:
    """A replica in a folder of which genesis says that it begins with the roots of so many hubs."""
    folder.mkdir()
    storage = Storage(folder / FILE, network_id(GENESIS), FORMAT, locking="NORMAL")
    heights, entries = Heights(storage.database), Entries(storage)
    pairs = dict(LedgerMachine(GENESIS).initial_state())
    value = large_value(0)
    for keys in _batches(count):
        with storage.transaction():
            entries.apply(entries.stage({**pairs, **dict.fromkeys(keys, value)}))
        pairs = {}
    with storage.transaction():
        heights.append(Passed(0, b"", GENESIS.time, entries.root))
    storage.close()


def _batches(count: int) -> Iterator[list[bytes]]:
    """The keys, in the order of the table."""
    numbers = iter(sorted(range(count), key=lambda number: hash_key(large_key(number))))
    while batch := [large_key(number) for number in islice(numbers, AT_ONCE)]:
        yield batch


def open_replica(folder: Path) -> dict[str, float]:
    """Open a replica as a node does that begins: how long it takes, and what memory the process has more."""
    before, started = resident_bytes(), time.perf_counter()
    replica = Replica(folder, GENESIS, SystemRandomness())
    seconds = time.perf_counter() - started
    memory = resident_bytes() - before
    replica.close()
    file = folder / FILE
    with closing(apsw.Connection(str(file))) as database:
        started = time.perf_counter()
        for _ in database.execute("SELECT key_hash, value_hash, key, value FROM state"):
            pass
        scan = time.perf_counter() - started
    return {
        "start": seconds,
        "scan": scan,
        "memory": memory / MEGABYTE,
        "file": file.stat().st_size / MEGABYTE,
    }


# ── one crowded bucket ────────────────────────────────────────────────────────────────────────────────────────────


def measure_crowds(work: Work) -> list[Row]:
    """One key updated and proved in buckets of more and more others."""
    return [row for crowd in (CROWDS[:2] if work.quick else CROWDS) for row in _measure_crowd(work, crowd)]


def _measure_crowd(work: Work, size: int) -> list[Row]:
    work.say(f"a bucket of {size:,} keys")
    times = 5 if work.quick else 20
    many, one = (Crowd(work.folder / f"crowd-{size}-{others}.sqlite", others) for others in (size - 1, 0))
    with closing(many), closing(one):
        updates = interleave(work.runs, {"many": lambda: many.update(times), "one": lambda: one.update(times)})
        proofs = interleave(work.runs, {"many": lambda: many.prove(times), "one": lambda: one.prove(times)})
        sizes = many.proof_bytes(), one.proof_bytes()
    name, rival = f"a bucket of {size:,} ground keys", "the same for a key alone in its bucket"
    return [
        make_row(f"{name}: one updated, durable", "µs", updates["many"], rival, updates["one"]),
        make_row(f"{name}: one proved", "µs", proofs["many"], rival, proofs["one"]),
        make_row(f"{name}: its proof", "B", sizes[:1], rival, sizes[1:]),
    ]


class Crowd:
    """A map on disk with one key, and so many others in its bucket."""

    def __init__(self, file: Path, others: int) -> None:
        self._key = large_key(0)
        self._storage = _OneBucket(file, bucket_of(hash_key(self._key)))
        value = large_value(0)
        with self._storage.transaction():
            self._storage.fill(others, value)
        self._map = MerkleMap(self._storage)
        self._version = 0

    def update(self, times: int) -> float:
        """Microseconds until a new value of the key is durable."""

        def write(version: int) -> None:
            with self._storage.transaction():
                self._map.update({self._key: large_value(version)})

        first = self._version + 1
        self._version += times
        return microseconds(times, write, range(first, first + times))

    def prove(self, times: int) -> float:
        """Microseconds for a proof of the key."""
        return microseconds(times, self._map.prove, [self._key] * times)

    def proof_bytes(self) -> int:
        """What a proof of the key has."""
        return len(encode(self._map.prove(self._key)))

    def close(self) -> None:
        """Leave it."""
        self._storage.close()


class _OneBucket(Storage):
    """A storage of digests that are in one bucket and of nothing else; a map that opens takes them as they are."""

    def __init__(self, file: Path, number: int) -> None:
        super().__init__(file, network_id(GENESIS))
        self._number = number

    def fill(self, count: int, value: bytes) -> None:
        """Put digests that nobody had to find."""
        self.put((_ground(self._number, place), hash_value(value), b"", value) for place in range(count))

    def all_lines(self) -> Iterator[MapEntry]:
        """The lines of the bucket, not recomputed: no key has these digests."""
        return self.lines([self._number])


def _ground(bucket: int, place: int) -> Digest:
    """A digest that falls into a bucket, as if it had been found."""
    rest = int.from_bytes(sha256(place.to_bytes(8, "big")).digest(), "big") % (1 << (256 - BUCKET_BITS))
    return Digest((bucket << (256 - BUCKET_BITS) | rest).to_bytes(32, "big"))
