"""Rows of tables for people and tools: which of them fit, and what their numbers stand for."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from edgehold.codecs.events import MISSING_TIME, parse_time
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.segments import ROW, SOUGHT, STRINGS, Where, values_of, width_of
from edgehold.codecs.tables.form import STRING, column_of, schema_of, strings_of
from edgehold.codecs.tables.genotypes import CHROMOSOMES
from edgehold.codecs.tables.genotypes import MISSING as MISSING_CALL
from edgehold.codecs.tables.genotypes import SCHEMA as GENOTYPES
from edgehold.codecs.tables.images import SCHEMA as IMAGES
from edgehold.codecs.tables.signals import SCHEMA as SIGNALS
from edgehold.errors import NothingToShow, UsageError
from edgehold.hub.store import Store
from edgehold.hub.tables import Rows
from edgehold.ports import Randomness
from edgehold.wire.data import ObjectId

SCHEMAS: Final = (EVENTS, GENOTYPES, SIGNALS, IMAGES)
EPOCH: Final = datetime(1970, 1, 1)
NAMES: Final = {number: str(number) for number in range(1, 23)} | {23: "X", 24: "Y", 25: "XY", 26: "MT"}
REGION: Final = re.compile(r"([\w.*-]{1,80})(?::([\d,]{1,13})(?:-([\d,]{1,13}))?)?", re.ASCII)
MOST: Final = 2**32 - 1

NOTHING: Final[Where] = {ROW: (1, 0)}
"""No row: what is asked for is only the strings and the schema."""

Files = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What somebody asks of a table."""

    code: str | None = None
    since: str | None = None
    """The first date, as FHIR writes dates."""
    until: str | None = None
    """The last one; a year or a month counts as a whole."""
    region: str | None = None
    """`chr7:1000-2000`, or a chromosome alone."""

    def where(self, table: Rows) -> Where | None:
        """As bounds of the columns of a table, of which schema and strings are looked at; none if no row of it can fit.
        Raises `UsageError`."""
        schema = schema_of(table.others)
        bounds: dict[str, tuple[int, int]] = {}
        columns = {column["name"] for column in schema["columns"]}
        for option, column, value in (
            ("--code", "code", self.code),
            ("--from or --to", "time", self.since or self.until),
            ("--region", "chromosome", self.region),
        ):
            if value is not None and column not in columns:
                raise UsageError(f"{option} asks for a column {column}, which {schema['schema']} has not")
        if self.code is not None:
            place = next((place for place, string in table.strings.items() if string == self.code), None)
            if place is None:
                return None
            bounds[SOUGHT] = (place, place)
        if self.since is not None or self.until is not None:
            bounds["time.i64"] = (first_moment(self.since), last_moment(self.until))
        if self.region is not None:
            bounds |= region_bounds(self.region, schema.get("chromosomes", {}))
        return bounds


def first_moment(date: str | None) -> int:
    """The first second of a date; of none, the first of all."""
    return MISSING_TIME + 1 if date is None else _moment(date)


def last_moment(date: str | None) -> int:
    """The last second of a date; of none, the last of all."""
    if date is None:
        return 2**63 - 1
    start = _moment(date)
    if len(date) > 10:
        return start
    days = 1
    if len(date) < 10:
        year, month = int(date[:4]), int(date[5:7] or 12)
        following = f"{year + month // 12:04d}-{month % 12 + 1:02d}"
        days = (_moment(following) - _moment(f"{year:04d}-{month:02d}")) // 86400 if year < 9999 else 31
        start = _moment(f"{year:04d}-{month:02d}")
    return start + 86400 * days - 1


def _moment(date: str) -> int:
    try:
        return parse_time(date)
    except ValueError as error:
        raise UsageError(f"{date}: {error}") from error


def region_bounds(region: str, others: Mapping[str, str]) -> Where:
    """The bounds of the rows that overlap a region; raises `UsageError`."""
    match = REGION.fullmatch(region)
    if match is None:
        raise UsageError(f"{region} is no region: write chr7, chr7:117559590 or chr7:117480025-117668665")
    name, first, last = match.groups()
    number = CHROMOSOMES.get(name.encode())
    if number is None:
        number = next((int(number) for number, other in others.items() if other == name), None)
    if number is None:
        raise UsageError(f"there is no chromosome {name}")
    start = int(first.replace(",", "") or 0) if first else 0
    end = (int(last.replace(",", "") or 0) if last else start) if first else MOST
    if end < start:
        raise UsageError(f"{region} ends before it begins")
    return {"chromosome.u8": (number, number), "position.u32": (0, min(end, MOST)), "end.u32": (start, MOST)}


def read_part(
    store: Store, object_id: ObjectId, ask: Callable[[Rows], Where | None], randomness: Randomness
) -> dict[str, bytes] | None:
    """The files of an object's table with those rows alone that `ask` wants, which is shown the table without any row; its
    strings are those of the rows. Only the row groups that hold them are read. None if no row can fit.

    `schema.json` says which was the first row, where `ask` wants a stretch of them.
    """
    without_rows = store.read_rows(object_id, [], NOTHING, randomness)
    where = ask(without_rows)
    if where is None:
        return None
    schema = schema_of(without_rows.others)
    found = store.read_rows(object_id, [column["file"] for column in schema["columns"]], where, randomness)
    return part_of(schema, found, where)


