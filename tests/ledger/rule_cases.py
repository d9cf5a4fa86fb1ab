"""Every rule's yes and each of its noes, as transactions on a small world: run by the tests, written out as vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace
from small_world import (
    ACCREDITOR,
    CUSTOMER,
    ENROLLED,
    GENESIS,
    HELPER,
    HISTOGRAM,
    HUB,
    ISSUER,
    LEADER,
    OTHER_ACCREDITOR,
    OTHER_CUSTOMER,
    OTHER_HELPER,
    OTHER_LEADER,
    PANEL,
    PARAMETERS,
    PROGRAM,
    REGISTRY,
    SCHEDULE,
    TREASURER,
    Actor,
    Story,
    World,
    absence,
    attestation,
    begin,
    candidate,
    credential,
    digest,
    join_of,
    make_world,
    order_of,
    possession,
    report_of,
    request_of,
    rotation,
    sign_statement,
    slot_signing_key,
    story_until,
)

from edgehold.crypto.cose import sign1
from edgehold.crypto.names import sealed_share_digest
from edgehold.errors import (
    AccountExists,
    AgendaFull,
    AlreadyProven,
    AlreadyRevoked,
    AlreadyVoted,
    AttestationInPast,
    AttestationWithdrawn,
    BadBatchSignature,
    BadCredential,
    BadParameters,
    BadProposalEnd,
    BadSignature,
    BadUploadReceipt,
    BatchBelowFloor,
    BatchClosed,
    BatchNotClosed,
    BatchOutOfReach,
    EdgeholdError,
    Expired,
    ExpiresTooFar,
    Groundless,
    HeaderForgotten,
    InsufficientCredits,
    JoinTooEarly,
    JoinTooLate,
    JoinTooLong,
    KeyTaken,
    LastAccreditor,
    LeafNotAccepted,
    LoneValidator,
    Malformed,
    MeasurementUnfit,
    NobodyEligible,
    NoConflict,
    NoiseNotReduced,
    NoPossession,
    NotAccreditor,
    NotAggregator,
    NotAttested,
    NotCustomer,
    NotDrawn,
    NotDropped,
    NothingChanges,
    NothingDue,
    NothingToTransfer,
    NotIssuer,
    NotLeader,
    NotMember,
    NotRequested,
    NotRevoked,
    NotSorted,
    NotThePostedShare,
    OfficesFull,
    OrderExists,
    OrderRequested,
    OrderSettled,
    OrderTaken,
    OrderWithdrawn,
    OwnerKeyMismatch,
    PanelClosed,
    PanelExists,
    PanelSizeOutOfRange,
    PanelStillOpen,
    PanelUnsuited,
    PhaseNotBegun,
    PhaseOver,
    ProgramExists,
    ProposalDone,
    ProposalExists,
    ProposalExpired,
    PurposeUnfit,
    QuotaReached,
    RequestTooLate,
    RootTooSoon,
    RotatedRecently,
    RulesGoBack,
    RulesTooSoon,
    SealKeyUnusable,
    SelfDealing,
    ShareNotCarried,
    SharePosted,
    SharesMissing,
    SlotsExhausted,
    TaskSettled,
    TooManyReports,
    TooManyValidators,
    TooMuchPower,
    UnknownAccount,
    UnknownAttestation,
    UnknownOrder,
    UnknownPanel,
    UnknownProgram,
    UnknownProposal,
    UnknownTask,
    UnknownValidator,
    ValidatorsJustChanged,
    WrongNetwork,
    WrongPrivateKey,
    WrongRole,
    WrongSealedDigest,
)
from edgehold.ledger.draw import LONGEST_JOIN
from edgehold.ledger.genesis import initial_state
from edgehold.ledger.rules.governance import LARGEST_PANEL
from edgehold.ledger.state import find_proposal, get_task
from edgehold.wire.account import Claim, Role, Transfer, WithdrawAttestation
from edgehold.wire.codec import encode
from edgehold.wire.data import Kind
from edgehold.wire.governance import (
    MOST_ACCREDITORS,
    MOST_OPEN,
    MOST_VALIDATORS,
    AdmitValidator,
    AppointTreasurer,
    Change,
    Founder,
    Office,
    Propose,
    SetOffice,
    SetParameters,
    SetPower,
    SwitchRules,
    Validator,
    Vote,
)
from edgehold.wire.ids import NetworkId, OrderId, PanelId, ProgramId, ProposalId, SealKey, TaskId
from edgehold.wire.order import WithdrawOrder
from edgehold.wire.panel import ClosePanel
from edgehold.wire.program import Capability, MeasurementKind, MeasurementType, ReviewProgram
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.root import CommitRoot
from edgehold.wire.task import (
    AcceptResult,
    Party,
    ReportConflict,
    ReportDropped,
    ReportIgnored,
    Revoke,
    SettleOrder,
    SettleTask,
)
from edgehold.wire.tx import MAX_TRANSACTION, RESERVED_TAGS, Body, Envelope

NOBODY = digest("nobody")
STRANGER = Actor("stranger")


@dataclass(frozen=True)
class Case:
    """One transaction on one state, and what the rules say to it: nothing, or an error."""

    rule: str
    says: str
    error: type[EdgeholdError] | None
    world: World
    tx: bytes


@dataclass
class Book:
    """Collects the cases of one rule."""

    rule: str
    cases: list[Case] = field(default_factory=list)

    def bytes_(self, says: str, error: type[EdgeholdError] | None, world: World, tx: bytes) -> None:
        """A case of any bytes."""
        self.cases.append(Case(self.rule, says, error, world.copy(), tx))

    def yes(self, says: str, world: World, sender: Actor, body: Body) -> None:
        """A transaction that takes effect."""
        self.bytes_(says, None, world, world.sign(sender, body))

    def no(self, error: type[EdgeholdError], says: str, world: World, sender: Actor, body: Body) -> None:
        """A transaction that is refused."""
        self.bytes_(says, error, world, world.sign(sender, body))

    def slot_yes(self, says: str, world: World, person: int, body: Body) -> None:
        """A person's transaction that takes effect."""
        self.bytes_(says, None, world, world.sign_by_slot(slot_signing_key(person), body))

    def slot_no(self, error: type[EdgeholdError], says: str, world: World, person: int, body: Body) -> None:
        """A person's transaction that is refused."""
        self.bytes_(says, error, world, world.sign_by_slot(slot_signing_key(person), body))


