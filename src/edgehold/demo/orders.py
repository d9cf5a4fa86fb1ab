"""One order of the demo, from placing to its end, and what there is to say about it beside the exact answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from edgehold.crypto.names import program_id
from edgehold.customer.customer import Request
from edgehold.customer.orders import OrderRow
from edgehold.demo import cast
from edgehold.demo.charts import result_chart, write_chart
from edgehold.demo.exact import MEASURE, add_up, resources_of
from edgehold.demo.world import Resident, World
from edgehold.durable import PUBLIC, storage_failures, write_file
from edgehold.hub.hub import Departure
from edgehold.hub.journal import RunState
from edgehold.ledger.genesis import found_network
from edgehold.ledger.state import State, get_configuration, get_order, get_standing, live_attestations
from edgehold.policy.accuracy import interval, noise_sd
from edgehold.policy.budget import rho_of_epsilon, sigma_for, squared_sensitivity
from edgehold.policy.credibility import PPM, prior_of, score
from edgehold.policy.decide import Refused
from edgehold.sandbox.program import Program
from edgehold.verify.certificate import Verdict
from edgehold.wire.credibility import Prior, Standing
from edgehold.wire.ids import AccountId, OrderId, PanelId, TaskId
from edgehold.wire.purpose import Purpose
from edgehold.wire.task import TaskConfiguration

PRICE = 1000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An order to place: who asks whom for what, and how much privacy loss it may cause."""

    customer: str
    leader: str
    program: str
    epsilon: float
    purpose: Purpose
    panel: PanelId


@dataclass(frozen=True)
class Placed:
    """An order that was placed, with the leader's score at that moment (parts per million)."""

    asked: Asked
    order: OrderId
    score: int


def place(world: World, asked: Asked) -> Placed:
    """Place an order; the noise scale follows from its privacy loss."""
    program = world.programs()[asked.program]
    sigma = sigma_for(rho_of_epsilon(asked.epsilon), squared_sensitivity(program.descriptor.measurement))
    request = Request(
        program=program_id(program.descriptor),
        purpose=asked.purpose,
        panels=(asked.panel,),
        leader=world.account(asked.leader),
        least_batch=world.genesis.parameters.least_batch,
        sigma=sigma,
        price=PRICE,
        schedule=world.schedule,
    )
    credibility = score_of(world, world.account(asked.leader))
    return Placed(asked=asked, order=world.customers[asked.customer].place(request), score=credibility)


def is_ended(world: World, placed: Placed) -> bool:
    """Whether nothing more happens with an order."""
    return not row_of(world, placed).status.is_open


def row_of(world: World, placed: Placed) -> OrderRow:
    """The customer's own view of an order."""
    return world.customers[placed.asked.customer].order(placed.order)


def run_to_end(world: World, orders: list[Placed], tick: Callable[[], None] = lambda: None) -> None:
    """Let heights pass until all orders have ended; then every hub that reported looks for its leaf."""

    def ended() -> bool:
        tick()
        return all(is_ended(world, placed) for placed in orders)

    world.advance_until(ended)
    tasks = {task for placed in orders if (task := task_of(world, placed)) is not None}

    def look(resident: Resident) -> None:
        for departure in resident.hub.history():
            if departure.task in tasks and departure.receipt is not None and departure.included is None:
                resident.hub.check_batch(departure.task)

    world.for_each_hub(look)


# ── what the ledger says ──────────────────────────────────────────────────────────────────────────────────────────


def state_of(world: World) -> State:
    """The ledger's last state, for reading."""
    ledger = world.ledger
    return State(ledger.read, ledger.height(), lambda height: None, found_network(ledger.genesis))


def task_of(world: World, placed: Placed) -> TaskId | None:
    """The task that came of an order, if any."""
    return get_order(state_of(world), placed.order).task


def standing_of(world: World, service: AccountId) -> tuple[Standing, Prior]:
    """The evidence and the prior from which a service's score follows."""
    state = state_of(world)
    return get_standing(state, service), prior_of(live_attestations(state, service))


def score_of(world: World, service: AccountId) -> int:
    """A service's score now, in parts per million."""
    standing, prior = standing_of(world, service)
    return score(standing, prior, world.genesis.parameters.acceptance_cap)


# ── what only the demo knows, since it owns all the hubs ──────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Answers:
    """What the hubs decided on one task, and the departures of those whose report counts."""

    permitted: int
    refused: dict[str, int]
    included: list[int]
    """Numbers of the residents in the batch."""
    departures: Mapping[int, Departure]


def answers_of(world: World, task: TaskId | None) -> Answers:
    """Ask every hub what it decided."""
    refused: Counter[str] = Counter()
    departures: dict[int, Departure] = {}
    for resident in world.adults:
        for departure in resident.hub.history():
            if departure.task == task:
                departures[resident.number] = departure
                if isinstance(departure.decision, Refused):
                    refused[departure.decision.reason.value] += 1
    permitted = sum(departure.state is not RunState.REFUSED for departure in departures.values())
    included = [number for number, departure in departures.items() if departure.included]
    return Answers(permitted, dict(sorted(refused.items())), included, departures)


