"""Reports that must not count: each aggregator finds that by itself, and the honest result is unchanged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from reports import credential_of, out_of_bounds, report_of
from scenario_world import HELPER, LEADER, ScenarioWorld, truth

from edgehold.aggregation.report import report_digest
from edgehold.crypto.names import receipt_message
from edgehold.crypto.signatures import SigningKey
from edgehold.customer.orders import OrderStatus
from edgehold.errors import (
    BadPermit,
    BadToken,
    EdgeholdError,
    SlotKeySeen,
    TaskNotOpen,
    TaskNotServed,
    WrongSize,
    WrongTask,
)
from edgehold.service.aggregator import Leader
from edgehold.service.node import ServiceNode
from edgehold.service.storage import ReportState
from edgehold.wire.batch import UploadReceipt
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, OrderId, Signature, TaskId
from edgehold.wire.report import Report, decode_report, encode_report
from edgehold.wire.service import Answer, Failure, Receipted, Upload

HONEST = [1, 2, 3, 4, 5]
CHEAT, OTHER_CHEAT = 7, 8
OTHER_PANEL = 9


def send(world: ScenarioWorld, task: TaskId, report: bytes, to: str = LEADER) -> Answer:
    """Upload a report as a hub does."""
    answer: Answer = decode(world.lines[to].send(encode(Upload(task=task, report=report))), Answer)
    return answer


def changed(data: bytes, change: Callable[[Report], Report]) -> bytes:
    """A report that was changed after it was made."""
    return encode_report(change(decode_report(data)))


def replayed(world: ScenarioWorld, task: TaskId) -> bytes:
    """What somebody sent to the task before."""
    return next(report for report in world.uploads() if decode_report(report).metadata.time < at(world, task))


def at(world: ScenarioWorld, task: TaskId) -> int:
    return world.configuration(task).opened_at


def forged(world: ScenarioWorld, task: TaskId) -> bytes:
    """One's own report under the permit of another's."""

    def swap(report: Report) -> Report:
        permit = report.metadata.permit
        wrong = Signature(bytes([permit.permit[0] ^ 1]) + permit.permit[1:])
        return replace(report, metadata=replace(report.metadata, permit=replace(permit, permit=wrong)))

    return changed(report_of(world, CHEAT, task, 1, "forged"), swap)


BAD: dict[str, tuple[Callable[[ScenarioWorld, TaskId], bytes], type[EdgeholdError]]] = {
    "replayed from an earlier task": (replayed, WrongTask),
    "permitted for another task": (
        lambda world, task: report_of(
            world, CHEAT, task, 1, "other task", configuration=replace(world.configuration(task), least_batch=4)
        ),
        BadPermit,
    ),
    "with the token of another panel": (
        lambda world, task: report_of(world, OTHER_PANEL, task, 1, "other panel"),
        BadToken,
    ),
    "with the token of another slot": (
        lambda world, task: report_of(world, CHEAT, task, 1, "slot", **credential_of(world, CHEAT, task, later=1)),
        BadToken,
    ),
    "with somebody else's token": (
        lambda world, task: report_of(
            world, CHEAT, task, 1, "token", token=credential_of(world, OTHER_CHEAT, task)["token"]
        ),
        BadToken,
    ),
    "of a key that nobody signed": (
        lambda world, task: report_of(world, CHEAT, task, 1, "key", slot_key=SigningKey(bytes(32))),
        BadToken,
    ),
    "with a forged permit": (forged, BadPermit),
    "of another size": (lambda world, task: report_of(world, CHEAT, task, 1, "size") + b"\x00", WrongSize),
}


class CarelessLeader(Leader):
    """Takes whatever has the shape of a report, signs for it, and passes it on."""

    def take_upload(self, height: int, data: bytes) -> Receipted:
        leaf = decode_report(data).metadata.leaf()
        digest = report_digest(data)
        if self._storage.find_report(self.task, leaf.report) is None:
            self._storage.add_report(self.task, leaf, ReportState.PENDING, digest=digest, data=data)
        receipt = UploadReceipt(task=self.task, report=leaf.report, slot_key=leaf.slot_key, digest=digest)
        return Receipted(receipt=receipt, signature=self._key.sign(receipt_message(receipt)))


class CarelessNode(ServiceNode):
    """Leads by `CarelessLeader`."""

    leader_kind = CarelessLeader


def second_task(world: ScenarioWorld) -> tuple[OrderId, TaskId]:
    """A task that the honest answer; the others are away, and there was a task before to replay from."""
    world.run()
    world.away = {6, CHEAT, OTHER_CHEAT}
    order, task = world.open_task()
    world.advance(2)
    return order, task


def test_an_honest_leader_refuses_them_all_and_the_result_is_that_of_the_honest(world: ScenarioWorld) -> None:
    order, task = second_task(world)
    for name, (make, error) in BAD.items():
        answer = send(world, task, make(world, task))
        assert isinstance(answer, Failure), name
        assert answer.number == error.number, (name, answer)
    world.finish(order)
    assert world.totals(task) == (5, 0)
    assert world.sum_of(order) == truth("bmi", HONEST)


def test_behind_a_careless_leader_the_helper_refuses_them_all_by_itself(
    open_world: Callable[..., ScenarioWorld],
) -> None:
    world = open_world(**{LEADER: CarelessNode})
    order, task = second_task(world)
    shaped = [make for name, (make, _) in BAD.items() if name != "of another size"]
    for make in shaped:
        assert isinstance(send(world, task, make(world, task)), Receipted)
    world.finish(order)
    assert world.row(order).status is OrderStatus.ACCEPTED
    accepted, rejected = world.totals(task)
    assert (accepted, rejected) == (5, len(shaped))
    for which in (True, False):
        assert world.leaves(task, accepted=which) == world.leaves(task, accepted=which, of=HELPER)
    assert world.sum_of(order) == truth("bmi", HONEST)


@pytest.mark.parametrize("kind", [ServiceNode, CarelessNode])
def test_a_second_report_of_a_person_does_not_count_and_the_same_bytes_count_once(
    open_world: Callable[..., ScenarioWorld], kind: type[ServiceNode]
) -> None:
    world = open_world(**{LEADER: kind})
    order, task = second_task(world)
    first = report_of(world, CHEAT, task, 0, "first")
    receipt = send(world, task, first)
    assert isinstance(receipt, Receipted)
    assert send(world, task, first) == receipt
    second = send(world, task, report_of(world, CHEAT, task, 0, "second"))
    if kind is ServiceNode:
        assert isinstance(second, Failure)
        assert second.number == SlotKeySeen.number
    world.finish(order)
    assert world.totals(task)[0] == 6
    expected = truth("bmi", HONEST)
    expected[0] += 1
    assert world.sum_of(order) == expected


def test_a_measurement_out_of_bounds_has_a_receipt_and_is_rejected_without_being_seen(world: ScenarioWorld) -> None:
    order, task = second_task(world)
    report = out_of_bounds(world, CHEAT, task)
    assert isinstance(send(world, task, report), Receipted)
    world.finish(order)
    assert world.totals(task) == (5, 1)
    for name in (LEADER, HELPER):
        (leaf,) = world.leaves(task, accepted=False, of=name)
        assert leaf.report == decode_report(report).metadata.report
    assert world.sum_of(order) == truth("bmi", HONEST)
    assert world.standing(LEADER).pair_marks == (), "a hub that lies is no fault of the services"


def test_a_share_that_does_not_open_is_rejected_by_whom_it_was_for(world: ScenarioWorld) -> None:
    order, task = second_task(world)
    for number, side in ((CHEAT, "leader"), (OTHER_CHEAT, "helper")):
        broken = changed(
            report_of(world, number, task, 1, "broken"),
            lambda report, side=side: replace(
                report, **{side: replace(getattr(report, side), payload=bytes(len(getattr(report, side).payload)))}
            ),
        )
        assert isinstance(send(world, task, broken), Receipted)
    world.finish(order)
    assert world.totals(task) == (5, 2)
    assert world.sum_of(order) == truth("bmi", HONEST)


def test_nothing_is_taken_before_the_task_or_after_its_uploads_or_at_the_wrong_service(world: ScenarioWorld) -> None:
    order, task = second_task(world)
    report = report_of(world, CHEAT, task, 0, "late")
    wrong = send(world, task, report, to=HELPER)
    assert isinstance(wrong, Failure)
    assert wrong.number == TaskNotServed.number
    unknown = send(world, TaskId(Digest(bytes(32))), report)
    assert isinstance(unknown, Failure)
    assert unknown.number == TaskNotServed.number
    world.advance_to(world.configuration(task).upload_until + 1)
    late = send(world, task, report)
    assert isinstance(late, Failure)
    assert late.number == TaskNotOpen.number
    world.finish(order)
    assert world.totals(task) == (5, 0)
