"""Attacks on honest services: by the clock, by a partner that signs two lists, by a partner that goes away."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace
from service_world import SCHEDULE, World, account_of

from edgehold.aggregation.batch import make_lists, make_statement, sign_statement
from edgehold.crypto.merkle import tree_path
from edgehold.crypto.transactions import sign_transaction
from edgehold.errors import AnswerDiffers
from edgehold.service.aggregator import Helper, Leader
from edgehold.service.node import ServiceNode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection
from edgehold.wire.ids import Digest, SlotKey
from edgehold.wire.order import Order, WithdrawOrder
from edgehold.wire.panel import SlotCredential
from edgehold.wire.service import BatchAnswer, BatchProposal, Done, ListPart
from edgehold.wire.task import Revoke

PLACES = [person % 5 for person in range(20)]


class OvertakenNode(ServiceNode):
    """A node that the ledger overtakes: whenever it has read all blocks, another one is made."""

    overtaken_at = 0

    def _follow(self) -> None:
        super()._follow()
        if self._ledger.height() == self.overtaken_at:
            self._ledger.advance()  # type: ignore[attr-defined]


class DoubleDealer(ServiceNode):
    """A leader that shows the helper one list and closes another, both of the same round."""

    def _compare(self, leader: Leader, number: int, height: int) -> bool:
        lists = leader.lists()
        shorter = make_lists(lists.accepted[1:], (*lists.rejected, lists.accepted[0]))
        lie = sign_statement(self._key, make_statement(leader.task, number, shorter))
        leader.sign(number, height)
        message = self._signed(BatchProposal(batch=lie))
        leader.keep_statement(self._ask(leader.configuration.helper.account, message, BatchAnswer).batch)
        return True


class EndlessHelper(Helper):
    """Answers with a list that never ends."""

    def list_part(self, *, accepted: bool, part: int) -> ListPart:
        return ListPart(parts=2**32, leaves=())


class EndlessNode(ServiceNode):
    """Helps by `EndlessHelper`."""

    helper_kind = EndlessHelper


def standing(world: World, name: str) -> Standing:
    return world.read(Standing, Collection.STANDING, account_of(name)) or Standing()


@pytest.mark.parametrize("overtaken", ["leader", "helper"])
def test_a_revocation_in_the_last_block_is_never_missed_however_fast_blocks_come(
    tmp_path: Path, overtaken: str
) -> None:
    kinds = {f"{overtaken}_kind": OvertakenNode}
    world = World(tmp_path, **kinds)  # type: ignore[arg-type]
    run = world.open_task()
    run.upload_all(PLACES)
    world.tick_to(run.configuration.revoke_until - 1)
    key = run.key(3)
    described = run.configuration.panels[0]
    moduli = world.keys.moduli(described.panel)
    credential = SlotCredential(
        panel=described.panel,
        slot=described.slot,
        key=SlotKey(key.public),
        token=run.token(3),
        modulus=moduli[described.slot],
        path=tuple(tree_path(moduli, described.slot)),
    )
    body = Revoke(task=run.task, credential=credential)
    network, expires = world.ledger.network, world.ledger.height() + 5
    world.ledger.submit(sign_transaction(key, network, Digest(key.public), expires, body))
    world.nodes[overtaken].overtaken_at = world.ledger.height()  # type: ignore[attr-defined]
    task = run.finish()
    assert task.batch is not None
    assert SlotKey(key.public) not in [leaf.slot_key for leaf in run.leaves(accepted=True)]
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (19, 1)


def test_a_leader_that_closes_another_list_than_it_showed_is_proven_guilty(tmp_path: Path) -> None:
    world = World(tmp_path, leader_kind=DoubleDealer)
    run = world.open_task()
    run.upload_all(PLACES)
    task = run.finish()
    assert task.batch is not None
    world.tick(2)
    assert standing(world, "leader").suspended_at is not None
    assert standing(world, "helper").suspended_at is None


def test_a_helper_whose_leader_is_gone_destroys_what_it_holds(tmp_path: Path) -> None:
    world = World(tmp_path)
    run = world.open_task()
    run.upload_all(PLACES)
    world.tick_to(run.configuration.upload_until + 2)
    while world.ledger.height() <= run.configuration.close_until:
        world.ledger.advance()
    world.nodes["helper"].step()
    rows = apsw.Connection(str(tmp_path / "helper.sqlite")).execute(
        "SELECT output_share, seal_seed FROM report, wanted WHERE wanted.order_id = ?", (run.configuration.order,)
    )
    assert set(rows) == {(None, None)}


@pytest.mark.parametrize("impossible", [{"share": 1}, {"close": 1}])
def test_an_order_that_cannot_be_kept_costs_no_service_its_good_name(
    tmp_path: Path, impossible: dict[str, int]
) -> None:
    world = World(tmp_path)
    order = world.order(schedule=replace(SCHEDULE, **impossible))
    world.tick(8)
    placed = world.read(Order, Collection.ORDER, order)
    assert placed is not None
    assert placed.requested_at is None
    assert world.do("customer", WithdrawOrder(order)) is not None
    assert (standing(world, "leader"), standing(world, "helper")) == (Standing(), Standing())


def test_a_helper_whose_list_never_ends_holds_no_leader_up(tmp_path: Path) -> None:
    world = World(tmp_path, helper_kind=EndlessNode)
    run = world.open_task()
    run.upload_all(PLACES)
    world.tick_to(run.configuration.upload_until + 1)
    world.nodes["leader"].step()
    assert run.revoke(3, "helper") == [Done()]
    world.tick_to(run.configuration.revoke_until + 2)
    problem = world.nodes["leader"].problem(run.task)
    assert problem is not None
    assert problem.startswith(f"EH{AnswerDiffers.number}")
