"""The customer: orders an analysis, waits, opens two shares, verifies, accepts or disputes.

A customer is a state machine over its own store: `step` looks at the ledger and does what is due, and can be stopped
and called again anywhere. It believes nobody: a result counts when its certificate verifies against genesis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.customer.certificate import Attested, SealedShares, Sources, open_both
from edgehold.customer.orders import OrderRow, OrderStatus, OrderStore
from edgehold.errors import AggregationError, BadShare, CryptoError, NotFound, Unavailable, VerificationError
from edgehold.ledger.ids import account_id, envelope_digest, order_id
from edgehold.ledger.rules.orders import last_height_for_a_task
from edgehold.ledger.transition import open_envelope
from edgehold.ports import Ledger, Peer, Randomness
from edgehold.verify.certificate import Verdict, verify_certificate
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Parameters
from edgehold.wire.ids import AccountId, Credits, Digest, OrderId, PanelId, ProgramId, TaskId
from edgehold.wire.order import SAMPLING_ONE, Order, PlaceOrder, Schedule
from edgehold.wire.purpose import Purpose
from edgehold.wire.task import AcceptResult, DisputeResult, Outcome, SettleOrder, SettleTask, Task
from edgehold.wire.tx import Body

QUICK = Schedule(request=2, join=2, upload=4, revoke=1, close=3, share=2, accept=3)
"""A schedule of at most 20 heights from the order to its acceptance."""

DISPUTABLE = (CryptoError, VerificationError, AggregationError, BadShare)

ENDED = {
    Outcome.ACCEPTED: OrderStatus.ACCEPTED,
    Outcome.UNCONTESTED: OrderStatus.UNCONTESTED,
    Outcome.TOO_FEW: OrderStatus.TOO_FEW,
    Outcome.ABANDONED: OrderStatus.ABANDONED,
    Outcome.WITHHELD: OrderStatus.WITHHELD,
    Outcome.UNUSABLE: OrderStatus.UNUSABLE,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a customer asks for; keys and memo are drawn when it is placed. `sigma` is one aggregator's noise scale."""

    program: ProgramId
    purpose: Purpose
    panels: tuple[PanelId, ...]
    leader: AccountId
    least_batch: int
    sigma: Fraction
    price: Credits
    sampling: int = SAMPLING_ONE
    schedule: Schedule = QUICK


