"""Certificates made from nothing: every key is ours, so that every lie can be told and signed.

`forge` builds a certificate in the order in which its parts follow from each other. A lie changes one part, and what
follows is built honestly on top of it: so it shows what a check is good for even if ledger and services sign along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from edgehold.crypto.blind import BlindSigner, blind, blind_sign, finalize, make_issuer_keys
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import MemoryTable, MerkleMap, hash_key, hash_value, tree_path, tree_paths, tree_root
from edgehold.crypto.names import (
    account_id,
    attestations_digest,
    network_id,
    noised_share_digest,
    order_id,
    panel_id,
    program_id,
    statement_message,
    task_id,
)
from edgehold.crypto.signatures import SigningKey
from edgehold.vdaf.field import encode_share, output_length
from edgehold.verify.batch import drawn_indices
from edgehold.verify.certificate import travel_inside
from edgehold.verify.header import address_of, hash_header, hash_validators, order_validators, vote_bytes
from edgehold.wire.account import Attestation, Claim, Role
from edgehold.wire.batch import Batch, BatchStatement, LeafOpening, Permit, ReportLeaf
from edgehold.wire.certificate import (
    DRAWN_LEAVES,
    Certificate,
    CertifiedPanel,
    CertifiedParty,
    DetachedShares,
)
from edgehold.wire.codec import encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.header import (
    NO_BLOCK,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    PartSetHeader,
    SignedHeader,
    VoteFlag,
)
from edgehold.wire.ids import AccountId, Digest, Modulus, ReportId, Signature, SlotKey, TaskId, Token
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.panel import DeclarePanel
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.task import PostedShare, Task, TaskConfiguration, TaskPanel, TaskParty

HISTOGRAM = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=5, bound=0, weight=0)
OPENED = 100
SLOT = 3

Lie = Callable[[Any], Any]


@dataclass(frozen=True)
class Forged:
    """A certificate, the shares beside it if they do not fit inside, and the genesis it belongs to."""

    certificate: Certificate
    beside: DetachedShares | None
    genesis: Genesis

    @property
    def data(self) -> bytes:
        """The certificate's file."""
        return encode(self.certificate)

    @property
    def detached(self) -> bytes | None:
        """The file beside it."""
        return None if self.beside is None else encode(self.beside)


def digest(name: str) -> Digest:
    """32 bytes that follow from a name."""
    return Digest(sha256(name.encode()).digest())


def key_of(name: str) -> SigningKey:
    """The signing key of a party, by its name."""
    return SigningKey(digest(f"key of {name}"))


def account_of(name: str) -> AccountId:
    """An organisation's account, by its name."""
    return account_id(Role.ORGANISATION, key_of(name).public)


GENESIS = Genesis(
    chain="forged",
    time=0,
    founders=tuple(
        Founder(name=name, key=key_of(name).public, role=Role.ORGANISATION, credits=0)
        for name in ("accreditor", "other accreditor", "treasurer")
    ),
    accreditors=(0, 1),
    treasurer=2,
    validators=(Validator(key=key_of("validator").public, power=1),),
    operators=(2,),
    parameters=Parameters(
        period=1000,
        root_interval=10,
        block_interval_ms=1000,
        least_panel=4,
        most_panel=2000,
        least_batch=3,
        hub_quota=3,
        expiry=100,
        abort_fee=100,
        helper_share=400,
        acceptance_cap=500_000,
        suspension=50,
    ),
)

ATTESTED = {
    "leader": (Attestation(account_of("accreditor"), Claim.ACCREDITED, 3, 900, digest("a"), None),),
    "helper": (Attestation(account_of("other accreditor"), Claim.INDEPENDENT, 3, 900, digest("b"), None),),
}


