"""The promises of the design, held against one history while it happens.

Whatever is acknowledged or leaves a party is remembered here, as the one that relies on it would; and whenever a process
comes back, a block is made, or a history ends, it must still be true.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from founding import Founded
from universe import Machine, Violation

from edgehold.aggregation.collect import party_noise
from edgehold.crypto.cose import open1
from edgehold.crypto.names import order_id
from edgehold.customer.customer import Customer
from edgehold.customer.orders import OrderStatus
from edgehold.errors import Malformed
from edgehold.hub.hub import BatchCheck
from edgehold.hub.journal import Run, RunState
from edgehold.service.node import ServiceNode
from edgehold.verify.certificate import verify_certificate
from edgehold.verify.header import hash_header
from edgehold.wire.account import Account
from edgehold.wire.batch import BatchStatement
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import AccountId, Digest, OrderId, ReportId, TaskId
from edgehold.wire.order import Order, PlaceOrder
from edgehold.wire.service import (
    Answer,
    BatchAnswer,
    BatchProposal,
    Done,
    FromAggregator,
    Internal,
    Receipted,
    Request,
    RevokeReport,
    Upload,
)
from edgehold.wire.task import Party, PostShare, Task, TaskConfiguration
from edgehold.wire.tx import Envelope, Receipt

if TYPE_CHECKING:
    from history import History

UNFINISHED = (RunState.GRANTED, RunState.STORED)
"""A hub's runs in these states still wait for something."""


