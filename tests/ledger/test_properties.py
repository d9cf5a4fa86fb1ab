"""What always holds: any bytes get an answer, credits are conserved, and the same log gives the same state."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from rule_cases import Case, all_cases
from small_world import (
    ACCREDITOR,
    CUSTOMER,
    ENROLLED,
    FUNDS,
    GENESIS,
    HELPER,
    ISSUER,
    LEADER,
    OTHER_ACCREDITOR,
    OTHER_CUSTOMER,
    OTHER_HELPER,
    OTHER_LEADER,
    PANEL,
    REGISTRY,
    TREASURER,
    Actor,
    Story,
    World,
    attestation,
    begin,
    join_of,
    make_world,
    order_of,
    request_of,
)

from edgehold.errors import all_errors
from edgehold.ledger.genesis import initial_state
from edgehold.ledger.state import ENTRY_TYPES, State, get_task
from edgehold.ledger.transition import execute, open_envelope
from edgehold.wire.account import Account, Claim, Transfer, WithdrawAttestation
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection
from edgehold.wire.ids import OrderId, PanelId, TaskId
from edgehold.wire.order import Order, WithdrawOrder
from edgehold.wire.panel import ClosePanel
from edgehold.wire.task import AcceptResult, Party, SettleOrder, SettleTask
from edgehold.wire.tx import Body

CASES = list(all_cases())
YES = [case for case in CASES if case.error is None]
NUMBERS = {error.number for error in all_errors()}
WORLD = make_world()


@given(st.binary(max_size=400))
def test_any_bytes_get_a_number_and_change_nothing(tx: bytes) -> None:
    receipt, writes = execute(WORLD.state, tx)
    assert receipt.number in NUMBERS
    assert writes == {}


@given(st.sampled_from(YES), st.data())
def test_a_changed_transaction_is_refused(case: Case, data: st.DataObject) -> None:
    tx = bytearray(case.tx)
    place = data.draw(st.integers(0, len(tx) - 1))
    tx[place] ^= data.draw(st.integers(1, 255))
    receipt, writes = execute(case.world.state, bytes(tx))
    assert receipt.number in NUMBERS
    assert writes == {}


@given(st.sampled_from(CASES), st.sampled_from(CASES))
def test_a_transaction_of_one_state_gets_an_answer_in_any_other(one: Case, other: Case) -> None:
    receipt, writes = execute(one.world.state, other.tx)
    assert receipt.number in NUMBERS | {0}
    assert bool(writes) is (receipt.number == 0)


@given(st.sampled_from(CASES))
def test_the_same_transaction_on_the_same_state_has_the_same_effect(case: Case) -> None:
    state = case.world.state
    shuffled = dict(sorted(case.world.entries.items(), reverse=True))
    assert execute(state, case.tx) == execute(changed(state, read=shuffled.get), case.tx)


@given(st.sampled_from(YES))
def test_a_rule_writes_only_entries_that_can_be_read_back(case: Case) -> None:
    _, writes = execute(case.world.state, case.tx)
    for key, value in writes.items():
        assert value is not None
        kind = ENTRY_TYPES[Collection(key[0])]
        assert encode(decode(value, kind)) == value


def credits_of(world: World) -> int:
    """All credits there are: in accounts and in escrow."""
    accounts = (decode(value, Account) for key, value in world.entries.items() if key[0] == Collection.ACCOUNT)
    orders = (decode(value, Order) for key, value in world.entries.items() if key[0] == Collection.ORDER)
    return sum(account.credits for account in accounts) + sum(order.escrow for order in orders)


ACTORS = [CUSTOMER, OTHER_CUSTOMER, LEADER, OTHER_LEADER, HELPER, OTHER_HELPER, ISSUER, TREASURER, REGISTRY, ACCREDITOR]
BEGINNING = begin()
BEGINNING.panel = PanelId(BEGINNING.world.do(ISSUER, replace(PANEL, slots=200)))
BEGINNING.world.do(ISSUER, ClosePanel(panel=BEGINNING.panel, enrolled=ENROLLED))


class Histories(RuleBasedStateMachine):
    """Random histories of orders on one network, most of them refused somewhere."""

    actors: ClassVar = st.sampled_from(ACTORS)

    @initialize()
    def start(self) -> None:
        self.story: Story = BEGINNING.copy()
        self.log: list[tuple[int, bytes]] = []
        self.entries = dict(self.story.world.entries)
        self.orders: list[OrderId] = []
        self.tasks: list[TaskId] = []

    def send(self, actor: Actor, body: Body) -> bytes | None:
        """Execute one transaction, whatever becomes of it."""
        world = self.story.world
        tx = world.sign(actor, body)
        before = dict(world.entries)
        receipt = world.run(tx)
        self.log.append((world.height, tx))
        if receipt.number:
            assert world.entries == before
            assert receipt.number in NUMBERS
        return receipt.made

    @rule(heights=st.integers(1, 6))
    def wait(self, heights: int) -> None:
        self.story.world.height += heights

    @rule(payer=actors, payee=actors, amount=st.integers(0, 20_000))
    def pay(self, payer: Actor, payee: Actor, amount: int) -> None:
        self.send(payer, Transfer(to=payee.id, credits=amount))

    @rule(customer=actors, price=st.integers(0, 12_000), memo=st.integers(0, 3))
    def place(self, customer: Actor, price: int, memo: int) -> None:
        order = order_of(self.story.panel, self.story.program, memo=f"memo {memo}", price=price)
        made = self.send(customer, order)
        if made is not None:
            self.orders.append(OrderId(made))  # type: ignore[arg-type]

    @rule(subject=actors, claim=st.sampled_from([Claim.ACCREDITED, Claim.INDEPENDENT]), withdraw=st.booleans())
    def attest(self, subject: Actor, claim: Claim, withdraw: bool) -> None:
        stated = WithdrawAttestation(subject=subject.id, claim=claim) if withdraw else attestation(subject, claim)
        self.send(OTHER_ACCREDITOR, stated)

    @precondition(lambda self: self.orders)
    @rule(actor=actors, data=st.data(), what=st.integers(0, 3))
    def go_on(self, actor: Actor, data: st.DataObject, what: int) -> None:
        order = data.draw(st.sampled_from(self.orders))
        bodies = (WithdrawOrder(order=order), SettleOrder(order=order), request_of(order), join_of(order))
        made = self.send(actor, bodies[what])
        if made is not None:
            self.tasks.append(TaskId(made))  # type: ignore[arg-type]

    @rule(price=st.integers(0, 3_000))
    def make_a_task(self, price: int) -> None:
        memo = f"task {len(self.orders)}"
        made_order = self.send(CUSTOMER, order_of(self.story.panel, self.story.program, memo=memo, price=price))
        if made_order is None:
            return
        order = OrderId(made_order)  # type: ignore[arg-type]
        self.orders.append(order)
        self.send(LEADER, request_of(order))
        self.story.world.height += 2
        for helper in (HELPER, OTHER_HELPER):
            made = self.send(helper, join_of(order))
            if made is not None:
                self.tasks.append(TaskId(made))  # type: ignore[arg-type]

    @precondition(lambda self: self.tasks)
    @rule(
        data=st.data(),
        accepted=st.sampled_from([1, 3, 4, 5]),
        shares=st.sampled_from([0, 1, 2, 2, 2]),
        end=st.integers(0, 3),
    )
    def finish_a_task(self, data: st.DataObject, accepted: int, shares: int, end: int) -> None:
        self.story.task = data.draw(st.sampled_from(self.tasks[-3:]))
        self.story.sealed.clear()
        world = self.story.world
        task = get_task(world.state, self.story.task)
        world.height = max(world.height, task.revoke_until + 1)
        self.send(LEADER, self.story.close_of(self.story.statement(accepted, 5 - accepted)))
        world.height += 2
        if get_task(world.state, self.story.task).batch is not None:
            for party, actor in ((Party.LEADER, LEADER), (Party.HELPER, self.story.partner))[:shares]:
                self.send(actor, self.story.share_of(party, (1, 2, 3, 50 * end)))
        if end == 0:
            self.send(CUSTOMER, AcceptResult(task=self.story.task))
        if end == 1 and len(self.story.sealed) == 2:
            self.send(CUSTOMER, self.story.dispute_of())
        if end == 2:
            world.height = max(world.height, task.accept_until + 1)
        self.send(ISSUER, SettleTask(task=self.story.task))

    @invariant()
    def credits_are_conserved(self) -> None:
        if hasattr(self, "story"):
            assert credits_of(self.story.world) == FUNDS

    @invariant()
    def settled_orders_hold_no_escrow(self) -> None:
        entries = self.story.world.entries if hasattr(self, "story") else {}
        for key, value in entries.items():
            if key[0] == Collection.ORDER:
                order = decode(value, Order)
                over = order.settled_at is not None or order.withdrawn_at is not None
                assert order.escrow == (0 if over else order.descriptor.price)

    def teardown(self) -> None:
        """The log, executed again, gives the same entries."""
        if not hasattr(self, "story"):
            return
        again = self.entries
        for height, tx in self.log:
            world = World(again, height)
            state: State = world.state
            _, writes = execute(state, tx)
            assert open_envelope(tx, state.network.id)
            again.update({key: value for key, value in writes.items() if value is not None})
        assert again == self.story.world.entries


TestHistories = pytest.mark.untraced(Histories.TestCase)
TestHistories.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_whole_beginning_has_the_credits_of_genesis() -> None:
    assert credits_of(World(initial_state(GENESIS))) == FUNDS
    assert credits_of(BEGINNING.world) == FUNDS
