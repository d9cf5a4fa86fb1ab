"""Who helps follows from headers that nobody knew."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace as changed

import pytest
from small_world import (
    ACCREDITOR,
    CUSTOMER,
    HELPER,
    LEADER,
    OTHER_ACCREDITOR,
    OTHER_HELPER,
    SCHEDULE,
    Story,
    attestation,
    digest,
    sign_statement,
    story_until,
)

from edgehold.ledger.draw import drawn_helper, eligible_helpers, join_from, join_until
from edgehold.ledger.state import get_order
from edgehold.wire.account import Claim, WithdrawAttestation
from edgehold.wire.task import ReportConflict


def eligible(story: Story) -> set[bytes]:
    state = story.world.state
    return set(eligible_helpers(state, get_order(state, story.order)))


def test_the_draw_holds_for_its_heights_and_then_passes_on() -> None:
    story = story_until("request")
    order = get_order(story.world.state, story.order)
    assert order.requested_at is not None
    drawn = []
    for height in range(join_from(order.requested_at), join_until(order.requested_at, SCHEDULE) + 1):
        story.world.height = height
        drawn.append(drawn_helper(story.world.state, order))
    first, second = drawn[0], drawn[SCHEDULE.join]
    assert {first, second} == {HELPER.id, OTHER_HELPER.id}
    assert drawn == [first] * SCHEDULE.join + [second] * SCHEDULE.join + [None] * 2 * SCHEDULE.join


def test_the_header_decides_evenly() -> None:
    story = story_until("request")
    story.world.height += 2
    order = get_order(story.world.state, story.order)
    draws = Counter(
        drawn_helper(changed(story.world.state, header_hash=lambda height, n=n: digest(f"{n} {height}")), order)
        for n in range(200)
    )
    assert sum(draws.values()) == 200
    assert min(draws[HELPER.id], draws[OTHER_HELPER.id]) > 70


def test_the_leaders_accreditor_names_no_helper() -> None:
    story = story_until("request")
    assert eligible(story) == {HELPER.id, OTHER_HELPER.id}
    story.world.do(OTHER_ACCREDITOR, attestation(LEADER, Claim.VERIFIED))
    assert eligible(story) == set()
    story.world.do(ACCREDITOR, attestation(HELPER, Claim.INDEPENDENT))
    assert eligible(story) == set()


def test_leader_and_customer_are_no_helpers() -> None:
    story = story_until("request")
    for actor in (LEADER, CUSTOMER):
        story.world.do(OTHER_ACCREDITOR, attestation(actor, Claim.INDEPENDENT))
    story.world.do(OTHER_ACCREDITOR, WithdrawAttestation(subject=LEADER.id, claim=Claim.INDEPENDENT))
    story.world.height += 1
    assert eligible(story) == {HELPER.id, OTHER_HELPER.id}


def test_who_is_no_longer_independent_is_not_drawn() -> None:
    story = story_until("request")
    story.world.do(OTHER_ACCREDITOR, WithdrawAttestation(subject=HELPER.id, claim=Claim.INDEPENDENT))
    assert eligible(story) == {HELPER.id, OTHER_HELPER.id}
    story.world.height += 1
    assert eligible(story) == {OTHER_HELPER.id}


def test_who_is_suspended_is_not_drawn() -> None:
    story = story_until("join")
    guilty = story.partner
    conflict = ReportConflict(
        task=story.task,
        accused=guilty.id,
        first=sign_statement(guilty, story.statement(4)),
        second=sign_statement(guilty, story.statement(3)),
    )
    story.world.do(CUSTOMER, conflict)
    assert eligible(story) == {HELPER.id, OTHER_HELPER.id} - {guilty.id}


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_draw_never_depends_on_a_later_header(ahead: int) -> None:
    story = story_until("request")
    story.world.height += 2 + ahead
    asked: list[int] = []

    def header_hash(height: int) -> bytes:
        asked.append(height)
        return digest(f"header {height}")

    order = get_order(story.world.state, story.order)
    drawn_helper(changed(story.world.state, header_hash=header_hash), order)
    assert asked == [(order.requested_at or 0) + 1]
