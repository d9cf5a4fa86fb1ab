"""The noise of a release: drawn 500 times over one stored pair of aggregate shares, for each shipped program.

Rounding rule (`policy.accuracy`): the half-width of the 95 % interval is the whole number h for which P(|noise| ≤ h) is
nearest to 95 %; from σ = 1 on that probability lies between 92 % and 98 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

import pytest
from scenario_world import FIRST_PANEL, HELPER, LEADER, ScenarioWorld, truth
from scipy import stats  # type: ignore[import-untyped]

from edgehold.aggregation.collect import add_noise, party_noise, unshard
from edgehold.crypto.hash import tagged_hash
from edgehold.policy.accuracy import coverage, half_width, interval, noise_sd
from edgehold.policy.budget import rho_of_epsilon, sigma_for, squared_sensitivity
from edgehold.wire.ids import Digest, TaskId
from edgehold.wire.task import Party

DRAWS = 500
EPSILON = 2.0

PROGRAMS = ["bmi", "pressure_by_hypertension", "disorders", "feasibility"]


def stored_shares(world: ScenarioWorld, task: TaskId) -> tuple[bytes, bytes]:
    """Both aggregate shares as they lie at the aggregators before the release."""
    leader, helper = (world.services[name]._aggregator(task).aggregate_share() for name in (LEADER, HELPER))
    return leader, helper


def two_noises(sigma: Fraction) -> dict[int, float]:
    """The law of the sum of two discrete Gaussians, by convolution."""
    reach = math.ceil(9 * sigma)
    one = {k: math.exp(-k * k / (2 * float(sigma) ** 2)) for k in range(-reach, reach + 1)}
    total = sum(one.values()) ** 2
    return {
        k: sum(one[j] * one[k - j] for j in range(max(-reach, k - reach), min(reach, k + reach) + 1)) / total
        for k in range(-reach, reach + 1)
    }


def fits(errors: Iterable[int], law: dict[int, float]) -> float:
    """The probability of errors at least this unlike the law (chi-squared over cells that expect ten or more)."""
    counted = Counter(errors)
    total = sum(counted.values())
    observed, expected, seen, due = [], [], 0, 0.0
    for value, chance in sorted(law.items()):
        seen, due = seen + counted[value], due + chance * total
        if due >= 10:
            observed.append(seen)
            expected.append(due)
            seen, due = 0, 0.0
    observed[-1] += seen
    expected[-1] += due
    scale = sum(observed) / sum(expected)
    return float(stats.chisquare(observed, [one * scale for one in expected]).pvalue)


@pytest.mark.parametrize("program", PROGRAMS)
def test_five_hundred_releases_follow_the_law_and_the_interval_covers_what_it_says(
    world: ScenarioWorld, program: str
) -> None:
    measurement = world.programs()[program].descriptor.measurement
    sigma = sigma_for(rho_of_epsilon(EPSILON), squared_sensitivity(measurement))
    order, task = world.open_task(program, sigma=sigma)
    configuration = world.configuration(task)
    world.advance_to(configuration.upload_until + 1)
    world.services[LEADER].step()
    leader, helper = stored_shares(world, task)
    exact = truth(program, FIRST_PANEL)
    assert unshard(configuration, leader, helper) == exact
    errors: list[int] = []
    covered = 0
    for draw in range(DRAWS):
        header = Digest(tagged_hash("header", draw.to_bytes(4, "big")))
        noised = [
            add_noise(configuration, share, party_noise(configuration, task, party, bytes([draw % 251]) * 32, header))
            for party, share in ((Party.LEADER, leader), (Party.HELPER, helper))
        ]
        released = unshard(configuration, *noised)
        errors += [value - true for value, true in zip(released, exact, strict=True)]
        for value, true in zip(released, exact, strict=True):
            low, high = interval(value, sigma)
            covered += low <= true <= high
    assert abs(sum(errors) / len(errors)) < 4 * noise_sd(sigma) / math.sqrt(len(errors))
    deviation = math.sqrt(sum(error * error for error in errors) / len(errors))
    assert deviation == pytest.approx(noise_sd(sigma), rel=4 / math.sqrt(2 * len(errors)))
    assert fits(errors, two_noises(sigma)) > 0.001
    assert 0.92 <= covered / len(errors) <= 0.98
    assert covered / len(errors) == pytest.approx(
        coverage(half_width(sigma), sigma), abs=4 * 0.22 / math.sqrt(len(errors))
    )
    world.finish(order)
    verdict = world.customers["brookside"].verdict(order)
    assert verdict.half_width == half_width(sigma)
