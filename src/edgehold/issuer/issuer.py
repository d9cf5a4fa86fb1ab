"""The issuer: a clinic, laboratory or registry that signs the records it hands out and enrols those they belong to.

It answers hubs by messages (`handle`), sponsors their accounts, declares and closes panels, and attests nothing. What
an enrolment visit is made of stands in `issuer.panel`.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import assert_never

import msgspec
from msgspec import Struct

from edgehold.crypto.blind import make_issuer_keys
from edgehold.crypto.jws import sign_detached
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import account_id, panel_id, possession_message
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.crypto.transactions import sign_transaction
from edgehold.errors import EdgeholdError, NotFhir, NotInvited, PanelNotOpen
from edgehold.issuer.panel import Desk, enrol
from edgehold.issuer.register import Register
from edgehold.ports import Ledger, Randomness
from edgehold.verify.opening import record_commitment, signature_digest
from edgehold.verify.view import ProofCache
from edgehold.wire.account import OpenAccount, Role
from edgehold.wire.codec import decode, decode_json, encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.enrolment import (
    AccountAsked,
    AskAccount,
    AskPanelKeys,
    Declined,
    Enrol,
    FromIssuer,
    Invitation,
    PanelKeys,
    ToIssuer,
)
from edgehold.wire.ids import AccountId, Digest, Modulus, PanelId
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.tx import Body

ADULT_YEARS = 18

EXPIRY = 100
"""Heights within which a transaction of the issuer takes effect or is sent anew."""


@dataclass(frozen=True)
class SignedRecord:
    """What a person takes home beside the record itself."""

    signature: bytes
    """The detached JWS, for `x.json.jws`."""
    invitation: Invitation
    """Opens the account of this person's hub, once."""
    adult: bool


