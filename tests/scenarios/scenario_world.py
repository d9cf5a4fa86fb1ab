"""A small network in one folder and process for the scenarios: the demo's world with fourteen people and movable lines.

It is founded once for all scenarios and copied for each; a copy is opened with whatever misbehaves in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import apsw
from msgspec.structs import replace
from validators import KEYS, FourReplicas

from edgehold.aggregation.collect import party_noise
from edgehold.crypto.names import program_id
from edgehold.customer.customer import QUICK, Request
from edgehold.customer.orders import OrderRow
from edgehold.demo import cast
from edgehold.demo.exact import MEASURE, add_up, resources_of
from edgehold.demo.founding import (
    is_grown,
    open_organisations,
    publish_programs,
    save_facts,
    secret_file,
    settle_people,
)
from edgehold.demo.keeping import WorldLedger
from edgehold.demo.parties import Dice, Direct, make_key
from edgehold.demo.world import (
    SEEDED_START,
    Operated,
    Resident,
    World,
    make_genesis,
    make_organisations,
    read_cohort,
    write_genesis_files,
)
from edgehold.hub.hub import Departure, Hub
from edgehold.hub.journal import RunState
from edgehold.policy.policy import LeastCredibility, Policy
from edgehold.ports import Peer
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.program import Program
from edgehold.service.node import ServiceNode
from edgehold.verify.header import hash_header
from edgehold.wire.account import Account
from edgehold.wire.batch import ReportLeaf
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import Digest, OrderId, PanelId, TaskId
from edgehold.wire.order import Order
from edgehold.wire.purpose import Permission, PermittedUse, Purpose
from edgehold.wire.service import Answer, GetLists, ListPart, Upload
from edgehold.wire.service import Request as Message
from edgehold.wire.task import Party, Task, TaskConfiguration

T = TypeVar("T")

SEED = 20261124

PEOPLE = 14
MINOR = 12
"""The number of the one resident who is no adult."""

FIRST_PANEL = tuple(range(1, 9))
SECOND_PANEL = (9, 10, 11, 13, 14)
SLOTS = 4
PRICE = 1000

CUSTOMER, LEADER, HELPER = cast.UNIVERSITY.name, cast.GOOD.name, cast.AGGREGATOR_SOUTH.name
"""The usual customer and leader; the only aggregator whom another accreditor than the leader's attests."""

OPEN = Policy(
    uses=(PermittedUse(permission=Permission.GRU),),
    least_credibility=LeastCredibility(100_000, 100_000, 100_000),
    least_batch=3,
    loss_per_order="10",
    loss_per_year="100",
    customer_share="1",
    services_share="1",
    purpose_share="1",
)
"""A policy that grants the orders of the scenarios."""


@cache
def sandbox() -> Sandbox:
    """The one sandbox of all scenarios."""
    return Sandbox(prepare_runtime(default_cache()))


@cache
def bundles() -> list[bytes]:
    """The records of the people, in their order."""
    return list(islice(read_cohort(None), PEOPLE))


class Line:
    """A way to a party; a scenario can cut it, lose replies on the way back, or look at what was sent."""

    def __init__(self, way: Peer) -> None:
        self._way = way
        self.cut = False
        self.lose_replies = 0
        self.said: list[tuple[bytes, bytes]] = []

    def send(self, message: bytes) -> bytes:
        """Deliver, unless the line is cut."""
        if self.cut:
            raise ConnectionError("the line is cut")
        answer = self._way.send(message)
        self.said.append((message, answer))
        if self.lose_replies:
            self.lose_replies -= 1
            raise ConnectionError("the reply was lost")
        return answer


