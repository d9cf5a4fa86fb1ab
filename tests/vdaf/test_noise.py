"""Noise is frozen, follows the discrete Gaussian exactly, and depends on everything it should."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path

import opendp.prelude as dp
import pytest
from scipy import stats

from edgehold.errors import BadNoise
from edgehold.vdaf.noise import HELPER, LEADER, draw_noise, noise_seed
from edgehold.wire.ids import Digest, TaskId

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "vdaf" / "noise.json").read_text())
TASK = TaskId(Digest(b"t" * 32))
HEADER = Digest(b"h" * 32)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["sigma"]))
def test_a_seed_gives_the_frozen_draws(vector: dict[str, object]) -> None:
    draws = vector["draws"]
    assert isinstance(draws, list)
    assert draw_noise(bytes.fromhex(str(vector["seed"])), Fraction(str(vector["sigma"])), len(draws)) == draws


def expected_counts(sigma: float, count: int) -> tuple[list[int], list[float]]:
    """Values of which at least 10 are expected, and how many; the two tails together at the end."""
    reach = math.ceil(10 * sigma) + 10
    weights = {value: math.exp(-(value**2) / (2 * sigma**2)) for value in range(-reach, reach + 1)}
    total = math.fsum(weights.values())
    expected = {value: count * weight / total for value, weight in weights.items()}
    body = [value for value, number in expected.items() if number >= 10]
    return body, [*(expected[value] for value in body), count - math.fsum(expected[value] for value in body)]


def observed_counts(draws: list[int], body: list[int]) -> list[int]:
    counter = Counter(draws)
    inside = [counter[value] for value in body]
    return [*inside, len(draws) - sum(inside)]


@pytest.mark.parametrize("sigma", ["1/2", "1", "7/3", "481/100", "17", "2000003/100003"])
def test_draws_follow_the_exact_distribution(sigma: str) -> None:
    draws = draw_noise(b"chi-square of the discrete noise", Fraction(sigma), 100_000)
    body, expected = expected_counts(float(Fraction(sigma)), len(draws))
    assert stats.chisquare(observed_counts(draws, body), expected).pvalue > 1e-3


def test_draws_are_independent_of_the_one_before() -> None:
    draws = draw_noise(b"serial correlation of the noise!", Fraction(9), 100_000)
    assert abs(stats.pearsonr(draws[:-1], draws[1:]).statistic) < 0.015


def test_opendp_draws_from_the_same_distribution() -> None:
    """OpenDP's own randomness cannot be fixed: the bound is one chance in 10^8."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    theirs = dp.m.make_gaussian(*space, scale=4.81)([0] * 20_000)
    ours = draw_noise(b"the noise of OpenDP beside ours!", Fraction(481, 100), 20_000)
    body = expected_counts(4.81, 20_000)[0]
    table = [observed_counts(ours, body), observed_counts(list(theirs), body)]
    assert stats.chi2_contingency(table).pvalue > 1e-8


def test_the_first_draws_do_not_depend_on_how_many_follow() -> None:
    few, many = (draw_noise(bytes(32), Fraction(3), count) for count in (5, 50))
    assert many[:5] == few
    assert draw_noise(bytes(32), Fraction(3), 0) == []


def test_the_seed_depends_on_secret_task_role_and_header() -> None:
    other = Digest(b"o" * 32)
    seeds = {
        noise_seed(secret, task, role, header)
        for secret in (bytes(32), other)
        for task in (TASK, TaskId(other))
        for role in (LEADER, HELPER)
        for header in (HEADER, other)
    }
    assert len(seeds) == 16
    assert noise_seed(bytes(32), TASK, LEADER, HEADER).hex() == (
        "5a885b0eceaa0b431f186b2793af7fc1b9a579b71bb09d4118a68b777f20cb02"
    )


@pytest.mark.parametrize("sigma", [Fraction(0), Fraction(-1, 2), Fraction(2**64), Fraction(1, 2**64)])
def test_a_sigma_out_of_range_is_refused(sigma: Fraction) -> None:
    with pytest.raises(BadNoise):
        draw_noise(bytes(32), sigma, 1)


def test_parts_of_a_wrong_size_are_refused() -> None:
    with pytest.raises(BadNoise):
        draw_noise(bytes(31), Fraction(1), 1)
    with pytest.raises(BadNoise):
        draw_noise(bytes(32), Fraction(1), -1)
    for secret, role in ((bytes(31), LEADER), (bytes(32), 2), (bytes(32), -1)):
        with pytest.raises(BadNoise):
            noise_seed(secret, TASK, role, HEADER)