# ── envelopes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def envelope(book: Book) -> None:
    world = make_world()
    network = world.state.network.id
    pay = Transfer(to=LEADER.id, credits=5)
    good = world.sign(CUSTOMER, pay, expires=world.height + PARAMETERS.expiry)
    book.bytes_("a transaction may expire as far ahead as it is remembered", None, world, good)
    book.bytes_(
        "a transaction counts at the height at which it expires",
        None,
        world,
        world.sign(CUSTOMER, pay, expires=world.height),
    )
    book.bytes_("not a byte", Malformed, world, b"")
    book.bytes_("no CBOR", Malformed, world, b"\xff" * 40)
    book.bytes_("a byte after the end", Malformed, world, good + b"\x00")
    book.bytes_("more than 64 kB", Malformed, world, good + bytes(MAX_TRANSACTION))
    whole = Envelope(network=network, sender=CUSTOMER.id, expires=5, body=pay)
    longer = encode(whole).replace(b"\x05\x83\x04", b"\x18\x05\x83\x04")
    book.bytes_("an integer in more bytes than it needs", Malformed, world, sign1(CUSTOMER.key, longer, network))
    for tag in sorted(RESERVED_TAGS):
        reserved = encode([network, CUSTOMER.id, 5, [tag]])
        book.bytes_(
            f"tag {tag} is reserved: {RESERVED_TAGS[tag]}", Malformed, world, sign1(CUSTOMER.key, reserved, network)
        )
    other = NetworkId(NOBODY)
    foreign = Envelope(network=other, sender=CUSTOMER.id, expires=5, body=pay)
    book.bytes_("signed for another network", WrongNetwork, world, sign1(CUSTOMER.key, encode(foreign), other))
    book.bytes_(
        "signed over another network's id",
        BadSignature,
        world,
        sign1(CUSTOMER.key, encode(whole), other),
    )
    late = world.copy()
    late.height = 12
    book.bytes_("expired", Expired, late, world.sign(CUSTOMER, pay, expires=11))
    book.bytes_(
        "expires too far ahead",
        ExpiresTooFar,
        world,
        world.sign(CUSTOMER, pay, expires=world.height + PARAMETERS.expiry + 1),
    )
    book.no(UnknownAccount, "an unknown sender", world, STRANGER, pay)
    book.bytes_("signed by another's key", BadSignature, world, world.sign_envelope(LEADER.key, CUSTOMER.id, pay, None))
    book.bytes_("one bit of the signature changed", BadSignature, world, good[:-1] + bytes([good[-1] ^ 1]))


# ── accounts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def open_account(book: Book) -> None:
    world = make_world()
    new, hub = possession(STRANGER, ACCREDITOR), possession(HUB, ISSUER)
    book.yes("an accreditor opens an organisation's account", world, ACCREDITOR, new)
    book.yes("an issuer opens a hub's account", world, ISSUER, hub)
    book.no(AccountExists, "an account is opened once", world, ACCREDITOR, possession(LEADER, ACCREDITOR))
    book.no(OwnerKeyMismatch, "a hub has an owner key", world, ISSUER, replace(hub, owner_key=None))
    book.no(OwnerKeyMismatch, "an owner key is not the hub key", world, ISSUER, replace(hub, owner_key=hub.key))
    book.no(OwnerKeyMismatch, "an organisation has no owner key", world, ACCREDITOR, replace(new, owner_key=hub.key))
    book.no(NotAccreditor, "only accreditors sponsor organisations", world, ISSUER, possession(STRANGER, ISSUER))
    book.no(NotAttested, "only issuers sponsor hubs", world, LEADER, possession(HUB, LEADER))
    book.no(
        NoPossession,
        "the new key agrees to this sponsor and no other",
        world,
        OTHER_ACCREDITOR,
        new,
    )
    full = world.copy()
    for number in range(PARAMETERS.hub_quota):
        full.do(ISSUER, possession(Actor(f"hub {number}", Role.HUB), ISSUER))
    book.no(QuotaReached, "an issuer's quota", full, ISSUER, hub)
    full.height = PARAMETERS.period
    book.yes("a new period, a new quota", full, ISSUER, hub)


def attest(book: Book) -> None:
    world = make_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    claim = attestation(OTHER_LEADER, Claim.ETHICS)
    book.yes("an accreditor attests a claim", world, ACCREDITOR, claim)
    book.yes("an accreditor renews its claim", world, ACCREDITOR, attestation(LEADER, Claim.ACCREDITED, until=6000))
    book.yes("an independent aggregator may be drawn", world, OTHER_ACCREDITOR, attestation(LEADER, Claim.INDEPENDENT))
    book.yes("an aggregator is listed once", world, ACCREDITOR, attestation(HELPER, Claim.INDEPENDENT))
    book.no(NotAccreditor, "only accreditors attest", world, LEADER, claim)
    book.no(SelfDealing, "nobody attests itself", world, ACCREDITOR, attestation(ACCREDITOR, Claim.AUDITOR))
    book.no(UnknownAccount, "only accounts are attested", world, ACCREDITOR, attestation(STRANGER, Claim.AUDITOR))
    book.no(WrongRole, "nothing is attested of a hub", world, ACCREDITOR, attestation(HUB, Claim.ISSUER))
    book.no(AttestationInPast, "a claim ends later than now", world, ACCREDITOR, replace(claim, until=world.height))


def withdraw_attestation(book: Book) -> None:
    world = make_world()
    claim = WithdrawAttestation(subject=LEADER.id, claim=Claim.ACCREDITED)
    book.yes("an accreditor takes its claim back", world, ACCREDITOR, claim)
    book.no(UnknownAttestation, "nobody takes another's claim back", world, OTHER_ACCREDITOR, claim)
    world.do(ACCREDITOR, claim)
    book.no(AttestationWithdrawn, "a claim is withdrawn once", world, ACCREDITOR, claim)


def transfer(book: Book) -> None:
    world = make_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    pay = Transfer(to=LEADER.id, credits=10_000)
    book.yes("credits move", world, CUSTOMER, pay)
    book.no(NothingToTransfer, "nothing moves", world, CUSTOMER, replace(pay, credits=0))
    book.no(SelfDealing, "nobody pays itself", world, CUSTOMER, replace(pay, to=CUSTOMER.id))
    book.no(UnknownAccount, "credits go to accounts", world, CUSTOMER, replace(pay, to=STRANGER.id))
    book.no(WrongRole, "hubs hold no credits", world, CUSTOMER, replace(pay, to=HUB.id))
    book.no(InsufficientCredits, "nobody gives what it has not", world, CUSTOMER, replace(pay, credits=10_001))


# ── panels, roots, programs ───────────────────────────────────────────────────────────────────────────────────────


def declare_panel(book: Book) -> None:
    world = make_world()
    book.yes("an issuer declares a panel", world, ISSUER, PANEL)
    book.no(NotAttested, "only issuers declare panels", world, LEADER, PANEL)
    twice = replace(PANEL, kinds=(Kind.EHR, Kind.EHR))
    book.no(NotSorted, "every kind is named once", world, ISSUER, twice)
    unsorted = replace(PANEL, schemas=("b", "a"))
    book.no(NotSorted, "schemas ascend", world, ISSUER, unsorted)
    world.do(ISSUER, PANEL)
    book.no(PanelExists, "a panel is declared once", world, ISSUER, PANEL)


def close_panel(book: Book) -> None:
    world = make_world()
    panel = PanelId(world.do(ISSUER, PANEL))
    close = ClosePanel(panel=panel, enrolled=ENROLLED)
    book.yes("the issuer closes its panel", world, ISSUER, close)
    book.no(UnknownPanel, "only panels are closed", world, ISSUER, replace(close, panel=PanelId(NOBODY)))
    book.no(NotIssuer, "nobody closes another's panel", world, LEADER, close)
    book.no(PanelSizeOutOfRange, "a panel too small", world, ISSUER, replace(close, enrolled=3))
    book.no(PanelSizeOutOfRange, "a panel too large", world, ISSUER, replace(close, enrolled=101))
    world.do(ISSUER, close)
    book.no(PanelClosed, "a panel is closed once", world, ISSUER, close)


