"""Governance: what the operators of validators decide together, and the key with which each validator votes.

One operator has one vote. A proposal is carried out by the transaction with the deciding vote, under the rules that hold
then: if it cannot be, that vote is refused and may come again. Votes of members that left count no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from edgehold.crypto.names import account_id, proposal_id, validator_key_message
from edgehold.crypto.signatures import verify
from edgehold.errors import (
    AgendaFull,
    AlreadyVoted,
    BadParameters,
    BadProposalEnd,
    BadSignature,
    KeyTaken,
    LastAccreditor,
    LoneValidator,
    NoPossession,
    NothingChanges,
    NotMember,
    OfficesFull,
    ProposalDone,
    ProposalExists,
    ProposalExpired,
    RotatedRecently,
    RulesGoBack,
    RulesTooSoon,
    TooManyValidators,
    TooMuchPower,
    UnknownValidator,
    ValidatorsJustChanged,
)
from edgehold.ledger.state import (
    Changes,
    State,
    find_account,
    find_attestation,
    find_proposal,
    get_account,
    get_organisation,
    get_proposal,
    is_live,
    merge,
    rules_version,
)
from edgehold.wire.account import Account, Attestation, Claim, Role
from edgehold.wire.governance import (
    MOST_ACCREDITORS,
    MOST_OPEN,
    MOST_VALIDATORS,
    AdmitValidator,
    Agenda,
    AppointTreasurer,
    Candidate,
    Change,
    Office,
    OpenProposal,
    Parameters,
    Proposal,
    Propose,
    RotateKey,
    Rules,
    RulesFrom,
    Seat,
    Seats,
    SetOffice,
    SetParameters,
    SetPower,
    SwitchRules,
    Vote,
    Voting,
)
from edgehold.wire.ids import AccountId, Digest, ProposalId, PublicKey, Signature

LARGEST_PANEL = 10_000_000
"""Persons; an order's least batch goes no further either."""

SETTLING = 2
"""Heights from a change of the validators until they sign, and until the next change."""

FOREVER = 2**53
"""The height until which an issuer holds an office that nobody took from it."""


# ── proposals and votes ───────────────────────────────────────────────────────────────────────────────────────────


def propose(state: State, sender: AccountId, tx: Propose) -> Changes:
    """A member proposes what could be carried out now; its own yes is the first, and may decide."""
    require_member(state, sender)
    latest = state.height + state.network.voting.longest
    if not state.height < tx.until <= latest:
        raise BadProposalEnd(f"until height {tx.until}; it may end from {state.height + 1} to {latest}")
    proposal = proposal_id(sender, tx)
    if find_proposal(state, proposal) is not None:
        raise ProposalExists(f"proposal {proposal.hex()} is there already")
    agenda = [one for one in state.agenda.open if one.until >= state.height]
    if len(agenda) == MOST_OPEN:
        raise AgendaFull(f"{len(agenda)} proposals are open")
    made = Proposal(
        proposer=sender,
        change=tx.change,
        proposed_at=state.height,
        until=tx.until,
        yes=(sender,),
        no=(),
        done_at=None,
    )
    carried_out = carry_out(state, proposal, made)
    if is_decided(state, made):
        return merge(
            carried_out, Changes(proposals={proposal: replace(made, done_at=state.height)}, made=Digest(proposal))
        )
    agenda.append(OpenProposal(proposal=proposal, until=tx.until))
    return Changes(proposals={proposal: made}, agenda={(): Agenda(tuple(agenda))}, made=Digest(proposal))


