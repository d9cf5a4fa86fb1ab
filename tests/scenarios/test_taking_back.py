"""Taking back: a permit revoked in time or too late, an owner who withdraws, erases, or stops sharing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from scenario_world import FIRST_PANEL, HELPER, LEADER, ScenarioWorld, truth

from edgehold.crypto.hash import tagged_hash
from edgehold.customer.customer import QUICK
from edgehold.customer.orders import OrderStatus
from edgehold.demo import cast
from edgehold.demo.orders import score_of, state_of
from edgehold.demo.parties import Direct
from edgehold.errors import NothingHere, RecordErased, ShareEnded, TooLate
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.hub.sharing import SharedRecord, fetch_record
from edgehold.ledger.state import find_revocation
from edgehold.service.aggregator import Helper, Leader
from edgehold.service.node import ServiceNode
from edgehold.wire.batch import ReportLeaf
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import EVIDENCE_UNIT, Fault
from edgehold.wire.ids import Digest, OrderId, SlotKey, TaskId
from edgehold.wire.service import Answer, Done, Failure, RevokeReport
from edgehold.wire.task import Outcome, Revoke
from edgehold.wire.tx import Envelope, Receipt

CHANGED = 3
UNHURRIED = replace(QUICK, revoke=2)
OTHERS = [number for number in FIRST_PANEL if number != CHANGED]


def after_uploads(world: ScenarioWorld, **terms: object) -> tuple[OrderId, TaskId]:
    """A task whose reports have all arrived, one height before revocations end."""
    order, task = world.open_task(**{"schedule": UNHURRIED, **terms})
    world.advance_to(world.configuration(task).upload_until + 1)
    assert world.sent(task) == list(FIRST_PANEL)
    return order, task


def leaf_of(world: ScenarioWorld, number: int, task: TaskId, *, accepted: bool) -> ReportLeaf | None:
    """A person's report in one list, if it is there; only the person can tell which it is."""
    line = world.line(number, task)
    assert line is not None
    assert line.receipt is not None
    leaves = world.leaves(task, accepted=accepted)
    return next((leaf for leaf in leaves if leaf.report == line.receipt.receipt.report), None)


# ── revoking ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cut", [(), (LEADER,), (HELPER,), (LEADER, HELPER)], ids=str)
def test_a_permit_revoked_in_time_is_excluded_by_both_whoever_could_be_reached(
    world: ScenarioWorld, cut: tuple[str, ...]
) -> None:
    order, task = after_uploads(world)
    for name in cut:
        world.lines[name].cut = True
    envelope = world.hub(CHANGED).revoke(task)
    assert (envelope is not None) == bool(cut), "the ledger is told only if a service does not answer"
    for name in cut:
        world.lines[name].cut = False
    world.finish(order)
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.totals(task) == (7, 1)
    assert world.sum_of(order) == truth("bmi", OTHERS)
    assert leaf_of(world, CHANGED, task, accepted=True) is None
    assert leaf_of(world, CHANGED, task, accepted=False) is not None
    check = world.hub(CHANGED).check_batch(task)
    assert check is not None
    assert (check.included, check.evidence) == (False, None)


def test_revoking_twice_and_revoking_a_report_that_has_not_left_come_to_the_same(world: ScenarioWorld) -> None:
    order, task = world.open_task()
    world.advance()
    waiting = next(number for number in FIRST_PANEL if number not in world.sent(task))
    hub = world.hub(waiting)
    hub.revoke(task)
    hub.revoke(task)
    world.finish(order)
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.sum_of(order) == truth("bmi", [number for number in FIRST_PANEL if number != waiting])


def test_a_batch_that_revocations_bring_below_the_minimum_is_aborted(world: ScenarioWorld) -> None:
    order, task = after_uploads(world, least_batch=8)
    world.hub(CHANGED).revoke(task)
    world.finish(order)
    entry = world.entry(task)
    assert (entry.outcome, entry.leader_share, entry.helper_share) == (Outcome.TOO_FEW, None, None)
    assert (world.row(order).status, world.row(order).certificate) == (OrderStatus.TOO_FEW, None)


