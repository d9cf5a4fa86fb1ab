"""Accounts, what accreditors attest about them, and the credits they hold."""

from __future__ import annotations

from msgspec.structs import replace

from edgehold.crypto.names import account_id, possession_message
from edgehold.crypto.signatures import verify
from edgehold.errors import (
    AccountExists,
    AttestationInPast,
    AttestationWithdrawn,
    BadSignature,
    InsufficientCredits,
    NoPossession,
    NotAccreditor,
    NothingToTransfer,
    OwnerKeyMismatch,
    QuotaReached,
    SelfDealing,
    UnknownAttestation,
)
from edgehold.ledger.state import (
    Changes,
    State,
    find_account,
    find_attestation,
    get_account,
    get_aggregators,
    get_organisation,
    require_claim,
)
from edgehold.wire.account import Account, Attest, Attestation, Claim, OpenAccount, Role, Transfer, WithdrawAttestation
from edgehold.wire.ids import AccountId


def open_account(state: State, sender: AccountId, tx: OpenAccount) -> Changes:
    """An accreditor opens an organisation's account, an issuer a person's hub, within its quota."""
    account = account_id(tx.role, tx.key)
    if find_account(state, account) is not None:
        raise AccountExists(f"account {account.hex()} is there already")
    if (tx.role is Role.HUB) is (tx.owner_key is None) or tx.owner_key == tx.key:
        raise OwnerKeyMismatch(f"the owner key of {tx.role.value} {account.hex()} does not fit its role")
    sponsors: dict[AccountId, Account] = {}
    if tx.role is Role.HUB:
        require_claim(state, sender, Claim.ISSUER)
        sponsors[sender] = _with_one_more_hub(state, sender)
    else:
        require_accreditor(state, sender)
    try:
        verify(tx.key, possession_message(state.network.id, sender, tx.key), tx.possession)
    except BadSignature as error:
        raise NoPossession(f"key {tx.key.hex()} did not agree to be opened by {sender.hex()}") from error
    opened = Account(
        role=tx.role,
        key=tx.key,
        owner_key=tx.owner_key,
        sponsor=sender,
        credits=0,
        opened_at=state.height,
        quota_period=0,
        hubs_sponsored=0,
    )
    return Changes(accounts={**sponsors, account: opened}, made=account)


def _with_one_more_hub(state: State, sender: AccountId) -> Account:
    sponsor = get_account(state, sender)
    sponsored = sponsor.hubs_sponsored if sponsor.quota_period == state.period else 0
    if sponsored >= state.parameters.hub_quota:
        raise QuotaReached(f"{sender.hex()} sponsored {sponsored} hubs in period {state.period}")
    return replace(sponsor, quota_period=state.period, hubs_sponsored=sponsored + 1)


def attest(state: State, sender: AccountId, tx: Attest) -> Changes:
    """An accreditor states a claim about an organisation, or renews it. It lifts no suspension."""
    require_accreditor(state, sender)
    if tx.subject == sender:
        raise SelfDealing(f"accreditor {sender.hex()} attests itself")
    get_organisation(state, tx.subject)
    if tx.until <= state.height:
        raise AttestationInPast(f"until height {tx.until}, and this is {state.height}")
    stated = Attestation(
        attestor=sender,
        claim=tx.claim,
        since=state.height,
        until=tx.until,
        statement=tx.statement,
        withdrawn_at=None,
    )
    aggregators = get_aggregators(state)
    newly_independent = tx.claim is Claim.INDEPENDENT and tx.subject not in aggregators
    return Changes(
        attestations={(tx.subject, sender, tx.claim): stated},
        aggregators={(): tuple(sorted((*aggregators, tx.subject)))} if newly_independent else {},
    )


def withdraw_attestation(state: State, sender: AccountId, tx: WithdrawAttestation) -> Changes:
    """The accreditor takes back what it stated itself; the claim ends with this height."""
    stated = find_attestation(state, tx.subject, sender, tx.claim)
    if stated is None:
        raise UnknownAttestation(f"{sender.hex()} never attested {tx.claim.value} of {tx.subject.hex()}")
    if stated.withdrawn_at is not None:
        raise AttestationWithdrawn(f"{tx.claim.value} of {tx.subject.hex()} was withdrawn at {stated.withdrawn_at}")
    return Changes(attestations={(tx.subject, sender, tx.claim): replace(stated, withdrawn_at=state.height)})


def transfer(state: State, sender: AccountId, tx: Transfer) -> Changes:
    """Credits move between organisations; there are exactly as many as genesis made."""
    if tx.credits == 0:
        raise NothingToTransfer(f"0 credits to {tx.to.hex()}")
    if tx.to == sender:
        raise SelfDealing(f"{sender.hex()} pays itself")
    payer = get_account(state, sender)
    payee = get_organisation(state, tx.to)
    if payer.credits < tx.credits:
        raise InsufficientCredits(f"{sender.hex()} holds {payer.credits} credits, fewer than {tx.credits}")
    return Changes(
        accounts={
            sender: replace(payer, credits=payer.credits - tx.credits),
            tx.to: replace(payee, credits=payee.credits + tx.credits),
        }
    )


def require_accreditor(state: State, sender: AccountId) -> None:
    """Raises `NotAccreditor` unless the account holds this office."""
    if sender not in state.offices.accreditors:
        raise NotAccreditor(f"{sender.hex()} is no accreditor of this network")
