"""A replicated ledger of one validator with a stand-in for CometBFT: real requests over a real unix socket.

It does what CometBFT does for one validator: lets transactions in, proposes, looks at its proposal, finalizes, commits,
and makes the headers that say what came of it. It is much faster than CometBFT, and its clock is the test's.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgehold.crypto.cose import open1
from edgehold.crypto.names import payload_digest
from edgehold.crypto.signatures import SigningKey
from edgehold.engine.blocks import MAX_BLOCK, Transactions, make_block
from edgehold.engine.replicated import Replica
from edgehold.errors import AlreadyAnswered, BadSignature, Malformed, WrongNetwork
from edgehold.ports import Clock
from edgehold.server.abci.application import Application
from edgehold.server.abci.frames import FrameReader, frame
from edgehold.server.abci.genesis import cometbft_genesis
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.server.abci.server import end, serve
from edgehold.verify.header import SECOND, order_validators
from edgehold.wire.codec import decode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.proof import MapProof
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer
from edgehold.wire.tx import Receipt

RAISED = {error.number: error for error in (Malformed, WrongNetwork, BadSignature)}


class Line:
    """One connection to the application."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._reader = FrameReader()

    def ask(self, **request: Any) -> Any:
        """The answer to one request, by its kind."""
        return self.ask_all([request])[0]

    def ask_all(self, requests: Sequence[dict[str, Any]]) -> list[Any]:
        """The answers to requests that are sent together; raises `ConnectionError` if the other side hangs up."""
        messages = [abci.Request(**request) for request in requests] + [abci.Request(flush=abci.RequestFlush())]
        self.send(b"".join(frame(message.SerializeToString()) for message in messages))
        answers: list[Any] = []
        while len(answers) < len(messages):
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionResetError("the application hung up")
            answers += [abci.Response.FromString(message) for message in self._reader.feed(data)]
        kinds = [next(iter(request)) for request in requests]
        assert [answer.WhichOneof("value") for answer in answers] == [*kinds, "flush"]
        return [getattr(answer, kind) for answer, kind in zip(answers, kinds, strict=False)]

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class PlayedLedger:
    """The ledger as parties see it (`ports.Ledger`), and `advance`, which makes its blocks."""

    def __init__(self, path: Path, genesis: Genesis, key: SigningKey, clock: Clock) -> None:
        self.genesis = genesis
        self._key = key
        self._clock = clock
        self._consensus, self._mempool, self._query = Line(path), Line(path), Line(path)
        self._blocks: list[tuple[SignedHeader, Transactions]] = []
        self._waiting: list[bytes] = []
        self.refused: dict[Digest, Receipt] = {}
        self._root = Digest(self._consensus.ask(init_chain=init_chain(genesis)).app_hash)
        self.advance()

    @property
    def network(self) -> NetworkId:
        return NetworkId(Digest(bytes.fromhex(cometbft_genesis(self.genesis)["app_state"]["network"])))

    def close(self) -> None:
        for line in (self._consensus, self._mempool, self._query):
            line.close()

    def height(self) -> Height:
        return len(self._blocks)

    def submit(self, transaction: bytes) -> Digest:
        answer = self._mempool.ask(check_tx=abci.RequestCheckTx(tx=transaction))
        if answer.code in RAISED:
            raise RAISED[answer.code](answer.log)
        envelope = payload_digest(open1(transaction).payload)
        if answer.code == 0 and transaction not in self._waiting:
            self._waiting.append(transaction)
        elif answer.code not in (0, AlreadyAnswered.number):
            self.refused[envelope] = Receipt(number=answer.code, height=self.height(), made=None, facts=answer.log)
        return envelope

    def advance(self, count: int = 1) -> Height:
        """Make so many blocks, the first of what waits, and one more if the last changed the state."""
        for _ in range(count):
            self._make_block()
        if self._blocks[-1][0].header.app_hash != self._root:
            self._make_block()
        return self.height()

    def receipt(self, envelope: Digest) -> Receipt | None:
        found = decode(self._ask(RECEIPT, envelope), ReceiptAnswer).found
        return found.receipt if found else self.refused.get(envelope)

    def read(self, key: bytes) -> bytes | None:
        return decode(self._ask(ENTRY, key), EntryAnswer).value

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        answer = decode(self._ask(ENTRY, key), EntryAnswer)
        assert answer.height == self.height()
        return self._blocks[-1][0], answer.value, answer.proof

    def header(self, height: int) -> SignedHeader | None:
        return self._blocks[height - 1][0] if 0 < height <= len(self._blocks) else None

    def transactions(self, first: int, last: int) -> Iterator[tuple[Height, bytes, Receipt]]:
        for signed, transactions in self._blocks[max(first, 1) - 1 : last]:
            for transaction, receipt in transactions:
                yield signed.header.height, transaction, receipt

    def _ask(self, path: str, data: bytes) -> bytes:
        answer = self._query.ask(query=abci.RequestQuery(path=path, data=data))
        assert answer.code == 0, answer.log
        return bytes(answer.value)

    def _make_block(self) -> None:
        proposal = abci.RequestPrepareProposal(max_tx_bytes=MAX_BLOCK, txs=self._waiting, height=self.height() + 1)
        chosen = list(self._consensus.ask(prepare_proposal=proposal).txs)
        previous, previous_transactions = self._blocks[-1] if self._blocks else (None, [])
        signed = make_block(
            rules=1,
            key=self._key,
            chain=self.genesis.chain,
            validators=order_validators(self.genesis.validators),
            height=self.height() + 1,
            time=max(self._clock.now(), (previous.header.time if previous else self.genesis.time) + 1),
            previous=previous,
            previous_transactions=previous_transactions,
            state_root=self._root,
            transactions=chosen,
        )
        receipts = self._decide(signed, chosen)
        self._blocks.append((signed, list(zip(chosen, receipts, strict=True))))
        self._waiting = [one for one in self._waiting if one not in chosen]
        again = [{"check_tx": abci.RequestCheckTx(tx=one, type=abci.RECHECK)} for one in self._waiting]
        kept = self._mempool.ask_all(again)
        self._waiting = [one for one, answer in zip(self._waiting, kept, strict=True) if answer.code == 0]

    def _decide(self, signed: SignedHeader, transactions: list[bytes]) -> list[Receipt]:
        """Look at the proposal, finalize and commit it; its receipts."""
        height, name = signed.header.height, signed.commit.block.hash
        looked = self._consensus.ask(process_proposal=abci.RequestProcessProposal(txs=transactions, height=height))
        assert looked.status == abci.ResponseProcessProposal.ACCEPT
        decided = abci.RequestFinalizeBlock(txs=transactions, height=height, hash=name)
        decided.time.seconds, decided.time.nanos = divmod(signed.header.time, SECOND)
        finalized = self._consensus.ask(finalize_block=decided)
        self._consensus.ask(commit=abci.RequestCommit())
        self._root = Digest(finalized.app_hash)
        receipts = [decode(result.data, Receipt) for result in finalized.tx_results]
        assert [receipt.number for receipt in receipts] == [result.code for result in finalized.tx_results]
        return receipts


