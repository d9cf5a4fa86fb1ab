"""Twenty thousand small changes to what is valid: none is accepted."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from examples import Kind, Market, certificates

from edgehold.aggregation import report
from edgehold.engine import embedded
from edgehold.service import aggregator
from edgehold.verify import certificate

if TYPE_CHECKING:
    from conftest import Figures

KINDS: dict[str, tuple[int, Callable[[Market], Kind]]] = {
    "transactions": (5, lambda market: market.transactions()),
    "permits": (3, lambda market: market.part_of_reports("permit")),
    "slot keys": (1, lambda market: market.part_of_reports("slot_key")),
    "share digests": (1, lambda market: market.part_of_reports("helper_share")),
    "tokens": (3, lambda market: market.part_of_reports("token")),
    "reports": (4, lambda market: market.whole_reports()),
    "receipts": (2, lambda market: market.receipts()),
    "proofs": (5, lambda market: market.proofs()),
    "certificates": (4, lambda market: certificates()),
    "signed lists": (2, lambda market: market.statements()),
}
"""How often of thirty each kind comes, and its examples; the last moves the heights."""

TURNS = [name for name, (often, _) in KINDS.items() for _ in range(often)]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kind]:
    """Every kind with valid examples, each of which passes."""
    market = Market(tmp_path_factory.mktemp("market"))
    later = Market(tmp_path_factory.mktemp("later"))
    return {name: make(later if name == "signed lists" else market) for name, (_, make) in KINDS.items()}


def test_every_example_passes_unchanged(kinds: dict[str, Kind]) -> None:
    for name, kind in kinds.items():
        if name != "transactions":  # these count only once: below
            assert all(kind.accepts(one) for one in kind.valid), name


def accepted_mutant(kind: Kind, number: int) -> bytes | None:
    """The mutant of this number, if it passes."""
    dice = Random(f"mutant {number}")
    mutant = kind.change(dice.choice(kind.valid), dice)
    return mutant if mutant not in kind.valid and kind.accepts(mutant) else None


@pytest.mark.campaign(test=20_000, long=300_000, shard=2_000)
def test_no_mutant_is_accepted(kinds: dict[str, Kind], numbers: range, figures: Figures) -> None:
    for number in numbers:
        name = TURNS[number % len(TURNS)]
        assert accepted_mutant(kinds[name], number) is None, f"number {number}: one of the {name}"
        figures.add(f"mutants refused: {name}", 1)


def test_the_transactions_were_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    market = Market(tmp_path_factory.mktemp("transactions"))
    ledger = market.world.ledger
    names = [ledger.submit(one) for one in market.transactions().valid]
    ledger.advance()
    receipts = [ledger.receipt(name) for name in names]
    assert [receipt.number for receipt in receipts if receipt is not None] == [0] * len(names)


def any_accepted(kind: Kind, count: int = 1_500) -> bool:
    """Whether one of the first mutants passes."""
    return any(accepted_mutant(kind, number) is not None for number in range(count))


def test_without_signatures_a_mutant_of_a_transaction_passes(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Market(tmp_path_factory.mktemp("trusting")).transactions()
    monkeypatch.setattr(embedded, "verify_many", lambda items, entropy: [True] * len(items))
    assert any_accepted(kind)


def test_without_validators_a_mutant_of_a_certificate_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "verify_header", lambda *_: None)
    assert any_accepted(certificates())


def test_without_the_token_and_what_seals_it_in_a_mutant_of_a_token_passes(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either check alone is enough to refuse it."""
    monkeypatch.setattr(report, "encode_share_aad", lambda *_: b"")
    market = Market(tmp_path_factory.mktemp("unsealed"))
    kind = market.part_of_reports("token")
    assert not any_accepted(kind)
    monkeypatch.setattr(aggregator, "check_token", lambda *_: None)
    assert any_accepted(kind)
