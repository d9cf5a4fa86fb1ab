"""The hub as an actor: a task from the feed to the receipt and the batch, and everything that stops it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import apsw
import pytest
from hub_world import OPEN, SCHEDULE, World, account_of, bundle
from msgspec.structs import replace

from edgehold.errors import (
    LedgerBehind,
    NoService,
    NotAnAdult,
    NotAsked,
    NothingSent,
    PanelNotOpen,
    TooLate,
    UnknownTask,
)
from edgehold.hub.hub import STORE_FILE, Hub
from edgehold.hub.journal import RunState
from edgehold.ledger.state import find_revocation, find_root, get_configuration
from edgehold.policy.decide import Reason, replay
from edgehold.policy.policy import LeastCredibility, Mode, Policy
from edgehold.sandbox.manifest import parse_manifest
from edgehold.sandbox.program import Program, make_program
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, PanelId, Signature, SlotKey, TaskId
from edgehold.wire.service import Answer, Done, ListPart, Receipted, Request, Upload
from edgehold.wire.task import SettleTask, TaskConfiguration

PERSONS = ("ada", "bea", "cleo")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network."""
    return World(tmp_path)


def enrolled(world: World, *persons: str) -> tuple[list[Hub], PanelId]:
    """Hubs of these persons, all in one closed panel."""
    hubs = [world.admit(person) for person in persons]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    return hubs, panel


def program_of(source: str, kind: str = "count") -> Program:
    """A program of the test's own, counting."""
    manifest = f"""
name = "probe"
title = "Counts people who satisfy the test."
reads = "edgehold.events/1"
kinds = ["ehr"]
sensitivity = "aggregate"
[measurement]
kind = "{kind}"
labels = ["yes"]
"""
    return make_program(source.encode(), parse_manifest(manifest.encode(), "probe.toml"))


FAILING = program_of("def main(person):\n    raise ValueError('the data: ' + str(len(person.events)))\n")


def uploads(world: World) -> list[Upload]:
    """What the leader was sent by hubs."""
    asked = [decode(message, Request) for message in world.lines["leader"].received]
    return [one for one in asked if isinstance(one, Upload)]


def only_run(hub: Hub) -> tuple[RunState, str]:
    """State and log of the one task that a hub decided on."""
    (line,) = hub.history()
    return line.state, line.log


# ── yes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_three_hubs_answer_a_task_and_find_themselves_in_the_batch(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    task = world.open_task(panel)
    while any(line.state is not RunState.SENT for hub in hubs for line in hub.history()) or not hubs[0].history():
        world.tick(*hubs)
    for hub in hubs:
        (line,) = hub.history()
        assert (line.task, line.state, line.log) == (task, RunState.SENT, "")
        assert line.loss == Fraction(4, 9)
        assert line.sentence.startswith("Granted. Customer ")
        assert line.receipt is not None
        assert line.receipt.receipt.task == task
        assert hub.budget().left(0) == 10 - Fraction(4, 9)
        assert hub.check_batch(task) is None
    world.tick(*hubs, count=9)
    for hub in hubs:
        check = hub.check_batch(task)
        assert check is not None
        assert (check.included, check.evidence) == (True, None)
        assert hub.history()[0].included is True
        hub.check_batch(task)
        assert [hub._journal.experience(account_of(name)) for name in ("leader", "helper")] == [(1, 0), (1, 0)]


