"""Events from a table of laboratory results: one line a result, with a header that names the columns.

*Columns.* The date, the code or name of what was measured, the value, and, if it is there, the unit. They are known by the
names in `NAMES`, or said by the owner (`Columns`). Which mark separates them is seen in the header.

*Code.* In a vocabulary that the owner names; else `LOINC//2345-7` for what has the form of a LOINC code, and
`LAB//Glucose` for anything else. Without a code its name stands there.

*Value.* A number, also behind `<`, `>`, `≤`, `≥` or `~`, which become the text; anything else is text. A comma is the
decimal mark where the owner says so, and where semicolons separate the columns.

*Time.* See `moments`; missing where the cell is empty. Days with slashes are read if one of the table's dates shows
which comes first, or if the owner says it.

*Text.* UTF-8, with or without a mark; what is no UTF-8 is read as Windows-1252. A table with more than one person is
refused.
"""

from __future__ import annotations

import csv
import math
import re
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from edgehold.codecs.events import MISSING_TIME, EventRows
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.moments import Moments, order_of_dates
from edgehold.errors import BadColumns, BadRow, IntakeError, IntakeLimit, Malformed, SeveralPersons, UnknownColumns
from edgehold.policy.toml_text import read_toml
from edgehold.wire.codec import convert

MOST_FIELDS: Final = 1000
MOST_LINES: Final = 1 << 23
MOST_EMPTY: Final = 100_000
"""Lines that hold nothing."""
MOST_LINE: Final = 1 << 18
MOST_ROW: Final = 1 << 20
"""Characters: a cell in quotation marks may go on over many lines."""
TOO_LONG: Final = f"a line of more than {MOST_LINE} characters, or more than {MOST_EMPTY} empty lines"
MOST_HEADER: Final = 1 << 16
"""Characters that are looked at to see what separates the columns."""
DELIMITERS: Final = "\t;,|"
MARK: Final = "\ufeff"

NAMES: Final = {
    "date": (
        *(
            "effective_date",
            "observation_date",
            "collection_date",
            "collection_time",
            "collection_datetime",
            "collected",
        ),
        *("collected_at", "date_collected", "sample_date", "sample_time", "charttime", "observed_at", "measured_at"),
        *("result_date", "datetime", "date_time", "timestamp", "date", "time"),
    ),
    "code": ("loinc", "loinc_code", "loinc_num", "code", "test_code", "analyte_code", "observation_code"),
    "name": ("description", "test_name", "test", "analyte", "component", "parameter", "observation", "display", "name"),
    "value": ("value", "result", "result_value", "valuenum", "value_numeric", "numeric_value", "measurement"),
    "unit": ("unit", "units", "uom", "value_unit", "valueuom", "result_unit", "unit_of_measure"),
    "text": ("value_text", "text_value", "interpretation", "text"),
    "person": ("patient", "patient_id", "subject", "subject_id", "person", "person_id", "mrn"),
}
"""What columns are called, the most telling name first; capitals do not matter, and a blank or point is a stroke."""

LOINC: Final = re.compile(r"\d{1,5}-\d", re.ASCII)
NUMBER: Final = re.compile(
    r"(<=|>=|<|>|≤|≥|~)?\s*([+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})(?:[eE][+-]?\d{1,3})?)", re.ASCII
)

Text: TypeAlias = Callable[[], Iterator[str]]
"""A text in pieces, as often as it is asked for."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner says of a table: the header's names of its columns, and how it writes codes, dates and numbers."""

    date: Name
    code: Name
    value: Name
    unit: Name | None = None
    text: Name | None = None
    vocabulary: Annotated[str, Meta(pattern="^[A-Z][A-Z0-9_]{0,30}$")] | None = None
    """Of the codes, for example LOINC."""
    dates: Literal["DMY", "MDY", "YMD"] | None = None
    """Whether the day or the month is first where the year is last."""
    decimal: Literal[".", ","] | None = None