def vote(state: State, sender: AccountId, tx: Vote) -> Changes:
    """A member says yes or no, once; the yes that decides carries the proposal out."""
    require_member(state, sender)
    proposal = get_proposal(state, tx.proposal)
    name = tx.proposal.hex()
    if proposal.done_at is not None:
        raise ProposalDone(f"proposal {name} was carried out at height {proposal.done_at}")
    if state.height > proposal.until:
        raise ProposalExpired(f"proposal {name} was open until height {proposal.until}")
    if sender in (*proposal.yes, *proposal.no):
        raise AlreadyVoted(f"{sender.hex()} voted on proposal {name}")
    if not tx.yes:
        return Changes(proposals={tx.proposal: replace(proposal, no=tuple(sorted((*proposal.no, sender))))})
    voted = replace(proposal, yes=tuple(sorted((*proposal.yes, sender))))
    if not is_decided(state, voted):
        return Changes(proposals={tx.proposal: voted})
    agenda = Agenda(tuple(one for one in state.agenda.open if one.proposal != tx.proposal))
    done = Changes(proposals={tx.proposal: replace(voted, done_at=state.height)}, agenda={(): agenda})
    return merge(carry_out(state, tx.proposal, voted), done)


def require_member(state: State, account: AccountId) -> None:
    """Raises `NotMember` unless the account operates a validator."""
    if account not in members_of(state):
        raise NotMember(f"{account.hex()} operates no validator")


def members_of(state: State) -> list[AccountId]:
    """Who may vote."""
    return [seat.operator for seat in state.seats.seats]


def is_decided(state: State, proposal: Proposal) -> bool:
    """Whether enough of those who are members now said yes."""
    members = members_of(state)
    yes = sum(member in proposal.yes for member in members)
    return yes * 1000 >= share_for(state.network.voting, proposal.change) * len(members)


def share_for(voting: Voting, change: Change) -> int:
    """How many per mille of the members decide on such a change."""
    match change:
        case SetParameters():
            return voting.parameters
        case AdmitValidator() | SetPower():
            return voting.validators
        case SetOffice():
            return voting.offices
        case AppointTreasurer():
            return voting.treasurer
        case SwitchRules():
            return voting.rules
        case _ as unreachable:
            assert_never(unreachable)


def carry_out(state: State, name: ProposalId, proposal: Proposal) -> Changes:
    """What a proposal changes, were it decided now; raises a `Refusal` if it cannot be carried out."""
    match proposal.change:
        case SetParameters() as change:
            return set_parameters(state, change)
        case AdmitValidator() as change:
            return admit_validator(state, proposal.proposer, change)
        case SetPower() as change:
            return set_power(state, change)
        case SetOffice(office=Office.ACCREDITOR) as change:
            return set_accreditor(state, change)
        case SetOffice() as change:
            return set_issuer(state, name, change)
        case AppointTreasurer() as change:
            return appoint_treasurer(state, change)
        case SwitchRules() as change:
            return switch_rules(state, change)
        case _ as unreachable:
            assert_never(unreachable)


# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────


def set_parameters(state: State, change: SetParameters) -> Changes:
    """New numbers, in force for every later transaction; what an order or a task fixed stays as it is."""
    require_consistent(change.parameters)
    if change.parameters == state.parameters:
        raise NothingChanges("these parameters are in force")
    return Changes(parameters={(): change.parameters})


def require_consistent(parameters: Parameters) -> None:
    """Raises `BadParameters` if no panel could ever be closed, or one so large that sums of panels overflow."""
    if not parameters.least_panel <= parameters.most_panel <= LARGEST_PANEL:
        least, most = parameters.least_panel, parameters.most_panel
        raise BadParameters(f"panels of {least} to {most} persons; the largest has {LARGEST_PANEL}")


# ── validators ────────────────────────────────────────────────────────────────────────────────────────────────────


def admit_validator(state: State, proposer: AccountId, change: AdmitValidator) -> Changes:
    """A new validator with keys that its operator holds; the operator's account is opened if it is not there."""
    candidate = change.candidate
    operator = account_id(Role.ORGANISATION, candidate.account_key)
    if operator in members_of(state):
        raise KeyTaken(f"{operator.hex()} operates a validator already")
    require_possession(state, operator, candidate.account_key, candidate.key, candidate.account_signature)
    require_free_key(state, operator, candidate.key, candidate.possession)
    seat = Seat(operator=operator, key=candidate.key, power=change.power, key_since=state.height)
    opened = {} if find_account(state, operator) else {operator: _account_of(state, proposer, candidate)}
    return merge(_with_seats(state, [*state.seats.seats, seat]), Changes(accounts=opened))


