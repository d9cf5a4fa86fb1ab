"""A certificate, checked offline against the genesis file: what arithmetic shows, and what must be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from edgehold.crypto.blind import verify_token
from edgehold.crypto.merkle import check_path, verify_presence
from edgehold.crypto.names import (
    attestations_digest,
    network_id,
    noised_share_digest,
    order_id,
    panel_id,
    permit_message,
    program_id,
    statement_message,
    task_id,
)
from edgehold.crypto.signatures import verify as verify_signature
from edgehold.errors import BadCertificate, CryptoError, Malformed
from edgehold.ledger.genesis import found_network, founding_accreditors
from edgehold.ledger.rules.programs import is_well_bounded
from edgehold.ledger.shares import ALLOWANCE, is_possible
from edgehold.ledger.state import is_live
from edgehold.policy.accuracy import half_width
from edgehold.policy.budget import DELTA, epsilon_of_rho, rho_of, squared_sensitivity
from edgehold.vdaf.field import add_shares, share_size
from edgehold.verify.batch import drawn_indices
from edgehold.verify.header import hash_header, order_validators, verify_header
from edgehold.verify.light import validators_at, verify_changes
from edgehold.wire.account import Attestation, Claim
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
from edgehold.wire.ids import AccountId, Digest, TaskId
from edgehold.wire.order import PlaceOrder
from edgehold.wire.program import PublishProgram
from edgehold.wire.task import Outcome, PostedShare, Task, TaskConfiguration, TaskPanel, TaskParty

CERTIFICATE_LIMIT = 128 * 1024
"""Bytes. At 100,000 reports, 4 panels and one validator a certificate stays below 20 kB; votes of many validators and
attestations by many accreditors make it longer, and so does each change of the validators since genesis (0.9 kB with
four of them)."""

UNDISPUTED = (None, Outcome.ACCEPTED, Outcome.UNCONTESTED)
"""How a task may have ended, or not yet, whose result stands."""


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
    6. The posted shares have the stated digests and give the result, which lies in its range.

    `genesis` is one that `read_genesis` has checked; `detached` are the bytes of `NAME.shares` where the shares do not
    travel inside. Headers name their chain only; the task's configuration names the network. Raises `Malformed`,
    `BadCertificate`.
    """
    if len(data) > CERTIFICATE_LIMIT:
        raise Malformed(f"{len(data)} bytes are more than the {CERTIFICATE_LIMIT} of any certificate")
    certificate = decode(data, Certificate)
    checks: list[Check] = []
    try:
        for step in (check_headers, check_entries, check_batch, check_leaves, check_noise):
            checks += [Check(group=ARITHMETIC, says=says) for says in step(certificate, genesis)]
        values = open_result(certificate, detached)
    except CryptoError as error:
        raise BadCertificate(str(error)) from error
    checks.append(Check(group=ARITHMETIC, says=result_words(values)))
    return make_verdict(certificate, values, checks, later_accreditors(certificate, genesis))


# ── 1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_headers(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 1: both headers are signed by the validators of their height; the drawing header follows the close at once."""
    reigns = verify_changes(certificate.changes, genesis.chain, order_validators(genesis.validators))
    batch = closed_batch(certificate)
    for signed in (certificate.drawing_header, certificate.state_header):
        verify_header(signed, genesis.chain, validators_at(reigns, signed.header.height))
    drawing, state = certificate.drawing_header.header, certificate.state_header.header
    require(
        drawing.height == batch.closed_at + 1,
        f"the leaves are drawn by the header of height {batch.closed_at + 1}, not of {drawing.height}",
    )
    return [
        f"headers {drawing.height} and {state.height} of chain {genesis.chain} are signed by "
        f"{operators(signers(certificate))}"
    ]