def commit_root(book: Book) -> None:
    world = make_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    root = CommitRoot(root=digest("root"))
    book.yes("a hub's first root", world, HUB, root)
    book.no(WrongRole, "only hubs have roots", world, LEADER, root)
    world.do(HUB, root)
    world.height = PARAMETERS.root_interval - 1
    book.no(RootTooSoon, "one root an interval", world, HUB, root)
    world.height = PARAMETERS.root_interval
    book.yes("the next interval's root, unchanged", world, HUB, root)


def publish_program(book: Book) -> None:
    world = make_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    good = {
        MeasurementKind.COUNT: (1, 0, 0),
        MeasurementKind.SUM: (1, 255, 0),
        MeasurementKind.HISTOGRAM: (2, 0, 0),
        MeasurementKind.MULTIHOT: (10, 0, 10),
        MeasurementKind.SUMVEC: (3, 1, 0),
        MeasurementKind.L1BOUND: (3, 7, 0),
    }
    for kind, bounds in good.items():
        program = replace(PROGRAM, measurement=MeasurementType(kind, *bounds))
        book.yes(f"a program whose output is a {kind.value}", world, LEADER, program)
    bad = {
        MeasurementKind.COUNT: (1, 1, 0),
        MeasurementKind.SUM: (1, 0, 0),
        MeasurementKind.HISTOGRAM: (1, 0, 0),
        MeasurementKind.MULTIHOT: (10, 0, 11),
        MeasurementKind.SUMVEC: (3, 1, 1),
        MeasurementKind.L1BOUND: (3, 0, 0),
    }
    for kind, bounds in bad.items():
        program = replace(PROGRAM, measurement=MeasurementType(kind, *bounds))
        book.no(MeasurementUnfit, f"a {kind.value} with other bounds", world, LEADER, program)
    book.no(WrongRole, "hubs publish nothing", world, HUB, PROGRAM)
    book.no(NotSorted, "kinds ascend", world, LEADER, replace(PROGRAM, kinds=(Kind.LAB, Kind.EHR)))
    sums = replace(PROGRAM, capabilities=(Capability.VEC,))
    book.yes("a program that declares a capability", world, LEADER, sums)
    book.no(NotSorted, "each capability once", world, LEADER, replace(sums, capabilities=(Capability.VEC,) * 2))
    world.do(OTHER_LEADER, PROGRAM)
    book.no(ProgramExists, "a program is published once, by whomever", world, LEADER, PROGRAM)


def review_program(book: Book) -> None:
    world = make_world()
    program = ProgramId(world.do(OTHER_LEADER, PROGRAM))
    review = ReviewProgram(program=program, approves=True, statement=digest("review"))
    book.yes("an attested organisation approves", world, LEADER, review)
    book.no(UnknownProgram, "only programs are reviewed", world, LEADER, replace(review, program=ProgramId(NOBODY)))
    book.no(SelfDealing, "nobody reviews its own program", world, OTHER_LEADER, review)
    book.no(NotAttested, "reviewers are attested", world, CUSTOMER, review)
    world.do(LEADER, review)
    book.yes("a reviewer changes its mind", world, LEADER, replace(review, approves=False))
    world.do(LEADER, replace(review, approves=False))
    book.yes("and again", world, LEADER, review)


# ── orders ────────────────────────────────────────────────────────────────────────────────────────────────────────


def place_order(book: Book) -> None:
    story = begin()
    world, order = story.world, order_of(story.panel, story.program)
    world.do(ISSUER, possession(HUB, ISSUER))
    still_open = PanelId(world.do(ISSUER, replace(PANEL, number=1)))
    unknown = PanelId(NOBODY)
    unsuited = [
        world.do(ISSUER, replace(PANEL, number=number, **change))
        for number, change in ((2, {"schemas": ("other/1",)}), (3, {"kinds": (Kind.LAB,)}))
    ]
    for panel in unsuited:
        world.do(ISSUER, ClosePanel(panel=PanelId(panel), enrolled=ENROLLED))
    book.yes("a customer orders", world, CUSTOMER, order)
    book.yes("an order may cost nothing", world, CUSTOMER, replace(order, price=0))
    book.no(WrongRole, "hubs order nothing", world, HUB, order)
    book.no(UnknownProgram, "only published programs", world, CUSTOMER, replace(order, program=ProgramId(NOBODY)))
    book.no(SelfDealing, "nobody leads its own order", world, LEADER, order)
    book.no(NotAttested, "leaders are accredited", world, CUSTOMER, replace(order, leader=HELPER.id))
    book.no(NotSorted, "every panel once", world, CUSTOMER, replace(order, panels=(story.panel, story.panel)))
    book.no(UnknownPanel, "only declared panels", world, CUSTOMER, replace(order, panels=(unknown,)))
    book.no(PanelStillOpen, "only closed panels", world, CUSTOMER, replace(order, panels=(still_open,)))
    for panel, what in zip(unsuited, ("schema", "kind"), strict=True):
        book.no(
            PanelUnsuited,
            f"a panel offers the program's {what}",
            world,
            CUSTOMER,
            replace(order, panels=(PanelId(panel),)),
        )
    book.no(BatchBelowFloor, "the network's least batch", world, CUSTOMER, replace(order, least_batch=2))
    book.no(BatchOutOfReach, "a batch has no more reports than persons", world, CUSTOMER, replace(order, least_batch=6))
    book.no(
        NoiseNotReduced,
        "the noise scale is in lowest terms",
        world,
        CUSTOMER,
        replace(order, sigma_numerator=6, sigma_denominator=4),
    )
    slow = replace(SCHEDULE, join=LONGEST_JOIN + 1)
    book.no(JoinTooLong, "helpers join while headers are known", world, CUSTOMER, replace(order, schedule=slow))
    vague = Purpose(permission=Permission.DS)
    unusable = replace(order, seal_key=SealKey(bytes(32)))
    book.no(SealKeyUnusable, "shares can be sealed to an order's key", world, CUSTOMER, unusable)
    book.no(PurposeUnfit, "a purpose is definite", world, CUSTOMER, replace(order, purpose=vague))
    book.no(InsufficientCredits, "the price is paid at once", world, CUSTOMER, replace(order, price=10_001))
    world.do(CUSTOMER, order)
    book.no(OrderExists, "an order is placed once", world, CUSTOMER, order)


def withdraw_order(book: Book) -> None:
    placed, requested, joined = (story_until(step) for step in ("place", "request", "join"))
    back = WithdrawOrder(order=placed.order)
    book.yes("a customer takes its order back", placed.world, CUSTOMER, back)
    book.yes("also after the request", requested.world, CUSTOMER, back)
    book.no(UnknownOrder, "only orders", placed.world, CUSTOMER, WithdrawOrder(order=OrderId(NOBODY)))
    book.no(NotCustomer, "nobody takes back another's order", placed.world, OTHER_CUSTOMER, back)
    book.no(OrderTaken, "not after it became a task", joined.world, CUSTOMER, back)
    placed.world.do(CUSTOMER, back)
    book.no(OrderWithdrawn, "an order is withdrawn once", placed.world, CUSTOMER, back)


