"""A hub need not trust a node: it decides as the ledger says, or not at all, whatever a node tells it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_world import GENESIS, OPEN, SCHEDULE, World, account_of, key_of
from kept_chain import ServedLedger
from msgspec.structs import replace
from served_node import ServedNode

from edgehold.crypto.names import network_id
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import EdgeholdError, LyingNode, NodeError, StaleNode
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.hub.watch import Feed, look, see_task
from edgehold.policy.decide import Reason, Refused, decide
from edgehold.ports import Ledger
from edgehold.remote.ledger import RemoteLedger
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.trust import TrustStore
from edgehold.verify.view import ProofCache
from edgehold.wire.account import Claim, WithdrawAttestation
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import PanelId, TaskId

SECOND = 10**9


class Frozen:
    """A ledger as it was at a height: true then, in every part."""

    def __init__(self, ledger: Ledger, keys: list[bytes]) -> None:
        self._ledger = ledger
        self._height = ledger.height()
        self._proved = {key: ledger.prove(key) for key in keys}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def height(self) -> int:
        return self._height

    def header(self, height: int) -> SignedHeader | None:
        return self._ledger.header(height) if height <= self._height else None

    def prove(self, key: bytes) -> Any:
        return self._proved.get(key) or self._ledger.prove(key)


class Town:
    """The hubs' world, in which the hubs reach the ledger over a node's RPC."""

    def __init__(self, folder: Path, serve: Callable[[Any], ServedNode], ask: Callable[..., Node]) -> None:
        self.world = World(folder)
        self.node = serve(ServedLedger(self.world.ledger))
        self.folder = folder
        self._ask = ask
        self.remote = self.reach(folder / "trusted.sqlite")
        outside = self.world.outside
        self.world.outside = type(outside)(
            ledger=self.remote,
            sandbox=outside.sandbox,
            library=outside.library,
            services=outside.services,
            randomness=outside.randomness,
            proofs=ProofCache(headers=self.remote.light),
            feed=Feed(),
        )

    def reach(self, path: Path | None) -> RemoteLedger:
        """The ledger over the node."""
        return RemoteLedger(
            Nodes([self._ask(self.node, seconds=2)]),
            GENESIS,
            TrustStore(path, network_id(GENESIS)),
            self,
            SeededRandomness(1, "remote"),
            refresh=0,
            patience=0.1,
        )

    def now(self) -> int:
        signed = self.world.ledger.header(self.world.ledger.height())
        assert signed is not None
        return signed.header.time + SECOND

    def hubs(self) -> tuple[list[Hub], PanelId]:
        """Hubs of three persons in one closed panel."""
        hubs = [self.world.admit(person) for person in ("ada", "bea", "cleo")]
        panel = self.world.panel(slots=2)
        for hub in hubs:
            hub.enrol(self.world.desk, panel)
        self.world.close_panel(panel)
        return hubs, panel


@pytest.fixture
def town(tmp_path: Path, serve: Callable[[Any], ServedNode], ask: Callable[..., Node]) -> Iterator[Town]:
    town = Town(tmp_path, serve, ask)
    yield town
    town.remote.close()


def states(hubs: list[Hub]) -> list[list[RunState]]:
    return [[line.state for line in hub.history()] for hub in hubs]


def test_the_main_job_goes_over_rpc(town: Town) -> None:
    hubs, panel = town.hubs()
    task = town.world.open_task(panel)
    town.world.tick(*hubs, count=14)
    assert states(hubs) == [[RunState.SENT]] * 3
    assert all(hub.check_batch(task) for hub in hubs)


# ── everything is a lie ───────────────────────────────────────────────────────────────────────────────────────────


def false_ledger(town: Town) -> EmbeddedLedger:
    """A whole ledger of the liar's own: each part fits every other, but other validators signed it."""
    genesis = replace(GENESIS, validators=(replace(GENESIS.validators[0], key=key_of("liar").public),))
    ledger = EmbeddedLedger(
        None, genesis, key_of("liar"), SteppingClock(town.now(), SECOND), SeededRandomness(3, "false")
    )
    ledger.advance(town.world.ledger.height() + 5)
    return ledger


def test_a_whole_false_ledger_moves_no_hub(town: Town) -> None:
    hubs, panel = town.hubs()
    town.world.open_task(panel)
    truth, false = town.node.served, false_ledger(town)
    town.node.served = ServedLedger(false)
    for hub in hubs:
        with pytest.raises(LyingNode):
            hub.follow()
    assert states(hubs) == [[], [], []]
    false.close()
    town.node.served = truth
    for hub in hubs:
        hub.follow()
    assert states(hubs) == [[RunState.STORED]] * 3


def withdrawn(town: Town, hubs: list[Hub], panel: PanelId) -> TaskId:
    """A task whose leader lost what made it credible: who knows the ledger refuses it."""
    for hub in hubs:
        hub.set_policy(replace(OPEN, least_credibility=replace(OPEN.least_credibility, aggregate=290_000)))
    return town.world.open_task(panel, schedule=replace(SCHEDULE, upload=40))


