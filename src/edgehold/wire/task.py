"""Tasks: what two services make of an order, from request to settlement."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.batch import Absence, Batch, BatchStatement, LeafOpening, SignedBatch, UploadReceipt
from edgehold.wire.data import Grade
from edgehold.wire.ids import (
    AccountId,
    Counter,
    Digest,
    Height,
    NetworkId,
    OrderId,
    PanelId,
    ProgramId,
    PublicKey,
    SealKey,
    Signature,
    TaskId,
)
from edgehold.wire.panel import Slot, SlotCredential
from edgehold.wire.program import MeasurementType

MAX_SEALED_SHARE = 16384
"""Bytes of a sealed share that travel in the transaction; a larger one lies at both aggregators."""

SealedShare = Annotated[bytes, Meta(max_length=MAX_SEALED_SHARE)]


class Party(StrEnum):
    """The two aggregators of a task (DAP: Leader and Helper)."""

    LEADER = "leader"
    HELPER = "helper"


class RequestTask(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=40):
    """The chosen service takes the order on, once: its key for this task and a commitment to its noise secret."""

    order: OrderId
    seal_key: SealKey
    noise_commitment: Digest  # tagged_hash("noise-commitment", secret ‖ order ‖ role)


class JoinTask(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=41):
    """The helper drawn for this height joins; the rule fixes the configuration and with it the task's id."""

    order: OrderId
    seal_key: SealKey
    noise_commitment: Digest


class Revoke(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=42):
    """A slot key ends its permit, when the aggregators did not answer; the envelope's sender is the slot key."""

    task: TaskId
    credential: SlotCredential


class CloseBatch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=43):
    """Either aggregator closes the batch with both signatures over one statement."""

    statement: BatchStatement
    leader_signature: Signature
    helper_signature: Signature


class PostShare(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=44):
    """An aggregator posts its noised share, sealed to the order's key."""

    task: TaskId
    sealed: SealedShare  # empty where the share lies at both aggregators
    sealed_digest: Digest  # tagged_hash("sealed-share", sealed)
    share_digest: Digest  # tagged_hash("noised-share", plaintext)


class AcceptResult(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=45):
    """The customer opened and verified the result; the escrow pays both services."""

    task: TaskId


class DisputeResult(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=46):
    """The customer reveals the order's private key; the rule opens both shares and says who is to blame."""

    task: TaskId
    private_key: Digest  # 32 bytes, X25519
    leader_sealed: SealedShare
    helper_sealed: SealedShare


class SettleTask(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=47):
    """Anybody asks for what a passed height entitles to: abort, blame for what is missing, or payment."""

    task: TaskId


class SettleOrder(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=48):
    """Anybody asks for the end of an order that no task came of in time: the escrow returns."""

    order: OrderId


class ReportConflict(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=50):
    """Evidence: one aggregator signed two different statements for one task and round."""

    task: TaskId
    accused: AccountId
    first: SignedBatch
    second: SignedBatch


class ReportDropped(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=51):
    """Evidence: the leader signed a receipt for a report that is in neither list; sent by the slot key."""

    receipt: UploadReceipt
    signature: Signature
    credential: SlotCredential
    accepted: Absence
    rejected: Absence


class ReportIgnored(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=52):
    """Evidence: a report counts although its revocation stood on the ledger in time; sent by the slot key."""

    task: TaskId
    credential: SlotCredential
    leaf: LeafOpening


class TaskPanel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One panel of a task: which slot, under which keys, how many persons."""

    panel: PanelId
    issuer: AccountId
    grade: Grade
    slot: Slot
    slots: Annotated[int, Meta(ge=1, le=256)]
    keys_root: Digest
    enrolled: Counter


class TaskParty(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One aggregator of a task as it was at join."""

    account: AccountId
    key: PublicKey
    sponsor: AccountId
    seal_key: SealKey
    noise_commitment: Digest
    attestations: Digest  # tagged_hash("attestations", encode(the live ones, sorted by attestor and claim))


class TaskConfiguration(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: everything a task is; its digest (tag "task") is the task id. Heights are absolute and inclusive."""

    network: NetworkId
    order: OrderId
    customer: AccountId
    program: ProgramId
    measurement: MeasurementType
    panels: Annotated[tuple[TaskPanel, ...], Meta(min_length=1, max_length=4)]
    sampling: Annotated[int, Meta(ge=1, le=65536)]
    least_batch: Annotated[int, Meta(ge=1)]
    sigma_numerator: Annotated[int, Meta(ge=1, lt=2**32)]
    sigma_denominator: Annotated[int, Meta(ge=1, lt=2**32)]
    seal_key: SealKey  # of the order
    leader: TaskParty
    helper: TaskParty
    opened_at: Height
    upload_until: Height
    revoke_until: Height
    close_until: Height
    share_until: Height
    accept_until: Height


class PostedShare(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Part of a task's entry: the two digests of one posted share."""

    sealed_digest: Digest
    share_digest: Digest
    at: Height


class Outcome(StrEnum):
    """How a task ended."""

    ACCEPTED = "accepted"
    UNCONTESTED = "uncontested"  # the customer was silent; paid by rule
    TOO_FEW = "too-few"
    ABANDONED = "abandoned"  # never closed; nobody can say by whose fault
    WITHHELD = "withheld"
    UNUSABLE = "unusable"  # a dispute named who is to blame


class Task(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: what became of one task. Its id commits to the configuration; repeated here is what tells its status."""

    order: OrderId
    leader: AccountId
    helper: AccountId
    panels_enrolled: Counter
    least_batch: Counter
    opened_at: Height
    upload_until: Height
    revoke_until: Height
    close_until: Height
    share_until: Height
    accept_until: Height
    batch: Batch | None
    leader_share: PostedShare | None
    helper_share: PostedShare | None
    outcome: Outcome | None
    settled_at: Height | None


class Revocation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: a slot key revoked its permit for a task."""

    at: Height


class Counted(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: an acceptance by this customer was counted for this service in this period."""

    at: Height


class Evidence(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one proven event about one service, kept for people to read; the score uses the counts in `Standing`."""

    accused: AccountId
    task: TaskId
    tag: Annotated[int, Meta(ge=0, lt=256)]  # of the transaction that proved it
    weight: Annotated[int, Meta(ge=0, le=20)]
    at: Height
