"""An order as its customer lives it: placed, verified, accepted; or ended some other way, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from market import (
    PLACES,
    Killed,
    Liar,
    Market,
    Odd,
    Wire,
    credits_of,
    noise_of,
    standing_of,
    status_of,
)
from misbehaving import GarblingNode, HoardingNode, WithholdingNode
from msgspec.structs import replace
from service_world import Run, account_of, counts, digest, key_of

from edgehold.crypto.transactions import sign_transaction
from edgehold.customer.orders import OrderStatus
from edgehold.errors import BadCertificate, Malformed, NotAccreditor, NotFound, WrongNetwork
from edgehold.ledger.transition import open_envelope
from edgehold.verify.certificate import verify_certificate
from edgehold.wire.account import Attest, Claim, Transfer, WithdrawAttestation
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import NetworkId, OrderId
from edgehold.wire.order import Order, PlaceOrder
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.service import Answer, GetLists, GetShare, ListPart, Receipted
from edgehold.wire.task import AcceptResult, DisputeResult, Outcome, Task, TaskConfiguration

BESIDE = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=300, bound=0, weight=0)
"""Its shares are too large for the certificate."""

NOT_CARRIED = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=1100, bound=0, weight=0)
"""Its shares are too large for a transaction as well."""


# ── what goes well ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_goes_from_its_placing_to_an_accepted_result(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered()
    row = market.finish(run)
    assert row.status is OrderStatus.ACCEPTED
    assert run.entry().outcome is Outcome.ACCEPTED
    verdict = market.customer.verdict(run.configuration.order)
    assert (verdict.task, verdict.batch, verdict.rejected) == (run.task, 40, 0)
    exact = [value - noise for value, noise in zip(verdict.values, noise_of(run), strict=True)]
    assert exact == counts(PLACES)
    assert any(noise_of(run))
    assert credits_of(market.world, "leader") == 600
    assert credits_of(market.world, "helper") == 400


def test_anybody_verifies_the_file_with_nothing_but_genesis(tmp_path: Path) -> None:
    market = Market(tmp_path)
    row = market.finish(market.ordered())
    assert row.certificate is not None
    assert row.shares is None
    assert len(row.certificate) < 10_000
    genesis = market.world.ledger.genesis
    assert verify_certificate(row.certificate, genesis).order == row.placed
    for place in range(0, len(row.certificate), 61):
        changed = bytearray(row.certificate)
        changed[place] ^= 1 + place % 255
        with pytest.raises((Malformed, BadCertificate)):
            verify_certificate(bytes(changed), genesis)


@pytest.mark.parametrize("measurement", [BESIDE, NOT_CARRIED])
def test_large_shares_lie_beside_the_certificate(tmp_path: Path, measurement: MeasurementType) -> None:
    market = Market(tmp_path)
    run = market.ordered([1] * 12, measurement)
    row = market.finish(run)
    assert row.status is OrderStatus.ACCEPTED
    assert row.shares is not None
    verdict = market.customer.verdict(run.configuration.order)
    exact = [value - noise for value, noise in zip(verdict.values, noise_of(run), strict=True)]
    assert exact == counts([1] * 12, measurement.length)


def test_two_orders_of_one_customer_go_side_by_side(tmp_path: Path) -> None:
    market = Market(tmp_path)
    first = market.place()
    second = market.place()
    runs = [market.run_of(order) for order in (first, second)]
    for run in runs:
        run.upload_all(PLACES[:15])
    assert [market.finish(run).status for run in runs] == [OrderStatus.ACCEPTED] * 2
    assert [row.order for row in market.customer.orders()] == [first, second]


def test_an_order_reaches_two_panels(tmp_path: Path) -> None:
    market = Market(tmp_path, panels=("panel", "other panel"))
    run = market.run_of(market.place(panels=("panel", "other panel")))
    for panel in (0, 1):
        for person in range(8):
            assert isinstance(run.upload(run.report(person, panel, panel=panel)), Receipted)
    row = market.finish(run)
    verdict = market.customer.verdict(run.configuration.order)
    assert (row.status, verdict.batch) == (OrderStatus.ACCEPTED, 16)
    exact = [value - noise for value, noise in zip(verdict.values, noise_of(run), strict=True)]
    assert exact == [8, 8, 0, 0, 0]


def test_what_else_stands_in_the_same_blocks_does_not_matter(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    ledger = market.world.ledger
    for number in range(1, 15):
        body = Transfer(account_of("customer"), number)
        ledger.submit(
            sign_transaction(key_of("treasurer"), ledger.network, account_of("treasurer"), ledger.height() + 5, body)
        )
        market.tick()
    assert status_of(market, run) is OrderStatus.ACCEPTED


def test_attestations_that_were_withdrawn_or_renewed_since_the_join_are_found_in_the_log(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered()
    world = market.world
    world.do("other accreditor", WithdrawAttestation(account_of("helper"), Claim.INDEPENDENT))
    world.do("accreditor", Attest(account_of("leader"), Claim.ACCREDITED, 90_000, digest("renewed")))
    row = market.finish(run)
    assert row.status is OrderStatus.ACCEPTED
    assert market.customer.verdict(run.configuration.order).batch == 40


def test_what_was_attested_and_withdrawn_before_the_join_is_not_part_of_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    world = market.world
    world.do("accreditor", Attest(account_of("leader"), Claim.VERIFIED, 90_000, digest("verified")))
    world.do("accreditor", WithdrawAttestation(account_of("leader"), Claim.VERIFIED))
    refused = Attest(account_of("leader"), Claim.AUDITOR, 90_000, digest("nobody's to say"))
    assert world.transact("treasurer", refused).number == NotAccreditor.number
    world.tick(2)
    run = market.ordered()
    world.do("accreditor", Attest(account_of("leader"), Claim.ACCREDITED, 90_000, digest("renewed")))
    assert market.finish(run).status is OrderStatus.ACCEPTED


# ── what ends otherwise ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_the_ledger_refuses_says_why(tmp_path: Path) -> None:
    market = Market(tmp_path)
    order = market.place(price=10**9)
    market.tick()
    market.tick()
    row = market.customer.order(order)
    assert row.status is OrderStatus.REFUSED
    assert row.reason is not None
    assert "credits" in row.reason


def test_an_order_that_nobody_takes_ends_and_its_price_returns(tmp_path: Path) -> None:
    market = Market(tmp_path)
    before = credits_of(market.world, "customer")
    order = market.place()
    for _ in range(12):
        market.customer.step()
        market.world.ledger.advance()
    assert market.customer.order(order).status is OrderStatus.NOT_TAKEN
    assert credits_of(market.world, "customer") == before


def test_a_batch_below_the_minimum_has_no_result(tmp_path: Path) -> None:
    market = Market(tmp_path)
    row = market.finish(market.ordered(PLACES[:9]))
    assert (row.status, row.certificate) == (OrderStatus.TOO_FEW, None)


@pytest.mark.parametrize("side", ["leader", "helper"])
def test_a_withheld_share_ends_the_order(tmp_path: Path, side: str) -> None:
    market = Market(tmp_path, **{f"{side}_kind": WithholdingNode})
    row = market.finish(market.ordered(PLACES[:15]))
    assert (row.status, row.certificate) == (OrderStatus.WITHHELD, None)
    assert standing_of(market.world, side).bad > 0


def test_a_batch_that_is_never_closed_is_settled_by_the_customer_alone(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    while market.world.ledger.height() <= run.configuration.close_until + 2:
        market.customer.step()
        market.world.ledger.advance()
    market.customer.step()
    assert status_of(market, run) is OrderStatus.ABANDONED


def test_a_share_that_is_not_the_posted_one_is_disputed_and_names_its_sender(tmp_path: Path) -> None:
    market = Market(tmp_path, helper_kind=GarblingNode)
    before = credits_of(market.world, "customer")
    run = market.ordered(PLACES[:15])
    row = market.finish(run)
    assert (row.status, row.certificate) == (OrderStatus.UNUSABLE, None)
    assert row.reason == "no share that opens and has its digest came from the helper"
    assert standing_of(market.world, "helper").suspended_at is not None
    assert standing_of(market.world, "leader").bad == 0
    assert credits_of(market.world, "customer") == before


def test_a_sum_out_of_range_is_disputed_gives_no_certificate_and_marks_both(tmp_path: Path) -> None:
    market = Market(tmp_path, leader_kind=HoardingNode)
    row = market.finish(market.ordered(PLACES[:15]))
    assert (row.status, row.certificate) == (OrderStatus.UNUSABLE, None)
    assert row.reason == "both shares open, but no reports add up to their sum"
    for side in ("leader", "helper"):
        assert standing_of(market.world, side).pair_marks
        assert standing_of(market.world, side).suspended_at is None


def test_an_honest_result_reveals_no_key(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.ledger = wire = Wire(market.world.ledger)
    market.reopen()
    market.finish(market.ordered(PLACES[:15]))
    bodies = [open_envelope(one, wire.network).envelope.body for one in wire.sent]
    assert not any(isinstance(body, DisputeResult) for body in bodies)


def test_shares_too_large_for_the_ledger_cannot_be_disputed_there(tmp_path: Path) -> None:
    market = Market(tmp_path, helper_kind=GarblingNode)
    run = market.ordered([1] * 12, NOT_CARRIED)
    row = market.finish(run)
    assert (row.status, row.certificate) == (OrderStatus.UNCONTESTED, None)
    assert row.reason is not None
    assert "too large for the ledger" in row.reason or "too late" in row.reason


# ── stopped and started again ─────────────────────────────────────────────────────────────────────────────────────


def sent_of(wire: Wire, kind: type) -> set[bytes]:
    """The different bytes that were sent for one kind of request."""
    opened = [(one, open_envelope(one, wire.network).envelope.body) for one in wire.sent]
    return {one for one, body in opened if isinstance(body, kind)}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@pytest.mark.parametrize("kinds", [{}, {"helper_kind": GarblingNode}])
def test_a_customer_killed_while_it_sends_goes_on_with_the_same_bytes(
    tmp_path: Path, number: int, when: str, kinds: dict[str, Any]
) -> None:
    """It sends the order, the order again while it waits, and in the end its acceptance or dispute."""
    market = Market(tmp_path, **kinds)
    request = market.request()
    market.ledger = wire = Wire(market.world.ledger)
    setattr(wire, when, number)
    market.reopen()
    if number == 0:
        with pytest.raises(Killed):
            market.customer.place(request)
        market.reopen()
    else:
        market.customer.place(request)
    run = market.run_of(market.customer.orders()[0].order)
    run.upload_all(PLACES[:15])
    row = market.finish(run)
    assert row.status is (OrderStatus.UNUSABLE if kinds else OrderStatus.ACCEPTED)
    assert market.deaths == (number > 0)
    assert len(sent_of(wire, PlaceOrder)) == 1
    assert len(sent_of(wire, DisputeResult if kinds else AcceptResult)) == 1


def test_a_customer_restarted_before_every_step_loses_nothing(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    for _ in range(20):
        market.reopen()
        market.tick()
    assert status_of(market, run) is OrderStatus.ACCEPTED


def test_a_state_that_lags_behind_its_receipts_has_nothing_sent_twice(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    run.finish()
    ledger = market.world.ledger
    market.customer.step()
    keys = (
        entry_key(Collection.PARAMETERS),
        entry_key(Collection.ORDER, run.configuration.order),
        entry_key(Collection.TASK, run.task),
    )
    before = {key: ledger.prove(key) for key in keys}
    ledger.advance()
    market.ledger = wire = Wire(Odd(ledger, prove=before.__getitem__))
    market.reopen().step()
    assert wire.sent == []
    assert status_of(market, run) is OrderStatus.CERTIFIED


def test_an_order_that_never_arrived_is_signed_anew_when_it_has_expired(tmp_path: Path) -> None:
    market = Market(tmp_path)
    request = market.request()
    market.ledger = wire = Wire(market.world.ledger)
    wire.kill_before = 0
    market.reopen()
    with pytest.raises(Killed):
        market.customer.place(request)
    market.world.tick(30)
    row = market.reopen().orders()[0]
    run = market.run_of(row.order)
    assert run.configuration.order == row.order
    assert len(set(wire.sent)) == 2


def test_if_the_customer_disappears_the_services_are_paid_and_it_still_finds_its_result(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    market.world.tick_to(run.configuration.accept_until + 4)
    assert run.entry().outcome is Outcome.UNCONTESTED
    assert credits_of(market.world, "leader") == 600
    assert status_of(market, run) is OrderStatus.PLACED
    row = market.finish(run)
    assert row.status is OrderStatus.UNCONTESTED
    assert market.customer.verdict(run.configuration.order).batch == 15


def test_a_customer_that_comes_back_too_late_to_dispute_is_told_so(tmp_path: Path) -> None:
    market = Market(tmp_path, helper_kind=GarblingNode)
    run = market.ordered(PLACES[:15])
    market.world.tick_to(run.configuration.accept_until + 4)
    row = market.finish(run)
    assert (row.status, row.certificate) == (OrderStatus.UNCONTESTED, None)
    assert row.reason is not None
    assert row.reason.startswith("not disputed, it is too late")


# ── what others serve ─────────────────────────────────────────────────────────────────────────────────────────────


def another_list(answer: bytes) -> bytes:
    """The list without its first report."""
    part = decode(answer, Answer)
    assert isinstance(part, ListPart)
    return encode(replace(part, leaves=(*part.leaves[1:], part.leaves[0])))


def no_leaves(answer: bytes) -> bytes:
    """A part of the list without leaves."""
    return encode(ListPart(parts=1, leaves=()))


def garbage(answer: bytes) -> bytes:
    """No message at all."""
    return b"garbage" + answer


@pytest.mark.parametrize("lie", [another_list, no_leaves, garbage])
def test_a_false_list_of_the_leader_is_not_used_and_the_helper_is_asked(tmp_path: Path, lie: Any) -> None:
    market = Market(tmp_path)
    leader = account_of("leader")
    market.peers[leader] = Liar(market.peers[leader], GetLists, lie)
    assert market.finish(market.ordered(PLACES[:15])).status is OrderStatus.ACCEPTED


def test_a_false_share_of_the_leader_is_not_used_and_the_helper_is_asked(tmp_path: Path) -> None:
    market = Market(tmp_path)
    leader = account_of("leader")
    market.peers[leader] = Liar(market.peers[leader], GetShare, lambda answer: answer[:-1] + b"\x00")
    assert market.finish(market.ordered([1] * 12, NOT_CARRIED)).status is OrderStatus.ACCEPTED


def test_what_nobody_gives_is_waited_for_with_a_reason(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    market.issuer.closed = True
    market.world.tick_to(run.configuration.accept_until + 4)
    market.tick()
    row = market.customer.order(run.configuration.order)
    assert row.status is OrderStatus.PLACED
    assert row.reason is not None
    assert "does not give the keys of panel" in row.reason
    market.issuer.closed = False
    row = market.finish(run)
    assert (row.status, row.reason) == (OrderStatus.UNCONTESTED, None)
    assert row.certificate is not None


def test_services_that_cannot_be_reached_are_waited_for_and_the_task_is_settled(tmp_path: Path) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    run.finish()
    services = {name: market.peers.pop(account_of(name)) for name in ("leader", "helper")}
    while market.world.ledger.height() <= run.configuration.accept_until + 2:
        market.customer.step()
        market.world.ledger.advance()
    assert run.entry().outcome is Outcome.UNCONTESTED
    row = market.customer.order(run.configuration.order)
    assert row.status is OrderStatus.PLACED
    assert "cannot be reached" in str(row.reason)
    market.peers.update({account_of(name): line for name, line in services.items()})
    assert market.finish(run).status is OrderStatus.UNCONTESTED


def forged_proof(market: Market, run: Run, *, first: int, of: Collection, forge: Any) -> Odd:
    """A node that changes what it proves of one collection from the first, or the second, time on."""
    ledger = market.world.ledger
    asked = 0

    def prove(key: bytes) -> Any:
        nonlocal asked
        signed, value, proof = ledger.prove(key)
        if key[0] != of:
            return signed, value, proof
        asked += 1
        return signed, forge(value) if asked >= first else value, proof

    return Odd(ledger, prove=prove)


def another_task(market: Market, run: Run) -> Odd:
    """A node that shows another task for the order."""

    def lie(value: bytes) -> bytes:
        return encode(replace(decode(value, Order), task=digest("another")))

    return forged_proof(market, run, first=1, of=Collection.ORDER, forge=lie)


def another_share(market: Market, run: Run) -> Odd:
    """A node that would have the customer dispute an honest share, and reveal its key."""

    def lie(value: bytes) -> bytes:
        entry = decode(value, Task)
        return encode(replace(entry, helper_share=replace(entry.helper_share, share_digest=digest("x"))))

    return forged_proof(market, run, first=1, of=Collection.TASK, forge=lie)


def another_key(market: Market, run: Run) -> Odd:
    """A node that shows a configuration with another key."""

    def lie(value: bytes) -> bytes:
        return encode(replace(decode(value, TaskConfiguration), seal_key=digest("x")))

    return forged_proof(market, run, first=1, of=Collection.CONFIGURATION, forge=lie)


def an_old_task(market: Market, run: Run) -> Odd:
    """A node that shows the task as it was before its close, for the certificate only."""

    def lie(value: bytes) -> bytes:
        return encode(replace(decode(value, Task), batch=None))

    return forged_proof(market, run, first=2, of=Collection.TASK, forge=lie)


def no_task(market: Market, run: Run) -> Odd:
    """A node that does not know the task, for the certificate only."""
    return forged_proof(market, run, first=2, of=Collection.TASK, forge=lambda value: None)


def another_outcome(market: Market, run: Run) -> Odd:
    """A node that shows the task with another outcome, for the certificate only."""

    def lie(value: bytes) -> bytes:
        return encode(replace(decode(value, Task), outcome=Outcome.ACCEPTED))

    return forged_proof(market, run, first=2, of=Collection.TASK, forge=lie)


def a_block_between(market: Market, run: Run) -> Odd:
    """A node whose state goes on while it is read."""
    ledger = market.world.ledger

    def prove(key: bytes) -> Any:
        if key[0] == Collection.TASK:
            market.world.do("treasurer", Transfer(account_of("customer"), 1))
        return ledger.prove(key)

    return Odd(ledger, prove=prove)


def no_program(market: Market, run: Run) -> Odd:
    """A node that lost the programs."""
    ledger = market.world.ledger
    return Odd(ledger, read=lambda key: None if key[0] == Collection.PROGRAM else ledger.read(key))


def no_header(market: Market, run: Run) -> Odd:
    """A node without headers."""
    return Odd(market.world.ledger, header=lambda height: None)


def no_blocks(market: Market, run: Run) -> Odd:
    """A node without blocks; the shares come from the services, the signatures from nowhere."""
    return Odd(market.world.ledger, transactions=lambda first, last: iter(()))


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (no_program, "no program"),
        (no_header, "is not there yet"),
        (no_blocks, "no closing of task"),
        (another_task, "does not show this value"),
        (another_share, "does not show this value"),
        (another_key, "does not show this value"),
        (an_old_task, "no closed batch"),
        (no_task, "not a Task"),
        (another_outcome, "does not show this value"),
        (a_block_between, "from height"),
    ],
)
def test_a_node_that_lacks_or_forges_something_is_no_reason_to_end_an_order(
    tmp_path: Path, odd: Any, words: str
) -> None:
    market = Market(tmp_path)
    run = market.ordered(PLACES[:15])
    run.finish()
    market.ledger = odd(market, run)
    market.reopen().step()
    row = market.customer.order(run.configuration.order)
    assert (row.status, row.certificate) == (OrderStatus.PLACED, None)
    assert words in str(row.reason)
    market.ledger = market.world.ledger
    market.reopen()
    assert market.finish(run).status is OrderStatus.ACCEPTED


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    market = Market(tmp_path)
    with pytest.raises(NotFound, match="placed no order"):
        market.customer.order(OrderId(digest("nothing")))
    order = market.place()
    with pytest.raises(NotFound, match="it is placed"):
        market.customer.verdict(order)


def test_a_row_shows_no_secret(tmp_path: Path) -> None:
    market = Market(tmp_path)
    row = market.customer.order(market.place())
    assert row.seal_seed.hex() not in repr(row)
    assert "seal_seed=…" in repr(row)


def test_a_signed_transaction_is_of_its_sender_and_network(tmp_path: Path) -> None:
    market = Market(tmp_path)
    ledger = market.world.ledger
    body = AcceptResult(task=digest("no task"))
    signed = sign_transaction(key_of("customer"), ledger.network, account_of("customer"), ledger.height() + 5, body)
    envelope = open_envelope(signed, ledger.network).envelope
    assert (envelope.sender, envelope.body) == (account_of("customer"), body)
    with pytest.raises(WrongNetwork):
        open_envelope(signed, NetworkId(digest("another network")))
