"""One order from its placing to its end."""

from __future__ import annotations

from small_world import CUSTOMER, LEADER, story_until

from edgehold.crypto.names import task_id
from edgehold.ledger.state import get_account, get_configuration, get_order, get_task
from edgehold.wire.task import AcceptResult, Outcome


def test_an_accepted_result_pays_both_services() -> None:
    story = story_until("post")
    story.world.do(CUSTOMER, AcceptResult(task=story.task))
    state = story.world.state
    assert get_task(state, story.task).outcome is Outcome.ACCEPTED
    assert get_order(state, story.order).settled_at == state.height
    assert get_account(state, LEADER.id).credits == 600
    assert get_account(state, story.partner.id).credits == 400
    assert task_id(get_configuration(state, story.task)) == story.task
