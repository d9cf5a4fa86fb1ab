"""Shares as vectors of integers: what is written is read, sums are exact and signed, and no other bytes are shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold import _native
from edgehold.errors import BadShare
from edgehold.vdaf.field import FIELD64, FIELD128, Field, add_shares, add_vector, decode_share, encode_share, share_size
from edgehold.wire.program import MeasurementKind, MeasurementType

SUM = MeasurementType(MeasurementKind.SUM, 1, 300, 0)
HISTOGRAM = MeasurementType(MeasurementKind.HISTOGRAM, 3, 0, 0)


@pytest.mark.parametrize(("kind", "field"), [("count", FIELD64), ("histogram", FIELD128)])
def test_the_fields_are_those_of_the_draft(kind: str, field: Field) -> None:
    native = _native.Prio3(kind, length=1, chunk=1)
    assert (native.modulus, native.element_size) == (field.modulus, field.size)


@given(st.lists(st.integers(0, FIELD128.modulus - 1), min_size=3, max_size=3))
def test_what_is_written_is_read(values: list[int]) -> None:
    share = encode_share(HISTOGRAM, values)
    assert len(share) == share_size(HISTOGRAM) == 48
    assert decode_share(HISTOGRAM, share) == values


@given(st.binary(min_size=8, max_size=8))
def test_any_bytes_are_one_spelling_of_a_share_or_refused(share: bytes) -> None:
    try:
        values = decode_share(SUM, share)
    except BadShare:
        assert int.from_bytes(share, "little") >= FIELD64.modulus
    else:
        assert encode_share(SUM, values) == share


@given(st.lists(st.lists(st.integers(-(2**100), 2**100), min_size=3, max_size=3), max_size=5))
def test_shares_add_up_to_the_signed_sum(vectors: list[list[int]]) -> None:
    expected = [sum(column) for column in zip([0] * 3, *vectors, strict=True)]
    assert add_shares(HISTOGRAM, [encode_share(HISTOGRAM, vector) for vector in vectors]) == expected


def test_the_sign_changes_in_the_middle_of_the_field() -> None:
    half = FIELD64.modulus // 2
    assert add_shares(SUM, [encode_share(SUM, [half])]) == [half]
    assert add_shares(SUM, [encode_share(SUM, [half + 1])]) == [-half]


@given(st.lists(st.integers(-(2**200), 2**200), min_size=3, max_size=3))
def test_a_vector_added_and_taken_away_leaves_the_share(values: list[int]) -> None:
    share = encode_share(HISTOGRAM, [1, 2, 3])
    there = add_vector(HISTOGRAM, share, values)
    assert add_vector(HISTOGRAM, there, [-value for value in values]) == share


def test_the_native_sum_is_the_same() -> None:
    native = _native.Prio3("histogram", length=3, chunk=2)
    shares = [encode_share(HISTOGRAM, vector) for vector in ([5, -6, 7], [FIELD128.modulus - 1, 2, 3])]
    assert decode_share(HISTOGRAM, native.aggregate(shares)) == [
        value % FIELD128.modulus for value in add_shares(HISTOGRAM, shares)
    ]


@pytest.mark.parametrize("share", [b"", bytes(7), bytes(9), FIELD64.modulus.to_bytes(8, "little"), b"\xff" * 8])
def test_other_bytes_are_no_share(share: bytes) -> None:
    with pytest.raises(BadShare):
        decode_share(SUM, share)


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(BadShare):
        encode_share(HISTOGRAM, [1, 2])
    with pytest.raises(BadShare):
        add_vector(HISTOGRAM, bytes(48), [1, 2])
