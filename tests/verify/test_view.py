"""The ledger as a light client sees it: every entry by proof, against one header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from forge import GENESIS, account_of, key_of
from msgspec.structs import replace

from edgehold.crypto.names import network_id
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import BadHeader, BadProof, HeaderMoved, UnknownRules
from edgehold.ledger.state import find_account, find_panel
from edgehold.verify.header import hash_header
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.governance import Propose, SetParameters
from edgehold.wire.header import Header, SignedHeader
from edgehold.wire.ids import Digest, Height, PanelId
from edgehold.wire.light import ValidatorChange
from edgehold.wire.proof import MapProof


class Node:
    """A node between the client and a ledger: it counts what it is asked, and may lie or go on in between."""

    def __init__(self, ledger: EmbeddedLedger) -> None:
        self.ledger = ledger
        self.asked = 0
        self.goes_on_after: int | None = None
        self.changes: bytes | None = None
        self.forged: bytes | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        self.asked += 1
        if self.asked == self.goes_on_after:
            if self.changes:
                self.ledger.submit(self.changes)
            self.ledger.advance()
        signed, value, proof = self.ledger.prove(key)
        return signed, self.forged or value, proof


@pytest.fixture
def node() -> Iterator[Node]:
    clock = SteppingClock(0, 10**9)
    ledger = EmbeddedLedger(None, GENESIS, key_of("validator"), clock, SeededRandomness(1, "ledger"))
    ledger.advance(3)
    yield Node(ledger)
    ledger.close()


def test_entries_and_their_absence_are_read_by_proof(node: Node) -> None:
    state, header = proved_state(node, ProofCache())
    assert state.height == node.ledger.height()
    signed = node.ledger.header(state.height)
    assert signed is not None
    assert header == hash_header(signed.header)
    assert find_account(state, account_of("accreditor")) is not None
    assert find_account(state, account_of("nobody")) is None
    assert find_panel(state, PanelId(Digest(bytes(32)))) is None
    assert state.header_hash(2) is None


def test_a_header_more_of_the_same_state_disturbs_nobody(node: Node) -> None:
    node.goes_on_after = 2
    state, _ = proved_state(node, ProofCache())
    assert find_account(state, account_of("accreditor")) is not None
    assert node.ledger.height() == state.height + 1


def test_what_was_proved_is_not_asked_again_until_the_header_changes(node: Node) -> None:
    cache = ProofCache()
    for _ in range(3):
        find_account(proved_state(node, cache)[0], account_of("accreditor"))
    assert node.asked == 4
    node.ledger.advance()
    find_account(proved_state(node, cache)[0], account_of("accreditor"))
    assert node.asked == 6


def new_parameters() -> bytes:
    """A transaction that changes the state."""
    change = SetParameters(replace(GENESIS.parameters, hub_quota=4))
    body = Propose(change=change, until=50)
    return sign_transaction(key_of("treasurer"), network_id(GENESIS), account_of("treasurer"), 50, body)


def test_a_state_that_goes_on_meanwhile_is_noticed(node: Node) -> None:
    node.goes_on_after, node.changes = 2, new_parameters()
    state, _ = proved_state(node, ProofCache())
    with pytest.raises(HeaderMoved, match="from height"):
        find_account(state, account_of("accreditor"))


def test_a_forged_entry_is_not_believed(node: Node) -> None:
    node.forged = b"another"
    state, _ = proved_state(node, ProofCache())
    with pytest.raises(BadProof):
        find_account(state, account_of("accreditor"))


def test_a_header_of_other_validators_is_not_believed(node: Node) -> None:
    stranger = replace(GENESIS.validators[0], key=key_of("somebody").public)
    other = EmbeddedLedger(
        None,
        replace(GENESIS, validators=(stranger,)),
        key_of("somebody"),
        SteppingClock(0, 10**9),
        SeededRandomness(1, "ledger"),
    )
    other.advance()
    node.prove = other.prove  # type: ignore[method-assign]
    with pytest.raises(BadHeader):
        proved_state(node, ProofCache())
    other.close()


class Believing:
    """Whoever believes each header."""

    def verify(self, signed: SignedHeader) -> Header:
        return signed.header

    def changes(self, heights: Iterable[Height]) -> tuple[ValidatorChange, ...]:
        return ()


def test_a_ledger_of_unknown_rules_is_not_read(node: Node) -> None:
    signed, value, proof = node.ledger.prove(b"")
    later = replace(signed, header=replace(signed.header, app_version=2))
    node.prove = lambda key: (later, value, proof)  # type: ignore[method-assign]
    cache = ProofCache(headers=Believing())
    for _ in range(2):
        with pytest.raises(UnknownRules, match="follows version 2 of the rules; this program has 1"):
            proved_state(node, cache)
    node.prove = node.ledger.prove  # type: ignore[method-assign]
    assert proved_state(node, cache)[0].height == signed.header.height