def test_reports_have_one_size_and_leave_at_the_height_that_was_drawn(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    sent: dict[int, int] = {}
    for _ in range(6):
        before = len(uploads(world))
        height = world.ledger.height()
        world.tick(*hubs)
        if len(uploads(world)) > before:
            sent[height] = len(uploads(world)) - before
    runs = [hub._journal.runs(RunState.SENT)[0] for hub in hubs]
    assert {len(upload.report) for upload in uploads(world)} == {len(runs[0].report or b"")}
    for run in runs:
        assert run.sent_at == run.upload_at
        assert run.configuration.opened_at < run.upload_at <= run.configuration.upload_until
    assert sum(sent.values()) == 3


def test_decision_records_replay_bit_for_bit(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.tick(*hubs, count=2)
    for hub in hubs:
        (run,) = hub._journal.runs(*RunState)
        assert replay(run.record) == run.record.decision
        assert run.record.question.height <= world.ledger.height()


def test_following_again_changes_nothing(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.tick(*hubs, count=6)
    before = [hub.history() for hub in hubs]
    for hub in hubs:
        hub._followed = 0
        hub.follow()
    assert [hub.history() for hub in hubs] == before
    assert len(uploads(world)) == 3


# ── no ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (replace(OPEN, mode=Mode.NEVER), Reason.NEVER),
        (replace(OPEN, kinds=()), Reason.KIND),
        (replace(OPEN, uses=()), Reason.PURPOSE),
        (replace(OPEN, least_batch=4), Reason.BATCH),
        (replace(OPEN, trusted=(account_of("issuer"),)), Reason.TRUST),
        (replace(OPEN, least_credibility=LeastCredibility(900_000, 900_000, 900_000)), Reason.CREDIBILITY),
        (replace(OPEN, loss_per_order="1/10"), Reason.LOSS),
        (replace(OPEN, loss_per_year="1/10"), Reason.BUDGET),
    ],
)
def test_a_refusal_is_silence_with_a_reason_for_the_owner(world: World, policy: Policy, reason: Reason) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.set_policy(policy)
    world.open_task(panel)
    world.tick(hub, count=6)
    (line,) = hub.history()
    assert line.state is RunState.REFUSED
    assert line.sentence.startswith("Refused. ")
    assert (line.bytes_left, line.loss, line.receipt) == (0, 0, None)
    (run,) = hub._journal.runs(RunState.REFUSED)
    assert getattr(run.record.decision, "reason", None) is reason
    assert uploads(world) == []


def test_the_budget_is_spent_once_and_then_refused(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.set_policy(replace(OPEN, loss_per_year="4/9"))
    world.open_task(panel)
    world.tick(hub, count=6)
    world.open_task(panel)
    world.tick(hub, count=6)
    assert [line.state for line in hub.history()] == [RunState.SENT, RunState.REFUSED]
    assert hub.budget().left(0) == 0


def test_a_hub_outside_the_sample_keeps_no_trace(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    task = world.open_task(panel, sampling=1)
    world.tick(*hubs, count=6)
    assert [hub.keys.is_sampled(task, 1) for hub in hubs] == [False] * 3
    assert [hub.history() for hub in hubs] == [[], [], []]


def test_tasks_of_other_panels_are_not_looked_at(world: World) -> None:
    _, panel = enrolled(world, *PERSONS)
    stranger = world.admit("dora")
    stranger._journal.add_panel(PanelId(Digest(bytes(32))), [])
    world.open_task(panel)
    world.tick(stranger, count=6)
    assert stranger.history() == []


def test_a_hub_that_was_off_line_for_the_whole_phase_stays_silent(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.tick(count=8)
    world.tick(hub, count=2)
    assert hub.history() == []


def test_a_minors_policy_is_never(world: World) -> None:
    hub = world.new_hub("kid", minor=True)
    assert hub.policy.mode is Mode.NEVER
    with pytest.raises(NotAnAdult):
        hub.set_policy(OPEN)
    hub.set_policy(replace(OPEN, mode=Mode.NEVER))


# ── the owner is asked ────────────────────────────────────────────────────────────────────────────────────────────


def asking(world: World) -> tuple[Hub, TaskId]:
    """A hub whose owner is asked about a task."""
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.set_policy(replace(OPEN, mode=Mode.ASK))
    task = world.open_task(panel)
    world.tick(hub)
    assert [run.task for run in hub.inbox()] == [task]
    return hub, task


def test_a_yes_lets_the_report_leave(world: World) -> None:
    hub, task = asking(world)
    hub.answer(task, yes=True)
    world.tick(hub, count=4)
    assert only_run(hub) == (RunState.SENT, "")
    assert hub.inbox() == []


def test_a_no_lets_nothing_leave(world: World) -> None:
    hub, task = asking(world)
    hub.answer(task, yes=False)
    world.tick(hub, count=6)
    assert only_run(hub) == (RunState.DECLINED, "")
    assert uploads(world) == []
    with pytest.raises(NotAsked):
        hub.answer(task, yes=True)


def test_a_yes_is_decided_by_the_policy_of_now(world: World) -> None:
    hub, task = asking(world)
    hub.set_policy(replace(OPEN, mode=Mode.ASK, least_batch=100))
    hub.answer(task, yes=True)
    assert only_run(hub)[0] is RunState.REFUSED


def test_a_yes_after_the_phase_is_too_late(world: World) -> None:
    hub, task = asking(world)
    world.tick(hub, count=8)
    with pytest.raises(TooLate):
        hub.answer(task, yes=True)
    assert only_run(hub)[0] is RunState.DECLINED


def test_a_yes_after_leaving_the_panel_is_none(world: World) -> None:
    hub, task = asking(world)
    hub._journal.leave_panels(world.ledger.height())
    with pytest.raises(NotAsked):
        hub.answer(task, yes=True)


def test_nobody_answers_what_was_not_asked(world: World) -> None:
    with pytest.raises(NotAsked):
        world.admit("ada").answer(TaskId(Digest(bytes(32))), yes=True)


# ── whatever goes wrong in a run is neutral ───────────────────────────────────────────────────────────────────────


def neutral_report(world: World, hub: Hub, panel: PanelId, program: Program | str = "bmi") -> str:
    """Let a hub answer; check that a report of the usual size left, was debited, and return the owner's log."""
    world.open_task(panel, program)
    world.tick(hub, count=6)
    (line,) = hub.history()
    (run,) = hub._journal.runs(RunState.SENT)
    assert line.bytes_left == len(uploads(world)[0].report) > 0
    assert line.loss > 0
    assert run.sent_at == run.upload_at
    return line.log


def test_a_failing_program_gives_a_neutral_report(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    log = neutral_report(world, hub, panel, FAILING)
    assert "the data: " in log


def test_a_missing_source_gives_a_neutral_report(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.order(panel)
    world.sources.clear()
    world.tick(hub, count=10)
    assert "could not be had" in only_run(hub)[1]
    assert only_run(hub)[0] is RunState.SENT


def test_no_data_give_a_neutral_report(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.erase()
    assert "holds no dataset" in neutral_report(world, hub, panel)


def test_an_altered_chunk_gives_a_neutral_report(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    database = apsw.Connection(str(world.folder / "ada" / STORE_FILE))
    (name, data), *_ = database.execute("SELECT place, data FROM chunk").fetchall()
    database.execute("UPDATE chunk SET data = ? WHERE place = ?", (data[:-1] + bytes([data[-1] ^ 1]), name))
    assert "was altered" in neutral_report(world, hub, panel)


def test_unsigned_data_give_a_neutral_report_where_the_grade_is_signed(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.erase()
    world.tick(count=5)
    (world.folder / "ada" / "record.json.jws").unlink()
    world.take_home(hub, "ada", bundle("ada"), None)
    assert "without an issuer's signature" in neutral_report(world, hub, panel)


def test_data_that_were_not_committed_give_a_neutral_report(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    path = world.folder / "ada" / "later.json"
    path.write_bytes(bundle("ada", bmi=31.0) + b" " * 200)
    hub.import_file(path)
    assert "is not under root" in neutral_report(world, hub, panel)


@pytest.mark.parametrize("bmi", [29.5, 30.5])
def test_a_failure_that_depends_on_one_bit_changes_nothing_that_leaves(tmp_path: Path, bmi: float) -> None:
    program = program_of(
        "def main(person):\n"
        "    latest = person.events.latest('LOINC//39156-5', unit='kg/m2')\n"
        "    if int(latest.value) & 1:\n"
        "        raise ValueError\n"
        "    return 1\n"
    )
    left = []
    for number, value in enumerate((bmi, bmi + 1)):
        (tmp_path / str(number)).mkdir()
        world = World(tmp_path / str(number))
        hub = world.admit("ada", bmi=value)
        others = [world.admit(person) for person in PERSONS[1:]]
        panel = world.panel(slots=1)
        for one in (hub, *others):
            one.enrol(world.desk, panel)
        world.close_panel(panel)
        world.open_task(panel, program)
        messages = []
        for _ in range(6):
            before = len(uploads(world))
            world.tick(hub)
            messages.append([len(upload.report) for upload in uploads(world)[before:]])
        left.append((messages, hub.history()[0].loss, hub.history()[0].log != ""))
    assert left[0][:2] == left[1][:2]
    assert left[0][2] != left[1][2]


# ── the way to the leader ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_reply_is_answered_with_the_same_bytes(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.lines["leader"].lose_replies = 1
    run = None
    for _ in range(6):
        world.tick(hub)
        run = run or next(iter(hub._journal.runs(RunState.STORED)), None)
    sent = uploads(world)
    if run is not None and run.upload_at < run.configuration.upload_until:
        assert len(sent) == 2
        assert only_run(hub)[0] is RunState.SENT
    assert len({upload.report for upload in sent}) == 1


def test_an_unreachable_leader_gets_nothing_and_the_budget_stays_spent(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.lines["leader"].cut = True
    for _ in range(8):
        hub.follow()
        world.ledger.advance()
    assert only_run(hub)[0] is RunState.MISSED
    assert hub.history()[0].loss == Fraction(4, 9) == 10 - hub.budget().left(0)


@pytest.mark.parametrize("answer", [b"", b"\x81\x00", b"\x84\x09\x01\x60\x58\x20" + bytes(32)])
def test_an_answer_that_is_no_receipt_is_none(world: World, answer: bytes) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.lines["leader"].answer = lambda message: answer
    for _ in range(8):
        hub.follow()
        world.ledger.advance()
    assert only_run(hub)[0] is RunState.MISSED


@pytest.mark.parametrize("wrong", ["report", "signature"])
def test_a_receipt_for_another_report_or_by_another_key_is_none(world: World, wrong: str) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    honest = world.lines["leader"].answer

    def lying(message: bytes) -> bytes:
        answer = decode(honest(message), Answer)
        if isinstance(answer, Receipted) and wrong == "report":
            answer = replace(answer, receipt=replace(answer.receipt, digest=Digest(bytes(32))))
        elif isinstance(answer, Receipted):
            answer = replace(answer, signature=Signature(bytes(64)))
        return encode(answer)

    world.lines["leader"].answer = lying  # type: ignore[method-assign]
    world.tick(hub, count=8)
    assert only_run(hub)[0] is RunState.MISSED
    assert hub.history()[0].receipt is None


# ── afterwards ────────────────────────────────────────────────────────────────────────────────────────────────────


def all_sent(world: World) -> tuple[list[Hub], TaskId]:
    """Three hubs whose reports were receipted; revocation is still possible."""
    hubs, panel = enrolled(world, *PERSONS)
    task = world.open_task(panel, least_batch=3)
    until = proved_task(world, task).upload_until
    while world.ledger.height() <= until:
        for hub in hubs:
            hub.follow()
        for name in ("leader", "helper"):
            world.nodes[name].step()
        world.ledger.advance()
    assert [hub.history()[0].state for hub in hubs] == [RunState.SENT] * 3
    return hubs, task


def proved_task(world: World, task: TaskId) -> TaskConfiguration:
    """The configuration of a task."""
    return get_configuration(proved_state(world.ledger, ProofCache())[0], task)


def test_a_revocation_is_told_to_both_services(world: World) -> None:
    hubs, task = all_sent(world)
    assert hubs[0].revoke(task) is None
    assert hubs[0].history()[0].revoked_at == world.ledger.height()
    world.tick(*hubs, count=SCHEDULE.revoke + SCHEDULE.close + 2)
    check = hubs[1].check_batch(task)
    assert check is not None


def test_if_a_service_does_not_answer_the_ledger_is_told(world: World) -> None:
    hubs, task = all_sent(world)
    world.lines["helper"].cut = True
    envelope = hubs[0].revoke(task)
    assert envelope is not None
    world.settle(envelope)
    state, _ = proved_state(world.ledger, ProofCache())
    key = SlotKey(hubs[0]._slot_key(hubs[0]._journal.run(task)).public)
    assert find_revocation(state, task, key) is not None


def test_what_is_released_cannot_be_revoked(world: World) -> None:
    hubs, task = all_sent(world)
    world.tick(*hubs, count=4)
    with pytest.raises(TooLate, match="contains"):
        hubs[0].revoke(task)


def test_what_was_never_sent_cannot_be_revoked_or_checked(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    hub.set_policy(replace(OPEN, mode=Mode.NEVER))
    task = world.open_task(panel)
    world.tick(hub)
    for ask in (hub.revoke, hub.check_batch):
        with pytest.raises(NothingSent):
            ask(task)
        with pytest.raises(NothingSent):
            ask(TaskId(Digest(bytes(32))))


def test_a_hub_that_withdrew_is_missing_from_the_next_task(world: World) -> None:
    hubs, panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    hubs[0].follow()
    assert [line.state for line in hubs[0].history()] == [RunState.STORED]
    hubs[0].withdraw()
    world.tick(*hubs, count=6)
    assert only_run(hubs[0])[0] is RunState.MISSED
    assert hubs[0].panels() == []
    world.open_task(panel)
    world.tick(*hubs, count=6)
    assert len(hubs[0].history()) == 1
    assert len(uploads(world)) == 4


def closed(world: World) -> tuple[list[Hub], TaskId]:
    """Three hubs whose batch is closed."""
    hubs, task = all_sent(world)
    world.tick(*hubs, count=SCHEDULE.revoke + SCHEDULE.close)
    return hubs, task


def test_the_helper_gives_the_lists_where_the_leader_does_not(world: World) -> None:
    hubs, task = closed(world)
    world.lines["leader"].cut = True
    check = hubs[0].check_batch(task)
    assert check is not None
    assert check.included


@pytest.mark.parametrize(
    "answer", [encode(ListPart(parts=1, leaves=())), encode(ListPart(parts=0, leaves=())), encode(Done()), b""]
)
def test_lists_that_are_not_the_signed_ones_prove_nothing(world: World, answer: bytes) -> None:
    hubs, task = closed(world)
    for name in ("leader", "helper"):
        world.lines[name].answer = lambda message: answer  # type: ignore[method-assign]
    with pytest.raises(NoService):
        hubs[0].check_batch(task)
    assert hubs[0].history()[0].included is None


def test_a_batch_that_is_too_small_counts_nobody(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    task = world.open_task(panel)
    world.tick(hub, count=20)
    check = hub.check_batch(task)
    assert check is not None
    assert (check.included, check.evidence) == (False, None)
    assert hub.history()[0].loss == Fraction(4, 9)


def test_a_task_that_ended_without_a_batch_counts_nobody(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    task = world.open_task(panel)
    world.tick(hub, count=5)
    world.ledger.advance(20)
    world.do("customer", SettleTask(task=task))
    check = hub.check_batch(task)
    assert check is not None
    assert (check.included, check.evidence) == (False, None)
    assert hub.history()[0].loss == Fraction(4, 9)


def test_a_hub_is_closed_and_used_again(world: World) -> None:
    with world.admit("ada") as hub:
        assert len(hub.store.objects()) == 1
    assert len(hub.store.objects()) == 1
    assert hub.policy == OPEN
    hub.close()
    with world.open_hub("ada") as again:
        assert again.account == hub.account


# ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_root_is_posted_in_every_interval_changed_or_not(world: World) -> None:
    hub = world.admit("ada")
    intervals, roots = set(), set()
    for _ in range(12):
        hub.commit()
        assert hub.commit() is None
        world.ledger.advance()
        root = find_root(proved_state(world.ledger, ProofCache())[0], hub.account)
        assert root is not None
        intervals.add(root.at // 5)
        roots.add(root.root)
        assert root.posted == len(roots)
    assert len(roots) == len(intervals) == max(intervals) - min(intervals) + 1 >= 3


def test_a_ledger_that_forgot_is_not_believed(world: World) -> None:
    (hub, *_), panel = enrolled(world, *PERSONS)
    world.open_task(panel)
    world.tick(hub)
    hub._journal.set_height("last seen height", 10_000)
    with pytest.raises(LedgerBehind, match="10000"):
        hub.commit()
    hub._journal.set_height("last seen height", proved_state(world.ledger, ProofCache())[0].height)
    hub._journal.set_fact("last seen header", bytes(32))
    with pytest.raises(LedgerBehind, match="another"):
        hub.commit()


def test_a_task_that_the_ledger_does_not_prove_is_not_answered(world: World) -> None:
    (hub, *_), _panel = enrolled(world, *PERSONS)
    hub.follow()
    hub._outside.feed.tasks.append((world.ledger.height() + 1, TaskId(Digest(bytes(32)))))
    with pytest.raises(UnknownTask):
        hub.follow()
    assert hub.history() == []


def test_a_slot_without_token_is_an_error_of_its_own(world: World) -> None:
    with pytest.raises(PanelNotOpen):
        world.admit("ada")._journal.token(PanelId(Digest(bytes(32))), 0)
