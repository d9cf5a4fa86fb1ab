"""Blocks of a ledger with one validator: the next header, signed, and the check that a log holds together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from edgehold.crypto.signatures import SigningKey
from edgehold.errors import BadHeader, BrokenLog
from edgehold.verify.header import (
    address_of,
    hash_commit,
    hash_consensus_parameters,
    hash_header,
    hash_results,
    hash_transactions,
    hash_validators,
    verify_header,
    verify_next_header,
    vote_bytes,
)
from edgehold.wire.codec import encode
from edgehold.wire.header import (
    NO_BLOCK,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    PartSetHeader,
    SignedHeader,
    ValidatorSet,
    VoteFlag,
)
from edgehold.wire.ids import Digest, Height
from edgehold.wire.tx import Receipt

BLOCK_VERSION = 11
"""CometBFT's number for this format of blocks."""
APP_VERSION = 1
"""Ours, for the rules and the map: the one that every ledger begins with."""

MAX_BLOCK = 1 << 20
"""Bytes of all transactions of a block."""

Transactions = Sequence[tuple[bytes, Receipt]]

_CONSENSUS = hash_consensus_parameters(MAX_BLOCK, -1)
_NO_EVIDENCE = hash_results([])


def make_block(
    *,
    key: SigningKey,
    rules: int,
    chain: str,
    validators: ValidatorSet,
    height: Height,
    time: int,
    previous: SignedHeader | None,
    previous_transactions: Transactions,
    state_root: Digest,
    transactions: Sequence[bytes],
) -> SignedHeader:
    """The header of the next block and the one validator's commit; `state_root` is that of the state before the block.

    Nobody gossips parts of this block: its part set is one part, named like the header.
    """
    header = Header(
        block_version=BLOCK_VERSION,
        app_version=rules,
        chain=chain,
        height=height,
        time=time,
        last_block=previous.commit.block if previous else NO_BLOCK,
        last_commit_hash=hash_commit(previous.commit if previous else None),
        data_hash=hash_transactions(transactions),
        validators_hash=hash_validators(validators),
        next_validators_hash=hash_validators(validators),
        consensus_hash=_CONSENSUS,
        app_hash=state_root,
        last_results_hash=results_root(previous_transactions),
        evidence_hash=_NO_EVIDENCE,
        proposer=address_of(key.public),
    )
    digest = hash_header(header)
    block = BlockId(hash=digest, parts=PartSetHeader(total=1, hash=digest))
    signature = key.sign(vote_bytes(chain, height, 0, block, time))
    vote = CommitSignature(flag=VoteFlag.BLOCK, address=address_of(key.public), time=time, signature=signature)
    return SignedHeader(header=header, commit=Commit(height=height, round=0, block=block, signatures=(vote,)))


def results_root(transactions: Transactions) -> Digest:
    """The root over the receipts of a block."""
    return hash_results((receipt.number, encode_receipt(receipt)) for _, receipt in transactions)


@lru_cache(maxsize=4096)
def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt: hashed for the next header, written to the log, and the same for most of a block."""
    return encode(receipt)


def check_block(
    signed: SignedHeader,
    transactions: Transactions,
    previous: SignedHeader | None,
    previous_transactions: Transactions | None,
    chain: str,
    validators: ValidatorSet,
) -> None:
    """Check a block of the log; raises `BrokenLog`. `previous_transactions` is None where the log is not read that far.

    1. The validators signed its header, and it follows the previous one.
    2. It names the commit that signed the previous header.
    3. Its transactions, and the previous block's receipts, are those that headers name.
    """
    header = signed.header
    try:
        # 1
        if previous is None:
            verify_header(signed, chain, validators)
        else:
            verify_next_header(signed, previous.header, validators)
    except BadHeader as error:
        raise BrokenLog(f"block {header.height}: {error}") from error
    # 2
    if previous and header.last_commit_hash != hash_commit(previous.commit):
        raise BrokenLog(f"block {header.height} names another commit for block {previous.header.height}")
    # 3
    if header.data_hash != hash_transactions([data for data, _ in transactions]):
        raise BrokenLog(f"block {header.height} does not hold the transactions that its header names")
    if previous_transactions is not None and header.last_results_hash != results_root(previous_transactions):
        raise BrokenLog(f"the receipts of block {header.height - 1} are not those that header {header.height} names")
