"""A small network for hubs: a real ledger, issuer, services and sandbox; tests move the heights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace as changed
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from edgehold.crypto.cose import open1, sign1
from edgehold.crypto.names import account_id, possession_message, program_id
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.hub.hub import Hub, Surroundings
from edgehold.hub.keys import create_keys
from edgehold.issuer.issuer import Issuer, SignedRecord
from edgehold.issuer.register import Register
from edgehold.policy.policy import LeastCredibility, Policy
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.program import Program, load_program
from edgehold.service.node import ServiceNode
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import AccountId, Digest, OrderId, PanelId, TaskId
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.task import JoinTask
from edgehold.wire.tx import Body, Envelope, Receipt

START = 1_750_000_000_000_000_000
TODAY = date(2026, 11, 24)
SCHEDULE = Schedule(request=5, join=5, upload=4, revoke=2, close=4, share=4, accept=4)
SLOTS = 4
ANALYSES = Path(__file__).parents[2] / "src" / "edgehold" / "analyses"
SERVICES = ("leader", "helper")

OPEN = Policy(
    least_credibility=LeastCredibility(100_000, 100_000, 100_000),
    least_batch=3,
    loss_per_order="10",
    loss_per_year="10",
    customer_share="1",
    services_share="1",
    purpose_share="1",
)
"""A policy that grants the orders of this world."""


def digest(name: str) -> Digest:
    """32 bytes that follow from a name."""
    return Digest(sha256(name.encode()).digest())


def key_of(name: str) -> SigningKey:
    """An organisation's signing key, by its name."""
    return SigningKey(digest(f"key of {name}"))


def account_of(name: str) -> AccountId:
    """An organisation's account, by its name."""
    return account_id(Role.ORGANISATION, key_of(name).public)


PARAMETERS = Parameters(
    period=1000,
    root_interval=5,
    block_interval_ms=1000,
    least_panel=3,
    most_panel=6,
    least_batch=3,
    hub_quota=20,
    expiry=100,
    abort_fee=100,
    helper_share=400,
    acceptance_cap=500_000,
    suspension=50,
)

GENESIS = Genesis(
    chain="hub-tests",
    time=START,
    founders=tuple(
        Founder(name=name, key=key_of(name).public, role=Role.ORGANISATION, credits=1_000_000 * (name == "treasurer"))
        for name in ("accreditor", "other accreditor", "treasurer", "operator")
    ),
    accreditors=(0, 1),
    treasurer=2,
    validators=(Validator(key=key_of("validator").public, power=1),),
    operators=(3,),
    parameters=PARAMETERS,
)


@cache
def sandbox() -> Sandbox:
    """The one sandbox of all tests."""
    return Sandbox(prepare_runtime(default_cache()))


def bundle(person: str, *, born: str = "1980-05-17", bmi: float = 27.5) -> bytes:
    """A signed-off record: a Patient and one body mass index."""
    observation = {
        "resourceType": "Observation",
        "id": f"{person}-bmi",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "39156-5"}]},
        "subject": {"reference": f"urn:uuid:{person}"},
        "effectiveDateTime": "2025-03-01T10:00:00Z",
        "valueQuantity": {"value": bmi, "unit": "kg/m2", "system": "http://unitsofmeasure.org", "code": "kg/m2"},
    }
    patient = {"resourceType": "Patient", "id": person, "gender": "female", "birthDate": born}
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in (patient, observation)]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


