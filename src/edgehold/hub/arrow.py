"""Tables for other tools: Arrow in memory, Parquet, and the MEDS layout of folders. The one module that imports `pyarrow`,
which is the extra `tables`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import msgspec

from edgehold import __version__
from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.tables.form import schema_of, strings_of
from edgehold.codecs.tables.genotypes import MISSING as MISSING_CALL
from edgehold.durable import write_file, write_pieces
from edgehold.errors import FolderInUse, NotInstalled
from edgehold.hub.store import STRETCH

MEDS_VERSION: Final = "0.4.1"
"""Of the layout and schemas that are written."""

Files = Mapping[str, bytes]


def require_arrow() -> None:
    """Raise `NotInstalled` unless `pyarrow` is there."""
    if find_spec("pyarrow") is None:
        raise NotInstalled("Arrow and Parquet need the extra `tables`: pip install 'edgehold[tables]'")


def arrow_table(files: Files, dataset: str | None = None) -> Any:
    """A table as one of Arrow: columns of numbers as they are, without a copy; places in the strings as dictionaries; times
    as timestamps in UTC; what is missing as null. `dataset` fills a column of its own."""
    require_arrow()
    import pyarrow as pa

    schema = schema_of(files)
    strings = strings_of(files)
    words = pa.array(strings, pa.string())
    columns: dict[str, Any] = {}
    if dataset is not None:
        columns["dataset"] = pa.array([dataset] * schema["rows"], pa.string())
    for about in schema["columns"]:
        kind = pa.type_for_alias(about["type"])
        numbers = pa.Array.from_buffers(kind, schema["rows"], [None, pa.py_buffer(files[about["file"]])])
        columns[about["name"]] = _read(pa, about, numbers, words)
    said = {key: value for key, value in schema.items() if key not in ("columns", "rows")}
    return pa.table(columns, metadata={"edgehold": msgspec.json.encode(said)})


def _read(pa: Any, about: Mapping[str, str], numbers: Any, words: Any) -> Any:
    import pyarrow.compute as pc

    if about["unit"] == "index into strings.json":
        return pa.DictionaryArray.from_arrays(numbers.cast(pa.int32()), words)
    if about["name"] == "time":
        known = pc.if_else(pc.equal(numbers, MISSING_TIME), None, numbers)
        return known.cast(pa.timestamp("s", tz="UTC"))
    if about["name"] == "dosage":
        return pc.if_else(pc.equal(numbers, MISSING_CALL), None, numbers)
    if about["type"] == "float64":
        return pc.if_else(pc.is_nan(numbers), None, numbers)
    return numbers


def write_tables(tables: Iterable[Any], path: Path) -> None:
    """Write tables of one schema, one below the other, as Parquet or, where the name ends with `.arrow`, as an Arrow file;
    few of them are in memory at once.

    An Arrow file has one dictionary a column: one of more rows than are written at once has its strings in full.
    """
    write_pieces(path, _written(_batches(tables), path.suffix))


class Drain(io.RawIOBase):
    """A file of which what was written is taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """All of it."""
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def _batches(tables: Iterable[Any]) -> Iterator[Any]:
    """The same rows in tables of so many that it is worth writing them together."""
    held: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= STRETCH:
            yield joined(held)
            held = []
    if held:
        yield joined(held)


def _written(tables: Iterator[Any], end: str) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, first = Drain(), next(tables)
    second = next(tables, None)
    if end == ".arrow" and second is not None:
        in_full = pa.schema([_in_full(pa, field) for field in first.schema], first.schema.metadata)
        first, second, tables = first.cast(in_full), second.cast(in_full), (one.cast(in_full) for one in tables)
    with (
        pa.ipc.new_file(sink, first.schema)
        if end == ".arrow"
        else pq.ParquetWriter(sink, first.schema, compression="zstd")
    ) as writer:
        for table in chain([first], [] if second is None else [second], tables):
            writer.write_table(table)
            yield sink.take()
    yield sink.take()


def _in_full(pa: Any, field: Any) -> Any:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def joined(tables: Sequence[Any]) -> Any:
    """Several tables of one schema, one below the other."""
    import pyarrow as pa

    return pa.concat_tables(tables).unify_dictionaries().combine_chunks() if len(tables) > 1 else tables[0]


