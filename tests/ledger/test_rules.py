"""Every rule: the yes, and each no by its own error."""

from __future__ import annotations

import pytest
from rule_cases import Case, all_cases

from edgehold.errors import BadGenesis, Refusal, all_errors
from edgehold.ledger.transition import execute

CASES = list(all_cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.says}")
def test_the_rules_answer(case: Case) -> None:
    receipt, writes = execute(case.world.state, case.tx)
    assert receipt.number == (case.error.number if case.error else 0), receipt.facts
    assert bool(writes) is (case.error is None)
    assert receipt.height == case.world.height


def test_every_refusal_of_the_rules_is_met_by_a_case() -> None:
    met = {case.error for case in CASES}
    ours = {error for error in all_errors() if issubclass(error, Refusal) and error.number > 200} - {BadGenesis}
    assert ours <= met


def test_a_batch_that_verified_the_signature_spares_the_single_check() -> None:
    forged = next(case for case in CASES if case.says == "one bit of the signature changed")
    receipt, writes = execute(forged.world.state, forged.tx, signature_ok=True)
    assert receipt.number == 0
    assert writes
