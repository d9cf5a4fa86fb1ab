"""The bench of the store: people and files beside general compressors; an encoding of something else is no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench import rivals
from edgehold.bench import store as bench
from edgehold.bench.container import genotypes_of, is_genotype, measure_gene
from edgehold.bench.measure import Work
from edgehold.codecs.record import lines_codec
from edgehold.errors import Unavailable
from edgehold.hub.store import Store
from edgehold.system import SystemRandomness
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"


def work_in(folder: Path, data: Path | None) -> Work:
    return Work(runs=1, quick=True, folder=folder, say=lambda words: None, data=data)


def test_people_and_files_stand_beside_general_compressors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "DICTIONARY", 1_000_000)
    rows = bench.measure(work_in(tmp_path, DATA / "lines"))
    compared = [row for row in rows if row.unit == "B" and row.rival_value is not None]
    arrays = [row.name for row in compared if row.name.startswith("genotypes of")]
    assert arrays == ["genotypes of array.txt, above the sites", "genotypes of array.txt, without a base"]
    sizes = [row for row in compared if "(fast)" not in row.name and row.name not in arrays]
    assert [row.name.split(",")[0] for row in sizes][:7] == [
        "a person of the cohort",
        "a record with an attachment",
        "array.txt",
        "export.xml",
        "minutes.csv",
        "observations.csv",
        "small.vcf",
    ]
    fast = [row for row in rows if row.unit == "B" and "(fast)" in row.name]
    assert [row.name.partition(" (fast)")[0] for row in fast] == [row.name.split(",")[0] for row in sizes[2:7]]
    assert all("zstd/1" in row.name and row.rival is not None and "xz 9e" in row.rival for row in fast)
    sparse = [row for row in sizes if row.name.split(",")[0] not in ("small.vcf", "a record with an attachment")]
    assert any("new entries" in row.name for row in sparse)
    assert any("one of a code" in row.name for row in sparse)
    assert all(row.ratio is not None and row.ratio < 0.9 for row in sparse)
    assert sum(row.unit == "MB/s" for row in rows) == 25
    assert [row.unit for row in rows if "verified and opened" in row.name] == ["GB/s"]
    assert any(row.name.startswith("events of people by code") for row in rows)


def test_a_folder_without_such_files_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(Unavailable, match="no file"):
        bench.measure(work_in(tmp_path, tmp_path))


def test_an_encoding_that_gives_back_something_else_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(lines_codec()), "encode", lambda self, data: b"")
    monkeypatch.setattr(type(lines_codec()), "decode", lambda self, encoded, limit: b"something else")
    with pytest.raises(Unavailable, match="does not give back"):
        bench.checked(b"code,value\n1,2\n", Kind.LAB)


def test_a_gene_is_read_without_the_rest(tmp_path: Path) -> None:
    work = work_in(tmp_path, DATA / "lines")
    paths = genotypes_of(work)
    assert [path.name for path in paths] == ["array.txt", "small.vcf"]
    (tmp_path / "empty").touch()
    assert not is_genotype(tmp_path / "empty")
    (tmp_path / "sites.vcf").write_bytes(b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with Store.create(tmp_path / "store.sqlite", bytes(32), SystemRandomness()) as store:
        rows = [row for path in paths for row in measure_gene(work, store, path)]
        assert measure_gene(work, store, tmp_path / "sites.vcf") == []
    assert len(rows) == 4
    assert all(row.ratio is not None and 0 < row.ratio < 1 for row in rows[::2])
