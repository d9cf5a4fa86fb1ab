"""The privacy budget: exact, never negative, never refunded; noise scales and their ε against OpenDP."""

from __future__ import annotations

from fractions import Fraction

import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import BadLoss, BudgetExhausted
from edgehold.policy.budget import (
    DEFAULT_YEARLY,
    DELTA,
    Budget,
    Exhausted,
    Spent,
    epsilon_of_rho,
    purpose_key,
    rho_of,
    rho_of_epsilon,
    service_pair,
    sigma_for,
    squared_sensitivity,
)
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.purpose import Permission, Purpose

YEAR = Fraction(1)
WHOLE = Budget(YEAR, Fraction(1), Fraction(1), Fraction(1))


def account(number: int) -> AccountId:
    return AccountId(Digest(bytes([number]) * 32))


def spent(loss: Fraction | int | str, period: int = 0, customer: int = 0, services: int = 0, use: str = "HMB") -> Spent:
    pair = service_pair(account(services), account(services + 100))
    return Spent(period, Fraction(loss), account(customer), pair, use)


debits = st.builds(
    spent,
    loss=st.fractions(Fraction(1, 1000), Fraction(1, 2), max_denominator=1000),
    period=st.integers(0, 12),
    customer=st.integers(0, 3),
    services=st.integers(0, 3),
    use=st.sampled_from(["HMB", "GRU"]),
)


@given(st.lists(debits, max_size=25))
def test_no_limit_is_ever_exceeded_in_any_year(asked: list[Spent]) -> None:
    budget = Budget(YEAR, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4))
    for debit in sorted(asked, key=lambda entry: entry.period):
        if budget.covers(debit) is None:
            budget = budget.debited(debit)
    for period in range(13):
        year = [entry for entry in budget.spent if period - 4 < entry.period <= period]
        assert budget.left(period) >= 0
        assert sum(entry.loss for entry in year) <= YEAR
        for customer in range(4):
            assert sum(entry.loss for entry in year if entry.customer == account(customer)) <= YEAR / 2


@given(st.lists(debits, max_size=12), debits)
def test_a_debit_that_is_not_covered_is_refused_and_fits_in_the_period_that_is_named(
    before: list[Spent], asked: Spent
) -> None:
    budget = Budget(YEAR, Fraction(1, 2), Fraction(1, 2), Fraction(3, 4), tuple(before))
    short = budget.covers(asked)
    if short is None:
        assert budget.debited(asked).spent == (*before, asked)
        return
    with pytest.raises(BudgetExhausted, match=short.which):
        budget.debited(asked)
    assert short.until is None or short.until > asked.period


def test_equal_to_what_is_left_is_covered() -> None:
    budget = WHOLE.debited(spent("1/3"))
    assert budget.covers(spent("2/3")) is None
    assert budget.covers(spent("667/1000")) == Exhausted("year", "2/3", 4)
    with pytest.raises(BudgetExhausted, match="year limit, of which 2/3 is left"):
        budget.debited(spent("667/1000"))


def test_a_year_is_the_last_four_periods() -> None:
    budget = WHOLE.debited(spent("1/2", period=3)).debited(spent("1/2", period=5))
    assert [budget.left(period) for period in (5, 6, 7, 8, 9)] == [0, 0, Fraction(1, 2), Fraction(1, 2), 1]
    assert budget.covers(spent("1/4", period=6)) == Exhausted("year", "0", 7)
    assert budget.covers(spent("3/4", period=6)) == Exhausted("year", "0", 9)
    assert budget.covers(spent(2, period=6)) == Exhausted("year", "0", None)


def test_a_period_that_goes_back_frees_nothing() -> None:
    assert WHOLE.debited(spent(1, period=9)).covers(spent("1/10", period=2)) == Exhausted("year", "0", 13)


def test_lowering_the_year_shows_nothing_left_and_never_less() -> None:
    lowered = Budget(Fraction(1, 4), spent=(spent("1/2"),))
    assert lowered.left(0) == 0
    assert lowered.covers(spent("1/100")) == Exhausted("year", "0", 4)


