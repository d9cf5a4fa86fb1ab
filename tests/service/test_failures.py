"""The rows of the failure table that belong to the two aggregators: what goes wrong, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from misbehaving import (
    AlteringNode,
    DeafNode,
    DroppingNode,
    GarblingNode,
    HoardingNode,
    ShiftingNode,
    TwoFacedNode,
    WithholdingNode,
)
from service_world import PERSONS, Run, World, account_of, counts, issuer_keys

from edgehold.aggregation.batch import find_leaf, prove_absence
from edgehold.crypto.merkle import tree_path
from edgehold.errors import BatchDiffers, Groundless, TaskNotOpen
from edgehold.service.node import ServiceNode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection
from edgehold.wire.ids import Digest, SlotKey
from edgehold.wire.panel import SlotCredential
from edgehold.wire.service import Done, Failure, Receipted
from edgehold.wire.task import AcceptResult, DisputeResult, Outcome, ReportConflict, ReportDropped, Revoke

PLACES = [person % 5 for person in range(20)]


def standing(run: Run, name: str) -> Standing:
    """What the ledger counts of a service."""
    return run.world.read(Standing, Collection.STANDING, account_of(name)) or Standing()


def credential(run: Run, person: int) -> SlotCredential:
    """What a person shows the ledger instead of an account."""
    panel = run.configuration.panels[0]
    moduli = [modulus for _, modulus in issuer_keys("panel")]
    return SlotCredential(
        panel=panel.panel,
        slot=panel.slot,
        key=SlotKey(run.key(person).public),
        token=run.token(person),
        modulus=moduli[panel.slot],
        path=tuple(tree_path(moduli, panel.slot)),
    )


def dispute(run: Run) -> int:
    """The customer reveals the order's key; the number of the ledger's answer."""
    leader, helper = run.shares()
    body = DisputeResult(run.task, Digest(run.world.order_seed), leader, helper)
    return run.world.transact("customer", body).number


@pytest.mark.parametrize("side", ["leader", "helper"])
def test_an_altered_input_share_makes_that_report_rejected_at_both(tmp_path: Path, side: str) -> None:
    kinds = {f"{side}_kind": AlteringNode}
    run = World(tmp_path, **kinds).open_task()
    run.upload_all(PLACES)
    task = run.finish()
    assert task.batch is not None
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (19, 1)
    assert run.leaves(accepted=False) == run.leaves(accepted=False, node="helper")
    assert sum(run.result().exact) == 19


def test_a_report_counted_on_one_side_only_gives_a_sum_that_marks_both(tmp_path: Path) -> None:
    run = World(tmp_path, leader_kind=HoardingNode).open_task()
    run.upload_all(PLACES)
    run.finish()
    assert max(map(abs, run.result().values)) > 2**64
    assert dispute(run) == 0
    assert run.entry().outcome is Outcome.UNUSABLE
    assert standing(run, "leader").pair_marks
    assert standing(run, "helper").pair_marks


def test_a_constant_added_to_a_sum_is_detected_by_nothing(tmp_path: Path) -> None:
    run = World(tmp_path, leader_kind=ShiftingNode).open_task()
    run.upload_all(PLACES)
    run.finish()
    honest = counts(PLACES)
    assert run.result().exact == [honest[0] + 7, *honest[1:]]
    assert dispute(run) == Groundless.number
    assert run.world.transact("customer", AcceptResult(run.task)).number == 0
    assert run.entry().outcome is Outcome.ACCEPTED


def test_a_dropped_report_whose_receipt_exists_is_evidence_against_the_leader(tmp_path: Path) -> None:
    run = World(tmp_path, leader_kind=DroppingNode).open_task()
    answer = run.upload(run.report(PERSONS - 1, 0))
    assert isinstance(answer, Receipted)
    run.upload_all(PLACES)
    run.finish()
    accepted, rejected = run.leaves(accepted=True), run.leaves(accepted=False)
    assert find_leaf(accepted, answer.receipt.report) is None
    accusation = ReportDropped(
        receipt=answer.receipt,
        signature=answer.signature,
        credential=credential(run, PERSONS - 1),
        accepted=prove_absence(accepted, answer.receipt.report),
        rejected=prove_absence(rejected, answer.receipt.report),
    )
    key = run.key(PERSONS - 1)
    assert run.world.transact_as(key, Digest(key.public), accusation).number == 0
    assert standing(run, "leader").suspended_at is not None
    assert standing(run, "helper").suspended_at is None


@pytest.mark.parametrize("side", ["leader", "helper"])
def test_a_withheld_share_is_missed_by_exactly_that_service(tmp_path: Path, side: str) -> None:
    kinds = {f"{side}_kind": WithholdingNode}
    run = World(tmp_path, **kinds).open_task()
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.share_until + 3)
    other = "helper" if side == "leader" else "leader"
    assert run.entry().outcome is Outcome.WITHHELD
    assert standing(run, side).bad > standing(run, other).bad == 0


def test_a_garbled_share_is_proven_against_its_sender_alone(tmp_path: Path) -> None:
    run = World(tmp_path, helper_kind=GarblingNode).open_task()
    run.upload_all(PLACES)
    run.finish()
    assert dispute(run) == 0
    assert run.entry().outcome is Outcome.UNUSABLE
    assert standing(run, "helper").suspended_at is not None
    assert standing(run, "leader").bad == 0


def test_two_statements_for_one_round_suspend_their_signer(tmp_path: Path) -> None:
    world = World(tmp_path, leader_kind=TwoFacedNode)
    run = world.open_task()
    run.upload_all(PLACES)
    world.tick_to(run.configuration.revoke_until + 2)
    leader = world.nodes["leader"]._leader(run.task)
    signed = world.nodes["leader"]._storage.find_signed(run.task, 0)
    assert signed is not None
    conflict = ReportConflict(run.task, account_of("leader"), signed[0], leader.second)
    assert world.transact("customer", conflict).number == 0
    assert standing(run, "leader").suspended_at is not None


def test_lists_that_differ_are_intersected_once(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.upload_until + 1)
    run.world.nodes["leader"].step()
    assert run.revoke(3, "helper") == [Done()]
    task = run.finish()
    assert task.batch is not None
    assert task.batch.statement.round == 1
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (19, 1)
    assert run.leaves(accepted=True) == run.leaves(accepted=True, node="helper")
    assert run.result().exact == counts([place for person, place in enumerate(PLACES) if person != 3])


def test_lists_that_differ_after_the_intersection_abort_the_task_openly(tmp_path: Path) -> None:
    run = World(tmp_path, helper_kind=DeafNode).open_task()
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.upload_until + 1)
    assert run.revoke(3, "leader") == [Done()]
    run.world.tick_to(run.configuration.revoke_until + 2)
    problem = run.world.nodes["leader"].problem(run.task)
    assert problem is not None
    assert problem.startswith(f"EH{BatchDiffers.number}")
    run.world.tick_to(run.configuration.close_until + 4)
    task = run.entry()
    assert (task.batch, task.outcome) == (None, Outcome.ABANDONED)


@pytest.mark.parametrize("way", ["both", "leader", "helper", "ledger"])
def test_a_revocation_in_time_excludes_the_report_at_both(tmp_path: Path, way: str) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.upload_until + 1)
    if way == "ledger":
        key = run.key(3)
        body = Revoke(run.task, credential(run, 3))
        assert run.world.transact_as(key, Digest(key.public), body).number == 0
    else:
        nodes = ("leader", "helper") if way == "both" else (way,)
        assert run.revoke(3, *nodes) == [Done() for _ in nodes]
    task = run.finish()
    assert task.batch is not None
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (19, 1)
    assert run.leaves(accepted=False)[0].slot_key == run.key(3).public
    assert run.result().exact == counts([place for person, place in enumerate(PLACES) if person != 3])


def test_a_revocation_before_the_report_refuses_the_report(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    assert run.revoke(0, "leader", "helper") == [Done(), Done()]
    assert isinstance(run.upload(run.report(0, 1)), Failure)


def test_a_revocation_that_comes_late_is_told_so(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.revoke_until + 1)
    answers = run.revoke(3, "leader", "helper")
    assert [answer.number for answer in answers if isinstance(answer, Failure)] == [TaskNotOpen.number] * 2
    assert sum(run.finish() and run.result().exact) == 20


def test_a_batch_below_the_minimum_ends_the_task_and_releases_nothing(tmp_path: Path) -> None:
    run = World(tmp_path).open_task(least_batch=21)
    run.upload_all(PLACES)
    run.world.tick_to(run.configuration.share_until + 2)
    task = run.entry()
    assert task.outcome is Outcome.TOO_FEW
    assert (task.leader_share, task.helper_share) == (None, None)


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_lost_replies_and_restarts_change_nothing(tmp_path: Path, lost: int) -> None:
    world = World(tmp_path)
    run = world.open_task()
    run.upload_all(PLACES)
    world.lines["helper"].lose_replies = lost
    while run.entry().leader_share is None or run.entry().helper_share is None:
        world.restart("leader")
        world.nodes["leader"].step()
        world.restart("helper")
        world.tick()
        assert world.ledger.height() < run.configuration.share_until
    sent: dict[bytes, bytes] = {}
    for message, answer in world.lines["helper"].said:
        assert sent.setdefault(message, answer) == answer
    assert run.result().exact == counts(PLACES)


def test_a_revocation_between_a_job_and_its_lost_answer_survives_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    run = world.open_task()
    run.upload_all(PLACES)
    world.tick_to(run.configuration.upload_until + 1)
    world.lines["helper"].lose_replies = 1
    world.nodes["leader"].step()
    assert run.revoke(3, "leader") == [Done()]
    world.restart("leader")
    task = run.finish()
    assert task.batch is not None
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (19, 1)
    assert sum(run.result().exact) == 19


def test_a_node_that_was_cut_off_catches_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    run = world.open_task()
    run.upload_all(PLACES)
    world.lines["helper"].cut = True
    world.tick_to(run.configuration.revoke_until)
    problem = world.nodes["leader"].problem(run.task)
    assert problem is not None
    assert "cannot be reached" in problem
    world.lines["helper"].cut = False
    run.finish()
    assert world.nodes["leader"].problem(run.task) is None
    assert run.result().exact == counts(PLACES)


def test_the_helper_closes_what_both_signed_if_the_leader_is_gone(tmp_path: Path) -> None:
    class Vanishing(ServiceNode):
        def _submit_close(self, aggregator: object) -> None:
            pass

    run = World(tmp_path, leader_kind=Vanishing).open_task()
    run.upload_all(PLACES)
    assert run.finish().batch is not None
