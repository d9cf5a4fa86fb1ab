"""What follows from a task's end: credits, standings, suspension."""

from __future__ import annotations

from msgspec.structs import replace
from small_world import (
    ACCREDITOR,
    CUSTOMER,
    ISSUER,
    LEADER,
    PARAMETERS,
    TREASURER,
    Actor,
    Story,
    absence,
    attestation,
    credential,
    report_of,
    sign_statement,
    slot_signing_key,
    story_until,
)

from edgehold.ledger.state import get_account, get_configuration, get_order, get_standing, get_task
from edgehold.policy.credibility import is_suspended, score
from edgehold.wire.account import Claim
from edgehold.wire.codec import encode
from edgehold.wire.credibility import EVIDENCE_UNIT, Prior
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import SetParameters
from edgehold.wire.task import AcceptResult, Outcome, Party, ReportConflict, ReportDropped, SettleTask


def credits(story: Story) -> tuple[int, int, int]:
    state = story.world.state
    return tuple(get_account(state, actor.id).credits for actor in (CUSTOMER, LEADER, story.partner))


def outcome(story: Story) -> Outcome | None:
    return get_task(story.world.state, story.task).outcome


def test_an_accepted_result_pays_both_services() -> None:
    story = story_until("post")
    assert credits(story) == (9000, 0, 0)
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    assert credits(story) == (9000, 600, 400)
    assert outcome(story) is Outcome.ACCEPTED
    order = get_order(story.world.state, story.order)
    assert (order.escrow, order.settled_at) == (0, story.world.height)


def test_a_silent_customer_pays_and_nothing_is_counted() -> None:
    story = story_until("post")
    story.world.height += 20
    story.world.do(ISSUER, SettleTask(task=story.task))
    assert credits(story) == (9000, 600, 400)
    assert outcome(story) is Outcome.UNCONTESTED
    standing = get_standing(story.world.state, LEADER.id)
    assert (standing.tasks, standing.acceptances, standing.bad) == (1, 0, 0)


def test_too_few_reports_cost_the_fee_and_blame_nobody() -> None:
    story = story_until("join")
    story.close(accepted=2)
    assert credits(story) == (9900, 60, 40)
    assert outcome(story) is Outcome.TOO_FEW
    assert get_task(story.world.state, story.task).batch is not None
    assert get_standing(story.world.state, LEADER.id).tasks == 0


def test_a_task_that_is_never_closed_marks_both_and_costs_nothing() -> None:
    story = story_until("join")
    story.world.height += 20
    story.world.do(ISSUER, SettleTask(task=story.task))
    assert credits(story) == (10_000, 0, 0)
    assert outcome(story) is Outcome.ABANDONED
    for actor, partner in ((LEADER, story.partner), (story.partner, LEADER)):
        standing = get_standing(story.world.state, actor.id)
        assert [mark.partner for mark in standing.pair_marks] == [partner.id]
        assert standing.bad == 0


def test_a_withheld_share_is_blamed_on_who_withheld_it() -> None:
    story = story_until("close")
    story.world.height += 2
    story.world.do(LEADER, story.share_of(Party.LEADER, (1, 2, 3, 4)))
    story.world.height += 20
    story.world.do(ISSUER, SettleTask(task=story.task))
    assert outcome(story) is Outcome.WITHHELD
    assert credits(story) == (10_000, 0, 0)
    state = story.world.state
    assert get_standing(state, story.partner.id).bad == 5 * EVIDENCE_UNIT
    assert get_standing(state, LEADER.id).bad == 0
    assert not is_suspended(get_standing(state, story.partner.id))


def test_a_garbled_share_suspends_who_posted_it() -> None:
    story = story_until("close")
    story.world.height += 2
    story.world.do(LEADER, story.share_of(Party.LEADER, (1, 2, 3, 4)))
    story.world.do(story.partner, story.sealed_share(Party.HELPER, b"garbage"))
    story.world.do(CUSTOMER, story.dispute_of())
    state = story.world.state
    assert outcome(story) is Outcome.UNUSABLE
    assert credits(story) == (10_000, 0, 0)
    assert get_standing(state, story.partner.id).suspended_at == story.world.height
    assert score(get_standing(state, story.partner.id), Prior.ACCREDITED) == 0
    assert not is_suspended(get_standing(state, LEADER.id))


