"""What is asked of a keeper of the ledger, and what it answers: the data and value of an ABCI Query.

Every answer says of which state it is: `height` h means the state *after* block h, whose root is the application hash
of header h+1 (state 0 is genesis, under header 1). Header h+1 is there only when the next block is: who asks waits for
it, unless an earlier header signs the same root, as the header of an empty block does.

A query for an entry may name the height of the state it wants, usually the one that the newest known header signs; 0 is
the last one committed. A keeper answers for the last state at least, and for earlier ones as far as it keeps them. An
answer has code 0 and these bytes as its value; every other code is the number of one of our errors (`StateNotKept` for
a state that is kept no longer, `Malformed` for a query that is none), its log the facts. The same codes answer a
transaction at its door (CheckTx); in a block the code is the receipt's number and the data are the encoded receipt.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import Height
from edgehold.wire.proof import MapProof
from edgehold.wire.tx import Receipt

ENTRY = "/entry"
"""Data: a flat key (`wire.entry`). Answer: `EntryAnswer`."""

RECEIPT = "/receipt"
"""Data: the digest of an envelope. Answer: `ReceiptAnswer`."""

MAX_VALUE = 1 << 20
"""Bytes of the largest value of an entry that a keeper answers with."""


class EntryAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.entry/1"):
    """What the state after block `height` holds for a key, None for nothing, and the proof of either."""

    height: Height
    value: Annotated[bytes, Meta(max_length=MAX_VALUE)] | None
    proof: MapProof


class PlacedReceipt(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A receipt, and which transaction of which block it answers (the first has place 0).

    The block's data hash shows the transaction, the next header's `last_results_hash` the receipt.
    """

    height: Height
    place: Annotated[int, Meta(ge=0, lt=2**32)]
    receipt: Receipt


class ReceiptAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.receipt/1"):
    """What became of a transaction, as of block `height`; None while it waits, was never seen, or is forgotten.

    `None` is a claim without proof: who relies on it loses time only, since the same bytes may be sent again.
    """

    height: Height
    found: PlacedReceipt | None
