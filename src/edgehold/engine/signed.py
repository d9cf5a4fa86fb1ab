"""Signatures that were found good, so that no transaction pays for its own twice.

A transaction comes to a node three times at least: at the door, in a proposal, in the block. Only what held is kept: that
a signature is bad costs its sender a verification each time, and nobody else's memory.
"""

from __future__ import annotations

from edgehold.engine.execution import Verified
from edgehold.wire.ids import Digest

MAX_KEPT = 100_000
"""Transactions."""

MAX_KEPT_BYTES = 64 << 20


class SignedTransactions:
    """Transactions by their whole bytes, with the key under which each was verified; the oldest go first.

    None of them was answered yet: of two spellings of one envelope only the last is kept, and both go when it is.
    """

    def __init__(self) -> None:
        self._by_bytes: dict[bytes, Verified] = {}
        self._by_envelope: dict[Digest, bytes] = {}
        self._size = 0

    def get(self, transaction: bytes) -> Verified | None:
        """What was verified, if exactly these bytes were."""
        return self._by_bytes.get(transaction)

    def put(self, verified: Verified) -> None:
        """Keep a transaction whose signature holds."""
        request = verified[0]
        self.forget(request.envelope)
        self._by_bytes[request.transaction] = verified
        self._by_envelope[request.envelope] = request.transaction
        self._size += len(request.transaction)
        while len(self._by_bytes) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
            oldest, _ = next(iter(self._by_bytes.values()))
            self.forget(oldest.envelope)

    def forget(self, envelope: Digest) -> None:
        """It was answered, or came in other bytes."""
        transaction = self._by_envelope.pop(envelope, None)
        if transaction is not None:
            del self._by_bytes[transaction]
            self._size -= len(transaction)
