"""A small network to try rules on: two accreditors (members, as two more), two leaders, two helpers, a customer, an issuer,
one panel.

Everything follows from names and small numbers; every entry is made by real transactions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from msgspec.structs import replace

from edgehold.crypto.blind import BlindSigner, blind, blind_sign, finalize, make_issuer_keys
from edgehold.crypto.cose import sign1
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import tree_path, tree_root
from edgehold.crypto.names import (
    account_id,
    noised_share_digest,
    possession_message,
    receipt_message,
    sealed_share_digest,
    statement_message,
    validator_key_message,
)
from edgehold.crypto.seal import SealKeyPair, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.ledger.draw import drawn_helper
from edgehold.ledger.genesis import found_network, initial_state
from edgehold.ledger.shares import share_aad, share_info
from edgehold.ledger.state import State, get_configuration, get_order, get_task
from edgehold.ledger.transition import execute
from edgehold.vdaf.field import encode_share
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, Transfer
from edgehold.wire.batch import Absence, BatchStatement, LeafOpening, Permit, ReportLeaf, SignedBatch, UploadReceipt
from edgehold.wire.codec import encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.governance import (
    Candidate,
    Change,
    Founder,
    Genesis,
    Parameters,
    Propose,
    RotateKey,
    Validator,
    Vote,
    Voting,
)
from edgehold.wire.ids import (
    AccountId,
    Digest,
    NetworkId,
    OrderId,
    PanelId,
    ProgramId,
    ProposalId,
    ReportId,
    SealKey,
    Signature,
    SlotKey,
    TaskId,
)
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.panel import ClosePanel, DeclarePanel, SlotCredential
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.task import CloseBatch, DisputeResult, JoinTask, Party, PostShare, RequestTask
from edgehold.wire.tx import Body, Envelope, Receipt

PARAMETERS = Parameters(
    period=1000,
    root_interval=10,
    block_interval_ms=1000,
    least_panel=4,
    most_panel=100,
    least_batch=3,
    hub_quota=3,
    expiry=100,
    abort_fee=100,
    helper_share=400,
    acceptance_cap=500_000,
    suspension=50,
)

SCHEDULE = Schedule(request=5, join=3, upload=2, revoke=2, close=3, share=3, accept=3)
HISTOGRAM = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=4, bound=0, weight=0)
ENROLLED = 5
SLOTS = 2


def digest(name: str) -> Digest:
    """32 bytes that follow from a name."""
    return Digest(sha256(name.encode()).digest())


class Counting:
    """Randomness that counts: enough for ephemeral keys in tests."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, count: int) -> bytes:
        """Bytes that were not given out before."""
        self.drawn += 1
        return (sha256(b"drawn %d" % self.drawn).digest() * (count // 32 + 1))[:count]


@dataclass
class Actor:
    """A party with a key."""

    name: str
    role: Role = Role.ORGANISATION

    @property
    def key(self) -> SigningKey:
        return SigningKey(digest(f"key of {self.name}"))

    @property
    def id(self) -> AccountId:
        return account_id(self.role, self.key.public)


ACCREDITOR, OTHER_ACCREDITOR, TREASURER, REGISTRY = (
    Actor(name) for name in ("accreditor", "other accreditor", "treasurer", "registry")
)
LEADER, OTHER_LEADER, HELPER, OTHER_HELPER, CUSTOMER, OTHER_CUSTOMER, ISSUER = (
    Actor(name) for name in ("leader", "other leader", "helper", "other helper", "customer", "other customer", "issuer")
)
HUB = Actor("hub", Role.HUB)
FOUNDERS = (ACCREDITOR, OTHER_ACCREDITOR, TREASURER, REGISTRY)
MEMBERS = FOUNDERS
"""Each operates a validator; three of the four decide."""
FUNDS = 1_000_000

GENESIS = Genesis(
    chain="small-world",
    time=1_700_000_000_000_000_000,
    founders=tuple(
        Founder(name=actor.name, key=actor.key.public, role=Role.ORGANISATION, credits=FUNDS * (actor is TREASURER))
        for actor in FOUNDERS
    ),
    accreditors=(0, 1),
    treasurer=2,
    validators=tuple(Validator(key=Actor(f"validator of {actor.name}").key.public, power=10) for actor in FOUNDERS),
    operators=(0, 1, 2, 3),
    parameters=PARAMETERS,
    voting=Voting(longest=20, notice=10, rotation=5),
)

ORDER_SEED = digest("order key")
"""From this the order's key pair is derived; a dispute reveals it."""


class Refused(AssertionError):
    """A transaction that a test's set-up needs was refused."""


@dataclass
class World:
    """One network whose height the test moves."""

    entries: dict[bytes, bytes] = field(default_factory=lambda: initial_state(GENESIS))
    height: int = 1
    forgotten: int = 0
    randomness: Counting = field(default_factory=Counting)
    genesis: Genesis = GENESIS

    def copy(self) -> World:
        """The same world, to go on in another way."""
        return World(dict(self.entries), self.height, self.forgotten, genesis=self.genesis)

    @property
    def state(self) -> State:
        """What rules see now."""
        return State(
            read=self.entries.get,
            height=self.height,
            header_hash=lambda height: digest(f"header {height}") if self.forgotten < height < self.height else None,
            network=found_network(self.genesis),
        )

    def sign(self, sender: Actor, body: Body, *, expires: int | None = None) -> bytes:
        """A signed transaction of an account."""
        return self.sign_envelope(sender.key, sender.id, body, expires)

    def sign_by_slot(self, slot_key: SigningKey, body: Body, *, expires: int | None = None) -> bytes:
        """A signed transaction of a slot key."""
        return self.sign_envelope(slot_key, Digest(slot_key.public), body, expires)

    def sign_envelope(self, key: SigningKey, sender: Digest, body: Body, expires: int | None = None) -> bytes:
        """A signed transaction, whoever is named as its sender."""
        network = self.state.network.id
        last = self.height + 10 if expires is None else expires
        return sign1(key, encode(Envelope(network=network, sender=sender, expires=last, body=body)), network)

    def run(self, tx: bytes) -> Receipt:
        """Execute a transaction and keep what it writes."""
        receipt, writes = execute(self.state, tx)
        for key, value in writes.items():
            if value is None:
                del self.entries[key]
            else:
                self.entries[key] = value
        return receipt

    def do(self, sender: Actor, body: Body) -> Digest:
        """Execute what has to succeed; the id that was made, or zeros."""
        receipt = self.run(self.sign(sender, body))
        if receipt.number:
            raise Refused(f"{receipt.number}: {receipt.facts}")
        return receipt.made or Digest(bytes(32))

    def propose(self, change: Change, proposer: Actor = ACCREDITOR) -> ProposalId:
        """A member proposes what has to be possible."""
        return ProposalId(self.do(proposer, Propose(change=change, until=self.height + 20)))

    def decide(self, change: Change) -> None:
        """Three members want it."""
        proposal = self.propose(change)
        for member in (OTHER_ACCREDITOR, TREASURER):
            self.do(member, Vote(proposal=proposal, yes=True))


# ── the cast ──────────────────────────────────────────────────────────────────────────────────────────────────────


def possession(actor: Actor, sponsor: Actor) -> OpenAccount:
    """What a sponsor sends to open an actor's account."""
    network = found_network(GENESIS).id
    return OpenAccount(
        role=actor.role,
        key=actor.key.public,
        owner_key=Actor(f"owner of {actor.name}").key.public if actor.role is Role.HUB else None,
        possession=actor.key.sign(possession_message(network, sponsor.id, actor.key.public)),
    )


def attestation(subject: Actor, claim: Claim, until: int = 5000) -> Attest:
    """A claim about an actor."""
    return Attest(subject=subject.id, claim=claim, until=until, statement=digest(f"statement on {subject.name}"))


def make_world() -> World:
    """Everybody has an account, is attested, and both customers have credits."""
    world = World()
    for sponsor, actor in (
        (ACCREDITOR, LEADER),
        (ACCREDITOR, OTHER_LEADER),
        (OTHER_ACCREDITOR, HELPER),
        (OTHER_ACCREDITOR, OTHER_HELPER),
        (OTHER_ACCREDITOR, CUSTOMER),
        (OTHER_ACCREDITOR, OTHER_CUSTOMER),
        (ACCREDITOR, ISSUER),
    ):
        world.do(sponsor, possession(actor, sponsor))
    for attestor, actor, claim in (
        (ACCREDITOR, LEADER, Claim.ACCREDITED),
        (ACCREDITOR, OTHER_LEADER, Claim.ACCREDITED),
        (OTHER_ACCREDITOR, HELPER, Claim.INDEPENDENT),
        (OTHER_ACCREDITOR, OTHER_HELPER, Claim.INDEPENDENT),
        (ACCREDITOR, ISSUER, Claim.ISSUER),
    ):
        world.do(attestor, attestation(actor, claim))
    for customer in (CUSTOMER, OTHER_CUSTOMER):
        world.do(TREASURER, Transfer(to=customer.id, credits=10_000))
    return world


def candidate(actor: Actor, key: SigningKey | None = None, network: NetworkId | None = None) -> Candidate:
    """What an organisation shows that would operate a validator."""
    consensus = key or Actor(f"validator of {actor.name}").key
    message = validator_key_message(network or found_network(GENESIS).id, actor.id, consensus.public)
    return Candidate(
        account_key=actor.key.public,
        key=consensus.public,
        account_signature=actor.key.sign(message),
        possession=consensus.sign(message),
    )


def rotation(actor: Actor, key: SigningKey) -> RotateKey:
    """What an operator sends for another consensus key."""
    message = validator_key_message(found_network(GENESIS).id, actor.id, key.public)
    return RotateKey(key=key.public, possession=key.sign(message))


# ── panel and program ─────────────────────────────────────────────────────────────────────────────────────────────

ISSUER_KEYS = make_issuer_keys([digest(f"slot verification key {slot}") for slot in range(SLOTS)])
MODULI = [key.modulus for key in ISSUER_KEYS]

PANEL = DeclarePanel(
    scheme="clinic",
    period=0,
    number=0,
    kinds=(Kind.EHR,),
    grade=Grade.SIGNED,
    schemas=("edgehold.events/1",),
    slots=SLOTS,
    keys_root=tree_root(MODULI),
)
PROGRAM = PublishProgram(
    source=digest("source"),
    runtime=digest("runtime"),
    engine="wasmtime 50.0.1",
    schema="edgehold.events/1",
    kinds=(Kind.EHR,),
    sensitivity=Sensitivity.AGGREGATE,
    measurement=HISTOGRAM,
    limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=4096, deadline_ms=5000),
)


def slot_signing_key(person: int, slot: int = 0) -> SigningKey:
    """One person's key for one slot."""
    return SigningKey(digest(f"slot key {slot} of person {person}"))


@cache
def credential(panel: PanelId, person: int, slot: int = 0) -> SlotCredential:
    """What shows that a person's slot key is in a panel."""
    issuer = ISSUER_KEYS[slot]
    key = SlotKey(slot_signing_key(person, slot).public)
    hidden = blind(issuer.modulus, key, digest(f"blinding {slot} of person {person}"))
    (signed,) = blind_sign([(BlindSigner(issuer.private), hidden.message)], digest("entropy"))
    return SlotCredential(
        panel=panel,
        slot=slot,
        key=key,
        token=finalize(issuer.modulus, signed, hidden.secret, key),
        modulus=issuer.modulus,
        path=tuple(tree_path(MODULI, slot)),
    )


def with_panel(world: World) -> PanelId:
    """A closed panel of five persons."""
    panel = PanelId(world.do(ISSUER, PANEL))
    world.do(ISSUER, ClosePanel(panel=panel, enrolled=ENROLLED))
    return panel


def order_of(panel: PanelId, program: Digest, memo: str = "memo", **changes: object) -> PlaceOrder:
    """The customer's order."""
    order = PlaceOrder(
        program=ProgramId(program),
        purpose=Purpose(permission=Permission.HMB),
        panels=(panel,),
        sampling=SAMPLING_ONE,
        least_batch=3,
        sigma_numerator=5,
        sigma_denominator=2,
        price=1000,
        leader=LEADER.id,
        seal_key=SealKeyPair(ORDER_SEED).public,
        memo=digest(memo),
        schedule=SCHEDULE,
    )
    return replace(order, **changes)


# ── one order, step by step ───────────────────────────────────────────────────────────────────────────────────────


NO_ORDER, NO_TASK = OrderId(Digest(bytes(32))), TaskId(Digest(bytes(32)))
STRANGER_TASK = TaskId(digest("a task that nobody made"))


@dataclass
class Story:
    """An order on its way; `advance` to where a test begins."""

    world: World
    panel: PanelId
    program: ProgramId
    order: OrderId = NO_ORDER
    task: TaskId = NO_TASK
    leaves: tuple[ReportLeaf, ...] = ()
    rejected: tuple[ReportLeaf, ...] = ()
    sealed: dict[Party, bytes] = field(default_factory=dict)

    def copy(self) -> Story:
        """The same story, to go on in another way."""
        return dataclasses.replace(self, world=self.world.copy(), sealed=dict(self.sealed))

    def place(self, **changes: object) -> None:
        """The customer orders."""
        self.order = OrderId(self.world.do(CUSTOMER, order_of(self.panel, self.program, **changes)))

    def request(self) -> None:
        """The leader takes the order on."""
        self.world.do(LEADER, request_of(self.order))

    def helper(self) -> Actor:
        """The helper that is drawn now."""
        state = self.world.state
        drawn = drawn_helper(state, get_order(state, self.order))
        return next(actor for actor in (HELPER, OTHER_HELPER) if actor.id == drawn)

    def join(self) -> None:
        """The drawn helper joins at the first height."""
        self.world.height += 2
        self.task = TaskId(self.world.do(self.helper(), join_of(self.order)))

    @property
    def partner(self) -> Actor:
        """The helper of the task."""
        helper = get_task(self.world.state, self.task).helper
        return next(actor for actor in (HELPER, OTHER_HELPER) if actor.id == helper)

    def statement(self, accepted: int = 4, rejected: int = 1, round_: int = 0) -> BatchStatement:
        """A statement over made-up reports of persons 0, 1, …: first those that count."""
        self.leaves = tuple(sorted((self.leaf(person) for person in range(accepted)), key=lambda leaf: leaf.report))
        others = (self.leaf(person) for person in range(accepted, accepted + rejected))
        self.rejected = tuple(sorted(others, key=lambda leaf: leaf.report))
        return BatchStatement(
            task=self.task,
            round=round_,
            accepted_root=tree_root([encode(leaf) for leaf in self.leaves]),
            rejected_root=tree_root([encode(leaf) for leaf in self.rejected]),
            accepted=accepted,
            rejected=rejected,
        )

    def leaf(self, person: int) -> ReportLeaf:
        """The public part of a person's report."""
        shown = credential(self.panel, person)
        report = report_of(person)
        shares = digest(f"leader's share of {person}"), digest(f"helper's share of {person}")
        permit = Permit(task=self.task, report=report, leader_share=shares[0], helper_share=shares[1])
        return ReportLeaf(
            report=report,
            panel=0,
            slot_key=shown.key,
            token=shown.token,
            permit=slot_signing_key(person).sign(tagged_hash("permit", encode(permit))),
            leader_share=shares[0],
            helper_share=shares[1],
        )

    def close_of(self, statement: BatchStatement) -> CloseBatch:
        """Both signatures over a statement."""
        return CloseBatch(
            statement=statement,
            leader_signature=LEADER.key.sign(statement_message(statement)),
            helper_signature=self.partner.key.sign(statement_message(statement)),
        )

    def close(self, accepted: int = 4) -> None:
        """The batch is closed at the first height possible."""
        self.world.height = get_task(self.world.state, self.task).revoke_until + 1
        self.world.do(LEADER, self.close_of(self.statement(accepted)))

    def share_of(self, party: Party, numbers: Sequence[int]) -> PostShare:
        """One aggregator's noised share of made-up numbers, sealed to the order's key."""
        return self.sealed_share(party, encode_share(HISTOGRAM, numbers))

    def sealed_share(self, party: Party, share: bytes) -> PostShare:
        """Any bytes as one aggregator's share."""
        state = self.world.state
        configuration, batch = get_configuration(state, self.task), get_task(state, self.task).batch
        assert batch is not None
        info, aad = share_info(party), share_aad(batch.statement)
        sealed = seal(configuration.seal_key, info, aad, share, self.world.randomness)
        self.sealed[party] = sealed
        return PostShare(
            task=self.task,
            sealed=sealed,
            sealed_digest=sealed_share_digest(sealed),
            share_digest=noised_share_digest(share),
        )

    def post(self, leader: Sequence[int] = (1, 2, 3, 4), helper: Sequence[int] = (0, 1, -2, -1)) -> None:
        """Both shares are posted."""
        self.world.height += 2
        self.world.do(LEADER, self.share_of(Party.LEADER, leader))
        self.world.do(self.partner, self.share_of(Party.HELPER, helper))

    def dispute_of(self) -> DisputeResult:
        """The customer reveals the order's key."""
        return DisputeResult(
            task=self.task,
            private_key=ORDER_SEED,
            leader_sealed=self.sealed[Party.LEADER],
            helper_sealed=self.sealed[Party.HELPER],
        )

    def receipt(self, person: int, report: ReportId) -> tuple[UploadReceipt, Signature]:
        """The leader's receipt for a person's report."""
        receipt = UploadReceipt(
            task=self.task,
            report=report,
            slot_key=credential(self.panel, person).key,
            digest=digest(f"report bytes of {person}"),
        )
        return receipt, LEADER.key.sign(receipt_message(receipt))


def report_of(person: int) -> ReportId:
    """A report's id."""
    return ReportId(digest(f"report of {person}")[:16])


def request_of(order: OrderId) -> RequestTask:
    """What the leader sends to take an order on."""
    return RequestTask(order=order, seal_key=SealKey(digest("leader's key")), noise_commitment=digest("leader's noise"))


def join_of(order: OrderId) -> JoinTask:
    """What the helper sends to join."""
    return JoinTask(order=order, seal_key=SealKey(digest("helper's key")), noise_commitment=digest("helper's noise"))


def absence(leaves: Sequence[ReportLeaf], report: ReportId) -> Absence:
    """The neighbours between which a report would stand in a sorted list."""
    encoded = [encode(leaf) for leaf in leaves]
    after = sum(leaf.report < report for leaf in leaves)

    def opening(index: int) -> LeafOpening | None:
        if not 0 <= index < len(leaves):
            return None
        return LeafOpening(leaf=leaves[index], index=index, path=tuple(tree_path(encoded, index)))

    return Absence(left=opening(after - 1), right=opening(after))


def sign_statement(actor: Actor, statement: BatchStatement) -> SignedBatch:
    """One aggregator's signature over a statement."""
    return SignedBatch(statement=statement, signature=actor.key.sign(statement_message(statement)))


def begin() -> Story:
    """Panel closed, program published, nothing ordered."""
    world = make_world()
    panel = with_panel(world)
    return Story(world=world, panel=panel, program=ProgramId(world.do(OTHER_LEADER, PROGRAM)))


STEPS = ("place", "request", "join", "close", "post")


@cache
def _story(steps: int) -> Story:
    if steps == 0:
        return begin()
    story = _story(steps - 1).copy()
    getattr(story, STEPS[steps - 1])()
    return story


def story_until(step: str) -> Story:
    """A story in which everything up to and with this step happened; each call gives a fresh copy."""
    return _story(STEPS.index(step) + 1).copy()
