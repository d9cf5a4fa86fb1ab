"""Where an order's escrow goes when its task ends."""

from __future__ import annotations

from msgspec.structs import replace

from edgehold.ledger.state import Changes, State, get_account, get_order
from edgehold.wire.ids import AccountId
from edgehold.wire.task import Task

ALL = 1000
"""Per mille of the escrow."""


def pay(state: State, task: Task, per_mille: int) -> Changes:
    """Both services get their shares of so much of the escrow (rounded down), the customer the rest."""
    order = get_order(state, task.order)
    paid = order.escrow * per_mille // ALL
    helper = paid * state.parameters.helper_share // ALL
    amounts: dict[AccountId, int] = {
        order.customer: order.escrow - paid,
        task.leader: paid - helper,
        task.helper: helper,
    }
    accounts = {party: get_account(state, party) for party in amounts}
    return Changes(
        accounts={
            party: replace(accounts[party], credits=accounts[party].credits + amount)
            for party, amount in amounts.items()
            if amount
        },
        orders={task.order: replace(order, escrow=0, settled_at=state.height)},
    )