class ExactAnswers:
    """What each program says of each person, computed from the bundles; measured once, used for every order."""

    def __init__(self) -> None:
        self._measured: list[dict[str, list[int]]] = []

    def add(self, bundle: bytes) -> None:
        """Measure the next person."""
        resources = resources_of(bundle)
        self._measured.append({name: measure(resources) for name, measure in MEASURE.items()})

    def of(self, program: str, numbers: list[int], length: int) -> list[int]:
        """The sum over the people with these numbers."""
        return add_up((self._measured[number - 1][program] for number in numbers), length)


# ── what is said about an order ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Report:
    """Everything about one ended order."""

    placed: Placed
    row: OrderRow
    program: Program
    configuration: TaskConfiguration | None
    answers: Answers
    verdict: Verdict | None
    exact: list[int] | None
    certificate: Path | None
    enrolled: int

    def facts(self, world: World) -> dict[str, Any]:
        """The order as one JSON object of `edgehold demo --json`."""
        verdict, configuration = self.verdict, self.configuration
        low_high = None if verdict is None else [list(interval(value, sigma_of(verdict))) for value in verdict.values]
        return {
            "program": self.placed.asked.program,
            "customer": world.facts["organisations"][self.placed.asked.customer],
            "leader": world.facts["organisations"][self.placed.asked.leader],
            "helper": None if configuration is None else world.title(configuration.helper.account),
            "score": self.placed.score / PPM,
            "asked": self.enrolled,
            "permitted": self.answers.permitted,
            "refused": self.answers.refused,
            "batch": None if verdict is None else verdict.batch,
            "rejected": None if verdict is None else verdict.rejected,
            "epsilon": None if verdict is None else round(verdict.epsilon, 4),
            "delta": None if verdict is None else verdict.delta,
            "result": None if verdict is None else verdict.values,
            "exact": self.exact,
            "noise_sd": None if verdict is None else [noise_sd(sigma_of(verdict))] * len(verdict.values),
            "interval": low_high,
            "relies_on": None if verdict is None else [f"{check.group}: {check.says}" for check in verdict.checks],
            "certificate": None if self.certificate is None else str(self.certificate),
            "status": self.row.status.value,
        }


def report_on(world: World, placed: Placed, name: str, exact: ExactAnswers | None) -> Report:
    """Look at an ended order from all sides; a result's certificate and chart are written to the folder under a name."""
    program = world.programs()[placed.asked.program]
    customer = world.customers[placed.asked.customer]
    row = customer.order(placed.order)
    task = task_of(world, placed)
    state = state_of(world)
    answers = answers_of(world, task)
    verdict = customer.verdict(placed.order) if row.certificate is not None else None
    truth = None
    certificate = None
    if verdict is not None and row.certificate is not None:
        certificate = write_certificate(world.folder, name, row)
        if exact is not None:
            truth = exact.of(placed.asked.program, answers.included, len(verdict.values))
        draw(world, name, program, verdict, truth)
    return Report(
        placed=placed,
        row=row,
        program=program,
        configuration=None if task is None else get_configuration(state, task),
        answers=answers,
        verdict=verdict,
        exact=truth,
        certificate=certificate,
        enrolled=len(world.adults),
    )


def sigma_of(verdict: Verdict) -> Fraction:
    """One aggregator's noise scale."""
    return Fraction(verdict.configuration.sigma_numerator, verdict.configuration.sigma_denominator)


def write_certificate(folder: Path, name: str, row: OrderRow) -> Path:
    """NAME.cert, and NAME.shares beside it where the shares do not travel inside."""
    target = folder / "certificates" / f"{name}.cert"
    with storage_failures(target.parent):
        target.parent.mkdir(exist_ok=True)
    write_file(target, row.certificate or b"", mode=PUBLIC)
    if row.shares is not None:
        write_file(target.with_suffix(".shares"), row.shares, mode=PUBLIC)
    return target


def draw(world: World, name: str, program: Program, verdict: Verdict, exact: list[int] | None) -> None:
    """The chart of a result."""
    subtitle = f"{verdict.batch} reports, ε = {verdict.epsilon:.2f}; bars: result, lines: 95 %, red: exact"
    chart = result_chart(
        program.manifest.title,
        subtitle if exact is not None else subtitle.removesuffix(", red: exact"),
        program.manifest.measurement.labels,
        verdict.values,
        [interval(value, sigma_of(verdict)) for value in verdict.values],
        exact,
    )
    write_chart(chart, world.folder / "charts", name)


def history_orders(panel: PanelId) -> list[Asked]:
    """The orders that made the services' records, in their order; the last is the one with two lists."""
    return [
        Asked(
            customer=earlier.customer.name,
            leader=earlier.leader.name,
            program="bmi",
            epsilon=cast.EARLIER_EPSILON,
            purpose=cast.HEALTH_RESEARCH,
            panel=panel,
        )
        for earlier in (*cast.HISTORY, cast.LAST_OF_HISTORY)
    ]
