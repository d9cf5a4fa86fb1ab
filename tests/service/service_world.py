"""A small network with a real ledger and two real service nodes; tests move the heights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import apsw
from msgspec.structs import replace

from edgehold.aggregation.collect import open_share, party_noise, unshard
from edgehold.aggregation.report import make_report
from edgehold.crypto.blind import BlindSigner, blind, blind_sign, finalize, make_issuer_keys
from edgehold.crypto.cose import sign1
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import account_id, panel_id, possession_message
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.ledger.shares import share_aad, share_info
from edgehold.service.aggregator import revocation_digest
from edgehold.service.node import ServiceNode
from edgehold.vdaf.prio3 import Measurement
from edgehold.verify.header import hash_header
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, Transfer
from edgehold.wire.batch import ReportLeaf
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import (
    AccountId,
    Digest,
    Modulus,
    NetworkId,
    OrderId,
    PanelId,
    ProgramId,
    Signature,
    SlotKey,
    TaskId,
    Token,
)
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.service import (
    Answer,
    GetLists,
    GetShare,
    ListPart,
    Receipted,
    RevokeReport,
    SealedShareAnswer,
    Upload,
)
from edgehold.wire.task import Party, Task, TaskConfiguration
from edgehold.wire.tx import Body, Envelope, Receipt

HISTOGRAM = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=5, bound=0, weight=0)
SCHEDULE = Schedule(request=5, join=5, upload=3, revoke=2, close=4, share=4, accept=4)
PERSONS = 60
SLOTS = 4
T = TypeVar("T")
N = TypeVar("N", bound=ServiceNode)
START = 1_750_000_000_000_000_000


def digest(name: str) -> Digest:
    """32 bytes that follow from a name."""
    return Digest(sha256(name.encode()).digest())


def key_of(name: str) -> SigningKey:
    """The signing key of a party or slot, by its name."""
    return SigningKey(digest(f"key of {name}"))


def account_of(name: str) -> AccountId:
    """An organisation's account, by its name."""
    return account_id(Role.ORGANISATION, key_of(name).public)


GENESIS = Genesis(
    chain="service-tests",
    time=START,
    founders=tuple(
        Founder(name=name, key=key_of(name).public, role=Role.ORGANISATION, credits=1_000_000 * (name == "treasurer"))
        for name in ("accreditor", "other accreditor", "treasurer", "operator")
    ),
    accreditors=(0, 1),
    treasurer=2,
    validators=(Validator(key=key_of("validator").public, power=1),),
    operators=(3,),
    parameters=Parameters(
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
    ),
)


@cache
def issuer_keys(name: str) -> tuple[tuple[bytes, Modulus], ...]:
    """The slot verification keys of a panel: private key and modulus."""
    keys = make_issuer_keys([digest(f"slot {slot} of {name}") for slot in range(SLOTS)])
    return tuple((key.private, key.modulus) for key in keys)


def slot_key(panel: str, slot: int, person: int) -> SigningKey:
    """One person's key for one slot."""
    return key_of(f"person {person}, slot {slot} of {panel}")


@cache
def tokens(panel: str, slot: int) -> tuple[Token, ...]:
    """Every person's token for one slot, blindly signed by the issuer."""
    private, modulus = issuer_keys(panel)[slot]
    keys = [SlotKey(slot_key(panel, slot, person).public) for person in range(PERSONS)]
    blinded = [blind(modulus, key, digest(f"blinding of {key.hex()}")) for key in keys]
    signer = BlindSigner(private)
    signed = blind_sign([(signer, one.message) for one in blinded], digest("issuer's entropy"))
    return tuple(
        finalize(modulus, one, hidden.secret, key) for one, hidden, key in zip(signed, blinded, keys, strict=True)
    )


class PublishedKeys:
    """The issuers' public lists of moduli (`ports.PanelKeys`)."""

    def __init__(self, lists: dict[PanelId, tuple[Modulus, ...]]) -> None:
        self.lists = lists

    def moduli(self, panel: PanelId) -> tuple[Modulus, ...]:
        """The list of one panel."""
        return self.lists[panel]


