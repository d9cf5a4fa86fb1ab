"""A certificate, checked offline against the genesis file: what arithmetic shows, and what must be believed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edgehold.crypto.blind import verify_token
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import check_path, verify_presence
from edgehold.crypto.signatures import verify as verify_signature
from edgehold.errors import BadCertificate, CryptoError, Malformed
from edgehold.ledger.ids import attestations_digest, order_id, panel_id, program_id, statement_message, task_id
from edgehold.policy.accuracy import half_width
from edgehold.policy.budget import DELTA, epsilon_of_rho, rho_of, squared_sensitivity
from edgehold.vdaf.field import add_shares
from edgehold.verify.batch import drawn_indices
from edgehold.verify.header import hash_header, order_validators, verify_header
from edgehold.wire.batch import Batch, LeafOpening, Permit
from edgehold.wire.certificate import (
    DRAWN_LEAVES,
    SHARES_INSIDE,
    Certificate,
    CertifiedPanel,
    CertifiedParty,
    DetachedShares,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import Digest, TaskId
from edgehold.wire.order import PlaceOrder
from edgehold.wire.task import PostedShare, TaskConfiguration, TaskPanel, TaskParty

CERTIFICATE_LIMIT = 32 * 1024
"""Bytes; a certificate at 100,000 reports and 4 panels stays below 20 kB."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was checked: its group, and what holds, in a sentence."""

    group: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a certificate that holds says; `values` are integers, one for each element of the measurement type."""

    task: TaskId
    configuration: TaskConfiguration
    order: PlaceOrder
    batch: int
    rejected: int
    values: list[int]
    half_width: int
    rho: Fraction
    epsilon: float
    delta: float
    operators: int
    checks: list[Check]


ARITHMETIC = "shown by arithmetic"
ONE_HONEST = "holds if one aggregator is honest"
BOTH_HONEST = "holds if both aggregators are honest"
NEVER_SHOWN = "never shown"


def verify_certificate(data: bytes, genesis: Genesis, detached: bytes | None = None) -> Verdict:
    """Check a certificate's bytes; the verdict also says what must be believed.

    1. The headers are signed by the validators that follow from genesis.
    2. Task and configuration are the entries under the header; order, program, panels and attestations are theirs.
    3. Both services signed one batch: its count reaches the minimum, within the heights.
    4. The drawn leaves open: place, permit, token.
    5. The noise scale is as ordered; the privacy loss follows from it.
    6. The posted shares have the stated digests and give the result.

    `detached` are the bytes of `NAME.shares` where the shares do not travel inside. Raises `Malformed`, `BadCertificate`.
    """
    if len(data) > CERTIFICATE_LIMIT:
        raise Malformed(f"{len(data)} bytes are more than the {CERTIFICATE_LIMIT} of any certificate")
    certificate = decode(data, Certificate)
    checks: list[Check] = []
    try:
        for step in (check_headers, check_entries, check_batch, check_leaves, check_noise):
            checks += [Check(group=ARITHMETIC, says=says) for says in step(certificate, genesis)]
        values, says = open_result(certificate, detached)
    except CryptoError as error:
        raise BadCertificate(str(error)) from error
    checks.append(Check(group=ARITHMETIC, says=says))
    return make_verdict(certificate, genesis, values, checks)


def check_headers(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 1: both headers are signed by this chain's validators; the drawing header follows the close at once."""
    validators = order_validators(genesis.validators)
    batch = closed_batch(certificate)
    for signed in (certificate.drawing_header, certificate.state_header):
        verify_header(signed, genesis.chain, validators)
    drawing, state = certificate.drawing_header.header, certificate.state_header.header
    require(
        drawing.height == batch.closed_at + 1,
        f"the leaves are drawn by the header of height {batch.closed_at + 1}, not of {drawing.height}",
    )
    return [
        f"headers {drawing.height} and {state.height} of chain {genesis.chain} are signed by "
        f"{operators(len(genesis.validators))}"
    ]


