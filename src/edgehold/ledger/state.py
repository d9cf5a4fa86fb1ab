"""What rules read and what they write: a view of the entries at one height, and the changes a rule asks for.

Only this module knows under which flat key an entry lies and how its bytes look.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar, assert_never, cast

from msgspec import Struct

from edgehold.errors import (
    NotAttested,
    UnknownAccount,
    UnknownOrder,
    UnknownPanel,
    UnknownProgram,
    UnknownProposal,
    UnknownTask,
    WrongRole,
)
from edgehold.wire.account import Account, Attestation, Claim, Role
from edgehold.wire.codec import decode_stored, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Agenda, Offices, Parameters, Proposal, Rules, Seats, Voting
from edgehold.wire.ids import AccountId, Digest, NetworkId, OrderId, PanelId, ProgramId, ProposalId, SlotKey, TaskId
from edgehold.wire.order import Order
from edgehold.wire.panel import Panel
from edgehold.wire.program import Program, Review
from edgehold.wire.root import HubRoot
from edgehold.wire.task import Counted, Evidence, Revocation, Task, TaskConfiguration

T = TypeVar("T")

ENTRY_TYPES: Mapping[Collection, Any] = {
    Collection.ACCOUNT: Account,
    Collection.ATTESTATION: Attestation,
    Collection.STANDING: Standing,
    Collection.COUNTED: Counted,
    Collection.PANEL: Panel,
    Collection.ROOT: HubRoot,
    Collection.PROGRAM: Program,
    Collection.REVIEW: Review,
    Collection.ORDER: Order,
    Collection.TASK: Task,
    Collection.REVOCATION: Revocation,
    Collection.CONFIGURATION: TaskConfiguration,
    Collection.EVIDENCE: Evidence,
    Collection.PARAMETERS: Parameters,
    Collection.AGGREGATORS: tuple[AccountId, ...],
    Collection.SEATS: Seats,
    Collection.OFFICES: Offices,
    Collection.RULES: Rules,
    Collection.PROPOSAL: Proposal,
    Collection.AGENDA: Agenda,
}
"""What lies in each collection."""


@dataclass(frozen=True)
class Network:
    """What genesis fixes for ever: the network's id, and how its members vote."""

    id: NetworkId
    voting: Voting

    @property
    def members(self) -> AccountId:
        """The members together, where they attest something: nobody's account."""
        return AccountId(Digest(self.id))


@dataclass(frozen=True)
class State:
    """The ledger as the transactions of one block see it.

    `read` gives the bytes under a flat key, `height` is that of the block being made, `header_hash` knows the last
    1,000 headers below it.
    """

    read: Callable[[bytes], bytes | None]
    height: int
    header_hash: Callable[[int], Digest | None]
    network: Network

    @property
    def parameters(self) -> Parameters:
        """The numbers in force."""
        return _get(self, Parameters, Collection.PARAMETERS)

    @property
    def seats(self) -> Seats:
        """Who signs blocks."""
        return _get(self, Seats, Collection.SEATS)

    @property
    def offices(self) -> Offices:
        """Who accredits, and who gives credits."""
        return _get(self, Offices, Collection.OFFICES)

    @property
    def rules(self) -> Rules:
        """Which version of the rules blocks follow."""
        return _get(self, Rules, Collection.RULES)

    @property
    def agenda(self) -> Agenda:
        """What can be voted on."""
        return _get(self, Agenda, Collection.AGENDA)

    @property
    def period(self) -> int:
        """The ledger period that this height belongs to."""
        return self.height // self.parameters.period


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def find_account(state: State, account: AccountId) -> Account | None:
    """The account with this id, if it is there."""
    return _find(state, Account, Collection.ACCOUNT, account)


def get_account(state: State, account: AccountId) -> Account:
    """The account with this id; raises `UnknownAccount`."""
    found = find_account(state, account)
    if found is None:
        raise UnknownAccount(f"no account {account.hex()}")
    return found


def get_organisation(state: State, account: AccountId) -> Account:
    """An account that is no person's hub; raises `UnknownAccount`, `WrongRole`."""
    found = get_account(state, account)
    if found.role is not Role.ORGANISATION:
        raise WrongRole(f"account {account.hex()} is a {found.role.value}, this takes an organisation")
    return found


def find_attestation(state: State, subject: AccountId, attestor: AccountId, claim: Claim) -> Attestation | None:
    """What this accreditor last said of this account and claim, live or not."""
    return _find(state, Attestation, Collection.ATTESTATION, subject, attestor, claim.value.encode())


def is_live(attestation: Attestation, height: int) -> bool:
    """Whether a claim holds at a height: until its end, or the height at which it was withdrawn, inclusive."""
    ends = attestation.until if attestation.withdrawn_at is None else min(attestation.until, attestation.withdrawn_at)
    return attestation.since <= height <= ends


def live_attestations(state: State, subject: AccountId, *claims: Claim) -> list[Attestation]:
    """What holds of an account now, sorted by attestor and claim; of the named claims, or of all."""
    return list(_live(state, subject, sorted(claims or Claim, key=lambda claim: claim.value)))


