"""A customer beside the network of the service tests: it places its orders itself, and reaches everybody by messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import apsw
from service_world import HISTOGRAM, SCHEDULE, Run, World, account_of, digest, key_of

from edgehold.aggregation.collect import party_noise
from edgehold.customer.customer import Customer, Request
from edgehold.customer.orders import OrderRow, OrderStatus
from edgehold.demo.seeded import SeededRandomness
from edgehold.ports import Ledger, Peer
from edgehold.vdaf.field import output_length
from edgehold.verify.header import hash_header
from edgehold.wire.account import Account
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.data import Kind
from edgehold.wire.enrolment import AskPanelKeys, Declined, FromIssuer, PanelKeys, ToIssuer
from edgehold.wire.entry import Collection
from edgehold.wire.ids import Digest, OrderId, ProgramId
from edgehold.wire.order import Order, Schedule
from edgehold.wire.program import MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.service import Request as ServiceRequest
from edgehold.wire.task import Party, TaskConfiguration

PLACES = [person % 5 for person in range(40)]


class IssuerDesk:
    """The issuer as the customer reaches it: it gives out the public keys of its panels."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.closed = False

    def send(self, message: bytes) -> bytes:
        """Answer a request for keys."""
        request = decode(message, ToIssuer)
        assert isinstance(request, AskPanelKeys)
        answer: FromIssuer = Declined(number=710, facts="closed today")
        if not self.closed:
            answer = PanelKeys(panel=request.panel, moduli=self._world.keys.moduli(request.panel))
        return encode(answer)


class Market:
    """A world, and one customer in it who can be stopped and opened again, and reaches the ledger by `ledger`."""

    def __init__(self, folder: Path, **kinds: Any) -> None:
        self.world = World(folder, **kinds)
        self.folder = folder / "customer"
        self.issuer = IssuerDesk(self.world)
        self.ledger: Ledger = self.world.ledger
        self.peers: dict[Any, Any] = {
            account_of("leader"): self.world.lines["leader"],
            account_of("helper"): self.world.lines["helper"],
            account_of("issuer"): self.issuer,
        }
        self.deaths = 0
        self._opened = 0
        self._published = 0
        self.customer = self._open()

    def _open(self) -> Customer:
        self._opened += 1
        dice = SeededRandomness(self._opened, "customer")
        return Customer(self.ledger, self.folder, key_of("customer"), dice, self.peers)

    def reopen(self) -> Customer:
        """Stop the customer where it is, and start it on what it stored."""
        self.customer.close()
        self.customer = self._open()
        return self.customer

    def request(
        self,
        measurement: MeasurementType = HISTOGRAM,
        *,
        least_batch: int = 10,
        sigma: Fraction = Fraction(3, 2),
        panels: Sequence[str] = ("panel",),
        schedule: Schedule = SCHEDULE,
        price: int = 1000,
    ) -> Request:
        """Publish a program for the measurement; the request for it."""
        self._published += 1
        program = self.world.do(
            "customer",
            PublishProgram(
                source=digest(f"source {self._published}"),
                runtime=digest("runtime"),
                engine="wasmtime 50",
                schema="edgehold.events/1",
                kinds=(Kind.EHR,),
                sensitivity=Sensitivity.AGGREGATE,
                measurement=measurement,
                limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
            ),
        )
        return Request(
            program=ProgramId(program),
            purpose=Purpose(permission=Permission.HMB),
            panels=tuple(self.world.panels[panel] for panel in panels),
            leader=account_of("leader"),
            least_batch=least_batch,
            sigma=sigma,
            price=price,
            schedule=schedule,
        )

    def place(self, measurement: MeasurementType = HISTOGRAM, **terms: Any) -> OrderId:
        """Publish a program and order it."""
        return self.customer.place(self.request(measurement, **terms))

    def tick(self, *, customer: bool = True) -> None:
        """Everybody does what is due, then a block is made. A customer that dies of it is started again."""
        if customer:
            try:
                self.customer.step()
            except Killed:
                self.deaths += 1
                self.reopen()
        self.world.tick()

    def run_of(self, order: OrderId, *, customer: bool = True) -> Run:
        """Tick until a task has come of the order, and its helper knows the verification key."""
        for _ in range(20):
            self.tick(customer=customer)
            entry = self.world.read(Order, Collection.ORDER, order)
            if entry is not None and entry.task is not None:
                configuration = self.world.read(TaskConfiguration, Collection.CONFIGURATION, entry.task)
                assert configuration is not None
                self.world.nodes["leader"].step()
                return Run(self.world, entry.task, configuration)
        raise AssertionError("no task came of the order")

    def ordered(self, measurements: Sequence[Any] = PLACES, kind: MeasurementType = HISTOGRAM, **terms: Any) -> Run:
        """Order, and upload a report of each person."""
        run = self.run_of(self.place(kind, **terms))
        run.upload_all(measurements)
        return run

    def finish(self, run: Run) -> OrderRow:
        """Tick until the order is no longer open."""
        for _ in range(40):
            row = self.customer.order(run.configuration.order)
            if not row.status.is_open:
                return row
            self.tick()
        raise AssertionError(f"the order stays {row.status.value}: {row.reason}")


