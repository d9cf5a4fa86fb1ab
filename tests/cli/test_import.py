"""Whole folders are taken in, and it is said what was found."""

import gzip
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from cli_story import Edgehold

from edgehold.codecs.choice import base_bytes
from edgehold.codecs.record import RECORD_BASE
from edgehold.hub import sharing
from edgehold.hub.intake import kinds

DATA = Path(__file__).parent.parent / "data"


def hub_folder() -> Path:
    """Where a hub lies if nobody says where."""
    return Path(os.environ["XDG_DATA_HOME"]) / "edgehold" / "hub"


def test_a_folder_is_taken_in_once_and_comes_back(here: Path, edgehold: Edgehold) -> None:
    folder = here / "mine"
    for name in ("samples", "lines"):
        shutil.copytree(DATA / name, folder / "study" / name)
    (folder / ".hidden").write_text("not to be found")
    (folder / "link").symlink_to(folder / "study")
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    found = edgehold("hub", "import", str(folder), "--json")
    assert found.code == 0
    files = {Path(one["file"]).relative_to(folder): one["kinds"] for one in found.json["imported"]}
    assert files.keys() == {path.relative_to(folder) for path in (folder / "study").rglob("*") if path.is_file()}
    assert files[Path("study/samples/CT_small.dcm")] == ["image"]
    assert files[Path("study/samples/100.atr")] == ["signal"]
    assert files[Path("study/lines/README.md")] == ["other"]
    held = edgehold("hub", "show", "--json").json
    objects = {one["name"]: one for one in held["objects"]}
    assert objects.keys() >= {"CT_small.dcm", "100.dat", "observations.csv"}
    shown = ("kind", "codec", "source", "original_bytes")
    assert [objects["100.dat"][key] for key in shown] == ["signal", "samples/1", None, 30_000]
    assert objects["CT_small.dcm"]["codec"] == "samples/1"
    assert objects["observations.csv"]["codec"] == "lines/1"
    for one in held["objects"]:
        assert 0 < one["stored_bytes"] <= one["original_bytes"]
        assert 0 <= one["padding_bytes"] < one["overhead_bytes"] < one["padding_bytes"] + 700
    stored = sum(one["stored_bytes"] + one["overhead_bytes"] for one in held["objects"])
    assert stored < held["total_bytes"] == sum(path.stat().st_size for path in hub_folder().glob("store.sqlite*"))
    assert held["base_bytes"] > 0, "the dictionary of the general codec"
    said = edgehold("hub", "show").out
    assert "of kind signal" in said
    assert "with public bases of" in said
    again = edgehold("hub", "import", str(folder), "--json").json["imported"]
    assert [one["records_added"] for one in again] == [0] * len(files)
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    written = sorted(path.read_bytes() for path in Path("back").iterdir())
    assert written == sorted(path.read_bytes() for path in (folder / "study").rglob("*") if path.is_file())


