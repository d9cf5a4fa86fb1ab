"""Small files of every kind that a hub takes in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

from hub_world import bundle

DATA = Path(__file__).parents[1] / "data"


def small_files() -> dict[str, bytes]:
    """A file of each kind by its name, a signal's header before the signal."""
    lines, samples = DATA / "lines", DATA / "samples"
    return {
        "bundle.json": bundle("ada"),
        "array.txt": beginning(lines / "array.txt", 1500),
        "minutes.csv": beginning(lines / "minutes.csv", 900),
        "observations.csv": beginning(lines / "observations.csv", 1200),
        "export.xml": beginning(lines / "export.xml", 3500) + b"</HealthData>\n",
        "small.vcf": beginning(lines / "small.vcf", 4000),
        "100.hea": (samples / "100.hea").read_bytes().replace(b"650000", b"500"),
        "100.dat": (samples / "100.dat").read_bytes()[:1500],
        "100.atr": (samples / "100.atr").read_bytes()[:300] + b"\0\0",
        "MR_small.dcm": (samples / "MR_small.dcm").read_bytes(),
        "packed.vcf.gz": gzip.compress(beginning(lines / "small.vcf", 3000), mtime=0),
        "letter.pdf": b"%PDF-1.4 " + Random(1).randbytes(700),
    }


def small_export() -> dict[str, bytes]:
    """The files of a Bulk Data export."""
    patient = {"resourceType": "Patient", "id": "ada", "gender": "female", "birthDate": "1980-05-17"}
    weight = {
        "resourceType": "Observation",
        "id": "weight",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "Patient/ada"},
        "effectiveDateTime": "2025-03-01T10:00:00Z",
        "valueQuantity": {"value": 71.5, "code": "kg"},
    }
    return {"Patient.ndjson": as_line(patient), "Observation.ndjson": as_line(weight)}


def versions(least: int) -> tuple[bytes, bytes]:
    """A table of so many bytes or more, and its next version."""
    rows = [f"2025-01-{row % 28 + 1:02},GLU,{row * 7919 % 100},mmol/L\n" for row in range(least // 24 + 1)]
    text = "".join(["date,code,value,unit\n", *rows]).encode()
    assert len(text) >= least
    return text, text + b"2025-02-01,GLU,5,mmol/L\n" * 5


def beginning(path: Path, most: int) -> bytes:
    """The first lines of a file."""
    data = path.read_bytes()
    return data[: data.rindex(b"\n", 0, most) + 1]


def as_line(resource: object) -> bytes:
    """One line of JSON."""
    return json.dumps(resource).encode() + b"\n"
