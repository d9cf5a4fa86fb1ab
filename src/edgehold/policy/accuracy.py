"""How far a result can lie from the truth because of its noise; for results and for planning an order.

Each of the two aggregators adds a discrete Gaussian of scale σ, so a cell carries noise of standard deviation σ√2, and
its error is a whole number. **Rounding rule:** the half-width is the whole number h for which P(|noise| ≤ h) is nearest
to 95 %. From σ = 1 on, that probability lies between 92 % and 98 %; with less noise whole numbers are too coarse for
any rule to do so everywhere, and `coverage` gives the true figure.
"""

from __future__ import annotations

import math
from fractions import Fraction

from edgehold.errors import BadLoss

NOMINAL = 0.95

_QUANTILE = 1.959963984540054
"""Of the normal distribution at 97.5 %."""


def noise_sd(sigma: Fraction) -> float:
    """Standard deviation of both noises together in one cell."""
    return float(sigma) * math.sqrt(2)


def coverage(half_width: int, sigma: Fraction) -> float:
    """P(|noise| ≤ h) for both noises together; good to 0.1 % from σ = 1 on. Raises `BadLoss` unless σ > 0.

    Midpoint rule with its first correction (Euler–Maclaurin) for the sum of the lattice's probabilities.
    """
    if sigma <= 0:
        raise BadLoss(f"a noise scale of {sigma} is not positive")
    edge = (half_width + 0.5) / noise_sd(sigma)
    density = math.exp(-edge * edge / 2) / math.sqrt(2 * math.pi)
    return math.erf(edge / math.sqrt(2)) + edge * density / (12 * noise_sd(sigma) ** 2)


def half_width(sigma: Fraction) -> int:
    """Half of the 95 % interval, in whole units of the result, by the rounding rule above."""
    about = max(1, math.floor(_QUANTILE * noise_sd(sigma) - 0.5))
    return min((about - 1, about, about + 1), key=lambda width: abs(coverage(width, sigma) - NOMINAL))


def interval(value: int, sigma: Fraction) -> tuple[int, int]:
    """The 95 % interval [low, high] around one cell of a result, both ends within; not clipped."""
    return value - half_width(sigma), value + half_width(sigma)


def expected_interval(reports: int, sigma: Fraction, share: Fraction = Fraction(1, 10)) -> tuple[int, int]:
    """The interval to expect for a cell that holds this share of the reports; what `edgehold plan` shows."""
    return interval(round(reports * share), sigma)


def relative_error(reports: int, sigma: Fraction, share: Fraction = Fraction(1, 10)) -> Fraction | None:
    """The half-width as a part of the cell's expected value, or none if the cell is expected to be empty."""
    expected = reports * share
    return half_width(sigma) / expected if expected else None