def test_what_is_taken_in_to_be_read_at_once_is_kept_so(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    files = [
        str(DATA / name) for name in ("samples/CT_small.dcm", "lines/observations.csv", "fhir/ips_example_bundle.json")
    ]
    assert edgehold("hub", "import", *files, "--profile", "fast").code == 0
    held = edgehold("hub", "show", "--json").json["objects"]
    codecs = {one["name"].partition(":")[0]: one["codec"] for one in held}
    assert codecs["CT_small.dcm"] == "pco/1"
    assert set(codecs.values()) == {"pco/1", "zstd/1"}
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    written = sorted(path.read_bytes() for path in Path("back").iterdir())
    assert written == sorted(Path(file).read_bytes() for file in files)


def observation(number: int) -> bytes:
    """A weight of the person of an export, as one line."""
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    about = {"id": str(number), "subject": {"reference": "Patient/ada"}, "code": code}
    value = {"effectiveDateTime": f"2024-03-0{number}", "valueQuantity": {"value": 70 + number, "unit": "kg"}}
    return json.dumps({"resourceType": "Observation", **about, **value}).encode() + b"\n"


def test_a_bulk_data_export_is_one_import_and_what_is_wrong_is_named(here: Path, edgehold: Edgehold) -> None:
    folder = here / "export"
    folder.mkdir()
    files = {
        "Patient.ndjson": b'{"resourceType":"Patient","id":"ada","birthDate":"1980-02-03"}\n',
        "Observation.ndjson.gz": gzip.compress(observation(1) + observation(2)),
        "manifest.json": b'{"transactionTime":"2024-03-09","output":[]}\n',
        "small.vcf.gz": gzip.compress((DATA / "lines" / "small.vcf").read_bytes())[:-3],
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    found = edgehold("hub", "import", str(folder), "--json")
    assert (found.code, found.json["failed"]) == (0, [])
    facts = {Path(one["file"]).name: one for one in found.json["imported"]}
    assert {name: one["format"] for name, one in facts.items()} == {
        "Patient.ndjson": "FHIR",
        "Observation.ndjson.gz": "FHIR in gzip",
        "manifest.json": "a file of no known format",
        "small.vcf.gz": "VCF in gzip",
    }
    assert [facts[name]["events"] for name in ("Patient.ndjson", "Observation.ndjson.gz")] == [1, 2]
    assert "EH480" in facts["small.vcf.gz"]["notes"][0]
    assert "small.vcf.gz" in facts["small.vcf.gz"]["notes"][0]
    said = edgehold("hub", "import", str(folder)).out
    assert "kept as it is: EH480" in said
    names = {one["name"] for one in edgehold("hub", "show", "--json").json["objects"]}
    assert names == {"export/Patient.ndjson", "export/Observation.ndjson.gz", "manifest.json", "small.vcf.gz"}
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    assert {path.name: path.read_bytes() for path in Path("back").iterdir()} == files


def test_a_refused_file_of_an_export_keeps_its_others_out(here: Path, edgehold: Edgehold) -> None:
    folder = here / "export"
    folder.mkdir()
    (folder / "Patient.ndjson").write_bytes(b'{"resourceType":"Patient","id":"ada"}\n')
    (folder / "Observation.ndjson").write_bytes(observation(1).replace(b"Patient/ada", b"Patient/bea"))
    (folder / "note.txt").write_text("kept")
    (folder / "unread.ndjson").write_bytes(b"\x28\xb5\x2f\xfd broken")
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    found = edgehold("hub", "import", str(folder), "--json")
    assert found.code == 3
    assert {one["code"] for one in found.json["failed"]} == {"EH455", "EH450"}
    assert "Observation.ndjson" in str(found.json["failed"]) or "Patient.ndjson" in str(found.json["failed"])
    assert [Path(one["file"]).name for one in found.json["imported"]] == ["note.txt"]


def test_each_reading_of_a_large_file_is_shown_by_name_and_a_long_fetch_too(
    here: Path, edgehold: Edgehold, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    monkeypatch.setattr(kinds, "MOST_BYTES", 10_000)
    monkeypatch.setattr("edgehold.cli.hub.SHOWN", 1)
    path = DATA / "lines" / "observations.csv"
    size = path.stat().st_size
    lines = [json.loads(line) for line in edgehold("hub", "import", str(path)).err.splitlines()]
    names = [f"{doing} observations.csv" for doing in ("reading", "encoding", "table of")]
    assert [one["progress"] for one in lines if one["done"] == one["total"] == size] == [*names, "importing"]
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
    said = edgehold("hub", "import", str(path), "--lossy", "qualities").err
    assert "reading observations.csv" in said
    shared = edgehold("hub", "show", "--hub", "demo-out/hubs/0001", "--json").json["objects"][0]
    monkeypatch.setattr(sharing, "PIECE", 100)
    until = ("--until", "100000", "--hub", "demo-out/hubs/0001")
    fetched = edgehold("hub", "share", shared["id"], "--with", "dr-lindqvist", "--out", "mine.json", *until)
    assert "━ " in fetched.err
    assert "fetching" in fetched.err
    assert f"{(here / 'mine.json').stat().st_size:,} bytes" in fetched.out


def test_what_is_lossy_is_called_so_wherever_it_is_shown(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    files = [str(DATA / "variants" / name) for name in ("hg00268.g.vcf", "platinum.vcf")]
    found = edgehold("hub", "import", *files, "--lossy", "qualities", "--json").json["imported"]
    assert found[0]["lossy"]["replaced"].keys() == {"DP", "GQ", "MIN_DP", "PL", "QUAL"}
    assert found[1]["lossy"] is None
    objects = edgehold("hub", "show", "--json").json["objects"]
    assert {one["name"]: one["lossy"] for one in objects} == {"hg00268.g.vcf": "qualities/1", "platinum.vcf": None}
    said = edgehold("hub", "show").out
    assert "variants/1, lossy qualities/1" in said
    assert "cannot come back" in said
    back = edgehold("hub", "export", "--original", "--out", "back")
    assert back.code == 3
    assert "not the file that was imported" in back.out
    assert edgehold("hub", "erase", "--all", "--yes").code == 0
    said = edgehold("hub", "import", files[0], "--lossy", "qualities").out
    assert "lost for good, as you asked" in said
    assert "GQ 85 of 150" in said
    assert edgehold("hub", "import", files[0], "--lossy", "everything").code == 2


def test_bases_of_what_is_packed_are_counted(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    Path("record.json.gz").write_bytes(gzip.compress((DATA / "fhir" / "ips_example_bundle.json").read_bytes()))
    assert edgehold("hub", "import", "record.json.gz").code == 0
    held = edgehold("hub", "show", "--json").json
    assert [one["codec"] for one in held["objects"]] == ["deflate/1"]
    assert held["base_bytes"] == base_bytes(RECORD_BASE)