class Customer:
    """One organisation that orders; its store keeps the private key of each order."""

    def __init__(
        self, ledger: Ledger, folder: Path, key: SigningKey, randomness: Randomness, peers: Mapping[AccountId, Peer]
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._randomness = randomness
        self._sources = Sources(ledger, peers)
        self._store = OrderStore(folder)
        self.account = account_id(Role.ORGANISATION, key.public)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def place(self, request: Request) -> OrderId:
        """Order an analysis; the price goes into escrow with the block that takes it. Returns the order's id."""
        seed = self._randomness.draw(32)
        placed = PlaceOrder(
            program=request.program,
            purpose=request.purpose,
            panels=tuple(sorted(request.panels)),
            sampling=request.sampling,
            least_batch=request.least_batch,
            sigma_numerator=request.sigma.numerator,
            sigma_denominator=request.sigma.denominator,
            price=request.price,
            leader=request.leader,
            seal_key=SealKeyPair(seed).public,
            memo=Digest(self._randomness.draw(32)),
            schedule=request.schedule,
        )
        order = order_id(self.account, placed)
        transaction = self._signed(placed)
        self._store.add(order, placed, seed, transaction)
        self._ledger.submit(transaction)
        return order

    def orders(self) -> list[OrderRow]:
        """All orders, the oldest first."""
        return self._store.rows()

    def order(self, order: OrderId) -> OrderRow:
        """One order; raises `NotFound`."""
        row = self._store.row(order)
        if row is None:
            raise NotFound(f"this customer placed no order {order.hex()}")
        return row

    def verdict(self, order: OrderId) -> Verdict:
        """Verify an order's certificate again, from its bytes; raises `NotFound` while there is none."""
        row = self.order(order)
        if row.certificate is None:
            raise NotFound(f"order {order.hex()} has no certificate: it is {row.status.value}")
        return verify_certificate(row.certificate, self._ledger.genesis, row.shares)

    def step(self) -> None:
        """Look at the ledger and do what is due for each open order."""
        for row in self._store.rows():
            if row.status.is_open:
                self._advance(row)

    # ── one order ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self, row: OrderRow) -> None:
        value = self._ledger.read(entry_key(Collection.ORDER, row.order))
        if value is None:
            self._follow_placing(row)
            return
        order = decode(value, Order)
        if order.task is not None:
            task = self._sources.read(Task, Collection.TASK, order.task)
            self._advance_task(row, order.task, task)
        elif order.withdrawn_at is not None or order.settled_at is not None:
            self._store.move(row.order, OrderStatus.NOT_TAKEN)
        elif self._ledger.height() > last_height_for_a_task(order):
            self._send(row, SettleOrder(order=row.order))

    def _follow_placing(self, row: OrderRow) -> None:
        """The order is not on the ledger: it waits, was refused, or never arrived and is sent again."""
        receipt = self._ledger.receipt(self._digest(row.sent))
        if receipt is None:
            self._resend(row)
        elif receipt.number:
            self._store.refuse(row.order, f"EH{receipt.number:03d}: {receipt.facts}")

    def _advance_task(self, row: OrderRow, task: TaskId, entry: Task) -> None:
        height = self._ledger.height()
        if entry.outcome is not None:
            self._store.move(row.order, ENDED[entry.outcome])
        elif row.attested is None:
            attested = self._sources.attested(self._sources.configuration(task))
            self._store.keep_attested(row.order, encode(attested))
        elif entry.leader_share is None or entry.helper_share is None:
            if height > (entry.close_until if entry.batch is None else entry.share_until):
                self._send(row, SettleTask(task=task))
        elif height > entry.accept_until:
            self._send(row, SettleTask(task=task))
        elif row.status is OrderStatus.PLACED:
            self._collect(row, task, entry, decode(row.attested, Attested))
        elif row.status is OrderStatus.CERTIFIED:
            self._send(row, AcceptResult(task=task))
        else:
            self._resend(row)

    def _collect(self, row: OrderRow, task: TaskId, entry: Task, attested: Attested) -> None:
        """Open both shares and verify the certificate as anybody would; dispute what does not hold."""
        configuration = self._sources.configuration(task)
        try:
            sealed = self._sources.sealed_shares(task, entry, configuration)
        except Unavailable:
            return
        try:
            leader, helper = open_both(SealKeyPair(row.seal_seed), entry, configuration, sealed)
            certificate, beside = self._sources.make(task, row.placed, attested, leader, helper)
            verify_certificate(certificate, self._ledger.genesis, beside)
        except Unavailable:
            return
        except DISPUTABLE as error:
            self._dispute(row, task, sealed, error)
        else:
            self._store.keep_certificate(row.order, certificate, beside)

    def _dispute(self, row: OrderRow, task: TaskId, sealed: SealedShares, error: Exception) -> None:
        """Reveal the order's private key: the ledger's rule opens both shares and says who is to blame."""
        self._store.dispute(row.order, str(error))
        dispute = DisputeResult(
            task=task,
            private_key=Digest(row.seal_seed),
            leader_sealed=sealed.leader,
            helper_sealed=sealed.helper,
        )
        self._send(row, dispute)

    # ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, row: OrderRow, body: Body) -> None:
        """Send a transaction; the same bytes again if this body is what was last sent and may still take effect."""
        sent = open_envelope(row.sent, self._ledger.network).envelope
        if sent.body == body and sent.expires > self._ledger.height():
            self._resend(row)
            return
        transaction = self._signed(body)
        self._store.keep_sent(row.order, transaction)
        self._ledger.submit(transaction)

    def _resend(self, row: OrderRow) -> None:
        if self._ledger.receipt(self._digest(row.sent)) is None:
            self._ledger.submit(row.sent)

    def _digest(self, transaction: bytes) -> Digest:
        return envelope_digest(open_envelope(transaction, self._ledger.network).envelope)

    def _signed(self, body: Body) -> bytes:
        parameters = self._sources.read(Parameters, Collection.PARAMETERS, b"")
        expires = self._ledger.height() + min(parameters.expiry, 20)
        return sign_transaction(self._key, self._ledger.network, self.account, expires, body)
