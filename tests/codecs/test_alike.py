"""Sketches of texts, by which it is known whether one is likely to be the next version of another."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs import alike
from edgehold.codecs.alike import MOST, NOTE, is_alike, sketch_of

NUMBERS = Random(1)
LINES = [b"2025-01-%02d,%d,mmol/L\n" % (number % 28 + 1, NUMBERS.randrange(10**9)) for number in range(3000)]


@pytest.fixture(autouse=True)
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "EVERY", 2000)


def sketch(lines: list[bytes]) -> bytes:
    return sketch_of([b"".join(lines)])


def test_a_sketch_is_of_few_bytes() -> None:
    size = sum(map(len, LINES))
    assert size // 2000 * NOTE <= len(sketch(LINES)) <= (size // 1000 + 1) * NOTE


@given(begin=st.integers(0, 2500), new=st.lists(st.integers(0, 2999), max_size=20), cut=st.integers(0, 60_000))
def test_what_changed_in_few_places_is_alike(begin: int, new: list[int], cut: int) -> None:
    lines = list(LINES)
    for place in new:
        lines.insert(place, b"2026-01-01,%d,new\n" % place)
    text = b"".join([*lines[begin:], *lines[:begin]])
    assert is_alike(sketch(LINES), sketch_of([text[:cut], text[cut:]]))
    assert is_alike(sketch_of([text]), sketch(LINES))


def test_what_has_other_lines_is_not_alike() -> None:
    other = [b"2025-01-%02d,%d,mmol/L\n" % (number % 28 + 1, NUMBERS.randrange(10**9)) for number in range(3000)]
    assert not is_alike(sketch(LINES), sketch(other))
    assert not is_alike(sketch(LINES), sketch([]))
    assert not is_alike(b"", b"")


def test_a_text_of_one_line_has_a_sketch() -> None:
    assert len(sketch_of([b"x" * 5000])) == 3 * NOTE


def test_of_many_small_parts_some_are_noted_and_no_more_read() -> None:
    parts = iter(b"%d" % number for number in range(10**6))
    assert len(sketch_of(parts)) == MOST * NOTE
    assert next(parts) == b"%d" % MOST
