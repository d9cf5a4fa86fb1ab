"""Who helps: the draw of the second aggregator by headers that did not exist when the leader took the order on."""

from __future__ import annotations

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import order_id
from edgehold.errors import HeaderForgotten, JoinTooEarly, JoinTooLate, NotRequested
from edgehold.ledger.state import State, get_aggregators, get_standing, live_attestations
from edgehold.policy.credibility import is_suspended
from edgehold.wire.account import Claim
from edgehold.wire.ids import AccountId
from edgehold.wire.order import Order, Schedule

DRAWS = 4
"""So many helpers are drawn for an order, one after the other, each with `schedule.join` heights to join."""

KEPT_HEADERS = 1000
"""Engines keep the hashes of so many headers below the block being made."""

LONGEST_JOIN = (KEPT_HEADERS - 2) // DRAWS
"""Heights; with more, the first draw's header could be forgotten before the last draw ends."""


def join_from(requested_at: int) -> int:
    """The first height at which a helper may join: the first header after the request is known there."""
    return requested_at + 2


def join_until(requested_at: int, schedule: Schedule) -> int:
    """The last height at which a helper may join."""
    return requested_at + 1 + DRAWS * schedule.join


def drawn_helper(state: State, order: Order) -> AccountId | None:
    """The service that may join at the state's height, or none if nobody eligible is left.

    1. After a request at height h, draw k (k = 0, 1, 2, 3) holds from h + 2 + k·join for `join` heights, and is made by
       the header of height h + 1 + k·join.
    2. Of the eligible services not drawn before, the one with the lowest
       tagged_hash("helper-draw", header hash ‖ order ‖ service) is drawn.

    Raises `NotRequested`, `JoinTooEarly`, `JoinTooLate`, `HeaderForgotten`.
    """
    if order.requested_at is None:
        raise NotRequested("the leader has not requested this order's task")
    first, last = join_from(order.requested_at), join_until(order.requested_at, order.descriptor.schedule)
    if state.height < first:
        raise JoinTooEarly(f"helpers join from height {first} on")
    if state.height > last:
        raise JoinTooLate(f"helpers joined until height {last}")
    name = order_id(order.customer, order.descriptor)
    remaining = eligible_helpers(state, order)
    for header in range(first - 1, state.height, order.descriptor.schedule.join):
        header_hash = state.header_hash(header)
        if header_hash is None:
            raise HeaderForgotten(f"the header of height {header} is not kept at height {state.height}")
        if not remaining:
            return None
        lot = {tagged_hash("helper-draw", header_hash + name + service): service for service in remaining}
        drawn = lot[min(lot)]
        remaining.remove(drawn)
    return drawn


def eligible_helpers(state: State, order: Order) -> list[AccountId]:
    """The independent aggregators that may help with an order, sorted.

    Each is attested as independent by an accreditor that attests nothing of the leader, is not suspended, and is
    neither leader nor customer.
    """
    parties = {order.customer, order.descriptor.leader}
    leaders = {attestation.attestor for attestation in live_attestations(state, order.descriptor.leader)}
    return [
        service
        for service in get_aggregators(state)
        if service not in parties
        and not is_suspended(get_standing(state, service))
        and any(one.attestor not in leaders for one in live_attestations(state, service, Claim.INDEPENDENT))
    ]