def settle_order(book: Book) -> None:
    placed, requested = story_until("place"), story_until("request")
    settle = SettleOrder(order=placed.order)
    placed.world.height += SCHEDULE.request
    book.no(NothingDue, "the leader may still request", placed.world, LEADER, settle)
    placed.world.height += 1
    book.yes("anybody settles an order without request", placed.world, LEADER, settle)
    requested.world.height += 1 + 4 * SCHEDULE.join
    book.no(NothingDue, "a helper may still join", requested.world, LEADER, settle)
    requested.world.height += 1
    book.yes("anybody settles an order that nobody joined", requested.world, LEADER, settle)
    requested.world.do(LEADER, settle)
    book.no(OrderSettled, "an order is settled once", requested.world, LEADER, settle)
    book.no(UnknownOrder, "only orders", placed.world, LEADER, SettleOrder(order=OrderId(NOBODY)))


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def request_task(book: Book) -> None:
    story = story_until("place")
    request = request_of(story.order)
    book.yes("the leader requests the task", story.world, LEADER, request)
    book.no(UnknownOrder, "only orders", story.world, LEADER, replace(request, order=OrderId(NOBODY)))
    book.no(NotLeader, "only the leader requests", story.world, OTHER_LEADER, request)
    unusable = replace(request, seal_key=SealKey(bytes(32)))
    book.no(SealKeyUnusable, "reports can be sealed to the leader", story.world, LEADER, unusable)
    lapsed = story.copy()
    lapsed.world.do(ACCREDITOR, WithdrawAttestation(subject=LEADER.id, claim=Claim.ACCREDITED))
    lapsed.world.height += 1
    book.no(NotAttested, "a leader that is no longer accredited", lapsed.world, LEADER, request)
    late = story.copy()
    late.world.height += SCHEDULE.request + 1
    book.no(RequestTooLate, "the height for the request has passed", late.world, LEADER, request)
    story.world.do(LEADER, request)
    book.no(OrderRequested, "a task is requested once", story.world, LEADER, request)


def join_task(book: Book) -> None:
    placed, story = story_until("place"), story_until("request")
    join = join_of(story.order)
    book.no(NotRequested, "the leader comes first", placed.world, HELPER, join)
    story.world.height += 1
    book.no(JoinTooEarly, "the drawing header must exist", story.world, HELPER, join)
    story.world.height += 1
    first = story.helper()
    second = OTHER_HELPER if first is HELPER else HELPER
    book.yes("the drawn helper joins", story.world, first, join)
    book.no(NotDrawn, "no other helper joins", story.world, second, join)
    book.no(UnknownOrder, "only orders", story.world, first, replace(join, order=OrderId(NOBODY)))
    unusable = replace(join, seal_key=SealKey(bytes(32)))
    book.no(SealKeyUnusable, "reports can be sealed to the helper", story.world, first, unusable)
    forgotten = story.copy()
    forgotten.world.forgotten = story.world.height
    book.no(HeaderForgotten, "a header that is no longer kept", forgotten.world, first, join)
    full = begin()
    for number in range(PANEL.slots):
        full.place(memo=f"earlier {number}")
        full.request()
        full.join()
    full.place()
    full.request()
    full.world.height += 2
    book.no(SlotsExhausted, "every slot is used once", full.world, full.helper(), join_of(full.order))
    story.world.height += SCHEDULE.join
    book.no(NotDrawn, "the first helper's heights have passed", story.world, first, join)
    book.yes("the second helper joins in its heights", story.world, second, join)
    story.world.height += SCHEDULE.join
    book.no(NobodyEligible, "nobody is left", story.world, first, join)
    story.world.height += 2 * SCHEDULE.join
    book.no(JoinTooLate, "the last helper's heights have passed", story.world, first, join)


def revoke(book: Book) -> None:
    story = story_until("join")
    world, shown = story.world, credential(story.panel, 0)
    own = Revoke(task=story.task, credential=shown)
    world.height = get_task(world.state, story.task).revoke_until
    book.slot_yes("a slot key revokes its permit", world, 0, own)
    book.slot_no(UnknownTask, "only tasks", world, 0, replace(own, task=TaskId(NOBODY)))
    book.slot_no(BadCredential, "nobody revokes for another", world, 1, own)
    for says, change in {
        "a panel that the task does not ask": {"panel": PanelId(NOBODY)},
        "a slot that the task did not take": {"slot": 1},
        "a modulus that is not the slot's": {"modulus": credential(story.panel, 0, 1).modulus},
        "a path that leads elsewhere": {"path": ()},
        "a token for another key": {"token": credential(story.panel, 1).token},
    }.items():
        book.slot_no(BadCredential, says, world, 0, replace(own, credential=replace(shown, **change)))
    book.slot_no(
        BadCredential,
        "the same person's key for another slot",
        world,
        0,
        replace(own, credential=credential(story.panel, 0, 1)),
    )
    world.run(world.sign_by_slot(slot_signing_key(0), own))
    book.slot_no(AlreadyRevoked, "a permit is revoked once", world, 0, own)
    world.height += 1
    book.slot_no(
        PhaseOver, "revocations count until their height", world, 1, Revoke(story.task, credential(story.panel, 1))
    )


def close_batch(book: Book) -> None:
    story = story_until("join")
    world, task = story.world, get_task(story.world.state, story.task)
    close = story.close_of(story.statement())
    world.height = task.revoke_until
    book.no(PhaseNotBegun, "a batch closes after the revocations", world, LEADER, close)
    world.height = task.revoke_until + 1
    book.yes("the leader closes the batch", world, LEADER, close)
    book.yes("the helper closes the batch", world, story.partner, close)
    book.yes("exactly enough reports", world, LEADER, story.close_of(story.statement(3, 0, 1)))
    book.yes("too few reports end the task", world, LEADER, story.close_of(story.statement(2)))
    book.no(
        UnknownTask,
        "only tasks",
        world,
        LEADER,
        replace(close, statement=replace(close.statement, task=TaskId(NOBODY))),
    )
    book.no(NotAggregator, "only the two aggregators close", world, OTHER_LEADER, close)
    book.no(
        TooManyReports, "no more reports than persons", world, LEADER, story.close_of(story.statement(ENROLLED + 1))
    )
    for party in ("leader", "helper"):
        other = {f"{party}_signature": sign_statement(story.partner, story.statement(3)).signature}
        book.no(BadBatchSignature, f"the {party} signed something else", world, LEADER, replace(close, **other))
    late = story.copy()
    late.world.height = task.close_until + 1
    book.no(PhaseOver, "a batch closes in time", late.world, LEADER, close)
    closed = story.copy()
    closed.world.do(LEADER, close)
    book.no(BatchClosed, "one task, one batch", closed.world, story.partner, close)
    world.do(LEADER, story.close_of(story.statement(2)))
    book.no(TaskSettled, "a task that ended", world, LEADER, close)


