"""One aggregator by itself: every no it has, and reports whose measurement is not what it claims to be."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from misbehaving import TwoFacedProposals
from msgspec.structs import replace
from service_world import Run, World, account_of, counts, key_of

from edgehold.aggregation.batch import make_lists, make_statement, sign_statement
from edgehold.aggregation.task import input_share_info, prio3_for, vdaf_context
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import input_share_digest, permit_message
from edgehold.crypto.seal import ENCAPSULATED, seal
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    AnswerDiffers,
    BadSignature,
    BatchFixed,
    BatchNotReady,
    BatchTooSmall,
    KeysDestroyed,
    Malformed,
    NothingHere,
    NoVerifyKey,
    TaskNotOpen,
    WrongTask,
)
from edgehold.service.aggregator import Helper, Leader
from edgehold.service.storage import Secrets
from edgehold.wire.batch import Permit, ReportLeaf
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection
from edgehold.wire.ids import ReportId, SlotKey
from edgehold.wire.report import (
    Continued,
    HpkeCiphertext,
    PermitExtension,
    Rejected,
    Report,
    ReportError,
    ReportMetadata,
    VerifyResp,
    decode_job,
    decode_job_answer,
    decode_report,
    encode_input_share,
    encode_job,
    encode_job_answer,
    encode_report,
    encode_share_aad,
)
from edgehold.wire.service import (
    Answer,
    Done,
    Failure,
    FromAggregator,
    GetShare,
    Internal,
    KeepShare,
    KeyDelivery,
    Receipted,
    RejectReports,
)
from edgehold.wire.task import Party

PLACES = [person % 5 for person in range(12)]


def hostile_report(run: Run, person: int, *, leader: int = 0, helper: int = 0, cut: int = 0) -> bytes:
    """A hub's report, permitted and sealed as it should be, over shares in which bytes were changed before."""
    dice = SeededRandomness(person, "hostile hub")
    configuration, vdaf = run.configuration, prio3_for(run.configuration.measurement)
    report = ReportId(dice.draw(16))
    public_share, payloads = vdaf.shard(vdaf_context(run.task), 1, report, dice.draw(vdaf.random_length))
    shares = [
        encode_input_share(bytes([payload[0] ^ change]) + payload[1:])
        for payload, change in zip(payloads, (leader, helper), strict=True)
    ]
    shares = [bytes(cut) + share[cut:] if cut else share for share in shares]
    digests = [input_share_digest(share) for share in shares]
    permit = Permit(run.task, report, *digests)
    metadata = ReportMetadata(
        report=report,
        time=configuration.opened_at,
        permit=PermitExtension(
            permit=run.key(person).sign(permit_message(permit)),
            panel=0,
            slot_key=SlotKey(run.key(person).public),
            token=run.token(person),
            leader_share=digests[0],
            helper_share=digests[1],
        ),
    )
    aad = encode_share_aad(run.task, metadata, public_share)
    keys = (configuration.leader.seal_key, configuration.helper.seal_key)
    sealed = [
        seal(key, input_share_info(party), aad, share, dice)
        for key, party, share in zip(keys, Party, shares, strict=True)
    ]
    parts = [HpkeCiphertext(one[:ENCAPSULATED], one[ENCAPSULATED:]) for one in sealed]
    return encode_report(Report(metadata, public_share, *parts))


def leader_of(run: Run) -> Leader:
    """The leader's aggregator."""
    return run.world.nodes["leader"]._leader(run.task)


def helper_of(run: Run) -> Helper:
    """The helper's aggregator."""
    return run.world.nodes["helper"]._helper(run.task)


def tell(run: Run, name: str, message: Internal, signer: str) -> Answer:
    """Say something to a node as the other aggregator, or as somebody else."""
    body = encode(message)
    signed = FromAggregator(body=body, signature=key_of(signer).sign(tagged_hash("service-message", body)))
    return decode(run.world.nodes[name].handle(encode(signed)), Answer)


@pytest.mark.parametrize("side", ["leader", "helper"])
def test_a_measurement_that_is_none_is_rejected_at_both_without_being_seen(tmp_path: Path, side: str) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    assert isinstance(run.upload(hostile_report(run, 20, **{side: 1})), Receipted)
    assert isinstance(run.upload(hostile_report(run, 21)), Receipted)
    task = run.finish()
    assert task.batch is not None
    assert (task.batch.statement.accepted, task.batch.statement.rejected) == (13, 1)
    for node in ("leader", "helper"):
        assert [leaf.slot_key for leaf in run.leaves(accepted=False, node=node)] == [run.key(20).public]
    assert run.result().exact == counts([*PLACES, 1])