class Watch:
    """Looks on, remembers, and raises `Violation`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._founded: Founded = history.founded
        self._receipts: dict[Digest, Receipt] = {}
        self._headers: dict[int, Digest] = {}
        self._credits: int | None = None
        self._uploads: dict[tuple[str, TaskId], bytes] = {}
        self._ran: dict[tuple[str, TaskId], int] = {}
        self._measured: dict[ReportId, list[int]] = {}
        self._taken: dict[tuple[str, TaskId, ReportId], Digest] = {}
        self._revoked: set[tuple[str, TaskId, bytes]] = set()
        self._signed: dict[tuple[str, TaskId, int], BatchStatement] = {}
        self._posted: dict[tuple[str, TaskId], bytes] = {}
        self._orders: dict[OrderId, int] = {}
        self._sent_orders: set[OrderId] = set()
        """Also those whose customer died before it knew."""
        self._configured: set[TaskId] = set()
        self.last_height = history.founded.height + 40
        network = history.network
        network.on_departure = self._departs
        network.on_answer = self._answers
        network.on_transaction = self._submits
        network.on_receipt = self._sees_receipt

    # ── what is noted ─────────────────────────────────────────────────────────────────────────────────────────────

    def is_honest(self, name: str) -> bool:
        """Whether a service keeps to the protocol."""
        return name not in self._history.regime.services

    def ran(self, hub: str, task: TaskId) -> None:
        """A program begins to run at a hub, for a task: it must be the only time."""
        self._ran[hub, task] = self._ran.get((hub, task), 0) + 1
        self._require(self._ran[hub, task] == 1, f"{hub} runs the program of task {task.hex()} again")

    def measured(self, report: bytes, vector: list[int]) -> None:
        """An honest hub sealed this measurement in this report."""
        self._measured[ReportId(report[:16])] = vector

    def placed(self, customer: int, order: OrderId) -> None:
        """An order was acknowledged to its customer."""
        self._orders[order] = customer

    def checked(self, machine: Machine, task: TaskId, check: BatchCheck | None) -> None:
        """A hub looked at a batch; it accuses nobody honest."""
        if check is None or check.evidence is None:
            return
        configuration = self._read(TaskConfiguration, Collection.CONFIGURATION, task)
        assert configuration is not None
        names = [self._name(party.account) for party in (configuration.leader, configuration.helper)]
        self._require(not all(map(self.is_honest, names)), f"{machine.name} accuses the honest {names}")

    def _departs(self, sender: Machine, receiver: Machine, message: bytes) -> None:
        with self._history.universe.looking():
            self._leaves(sender, message)

    def _leaves(self, sender: Machine, message: bytes) -> None:
        request = _read_request(message)
        if isinstance(request, Upload) and sender.name.startswith("hub") and sender.party.bad is None:
            journal, key = sender.party.hub._journal, (sender.name, request.task)
            run: Run = journal.run(request.task)
            self._require(run.report == request.report, f"{sender.name} sends what it has not stored")
            self._require(request.task in journal.debits(), f"{sender.name} sends what it has not paid for")
            self._require(run.revoked_at is None, f"{sender.name} sends what it revoked")
            before = self._uploads.setdefault(key, request.report)
            self._require(before == request.report, f"{sender.name} sends another report for one task")
        if isinstance(request, FromAggregator):
            inner = decode(request.body, Internal)
            if isinstance(inner, BatchProposal):
                self._signs(sender.name, inner.batch.statement)

    def _answers(self, sender: Machine, receiver: Machine, message: bytes, answer: bytes) -> None:
        try:
            request, answered = decode(message, Request), decode(answer, Answer)
        except Malformed:  # between hub and issuer
            return
        if not self.is_honest(receiver.name):
            return
        match request, answered:
            case Upload(task=task), Receipted(receipt=receipt):
                self._taken[receiver.name, task, receipt.report] = receipt.digest
            case RevokeReport(task=task, slot_key=key), Done():
                self._revoked.add((receiver.name, task, key))
            case _, BatchAnswer(batch=batch):
                self._signs(receiver.name, batch.statement)
            case _:
                pass

    def _signs(self, name: str, statement: BatchStatement) -> None:
        if self.is_honest(name):
            before = self._signed.setdefault((name, statement.task, statement.round), statement)
            self._require(before == statement, f"the honest {name} signs two lists for one round")

    def _submits(self, sender: Machine, transaction: bytes) -> None:
        envelope = decode(open1(transaction).payload, Envelope)
        body = envelope.body
        if isinstance(body, PlaceOrder):
            self._sent_orders.add(order_id(AccountId(envelope.sender), body))
        if isinstance(body, PostShare) and self.is_honest(sender.name):
            before = self._posted.setdefault((sender.name, body.task), encode(body))
            self._require(before == encode(body), f"the honest {sender.name} adds noise a second time")

    def _sees_receipt(self, envelope: Digest, receipt: Receipt) -> None:
        if receipt.number == 0:
            before = self._receipts.setdefault(envelope, receipt)
            self._require(before == receipt, f"the receipt of {envelope.hex()} was {before} and is {receipt}")

    # ── when it is looked at ──────────────────────────────────────────────────────────────────────────────────────

    def step(self) -> None:
        """After every event: what was violated in somebody's hands is not lost in their error handling."""
        if self._history.universe.counts["violations"]:
            raise Violation("a violation was caught by somebody")

    def block(self) -> None:
        """A block was made, or could not be."""
        ledger = self._history.ledger
        if not ledger.is_up:
            return
        height = ledger.party.height()
        for one in range(max(self._headers, default=self._founded.height - 1) + 1, height + 1):
            self._headers[one] = hash_header(ledger.party.header(one).header)
            self._history.universe.note("block", one, self._headers[one].hex())
        self._check_orders()

    def _check_orders(self) -> None:
        """No credit came or went; and until when does a task accept reports?"""
        total = sum(
            account.credits
            for name in self._founded.keys
            if (account := self._read(Account, Collection.ACCOUNT, self._founded.account(name))) is not None
        )
        for identifier in sorted(self._sent_orders):
            order = self._read(Order, Collection.ORDER, identifier)
            if order is None:
                continue
            total += order.escrow
            if order.task is not None and order.task not in self._configured:
                self._configured.add(order.task)
                configuration = self._read(TaskConfiguration, Collection.CONFIGURATION, order.task)
                assert configuration is not None
                self.last_height = max(self.last_height, configuration.accept_until)
        if self._credits is None:
            self._credits = total
        self._require(total == self._credits, f"credits came or went: {total}, before {self._credits}")

    def restarted(self, machine: Machine) -> None:
        """A process runs again, on what its disk held: what it had acknowledged is there."""
        party = machine.party
        if machine is self._history.ledger:
            self._check_ledger()
        elif isinstance(party, ServiceNode):
            self._check_service(machine)
        elif isinstance(party, Customer):
            rows = {row.order for row in party.orders()}
            number = self._history.customers.index(machine)
            lost = [order for order, customer in self._orders.items() if customer == number and order not in rows]
            self._require(not lost, f"{machine.name} lost its orders {lost}")
        elif machine.name.startswith("hub"):
            self._check_hub(machine)

    def _check_ledger(self) -> None:
        ledger = self._history.ledger.party
        for height, found in self._headers.items():
            signed = ledger.header(height)
            self._require(
                signed is not None and hash_header(signed.header) == found, f"header {height} is gone or another"
            )
        for envelope, receipt in self._receipts.items():
            self._require(ledger.receipt(envelope) == receipt, f"the receipt of {envelope.hex()} is gone or another")

    def _check_service(self, machine: Machine) -> None:
        if not self.is_honest(machine.name):
            return
        storage = machine.party._storage
        for (name, task, report), digest in self._taken.items():
            if name == machine.name:
                found = storage.find_report(task, report)
                self._require(found is not None and found.digest == digest, f"{name} lost a report it signed for")
        for name, task, key in self._revoked:
            if name == machine.name:
                self._require(key in storage.revoked(task), f"{name} forgot a revocation")
        for (name, task, number), statement in self._signed.items():
            if name == machine.name:
                signed = storage.find_signed(task, number)
                self._require(signed is not None and signed[0].statement == statement, f"{name} forgot what it signed")

    def _check_hub(self, machine: Machine) -> None:
        if machine.party.bad is not None:
            return
        journal = machine.party.hub._journal
        debits, runs = journal.debits(), {run.task: run for run in journal.runs(*RunState)}
        for (name, task), report in self._uploads.items():
            if name == machine.name:
                is_there = task in runs and runs[task].report == report and task in debits
                self._require(is_there, f"{name} forgot that it sent a report, or what it cost")
        for run in runs.values():
            self._require((run.report is not None) == (run.task in debits), f"{machine.name}: report without debit")

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def is_settled(self) -> bool:
        """Whether nothing waits any more."""
        return next(self.waiting(), None) is None

    def waiting(self) -> Iterator[str]:
        """What still waits, in words."""
        history = self._history
        if not history.ledger.is_up:
            yield "the ledger is down"
            return
        for order, customer in self._orders.items():
            entry = self._read(Order, Collection.ORDER, order)
            machine = history.customers[customer]
            if entry is not None and entry.task is not None and self._task(entry.task).outcome is None:
                yield f"task {entry.task.hex()[:8]} has no end"
            if customer not in history.regime.customers and (
                not machine.is_up or machine.party.order(order).status.is_open
            ):
                yield f"order {order.hex()[:8]} waits"
        for machine in history.hubs.values():
            if not machine.is_up:
                yield f"{machine.name} is down"
            elif machine.party.bad is None:
                yield from (f"{machine.name} has a run" for _ in machine.party.hub._journal.runs(*UNFINISHED))

    def end(self) -> None:
        """Everything has come to its end: was it a right one?"""
        history = self._history
        self._check_ledger()
        self._check_orders()
        for name, machine in history.services.items():
            machine.start()
            if machine.is_up:
                self._check_service(machine)
            standing = self._read(Standing, Collection.STANDING, self._founded.account(name)) or Standing()
            if self.is_honest(name):
                self._require(standing.suspended_at is None, f"the honest {name} was framed")
            else:
                history.universe.counts["proven faults"] += standing.suspended_at is not None
        for machine in history.hubs.values():
            self._check_hub(machine)
        for order, customer in self._orders.items():
            entry = self._read(Order, Collection.ORDER, order)
            outcome = None if entry is None or entry.task is None else self._task(entry.task).outcome
            history.universe.counts[f"orders: {outcome.name.lower() if outcome else 'no task'}"] += 1
            if customer not in history.regime.customers:
                self._check_order(history.customers[customer], order)
        if history.universe.seed % 20 == 0:
            history.ledger.party.check()

    def _check_order(self, machine: Machine, order: OrderId) -> None:
        row = machine.party.order(order)
        if row.certificate is None:
            self._require(
                row.status not in (OrderStatus.ACCEPTED, OrderStatus.CERTIFIED), "accepted without a certificate"
            )
            return
        verdict = verify_certificate(row.certificate, self._founded.genesis, row.shares)
        entry = self._read(Order, Collection.ORDER, order)
        assert entry is not None
        assert entry.task is not None
        task, configuration = entry.task, self._read(TaskConfiguration, Collection.CONFIGURATION, entry.task)
        assert configuration is not None
        batch = self._task(task).batch
        assert batch is not None
        accepted = batch.statement.accepted
        self._require(accepted >= entry.descriptor.least_batch, f"{accepted} reports are below the order's minimum")
        self._history.universe.counts["certified results"] += 1
        names = [self._name(party.account) for party in (configuration.leader, configuration.helper)]
        if all(map(self.is_honest, names)):
            self._check_sum(task, configuration, names, list(verdict.values))
            self._history.universe.counts["certified results compared with the sum"] += 1

    def _check_sum(self, task: TaskId, configuration: TaskConfiguration, names: list[str], values: list[int]) -> None:
        """The result less both noises is the sum of the listed reports; of bad hubs each within its bound."""
        batch = self._task(task).batch
        assert batch is not None
        signed = self._history.ledger.party.header(batch.closed_at + 1)
        for name, party in zip(names, Party, strict=True):
            storage = self._history.machines[name].party._storage
            secret = storage._one(
                "SELECT noise_secret FROM wanted WHERE order_id = ? AND party = ?", configuration.order, party.value
            )
            noise = party_noise(configuration, task, party, secret, hash_header(signed.header))
            values = [value - one for value, one in zip(values, noise, strict=True)]
        leaves = list(self._history.machines[names[0]].party._storage.leaves(task, accepted=True))
        known = [self._measured[leaf.report] for leaf in leaves if leaf.report in self._measured]
        unknown = len(leaves) - len(known)
        self._require(unknown == 0 or bool(self._history.regime.hubs), f"{unknown} reports come from nobody")
        left = (
            [value - sum(column) for value, column in zip(values, zip(*known, strict=True), strict=True)]
            if known
            else values
        )
        most = unknown * max(1, configuration.measurement.bound)
        self._require(
            all(0 <= one <= most for one in left), f"the result is off by {left}, of {unknown} reports by bad hubs"
        )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, kind: Any, collection: Collection, *ids: bytes) -> Any:
        data = self._history.ledger.party.read(entry_key(collection, *ids))
        return None if data is None else decode(data, kind)

    def _task(self, task: TaskId) -> Task:
        found: Task | None = self._read(Task, Collection.TASK, task)
        assert found is not None
        return found

    def _name(self, account: bytes) -> str:
        return next(name for name, machine in self._history.services.items() if self._founded.account(name) == account)

    def _require(self, holds: bool, words: str) -> None:
        if not holds:
            self._history.universe.counts["violations"] += 1
            raise Violation(words)


def _read_request(message: bytes) -> Any:
    try:
        return decode(message, Request)
    except Malformed:
        return None
