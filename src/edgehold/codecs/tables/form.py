"""What all tables have in common: columns, strings, the order of rows, years."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import eq, gt
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from edgehold.errors import Malformed

ENDS: Final[Mapping[str, Any]] = {"u8": "B", "u32": "I", "i64": "q", "f64": "d"}
"""What a column holds, by the end of its name, as `array` and `memoryview` call it."""
TYPES: Final = {"u8": "uint8", "u32": "uint32", "i64": "int64", "f64": "float64"}
STRING: Final = "index into strings.json"
"""The unit of a column whose numbers stand for strings."""
SECONDS: Final = "seconds since 1970-01-01T00:00:00Z"

Key = TypeVar("Key", str, bytes)


class Table(Protocol):
    """A table of any number of rows, which are given out in stretches."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of the files of its columns, sorted."""
        ...

    @property
    def strings(self) -> Sequence[str] | None:
        """The distinct strings in their order; none if it has none, or if they are spelled as we do not."""
        ...

    @property
    def others(self) -> Mapping[str, bytes]:
        """The files that are neither columns nor strings."""
        ...

    def stretches(self, rows: int) -> Iterator[Mapping[str, bytes]]:
        """The columns of so many rows after one another; the last stretch may have fewer. Again each time."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """All of it in files."""
        ...


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A table that was made of an original."""

    schema: str
    table: Mapping[str, bytes] | Table
    """Files by name or, of many rows, what gives them out."""
    years: tuple[int, int] | None = None
    """The first and the last year in which something was stated or measured."""
    note: str = ""
    """What the table lacks, for the owner: where a file that is cut off ends."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """The table as files."""
        return files_of(self.table)

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(schema_of(self.table)["rows"]) if isinstance(self.table, Mapping) else self.table.rows


def files_of(table: Mapping[str, bytes] | Table) -> Mapping[str, bytes]:
    """A table as files."""
    return table if isinstance(table, Mapping) else table.files()


class Column(NamedTuple):
    """A column by its name, the end of its file's name, and what its numbers are."""

    name: str
    end: str
    unit: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.{self.end}"

    def facts(self) -> dict[str, str]:
        """As it stands in `schema.json`."""
        return {"name": self.name, "file": self.file, "type": TYPES[self.end], "unit": self.unit}


class Strings(Generic[Key]):
    """The strings of a table that is being made, each with a place of its own; bytes are UTF-8 that was checked."""

    def __init__(self, empty: Key) -> None:
        self._empty: Key = empty
        self._places: dict[Key, int] = {empty: 0}

    def __len__(self) -> int:
        return len(self._places)

    def place(self, string: Key) -> int:
        """The place of a string for now."""
        return self._places.setdefault(string, len(self._places))

    def find(self, string: Key) -> int | None:
        """The place of a string, if it is among them."""
        return self._places.get(string)

    def take_sorted(self) -> tuple[list[str], array[int]]:
        """The strings in their final order, and for each place until now the final one. Only the empty one is left here."""
        ordered = sorted(self._places)  # of UTF-8 the order of bytes is that of code points
        final = array("I", bytes(4 * len(ordered)))
        for place, string in enumerate(ordered):
            final[self._places.pop(string)] = place
        self._places = {self._empty: 0}
        return [string if isinstance(string, str) else string.decode() for string in ordered], final


