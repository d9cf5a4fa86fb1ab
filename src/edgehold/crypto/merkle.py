"""Merkle trees: ordered lists (batches, panels, blocks) and the map under which the ledger keeps its state.

A **list** has the shape of RFC 9162, section 2.1 (RFC 6962, CometBFT): a leaf is SHA-256(0x00 ‖ leaf), an inner node
SHA-256(0x01 ‖ left ‖ right); a node without a sibling moves up as it is; the root of nothing is SHA-256 of nothing.

The **map** is a binary tree of fixed depth over 2¹⁸ buckets. A bucket holds the entries H(key) ‖ H(value) whose key
hashes share their first 18 bits, in ascending order. A bucket of up to 12 entries is SHA-256(0x00 ‖ entries); a larger
one is SHA-256(0x02 ‖ number of entries as 8 bytes ‖ root of the list of entries). A bucket and its 18 siblings show
what a key holds, or that nothing is there. The entries themselves are kept in a `Table`, ordered by H(key).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, groupby, pairwise
from typing import Protocol

from edgehold import _native
from edgehold.crypto.hash import tagged_hash, tagged_hashes
from edgehold.errors import BadProof
from edgehold.wire.ids import Digest
from edgehold.wire.proof import (
    BUCKET_BITS,
    SMALL_BUCKET,
    Bucket,
    LargeBucket,
    MapEntry,
    MapProof,
    Path,
    PlacedEntry,
    SmallBucket,
)

BUCKETS = 1 << BUCKET_BITS


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def tree_root(leaves: Sequence[bytes]) -> Digest:
    """The root of an ordered list of byte strings."""
    return Digest(_native.list_root(leaves))


def tree_path(leaves: Sequence[bytes], index: int) -> list[Digest]:
    """The siblings of one leaf, from the bottom up. Raises `IndexError` if there is no such leaf."""
    return tree_paths(leaves, [index])[0]


def tree_paths(leaves: Sequence[bytes], indices: Iterable[int]) -> list[list[Digest]]:
    """The paths of several leaves for the price of one tree. Raises `IndexError` if there is no such leaf."""
    levels = _levels(leaves) if leaves else []
    paths = []
    for index in indices:
        if not 0 <= index < len(leaves):
            raise IndexError(f"leaf {index} of a list of {len(leaves)}")
        places = ((level, index >> depth ^ 1) for depth, level in enumerate(levels))
        paths.append([level[sibling] for level, sibling in places if sibling < len(level)])
    return paths


def check_path(root: Digest, leaf: bytes, index: int, size: int, path: Sequence[Digest]) -> None:
    """Check that the list of `size` leaves under `root` has this leaf at `index`; raises `BadProof`."""
    reached = follow_path(leaf, index, size, path)
    if reached != root:
        raise BadProof(f"the path of leaf {index} of {size} leads to {reached.hex()}, not to {root.hex()}")


def follow_path(leaf: bytes, index: int, size: int, path: Sequence[Digest]) -> Digest:
    """The root that a leaf and its path lead to; raises `BadProof` if no list of `size` leaves has such a path."""
    if not 0 <= index < size:
        raise BadProof(f"no leaf {index} in a list of {size}")
    node, place, last = sha256(b"\x00" + leaf).digest(), index, size - 1
    siblings = iter(path)
    while last:
        if place & 1 or place < last:
            sibling = next(siblings, None)
            if sibling is None:
                raise BadProof(f"{len(path)} siblings are too few for leaf {index} of {size}")
            node = sha256(b"\x01" + sibling + node if place & 1 else b"\x01" + node + sibling).digest()
        place >>= 1
        last >>= 1
    if next(siblings, None) is not None:
        raise BadProof(f"{len(path)} siblings are too many for leaf {index} of {size}")
    return Digest(node)


def _levels(leaves: Sequence[bytes]) -> list[list[Digest]]:
    level = [Digest(sha256(b"\x00" + leaf).digest()) for leaf in leaves]
    levels = [level]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [Digest(sha256(b"\x01" + left + right).digest()) for left, right in pairs]
        if len(level) & 1:
            above.append(level[-1])
        levels.append(above)
        level = above
    return levels


# ── the map ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Table(Protocol):
    """Where the map's entries are kept: one ordered table by the digest of the key."""

    def put(self, entries: Iterable[TableEntry]) -> None:
        """Store entries, each in place of an earlier one of the same key."""
        ...

    def delete(self, key_hashes: Iterable[Digest]) -> None:
        """Remove the entries that are there."""
        ...

    def lines(self, numbers: Iterable[int]) -> Iterator[MapEntry]:
        """The lines of buckets, in the order in which these are asked for, ascending within each."""
        ...

    def all_lines(self) -> Iterator[MapEntry]:
        """All lines, ascending."""
        ...


TableEntry = tuple[Digest, Digest, bytes, bytes]
"""Digest of the key, digest of the value, key, value."""


