"""Faults of the parties that a kill reveals, planted so that the look at what is left has something to find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import edgehold.hub.hub as hub_module
from edgehold.engine.storage import Storage as LedgerStorage
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Journal, Run
from edgehold.hub.runs import Bench
from edgehold.hub.watch import see_task
from edgehold.service.node import ServiceNode


def debit_after_the_report() -> None:
    """A hub keeps the report in one transaction and debits the budget in the next."""
    store_report = Journal.store_report

    def in_two(self: Journal, task: Any, report: bytes, log: str, debit: Any) -> None:
        self._database.execute(
            "UPDATE runs SET state = 'stored', report = ?, log = ? WHERE task = ?", (report, log, task)
        )
        store_report(self, task, report, log, debit)

    Journal.store_report = in_two  # type: ignore[method-assign]


def answer_before_the_commit() -> None:
    """A service node answers uploads at once and commits with its next step."""
    handle_many, step = ServiceNode.handle_many, ServiceNode.step

    def early(self: ServiceNode, messages: Sequence[bytes]) -> list[bytes]:
        if not self._storage._db.in_transaction:
            self._storage._db.execute("BEGIN")
        return handle_many(self, messages)

    def late(self: ServiceNode) -> None:
        if self._storage._db.in_transaction:
            self._storage._db.execute("COMMIT")
        step(self)

    ServiceNode.handle_many, ServiceNode.step = early, late  # type: ignore[method-assign]


def block_before_the_commit() -> None:
    """The ledger makes a block known and commits it with the next one."""
    begin = LedgerStorage.__init__

    def begun(self: LedgerStorage, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self._db.execute("COMMIT")

    @contextmanager
    def late(self: LedgerStorage) -> Iterator[None]:
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")
        yield

    LedgerStorage.transaction = late  # type: ignore[method-assign, assignment]
    LedgerStorage.__init__ = begun  # type: ignore[method-assign]


def run_again() -> None:
    """A hub that finds an interrupted run runs the program once more."""
    finish = Hub._run

    def again(self: Hub, run: Run) -> None:
        if run.task not in self._in_hand:
            state, _ = self._look()
            seen = see_task(state, run.task, self._journal.panels(), self._journal)
            assert seen is not None
            bench = Bench(self.store, self._outside.sandbox, self._outside.library)
            self._in_hand[run.task] = lambda: hub_module.measure(bench, state, self.account, seen)
        finish(self, run)

    Hub._run = again  # type: ignore[method-assign]


PLANTED = {
    one.__name__: one for one in (debit_after_the_report, answer_before_the_commit, block_before_the_commit, run_again)
}
