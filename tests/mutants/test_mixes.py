"""Parts of one task's messages in another's: everybody refuses them, and has the same stored as before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from examples import passes
from forge import forge
from msgspec.structs import replace
from service_world import counts
from two_tasks import (
    PEOPLE,
    TwoTasks,
    mixed_messages,
    mixed_reports,
    mixed_revocations,
    open_two,
    signature_of_another,
)

from edgehold.aggregation import report
from edgehold.crypto.signatures import verify
from edgehold.service import aggregator
from edgehold.verify.certificate import verify_certificate
from edgehold.wire.codec import decode, encode
from edgehold.wire.service import FromAggregator, Request, Upload

if TYPE_CHECKING:
    from conftest import Figures


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoTasks]:
    """Two open tasks of the same people."""
    found = open_two(tmp_path_factory.mktemp("two tasks"))
    yield found
    for node in found.nodes.values():
        node.close()


@pytest.mark.parametrize("turn", [0, 1])
def test_no_mix_of_two_tasks_reports_counts(two: TwoTasks, turn: int, figures: Figures) -> None:
    assert two.counts(turn, next(_whole_reports(two, turn))), "unmixed it would"
    for name, message in mixed_reports(two, turn):
        assert not two.counts(turn, message), name
        figures.add("pairwise mixes refused: reports", 1)


def _whole_reports(two: TwoTasks, turn: int) -> Iterator[bytes]:

    for one in two.reports[turn]:
        yield encode(Upload(task=two.runs[turn].task, report=one))


@pytest.mark.parametrize("name", ["leader", "helper"])
def test_no_mix_of_revocations_revokes(two: TwoTasks, name: str, figures: Figures) -> None:
    before = two.state_of(name)
    for turn in (0, 1):
        with two.undone(name):
            assert not two.refuses(name, encode(two.runs[turn].revocation(0))), "unmixed it would"
        for message in mixed_revocations(two, turn):
            assert two.refuses(name, message)
            figures.add("pairwise mixes refused: revocations", 1)
    assert two.state_of(name) == before


def test_no_mix_of_what_nodes_tell_each_other_is_heard(two: TwoTasks, figures: Figures) -> None:
    """The second task is followed message by message; before each arrives, all its mixes with the first's do."""
    world, first = two.world, two.runs[0]
    first.upload_all([person % 5 for person in range(PEOPLE)])
    world.tick(2)
    heard = {name: [said for said, _ in line.said if _is_between_nodes(said)] for name, line in world.lines.items()}
    two.runs[1].upload_all([person % 5 for person in range(PEOPLE)])
    for name, line in world.lines.items():
        deliver = line.send

        def send(message: bytes, name: str = name, deliver: object = deliver) -> bytes:
            before = two.state_of(name)
            for mix in mixed_messages(heard[name], [message]) if _is_between_nodes(message) else ():
                assert two.refuses(name, mix)
                figures.add("pairwise mixes refused: messages between nodes", 1)
            assert two.state_of(name) == before
            other = "helper" if name == "leader" else "leader"
            if _is_between_nodes(message):
                assert two.refuses(other, message), "nobody takes its own message for the other's"
            return deliver(message)  # type: ignore[operator]

        line.send = send  # type: ignore[method-assign]
    for run in two.runs:
        run.finish()
    assert all(run.result().exact == counts([person % 5 for person in range(PEOPLE)]) for run in two.runs[1:])


def _is_between_nodes(message: bytes) -> bool:
    return isinstance(decode(message, Request), FromAggregator)


def test_no_transaction_holds_under_the_signature_of_another(two: TwoTasks, figures: Figures) -> None:
    ledger = two.world.ledger
    machine, view = ledger._machine, ledger._chain.view()
    log = [transaction for _, transaction, _ in ledger.transactions(1, ledger.height())]
    for one, other in permutations(log, 2):
        request = machine.open(signature_of_another(one, other))
        signer = machine.signer(view, request)
        assert signer is not None
        assert not passes(lambda signer=signer, it=request: verify(signer, it.message, it.signature))
        figures.add("pairwise mixes refused: transactions", 1)


def test_no_part_of_a_certificate_fits_into_another(figures: Figures) -> None:
    found = [forge(reports=reports) for reports in (9, 20)]
    for one, other in permutations(found, 2):
        for name in one.certificate.__struct_fields__:
            part = getattr(other.certificate, name)
            if part != getattr(one.certificate, name):
                mixed = encode(replace(one.certificate, **{name: part}))
                assert not passes(lambda it=mixed, one=one: verify_certificate(it, one.genesis, one.detached)), name
                figures.add("pairwise mixes refused: certificates", 1)


def test_without_the_check_of_permits_and_sealing_a_mix_counts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "encode_share_aad", lambda *_: b"")
    monkeypatch.setattr(aggregator, "verify", lambda *_: None)
    two = open_two(tmp_path_factory.mktemp("trusting"))
    assert any(two.counts(0, message) for _, message in mixed_reports(two, 0))