def post_share(book: Book) -> None:
    joined, story = story_until("join"), story_until("close")
    world, partner = story.world, story.partner
    leader, helper = story.share_of(Party.LEADER, (1, 2, 3, 4)), story.share_of(Party.HELPER, (0, 0, 0, 0))
    book.no(BatchNotClosed, "a batch is closed before its shares", joined.world, LEADER, leader)
    world.height += 1
    book.no(PhaseNotBegun, "the header that seeds the noise comes first", world, LEADER, leader)
    world.height += 1
    book.yes("the leader posts its share", world, LEADER, leader)
    book.yes("the helper posts its share", world, partner, helper)
    book.no(UnknownTask, "only tasks", world, LEADER, replace(leader, task=TaskId(NOBODY)))
    book.no(NotAggregator, "only the two aggregators post", world, OTHER_LEADER, leader)
    book.no(WrongSealedDigest, "the digest is that of the bytes", world, LEADER, replace(leader, sealed_digest=NOBODY))
    book.no(ShareNotCarried, "a small share travels here", world, LEADER, replace(leader, sealed=b""))
    late = story.copy()
    late.world.height = get_task(world.state, story.task).share_until + 1
    book.no(PhaseOver, "a share comes in time", late.world, LEADER, leader)
    world.do(LEADER, leader)
    world.do(partner, helper)
    book.no(SharePosted, "the leader posts once", world, LEADER, leader)
    book.no(SharePosted, "the helper posts once", world, partner, helper)
    world.do(CUSTOMER, AcceptResult(task=story.task))
    book.no(TaskSettled, "a task that ended", world, LEADER, leader)
    large = begin()
    wide = replace(PROGRAM, measurement=replace(HISTOGRAM, length=2000))
    large.program = ProgramId(large.world.do(OTHER_LEADER, wide))
    for step in (large.place, large.request, large.join, large.close):
        step()
    large.world.height += 2
    elsewhere = replace(leader, task=large.task, sealed=b"")
    book.yes("a share too large to travel", large.world, LEADER, elsewhere)


def accept_result(book: Book) -> None:
    joined, closed, story = (story_until(step) for step in ("join", "close", "post"))
    accept = AcceptResult(task=story.task)
    book.yes("the customer accepts", story.world, CUSTOMER, accept)
    book.no(UnknownTask, "only tasks", story.world, CUSTOMER, AcceptResult(task=TaskId(NOBODY)))
    book.no(NotCustomer, "nobody accepts for another", story.world, OTHER_CUSTOMER, accept)
    book.no(SharesMissing, "there is no batch yet", joined.world, CUSTOMER, accept)
    book.no(SharesMissing, "there are no shares yet", closed.world, CUSTOMER, accept)
    closed.world.height += 2
    closed.world.do(LEADER, closed.share_of(Party.LEADER, (1, 2, 3, 4)))
    book.no(SharesMissing, "there is one share yet", closed.world, CUSTOMER, accept)
    late = story.copy()
    late.world.height = get_task(late.world.state, story.task).accept_until + 1
    book.no(PhaseOver, "the customer was silent too long", late.world, CUSTOMER, accept)
    story.world.do(CUSTOMER, accept)
    book.no(TaskSettled, "a result is accepted once", story.world, CUSTOMER, accept)


def dispute_result(book: Book) -> None:
    closed = story_until("close")
    closed.world.height += 2
    good = closed.share_of(Party.HELPER, (0, 0, 0, 0))

    def disputed(leader: Callable[[Story], object] | None = None, numbers: tuple[int, ...] = (1, 2, 3, 4)) -> Story:
        story = closed.copy()
        share = story.share_of(Party.LEADER, numbers)
        story.world.do(LEADER, leader(story) if leader else share)  # type: ignore[arg-type]
        story.world.do(story.partner, good)
        return story

    def garbage(story: Story) -> object:
        story.sealed[Party.LEADER] = b"garbage" * 20
        share = story.share_of(Party.LEADER, (1, 2, 3, 4))
        story.sealed[Party.LEADER] = b"garbage" * 20
        return replace(share, sealed=b"garbage" * 20, sealed_digest=sealed_share_digest(b"garbage" * 20))

    story = disputed()
    book.no(Groundless, "a possible result", story.world, CUSTOMER, story.dispute_of())
    book.no(UnknownTask, "only tasks", story.world, CUSTOMER, replace(story.dispute_of(), task=TaskId(NOBODY)))
    book.no(NotCustomer, "nobody disputes for another", story.world, OTHER_CUSTOMER, story.dispute_of())
    book.no(
        WrongPrivateKey, "another order's key", story.world, CUSTOMER, replace(story.dispute_of(), private_key=NOBODY)
    )
    for party in ("leader", "helper"):
        book.no(
            NotThePostedShare,
            f"other bytes than the {party} posted",
            story.world,
            CUSTOMER,
            replace(story.dispute_of(), **{f"{party}_sealed": b"other"}),
        )
    late = story.copy()
    late.world.height = get_task(late.world.state, story.task).accept_until + 1
    book.no(PhaseOver, "the customer was silent too long", late.world, CUSTOMER, late.dispute_of())
    # σ = 5/2: twelve deviations of both noises are 42.4…; four reports add at most 4 to a bucket.
    for numbers in ((46, 0, 0, 0), (0, 0, 0, -42)):
        inside = disputed(numbers=numbers)
        book.no(Groundless, f"just within the noise: {numbers}", inside.world, CUSTOMER, inside.dispute_of())
    for numbers in ((47, 0, 0, 0), (0, 0, 0, -43)):
        outside = disputed(numbers=numbers)
        book.yes(f"an impossible result marks both: {numbers}", outside.world, CUSTOMER, outside.dispute_of())
    faults: dict[str, Callable[[Story], object]] = {
        "a share that does not open": garbage,
        "a share with another digest": lambda story: replace(
            story.share_of(Party.LEADER, (1, 2, 3, 4)), share_digest=NOBODY
        ),
        "a share of another length": lambda story: story.sealed_share(Party.LEADER, bytes(63)),
        "a share beyond the field": lambda story: story.sealed_share(Party.LEADER, b"\xff" * 64),
    }
    for says, leader in faults.items():
        bad = disputed(leader)
        book.yes(f"{says} names the leader", bad.world, CUSTOMER, bad.dispute_of())
    both = closed.copy()
    for actor, party in ((LEADER, Party.LEADER), (both.partner, Party.HELPER)):
        both.world.do(actor, replace(both.share_of(party, (0, 0, 0, 0)), share_digest=NOBODY))
    book.yes("two bad shares name both", both.world, CUSTOMER, both.dispute_of())
    both.world.do(CUSTOMER, both.dispute_of())
    book.no(TaskSettled, "a result is disputed once", both.world, CUSTOMER, both.dispute_of())


def settle_task(book: Book) -> None:
    joined, closed, posted = (story_until(step) for step in ("join", "close", "post"))
    settle = SettleTask(task=posted.task)
    heights = get_task(joined.world.state, joined.task)
    book.no(UnknownTask, "only tasks", joined.world, ISSUER, SettleTask(task=TaskId(NOBODY)))
    joined.world.height = heights.close_until
    book.no(NothingDue, "the batch may still be closed", joined.world, ISSUER, settle)
    joined.world.height += 1
    book.yes("a task never closed marks both", joined.world, ISSUER, settle)
    closed.world.height = heights.share_until
    book.no(NothingDue, "the shares may still come", closed.world, ISSUER, settle)
    closed.world.height += 1
    book.yes("two missing shares name both", closed.world, ISSUER, settle)
    for actor, party, silent in (
        (LEADER, Party.LEADER, "helper"),
        (closed.partner, Party.HELPER, "leader"),
    ):
        one = story_until("close")
        one.world.height += 2
        one.world.do(actor, one.share_of(party, (1, 2, 3, 4)))
        one.world.height = heights.share_until + 1
        book.yes(f"a missing share names the {silent}", one.world, ISSUER, settle)
    posted.world.height = heights.accept_until
    book.no(NothingDue, "the customer may still judge", posted.world, ISSUER, settle)
    posted.world.height += 1
    book.yes("a silent customer pays", posted.world, ISSUER, settle)
    posted.world.do(ISSUER, settle)
    book.no(TaskSettled, "a task is settled once", posted.world, ISSUER, settle)