def in_steps(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in steps of a size, so that what comes of them does not depend on how they came."""
    held = b""
    for piece in pieces:
        at = size - len(held)
        if len(piece) < at:
            held += piece
            continue
        yield held + piece[:at]
        while len(piece) - at >= size:
            yield piece[at : at + size]
            at += size
        held = piece[at:]
    if held:
        yield held


def order_of(first: Sequence[int], *rest: Sequence[Any]) -> Sequence[int]:
    """The rows in the order of the numbers `first` and, where these are equal, of those of the other columns in turn."""
    order: Sequence[int] = range(len(first))
    if any(map(gt, first, islice(first, 1, None))):
        order = sorted(order, key=first.__getitem__)
        first = array("q", map(first.__getitem__, order))
    equal = [place for place, is_equal in enumerate(map(eq, first, islice(first, 1, None))) if is_equal]

    def key(row: int) -> list[Any]:
        return [column[row] for column in rest]

    if all(key(order[place]) <= key(order[place + 1]) for place in equal):
        return order
    changed = list(order)
    for start, end in _runs(equal):
        stretch = changed[start:end]
        for column in reversed(rest):  # sorting keeps the order of equals
            stretch.sort(key=column.__getitem__)
        changed[start:end] = stretch
    return changed


def _runs(equal: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The stretches of rows that are equal, from the places that equal the next."""
    start = equal[0]
    for before, after in pairwise([*equal, equal[-1] + 2]):
        if after != before + 1:
            yield start, before + 2
            start = after


def in_order(column: array[Any], order: Sequence[int]) -> array[Any]:
    """A column with its rows in an order."""
    return column if isinstance(order, range) else array(column.typecode, map(column.__getitem__, order))


def little(column: array[Any]) -> bytes:
    """The bytes of a column, the low ones first."""
    if sys.byteorder == "big":  # pragma: no cover
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def table_files(
    schema: str,
    rows: int,
    columns: Iterable[tuple[Column, bytes]],
    strings: Sequence[str] | None = None,
    **facts: Any,
) -> dict[str, bytes]:
    """The files of a table. `facts` are what holds of all rows."""
    files: dict[str, bytes] = {}
    about = []
    for column, data in columns:
        files[column.file] = data
        about.append(column)
    if strings is not None:
        files["strings.json"] = msgspec.json.encode(strings)
    files["schema.json"] = schema_file(schema, rows, about, **facts)
    return files


def schema_file(schema: str, rows: int, columns: Iterable[Column], **facts: Any) -> bytes:
    """What `schema.json` holds."""
    about = [column.facts() for column in columns]
    return msgspec.json.encode({"schema": schema, "rows": rows, "columns": about, **facts})


def joined_strings(strings: Sequence[str]) -> bytes:
    """What `strings.json` holds, made of some at a time: there may be millions."""
    at_once = 1 << 12
    parts = (
        msgspec.json.encode([strings[place] for place in range(start, min(start + at_once, len(strings)))])[1:-1]
        for start in range(0, len(strings), at_once)
    )
    return b"[" + b",".join(parts) + b"]"


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def schema_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What `schema.json` says; raises `Malformed` if there is none."""
    try:
        found: dict[str, Any] = msgspec.json.decode(files["schema.json"], type=dict[str, Any])
    except (KeyError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise Malformed(f"not the files of a table: {error}") from error
    return found


def column_of(files: Mapping[str, bytes], file: str) -> memoryview[Any]:
    """The numbers of a column by its file's name; raises `Malformed` if there is no such column."""
    code = ENDS.get(file.rpartition(".")[2])
    data = files.get(file)
    if code is None or data is None or len(data) % array(code).itemsize:
        raise Malformed(f"a table without a whole column {file[:40]}")
    if sys.byteorder == "big":  # pragma: no cover
        turned = array(code, data)
        turned.byteswap()
        return memoryview(turned)
    numbers: memoryview[Any] = memoryview(data).cast(code)
    return numbers


def strings_of(files: Mapping[str, bytes]) -> list[str]:
    """The strings of a table; none if it has none. Raises `Malformed`."""
    if "strings.json" not in files:
        return [""]
    try:
        return msgspec.json.decode(files["strings.json"], type=list[str])
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise Malformed(f"not the strings of a table: {error}") from error


# ── years ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def year_of(seconds: int) -> int:
    """The year, in UTC, of a moment in seconds since 1970."""
    days = seconds // 86400 + 719468  # since the first of March of the year 0
    era, day = divmod(days, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    return 400 * era + year + (day - (365 * year + year // 4 - year // 100) >= 306)


def years_between(first: int | None, last: int | None) -> tuple[int, int] | None:
    """The years of the first and the last moment, if there are any and they are years that descriptors can name."""
    if first is None or last is None:
        return None
    years = year_of(first), year_of(last)
    return years if years[0] >= 1 and years[1] <= 9999 else None
