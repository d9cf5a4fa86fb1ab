"""Tables in row groups, so that some rows can be read without the others.

A table is files by name, as programs see them: columns of fixed width, all of one length, whose names end in what they
hold (`time.i64`), and a few others (`strings.json`). It is cut into groups of so many rows, each all columns one after
another, and an *outline*: what is no column, and of each column of whole numbers the least and the largest of each
group, by which a reader finds the groups it needs.

Strings that rows of one group alone point to, such as the names of variants, lie with that group, behind its columns. The
outline keeps the others, and those that rows are looked for by.

    outline = cut(files) → (outline, groups) → join(outline, groups) = files
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, compress
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from edgehold.codecs.tables.form import STRING, Table, joined_strings
from edgehold.errors import IntakeLimit, Malformed

Format = Literal["B", "b", "H", "h", "I", "i", "q", "d"]

FORMATS: Final[Mapping[str, Format]] = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "i64": "q",
    "f64": "d",
}
"""What a column holds, by the end of its name, as `struct` writes it; little-endian."""
ROW: Final = "row"
"""Stands for the number of a row, from 0, in a condition."""
STRINGS: Final = "strings.json"
SCHEMA: Final = "schema.json"
SOUGHT: Final = "code.u32"
"""The column by whose strings rows are looked for."""
LEAST_GROUP, MOST_GROUP, GROUPS = 1 << 13, 1 << 18, 64
"""Bytes of a group, and how many there are of a table whose groups are neither the least nor the largest."""
MOST_STRINGS: Final = 15 << 20
"""Bytes of the strings that the outline keeps; a message of the store has at most a sixteenth more."""
SHARED: Final = 2**32 - 1
"""Stands for the group of a string that lies with none."""

Where = Mapping[str, tuple[int, int]]
"""Conditions on rows: of columns of whole numbers, or of `ROW`, the least and the largest value that is asked for."""


class Column(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One column, and between which values each group lies; nothing of that for floating-point numbers."""

    name: str
    least: tuple[int, ...]
    most: tuple[int, ...]


class _About(Struct, frozen=True):
    """What a schema says of a column, as far as it matters here."""

    file: str
    unit: str = ""


class _Schema(Struct, frozen=True):
    columns: tuple[_About, ...] = ()