# ── evidence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def report_conflict(book: Book) -> None:
    story = story_until("join")
    world = story.world
    one, other, later = story.statement(4), story.statement(3), story.statement(4, 1, 1)
    conflict = ReportConflict(
        task=story.task,
        accused=LEADER.id,
        first=sign_statement(LEADER, one),
        second=sign_statement(LEADER, other),
    )
    helper = replace(
        conflict,
        accused=story.partner.id,
        first=sign_statement(story.partner, one),
        second=sign_statement(story.partner, other),
    )
    book.yes("anybody shows the leader's two statements", world, ISSUER, conflict)
    book.yes("anybody shows the helper's two statements", world, ISSUER, helper)
    book.no(UnknownTask, "only tasks", world, ISSUER, replace(conflict, task=TaskId(NOBODY)))
    book.no(NotAggregator, "only the two aggregators", world, ISSUER, replace(conflict, accused=OTHER_LEADER.id))
    book.no(NoConflict, "the same statement twice", world, ISSUER, replace(conflict, second=conflict.first))
    book.no(NoConflict, "two rounds", world, ISSUER, replace(conflict, second=sign_statement(LEADER, later)))
    elsewhere = sign_statement(LEADER, replace(other, task=TaskId(NOBODY)))
    book.no(NoConflict, "another task", world, ISSUER, replace(conflict, second=elsewhere))
    for place in ("first", "second"):
        forged = sign_statement(story.partner, {"first": one, "second": other}[place])
        book.no(
            BadBatchSignature, f"the {place} signed by another", world, ISSUER, replace(conflict, **{place: forged})
        )
    world.do(ISSUER, conflict)
    world.do(ISSUER, helper)
    turned = replace(conflict, first=conflict.second, second=conflict.first)
    book.no(AlreadyProven, "a conflict counts once", world, CUSTOMER, turned)


def report_dropped(book: Book) -> None:
    joined, story = story_until("join"), story_until("close")
    world, report = story.world, report_of(4_000)
    receipt, signature = story.receipt(0, report)
    dropped = ReportDropped(
        receipt=receipt,
        signature=signature,
        credential=credential(story.panel, 0),
        accepted=absence(story.leaves, report),
        rejected=absence(story.rejected, report),
    )
    book.slot_yes("a receipted report in neither list", world, 0, dropped)
    for number in range(4_001, 4_004):
        another = report_of(number)
        shown, signed = story.receipt(0, another)
        book.slot_yes(
            f"wherever the report would lie: {number}",
            world,
            0,
            replace(
                dropped,
                receipt=shown,
                signature=signed,
                accepted=absence(story.leaves, another),
                rejected=absence(story.rejected, another),
            ),
        )
    book.slot_no(BatchNotClosed, "the batch is not closed", joined.world, 0, dropped)
    book.slot_no(BadCredential, "nobody accuses for another", world, 1, dropped)
    book.slot_no(UnknownTask, "only tasks", world, 0, replace(dropped, receipt=replace(receipt, task=TaskId(NOBODY))))
    others, others_signature = story.receipt(1, report)
    book.slot_no(
        BadUploadReceipt,
        "another's receipt",
        world,
        0,
        replace(dropped, receipt=others, signature=others_signature),
    )
    book.slot_no(BadUploadReceipt, "a forged receipt", world, 0, replace(dropped, signature=others_signature))
    present = story.leaves[1].report
    kept, kept_signature = story.receipt(0, present)
    around = absence(story.leaves, report_of(4_000))
    hidden = replace(
        dropped,
        receipt=kept,
        signature=kept_signature,
        accepted=absence(story.leaves, present),
        rejected=absence(story.rejected, present),
    )
    book.slot_no(NotDropped, "the report is in the list", world, 0, hidden)
    gap = replace(hidden.accepted, right=absence(story.leaves, story.leaves[2].report).right)
    book.slot_no(NotDropped, "a leaf lies between the two", world, 0, replace(hidden, accepted=gap))
    book.slot_no(NotDropped, "neighbours of another place", world, 0, replace(hidden, accepted=around))
    before = replace(hidden.accepted, left=None, right=absence(story.leaves, story.leaves[0].report).right)
    book.slot_no(NotDropped, "the report lies behind the first", world, 0, replace(hidden, accepted=before))
    behind = absence(story.leaves, b"\xff" * 16)  # type: ignore[arg-type]
    book.slot_no(NotDropped, "the report lies before the last", world, 0, replace(hidden, accepted=behind))
    foreign = absence(story.rejected, report)
    book.slot_no(NotDropped, "leaves of the other list", world, 0, replace(dropped, accepted=foreign))
    world.run(world.sign_by_slot(slot_signing_key(0), dropped))
    book.slot_no(AlreadyProven, "one accusation a slot key", world, 0, dropped)
    none = story_until("join")
    none.world.height = get_task(none.world.state, none.task).revoke_until + 1
    none.world.do(LEADER, none.close_of(none.statement(4, 0)))
    book.slot_yes("an empty list", none.world, 0, replace(dropped, rejected=absence((), report)))


def report_ignored(book: Book) -> None:
    joined = story_until("join")
    joined.world.run(joined.world.sign_by_slot(slot_signing_key(0), Revoke(joined.task, credential(joined.panel, 0))))
    story = joined.copy()
    story.close()
    world = story.world

    def leaf_of(person: int) -> ReportIgnored:
        own = report_of(person)
        opening = absence(story.leaves, own).right
        assert opening is not None
        return ReportIgnored(task=story.task, credential=credential(story.panel, person), leaf=opening)

    ignored = leaf_of(0)
    book.slot_yes("a report counts despite its revocation", world, 0, ignored)
    book.slot_no(BadCredential, "nobody accuses for another", world, 1, ignored)
    book.slot_no(UnknownTask, "only tasks", world, 0, replace(ignored, task=TaskId(NOBODY)))
    book.slot_no(NotRevoked, "nothing was revoked", world, 1, leaf_of(1))
    book.slot_no(BatchNotClosed, "the batch is not closed", joined.world, 0, ignored)
    book.slot_no(LeafNotAccepted, "another's leaf", world, 0, replace(ignored, leaf=leaf_of(1).leaf))
    moved = replace(ignored.leaf, index=(ignored.leaf.index + 1) % 4)
    book.slot_no(LeafNotAccepted, "no such leaf", world, 0, replace(ignored, leaf=moved))
    world.run(world.sign_by_slot(slot_signing_key(0), ignored))
    book.slot_no(AlreadyProven, "one accusation a slot key", world, 0, ignored)


# ── governance ────────────────────────────────────────────────────────────────────────────────────────────────────


NEWCOMER = Actor("newcomer")
OTHER_RULES = SetParameters(parameters=replace(PARAMETERS, least_batch=4))


def settled_world() -> World:
    """The world at a height at which its validators may change."""
    world = make_world()
    world.height = 10
    return world


def lone_world() -> World:
    """A network that one validator keeps, whose operator decides alone."""
    genesis = replace(GENESIS, validators=GENESIS.validators[:1], operators=(0,))
    return World(initial_state(genesis), 10, genesis=genesis)