def test_a_share_that_is_none_inside_is_rejected_at_both(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    assert isinstance(run.upload(hostile_report(run, 20, cut=6)), Receipted)
    run.finish()
    assert run.leaves(accepted=False) == run.leaves(accepted=False, node="helper") != []
    assert run.result().exact == counts(PLACES)


class UndoneError(Exception):
    """Takes back what a test tried."""


def undo() -> None:
    """End a transaction without effect."""
    raise UndoneError


def tried(run: Run, request: bytes) -> list[VerifyResp]:
    """What the helper would answer to a job; nothing of it stays."""
    answers: list[VerifyResp] = []
    with suppress(UndoneError), run.world.nodes["helper"]._storage.transaction():
        answers += decode_job_answer(helper_of(run).answer_job(run.world.ledger.height(), 0, request))
        undo()
    return answers


@settings(max_examples=60, deadline=None)
@given(place=some.integers(0, 10_000), change=some.integers(1, 255))
def test_no_mangled_job_stops_the_helper_or_counts_what_was_changed(
    job: tuple[Run, bytes], place: int, change: int
) -> None:
    run, request = job
    assert all(isinstance(answer, Continued) for answer in tried(run, request))
    place %= len(request)
    mangled = request[:place] + bytes([request[place] ^ change]) + request[place + 1 :]
    try:
        answers = tried(run, mangled)
    except Malformed:
        return
    assert [isinstance(answer, Continued) for answer in answers] in ([True, False], [False, True], [False, False])


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, bytes]:
    """A job of two honest reports that the helper has not seen."""
    run = World(tmp_path_factory.mktemp("job")).open_task()
    run.upload_all([1, 2])
    begun = leader_of(run).next_job()
    assert begun is not None
    return run, begun[1]


