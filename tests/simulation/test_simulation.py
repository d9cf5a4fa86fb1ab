"""One seed, one history: whatever fails, and whoever misbehaves, the promises of the design hold at every step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from disk import Disk
from founding import Founded
from history import History
from msgspec import structs
from regime import Regime, draw_placing
from universe import Violation

from edgehold.hub.journal import Journal
from edgehold.ledger import payment
from edgehold.ledger.rules import tasks
from edgehold.ledger.state import Changes, State, get_account
from edgehold.policy.budget import Spent
from edgehold.service.node import ServiceNode
from edgehold.service.storage import StoredTask
from edgehold.wire.ids import TaskId
from edgehold.wire.task import Task

if TYPE_CHECKING:
    from conftest import Figures

WORTH_TELLING = (
    "kills",
    "power cuts",
    "full disks",
    "broken disks",
    "lost messages",
    "doubled messages",
    "changed messages",
    "lost transactions",
    "partitions",
    "clock jumps",
    "lies about the ledger",
    "revocations",
    "proven faults",
    "certified results",
    "certified results compared with the sum",
)


@pytest.mark.campaign(test=150, long=100_000, shard=50)
def test_every_history_keeps_the_promises(
    history_of: Callable[[int], History], numbers: range, figures: Figures
) -> None:
    for seed in numbers:
        try:
            history = history_of(seed)
            universe = history.play()
        except BaseException as error:
            error.add_note(f"seed {seed}: `pytest tests/simulation --number {seed}` plays it again")
            raise
        figures.add("simulated histories", 1)
        figures.add("simulated blocks", history.blocks)
        figures.add("simulated histories with a misbehaving party", history.regime.has_misbehaviour)
        for name, count in universe.counts.items():
            if name in WORTH_TELLING or name.startswith("orders: "):
                figures.add(f"simulated {name}", count)


def test_a_seed_plays_the_same_history_again(history_of: Callable[[int], History], founded: Founded) -> None:
    digests = [[history_of(seed).play().digest() for seed in (7, 23, 55)] for _ in range(2)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3
    for hash_seed in ("0", "1"):
        played = subprocess.run(
            [sys.executable, Path(__file__).with_name("play.py"), "7", "23", "55"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert played.stdout.split() == digests[0]


# ── planted faults ────────────────────────────────────────────────────────────────────────────────────────────────


def deadly(seed: int) -> Regime:
    """A regime of honest parties whose hubs are killed all the time, of one order in the larger panel."""
    placing = replace(draw_placing(Random(seed), 0), panels=(0,), least_batch=2)
    return Regime(faults=("kills",), level=1.0, calm_after=25, orders=(placing,), victims="hub")


def is_found(
    history_of: Callable[..., History],
    *words: str,
    regime_of: Callable[[int], Regime | None] = lambda seed: None,
    first: int = 0,
) -> bool:
    """Whether the watch says one of these words of the first history in which it finds anything.

    A fault that few histories show is looked for from a seed on that is near one of them.
    """
    for seed in range(first, first + 300):
        try:
            history_of(seed, regime_of(seed)).play()
        except Violation as violation:
            return any(one in str(violation) for one in words)
    return False


def test_a_report_that_is_not_paid_for_is_found(
    history_of: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_report(self: Journal, task: TaskId, report: bytes, log: str, debit: object) -> None:
        self._database.execute(
            "UPDATE runs SET state = 'stored', report = ?, log = ? WHERE task = ?", (report, log, task)
        )

    monkeypatch.setattr(Journal, "store_report", store_report)
    assert is_found(history_of, "has not paid for")


def test_a_budget_debited_after_the_report_is_found(
    history_of: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two transactions: only a crash between them shows it."""

    def store_report(self: Journal, task: TaskId, report: bytes, log: str, debit: Spent) -> None:
        self._database.execute(
            "UPDATE runs SET state = 'stored', report = ?, log = ? WHERE task = ?", (report, log, task)
        )
        self._database.execute(
            "INSERT INTO debits VALUES(?, ?, ?, ?, ?, ?, ?)",
            (task, debit.period, str(debit.loss), debit.customer, *debit.services, debit.purpose),
        )

    monkeypatch.setattr(Journal, "store_report", store_report)
    assert is_found(history_of, "report without debit", "has not paid for", regime_of=deadly)


def test_files_that_are_never_synchronised_are_found(
    history_of: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "synchronise", lambda self, file: None)
    assert is_found(history_of, "gone", "lost", "forgot", "does not start")


def test_a_rule_that_pays_too_much_is_found(
    history_of: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pay(state: State, task: Task, per_mille: int) -> Changes:
        changes = payment.pay(state, task, per_mille)
        leader = changes.accounts.get(task.leader) or get_account(state, task.leader)
        richer = structs.replace(leader, credits=leader.credits + 1)
        return structs.replace(changes, accounts={**changes.accounts, task.leader: richer})

    monkeypatch.setattr(tasks, "pay", pay)
    assert is_found(history_of, "credits came or went")


def test_noise_that_is_drawn_anew_is_found(
    history_of: Callable[[int], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that does not look for what it prepared signs another share when it is asked again."""

    def post_share(self: ServiceNode, stored: StoredTask, task: Task) -> None:
        assert task.batch is not None
        header_hash = self._header_hash(task.batch.closed_at + 1)
        if header_hash is not None:
            name = b"share" + stored.task
            with self._storage.transaction():
                posting = self._aggregator(stored.task).make_share(task.batch.statement, header_hash)
                self._prepare(name, posting, expires=task.share_until)
            self._submit(name, None)

    monkeypatch.setattr(ServiceNode, "_post_share", post_share)
    assert is_found(history_of, "noise a second time", first=85)
