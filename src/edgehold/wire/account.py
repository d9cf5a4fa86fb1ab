"""Who takes part: accounts, the sponsors behind them, and what accreditors attest about them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from edgehold.wire.ids import AccountId, Counter, Credits, Digest, Height, PublicKey, Signature


class Role(StrEnum):
    """What an account may do by itself; everything else needs an attestation."""

    HUB = "hub"
    ORGANISATION = "organisation"


class Claim(StrEnum):
    """What an accreditor attests about an organisation."""

    VERIFIED = "verified-organisation"
    ACCREDITED = "accredited-service"
    INDEPENDENT = "independent-aggregator"
    ISSUER = "issuer"
    AUDITOR = "auditor"
    ETHICS = "ethics-approval"
    NOT_FOR_PROFIT = "not-for-profit"


class OpenAccount(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """The sender sponsors a new account: an accreditor an organisation, an issuer a person's hub (quota per period)."""

    role: Role
    key: PublicKey
    owner_key: PublicKey | None  # the offline key above the hub key; organisations have none
    possession: Signature  # by `key` over tagged_hash("open-account", network ‖ sponsor ‖ key)


class Attest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """An accreditor states a claim about an account until a height."""

    subject: AccountId
    claim: Claim
    until: Height
    statement: Digest  # of the document behind it, kept by the accreditor


class WithdrawAttestation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The accreditor takes its own attestation back, from the next height on."""

    subject: AccountId
    claim: Claim


class Transfer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Credits move from the sender to another account."""

    to: AccountId
    credits: Credits


class Account(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one party. `hubs_sponsored` counts within `quota_period`."""

    role: Role
    key: PublicKey
    owner_key: PublicKey | None
    sponsor: AccountId | None  # None: named in genesis
    credits: Credits
    opened_at: Height
    quota_period: Counter
    hubs_sponsored: Counter


class Attestation(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one claim of one attestor about one account."""

    attestor: AccountId
    claim: Claim
    since: Height
    until: Height
    statement: Digest
    withdrawn_at: Height | None
