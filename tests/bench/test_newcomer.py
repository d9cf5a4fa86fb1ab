"""`edgehold bench newcomer`, small: every figure is there, and work that was not done is not counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench.measure import Work
from edgehold.bench.newcomer import check_signatures, measure, replay
from edgehold.bench.traffic import TRANSFER, Traffic


def test_every_figure_is_found(tmp_path: Path) -> None:
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=lambda words: None))
    assert [row.name for row in rows] == [
        "snapshot of 20,000 entries: written",
        "snapshot of 20,000 entries: a fresh node from it",
        "snapshot of 20,000 entries: its size",
        "replay of 4,000 transfers",
        "snapshot after 4,000 transfers: written",
        "snapshot after 4,000 transfers: a fresh node from it",
        "snapshot after 4,000 transfers: its size",
    ]
    assert all(row.value > 0 and row.rival and row.rival_value and row.ratio for row in rows)


def test_refused_transactions_are_no_figure(tmp_path: Path) -> None:
    traffic = Traffic(2)
    founding, transfers = traffic.founding(), traffic.of_size(TRANSFER, 2, "once")
    with pytest.raises(RuntimeError, match="2 transactions had no effect"):
        replay(tmp_path, founding[:1], transfers)  # before anybody has credits
    with pytest.raises(RuntimeError, match="does not hold"):
        check_signatures(Traffic(3), traffic.of_size(TRANSFER, 3, "others"))
