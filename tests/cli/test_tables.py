"""Tables on a terminal, for other tools, and as pictures."""

import contextlib
import csv
import gzip
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import apsw
import pyarrow.parquet as pq
import pytest
from cli_story import Edgehold

from edgehold.cli import pictures
from edgehold.cli.output import WIDTH
from edgehold.cli.pictures import step_of, thinned
from edgehold.cli.program import COLUMNS

DATA = Path(__file__).parent.parent / "data"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def mine(here: Path, edgehold: Edgehold) -> Path:
    """A hub of one's own with a few files of every kind."""
    folder = here / "mine"
    for name in ("samples", "lines"):
        shutil.copytree(DATA / name, folder / name)
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    done = edgehold("hub", "import", str(folder), "--json")
    assert done.code == 0
    return here


def dataset(edgehold: Edgehold, name: str) -> str:
    return next(str(one["id"]) for one in edgehold("hub", "show", "--json").json["objects"] if one["name"] == name)


def test_an_import_says_what_it_found(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    (here / "x.csv").write_text("when,what,much\n2024-01-02,K,5.5\n")
    found = edgehold("hub", "import", str(DATA / "lines" / "small.vcf"), str(DATA / "samples"), "x.csv", "--json")
    facts = {Path(one["file"]).name: one for one in found.json["imported"]}
    assert facts["small.vcf"]["tables"].keys() == {"edgehold.genotypes/1"}
    assert facts["100.dat"]["tables"] == {"edgehold.signals/1": 10_000}
    assert facts["100.dat"]["notes"] == ["100.dat: it ends after 10000 of 650000 frames"]
    assert facts["CT_small.dcm"]["tables"] == {"edgehold.images/1": 1}
    shutil.copytree(DATA / "samples", "again")
    Path("again/100.dat").write_bytes(bytes(300))
    said = edgehold("hub", "import", "again/100.dat")
    assert "100 moments of a signal" in said.out
    assert "it ends after 100 of" in said.out
    assert all(len(line) <= WIDTH for line in said.out.splitlines())


def test_the_owner_names_the_columns(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    Path("x.csv").write_text("when,what,much\n02/01/2024,K,5.5\n")
    Path("x.toml").write_text('date = "when"\ncode = "what"\nvalue = "much"\ndates = "DMY"\nvocabulary = "MINE"\n')
    assert edgehold("hub", "import", "x.csv", "--columns", "x.toml").code == 0
    (row,) = edgehold("hub", "table", "--json").json["rows"]
    assert row == {"time": "2024-01-02", "code": "MINE//K", "value": 5.5, "text": "", "unit": ""}
    assert edgehold("hub", "check").code == 0
    Path("x.toml").write_text('date = "when"\n')
    assert "EH470" in edgehold("hub", "import", "x.csv", "--columns", "x.toml").err


def test_rows_are_printed_and_written(mine: Path, edgehold: Edgehold) -> None:
    rows = edgehold("hub", "table", "--kind", "lab", "--code", "LOINC//8302-2", "--to", "1985", "--json").json
    assert rows["count"] == len(rows["rows"]) > 3
    assert {row["unit"] for row in rows["rows"]} == {"cm"}
    assert all(row["time"] < "1986" for row in rows["rows"])
    plain = edgehold("hub", "table", "--kind", "lab", "--code", "LOINC//8302-2", "--to", "1985").out
    assert len(list(csv.DictReader(io.StringIO(plain)))) == rows["count"]
    for end in ("parquet", "arrow", "csv", "jsonl"):
        out = f"rows.{end}"
        ran = edgehold("hub", "table", "--schema", "edgehold.genotypes/1", "--out", out, "--json")
        assert ran.code == 0
        assert ran.json["count"] > 100
    written = pq.read_table("rows.parquet")
    assert written.num_rows == len(Path("rows.jsonl").read_text().splitlines())
    assert written.num_rows == len(Path("rows.csv").read_text().splitlines()) - 1
    assert set(written["dataset"].to_pylist()) == {dataset(edgehold, name)[:8] for name in ("array.txt", "small.vcf")}
    first = json.loads(Path("rows.jsonl").read_text().splitlines()[0])
    assert list(first)[:4] == ["dataset", "chromosome", "position", "end"]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_of_rows_of_which_some_are_altered_none_is_printed(
    mine: Path, edgehold: Edgehold, form: tuple[str, ...]
) -> None:
    store = Path(os.environ["XDG_DATA_HOME"]) / "edgehold" / "hub" / "store.sqlite"
    with contextlib.closing(apsw.Connection(str(store))) as database:
        last = "SELECT max(place) FROM rows GROUP BY place >> 24"
        database.execute(f"UPDATE rows SET data = zeroblob(100) WHERE place IN ({last})")
    said = edgehold("hub", "table", "--schema", "edgehold.genotypes/1", *form)
    assert said.code == 8
    assert "count" not in said.out
    assert "chromosome" not in said.out


def test_what_cannot_be_shown_is_said(mine: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "table", "--out", "x.xlsx", "--kind", "lab").code == 2
    assert "no row fits" in edgehold("hub", "table", "--out", "x.csv", "--kind", "lab", "--code", "none").err
    assert "name a dataset, a kind or a schema" in edgehold("hub", "table").err
    assert edgehold("hub", "table", "--kind", "lab", "--code", "nothing").code == 6
    assert edgehold("hub", "table", "--kind", "other").code == 6
    assert edgehold("hub", "table", "--kind", "lab", "--region", "1:5").code == 2
    assert edgehold("hub", "table", dataset(edgehold, "100.hea")[:8]).code == 6
    assert edgehold("hub", "export").code == 2
    assert edgehold("hub", "export", "--original", "--out", "x", "--meds", "y").code == 2


def test_on_a_terminal_rows_are_a_table(mine: Path, edgehold: Edgehold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    said = edgehold("hub", "table", dataset(edgehold, "observations.csv")[:8]).out.splitlines()
    assert said[0].split() == ["time", "code", "value", "text", "unit"] or "code" in said[0]
    assert "of which the first 40 are shown" in said[-1]
    assert all(len(line) <= WIDTH for line in said)
    one = edgehold("hub", "table", dataset(edgehold, "CT_small.dcm")[:8]).out.splitlines()
    assert one[-1] == "1 row"


def test_all_events_are_exported_for_meds(mine: Path, edgehold: Edgehold) -> None:
    ran = edgehold("hub", "export", "--meds", "events", "--subject", "12", "--json")
    assert ran.code == 0
    data = pq.read_table("events/data/0.parquet")
    assert data.num_rows == ran.json["events"] > 1000
    assert set(data["dataset"].to_pylist()) == set(ran.json["datasets"])
    assert Path("events").stat().st_mode & 0o777 == 0o700
    assert edgehold("hub", "export", "--meds", "events").code == 1


def texts(path: str) -> list[str]:
    return ["".join(one.itertext()) for one in ElementTree.parse(path).iter(f"{SVG}text")]  # noqa: S314


def test_a_timeline_and_a_strip_are_drawn(mine: Path, edgehold: Edgehold) -> None:
    signal = dataset(edgehold, "100.dat")[:8]
    assert edgehold("hub", "show", "--timeline", "years.svg").code == 0
    assert edgehold("hub", "show", "--strip", signal, "strip.svg", "--at", "3", "--for", "5", "--json").code == 0
    years = texts("years.svg")
    assert {"What this hub holds, by year", "lab", "wearable", "image"} <= set(years)
    assert any(text.startswith("observations.csv") for text in years)
    strip = texts("strip.svg")
    assert {"MLII (mV)", "V5 (mV)", "seconds", "3", "8"} <= set(strip)
    assert "3 to 8 s, 360 samples a second; a line every 0.2 s" in strip
    assert edgehold("hub", "show", "--strip", signal, "x.svg", "--at", "300").code == 6
    assert edgehold("hub", "show", "--strip", dataset(edgehold, "small.vcf"), "x.svg").code == 6


def test_nothing_to_draw_is_said(here: Path, edgehold: Edgehold, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    assert edgehold("hub", "show", "--timeline", "years.svg").code == 6
    monkeypatch.setattr(pictures, "find_spec", lambda _: None)
    assert "charts" in edgehold("hub", "show", "--timeline", "years.svg", "--hub", "demo-out/hubs/0001").err


def test_lines_are_as_far_apart_as_on_paper_if_that_fits() -> None:
    assert step_of("mV", 1.7) == 0.5
    assert step_of("mV", 0.1) == pytest.approx(0.02)
    assert step_of("mmHg", 80) == 20
    assert step_of("x", 0) == 1
    assert step_of("x", 5.9) == 1


def test_no_peak_is_lost_where_much_is_drawn() -> None:
    column = [0] * 100_000
    column[77_777], column[5] = 9, -5
    column[0:4] = [-99] * 4
    rows = list(thinned(column, -99, 1))
    assert len(rows) <= 4000
    assert {77_777, 5} <= set(rows)
    assert list(thinned([1, 1, 2, 2], 0, 2)) == [0, 2]


SCORE = """
from edgehold.sandbox.person import Person


def main(person: Person) -> int:
    if not len(person.column("position.u32")):
        return 0
    return sum(copies for copies in person.column("dosage.u8") if copies != 255)
"""
MANIFEST = """
name = "copies"
title = "Counts the copies of alternate alleles, to see that programs read genotypes."
reads = "edgehold.genotypes/1"
kinds = ["genotype"]
sensitivity = "aggregate"
purposes = ["DUO:0000042"]

[measurement]
kind = "sum"
labels = ["copies"]
bound = 1000000
"""


def test_a_program_reads_genotypes_and_signals_in_the_sandbox(here: Path, edgehold: Edgehold) -> None:
    Path("copies.py").write_text(SCORE)
    Path("copies.toml").write_text(MANIFEST)
    ran = edgehold("program", "test", "copies.py", "--data", str(DATA / "lines" / "array.txt"), "--json")
    assert ran.code == 0
    lines = [line.split("\t") for line in (DATA / "lines" / "array.txt").read_text().splitlines() if line[0] != "#"]
    expected = sum(len(call) for *_, call in lines if "-" not in call)
    assert ran.json["measurement"] == expected
    with zipfile.ZipFile("genome.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.write(DATA / "lines" / "array.txt", "genome.txt")
    Path("genome.txt.gz").write_bytes(gzip.compress((DATA / "lines" / "array.txt").read_bytes()))
    for packed in ("genome.zip", "genome.txt.gz"):
        assert edgehold("program", "test", "copies.py", "--data", packed, "--json").json["measurement"] == expected
    score = SCORE.replace("position.u32", "sample_0.i64").replace(
        'sum(copies for copies in person.column("dosage.u8") if copies != 255)', 'int(person.column("sample_0.i64")[0])'
    )
    Path("copies.py").write_text(score)
    Path("copies.toml").write_text(MANIFEST.replace("genotypes/1", "signals/1").replace('"genotype"', '"signal"'))
    ran = edgehold("program", "test", "copies.py", "--data", str(DATA / "samples" / "100.dat"), "--json")
    assert ran.json["measurement"] == 995
    ran = edgehold("program", "test", "copies.py", "--data", str(DATA / "samples" / "100.hea"))
    assert (ran.code, ran.err[:5]) == (1, "EH459")


def test_every_table_is_described(edgehold: Edgehold) -> None:
    for schema, columns in COLUMNS.items():
        shown = edgehold("schema", "show", schema, "--json").json
        assert [column["name"] for column in shown["columns"]] == [column.name for column in columns]
