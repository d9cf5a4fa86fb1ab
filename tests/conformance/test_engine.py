"""Every engine, with the rules of the ledger: the same blocks give the same roots, receipts and proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_chain import ServedLedger
from played import PlayedLedger, served
from served_node import ServedNode

from edgehold.crypto.cose import sign1
from edgehold.crypto.names import account_id, network_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.engine.replicated import Replica
from edgehold.errors import (
    BadSignature,
    Expired,
    ExpiresTooFar,
    InsufficientCredits,
    Malformed,
    UnknownAccount,
    WrongNetwork,
)
from edgehold.ports import Ledger
from edgehold.remote.ledger import RemoteLedger
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.rpc import Rpc
from edgehold.remote.trust import TrustStore
from edgehold.verify.header import order_validators, verify_header, verify_next_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import AccountId, Digest, NetworkId

VALIDATOR = SigningKey(bytes([1]) * 32)
KEYS = [SigningKey(bytes([seed]) * 32) for seed in (2, 3)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
START = 1_800_000_000 * 10**9
GENESIS = Genesis(
    chain="conformance",
    time=START,
    founders=tuple(Founder(f"founder {place}", key.public, Role.ORGANISATION, 100) for place, key in enumerate(KEYS)),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(VALIDATOR.public, 10),),
    operators=(1,),
    parameters=Parameters(
        period=100,
        root_interval=10,
        block_interval_ms=1000,
        least_panel=1,
        most_panel=100,
        least_batch=1,
        hub_quota=10,
        expiry=50,
        abort_fee=0,
        helper_share=500,
        acceptance_cap=500_000,
        suspension=10,
    ),
)
NETWORK = network_id(GENESIS)


class Kept:
    """An engine under test: the ledger as parties see it, and how its heights pass."""

    def __init__(self, ledger: Ledger, advance: Callable[[int], int]) -> None:
        self.ledger = ledger
        self.advance = advance


@contextmanager
def embedded(folder: Path | None) -> Iterator[Kept]:
    ledger = EmbeddedLedger(folder, GENESIS, VALIDATOR, SteppingClock(START, 10**9), SeededRandomness(0, "conformance"))
    yield Kept(ledger, ledger.advance)
    ledger.close()


@contextmanager
def embedded_on_disk() -> Iterator[Kept]:
    with TemporaryDirectory() as folder, embedded(Path(folder)) as kept:
        yield kept


@contextmanager
def embedded_in_memory() -> Iterator[Kept]:
    with embedded(None) as kept:
        yield kept


@contextmanager
def replicated() -> Iterator[Kept]:
    """The application on its socket, asked by a stand-in for a CometBFT of one validator."""
    with TemporaryDirectory() as name:
        folder, clock = Path(name), SteppingClock(START, 10**9)
        replica = Replica(folder, GENESIS, SeededRandomness(0, "conformance"))
        with served(replica, folder / "socket") as failure:
            ledger = PlayedLedger(folder / "socket", GENESIS, VALIDATOR, clock)
            yield Kept(ledger, ledger.advance)
            ledger.close()
            assert failure() is None
        replica.close()


@contextmanager
def remote() -> Iterator[Kept]:
    """The same replica behind the RPC of a node, over HTTP: every answer is verified."""
    with TemporaryDirectory() as name:
        folder, clock = Path(name), SteppingClock(START, 10**9)
        replica = Replica(folder, GENESIS, SeededRandomness(0, "conformance"))
        with served(replica, folder / "socket") as failure:
            played = PlayedLedger(folder / "socket", GENESIS, VALIDATOR, clock)
            node = ServedNode(ServedLedger(played, played.refused))
            nodes = Nodes([Node(Rpc(node.address))])
            store, dice = TrustStore(folder / "trusted.sqlite", NETWORK), SeededRandomness(1, "conformance")
            ledger = RemoteLedger(nodes, GENESIS, store, clock, dice, refresh=0)
            yield Kept(ledger, played.advance)
            ledger.close()
            node.close()
            played.close()
            assert failure() is None
        replica.close()


ENGINES: list[Callable[[], AbstractContextManager[Kept]]] = [embedded_in_memory, embedded_on_disk, replicated, remote]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """One engine after the other."""
    with request.param() as engine:
        yield engine


def transfer(
    payer: int, credits: int, expires: int = 40, network: NetworkId = NETWORK, key: SigningKey | None = None
) -> bytes:
    """A signed transfer from one founder to the other."""
    body = Transfer(to=ACCOUNTS[1 - payer], credits=credits)
    return sign_transaction(key or KEYS[payer], network, ACCOUNTS[payer], expires, body)


def balance(ledger: Ledger, account: AccountId) -> int:
    data = ledger.read(entry_key(Collection.ACCOUNT, account))
    assert data is not None
    return decode(data, Account).credits


def outcome(ledger: Ledger, envelope: Digest) -> int:
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    return receipt.number


def test_an_engine_is_a_ledger(kept: Kept) -> None:
    ledger = kept.ledger
    assert ledger.network == NETWORK
    assert ledger.genesis == GENESIS
    assert ledger.height() >= 1
    assert ledger.receipt(Digest(bytes(32))) is None


def test_credits_move_once_and_the_receipt_stays_the_same(kept: Kept) -> None:
    envelope = kept.ledger.submit(transfer(0, 30))
    kept.advance(2)
    kept.ledger.submit(transfer(0, 30))
    kept.advance(2)
    assert outcome(kept.ledger, envelope) == 0
    assert [balance(kept.ledger, account) for account in ACCOUNTS] == [70, 130]


def test_refusals_have_their_numbers_and_no_effect(kept: Kept) -> None:
    root = kept.ledger.prove(b"")[0].header.app_hash
    poor = kept.ledger.submit(transfer(0, 1000))
    late = kept.ledger.submit(transfer(0, 1, expires=1))
    far = kept.ledger.submit(transfer(0, 1, expires=5000))
    kept.advance(2)
    numbers = [outcome(kept.ledger, envelope) for envelope in (poor, late, far)]
    assert numbers == [InsufficientCredits.number, Expired.number, ExpiresTooFar.number]
    assert kept.ledger.prove(b"")[0].header.app_hash == root


@pytest.mark.parametrize(
    ("transaction", "error"),
    [
        (b"", Malformed),
        (b"anything", Malformed),
        (bytes(70_000), Malformed),
        (sign1(KEYS[0], b"no envelope", NETWORK), Malformed),
        (transfer(0, 1)[:-1], Malformed),
        (transfer(0, 1)[:-1] + bytes([transfer(0, 1)[-1] ^ 1]), BadSignature),
        (transfer(0, 1, key=KEYS[1]), BadSignature),
        (transfer(0, 1, network=NetworkId(Digest(bytes(32)))), WrongNetwork),
    ],
)
def test_bytes_that_nobody_may_send_are_refused_at_once(kept: Kept, transaction: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        kept.ledger.submit(transaction)
    kept.advance(1)
    assert list(kept.ledger.transactions(1, kept.ledger.height())) == []


def test_a_sender_without_an_account_is_told_so(kept: Kept) -> None:
    stranger = AccountId(Digest(bytes(32)))
    body = Transfer(to=ACCOUNTS[0], credits=1)
    envelope = kept.ledger.submit(sign_transaction(KEYS[0], NETWORK, stranger, 40, body))
    kept.advance(2)
    assert outcome(kept.ledger, envelope) == UnknownAccount.number


def test_every_answer_is_proved_under_a_signed_header(kept: Kept) -> None:
    kept.ledger.submit(transfer(0, 30))
    kept.advance(2)
    validators = order_validators(GENESIS.validators)
    for key in [
        entry_key(Collection.ACCOUNT, ACCOUNTS[0]),
        entry_key(Collection.ACCOUNT, AccountId(Digest(bytes(32)))),
    ]:
        header, value, proof = kept.ledger.prove(key)
        verify_header(header, GENESIS.chain, validators)
        assert header == kept.ledger.header(kept.ledger.height())
        assert value == kept.ledger.read(key)
        verify_answer(header, key, value, proof)
    headers = [kept.ledger.header(height) for height in range(1, kept.ledger.height() + 1)]
    for first, second in pairwise(headers):
        assert first is not None
        assert second is not None
        verify_next_header(second, first.header, validators)


Step: TypeAlias = tuple[list[tuple[int, int, int]], int]
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 150), st.integers(0, 60)), max_size=4), st.integers(1, 3)
    ),
    max_size=5,
)


@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_engines_agree_on_roots_receipts_and_proofs(steps: list[Step]) -> None:
    with ExitStack() as stack:
        engines = [stack.enter_context(engine()) for engine in ENGINES]
        for payments, heights in steps:
            for payment in payments:
                assert len({kept.ledger.submit(transfer(*payment)) for kept in engines}) == 1
            assert len({kept.advance(heights) for kept in engines}) == 1
        told = [everything(kept.ledger) for kept in engines]
        assert told[0] == told[1] == told[2]
        assert sum(balance(engines[0].ledger, account) for account in ACCOUNTS) == 200


def everything(ledger: Ledger) -> list[bytes]:
    """What a ledger tells: roots, receipts and proofs."""
    height = ledger.height()
    headers = [ledger.header(each) for each in range(1, height + 1)]
    proofs = [ledger.prove(entry_key(Collection.ACCOUNT, account)) for account in ACCOUNTS]
    return [encode([headers, list(ledger.transactions(1, height)), proofs])]
