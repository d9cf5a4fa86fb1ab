"""Messages to a service node and its answers: positional arrays in deterministic CBOR, told apart by their tags.

Hubs and customers send the first group, each message complete in itself. The second group passes between the two
aggregators of a task only and travels inside `FromAggregator`, signed with the sender's account key. Answers are not
signed where a wrong one does no harm that the next step would not show; receipts and batch statements carry
signatures of their own.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.batch import ReportLeaf, SignedBatch, UploadReceipt
from edgehold.wire.codec import MAX_MESSAGE
from edgehold.wire.ids import Counter, Digest, Signature, SlotKey, TaskId, Token
from edgehold.wire.task import Party

LEAVES_IN_PART = 1024
"""Leaves of a list in one message: about 480 kB."""

Bulk = Annotated[bytes, Meta(max_length=MAX_MESSAGE // 2)]
Leaves = Annotated[tuple[ReportLeaf, ...], Meta(max_length=LEAVES_IN_PART)]


# ── from hubs and customers ───────────────────────────────────────────────────────────────────────────────────────


class Upload(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """A hub's report, to the leader; the same bytes again give the same receipt."""

    task: TaskId
    report: Bulk


class RevokeReport(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """A slot key ends its permit, to both aggregators, whether or not a report is there yet."""

    task: TaskId
    panel: Annotated[int, Meta(ge=0, lt=4)]
    slot_key: SlotKey
    token: Token
    signature: Signature  # by the slot key over tagged_hash("revoke-report", task ‖ slot key)


class GetLists(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """One part of a list that this node signed; everybody downloads all parts of both, so that asking tells nothing."""

    task: TaskId
    accepted: bool
    part: Counter


class GetShare(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """An aggregator's sealed noised share, for the customer; both nodes keep both."""

    task: TaskId
    party: Party


# ── between the two aggregators ───────────────────────────────────────────────────────────────────────────────────


class KeyDelivery(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=10):
    """The VDAF verification key that the leader made, sealed to the helper's key for the task."""

    task: TaskId
    sealed: Annotated[bytes, Meta(min_length=80, max_length=80)]


class JobRequest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=11):
    """One aggregation job; the bytes are DAP-18's AggregationJobInitReq."""

    task: TaskId
    number: Counter
    job: Bulk


class RejectReports(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=12):
    """Reports that the leader does not count; the helper counts none of them either and keeps their leaves."""

    task: TaskId
    leaves: Leaves


class BatchProposal(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=13):
    """The leader's signed statement; the helper answers with its own, for the same round."""

    batch: SignedBatch


class KeepShare(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=14):
    """The sender's sealed share, for the receiver to keep as well."""

    task: TaskId
    sealed: Bulk


class FromAggregator(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=20):
    """A message between the aggregators: the sender signs tagged_hash("service-message", body)."""

    body: Bulk
    signature: Signature


Internal: TypeAlias = KeyDelivery | JobRequest | RejectReports | BatchProposal | KeepShare
Request: TypeAlias = Upload | RevokeReport | GetLists | GetShare | FromAggregator


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Done(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """It is stored; there is nothing more to say."""


class Receipted(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """The report is stored and will have a leaf; the leader signs for that."""

    receipt: UploadReceipt
    signature: Signature  # by the leader over tagged_hash("upload-receipt", receipt)


class JobAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The helper's answer to a job; the bytes are DAP-18's AggregationJobResp."""

    job: Bulk


class BatchAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The helper's own signed statement: the leader's, if they agree."""

    batch: SignedBatch


class ListPart(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """One part of a list in the order of the list, and how many parts there are."""

    parts: Counter
    leaves: Leaves


class SealedShareAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """A sealed noised share; its digest is on the ledger."""

    sealed: Bulk


class Failure(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=9):
    """No: the number of the error and its facts; `digest` names the message that was refused."""

    number: Annotated[int, Meta(ge=1, lt=1000)]
    facts: Annotated[str, Meta(max_length=400)]
    digest: Digest


Answer: TypeAlias = Done | Receipted | JobAnswer | BatchAnswer | ListPart | SealedShareAnswer | Failure
