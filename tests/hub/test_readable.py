"""Rows of tables: which fit, what their numbers stand for, and that other tools read the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import meds
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold.codecs.events import MISSING_TIME, Event, decode_table, encode_table
from edgehold.codecs.tables.form import schema_of, strings_of
from edgehold.codecs.tables.laboratory import derive_laboratory
from edgehold.codecs.tables.signals import derive_signals
from edgehold.codecs.tables.variants import derive_variants
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import AlteredBlob, FolderInUse, NothingToShow, NotInstalled, UsageError
from edgehold.hub import arrow
from edgehold.hub import store as stores
from edgehold.hub.arrow import arrow_table, joined, merged, write_meds, write_tables
from edgehold.hub.rows import Wanted, last_moment, read_part, read_parts, readable, stretch, written
from edgehold.hub.store import Store
from edgehold.hub.tables import Rows
from edgehold.wire.data import Kind, ObjectId

DATA = Path(__file__).parents[1] / "data"
EVENTS = encode_table(
    [
        Event(MISSING_TIME, "GENDER//female"),
        Event(0, "A", 1.5, "", "mg"),
        Event(86400, "B", None, "words"),
        Event(86401, "A", 2.0),
        Event(951868800 - 1, "A", 3.0),  # the last second of February 2000
    ]
)
LINES = ["1 100 rs1 A G 9.5 PASS . GT 0/1", "1 200 . A <NON_REF> . . END=300 GT 0/0", "X 100 . A T,C . q . GT ./."]


def vcf_of(lines: Iterable[str]) -> dict[str, bytes]:
    names = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
    text = "".join(line.replace(" ", "\t") + "\n" for line in lines)
    return dict(derive_variants([names + text.encode()]).files)


GENOTYPES = vcf_of([*LINES, "HLA-A 7 . A G . . . GT 1/1"])
SIGNAL = dict(
    derive_signals(
        bytes(range(40)),
        "r.dat",
        b"r 2 10 10 10:00:00 01/01/2000\nr.dat 16 200 16 0 0 0 0 II\nr.dat 16 100(5)/mmHg 16 0 0 0 0 II\n",
    ).files
)


DICE = SeededRandomness(1, "rows")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store.sqlite", bytes(32), DICE)


def kept(store: Store, files: dict[str, bytes]) -> ObjectId:
    name = schema_of(files)["schema"]
    return store.put_object(name.encode(), name=name, kind=Kind.OTHER, schema=name, tables=files, randomness=DICE)[0].id


def rows_of(files: dict[str, bytes]) -> Rows:
    """A table as whoever asks is shown it."""
    return Rows({}, dict(enumerate(strings_of(files))), {"schema.json": files["schema.json"]}, 0)


def places(store: Store, files: dict[str, bytes], **wanted: str) -> list[int] | None:
    """Which rows of a table fit."""
    found = read_part(store, kept(store, files), Wanted(**wanted).where, DICE)
    every = list(readable(files))
    return None if found is None else [every.index(row) for row in readable(found)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"code": "A"}, [1, 3, 4]),
        ({"code": "C"}, None),
        ({"since": "1970"}, [1, 2, 3, 4]),
        ({"since": "1970-01-02"}, [2, 3, 4]),
        ({"until": "1970"}, [1, 2, 3]),
        ({"until": "1970-01-02"}, [1, 2, 3]),
        ({"until": "1970-01-02T00:00:00Z"}, [1, 2]),
        ({"since": "2000-02", "until": "2000-02"}, [4]),
        ({"since": "1999", "until": "2000-01"}, []),
        ({"code": "A", "until": "1999"}, [1, 3]),
    ],
)
def test_events_by_code_and_time(store: Store, wanted: dict[str, str], expected: list[int] | None) -> None:
    assert places(store, EVENTS, **wanted) == expected


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("1", [0, 1]),
        ("chr1", [0, 1]),
        ("chr1:100", [0]),
        ("1:101-199", []),
        ("1:101-200", [1]),
        ("chr1:300-9,000", [1]),
        ("1:301", []),
        ("chrX", [2, 3]),
        ("HLA-A:7", [4]),
    ],
)
def test_genotypes_by_region(store: Store, region: str, expected: list[int]) -> None:
    """A row that only reaches into the region is of it."""
    assert places(store, GENOTYPES, region=region) == expected


@pytest.mark.parametrize(
    ("files", "wanted", "says"),
    [
        (EVENTS, {"region": "1:5"}, "--region asks for a column chromosome"),
        (GENOTYPES, {"code": "A"}, "--code asks"),
        (GENOTYPES, {"since": "2000"}, "--from or --to asks"),
        (EVENTS, {"since": "yesterday"}, "yesterday: not a date"),
        (GENOTYPES, {"region": "1:5-"}, "no region"),
        (GENOTYPES, {"region": "1:9-5"}, "ends before"),
        (GENOTYPES, {"region": "chr99"}, "no chromosome chr99"),
    ],
)
def test_what_cannot_be_asked_is_said(files: dict[str, bytes], wanted: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Wanted(**wanted).where(rows_of(files))


def test_the_last_moment_of_a_date() -> None:
    assert last_moment(None) == 2**63 - 1
    for text, end in [("1970", 365), ("1972", 1096), ("1970-02", 59), ("1970-12", 365), ("1970-01-01", 1)]:
        assert last_moment(text) == 86400 * end - 1
    assert last_moment("9999") == last_moment("9999-12-31")


def test_rows_that_were_read_are_a_table(store: Store) -> None:
    assert read_part(store, kept(store, EVENTS), Wanted().where, DICE) == EVENTS
    some = read_part(store, kept(store, EVENTS), Wanted(code="A").where, DICE)
    assert some is not None
    assert schema_of(some)["rows"] == 3
    assert [row["value"] for row in readable(some)] == [1.5, 2.0, 3.0]


def test_rows_are_read_as_people_read_them() -> None:
    first, second, third, *_ = readable(EVENTS)
    assert first == {"time": None, "code": "GENDER//female", "value": None, "text": "", "unit": ""}
    assert second == {"time": "1970-01-01", "code": "A", "value": 1.5, "text": "", "unit": "mg"}
    assert third["time"] == "1970-01-02"
    assert written(86401) == "1970-01-02T00:00:01Z"
    assert written(2**62) is None
    seen = list(readable(GENOTYPES))
    assert [row["chromosome"] for row in seen] == ["1", "1", "X", "X", "HLA-A"]
    assert [row["dosage"] for row in seen] == [1, 0, None, None, 2]
    assert seen[0]["quality"] == 9.5
    signal = list(readable(SIGNAL))
    assert list(signal[1]) == ["seconds", "II 0 (mV)", "II 1 (mmHg)"]
    assert signal[1] == {"seconds": 0.1, "II 0 (mV)": 6.42, "II 1 (mmHg)": 17.93}


def test_a_strip_is_a_part_of_a_signal(store: Store) -> None:
    strip = read_part(store, kept(store, SIGNAL), lambda table: stretch(table, 0.35, 0.2), DICE)
    assert strip is not None
    assert [row["seconds"] for row in readable(strip)] == [0.3, 0.4, 0.5]
    assert next(readable(strip)) == list(readable(SIGNAL))[3]
    for at, length in ((1.0, 1.0), (5.0, 1.0)):
        with pytest.raises(NothingToShow, match=r"lasts 1\.0 seconds"):
            stretch(rows_of(SIGNAL), at, length)
    with pytest.raises(NothingToShow, match="no signal"):
        stretch(rows_of(EVENTS), 0, 1)


def test_ten_seconds_of_a_signal_and_a_region_are_read_without_the_rest(store: Store) -> None:
    """At most a twentieth of the bytes of the table."""
    signal = dict(derive_signals(bytes(range(250)) * 8000, "r.dat", b"r 2 360\nr.dat 212\nr.dat 212\n").files)
    genotypes = vcf_of(f"1 {place} rs{7919 * place} A G . . . GT 0/{place % 2}" for place in range(1, 60_001))
    for files, where in (
        (signal, stretch(rows_of(signal), 300, 10)),
        (genotypes, Wanted(region="chr1:20000-20200").where(rows_of(genotypes))),
    ):
        assert where is not None
        one = kept(store, files)
        read = store.read_rows(one, [column["file"] for column in schema_of(files)["columns"]], where, DICE)
        assert len(next(iter(read.columns.values()))) > 0
        assert read.read < store.get_object(one).cached / 20


def test_a_whole_table_is_read_stretch_by_stretch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STRETCH", 1 << 14)
    signal = dict(derive_signals(bytes(range(250)) * 400, "r.dat", b"r 2 360\nr.dat 212\nr.dat 212\n").files)
    events = encode_table([Event(time, f"C{time % 7}", None, f"text {time}") for time in range(30_000)])
    for files, wanted in (
        (signal, Wanted()),
        (events, Wanted()),
        (events, Wanted(code="C3", since="1970-01-01T03:00:00Z")),
    ):
        one = kept(store, files)
        whole = read_part(store, one, wanted.where, DICE)
        assert whole is not None
        parts = list(read_parts(store, one, wanted.where, DICE))
        assert len(parts) > 1
        assert [row for part in parts for row in readable(part)] == list(readable(whole))
    assert list(read_parts(store, kept(store, events), Wanted(code="none").where, DICE)) == []


# ── other tools ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_arrow_has_numbers_words_moments_and_nulls() -> None:
    table = arrow_table(EVENTS, "x")
    assert table["time"].to_pylist()[:2] == [None, datetime(1970, 1, 1, tzinfo=UTC)]
    assert table["value"].to_pylist() == [None, 1.5, None, 2.0, 3.0]
    assert table["code"].to_pylist()[0] == "GENDER//female"
    assert table["dataset"].to_pylist() == ["x"] * 5
    assert json.loads(table.schema.metadata[b"edgehold"])["schema"] == "edgehold.events/1"
    assert arrow_table(GENOTYPES)["dosage"].to_pylist() == [1, 0, None, None, 2]
    both = joined([arrow_table(EVENTS, "x"), arrow_table(encode_table([Event(5, "Z")]), "y")])
    assert both["code"].to_pylist()[-2:] == ["A", "Z"]
    assert joined([table]) is table


def test_parquet_and_arrow_files_are_read_by_pandas_and_polars(tmp_path: Path) -> None:
    for files in (EVENTS, GENOTYPES, SIGNAL):
        table = arrow_table(files)
        write_tables([table], tmp_path / "x.parquet")
        write_tables([table], tmp_path / "x.arrow")
        plain = table.to_pylist()
        assert pq.read_table(tmp_path / "x.parquet").to_pylist() == plain
        assert pa.ipc.open_file(tmp_path / "x.arrow").read_all().to_pylist() == plain
        names = table.column_names
        by_polars = pl.read_parquet(tmp_path / "x.parquet")
        assert by_polars.columns == names
        assert by_polars.to_dicts() == plain
        assert pl.read_ipc(tmp_path / "x.arrow").to_dicts() == plain
        by_pandas = pd.read_parquet(tmp_path / "x.parquet")
        assert list(by_pandas.columns) == names
        assert len(by_pandas) == len(plain)
        assert (tmp_path / "x.parquet").stat().st_mode & 0o777 == 0o600


def test_tables_of_any_size_are_written_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "STRETCH", 2)
    parts = [encode_table([Event(number, f"C{number % 3}", float(number), f"t{number}")]) for number in range(7)]
    plain = joined([arrow_table(files, "x") for files in parts]).to_pylist()
    for end in ("parquet", "arrow"):
        write_tables((arrow_table(files, "x") for files in parts), tmp_path / f"x.{end}")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == plain
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 4
    found = pa.ipc.open_file(tmp_path / "x.arrow")
    assert (found.num_record_batches, found.read_all().to_pylist()) == (4, plain)
    assert found.schema.field("code").type == pa.string(), "an Arrow file has one dictionary a column"
    assert pl.read_ipc(tmp_path / "x.arrow").to_dicts() == plain


TIMES = st.one_of(st.just(MISSING_TIME), st.integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(TIMES, st.sampled_from("ABC")), max_size=9), max_size=3), st.integers(1, 4))
def test_events_of_several_tables_are_merged_by_time_and_code(tables: list[list[tuple[int, str]]], size: int) -> None:
    streams, plain = [], []
    for name, events in enumerate(tables):
        rows = sorted(events)
        plain += rows
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        streams.append(
            pa.table(
                {
                    "time": pa.array([None if time == MISSING_TIME else time for time, _ in part], pa.timestamp("us")),
                    "code": pa.array([code for _, code in part], pa.string()),
                    "dataset": pa.array([str(name)] * len(part), pa.string()),
                }
            )
            for part in parts
        )
    batches = list(merged(streams))
    found = [
        (MISSING_TIME if time is None else time, code)
        for batch in batches
        for time, code in zip(batch["time"].cast(pa.int64()).to_pylist(), batch["code"].to_pylist(), strict=True)
    ]
    assert found == sorted(plain)


@pytest.mark.parametrize("is_there", [True, False])
def test_an_export_that_fails_leaves_nothing(tmp_path: Path, is_there: bool) -> None:
    def broken() -> Iterator[Any]:
        raise AlteredBlob("a row group was altered")
        yield

    folder = tmp_path / "meds"
    if is_there:
        folder.mkdir()
    with pytest.raises(AlteredBlob):
        write_meds([("aa", [EVENTS]), ("bb", broken())], folder, subject=7, now=datetime(2026, 1, 2, tzinfo=UTC))
    assert folder.exists() == is_there
    assert not is_there or not list(folder.iterdir())


@pytest.mark.parametrize("several", [1 << 17, 100])
def test_an_export_has_the_layout_and_the_schemas_of_meds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: int
) -> None:
    monkeypatch.setattr(arrow, "STRETCH", several)
    lab = dict(derive_laboratory([(DATA / "lines" / "observations.csv").read_bytes()]).files)
    folder = tmp_path / "out"
    count = write_meds([("aa", [EVENTS]), ("bb", [lab])], folder, subject=7, now=datetime(2026, 1, 2, tzinfo=UTC))
    assert count == 5 + schema_of(lab)["rows"]
    data = pq.read_table(folder / meds.data_subdirectory / "0.parquet")
    codes = pq.read_table(folder / meds.code_metadata_filepath)
    meds.DataSchema.validate(data)
    meds.CodeMetadataSchema.validate(codes)
    facts = json.loads((folder / meds.dataset_metadata_filepath).read_text())
    meds.DatasetMetadataSchema.validate(facts)
    assert facts["meds_version"] == meds.__version__ == arrow.MEDS_VERSION
    assert set(data["subject_id"].to_pylist()) == {7}
    times = data["time"].to_pylist()
    assert times[0] is None
    assert times[1:] == sorted(times[1:])
    assert set(codes["code"].to_pylist()) == set(data["code"].to_pylist())
    assert set(facts["other_extension_columns"]) == set(data.column_names) - set(meds.DataSchema.schema().names)
    assert data["dataset"].to_pylist().count("aa") == 5
    expected = {(one.code, one.value, one.text or None, one.unit or None) for one in decode_table(lab)}
    seen = {
        (row["code"], row["numeric_value"], row["text_value"], row["unit"])
        for row in data.to_pylist()
        if row["dataset"] == "bb"
    }
    assert {(code, text, unit) for code, _, text, unit in seen} == {(c, t, u) for c, _, t, u in expected}
    assert len(pl.read_parquet(folder / "data" / "0.parquet")) == count
    assert len(pd.read_parquet(folder / "data" / "0.parquet")) == count
    with pytest.raises(FolderInUse):
        write_meds([], folder, subject=1, now=datetime(2026, 1, 2, tzinfo=UTC))
    assert write_meds([], tmp_path / "none", subject=1, now=datetime(2026, 1, 2, tzinfo=UTC)) == 0
    meds.DataSchema.validate(pq.read_table(tmp_path / "none" / "data" / "0.parquet"))


def test_without_the_extra_it_is_said_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str, package: Any = None) -> None:
        return None

    monkeypatch.setattr(arrow, "find_spec", nothing)
    with pytest.raises(NotInstalled, match="tables"):
        arrow_table(EVENTS)