def _live(state: State, subject: AccountId, claims: Iterable[Claim]) -> Iterator[Attestation]:
    members = state.network.members
    for attestor in sorted({*state.offices.accreditors, members}):
        for claim in claims:
            if attestor == members and claim is not Claim.ISSUER:
                continue  # of anything else members attest nothing
            attestation = find_attestation(state, subject, attestor, claim)
            if attestation and is_live(attestation, state.height):
                yield attestation


def require_claim(state: State, subject: AccountId, claim: Claim) -> None:
    """Raises `NotAttested` unless a live attestation by an accreditor, or the members, makes this claim."""
    if next(_live(state, subject, (claim,)), None) is None:
        raise NotAttested(f"no live attestation says {claim.value} of {subject.hex()} at height {state.height}")


def get_standing(state: State, service: AccountId) -> Standing:
    """What the ledger counts of a service; nothing is counted of a stranger."""
    return _find(state, Standing, Collection.STANDING, service) or Standing()


def find_counted(state: State, service: AccountId, customer: AccountId, period: int) -> Counted | None:
    """The acceptance by this customer that was counted for the service in this period."""
    return _find(state, Counted, Collection.COUNTED, service, customer, period.to_bytes(8, "big"))


def find_panel(state: State, panel: PanelId) -> Panel | None:
    """The panel with this id, if it is there."""
    return _find(state, Panel, Collection.PANEL, panel)


def get_panel(state: State, panel: PanelId) -> Panel:
    """The panel with this id; raises `UnknownPanel`."""
    found = find_panel(state, panel)
    if found is None:
        raise UnknownPanel(f"no panel {panel.hex()}")
    return found


def find_root(state: State, hub: AccountId) -> HubRoot | None:
    """A hub's live root, if it posted one."""
    return _find(state, HubRoot, Collection.ROOT, hub)


def find_program(state: State, program: ProgramId) -> Program | None:
    """The program with this id, if it is there."""
    return _find(state, Program, Collection.PROGRAM, program)


def get_program(state: State, program: ProgramId) -> Program:
    """The program with this id; raises `UnknownProgram`."""
    found = find_program(state, program)
    if found is None:
        raise UnknownProgram(f"no program {program.hex()}")
    return found


def find_review(state: State, program: ProgramId, reviewer: AccountId) -> Review | None:
    """This reviewer's last word on a program."""
    return _find(state, Review, Collection.REVIEW, program, reviewer)


def find_order(state: State, order: OrderId) -> Order | None:
    """The order with this id, if it is there."""
    return _find(state, Order, Collection.ORDER, order)


def get_order(state: State, order: OrderId) -> Order:
    """The order with this id; raises `UnknownOrder`."""
    found = find_order(state, order)
    if found is None:
        raise UnknownOrder(f"no order {order.hex()}")
    return found


def find_task(state: State, task: TaskId) -> Task | None:
    """What became of the task with this id, if it is there."""
    return _find(state, Task, Collection.TASK, task)


def get_task(state: State, task: TaskId) -> Task:
    """What became of the task with this id; raises `UnknownTask`."""
    found = find_task(state, task)
    if found is None:
        raise UnknownTask(f"no task {task.hex()}")
    return found


def get_configuration(state: State, task: TaskId) -> TaskConfiguration:
    """Everything the task with this id is; raises `UnknownTask`."""
    found = _find(state, TaskConfiguration, Collection.CONFIGURATION, task)
    if found is None:
        raise UnknownTask(f"no task {task.hex()}")
    return found


def find_revocation(state: State, task: TaskId, slot_key: SlotKey) -> Revocation | None:
    """The revocation of a slot key's permit, if it stands on the ledger."""
    return _find(state, Revocation, Collection.REVOCATION, task, slot_key)


def find_evidence(state: State, evidence: Digest) -> Evidence | None:
    """A proven event, by its id (see `crypto.names.evidence_id`)."""
    return _find(state, Evidence, Collection.EVIDENCE, evidence)


def get_aggregators(state: State) -> tuple[AccountId, ...]:
    """Every account that was ever attested as an independent aggregator, sorted."""
    return _get(state, tuple[AccountId, ...], Collection.AGGREGATORS)


def find_proposal(state: State, proposal: ProposalId) -> Proposal | None:
    """What a member proposed, if it is there."""
    return _find(state, Proposal, Collection.PROPOSAL, proposal)


def get_proposal(state: State, proposal: ProposalId) -> Proposal:
    """What a member proposed; raises `UnknownProposal`."""
    found = find_proposal(state, proposal)
    if found is None:
        raise UnknownProposal(f"no proposal {proposal.hex()}")
    return found


def rules_version(rules: Rules, height: int) -> int:
    """The version of the rules that a block of this height follows, as far as it is decided."""
    following = rules.following
    return following.version if following and following.height <= height else rules.current.version