def test_whoever_revokes_too_late_is_told_that_the_sum_contains_the_report(world: ScenarioWorld) -> None:
    order, task = after_uploads(world)
    world.advance_to(world.configuration(task).revoke_until + 1)
    with pytest.raises(TooLate, match=r"could be revoked until height \d+; a released sum contains the report"):
        world.hub(CHANGED).revoke(task)
    line = world.line(CHANGED, task)
    assert line is not None
    assert (line.state, line.revoked_at) == (RunState.SENT, None)
    world.finish(order)
    assert world.sum_of(order) == truth("bmi", FIRST_PANEL)
    check = world.hub(CHANGED).check_batch(task)
    assert check is not None
    assert check.included


@pytest.mark.parametrize("cut", [(LEADER,), (HELPER,), (LEADER, HELPER)], ids=str)
def test_at_the_last_height_one_answer_does_and_without_any_the_owner_is_told_plainly(
    world: ScenarioWorld, cut: tuple[str, ...]
) -> None:
    order, task = after_uploads(world)
    world.advance_to(world.configuration(task).revoke_until)
    for name in cut:
        world.lines[name].cut = True
    if len(cut) == 2:
        with pytest.raises(TooLate, match="neither service takes it any more"):
            world.hub(CHANGED).revoke(task)
    else:
        assert world.hub(CHANGED).revoke(task) is None, "the ledger's next block would refuse it"
    for name in cut:
        world.lines[name].cut = False
    world.finish(order)
    line = world.line(CHANGED, task)
    assert line is not None
    assert (line.revoked_at is None) == (len(cut) == 2)
    assert world.sum_of(order) == truth("bmi", FIRST_PANEL if len(cut) == 2 else OTHERS)


def test_after_both_have_signed_a_revocation_is_refused_plainly_even_at_the_last_height(world: ScenarioWorld) -> None:
    order, task = after_uploads(world)
    world.advance_to(world.configuration(task).revoke_until)
    for name in (LEADER, HELPER):
        world.services[name].step()
    with pytest.raises(TooLate, match="neither service takes it any more"):
        world.hub(CHANGED).revoke(task)
    world.finish(order)
    line = world.line(CHANGED, task)
    assert line is not None
    assert line.revoked_at is None
    assert world.sum_of(order) == truth("bmi", FIRST_PANEL)


def test_a_stranger_revokes_nobodys_permit(world: ScenarioWorld) -> None:
    order, task = after_uploads(world)
    hub, thief = world.hub(CHANGED), world.hub(OTHERS[0])
    run = hub._journal.run(task)
    credential = hub._credential(run)
    message = RevokeReport(
        task=task,
        panel=run.panel,
        slot_key=credential.key,
        token=credential.token,
        signature=thief._slot_key(run).sign(tagged_hash("revoke-report", task + credential.key)),
    )
    for name in (LEADER, HELPER):
        assert isinstance(decode(world.services[name].handle(encode(message)), Answer), Failure)
    world.finish(order)
    assert world.totals(task) == (8, 0)


class StubbornLeader(Leader):
    """Takes no revocation."""

    def take_revocation(self, height: int, message: RevokeReport) -> None:
        raise NothingHere("not today")


class StubbornHelper(Helper):
    """Takes no revocation."""

    def take_revocation(self, height: int, message: RevokeReport) -> None:
        raise NothingHere("not today")


class StubbornNode(ServiceNode):
    """Does not want to hear of revocations, nor to read of them on the ledger."""

    leader_kind, helper_kind = StubbornLeader, StubbornHelper

    def _notice(self, envelope: Envelope, receipt: Receipt) -> None:
        if not isinstance(envelope.body, Revoke):
            super()._notice(envelope, receipt)


def test_counting_a_report_despite_its_revocation_is_proven_against_both_signers(
    open_world: Callable[..., ScenarioWorld],
) -> None:
    world = open_world(**{LEADER: StubbornNode, HELPER: StubbornNode})
    order, task = after_uploads(world)
    hub = world.hub(CHANGED)
    assert hub.revoke(task) is not None
    world.finish(order)
    assert leaf_of(world, CHANGED, task, accepted=True) is not None
    key = SlotKey(hub._slot_key(hub._journal.run(task)).public)
    assert find_revocation(state_of(world), task, key) is not None
    check = hub.check_batch(task)
    assert check is not None
    assert check.included
    assert check.evidence is not None
    world.settle(check.evidence)
    for name in (LEADER, HELPER):
        standing = world.standing(name)
        assert standing.suspended_at is not None
        assert standing.bad >= Fault.PROVEN * EVIDENCE_UNIT * 99 // 100
        assert score_of(world, world.account(name)) == 0


