"""The check of a log, block by block."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from edgehold.crypto.signatures import SigningKey
from edgehold.engine.blocks import check_block, make_block, results_root
from edgehold.errors import BrokenLog
from edgehold.verify.header import hash_consensus_parameters, order_validators, verify_header, vote_bytes
from edgehold.wire.governance import Validator
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest
from edgehold.wire.tx import Receipt

KEY = SigningKey(bytes(32))
VALIDATORS = order_validators([Validator(KEY.public, 1)])
ROOT = Digest(bytes(32))
FIRST_BLOCK = [(b"transaction", Receipt(number=0, height=1, made=None, facts=""))]


def block(previous: SignedHeader | None = None, **changed: Any) -> SignedHeader:
    arguments: dict[str, Any] = {
        "key": KEY,
        "rules": 1,
        "chain": "chain",
        "validators": VALIDATORS,
        "height": previous.header.height + 1 if previous else 1,
        "time": previous.header.time + 1 if previous else 1,
        "previous": previous,
        "previous_transactions": FIRST_BLOCK if previous else [],
        "state_root": ROOT,
        "transactions": [] if previous else [b"transaction"],
    }
    return make_block(**(arguments | changed))


FIRST = block()
SECOND = block(FIRST)


def check(signed: SignedHeader, previous: SignedHeader | None, **changed: Any) -> None:
    arguments: dict[str, Any] = {
        "transactions": [] if previous else FIRST_BLOCK,
        "previous_transactions": FIRST_BLOCK if previous else [],
        "chain": "chain",
        "validators": VALIDATORS,
    }
    check_block(signed=signed, previous=previous, **(arguments | changed))


def test_blocks_that_were_made_hold_together() -> None:
    check(FIRST, None)
    check(SECOND, FIRST)
    verify_header(SECOND, "chain", VALIDATORS)
    assert SECOND.header.last_results_hash == results_root(FIRST_BLOCK)
    assert SECOND.header.consensus_hash == hash_consensus_parameters(1 << 20, -1)


def test_a_block_that_nobody_signed_is_refused() -> None:
    forged = block(FIRST, key=SigningKey(bytes([1]) * 32))
    with pytest.raises(BrokenLog, match="block 2"):
        check(forged, FIRST)
    with pytest.raises(BrokenLog, match="block 1"):
        check(block(chain="another"), None)


def test_a_block_that_follows_another_is_refused() -> None:
    other = block(time=2)
    with pytest.raises(BrokenLog, match="follows block"):
        check(block(FIRST, time=9), other)


def test_another_commit_for_the_same_block_is_refused() -> None:
    commit = FIRST.commit
    signature = KEY.sign(vote_bytes("chain", 1, 7, commit.block, 5))
    vote = replace(commit.signatures[0], time=5, signature=signature)
    again = replace(FIRST, commit=replace(commit, round=7, signatures=(vote,)))
    check(again, None)
    with pytest.raises(BrokenLog, match="another commit for block 1"):
        check(SECOND, again)


def test_other_transactions_or_receipts_are_refused() -> None:
    with pytest.raises(BrokenLog, match="does not hold the transactions"):
        check(FIRST, None, transactions=[])
    other = [(b"transaction", Receipt(number=1, height=1, made=None, facts=""))]
    with pytest.raises(BrokenLog, match="the receipts of block 1"):
        check(SECOND, FIRST, previous_transactions=other)
