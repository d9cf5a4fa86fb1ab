"""An order as its customer lives it: placed, verified, accepted; or ended some other way, each with its reason."""

from __future__ import annotations

from pathlib import Path

from market import PLACES, Market
from service_world import counts

from edgehold.customer.orders import OrderStatus
from edgehold.verify.certificate import verify_certificate
from edgehold.wire.task import Outcome


def test_an_order_goes_from_its_placing_to_an_accepted_result(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered()
    row = market.finish(run)
    assert row.status is OrderStatus.ACCEPTED
    assert run.entry().outcome is Outcome.ACCEPTED
    verdict = market.customer.verdict(run.configuration.order)
    assert (verdict.task, verdict.batch, verdict.rejected) == (run.task, 40, 0)
    assert verdict.values != counts(PLACES)
