"""How much privacy loss one person still allows: zero-concentrated differential privacy, in exact fractions.

A person's loss of one order is ρ = D²/(2σ²) for one aggregator's noise of scale σ; losses add up. A year is the last
four ledger periods; one customer, one pair of services and one purpose can each spend at most a share of it. What was
spent is never given back. Sources: M. Bun, T. Steinke, "Concentrated Differential Privacy" (2016); C. Canonne,
G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy" (2020), Theorem 4 and Corollary 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, assert_never

from msgspec import Meta, Struct

from edgehold.errors import BadLoss, BudgetExhausted
from edgehold.wire.ids import AccountId, Counter
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.purpose import Purpose

PERIODS_A_YEAR = 4

DELTA = 1e-6
"""The δ for which every ε is displayed."""

DEFAULT_YEARLY = Fraction(311, 1000)
"""ε 4 a year: 46 orders of ε 0.5, or 12 of ε 1."""

DEFAULT_SHARE = Fraction(1, 5)

SIGMA_DENOMINATOR = 10
"""Noise scales are given in tenths."""

Ratio = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]*)(/[1-9][0-9]*)?$", max_length=4096)]
"""An exact fraction as text in lowest terms, for messages: `311/1000`."""


class Exhausted(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why a loss is not covered: which limit, what is left of it, and the period in which the loss would fit."""

    which: str
    """`year`, `customer`, `services` or `purpose`."""
    left: Ratio
    until: Counter | None
    """None: the loss alone is more than the limit."""


@dataclass(frozen=True)
class Spent:
    """One debit: ρ, to whom and for what, in which ledger period."""

    period: int
    loss: Fraction
    customer: AccountId
    services: tuple[AccountId, AccountId]
    purpose: str


@dataclass(frozen=True)
class Budget:
    """One person's allowance: ρ a year, the shares of it, and every debit of the last year."""

    yearly: Fraction = DEFAULT_YEARLY
    customer_share: Fraction = DEFAULT_SHARE
    services_share: Fraction = DEFAULT_SHARE
    purpose_share: Fraction = DEFAULT_SHARE
    spent: tuple[Spent, ...] = ()

    def left(self, period: int) -> Fraction:
        """What remains of the year at this period; never negative, even if the owner lowered the year."""
        return max(Fraction(0), self.yearly - _spent_in_year(self.spent, period))

    def covers(self, asked: Spent) -> Exhausted | None:
        """Nothing if the loss fits the year and the three shares, else the first limit that it exceeds.

        Raises `BadLoss` if the loss is not positive.
        """
        if asked.loss <= 0:
            raise BadLoss(f"a privacy loss of {asked.loss} is not positive")
        for which, limit, is_counted in self._limits(asked):
            counted = tuple(entry for entry in self.spent if is_counted(entry))
            left = limit - _spent_in_year(counted, asked.period)
            if asked.loss > left:
                until = _first_period(counted, asked, limit)
                return Exhausted(which, str(max(Fraction(0), left)), until)
        return None

    def debited(self, asked: Spent) -> Budget:
        """The budget after this debit; raises `BudgetExhausted` if it is not covered. There is no way back."""
        short = self.covers(asked)
        if short is not None:
            raise BudgetExhausted(f"ρ {asked.loss} exceeds the {short.which} limit, of which {short.left} is left")
        return replace(self, spent=(*self.spent, asked))

    def _limits(self, asked: Spent) -> tuple[tuple[str, Fraction, Callable[[Spent], bool]], ...]:
        """Each limit's name, its ρ a year, and which debits count against it."""
        return (
            ("year", self.yearly, lambda entry: True),
            ("customer", self.yearly * self.customer_share, lambda entry: entry.customer == asked.customer),
            ("services", self.yearly * self.services_share, lambda entry: entry.services == asked.services),
            ("purpose", self.yearly * self.purpose_share, lambda entry: entry.purpose == asked.purpose),
        )


