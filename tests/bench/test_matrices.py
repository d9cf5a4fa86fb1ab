"""The bench of matrices and arrays: every rival has a row, also one that is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgehold.bench import matrices as bench
from edgehold.bench.arrays import dosage_of, measure_array, sites_of
from edgehold.bench.measure import Work
from edgehold.codecs.genotypes import ARRAY_BASE, shipped_genotypes_codec
from edgehold.codecs.sparse import Sparse, decode_matrix
from edgehold.errors import Unavailable

ARRAY = Path(__file__).parent.parent / "data" / "lines" / "array.txt"


def work_in(folder: Path) -> Work:
    return Work(runs=1, quick=True, folder=folder, say=lambda words: None, data=folder)


def test_every_rival_has_a_row_for_each_matrix(tmp_path: Path) -> None:
    panel = np.random.default_rng(1).random((40, 16)) < 0.2
    np.savez(tmp_path / "small_panel.npz", G=np.packbits(panel, axis=0), pos=np.arange(37))
    rows = bench.measure(work_in(tmp_path))
    names = [row.name.partition(",")[0] for row in rows if row.unit == "B"]
    kinds = ["events of people by code", "rarer alleles of the shipped panel", "rarer alleles of small_panel.npz"]
    assert names == [kind for kind in kinds for _ in bench.RIVALS]
    assert all(row.rival_value is None or row.value < row.rival_value for row in rows if row.unit == "B")
    assert sum(row.unit == "M/s" for row in rows) == 6
    assert rows[-3].name.startswith("rarer alleles of small_panel.npz, 16 by 37, ")


def test_a_rival_that_is_not_installed_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "is_installed", lambda package: False)
    rows = [row for row in bench.measure(work_in(tmp_path)) if row.unit == "B"]
    assert [row.rival for row in rows] == [
        "every entry a byte, zstd 19",
        "compressed sparse rows in npz: numpy is not installed",
        "Parquet, zstd 19: pyarrow is not installed",
        "VCF-Zarr: zarr is not installed",
        "PLINK 2, phased: pgenlib is not installed",
    ]
    assert [row.rival_value is None for row in rows] == [False, True, True, True, True]


def test_an_encoding_of_another_matrix_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = Sparse.of(3, [{1: 300}, {}])
    assert bench.dense_bytes(matrix) > 0
    monkeypatch.setattr(
        bench, "decode_matrix", lambda encoded, limit: decode_matrix(encoded, limit)._replace(columns=4)
    )
    with pytest.raises(Unavailable, match="does not give back"):
        bench.measure_matrix(work_in(tmp_path), "small", matrix)


def test_arrays_stand_beside_two_bits_a_site() -> None:
    rows = measure_array("array", ARRAY.read_bytes())
    assert [row.unit for row in rows] == ["B", "B", ""]
    assert rows[0].value < 0.3 * rows[1].value < 0.2 * (rows[1].rival_value or 0)
    assert [row.unit for row in measure_array("strange", b"rs1\t77\t5\tAA\n")] == ["B", "B"]


def test_two_bits_say_what_was_called() -> None:
    site, first, second = next(sites_of(shipped_genotypes_codec(ARRAY_BASE)))
    calls = (b"--", first, first * 2, first + second, second * 2)
    assert [dosage_of(call, first, second) for call in calls] == [3, 3, 0, 1, 2]
    assert site == (b"i5565111", b"1", b"565111")
