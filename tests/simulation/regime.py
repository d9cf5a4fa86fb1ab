"""What goes wrong in one history: which kinds of faults, how often, and who misbehaves.

As in swarm testing each history has some kinds of faults and not others: all of them together would hide what only some
of them show, and few orders would come to a result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from founding import LEADERS
from network import Weather

from edgehold.wire.order import Schedule

FAULTS = (
    "lost messages",
    "doubled messages",
    "changed messages",
    "lost transactions",
    "late transactions",
    "kills",
    "power cuts",
    "full disks",
    "broken disks",
    "partitions",
    "clock jumps",
    "lies about the ledger",
    "sleep",
)

SERVICES_MISBEHAVE = (
    "AlteringNode",
    "HoardingNode",
    "ShiftingNode",
    "DroppingNode",
    "TwoFacedNode",
    "TwoFacedProposals",
    "DeafNode",
    "GarblingNode",
    "WithholdingNode",
    "SilentNode",
)
CUSTOMERS_MISBEHAVE = ("withdraws", "disputes", "vanishes", "floods")
HUBS_MISBEHAVE = ("lies", "doubles", "garbles", "steals")


@dataclass(frozen=True)
class Placing:
    """One order: when, by whom, of what."""

    at: int
    """The block after which it is placed."""
    customer: int
    leader: str
    program: str
    panels: tuple[int, ...]
    least_batch: int
    sigma: int
    schedule: Schedule


@dataclass
class Regime:
    """What one history has of everything."""

    faults: tuple[str, ...]
    level: float
    """How often the faults come, from rare to often."""
    calm_after: int
    """The block after which nothing fails any more."""
    orders: tuple[Placing, ...]
    victims: str = ""
    """How the names of the machines begin that are killed and whose disks fail."""
    services: dict[str, str] = field(default_factory=dict)
    """Who misbehaves, and how."""
    customers: dict[int, str] = field(default_factory=dict)
    hubs: dict[int, str] = field(default_factory=dict)

    @property
    def has_misbehaviour(self) -> bool:
        """Whether anybody is dishonest."""
        return bool(self.services or self.customers or self.hubs)

    def weather(self) -> Weather:
        """The network while there are faults."""
        level = self.level
        of = {kind: level if kind in self.faults else 0.0 for kind in FAULTS}
        return Weather(
            lose_request=of["lost messages"] * 0.2,
            lose_answer=of["lost messages"] * 0.2,
            double=of["doubled messages"] * 0.3,
            change=of["changed messages"] * 0.1,
            lose_transaction=of["lost transactions"] * 0.2,
            delay_transaction=of["late transactions"] * 0.5,
            double_transaction=of["doubled messages"] * 0.3,
            lie=of["lies about the ledger"] * 0.3,
        )

    def often(self, kind: str, most: float) -> float:
        """The probability of a fault in each block."""
        return self.level * most if kind in self.faults else 0.0


def draw_regime(dice: Random, services: tuple[str, ...]) -> Regime:
    """A regime by the dice."""
    calm = dice.random() < 0.08
    faults = () if calm else tuple(kind for kind in FAULTS if dice.random() < 0.4)
    orders = tuple(draw_placing(dice, number) for number in range(dice.choice((1, 1, 1, 2, 2, 3))))
    victims = dice.choice(("", "", "hub", "ledger", *services))
    regime = Regime(faults, dice.choice((0.15, 0.4, 1.0)), 8 + dice.randrange(25), orders, victims)
    if dice.random() < 0.5:
        draw_misbehaviour(dice, regime, services)
    return regime


def draw_placing(dice: Random, number: int) -> Placing:
    """One order by the dice."""
    panels = dice.choice(((1,), (1,), (0,), (0,), (0, 1)))
    persons = sum({0: 5, 1: 3}[panel] for panel in panels)
    patience = dice.choice((0, 1, 3))
    return Placing(
        at=number * dice.randrange(6) if number else 0,
        customer=dice.randrange(2),
        leader=dice.choice(LEADERS),
        program=dice.choice(("bmi", "feasibility", "disorders", "pressure_by_hypertension")),
        panels=panels,
        least_batch=dice.randrange(2, min(persons, 4) + 1),
        sigma=dice.randrange(1, 4),
        schedule=Schedule(
            request=2 + patience,
            join=2 + patience,
            upload=3 + patience,
            revoke=1 + dice.randrange(2),
            close=3 + patience,
            share=2 + patience,
            accept=3 + patience,
        ),
    )


def draw_misbehaviour(dice: Random, regime: Regime, services: tuple[str, ...]) -> None:
    """Somebody misbehaves: of two aggregators of an order one at most."""
    if dice.random() < 0.6:
        regime.services[dice.choice(services)] = dice.choice(SERVICES_MISBEHAVE)
    if dice.random() < 0.4:
        for number in dice.sample(range(1, 9), dice.randrange(1, 3)):
            regime.hubs[number] = dice.choice(HUBS_MISBEHAVE)
    if dice.random() < 0.3:
        kinds = CUSTOMERS_MISBEHAVE if not regime.services else ("withdraws", "disputes", "floods")
        regime.customers[dice.randrange(2)] = dice.choice(kinds)
