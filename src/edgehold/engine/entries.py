"""The entries of a ledger as an engine works with them: read, proved, and changed a block at a time."""

from __future__ import annotations

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
    """The entries that a storage holds, under their Merkle map; opening recomputes the root from the table."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._map = MerkleMap(storage)
        self._values: dict[bytes, bytes | None] = {}

    @property
    def root(self) -> Digest:
        """What stands for all entries."""
        return self._map.root

    def read(self, key: bytes) -> bytes | None:
        """The value under a flat key."""
        if key in self._values:
            return self._values[key]
        value = self._storage.get(key)
        self._keep({key: value})
        return value

    def prove(self, key: bytes) -> MapProof:
        """What the map says about a flat key."""
        return self._map.prove(key)

    def stage(self, writes: Mapping[bytes, bytes | None]) -> Staged:
        """Work out what the writes of a block would change; nothing changes yet."""
        return self._map.stage(writes)

    def root_with(self, staged: Staged) -> Digest:
        """The root that there would be with staged writes."""
        return self._map.root_with(staged)

    def apply(self, staged: Staged) -> None:
        """Make writes that were staged on the entries as they are now, inside a transaction of the storage."""
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
