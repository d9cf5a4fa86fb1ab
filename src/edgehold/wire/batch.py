"""Batches: the two public lists of a closed task and the statement both aggregators sign over them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import Counter, Digest, Height, ReportId, Signature, SlotKey, TaskId, Token

Path = Annotated[tuple[Digest, ...], Meta(max_length=32)]


class ReportLeaf(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One report in a batch's list: everything public about it, enough for anybody to check that it was permitted."""

    report: ReportId
    panel: Annotated[int, Meta(ge=0, lt=4)]  # index into the task's panels
    slot_key: SlotKey
    token: Token
    permit: Signature  # by the slot key over [task, report, leader_share, helper_share]
    leader_share: Digest  # tagged_hash("input-share", the leader's plaintext input share)
    helper_share: Digest


class Permit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a slot key signs (under tagged_hash "permit"): yes to one task, by exactly this report."""

    task: TaskId
    report: ReportId
    leader_share: Digest
    helper_share: Digest


class UploadReceipt(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the leader signs (under tagged_hash "upload-receipt") when it has stored a report."""

    task: TaskId
    report: ReportId
    slot_key: SlotKey
    digest: Digest  # of the report's bytes


class BatchStatement(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What both aggregators sign (under tagged_hash "batch-statement"). Each list is sorted by report id."""

    task: TaskId
    round: Annotated[int, Meta(ge=0, le=1)]  # 1 after one intersection
    accepted_root: Digest  # RFC 6962 tree over the encoded leaves
    rejected_root: Digest
    accepted: Counter
    rejected: Counter


class SignedBatch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A statement with one aggregator's signature."""

    statement: BatchStatement
    signature: Signature


class LeafOpening(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One leaf with its place in a list."""

    leaf: ReportLeaf
    index: Counter
    path: Path


class Absence(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Two neighbouring leaves between which a report id would stand; one is missing at an end, both in an empty one."""

    left: LeafOpening | None
    right: LeafOpening | None


class Batch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Part of a task's entry once it is closed."""

    statement: BatchStatement
    closed_at: Height
