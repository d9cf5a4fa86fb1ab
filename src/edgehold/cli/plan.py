"""`edgehold plan`: the interval to expect before anything is ordered."""

from __future__ import annotations

from fractions import Fraction

import click

from edgehold.cli.output import emit, json_option
from edgehold.policy.accuracy import expected_interval, half_width, noise_sd, relative_error
from edgehold.policy.budget import DELTA, epsilon_of_rho, rho_of, rho_of_epsilon, sigma_for, squared_sensitivity
from edgehold.wire.program import MeasurementKind, MeasurementType

KINDS = {
    "count": MeasurementType(kind=MeasurementKind.COUNT, length=1, bound=0, weight=0),
    "histogram": MeasurementType(kind=MeasurementKind.HISTOGRAM, length=2, bound=0, weight=0),
    "multihot": MeasurementType(kind=MeasurementKind.MULTIHOT, length=10, bound=0, weight=4),
}
"""What can be planned without a program: the noise depends on nothing else (multihot: ten labels, four a person)."""


@click.command(short_help="The interval to expect from an order.")
@click.option("--reports", type=click.IntRange(min=1), required=True, help="How many reports you expect.")
@click.option("--epsilon", type=click.FloatRange(min=0.01, max=20), required=True, help="Privacy loss at δ = 1e-6.")
@click.option(
    "--kind", type=click.Choice(list(KINDS)), default="histogram", show_default=True, help="Type of the result."
)
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Part of the reports in a cell."
)
@json_option
def plan(reports: int, epsilon: float, kind: str, share: float, as_json: bool) -> None:
    """Say how far off a cell of the result will be, before you order.

    \b
    Examples:
      edgehold plan --reports 400 --epsilon 2
      edgehold plan --reports 1700 --epsilon 0.5 --share 0.1 --json
    """
    d_squared = squared_sensitivity(KINDS[kind])
    sigma = sigma_for(rho_of_epsilon(epsilon), d_squared)
    rho = rho_of(sigma, d_squared)
    part = Fraction(share).limit_denominator(10_000)
    low, high = expected_interval(reports, sigma, part)
    relative = relative_error(reports, sigma, part)
    found = {
        "reports": reports,
        "epsilon": round(epsilon_of_rho(rho), 4),
        "delta": float(DELTA),
        "rho": float(rho),
        "sigma": [sigma.numerator, sigma.denominator],
        "noise_sd": noise_sd(sigma),
        "half_width": half_width(sigma),
        "cell": round(reports * part),
        "interval": [low, high],
        "relative_error": None if relative is None else float(relative),
    }
    off = "" if relative is None else f", ± {float(relative):.0%}"
    emit(
        as_json,
        found,
        [
            f"{reports} reports, {kind}, ε = {found['epsilon']:.2f} at δ = {float(DELTA):g} (ρ = {float(rho):.4f}):",
            f"  noise of both services in a cell: standard deviation {noise_sd(sigma):.1f}",
            f"  a cell with {round(reports * part)} reports ({share:.0%}): 95 % interval {low} to {high}{off}",
        ],
    )
