"""The entries of a ledger as an engine works with them: read, proved, and changed a block at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from edgehold.crypto.merkle import MerkleMap, Staged
from edgehold.engine.storage import Storage
from edgehold.wire.ids import Digest
from edgehold.wire.proof import MapProof

KEPT_VALUES = 20_000
"""So many small values, of the last keys that were asked for, are kept in memory."""

SMALL_VALUE = 1024
"""Bytes of the largest value that is kept."""


class Entries:
    """The entries that a storage holds, under their Merkle map; opening recomputes the root from the table.

    What they were before each of the last `kept` blocks, since it was opened, is read and proved as well.
    """

    def __init__(self, storage: Storage, kept: int = 0) -> None:
        self._storage = storage
        self._map = MerkleMap(storage, kept)
        self._values: dict[bytes, bytes | None] = {}
        self._past: deque[dict[bytes, bytes | None]] = deque(maxlen=kept)

    @property
    def root(self) -> Digest:
        """What stands for all entries."""
        return self._map.root

    @property
    def kept(self) -> int:
        """How many blocks back can be looked."""
        return len(self._past)

    def read(self, key: bytes, back: int = 0) -> bytes | None:
        """The value under a flat key, as it was so many blocks ago."""
        for place in range(back - 1, -1, -1):
            if key in self._past[place]:
                return self._past[place][key]
        if key in self._values:
            return self._values[key]
        value = self._storage.get(key)
        self._keep({key: value})
        return value

    def prove(self, key: bytes, back: int = 0) -> MapProof:
        """What the map says about a flat key, as it was so many blocks ago."""
        return self._map.prove(key, back)

    def stage(self, writes: Mapping[bytes, bytes | None]) -> Staged:
        """Work out what the writes of a block would change; nothing changes yet."""
        return self._map.stage(writes)

    def apply(self, staged: Staged) -> None:
        """Make writes that were staged on the entries as they are now, inside a transaction of the storage."""
        if self._past.maxlen:
            self._past.appendleft({key: self.read(key) for key in staged.writes})
        self._map.apply(staged)
        self._keep(staged.writes)

    def _keep(self, values: Mapping[bytes, bytes | None]) -> None:
        """Keep what is under these keys in memory, if it is small."""
        if len(self._values) + len(values) > KEPT_VALUES:
            self._values.clear()
        for key, value in values.items():
            if value is None or len(value) <= SMALL_VALUE:
                self._values[key] = value
            else:
                self._values.pop(key, None)
