"""Matrices of which most entries are zero ↔ sparse bytes: only the others, by how far each lies from the one before.

`docs/formats.md`, matrix/1. A matrix is kept as people usually keep such ones, in compressed sparse rows: where each row begins
among the entries, in which column an entry stands, and what it is. The mixing coder learns of each column how far the next
entry is, and of what followed the last few steps where they were taken before, as in rows that are alike for a stretch.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import accumulate
from operator import sub
from typing import NamedTuple

from edgehold import _native
from edgehold.errors import CannotDecode

MOST_COLUMNS = 1 << 31
HEAD = "-"
STEPS = "z z,1 z,1,2 1,2,3 -"
"""What a step is foreseen from: the column it starts in, alone and with the last steps; these alone; nothing."""
MATCHING = 12
VALUES = "a a,1 1,2 -"
"""And a value: its column, alone and with the value before; the last two values; nothing."""
LIMIT = 1023


class Sparse(NamedTuple):
    """A matrix in compressed sparse rows; each array has four bytes an entry."""

    columns: int
    starts: array[int]
    """Where each row begins, and where the last one ends."""
    places: array[int]
    """The column of each entry, ascending within a row."""
    values: array[int]
    """What it is; never zero."""

    @classmethod
    def of(cls, columns: int, rows: Iterable[Mapping[int, int]]) -> Sparse:
        """From the entries of each row, by their columns."""
        starts, places, values = [0], array("I"), array("I")
        for row in rows:
            for place in sorted(row):
                places.append(place)
                values.append(row[place])
            starts.append(len(places))
        return cls(columns, array("I", starts), places, values)


def encode_matrix(matrix: Sparse) -> bytes:
    """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if the arrays
    are no such matrix."""
    rows = len(matrix.starts) - 1
    are_ones = all(value == 1 for value in matrix.values)
    steps = steps_of(matrix)
    writer = _native.MixWriter()
    writer.put(array("I", [rows, matrix.columns, len(matrix.values), are_ones]).tobytes(), HEAD, bits=0)
    writer.put(steps.tobytes(), STEPS, bits=0, matching=MATCHING, limit=LIMIT)
    if not are_ones:
        writer.put(matrix.values.tobytes(), VALUES, bits=0, known=[matrix.places.tobytes()], limit=LIMIT)
    encoded = writer.finish()
    if decode_matrix(encoded, len(steps)) != matrix:
        raise CannotDecode("the arrays are no matrix in compressed sparse rows")
    return encoded


def decode_matrix(encoded: bytes, limit: int) -> Sparse:
    """The matrix again; raises `CannotDecode` if there is none, or one of more rows and entries than the limit."""
    reader = _native.MixReader(encoded)
    rows, columns, entries, are_ones = array("I", reader.take(4, HEAD, bits=0))
    if rows + entries > limit or columns > MOST_COLUMNS or are_ones > 1:
        raise CannotDecode(f"a matrix of {rows} rows and {entries} entries is more than the {limit} that are allowed")
    steps = array("I", reader.take(rows + entries, STEPS, bits=0, matching=MATCHING, limit=LIMIT))
    starts, places = rows_of(steps, columns)
    if len(starts) != rows + 1:
        raise CannotDecode(f"there are {len(starts) - 1} rows instead of {rows}")
    values = (
        array("I", [1]) * entries
        if are_ones
        else array("I", reader.take(entries, VALUES, bits=0, known=[places.tobytes()], limit=LIMIT))
    )
    if 0 in values:
        raise CannotDecode("an entry is zero")
    return Sparse(columns, starts, places, values)


def steps_of(matrix: Sparse) -> array[int]:
    """Of each row how far each entry lies from the one before, of the first from before the first column, then a zero."""
    steps = array("I")
    for start, end in zip(matrix.starts, matrix.starts[1:], strict=False):
        row = matrix.places[start:end]
        try:
            steps.extend(map(sub, row, [-1, *row[:-1]]))
        except OverflowError:
            raise CannotDecode("the columns of a row do not ascend") from None
        steps.append(0)
    return steps


def rows_of(steps: array[int], columns: int) -> tuple[array[int], array[int]]:
    """Where rows begin and in which columns entries stand, from the steps."""
    starts, places = array("I", [0]), array("I")
    start = 0
    while start < len(steps):
        try:
            end = steps.index(0, start)
        except ValueError:
            raise CannotDecode("the last row does not end") from None
        row = list(accumulate(steps[start:end], initial=-1))
        if row[-1] >= columns:
            raise CannotDecode(f"an entry stands in column {row[-1]} of {columns}")
        places.extend(row[1:])
        starts.append(len(places))
        start = end + 1
    return starts, places