def forge(
    *,
    reports: int = 20,
    panels: int = 1,
    slots: int = 8,
    measurement: MeasurementType = HISTOGRAM,
    values: Sequence[int] | None = None,
    crowd: int = 3,
    **lies: Lie,
) -> Forged:
    """A certificate over so many reports and panels, in a state where the task shares its bucket with a crowd.

    Lies may be told about: program, panel, order, leader, helper (attestations), configuration, drawing, leaf,
    statement, batch, shares, task, state, changes, certificate.
    """

    def say(part: str, truth: Any) -> Any:
        return lies.get(part, lambda same: same)(truth)

    program = say("program", make_program(measurement))
    issued = [say("panel", make_panel(number, slots)) for number in range(panels)]
    issued.sort(key=lambda one: panel_id(account_of("issuer"), one))
    leader, helper = say("leader", ATTESTED["leader"]), say("helper", ATTESTED["helper"])
    order = say("order", make_order(program, issued, reports))
    configuration = say("configuration", configure(order, program, issued, leader, helper, reports))
    task = task_id(configuration)
    closed_at = say("batch", configuration.revoke_until + 1)
    drawing = sign_header(say("drawing", make_header(closed_at + 1, digest("an earlier state"))))
    drawn = drawn_indices(hash_header(drawing.header), task, reports, DRAWN_LEAVES)
    leaves = [make_leaf(task, index, panels) if index in drawn else fake_leaf(index) for index in range(reports)]
    leaves = [say("leaf", leaf) for leaf in leaves]
    encoded = [encode(leaf) for leaf in leaves]
    statement = say(
        "statement",
        BatchStatement(
            task=task,
            round=0,
            accepted_root=tree_root(encoded),
            rejected_root=tree_root([]),
            accepted=reports,
            rejected=0,
        ),
    )
    shares = say("shares", split(measurement, values or [reports] + [0] * (output_length(measurement) - 1)))
    entry = say("task", make_task(configuration, Batch(statement=statement, closed_at=closed_at), shares))
    key = entry_key(Collection.TASK, task)
    tree = MerkleMap(crowded(key, crowd))
    tree.update({key: encode(entry)})
    signed = [key_of(name).sign(statement_message(statement)) for name in ("leader", "helper")]
    inside = travel_inside(configuration)
    certificate = Certificate(
        state_header=sign_header(say("state", make_header(closed_at + 5, tree.root))),
        drawing_header=drawing,
        changes=say("changes", ()),
        task=entry,
        task_proof=tree.prove(key),
        configuration=configuration,
        order=order,
        program=program,
        panels=tuple(certify_panel(one, slots) for one in issued),
        leader=CertifiedParty(attestations=leader, signature=signed[0]),
        helper=CertifiedParty(attestations=helper, signature=signed[1]),
        leaves=tuple(
            LeafOpening(leaf=leaves[index], index=index, path=tuple(path))
            for index, path in zip(drawn, tree_paths(encoded, drawn), strict=True)
        ),
        leader_share=shares[0] if inside else b"",
        helper_share=shares[1] if inside else b"",
    )
    return Forged(say("certificate", certificate), None if inside else DetachedShares(*shares), GENESIS)


# ── the parts, one after the other ────────────────────────────────────────────────────────────────────────────────


def make_program(measurement: MeasurementType) -> PublishProgram:
    """A program that measures this."""
    return PublishProgram(
        source=digest("source"),
        runtime=digest("runtime"),
        engine="wasmtime 50",
        schema="edgehold.events/1",
        kinds=(Kind.EHR,),
        sensitivity=Sensitivity.AGGREGATE,
        measurement=measurement,
        limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
    )


@cache
def issuer_key() -> tuple[bytes, Modulus]:
    """The one RSA key with which tokens are signed here: private key and modulus."""
    key = make_issuer_keys([digest("slot key")])[0]
    return key.private, key.modulus


def moduli(number: int, slots: int) -> list[bytes]:
    """The public list of a panel; only the key of the task's slot is one."""
    return [issuer_key()[1] if slot == SLOT else digest(f"modulus {number} {slot}") * 8 for slot in range(slots)]