def _find(state: State, kind: type[T], collection: Collection, *ids: bytes) -> T | None:
    data = state.read(entry_key(collection, *ids))
    return None if data is None else cast(T, _decoded(data, cast(Hashable, kind)))


def _get(state: State, kind: type[T], collection: Collection) -> T:
    found = _find(state, kind, collection)
    if found is None:
        raise LookupError(f"the state has no {collection.name}: it was not made from a genesis document")
    return found


@lru_cache(maxsize=1 << 14)
def _decoded(data: bytes, kind: Hashable) -> Any:
    """Entries are immutable and follow from their bytes alone, so remembering one can never be wrong.

    What stands in the state was written by `flatten`, here or on the validators whose root was signed.
    """
    return decode_stored(data, kind)


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Changes(Struct, frozen=True):
    """What a rule wants written: per collection, id → entry, or `None` to remove it. `made`: the id of what is new."""

    accounts: Mapping[AccountId, Account | None] = {}
    attestations: Mapping[tuple[AccountId, AccountId, Claim], Attestation | None] = {}
    standings: Mapping[AccountId, Standing | None] = {}
    counted: Mapping[tuple[AccountId, AccountId, int], Counted | None] = {}
    panels: Mapping[PanelId, Panel | None] = {}
    roots: Mapping[AccountId, HubRoot | None] = {}
    programs: Mapping[ProgramId, Program | None] = {}
    reviews: Mapping[tuple[ProgramId, AccountId], Review | None] = {}
    orders: Mapping[OrderId, Order | None] = {}
    tasks: Mapping[TaskId, Task | None] = {}
    revocations: Mapping[tuple[TaskId, SlotKey], Revocation | None] = {}
    configurations: Mapping[TaskId, TaskConfiguration | None] = {}
    evidence: Mapping[Digest, Evidence | None] = {}
    parameters: Mapping[tuple[()], Parameters | None] = {}
    aggregators: Mapping[tuple[()], tuple[AccountId, ...] | None] = {}
    seats: Mapping[tuple[()], Seats | None] = {}
    offices: Mapping[tuple[()], Offices | None] = {}
    rules: Mapping[tuple[()], Rules | None] = {}
    proposals: Mapping[ProposalId, Proposal | None] = {}
    agenda: Mapping[tuple[()], Agenda | None] = {}
    made: Digest | None = None


_COLLECTIONS: Mapping[str, Collection] = {
    "accounts": Collection.ACCOUNT,
    "attestations": Collection.ATTESTATION,
    "standings": Collection.STANDING,
    "counted": Collection.COUNTED,
    "panels": Collection.PANEL,
    "roots": Collection.ROOT,
    "programs": Collection.PROGRAM,
    "reviews": Collection.REVIEW,
    "orders": Collection.ORDER,
    "tasks": Collection.TASK,
    "revocations": Collection.REVOCATION,
    "configurations": Collection.CONFIGURATION,
    "evidence": Collection.EVIDENCE,
    "parameters": Collection.PARAMETERS,
    "aggregators": Collection.AGGREGATORS,
    "seats": Collection.SEATS,
    "offices": Collection.OFFICES,
    "rules": Collection.RULES,
    "proposals": Collection.PROPOSAL,
    "agenda": Collection.AGENDA,
}


_all_collections = attrgetter(*_COLLECTIONS)


def merge(*parts: Changes) -> Changes:
    """The changes of several parts of one rule together.

    Two writes to one key would depend on their order: that is a mistake in a rule, and `ValueError` stops the node.
    """
    merged: dict[str, dict[Any, Any]] = {name: {} for name in _COLLECTIONS}
    for part in parts:
        for name, collection in merged.items():
            writes = getattr(part, name)
            twice = collection.keys() & writes.keys()
            if twice:
                raise ValueError(f"two writes to one key of {name}")
            collection.update(writes)
    made = [part.made for part in parts if part.made is not None]
    if len(made) > 1:
        raise ValueError("one rule makes one thing")
    return Changes(**merged, made=made[0] if made else None)


def flatten(changes: Changes) -> dict[bytes, bytes | None]:
    """The changes as bytes under flat keys, in the order of the keys."""
    flat: dict[bytes, bytes | None] = {}
    for collection, entries in zip(_COLLECTIONS.values(), _all_collections(changes), strict=True):
        if not entries:
            continue  # almost every collection of almost every rule
        for ids, entry in entries.items():
            flat[_flat_key(collection, ids)] = None if entry is None else encode(entry)
    return dict(sorted(flat.items()))


def _flat_key(collection: Collection, ids: bytes | tuple[Any, ...]) -> bytes:
    if isinstance(ids, bytes):
        return entry_key(collection, ids)
    return entry_key(collection, *(_id_bytes(part) for part in ids))


def _id_bytes(part: bytes | Claim | int) -> bytes:
    match part:
        case bytes():
            return part
        case Claim():
            return part.value.encode()
        case int():
            return part.to_bytes(8, "big")
        case _ as unreachable:
            assert_never(unreachable)
