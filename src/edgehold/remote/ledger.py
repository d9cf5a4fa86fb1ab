"""The ledger as a party sees it that keeps none of it: nodes are asked, and only what is proved is passed on.

Whatever a node says is checked against headers that the light client trusts: entries by their proof, blocks by their
data hash, receipts by the hash of results in the next header. A node whose answer does not hold is asked no more for a
while, and the next one is. What cannot be proved is never an answer: that a transaction waits, or that a node does not
want it, changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import TypeVar

from edgehold.crypto.cose import open1
from edgehold.crypto.names import network_id, payload_digest
from edgehold.errors import (
    AlreadyAnswered,
    BadProof,
    BadSignature,
    EdgeholdError,
    LyingNode,
    Malformed,
    NodeError,
    NodeRefuses,
    QueueFull,
    StaleNode,
    StateNotKept,
    WrongNetwork,
)
from edgehold.ledger.transition import SignedEnvelope, judge, open_envelope
from edgehold.ports import Clock, Randomness
from edgehold.remote.node import HEADERS, Node, Said
from edgehold.remote.nodes import Nodes
from edgehold.remote.rpc import Rpc
from edgehold.remote.trust import LightClient, Trust, TrustStore
from edgehold.verify.header import hash_results, hash_transactions
from edgehold.verify.inclusion import verify_answer
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import decode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import Header, SignedHeader
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.light import LightBlock
from edgehold.wire.proof import MapProof
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer
from edgehold.wire.tx import Receipt

T = TypeVar("T")

NO_TRANSACTIONS = hash_transactions([])
"""The data hash of an empty block: nothing has to be fetched to know what is in it."""

PATIENCE = 15.0
"""Seconds for the next header, which signs what was just committed: it follows a changed state at once."""

POLL = 0.05

KEPT_BLOCKS = 64
"""Verified blocks in memory."""

KEPT_SENT = 10_000
"""Transactions of which is known how often they were handed in, and refusals that are remembered."""

DOOR = (Malformed, WrongNetwork, BadSignature, QueueFull)
"""What a keeper says of a transaction at its door that has no receipt."""


class RemoteLedger:
    """A replicated ledger, reached over its nodes' RPC (`ports.Ledger`). Safe between threads.

    Every method may raise what the light client does. `refresh` is for how many seconds the newest header is taken for
    the newest without asking again.
    """

    def __init__(
        self,
        nodes: Nodes,
        genesis: Genesis,
        store: TrustStore,
        clock: Clock,
        randomness: Randomness,
        *,
        trust: Trust | None = None,
        refresh: float = 0.2,
        patience: float = PATIENCE,
    ) -> None:
        self._nodes = nodes
        self._genesis = genesis
        self._network = network_id(genesis)
        self._store = store
        self.light = LightClient(nodes, genesis, store, clock, randomness, trust or Trust())
        self._refresh = refresh
        self._patience = patience
        self._fresh_until = 0.0
        self._blocks: OrderedDict[Height, list[tuple[bytes, Receipt]]] = OrderedDict()
        self._sent: OrderedDict[bytes, int] = OrderedDict()
        self._refused: OrderedDict[Digest, Receipt] = OrderedDict()
        self._changing = Lock()

    @property
    def genesis(self) -> Genesis:
        """What the network started from."""
        return self._genesis

    @property
    def network(self) -> NetworkId:
        """Digest of the genesis document."""
        return self._network

    @property
    def troubles(self) -> dict[str, str]:
        """What was last wrong with a node, by its address."""
        return dict(self._nodes.troubles)

    def close(self) -> None:
        """Close connections and the store of trusted headers."""
        self._nodes.close()
        self.light.close()

    # ── headers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def height(self) -> Height:
        """Of the last block of which everything is proved: its state, its transactions and their receipts.

        That is the newest header's, or, if its block has transactions, the one below: the next header signs their
        receipts.
        """
        header = self._look().signed.header
        return header.height if header.data_hash == NO_TRANSACTIONS else header.height - 1

    def header(self, height: int) -> SignedHeader | None:
        """The signed header of a height, or None above the last."""
        block = self.light.at(height)
        return None if block is None else block.signed

    def wait(self, above: Height, seconds: float) -> Height:
        """The height, as soon as it is above another, or after so many seconds."""
        end = monotonic() + seconds
        while (height := self.height()) <= above and monotonic() < end:
            sleep(POLL)
            self._fresh_until = 0.0
        return height

    # ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, key: bytes) -> bytes | None:
        """The value under a flat key in the last signed state, proved."""
        return self.prove(key)[1]

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        """The last signed state's value with its proof, verified, and the header whose application hash is that state.

        A node is asked for the state that the newest header signs. One that keeps its last state only answers for that:
        its next header may sign it, which is waited for; while the state stands still, the newest signs it already.
        """
        newest = self._look().signed
        return self._nodes.ask(lambda node: self._proved(node, key, newest))

    def _proved(self, node: Node, key: bytes, newest: SignedHeader) -> tuple[SignedHeader, bytes | None, MapProof]:
        answer = _entry(node, key, newest.header.height - 1)
        if answer.height < newest.header.height - 1:
            raise StaleNode(
                f"{node.address} answers for the state after block {answer.height}, header {newest.header.height} was seen"
            )
        signed = newest
        while not _shows(signed, key, answer):
            # A state changes by transactions only: after an empty block it is what that block's header signs.
            header = signed.header
            settled = header.height + 1 if header.data_hash == NO_TRANSACTIONS else header.height
            if answer.height < settled:
                raise LyingNode(
                    f"{node.address}: its proof of state {answer.height} is none under header {header.height}"
                )
            signed = self._await(node, max(answer.height, header.height + 1))
        return signed, answer.value, answer.proof

    def _await(self, node: Node, height: Height) -> SignedHeader:
        """The header of a height that has to come soon, if the node did not lie about the one below."""
        end = monotonic() + self._patience
        while (block := self.light.at(height)) is None:
            if node.signed_header().header.height < height - 1:
                raise LyingNode(
                    f"{node.address} answers for the state after block {height - 1}, which it does not have"
                )
            if monotonic() > end:
                raise StaleNode(f"{node.address}: header {height}, which signs its answer, has not come")
            sleep(POLL)
        return block.signed

    def _look(self) -> LightBlock:
        """The newest header; nodes are asked again only when the one that was seen last is no more fresh."""
        if self.light.seen is None or monotonic() >= self._fresh_until:
            newest = self.light.newest()
            self._fresh_until = monotonic() + self._refresh
            return newest
        return self.light.seen

    # ── transactions ──────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, transaction: bytes) -> Digest:
        """Hand a signed transaction to a node; returns the digest of its envelope. The same bytes again do no harm.

        A node may take it and keep it to itself: who hands it in again reaches another node. Where nodes refuse it, and
        the rules over the proved state do so too, that is its receipt. Otherwise raises `Malformed`, `WrongNetwork`,
        `BadSignature`, `QueueFull` if every node that is reached says so, else `NodeRefuses`.
        """
        opened = open_envelope(transaction, self._network)
        refused: list[Said] = []
        failed: list[NodeError] = []
        for node in self._rotated(transaction):
            try:
                said = _handed_in(node, transaction)
            except NodeError as error:
                self._nodes.blame(node, error)
                failed.append(error)
                continue
            if said.code in (0, AlreadyAnswered.number):
                return opened.digest
            refused.append(said)
        if not refused:
            raise NodeError("; ".join(str(error) for error in failed)) from failed[-1]
        if (said_by_all := _refusal(refused)) is not None:
            raise said_by_all
        receipt = self._judge(opened)
        if receipt.number not in {said.code for said in refused}:
            raise NodeRefuses(_facts(refused))
        with self._changing:
            self._refused[opened.digest] = receipt
            while len(self._refused) > KEPT_SENT:
                self._refused.popitem(last=False)
        return opened.digest

    def receipt(self, envelope: Digest) -> Receipt | None:
        """What became of a transaction, proved; None while it waits (or was never seen, or was forgotten).

        A refusal that is none of the log's, because no block takes such a transaction, is what the rules say over the
        proved state; the same envelope may come again.
        """
        found = self._nodes.ask(lambda node: self._placed(node, envelope))
        with self._changing:
            return found or self._refused.get(envelope)

    def transactions(self, first: int, last: int) -> Iterator[tuple[int, bytes, Receipt]]:
        """Every transaction of the blocks first..last (inclusive) in order: height, signed bytes, receipt; all proved."""
        first, last = max(first, 1), min(last, self.height())
        for at in range(first, last + 1, HEADERS - 1):
            end = min(at + HEADERS - 2, last)
            # The last one may be empty, and no header above it there yet.
            top = end if self.light.at(end + 1) is None else end + 1
            headers = {header.height: header for header in self.light.headers(at, top)}
            for height in range(at, end + 1):
                for transaction, receipt in self._block(headers[height], headers.get(height + 1)):
                    yield height, transaction, receipt

    def _placed(self, node: Node, envelope: Digest) -> Receipt | None:
        answer = _answer_of(node, node.query(RECEIPT, envelope), ReceiptAnswer)
        found = answer.found
        if found is None or self.light.at(found.height + 1) is None:
            return None
        header, following = self.light.headers(found.height, found.height + 1)
        block = self._block(header, following)
        if found.place >= len(block) or block[found.place][1] != found.receipt:
            raise LyingNode(f"{node.address}: block {found.height} has another receipt at place {found.place}")
        if payload_digest(open1(block[found.place][0]).payload) != envelope:
            raise LyingNode(f"{node.address}: place {found.place} of block {found.height} is another transaction's")
        return found.receipt

    def _block(self, header: Header, following: Header | None) -> list[tuple[bytes, Receipt]]:
        """The transactions of a block and their receipts, proved by its header and the next."""
        if header.data_hash == NO_TRANSACTIONS:
            return []
        with self._changing:
            known = self._blocks.get(header.height)
        if known is None:
            if following is None:
                raise StateNotKept(f"the receipts of block {header.height} are not signed yet")
            known = self._nodes.ask(lambda node: _fetched(node, header, following))
            with self._changing:
                self._blocks[header.height] = known
                while len(self._blocks) > KEPT_BLOCKS:
                    self._blocks.popitem(last=False)
        return known

    def _rotated(self, transaction: bytes) -> Sequence[Node]:
        """The nodes, beginning with another one each time that the same bytes are handed in."""
        nodes = self._nodes.in_order()
        with self._changing:
            times = self._sent.pop(transaction, 0)
            self._sent[transaction] = times + 1
            while len(self._sent) > KEPT_SENT:
                self._sent.popitem(last=False)
        first = times % len(nodes)
        return nodes[first:] + nodes[:first]

    def _judge(self, opened: SignedEnvelope) -> Receipt:
        """What the rules say of a transaction in the next block, over the state as it is proved."""
        state, _ = proved_state(self, ProofCache(headers=self.light))
        receipt, _ = judge(replace(state, height=state.height + 1), opened, None)
        return receipt


def connect(
    addresses: Sequence[str],
    genesis: Genesis,
    folder: Path | None,
    clock: Clock,
    randomness: Randomness,
    *,
    trust: Trust | None = None,
    seconds: float = 10.0,
) -> RemoteLedger:
    """The ledger over the RPC addresses of nodes; what is trusted is kept in the folder. Raises `UsageError`."""
    nodes = Nodes([Node(Rpc(address, seconds=seconds)) for address in addresses])
    store = TrustStore(folder / "trusted.sqlite" if folder else None, network_id(genesis))
    return RemoteLedger(nodes, genesis, store, clock, randomness, trust=trust)


def _answer_of(node: Node, said: Said, kind: type[T]) -> T:
    if said.code == StateNotKept.number:
        raise StateNotKept(f"{node.address}: {said.facts}")
    if said.code:
        raise NodeError(f"{node.address} refuses to answer ({said.code}): {said.facts}")
    try:
        return decode(said.value, kind)
    except Malformed as error:
        raise LyingNode(f"{node.address}: {error}") from error


def _entry(node: Node, key: bytes, height: Height) -> EntryAnswer:
    """What a node says of the state after a block, or, if it does not keep that, of its last."""
    said = node.query(ENTRY, key, height)
    if said.code == StateNotKept.number:
        said = node.query(ENTRY, key)
    return _answer_of(node, said, EntryAnswer)


def _shows(signed: SignedHeader, key: bytes, answer: EntryAnswer) -> bool:
    try:
        verify_answer(signed, key, answer.value, answer.proof)
    except BadProof:
        return False
    return True


def _handed_in(node: Node, transaction: bytes) -> Said:
    try:
        return node.broadcast(transaction)
    except (QueueFull, Malformed) as error:
        return Said(error.number, str(error))


def _fetched(node: Node, header: Header, following: Header) -> list[tuple[bytes, Receipt]]:
    """A block's transactions and receipts as a node has them, checked against both headers."""
    height = header.height
    shown, transactions = node.block(height)
    results = node.results(height)
    if shown != header or hash_transactions(transactions) != header.data_hash:
        raise LyingNode(f"{node.address}: its block {height} does not hold what header {height} names")
    if len(results) != len(transactions) or hash_results(results) != following.last_results_hash:
        raise LyingNode(f"{node.address}: its results of block {height} are not those that header {height + 1} names")
    receipts = [decode(data, Receipt) for _, data in results]
    return list(zip(transactions, receipts, strict=True))


def _facts(refused: Sequence[Said]) -> str:
    return "; ".join(dict.fromkeys(f"{said.facts} ({said.code})" for said in refused))


def _refusal(refused: Sequence[Said]) -> EdgeholdError | None:
    """What all nodes say that were reached, if it is one thing that every keeper says alike at its door."""
    numbers = {said.code for said in refused}
    return next((kind(_facts(refused)) for kind in DOOR if numbers == {kind.number}), None)
