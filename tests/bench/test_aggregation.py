"""The bench of reports: every row is there and stands beside its rival, and a dishonest round is no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench.aggregation import HISTOGRAM, measure, run_whole, shard_many, verify_by_steps
from edgehold.bench.measure import Work
from edgehold.bench.pair import Pair
from edgehold.errors import Unavailable


def test_quick_rounds_give_every_row(tmp_path: Path) -> None:
    said: list[str] = []
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=said.append))
    assert [row.name for row in rows] == [
        "verification at both, histogram of 100, by the clock",
        "verification at both, histogram of 100, by processor time",
        "verification at both, SumVec of 1,000 × 8 bit, by the clock",
        "verification at both, SumVec of 1,000 × 8 bit, by processor time",
        "whole report at both aggregators, histogram of 100",
        "whole report, processor time of both",
        "whole report, processor time of the leader",
        "whole report, processor time of the helper",
    ]
    assert all(row.value > 0 and row.runs == 1 for row in rows)
    assert [row.name for row in rows if row.ratio is None] == [row.name for row in rows[-2:]]
    assert rows[4].unit == "reports/s"
    assert said


def test_a_round_with_a_report_that_does_not_count_is_no_figure(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "makers", HISTOGRAM, 256)
    uploads = pair.uploads(1)
    pair.close()
    uploads[7] = uploads[7][:-1] + bytes(
        [uploads[7][-1] ^ 1]
    )  # the helper's sealed share: nobody sees it at the upload
    with pytest.raises(Unavailable, match="255 of 256"):
        run_whole(tmp_path / "round", 256, uploads)


def test_a_verification_with_a_bad_share_is_no_figure() -> None:
    reports = shard_many(HISTOGRAM, 3, 2)
    nonce, public, leader, helper = reports[0]
    with pytest.raises(Unavailable, match="1 of 2 honest reports were rejected"):
        verify_by_steps(HISTOGRAM, [(nonce, public, helper, helper), reports[1]])
    with pytest.raises(Unavailable):
        verify_by_steps(HISTOGRAM, [(bytes(16), public, leader, helper)])
