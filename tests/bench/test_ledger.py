"""`edgehold bench ledger`, small: every figure is there, and work that was not done is not counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench import ledger
from edgehold.bench.ledger import Bed, measure, require_done
from edgehold.bench.measure import Work
from edgehold.wire.ids import Digest


def test_every_figure_is_found(tmp_path: Path) -> None:
    said: list[str] = []
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=said.append))
    sizes = [f"transactions in blocks of {size}" for size in ("1", "100", "1,000")]
    assert [row.name for row in rows] == [
        *(name + beside for name in sizes for beside in ("", ": the checks", ": the disk")),
        "latency at 1,000/s, median",
        "latency at 1,000/s, 95 of 100",
        "a header and a state proof checked, from their bytes",
        "map of 20,000 keys: a key updated, durable",
        "map of 20,000 keys: a key proved",
        "map of 20,000 keys: a proof, mean",
        "map of 20,000 keys: a proof, largest",
        "map of 20,000 keys: memory of the open ledger",
        "map of 20,000 keys: start",
    ]
    assert all(row.value > 0 and row.rival and row.rival_value and row.ratio for row in rows)
    assert len(said) > 5


def test_refused_transactions_are_no_figure(tmp_path: Path) -> None:
    with Bed(tmp_path, hubs=2).running() as bed:
        envelopes = bed.ledger.submit_many(bed.roots(2))
        with pytest.raises(RuntimeError, match="did not take effect"):
            require_done(bed.ledger, envelopes)
        bed.ledger.advance()
        require_done(bed.ledger, envelopes)
        again = bed.ledger.submit_many(bed.roots(4))  # each hub twice in one block, which the rules refuse
        bed.ledger.advance()
        with pytest.raises(RuntimeError, match="did not take effect"):
            require_done(bed.ledger, again)
        with pytest.raises(RuntimeError, match="did not take effect"):
            require_done(bed.ledger, [Digest(bytes(32))])


def test_the_middle_and_the_tail_of_delays() -> None:
    assert ledger.middle_and_tail([0.001 * place for place in range(100, 0, -1)]) == (0.0505, 0.096)
