"""The best attack on a noised result, and what a stated loss allows it.

Somebody knows everybody's report but one person's, of which two values are possible, and has the result with the noise
of one aggregator. By Neyman and Pearson nobody tells the two apart better than by the likelihood ratio, which for
(discrete) Gaussian noise grows with the scalar product of the result with the difference of the two sums. The attacker
says "the second" from a threshold on.

Zero-concentrated differential privacy of ρ bounds the Rényi divergence of every order α > 1 by ρα (Bun, Steinke 2016),
so it does of the attacker's yes and no: with a share p of false and q of true alarms,

    log( q^α p^(1-α) + (1-q)^α (1-p)^(1-α) ) / (α - 1)  ≤  ρα      and the same with p and q exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from scipy.stats import beta  # type: ignore[import-untyped]

ORDERS = tuple(1 + 2**exponent for exponent in (-8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5))
"""The orders α at which the bound is looked at."""

CONFIDENCE = 1 - 1e-6
"""Of each interval that a share of alarms is known within."""


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, of which so many of so many were seen."""
    outside = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(outside, hits, runs - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - outside, hits + 1, runs - hits)) if hits < runs else 1.0
    return low, high


def divergence(q: float, p: float, order: float) -> float:
    """Rényi divergence of a coin of q from a coin of p; neither is sure."""
    terms = [
        order * math.log(one) + (1 - order) * math.log(other) for one, other in ((q, p), (1 - q, 1 - p)) if one > 0
    ]
    most = max(terms)
    return (most + math.log(sum(math.exp(term - most) for term in terms))) / (order - 1)


def excess(rho: float, false: tuple[int, int], true: tuple[int, int]) -> float:
    """By how much the alarms (hits, runs) certainly exceed what ρ allows: the largest ratio of divergence to bound.

    Above 1 the stated loss is refuted.
    """
    _, p = interval(*false)
    q, _ = interval(*true)
    if q <= p:
        return 0.0
    return max(max(divergence(q, p, order), divergence(p, q, order)) / (rho * order) for order in ORDERS)


def law(sigma: Fraction, weights: Sequence[int]) -> dict[int, float]:
    """The exact law of the weighted sum of independent discrete Gaussians, by convolution."""
    reach = math.ceil(10 * sigma)
    single = {k: math.exp(-k * k / (2 * float(sigma) ** 2)) for k in range(-reach, reach + 1)}
    mass = sum(single.values())
    found = {0: 1.0}
    for weight in weights:
        wider: dict[int, float] = {}
        for value, chance in found.items():
            for k, density in single.items():
                wider[value + weight * k] = wider.get(value + weight * k, 0.0) + chance * density / mass
        found = {value: chance for value, chance in wider.items() if chance > 1e-15}
    return found


def tails(found: dict[int, float]) -> dict[int, float]:
    """For each value the chance of it or more."""
    values = sorted(found, reverse=True)
    return dict(zip(values, accumulate(found[value] for value in values), strict=True))
