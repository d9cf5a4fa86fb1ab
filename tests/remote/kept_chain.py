"""A whole ledger of four validators in one process: the replicated engine's state under a chain of real votes."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from signed_chain import FOUR, START, SignedChain, key_of
from signed_chain import Block as SignedBlock

from edgehold.crypto.cose import open1
from edgehold.crypto.names import account_id, network_id, payload_digest
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.replicated import Block, Replica
from edgehold.errors import EdgeholdError, StateNotKept
from edgehold.ports import Ledger
from edgehold.verify.header import hash_header, order_validators
from edgehold.wire.account import Role, Transfer
from edgehold.wire.codec import encode
from edgehold.wire.governance import Founder, Genesis, Parameters
from edgehold.wire.header import ValidatorSet
from edgehold.wire.ids import Digest
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, PlacedReceipt, ReceiptAnswer
from edgehold.wire.tx import Receipt

FOUNDERS = [key_of(30), key_of(31), key_of(32), key_of(33)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in FOUNDERS[:2]]
GENESIS = Genesis(
    chain="kept-chain",
    time=START,
    founders=tuple(Founder(f"founder {n}", key.public, Role.ORGANISATION, 1000) for n, key in enumerate(FOUNDERS)),
    accreditors=(0,),
    treasurer=0,
    validators=FOUR.validators,
    operators=(0, 1, 2, 3),
    parameters=Parameters(
        period=1000,
        root_interval=10,
        block_interval_ms=1000,
        least_panel=1,
        most_panel=100,
        least_batch=1,
        hub_quota=10,
        expiry=500,
        abort_fee=0,
        helper_share=500,
        acceptance_cap=500_000,
        suspension=10,
    ),
)
NETWORK = network_id(GENESIS)


def transfer(payer: int, credits: int, expires: int = 400) -> bytes:
    """A signed transfer from one founder to the other."""
    body = Transfer(to=ACCOUNTS[1 - payer], credits=credits)
    return sign_transaction(FOUNDERS[payer], NETWORK, ACCOUNTS[payer], expires, body)


class KeptChain(SignedChain):
    """Blocks with transactions; `advance` makes them, the first of what waits."""

    def __init__(self) -> None:
        super().__init__(GENESIS.chain, order_validators(GENESIS.validators))
        self.replica = Replica(None, GENESIS, SeededRandomness(1, "kept chain"))
        self.waiting: list[bytes] = []
        self.keeps_last_only = False
        self._one_at_a_time = Lock()
        self.make()

    def close(self) -> None:
        self.replica.close()

    def make(self, next_validators: ValidatorSet | None = None) -> None:
        """One block of what waits."""
        with self._one_at_a_time:
            chosen = self.replica.prepare(self.waiting, 1 << 20)
            signed = self.append(app_hash=self.replica.root, transactions=chosen, next_validators=next_validators)
            header = signed.header
            receipts, _ = self.replica.finalize(Block(header.height, hash_header(header), header.time, chosen))
            self.replica.commit()
            self.blocks[-1].results = [(receipt.number, encode_receipt(receipt)) for receipt in receipts]
            self.waiting = [one for one in self.waiting if one not in chosen]

    def submit_and_make(self, transaction: bytes, next_validators: ValidatorSet) -> None:
        """A block with this transaction, after which others sign."""
        assert self.broadcast(transaction) == (0, "")
        self.make(next_validators)

    def advance(self, count: int = 1) -> int:
        """So many blocks, and one more if the last changed the state."""
        for _ in range(count):
            self.make()
        if self.replica.root != self.header(self.height).app_hash:
            self.make()
        return self.height

    def query(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]:
        with self._one_at_a_time:
            at = self.replica.height
            if path == RECEIPT:
                return 0, "", encode(ReceiptAnswer(at, self.replica.receipt(Digest(data))))
            if height and self.keeps_last_only:
                return StateNotKept.number, "only the last", b""
            try:
                at = height or at
                return 0, "", encode(EntryAnswer(at, self.replica.read(data, at), self.replica.prove(data, at)))
            except StateNotKept as error:
                return error.number, str(error), b""

    def broadcast(self, transaction: bytes) -> tuple[int, str]:
        with self._one_at_a_time:
            refused = self.replica.check([transaction])[0]
            if refused is None:
                self.waiting.append(transaction)
                return 0, ""
            return refused.number, refused.facts


class ServedLedger:
    """Any ledger of one validator, as the blocks and answers of a node; `refused` knows what was refused at its door."""

    def __init__(self, ledger: Ledger, refused: Mapping[Digest, Receipt] | None = None) -> None:
        self.ledger = ledger
        self._refused: Mapping[Digest, Receipt] = {} if refused is None else refused

    @property
    def height(self) -> int:
        return self.ledger.height()

    def block(self, height: int) -> SignedBlock:
        signed = self.ledger.header(height)
        assert signed is not None
        block = list(self.ledger.transactions(height, height))
        results = [(receipt.number, encode_receipt(receipt)) for _, _, receipt in block]
        return SignedBlock(signed, self.validators(height), [data for _, data, _ in block], results)

    def validators(self, height: int) -> ValidatorSet:
        return order_validators(self.ledger.genesis.validators)

    def query(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]:
        if path == ENTRY:
            signed, value, proof = self.ledger.prove(data)
            return 0, "", encode(EntryAnswer(signed.header.height - 1, value, proof))
        return 0, "", encode(ReceiptAnswer(self.height, self._placed(Digest(data))))

    def _placed(self, envelope: Digest) -> PlacedReceipt | None:
        receipt = self.ledger.receipt(envelope)
        if receipt is None:
            return None
        block = [data for _, data, _ in self.ledger.transactions(receipt.height, receipt.height)]
        places = [n for n, data in enumerate(block) if payload_digest(open1(data).payload) == envelope]
        return PlacedReceipt(receipt.height, places[0], receipt) if places else None

    def broadcast(self, transaction: bytes) -> tuple[int, str]:
        try:
            envelope = self.ledger.submit(transaction)
        except EdgeholdError as error:
            return error.number, str(error)
        refused = self._refused.get(envelope)
        return (refused.number, refused.facts) if refused else (0, "")