class Line:
    """A peer reached in the same process; a test can cut it, or lose replies on the way back."""

    def __init__(self, node: Callable[[], ServiceNode]) -> None:
        self._node = node
        self.cut = False
        self.lose_replies = 0
        self.said: list[tuple[bytes, bytes]] = []

    def send(self, message: bytes) -> bytes:
        """Deliver, unless the line is cut."""
        if self.cut:
            raise ConnectionError("the line is cut")
        answer = self._node().handle(message)
        self.said.append((message, answer))
        if self.lose_replies:
            self.lose_replies -= 1
            raise ConnectionError("the reply was lost")
        return answer


@dataclass
class Result:
    """What a customer has in the end."""

    values: list[int]
    noise: list[int]

    @property
    def exact(self) -> list[int]:
        """The values without both noises."""
        return [value - noise for value, noise in zip(self.values, self.noise, strict=True)]


class World:
    """One network, one leader, one helper, one customer, two panels."""

    def __init__(
        self,
        folder: Path,
        *,
        leader_kind: type[ServiceNode] = ServiceNode,
        helper_kind: type[ServiceNode] = ServiceNode,
        panels: Sequence[str] = ("panel",),
        ledger: EmbeddedLedger | None = None,
    ) -> None:
        self.folder = folder
        self.ledger = ledger or EmbeddedLedger(
            None, GENESIS, key_of("validator"), SteppingClock(START, 1_000_000_000), SeededRandomness(1, "ledger")
        )
        self.kinds = {"leader": leader_kind, "helper": helper_kind}
        self.keys = PublishedKeys({})
        self.panels: dict[str, PanelId] = {}
        self.lines = {name: Line(lambda name=name: self.nodes[name]) for name in ("leader", "helper")}
        self.nodes: dict[str, ServiceNode] = {}
        self._orders = 0
        self._drawn = 0
        self._found(panels)
        for name in ("leader", "helper"):
            self.start(name)

    # ── the network ───────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, sender: str, body: Body) -> Digest:
        """A transaction that has to succeed."""
        receipt = self.transact(sender, body)
        assert receipt.number == 0, f"{type(body).__name__}: EH{receipt.number} {receipt.facts}"
        return receipt.made or Digest(bytes(32))

    def transact(self, sender: str, body: Body) -> Receipt:
        """A transaction of an account, and what became of it."""
        return self.transact_as(key_of(sender), Digest(account_of(sender)), body)

    def transact_as(self, key: SigningKey, sender: Digest, body: Body) -> Receipt:
        """A transaction of any key."""
        network = NetworkId(self.ledger.network)
        envelope = Envelope(network=network, sender=sender, expires=self.ledger.height() + 20, body=body)
        name = self.ledger.submit(sign1(key, encode(envelope), network))
        self.ledger.advance()
        receipt = self.ledger.receipt(name)
        assert receipt is not None
        return receipt

    def _found(self, panels: Sequence[str]) -> None:
        sponsors = {
            "leader": "accreditor",
            "helper": "other accreditor",
            "customer": "accreditor",
            "issuer": "accreditor",
        }
        for name, sponsor in sponsors.items():
            key = key_of(name)
            possession = key_of(name).sign(possession_message(self.ledger.network, account_of(sponsor), key.public))
            self.do(sponsor, OpenAccount(Role.ORGANISATION, key.public, None, possession))
        for accreditor, name, claim in (
            ("accreditor", "leader", Claim.ACCREDITED),
            ("other accreditor", "helper", Claim.INDEPENDENT),
            ("accreditor", "issuer", Claim.ISSUER),
        ):
            self.do(accreditor, Attest(account_of(name), claim, 100_000, digest(f"{name} is {claim.value}")))
        self.do("treasurer", Transfer(account_of("customer"), 100_000))
        for number, panel in enumerate(panels):
            moduli = tuple(modulus for _, modulus in issuer_keys(panel))
            declared = DeclarePanel(
                scheme="all",
                period=0,
                number=number,
                kinds=(Kind.EHR,),
                grade=Grade.SIGNED,
                schemas=("edgehold.events/1",),
                slots=SLOTS,
                keys_root=tree_root(moduli),
            )
            self.do("issuer", declared)
            name = panel_id(account_of("issuer"), declared)
            self.do("issuer", ClosePanel(panel=name, enrolled=PERSONS))
            self.panels[panel] = name
            self.keys.lists[name] = moduli

    # ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, name: str) -> ServiceNode:
        """Start a node on its file, anew or again."""
        return self._start(self.kinds[name], self.ledger, name)

    def _start(self, kind: type[N], ledger: Any, name: str) -> N:
        other = "helper" if name == "leader" else "leader"
        self._drawn += 1
        node = kind(
            ledger,
            self.folder / f"{name}.sqlite",
            key_of(name),
            SeededRandomness(self._drawn, name),
            peers={account_of(other): self.lines[other]},
            panel_keys=self.keys,
        )
        self.nodes[name] = node
        return node

    def restart(self, name: str) -> ServiceNode:
        """Stop a node where it is, and start it on what it stored."""
        self.nodes[name].close()
        return self.start(name)

    def tick(self, count: int = 1) -> None:
        """So many times: both nodes do what they can, then a block is made."""
        for _ in range(count):
            for name in ("leader", "helper"):
                self.nodes[name].step()
            self.ledger.advance()

    def tick_to(self, height: int) -> None:
        """Tick until the ledger has this height."""
        while self.ledger.height() < height:
            self.tick()

    # ── orders and tasks ──────────────────────────────────────────────────────────────────────────────────────────

    def order(
        self,
        measurement: MeasurementType = HISTOGRAM,
        *,
        least_batch: int = 10,
        sigma: Fraction = Fraction(3, 2),
        panels: Sequence[str] = ("panel",),
        schedule: Schedule = SCHEDULE,
    ) -> OrderId:
        """Publish a program for the measurement and order it."""
        self._orders += 1
        program = self.do(
            "customer",
            PublishProgram(
                source=digest(f"source {self._orders}"),
                runtime=digest("runtime"),
                engine="wasmtime 50",
                schema="edgehold.events/1",
                kinds=(Kind.EHR,),
                sensitivity=Sensitivity.AGGREGATE,
                measurement=measurement,
                limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
            ),
        )
        order = PlaceOrder(
            program=ProgramId(program),
            purpose=Purpose(permission=Permission.HMB),
            panels=tuple(sorted(self.panels[panel] for panel in panels)),
            sampling=SAMPLING_ONE,
            least_batch=least_batch,
            sigma_numerator=sigma.numerator,
            sigma_denominator=sigma.denominator,
            price=1000,
            leader=account_of("leader"),
            seal_key=SealKeyPair(self.order_seed).public,
            memo=digest(f"memo {self._orders}"),
            schedule=schedule,
        )
        return OrderId(self.do("customer", order))

    @property
    def order_seed(self) -> bytes:
        """The seed of the last order's key."""
        return digest(f"order key {self._orders}")

    def open_task(self, measurement: MeasurementType = HISTOGRAM, **terms: Any) -> Run:
        """Order, request, join, and exchange the verification key."""
        order = self.order(measurement, **terms)
        for _ in range(20):
            self.tick()
            for height, _, receipt in self.ledger.transactions(1, self.ledger.height()):
                task = receipt.made and self.read(TaskConfiguration, Collection.CONFIGURATION, receipt.made)
                if task and task.order == order and height:
                    self.nodes["leader"].step()
                    return Run(self, TaskId(receipt.made), task)
        raise AssertionError("no task came of the order")

    def read(self, kind: type[T], collection: Collection, *ids: bytes) -> T | None:
        """An entry of the ledger."""
        data = self.ledger.read(entry_key(collection, *ids))
        return None if data is None else decode(data, kind)