def init_chain(genesis: Genesis) -> abci.RequestInitChain:
    """What CometBFT makes of its genesis file for the application."""
    request = abci.RequestInitChain(
        chain_id=genesis.chain,
        initial_height=1,
        app_state_bytes=('{"network": "' + cometbft_genesis(genesis)["app_state"]["network"] + '"}').encode(),
    )
    request.time.seconds, request.time.nanos = divmod(genesis.time, SECOND)
    for validator in genesis.validators:
        update = request.validators.add(power=validator.power)
        update.pub_key.ed25519 = validator.key
    return request


def listens(path: Path) -> bool:
    """Whether an application answers on a socket."""
    try:
        line = Line(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    line.ask(echo=abci.RequestEcho(message="there?"))
    line.close()
    return True


@contextmanager
def served(replica: Replica, path: Path) -> Iterator[Callable[[], BaseException | None]]:
    """The application on a socket, in a thread of its own; gives what says why it ended, if it did."""
    place: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    async def keep() -> None:
        ended = asyncio.get_running_loop().create_future()
        place.append((asyncio.get_running_loop(), ended))
        with suppress(Exception):  # `failure` tells it
            await serve(Application(replica), path, ended)

    def failure() -> BaseException | None:
        return place[0][1].exception() if place[0][1].done() else None

    thread = threading.Thread(target=lambda: asyncio.run(keep()))
    thread.start()
    try:
        while not listens(path):
            time.sleep(0.001)
        yield failure
    finally:
        loop, ended = place[0]
        with suppress(RuntimeError):  # it has ended before
            loop.call_soon_threadsafe(end, ended)
        thread.join()
