"""The privacy loss that an order states, against the best attack on a small cohort with the noise of one aggregator.

The other aggregator may leave its noise out, so the loss is counted with one. The attacker knows all reports but one, of
which two values are possible, and sees the results of many orders over both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from attack import excess, interval, law, tails
from service_world import World, digest

from edgehold.aggregation.collect import party_noise
from edgehold.policy.budget import rho_of, squared_sensitivity
from edgehold.wire.ids import TaskId
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.task import Party, TaskConfiguration

if TYPE_CHECKING:
    from conftest import Figures

RUNS = 10_000
"""Results that the attacker sees of each of the two cohorts, in one attack."""

THRESHOLDS = (0.25, 0.5, 0.75)
"""Where between the two sums the attacker begins to say "the second"."""


class Neighbours(NamedTuple):
    """A cohort's sum with each of the two values of one report, as far apart as valid reports can be."""

    measurement: MeasurementType
    sigma: Fraction
    first: Sequence[int]
    second: Sequence[int]

    @property
    def difference(self) -> list[int]:
        """The second sum less the first."""
        return [other - one for one, other in zip(self.first, self.second, strict=True)]

    @property
    def rho(self) -> float:
        """The loss that an order of this type and noise states."""
        return float(rho_of(self.sigma, squared_sensitivity(self.measurement)))


def type_of(kind: MeasurementKind, length: int = 1, bound: int = 0) -> MeasurementType:
    """A measurement type."""
    return MeasurementType(kind=kind, length=length, bound=bound, weight=0)


COHORTS = {
    "count": Neighbours(type_of(MeasurementKind.COUNT), Fraction(1), [3], [4]),
    "histogram": Neighbours(type_of(MeasurementKind.HISTOGRAM, 4), Fraction(3, 2), [2, 3, 1, 0], [2, 2, 1, 1]),
    "sum": Neighbours(type_of(MeasurementKind.SUM, bound=6), Fraction(6), [11], [17]),
    "vector": Neighbours(type_of(MeasurementKind.SUMVEC, 3, bound=2), Fraction(7, 2), [4, 0, 5], [6, 2, 3]),
}

Draw = Callable[[int], Sequence[int]]


@pytest.fixture(scope="module")
def configuration_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[MeasurementType, Fraction], TaskConfiguration]:
    """The configuration of a real task of such a measurement and noise."""

    def make(measurement: MeasurementType, sigma: Fraction) -> TaskConfiguration:
        folder: Path = tmp_path_factory.mktemp("task")
        return World(folder).open_task(measurement, sigma=sigma).configuration

    return make


def noise_of(configuration: TaskConfiguration, seed: str) -> Draw:
    """One aggregator's noise in the runs of one attack: another secret and header in each, as in other tasks."""
    task = TaskId(digest(f"task of {seed}"))

    def draw(run: int) -> Sequence[int]:
        party = (Party.LEADER, Party.HELPER)[run % 2]
        return party_noise(configuration, task, party, digest(f"{seed} secret {run}"), digest(f"{seed} header {run}"))

    return draw


def alarms(cohort: Neighbours, draw: Draw, *, first_run: int, second: bool) -> list[float]:
    """The attacker's statistic in each run: 0 at the first sum, 1 at the second."""
    difference = cohort.difference
    norm = sum(place * place for place in difference)
    sums = cohort.second if second else cohort.first
    found = []
    for run in range(first_run, first_run + RUNS):
        seen = [exact + noise for exact, noise in zip(sums, draw(run), strict=True)]
        towards = sum(
            place * (value - exact) for place, value, exact in zip(difference, seen, cohort.first, strict=True)
        )
        found.append(towards / norm)
    return found


def attack(cohort: Neighbours, draw: Draw) -> tuple[float, list[tuple[float, int, int]]]:
    """The largest certain excess over the stated loss, and false and true alarms at each threshold."""
    innocent = alarms(cohort, draw, first_run=0, second=False)
    guilty = alarms(cohort, draw, first_run=RUNS, second=True)
    found = []
    for threshold in THRESHOLDS:
        false, true = (sum(value >= threshold for value in values) for values in (innocent, guilty))
        found.append((threshold, false, true))
    return max(excess(cohort.rho, (false, RUNS), (true, RUNS)) for _, false, true in found), found


@pytest.mark.campaign(test=1, long=50, shard=1)
@pytest.mark.parametrize("name", COHORTS)
def test_the_best_attack_learns_no_more_than_is_stated(
    name: str, numbers: range, figures: Figures, configuration_of: Callable[..., TaskConfiguration]
) -> None:
    cohort = COHORTS[name]
    configuration = configuration_of(cohort.measurement, cohort.sigma)
    expected = tails(law(cohort.sigma, cohort.difference))
    norm = sum(place * place for place in cohort.difference)
    for number in numbers:
        worst, found = attack(cohort, noise_of(configuration, f"{name} {number}"))
        assert worst <= 1, f"number {number}: the attack exceeds ρ = {cohort.rho} by {worst}"
        for threshold, false, _ in found:
            low, high = interval(false, RUNS)
            reached = min(value for value in expected if value >= threshold * norm)
            assert low <= expected[reached] <= high, f"number {number}: the noise is not the law that is stated"
        figures.add("privacy attack: results of small cohorts attacked", 2 * RUNS)
        figures.most(f"privacy attack: certain part of the stated loss that it found, {name}", worst)


@pytest.mark.parametrize("name", COHORTS)
def test_half_the_noise_is_found_out(name: str, configuration_of: Callable[..., TaskConfiguration]) -> None:
    cohort = COHORTS[name]
    weak = configuration_of(cohort.measurement, cohort.sigma / 2)
    assert attack(cohort, noise_of(weak, name))[0] > 1