# ── 2 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_entries(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 2: one state proof for the task; everything else is a preimage of a digest inside it.

    The task's id is the digest of its configuration, so that no term of it can be another than the ledger's rule wrote.
    What the rule made sure of is checked again all the same, as far as the file shows it: a ledger that breaks its own
    rules is not believed because it signs.
    """
    configuration, order = certificate.configuration, certificate.order
    same("network", configuration.network, network_id(genesis))
    check_record(certificate)
    check_order(order, configuration)
    check_program(certificate.program, configuration)
    check_panels(certificate)
    check_services(certificate)
    return [
        f"task {task_id(configuration).hex()[:16]} of order {configuration.order.hex()[:16]} stands in the state that "
        f"header {certificate.state_header.header.height} signs",
        f"purpose {purpose_words(order)}; program {order.program.hex()[:16]} "
        f"({certificate.program.measurement.kind.value}); {len(configuration.panels)} panel(s) with "
        f"{persons_enrolled(configuration)} persons",
        f"leader {configuration.leader.account.hex()[:16]} ({attested_words(certificate.leader)}) and helper "
        f"{configuration.helper.account.hex()[:16]} ({attested_words(certificate.helper)})",
    ]


def check_record(certificate: Certificate) -> None:
    """The task's entry stands under the header, repeats its configuration, and ended, if it did, in peace."""
    configuration, task = certificate.configuration, certificate.task
    root = Digest(certificate.state_header.header.app_hash)
    verify_presence(root, entry_key(Collection.TASK, task_id(configuration)), encode(task), certificate.task_proof)
    same(
        "task's record",
        (task.order, task.leader, task.helper, task.least_batch, task.panels_enrolled),
        (
            configuration.order,
            configuration.leader.account,
            configuration.helper.account,
            configuration.least_batch,
            persons_enrolled(configuration),
        ),
    )
    same("heights of the task's record", heights_of(task), heights_of(configuration))
    require(task.outcome in UNDISPUTED, f"the task ended as {task.outcome}: its result does not stand")


def check_order(order: PlaceOrder, configuration: TaskConfiguration) -> None:
    """The order is the one the task was made of, and the task has its terms: whom, which program, panels, heights."""
    same("order", order_id(configuration.customer, order), configuration.order)
    same(
        "order's terms",
        (order.sampling, order.least_batch, order.seal_key, order.leader, order.program),
        (
            configuration.sampling,
            configuration.least_batch,
            configuration.seal_key,
            configuration.leader.account,
            configuration.program,
        ),
    )
    same("order's panels", order.panels, tuple(panel.panel for panel in configuration.panels))
    schedule = order.schedule
    same(
        "order's schedule",
        [later - earlier for earlier, later in pairwise(heights_of(configuration))],
        [schedule.upload, schedule.revoke, schedule.close, schedule.share, schedule.accept],
    )


def check_program(program: PublishProgram, configuration: TaskConfiguration) -> None:
    """The program is the one of its id, and the task measures what it declares."""
    same("program", program_id(program), configuration.program)
    same("program's measurement", program.measurement, configuration.measurement)
    require(is_well_bounded(program.measurement), "the program's measurement is no well-bounded one")


def check_panels(certificate: Certificate) -> None:
    """Each panel is the task's, suits the program, and shows the key of the task's slot."""
    configuration, program = certificate.configuration, certificate.program
    same("number of panels", len(certificate.panels), len(configuration.panels))
    for certified, panel in zip(certificate.panels, configuration.panels, strict=True):
        check_panel(certified, panel)
        offered = certified.descriptor
        require(
            program.schema in offered.schemas and set(program.kinds) <= set(offered.kinds),
            f"panel {panel.panel.hex()} does not offer what the program reads",
        )


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


def check_services(certificate: Certificate) -> None:
    """Leader, helper and customer are three; an accreditor who attests nothing of the leader vouches for the helper."""
    configuration, leader, helper = certificate.configuration, certificate.leader, certificate.helper
    parties = {configuration.customer, configuration.leader.account, configuration.helper.account}
    require(len(parties) == 3, "leader, helper and customer are not three")
    for certified, party in ((leader, configuration.leader), (helper, configuration.helper)):
        check_attestations(certified, party, configuration.opened_at)
    leaders = {attestation.attestor for attestation in leader.attestations}
    require(
        any(one.claim is Claim.INDEPENDENT and one.attestor not in leaders for one in helper.attestations),
        "no accreditor but the leader's own attests that the helper is independent",
    )


def check_attestations(certified: CertifiedParty, party: TaskParty, opened_at: int) -> None:
    """The attestations are those the configuration commits to, and were live when the helper joined.

    Who may attest is the members' decision, which as many of them take as sign headers: the verdict names attestors
    whom genesis does not.
    """
    same("attestations", attestations_digest(certified.attestations), party.attestations)
    places = [place_of(attestation) for attestation in certified.attestations]
    require(places == sorted(set(places)), "the attestations do not ascend by attestor and claim")
    for attestation in certified.attestations:
        require(
            is_live(attestation, opened_at),
            f"an attestation by {attestation.attestor.hex()} did not hold at height {opened_at}",
        )


