"""The customer: orders an analysis, waits, opens two shares, verifies, accepts or disputes.

A customer is a state machine over its own store: `step` looks at the ledger and does what is due, and can be stopped
and called again anywhere. It believes nobody: it reads the ledger by proof, and a result counts when its certificate
verifies against genesis. It disputes only what the ledger's own rule would not let pass, for a dispute reveals the
order's private key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from edgehold.crypto.names import account_id, envelope_digest, order_id
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.customer.certificate import Sources, open_both, posted_by_both
from edgehold.customer.orders import OrderRow, OrderStatus, OrderStore
from edgehold.errors import BadCertificate, BadProof, Groundless, HeaderMoved, Malformed, NotFound, Unavailable
from edgehold.ledger.rules.orders import last_height_for_a_task
from edgehold.ledger.shares import PostedShares, judge_shares
from edgehold.ledger.state import State, find_order, get_configuration, get_task
from edgehold.ledger.transition import open_envelope
from edgehold.ports import Ledger, Peer, Randomness
from edgehold.verify.certificate import Verdict, verify_certificate
from edgehold.verify.view import FoundingHeaders, ProofCache, proved_state
from edgehold.wire.account import Role
from edgehold.wire.entry import Collection
from edgehold.wire.governance import Parameters
from edgehold.wire.ids import AccountId, Credits, Digest, OrderId, PanelId, ProgramId, TaskId
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.purpose import Purpose
from edgehold.wire.task import (
    MAX_SEALED_SHARE,
    AcceptResult,
    DisputeResult,
    Outcome,
    SettleOrder,
    SettleTask,
    Task,
    TaskConfiguration,
)
from edgehold.wire.tx import Body

QUICK = Schedule(request=2, join=2, upload=4, revoke=1, close=3, share=2, accept=3)
"""A schedule of at most 20 heights from the order to its acceptance."""

PATIENCE = 20
"""Heights within which a transaction takes effect, or is signed anew."""

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
        self,
        ledger: Ledger,
        folder: Path,
        key: SigningKey,
        randomness: Randomness,
        peers: Mapping[AccountId, Peer],
        proofs: ProofCache | None = None,
    ) -> None:
        self._ledger = ledger
        self._key = key
        self._randomness = randomness
        self._store = OrderStore(folder)
        self._proofs = proofs or ProofCache()
        self._sources = Sources(ledger, peers, self._proofs.headers or FoundingHeaders(ledger.genesis))
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
        """Look at the ledger and do what is due for each open order; what one lacks keeps no other waiting.

        Raises `BadHeader` if what the ledger shows as its last header is not the ledger's.
        """
        state, _ = proved_state(self._ledger, self._proofs)
        for row in self._store.open_rows():
            try:
                self._advance(row, state)
            except (Unavailable, HeaderMoved, BadProof) as error:
                self._store.keep_reason(row.order, f"{error.code}: {error}")

    # ── one order ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self, row: OrderRow, state: State) -> None:
        order = find_order(state, row.order)
        if order is None:
            self._follow_placing(row)
        elif order.task is not None:
            self._advance_task(row, order.task, state)
        elif order.withdrawn_at is not None or order.settled_at is not None:
            self._store.move(row.order, OrderStatus.NOT_TAKEN)
        elif state.height > last_height_for_a_task(order):
            self._send(row, SettleOrder(order=row.order))

    def _follow_placing(self, row: OrderRow) -> None:
        """The order is not on the ledger: it waits, was refused, or never arrived and is sent again."""
        receipt = self._ledger.receipt(self._digest(row.sent))
        if receipt is not None and receipt.number:
            self._store.refuse(row.order, f"EH{receipt.number:03d}: {receipt.facts}")
        else:
            self._send(row, row.placed)

    def _advance_task(self, row: OrderRow, task: TaskId, state: State) -> None:
        entry = get_task(state, task)
        posted = posted_by_both(entry)
        waits = False
        if posted and row.status is OrderStatus.PLACED and entry.outcome in (None, Outcome.UNCONTESTED):
            may_dispute = entry.outcome is None and state.height < entry.accept_until
            waits = self._collect(row, task, get_configuration(state, task), posted, may_dispute=may_dispute)
            row = self.order(row.order)
        if entry.outcome is not None:
            if not waits:
                self._store.move(row.order, ENDED[entry.outcome])
        elif state.height > waits_until(entry, posted):
            self._send(row, SettleTask(task=task))
        elif row.status is OrderStatus.CERTIFIED:
            self._send(row, AcceptResult(task=task))
        elif row.status is OrderStatus.DISPUTED:
            self._send(row, open_envelope(row.sent, self._ledger.network).envelope.body)

    def _collect(
        self, row: OrderRow, task: TaskId, configuration: TaskConfiguration, posted: PostedShares, *, may_dispute: bool
    ) -> bool:
        """Dispute two shares that cannot be right, else keep the certificate. Whether something needed is not there."""
        try:
            sealed = self._sources.sealed_shares(task, posted, configuration)
            dispute = DisputeResult(
                task=task,
                private_key=Digest(row.seal_seed),
                leader_sealed=sealed.leader,
                helper_sealed=sealed.helper,
            )
            objection = objection_to(configuration, posted, dispute)
            if objection:
                self._object(row, dispute, objection, may_dispute=may_dispute)
            else:
                shares = open_both(SealKeyPair(row.seal_seed), posted, sealed)
                certificate, beside = self._sources.make(task, configuration, row.placed, *shares)
                verify_certificate(certificate, self._ledger.genesis, beside)
                self._store.keep_certificate(row.order, certificate, beside)
        except (Unavailable, BadCertificate, Malformed) as error:
            self._store.keep_reason(row.order, f"{error.code}: {error}")
            return isinstance(error, Unavailable)
        return False

    def _object(self, row: OrderRow, dispute: DisputeResult, objection: str, *, may_dispute: bool) -> None:
        """Reveal the order's private key, if that still helps: the ledger's rule opens both shares itself."""
        if may_dispute and len(dispute.leader_sealed) <= MAX_SEALED_SHARE:
            self._store.dispute(row.order, objection, self._signed(dispute))
        else:
            why = "its shares are too large for the ledger" if may_dispute else "it is too late"
            self._store.keep_reason(row.order, f"not disputed, {why}: {objection}")

    # ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, row: OrderRow, body: Body) -> None:
        """Send a transaction; the same bytes again, if this body was signed last and may still take effect."""
        sent = open_envelope(row.sent, self._ledger.network).envelope
        transaction = row.sent
        if sent.body != body or sent.expires <= self._ledger.height():
            transaction = self._signed(body)
            self._store.keep_sent(row.order, transaction)
        if self._ledger.receipt(self._digest(transaction)) is None:
            self._ledger.submit(transaction)

    def _digest(self, transaction: bytes) -> Digest:
        return envelope_digest(open_envelope(transaction, self._ledger.network).envelope)

    def _signed(self, body: Body) -> bytes:
        parameters = self._sources.read(Parameters, Collection.PARAMETERS, b"")
        expires = self._ledger.height() + min(parameters.expiry, PATIENCE)
        return sign_transaction(self._key, self._ledger.network, self.account, expires, body)


def objection_to(configuration: TaskConfiguration, posted: PostedShares, dispute: DisputeResult) -> str | None:
    """What the ledger's rule would say to a dispute: why the shares cannot be right, or nothing."""
    try:
        guilty = judge_shares(configuration, posted, dispute)
    except Groundless:
        return None
    if not guilty:
        return "both shares open, but no reports add up to their sum"
    return f"no share that opens and has its digest came from the {' and the '.join(party.value for party in guilty)}"


def waits_until(entry: Task, posted: PostedShares | None) -> int:
    """The last height of the phase that a task is in; after it, anybody may settle."""
    if posted is not None:
        return entry.accept_until
    return entry.close_until if entry.batch is None else entry.share_until