def crowd_of(count: int) -> list[Actor]:
    return [Actor(f"operator {number}") for number in range(count)]


def crowded_world(count: int) -> World:
    """A network of so many founders, each of whom accredits if there is room and operates a validator."""
    crowd = crowd_of(count)
    genesis = replace(
        GENESIS,
        founders=tuple(Founder(actor.name, actor.key.public, Role.ORGANISATION, 0) for actor in crowd),
        accreditors=tuple(range(MOST_ACCREDITORS)),
        validators=tuple(Validator(Actor(f"validator of {actor.name}").key.public, 10) for actor in crowd),
        operators=tuple(range(count)),
        treasurer=0,
    )
    return World(initial_state(genesis), 10, genesis=genesis)


def propose(book: Book) -> None:
    world = settled_world()
    proposed = Propose(change=OTHER_RULES, until=world.height + 20)
    book.yes("a member proposes, until the last height that genesis allows", world, ACCREDITOR, proposed)
    book.yes("a proposal may end with the next height", world, ACCREDITOR, replace(proposed, until=world.height + 1))
    book.no(NotMember, "only operators of validators propose", world, LEADER, proposed)
    book.no(BadProposalEnd, "a proposal ends later than now", world, ACCREDITOR, replace(proposed, until=world.height))
    book.no(BadProposalEnd, "a proposal open for too long", world, ACCREDITOR, replace(proposed, until=31))
    alone = lone_world()
    book.yes("who operates the only validator decides alone", alone, ACCREDITOR, proposed)
    proposal = world.propose(OTHER_RULES)
    book.no(ProposalExists, "the same is proposed once", world, ACCREDITOR, proposed)
    book.yes("another member may propose the same", world, OTHER_ACCREDITOR, proposed)
    world.height = 11
    for number in range(MOST_OPEN - 1):
        world.propose(SetParameters(parameters=replace(PARAMETERS, hub_quota=100 + number)))
    late = Propose(change=OTHER_RULES, until=40)
    book.no(AgendaFull, "as many as may be open at once", world, REGISTRY, replace(late, until=31))
    world.height = 31
    book.yes("expired ones make room", world, REGISTRY, late)
    assert find_proposal(world.state, proposal) is not None


def vote(book: Book) -> None:
    world = settled_world()
    ballot = Vote(proposal=world.propose(OTHER_RULES), yes=True)
    book.yes("a member says yes", world, OTHER_ACCREDITOR, ballot)
    book.yes("a member says no", world, OTHER_ACCREDITOR, replace(ballot, yes=False))
    book.no(NotMember, "only operators of validators vote", world, LEADER, ballot)
    book.no(UnknownProposal, "what nobody proposed", world, OTHER_ACCREDITOR, Vote(ProposalId(NOBODY), True))
    book.no(AlreadyVoted, "who proposed has said yes", world, ACCREDITOR, replace(ballot, yes=False))
    denied = world.copy()
    denied.do(OTHER_ACCREDITOR, replace(ballot, yes=False))
    book.no(AlreadyVoted, "no is said once and for all", denied, OTHER_ACCREDITOR, ballot)
    late = world.copy()
    late.height = 30
    book.yes("the last height at which it is open", late, OTHER_ACCREDITOR, ballot)
    late.height = 31
    book.no(ProposalExpired, "a height later", late, OTHER_ACCREDITOR, ballot)
    world.do(OTHER_ACCREDITOR, ballot)
    book.yes("three of four decide on parameters", world, REGISTRY, ballot)
    gone = world.copy()
    gone.decide(SetPower(operator=OTHER_ACCREDITOR.id, power=0))
    book.yes("a vote of who left counts no more: two of three is too few", gone, REGISTRY, ballot)
    gone.do(REGISTRY, ballot)
    book.yes("all three who are left decide", gone, TREASURER, ballot)
    world.do(REGISTRY, ballot)
    book.no(ProposalDone, "it is decided once", world, TREASURER, ballot)
    stale = settled_world()
    first, second = (stale.propose(SetPower(operator=REGISTRY.id, power=power)) for power in (11, 12))
    for proposal in (first, second):
        stale.do(OTHER_ACCREDITOR, Vote(proposal=proposal, yes=True))
    stale.do(TREASURER, Vote(proposal=first, yes=True))
    decisive = Vote(proposal=second, yes=True)
    book.no(ValidatorsJustChanged, "a vote that decides what cannot be carried out now", stale, TREASURER, decisive)
    book.yes("a vote against it counts", stale, TREASURER, replace(decisive, yes=False))
    stale.height += 2
    book.yes("the same vote when it can", stale, TREASURER, decisive)


def decision(book: Book, says: str, world: World, change: Change) -> None:
    """The vote that carries a change out."""
    told = world.copy()
    decisive = Vote(proposal=told.propose(change), yes=True)
    told.do(OTHER_ACCREDITOR, decisive)
    book.yes(says, told, TREASURER, decisive)


def refusal(book: Book, error: type[EdgeholdError], says: str, world: World, change: Change) -> None:
    """A proposal of what cannot be."""
    member = ACCREDITOR if world.genesis.founders[0].name == ACCREDITOR.name else Actor(world.genesis.founders[0].name)
    book.no(error, says, world, member, Propose(change=change, until=world.height + 20))


def set_parameters(book: Book) -> None:
    world = settled_world()
    decision(book, "members set parameters", world, OTHER_RULES)
    refusal(book, NothingChanges, "those in force", world, SetParameters(parameters=PARAMETERS))
    contradiction = SetParameters(parameters=replace(PARAMETERS, least_panel=101))
    refusal(book, BadParameters, "parameters that contradict each other", world, contradiction)
    beyond = SetParameters(parameters=replace(PARAMETERS, most_panel=LARGEST_PANEL + 1))
    refusal(book, BadParameters, "panels beyond all counts", world, beyond)


def change_validators(book: Book) -> None:
    world = settled_world()
    network = world.state.network.id
    stranger = AdmitValidator(candidate=candidate(NEWCOMER), power=10)
    decision(book, "a newcomer, whose account is opened", world, stranger)
    known = AdmitValidator(candidate=candidate(LEADER), power=13)
    decision(book, "an organisation that has an account, with a third of the power", world, known)
    refusal(book, TooMuchPower, "more than a third comes at once", world, replace(known, power=14))
    member = AdmitValidator(candidate=candidate(REGISTRY, Actor("second validator").key), power=1)
    refusal(book, KeyTaken, "an operator has one validator", world, member)
    taken = AdmitValidator(candidate=candidate(LEADER, Actor("validator of registry").key), power=1)
    refusal(book, KeyTaken, "a key votes for one validator", world, taken)
    own = candidate(LEADER)
    for what, forged in (
        ("the operator", replace(own, account_signature=own.possession)),
        ("the consensus key", replace(own, possession=own.account_signature)),
        ("neither key, in this network", candidate(LEADER, network=NetworkId(NOBODY))),
    ):
        refusal(book, NoPossession, f"{what} did not agree", world, replace(known, candidate=forged))
    decision(book, "a validator gets more power", world, SetPower(operator=REGISTRY.id, power=23))
    refusal(book, TooMuchPower, "too much more at once", world, SetPower(operator=REGISTRY.id, power=24))
    decision(book, "a validator leaves", world, SetPower(operator=REGISTRY.id, power=0))
    refusal(book, NothingChanges, "the power that it has", world, SetPower(operator=REGISTRY.id, power=10))
    refusal(book, UnknownValidator, "power for who operates none", world, SetPower(operator=LEADER.id, power=1))
    early = world.copy()
    early.decide(SetPower(operator=REGISTRY.id, power=11))
    early.height += 1
    refusal(book, ValidatorsJustChanged, "one change takes effect at a time", early, stranger)
    early.height += 1
    decision(book, "two heights later the next", early, stranger)
    heavy = world.copy()
    for power in (23, 40, 61):
        heavy.decide(SetPower(operator=REGISTRY.id, power=power))
        heavy.height += 2
    refusal(book, TooMuchPower, "more than a third goes at once", heavy, SetPower(operator=REGISTRY.id, power=30))
    lone = AdmitValidator(candidate=candidate(LEADER, network=lone_world().state.network.id), power=1)
    refusal(book, LoneValidator, "one validator stays alone", lone_world(), lone)
    refusal(book, LoneValidator, "the last does not leave", lone_world(), SetPower(operator=ACCREDITOR.id, power=0))
    full = crowded_world(MOST_VALIDATORS)
    one_more = AdmitValidator(candidate=candidate(LEADER, network=full.state.network.id), power=1)
    refusal(book, TooManyValidators, "as many as there may be", full, one_more)
    assert network != full.state.network.id