# ── MEDS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_meds(tables: Sequence[tuple[str, Iterable[Files]]], folder: Path, *, subject: int, now: datetime) -> int:
    """Write tables of one person's events, each in stretches that are sorted by time, in the layout of MEDS:
    `data/0.parquet`, sorted by time with those without one first, `metadata/codes.parquet` and `metadata/dataset.json`.
    Returns the number of events; raises `FolderInUse`, `NotInstalled`.

    Beside the columns of MEDS stand `unit`, and `dataset`, by which the hub knows where an event comes from.
    """
    require_arrow()
    import pyarrow as pa
    import pyarrow.compute as pc

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty")
    count, known = 0, set[str]()

    def counted() -> Iterator[Any]:
        nonlocal count
        yield _meds_schema(pa).empty_table()
        streams = [_meds_parts(pa, pc, dataset, parts, subject) for dataset, parts in tables]
        for rows in merged(streams):
            count += rows.num_rows
            known.update(rows["code"].unique().to_pylist())
            yield rows

    with _made(folder, "data", "metadata"):
        write_tables(counted(), folder / "data" / "0.parquet")
        codes = pa.table({"code": pa.array(sorted(known), pa.string())})
        codes = codes.append_column("description", pa.nulls(len(known), pa.string()))
        codes = codes.append_column("parent_codes", pa.nulls(len(known), pa.list_(pa.string())))
        write_tables([codes], folder / "metadata" / "codes.parquet")
        facts = {
            "dataset_name": "edgehold",
            "dataset_version": "1",
            "etl_name": "edgehold hub export --meds",
            "etl_version": __version__,
            "meds_version": MEDS_VERSION,
            "created_at": now.isoformat(),
            "site_id_columns": [],
            "other_extension_columns": ["unit", "dataset"],
        }
        write_file(folder / "metadata" / "dataset.json", msgspec.json.format(msgspec.json.encode(facts), indent=1))
    return count


@contextmanager
def _made(folder: Path, *inside: str) -> Iterator[None]:
    """A folder, and some in it; if an error leaves the block, they are gone again with what is in them."""
    is_new = not folder.exists()
    places = [folder / name for name in inside]
    try:
        for place in (folder, *places):
            place.mkdir(mode=0o700, exist_ok=True)
        yield
    except BaseException:
        for place in places:
            rmtree(place, ignore_errors=True)
        if is_new:
            rmtree(folder, ignore_errors=True)
        raise


class _Stream:
    """Rows of one table, sorted by time, of which some are here."""

    def __init__(self, parts: Iterator[Any]) -> None:
        self._parts = parts
        self.rows: Any = next(parts, None)
        self.has_more = self.rows is not None

    def more(self) -> None:
        """Have the next rows too."""
        import pyarrow as pa

        following = next(self._parts, None)
        self.has_more = following is not None
        if following is not None:
            self.rows = following if self.rows is None else pa.concat_tables([self.rows, following])

    def take(self, before: int | None) -> Any:
        """Take away the rows before a moment, or all."""
        import pyarrow.compute as pc

        taken, rest = self.rows, None
        if before is not None:
            count = pc.sum(pc.less(moments_of(self.rows), before)).as_py()
            taken, rest = self.rows.slice(0, count), self.rows.slice(count)
        self.rows = rest if rest is not None and rest.num_rows else None
        return taken


def moments_of(rows: Any) -> Any:
    """When each row was, in microseconds; the least number for those without a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.fill_null(rows["time"].cast(pa.int64()), MISSING_TIME)


def merged(streams: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """The rows of several streams that are sorted by time, sorted by time and code; few of each are in memory at once.

    What is before the last row that is here of each stream that goes on is complete. If nothing is, as many rows as have one
    time are more than are here: then more are read.
    """
    import pyarrow as pa

    keys = [("moment", "ascending"), ("code", "ascending")]
    held = [one for one in map(_Stream, streams) if one.rows is not None]
    while held:
        lasts = {one: moments_of(one.rows)[-1].as_py() for one in held if one.has_more}
        before = min(lasts.values(), default=None)
        rows = pa.concat_tables([one.take(before) for one in held])
        if rows.num_rows:
            yield rows.append_column("moment", moments_of(rows)).sort_by(keys).drop_columns("moment")
        for one, last in lasts.items():
            if last == before:
                one.more()
        held = [one for one in held if one.rows is not None]


def _meds_schema(pa: Any) -> Any:
    return pa.schema(
        {
            "subject_id": pa.int64(),
            "time": pa.timestamp("us"),
            "code": pa.string(),
            "numeric_value": pa.float32(),
            "text_value": pa.large_string(),
            "unit": pa.string(),
            "dataset": pa.string(),
        }
    )


def _meds_parts(pa: Any, pc: Any, dataset: str, parts: Iterable[Files], subject: int) -> Iterator[Any]:
    """The events of one table, as many at once as come together."""
    for files in parts:
        if schema_of(files)["rows"]:
            yield _meds_part(pa, pc, dataset, files, subject)


def _meds_part(pa: Any, pc: Any, dataset: str, files: Files, subject: int) -> Any:
    """The events of one table as rows of MEDS."""
    table = arrow_table(files)
    rows = table.num_rows

    def words(name: str, kind: Any) -> Any:
        return table[name].cast(kind)

    text = words("text", pa.large_string())
    unit = words("unit", pa.string())
    return pa.table(
        {
            "subject_id": pa.array([subject] * rows, pa.int64()),
            "time": table["time"].cast(pa.timestamp("us")),
            "code": words("code", pa.string()),
            "numeric_value": table["value"].cast(pa.float32(), safe=False),
            "text_value": pc.if_else(pc.equal(text, ""), None, text),
            "unit": pc.if_else(pc.equal(unit, ""), None, unit),
            "dataset": pa.array([dataset] * rows, pa.string()),
        },
        schema=_meds_schema(pa),
    )