@pytest.mark.parametrize(
    ("which", "same"), [("customer", {"customer": 0}), ("services", {"services": 0}), ("purpose", {"use": "HMB"})]
)
def test_one_customer_pair_or_purpose_spends_at_most_its_share(which: str, same: dict[str, object]) -> None:
    budget = Budget(YEAR).debited(spent("3/20"))
    other: dict[str, object] = {"customer": 1, "services": 1, "use": "GRU"}
    assert budget.covers(spent("1/10", **other)) is None  # type: ignore[arg-type]
    assert budget.covers(spent("1/10", **(other | same))) == Exhausted(which, "1/20", 4)  # type: ignore[arg-type]


def test_a_pair_is_the_same_whoever_leads_and_a_purpose_whatever_it_undertakes() -> None:
    assert service_pair(account(1), account(2)) == service_pair(account(2), account(1))
    assert purpose_key(Purpose(Permission.DS, ("MONDO:0005148",))) == "DS MONDO:0005148"


@pytest.mark.parametrize("loss", [0, -1])
def test_a_loss_that_is_not_positive_is_refused(loss: int) -> None:
    with pytest.raises(BadLoss):
        WHOLE.covers(spent(loss))


# ── noise and loss ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "length", "bound", "weight", "expected"),
    [
        (MeasurementKind.COUNT, 1, 0, 0, 1),
        (MeasurementKind.SUM, 1, 7, 0, 49),
        (MeasurementKind.HISTOGRAM, 17, 0, 0, 2),
        (MeasurementKind.MULTIHOT, 10, 0, 3, 6),
        (MeasurementKind.MULTIHOT, 10, 0, 8, 10),
        (MeasurementKind.SUMVEC, 5, 3, 0, 45),
        (MeasurementKind.L1BOUND, 5, 3, 0, 18),
    ],
)
def test_squared_sensitivities_are_those_of_the_table(
    kind: MeasurementKind, length: int, bound: int, weight: int, expected: int
) -> None:
    assert squared_sensitivity(MeasurementType(kind, length, bound, weight)) == expected


@given(st.fractions(Fraction(1, 10_000), 20, max_denominator=10**6), st.integers(1, 10_000))
def test_the_noise_scale_is_the_least_tenth_that_books_no_more_than_asked(rho: Fraction, d_squared: int) -> None:
    sigma = sigma_for(rho, d_squared)
    assert rho_of(sigma, d_squared) <= rho
    assert sigma == Fraction(1, 10) or rho_of(sigma - Fraction(1, 10), d_squared) > rho
    assert 10 % sigma.denominator == 0


def test_no_noise_or_no_loss_is_not_a_scale() -> None:
    with pytest.raises(BadLoss):
        rho_of(Fraction(0), 2)
    with pytest.raises(BadLoss):
        sigma_for(Fraction(0), 2)
    with pytest.raises(BadLoss):
        sigma_for(Fraction(1), 0)
    with pytest.raises(BadLoss):
        rho_of_epsilon(0.0)


def test_a_default_year_is_epsilon_four_and_pays_46_orders_of_a_half_or_12_of_one() -> None:
    assert round(epsilon_of_rho(DEFAULT_YEARLY), 2) == 4.0
    assert int(DEFAULT_YEARLY / rho_of_epsilon(0.5)) == 46
    assert int(DEFAULT_YEARLY / rho_of_epsilon(1.0)) == 12
    assert 1.6 < epsilon_of_rho(DEFAULT_YEARLY / 5) < 1.7
    assert epsilon_of_rho(0.0) == 0.0


@given(st.floats(0.5, 20))
def test_epsilon_and_rho_are_inverse(epsilon: float) -> None:
    assert epsilon_of_rho(rho_of_epsilon(epsilon)) == pytest.approx(epsilon, rel=1e-3)
    assert epsilon_of_rho(rho_of_epsilon(epsilon)) <= epsilon


@pytest.mark.parametrize("sigma", [Fraction(34, 10), Fraction(65, 10), Fraction(123, 10)])
def test_opendp_books_the_same_loss_and_shows_no_larger_epsilon(sigma: Fraction) -> None:
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    mechanism = dp.m.make_gaussian(*space, scale=float(sigma))
    loss = mechanism.map(d_in=2**0.5)
    assert loss == pytest.approx(float(rho_of(sigma, 2)), rel=1e-9)
    theirs = dp.c.make_zCDP_to_approxDP(mechanism).map(d_in=2**0.5).epsilon(delta=DELTA)
    assert epsilon_of_rho(loss) == pytest.approx(theirs, rel=1e-3)