def _account_of(state: State, sponsor: AccountId, candidate: Candidate) -> Account:
    return Account(
        role=Role.ORGANISATION,
        key=candidate.account_key,
        owner_key=None,
        sponsor=sponsor,
        credits=0,
        opened_at=state.height,
        quota_period=0,
        hubs_sponsored=0,
    )


def set_power(state: State, change: SetPower) -> Changes:
    """A validator gets another power, or leaves."""
    if change.operator not in members_of(state):
        raise UnknownValidator(f"{change.operator.hex()} operates no validator")
    seats = [
        replace(seat, power=change.power) if seat.operator == change.operator else seat
        for seat in state.seats.seats
        if change.power or seat.operator != change.operator
    ]
    return _with_seats(state, seats)


def rotate_key(state: State, sender: AccountId, tx: RotateKey) -> Changes:
    """The operator gives its validator another consensus key, which it holds."""
    require_member(state, sender)
    (own,) = (seat for seat in state.seats.seats if seat.operator == sender)
    require_free_key(state, sender, tx.key, tx.possession)
    first = own.key_since + state.network.voting.rotation
    if state.height < first:
        raise RotatedRecently(f"this key votes since height {own.key_since}; it may change from height {first} on")
    rotated = replace(own, key=tx.key, key_since=state.height)
    return _with_seats(state, [rotated if seat is own else seat for seat in state.seats.seats])


def require_free_key(state: State, operator: AccountId, key: PublicKey, possession: Signature) -> None:
    """Raises `KeyTaken` or `NoPossession` unless the key is no validator's and agreed to be this operator's."""
    if key in {seat.key for seat in state.seats.seats}:
        raise KeyTaken(f"key {key.hex()} votes for a validator")
    require_possession(state, operator, key, key, possession)


def require_possession(
    state: State, operator: AccountId, signer: PublicKey, key: PublicKey, signature: Signature
) -> None:
    """Raises `NoPossession` unless the signer agreed that this consensus key votes for this operator."""
    try:
        verify(signer, validator_key_message(state.network.id, operator, key), signature)
    except BadSignature as error:
        raise NoPossession(f"key {signer.hex()} did not agree that {key.hex()} votes for {operator.hex()}") from error


def _with_seats(state: State, seats: Iterable[Seat]) -> Changes:
    """Other validators, as far as who follows the chain can follow, and the others go on if a newcomer is not there.

    1. The ledger has more than one validator; it can neither grow from one nor lose its last.
    2. The last change is signed for.
    3. There is something to change, and room for it.
    4. At most a third of the power is gone, and at most as much as a third of it has come.
    """
    before = state.seats
    after = sorted(seats, key=lambda seat: seat.operator)
    # 1
    if len(before.seats) == 1:
        raise LoneValidator("one validator keeps this ledger")
    # 2
    settled = before.changed_at + SETTLING
    if state.height < settled:
        raise ValidatorsJustChanged(f"they changed at height {before.changed_at}; again from height {settled} on")
    # 3
    if after == list(before.seats):
        raise NothingChanges("these validators sign with this power")
    if len(after) > MOST_VALIDATORS:
        raise TooManyValidators(f"there are {len(before.seats)} validators")
    # 4
    gone, come = moved_power(before.seats, after), moved_power(after, before.seats)
    total = sum(seat.power for seat in before.seats)
    if max(gone, come) * 3 > total:
        raise TooMuchPower(f"of power {total}, {gone} would be gone and {come} new at once")
    return Changes(seats={(): Seats(seats=tuple(after), changed_at=state.height)})