def rotate_key(book: Book) -> None:
    world = settled_world()
    fresh = Actor("fresh key").key
    rotate = rotation(REGISTRY, fresh)
    book.yes("an operator changes its validator's key", world, REGISTRY, rotate)
    book.no(NotMember, "who operates no validator has none", world, LEADER, rotation(LEADER, fresh))
    book.no(NoPossession, "the key agreed to another operator", world, TREASURER, rotate)
    taken = rotation(REGISTRY, Actor("validator of treasurer").key)
    book.no(KeyTaken, "a key that votes already", world, REGISTRY, taken)
    book.no(KeyTaken, "its own key", world, REGISTRY, rotation(REGISTRY, Actor("validator of registry").key))
    young = make_world()
    young.height = 4
    book.no(RotatedRecently, "a key stays for some heights", young, REGISTRY, rotate)
    young.height = 5
    book.yes("until the height that the refusal named", young, REGISTRY, rotate)
    world.do(REGISTRY, rotate)
    other = rotation(TREASURER, Actor("other fresh key").key)
    book.no(ValidatorsJustChanged, "another's key, two heights apart", world, TREASURER, other)
    world.height += 2
    book.yes("another's key", world, TREASURER, other)
    book.no(RotatedRecently, "the same again", world, REGISTRY, rotation(REGISTRY, Actor("third key").key))
    heavy = settled_world()
    heavy.decide(SetPower(operator=REGISTRY.id, power=23))
    heavy.height += 2
    book.no(TooMuchPower, "a validator with more than a third", heavy, REGISTRY, rotate)


def set_office(book: Book) -> None:
    world = settled_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    accredits = SetOffice(office=Office.ACCREDITOR, account=LEADER.id, holds=True)
    decision(book, "an organisation becomes an accreditor", world, accredits)
    leaves = replace(accredits, account=OTHER_ACCREDITOR.id, holds=False)
    decision(book, "an accreditor leaves, and what it attested with it", world, leaves)
    refusal(book, NothingChanges, "an accreditor already", world, replace(leaves, holds=True))
    refusal(book, NothingChanges, "no accreditor anyway", world, replace(accredits, holds=False))
    refusal(book, UnknownAccount, "offices are organisations'", world, replace(accredits, account=STRANGER.id))
    refusal(book, WrongRole, "no hub accredits", world, replace(accredits, account=HUB.id))
    last = lone_world()
    last.do(ACCREDITOR, Propose(change=leaves, until=30))
    refusal(book, LastAccreditor, "the last one stays", last, replace(leaves, account=ACCREDITOR.id))
    full = crowded_world(MOST_ACCREDITORS + 1)
    one_more = replace(accredits, account=crowd_of(MOST_ACCREDITORS + 1)[-1].id)
    refusal(book, OfficesFull, "as many as there may be", full, one_more)
    issues = SetOffice(office=Office.ISSUER, account=OTHER_LEADER.id, holds=True)
    decision(book, "the members attest an issuer", world, issues)
    decision(book, "also one that an accreditor attests", world, replace(issues, account=ISSUER.id))
    refusal(book, NothingChanges, "no issuer anyway", world, replace(issues, holds=False))
    refusal(book, WrongRole, "no hub issues", world, replace(issues, account=HUB.id))
    by_members = world.copy()
    by_members.decide(replace(issues, account=ISSUER.id))
    by_members.height += 1
    refusal(book, NothingChanges, "an issuer already", by_members, replace(issues, account=ISSUER.id))
    decision(book, "nobody's word holds any more", by_members, replace(issues, account=ISSUER.id, holds=False))


def appoint_treasurer(book: Book) -> None:
    world = settled_world()
    world.do(ISSUER, possession(HUB, ISSUER))
    decision(book, "the credits go to another treasurer", world, AppointTreasurer(account=REGISTRY.id))
    refusal(book, NothingChanges, "the treasurer already", world, AppointTreasurer(account=TREASURER.id))
    refusal(book, UnknownAccount, "a treasurer has an account", world, AppointTreasurer(account=STRANGER.id))
    refusal(book, WrongRole, "no hub holds credits", world, AppointTreasurer(account=HUB.id))


def switch_rules(book: Book) -> None:
    world = settled_world()
    second = SwitchRules(version=2, height=22)
    decision(book, "blocks from a height on follow another version", world, second)
    refusal(book, RulesTooSoon, "members need time", world, replace(second, height=19))
    refusal(book, NothingChanges, "the version in force", world, replace(second, version=1))
    pending = world.copy()
    pending.decide(second)
    pending.height += 1
    refusal(book, NothingChanges, "what is decided on", pending, second)
    decision(book, "a switch is put off", pending, replace(second, height=25))
    decision(book, "a switch is called off", pending, replace(second, version=1))
    pending.height = 22
    decision(book, "from the second version to a third", pending, SwitchRules(version=3, height=32))
    refusal(book, NothingChanges, "the second is in force", pending, SwitchRules(version=2, height=30))
    refusal(book, RulesGoBack, "no way back", pending, SwitchRules(version=1, height=30))


RULES: tuple[Callable[[Book], None], ...] = (
    envelope,
    open_account,
    attest,
    withdraw_attestation,
    transfer,
    declare_panel,
    close_panel,
    commit_root,
    publish_program,
    review_program,
    place_order,
    withdraw_order,
    settle_order,
    request_task,
    join_task,
    revoke,
    close_batch,
    post_share,
    accept_result,
    dispute_result,
    settle_task,
    report_conflict,
    report_dropped,
    report_ignored,
    propose,
    vote,
    set_parameters,
    change_validators,
    rotate_key,
    set_office,
    appoint_treasurer,
    switch_rules,
)


def cases_of(rule: Callable[[Book], None]) -> list[Case]:
    """All cases of one rule, in the order in which they are told."""
    book = Book(rule.__name__)
    rule(book)
    return book.cases


def all_cases() -> Iterator[Case]:
    """Every case there is."""
    for rule in RULES:
        yield from cases_of(rule)