class Outline(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A table without its rows."""

    rows: Annotated[int, Meta(ge=0)]
    group: Annotated[int, Meta(ge=1)]
    """Rows of each group but the last."""
    columns: tuple[Column, ...]
    others: tuple[tuple[str, bytes], ...]
    """What is no column. In the list of strings a number stands for so many that lie with groups."""
    words: tuple[Annotated[int, Meta(ge=0)], ...]
    """Bytes of the strings that lie with each group."""

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return -(-self.rows // self.group)

    def rows_in(self, number: int) -> int:
        """How many rows one group has."""
        return min(self.group, self.rows - number * self.group)

    def size_of(self, number: int) -> int:
        """How many bytes one group has."""
        return self.columns_in(number) + self.words[number]

    def columns_in(self, number: int) -> int:
        """How many of these are columns."""
        return self.rows_in(number) * sum(width_of(column.name) for column in self.columns)


class Files:
    """A table that lies in files."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Raises `Malformed` if its columns have different lengths."""
        self._files = files
        self.names: list[str] = sorted(name for name in files if format_of(name) is not None)
        lengths = {len(files[name]) / width_of(name) for name in self.names}
        if len(lengths) > 1 or not all(length.is_integer() for length in lengths):
            raise Malformed(f"columns of different lengths: {sorted(lengths)} rows")
        self.rows = int(lengths.pop()) if lengths else 0
        self.strings = _strings_as_we_spell(files.get(STRINGS, b""))
        not_others = {*self.names} if self.strings is None else {*self.names, STRINGS}
        self.others = {name: data for name, data in files.items() if name not in not_others}

    def stretches(self, rows: int) -> Iterator[dict[str, bytes]]:
        """The columns of so many rows after one another."""
        for start in range(0, self.rows, rows):
            yield {
                name: self._files[name][start * width_of(name) : (start + rows) * width_of(name)] for name in self.names
            }

    def files(self) -> Mapping[str, bytes]:
        """All of it."""
        return self._files


def _strings_as_we_spell(listed: bytes) -> list[str] | None:
    try:
        strings = msgspec.json.decode(listed, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return strings if msgspec.json.encode(strings) == listed else None


class Segments(NamedTuple):
    """A table in row groups."""

    outline: Outline
    groups: Iterable[bytes]
    """Each can be had once."""


def cut(files: Mapping[str, bytes]) -> tuple[Outline, list[bytes]]:
    """A table as outline and groups; raises `Malformed` if its columns have different lengths, `IntakeLimit`."""
    outline, groups = cut_table(Files(files))
    return outline, list(groups)


def cut_table(given: Table | Mapping[str, bytes]) -> Segments:
    """A table as outline and groups, of which one is in memory at a time; raises as `cut` does.

    Its rows are gone through twice: which strings lie with groups is known behind the last.
    """
    table: Table = Files(given) if isinstance(given, Mapping) else given
    width = sum(map(width_of, table.names))
    group = max(1, min(max(table.rows * width // GROUPS, LEAST_GROUP), MOST_GROUP) // max(width, 1))
    pointing = [name for name in string_columns(table.others) if name in table.names]
    owners = _Owners(len(table.strings or ()), table.rows > group)
    zones: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in table.names}
    for number, columns in enumerate(table.stretches(group)):
        for name, (least, most) in zones.items():
            if format_of(name) != "d":
                values = values_of(name, columns[name])
                least.append(min(values))
                most.append(max(values))
        for name in pointing:
            owners.add(number, values_of(name, columns[name]), is_kept=name == SOUGHT)
    groups = len(range(0, table.rows, group))
    others, words = dict(table.others), [0] * groups
    if table.strings is not None:
        others[STRINGS], words = owners.parted(table.strings, groups)
        if len(others[STRINGS]) > MOST_STRINGS:
            raise IntakeLimit(f"names, codes and words of more than {MOST_STRINGS} bytes together that rows share")
    outline = Outline(
        rows=table.rows,
        group=group,
        columns=tuple(Column(name, tuple(least), tuple(most)) for name, (least, most) in zones.items()),
        others=tuple(sorted(others.items())),
        words=tuple(words),
    )
    return Segments(outline, _groups(table, group, pointing, owners))


def _groups(table: Table, group: int, pointing: Sequence[str], owners: _Owners) -> Iterator[bytes]:
    for number, columns in enumerate(table.stretches(group)):
        own = owners.own(number, [values_of(name, columns[name]) for name in pointing])
        words = msgspec.json.encode([table.strings[place] for place in own]) if own and table.strings else b""
        yield b"".join([*(columns[name] for name in table.names), words])


class _Owners:
    """Which group a string lies with: the only one whose rows point to it, unless it is one that rows are looked for by."""

    def __init__(self, strings: int, is_parted: bool) -> None:
        self._owner = array("I", bytes(4 * strings))
        self._is_parted = is_parted
        self._has_strayed = False

    def add(self, number: int, places: Iterable[int], *, is_kept: bool) -> None:
        """The rows of a group point to these places."""
        owner, mine = self._owner, number + 1
        for place in set(places):
            if place >= len(owner):
                self._has_strayed = True
            elif is_kept:
                owner[place] = SHARED
            elif owner[place] != mine:
                owner[place] = SHARED if owner[place] else mine

    def own(self, number: int, columns: Sequence[Iterable[int]]) -> list[int]:
        """The places whose strings lie with a group, in their order."""
        if not self._is_parted or self._has_strayed:
            return []
        return sorted(place for place in set(chain(*columns)) if self._owner[place] == number + 1)

    def parted(self, strings: Sequence[str], groups: int) -> tuple[bytes, list[int]]:
        """The list of strings without those that lie with groups, and of each group the bytes that its own take there. All
        stay in the list if there is one group, or if a row points to what is none of them."""
        words = [0] * groups
        if not self._is_parted or self._has_strayed:
            return joined_strings(strings), words
        kept: list[str | int] = []
        for place, owner in enumerate(self._owner):
            if owner in (0, SHARED):
                kept.append(strings[place])
                continue
            words[owner - 1] += len(msgspec.json.encode(strings[place])) + 1
            if kept and isinstance(kept[-1], int):
                kept[-1] += 1
            else:
                kept.append(1)
        return msgspec.json.encode(kept), [size + 1 if size else 0 for size in words]


def string_columns(others: Mapping[str, bytes]) -> list[str]:
    """The columns whose numbers are places in the list of strings, as the schema says; none if there is no schema."""
    try:
        schema = msgspec.json.decode(others.get(SCHEMA, b"{}"), type=_Schema)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return [about.file for about in schema.columns if about.unit == STRING and format_of(about.file) == "I"]


def check_outline(outline: Outline) -> Outline:
    """The outline, if `cut` could have made it of some table; raises `Malformed`."""
    names = [column.name for column in outline.columns]
    if any(format_of(name) is None for name in names) or names != sorted(set(names)) or (outline.rows and not names):
        raise Malformed("the outline of a table names what is no column, or one column twice")
    if len(outline.words) != outline.groups:
        raise Malformed(f"the outline of a table has strings of {len(outline.words)} groups for {outline.groups}")
    for column in outline.columns:
        zones = 0 if format_of(column.name) == "d" else outline.groups
        if not len(column.least) == len(column.most) == zones:
            raise Malformed(f"the outline of a table has {len(column.least)} zones of a column for {zones} groups")
    return outline


def join(outline: Outline, groups: Iterable[bytes]) -> dict[str, bytes]:
    """The files of a table again, from groups of which one is in memory at a time; raises `Malformed` if they are not those of
    the outline."""
    columns = {column.name: bytearray() for column in outline.columns}
    strings, total = _kept_strings(outline) if any(outline.words) else ({}, 0)
    if total - len(strings) > sum(outline.words):
        raise Malformed(f"a table of {total} strings has {sum(outline.words)} bytes of them in its groups")
    kept, pointing, number = set(strings), string_columns(dict(outline.others)), 0
    listed = _Listed(total)
    listed.put(strings.items())
    for number, group in enumerate(groups, 1):
        if number > outline.groups:
            break
        for name, data in columns_of(outline, number - 1, group):
            columns[name] += data
        listed.put(_own_strings(outline, number - 1, group, kept, pointing))
    if number != outline.groups:
        raise Malformed(f"a table of {outline.groups} groups was given {number}")
    files = {name: bytes(columns.pop(name)) for name in list(columns)} | dict(outline.others)
    if any(outline.words):
        files[STRINGS] = listed.file()
    return files


class _Listed:
    """The list of all strings as it is put together: of millions each takes little more than its letters."""

    def __init__(self, total: int) -> None:
        self._text = bytearray()
        self._starts, self._sizes = (array("I", bytes(4 * total)) for _ in range(2))

    def put(self, strings: Iterable[tuple[int, str]]) -> None:
        """Some strings by their places; raises `Malformed` for a place that is none."""
        for place, string in strings:
            if place >= len(self._sizes):
                raise Malformed(f"a table of {len(self._sizes)} strings has one in place {place}")
            encoded = msgspec.json.encode(string)
            self._starts[place], self._sizes[place] = len(self._text), len(encoded)
            self._text += encoded

    def file(self) -> bytes:
        """The list; raises `Malformed` if a string is missing."""
        if not all(self._sizes):
            raise Malformed(f"a table of {len(self._sizes)} strings has not all of them in its outline and groups")
        found = bytearray(b"[")
        for start, size in zip(self._starts, self._sizes, strict=True):
            found += self._text[start : start + size]
            found += b","
        return bytes(found.removesuffix(b",")) + b"]"


def _kept_strings(outline: Outline) -> tuple[dict[int, str], int]:
    """The strings of the outline by their places in the list of all, and how many all are; raises `Malformed`."""
    found: dict[int, str] = {}
    total = 0
    listed = dict(outline.others).get(STRINGS, b"[]")
    for one in _decoded(listed, list[str | Annotated[int, Meta(ge=1, le=2**32)]]):
        if isinstance(one, str):
            found[total] = one
        total += 1 if isinstance(one, str) else one
    return found, total


def _own_strings(
    outline: Outline, number: int, group: bytes, kept: Set[int], pointing: Sequence[str]
) -> Iterable[tuple[int, str]]:
    if not outline.words[number]:
        return ()
    columns = dict(columns_of(outline, number, group))
    used = set(chain(*(values_of(name, columns[name]) for name in pointing if name in columns)))
    own, words = sorted(used - kept), _decoded(group[outline.columns_in(number) :], list[str])
    if len(own) != len(words):
        raise Malformed(f"group {number} of a table has {len(words)} strings for {len(own)} places")
    return zip(own, words, strict=True)


def _decoded(data: bytes, kind: type[list[Any]]) -> list[Any]:
    try:
        found: list[Any] = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"not the strings of a table: {error}") from error
    return found


def find_groups(outline: Outline, where: Where) -> list[int]:
    """The groups in which there may be rows that fulfil every condition; raises `Malformed` for a column that is not
    there or has no whole numbers."""
    found = range(outline.groups)
    known = {column.name: column for column in outline.columns}
    kept = list(found)
    for name, (low, high) in where.items():
        if name == ROW:
            kept = [number for number in kept if number * outline.group <= high and low < (number + 1) * outline.group]
            continue
        column = known.get(name)
        if column is None or format_of(name) == "d":
            raise Malformed(f"the table has no column of whole numbers {name!r}")
        kept = [number for number in kept if column.least[number] <= high and low <= column.most[number]]
    return kept


def select(
    outline: Outline, groups: Iterable[tuple[int, bytes]], names: Sequence[str], where: Where
) -> tuple[dict[str, bytes], dict[int, str]]:
    """Of some groups (by number) the rows that fulfil every condition: of each column that is named, its values; and the
    strings that rows of these groups can point to, by their places in the list of all. One group is in memory at a time.

    Raises `Malformed`, also for a column that is not there.
    """
    chosen = _started(outline, names)
    strings, _ = _kept_strings(outline)
    kept, pointing = set(strings), string_columns(dict(outline.others))
    for number, group in groups:
        _choose(chosen, outline, number, group, where)
        strings.update(_own_strings(outline, number, group, kept, pointing))
    return {name: bytes(chosen.pop(name)) for name in names}, strings


def _started(outline: Outline, names: Sequence[str]) -> dict[str, bytearray]:
    known = {column.name for column in outline.columns}
    for name in names:
        if name not in known:
            raise Malformed(f"the table has no column {name!r}")
    return {name: bytearray() for name in names}


def _choose(chosen: Mapping[str, bytearray], outline: Outline, number: int, group: bytes, where: Where) -> None:
    """Add the rows of a group that fulfil every condition."""
    columns = dict(columns_of(outline, number, group))
    mask = [True] * outline.rows_in(number)
    for name, (low, high) in where.items():
        values: Sequence[int] = (
            range(number * outline.group, number * outline.group + len(mask))
            if name == ROW
            else values_of(name, columns[name])
        )
        mask = [is_kept and low <= value <= high for is_kept, value in zip(mask, values, strict=True)]
    for name, found in chosen.items():
        code = FORMATS[name.rpartition(".")[2]]
        found += array(code, compress(values_of(name, columns[name]), mask)).tobytes()


def columns_of(outline: Outline, number: int, group: bytes) -> Iterator[tuple[str, bytes]]:
    """The columns of one group; raises `Malformed` if it has another length."""
    rows, at = outline.rows_in(number), 0
    if len(group) != outline.size_of(number):
        raise Malformed(f"group {number} of a table has {len(group)} bytes for {rows} rows")
    for column in outline.columns:
        size = rows * width_of(column.name)
        yield column.name, group[at : at + size]
        at += size


def format_of(name: str) -> Format | None:
    """What a column of this name holds, as `struct` writes it; none if a file of that name is no column."""
    return FORMATS.get(name.rpartition(".")[2])


def width_of(name: str) -> int:
    """Bytes of one value of a column."""
    return array(FORMATS[name.rpartition(".")[2]]).itemsize


def values_of(name: str, data: bytes) -> memoryview[Any]:
    """The values of a column."""
    values: memoryview[Any] = memoryview(data).cast(FORMATS[name.rpartition(".")[2]])
    return values
