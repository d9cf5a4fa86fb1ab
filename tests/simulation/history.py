"""One history: a founded network, the parties of a regime, its faults in their time, and what is checked as it goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from disk import DiskSystem
from founding import CUSTOMERS, PANELS, Founded
from invariants import Watch
from network import LedgerLine, Network, Way, Ways, Weather
from parties import SERVICE_KINDS, BadHub, Company, Outsider
from regime import Placing, Regime, draw_regime
from universe import SECOND, Machine, Universe, Violation

from edgehold.customer.customer import Customer, Request
from edgehold.demo import cast
from edgehold.demo.parties import PublishedKeys
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import EngineHalted, NoService, NothingSent, TooLate
from edgehold.hub.hub import Hub, Surroundings
from edgehold.hub.journal import Run
from edgehold.ledger.genesis import found_network as network_of
from edgehold.sandbox.program import Measurement
from edgehold.service.node import ServiceNode
from edgehold.wire.ids import AccountId, TaskId
from edgehold.wire.order import SAMPLING_ONE
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.purpose import Permission, Purpose

SERVICES = (cast.GOOD.name, cast.TWO_FACED.name, cast.AGGREGATOR_NORTH.name, cast.AGGREGATOR_SOUTH.name)

BLOCK = SECOND

PATIENCE = 40
"""Blocks after the last fault within which everything has to come to its end."""


def vector_of(kind: MeasurementType, measurement: Measurement) -> list[int]:
    """What a measurement adds to each number of the result."""
    if kind.kind is MeasurementKind.HISTOGRAM:
        return [int(place == measurement) for place in range(kind.length)]
    return [measurement] if isinstance(measurement, int) else list(measurement)


class JumpingClock:
    """The ledger's clock: virtual time, and whatever somebody set it to (`ports.Clock`)."""

    def __init__(self, universe: Universe, start: int) -> None:
        self._universe = universe
        self._start = start
        self.offset = 0

    def now(self) -> int:
        """Nanoseconds; they may go back."""
        return self._start + self._universe.now * 1_000_000 + self.offset


class Issuer:
    """The issuer of the panels, as far as it is asked: it shows the panels' keys."""

    def __init__(self, says: dict[bytes, bytes]) -> None:
        self._says = says

    def handle(self, message: bytes) -> bytes:
        """Answer a question that was asked when the network was founded; any other is none of ours."""
        if message not in self._says:
            raise ConnectionError("the issuer does not understand")
        return self._says[message]

    def close(self) -> None:
        """Nothing is open."""


