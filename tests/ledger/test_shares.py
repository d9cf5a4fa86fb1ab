"""What a sum of shares can be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from small_world import story_until

from edgehold.ledger.shares import bound_of, is_carried, is_possible, share_info
from edgehold.ledger.state import get_configuration
from edgehold.vdaf.field import encode_share
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.task import Party

COUNT = MeasurementType(MeasurementKind.COUNT, 1, 0, 0)
SUM = MeasurementType(MeasurementKind.SUM, 1, 200, 0)
L1 = MeasurementType(MeasurementKind.L1BOUND, 3, 7, 0)


@pytest.mark.parametrize(("measurement", "bound"), [(COUNT, 1), (SUM, 200), (L1, 7)])
def test_a_sum_lies_between_the_noise_below_nothing_and_above_every_report(
    measurement: MeasurementType, bound: int
) -> None:
    configuration = replace(
        get_configuration(story_until("join").world.state, story_until("join").task),
        measurement=measurement,
        sigma_numerator=10,
        sigma_denominator=1,
    )
    assert bound_of(measurement) == bound
    # 12·10·√2 = 169.7…
    for number, possible in ((-169, True), (-170, False), (8 * bound + 169, True), (8 * bound + 170, False)):
        rest = [0] * (measurement.length - 1)
        shares = [encode_share(measurement, [number - 1_000, *rest]), encode_share(measurement, [1_000, *rest])]
        assert is_possible(configuration, 8, shares) is possible


def test_a_share_of_sixteen_kilobytes_travels() -> None:
    fits = MeasurementType(MeasurementKind.HISTOGRAM, 1021, 0, 0)
    assert is_carried(fits)
    assert not is_carried(replace(fits, length=1022))


def test_both_shares_are_sealed_for_different_purposes() -> None:
    assert share_info(Party.LEADER) == b"edgehold share\x00"
    assert share_info(Party.HELPER) == b"edgehold share\x01"
