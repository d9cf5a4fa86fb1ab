"""Reports that must not count: refused by the leader, and by the helper as if there were no leader."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from msgspec.structs import replace
from service_world import PERSONS, SLOTS, Run, World, counts, key_of, slot_key, tokens

from edgehold.aggregation.report import make_report
from edgehold.crypto.names import task_id
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    BadPermit,
    BadToken,
    Malformed,
    ReportSeen,
    SlotKeySeen,
    TaskNotOpen,
    TaskNotServed,
    WrongSize,
    WrongTask,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.report import (
    Continued,
    Rejected,
    Report,
    ReportError,
    decode_job,
    decode_job_answer,
    decode_report,
    encode_job,
    encode_report,
)
from edgehold.wire.service import Answer, Failure, FromAggregator, JobRequest, Receipted, Upload
from edgehold.wire.task import TaskConfiguration

PLACES = [person % 5 for person in range(12)]
STRANGER = PERSONS - 1
STRANGERS = cycle(range(45, STRANGER))


def made_for(run: Run, configuration: TaskConfiguration) -> bytes:
    """A stranger's report for a configuration that is not quite the task's."""
    return made(run, configuration=configuration)


def made(run: Run, **changes: object) -> bytes:
    """Another stranger's report each time, with some of its ingredients changed."""
    person = next(STRANGERS)
    ingredients = {
        "configuration": run.configuration,
        "measurement": 1,
        "panel": 0,
        "slot_key": run.key(person),
        "token": run.token(person),
        "randomness": SeededRandomness(person, "stranger"),
    } | changes
    return make_report(ingredients.pop("configuration"), ingredients.pop("measurement"), **ingredients)


def changed(run: Run, change: Callable[[Report], Report]) -> bytes:
    """A stranger's report, changed after it was made."""
    return encode_report(change(decode_report(made(run))))


def other_task(run: Run) -> bytes:
    """A report for a task that differs in nothing but its minimum batch."""
    configuration = replace(run.configuration, least_batch=11)
    assert task_id(configuration) != run.task
    return made_for(run, configuration)


def other_slot(run: Run) -> bytes:
    """The key and token of the same person for another slot of the same panel."""
    slot = (run.configuration.panels[0].slot + 1) % SLOTS
    return made(run, slot_key=slot_key("panel", slot, STRANGER), token=tokens("panel", slot)[STRANGER])


def other_panel(run: Run) -> bytes:
    """The key and token of a person of the task's second panel, under the first panel's name."""
    return made(run, slot_key=run.key(STRANGER, 1), token=run.token(STRANGER, 1))


def two_halves(run: Run) -> bytes:
    """One person's permit on another's shares."""
    theirs = decode_report(run.report(STRANGER - 1, 2))
    return changed(
        run,
        lambda report: replace(
            report,
            metadata=replace(
                report.metadata,
                permit=replace(report.metadata.permit, leader_share=theirs.metadata.permit.leader_share),
            ),
        ),
    )