class ScenarioWorld(World):
    """The demo's world with lines that can be cut, hubs that can be away, and services that misbehave."""

    def __init__(
        self, folder: Path, facts: dict[str, object], kinds: Mapping[str, type[ServiceNode]] | None = None
    ) -> None:
        self.kinds = kinds or {}
        self.away: set[int] = set()
        self.runs = 0
        super().__init__(folder, facts, sandbox())
        self.lines = {name: Line(self.directory.peers[node.account]) for name, node in self.services.items()}
        for name, line in self.lines.items():
            self.directory.peers[self.services[name].account] = line

    def for_each_hub(self, act: Callable[[Resident], object]) -> None:
        """Hubs act one after the other; those that are away do not."""
        for resident in self.residents:
            if resident.number not in self.away:
                act(resident)

    def _open_ledger(self) -> WorldLedger:
        if self.facts["validators"] == 1:
            return super()._open_ledger()
        return FourReplicas(self.folder / "ledger", self.genesis, self._clock(), self.dice.of("ledger"))

    def _open_service(self, name: str) -> ServiceNode:
        kind = self.kinds.get(name, ServiceNode)
        return kind(
            self.ledger,
            self.folder / "organisations" / name / "tasks.sqlite",
            self.keys[name],
            self.dice.of(name),
            peers=self.directory.peers,
            panel_keys=self.issuer,
        )

    def _source(self, digest: Digest) -> bytes | None:
        """A program's source, which a hub asks for once in each run."""
        self.runs += 1
        return super()._source(digest)

    def restart_service(self, name: str) -> None:
        """Stop a service where it is, and start it on what it stored."""
        self.services[name].close()
        self.facts["openings"] += 1
        self.dice = Dice(self.facts["seed"], self.facts["openings"])
        self.services[name] = self._open_service(name)
        self.lines[name]._way = Direct(self.services[name].handle)

    def reopen(self) -> ScenarioWorld:
        """Let go of everything, as a killed process does, and open the folder again."""
        self.close()
        again = open_scenario(self.folder, self.kinds)
        again.away = self.away
        return again

    # ── orders ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def first(self) -> PanelId:
        """The panel of eight people."""
        return self.earlier_panel

    @property
    def second(self) -> PanelId:
        """The panel of five people."""
        return self.panel

    def hub(self, number: int) -> Hub:
        """One person's hub."""
        return self.resident(number).hub

    def order(self, program: str | Program = "bmi", **terms: object) -> OrderId:
        """Place an order of little noise over the first panel; `customer` and any field of `Request` may differ."""
        found = self.programs()[program] if isinstance(program, str) else program
        request = Request(
            program=program_id(found.descriptor),
            purpose=Purpose(permission=Permission.HMB),
            panels=(self.first,),
            leader=self.account(LEADER),
            least_batch=3,
            sigma=Fraction(2),
            price=PRICE,
            schedule=QUICK,
        )
        customer = str(terms.pop("customer", CUSTOMER))
        asked = {name: getattr(request, name) for name in Request.__dataclass_fields__} | terms
        return self.customers[customer].place(Request(**asked))

    def open_task(self, program: str | Program = "bmi", **terms: object) -> tuple[OrderId, TaskId]:
        """Order, request and join; no hub has looked yet."""
        order = self.order(program, **terms)
        while (task := self.task_of(order)) is None:
            self.work()
            self.ledger.advance()
        return order, task

    def work(self) -> None:
        """Services and customers do what is due; hubs do not look and no height passes."""
        for node in self.services.values():
            node.step()
        for customer in self.customers.values():
            customer.step()

    def advance_to(self, height: int) -> None:
        """Advance until the ledger has this height."""
        self.advance(max(0, height - self.ledger.height()))

    def run(self, program: str | Program = "bmi", **terms: object) -> tuple[OrderId, TaskId]:
        """An order from its placing to its end."""
        order, task = self.open_task(program, **terms)
        self.finish(order)
        return order, task

    def finish(self, order: OrderId) -> None:
        """Advance until the customer's order has ended, and let the services hear of it."""
        self.advance_until(lambda: not self.row(order).status.is_open)
        self.advance()

    # ── what can be seen ──────────────────────────────────────────────────────────────────────────────────────────

    def read(self, kind: type[T], collection: Collection, *ids: bytes) -> T | None:
        """An entry of the ledger."""
        value = self.ledger.read(entry_key(collection, *ids))
        return None if value is None else decode(value, kind)

    def get(self, kind: type[T], collection: Collection, *ids: bytes) -> T:
        """An entry of the ledger that has to be there."""
        found = self.read(kind, collection, *ids)
        assert found is not None
        return found

    def task_of(self, order: OrderId) -> TaskId | None:
        """The task that came of an order."""
        entry = self.read(Order, Collection.ORDER, order)
        return None if entry is None else entry.task

    def entry(self, task: TaskId) -> Task:
        """What the ledger says of a task."""
        return self.get(Task, Collection.TASK, task)

    def configuration(self, task: TaskId) -> TaskConfiguration:
        """What a task is."""
        return self.get(TaskConfiguration, Collection.CONFIGURATION, task)

    def row(self, order: OrderId) -> OrderRow:
        """The customer's own view of an order."""
        return next(row for one in self.customers.values() for row in one.orders() if row.order == order)

    def credits(self, name: str) -> int:
        """What an organisation holds."""
        return self.get(Account, Collection.ACCOUNT, self.account(name)).credits

    def standing(self, name: str) -> Standing:
        """What the ledger counts of a service."""
        return self.read(Standing, Collection.STANDING, self.account(name)) or Standing()

    def leaves(self, task: TaskId, *, accepted: bool, of: str = LEADER) -> list[ReportLeaf]:
        """A service's public list."""
        answer = decode(self.services[of].handle(encode(GetLists(task=task, accepted=accepted, part=0))), Answer)
        assert isinstance(answer, ListPart), answer
        return list(answer.leaves)

    def totals(self, task: TaskId) -> tuple[int, int]:
        """How many reports the closed batch accepts and rejects."""
        batch = self.entry(task).batch
        assert batch is not None
        return batch.statement.accepted, batch.statement.rejected

    def line(self, number: int, task: TaskId) -> Departure | None:
        """What a person's history says of a task; none if it says nothing."""
        return next((one for one in self.hub(number).history() if one.task == task), None)

    def sent(self, task: TaskId) -> list[int]:
        """Who has the leader's receipt."""
        lines = {one.number: self.line(one.number, task) for one in self.residents}
        return [number for number, line in lines.items() if line is not None and line.state is RunState.SENT]

    def drawn(self, task: TaskId) -> list[int]:
        """Who has a report for the task, sent or not yet."""
        lines = {one.number: self.line(one.number, task) for one in self.residents}
        states = (RunState.STORED, RunState.SENT)
        return [number for number, line in lines.items() if line is not None and line.state in states]

    def uploads(self, to: str = LEADER) -> list[bytes]:
        """The reports that were sent to a service, in their order."""
        messages = [decode(message, Message) for message, _ in self.lines[to].said]
        return [message.report for message in messages if isinstance(message, Upload)]

    # ── what only tests can see ───────────────────────────────────────────────────────────────────────────────────

    def noise(self, task: TaskId) -> list[int]:
        """Both noises, drawn again from what the services keep for an audit."""
        configuration, entry = self.configuration(task), self.entry(task)
        assert entry.batch is not None
        header = self.ledger.header(entry.batch.closed_at + 1)
        assert header is not None
        drawn = []
        for party, side in ((Party.LEADER, configuration.leader), (Party.HELPER, configuration.helper)):
            name = next(name for name, node in self.services.items() if node.account == side.account)
            file = apsw.Connection(str(self.folder / "organisations" / name / "tasks.sqlite"))
            rows = file.execute(
                "SELECT noise_secret FROM wanted WHERE order_id = ? AND party = ?", (configuration.order, party.value)
            )
            secret = rows.fetchone()[0]
            file.close()
            drawn.append(party_noise(configuration, task, party, secret, hash_header(header.header)))
        return add_up(drawn, len(drawn[0]))

    def sum_of(self, order: OrderId) -> list[int]:
        """The certified result without both noises."""
        owner = next(one for one in self.customers.values() if any(row.order == order for row in one.orders()))
        verdict = owner.verdict(order)
        return [value - noise for value, noise in zip(verdict.values, self.noise(verdict.task), strict=True)]


