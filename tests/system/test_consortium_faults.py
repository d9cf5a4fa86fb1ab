"""Four validators as real processes, of which some die, are cut off or lie: the others go on, or nobody does, as they must."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import TYPE_CHECKING

import pytest
from four_validators import COUNT, RECOVERY, FourValidators, Validator, eventually, know_nobody_else
from one_validator import wait_for

from edgehold.bench.consortium import Load, Observer, write_load
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import AlreadyAnswered
from edgehold.server.cometbft import Settings
from edgehold.server.founding import read_founder_file
from edgehold.server.home import Home, found_home, make_home, peer_name
from edgehold.server.loopback import free_ports
from edgehold.server.replay import roll_back

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = [pytest.mark.system, pytest.mark.slow]

LAST = COUNT - 1
"""The validator to which it happens."""

OTHERS = range(LAST)

PATIENCE_WITH_COMETBFT = 5.0
"""Seconds that it has to end after its application; the supervisor of a node gives it more, and then kills it as well."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FourValidators]:
    one = FourValidators(tmp_path_factory.mktemp("four"))
    try:
        one.start()
        yield one
        one.recover()
        one.check()
    finally:
        one.stop()


@pytest.fixture
def network(running: FourValidators) -> Iterator[FourValidators]:
    """Four honest validators of one state, whatever happened to them before."""
    running.recover()
    yield running
    running.load.stop()


def start_lying(network: FourValidators, lie: str) -> Validator:
    """Let the last validator run another application."""
    victim = network.validators[LAST]
    victim.kill()
    victim.start(lie)
    return victim


def test_one_of_four_is_down_and_the_others_go_on(network: FourValidators, figures: Figures) -> None:
    victim = network.validators[LAST]
    victim.kill()
    slowest = max(network.load.pay(place) for place in (*OTHERS, 0))
    figures.most("one validator of four down: the slowest transaction until its receipt, s", slowest)
    victim.start()
    figures.most("one validator of four down: until it is where the others are, s", victim.catch_up(network))
    network.agree()


def test_two_of_four_are_down_and_nobody_goes_on(network: FourValidators, figures: Figures) -> None:
    for victim in network.validators[2:]:
        victim.kill()
    network.stand_still(3)
    for victim in network.validators[2:]:
        victim.start()
    seconds = network.wait_for_blocks(1)
    figures.most("two validators of four down: from their return to a block, s", seconds)
    assert seconds <= RECOVERY
    assert network.load.pay(0) <= RECOVERY


def test_two_halves_that_do_not_reach_each_other_stand_still(network: FourValidators, figures: Figures) -> None:
    figures.most("halves of a network: from their reunion to a block, s", network.halve_and_reunite(3))
    network.check()


def test_one_that_is_cut_off_stands_still_and_catches_up(network: FourValidators, figures: Figures) -> None:
    victim = network.validators[LAST]
    network.relay.cut(OTHERS, (LAST,))
    before = victim.height()
    for place in OTHERS:
        network.load.pay(place)
    network.wait_for_blocks(2, OTHERS)
    assert victim.height() <= before + 1  # it had the votes for one block
    network.relay.heal()
    seconds = victim.catch_up(network)
    figures.most("one validator cut off: from its return until it is where the others are, s", seconds)
    assert seconds <= RECOVERY
    network.check()


def test_links_that_break_again_and_again_are_made_again(network: FourValidators, figures: Figures) -> None:
    network.load.start(40)
    lost, slowest = 0, 0.0
    for _ in range(10):
        lost += network.relay.lose(4)
        slowest = max(slowest, network.wait_for_blocks(1))
    network.load.stop()
    assert lost >= 10
    figures.add("connections lost under load", lost)
    figures.most("connections lost under load: the longest wait for a block of all, s", slowest)
    network.check()