class Line:
    """A peer reached in the same process; a test can cut it, or lose replies on the way back."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.cut = False
        self.lose_replies = 0
        self.received: list[bytes] = []

    def send(self, message: bytes) -> bytes:
        """Deliver, unless the line is cut."""
        if self.cut:
            raise ConnectionError("the line is cut")
        self.received.append(message)
        answer = self.answer(message)
        if self.lose_replies:
            self.lose_replies -= 1
            raise ConnectionError("the reply was lost")
        return answer


class World:
    """One network with an issuer, a leader, a helper and a customer; hubs live in folders."""

    def __init__(self, folder: Path, *, seed: int = 1, services: type[ServiceNode] = ServiceNode) -> None:
        self.folder = folder
        self.randomness = SeededRandomness(seed, "hubs")
        self.ledger = EmbeddedLedger(
            None, GENESIS, key_of("validator"), SteppingClock(START, 1_000_000_000), SeededRandomness(seed, "ledger")
        )
        self._found()
        self.register = Register(folder / "issuer.sqlite", digest("issuer's storage key"))
        self.issuer = Issuer(
            self.ledger, self.register, key_of("issuer"), account_of("issuer"), SeededRandomness(seed, "issuer")
        )
        self.desk = Line(self.issuer.handle)
        self.nodes: dict[str, ServiceNode] = {}
        self.lines = {name: Line(lambda message, name=name: self.nodes[name].handle(message)) for name in SERVICES}
        for name, other in (("leader", "helper"), ("helper", "leader")):
            self.nodes[name] = services(
                self.ledger,
                folder / f"{name}.sqlite",
                key_of(name),
                SeededRandomness(seed, name),
                peers={account_of(other): self.lines[other]},
                panel_keys=self.issuer,
            )
        self.sources: dict[Digest, bytes] = {}
        self.outside = Surroundings(
            ledger=self.ledger,
            sandbox=sandbox(),
            library=self.sources.get,
            services=lambda account: self.lines["leader" if account == account_of("leader") else "helper"],
            randomness=self.randomness,
        )
        self._orders = 0

    # ── the network ───────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, sender: str, body: Body) -> Digest:
        """A transaction that has to succeed."""
        network = self.ledger.network
        envelope = Envelope(network=network, sender=account_of(sender), expires=self.ledger.height() + 20, body=body)
        receipt = self.settle(self.ledger.submit(sign1(key_of(sender), encode(envelope), network)))
        return receipt.made or Digest(bytes(32))

    def settle(self, envelope: Digest) -> Receipt:
        """Make a block and see that a transaction succeeded."""
        self.ledger.advance()
        receipt = self.ledger.receipt(envelope)
        assert receipt is not None
        assert receipt.number == 0, f"EH{receipt.number} {receipt.facts}"
        return receipt

    def _found(self) -> None:
        sponsors = {
            "leader": "accreditor",
            "helper": "other accreditor",
            "customer": "accreditor",
            "issuer": "accreditor",
        }
        for name, sponsor in sponsors.items():
            key = key_of(name)
            possession = key.sign(possession_message(self.ledger.network, account_of(sponsor), key.public))
            self.do(sponsor, OpenAccount(Role.ORGANISATION, key.public, None, possession))
        for accreditor, name, claim in (
            ("accreditor", "leader", Claim.ACCREDITED),
            ("other accreditor", "helper", Claim.INDEPENDENT),
            ("other accreditor", "helper", Claim.ACCREDITED),
            ("accreditor", "issuer", Claim.ISSUER),
        ):
            self.do(accreditor, Attest(account_of(name), claim, 100_000, digest(f"{name} is {claim.value}")))
        self.do("treasurer", Transfer(account_of("customer"), 100_000))

    def tick(self, *hubs: Hub, count: int = 1) -> None:
        """So many times: hubs and services do what they can, then a block is made."""
        for _ in range(count):
            for hub in hubs:
                hub.follow()
            for name in SERVICES:
                self.nodes[name].step()
            self.ledger.advance()

    # ── persons ───────────────────────────────────────────────────────────────────────────────────────────────────

    def hand_out(self, person: str, **about: object) -> tuple[bytes, SignedRecord]:
        """The issuer signs a person's record."""
        record = bundle(person, **about)  # type: ignore[arg-type]
        return record, self.issuer.sign_record(record, TODAY)

    def new_hub(self, person: str, *, minor: bool = False) -> Hub:
        """A fresh hub without account or data."""
        folder = self.folder / person
        return Hub.create(folder, create_keys(folder, self.randomness, minor=minor), self.outside)

    def open_hub(self, person: str) -> Hub:
        """A hub from its folder, as after a restart; it shares nothing with the one before."""
        return Hub.open(self.folder / person, changed(self.outside, randomness=SeededRandomness(7, f"again {person}")))

    def admit(self, person: str, **about: object) -> Hub:
        """A person takes a signed record home, opens an account, imports and commits."""
        record, signed = self.hand_out(person, **about)
        hub = self.new_hub(person)
        self.settle(hub.ask_account(self.desk, account_of("issuer"), signed.invitation))
        self.take_home(hub, person, record, signed.signature)
        hub.set_policy(OPEN)
        return hub

    def take_home(self, hub: Hub, person: str, record: bytes, signature: bytes | None) -> None:
        """A hub imports a record, with or without its signature, and commits."""
        path = self.folder / person / "record.json"
        path.write_bytes(record)
        if signature is not None:
            path.with_name("record.json.jws").write_bytes(signature)
        hub.import_file(path)
        envelope = hub.commit()
        assert envelope is not None
        self.settle(envelope)

    def panel(self, number: int = 0, *, slots: int = SLOTS) -> PanelId:
        """A panel that is open for enrolment."""
        panel = self.issuer.declare_panel(
            scheme="all", period=0, number=number, slots=slots, schemas=("edgehold.events/1",)
        )
        self.ledger.advance()
        return panel

    def close_panel(self, panel: PanelId) -> None:
        """The enrolment ends."""
        self.issuer.close_panel(panel)
        self.ledger.advance()

    # ── orders ────────────────────────────────────────────────────────────────────────────────────────────────────

    def order(self, panel: PanelId, program: Program | str = "bmi", **changes: object) -> OrderId:
        """A customer orders one of the shipped programs, or another."""
        found = load_program(ANALYSES / f"{program}.py") if isinstance(program, str) else program
        if found.source_digest not in self.sources:
            self.sources[found.source_digest] = found.source
            self.do("customer", found.descriptor)
        self._orders += 1
        placed = PlaceOrder(
            program=program_id(found.descriptor),
            purpose=Purpose(permission=Permission.HMB),
            panels=(panel,),
            sampling=SAMPLING_ONE,
            least_batch=3,
            sigma_numerator=3,
            sigma_denominator=2,
            price=1000,
            leader=account_of("leader"),
            seal_key=SealKeyPair(digest(f"order key {self._orders}")).public,
            memo=digest(f"memo {self._orders}"),
            schedule=SCHEDULE,
        )
        return OrderId(self.do("customer", replace(placed, **changes)))

    def open_task(self, panel: PanelId, program: Program | str = "bmi", **changes: object) -> TaskId:
        """Order, request and join; no hub has looked yet."""
        self.order(panel, program, **changes)
        before = self.ledger.height()
        for _ in range(20):
            self.tick()
            for _, transaction, receipt in self.ledger.transactions(before, self.ledger.height()):
                if receipt.number == 0 and receipt.made is not None and _is_join(transaction):
                    return TaskId(receipt.made)
        raise AssertionError("no task came of the order")


def _is_join(transaction: bytes) -> bool:
    return isinstance(decode(open1(transaction).payload, Envelope).body, JoinTask)