# ── 3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_batch(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 3: one statement, two signatures; enough reports, not more than persons; closed and shared in time."""
    configuration, batch = certificate.configuration, closed_batch(certificate)
    statement = batch.statement
    same("batch's task", statement.task, task_id(configuration))
    digest = statement_message(statement)
    verify_signature(configuration.leader.key, digest, certificate.leader.signature)
    verify_signature(configuration.helper.key, digest, certificate.helper.signature)
    enrolled = persons_enrolled(configuration)
    require(
        configuration.least_batch <= statement.accepted <= enrolled,
        f"{statement.accepted} reports are not between {configuration.least_batch} (minimum) and {enrolled} (enrolled)",
    )
    require_within("closed", batch.closed_at, configuration.revoke_until + 1, configuration.close_until)
    for party, share in posted_shares(certificate.task).items():
        require_within(f"{party} posted its share", share.at, batch.closed_at + 2, configuration.share_until)
    return [
        f"both services signed one batch at height {batch.closed_at}: {statement.accepted} accepted (at least "
        f"{configuration.least_batch}, at most {enrolled}), {statement.rejected} rejected, round {statement.round}"
    ]


# ── 4 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_leaves(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 4: the leaves that the next header draws are in the accepted list, each with permit and token.

    It shows that these eight reports were permitted for this task, by eight slot keys of its panels. The services fixed
    the list before the header existed: if a part f of the list were invented, the check would pass with probability
    (1 − f)⁸ at most, for a tenth 43 %, unless whoever makes that header chose it for them. It does not show that the
    shares are the sum of these reports.
    """
    configuration, statement = certificate.configuration, closed_batch(certificate).statement
    name = task_id(configuration)
    drawn = drawn_indices(hash_header(certificate.drawing_header.header), name, statement.accepted, DRAWN_LEAVES)
    same_places = [opening.index for opening in certificate.leaves] == drawn
    require(same_places, f"the header draws leaves {drawn}, and the certificate opens others")
    leaves = [opening.leaf for opening in certificate.leaves]
    require(len({leaf.slot_key for leaf in leaves}) == len(leaves), "two drawn leaves have one slot key")
    require(
        all(earlier.report < later.report for earlier, later in pairwise(leaves)),
        "the drawn leaves do not ascend by report id",
    )
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
    verify_signature(leaf.slot_key, permit_message(permit), leaf.permit)


# ── 5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_noise(certificate: Certificate, genesis: Genesis) -> list[str]:
    """Step 5: the configuration's noise scale is the order's; the loss follows from it, counted with one noise."""
    order, configuration = certificate.order, certificate.configuration
    same(
        "noise scale",
        (order.sigma_numerator, order.sigma_denominator),
        (configuration.sigma_numerator, configuration.sigma_denominator),
    )
    rho = privacy_loss(configuration)
    return [
        f"noise scale σ = {noise_scale(configuration)} each, as ordered: "
        f"ρ = {float(rho):.4g}, that is ε = {epsilon_of_rho(rho):.2f} at δ = {DELTA:g}"
    ]


# ── 6 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def open_result(certificate: Certificate, detached: bytes | None) -> list[int]:
    """Step 6: the shares, inside or beside, have the posted digests; their sum is the result, and could be honest."""
    configuration, task = certificate.configuration, certificate.task
    shares = shares_of(certificate, detached)
    for (party, posted), share in zip(posted_shares(task).items(), shares, strict=True):
        same(f"{party}'s share", noised_share_digest(share), posted.share_digest)
    require(
        is_possible(configuration, closed_batch(certificate).statement.accepted, shares),
        f"a value lies more than {ALLOWANCE} standard deviations outside what the reports can add up to: the services "
        "did not sum the same reports",
    )
    return add_shares(configuration.measurement, shares)


def shares_of(certificate: Certificate, detached: bytes | None) -> tuple[bytes, bytes]:
    """The leader's and the helper's noised share, from the one place where shares of this measurement travel."""
    inside = (certificate.leader_share, certificate.helper_share)
    if travel_inside(certificate.configuration):
        require(detached is None, "the shares are inside this certificate, nothing belongs beside it")
        return inside
    require(inside == (b"", b""), "shares of this size lie beside a certificate, not inside")
    if detached is None:
        raise BadCertificate("the shares lie beside this certificate: give the file NAME.shares too")
    beside = decode(detached, DetachedShares)
    return beside.leader_share, beside.helper_share


def travel_inside(configuration: TaskConfiguration) -> bool:
    """Whether the two shares of a task are small enough to travel inside the certificate."""
    return 2 * share_size(configuration.measurement) <= SHARES_INSIDE


# ── what it says ──────────────────────────────────────────────────────────────────────────────────────────────────


def make_verdict(
    certificate: Certificate, values: list[int], checks: list[Check], later: Sequence[AccountId]
) -> Verdict:
    """Add what the checks do not show, so that nobody takes the certificate for more than it is."""
    configuration, statement = certificate.configuration, closed_batch(certificate).statement
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
            f"anything against {operators(signers(certificate))}, but that two headers of one height prove a fraud",
        ),
    ]
    if certificate.changes:
        believed.append((NEVER_SHOWN, "that none of the sets of validators that were replaced signed another history"))
    believed += [
        (NEVER_SHOWN, f"that the members made {one.hex()[:16]}, whom genesis does not name, an accreditor: they say so")
        for one in later
    ]
    return Verdict(
        task=task_id(configuration),
        configuration=configuration,
        order=certificate.order,
        batch=statement.accepted,
        rejected=statement.rejected,
        values=values,
        half_width=half_width(noise_scale(configuration)),
        rho=rho,
        epsilon=epsilon_of_rho(rho),
        delta=float(DELTA),
        operators=signers(certificate),
        checks=checks + [Check(group=group, says=says) for group, says in believed],
    )


def later_accreditors(certificate: Certificate, genesis: Genesis) -> list[AccountId]:
    """Who attested something of the services, and is no accreditor of genesis nor the members together."""
    known = {*founding_accreditors(genesis), found_network(genesis).members}
    attested = (*certificate.leader.attestations, *certificate.helper.attestations)
    return sorted({one.attestor for one in attested} - known)


def closed_batch(certificate: Certificate) -> Batch:
    """The batch of the certificate's task; a task that was never closed has no certificate."""
    if certificate.task.batch is None:
        raise BadCertificate("the task has no closed batch")
    return certificate.task.batch