def test_long_ways_take_longer_and_no_more(network: FourValidators, tmp_path: Path, figures: Figures) -> None:
    network.relay.delay(0.05, 0.01)
    network.wait_for_blocks(1)
    transactions = [network.load.transfer(network.top())[0] for _ in range(600)]
    outcome = Observer(network, must_take_effect=True).offer(write_load(tmp_path / "load", transactions), rate=300)
    figures.most("50 ± 10 ms each way, 300 transactions a second: median until committed, s", outcome.middle)
    figures.most("50 ± 10 ms each way, 300 transactions a second: 95 of 100 are committed within, s", outcome.tail)
    assert outcome.tail <= 4


def test_lost_segments_cost_time_and_nothing_else(network: FourValidators, figures: Figures) -> None:
    network.relay.delay(0.025, 0.005, lost=0.05)
    network.load.start(40)
    waits = [network.wait_for_blocks(1) for _ in range(20)]
    network.load.stop()
    slowest = max(network.load.pay(place) for place in range(COUNT))
    figures.most("5 of 100 segments lost, 25 ± 5 ms each way: the longest wait for a block of all, s", max(waits))
    figures.most("5 of 100 segments lost, 25 ± 5 ms each way: the slowest transaction until its receipt, s", slowest)
    assert max(waits) <= RECOVERY
    network.relay.delay(0)
    network.check()


def test_old_transactions_again_cost_little_and_do_nothing(
    network: FourValidators, tmp_path: Path, figures: Figures
) -> None:
    victim = network.validators[LAST]
    fresh = [network.load.transfer(network.top())[0] for _ in range(500)]
    observer = Observer(network, must_take_effect=True)
    outcome = observer.offer(write_load(tmp_path / "fresh", fresh), rate=0)
    victim.kill()  # CometBFT forgets what it has seen, and asks the application
    victim.start()
    victim.catch_up(network)
    assert victim.node.broadcast(fresh[0]).code == AlreadyAnswered.number
    before, took = victim.processor(), storm(victim, write_load(tmp_path / "old", fresh * 20))
    after, each = victim.processor(), 1e6 / 10_000
    application, cometbft = (after.applications - before.applications) * each, (after.nodes - before.nodes) * each
    figures.most("10,000 old transactions at one node: seconds until all are refused", took)
    figures.most("an old transaction again: processor time of the application, µs", application)
    figures.most("an old transaction again: processor time of CometBFT, µs", cometbft)
    figures.most("a new transaction beside it: processor time of an application, µs", outcome.application)
    assert application < outcome.application
    network.check()


def storm(victim: Validator, load: Load) -> float:
    """Seconds until one node has answered for everything that one sender hands it as fast as it can."""
    port = victim.port
    command = [sys.executable, "-m", "edgehold.bench.sending", str(load.file), str(port), "0"]
    begun = time.monotonic()
    subprocess.run(command, input="0\n", text=True, check=True, stdout=subprocess.DEVNULL)
    assert victim.node.broadcast(load.transactions[0]).code == AlreadyAnswered.number  # after all before it
    return time.monotonic() - begun


def test_a_full_disk_stops_one_and_room_lets_it_go_on(network: FourValidators, figures: Figures) -> None:
    victim = start_lying(network, "disk full")
    network.load.start(50)
    application = victim.application
    assert application is not None
    eventually(lambda: application.poll() is not None, "the end of an application that cannot write")
    assert "EH75" in victim.log()  # a limit of a file's size is "full" to the system, and a failed write to SQLite
    network.load.pay(0)
    victim.let_go()
    victim.start()
    figures.most("a full disk: from room to where the others are, s", victim.catch_up(network))
    network.load.stop()
    network.check()


def test_invalid_proposals_are_outvoted(network: FourValidators, figures: Figures) -> None:
    first = network.top() + 1
    victim = start_lying(network, "invalid proposals")
    network.load.start(40)
    node = network.validators[0].node

    def later_rounds() -> list[int]:
        heights = range(first, network.validators[0].height() + 1)
        return [height for height in heights if node.signed_header(height).commit.round > 0]

    eventually(lambda: len(later_rounds()) >= 2, "two heights that took another round")
    network.wait_for_blocks(1)
    network.load.stop()
    figures.add("heights at which an invalid proposal was voted down", len(later_rounds()))
    assert victim.is_running
    network.check()  # which reads every transaction of every block


