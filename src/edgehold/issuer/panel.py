"""The enrolment visit: what an issuer checks before it signs a person's slot keys, and that it signs all slots at once.

It is shown one leaf with its salt and path, uses them, and keeps nothing of them: who keeps salts can link a hub's root
after an erasure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgehold.crypto.blind import BlindSigner, blind_sign
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.signatures import verify
from edgehold.errors import BadProof, EnrolledBefore, NotAnAdult, NotInvited, NotTheRecord, PanelNotOpen, RootDiffers
from edgehold.issuer.register import Enrolment, Person, Register
from edgehold.ledger.state import State, find_account, find_panel, find_root
from edgehold.ports import Ledger, Randomness
from edgehold.verify.opening import verify_opening
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import encode
from edgehold.wire.data import Grade
from edgehold.wire.enrolment import BlindSignature, Enrol, Enrolled, Visit
from edgehold.wire.ids import AccountId, PanelId
from edgehold.wire.panel import DeclarePanel


@dataclass
class Desk:
    """What an issuer has at hand on a visit; parsed keys are kept, since parsing one costs as much as signing."""

    ledger: Ledger
    register: Register
    issuer: AccountId
    randomness: Randomness
    proofs: ProofCache = field(default_factory=ProofCache)
    signers: dict[PanelId, list[BlindSigner]] = field(default_factory=dict)

    def signers_of(self, panel: PanelId) -> list[BlindSigner]:
        """The panel's slot keys, ready to sign."""
        if panel not in self.signers:
            self.signers[panel] = [BlindSigner(private) for private in self.register.private_keys(panel)]
        return self.signers[panel]


def enrol(desk: Desk, asked: Enrol) -> Enrolled:
    """Enrol the person behind a hub into a panel.

    1. The hub's account signed the visit, for this network.
    2. The account belongs to a person of this issuer, an adult.
    3. The panel is this issuer's, open here and on the ledger, and has room; one blinded key a slot was sent.
    4. The person has no place yet in this scheme and period, or asks again for the same.
    5. The leaf shown is that of a record signed for this person, of a kind and schema of the panel, not erased.
    6. The leaf stands under the hub's live root.
    7. All slots are signed in one batch; the answer leaves when the place is noted durably.
    """
    visit = asked.visit
    # 1
    state, _ = proved_state(desk.ledger, desk.proofs)
    account = find_account(state, visit.account)
    if account is None or visit.network != state.network.id:
        raise NotInvited(f"account {visit.account.hex()} is not open in this network")
    verify(account.key, tagged_hash("visit", encode(visit)), asked.signature)
    # 2
    person = desk.register.person_of(visit.account)
    if person is None:
        raise NotInvited(f"account {visit.account.hex()} belongs to nobody who was here")
    if not person.adult:
        raise NotAnAdult(f"the person of account {visit.account.hex()} is a minor")
    # 3, 4
    descriptor = _open_panel(desk, visit)
    request = tagged_hash("blinded-keys", encode([visit.panel, visit.account, visit.blinded]))
    before = desk.register.enrolment(descriptor, person.reference)
    if before not in (None, Enrolment(visit.panel, request)):
        raise EnrolledBefore(f"in scheme {descriptor.scheme}, period {descriptor.period}")
    if before is None:
        _check_room(desk, state, visit.panel)
        _check_record(desk, visit, descriptor, person)  # 5
        _check_root(state, visit)  # 6
    # 7
    requests = list(zip(desk.signers_of(visit.panel), visit.blinded, strict=True))
    signatures = blind_sign(requests, desk.randomness.draw(32))
    if before is None:
        desk.register.enrol(descriptor, person.reference, Enrolment(visit.panel, request))
    return Enrolled(panel=visit.panel, signatures=tuple(BlindSignature(one) for one in signatures))


def _open_panel(desk: Desk, visit: Visit) -> DeclarePanel:
    """The descriptor of the panel that is visited, if its keys were asked for slot by slot."""
    known = desk.register.panel(visit.panel)
    if known is None:
        raise PanelNotOpen(f"panel {visit.panel.hex()} is not one of issuer {desk.issuer.hex()}")
    descriptor, _ = known
    if len(visit.blinded) != descriptor.slots:
        raise PanelNotOpen(
            f"panel {visit.panel.hex()} has {descriptor.slots} slots, {len(visit.blinded)} keys were sent"
        )
    return descriptor


def _check_record(desk: Desk, visit: Visit, descriptor: DeclarePanel, person: Person) -> None:
    shown = visit.opening.descriptor
    if shown.tombstone or shown.kind not in descriptor.kinds or shown.schema not in descriptor.schemas:
        raise NotTheRecord(
            f"a leaf of kind {shown.kind.value} and schema {shown.schema} is not what the panel asks for"
        )
    if descriptor.grade is Grade.SIGNED and (
        shown.signature is None
        or not desk.register.is_record_of(person.reference, shown.signature, visit.opening.commitment)
    ):
        raise NotTheRecord("the issuer signed no such record for this person")


def _check_root(state: State, visit: Visit) -> None:
    root = find_root(state, visit.account)
    if root is None:
        raise RootDiffers(f"account {visit.account.hex()} has no root on the ledger")
    try:
        verify_opening(root.root, visit.opening)
    except BadProof as error:
        raise RootDiffers(f"the root of height {root.at} does not hold the leaf: {error}") from error


def _check_room(desk: Desk, state: State, panel: PanelId) -> None:
    known, entry = desk.register.panel(panel), find_panel(state, panel)
    if known is None or known[1] or entry is None or entry.closed_at is not None:
        raise PanelNotOpen(f"panel {panel.hex()} is closed, or not on the ledger")
    most = state.parameters.most_panel
    if desk.register.enrolled(panel) >= most:
        raise PanelNotOpen(f"panel {panel.hex()} has its {most} persons")
