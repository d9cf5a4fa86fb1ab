"""What a program sees: one person's tables, as columns in files, and ways to read them.

A program is a text with a function `main(person)` that returns the measurement:

    from edgehold.sandbox.person import Person

    def main(person: Person) -> int:
        return int(person.events.has("SNOMED//59621000"))

A table of schema `edgehold.events/1` is a folder of little-endian columns, all of one length, whose rows are sorted by
(time, code, value, text, unit):

    time.i64      seconds since 1970-01-01 UTC; `NO_TIME` where it is not known
    code.u32      what was recorded, as a place in the strings: "LOINC//39156-5", "SNOMED//59621000", "MEDS_BIRTH" …
    value.f64     the number that was measured; NaN where there is none
    text.u32      the answer in words, or what qualifies the number ("<"), as a place in the strings; 0 for nothing
    unit.u32      the unit of the number (UCUM), as a place in the strings; 0 for none
    strings.json  the distinct strings, sorted; the first is the empty one

A program whose manifest says `capabilities = ["vec"]` also has sums over whole columns, some hundred times faster than
its own loops:

    score = person.vec.dot("dosage.u8", "weight.f64")

This module is part of the runtime: it also runs inside the sandbox, and a change of it is a new runtime.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from io import FileIO
from itertools import compress, count, repeat
from typing import Any, NamedTuple, Protocol

NO_TIME = -(2**63)
"""The time of an event whose time is not known; such events come first."""

FORMATS: dict[str, Any] = {"u8": "B", "u32": "I", "i64": "q", "f64": "d"}
"""What a column holds, by the end of its name: unsigned bytes and words, signed integers, floating-point numbers."""


class Event(NamedTuple):
    """One row: seconds since 1970 UTC, a code, a number (NaN if none), an answer in words and a unit ("" if none)."""

    time: int
    code: str
    value: float
    text: str
    unit: str


class Events:
    """The person's events, oldest first. A column is read when it is first used, and only then."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __len__(self) -> int:
        return len(self.code)

    @cached_property
    def strings(self) -> list[str]:
        """The distinct strings that `code`, `text` and `unit` point into."""
        return list(json.loads(self._read("strings.json")))

    @cached_property
    def time(self) -> memoryview[int]:
        """Seconds since 1970 UTC, one a row."""
        return self._column("time.i64")

    @cached_property
    def code(self) -> memoryview[int]:
        """Places in `strings`, one a row."""
        return self._column("code.u32")

    @cached_property
    def value(self) -> memoryview[float]:
        """Numbers, NaN where there is none, one a row."""
        return self._column("value.f64")

    @cached_property
    def text(self) -> memoryview[int]:
        """Places in `strings`, one a row."""
        return self._column("text.u32")

    @cached_property
    def unit(self) -> memoryview[int]:
        """Places in `strings`, one a row."""
        return self._column("unit.u32")

    def code_index(self, code: str) -> int | None:
        """The place of a code among the strings, or None if the person has nothing of the kind."""
        return self._places.get(code)

    def has(self, *codes: str) -> bool:
        """Whether any event bears one of these codes."""
        return not self._codes_present.isdisjoint(self._places_of(codes))

    def rows(self, *codes: str) -> Iterator[Event]:
        """The events that bear one of these codes (all events, if none is named), oldest first."""
        columns: list[Sequence[Any]] = [self.time, self.code, self.value, self.text, self.unit]
        if codes:
            wanted = self._places_of(codes)
            places = list(compress(count(), map(wanted.__contains__, self.code)))
            columns = [[column[place] for place in places] for column in columns]
        time, code, value, text, unit = columns
        string = self.strings.__getitem__
        fields = zip(time, map(string, code), value, map(string, text), map(string, unit), strict=True)
        return map(partial(tuple.__new__, Event), fields)

    def latest(self, code: str, unit: str) -> Event | None:
        """The newest event of this code with a time and a plain number in this unit, or None.

        A number that is qualified ("<") or not finite does not count. Of several at one time it is the one with the
        largest number.
        """
        code_place, unit_place = self._places.get(code), self._places.get(unit)
        for row in range(len(self) - 1, -1, -1):
            if self.code[row] == code_place and self.unit[row] == unit_place and self._is_plain_number(row):
                return self._event(row)
        return None

    def _is_plain_number(self, row: int) -> bool:
        return math.isfinite(self.value[row]) and self.text[row] == 0 and self.time[row] != NO_TIME

    @cached_property
    def _places(self) -> dict[str, int]:
        return {string: place for place, string in enumerate(self.strings)}

    @cached_property
    def _codes_present(self) -> frozenset[int]:
        return frozenset(self.code)

    def _places_of(self, codes: tuple[str, ...]) -> frozenset[int]:
        return frozenset(self._places[code] for code in codes if code in self._places)

    def _event(self, row: int) -> Event:
        name = self.strings
        return Event(self.time[row], name[self.code[row]], self.value[row], name[self.text[row]], name[self.unit[row]])

    def _column(self, name: str) -> memoryview[Any]:
        return read_column(self._folder, name)

    def _read(self, name: str) -> bytes:
        return read_file(self._folder, name)


class Vec(Protocol):
    """Sums over whole columns, each named by its file: `dosage.u8`.

    A column that is not there, or two of different lengths, end the run. The order of the sums is fixed, see
    `interface.wit`.
    """

    def dot(self, left: str, right: str) -> float:
        """The sum of the products of two columns, row by row."""

    def sum(self, column: str) -> float:
        """The sum of one column."""


class PlainVec:
    """The same sums in plain Python, to try a program without the sandbox; slow, and equal to the last bit."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def dot(self, left: str, right: str) -> float:
        """The sum of the products of two columns, row by row."""
        return self._sum(read_column(self._folder, left), read_column(self._folder, right))

    def sum(self, column: str) -> float:
        """The sum of one column."""
        return self._sum(read_column(self._folder, column))

    def _sum(self, left: memoryview[Any], right: memoryview[Any] | None = None) -> float:
        lane = [0.0] * 8
        for row, (one, other) in enumerate(zip(left, right or repeat(1.0, len(left)), strict=True)):
            lane[row % 8] += float(one) * float(other)
        return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))


def read_column(folder: str, name: str) -> memoryview[Any]:
    """The numbers of a column, by its file's name."""
    column: memoryview[Any] = memoryview(read_file(folder, name)).cast(FORMATS[name.rpartition(".")[2]])
    return column


def read_file(folder: str, name: str) -> bytes:
    """A whole file, in as few calls to the host as possible: each costs more than copying the bytes."""
    with FileIO(f"{folder}/{name}") as file:
        return file.readall()


class Person:
    """What `main` is called with: one person's tables, and the parameters of the order."""

    def __init__(self, params: str = "{}", folder: str = "/in", vec: Vec | None = None) -> None:
        self.params: Any = json.loads(params)
        self.events = Events(folder)
        self.vec = vec or PlainVec(folder)
        self._folder = folder

    def column(self, name: str) -> memoryview[Any]:
        """The numbers of one column of the tables, by its file's name, such as `dosage.u8`."""
        return read_column(self._folder, name)