class History:
    """One seed's world and what becomes of it."""

    def __init__(self, founded: Founded, disks: DiskSystem, seed: int, regime: Regime | None = None) -> None:
        self.founded = founded
        self.universe = Universe(seed)
        self.regime = regime or draw_regime(self.universe.dice, SERVICES)
        self.network = Network(self.universe, Weather())
        self.clock = JumpingClock(self.universe, founded.genesis.time + 10**12)
        self.blocks = 0
        self.is_calm = False
        self.name = network_of(founded.genesis).id
        self.machines: dict[str, Machine] = {}
        self.accounts: dict[AccountId, Machine] = {}
        self.placed = 0
        self.look_again = 0
        """When it is worth the time to ask again whether all is over."""
        self._make_machines()
        disks.hold((machine.disk for machine in self.machines.values()), SeededRandomness(seed, "salts").draw)
        self.watch = Watch(self)
        self._unheard: dict[str, dict[TaskId, list[int]]] = {}
        """What hubs measured and have not sealed for sure."""
        self.universe.note("regime", self.regime)

    # ── who is there ──────────────────────────────────────────────────────────────────────────────────────────────

    def _make_machines(self) -> None:
        folder = self.founded.folder
        self.ledger = self._machine("ledger", folder / "ledger")
        self.issuer = self._machine(cast.ISSUER.name, folder / "organisations" / cast.ISSUER.name)
        self.services = {name: self._machine(name, folder / "organisations" / name) for name in SERVICES}
        self.customers = [self._machine(name, folder / "organisations" / name) for name in CUSTOMERS]
        asked = sorted({panel for order in self.regime.orders for panel in order.panels})
        people = [number for panel in asked for number in PANELS[panel]]
        self.hubs = {number: self._machine(f"hub {number}", folder / "hubs" / f"{number:04d}") for number in people}
        for name in (cast.ISSUER.name, *SERVICES):
            self.accounts[self.founded.account(name)] = self.machines[name]
        self.ledger.open = self._open_ledger
        self.ledger.on_failure = self._ledger_fails
        self.issuer.open = lambda: Issuer(self.founded.issuer_says)
        for machine in self.services.values():
            machine.open = lambda machine=machine: self._open_service(machine)
        for machine in self.customers:
            machine.open = lambda machine=machine: self._open_customer(machine)
        for number, machine in self.hubs.items():
            machine.open = lambda number=number, machine=machine: self._open_hub(number, machine)

    def _machine(self, name: str, folder: Path) -> Machine:
        files = {path: data for path, data in self.founded.files.items() if Path(path).parent == folder}
        machine = Machine(self.universe, name, str(folder), files)
        machine.on_end = lambda: self._repair(machine)
        self.machines[name] = machine
        return machine

    def _repair(self, machine: Machine) -> None:
        """Somebody starts the process again, after a while."""
        self.universe.after(self.universe.dice.randrange(BLOCK // 10, 3 * BLOCK), machine.start)

    def line(self, machine: Machine) -> LedgerLine:
        """The ledger as a machine reaches it."""
        return LedgerLine(self.network, machine, self.ledger, self.founded.genesis, self.name)

    def _open_ledger(self) -> EmbeddedLedger:
        folder, founded = Path(self.ledger.disk.folder), self.founded
        return EmbeddedLedger(folder, founded.genesis, founded.validator, self.clock, self.ledger.randomness())

    def _ledger_fails(self, error: Exception) -> None:
        if isinstance(error, EngineHalted):
            self.ledger.kill(power=False)

    def _open_service(self, machine: Machine) -> ServiceNode:
        kind = SERVICE_KINDS[self.regime.services.get(machine.name, "ServiceNode")]
        return kind(
            self.line(machine),
            Path(machine.disk.folder) / "tasks.sqlite",
            self.founded.keys[machine.name],
            machine.randomness(),
            peers=Ways(self.network, machine, self.accounts),  # type: ignore[arg-type]
            panel_keys=PublishedKeys(Way(self.network, machine, self.issuer)),
        )

    def _open_customer(self, machine: Machine) -> Customer:
        ways: Any = Ways(self.network, machine, self.accounts)
        folder, key = Path(machine.disk.folder), self.founded.keys[machine.name]
        return Customer(self.line(machine), folder, key, machine.randomness(), ways)

    def _open_hub(self, number: int, machine: Machine) -> Company:
        surroundings = Surroundings(
            ledger=self.line(machine),
            sandbox=self.founded.sandbox,  # type: ignore[arg-type]
            library=self.founded.sources.get,
            services=Ways(self.network, machine, self.accounts),
            randomness=machine.randomness(),
        )
        hub = Hub.open(Path(machine.disk.folder), surroundings)
        self._listen(machine, hub)
        kind = self.regime.hubs.get(number)
        return Company(hub, None if kind is None else BadHub(kind, hub, surroundings, self.universe.dice))

    def _listen(self, machine: Machine, hub: Hub) -> None:
        """Hear what the hub measures, which nobody else ever does.

        What a disk failed to synchronise may be found written by the next process, and then it is a report like any other.
        """
        seal, unheard = hub._store, self._unheard.setdefault(machine.name, {})

        def hear(task: TaskId) -> bool:
            if not hub._journal.has_run(task) or (report := hub._journal.run(task).report) is None:
                return False
            self.watch.measured(report, unheard.pop(task))
            return True

        def store(run: Run, measurement: Measurement, log: str) -> None:
            unheard[run.task] = vector_of(run.configuration.measurement, measurement)
            seal(run, measurement, log)
            assert hear(run.task), "what was sealed is not there"

        for task in list(unheard):
            hear(task)
        hub._store = store  # type: ignore[method-assign]

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────

    def play(self) -> Universe:
        """Let the history happen; raises `Violation`."""
        for machine in self.machines.values():
            machine.start()
        for machine in self.machines.values():
            machine.on_start = lambda machine=machine: self._look_on(lambda: self.watch.restarted(machine))
        self.network.weather = self.regime.weather()
        self.universe.after(0, self._block)
        try:
            self.universe.run(self._is_over, self.watch.step)
            self._look_on(self.watch.end)
        finally:
            for machine in self.machines.values():
                machine.on_end = lambda: None
                machine.bury()
        return self.universe

    def _block(self) -> None:
        """A height passes; in it everybody looks once, in an order of their own."""
        universe = self.universe
        universe.after(BLOCK, self._block)
        self.blocks += 1
        if self.blocks > self.regime.calm_after and not self.is_calm:
            self._calm()
        if self.blocks > self._last():
            raise Violation(f"after {PATIENCE} blocks without a fault something still waits: {[*self.watch.waiting()]}")
        self.ledger.act("makes a block", lambda: self.ledger.party.advance())
        self._look_on(self.watch.block)
        if not self.is_calm:
            self._faults()
        for placing in self.regime.orders:
            if placing.at == self.blocks - 1:
                self._later(self.customers[placing.customer], lambda placing=placing: self._place(placing))
        sleep = 0.0 if self.is_calm else self.regime.often("sleep", 0.5)
        for machine in self.machines.values():
            if machine.is_up and not universe.chance(sleep):
                self._later(machine, lambda machine=machine: self._look(machine))

    def _later(self, machine: Machine, act: Any) -> None:
        self.universe.after(self.universe.dice.randrange(1, BLOCK), act)

    def _look(self, machine: Machine) -> None:
        """A party does what is due."""
        party = machine.party
        if not machine.is_up:
            return
        if isinstance(party, ServiceNode):
            machine.act("steps", party.step)
        elif isinstance(party, Customer):
            number = self.customers.index(machine)
            kind = self.regime.customers.get(number)
            if kind != "vanishes" or self.blocks < 4:
                machine.act("steps", party.step)
            if kind is not None:
                machine.act("misbehaves", lambda: Outsider(kind, party, self.founded, self.universe.dice).act())
        elif isinstance(party, Company):
            machine.act("follows", lambda: self._follow(machine, party))

    def _follow(self, machine: Machine, company: Company) -> None:
        """A hub follows the ledger; now and then its owner takes something back, or looks what became of it."""
        hub = company.hub
        if company.bad is not None:
            company.bad.act()
            return
        hub.follow()
        for run in hub.history():
            if run.state.value in ("stored", "sent") and run.revoked_at is None and self.universe.chance(0.02):
                with suppress(NothingSent, TooLate):
                    hub.revoke(run.task)
                    self.universe.count("revocations")
            if run.receipt is not None and run.included is None and self.universe.chance(0.3):
                with suppress(NoService):
                    self.watch.checked(machine, run.task, hub.check_batch(run.task))

    def _place(self, placing: Placing) -> None:
        machine = self.customers[placing.customer]
        if not machine.is_up:
            self.universe.after(BLOCK, lambda: self._place(placing))
            return
        request = Request(
            program=self.founded.program(placing.program),
            purpose=Purpose(permission=Permission.HMB),
            panels=tuple(self.founded.panels[panel] for panel in placing.panels),
            leader=self.founded.account(placing.leader),
            least_batch=placing.least_batch,
            sigma=Fraction(placing.sigma),
            price=1000,
            sampling=SAMPLING_ONE,
            schedule=placing.schedule,
        )
        machine.act("orders", lambda: self.watch.placed(placing.customer, machine.party.place(request)))
        self.placed += 1

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _faults(self) -> None:
        """The faults that begin in this block."""
        universe, regime, dice = self.universe, self.regime, self.universe.dice
        machines = list(self.machines.values())
        victims = [machine for machine in machines if machine.name.startswith(regime.victims)]
        for kind, most in (("kills", 0.8), ("power cuts", 0.8)):
            if universe.chance(regime.often(kind, most)):
                machine = dice.choice(victims)
                machine.fuse, machine.power = dice.randrange(1, dice.choice((3, 10, 30, 100))), kind == "power cuts"
        for kind in ("full disks", "broken disks"):
            if universe.chance(regime.often(kind, 0.5)):
                self._spoil(dice.choice(victims), kind)
        if universe.chance(regime.often("partitions", 0.5)):
            self._part(frozenset(machine.name for machine in dice.sample(machines, 2)))
        if universe.chance(regime.often("clock jumps", 0.5)):
            universe.count("clock jumps")
            self.clock.offset += dice.choice((-1, 1)) * 10 ** dice.randrange(6, 14)

    def _spoil(self, machine: Machine, kind: str) -> None:
        """A disk is full, or fails, for a while."""
        self.universe.count(kind)
        self.universe.note(machine.name, kind)
        full = kind == "full disks"
        machine.is_full, machine.is_broken = machine.is_full or full, machine.is_broken or not full
        self.universe.after(self.universe.dice.randrange(1, 4 * BLOCK), lambda: self._mend(machine))

    def _mend(self, machine: Machine) -> None:
        machine.is_full = machine.is_broken = False

    def _part(self, pair: frozenset[str]) -> None:
        """Two machines do not reach each other for a while."""
        self.universe.count("partitions")
        self.network.cut.add(pair)
        self.universe.after(self.universe.dice.randrange(1, 6 * BLOCK), lambda: self.network.cut.discard(pair))

    def _calm(self) -> None:
        """From now on nothing fails any more."""
        self.is_calm = True
        self.universe.note("calm")
        self.network.weather = Weather()
        self.network.cut.clear()
        for machine in self.machines.values():
            machine.fuse, machine.power = None, False
            self._mend(machine)

    def _last(self) -> int:
        return max(self.regime.calm_after, self.watch.last_height - self.founded.height) + PATIENCE

    def _is_over(self) -> bool:
        is_placed = self.placed == len(self.regime.orders) and self.blocks > 2
        if not is_placed or self.universe.now < self.look_again:
            return False
        self.look_again = self.universe.now + BLOCK // 4
        with self.universe.looking():
            return self.watch.is_settled()

    def _look_on(self, look: Callable[[], None]) -> None:
        with self.universe.looking():
            look()
