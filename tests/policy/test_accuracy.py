"""The 95 % interval covers what it says, for the exact law of two discrete Gaussians."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import accumulate

import pytest

from edgehold.errors import BadLoss
from edgehold.policy.accuracy import coverage, expected_interval, half_width, interval, noise_sd, relative_error

TENTHS = [10, 11, 12, 14, 17, 20, 24, 34, 65, 123, 400]


def two_noises(sigma: Fraction) -> dict[int, float]:
    """The exact law of the sum of two discrete Gaussians, by convolution."""
    reach = math.ceil(9 * sigma)
    one = {k: math.exp(-k * k / (2 * float(sigma) ** 2)) for k in range(-reach, reach + 1)}
    total = sum(one.values()) ** 2
    return {
        k: sum(one[j] * one[k - j] for j in range(max(-reach, k - reach), min(reach, k + reach) + 1)) / total
        for k in range(-reach, reach + 1)
    }


@pytest.mark.parametrize("tenths", [10, 12, 17, 34, 65])
def test_coverage_is_that_of_the_exact_law(tenths: int) -> None:
    sigma = Fraction(tenths, 10)
    law = two_noises(sigma)
    for width in range(1, math.ceil(4 * sigma)):
        exact = sum(chance for noise, chance in law.items() if abs(noise) <= width)
        assert coverage(width, sigma) == pytest.approx(exact, abs=1e-3)


def test_the_interval_covers_92_to_98_percent_from_a_scale_of_one_on() -> None:
    for tenths in range(10, 2000):
        sigma = Fraction(tenths, 10)
        assert 0.92 <= coverage(half_width(sigma), sigma) <= 0.98


@pytest.mark.parametrize("tenths", [10, 24, 34, 123])
def test_drawn_noise_lies_within_the_interval_92_to_98_percent_of_the_time(tenths: int) -> None:
    sigma = Fraction(tenths, 10)
    law = two_noises(sigma)
    draws = random.Random(7).choices(list(law), cum_weights=list(accumulate(law.values())), k=20_000)
    low, high = interval(1000, sigma)
    assert 0.92 <= sum(low <= 1000 + noise <= high for noise in draws) / len(draws) <= 0.98


@pytest.mark.parametrize("tenths", TENTHS)
def test_no_other_whole_number_is_nearer_to_95_percent(tenths: int) -> None:
    sigma = Fraction(tenths, 10)
    best = min(range(200), key=lambda width: abs(coverage(width, sigma) - 0.95))
    assert half_width(sigma) == best


def test_planning_gives_the_interval_and_its_relative_width() -> None:
    sigma = Fraction(65, 10)
    assert round(noise_sd(sigma), 1) == 9.2
    assert expected_interval(910, sigma) == (91 - 18, 91 + 18)
    assert relative_error(900, sigma) == Fraction(1, 5)
    assert relative_error(0, sigma) is None


def test_a_scale_of_zero_has_no_coverage() -> None:
    with pytest.raises(BadLoss):
        coverage(3, Fraction(0))
