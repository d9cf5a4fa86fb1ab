"""A ledger that four validators keep, in one process: the replicas are real, and every block is decided as they all find.

What CometBFT does is done here in order: one validator proposes, the others look at the proposal, all four sign the
header, finalize and commit, and have to come to the same receipts and the same root. Heights pass as they do on the
ledger of one, so that every scenario can be played on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from signed_chain import Block as SignedBlock
from signed_chain import SignedChain, key_of

from edgehold.crypto.cose import open1
from edgehold.crypto.names import network_id, payload_digest
from edgehold.durable import Database
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.replicated import Block, Replica
from edgehold.errors import AlreadyAnswered, BadSignature, Malformed
from edgehold.ports import Clock, Randomness
from edgehold.verify.header import hash_header, order_validators
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest
from edgehold.wire.proof import MapProof
from edgehold.wire.tx import Receipt

VALIDATORS = 4
KEYS = [key_of(number) for number in range(1, VALIDATORS + 1)]
"""Their consensus keys."""

ROOM = 1 << 20
"""Bytes of transactions in a block."""


class FourReplicas:
    """The ledger as parties and scenarios see it (`demo.keeping.WorldLedger`); what is open goes on from its folder."""

    def __init__(self, folder: Path, genesis: Genesis, clock: Clock, randomness: Randomness) -> None:
        self.genesis = genesis
        self.network = network_id(genesis)
        self._clock = clock
        self._waiting: dict[Digest, bytes] = {}
        self._refused: dict[Digest, Receipt] = {}
        folder.mkdir(exist_ok=True)
        self._blocks = Database(
            folder / "blocks.sqlite",
            "CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, signed BLOB, transactions BLOB, results BLOB)",
        )
        self._chain = SignedChain(genesis.chain, order_validators(genesis.validators), genesis.time + 1)
        for row in self._blocks.execute("SELECT signed, transactions, results FROM blocks ORDER BY height"):
            signed, transactions, results = map(decode, row, (SignedHeader, list[bytes], list[tuple[int, bytes]]))
            self._chain.blocks.append(SignedBlock(signed, self._chain.next_validators, transactions, results))
        self._replicas = [Replica(folder / str(number), genesis, randomness) for number in range(VALIDATORS)]
        for height in range(1, self._chain.height + 1):
            for replica in self._replicas:
                if replica.height < height:
                    replica.finalize(self._block(height))
                    replica.commit()
        self._settle()

    def close(self) -> None:
        """Let go of everything."""
        with ExitStack() as opened:
            for one in (*self._replicas, self._blocks):
                opened.callback(one.close)

    # ── as parties see it ─────────────────────────────────────────────────────────────────────────────────────────

    def height(self) -> int:
        """Of the last block: it changes nothing, so its header signs the state."""
        return self._chain.height

    def submit(self, transaction: bytes) -> Digest:
        """What every validator refuses at its door has that for a receipt. Raises `Malformed`, `BadSignature`."""
        envelope = payload_digest(open1(transaction).payload)
        first, *others = {one.check([transaction])[0]: None for one in self._replicas}
        assert not others, "validators judge alike"
        if first is None:
            self._waiting[envelope] = transaction
        elif first.number in (Malformed.number, BadSignature.number):
            raise (Malformed if first.number == Malformed.number else BadSignature)(first.facts)
        elif first.number != AlreadyAnswered.number:
            self._refused[envelope] = Receipt(
                number=first.number, height=self.height() + 1, made=None, facts=first.facts
            )
        return envelope

    def receipt(self, envelope: Digest) -> Receipt | None:
        """What became of a transaction."""
        placed = self._replicas[0].receipt(envelope)
        return placed.receipt if placed else self._refused.get(envelope)

    def read(self, key: bytes) -> bytes | None:
        """An entry of the last signed state."""
        return self._replicas[0].read(key)

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        """The same from whichever validator's turn it is, with its proof."""
        replica = self._replicas[self.height() % VALIDATORS]
        return self._chain.block(self.height()).signed, replica.read(key), replica.prove(key)

    def header(self, height: int) -> SignedHeader | None:
        """The signed header of a height, if there is one."""
        return self._chain.block(height).signed if 1 <= height <= self.height() else None

    def transactions(self, first: int, last: int) -> Iterator[tuple[int, bytes, Receipt]]:
        """Every transaction of these blocks with its receipt."""
        for height in range(max(first, 1), min(last, self.height()) + 1):
            block = self._chain.block(height)
            for data, (_, receipt) in zip(block.transactions, block.results, strict=True):
                yield height, data, decode(receipt, Receipt)

    # ── blocks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, count: int = 1) -> int:
        """Make so many blocks, the first of what waits, and one more if the last changed the state."""
        for _ in range(count):
            self._decide()
        self._settle()
        return self.height()

    def _settle(self) -> None:
        header = self.header(self.height())
        if header and self._replicas[0].root != header.header.app_hash:
            self._decide()

    def _decide(self) -> None:
        """One block, which is kept before anybody commits it: who is behind when all is opened again is given it."""
        height = self.height() + 1
        proposer, *others = self._replicas[height % VALIDATORS :] + self._replicas[: height % VALIDATORS]
        chosen = proposer.prepare(list(self._waiting.values()), ROOM)
        assert [one.objection(chosen) for one in others] == [None] * len(others)
        last = self._chain.header(height - 1).time if height > 1 else self.genesis.time
        signed = self._chain.append(app_hash=proposer.root, transactions=chosen, time=max(self._clock.now(), last + 1))
        first, *rest = (replica.finalize(self._block(height)) for replica in self._replicas)
        assert rest == [first] * len(rest), "validators come to the same"
        results = [(receipt.number, encode_receipt(receipt)) for receipt in first[0]]
        self._chain.block(height).results = results
        row = height, encode(signed), encode(chosen), encode(results)
        self._blocks.execute("INSERT INTO blocks VALUES (?, ?, ?, ?)", row)
        for replica in self._replicas:
            replica.commit()
        self._waiting = {
            envelope: data for envelope, data in self._waiting.items() if proposer.check_again(data) is None
        }

    def _block(self, height: int) -> Block:
        decided = self._chain.block(height)
        header = decided.signed.header
        return Block(header.height, hash_header(header), header.time, decided.transactions)