def make_panel(number: int, slots: int) -> DeclarePanel:
    """A panel of the issuer."""
    return DeclarePanel(
        scheme="all",
        period=0,
        number=number,
        kinds=(Kind.EHR,),
        grade=Grade.SIGNED,
        schemas=("edgehold.events/1",),
        slots=slots,
        keys_root=tree_root(moduli(number, slots)),
    )


def certify_panel(panel: DeclarePanel, slots: int) -> CertifiedPanel:
    """A panel with the key of the task's slot."""
    path = tree_path(moduli(panel.number, slots), SLOT)
    return CertifiedPanel(descriptor=panel, modulus=issuer_key()[1], path=tuple(path))


def make_order(program: PublishProgram, panels: Sequence[DeclarePanel], reports: int) -> PlaceOrder:
    """An order of the program in these panels."""
    return PlaceOrder(
        program=program_id(program),
        purpose=Purpose(permission=Permission.HMB),
        panels=tuple(panel_id(account_of("issuer"), panel) for panel in panels),
        sampling=SAMPLING_ONE,
        least_batch=min(reports, 10),
        sigma_numerator=3,
        sigma_denominator=2,
        price=1000,
        leader=account_of("leader"),
        seal_key=digest("seal key of the order"),
        memo=digest("memo"),
        schedule=Schedule(request=5, join=5, upload=3, revoke=2, close=4, share=4, accept=4),
    )


def configure(
    order: PlaceOrder,
    program: PublishProgram,
    panels: Sequence[DeclarePanel],
    leader: Sequence[Attestation],
    helper: Sequence[Attestation],
    reports: int,
) -> TaskConfiguration:
    """What the ledger's rule makes of the order at height `OPENED`."""
    plan = order.schedule
    upload = OPENED + plan.upload
    revoke = upload + plan.revoke
    close = revoke + plan.close
    share = close + plan.share
    return TaskConfiguration(
        network=network_id(GENESIS),
        order=order_id(account_of("customer"), order),
        customer=account_of("customer"),
        program=order.program,
        measurement=program.measurement,
        panels=tuple(
            TaskPanel(
                panel=panel_id(account_of("issuer"), panel),
                issuer=account_of("issuer"),
                grade=panel.grade,
                slot=SLOT,
                slots=panel.slots,
                keys_root=panel.keys_root,
                enrolled=reports,
            )
            for panel in panels
        ),
        sampling=order.sampling,
        least_batch=order.least_batch,
        sigma_numerator=order.sigma_numerator,
        sigma_denominator=order.sigma_denominator,
        seal_key=order.seal_key,
        leader=make_party("leader", leader),
        helper=make_party("helper", helper),
        opened_at=OPENED,
        upload_until=upload,
        revoke_until=revoke,
        close_until=close,
        share_until=share,
        accept_until=share + plan.accept,
    )


def make_party(name: str, attestations: Sequence[Attestation]) -> TaskParty:
    """One aggregator as it was at join."""
    return TaskParty(
        account=account_of(name),
        key=key_of(name).public,
        sponsor=account_of("accreditor"),
        seal_key=digest(f"seal key of {name}"),
        noise_commitment=digest(f"noise commitment of {name}"),
        attestations=attestations_digest(attestations),
    )


def make_task(configuration: TaskConfiguration, batch: Batch, shares: Sequence[bytes]) -> Task:
    """The task's record after both shares were posted."""
    leader, helper = (
        PostedShare(
            sealed_digest=digest(f"sealed {number}"),
            share_digest=noised_share_digest(share),
            at=batch.closed_at + 2,
        )
        for number, share in enumerate(shares)
    )
    return Task(
        order=configuration.order,
        leader=configuration.leader.account,
        helper=configuration.helper.account,
        panels_enrolled=sum(panel.enrolled for panel in configuration.panels),
        least_batch=configuration.least_batch,
        opened_at=configuration.opened_at,
        upload_until=configuration.upload_until,
        revoke_until=configuration.revoke_until,
        close_until=configuration.close_until,
        share_until=configuration.share_until,
        accept_until=configuration.accept_until,
        batch=batch,
        leader_share=leader,
        helper_share=helper,
        outcome=None,
        settled_at=None,
    )