REFUSED: dict[str, tuple[Callable[[Run], bytes], type[Exception]]] = {
    "of another task": (other_task, BadPermit),
    "of another time": (lambda run: made_for(run, replace(run.configuration, opened_at=3)), WrongTask),
    "with a token of another slot": (other_slot, BadToken),
    "with a token of another panel": (other_panel, BadToken),
    "of a panel the task has not": (lambda run: made(run, panel=3), WrongTask),
    "with a token of nobody": (lambda run: made(run, slot_key=key_of("nobody")), BadToken),
    "with another's shares": (two_halves, BadPermit),
    "one byte short": (lambda run: made(run)[:-1], WrongSize),
    "one byte long": (lambda run: made(run) + b"\x00", WrongSize),
    "that is none": (lambda run: bytes(len(made(run))), Malformed),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A task of two panels with honest reports, in its upload phase."""
    run = World(tmp_path_factory.mktemp("reports"), panels=("panel", "second panel")).open_task(
        panels=("panel", "second panel")
    )
    run.upload_all(PLACES)
    return run


@pytest.mark.parametrize("name", REFUSED)
def test_the_leader_refuses_a_report(run: Run, name: str) -> None:
    make, error = REFUSED[name]
    answer = run.upload(make(run))
    assert isinstance(answer, Failure)
    assert answer.number == error.number, answer


def test_uploads_that_come_together_are_answered_as_if_each_came_alone(tmp_path: Path) -> None:
    world = World(tmp_path, panels=("panel", "second panel"))
    run = world.open_task(panels=("panel", "second panel"))
    honest = [run.report(person, 1) for person in range(12)]
    twice = run.report(3, 2)  # the same slot key as an honest report in the same batch
    bad = [make(run) for make, _ in REFUSED.values()]
    messages = [encode(Upload(task=run.task, report=report)) for report in (*honest, twice, *bad, honest[0])]
    answers = [decode(answer, Answer) for answer in world.nodes["leader"].handle_many(messages)]
    numbers = [answer.number if isinstance(answer, Failure) else 0 for answer in answers]
    assert numbers == [0] * 12 + [SlotKeySeen.number] + [error.number for _, error in REFUSED.values()] + [0]
    assert answers[-1] == answers[0], "the same bytes again get the same receipt"
    for report, answer in zip(honest, answers, strict=False):
        assert run.upload(report) == answer, "a receipt is the same, however it came about"


def test_no_upload_that_came_together_with_others_is_taken_after_its_phase(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    messages = [encode(Upload(task=run.task, report=run.report(person, 1))) for person in range(3)]
    run.world.tick_to(run.configuration.upload_until + 1)
    for answer in run.world.nodes["leader"].handle_many(messages):
        assert decode(answer, Answer).number == TaskNotOpen.number


def test_a_second_report_of_a_slot_key_is_refused_and_the_first_still_has_its_receipt(run: Run) -> None:
    first = run.report(30, 1)
    receipt = run.upload(first)
    assert isinstance(receipt, Receipted)
    second = run.upload(run.report(30, 2))
    assert isinstance(second, Failure)
    assert second.number == SlotKeySeen.number
    assert run.upload(first) == receipt


def test_a_report_id_is_taken_once(run: Run) -> None:
    for person, number in ((31, None), (32, ReportSeen.number)):
        report = made(
            run, slot_key=run.key(person), token=run.token(person), randomness=SeededRandomness(9, "same dice")
        )
        answer = run.upload(report)
        assert (answer.number if isinstance(answer, Failure) else None) == number


def test_only_the_leader_takes_uploads_and_only_of_its_tasks(run: Run) -> None:
    report = run.report(33, 0)
    assert isinstance(answer := run.upload(report, to="helper"), Failure)
    assert answer.number == TaskNotServed.number
    stray = run.world.nodes["leader"].handle(encode(Upload(task=bytes(32), report=report)))
    assert isinstance(answer := decode(stray, Answer), Failure)
    assert answer.number == TaskNotServed.number


def test_any_bytes_are_answered_with_a_typed_failure(run: Run) -> None:
    for message in (b"", b"\x00", b"\x80", bytes(100), encode([1, bytes(32)]), encode([99, 1])):
        answer = decode(run.world.nodes["leader"].handle(message), Answer)
        assert isinstance(answer, Failure)
        assert answer.number == Malformed.number


def test_a_stranger_cannot_speak_as_the_leader(run: Run) -> None:
    body = encode(JobRequest(task=run.task, number=0, job=b"x"))
    forged = FromAggregator(body=body, signature=key_of("stranger").sign(body))
    answer = decode(run.world.nodes["helper"].handle(encode(forged)), Answer)
    assert isinstance(answer, Failure)
    assert answer.number == 621


# ── a leader that checks nothing ──────────────────────────────────────────────────────────────────────────────────


def job_of(run: Run, *reports: bytes) -> bytes:
    """A job with these reports, each with a first message of the right size."""
    leader = run.world.nodes["leader"]._leader(run.task)
    honest = leader._begin([(report[:16], report) for report in reports])
    message = next((init.payload for init, _ in honest.values()), None)
    begun = leader._begin([(run_report[:16], run_report) for run_report in [run.report(40, 0)]])
    filler = message or next(init.payload for init, _ in begun.values())
    inits = []
    for data in reports:
        report = decode_report(data)
        own = honest.get(report.metadata.report)
        template = own[0] if own else next(init for init, _ in begun.values())
        share = replace(
            template.share, metadata=report.metadata, public_share=report.public_share, sealed=report.helper
        )
        inits.append(replace(template, share=share, payload=own[0].payload if own else filler))
    return encode_job(inits)


def answer_of(run: Run, number: int, *reports: bytes) -> list[Continued | Rejected]:
    """What the helper says to a job of these reports."""
    helper = run.world.nodes["helper"]._helper(run.task)
    return decode_job_answer(helper.answer_job(run.world.ledger.height(), number, job_of(run, *reports)))


def test_the_helper_rejects_by_itself_what_the_leader_should_have_refused(tmp_path: Path) -> None:
    run = World(tmp_path, panels=("panel", "second panel")).open_task(panels=("panel", "second panel"))
    broken_seal = changed(
        run, lambda report: replace(report, helper=replace(report.helper, payload=bytes(len(report.helper.payload))))
    )
    good = run.report(0, 1)
    cases = [
        (good, None),
        (run.report(0, 2), ReportError.REPORT_REPLAYED),
        (good, ReportError.INVALID_MESSAGE),
        (other_task(run), ReportError.INVALID_MESSAGE),
        (broken_seal, ReportError.HPKE_DECRYPT_ERROR),
        (other_slot(run), ReportError.INVALID_MESSAGE),
        (other_panel(run), ReportError.INVALID_MESSAGE),
    ]
    for number, (report, error) in enumerate(cases):
        (answer,) = answer_of(run, number, report)
        assert (answer.error if isinstance(answer, Rejected) else None) == error, number
    both = answer_of(run, 100, run.report(5, 1), run.report(5, 2))
    assert [type(answer) for answer in both] == [Continued, Rejected]


def test_the_same_job_gets_the_same_answer_and_another_under_its_number_none(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    helper = run.world.nodes["helper"]._helper(run.task)
    job, other = job_of(run, run.report(0, 1)), job_of(run, run.report(1, 1))
    assert helper.answer_job(0, 0, job) == helper.answer_job(0, 0, job)
    with pytest.raises(Exception, match="was answered for other bytes"):
        helper.answer_job(0, 0, other)
    assert len(decode_job(job)) == 1


def test_a_measurement_out_of_bounds_is_rejected_by_both_without_seeing_it(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    run.upload_all(PLACES)
    wide = replace(run.configuration.measurement, length=6)
    forged = replace(run.configuration, measurement=wide)
    assert isinstance(run.upload(made_for(run, forged)), Failure)
    task = run.finish()
    assert task.batch is not None
    assert run.result().exact == counts(PLACES)


def test_reports_come_only_in_the_upload_phase(tmp_path: Path) -> None:
    run = World(tmp_path).open_task()
    receipt = run.upload(early := run.report(0, 1))
    run.world.tick_to(run.configuration.upload_until + 1)
    late = run.upload(run.report(1, 1))
    assert isinstance(late, Failure)
    assert late.number == TaskNotOpen.number
    assert run.upload(early) == receipt
