"""How things get their names: every id is a tagged hash, follows from what it names, and is nobody's choice."""

from __future__ import annotations

from collections.abc import Sequence

from edgehold.crypto.hash import tagged_hash
from edgehold.wire.account import Attestation, Role
from edgehold.wire.batch import BatchStatement, Permit, UploadReceipt
from edgehold.wire.codec import encode
from edgehold.wire.founding import FounderClaim
from edgehold.wire.governance import Genesis, Propose
from edgehold.wire.ids import (
    AccountId,
    Digest,
    NetworkId,
    OrderId,
    PanelId,
    ProgramId,
    ProposalId,
    PublicKey,
    TaskId,
)
from edgehold.wire.order import PlaceOrder
from edgehold.wire.panel import DeclarePanel
from edgehold.wire.program import PublishProgram
from edgehold.wire.task import TaskConfiguration
from edgehold.wire.tx import Envelope


def network_id(genesis: Genesis) -> NetworkId:
    """The network that a genesis document founds."""
    return NetworkId(tagged_hash("genesis", encode(genesis)))


def account_id(role: Role, key: PublicKey) -> AccountId:
    """The account that opens with this role and key; it keeps its id whatever its key becomes."""
    return AccountId(tagged_hash("account", encode([role.value, key])))


def panel_id(issuer: AccountId, declared: DeclarePanel) -> PanelId:
    """The panel that an issuer declares."""
    return PanelId(tagged_hash("panel", encode([issuer, declared])))


def program_id(published: PublishProgram) -> ProgramId:
    """The program, whoever publishes it."""
    return ProgramId(tagged_hash("program", encode(published)))


def order_id(customer: AccountId, placed: PlaceOrder) -> OrderId:
    """The order that a customer places; its memo and seal key make it one of a kind."""
    return OrderId(tagged_hash("order", encode([customer, placed])))


def task_id(configuration: TaskConfiguration) -> TaskId:
    """The task with this configuration: who knows the id knows every term of it."""
    return TaskId(tagged_hash("task", encode(configuration)))


def proposal_id(proposer: AccountId, proposed: Propose) -> ProposalId:
    """What a member proposes; the same again, with another end, is another proposal."""
    return ProposalId(tagged_hash("proposal", encode([proposer, proposed])))


def evidence_id(accused: AccountId, task: TaskId, tag: int, witness: bytes) -> Digest:
    """One proven event: `witness` is the slot key of a person's accusation, else empty."""
    return tagged_hash("evidence", encode([accused, task, tag, witness]))


def envelope_digest(envelope: Envelope) -> Digest:
    """By this the ledger remembers a transaction until it expires; the signature is not part of it."""
    return payload_digest(encode(envelope))


def payload_digest(payload: bytes) -> Digest:
    """The digest of the envelope whose bytes a transaction carries."""
    return tagged_hash("envelope", payload)


# ── what is signed outside an envelope ────────────────────────────────────────────────────────────────────────────


def possession_message(network: NetworkId, sponsor: AccountId, key: PublicKey) -> Digest:
    """What a new account's key signs: that this sponsor may open it in this network."""
    return tagged_hash("open-account", network + sponsor + key)


def validator_key_message(network: NetworkId, operator: AccountId, key: PublicKey) -> Digest:
    """What a consensus key signs: that it votes for this operator's validator in this network."""
    return tagged_hash("validator-key", network + operator + key)


def founder_message(claim: FounderClaim) -> Digest:
    """What a founder signs with both of its keys, before there is a network."""
    return tagged_hash("founder", encode(claim))


def statement_message(statement: BatchStatement) -> Digest:
    """What both aggregators sign over a batch."""
    return tagged_hash("batch-statement", encode(statement))


def receipt_message(receipt: UploadReceipt) -> Digest:
    """What the leader signs over a report that it has stored."""
    return tagged_hash("upload-receipt", encode(receipt))


def attestations_digest(live: Sequence[Attestation]) -> Digest:
    """What a task's configuration says about an aggregator: its live attestations, sorted by attestor and claim."""
    return tagged_hash("attestations", encode(sorted(live, key=lambda one: (one.attestor, one.claim.value))))


def permit_message(permit: Permit) -> Digest:
    """What a slot key signs: yes to one task, by exactly these two shares."""
    return tagged_hash("permit", encode(permit))


# ── what stands for something larger ──────────────────────────────────────────────────────────────────────────────


def input_share_digest(plaintext: bytes) -> Digest:
    """What a permit and a leaf say of one plaintext input share."""
    return tagged_hash("input-share", plaintext)


def sealed_share_digest(sealed: bytes) -> Digest:
    """By this the ledger names a sealed share."""
    return tagged_hash("sealed-share", sealed)


def noised_share_digest(share: bytes) -> Digest:
    """By this the ledger names a noised share before anybody has opened it."""
    return tagged_hash("noised-share", share)
