"""Genesis, parameters and governance: what a network starts from, and how its members change it together.

Members are the operators of validators: an account each, one vote each, whatever its validator's power. What they decide
takes effect in the transaction with the deciding vote.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.account import Role
from edgehold.wire.ids import AccountId, Counter, Credits, Height, ProposalId, PublicKey, Short, Signature

Positive = Annotated[int, Meta(ge=1, le=2**40)]
Power = Annotated[int, Meta(ge=1, le=2**40)]
Share = Annotated[int, Meta(ge=501, le=1000)]
"""Per mille of the members whose yes decides: always more than half, so that no two decisions contradict each other."""

RulesVersion = Annotated[int, Meta(ge=1, lt=2**16)]

MOST_VALIDATORS = 64
MOST_ACCREDITORS = 16
MOST_OPEN = 64
"""Proposals that are open at once."""


class Parameters(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: the numbers that the rules read. Heights where not said otherwise."""

    period: Positive  # heights of a ledger period (in earnest a quarter)
    root_interval: Positive  # every hub posts its root once in this many heights
    block_interval_ms: Positive  # a block at least this often
    least_panel: Positive  # persons
    most_panel: Positive
    least_batch: Positive  # the network's floor for an order's minimum batch
    hub_quota: Positive  # hubs an issuer may sponsor in a period
    expiry: Annotated[int, Meta(ge=1, le=1000)]  # a transaction may name an expiry this far ahead
    abort_fee: Annotated[int, Meta(ge=0, le=1000)]  # per mille of the price that services keep of a small batch
    helper_share: Annotated[int, Meta(ge=0, le=1000)]  # per mille of a payment that goes to the helper
    acceptance_cap: Annotated[int, Meta(ge=0, le=1_000_000)]  # ppm: acceptances never lift a score past it
    suspension: Positive  # heights before a suspended service may be attested again, doubled each time


class Founder(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An account that exists from genesis."""

    name: Short
    key: PublicKey
    role: Role
    credits: Credits


class Validator(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A consensus key and its voting power."""

    key: PublicKey
    power: Power


class Voting(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How members decide; fixed for ever by genesis. Shares are per mille of the members, the rest heights."""

    parameters: Share = 667
    validators: Share = 667  # who signs blocks, with what power
    offices: Share = 667  # who accredits, and which issuers need no accreditor
    treasurer: Share = 667
    rules: Share = 667
    longest: Positive = 40_320  # a proposal may stay open for so long (14 days at 30 s)
    notice: Positive = 20_160  # between the decision on a version of the rules and its first block, at least
    rotation: Positive = 2880  # between two consensus keys of one validator, at least


class Genesis(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What everybody must agree on beforehand; its digest (tag "genesis") is the network id."""

    chain: Short  # chain_id in headers
    time: Annotated[int, Meta(ge=0)]  # nanoseconds since 1970-01-01 UTC of height 0
    founders: Annotated[tuple[Founder, ...], Meta(min_length=1, max_length=64)]
    accreditors: Annotated[tuple[Counter, ...], Meta(min_length=1, max_length=16)]  # indices into `founders`
    treasurer: Counter
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=200)]
    operators: Annotated[tuple[Counter, ...], Meta(min_length=1, max_length=64)]  # of each validator, in its place
    parameters: Parameters
    voting: Voting = Voting()


# ── what members may decide ───────────────────────────────────────────────────────────────────────────────────────


class SetParameters(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=60):
    """Other numbers, for every later transaction."""

    parameters: Parameters


class Candidate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An organisation that would keep the ledger too; both keys sign H("validator-key", network ‖ account ‖ key)."""

    account_key: PublicKey
    key: PublicKey  # the consensus key
    account_signature: Signature
    possession: Signature  # by `key`


class AdmitValidator(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=64):
    """A new validator; its operator's account is opened if it is not there, sponsored by the proposer."""

    candidate: Candidate
    power: Power


class SetPower(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=65):
    """Another power for a validator; with 0 it leaves, and its operator is no member any more."""

    operator: AccountId
    power: Annotated[int, Meta(ge=0, le=2**40)]


class Office(StrEnum):
    """What members entrust an organisation with."""

    ACCREDITOR = "accreditor"
    ISSUER = "issuer"


class SetOffice(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=66):
    """An organisation gets an office or loses it; an issuer that loses it loses what accreditors attested of it too."""

    office: Office
    account: AccountId
    holds: bool


class AppointTreasurer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=67):
    """Another organisation gives credits; those that the treasurer has left go over to it."""

    account: AccountId


class SwitchRules(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=68):
    """From a height on blocks follow another version of the rules; the version in force takes a switch to come back."""

    version: RulesVersion
    height: Height


Change: TypeAlias = SetParameters | AdmitValidator | SetPower | SetOffice | AppointTreasurer | SwitchRules


class Propose(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=61):
    """A member proposes a change, and says yes to it."""

    change: Change
    until: Height  # the last height at which it can be voted for


class Vote(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=62):
    """A member's word on a proposal, once and for all."""

    proposal: ProposalId
    yes: bool


class RotateKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=63):
    """The operator of a validator changes its consensus key; nobody votes on it."""

    key: PublicKey
    possession: Signature  # by `key` over H("validator-key", network ‖ operator ‖ key)


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Seat(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One validator: whose it is, and with which key since when."""

    operator: AccountId
    key: PublicKey
    power: Power
    key_since: Height


class Seats(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: who signs blocks, in the order of operators. What changed at height h signs from height h + 2 on."""

    seats: Annotated[tuple[Seat, ...], Meta(min_length=1, max_length=MOST_VALIDATORS)]
    changed_at: Height


class Offices(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: who holds an office, accreditors ascending."""

    accreditors: Annotated[tuple[AccountId, ...], Meta(min_length=1, max_length=MOST_ACCREDITORS)]
    treasurer: AccountId


class RulesFrom(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A version of the rules, and the first height that follows it."""

    version: RulesVersion
    height: Height


class Rules(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: the version in force when it was written, and the one that was decided on for later."""

    current: RulesFrom
    following: RulesFrom | None


class Proposal(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: what a member proposed, and what the others said, each list ascending."""

    proposer: AccountId
    change: Change
    proposed_at: Height
    until: Height
    yes: Annotated[tuple[AccountId, ...], Meta(max_length=2**16)]
    no: Annotated[tuple[AccountId, ...], Meta(max_length=2**16)]
    done_at: Height | None  # decided and carried out


class OpenProposal(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One that may still be decided."""

    proposal: ProposalId
    until: Height


class Agenda(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: the proposals that are open, or expired since another was made."""

    open: Annotated[tuple[OpenProposal, ...], Meta(max_length=MOST_OPEN)]