def moved_power(here: Iterable[Seat], there: Iterable[Seat]) -> int:
    """How much of the power of keys here they do not have there."""
    powers = {seat.key: seat.power for seat in there}
    return sum(max(0, seat.power - powers.get(seat.key, 0)) for seat in here)


# ── offices ───────────────────────────────────────────────────────────────────────────────────────────────────────


def set_accreditor(state: State, change: SetOffice) -> Changes:
    """An organisation accredits from now on, or no more: then nothing that it attested holds any longer."""
    get_organisation(state, change.account)
    holders = state.offices.accreditors
    if (change.account in holders) is change.holds:
        raise NothingChanges(f"{change.account.hex()} is {'an' if change.holds else 'no'} accreditor")
    if not change.holds and len(holders) == 1:
        raise LastAccreditor(f"{change.account.hex()} is the last accreditor")
    if change.holds and len(holders) == MOST_ACCREDITORS:
        raise OfficesFull(f"there are {len(holders)} accreditors")
    after = sorted({*holders, change.account} if change.holds else {*holders} - {change.account})
    return Changes(offices={(): replace(state.offices, accreditors=tuple(after))})


def set_issuer(state: State, name: ProposalId, change: SetOffice) -> Changes:
    """The members attest an issuer themselves, or withdraw what they and accreditors attested of it."""
    get_organisation(state, change.account)
    attestors = (state.network.members, *state.offices.accreditors)
    found = {attestor: find_attestation(state, change.account, attestor, Claim.ISSUER) for attestor in attestors}
    live = {attestor: one for attestor, one in found.items() if one and is_live(one, state.height)}
    if not change.holds:
        if not live:
            raise NothingChanges(f"{change.account.hex()} is no issuer")
        withdrawn = {
            (change.account, attestor, Claim.ISSUER): replace(one, withdrawn_at=state.height)
            for attestor, one in live.items()
        }
        return Changes(attestations=withdrawn)
    if state.network.members in live:
        raise NothingChanges(f"{change.account.hex()} is an issuer by the members' decision")
    stated = Attestation(
        attestor=state.network.members,
        claim=Claim.ISSUER,
        since=state.height,
        until=FOREVER,
        statement=Digest(name),
        withdrawn_at=None,
    )
    return Changes(attestations={(change.account, state.network.members, Claim.ISSUER): stated})


def appoint_treasurer(state: State, change: AppointTreasurer) -> Changes:
    """The office and the credits that are left go to another organisation."""
    offices = state.offices
    heir = get_organisation(state, change.account)
    if change.account == offices.treasurer:
        raise NothingChanges(f"{change.account.hex()} is the treasurer")
    left = get_account(state, offices.treasurer)
    return Changes(
        offices={(): replace(offices, treasurer=change.account)},
        accounts={
            offices.treasurer: replace(left, credits=0),
            change.account: replace(heir, credits=heir.credits + left.credits),
        },
    )


# ── rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def switch_rules(state: State, change: SwitchRules) -> Changes:
    """Blocks from a height on follow a later version; the one in force calls off what was decided before."""
    current = _current_rules(state)
    if change.version < current.version:
        raise RulesGoBack(f"version {current.version} is in force, {change.version} is older")
    following = None
    if change.version > current.version:
        first = state.height + state.network.voting.notice
        if change.height < first:
            raise RulesTooSoon(f"from height {change.height}; members have to know by then, at least until {first}")
        following = RulesFrom(version=change.version, height=change.height)
    if following == _pending_rules(state):
        raise NothingChanges(f"version {change.version} is decided on")
    return Changes(rules={(): Rules(current=current, following=following)})


def _current_rules(state: State) -> RulesFrom:
    rules = state.rules
    in_force = rules_version(rules, state.height)
    return rules.following if rules.following and rules.following.version == in_force else rules.current


def _pending_rules(state: State) -> RulesFrom | None:
    following = state.rules.following
    return following if following and following.height > state.height else None
