"""`edgehold bench map`, small: every figure is there, and a crowded bucket costs more than an empty one."""

from __future__ import annotations

from pathlib import Path

from edgehold.bench.map import measure
from edgehold.bench.measure import Work


def test_every_figure_is_found(tmp_path: Path) -> None:
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=lambda words: None))
    assert [row.name for row in rows] == [
        "map of 20,000 keys: a key updated, durable",
        "map of 20,000 keys: a key proved",
        "map of 20,000 keys: a proof, mean",
        "map of 20,000 keys: a proof, largest",
        "map of 20,000 keys: memory of the open ledger",
        "map of 20,000 keys: start",
        "a bucket of 100 ground keys: one updated, durable",
        "a bucket of 100 ground keys: one proved",
        "a bucket of 100 ground keys: its proof",
        "a bucket of 1,000 ground keys: one updated, durable",
        "a bucket of 1,000 ground keys: one proved",
        "a bucket of 1,000 ground keys: its proof",
    ]
    assert all(row.value > 0 and row.rival and row.rival_value and row.ratio for row in rows)
    proofs = [row for row in rows if row.name.endswith("its proof")]
    assert all(row.value > (row.rival_value or 0) for row in proofs)
