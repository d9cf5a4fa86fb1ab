"""Rows of a table that is being made: any number of them, of which few are in memory unpacked.

They come in any order. So many of them are a *run*: it is sorted, its strings are numbered by their own order, and both
are packed. When all have come, the strings of all runs are numbered anew, the runs are merged, and the rows are packed
once more, now as they follow one another. What comes out does not depend on where runs end.

    rows → runs, each sorted → Merged → segments.cut

A table of one run is files at once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import repeat
from mmap import mmap
from typing import Any, Final, Generic, TypeAlias

from edgehold.codecs.general import Zstd
from edgehold.codecs.tables.form import (
    ENDS,
    STRING,
    Column,
    Key,
    Strings,
    in_order,
    joined_strings,
    little,
    order_of,
    schema_file,
    table_files,
)
from edgehold.errors import IntakeLimit

RUN: Final = 1 << 17
"""Rows that are sorted at once."""
BLOCK: Final = 1 << 13
"""Rows, or strings, that are packed as one: of each run so many are in memory while runs are merged."""
MOST_TEXT: Final = 1 << 26
"""Bytes of all strings of a table."""
PACKED: Final = Zstd(level=1)
LARGEST: Final = 1 << 30
"""Bytes of a block; nothing is unpacked that was not packed here."""
END: Final = b"\xff"
"""Behind a string; no UTF-8 has it."""

Columns: TypeAlias = "Sequence[array[Any]]"
Keys: TypeAlias = Callable[[Columns], Sequence[Sequence[Any]]]


class Words(Sequence[str]):
    """Many strings in little memory, each behind the one that is less."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("I", (0,))

    def append(self, word: bytes) -> None:
        """One more; raises `IntakeLimit` if all together are too long."""
        self._text += word
        if len(self._text) > MOST_TEXT:
            raise IntakeLimit(f"names, codes and words of more than {MOST_TEXT} bytes together")
        self._ends.append(len(self._text))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: Any) -> Any:
        return self._text[self._ends[place] : self._ends[place + 1]].decode()


@dataclass
class _Run:
    """Rows in their order, and their strings, packed."""

    blocks: deque[mmap]
    words: list[mmap]
    final: array[int]
    """The place among the strings of the table of each of its own; filled when all runs are there."""


class RunRows(Generic[Key]):
    """The rows of a table that is being made, in any order. Who adds to `columns` keeps them of one length."""

    def __init__(self, columns: Sequence[Column], empty: Key, keys: Keys) -> None:
        self.strings: Strings[Key] = Strings(empty)
        self.columns: Columns = [array(ENDS[column.end]) for column in columns]
        self._about = columns
        self._keys = keys
        self._pointing = [place for place, column in enumerate(columns) if column.unit == STRING]
        self._runs: list[_Run] = []
        self._closed = 0

    def __len__(self) -> int:
        return self._closed + len(self.columns[0])

    @property
    def is_full(self) -> bool:
        """Whether the rows that came last are enough for a run."""
        return len(self.columns[0]) >= RUN

    def close_run(self) -> None:
        """Pack the rows that came since the last run. Strings have other places afterwards."""
        strings, columns = self._sorted()
        rows = len(columns[0])
        blocks = deque(_packed([column[at : at + BLOCK] for column in columns]) for at in range(0, rows, BLOCK))
        encoded = [string.encode() for string in strings]
        words = [_apart(END.join(encoded[at : at + BLOCK])) for at in range(0, len(encoded), BLOCK)]
        self._runs.append(_Run(blocks, words, array("I")))
        self._closed += rows

    def table(self, schema: str, most_strings: int, **facts: Any) -> dict[str, bytes] | Merged:
        """The table; the rows are gone afterwards. Raises `IntakeLimit` if it has more strings than `most_strings`."""
        if not self._runs:
            strings, columns = self._sorted()
            data = zip(self._about, map(little, columns), strict=True)
            return table_files(schema, len(columns[0]), data, strings, **facts)
        if len(self.columns[0]):
            self.close_run()
        words = _number_strings(self._runs, most_strings)
        rows, self._closed = self._closed, 0
        runs, self._runs = self._runs, []
        kinds = [column.typecode for column in self.columns]
        merged = _merged(runs, kinds, self._pointing, self._keys)
        blocks = list(map(_packed, stretched(merged, kinds, BLOCK)))
        return Merged(schema_file(schema, rows, self._about, **facts), rows, self._about, words, blocks)

    def _sorted(self) -> tuple[list[str], Columns]:
        """The strings and the columns of the rows that came since the last run, in their order; none is left here."""
        strings, final = self.strings.take_sorted()
        for place in self._pointing:
            column = self.columns[place]
            column[:] = array("I", map(final.__getitem__, column))
        order = order_of(*self._keys(self.columns))
        found = []
        for column in self.columns:  # one after the other, since there may be many rows
            found.append(in_order(column, order) if not isinstance(order, range) else column[:])
            del column[:]
        return strings, found