def read_parts(
    store: Store, object_id: ObjectId, ask: Callable[[Rows], Where | None], randomness: Randomness
) -> Iterator[dict[str, bytes]]:
    """As `read_part`, of a table of any size: files of some of its rows, then of the next, each with its own strings.
    Nothing where no row fits."""
    without_rows = store.read_rows(object_id, [], NOTHING, randomness)
    where = ask(without_rows)
    if where is None:
        return
    schema = schema_of(without_rows.others)
    columns = [column["file"] for column in schema["columns"]]
    for first, found in store.read_stretches(object_id, columns, where, randomness):
        files = part_of(schema, found, {**where, ROW: (first, MOST)} if first else where)
        if schema_of(files)["rows"]:
            yield files


def part_of(schema: Mapping[str, Any], found: Rows, where: Where) -> dict[str, bytes]:
    """The files of a table of the rows that were read."""
    files = {**found.others, **found.columns}
    pointing = [column["file"] for column in schema["columns"] if column["unit"] == STRING]
    if pointing:
        used = sorted({0}.union(*(values_of(file, found.columns[file]) for file in pointing)))
        final = {place: number for number, place in enumerate(used)}
        for file in pointing:
            files[file] = array("I", map(final.__getitem__, values_of(file, found.columns[file]))).tobytes()
        files[STRINGS] = _encode([found.strings[place] for place in used])
    file = schema["columns"][0]["file"]
    rows = len(files[file]) // width_of(file)
    first = {"first_row": where[ROW][0]} if ROW in where else {}
    return {**files, "schema.json": _encode({**schema, "rows": rows, **first})}


def _encode(value: Mapping[str, Any] | Sequence[str]) -> bytes:
    return msgspec.json.encode(value)


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


def readable(files: Files) -> Iterator[dict[str, Any]]:
    """The rows as values that people read: text for places in the strings, dates for seconds, nothing for what is missing.
    Of a signal, seconds from its beginning and each channel in its unit."""
    schema = schema_of(files)
    if schema["schema"] == SIGNALS:
        yield from _signal_rows(files, schema)
        return
    strings = strings_of(files)
    others = schema.get("chromosomes", {})
    columns = [
        (about["name"], column_of(files, about["file"]), _reading(about, strings, others))
        for about in schema["columns"]
    ]
    for row in range(schema["rows"]):
        yield {name: read(column[row]) for name, column, read in columns}


def _reading(about: Mapping[str, str], strings: Sequence[str], others: Mapping[str, str]) -> Callable[[Any], Any]:
    """How the numbers of a column are read."""
    name, end = about["name"], about["file"].rpartition(".")[2]
    if about["unit"] == STRING:
        return strings.__getitem__
    if name == "time":
        return written
    if name == "chromosome":
        return lambda number: NAMES.get(number) or others.get(str(number), "other")
    if name == "dosage":
        return lambda copies: None if copies == MISSING_CALL else copies
    if end == "f64":
        return lambda value: None if math.isnan(value) else value
    return lambda value: value


def written(seconds: int) -> str | None:
    """A moment as text in UTC; a day alone if it is its first second; nothing if it is missing."""
    if seconds == MISSING_TIME:
        return None
    try:
        moment = EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return moment.date().isoformat() if seconds % 86400 == 0 else moment.isoformat() + "Z"


def _signal_rows(files: Files, schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rate, first = schema["rate"], schema.get("first_row", 0)
    channels = [
        (_title(schema["channels"], place), *physical(files, one)) for place, one in enumerate(schema["channels"])
    ]
    for row in range(schema["rows"]):
        yield {"seconds": round((first + row) / rate, 6)} | {name: read(column[row]) for name, column, read in channels}


def _title(channels: Sequence[Mapping[str, Any]], place: int) -> str:
    """The name of a channel, with its number where it has none of its own, and its unit."""
    names = [one["name"] for one in channels]
    name = names[place] if names[place] and names.count(names[place]) == 1 else f"{names[place]} {place}".strip()
    return f"{name} ({channels[place]['unit']})"


def physical(files: Files, channel: Mapping[str, Any]) -> tuple[memoryview[int], Callable[[int], float | None]]:
    """The samples of a channel, and what gives each in its unit."""
    missing, baseline, gain = channel["missing"], channel["baseline"], channel["gain"]
    digits = max(0, 2 + math.ceil(math.log10(abs(gain)))) if gain else 6
    return (
        column_of(files, channel["column"]),
        lambda sample: None if sample == missing else round((sample - baseline) / gain, digits),
    )


def stretch(table: Rows, at: float, length: float) -> Where:
    """The rows of a signal from a second on; raises `NothingToShow`."""
    schema = schema_of(table.others)
    if schema["schema"] != SIGNALS:
        raise NothingToShow(f"a dataset of {schema['schema']} is no signal")
    first = math.floor(at * schema["rate"])
    last = min(schema["rows"], math.ceil((at + length) * schema["rate"]))
    if not 0 <= first < last:
        raise NothingToShow(f"the signal lasts {schema['rows'] / schema['rate']:.1f} seconds; nothing of it lies there")
    return {ROW: (first, last - 1)}
