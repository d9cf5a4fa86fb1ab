"""Power cuts: whatever of the pending writes arrives, nothing acknowledged is lost, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from crash_states import choose_cuts
from hub_history import hub_history
from ledger_history import ledger_history
from service_history import helper_history, leader_history
from store_history import store_history
from survival import History, Survey, survey
from weakened import rollback_journal, synchronous

if TYPE_CHECKING:
    from conftest import Figures

STATES = 2500
"""Cuts of one history; some of them leave the same disk."""


def surveyed(history: History, number: int, cuts: int = STATES) -> Survey:
    """The crash states of one history."""
    random = Random(f"cuts {number}")
    return survey(history, choose_cuts(history.recording, cuts, random), random)


def check(party: str, make: Callable[[int], History], numbers: range, figures: Figures) -> None:
    """No crash state of these histories breaks a promise."""
    for number in numbers:
        found = surveyed(make(number), number)
        assert not found.violations, f"number {number}: {len(found.violations)} violations: {found.violations[:3]}"
        figures.add(f"crash states checked: {party}", found.states)
        figures.add(f"crash states, different after recovery: {party}", found.recovered)
        figures.add(f"crash states from which it went on: {party}", found.went_on)


@pytest.mark.campaign(test=2, long=175, shard=1)
def test_the_ledger_keeps_its_word_after_a_power_cut(numbers: range, figures: Figures) -> None:
    check("ledger", ledger_history, numbers, figures)


@pytest.mark.campaign(test=2, long=175, shard=1)
def test_a_hub_keeps_its_word_after_a_power_cut(numbers: range, figures: Figures) -> None:
    check("hub", hub_history, numbers, figures)


@pytest.mark.campaign(test=2, long=175, shard=1)
def test_a_leader_keeps_its_word_after_a_power_cut(numbers: range, figures: Figures) -> None:
    check("leader", leader_history, numbers, figures)


@pytest.mark.campaign(test=2, long=175, shard=1)
def test_a_helper_keeps_its_word_after_a_power_cut(numbers: range, figures: Figures) -> None:
    check("helper", helper_history, numbers, figures)


@pytest.mark.campaign(test=1, long=175, shard=1)
def test_a_store_keeps_its_word_after_a_power_cut(numbers: range, figures: Figures) -> None:
    check("store", store_history, numbers, figures)


@pytest.mark.parametrize("party", [ledger_history, hub_history, leader_history, helper_history, store_history])
def test_the_loss_with_synchronous_normal_is_found(party: Callable[[int], History]) -> None:
    with synchronous("NORMAL"):
        weak = party(0)
    violations = surveyed(weak, 0, cuts=1).violations
    assert any("lost: " in one for one in violations), violations
    assert not surveyed(party(0), 0, cuts=1).violations


def test_a_rollback_journal_that_comes_back_is_found() -> None:
    with rollback_journal():
        weak = hub_history(1)
    violations = surveyed(weak, 1, cuts=1).violations
    assert any("lost: a run that is stored" in one for one in violations), violations
