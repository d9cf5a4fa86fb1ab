"""Orders and their escrow: placed, withdrawn, or ended because no task came of them in time."""

from __future__ import annotations

from math import gcd

from msgspec.structs import replace

from edgehold.crypto.names import order_id
from edgehold.errors import (
    BadPurpose,
    BatchBelowFloor,
    BatchOutOfReach,
    InsufficientCredits,
    JoinTooLong,
    NoiseNotReduced,
    NotCustomer,
    NothingDue,
    OrderExists,
    OrderSettled,
    OrderTaken,
    OrderWithdrawn,
    PanelStillOpen,
    PanelUnsuited,
    PurposeUnfit,
    SelfDealing,
)
from edgehold.ledger.draw import LONGEST_JOIN, join_until
from edgehold.ledger.rules.panels import require_sorted
from edgehold.ledger.shares import require_usable
from edgehold.ledger.state import (
    Changes,
    State,
    find_order,
    get_account,
    get_order,
    get_organisation,
    get_panel,
    get_program,
    require_claim,
)
from edgehold.policy.purpose import check_use
from edgehold.wire.account import Account, Claim
from edgehold.wire.ids import AccountId, OrderId, PanelId
from edgehold.wire.order import Order, PlaceOrder, WithdrawOrder
from edgehold.wire.program import PublishProgram
from edgehold.wire.purpose import Purpose
from edgehold.wire.task import SettleOrder


def place_order(state: State, sender: AccountId, tx: PlaceOrder) -> Changes:
    """A customer orders an analysis of closed panels from an accredited leader; the price goes into escrow."""
    customer = get_organisation(state, sender)
    program = get_program(state, tx.program)
    if tx.leader == sender:
        raise SelfDealing(f"{sender.hex()} orders from itself")
    require_claim(state, tx.leader, Claim.ACCREDITED)
    _require_definite(tx.purpose)
    require_usable(tx.seal_key)
    require_sorted("panels", tx.panels)
    _require_disjoint(state, tx.panels)
    reachable = sum(_enrolled(state, panel, program.descriptor) for panel in tx.panels)
    if tx.least_batch < state.parameters.least_batch:
        raise BatchBelowFloor(f"{tx.least_batch} reports; the network's floor is {state.parameters.least_batch}")
    if tx.least_batch > reachable:
        raise BatchOutOfReach(f"{tx.least_batch} reports of {reachable} persons")
    if gcd(tx.sigma_numerator, tx.sigma_denominator) != 1:
        raise NoiseNotReduced(f"{tx.sigma_numerator}/{tx.sigma_denominator} is not in lowest terms")
    if tx.schedule.join > LONGEST_JOIN:
        raise JoinTooLong(f"{tx.schedule.join} heights to join; at most {LONGEST_JOIN}")
    order = order_id(sender, tx)
    if find_order(state, order) is not None:
        raise OrderExists(f"order {order.hex()} is there already")
    if customer.credits < tx.price:
        raise InsufficientCredits(f"{sender.hex()} holds {customer.credits} credits, fewer than {tx.price}")
    placed = Order(
        customer=sender,
        descriptor=tx,
        placed_at=state.height,
        escrow=tx.price,
        withdrawn_at=None,
        requested_at=None,
        leader_seal_key=None,
        leader_noise_commitment=None,
        task=None,
        settled_at=None,
    )
    return Changes(
        accounts={sender: replace(customer, credits=customer.credits - tx.price)},
        orders={order: placed},
        made=order,
    )


def _require_definite(purpose: Purpose) -> None:
    try:
        check_use(purpose)
    except BadPurpose as error:
        # Its own words quote the asker's text, which not every version of Python writes alike; receipts must not.
        terms = len(purpose.undertakes)
        raise PurposeUnfit(
            f"{purpose.permission.name}, {len(purpose.diseases)} diseases, {terms} conditions"
        ) from error


def _require_disjoint(state: State, panels: tuple[PanelId, ...]) -> None:
    """Only the panels of one scheme and period are disjoint; of others, one person could be counted in two."""
    descriptors = [get_panel(state, panel).descriptor for panel in panels]
    schemes = {(descriptor.scheme, descriptor.period) for descriptor in descriptors}
    if len(schemes) > 1:
        raise PanelUnsuited(f"the panels are of {len(schemes)} schemes and periods, and may share persons")


def _enrolled(state: State, panel_id: PanelId, program: PublishProgram) -> int:
    """How many persons a panel brings to a program that it suits."""
    panel = get_panel(state, panel_id)
    if panel.enrolled is None:
        raise PanelStillOpen(f"panel {panel_id.hex()} still enrols")
    if program.schema not in panel.descriptor.schemas or not set(program.kinds) <= set(panel.descriptor.kinds):
        raise PanelUnsuited(f"panel {panel_id.hex()} does not offer {program.schema} of the program's kinds")
    return panel.enrolled


def withdraw_order(state: State, sender: AccountId, tx: WithdrawOrder) -> Changes:
    """The customer takes an order back before a service made a task of it; the escrow returns."""
    order = get_pending_order(state, tx.order)
    if sender != order.customer:
        raise NotCustomer(f"order {tx.order.hex()} belongs to {order.customer.hex()}")
    return Changes(
        orders={tx.order: replace(order, withdrawn_at=state.height, escrow=0)},
        accounts=escrow_back(state, order),
    )


def settle_order(state: State, sender: AccountId, tx: SettleOrder) -> Changes:
    """Anybody ends an order of which no task came in its heights; the escrow returns."""
    order = get_pending_order(state, tx.order)
    due = last_height_for_a_task(order)
    if state.height <= due:
        raise NothingDue(f"order {tx.order.hex()} may become a task until height {due}")
    return Changes(
        orders={tx.order: replace(order, settled_at=state.height, escrow=0)},
        accounts=escrow_back(state, order),
    )


def get_pending_order(state: State, order_id: OrderId) -> Order:
    """An order that may still become a task; raises `UnknownOrder`, `OrderTaken`, `OrderWithdrawn`, `OrderSettled`."""
    order = get_order(state, order_id)
    if order.task is not None:
        raise OrderTaken(f"order {order_id.hex()} became task {order.task.hex()}")
    if order.withdrawn_at is not None:
        raise OrderWithdrawn(f"order {order_id.hex()} was withdrawn at height {order.withdrawn_at}")
    if order.settled_at is not None:
        raise OrderSettled(f"order {order_id.hex()} ended at height {order.settled_at} without a task")
    return order


def last_height_for_a_task(order: Order) -> int:
    """Until when the leader may request, or helpers may join."""
    if order.requested_at is None:
        return order.placed_at + order.descriptor.schedule.request
    return join_until(order.requested_at, order.descriptor.schedule)


def escrow_back(state: State, order: Order) -> dict[AccountId, Account]:
    """The customer's account with the whole escrow returned."""
    customer = get_account(state, order.customer)
    return {order.customer: replace(customer, credits=customer.credits + order.escrow)}
