"""The ledger over RPC: whatever is answered is proved, and a node that lies about anything is found out."""

from __future__ import annotations

import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kept_chain import ACCOUNTS, FOUNDERS, GENESIS, NETWORK, KeptChain, transfer
from msgspec.structs import replace
from served_node import ServedNode, signed_json
from signed_chain import FOUR, SignedChain, key_of, set_of

from edgehold.crypto.cose import open1
from edgehold.crypto.names import account_id, payload_digest
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    BadNodeAnswer,
    BadSignature,
    ForkFound,
    HeaderMoved,
    InsufficientCredits,
    LyingNode,
    Malformed,
    NodeError,
    NodeRefuses,
    NodeUnreachable,
    QueueFull,
    StaleNode,
    UnknownAccount,
    WrongNetwork,
)
from edgehold.ledger.state import get_account
from edgehold.remote.ledger import RemoteLedger
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.trust import TrustStore
from edgehold.verify.header import verify_header
from edgehold.verify.inclusion import verify_answer
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import Digest, NetworkId
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer

FIRST = entry_key(Collection.ACCOUNT, ACCOUNTS[0])
NOBODY = entry_key(Collection.ACCOUNT, bytes(32))
Reach = Callable[..., RemoteLedger]
Serve = Callable[[Any], ServedNode]


@pytest.fixture
def chain() -> Iterator[KeptChain]:
    chain = KeptChain()
    yield chain
    chain.close()


@pytest.fixture
def reach(ask: Callable[..., Node]) -> Iterator[Reach]:
    """Makes ledgers over nodes, closed when the test ends."""
    made: list[RemoteLedger] = []

    def one(
        *nodes: ServedNode, clock: Any, path: Path | None = None, patience: float = 1, refresh: float = 0
    ) -> RemoteLedger:
        asked = Nodes([ask(node, seconds=1) for node in nodes])
        store = TrustStore(path, NETWORK)
        dice = SeededRandomness(1, "remote")
        made.append(RemoteLedger(asked, GENESIS, store, clock, dice, refresh=refresh, patience=patience))
        return made[-1]

    yield one
    for ledger in made:
        ledger.close()


def credits_of(data: bytes | None) -> int:
    assert data is not None
    return decode(data, Account).credits


# ── an honest node ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transaction_takes_effect_and_everything_about_it_is_proved(
    chain: KeptChain, serve: Serve, reach: Reach
) -> None:
    ledger = reach(serve(chain), clock=chain)
    envelope = ledger.submit(transfer(0, 30))
    assert ledger.receipt(envelope) is None
    chain.advance(1)
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert (receipt.number, receipt.height) == (0, 2)
    assert [credits_of(ledger.read(entry_key(Collection.ACCOUNT, one))) for one in ACCOUNTS] == [970, 1030]
    assert ledger.read(NOBODY) is None
    assert list(ledger.transactions(1, ledger.height())) == [(2, chain.blocks[1].transactions[0], receipt)]
    signed, value, proof = ledger.prove(FIRST)
    verify_header(signed, GENESIS.chain, FOUR)
    verify_answer(signed, FIRST, value, proof)
    assert signed == ledger.header(ledger.height()) == chain.blocks[-1].signed
    assert ledger.header(99) is None
    assert (ledger.genesis, ledger.network) == (GENESIS, NETWORK)


