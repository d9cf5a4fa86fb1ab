"""Two real nodes on a real ledger: from an order to a result, reports and all."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from service_world import SCHEDULE, Run, World, account_of, counts

from edgehold.service.storage import Storage
from edgehold.vdaf.prio3 import Measurement
from edgehold.wire.codec import decode, encode
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.service import LEAVES_IN_PART, Answer, GetLists, GetShare, ListPart, Receipted, SealedShareAnswer
from edgehold.wire.task import MAX_SEALED_SHARE, Outcome, Party


def type_of(kind: MeasurementKind, length: int = 1, bound: int = 0, weight: int = 0) -> MeasurementType:
    """A measurement type."""
    return MeasurementType(kind=kind, length=length, bound=bound, weight=weight)


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
    run.world.tick_to(run.configuration.accept_until + 3)
    assert run.entry().outcome is Outcome.UNCONTESTED


@pytest.mark.parametrize(
    ("measurement", "values"),
    [
        (type_of(MeasurementKind.COUNT), [person % 2 for person in range(12)]),
        (type_of(MeasurementKind.SUM, bound=300), [25 * person for person in range(12)]),
        (
            type_of(MeasurementKind.MULTIHOT, 4, weight=2),
            [[int(place in (person % 4, person % 3)) for place in range(4)] for person in range(12)],
        ),
        (type_of(MeasurementKind.SUMVEC, 3, bound=20), [[person, 20 - person, 1] for person in range(12)]),
        (type_of(MeasurementKind.L1BOUND, 3, bound=20), [[person, 2, 3] for person in range(12)]),
    ],
    ids=lambda value: value.kind.value if isinstance(value, MeasurementType) else "",
)
def test_every_kind_of_measurement_sums_exactly(
    tmp_path: Path, measurement: MeasurementType, values: Sequence[Measurement]
) -> None:
    run = World(tmp_path).open_task(measurement)
    run.upload_all(values)
    run.finish()
    vectors = [[value] if isinstance(value, int) else list(value) for value in values]
    assert run.result().exact == [sum(column) for column in zip(*vectors, strict=True)]


def test_two_panels_serve_one_task_each_under_its_own_key(tmp_path: Path) -> None:
    run = World(tmp_path, panels=("panel", "second panel")).open_task(panels=("panel", "second panel"))
    for person in range(12):
        run.upload(run.report(person, person % 5, panel=person % 2))
    run.finish()
    assert run.result().exact == counts([person % 5 for person in range(12)])
    assert {leaf.panel for leaf in run.leaves(accepted=True)} == {0, 1}


def test_a_second_order_takes_the_next_slot_and_is_served_beside_the_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.open_task()
    first.upload_all([0] * 12)
    second = world.open_task(schedule=SCHEDULE)
    assert second.configuration.panels[0].slot == first.configuration.panels[0].slot + 1
    second.upload_all([1] * 12)
    second.finish()
    assert second.result().exact == counts([1] * 12)
    assert first.entry().batch is not None


def test_a_share_too_large_for_a_transaction_lies_at_both(tmp_path: Path) -> None:
    length = MAX_SEALED_SHARE // 16 + 1
    run = World(tmp_path).open_task(type_of(MeasurementKind.HISTOGRAM, length))
    run.upload_all([person * 50 for person in range(12)])
    run.finish()
    assert run.result().exact == counts([person * 50 for person in range(12)], length)
    for party in Party:
        found = set()
        for node in run.world.nodes.values():
            answer = decode(node.handle(encode(GetShare(task=run.task, party=party))), Answer)
            assert isinstance(answer, SealedShareAnswer)
            found.add(answer.sealed)
        assert len(found) == 1


def test_lists_come_in_parts(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all([1] * 12)
    run.finish()
    node = run.world.nodes["helper"]
    parts = [
        decode(node.handle(encode(GetLists(task=run.task, accepted=accepted, part=part))), Answer)
        for accepted, part in ((True, 0), (False, 0), (True, 1))
    ]
    assert [len(part.leaves) if isinstance(part, ListPart) else part.number for part in parts] == [12, 0, 629]
    assert LEAVES_IN_PART > 12


def secrets_of(run: Run, name: str) -> list[bytes]:
    """What a node holds of a task and must not keep."""
    storage: Storage = run.world.nodes[name]._storage
    held = storage.find_secrets(run.configuration.order, Party(name))
    assert held is not None
    verify_key = storage.find_verify_key(run.task)
    assert verify_key is not None
    return [held.seal_seed, verify_key, *storage.output_shares(run.task)]


def test_keys_and_shares_are_gone_from_the_disk_after_the_result(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    reports = run.upload_all([person % 5 for person in range(12)])
    run.world.tick_to(run.configuration.upload_until + 1)
    run.world.nodes["leader"].step()
    held = {name: secrets_of(run, name) for name in ("leader", "helper")}
    for name, secrets in held.items():
        disk = b"".join(path.read_bytes() for path in tmp_path.glob(f"{name}.sqlite*"))
        assert all(secret in disk for secret in secrets)
    run.finish()
    run.world.tick()
    for name, secrets in held.items():
        disk = b"".join(path.read_bytes() for path in tmp_path.glob(f"{name}.sqlite*"))
        assert not any(secret in disk for secret in secrets)
        assert not any(report[-200:] in disk for report in reports)


def test_nobody_but_the_named_services_serves(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    assert (run.configuration.leader.account, run.configuration.helper.account) == (
        account_of("leader"),
        account_of("helper"),
    )
    for party in Party:
        stored = run.world.nodes[party.value]._storage.find_task(run.task)
        assert stored is not None
        assert stored.party is party


def test_hubs_may_upload_from_many_threads(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    reports = [run.report(person, person % 5) for person in range(40)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(run.upload, reports * 2))
    assert all(isinstance(answer, Receipted) for answer in answers)
    assert answers[:40] == answers[40:]
    run.finish()
    assert run.result().exact == counts([person % 5 for person in range(40)])