def check_entries(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 2: one state proof for the task; everything else is a preimage of a digest inside it."""
    configuration, task, order = certificate.configuration, certificate.task, certificate.order
    name = task_id(configuration)
    root = Digest(certificate.state_header.header.app_hash)
    verify_presence(root, entry_key(Collection.TASK, name), encode(task), certificate.task_proof)
    same(
        "order",
        (order_id(configuration.customer, order), order.sampling, order.least_batch, order.seal_key),
        (configuration.order, configuration.sampling, configuration.least_batch, configuration.seal_key),
    )
    same(
        "task's record",
        (task.order, task.leader, task.helper, task.least_batch, task.panels_enrolled),
        (
            configuration.order,
            configuration.leader.account,
            configuration.helper.account,
            configuration.least_batch,
            sum(panel.enrolled for panel in configuration.panels),
        ),
    )
    same("heights", heights_of(task), heights_of(configuration))
    same("chosen leader", order.leader, configuration.leader.account)
    same(
        "program",
        (program_id(certificate.program), certificate.program.measurement),
        (order.program, configuration.measurement),
    )
    same("program's id", configuration.program, order.program)
    same("panels", order.panels, tuple(panel.panel for panel in configuration.panels))
    same("number of panels", len(certificate.panels), len(configuration.panels))
    for certified, panel in zip(certificate.panels, configuration.panels, strict=True):
        check_panel(certified, panel)
    check_attestations(certificate.leader, configuration.leader, configuration.opened_at)
    check_attestations(certificate.helper, configuration.helper, configuration.opened_at)
    enrolled = sum(panel.enrolled for panel in configuration.panels)
    return [
        f"task {name.hex()[:16]} of order {configuration.order.hex()[:16]} stands in the state that header "
        f"{certificate.state_header.header.height} signs",
        f"purpose {purpose_words(order)}; program {order.program.hex()[:16]} "
        f"({certificate.program.measurement.kind.value}); {len(configuration.panels)} panel(s) with {enrolled} persons",
        f"leader {configuration.leader.account.hex()[:16]} and helper {configuration.helper.account.hex()[:16]}, "
        f"attested by {attestors(certificate.leader)} and {attestors(certificate.helper)}",
    ]


def check_panel(certified: CertifiedPanel, panel: TaskPanel) -> None:
    """A panel's descriptor is the one of its id, and the modulus stands at the task's slot under its root."""
    descriptor = certified.descriptor
    same("panel", panel_id(panel.issuer, descriptor), panel.panel)
    same(
        "panel's facts",
        (descriptor.grade, descriptor.slots, descriptor.keys_root),
        (panel.grade, panel.slots, panel.keys_root),
    )
    check_path(panel.keys_root, certified.modulus, panel.slot, panel.slots, list(certified.path))


def check_attestations(certified: CertifiedParty, party: TaskParty, opened_at: int) -> None:
    """The attestations are those that the configuration commits to, and were live when the helper joined."""
    same("attestations", attestations_digest(certified.attestations), party.attestations)
    for attestation in certified.attestations:
        require(
            attestation.until >= opened_at, f"an attestation ended at height {attestation.until}, before {opened_at}"
        )


def check_batch(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 3: one statement, two signatures; enough reports, not more than persons; in time."""
    configuration, batch = certificate.configuration, closed_batch(certificate)
    statement = batch.statement
    same("batch's task", statement.task, task_id(configuration))
    digest = statement_message(statement)
    verify_signature(configuration.leader.key, digest, certificate.leader.signature)
    verify_signature(configuration.helper.key, digest, certificate.helper.signature)
    enrolled = sum(panel.enrolled for panel in configuration.panels)
    require(
        configuration.least_batch <= statement.accepted <= enrolled,
        f"{statement.accepted} reports are not between {configuration.least_batch} (minimum) and {enrolled} (enrolled)",
    )
    require(
        configuration.revoke_until < batch.closed_at <= configuration.close_until,
        f"closed at height {batch.closed_at}, outside {configuration.revoke_until + 1}..{configuration.close_until}",
    )
    return [
        f"both services signed one batch at height {batch.closed_at}: {statement.accepted} accepted (at least "
        f"{configuration.least_batch}, at most {enrolled}), {statement.rejected} rejected, round {statement.round}"
    ]


def check_leaves(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 4: the leaves that the next header draws are in the accepted list, each with permit and token."""
    configuration, statement = certificate.configuration, closed_batch(certificate).statement
    name = task_id(configuration)
    drawn = drawn_indices(hash_header(certificate.drawing_header.header), name, statement.accepted, DRAWN_LEAVES)
    same("drawn places", [opening.index for opening in certificate.leaves], drawn)
    same("drawn reports", len({opening.leaf.slot_key for opening in certificate.leaves}), len(drawn))
    for opening in certificate.leaves:
        check_path(statement.accepted_root, encode(opening.leaf), opening.index, statement.accepted, list(opening.path))
        check_permit(opening, certificate, name)
    return [
        f"{len(drawn)} leaves drawn by header {certificate.drawing_header.header.height} open: permit, token, place"
    ]


def check_permit(opening: LeafOpening, certificate: Certificate, task: TaskId) -> None:
    """A leaf's slot key carries its panel's token for the task's slot, and signed this report for this task."""
    leaf = opening.leaf
    require(
        leaf.panel < len(certificate.panels),
        f"leaf {opening.index} names panel {leaf.panel} of {len(certificate.panels)}",
    )
    verify_token(certificate.panels[leaf.panel].modulus, leaf.slot_key, leaf.token)
    permit = Permit(task=task, report=leaf.report, leader_share=leaf.leader_share, helper_share=leaf.helper_share)
    verify_signature(leaf.slot_key, tagged_hash("permit", encode(permit)), leaf.permit)


def check_noise(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 5: the configuration's noise scale is the order's; the loss follows from it, counted with one noise."""
    order, configuration = certificate.order, certificate.configuration
    same(
        "noise scale",
        (configuration.sigma_numerator, configuration.sigma_denominator),
        (order.sigma_numerator, order.sigma_denominator),
    )
    rho = privacy_loss(configuration)
    return [
        f"noise scale σ = {configuration.sigma_numerator}/{configuration.sigma_denominator} each, as ordered: "
        f"ρ = {float(rho):.4f}, that is ε = {epsilon_of_rho(rho):.2f} at δ = {DELTA:g}"
    ]


def open_result(certificate: Certificate, detached: bytes | None) -> tuple[list[int], str]:
    """Step 6: the shares, inside or beside, have the posted digests; their sum is the result."""
    leader, helper = certificate.leader_share, certificate.helper_share
    if detached is not None:
        require(not leader and not helper, "the shares are inside the certificate and also beside it")
        beside = decode(detached, DetachedShares)
        leader, helper = beside.leader_share, beside.helper_share
        require(
            len(leader) + len(helper) > SHARES_INSIDE,
            f"shares of {len(leader) + len(helper)} bytes travel inside the certificate",
        )
    require(bool(leader and helper), "the shares lie beside this certificate: give the file NAME.shares too")
    task = certificate.task
    same("leader's share", tagged_hash("noised-share", leader), posted(task.leader_share, "leader"))
    same("helper's share", tagged_hash("noised-share", helper), posted(task.helper_share, "helper"))
    values = add_shares(certificate.configuration.measurement, [leader, helper])
    return values, f"the two posted shares have the digests on the ledger and add up to {len(values)} value(s)"


def make_verdict(certificate: Certificate, genesis: Genesis, values: list[int], checks: list[Check]) -> Verdict:
    """Add what the checks do not show, so that nobody takes the certificate for more than it is."""
    configuration, statement = certificate.configuration, closed_batch(certificate).statement
    sigma = Fraction(configuration.sigma_numerator, configuration.sigma_denominator)
    rho = privacy_loss(configuration)
    believed = [
        (
            ONE_HONEST,
            f"{statement.accepted} verified reports of as many distinct persons were counted, none revoked in time",
        ),
        (
            ONE_HONEST,
            f"the batch is released once: a person's privacy loss is at most ε = {epsilon_of_rho(rho):.2f}",
        ),
        (BOTH_HONEST, "the values are the sum of exactly the listed reports and two noises"),
        (NEVER_SHOWN, "that what the persons' records say is true"),
        (NEVER_SHOWN, "that the program ran at the hubs as published"),
        (
            NEVER_SHOWN,
            f"anything against {operators(len(genesis.validators))}, but that two headers of one height prove a fraud",
        ),
    ]
    return Verdict(
        task=task_id(configuration),
        configuration=configuration,
        order=certificate.order,
        batch=statement.accepted,
        rejected=statement.rejected,
        values=values,
        half_width=half_width(sigma),
        rho=rho,
        epsilon=epsilon_of_rho(rho),
        delta=float(DELTA),
        operators=len(genesis.validators),
        checks=checks + [Check(group=group, says=says) for group, says in believed],
    )


def closed_batch(certificate: Certificate) -> Batch:
    """The batch of the certificate's task; a task that was never closed has no certificate."""
    if certificate.task.batch is None:
        raise BadCertificate("the task has no closed batch")
    return certificate.task.batch


def privacy_loss(configuration: TaskConfiguration) -> Fraction:
    """ρ of one release (zero-concentrated differential privacy), with one of the two noises."""
    sigma = Fraction(configuration.sigma_numerator, configuration.sigma_denominator)
    return rho_of(sigma, squared_sensitivity(configuration.measurement))


def posted(share: PostedShare | None, party: str) -> Digest:
    if share is None:
        raise BadCertificate(f"the {party} posted no share")
    return share.share_digest


def heights_of(thing: Any) -> tuple[int, ...]:
    return (
        thing.opened_at,
        thing.upload_until,
        thing.revoke_until,
        thing.close_until,
        thing.share_until,
        thing.accept_until,
    )


def attestors(party: CertifiedParty) -> str:
    return ", ".join(sorted({attestation.attestor.hex()[:16] for attestation in party.attestations})) or "nobody"


def purpose_words(order: PlaceOrder) -> str:
    return f"DUO:{order.purpose.permission.value:07d} ({order.purpose.permission.name})"


def operators(count: int) -> str:
    """Who keeps the ledger; one operator is said wherever it shows."""
    return "its one operator" if count == 1 else f"more than two thirds of its {count} validators"


def same(what: str, found: object, stated: object) -> None:
    require(found == stated, f"the {what} is not the one that the ledger's entry commits to")


def require(holds: bool, otherwise: str) -> None:
    """Refuse a certificate whose claim does not hold."""
    if not holds:
        raise BadCertificate(otherwise)
