"""The bench of a large hub: its files are of the kinds they are meant to be, and processes are measured."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from edgehold.bench import large
from edgehold.bench.measure import Work
from edgehold.codecs.dicom import find_pixels
from edgehold.errors import Unavailable
from edgehold.hub.intake.kinds import format_of
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
STANDING_IN = {
    "NA12878_NIST_chr21.vcf.gz": "variants/nist.vcf",
    "apple_export_A.xml": "lines/export.xml",
    "fitbit_minutes_A.csv": "lines/minutes.csv",
    "synthea330_alla.json": "fhir/ips_example_bundle.json",
    "100.dat": "samples/100.dat",
    "MR2_UNCR.dcm": "samples/CT_small.dcm",
    "README.md": "README.md",
}
KINDS = {
    "genome.vcf": (Kind.GENOTYPE, "VCF"),
    "genome.vcf.gz": (Kind.GENOTYPE, "VCF in bgzip"),
    "export.xml": (Kind.WEARABLE, "Apple Health export"),
    "minutes.csv": (Kind.WEARABLE, "table of a wearable"),
    "records.ndjson": (Kind.EHR, "FHIR"),
    "100.dat": (Kind.SIGNAL, "WFDB"),
    "frames.dcm": (Kind.IMAGE, "DICOM"),
    "anything.bin": (Kind.OTHER, "a file of no known format"),
}


def test_grown_files_are_of_their_kinds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, file in STANDING_IN.items():
        content = (DATA / file).read_bytes()
        (data / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "100.hea").write_bytes((DATA / "samples" / "100.hea").read_bytes())
    for name, (_, grow) in large.KINDS.items():
        large.write_up_to(tmp_path / name, grow(data, 300_000), 300_000)
        form = format_of(tmp_path / name)
        assert (form.kind, form.title) == KINDS[name]
        assert (tmp_path / name).stat().st_size >= 260_000
    assert gzip.decompress((tmp_path / "genome.vcf.gz").read_bytes()).startswith(b"##fileformat=VCF")
    pixels = find_pixels((tmp_path / "frames.dcm").read_bytes())
    assert pixels is not None
    assert pixels.size > 260_000
    with pytest.raises(Unavailable, match="there is no file x"):
        large.found_in(data, "x")
    (data / "MR2_UNCR.dcm").write_bytes(b"no image")
    with pytest.raises(Unavailable, match="no native pixels"):
        next(large.grow_frames(data, 1))


def test_a_process_is_measured_and_its_failure_told(tmp_path: Path) -> None:
    ran = large.run_python(["-c", "import time; held = b'x' * (1 << 26); time.sleep(0.4)"])
    assert 67 < ran.memory < 200
    with pytest.raises(Unavailable, match="no such thing"):
        large.run_python(["-c", "raise SystemExit('no such thing')"])
    with pytest.raises(Unavailable, match="--data"):
        large.measure(Work(runs=1, quick=True, folder=tmp_path, say=print))
