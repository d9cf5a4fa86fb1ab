"""Padded lengths tell little, and what was padded comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.padding import pad, padme, unpad
from edgehold.errors import Malformed


@pytest.mark.parametrize(
    ("length", "padded"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (17, 18),
        (33, 36),
        (100, 104),
        (1000, 1024),
        (10_000, 10_240),
        (10**6, 1_015_808),
    ],
)
def test_a_length_is_rounded_up_as_padme_says(length: int, padded: int) -> None:
    assert padme(length) == padded


@given(st.integers(min_value=0, max_value=2**40))
def test_it_grows_by_an_eighth_at_most_and_few_lengths_are_left(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded
    if length >= 2:
        exponent = length.bit_length() - 1
        assert padded % (1 << exponent - exponent.bit_length() if exponent > exponent.bit_length() else 1) == 0


@given(st.binary(max_size=3000))
def test_what_was_padded_comes_back(data: bytes) -> None:
    assert unpad(pad(data)) == data
    assert len(pad(data)) == padme(len(data) + 4)


@pytest.mark.parametrize(
    "padded", [b"", b"\1\0\0", b"\5\0\0\0abc", pad(b"a" * 9)[:-1], pad(b"abc") + b"\0", pad(b"a" * 9)[:-1] + b"x"]
)
def test_what_was_not_padded_is_refused(padded: bytes) -> None:
    with pytest.raises(Malformed):
        unpad(padded)