def service_pair(leader: AccountId, helper: AccountId) -> tuple[AccountId, AccountId]:
    """Two services as a pair; who leads does not matter."""
    return (leader, helper) if leader <= helper else (helper, leader)


def purpose_key(purpose: Purpose) -> str:
    """What counts as one purpose in the budget: the permission and the diseases, whatever else is undertaken."""
    return " ".join([purpose.permission.name, *purpose.diseases])


def _spent_in_year(entries: tuple[Spent, ...], period: int) -> Fraction:
    """ρ of the year that ends with this period; debits of later periods count too, so that no clock can free them."""
    return sum((entry.loss for entry in entries if entry.period > period - PERIODS_A_YEAR), Fraction(0))


def _first_period(counted: tuple[Spent, ...], asked: Spent, limit: Fraction) -> int | None:
    """The first period in which enough old debits are more than a year away."""
    later = sorted({entry.period + PERIODS_A_YEAR for entry in counted if entry.period > asked.period - PERIODS_A_YEAR})
    return next((period for period in later if _spent_in_year(counted, period) + asked.loss <= limit), None)


# ── noise and loss ────────────────────────────────────────────────────────────────────────────────────────────────


def squared_sensitivity(measurement: MeasurementType) -> int:
    """D²: by how much, squared, one report can move the sum if it is replaced by any other valid one."""
    match measurement.kind:
        case MeasurementKind.COUNT:
            return 1
        case MeasurementKind.SUM:
            return measurement.bound**2
        case MeasurementKind.HISTOGRAM:
            return 2
        case MeasurementKind.MULTIHOT:
            return min(2 * measurement.weight, measurement.length)
        case MeasurementKind.SUMVEC:
            return measurement.length * measurement.bound**2
        case MeasurementKind.L1BOUND:
            return 2 * measurement.bound**2
        case _:
            assert_never(measurement.kind)


def rho_of(sigma: Fraction, d_squared: int) -> Fraction:
    """ρ = D²/(2σ²), exactly, counted with one aggregator's noise. Raises `BadLoss` unless σ > 0."""
    if sigma <= 0:
        raise BadLoss(f"a noise scale of {sigma} is not positive")
    return d_squared / (2 * sigma * sigma)


def sigma_for(rho: Fraction, d_squared: int) -> Fraction:
    """The least noise scale in tenths whose ρ is at most the one given. Raises `BadLoss` unless ρ and D² are > 0."""
    if rho <= 0 or d_squared <= 0:
        raise BadLoss(f"no noise scale gives ρ {rho} at D² {d_squared}")
    tenths_squared = math.ceil(Fraction(d_squared * SIGMA_DENOMINATOR**2) / (2 * rho))
    return Fraction(math.isqrt(tenths_squared - 1) + 1, SIGMA_DENOMINATOR)


# ── ρ and ε, for people ───────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)
def epsilon_of_rho(rho: Fraction | float, delta: float = DELTA) -> float:
    """The least ε for which ρ-zCDP implies (ε, δ)-differential privacy by Corollary 13; for display only.

    With δ = exp((α − 1)(αρ − ε))/(α − 1)·(1 − 1/α)^α solved for ε, the least over all orders α > 1.
    """
    loss = float(rho)
    if loss == 0:
        return 0.0

    def at(exponent: float) -> float:
        excess = math.exp(exponent)
        alpha = 1 + excess
        return alpha * loss + (-math.log(delta) - math.log(excess) - alpha * math.log1p(1 / excess)) / excess

    low, high = -10.0, 30.0
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if at(left) <= at(right) else (left, high)
    return max(0.0, at(low))


def rho_of_epsilon(epsilon: float, delta: float = DELTA) -> Fraction:
    """The largest ρ, in millionths, whose ε is at most the one given. Raises `BadLoss` if there is none above 0."""
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of_rho(middle / 1e6, delta) <= epsilon else (low, middle)
    if low == 0:
        raise BadLoss(f"ε {epsilon} leaves no privacy loss to spend")
    return Fraction(low, 10**6)