def read_columns(text: str) -> Columns:
    """Read a file for `--columns`; raises `BadColumns`."""
    try:
        return convert(read_toml(text), Columns)
    except (Malformed, msgspec.ValidationError) as error:
        raise BadColumns(str(error)) from error


def derive_laboratory(pieces: Iterable[bytes], columns: Columns | None = None) -> Derived:
    """The events of a table of laboratory results; raises `IntakeError`, which names the line. `pieces` are gone through
    again where the encoding, or which comes first of day and month, is seen late."""
    return in_its_encoding(pieces, partial(_derive, columns=columns))


def _derive(text: Text, columns: Columns | None) -> Derived:
    sheet = Sheet(text)
    places = places_of(sheet.header) if columns is None else places_said(sheet.header, columns)
    said = columns or Columns(date="-", code="-", value="-")
    comma = said.decimal == "," or (said.decimal is None and sheet.delimiter == ";")
    code_of = _coder(said.vocabulary)
    moments, rows = Moments(said.dates or partial(order_in, text, places, "date")), EventRows()
    person: str | None = None
    for number, line in sheet.lines(places):
        if "person" in places:
            if person is not None and line[places["person"]] != person:
                raise SeveralPersons(f"line {number}: a second person; a hub keeps one person's data")
            person = line[places["person"]]
        code, name = _cell(line, places, "code"), _cell(line, places, "name")
        value, words = value_of(_cell(line, places, "value"), comma=comma)
        words = words or _cell(line, places, "text")
        if not code and not name:
            raise BadRow(f"line {number}: neither a code nor a name")
        time = _time(moments, _cell(line, places, "date"), number)
        rows.add(time, code_of(code, name), value, words, _cell(line, places, "unit"))
    return rows.derived(said=None if columns is None else facts_of(columns))


def facts_of(columns: Columns) -> dict[str, str]:
    """What the owner said, as it stands in `schema.json`."""
    return {name: value for name, value in msgspec.structs.asdict(columns).items() if value is not None}


# ── lines and cells ───────────────────────────────────────────────────────────────────────────────────────────────


def in_its_encoding(pieces: Iterable[bytes], read: Callable[[Text], Derived]) -> Derived:
    """What is read of a text that is UTF-8 or, if any of its bytes are none, Windows-1252."""
    try:
        return read(partial(_decoded, pieces, "utf-8"))
    except UnicodeDecodeError:
        pass
    except IntakeError:
        with suppress(UnicodeDecodeError):
            deque(_decoded(pieces, "utf-8"), maxlen=0)
            raise
    return read(partial(_decoded, pieces, "cp1252"))


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[str]:
    is_utf8 = encoding == "utf-8"
    decoder = getincrementaldecoder(encoding)("strict" if is_utf8 else "replace")
    is_first = is_utf8
    for piece in pieces:
        text = decoder.decode(piece)
        yield text.removeprefix(MARK) if is_first else text
        is_first = is_first and not text
    yield decoder.decode(b"", True)


class Sheet:
    """A table in lines: the mark between its columns, their names and, once, the lines below."""

    def __init__(self, text: Text) -> None:
        """Raises `UnknownColumns` if the first line names no columns."""
        lines = _lines(text())
        first = next(lines, "")
        self.delimiter = delimiter_of(first)
        self._rows = _rows(chain((first,), lines), self.delimiter)
        self.header = next(self._rows)[1]

    def lines(self, places: dict[str, int]) -> Iterator[tuple[int, list[str]]]:
        """The lines that hold something, with their numbers; raises `BadRow` for one that is too short."""
        most, empty = max(places.values()), 0
        for number, line in self._rows:
            if len(line) <= most:
                if any(line):
                    raise BadRow(f"line {number}: {len(line)} columns, of which more are named above")
                empty += 1
                if empty > MOST_EMPTY:
                    raise IntakeLimit(f"line {number}: more than {MOST_EMPTY} lines that hold nothing")
                continue
            yield number, line