def test_an_impossible_result_marks_both_alike() -> None:
    story = story_until("close")
    story.post(leader=(1000, 0, 0, 0), helper=(0, 0, 0, 0))
    story.world.do(CUSTOMER, story.dispute_of())
    for actor in (LEADER, story.partner):
        standing = get_standing(story.world.state, actor.id)
        assert len(standing.pair_marks) == 1
        assert standing.bad == 0


def test_a_constant_within_the_range_is_not_detected() -> None:
    """No proof shows it; only audits do."""
    story = story_until("close")
    story.post(leader=(1 + 30, 2, 3, 4), helper=(0, 0, 0, 0))
    receipt = story.world.run(story.world.sign(CUSTOMER, story.dispute_of()))
    assert receipt.number == 283


def acceptances(story: Story) -> tuple[int, int]:
    state = story.world.state
    return tuple(get_standing(state, actor.id).acceptances for actor in (LEADER, story.partner))


def test_an_acceptance_counts_only_between_different_sponsors() -> None:
    story = story_until("post")
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    assert acceptances(story) == (1, 0)  # the helper has the customer's sponsor


def test_an_acceptance_counts_once_a_customer_and_period() -> None:
    story = story_until("post")
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    again(story)
    assert acceptances(story)[0] == 1
    assert get_standing(story.world.state, LEADER.id).tasks == 2


def test_the_next_period_counts_again() -> None:
    story = story_until("post")
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    story.world.height = PARAMETERS.period
    again(story)
    assert acceptances(story)[0] == 2


def again(story: Story) -> None:
    """The same customer orders and accepts once more."""
    story.place(memo="another")
    story.request()
    story.join()
    story.close()
    story.post()
    story.world.do(CUSTOMER, AcceptResult(task=story.task))


def conflict(story: Story, actor: Actor) -> ReportConflict:
    return ReportConflict(
        task=story.task,
        accused=actor.id,
        first=sign_statement(actor, story.statement(4)),
        second=sign_statement(actor, story.statement(3)),
    )


def test_two_signed_statements_suspend_and_attestations_do_not_lift_it() -> None:
    story = story_until("join")
    story.world.do(CUSTOMER, conflict(story, LEADER))
    assert is_suspended(get_standing(story.world.state, LEADER.id))
    story.world.height += PARAMETERS.suspension + 1
    story.world.do(ACCREDITOR, attestation(LEADER, Claim.ACCREDITED))
    assert is_suspended(get_standing(story.world.state, LEADER.id))


def test_faults_during_one_suspension_are_one_strike() -> None:
    story = story_until("close")
    story.world.do(CUSTOMER, conflict(story.copy(), LEADER))
    first = get_standing(story.world.state, LEADER.id)
    for person in (0, 1):
        report = report_of(4_000 + person)
        receipt, signature = story.receipt(person, report)
        dropped = ReportDropped(
            receipt=receipt,
            signature=signature,
            credential=credential(story.panel, person),
            accepted=absence(story.leaves, report),
            rejected=absence(story.rejected, report),
        )
        assert story.world.run(story.world.sign_by_slot(slot_signing_key(person), dropped)).number == 0
    later = get_standing(story.world.state, LEADER.id)
    assert (first.strikes, later.strikes) == (1, 1)
    assert (first.bad, later.bad) == (20 * EVIDENCE_UNIT, 60 * EVIDENCE_UNIT)


def test_a_configuration_keeps_what_was_true_at_join() -> None:
    story = story_until("join")
    before = get_configuration(story.world.state, story.task)
    story.world.do(ACCREDITOR, attestation(LEADER, Claim.ETHICS))
    story.world.decide(SetParameters(parameters=replace(PARAMETERS, helper_share=500)))
    assert get_configuration(story.world.state, story.task) == before


def test_new_parameters_count_for_every_later_transaction() -> None:
    story = story_until("post")
    story.world.decide(SetParameters(parameters=replace(PARAMETERS, helper_share=500)))
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    assert credits(story) == (9000, 500, 500)


def test_a_founder_may_order_and_stands_for_itself() -> None:
    story = story_until("place")
    founder = get_account(story.world.state, TREASURER.id)
    assert founder.sponsor is None
    key = entry_key(Collection.ACCOUNT, CUSTOMER.id)
    customer = get_account(story.world.state, CUSTOMER.id)
    story.world.entries[key] = encode(replace(customer, sponsor=None))
    for step in (story.request, story.join, story.close, story.post):
        step()
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    assert acceptances(story) == (1, 1)
