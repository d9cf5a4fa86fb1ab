"""Four validators, one of which has a clock that is an hour wrong: the others keep the time, and it harms nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from four_validators import COUNT, FourValidators, headers_of
from wrong_clock import VARIABLE, build_with_wrong_clock

from edgehold.server.cometbft import find_cometbft
from edgehold.server.home import consensus_key_of
from edgehold.verify.header import SECOND, address_of
from edgehold.wire.header import VoteFlag

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAST = COUNT - 1
OTHERS = range(LAST)
HOUR = 3600
BLOCKS = 25


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_with_wrong_clock(tmp_path_factory.mktemp("go"))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[FourValidators]:
    """One that was founded long ago: a clock that is an hour late would wait for a founding that is still to come."""
    one = FourValidators(tmp_path, founded_ago=2 * HOUR)
    try:
        yield one
    finally:
        one.stop()


def start(network: FourValidators, program: Path, skew: int) -> None:
    """Start all, the last one with a clock that goes so many seconds before the others'."""
    victim = network.validators[LAST]
    victim.program, victim.environment = program, {VARIABLE: str(skew)}
    for validator in network.validators:
        validator.start()
    network.wait_for_blocks(2, OTHERS)
    network.load.start(20)
    network.wait_for_blocks(BLOCKS, OTHERS)
    network.load.stop()


def require_right_times(network: FourValidators, begun: int, figures: Figures) -> None:
    """Times rise from header to header, and each lies between the votes of those whose clocks are right."""
    wrong = address_of(consensus_key_of(network.validators[LAST].home).public)
    node, height = network.validators[0].node, network.agree(among=OTHERS)
    chain = headers_of(node, height)
    for header, following in pairwise(chain):
        assert header.time < following.time
        votes = [vote for vote in node.signed_header(header.height).commit.signatures if vote.flag != VoteFlag.ABSENT]
        right = [vote.time for vote in votes if vote.address != wrong]
        assert min(right) <= following.time <= max(right)
    assert begun <= chain[1].time
    assert chain[-1].time <= time.time_ns()
    figures.add("one clock of four an hour wrong: headers whose time is between right votes", height - 1)


def test_a_clock_that_is_an_hour_fast_moves_no_header(
    network: FourValidators, wrong_clock: Path, figures: Figures
) -> None:
    begun = time.time_ns()
    start(network, wrong_clock, HOUR)
    victim = network.validators[LAST]
    victim.catch_up(network)
    require_right_times(network, begun, figures)
    wrong = address_of(consensus_key_of(victim.home).public)
    signed = [network.node.signed_header(height) for height in range(2, network.agree())]
    ahead = [
        (vote.time - one.header.time) / SECOND
        for one in signed
        for vote in one.commit.signatures
        if vote.address == wrong and vote.flag == VoteFlag.BLOCK
    ]
    assert min(ahead) > HOUR - 60
    figures.add("one clock an hour fast: its own votes that are in blocks, an hour ahead", len(ahead))
    network.check()


def test_a_clock_that_is_an_hour_slow_stops_its_own_node_until_it_is_right(
    network: FourValidators, wrong_clock: Path, figures: Figures
) -> None:
    begun = time.time_ns()
    start(network, wrong_clock, -HOUR)
    victim = network.validators[LAST]
    assert "is too far in the future" in victim.log()
    stopped = victim.height()
    assert stopped < network.top() - BLOCKS // 2
    require_right_times(network, begun, figures)
    victim.kill()
    victim.program, victim.environment = find_cometbft(), {}
    victim.start()
    figures.most(
        "one clock an hour slow: once it is right, until it is where the others are, s", victim.catch_up(network)
    )
    network.check()