def test_who_saw_a_receipt_reads_what_it_says(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """Also if the newest header was looked at so lately that it is not asked for again."""
    ledger = reach(serve(chain), clock=chain, refresh=60)
    envelope = ledger.submit(transfer(0, 30))
    assert credits_of(ledger.read(FIRST)) == 1000
    chain.advance(1)
    assert ledger.receipt(envelope) is not None
    assert credits_of(ledger.read(FIRST)) == 970
    assert ledger.height() == 3


def test_the_same_bytes_again_have_one_effect_and_one_receipt(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    ledger = reach(serve(chain), clock=chain)
    first = ledger.submit(transfer(0, 30))
    chain.advance(1)
    receipt = ledger.receipt(first)
    assert receipt is not None
    for _ in range(2):
        assert ledger.submit(transfer(0, 30)) == first
        chain.advance(1)
    assert ledger.receipt(first) == receipt
    assert credits_of(ledger.read(FIRST)) == 970


def test_a_refusal_by_the_rules_is_proved_as_well(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    ledger = reach(serve(chain), clock=chain)
    envelope = ledger.submit(transfer(0, 10**6))
    chain.advance(1)
    assert ledger.height() == 1
    assert ledger.receipt(envelope) is None, "the block's results are not signed yet"
    chain.advance(1)
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.number == InsufficientCredits.number


def test_an_answer_for_a_state_that_no_header_signs_yet_waits_for_the_next(
    chain: KeptChain, serve: Serve, reach: Reach
) -> None:
    chain.keeps_last_only = True
    ledger = reach(serve(chain), clock=chain)
    ledger.submit(transfer(0, 30))
    chain.make()
    later = threading.Timer(0.2, chain.make)
    later.start()
    signed, value, _ = ledger.prove(FIRST)
    later.join()
    assert (signed.header.height, credits_of(value)) == (3, 970)


def test_a_state_that_never_stands_still_is_read_without_waiting(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """Every block changes it; what belongs together is read under one header, and nothing is waited for."""
    ledger = reach(serve(chain), clock=chain, patience=0, refresh=60)
    for number in range(1, 6):
        ledger.submit(transfer(0, number))
        chain.make()
        ledger._fresh_until = 0
        state, _ = proved_state(ledger, ProofCache(headers=ledger.light))
        ledger.submit(transfer(0, 100 + number))
        chain.make()
        paid = sum(range(1, number)) + sum(range(101, 100 + number))
        assert [get_account(state, one).credits for one in ACCOUNTS] == [1000 - paid, 1000 + paid]
    ledger._fresh_until = 0
    state, _ = proved_state(ledger, ProofCache(headers=ledger.light))
    for _ in range(6):
        chain.broadcast(transfer(0, chain.height + 200))
        chain.make()
    with pytest.raises((HeaderMoved, StaleNode)):
        get_account(state, ACCOUNTS[0])


def test_a_header_that_came_meanwhile_signs_the_answer(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """The newest header that was looked at is older than the state; the one after it has signed that state already."""
    chain.keeps_last_only = True
    ledger = reach(serve(chain), clock=chain, patience=0.1, refresh=60)
    assert ledger.height() == 1
    ledger.submit(transfer(0, 30))
    chain.advance(1)
    signed, value, _ = ledger.prove(FIRST)
    assert (signed.header.height, credits_of(value)) == (3, 970)


def test_validators_that_changed_are_followed(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    members = [1, 2, 3, 4]
    for number in range(11, 16):
        members = [*members[1:], number]
        chain.submit_and_make(transfer(0, number), set_of(*members))
        chain.advance(3)
    ledger = reach(serve(chain), clock=chain)
    assert credits_of(ledger.read(FIRST)) == 1000 - sum(range(11, 16))
    assert len(list(ledger.transactions(1, ledger.height()))) == 5
    headers = [ledger.header(height) for height in range(1, ledger.height() + 1)]
    assert headers == [block.signed for block in chain.blocks[: len(headers)]]


def test_a_long_chain_is_followed_without_fetching_its_empty_blocks(
    chain: KeptChain, serve: Serve, reach: Reach
) -> None:
    for number in range(1, 4):
        chain.broadcast(transfer(0, number))
        chain.advance(70)
    node = serve(chain)
    ledger = reach(node, clock=chain)
    found = list(ledger.transactions(1, ledger.height()))
    assert [height for height, _, _ in found] == [2, 72, 142]
    assert (node.asked.count("block"), node.asked.count("block_results")) == (3, 3)
    assert node.asked.count("blockchain") < 15
    assert list(ledger.transactions(3, 71)) == []
    assert list(ledger.transactions(72, 72)) == found[1:2]
    assert list(ledger.transactions(500, 600)) == []
    assert list(ledger.transactions(5, 4)) == []


def test_heights_are_waited_for(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    ledger = reach(serve(chain), clock=chain)
    later = threading.Timer(0.1, chain.make)
    later.start()
    assert ledger.wait(1, seconds=5) == 2
    later.join()
    assert ledger.wait(2, seconds=0.1) == 2


# ── transactions at the door ──────────────────────────────────────────────────────────────────────────────────────


def test_what_nobody_may_send_is_refused_at_once(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    ledger = reach(serve(chain), clock=chain)
    good = transfer(0, 1)
    for transaction, error in [
        (b"anything", Malformed),
        (bytes(70_000), Malformed),
        (good[:-1] + bytes([good[-1] ^ 1]), BadSignature),
        (
            sign_transaction(FOUNDERS[0], NetworkId(Digest(bytes(32))), ACCOUNTS[0], 40, Transfer(ACCOUNTS[1], 1)),
            WrongNetwork,
        ),
    ]:
        with pytest.raises(error):
            ledger.submit(transaction)


def test_a_sender_whom_the_ledger_does_not_know_is_told_so_by_proof(
    chain: KeptChain, serve: Serve, reach: Reach
) -> None:
    node = serve(chain)
    ledger = reach(node, clock=chain)
    stranger = account_id(Role.ORGANISATION, key_of(35).public)
    envelope = ledger.submit(sign_transaction(key_of(35), NETWORK, stranger, 40, Transfer(ACCOUNTS[0], 1)))
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.number == UnknownAccount.number
    node.lies["broadcast_tx_sync"] = lambda params, result: {"code": UnknownAccount.number, "log": "no such account"}
    with pytest.raises(NodeRefuses, match="no such account"):
        ledger.submit(transfer(0, 1))


def test_who_hands_in_again_reaches_another_node(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """The first node takes transactions and keeps them to itself."""
    swallows, honest = serve(chain), serve(chain)
    ledger = reach(swallows, honest, clock=chain)
    swallows.do_broadcast_tx_sync = lambda params: {"code": 0, "log": ""}  # type: ignore[method-assign]
    envelope = ledger.submit(transfer(0, 30))
    chain.advance(1)
    assert ledger.receipt(envelope) is None
    ledger.submit(transfer(0, 30))
    chain.advance(1)
    assert ledger.receipt(envelope) is not None


def test_one_nodes_refusal_is_not_the_last_word(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    refuses, dead, honest = serve(chain), serve(chain), serve(chain)
    refuses.lies["broadcast_tx_sync"] = lambda params, result: {"code": BadSignature.number, "log": "no"}
    dead.close()
    ledger = reach(refuses, dead, honest, clock=chain)
    envelope = ledger.submit(transfer(0, 30))
    chain.advance(1)
    assert ledger.receipt(envelope) is not None
    with pytest.raises(BadSignature):
        reach(refuses, clock=chain).submit(transfer(0, 31))
    with pytest.raises(NodeError):
        reach(dead, clock=chain).submit(transfer(0, 31))
    refuses.lies["broadcast_tx_sync"] = lambda params, result: {"code": QueueFull.number, "log": "full"}
    with pytest.raises(QueueFull):
        reach(refuses, clock=chain).submit(transfer(0, 31))


# ── lies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def said(path: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """A node that changes what the application answers on one path."""
    kinds: dict[str, Any] = {ENTRY: EntryAnswer, RECEIPT: ReceiptAnswer}

    def lie(params: Any, result: Any) -> Any:
        if params["path"] != path:
            return result
        answer = change(decode(b64decode(result["response"]["value"]), kinds[path]))
        value = answer if isinstance(answer, bytes) else encode(answer)
        return {"response": result["response"] | {"value": b64encode(value).decode()}}

    return {"abci_query": lie}


def code(number: int) -> dict[str, Any]:
    return {"abci_query": lambda params, result: {"response": {"code": number, "log": "no", "value": None}}}


ENTRY_LIES: dict[str, tuple[dict[str, Any], type[NodeError]]] = {
    "another value": (said(ENTRY, lambda one: replace(one, value=(one.value or b"") + b"\x00")), LyingNode),
    "nothing there": (said(ENTRY, lambda one: replace(one, value=None)), LyingNode),
    "another proof": (
        said(ENTRY, lambda one: replace(one, proof=replace(one.proof, siblings=one.proof.siblings[::-1]))),
        LyingNode,
    ),
    "an old height": (said(ENTRY, lambda one: replace(one, height=1)), StaleNode),
    "the future": (said(ENTRY, lambda one: replace(one, height=10**9, value=b"")), LyingNode),
    "garbage": (said(ENTRY, lambda one: b"garbage"), LyingNode),
    "a message of another kind": (said(ENTRY, lambda one: ReceiptAnswer(one.height, None)), LyingNode),
    "a refusal": (code(1), NodeError),
    "no JSON that was asked for": ({"abci_query": lambda params, result: []}, BadNodeAnswer),
}


@pytest.mark.parametrize(("lies", "error"), ENTRY_LIES.values(), ids=ENTRY_LIES)
@pytest.mark.parametrize("key", [FIRST, NOBODY], ids=["there", "not there"])
def test_a_lie_about_an_entry_is_refused_and_the_next_node_asked(
    chain: KeptChain,
    serve: Serve,
    reach: Reach,
    key: bytes,
    lies: dict[str, Any],
    error: type[NodeError],
) -> None:
    chain.broadcast(transfer(0, 30))
    chain.advance(3)
    liar, honest = serve(chain), serve(chain)
    liar.lies = lies
    ledger = reach(liar, clock=chain, patience=0.1)
    if (key, list(ENTRY_LIES)[[one for one, _ in ENTRY_LIES.values()].index(lies)]) == (NOBODY, "nothing there"):
        assert ledger.read(key) is None, "it is no lie"
        return
    with pytest.raises(error) as caught:
        ledger.read(key)
    assert caught.type is error
    value = reach(liar, honest, clock=chain).read(key)
    assert (value is None) == (key == NOBODY)


def test_a_state_that_was_true_once_is_stale(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """The whole node shows yesterday's ledger, true in every part."""
    node = serve(chain)
    ledger = reach(node, clock=chain)
    answer = chain.query(ENTRY, FIRST, 0)
    chain.broadcast(transfer(0, 30))
    chain.advance(3)
    assert credits_of(ledger.read(FIRST)) == 970
    chain.query = lambda path, data, height: answer  # type: ignore[method-assign]
    with pytest.raises(StaleNode, match="answers for the state after block 1"):
        ledger.read(FIRST)


def first_of(name: str, change: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A node that changes the first thing in a list of a block, if the list has one."""

    def lie(_: Any, result: Any) -> Any:
        place = result["block"]["data"] if name == "txs" else result
        if place[name]:
            place[name] = change(place[name])
        return result

    return lie


other = b64encode(transfer(1, 7)).decode()
BLOCK_LIES: dict[str, dict[str, Any]] = {
    "another transaction": {"block": first_of("txs", lambda txs: [other, *txs[1:]])},
    "a transaction left out": {"block": first_of("txs", lambda txs: txs[1:])},
    "a transaction more": {"block": first_of("txs", lambda txs: [*txs, other])},
    "another order": {"block": first_of("txs", lambda txs: txs[::-1])},
    "another receipt": {
        "block_results": first_of("txs_results", lambda found: [found[1], *found[1:]]),
    },
    "another code": {"block_results": first_of("txs_results", lambda found: [found[0] | {"code": 1}, *found[1:]])},
    "a receipt left out": {"block_results": first_of("txs_results", lambda found: found[1:])},
    "no receipts": {"block_results": lambda params, result: result | {"txs_results": None}},
    "another header": {
        "block": lambda params, result: (
            result | {"block": result["block"] | {"header": result["block"]["header"] | {"app_hash": "00" * 32}}}
        )
    },
}


@pytest.mark.parametrize("lies", BLOCK_LIES.values(), ids=BLOCK_LIES)
def test_a_lie_about_a_block_is_refused_and_the_next_node_asked(
    chain: KeptChain, serve: Serve, reach: Reach, lies: dict[str, Any]
) -> None:
    envelopes = [chain_submit(chain, transfer(0, 30)), chain_submit(chain, transfer(0, 5000))]
    chain.advance(2)
    liar, honest = serve(chain), serve(chain)
    liar.lies = lies
    ledger = reach(liar, clock=chain)
    with pytest.raises(LyingNode):
        list(ledger.transactions(1, ledger.height()))
    with pytest.raises(LyingNode):
        ledger.receipt(envelopes[0])
    both = reach(liar, honest, clock=chain)
    assert len(list(both.transactions(1, both.height()))) == 2
    assert [receipt.number for receipt in map(both.receipt, envelopes) if receipt] == [0, InsufficientCredits.number]


def chain_submit(chain: KeptChain, transaction: bytes) -> Digest:
    assert chain.broadcast(transaction) == (0, "")
    return payload_digest(open1(transaction).payload)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, found=replace(one.found, receipt=replace(one.found.receipt, number=1))),
        lambda one: replace(one, found=replace(one.found, receipt=replace(one.found.receipt, made=bytes(32)))),
        lambda one: replace(one, found=replace(one.found, place=1)),
        lambda one: replace(one, found=replace(one.found, place=9)),
        lambda one: replace(one, found=replace(one.found, height=one.found.height - 1)),
        lambda one: replace(one, found=replace(one.found, height=1, place=0)),
        lambda one: b"\x00",
    ],
)
def test_an_altered_receipt_is_refused(
    chain: KeptChain, serve: Serve, reach: Reach, change: Callable[[Any], Any]
) -> None:
    envelope = chain_submit(chain, transfer(0, 30))
    chain_submit(chain, transfer(0, 5000))
    chain.advance(2)
    liar, honest = serve(chain), serve(chain)
    liar.lies = said(RECEIPT, change)
    with pytest.raises(LyingNode):
        reach(liar, clock=chain).receipt(envelope)
    receipt = reach(liar, honest, clock=chain).receipt(envelope)
    assert receipt is not None
    assert receipt.number == 0


def test_another_transactions_receipt_is_not_this_ones(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    """A true receipt at a true place, of another envelope."""
    envelope, poor = chain_submit(chain, transfer(0, 30)), chain_submit(chain, transfer(0, 5000))
    chain.advance(2)
    node = serve(chain)
    truth = chain.query
    chain.query = lambda path, data, height: truth(path, poor if path == RECEIPT else data, height)  # type: ignore[method-assign]
    with pytest.raises(LyingNode, match="is another transaction's"):
        reach(node, clock=chain).receipt(envelope)


def test_a_receipt_of_the_future_is_none(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    envelope = chain_submit(chain, transfer(0, 30))
    chain.advance(2)
    node = serve(chain)
    node.lies = said(RECEIPT, lambda one: replace(one, found=replace(one.found, height=10**6)))
    assert reach(node, clock=chain).receipt(envelope) is None


def test_after_a_fork_nothing_is_answered(chain: KeptChain, serve: Serve, reach: Reach, tmp_path: Path) -> None:
    chain.advance(10)
    forked = chain.fork(chain.height)
    ledger = reach(serve(chain), serve(forked), clock=chain, path=tmp_path / "trusted.sqlite")
    calls: list[Callable[[], Any]] = [
        ledger.height,
        lambda: ledger.read(FIRST),
        lambda: ledger.prove(FIRST),
        lambda: ledger.header(1),
        lambda: list(ledger.transactions(1, 2)),
    ]
    for call in calls:
        with pytest.raises(ForkFound):
            call()
    assert len(list(tmp_path.glob("fork-*.cbor"))) == 1


def test_troubles_are_told_by_node(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    liar, honest = serve(chain), serve(chain)
    liar.lies["commit"] = lambda params, result: {
        "signed_header": signed_json(SignedChain("another-chain").append()),
        "canonical": True,
    }
    ledger = reach(liar, honest, clock=chain)
    assert ledger.height() == 1
    assert ledger.troubles.keys() == {liar.address}
    assert ledger.troubles[liar.address].startswith("EH803")


def test_with_no_node_left_the_reason_is_unreachable(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    node = serve(chain)
    node.hangs_up = True
    ledger = reach(node, clock=chain)
    assert ledger.height() == 1
    node.close()
    with pytest.raises(NodeUnreachable):
        ledger.read(FIRST)


def test_many_threads_may_ask_at_once(chain: KeptChain, serve: Serve, reach: Reach) -> None:
    chain.broadcast(transfer(0, 30))
    chain.advance(5)
    ledger = reach(serve(chain), clock=chain)
    found: list[int] = []

    def look() -> None:
        for _ in range(10):
            found.append(credits_of(ledger.read(FIRST)))
            found.append(len(list(ledger.transactions(1, ledger.height()))))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(found)) == [1, 970]
    assert len(found) == 80


def test_what_a_call_costs(chain: KeptChain, serve: Serve, reach: Reach, figures: Any) -> None:
    chain.broadcast(transfer(0, 30))
    chain.advance(5)
    ledger = reach(serve(chain), clock=chain)
    ledger.read(FIRST)
    begun = time.monotonic()
    for _ in range(20):
        ledger.read(FIRST)
    figures.most("remote: a proved read with a look for new headers, ms", (time.monotonic() - begun) / 20 * 1e3)
