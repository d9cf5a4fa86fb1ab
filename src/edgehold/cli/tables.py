"""Rows of a hub's tables on a terminal, as text for other tools, and in files."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from edgehold.cli.network import find_id
from edgehold.cli.output import WIDTH, cut, table
from edgehold.codecs.tables.form import schema_of
from edgehold.durable import write_pieces
from edgehold.errors import NothingToShow, UsageError
from edgehold.hub.arrow import arrow_table, require_arrow, write_tables
from edgehold.hub.rows import Wanted, read_parts, readable
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import Store
from edgehold.system import SystemRandomness

SHOWN: Final = 40
"""Rows on a terminal."""
CELL: Final = 34
"""Characters of one cell there."""
LINES: Final = 1 << 13
"""Lines that are written at once."""
ENDS: Final = (".parquet", ".arrow", ".csv", ".jsonl")


@dataclass(frozen=True)
class Part:
    """Some of the rows that fit of one dataset."""

    dataset: str
    files: dict[str, bytes]
    rows: int


@dataclass(frozen=True)
class Stream:
    """The rows that fit of one dataset, as often as they are read: some, then the next."""

    dataset: str
    files: Callable[[], Iterator[dict[str, bytes]]]

    def parts(self) -> Iterator[Part]:
        """They, with what is said of them."""
        for files in self.files():
            yield Part(self.dataset, files, schema_of(files)["rows"])


def streams_of(
    store: Store, name: str | None, kind: str | None, schema: str | None, wanted: Wanted
) -> tuple[str, list[Stream]]:
    """The tables of one dataset or of all of a kind and schema: their schema, and those of which rows fit. Raises
    `NothingToShow`, `UsageError`."""
    chosen = chosen_of_one_schema(store, name, kind, schema)
    streams = [
        Stream(one.id.hex()[:8], partial(read_parts, store, one.id, wanted.where, SystemRandomness())) for one in chosen
    ]
    fitting = [one for one in streams if next(one.files(), None) is not None]
    if not fitting:
        raise NothingToShow("no row fits what was asked for")
    return chosen[0].descriptor.schema, fitting


def chosen_of_one_schema(store: Store, name: str | None, kind: str | None, schema: str | None) -> list[StoredObject]:
    """The datasets with a table that are meant, whose rows can stand below each other; raises `NothingToShow`,
    `UsageError`."""
    chosen = chosen_objects(store, name, kind, schema)
    schemas = sorted({one.descriptor.schema for one in chosen})
    if len(schemas) > 1:
        raise UsageError(f"there are tables of {', '.join(schemas)}: name a dataset, a kind or a schema")
    return chosen


def chosen_objects(store: Store, name: str | None, kind: str | None, schema: str | None) -> list[StoredObject]:
    """The datasets with a table that are meant; raises `NothingToShow`."""
    held = [one for one in store.objects() if not one.descriptor.tombstone]
    if name is not None:
        found = find_id(name, [one.id for one in held], "dataset")
        held = [one for one in held if one.id == found]
    chosen = [
        one
        for one in held
        if one.descriptor.schema
        and (kind is None or one.descriptor.kind.value == kind)
        and (schema is None or one.descriptor.schema == schema)
    ]
    if not chosen:
        raise NothingToShow("there is no dataset with such a table")
    return chosen


def rows_of(parts: Iterable[Part], *, has_several: bool) -> Iterator[dict[str, Any]]:
    """The rows as people read them, with their dataset where there are several."""
    for part in parts:
        mark = {"dataset": part.dataset} if has_several else {}
        for row in readable(part.files):
            yield mark | row


def show_streams(schema: str, streams: Sequence[Stream], *, as_json: bool) -> None:
    """Print rows: a table on a terminal, CSV elsewhere, one object with --json. They are counted first, and so is whatever
    is altered found before anything is printed."""
    count = sum(part.rows for part in parts_of(streams))
    rows = rows_of(parts_of(streams), has_several=len(streams) > 1)
    if as_json:
        head = json.dumps({"schema": schema, "count": count}, ensure_ascii=False).removesuffix("}")
        click.echo(f'{head}, "rows": [', nl=False)
        said = ((", " if number else "") + json.dumps(row, ensure_ascii=False) for number, row in enumerate(rows))
        for some in by_many(said):
            click.echo(some, nl=False)
        click.echo("]}")
    elif sys.stdout.isatty():
        for line in terminal_lines(list(islice(rows, SHOWN)), count):
            click.echo(line)
    else:
        for some in by_many(csv_lines(rows)):
            click.echo(some, nl=False)


def parts_of(streams: Iterable[Stream]) -> Iterator[Part]:
    """All rows, some and then the next."""
    return (part for one in streams for part in one.parts())


def by_many(lines: Iterator[str]) -> Iterator[str]:
    """Lines or rows, many at once: each writing is flushed."""
    return iter(lambda: "".join(islice(lines, LINES)), "")


def terminal_lines(rows: Sequence[dict[str, Any]], count: int) -> list[str]:
    """The first rows as a table that fits; columns in which nothing is said are left out."""
    names = [name for name in rows[0] if any(row.get(name) not in (None, "") for row in rows)]
    cells = [[cut(_text(row.get(name)), CELL) for name in names] for row in rows]
    lines = [cut(line, WIDTH) for line in table(cells, names)]
    more = f", of which the first {len(rows)} are shown" if count > len(rows) else ""
    return [*lines, f"{count:,} row{'' if count == 1 else 's'}{more}"]


def csv_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Rows as CSV, with the names of their columns first."""
    names: list[str] | None = None
    for row in rows:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        if names is None:
            names = list(row)
            writer.writerow(names)
        writer.writerow([_text(row.get(name)) for name in names])
        yield buffer.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def write_streams(streams: Sequence[Stream], out: Path) -> int:
    """Write rows into a file, by the end of its name; returns how many. Raises `UsageError`, `NotInstalled`."""
    if out.suffix not in ENDS:
        raise UsageError(f"{out.name}: the end of the name says the format: {', '.join(ENDS)}")
    count = 0

    def counted() -> Iterator[Part]:
        nonlocal count
        for part in parts_of(streams):
            count += part.rows
            yield part

    if out.suffix in (".parquet", ".arrow"):
        require_arrow()
        write_tables((arrow_table(part.files, part.dataset) for part in counted()), out)
        return count
    rows = rows_of(counted(), has_several=len(streams) > 1)
    lines = csv_lines(rows) if out.suffix == ".csv" else (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_pieces(out, (some.encode() for some in by_many(lines)))
    return count