class Run:
    """One task of a world."""

    def __init__(self, world: World, task: TaskId, configuration: TaskConfiguration) -> None:
        self.world = world
        self.task = task
        self.configuration = configuration
        self._randomness = SeededRandomness(world.ledger.height(), "hubs")
        self._names = {identity: name for name, identity in world.panels.items()}

    def key(self, person: int, panel: int = 0) -> SigningKey:
        """A person's slot key for this task."""
        described = self.configuration.panels[panel]
        return slot_key(self._names[described.panel], described.slot, person)

    def token(self, person: int, panel: int = 0) -> Token:
        """A person's token for this task."""
        described = self.configuration.panels[panel]
        return tokens(self._names[described.panel], described.slot)[person]

    def report(self, person: int, measurement: Measurement, *, panel: int = 0) -> bytes:
        """A person's honest report."""
        return make_report(
            self.configuration,
            measurement,
            panel=panel,
            slot_key=self.key(person, panel),
            token=self.token(person, panel),
            randomness=self._randomness,
        )

    def upload(self, report: bytes, *, to: str = "leader") -> Answer:
        """Send a report to a node."""
        message = encode(Upload(task=self.task, report=report))
        return decode(self.world.nodes[to].handle(message), Answer)

    def upload_all(self, measurements: Sequence[Measurement], *, first: int = 0) -> list[bytes]:
        """One report from each of so many persons; all have to be taken."""
        reports = [self.report(first + person, one) for person, one in enumerate(measurements)]
        messages = [encode(Upload(task=self.task, report=report)) for report in reports]
        for answer in self.world.nodes["leader"].handle_many(messages):
            assert isinstance(decode(answer, Answer), Receipted), decode(answer, Answer)
        return reports

    def revoke(self, person: int, *nodes: str, panel: int = 0) -> list[Answer]:
        """Send a person's revocation to nodes."""
        message = encode(self.revocation(person, panel))
        return [decode(self.world.nodes[node].handle(message), Answer) for node in nodes]

    def revocation(self, person: int, panel: int = 0) -> RevokeReport:
        """A person's signed revocation."""
        key = self.key(person, panel)
        unsigned = RevokeReport(
            task=self.task,
            panel=panel,
            slot_key=SlotKey(key.public),
            token=self.token(person, panel),
            signature=Signature(bytes(64)),
        )
        return replace(unsigned, signature=key.sign(revocation_digest(unsigned)))

    def entry(self) -> Task:
        """The ledger's record of the task."""
        task = self.world.read(Task, Collection.TASK, self.task)
        assert task is not None
        return task

    def finish(self) -> Task:
        """Tick until both shares are posted and destroyed behind, or the task ends."""
        while self.world.ledger.height() <= self.configuration.share_until:
            self.world.tick()
            task = self.entry()
            if task.outcome is not None or (task.leader_share and task.helper_share):
                break
        self.world.tick()
        return self.entry()

    def leaves(self, *, accepted: bool, node: str = "leader") -> list[ReportLeaf]:
        """A node's public list."""
        answer = self.world.nodes[node].handle(encode(GetLists(task=self.task, accepted=accepted, part=0)))
        part = decode(answer, Answer)
        assert isinstance(part, ListPart), part
        assert part.parts == 1
        return list(part.leaves)

    def shares(self) -> list[bytes]:
        """Both sealed shares as the customer gets them."""
        shares = []
        for party in Party:
            message = encode(GetShare(task=self.task, party=party))
            answer = decode(self.world.nodes[party.value].handle(message), Answer)
            assert isinstance(answer, SealedShareAnswer), answer
            shares.append(answer.sealed)
        return shares

    def result(self) -> Result:
        """Open both shares as the customer does; the noise is drawn again from what the nodes keep."""
        task = self.entry()
        assert task.batch is not None
        assert task.leader_share is not None
        assert task.helper_share is not None
        pair, aad = SealKeyPair(self.world.order_seed), share_aad(task.batch.statement)
        opened = [
            open_share(pair, sealed, info=share_info(party), aad=aad, posted=posted.share_digest)
            for party, sealed, posted in zip(Party, self.shares(), (task.leader_share, task.helper_share), strict=True)
        ]
        header = self.world.ledger.header(task.batch.closed_at + 1)
        assert header is not None
        noise = [0] * len(unshard(self.configuration, *opened))
        for party in Party:
            secrets = apsw.Connection(str(self.world.folder / f"{party.value}.sqlite")).execute(
                "SELECT noise_secret FROM wanted WHERE order_id = ? AND party = ?",
                (self.configuration.order, party.value),
            )
            secret = secrets.fetchone()[0]
            drawn = party_noise(self.configuration, self.task, party, secret, hash_header(header.header))
            noise = [before + one for before, one in zip(noise, drawn, strict=True)]
        return Result(values=unshard(self.configuration, *opened), noise=noise)


def counts(places: Sequence[int], length: int = HISTOGRAM.length) -> list[int]:
    """The plain histogram of places."""
    return [places.count(place) for place in range(length)]