def truth(program: str, numbers: Sequence[int]) -> list[int]:
    """The plain sum of a shipped program over people, from their records."""
    measured = [MEASURE[program](resources_of(bundles()[number - 1])) for number in numbers]
    return add_up(measured, len(measured[0]))


def found_scenario(folder: Path, seed: int, cohort: Path | None = None, validators: int = 1) -> None:
    """Found the network: organisations, people, two panels of the present period, the shipped programs.

    Its ledger is that of one process, or four replicas keep it.
    """
    folder.mkdir(mode=0o700, parents=True)
    dice = Dice(seed)
    grown = [is_grown(bundle) for bundle in islice(read_cohort(cohort), PEOPLE)]
    keys = make_organisations(folder, dice)
    validator = make_key(folder / "ledger", dice.of("validator"))
    secret_file(folder / "organisations" / cast.ISSUER.name / "storage.key", dice.of("storage key of the issuer"))
    operated = [Operated(cast.TREASURER, keys[cast.TREASURER].public, validator.public)]
    if validators > 1:
        operated = [Operated(f"Keeper {key.public.hex()[:8]}", key.public, key.public) for key in KEYS]
    genesis = make_genesis(keys, operated, cast.parameters(sum(grown)), SEEDED_START)
    least = min(len(FIRST_PANEL), len(SECOND_PANEL))
    write_genesis_files(
        folder, replace(genesis, parameters=replace(genesis.parameters, least_panel=least, least_batch=3))
    )
    facts: dict[str, object] = {
        "seed": seed,
        "honest": True,
        "validators": validators,
        "organisations": {name: name for name in keys},
        "adults": grown,
        "cohort": str(cohort) if cohort else None,
        "panels": [],
        "programs": {},
    }
    with ScenarioWorld(folder, facts) as world:
        open_organisations(world)
        settle_people(world, lambda: None)
        for resident in world.adults:
            resident.hub.set_policy(OPEN)
        enrol(world)
        publish_programs(world)


