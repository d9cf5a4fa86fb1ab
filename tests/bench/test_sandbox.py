"""The bench of the sandbox: every row is there beside its rival, and a run with another answer is no figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgehold.bench import sandbox as bench
from edgehold.bench.measure import Work
from edgehold.errors import NotInstalled, Unavailable
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.person import PlainVec


def work_in(folder: Path) -> Work:
    return Work(runs=1, quick=True, folder=folder, say=lambda words: None)


def test_quick_rounds_give_every_row(tmp_path: Path) -> None:
    rows = bench.measure(work_in(tmp_path))
    assert [row.name for row in rows] == [
        "empty run, warm",
        "empty run, cold process",
        "Python that imports wasmtime",
        "2,000 events by columns",
        "2,000 events by rows",
        "score of 10,000 variants, loop",
        "score of 10,000 variants, vec",
        "score of 10,000 variants, vec's sum alone",
        "numpy: fromfile, @",
    ]
    for row in rows:
        assert row.unit == "ms"
        assert row.value > 0
        assert row.rival
        assert row.rival_value
        assert row.ratio
        assert row.runs == 1
    assert rows[1].value > rows[0].value, "a cold process also runs"


def test_a_program_that_answers_otherwise_in_the_sandbox_is_no_figure(tmp_path: Path) -> None:
    tables = bench.write_tables(tmp_path / "tables", events=10, sites=10)
    elsewhere = "import sys\ndef main(person): return sys.platform"
    with (
        Sandbox(prepare_runtime(default_cache())) as sandbox,
        pytest.raises(Unavailable, match="different answers"),
    ):
        bench.measure_program(work_in(tmp_path), "elsewhere", sandbox, elsewhere, tables)


def test_a_score_that_is_not_the_score_is_no_figure(tmp_path: Path) -> None:
    plain = PlainVec(str(bench.write_tables(tmp_path / "tables", events=1, sites=50)))
    score = plain.dot("dosage.u8", "weight.f64")
    bench.check_scores([score], [score * (1 + 1e-12)], plain)
    with pytest.raises(Unavailable, match="the sandbox gives"):
        bench.check_scores([score * (1 + 1e-12)], [score], plain)
    with pytest.raises(Unavailable, match="numpy gives"):
        bench.check_scores([score], [score + 1], plain)


def test_a_cold_process_that_fails_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "EMPTY", "def main(person): return 2")
    with pytest.raises(Unavailable, match="not '1'"):
        bench.measure_cold(work_in(tmp_path), bench.write_tables(tmp_path / "tables", events=1, sites=1))


def test_without_numpy_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(NotInstalled, match="extra `bench`"):
        bench.measure(work_in(tmp_path))
    assert list(tmp_path.iterdir()) == []