class MemoryTable:
    """A table that lives as long as the process."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Digest, tuple[Digest, bytes]]] = {}

    def put(self, entries: Iterable[TableEntry]) -> None:
        """Store entries, each in place of an earlier one of the same key."""
        for key_hash, value_hash, _, value in entries:
            self._buckets.setdefault(bucket_of(key_hash), {})[key_hash] = (value_hash, value)

    def delete(self, key_hashes: Iterable[Digest]) -> None:
        """Remove the entries that are there."""
        for key_hash in key_hashes:
            number = bucket_of(key_hash)
            bucket = self._buckets.get(number, {})
            bucket.pop(key_hash, None)
            if not bucket:
                self._buckets.pop(number, None)

    def lines(self, numbers: Iterable[int]) -> Iterator[MapEntry]:
        """The lines of buckets, in the order in which these are asked for, ascending within each."""
        for number in numbers:
            for key_hash, (value_hash, _) in sorted(self._buckets.get(number, {}).items()):
                yield MapEntry(key_hash + value_hash)

    def all_lines(self) -> Iterator[MapEntry]:
        """All lines, ascending."""
        return self.lines(sorted(self._buckets))

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, if there is one."""
        key_hash = hash_key(key)
        entry = self._buckets.get(bucket_of(key_hash), {}).get(key_hash)
        return entry[1] if entry else None


def hash_key(key: bytes) -> Digest:
    """The name under which the map keeps a key."""
    return tagged_hash("state-key", key)


def hash_keys(keys: Sequence[bytes]) -> list[Digest]:
    """The names of many."""
    return tagged_hashes("state-key", keys)


def hash_value(value: bytes) -> Digest:
    """What the map keeps of a value."""
    return tagged_hash("state-value", value)


def table_entries(entries: Sequence[tuple[bytes, bytes]]) -> list[TableEntry]:
    """Keys and their values as the table keeps them, in the same order."""
    keys, values = [key for key, _ in entries], [value for _, value in entries]
    return list(zip(hash_keys(keys), tagged_hashes("state-value", values), keys, values, strict=True))


def bucket_of(key_hash: bytes) -> int:
    """The bucket that a key hash falls into."""
    return int.from_bytes(key_hash[:4], "big") >> (32 - BUCKET_BITS)


@dataclass(frozen=True)
class Staged:
    """Writes that were worked out and not yet made: in the order of the table, and the tree's nodes as they will be."""

    writes: Mapping[bytes, bytes | None]
    entries: list[TableEntry]
    removed: list[Digest]
    nodes: _native.StagedNodes
    touched: frozenset[int]
    """The buckets that the writes are in."""
    before: list[MapEntry]
    """The lines of those as they are, ascending."""

    @property
    def root(self) -> Digest:
        """What would stand for the whole content."""
        return Digest(self.nodes.root)


AT_ONCE = 4096
"""Buckets that are hashed together when a map is opened."""


