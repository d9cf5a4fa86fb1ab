"""The mixing coder: columns come back from what it made of them, and contexts that say nothing are refused by name."""

from __future__ import annotations

from array import array
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold._native import MixReader, MixWriter

NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=60)
SMALL = st.lists(st.integers(0, 4095), max_size=60)
CONTEXTS = st.sampled_from(["-", "1 1,2", "a a-1,1 a+3", "w,1 1", "%7 1/4,2^ a^", "1 1,2 1,2,3 a %3", "z z,1"])


def column(numbers: list[int]) -> bytes:
    return array("I", numbers).tobytes()


@given(first=NUMBERS, second=SMALL, contexts=CONTEXTS, primed=st.integers(0, 20), matching=st.integers(0, 3))
def test_columns_come_back(first: list[int], second: list[int], contexts: str, primed: int, matching: int) -> None:
    known = [column(second)]
    primed = min(primed, len(first))
    writer = MixWriter()
    writer.put(column(first), contexts, bits=0, known=known, primed=primed, matching=matching)
    writer.put(column(second), "1 1,2", bits=12)
    reader = MixReader(writer.finish())
    primer, rest = column(first[:primed]), len(first) - primed
    assert reader.take(rest, contexts, bits=0, known=known, primer=primer, matching=matching) == column(first[primed:])
    assert reader.take(len(second), "1 1,2", bits=12) == column(second)


def test_what_is_known_is_not_said_again() -> None:
    dice = Random(1)
    first = [dice.randrange(256) for _ in range(5000)]
    sizes = []
    for contexts, known in (("1", []), ("a", [column(first)])):
        writer = MixWriter()
        writer.put(column([one ^ 7 for one in first]), contexts, known=known)
        sizes.append(len(writer.finish()))
    assert sizes[0] > 4900
    assert sizes[1] < 0.1 * sizes[0]


@pytest.mark.parametrize(
    ("contexts", "what"),
    [
        ("", "between 1 and"),
        ("0", "no term"),
        ("b", "only 1 are known"),
        ("x", "no term"),
        ("1/40", "no term"),
        ("1 " * 25, "between 1 and"),
    ],
)
def test_contexts_that_say_nothing_are_refused(contexts: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        MixWriter().put(column([1]), contexts, known=[column([1])])


def test_numbers_of_more_bits_than_said_and_half_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 3 bits"):
        MixWriter().put(column([8]), "1", bits=3)
    with pytest.raises(ValueError, match="32-bit numbers"):
        MixWriter().put(b"abc", "1")
    with pytest.raises(ValueError, match="at most 12 bits"):
        MixWriter().put(column([1]), "1", bits=13)