def test_one_stubborn_aggregator_cannot_keep_the_other_from_excluding(
    open_world: Callable[..., ScenarioWorld],
) -> None:
    for name in (LEADER, HELPER):
        world = open_world(**{name: StubbornNode})
        order, task = after_uploads(world)
        world.hub(CHANGED).revoke(task)
        world.finish(order)
        assert world.totals(task) == (7, 1)
        assert world.sum_of(order) == truth("bmi", OTHERS)


# ── three verbs ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_owner_who_withdraws_is_missing_from_every_later_task_and_from_none_before(world: ScenarioWorld) -> None:
    _, first = world.run()
    world.hub(CHANGED).withdraw()
    order, second = world.run()
    assert world.sent(first) == list(FIRST_PANEL)
    assert world.sent(second) == OTHERS
    assert world.line(CHANGED, second) is None
    assert world.sum_of(order) == truth("bmi", OTHERS)
    assert len(world.hub(CHANGED).history()) == 1, "what was, stays in the owner's history"


def test_withdrawing_stops_what_was_granted_and_has_not_left(world: ScenarioWorld) -> None:
    order, task = world.open_task()
    world.advance()
    waiting = next(number for number in FIRST_PANEL if number not in world.sent(task))
    world.hub(waiting).withdraw()
    world.finish(order)
    line = world.line(waiting, task)
    assert line is not None
    assert (line.state, line.bytes_left) == (RunState.MISSED, 0)
    assert world.sum_of(order) == truth("bmi", [number for number in FIRST_PANEL if number != waiting])


def fetch(world: ScenarioWorld, hub: Hub, share: Digest) -> SharedRecord:
    """The doctor fetches a shared record."""
    doctor = cast.DOCTOR.name
    key, dice = world.keys[doctor], world.dice.of(f"{doctor} {world.ledger.height()} {len(hub.fetches())}")
    return fetch_record(Direct(hub.handle), state_of(world), share, world.account(doctor), key, dice)


def test_a_shared_record_is_opened_and_after_the_end_of_the_share_it_is_not(world: ScenarioWorld) -> None:
    hub = world.hub(CHANGED)
    (record,) = hub.store.objects()
    share = hub.share(record.id, world.account(cast.DOCTOR.name), world.ledger.height() + 20)
    fetched = fetch(world, hub, share)
    assert fetched.record == hub.store.get_original(record.id)
    assert fetched.issuer == world.issuer.account
    assert [one.recipient for one in hub.fetches()] == [world.account(cast.DOCTOR.name)]
    hub.withdraw_share(share)
    with pytest.raises(ShareEnded):
        fetch(world, hub, share)
    assert len(hub.fetches()) == 1, "a fetch that was refused did not leave"


def test_a_share_ends_with_its_height_and_with_the_record(world: ScenarioWorld) -> None:
    hub, doctor = world.hub(CHANGED), world.account(cast.DOCTOR.name)
    (record,) = hub.store.objects()
    short = hub.share(record.id, doctor, world.ledger.height() + 2)
    long = hub.share(record.id, doctor, world.ledger.height() + 100)
    world.ledger.advance(3)
    with pytest.raises(ShareEnded):
        fetch(world, hub, short)
    fetch(world, hub, long)
    hub.erase()
    with pytest.raises(RecordErased):
        fetch(world, hub, long)
    assert len(hub.fetches()) == 1


def test_an_answer_from_the_services_is_never_more_than_done(world: ScenarioWorld) -> None:
    _, task = after_uploads(world)
    world.hub(CHANGED).revoke(task)
    for name in (LEADER, HELPER):
        message, answer = world.lines[name].said[-1]
        assert len(message) < 600
        assert decode(answer, Answer) == Done()
