"""What a sum of shares can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from small_world import Counting, story_until

from edgehold.crypto.seal import seal
from edgehold.errors import BadSealKey, SealKeyUnusable
from edgehold.ledger.shares import bound_of, is_carried, is_possible, require_usable, share_info
from edgehold.ledger.state import get_configuration
from edgehold.vdaf.field import encode_share
from edgehold.wire.ids import SealKey
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


PRIME = 2**255 - 19
SMALL = (
    0,
    1,
    PRIME - 1,
    PRIME,
    PRIME + 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)


@pytest.mark.parametrize("point", [point | top for point in SMALL for top in (0, 1 << 255)])
def test_what_the_rule_calls_unusable_nobody_can_seal_to(point: int) -> None:
    key = SealKey(point.to_bytes(32, "little"))
    with pytest.raises(BadSealKey):
        seal(key, b"", b"", b"", Counting())
    with pytest.raises(SealKeyUnusable):
        require_usable(key)


@given(st.binary(min_size=32, max_size=32).filter(lambda key: int.from_bytes(key, "little") % 2**255 not in SMALL))
def test_any_other_key_can_be_sealed_to(key: bytes) -> None:
    require_usable(SealKey(key))
    assert seal(SealKey(key), b"", b"", b"", Counting())