def test_who_signs_twice_is_shown_on_the_chain(network: FourValidators, tmp_path: Path, figures: Figures) -> None:
    twin = Validator(twin_of(network, LAST, tmp_path / "twin"))
    try:
        twin.start("votes against all")
        network.load.start(20)
        wait_for(lambda: twin.height() >= network.top() > 0, "the twin", 60)
        first = network.top()
        node = network.validators[0]
        shown: list[int] = []

        def is_shown() -> bool:
            for height in range(first, node.height() + 1):
                if node.call("block", height=str(height))["block"]["evidence"]["evidence"]:
                    shown.append(height)
            return bool(shown)

        eventually(is_shown, "evidence in a block")
    finally:
        twin.kill()
    figures.most("one key on two nodes: heights until the evidence is on the chain", shown[0] - first + 1)
    assert shown[0] - first < 10
    network.load.stop()
    assert network.load.pay(0) < RECOVERY
    network.check()


def twin_of(network: FourValidators, place: int, folder: Path) -> Home:
    """Another node that votes with the key of a validator, and remembers nothing of what that signed."""
    peer, rpc, health = (f"127.0.0.1:{port}" for port in free_ports(3))
    settings = Settings(name="twin", address=peer, rpc=rpc, health=health)
    home = make_home(folder, settings, SeededRandomness(1, "twin"))
    claims = [read_founder_file(validator.home.founder) for validator in network.validators]
    found_home(home, network.genesis, [peer_name(claim) for claim in claims])
    know_nobody_else(home)
    copyfile(network.validators[place].home.consensus_key, home.consensus_key)
    return home


def test_a_wrong_root_stops_its_maker_alone(network: FourValidators, figures: Figures) -> None:
    victim = start_lying(network, "wrong root")
    victim.catch_up(network)
    said = len(victim.log())
    network.load.pay(0)
    eventually(lambda: "wrong Block.Header.AppHash" in victim.log()[said:], "the end of the one who is wrong")
    stopped = victim.height()
    network.wait_for_blocks(3, OTHERS)
    assert victim.height() == stopped
    victim.kill()
    roll_back(victim.home)
    victim.start()
    figures.most("a wrong root: from going back to where the others are, s", victim.catch_up(network))
    network.check()


@pytest.mark.campaign(test=3, long=100, shard=25)
def test_whoever_is_killed_nothing_acknowledged_is_lost(tmp_path: Path, numbers: range, figures: Figures) -> None:
    network = FourValidators(tmp_path)
    try:
        network.start()
        network.load.start(60)
        for number in numbers:
            kill_one(network, Random(number), figures)
        network.load.stop()
        figures.add("kills under load: transactions on the chain, each once", network.check())
        figures.add("kills under load: of them acknowledged meanwhile", len(network.load.acknowledged))
        assert network.load.acknowledged
    finally:
        network.stop()


def kill_one(network: FourValidators, dice: Random, figures: Figures) -> None:
    """Kill an application or a node at some moment, and start both again."""
    victim, is_application = dice.choice(network.validators), dice.random() < 0.5
    time.sleep(dice.uniform(0.1, 0.9))  # the moment is what is varied
    assert victim.application is not None
    assert victim.cometbft is not None
    (victim.application if is_application else victim.cometbft).kill()
    if is_application and not ends_by_itself(victim.cometbft):
        figures.add("kills under load: CometBFT stopped for good while it ended, and was killed too", 1)
    victim.let_go()
    begun = time.monotonic()
    victim.start()
    victim.catch_up(network)
    figures.most("kills under load: from the start to where the others are, s", time.monotonic() - begun)
    figures.add(f"kills under load: of {'an application' if is_application else 'a node'}", 1)


def ends_by_itself(cometbft: subprocess.Popen[bytes]) -> bool:
    """CometBFT ends when its application does; now and then it waits for itself for ever meanwhile."""
    try:
        assert cometbft.wait(PATIENCE_WITH_COMETBFT) == 0
    except subprocess.TimeoutExpired:
        return False
    return True