class Merged:
    """A table of many rows, which are packed, and given out in their order."""

    def __init__(
        self, schema: bytes, rows: int, about: Sequence[Column], strings: Sequence[str], blocks: Sequence[mmap]
    ) -> None:
        self.others = {"schema.json": schema}
        self.rows = rows
        self.strings = strings
        self.names = sorted(column.file for column in about)
        self._about = about
        self._blocks = blocks

    def stretches(self, rows: int) -> Iterator[dict[str, bytes]]:
        """The columns of so many rows after one another, by the names of their files; the last may have fewer."""
        kinds = [ENDS[column.end] for column in self._about]
        unpacked = (_unpacked(block, kinds) for block in self._blocks)
        for columns in stretched(unpacked, kinds, rows):
            yield {about.file: little(column) for about, column in zip(self._about, columns, strict=True)}

    def files(self) -> dict[str, bytes]:
        """The same table as files."""
        found = {name: bytearray() for name in self.names}
        for stretch in self.stretches(BLOCK):
            for name, data in stretch.items():
                found[name] += data
        columns = {name: bytes(found.pop(name)) for name in self.names}
        return {**columns, "strings.json": joined_strings(self.strings), **self.others}


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _apart(data: bytes) -> mmap:
    """Bytes packed, in memory of their own: beside them other things come and go, and would leave holes there."""
    packed = PACKED.encode(data)
    found = mmap(-1, len(packed))
    found.write(packed)
    return found


def _back(packed: mmap) -> bytes:
    return PACKED.decode(packed[:], LARGEST)


def _packed(columns: Columns) -> mmap:
    return _apart(b"".join(column.tobytes() for column in columns))


def _unpacked(block: mmap, kinds: Sequence[str]) -> Columns:
    data, at = memoryview(_back(block)), 0
    columns = [array(kind) for kind in kinds]
    rows = len(data) // sum(column.itemsize for column in columns)
    for column in columns:
        column.frombytes(data[at : at + rows * column.itemsize])
        at += rows * column.itemsize
    return columns


def _words_of(run: _Run) -> Iterator[bytes]:
    for block in run.words:
        yield from _back(block).split(END)


def _number_strings(runs: Sequence[_Run], most: int) -> Words:
    """The strings of all runs in their order, each once; every run knows the places of its own afterwards."""
    words, last = Words(), None
    for word, number in merge(*(zip(_words_of(run), repeat(number)) for number, run in enumerate(runs))):
        if word != last:
            words.append(word)
            last = word
            if len(words) > most:
                raise IntakeLimit(f"more than {most} different names, codes and words")
        runs[number].final.append(len(words) - 1)
    for run in runs:
        run.words = []
    return words


class _Cursor:
    """A run of which the rows before `at` of the block that is unpacked are done with."""

    def __init__(self, run: _Run, number: int, kinds: Sequence[str], pointing: Sequence[int], keys: Keys) -> None:
        self._run, self.number = run, number
        self._kinds, self._pointing, self._keys = kinds, pointing, keys
        self.load()

    def load(self) -> bool:
        """Unpack the next block, if there is one."""
        if not self._run.blocks:
            return False
        self.columns = list(_unpacked(self._run.blocks.popleft(), self._kinds))
        for place in self._pointing:
            self.columns[place] = array("I", map(self._run.final.__getitem__, self.columns[place]))
        self._sorted_by = self._keys(self.columns)
        self.rows = range(len(self.columns[0]))
        self.at = 0
        self.last = self.key(self.rows[-1])
        return True

    def key(self, row: int) -> tuple[Any, ...]:
        """By what a row is sorted."""
        return tuple(column[row] for column in self._sorted_by)

    def take_up_to(self, last: tuple[Any, ...], number: int) -> Columns:
        """The rows that do not come behind the row `last` of that run; of equal ones those of earlier runs come first."""
        find = bisect_right if self.number <= number else bisect_left
        start, self.at = self.at, find(self.rows, last, lo=self.at, key=self.key)
        return [column[start : self.at] for column in self.columns] if self.at > start else []


def _merged(runs: Sequence[_Run], kinds: Sequence[str], pointing: Sequence[int], keys: Keys) -> Iterator[Columns]:
    """All rows in their order, in stretches of any length."""
    cursors = [_Cursor(run, number, kinds, pointing, keys) for number, run in enumerate(runs)]
    while cursors:
        last, number = min((cursor.last, cursor.number) for cursor in cursors)
        found = [columns for cursor in cursors if (columns := cursor.take_up_to(last, number))]
        if len(found) == 1:
            yield found[0]
        else:
            together = [
                array(kind, b"".join(part.tobytes() for part in parts))
                for kind, parts in zip(kinds, zip(*found, strict=True), strict=True)
            ]
            order = order_of(*keys(together))
            yield [in_order(column, order) for column in together]
        cursors = [cursor for cursor in cursors if cursor.at < len(cursor.rows) or cursor.load()]


def stretched(parts: Iterable[Columns], kinds: Sequence[str], rows: int) -> Iterator[Columns]:
    """The same rows in stretches of so many; the last may have fewer."""
    held = [array(kind) for kind in kinds]
    for columns in parts:
        for column, more in zip(held, columns, strict=True):
            column.extend(more)
        at = 0
        while len(held[0]) - at >= rows:
            yield [column[at : at + rows] for column in held]
            at += rows
        for column in held:
            del column[:at]
    if len(held[0]):
        yield held
