"""Whether something stands under a verified header: an entry of the state, its absence, or a transaction of the block.

The header must have been checked first (`verify.header`). Its application hash is the state *before* its block, that is
after the block below; its data hash is over its own transactions. A transaction that is in a block may have been
refused: whoever relies on its effect proves the entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgehold.crypto.merkle import check_path, verify_absence, verify_presence
from edgehold.errors import BadProof
from edgehold.verify.header import transaction_leaf
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest
from edgehold.wire.proof import MapProof


def verify_entry(signed: SignedHeader, key: bytes, value: bytes, proof: MapProof) -> None:
    """Check that the state under a header holds this value for a flat key; raises `BadProof`."""
    verify_presence(_state_root(signed), key, value, proof)


def verify_no_entry(signed: SignedHeader, key: bytes, proof: MapProof) -> None:
    """Check that the state under a header holds nothing for a flat key; raises `BadProof`."""
    verify_absence(_state_root(signed), key, proof)


def verify_answer(signed: SignedHeader, key: bytes, value: bytes | None, proof: MapProof) -> None:
    """Check what a ledger answered for a flat key, a value or `None`; raises `BadProof`."""
    if value is None:
        verify_no_entry(signed, key, proof)
    else:
        verify_entry(signed, key, value, proof)


def verify_transaction(
    signed: SignedHeader, transaction: bytes, index: int, count: int, path: Sequence[Digest]
) -> None:
    """Check that these signed bytes are transaction `index` of the `count` in a header's block; raises `BadProof`."""
    check_path(Digest(signed.header.data_hash), transaction_leaf(transaction), index, count, path)


def _state_root(signed: SignedHeader) -> Digest:
    root = signed.header.app_hash
    if len(root) != 32:
        raise BadProof(f"header {signed.header.height} names no state: its application hash has {len(root)} bytes")
    return Digest(root)
