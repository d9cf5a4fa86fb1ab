"""What stands under a header: entries, their absence, transactions."""

from __future__ import annotations

import pytest

from edgehold.crypto.merkle import MemoryTable, MerkleMap, tree_paths
from edgehold.errors import BadProof
from edgehold.verify.header import hash_transactions, transaction_leaf
from edgehold.verify.inclusion import verify_answer, verify_entry, verify_no_entry, verify_transaction
from edgehold.wire.header import NO_BLOCK, Address, Commit, Header, SignedHeader

TRANSACTIONS = [b"one", b"two", b"three"]


def under(state_root: bytes) -> SignedHeader:
    """A header over these transactions and a state; who signed it is checked elsewhere."""
    header = Header(
        block_version=11,
        app_version=1,
        chain="chain",
        height=2,
        time=1,
        last_block=NO_BLOCK,
        last_commit_hash=b"",
        data_hash=hash_transactions(TRANSACTIONS),
        validators_hash=b"",
        next_validators_hash=b"",
        consensus_hash=b"",
        app_hash=state_root,
        last_results_hash=b"",
        evidence_hash=b"",
        proposer=Address(bytes(20)),
    )
    return SignedHeader(header, Commit(2, 0, NO_BLOCK, ()))


@pytest.fixture
def state() -> MerkleMap:
    state = MerkleMap(MemoryTable())
    state.update({b"order": b"placed", b"task": b"open"})
    return state


def test_an_entry_and_an_absence_hold_under_their_header(state: MerkleMap) -> None:
    header = under(state.root)
    verify_entry(header, b"order", b"placed", state.prove(b"order"))
    verify_no_entry(header, b"panel", state.prove(b"panel"))
    verify_answer(header, b"order", b"placed", state.prove(b"order"))
    verify_answer(header, b"panel", None, state.prove(b"panel"))


def test_neither_holds_for_another_value_key_or_header(state: MerkleMap) -> None:
    header = under(state.root)
    with pytest.raises(BadProof):
        verify_entry(header, b"order", b"withdrawn", state.prove(b"order"))
    with pytest.raises(BadProof):
        verify_no_entry(header, b"order", state.prove(b"order"))
    with pytest.raises(BadProof):
        verify_answer(header, b"order", None, state.prove(b"order"))
    with pytest.raises(BadProof):
        verify_entry(under(bytes(32)), b"order", b"placed", state.prove(b"order"))
    with pytest.raises(BadProof, match="names no state"):
        verify_entry(under(b""), b"order", b"placed", state.prove(b"order"))


def test_a_transaction_stands_at_its_place_in_the_block(state: MerkleMap) -> None:
    header = under(state.root)
    paths = tree_paths([transaction_leaf(transaction) for transaction in TRANSACTIONS], range(3))
    for index, (transaction, path) in enumerate(zip(TRANSACTIONS, paths, strict=True)):
        verify_transaction(header, transaction, index, 3, path)
        with pytest.raises(BadProof):
            verify_transaction(header, transaction, (index + 1) % 3, 3, path)
        with pytest.raises(BadProof):
            verify_transaction(header, b"four", index, 3, path)