class Issuer:
    """One issuer with its account, its register and its view of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        register: Register,
        key: SigningKey,
        account: AccountId,
        randomness: Randomness,
        proofs: ProofCache | None = None,
    ) -> None:
        self.account = account
        self._ledger = ledger
        self._register = register
        self._key = key
        self._randomness = randomness
        self._desk = Desk(ledger, register, account, randomness, proofs or ProofCache())

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def sign_record(self, record: bytes, today: date, person: str | None = None) -> SignedRecord:
        """Sign a FHIR bundle over its exact bytes and note to whom it was handed.

        `person` is the issuer's reference to the person, by default the id of the bundle's Patient; whether an adult
        follows from Patient.birthDate and `today`. Raises `NotFhir` if the bundle has not one
        Patient with both.
        """
        reference, born = read_patient(record)
        signature = sign_detached(record, self.account, self._key.sign)
        adult = is_adult(born, today)
        invitation = self._register.add_record(
            person or reference,
            adult=adult,
            invitation=Invitation(self._randomness.draw(16)),
            signature=signature_digest(signature),
            commitment=record_commitment(record),
        )
        return SignedRecord(signature=signature, invitation=invitation, adult=adult)

    # ── panels ────────────────────────────────────────────────────────────────────────────────────────────────────

    def declare_panel(
        self,
        *,
        scheme: str,
        period: int,
        number: int,
        slots: int,
        schemas: tuple[str, ...],
        kinds: tuple[Kind, ...] = (Kind.EHR,),
        grade: Grade = Grade.SIGNED,
    ) -> PanelId:
        """Make the slots' RSA keys (0.1 s each and core), keep them sealed, and declare the panel on the ledger.

        The panel exists from the block that takes the entry on.
        """
        keys = make_issuer_keys([self._randomness.draw(32) for _ in range(slots)])
        descriptor = DeclarePanel(
            scheme=scheme,
            period=period,
            number=number,
            kinds=tuple(sorted(kinds)),
            grade=grade,
            schemas=tuple(sorted(schemas)),
            slots=slots,
            keys_root=tree_root([key.modulus for key in keys]),
        )
        panel = panel_id(self.account, descriptor)
        self._register.add_panel(panel, descriptor, keys, self._randomness)
        self._submit(descriptor)
        return panel

    def close_panel(self, panel: PanelId) -> int:
        """End the enrolment and state the total on the ledger; returns it. Raises `PanelNotOpen`."""
        if self._register.panel(panel) is None:
            raise PanelNotOpen(f"panel {panel.hex()} is not one of issuer {self.account.hex()}")
        enrolled = self._register.close_panel(panel)
        self._submit(ClosePanel(panel=panel, enrolled=enrolled))
        return enrolled

    def moduli(self, panel: PanelId) -> tuple[Modulus, ...]:
        """The slot verification keys of a panel, in slot order (`ports.PanelKeys`). Raises `PanelNotOpen`."""
        moduli = self._register.moduli(panel)
        if not moduli:
            raise PanelNotOpen(f"panel {panel.hex()} is not one of issuer {self.account.hex()}")
        return tuple(moduli)

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, message: bytes) -> bytes:
        """Answer a hub. A refusal is an answer (`Declined`), and whatever was refused left no trace."""
        return encode(self._answer(message))

    def _answer(self, message: bytes) -> FromIssuer:
        try:
            asked: ToIssuer = decode(message, ToIssuer)
            match asked:
                case AskAccount():
                    return self._sponsor(asked)
                case AskPanelKeys(panel):
                    return PanelKeys(panel=panel, moduli=self.moduli(panel))
                case Enrol():
                    return enrol(self._desk, asked)
                case _:
                    assert_never(asked)
        except EdgeholdError as error:
            return Declined(number=error.number, facts=str(error)[:400])

    def _sponsor(self, asked: AskAccount) -> AccountAsked:
        """Open an account for an invited person's hub; a person has one, the same request again is sent again.

        Whether the hub holds the key is asked here already: a person bound to a key that the ledger refuses had none.
        """
        account = account_id(Role.HUB, asked.key)
        person = self._register.person_invited(asked.invitation)
        if person is None or person.account not in (None, account):
            raise NotInvited("the invitation is unknown or was used for another hub")
        if self._register.person_of(account) not in (None, person):
            raise NotInvited("the hub belongs to somebody else")
        verify(asked.key, possession_message(self._ledger.network, self.account, asked.key), asked.possession)
        self._register.set_account(person.reference, account)
        opening = OpenAccount(role=Role.HUB, key=asked.key, owner_key=asked.owner_key, possession=asked.possession)
        return AccountAsked(envelope=self._submit(opening))

    def _submit(self, body: Body) -> Digest:
        expires = self._ledger.height() + EXPIRY
        return self._ledger.submit(sign_transaction(self._key, self._ledger.network, self.account, expires, body))


def is_adult(born: date, today: date) -> bool:
    """Whether somebody has had the eighteenth birthday; who was born on 29 February has it on 1 March."""
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years >= ADULT_YEARS


class Patient(Struct, rename="camel"):
    """A resource of which only the person's id and birth date are looked at."""

    resource_type: str
    id: str | None = None
    birth_date: str | None = None


class _Entry(Struct):
    resource: Patient


class _Bundle(Struct):
    entry: list[_Entry]


def read_patient(record: bytes) -> tuple[str, date]:
    """Id and birth date of the one person of a FHIR bundle; raises `NotFhir` if there is not exactly one with both."""
    try:
        entries = decode_json(record, _Bundle).entry
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotFhir(f"the record is not a bundle of resources: {type(error).__name__}") from error
    patients = [entry.resource for entry in entries if entry.resource.resource_type == "Patient"]
    if len(patients) != 1:
        raise NotFhir(f"the record has {len(patients)} Patient resources, not one")
    patient = patients[0]
    if patient.id is None or patient.birth_date is None:
        raise NotFhir("the Patient has no id or birthDate")
    return patient.id, _birth_date(patient.birth_date)


def _birth_date(text: str) -> date:
    """A FHIR date; a year or month alone counts as its last day, so that nobody is taken for older than they are."""
    try:
        year, month, day = (int(part) for part in [*text.split("-"), "0", "0"][:3])
        month = month or 12
        return date(year, month, day or monthrange(year, month)[1])
    except (ValueError, OverflowError) as error:
        raise NotFhir("Patient.birthDate is not a date") from error
