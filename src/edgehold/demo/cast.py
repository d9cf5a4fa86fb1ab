"""Who plays in the demo, and the numbers of its small network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import msgspec

from edgehold.policy.policy import LeastCredibility, Policy
from edgehold.wire.account import Claim
from edgehold.wire.governance import Parameters
from edgehold.wire.purpose import Permission, PermittedUse, Purpose

SCHEME = "riverbend-adults"

NETWORK_LEAST_PANEL = 200
NETWORK_LEAST_BATCH = 100
"""The floors of a network in earnest; a smaller demo goes below them and says so."""

EARLIER_SLOTS = 4
"""As many as the history has orders: every slot costs each person a blind signature."""
SLOTS = 16

PERIOD = 500
"""Heights of a ledger period in the demo; in earnest a quarter."""

PASSING_PERIOD = 100
PASSING_INTERVAL_MS = 400
"""The same where heights pass by themselves, and how often they do when nothing is submitted."""

EPSILON = 2.0
EARLIER_EPSILON = 0.5
LATER_EPSILON = 1.0


@dataclass(frozen=True)
class Organisation:
    """One organisation: who sponsors it, and what that accreditor attests of it."""

    name: str
    title: str
    sponsor: str
    claims: tuple[Claim, ...]


NORTH, SOUTH = "accreditor-north", "accreditor-south"
ACCREDITORS = (NORTH, SOUTH)
TREASURER = "treasurer"

ISSUER = Organisation("riverbend", "Riverbend Clinic", NORTH, (Claim.ISSUER, Claim.VERIFIED))

GOOD = Organisation("meridian", "Meridian Analytics", NORTH, (Claim.ACCREDITED,))
NEWCOMER = Organisation("larkspur", "Larkspur Data", NORTH, (Claim.ACCREDITED,))
TWO_FACED = Organisation("quillon", "Quillon Insights", SOUTH, (Claim.ACCREDITED,))
LEADERS = (GOOD, NEWCOMER, TWO_FACED)

AGGREGATOR_NORTH = Organisation("tidewater", "Tidewater Trust", NORTH, (Claim.ACCREDITED, Claim.INDEPENDENT))
AGGREGATOR_SOUTH = Organisation("saltmarsh", "Saltmarsh Institute", SOUTH, (Claim.ACCREDITED, Claim.INDEPENDENT))
AGGREGATORS = (AGGREGATOR_NORTH, AGGREGATOR_SOUTH)

SERVICES = (*LEADERS, *AGGREGATORS)

UNIVERSITY = Organisation("brookside", "Brookside University", SOUTH, (Claim.VERIFIED, Claim.NOT_FOR_PROFIT))
REGISTRY = Organisation("heartline", "Heartline Registry", NORTH, (Claim.VERIFIED, Claim.NOT_FOR_PROFIT))
HOSPITAL = Organisation("fairview", "Fairview Hospital", SOUTH, (Claim.VERIFIED,))
AGENCY = Organisation("harrow", "Harrow Health Agency", NORTH, (Claim.VERIFIED, Claim.NOT_FOR_PROFIT))
PLANNER = Organisation("ashby", "Ashby Trials", SOUTH, (Claim.VERIFIED,))
CUSTOMERS = (UNIVERSITY, REGISTRY, HOSPITAL, AGENCY, PLANNER)

DOCTOR = Organisation("dr-lindqvist", "Dr Lindqvist's practice", NORTH, (Claim.VERIFIED,))

ORGANISATIONS = (ISSUER, *SERVICES, *CUSTOMERS, DOCTOR)

HEALTH_RESEARCH = Purpose(permission=Permission.HMB)
GENERAL_RESEARCH = Purpose(permission=Permission.GRU)
HYPERTENSION_RESEARCH = Purpose(permission=Permission.DS, diseases=("MONDO:0005044",))


@dataclass(frozen=True)
class EarlierOrder:
    """One order of the services' history: who asked whom. Acceptances count only where no sponsor is shared."""

    customer: Organisation
    leader: Organisation


HISTORY = (
    EarlierOrder(UNIVERSITY, GOOD),  # counts for the leader
    EarlierOrder(REGISTRY, GOOD),  # counts for its helper, which the south sponsors
    EarlierOrder(HOSPITAL, TWO_FACED),  # counts for the northern aggregator
)
LAST_OF_HISTORY = EarlierOrder(AGENCY, TWO_FACED)
"""The order in which the leader signs two lists."""

YEARLY_LOSS = Fraction(21, 20)
"""ρ, that is ε 8.0 at δ 1e-6; owners of the demo allow more than the default 0.311 (ε 4)."""

THRESHOLDS = ((45, 300_000), (90, 500_000), (100, 700_000))
"""Least credibility by fixed shares of the hubs, in parts per million: up to which per cent, how much."""


def policy_of(number: int, least_batch: int) -> Policy:
    """The policy of the n-th adult of the demo: early adopters ask for less credibility."""
    place = number * 37 % 100
    least = next(threshold for limit, threshold in THRESHOLDS if place < limit)
    return Policy(
        uses=(PermittedUse(permission=Permission.GRU),),
        least_credibility=LeastCredibility(aggregate=least),
        least_batch=least_batch,
        loss_per_order=str(YEARLY_LOSS / 2),
        loss_per_year=str(YEARLY_LOSS),
        customer_share="1/2",
        services_share="1/2",
        purpose_share="1/2",
    )


def parameters(adults: int) -> Parameters:
    """The demo's ledger parameters for so many adults."""
    return Parameters(
        period=PERIOD,
        root_interval=PERIOD,
        block_interval_ms=1000,
        least_panel=max(1, min(NETWORK_LEAST_PANEL, adults)),
        most_panel=max(2000, adults),
        least_batch=max(1, min(NETWORK_LEAST_BATCH, adults // 3)),
        hub_quota=max(10_000, adults),
        expiry=1000,
        abort_fee=50,
        helper_share=400,
        acceptance_cap=500_000,
        suspension=10_000,
    )


def passing(chosen: Parameters) -> Parameters:
    """The same where heights pass by themselves: nobody waits for five hundred of them."""
    return msgspec.structs.replace(
        chosen,
        period=PASSING_PERIOD,
        root_interval=PASSING_PERIOD,
        block_interval_ms=PASSING_INTERVAL_MS,
    )