class MerkleMap:
    """The tree above a table of entries; whoever holds it changes the table through it only, from one thread at a time.

    The nodes are kept and hashed by the native module. Memory is taken only where it is written (at most 16 MiB), so
    that an empty map costs nothing. The map can prove what it held up to `kept` updates ago, since it was opened.
    """

    def __init__(self, table: Table, kept: int = 0) -> None:
        self._table = table
        self._tree = _native.MerkleTree(BUCKET_BITS, SMALL_BUCKET)
        for _, lines in groupby(table.all_lines(), key=lambda line: bucket_of(line) // AT_ONCE):
            self._tree.apply(self._tree.stage(list(lines), [], []))
        self._tree.keep(kept)
        self._past: deque[tuple[frozenset[int], list[MapEntry]]] = deque(maxlen=kept)

    @property
    def root(self) -> Digest:
        """What stands for the whole content."""
        return Digest(self._tree.root)

    def update(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Write values (`None` removes) to the table, and follow in the tree."""
        self.apply(self.stage(writes))

    def stage(self, writes: Mapping[bytes, bytes | None]) -> Staged:
        """Work out what writes (`None` removes) would change; nothing changes yet."""
        entries = sorted(table_entries([(key, value) for key, value in writes.items() if value is not None]))
        removed = sorted(hash_keys([key for key, value in writes.items() if value is None]))
        touched = frozenset(map(bucket_of, chain(removed, (name for name, _, _, _ in entries))))
        before = list(self._table.lines(sorted(touched)))
        nodes = self._tree.stage([name + value_hash for name, value_hash, _, _ in entries], removed, before)
        return Staged(writes, entries, removed, nodes, touched, before)

    def apply(self, staged: Staged) -> None:
        """Make writes that were staged against the map as it is now; raises `ValueError` if it changed since."""
        self._table.put(staged.entries)
        self._table.delete(staged.removed)
        self._tree.apply(staged.nodes)
        self._past.appendleft((staged.touched, staged.before))

    def prove(self, key: bytes, back: int = 0) -> MapProof:
        """Show what the map holds for a key, or that it holds nothing; or what it held `back` updates ago."""
        key_hash = hash_key(key)
        number = bucket_of(key_hash)
        siblings = tuple(Digest(sibling) for sibling in self._tree.siblings(number, back))
        return MapProof(bucket=_show(self._bucket(number, back), key_hash), siblings=siblings)

    def _bucket(self, number: int, back: int) -> list[MapEntry]:
        """A bucket as it was so many updates ago: of the updates since then the earliest that touched it knows."""
        for place in range(back - 1, -1, -1):
            touched, before = self._past[place]
            if number in touched:
                return [line for line in before if bucket_of(line) == number]
        return list(self._table.lines([number]))


def verify_presence(root: Digest, key: bytes, value: bytes, proof: MapProof) -> None:
    """Check that the map under `root` holds this value for this key; raises `BadProof`.

    1. The bucket and its siblings lead to the root, at the place that the key's hash names.
    2. Every entry that is shown belongs into that bucket and they ascend.
    3. The key's own entry is among them, alone if the bucket is large, with the value's hash.
    """
    key_hash = hash_key(key)
    entries = _check_bucket(root, key_hash, proof)
    wanted = MapEntry(key_hash + hash_value(value))
    if wanted not in entries or (isinstance(proof.bucket, LargeBucket) and len(entries) != 1):
        raise BadProof(f"the bucket of key {key_hash.hex()} does not show this value for it")


def verify_absence(root: Digest, key: bytes, proof: MapProof) -> None:
    """Check that the map under `root` holds nothing for this key; raises `BadProof`.

    1. The bucket and its siblings lead to the root, at the place that the key's hash names.
    2. Every entry that is shown belongs into that bucket and they ascend.
    3. None is the key's own; of a large bucket the neighbours are shown between which it would lie: two that
       follow each other, or the first, or the last.
    """
    key_hash = hash_key(key)
    entries = _check_bucket(root, key_hash, proof)
    place = bisect_left(entries, key_hash)
    if place < len(entries) and entries[place].startswith(key_hash):
        raise BadProof(f"the map holds a value for key {key_hash.hex()}")
    if isinstance(proof.bucket, LargeBucket):
        shown = [placed.index for placed in proof.bucket.entries]
        gap = shown[0] + place
        if shown != [index for index in (gap - 1, gap) if 0 <= index < proof.bucket.size]:
            raise BadProof(f"entries {shown} of {proof.bucket.size} are not the neighbours of key {key_hash.hex()}")


def hash_bucket(entries: Sequence[MapEntry]) -> Digest:
    """The node that stands for a bucket with these entries."""
    if len(entries) > SMALL_BUCKET:
        return _hash_large(len(entries), tree_root(entries))
    return Digest(sha256(b"\x00" + b"".join(entries)).digest())


def _hash_large(size: int, root: Digest) -> Digest:
    return Digest(sha256(b"\x02" + size.to_bytes(8, "big") + root).digest())


def _show(entries: list[MapEntry], key_hash: Digest) -> Bucket:
    if len(entries) <= SMALL_BUCKET:
        return SmallBucket(entries=tuple(entries))
    gap = bisect_left(entries, key_hash)
    if gap < len(entries) and entries[gap].startswith(key_hash):
        shown = [gap]
    else:
        shown = [index for index in (gap - 1, gap) if 0 <= index < len(entries)]
    paths = tree_paths(entries, shown)
    placed = (PlacedEntry(index, entries[index], Path(tuple(path))) for index, path in zip(shown, paths, strict=True))
    return LargeBucket(size=len(entries), entries=tuple(placed))


def _check_bucket(root: Digest, key_hash: Digest, proof: MapProof) -> list[MapEntry]:
    number = bucket_of(key_hash)
    bucket = proof.bucket
    if isinstance(bucket, SmallBucket):
        shown = list(bucket.entries)
        node = hash_bucket(shown)
    else:
        shown = [placed.entry for placed in bucket.entries]
        first, *others = bucket.entries
        inner = follow_path(first.entry, first.index, bucket.size, first.path)
        for other in others:
            check_path(inner, other.entry, other.index, bucket.size, other.path)
        node = _hash_large(bucket.size, inner)
    if any(bucket_of(entry) != number for entry in shown):
        raise BadProof(f"an entry shown for bucket {number} belongs to another")
    if any(lower[:32] >= upper[:32] for lower, upper in pairwise(shown)):
        raise BadProof(f"the entries shown for bucket {number} do not ascend")
    place = BUCKETS + number
    for depth, sibling in enumerate(proof.siblings):
        left_right = sibling + node if place >> depth & 1 else node + sibling
        node = Digest(sha256(b"\x01" + left_right).digest())
    if node != root:
        raise BadProof(f"bucket {number} and its siblings lead to {node.hex()}, not to {root.hex()}")
    return shown
