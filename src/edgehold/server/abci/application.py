"""What CometBFT asks, answered by a replica: one function a request of ABCI 2.0."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from edgehold.engine.blocks import encode_receipt
from edgehold.engine.replicated import Block, Refused, Replica
from edgehold.engine.snapshots import manifest_digest
from edgehold.errors import BadSnapshot, EdgeholdError, EngineError, Malformed, UnknownRules
from edgehold.server.abci.frames import frame
from edgehold.server.abci.genesis import require_genesis
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify.header import SECOND
from edgehold.wire import snapshot
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer

CODESPACE = "edgehold"
"""Whose numbers the codes are."""

_LOG = logging.getLogger(__name__)

_ACCEPTED = frame(abci.Response(check_tx=abci.ResponseCheckTx()).SerializeToString())
_FLUSHED = frame(abci.Response(flush=abci.ResponseFlush()).SerializeToString())


class Application:
    """A replica in the words of ABCI.

    `keep_blocks` is how many blocks CometBFT keeps, 0 for all of them; `snapshot_every` after how many heights a
    snapshot is written, 0 for never.

    What an answer to the consensus connection raises is a reason to stop: refusals that belong to the protocol are
    answers. What anybody may send (transactions at the door, queries) stops nothing: a mistake there is told to the log.
    """

    def __init__(self, replica: Replica, *, keep_blocks: int = 0, snapshot_every: int = 0) -> None:
        self._replica = replica
        self._keep_blocks = keep_blocks
        self._snapshot_every = snapshot_every
        self._answers: dict[str, Callable[[Any], Any]] = {
            "echo": lambda request: abci.ResponseEcho(message=request.message),
            "info": self.info,
            "query": self.query,
            "init_chain": self.init_chain,
            "prepare_proposal": self.prepare_proposal,
            "process_proposal": self.process_proposal,
            "extend_vote": lambda _: abci.ResponseExtendVote(),
            "verify_vote_extension": self.verify_vote_extension,
            "finalize_block": self.finalize_block,
            "commit": self.commit,
            "list_snapshots": self.list_snapshots,
            "offer_snapshot": self.offer_snapshot,
            "load_snapshot_chunk": self.load_snapshot_chunk,
            "apply_snapshot_chunk": self.apply_snapshot_chunk,
        }

    def answer(self, requests: Sequence[abci.Request]) -> Iterator[bytes]:
        """The answers to requests that came together, each as a frame, in order.

        Transactions at the door that follow each other are looked at together. Raises `Malformed` for a request that is
        none of ABCI 2.0.
        """
        for kind, group in groupby(requests, key=lambda request: request.WhichOneof("value")):
            if kind == "check_tx":
                yield from self._check_all([request.check_tx for request in group])
            elif kind == "flush":
                yield from (_FLUSHED for _ in group)
            elif kind in self._answers:
                for request in group:
                    response = self._answers[kind](getattr(request, kind))
                    yield frame(abci.Response(**{kind: response}).SerializeToString())
            else:
                raise Malformed(f"a request of kind {kind}")

    # ── the mempool's connection ──────────────────────────────────────────────────────────────────────────────────

    def _check_all(self, requests: Sequence[abci.RequestCheckTx]) -> Iterator[bytes]:
        for is_new, group in groupby(requests, key=lambda request: request.type == abci.NEW):
            transactions = [request.tx for request in group]
            refusals = self._check(transactions) if is_new else [self._check_again(one) for one in transactions]
            yield from (_ACCEPTED if refused is None else _refusal(refused) for refused in refusals)

    def _check(self, transactions: list[bytes]) -> list[Refused | None]:
        try:
            return self._replica.check(transactions)
        except Exception:
            if len(transactions) == 1:
                return [_mistaken()]
            return [one for transaction in transactions for one in self._check([transaction])]

    def _check_again(self, transaction: bytes) -> Refused | None:
        try:
            return self._replica.check_again(transaction)
        except Exception:
            return _mistaken()

    # ── the query connection ──────────────────────────────────────────────────────────────────────────────────────

    def info(self, _: abci.RequestInfo) -> abci.ResponseInfo:
        """How far the replica is: what was committed last."""
        replica = self._replica
        return abci.ResponseInfo(
            data="edgehold",
            app_version=replica.rules,
            last_block_height=replica.height,
            last_block_app_hash=replica.root if replica.height else b"",
        )

    def query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """An entry with its proof in the state after a block, or a receipt (`wire.query`)."""
        replica = self._replica
        try:
            value = encode(self._found(request))
        except EdgeholdError as error:
            refused = Refused(error.number, str(error))
        except Exception:
            refused = _mistaken()
        else:
            return abci.ResponseQuery(key=request.data, value=value, height=replica.height)
        return abci.ResponseQuery(
            code=refused.number, log=refused.facts, codespace=CODESPACE, key=request.data, height=replica.height
        )

    def _found(self, request: abci.RequestQuery) -> EntryAnswer | ReceiptAnswer:
        replica = self._replica
        match request.path:
            case "/entry":
                at = request.height or replica.height
                return EntryAnswer(at, replica.read(request.data, at), replica.prove(request.data, at))
            case "/receipt" if len(request.data) == 32:
                return ReceiptAnswer(replica.height, replica.receipt(Digest(request.data)))
            case _:
                raise Malformed(
                    f"no query: {request.path!r} with {len(request.data)} bytes; there are {ENTRY}, {RECEIPT}"
                )

    # ── the consensus connection ──────────────────────────────────────────────────────────────────────────────────

    def init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        """The root of the state at height 0, if both start from one genesis; raises `WrongGenesis`."""
        try:
            app_state = json.loads(request.app_state_bytes)
        except ValueError:
            app_state = None
        require_genesis(
            self._replica.genesis,
            chain=request.chain_id,
            time=_nanoseconds(request.time),
            app_state=app_state,
            validators={validator.pub_key.ed25519: validator.power for validator in request.validators},
        )
        return abci.ResponseInitChain(app_hash=self._replica.root)

    def prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        """What this validator proposes of what waits."""
        return abci.ResponsePrepareProposal(txs=self._replica.prepare(list(request.txs), request.max_tx_bytes))

    def process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        """Whether this validator votes for a proposal."""
        refused = self._replica.objection(list(request.txs))
        status = abci.ResponseProcessProposal.REJECT if refused else abci.ResponseProcessProposal.ACCEPT
        return abci.ResponseProcessProposal(status=status)

    def verify_vote_extension(self, request: abci.RequestVerifyVoteExtension) -> abci.ResponseVerifyVoteExtension:
        """Votes carry nothing of ours."""
        response = abci.ResponseVerifyVoteExtension
        return response(status=response.REJECT if request.vote_extension else response.ACCEPT)

    def finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        """What a decided block comes to: code and data of each result are number and bytes of its receipt.

        The powers of validators that it changes count from the height after the next on, another version of the rules
        from the next.
        """
        replica = self._replica
        rules = replica.rules
        receipts, root = replica.finalize(
            Block(
                height=request.height,
                header=Digest(request.hash),
                time=_nanoseconds(request.time),
                transactions=list(request.txs),
            )
        )
        results = [abci.ExecTxResult(code=receipt.number, data=encode_receipt(receipt)) for receipt in receipts]
        response = abci.ResponseFinalizeBlock(tx_results=results, app_hash=root)
        for key, power in replica.changed_powers.items():
            response.validator_updates.add(power=power).pub_key.ed25519 = key
        if replica.rules != rules:
            response.consensus_param_updates.version.app = replica.rules
        return response

    def commit(self, _: abci.RequestCommit) -> abci.ResponseCommit:
        """Answered when the block is on disk; says below which height CometBFT may forget blocks."""
        replica = self._replica
        replica.commit()
        self._warn_of_unknown_rules()
        if self._snapshot_every and replica.height % self._snapshot_every == 0:
            replica.take_snapshot()
        first = replica.height - self._keep_blocks + 1 if self._keep_blocks else 0
        return abci.ResponseCommit(retain_height=max(first, 0))

    def _warn_of_unknown_rules(self) -> None:
        """Who reads the log shall know why no block comes, also where another node is the first that stops."""
        try:
            self._replica.require_rules()
        except UnknownRules as error:
            _LOG.warning("%s UnknownRules: %s; %s", error.code, error, error.remedy)

    # ── the snapshot connection ───────────────────────────────────────────────────────────────────────────────────

    def list_snapshots(self, _: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
        """What a newcomer may have; the manifest is the metadata."""
        return abci.ResponseListSnapshots(snapshots=[_snapshot(manifest) for manifest in self._replica.snapshots()])

    def load_snapshot_chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        """A piece for a newcomer, or nothing."""
        piece = self._replica.piece(request.height, request.chunk) if request.format == snapshot.FORMAT else None
        return abci.ResponseLoadSnapshotChunk(chunk=piece or b"")

    def offer_snapshot(self, request: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
        """Whether this replica begins with a snapshot; its height's application hash was verified by CometBFT."""
        response = abci.ResponseOfferSnapshot
        if request.snapshot.format != snapshot.FORMAT:
            return response(result=response.REJECT_FORMAT)
        try:
            if _snapshot(request.snapshot.metadata) != request.snapshot:
                return response(result=response.REJECT)
            self._replica.begin_restoring(request.snapshot.metadata, Digest(request.app_hash))
        except (BadSnapshot, Malformed):
            return response(result=response.REJECT)
        return response(result=response.ACCEPT)

    def apply_snapshot_chunk(self, request: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
        """Take in a piece; one that its sender changed is fetched again from another."""
        response = abci.ResponseApplySnapshotChunk
        try:
            if self._replica.restore(request.index, request.chunk):
                return response(result=response.ACCEPT)
        except BadSnapshot:
            return response(result=response.REJECT_SNAPSHOT)
        again, senders = [request.index], [request.sender] if request.sender else []
        return response(result=response.RETRY, refetch_chunks=again, reject_senders=senders)


def _snapshot(manifest: bytes) -> abci.Snapshot:
    """A snapshot as CometBFT offers it; raises `Malformed`."""
    read = decode(manifest, snapshot.Manifest)
    return abci.Snapshot(
        height=read.height,
        format=snapshot.FORMAT,
        chunks=len(read.pieces),
        hash=manifest_digest(manifest),
        metadata=manifest,
    )


def _mistaken() -> Refused:
    """Told to whoever asked when this program failed at it; the log has the rest."""
    _LOG.exception("a request from outside could not be answered")
    return Refused(EngineError.number, "this node cannot answer")


def _refusal(refused: Refused) -> bytes:
    response = abci.ResponseCheckTx(code=refused.number, log=refused.facts, codespace=CODESPACE)
    return frame(abci.Response(check_tx=response).SerializeToString())


def _nanoseconds(time: Any) -> int:
    return int(time.seconds) * SECOND + int(time.nanos)
