"""The faults of a consortium in short: four validators, one after the other down, in halves, and far from each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from four_validators import COUNT, FourValidators

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = pytest.mark.system

LAST = COUNT - 1


def test_one_down_two_halves_and_long_ways_leave_one_state(tmp_path: Path, figures: Figures) -> None:
    network = FourValidators(tmp_path)
    try:
        network.start()
        victim = network.validators[LAST]
        victim.kill()
        figures.most("in short, one of four down: a transaction until its receipt, s", network.load.pay(0))
        victim.start()
        victim.catch_up(network)

        figures.most("in short, two halves: from their reunion to a block, s", network.halve_and_reunite(2))

        network.relay.delay(0.05, 0.01)
        figures.most("in short, 50 ± 10 ms each way: a transaction until its receipt, s", network.load.pay(LAST))
        network.relay.delay(0)
        assert network.check() == 3
    finally:
        network.stop()
