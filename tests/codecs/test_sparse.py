"""The codec of sparse matrices: each comes back, none else is accepted, and rows that are alike take little."""

from __future__ import annotations

from array import array
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold._native import MixWriter
from edgehold.codecs.sparse import HEAD, LIMIT, MATCHING, STEPS, Sparse, decode_matrix, encode_matrix
from edgehold.errors import CannotDecode

ROWS = st.lists(st.dictionaries(st.integers(0, 40), st.integers(1, 2**32 - 1), max_size=8), max_size=8)


@given(rows=ROWS, wide=st.booleans())
def test_every_matrix_comes_back(rows: list[dict[int, int]], wide: bool) -> None:
    matrix = Sparse.of(2**31 if wide else 41, rows)
    assert decode_matrix(encode_matrix(matrix), len(rows) + sum(map(len, rows))) == matrix


def test_rows_that_are_alike_take_few_bytes() -> None:
    dice = Random(1)
    kinds = [sorted(dice.sample(range(2000), 300)) for _ in range(4)]
    matrix = Sparse.of(2000, [dict.fromkeys(dice.choice(kinds), 1) for _ in range(60)])
    assert len(encode_matrix(matrix)) < 0.2 * len(matrix.places)


def test_values_are_foreseen_from_their_columns() -> None:
    dice = Random(2)
    usual = [dice.randrange(1, 1000) for _ in range(100)]
    rows = [{place: usual[place] for place in dice.sample(range(100), 20)} for _ in range(200)]
    ones = [dict.fromkeys(row, 1) for row in rows]
    assert len(encode_matrix(Sparse.of(100, rows))) < len(encode_matrix(Sparse.of(100, ones))) + 500


@pytest.mark.parametrize(
    "matrix",
    [
        Sparse(5, array("I", [0, 2]), array("I", [3, 1]), array("I", [1, 1])),
        Sparse(5, array("I", [0, 2]), array("I", [3, 3]), array("I", [1, 1])),
        Sparse(5, array("I", [0, 1]), array("I", [5]), array("I", [1])),
        Sparse(5, array("I", [0, 1]), array("I", [1]), array("I", [0])),
        Sparse(5, array("I", [0]), array("I", [1]), array("I", [1])),
        Sparse(5, array("I", [1, 1]), array("I", [1]), array("I", [1])),
        Sparse(5, array("I", [0, 2, 1]), array("I", [1, 3]), array("I", [1, 1])),
        Sparse(2**32 - 1, array("I", [0]), array("I"), array("I")),
    ],
)
def test_arrays_that_are_no_matrix_are_not_encoded(matrix: Sparse) -> None:
    with pytest.raises(CannotDecode):
        encode_matrix(matrix)


def test_a_limit_below_the_matrix_refuses_it() -> None:
    encoded = encode_matrix(Sparse.of(3, [{0: 1}, {}]))
    assert decode_matrix(encoded, 3).columns == 3
    with pytest.raises(CannotDecode, match="more than the 2"):
        decode_matrix(encoded, 2)


@pytest.mark.parametrize(
    ("head", "steps", "what"),
    [
        ([1, 3, 1, 1], [1, 1], "does not end"),
        ([1, 3, 1, 1], [0, 0], "2 rows instead of 1"),
        ([1, 3, 1, 1], [4, 0], "column 3 of 3"),
        ([1, 3, 1, 2], [1, 0], "more than"),
    ],
)
def test_steps_that_are_no_rows_are_refused(head: list[int], steps: list[int], what: str) -> None:
    writer = MixWriter()
    writer.put(array("I", head).tobytes(), HEAD, bits=0)
    writer.put(array("I", steps).tobytes(), STEPS, bits=0, matching=MATCHING, limit=LIMIT)
    with pytest.raises(CannotDecode, match=what):
        decode_matrix(writer.finish(), 100)


def test_altered_bytes_give_a_matrix_or_are_refused() -> None:
    dice = Random(3)
    matrix = Sparse.of(50, [{dice.randrange(50): dice.randrange(1, 9) for _ in range(9)} for _ in range(20)])
    encoded = encode_matrix(matrix)
    for _ in range(300):
        altered = bytearray(encoded)
        altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            found = decode_matrix(bytes(altered), 1000)
            assert decode_matrix(encode_matrix(found), 1000) == found
