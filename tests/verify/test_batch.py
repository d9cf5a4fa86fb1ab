"""Which leaves a header draws."""

from __future__ import annotations

from forge import digest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.hash import tagged_hash
from edgehold.verify.batch import drawn_indices
from edgehold.wire.ids import Digest, TaskId

TASK = TaskId(digest("task"))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 10**7), st.integers(0, 8))
def test_as_many_different_places_are_drawn_as_there_are(header: bytes, accepted: int, count: int) -> None:
    drawn = drawn_indices(Digest(header), TASK, accepted, count)
    assert len(drawn) == min(accepted, count)
    assert drawn == sorted(set(drawn))
    assert all(0 <= place < accepted for place in drawn)


def test_places_follow_from_header_and_task() -> None:
    header = digest("header")
    candidates = [
        int.from_bytes(tagged_hash("drawn-leaf", header + TASK + number.to_bytes(4, "big")), "big") % 1000
        for number in range(8)
    ]
    assert drawn_indices(header, TASK, 1000, 8) == sorted(candidates)
    assert drawn_indices(digest("another"), TASK, 1000, 8) != drawn_indices(header, TASK, 1000, 8)
    assert drawn_indices(header, TaskId(digest("another")), 1000, 8) != drawn_indices(header, TASK, 1000, 8)


def test_every_place_is_drawn_as_often_as_any_other() -> None:
    """2,000 draws of 8 of 40: 400 each, give or take five standard deviations."""
    often = [0] * 40
    for number in range(2000):
        for place in drawn_indices(digest(f"header {number}"), TASK, 40, 8):
            often[place] += 1
    assert all(310 <= count <= 490 for count in often)
