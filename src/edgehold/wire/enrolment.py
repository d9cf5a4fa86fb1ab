"""Enrolment: what a hub and an issuer say to each other, from the new account to the signed slot keys."""

from __future__ import annotations

from typing import Annotated, NewType, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.data import LeafOpening
from edgehold.wire.ids import AccountId, Digest, Modulus, NetworkId, PanelId, PublicKey, Signature

MAX_SLOTS = 256

Invitation = NewType("Invitation", Annotated[bytes, Meta(min_length=16, max_length=16)])
"""A one-time code that the issuer hands to a person with a record; it tells the issuer, and nobody else, who comes."""

Blinded = NewType("Blinded", Annotated[bytes, Meta(min_length=256, max_length=256)])
"""A blinded slot key (RFC 9474, section 4.2)."""

BlindSignature = NewType("BlindSignature", Annotated[bytes, Meta(min_length=256, max_length=256)])
"""The issuer's answer to a blinded slot key (RFC 9474, section 4.3)."""


class AskAccount(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """A person's new hub asks its issuer to sponsor an account on the ledger."""

    invitation: Invitation
    key: PublicKey
    owner_key: PublicKey
    possession: Signature  # by `key`, as in `wire.account.OpenAccount`


class AccountAsked(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The issuer sent the entry that opens the account; its receipt is found under this envelope's digest."""

    envelope: Digest


class AskPanelKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """A hub asks for the slot verification keys of a panel; they are public."""

    panel: PanelId


class PanelKeys(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """The moduli in slot order; their tree is the panel's `keys_root` on the ledger."""

    panel: PanelId
    moduli: Annotated[tuple[Modulus, ...], Meta(min_length=1, max_length=MAX_SLOTS)]


class Visit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a hub signs (under tagged_hash "visit") to enrol: who it is, what it holds, one blinded key a slot."""

    network: NetworkId
    panel: PanelId
    account: AccountId
    opening: LeafOpening  # of a record that the issuer signed for this person
    blinded: Annotated[tuple[Blinded, ...], Meta(min_length=1, max_length=MAX_SLOTS)]  # in slot order


class Enrol(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """A hub asks for the blind signatures of all slots of a panel at once."""

    visit: Visit
    signature: Signature  # by the hub key


class Enrolled(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """One blind signature a slot, in slot order; the same request has the same answer."""

    panel: PanelId
    signatures: Annotated[tuple[BlindSignature, ...], Meta(min_length=1, max_length=MAX_SLOTS)]


class Declined(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7):
    """The issuer says no: the number of the error and its facts."""

    number: Annotated[int, Meta(ge=0, lt=1000)]
    facts: Annotated[str, Meta(max_length=400)]


ToIssuer: TypeAlias = AskAccount | AskPanelKeys | Enrol
FromIssuer: TypeAlias = AccountAsked | PanelKeys | Enrolled | Declined
