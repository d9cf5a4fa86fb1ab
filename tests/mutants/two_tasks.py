"""Two tasks of the same people, panels, program and services, and every message that either of them is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace
from service_world import HISTOGRAM, Run, World

from edgehold.crypto.cose import open1
from edgehold.errors import EdgeholdError
from edgehold.service.node import ServiceNode
from edgehold.wire.codec import decode, encode
from edgehold.wire.order import Schedule
from edgehold.wire.report import HpkeCiphertext, Report, decode_report, encode_report
from edgehold.wire.service import Answer, Failure, FromAggregator, Receipted, Request, Upload

PEOPLE = 24
SCHEDULE = Schedule(request=5, join=5, upload=12, revoke=6, close=6, share=6, accept=6)

Component = Callable[[Report, Report], Report]
"""From a report of one task and one of the other: the first with a part of the second."""


def _permit(name: str) -> Component:
    def mix(one: Report, other: Report) -> Report:
        part = getattr(other.metadata.permit, name)
        return replace(one, metadata=replace(one.metadata, permit=replace(one.metadata.permit, **{name: part})))

    return mix


def _sealed(name: str) -> Component:
    return lambda one, other: replace(one, **{name: getattr(other, name)})


def _halves(one: HpkeCiphertext, other: HpkeCiphertext) -> HpkeCiphertext:
    return HpkeCiphertext(enc=one.enc, payload=other.payload)


COMPONENTS: dict[str, Component] = {
    "everything": lambda one, other: other,
    "id": lambda one, other: replace(one, metadata=replace(one.metadata, report=other.metadata.report)),
    "time": lambda one, other: replace(one, metadata=replace(one.metadata, time=other.metadata.time)),
    "extension": lambda one, other: replace(one, metadata=replace(one.metadata, permit=other.metadata.permit)),
    "permit": _permit("permit"),
    "slot key": _permit("slot_key"),
    "token": _permit("token"),
    "leader's digest": _permit("leader_share"),
    "helper's digest": _permit("helper_share"),
    "leader's share": _sealed("leader"),
    "helper's share": _sealed("helper"),
    "both shares": lambda one, other: replace(one, leader=other.leader, helper=other.helper),
    "half a share": lambda one, other: replace(one, leader=_halves(one.leader, other.leader)),
    "swapped shares": lambda one, other: replace(one, leader=other.helper, helper=other.leader),
    "all but the metadata": lambda one, other: replace(other, metadata=one.metadata),
}


@dataclass
class TwoTasks:
    """Two open tasks with a report of each person for each, none of them sent."""

    world: World
    runs: list[Run]
    reports: list[list[bytes]] = field(default_factory=list)

    @property
    def nodes(self) -> dict[str, ServiceNode]:
        """Leader and helper."""
        return self.world.nodes

    @contextmanager
    def undone(self, name: str) -> Iterator[None]:
        """What a node stores meanwhile is forgotten."""
        database = self.nodes[name]._storage._db
        database.execute("SAVEPOINT looked_at")
        yield
        database.execute("ROLLBACK TO looked_at; RELEASE looked_at").fetchall()

    def state_of(self, name: str) -> bytes:
        """A digest of all that a node has stored."""
        return sha256(self.nodes[name]._storage._db.serialize("main")).digest()

    def refuses(self, name: str, message: bytes) -> bool:
        """Whether a node answers this with a refusal."""
        return isinstance(decode(self.nodes[name].handle(message), Answer), Failure)

    def counts(self, turn: int, message: bytes) -> bool:
        """Whether an upload would count: the leader takes it, and both find their shares in it."""
        with self.undone("leader"):
            answer = decode(self.nodes["leader"].handle(message), Answer)
        if not isinstance(answer, Receipted):
            return False
        upload = decode(message, Request)
        assert isinstance(upload, Upload)
        report = decode_report(upload.report)
        try:
            for name, sealed in (("leader", report.leader), ("helper", report.helper)):
                node = self.nodes[name]._aggregator(self.runs[turn].task)
                node.input_share(report.metadata, report.public_share, sealed)
        except EdgeholdError:
            return False
        return True


def open_two(folder: Path) -> TwoTasks:
    """Open both, and have everybody make both reports."""
    world = World(folder)
    first = world.open_task(HISTOGRAM, schedule=SCHEDULE)
    second = world.open_task(HISTOGRAM, schedule=SCHEDULE)
    reports = [[run.report(person, person % 5) for person in range(PEOPLE)] for run in (first, second)]
    return TwoTasks(world, [first, second], reports)


def mixed_reports(two: TwoTasks, turn: int) -> Iterator[tuple[str, bytes]]:
    """Every report of one task with every part of every report of the other, as an upload to the first."""
    mine, others = two.reports[turn], two.reports[1 - turn]
    task = two.runs[turn].task
    for place, own in enumerate(mine):
        for other_place, other in enumerate(others):
            if (place + other_place) % 3 == 0 or place == other_place:
                for name, mix in COMPONENTS.items():
                    mixed = encode_report(mix(decode_report(own), decode_report(other)))
                    if mixed != own:
                        yield f"report {place} with {name} of {other_place}", encode(Upload(task=task, report=mixed))


def mixed_revocations(two: TwoTasks, turn: int) -> Iterator[bytes]:
    """Every revocation of one task with every field of each of the other's."""
    mine, others = (
        [run.revocation(person) for person in range(PEOPLE)] for run in (two.runs[turn], two.runs[1 - turn])
    )
    for own in mine:
        for other in others:
            for name in ("slot_key", "token", "signature", "task"):
                yield encode(replace(own, **{name: getattr(other, name)}))


def mixed_messages(first: Sequence[bytes], second: Sequence[bytes]) -> Iterator[bytes]:
    """What one node tells the other of one task, under the signature of what it told of the other task, and back."""
    for one in first:
        for other in second:
            here, there = (decode(message, Request) for message in (one, other))
            assert isinstance(here, FromAggregator)
            assert isinstance(there, FromAggregator)
            yield encode(replace(here, signature=there.signature))
            yield encode(replace(there, signature=here.signature))


def signature_of_another(one: bytes, other: bytes) -> bytes:
    """A transaction under the signature of another."""
    return one.replace(open1(one).signature, open1(other).signature)