def enrol(world: ScenarioWorld) -> None:
    """Two panels of one scheme and period."""
    panels = [
        world.issuer.declare_panel(
            scheme=cast.SCHEME, period=0, number=number, slots=SLOTS, schemas=("edgehold.events/1",)
        )
        for number in range(2)
    ]
    world.ledger.advance()
    desk = Direct(world.issuer.handle)
    for panel, people in zip(panels, (FIRST_PANEL, SECOND_PANEL), strict=True):
        for number in people:
            world.hub(number).enrol(desk, panel)
        world.issuer.close_panel(panel)
    world.ledger.advance()
    world.facts["panels"] = [panel.hex() for panel in panels]
    save_facts(world)


def open_scenario(folder: Path, kinds: Mapping[str, type[ServiceNode]] | None = None) -> ScenarioWorld:
    """Open a founded folder; services named in `kinds` are of that kind."""
    facts = json.loads((folder / "world.json").read_text())
    facts["openings"] = facts.get("openings", 0) + 1
    world = ScenarioWorld(folder, facts, kinds)
    save_facts(world)
    for number, adult in enumerate(facts["adults"], start=1):
        hub = Hub.open(world.hub_folder(number), world.surroundings(number))
        world.residents.append(Resident(number=number, adult=adult, hub=hub))
    return world


def copy_scenario(founded: Path, folder: Path) -> Path:
    """A network of one's own, as it was founded."""
    shutil.copytree(founded, folder)
    return folder


def observed(world: ScenarioWorld, task: TaskId) -> dict[str, object]:
    """All that anybody outside the hubs gets to see of a task: both services, the ledger, the lists."""
    return {
        "leader": world.lines[LEADER].said,
        "helper": world.lines[HELPER].said,
        "ledger": [world.ledger.header(height) for height in range(1, world.ledger.height() + 1)],
        "lists": [world.leaves(task, accepted=accepted) for accepted in (True, False)],
    }
