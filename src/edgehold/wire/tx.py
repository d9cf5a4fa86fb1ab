"""Transactions: signed requests to change the ledger, and the receipts that answer them."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeGuard, cast, get_args

from msgspec import Meta, Struct

from edgehold.wire.account import Attest, OpenAccount, Transfer, WithdrawAttestation
from edgehold.wire.governance import Propose, RotateKey, Vote
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.order import PlaceOrder, WithdrawOrder
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.program import PublishProgram, ReviewProgram
from edgehold.wire.root import CommitRoot
from edgehold.wire.task import (
    AcceptResult,
    CloseBatch,
    DisputeResult,
    JoinTask,
    PostShare,
    ReportConflict,
    ReportDropped,
    ReportIgnored,
    RequestTask,
    Revoke,
    SettleOrder,
    SettleTask,
)

Body: TypeAlias = (
    OpenAccount
    | Attest
    | WithdrawAttestation
    | Transfer
    | DeclarePanel
    | ClosePanel
    | CommitRoot
    | PublishProgram
    | ReviewProgram
    | PlaceOrder
    | WithdrawOrder
    | RequestTask
    | JoinTask
    | Revoke
    | CloseBatch
    | PostShare
    | AcceptResult
    | DisputeResult
    | SettleTask
    | SettleOrder
    | ReportConflict
    | ReportDropped
    | ReportIgnored
    | Propose
    | Vote
    | RotateKey
)

SlotSigned: TypeAlias = Revoke | ReportDropped | ReportIgnored

SLOT_SIGNED = get_args(SlotSigned)
"""Bodies whose envelope is signed by a slot key; every other sender is an account."""


def is_slot_signed(body: Body) -> TypeGuard[SlotSigned]:
    """Whether a slot key signs this; no body's type has another below it."""
    return type(body) in SLOT_SIGNED


def tag_of(body: Body) -> int:
    """The number by which a body's type is told on the wire."""
    return cast(int, body.__struct_config__.tag)


RESERVED_TAGS = {
    5: "rotate a key",
    6: "recover an account, veto a recovery",
    53: "open a panel audit",
    54: "open a noise secret in an audit",
    55: "end an audit",
    56: "place a bond",
    57: "release a bond",
    58: "reinstate a suspended service",
}
"""Tags that later rules will use; today every one of them is `Malformed`."""

MAX_TRANSACTION = 64 * 1024
"""Bytes of a signed transaction."""


class Envelope(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The payload that a sender signs as COSE_Sign1 with the network id as external data.

    The envelope's digest is remembered until it expires: the same bytes again give the same receipt, so that a lost
    answer costs nothing and there are no sequence numbers.
    """

    network: NetworkId
    sender: Digest  # an account id, or the slot key for the bodies in SLOT_SIGNED
    expires: Height  # the last height at which it may take effect
    body: Body


class Receipt(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The ledger's answer: number 0 and the ids that were made, or the number of the refusal and its facts."""

    number: Annotated[int, Meta(ge=0, lt=1000)]
    height: Height
    made: Digest | None  # the id of the account, panel, program, order or task that came to be
    facts: Annotated[str, Meta(max_length=400)]