def split(measurement: MeasurementType, values: Sequence[int]) -> tuple[bytes, bytes]:
    """Two shares that add up to these values; the first is as good as random."""
    hidden = [int.from_bytes(digest(f"share {place}"), "big") for place in range(len(values))]
    rest = [value - one for value, one in zip(values, hidden, strict=True)]
    return encode_share(measurement, hidden), encode_share(measurement, rest)


def crowded(key: bytes, count: int) -> MemoryTable:
    """A state with other entries, so many of them in the bucket of this key."""
    table = MemoryTable()
    for number in range(count):
        neighbour = Digest(hash_key(key)[:4] + digest(f"entry {number}")[4:])
        table.put([(name, hash_value(b"entry"), b"", b"entry") for name in (neighbour, digest(f"entry {number}"))])
    return table


# ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def slot_token(index: int) -> Token:
    """The issuer's token for the slot key of one report."""
    private, modulus = issuer_key()
    key = SlotKey(key_of(f"slot {index}").public)
    hidden = blind(modulus, key, digest(f"blinding {index}"))
    signed = blind_sign([(BlindSigner(private), hidden.message)], digest("issuer's entropy"))
    return finalize(modulus, signed[0], hidden.secret, key)


def make_leaf(task: TaskId, index: int, panels: int) -> ReportLeaf:
    """A report's leaf with its token and permit."""
    key = key_of(f"slot {index}")
    permit = Permit(
        task=task,
        report=ReportId(index.to_bytes(16, "big")),
        leader_share=digest(f"leader's input share {index}"),
        helper_share=digest(f"helper's input share {index}"),
    )
    return ReportLeaf(
        report=permit.report,
        panel=index % panels,
        slot_key=SlotKey(key.public),
        token=slot_token(index),
        permit=key.sign(tagged_hash("permit", encode(permit))),
        leader_share=permit.leader_share,
        helper_share=permit.helper_share,
    )


def fake_leaf(index: int) -> ReportLeaf:
    """A leaf that nobody opens: it has the right size and its place."""
    filler = digest(f"leaf {index}")
    return ReportLeaf(
        report=ReportId(index.to_bytes(16, "big")),
        panel=0,
        slot_key=SlotKey(filler),
        token=Token(filler * 8),
        permit=Signature(filler * 2),
        leader_share=filler,
        helper_share=filler,
    )


# ── headers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def make_header(height: int, root: Digest) -> Header:
    """A header over a state."""
    return Header(
        block_version=11,
        app_version=1,
        chain=GENESIS.chain,
        height=height,
        time=height * 10**9 + 5,
        last_block=NO_BLOCK,
        last_commit_hash=digest("last commit"),
        data_hash=digest("data"),
        validators_hash=hash_validators(order_validators(GENESIS.validators)),
        next_validators_hash=hash_validators(order_validators(GENESIS.validators)),
        consensus_hash=digest("consensus"),
        app_hash=root,
        last_results_hash=digest("results"),
        evidence_hash=digest("evidence"),
        proposer=address_of(key_of("validator").public),
    )


def sign_header(header: Header) -> SignedHeader:
    """The validator's vote for a header."""
    block = BlockId(hash=hash_header(header), parts=PartSetHeader(total=1, hash=digest("parts")))
    vote = vote_bytes(header.chain, header.height, 0, block, header.time + 7)
    signature = CommitSignature(
        flag=VoteFlag.BLOCK,
        address=address_of(key_of("validator").public),
        time=header.time + 7,
        signature=key_of("validator").sign(vote),
    )
    return SignedHeader(
        header=header, commit=Commit(height=header.height, round=0, block=block, signatures=(signature,))
    )


def with_fields(**fields: Any) -> Lie:
    """The lie that changes these fields of whatever part it is told about."""
    return lambda truth: replace(truth, **fields)
