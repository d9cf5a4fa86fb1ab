"""Tables for other tools: Arrow in memory, Parquet, and the MEDS layout of folders. The one module that imports `pyarrow`,
which is the extra `tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from edgehold import __version__
from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.tables.form import schema_of, strings_of
from edgehold.codecs.tables.genotypes import MISSING as MISSING_CALL
from edgehold.durable import write_file
from edgehold.errors import FolderInUse, NotInstalled

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


def write_table(table: Any, path: Path) -> None:
    """Write a table as Parquet or, where the name ends with `.arrow`, as an Arrow file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    if path.suffix == ".arrow":
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, sink, compression="zstd")
    write_file(path, sink.getvalue().to_pybytes())


def joined(tables: Sequence[Any]) -> Any:
    """Several tables of one schema, one below the other."""
    import pyarrow as pa

    return pa.concat_tables(tables).unify_dictionaries().combine_chunks() if len(tables) > 1 else tables[0]


# ── MEDS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_meds(tables: Sequence[tuple[str, Files]], folder: Path, *, subject: int, now: datetime) -> int:
    """Write tables of one person's events in the layout of MEDS: `data/0.parquet`, sorted by time with those without one first,
    `metadata/codes.parquet` and `metadata/dataset.json`. Returns the number of events; raises `FolderInUse`,
    `NotInstalled`.

    Beside the columns of MEDS stand `unit`, and `dataset`, by which the hub knows where an event comes from.
    """
    require_arrow()
    import pyarrow as pa
    import pyarrow.compute as pc

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty")
    parts = [_meds_part(pa, pc, dataset, files, subject) for dataset, files in tables]
    empty = _meds_schema(pa).empty_table()
    rows = pa.concat_tables([empty, *parts])
    timeless, timed = rows.filter(pc.is_null(rows["time"])), rows.filter(pc.is_valid(rows["time"]))
    by_code = [("code", "ascending")]
    data = pa.concat_tables([timeless.sort_by(by_code), timed.sort_by([("time", "ascending"), *by_code])])
    codes = pa.table({"code": pa.array(sorted(data["code"].unique().to_pylist()), pa.string())})
    count = codes.num_rows
    codes = codes.append_column("description", pa.nulls(count, pa.string()))
    codes = codes.append_column("parent_codes", pa.nulls(count, pa.list_(pa.string())))
    for place in (folder, folder / "data", folder / "metadata"):
        place.mkdir(mode=0o700, exist_ok=True)
    write_table(data, folder / "data" / "0.parquet")
    write_table(codes, folder / "metadata" / "codes.parquet")
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
    return int(data.num_rows)


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