def test_what_was_true_yesterday_grants_nothing_today(town: Town) -> None:
    """The leader's accreditation was withdrawn; the node shows the ledger as it was before, whole or its entries only."""
    hubs, panel = town.hubs()
    withdrawn(town, hubs, panel)
    keys: list[bytes] = []
    honest = town.world.ledger.prove
    town.world.ledger.prove = lambda key: keys.append(key) or honest(key)  # type: ignore[method-assign, func-returns-value]
    probe = town.world.open_hub("cleo")
    probe.follow()
    assert states([probe]) == [[RunState.STORED]]
    town.world.ledger.prove = honest  # type: ignore[method-assign]
    before = Frozen(town.world.ledger, keys)
    town.world.do("accreditor", WithdrawAttestation(account_of("leader"), Claim.ACCREDITED))
    town.world.ledger.advance(2)
    truth = town.node.served
    assert isinstance(truth, ServedLedger)
    town.remote.height()
    town.node.served = ServedLedger(before)  # type: ignore[arg-type]
    with pytest.raises(StaleNode):
        hubs[0].follow()
    town.node.served = truth
    town.node.lies["abci_query"] = lambda params, result: ServedNode.do_abci_query(
        Entries(ServedLedger(before)),  # type: ignore[arg-type]
        params,
    )
    with pytest.raises(NodeError) as caught:
        hubs[0].follow()
    assert caught.type in (StaleNode, LyingNode)
    assert states(hubs[:2]) == [[], []]
    town.node.lies.clear()
    for hub in hubs[:2]:
        hub.follow()
    assert states(hubs[:2]) == [[RunState.REFUSED], [RunState.REFUSED]]


class Entries:
    """The part of a node that answers for entries."""

    def __init__(self, served: ServedLedger) -> None:
        self.served = served


# ── anything is a lie ─────────────────────────────────────────────────────────────────────────────────────────────


def leaves(result: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of an answer at which something stands."""
    if isinstance(result, dict):
        return [leaf for name, value in result.items() for leaf in leaves(value, (*way, name))]
    if isinstance(result, list):
        return [leaf for place, value in enumerate(result) for leaf in leaves(value, (*way, place))]
    return [way]


def falsified(value: Any, dice: random.Random) -> Any:
    """Something like a value, but not it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + dice.choice([-1, 1])
    if isinstance(value, str) and value:
        place = dice.randrange(len(value))
        other = dice.choice([letter for letter in "0123456789ABCDEFabcdef" if letter != value[place]])
        return value[:place] + other + value[place + 1 :]
    return dice.choice(["AA==", 1, [], {}])


def lying(dice: random.Random, rate: float) -> Callable[[Any, Any], Any]:
    """Falsifies one place of an answer, now and then or always."""

    def lie(_: Any, result: Any) -> Any:
        if dice.random() < rate:
            *way, last = dice.choice(leaves(result))
            place = result
            for step in way:
                place = place[step]
            place[last] = falsified(place[last], dice)
        return result

    return lie


METHODS = ("status", "commit", "validators", "blockchain", "block", "block_results", "abci_query")


@pytest.mark.campaign(test=100, long=5_000, shard=50)
def test_a_node_that_lies_about_anything_changes_no_decision(town: Town, numbers: range, figures: Any) -> None:
    """All that a decision follows from is as the ledger has it, or there is none."""
    hubs, panel = town.hubs()
    task = withdrawn(town, hubs, panel)
    town.world.do("accreditor", WithdrawAttestation(account_of("leader"), Claim.ACCREDITED))
    town.world.ledger.advance(2)
    journal = hubs[0]._journal
    cache = ProofCache(headers=town.remote.light)
    truth = see_task(look(town.remote, cache, journal)[0], task, [panel], journal)
    assert truth is not None
    decision = decide(hubs[0].policy, truth.question, hubs[0].budget())
    assert isinstance(decision, Refused)
    assert decision.reason is Reason.CREDIBILITY
    feed = Feed().after(town.remote, 0)
    errors, same = 0, 0
    for number in numbers:
        dice = random.Random(number)
        methods = dice.sample(METHODS, dice.randint(1, len(METHODS)))
        ledger = town.reach(town.folder / "again.sqlite" if dice.random() < 0.5 else None)
        town.node.lies = {method: lying(dice, dice.choice([0.05, 0.3, 1.0])) for method in methods}
        try:
            assert Feed().after(ledger, 0) == feed
            state, _ = look(ledger, ProofCache(headers=ledger.light), journal)
            assert see_task(state, task, [panel], journal) == truth
            same += 1
        except EdgeholdError as error:
            errors += 1
            figures.add(f"lies to a hub that ended in {type(error).__name__}", 1)
        finally:
            ledger.close()
            town.node.lies = {}
    figures.add("nodes that lied to a hub about anything", errors)
    figures.add("nodes whose lies a hub did not even notice", same)
    assert errors > len(numbers) // 4