def order_in(text: Text, places: dict[str, int], what: str) -> str:
    """Whether the day or the month comes first in a column, see `order_of_dates`."""
    return order_of_dates(line[places[what]] for _, line in Sheet(text).lines(places))


def delimiter_of(first: str) -> str:
    """The mark that the first line has most often; raises `UnknownColumns` if it has none."""
    found = max(DELIMITERS, key=first[:MOST_HEADER].count)
    if found not in first[:MOST_HEADER]:
        raise UnknownColumns("line 1: names no columns")
    return found


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    size = 0

    def counted() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line)
            if size > MOST_ROW:
                raise IntakeLimit(f"line {reader.line_num}: a row of more than {MOST_ROW} characters")
            yield line

    reader = csv.reader(counted(), delimiter=delimiter)
    while True:
        size = 0
        try:
            line = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadRow(f"line {reader.line_num}: {error}") from error
        if len(line) > MOST_FIELDS or reader.line_num > MOST_LINES:
            raise IntakeLimit(f"line {reader.line_num}: more than {MOST_FIELDS} columns, or {MOST_LINES} lines")
        yield reader.line_num, line


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text with their ends, none of which is copied before it is needed."""
    held, empty = "", 0
    for piece in pieces:
        start = 0
        while end := piece.find("\n", start) + 1:
            line = held + piece[start:end]
            start, held = end, ""
            empty += len(line) <= 2
            if len(line) > MOST_LINE or empty > MOST_EMPTY:
                raise IntakeLimit(TOO_LONG)
            yield line
        held += piece[start : start + MOST_LINE + 1]
        if len(held) > MOST_LINE:
            raise IntakeLimit(TOO_LONG)
    if held:
        yield held


def normalised(name: str) -> str:
    """The name of a column as it stands in `NAMES`."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def places_of(header: Sequence[str]) -> dict[str, int]:
    """Where the columns are, by what they are called; raises `UnknownColumns`."""
    here = {normalised(name): place for place, name in reversed(list(enumerate(header)))}
    found = {what: next((here[name] for name in names if name in here), None) for what, names in NAMES.items()}
    places = {what: place for what, place in found.items() if place is not None}
    missing = [what for what in ("date", "value") if what not in places]
    if "code" not in places and "name" not in places:
        missing.append("code")
    if missing:
        raise UnknownColumns(f"line 1: no column is known to hold the {' or the '.join(missing)}")
    return places


def places_said(header: Sequence[str], columns: Columns) -> dict[str, int]:
    """Where the columns are that the owner named; raises `BadColumns`."""
    here = {name.strip(): place for place, name in reversed(list(enumerate(header)))}
    places = {}
    for what in ("date", "code", "value", "unit", "text"):
        name = getattr(columns, what)
        if name is not None:
            if name not in here:
                raise BadColumns(f"{what}: line 1 has no column of this name")
            places[what] = here[name]
    return places


def value_of(cell: str, *, comma: bool = False) -> tuple[float | None, str]:
    """The number in a cell and what qualifies it, or the cell as text."""
    match = NUMBER.fullmatch(cell.replace(",", ".", 1) if comma else cell)
    if match is not None:
        value = float(match[2])
        if math.isfinite(value):
            return value, match[1] or ""
    return None, cell


def _cell(line: Sequence[str], places: dict[str, int], what: str) -> str:
    place = places.get(what)
    return "" if place is None else line[place].strip()


def _time(moments: Moments, cell: str, number: int) -> int:
    if not cell:
        return MISSING_TIME
    try:
        return moments.read(cell)
    except ValueError as error:
        raise BadRow(f"line {number}: {error}") from error


def _coder(vocabulary: str | None) -> Callable[[str, str], str]:
    """What makes the code of a row from its code and its name."""
    if vocabulary is not None:
        return lambda code, name: f"{vocabulary}//{code or name}"
    return lambda code, name: f"LOINC//{code}" if LOINC.fullmatch(code) else f"LAB//{code or name}"