def posted_shares(task: Task) -> dict[str, PostedShare]:
    """Both posted shares, the leader's first; without both of them there is no certificate."""
    if task.leader_share is None or task.helper_share is None:
        raise BadCertificate("the services did not both post a share")
    return {"leader": task.leader_share, "helper": task.helper_share}


def noise_scale(configuration: TaskConfiguration) -> Fraction:
    """σ of one aggregator's noise."""
    return Fraction(configuration.sigma_numerator, configuration.sigma_denominator)


def privacy_loss(configuration: TaskConfiguration) -> Fraction:
    """ρ of one release (zero-concentrated differential privacy), with one of the two noises."""
    return rho_of(noise_scale(configuration), squared_sensitivity(configuration.measurement))


def persons_enrolled(configuration: TaskConfiguration) -> int:
    """How many persons the task's panels have together."""
    return sum(panel.enrolled for panel in configuration.panels)


def heights_of(thing: Task | TaskConfiguration) -> tuple[int, ...]:
    """When a task opened, and until when each of its phases lasts."""
    return (
        thing.opened_at,
        thing.upload_until,
        thing.revoke_until,
        thing.close_until,
        thing.share_until,
        thing.accept_until,
    )


def place_of(attestation: Attestation) -> tuple[AccountId, str]:
    """By what attestations of one account are told apart and sorted."""
    return attestation.attestor, attestation.claim.value


def attested_words(party: CertifiedParty) -> str:
    """What was attested of a service, and by whom."""
    return ", ".join(f"{one.claim.value} by {one.attestor.hex()[:16]}" for one in party.attestations) or "not attested"


def purpose_words(order: PlaceOrder) -> str:
    """An order's purpose by its official id."""
    return f"DUO:{order.purpose.permission.value:07d} ({order.purpose.permission.name})"


def result_words(values: Sequence[int]) -> str:
    """What the last step found."""
    return f"the two posted shares have the digests on the ledger and add up to {len(values)} value(s), all in range"


def signers(certificate: Certificate) -> int:
    """How many validators the state's header has; each has its place in the commit."""
    return len(certificate.state_header.commit.signatures)


def operators(count: int) -> str:
    """Who keeps the ledger; one operator is said wherever it shows."""
    return "its one operator" if count == 1 else f"more than two thirds of its {count} validators"


def same(what: str, found: object, stated: object) -> None:
    """Refuse a part that is not the one the ledger's entry commits to."""
    require(found == stated, f"the {what} is not the one that the ledger's entry commits to")


def require_within(what: str, height: int, first: int, last: int) -> None:
    """Refuse what happened outside its heights, both inclusive."""
    require(first <= height <= last, f"{what} at height {height}, outside {first}..{last}")


def require(holds: bool, otherwise: str) -> None:
    """Refuse a certificate whose claim does not hold."""
    if not holds:
        raise BadCertificate(otherwise)