def test_a_share_that_does_not_open_is_rejected_at_both_with_its_leaf(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    report = run.report(20, 1)
    broken = report[:-400] + bytes([report[-400] ^ 1]) + report[-399:]
    assert isinstance(run.upload(broken), Receipted)
    run.finish()
    assert run.leaves(accepted=False) == run.leaves(accepted=False, node="helper") != []
    assert run.result().exact == counts(PLACES)


def test_a_job_of_reports_of_wrong_sizes_or_times_is_rejected_report_by_report(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all([1, 2])
    begun = leader_of(run).next_job()
    assert begun is not None
    small, early = decode_job(begun[1])
    small = replace(small, share=replace(small.share, public_share=b""))
    early = replace(early, share=replace(early.share, metadata=replace(early.share.metadata, time=1)))
    answers = decode_job_answer(helper_of(run).answer_job(run.world.ledger.height(), 0, encode_job([small, early])))
    assert [type(answer) for answer in answers] == [Rejected, Rejected]


def test_a_node_without_a_way_to_its_helper_says_so(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    node = run.world.nodes["leader"]
    node._peers = {}
    run.world.tick_to(run.configuration.upload_until + 1)
    node.step()
    assert "no way to" in str(node.problem(run.task))
    answer = decode(node.handle(encode(GetShare(run.task, Party.LEADER))), Answer)
    assert isinstance(answer, Failure)
    assert answer.number == NothingHere.number


def test_only_broken_reports_make_no_job(tmp_path: Path) -> None:
    run = World(tmp_path).open_task(least_batch=3)
    report = run.report(0, 1)
    place = len(report) - 300  # inside the leader's sealed share, which comes before the helper's of about 150 bytes
    run.upload(report[:place] + bytes([report[place] ^ 1]) + report[place + 1 :])
    assert leader_of(run).next_job() is None
    assert leader_of(run).next_job() is None
    assert [leaf.report for leaf in leader_of(run).lists().rejected] == [report[:16]]


def test_no_report_is_admitted_before_both_have_the_verification_key(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.lines["helper"].lose_replies = 1
    run = world.open_task()
    assert isinstance(answer := run.upload(run.report(0, 1)), Failure)
    assert answer.number == NoVerifyKey.number
    world.nodes["leader"].step()
    assert isinstance(run.upload(run.report(0, 1)), Receipted)
    deliveries = {message for message, _ in world.lines["helper"].said}
    assert len(deliveries) == 1


def test_a_second_verification_key_is_refused(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    key = seal(run.configuration.helper.seal_key, b"edgehold verify key", run.task, bytes(32), SeededRandomness(1, "x"))
    assert isinstance(answer := tell(run, "helper", KeyDelivery(run.task, key), "leader"), Failure)
    assert answer.number == 623
    assert isinstance(answer := tell(run, "leader", KeyDelivery(run.task, key), "helper"), Failure)
    assert answer.number == 620
    assert isinstance(answer := tell(run, "helper", KeyDelivery(run.task, key), "customer"), Failure)
    assert answer.number == 621
    assert isinstance(answer := tell(run, "leader", RejectReports(run.task, ()), "helper"), Failure)
    assert answer.number == 620
    assert isinstance(answer := tell(run, "leader", KeepShare(run.task, b"nothing"), "helper"), Failure)
    assert answer.number == NothingHere.number


def test_an_answer_that_does_not_fit_the_job_counts_nothing(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    reports = run.upload_all(PLACES)
    leader = leader_of(run)
    begun = leader.next_job()
    assert begun is not None
    number, request = begun
    honest = decode_job_answer(helper_of(run).answer_job(run.world.ledger.height(), 0, request))
    for wrong in (honest[:-1], honest[::-1], [*honest, Rejected(ReportId(bytes(16)), ReportError.REPORT_DROPPED)]):
        with pytest.raises(AnswerDiffers):
            leader.finish_job(number, encode_job_answer(wrong))
    assert leader.lists().accepted == ()
    garbled = [Continued(honest[0].report, b"\x02\x00\x00\x00\x00"), *honest[1:]]
    leader.finish_job(number, encode_job_answer(garbled))
    assert [leaf.report for leaf in leader.lists().rejected] == [reports[0][:16]]


def test_statements_and_lists_have_their_time(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    leader, helper = leader_of(run), helper_of(run)
    first, last = run.configuration.revoke_until, run.configuration.close_until
    with pytest.raises(NothingHere):
        leader.list_part(accepted=True, part=0)
    for height in (first - 1, last):
        with pytest.raises(BatchNotReady):
            leader.sign(0, height)
    signed = leader.sign(0, first)
    assert leader.sign(0, last + 9) == signed
    with pytest.raises(BatchFixed):
        helper.answer_proposal(first, sign_statement(key_of("leader"), replace(signed.statement, round=1)))
    with pytest.raises(BadSignature):
        helper.answer_proposal(first, sign_statement(key_of("customer"), signed.statement))
    with pytest.raises(AnswerDiffers):
        helper.check_statement(signed, 1)
    with pytest.raises(AnswerDiffers):
        helper.keep_statement(signed)
    with pytest.raises(AnswerDiffers):
        leader.intersect(make_lists([], []))
    assert helper.answer_proposal(first, signed).statement.accepted == 0
    with pytest.raises(BatchFixed):
        helper.answer_job(first, 5, b"")
    with pytest.raises(TaskNotOpen):
        helper.answer_job(last + 1, 6, b"")
    assert isinstance(answer := run.revoke(0, "leader")[0], Failure)
    assert answer.number == BatchFixed.number


def test_agreed_lists_are_fixed(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    run.finish()
    leaf = run.leaves(accepted=True)[0]
    for node in (leader_of(run), helper_of(run)):
        with pytest.raises(BatchFixed):
            node.reject_leaves([leaf], told=True)


def test_leaves_and_revocations_of_panels_the_task_has_not_are_refused(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    leaf = replace(some_leaf(run), panel=2)
    with pytest.raises(WrongTask):
        helper_of(run).reject_leaves([leaf], told=True)
    assert helper_of(run).lists() == make_lists([], [])
    with pytest.raises(WrongTask):
        helper_of(run).take_revocation(0, replace(run.revocation(0), panel=2))
    with pytest.raises(BadSignature):
        helper_of(run).take_revocation(0, replace(run.revocation(0), signature=bytes(64)))


def some_leaf(run: Run) -> ReportLeaf:
    """The leaf of an honest report."""
    return decode_report(run.report(0, 1)).metadata.leaf()


def test_nothing_is_released_below_the_minimum_even_if_the_ledger_let_it(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    statement = make_statement(run.task, 0, make_lists([], []))
    with pytest.raises(BatchTooSmall):
        leader_of(run).make_share(statement, bytes(32))


def test_the_helper_shows_the_ledger_two_statements_of_its_leader(tmp_path: Path) -> None:
    run = World(tmp_path, leader_kind=TwoFacedProposals).open_task()
    run.upload_all(PLACES)
    run.finish()
    standing = run.world.read(Standing, Collection.STANDING, account_of("leader"))
    assert standing is not None
    assert standing.suspended_at is not None
    assert run.result().exact == counts(PLACES)


def test_secrets_do_not_show_when_printed() -> None:
    assert repr(Secrets(b"seed", b"noise")) == "Secrets(…)"


def test_a_destroyed_task_opens_and_draws_nothing(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    reports = run.upload_all(PLACES)
    run.finish()
    leader = leader_of(run)
    report = decode_report(reports[0])
    with pytest.raises(KeysDestroyed):
        leader.input_share(report.metadata, report.public_share, report.leader)
    with pytest.raises(KeysDestroyed):
        leader.noised_share(bytes(32))
    assert isinstance(run.upload(reports[0]), Receipted)


def test_done_is_the_answer_to_what_needs_none(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    assert run.revoke(0, "leader", "leader", "helper") == [Done()] * 3
