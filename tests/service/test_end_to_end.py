"""Two real nodes on a real ledger: from an order to a result, reports and all."""

from __future__ import annotations

from pathlib import Path

from world import World, counts

from edgehold.wire.task import Outcome


def test_fifty_reports_give_their_plain_sum_and_two_noises(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    places = [person % 5 for person in range(50)]
    run.upload_all(places)
    task = run.finish()
    assert task.batch is not None
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (50, 0)
    result = run.result()
    assert result.exact == counts(places)
    assert any(result.noise)
    assert task.outcome in (None, Outcome.UNCONTESTED)