def status_of(market: Market, run: Run) -> OrderStatus:
    """Where the customer sees its order."""
    return market.customer.order(run.configuration.order).status


def noise_of(run: Run) -> list[int]:
    """Both noises together, drawn again from what the nodes keep."""
    batch = run.entry().batch
    assert batch is not None
    header = run.world.ledger.header(batch.closed_at + 1)
    assert header is not None
    noise = [0] * output_length(run.configuration.measurement)
    for party in Party:
        kept = apsw.Connection(str(run.world.folder / f"{party.value}.sqlite")).execute(
            "SELECT noise_secret FROM wanted WHERE order_id = ? AND party = ?", (run.configuration.order, party.value)
        )
        secret = kept.fetchone()[0]
        drawn = party_noise(run.configuration, run.task, party, secret, hash_header(header.header))
        noise = [before + one for before, one in zip(noise, drawn, strict=True)]
    return noise


def credits_of(world: World, name: str) -> int:
    """What an organisation holds."""
    account = world.read(Account, Collection.ACCOUNT, account_of(name))
    assert account is not None
    return account.credits


def standing_of(world: World, name: str) -> Standing:
    """What the ledger counts of a service."""
    return world.read(Standing, Collection.STANDING, account_of(name)) or Standing()


class Killed(BaseException):
    """The process ends here."""


class Wire:
    """The way to the ledger: it remembers what was sent, and can kill the customer before or after a sending."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.sent: list[bytes] = []
        self.kill_before: int | None = None
        self.kill_after: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def submit(self, transaction: bytes) -> Digest:
        """Send, unless this is where the customer dies."""
        number = len(self.sent)
        self.sent.append(transaction)
        if number == self.kill_before:
            raise Killed
        digest_of_it = self._ledger.submit(transaction)
        if number == self.kill_after:
            raise Killed
        return digest_of_it


class Odd:
    """A node of the ledger that answers some calls otherwise than the ledger would."""

    def __init__(self, ledger: Ledger, **answers: Callable[..., Any]) -> None:
        self._ledger = ledger
        for name, answer in answers.items():
            setattr(self, name, answer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class Liar:
    """A service that answers some requests with something else."""

    def __init__(self, honest: Peer, kind: type, answer: Callable[[bytes], bytes]) -> None:
        self._honest = honest
        self._kind = kind
        self._answer = answer

    def send(self, message: bytes) -> bytes:
        """Lie about one kind of request."""
        honest = self._honest.send(message)
        return self._answer(honest) if isinstance(decode(message, ServiceRequest), self._kind) else honest
